//! `tidegate publish`: makes the draft the next version, after it was checked, tested and told in words.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
};

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};

use super::{Context, Exit, Format, line, lines, report as report_findings};
use crate::{
    container::{diff, folder},
    git::{Changed, Hindered, How, Reach, Repository},
    publish::{self, Known, Mode, Outcome, Published, Push, Report, Source, Wish},
    settings::readable_environment,
};

/// Check and test the draft, tell what changes, and commit rules/ and tags/ as the next version
#[derive(Args, Debug)]
pub struct Publish {
    /// What changes, and why
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,
    /// Only say what would be published
    #[arg(long)]
    dry_run: bool,
    /// Push the new version to the branch's upstream, which is asked first whether it has others
    #[arg(long)]
    push: bool,
    /// Publish rules/ and tags/ as they were in this commit, as a new version
    #[arg(long, value_name = "COMMIT")]
    rollback: Option<String>,
    /// Folder with a server's state: what the change would have meant for the hits that it keeps is told
    #[arg(long, env = "TIDEGATE_DATA", default_value = ".tidegate", value_name = "FOLDER")]
    data: PathBuf,
    /// Further environment variables that the container may read
    #[arg(long, env = "TIDEGATE_ALLOW_ENV", value_name = "NAME", value_delimiter = ',')]
    allow_env: Vec<String>,
}

impl Publish {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<Exit> {
        let repository = repository(context)?;
        let wish = Wish {
            of: self.rollback.map_or(Source::Draft, Source::Commit),
            message: self.message,
            mode: if self.dry_run { Mode::Look } else { Mode::Publish },
            reach: if self.push { Reach::Upstream } else { Reach::Here },
            data: self.data,
        };
        let mut out = io::stdout().lock();
        match publish::publish(&repository, &wish, &readable_environment(&self.allow_env)) {
            Ok(report) => {
                match context.format {
                    Format::Json => {
                        serde_json::to_writer_pretty(&mut out, &as_json(&report))?;
                        writeln!(out)?;
                    }
                    Format::Text | Format::Github => as_text(&mut out, context, &report, &wish)?,
                }
                Ok(exit(&report.outcome))
            }
            Err(Hindered::Obstacle(obstacle)) => {
                if context.format == Format::Json {
                    let why = json!({ "outcome": "refused", "code": obstacle.code(), "reason": obstacle.to_string(),
                        "help": obstacle.way_out() });
                    serde_json::to_writer_pretty(&mut out, &why)?;
                    writeln!(out)?;
                } else {
                    lines(&mut io::stderr(), &format!("tidegate: not published: {obstacle}"))?;
                    lines(&mut io::stderr(), &format!("  {}", obstacle.way_out()))?;
                }
                Ok(Exit::CouldNot)
            }
            Err(Hindered::Git(error)) => Err(error.into()),
        }
    }
}

/// The repository of the container, which must be there.
pub(super) fn repository(context: &Context) -> anyhow::Result<Repository> {
    let Some(repository) = Repository::find(&context.folder)? else {
        let folder = context.folder.canonicalize().unwrap_or_else(|_| context.folder.clone());
        bail!("{} lies in no git repository; make one there with git init", folder.display());
    };
    Ok(repository)
}

fn exit(outcome: &Outcome) -> Exit {
    match outcome {
        Outcome::WouldPublish | Outcome::Pushed(_) => Exit::Fine,
        Outcome::Published(Published { push: Push::Failed(_), .. } | Published { left_behind: Some(_), .. }) => {
            Exit::FoundWrong
        }
        Outcome::Published(_) => Exit::Fine,
        Outcome::Nothing | Outcome::Broken | Outcome::Failing => Exit::FoundWrong,
    }
}

