//! The command line: one file a command. Results go to standard output, everything else to standard error.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    path::{Component, Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand, ValueEnum};
use serde_json::json;

use crate::{
    container::diagnostic::{self, Colour, Diagnostics, Sources},
    environment::variable,
    git::{GitError, Hindered, Repository},
    one_line::one_line,
};

mod audit;
mod check;
mod deliveries;
mod diff;
mod door;
mod forget;
mod impact;
mod publish;
#[cfg(test)]
mod reference;
mod serve;
mod test;
mod trace;
mod versions;

/// A consent-aware tag manager that runs tags on the server and loses nothing
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, arg_required_else_help = true)]
pub struct Cli {
    /// Folder of the container, which holds rules/ and tags/
    #[arg(
        short = 'C',
        long = "container",
        env = "TIDEGATE_CONTAINER",
        global = true,
        default_value = ".",
        value_name = "FOLDER"
    )]
    folder: PathBuf,
    /// How to write results
    #[arg(long, env = "TIDEGATE_FORMAT", global = true, default_value = "text", value_name = "FORMAT")]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Check(check::Check),
    Test(test::Test),
    Trace(trace::Trace),
    Diff(diff::Diff),
    Publish(publish::Publish),
    Versions(versions::Versions),
    #[command(subcommand)]
    Deliveries(deliveries::Deliveries),
    Forget(forget::Forget),
    Impact(impact::Impact),
    Audit(audit::Audit),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// Annotations for a pull request, where the command has findings; else as text
    Github,
}

/// How a command ended; the process exits with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Fine = 0,
    /// The command did its work and found something wrong.
    FoundWrong = 1,
    /// The command could not do its work.
    CouldNot = 2,
}

/// What a command is run with.
struct Context {
    folder: PathBuf,
    format: Format,
}

/// Runs what the arguments say.
pub fn run() -> ExitCode {
    let Cli { folder, format, command } = Cli::parse();
    let context = Context { folder, format };
    let result = match command {
        Command::Serve(serve) => serve.run(&context),
        Command::Check(check) => check.run(&context),
        Command::Test(test) => test.run(&context),
        Command::Trace(trace) => trace.run(&context),
        Command::Diff(diff) => diff.run(&context),
        Command::Publish(publish) => publish.run(&context),
        Command::Versions(versions) => versions.run(&context),
        Command::Deliveries(deliveries) => deliveries.run(&context),
        Command::Forget(forget) => forget.run(&context),
        Command::Impact(impact) => impact.run(&context),
        Command::Audit(audit) => audit.run(&context),
    };
    let exit = result.unwrap_or_else(|error| {
        // Whoever reads our output may stop reading: `tidegate … | head` is no failure.
        if error.chain().any(is_broken_pipe) {
            return Exit::Fine;
        }
        let error = match hindered(error, format).map(|hindered| refused(format, "", &hindered)) {
            Ok(Ok(exit)) => return exit,
            Ok(Err(error)) | Err(error) => error,
        };
        // Standard error is the last resort; if it is gone, so is whoever could read this.
        let _ = lines(&mut io::stderr(), &format!("tidegate: {error:#}"));
        Exit::CouldNot
    });
    ExitCode::from(exit as u8)
}

/// What programs can tell apart, and people be told in two lines.
fn hindered(error: anyhow::Error, format: Format) -> anyhow::Result<Hindered> {
    match error.downcast() {
        Err(error) if format == Format::Json => error.downcast::<GitError>().map(Hindered::from),
        hindered => hindered,
    }
}

/// Says what git, or a state of the repository, keeps a command from doing: why, and what to do next.
fn refused(format: Format, not_done: &str, hindered: &Hindered) -> anyhow::Result<Exit> {
    if format == Format::Json {
        let mut out = io::stdout().lock();
        let (code, reason, help) = (hindered.code(), hindered.to_string(), hindered.way_out());
        let refusal = json!({ "outcome": "refused", "code": code, "reason": reason, "help": help });
        serde_json::to_writer_pretty(&mut out, &refusal)?;
        writeln!(out)?;
    } else {
        lines(&mut io::stderr(), &format!("tidegate: {not_done}{hindered}\n  {}", hindered.way_out()))?;
    }
    Ok(Exit::CouldNot)
}

fn is_broken_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
    // Its own source leaves the kind out.
    let json = || cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
    io.or_else(json) == Some(io::ErrorKind::BrokenPipe)
}

/// Writes one line for people. Whatever it holds that somebody else wrote stays in it, and steers no terminal.
fn line(out: &mut impl Write, words: fmt::Arguments<'_>) -> io::Result<()> {
    writeln!(out, "{}", one_line(&words.to_string()))
}

/// The same of a text of several lines.
fn lines(out: &mut impl Write, text: &str) -> io::Result<()> {
    text.lines().try_for_each(|text| line(out, format_args!("{text}")))
}

/// Colour is for terminals, and for those who did not say that they want none (no-color.org).
fn wants_colour(out: &impl IsTerminal) -> bool {
    out.is_terminal() && variable("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes findings in the format that was asked for; in colour only on a terminal.
fn report(
    out: &mut (impl Write + IsTerminal),
    context: &Context,
    diagnostics: &Diagnostics,
    sources: &Sources,
) -> anyhow::Result<()> {
    let text = match context.format {
        Format::Text => {
            let colour = if wants_colour(out) { Colour::On } else { Colour::Off };
            let base = from_here(&context.folder);
            let sources = sources.iter().map(|(path, bytes)| (format!("{base}{path}").into(), bytes.clone())).collect();
            diagnostic::text(&diagnostics.map(|one| one.seen_from(&base)), &sources, colour)
        }
        Format::Json => diagnostic::json(diagnostics)?,
        Format::Github => {
            let base = from_root(&context.folder);
            diagnostic::github(&diagnostics.map(|one| one.seen_from(&base)))
        }
    };
    out.write_all(text.as_bytes())?;
    Ok(())
}

/// What goes before a container's file where the user stands, as an editor or a shell takes it.
fn from_here(folder: &Path) -> String {
    let here = Path::new(".").canonicalize().ok();
    let folder = here.as_deref().and_then(|here| folder.strip_prefix(here).ok()).unwrap_or(folder);
    before_file(folder)
}

/// The same at the root of the repository, if the folder lies in one.
fn from_root(folder: &Path) -> String {
    match Repository::find(folder) {
        Ok(Some(repository)) => repository.prefix().to_owned(),
        Ok(None) | Err(_) => from_here(folder),
    }
}

fn before_file(folder: &Path) -> String {
    let parts = folder.components().filter(|part| !matches!(part, Component::CurDir));
    match parts.collect::<PathBuf>().to_string_lossy().trim_end_matches('/') {
        "" if folder.has_root() => "/".to_owned(),
        "" => String::new(),
        folder => format!("{folder}/"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory;

    use super::{Cli, from_here};

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn files_are_named_from_where_the_user_stands() {
        let here = Path::new(".").canonicalize().unwrap();
        for (folder, base) in [
            (Path::new("."), ""),
            (Path::new("./"), ""),
            (Path::new("./shop"), "shop/"),
            (Path::new("shop//eu/"), "shop/eu/"),
            (Path::new("../shop"), "../shop/"),
            (Path::new("/nowhere/shop/"), "/nowhere/shop/"),
            (Path::new("/"), "/"),
            (&here, ""),
            (&here.join("shop"), "shop/"),
        ] {
            assert_eq!(from_here(folder), base, "{}", folder.display());
        }
    }
}