fn as_text(out: &mut (impl Write + IsTerminal), context: &Context, report: &Report, wish: &Wish) -> anyhow::Result<()> {
    let examined = &report.examined;
    if !matches!(report.outcome, Outcome::Nothing | Outcome::Pushed(_)) && !examined.diagnostics.is_empty() {
        report_findings(out, context, &examined.diagnostics, &examined.sources)?;
        writeln!(out)?;
    }
    writeln!(out, "check: {}", examined.diagnostics.summary())?;
    if matches!(report.outcome, Outcome::Broken) {
        writeln!(out, "not published: mend what is broken")?;
        return Ok(());
    }
    let mut failed = 0;
    for (path, case) in examined.failed() {
        failed += 1;
        line(out, format_args!("FAILED {path}:{}: {}", case.place.line, case.name))?;
        for difference in &case.differences {
            line(out, format_args!("    {difference}"))?;
        }
    }
    match examined.cases.len() {
        0 => writeln!(out, "test: there are no test cases")?,
        cases => writeln!(out, "test: {} passed, {failed} failed", cases - failed)?,
    }
    if matches!(report.outcome, Outcome::Failing) {
        writeln!(out, "not published: mend the draft, or what its test cases expect")?;
        return Ok(());
    }
    for path in &report.ignored {
        line(out, format_args!("left out, because git is told to ignore it: {path}"))?;
    }
    match &report.outcome {
        Outcome::Nothing => nothing(out, wish)?,
        Outcome::Pushed(commit) => line(out, format_args!("nothing new to publish; pushed {commit}"))?,
        _ => {
            writeln!(out)?;
            out.write_all(diff::text(&examined.changes).as_bytes())?;
            files(out, &report.files)?;
            match &report.impact {
                Known::Impact(impact) => lines(out, &format!("\n{impact}"))?,
                Known::Unreadable(words) => {
                    writeln!(out)?;
                    line(out, format_args!("impact: {words}"))?;
                }
                Known::Nothing => {}
            }
            writeln!(out)?;
            published(out, report)?;
        }
    }
    Ok(())
}

fn nothing(out: &mut impl Write, wish: &Wish) -> io::Result<()> {
    match &wish.of {
        Source::Draft => writeln!(out, "nothing to publish: rules/ and tags/ are as HEAD has them; edit them first"),
        Source::Commit(revision) => line(
            out,
            format_args!(
                "nothing to publish: rules/ and tags/ are those of {revision}; tidegate versions lists others"
            ),
        ),
    }
}

/// The files, so that nobody commits one without knowing.
fn files(out: &mut impl Write, files: &[Changed]) -> io::Result<()> {
    const MAX_SHOWN: usize = 20;
    for file in files.iter().take(MAX_SHOWN) {
        let unread = if folder::is_read(&file.path) { "" } else { " (no container reads it)" };
        line(out, format_args!("  {} {}{unread}", how(file.how), file.path))?;
    }
    match files.len().checked_sub(MAX_SHOWN) {
        Some(more) if more > 0 => writeln!(out, "  and {more} more files"),
        _ => Ok(()),
    }
}

fn how(how: How) -> &'static str {
    match how {
        How::Added => "new",
        How::Changed => "changed",
        How::Deleted => "deleted",
    }
}

fn published(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let Outcome::Published(Published { commit, push, left_behind }) = &report.outcome else {
        return line(out, format_args!("would be published on {}; nothing was changed", report.branch));
    };
    line(out, format_args!("published as {commit} on {}", report.branch))?;
    if let Some(words) = left_behind {
        line(out, format_args!("but the files here did not come along: {words}"))?;
    }
    match push {
        Push::NotAsked => writeln!(out, "a server on this repository looks at HEAD every second and takes it"),
        Push::Done => writeln!(out, "pushed; servers that follow the branch take it when they ask next"),
        Push::Failed(error) => {
            line(out, format_args!("not pushed: {error}"))?;
            writeln!(out, "  it is committed here; tidegate publish --push tries again")
        }
    }
}

fn as_json(report: &Report) -> Value {
    let Report { examined, branch, files, impact, ignored, outcome } = report;
    let (name, commit, push, left_behind) = match outcome {
        Outcome::Nothing => ("nothing", None, None, None),
        Outcome::Broken => ("broken", None, None, None),
        Outcome::Failing => ("failing", None, None, None),
        Outcome::WouldPublish => ("would_publish", None, None, None),
        Outcome::Pushed(commit) => ("pushed", Some(commit), None, None),
        Outcome::Published(Published { commit, push, left_behind }) => {
            let push = match push {
                Push::NotAsked => None,
                Push::Done => Some(json!({ "done": true })),
                Push::Failed(error) => Some(json!({ "done": false, "reason": error.to_string() })),
            };
            ("published", Some(commit), push, left_behind.as_ref())
        }
    };
    let impact = match impact {
        Known::Impact(impact) => Some(impact),
        Known::Nothing | Known::Unreadable(_) => None,
    };
    let failed: Vec<_> = examined
        .failed()
        .map(|(path, case)| {
            json!({ "file": path, "line": case.place.line, "name": case.name, "differences": case.differences })
        })
        .collect();
    let files: Vec<_> = files.iter().map(|file| json!({ "path": file.path, "how": how(file.how) })).collect();
    json!({
        "outcome": name,
        "branch": branch,
        "commit": commit.map(crate::git::Commit::name),
        "push": push,
        "left_behind": left_behind,
        "diagnostics": examined.diagnostics,
        "cases": { "passed": examined.cases.len() - failed.len(), "failed": failed },
        "changes": examined.changes,
        "impact": impact,
        "files": files,
        "ignored": ignored,
    })
}
