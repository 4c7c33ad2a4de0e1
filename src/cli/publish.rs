//! `tidegate publish`: makes the draft the next version, after it was checked, tested and told in words.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
};

use clap::Args;
use serde_json::{Value, json};

use super::{Context, Exit, Format, line, lines, refused, report as report_findings};
use crate::{
    case,
    container::{diff, folder},
    environment::readable_environment,
    git::{Changed, Commit, Hindered, How, Obstacle, Reach, Repository, There, Unpushed, Upstream},
    publish::{self, Known, Mode, Outcome, Push, PushEnd, Report, Source, Wish},
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
        let wish = Wish {
            of: self.rollback.map_or(Source::Draft, Source::Commit),
            message: self.message,
            mode: if self.dry_run { Mode::Look } else { Mode::Publish },
            reach: if self.push { Reach::Upstream } else { Reach::Here },
            data: self.data,
        };
        let before_push = |to: &Upstream| {
            if context.format != Format::Json && !to.unpushed.is_empty() {
                // If standard error is gone, so is whoever could stop it.
                let words = format_args!("tidegate: pushing to {}, with {}", to.shown(), waiting(&to.unpushed));
                let _ = line(&mut io::stderr(), words);
            }
        };
        let environment = readable_environment(&self.allow_env);
        let published =
            repository(context).and_then(|repository| publish::publish(&repository, &wish, &environment, before_push));
        let report = match published {
            Ok(report) => report,
            Err(hindered) => return refused(context.format, "not published: ", &hindered),
        };
        let mut out = io::stdout().lock();
        match context.format {
            Format::Json => {
                serde_json::to_writer_pretty(&mut out, &as_json(&report))?;
                writeln!(out)?;
            }
            Format::Text | Format::Github => as_text(&mut out, context, &report, &wish)?,
        }
        Ok(exit(&report))
    }
}

/// The repository of the container, which must be there.
pub(super) fn repository(context: &Context) -> Result<Repository, Hindered> {
    if !context.folder.is_dir() {
        return Err(Obstacle::NoFolder { folder: context.folder.clone() }.into());
    }
    Repository::find(&context.folder)?.ok_or_else(|| {
        let folder = context.folder.canonicalize().unwrap_or_else(|_| context.folder.clone());
        Obstacle::NoRepository { folder }.into()
    })
}

fn exit(report: &Report) -> Exit {
    match (&report.outcome, report.push.as_ref().map(|push| &push.end)) {
        (Outcome::Broken | Outcome::Failing, _) | (_, Some(PushEnd::Failed(_))) | (Outcome::Nothing, None) => {
            Exit::FoundWrong
        }
        (Outcome::Nothing | Outcome::WouldPublish | Outcome::Published(_), _) => Exit::Fine,
    }
}

fn as_text(out: &mut (impl Write + IsTerminal), context: &Context, report: &Report, wish: &Wish) -> anyhow::Result<()> {
    let examined = &report.examined;
    let mut findings = examined.diagnostics.map(|finding| finding);
    if context.format == Format::Github {
        findings.extend(examined.failed().filter_map(|(_, case)| case::diagnostic(case)));
    }
    if !matches!(report.outcome, Outcome::Nothing) && !findings.is_empty() {
        report_findings(out, context, &findings, &examined.sources)?;
        writeln!(out)?;
    }
    line(out, format_args!("check: {}", examined.diagnostics.summary()))?;
    for path in &report.ignored {
        line(out, format_args!("left out, because git is told to ignore it: {path}"))?;
    }
    if !matches!(report.outcome, Outcome::Broken) {
        tested(out, report, context.format)?;
    }
    match (&report.outcome, &wish.of) {
        (Outcome::Broken | Outcome::Failing, Source::Commit(revision)) => {
            line(out, format_args!("not published: {revision} does not pass today; tidegate versions lists others"))?;
        }
        (Outcome::Broken, Source::Draft) => writeln!(out, "not published: mend what is broken")?,
        (Outcome::Failing, Source::Draft) => {
            writeln!(out, "not published: mend the draft, or what its test cases expect")?;
        }
        (Outcome::Nothing, _) => {
            nothing(out, report, wish)?;
            pushed(out, report)?;
        }
        (Outcome::WouldPublish | Outcome::Published(_), _) => {
            writeln!(out)?;
            lines(out, &diff::text(&examined.changes))?;
            files(out, &report.files)?;
            match &report.impact {
                Known::Impact(impact) => lines(out, &format!("\n{impact}"))?,
                Known::Untold(words) => {
                    writeln!(out)?;
                    line(out, format_args!("impact: {words}"))?;
                }
                Known::Nothing => {}
            }
            writeln!(out)?;
            published(out, report, wish)?;
            pushed(out, report)?;
        }
    }
    Ok(())
}

fn tested(out: &mut impl Write, report: &Report, format: Format) -> io::Result<()> {
    let examined = &report.examined;
    let mut failed = 0;
    for (path, case) in examined.failed() {
        failed += 1;
        // It is an annotation there.
        if format == Format::Github {
            continue;
        }
        line(out, format_args!("FAILED {path}:{}: {}", case.place.line, case.name))?;
        for difference in &case.differences {
            line(out, format_args!("    {difference}"))?;
        }
    }
    match examined.cases.len() {
        0 => writeln!(out, "test: there are no test cases"),
        cases => writeln!(out, "test: {} passed, {failed} failed", cases - failed),
    }
}

fn nothing(out: &mut impl Write, report: &Report, wish: &Wish) -> io::Result<()> {
    match (&wish.of, &report.push) {
        (_, Some(_)) => writeln!(out, "nothing new to publish"),
        (Source::Draft, None) => {
            writeln!(out, "nothing to publish: rules/ and tags/ are as HEAD has them; edit them first")
        }
        (Source::Commit(revision), None) => {
            let words = "tidegate versions lists others";
            line(out, format_args!("nothing to publish: rules/ and tags/ are those of {revision}; {words}"))
        }
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
        Some(more) if more > 0 => line(out, format_args!("  and {more} more files")),
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

fn published(out: &mut impl Write, report: &Report, wish: &Wish) -> io::Result<()> {
    match &report.outcome {
        Outcome::Published(commit) => line(out, format_args!("published as {commit} on {}", report.branch))?,
        _ => line(out, format_args!("would be published on {}; nothing was changed", report.branch))?,
    }
    match wish.reach {
        Reach::Here if wish.mode == Mode::Publish => {
            writeln!(out, "a server on this repository looks at HEAD every second and takes it")
        }
        Reach::Here | Reach::Upstream => Ok(()),
    }
}

fn pushed(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let Some(push) = &report.push else { return Ok(()) };
    let place = match push.to.there {
        There::Branch => push.to.shown(),
        There::Nothing => format!("{}, which was not there", push.to.shown()),
    };
    match &push.end {
        PushEnd::Would => line(out, format_args!("would be pushed to {place}"))?,
        PushEnd::Done(commit) => {
            line(
                out,
                format_args!("pushed {commit} to {place}; servers that follow the branch take it when they ask next"),
            )?;
        }
        PushEnd::Failed(hindered) => {
            lines(
                out,
                &format!(
                    "not pushed: {hindered}\n  {}\n  what is committed here stays; tidegate publish --push pushes it",
                    hindered.way_out()
                ),
            )?;
            return Ok(());
        }
    }
    if !push.to.unpushed.is_empty() {
        line(out, format_args!("  with {}", waiting(&push.to.unpushed)))?;
    }
    Ok(())
}

/// Commits that were made before and go with it.
fn waiting(commits: &[Unpushed]) -> String {
    const MAX_NAMED: usize = 5;
    let named = commits.iter().take(MAX_NAMED).map(|one| format!("{} \"{}\"", one.commit, one.subject));
    let mut text = match commits.len() {
        1 => "1 commit that was not there yet: ".to_owned(),
        count => format!("{count} commits that were not there yet: "),
    };
    text += &named.collect::<Vec<_>>().join(", ");
    if let Some(more) = commits.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
        text += &format!(" and {more} more");
    }
    text
}

fn as_json(report: &Report) -> Value {
    let Report { examined, branch, files, impact, ignored, outcome, push } = report;
    let (name, commit) = match outcome {
        Outcome::Nothing => match push.as_ref().map(|push| &push.end) {
            Some(PushEnd::Done(commit)) => ("pushed", Some(commit)),
            _ => ("nothing", None),
        },
        Outcome::Broken => ("broken", None),
        Outcome::Failing => ("failing", None),
        Outcome::WouldPublish => ("would_publish", None),
        Outcome::Published(commit) => ("published", Some(commit)),
    };
    let (impact, untold) = match impact {
        Known::Impact(impact) => (Some(impact), None),
        Known::Nothing => (None, None),
        Known::Untold(words) => (None, Some(words)),
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
        "commit": commit.map(Commit::name),
        "push": push.as_ref().map(push_as_json),
        "diagnostics": examined.diagnostics,
        "cases": { "passed": examined.cases.len() - failed.len(), "failed": failed },
        "changes": examined.changes,
        "impact": impact,
        "impact_reason": untold,
        "files": files,
        "ignored": ignored,
    })
}

fn push_as_json(push: &Push) -> Value {
    let earlier = push.to.unpushed.iter().map(|one| json!({ "commit": one.commit.name(), "subject": one.subject }));
    let hindered = match &push.end {
        PushEnd::Would | PushEnd::Done(_) => None,
        PushEnd::Failed(hindered) => Some(hindered),
    };
    json!({
        "done": matches!(push.end, PushEnd::Done(_)),
        "to": push.to.shown(),
        "new": push.to.there == There::Nothing,
        "earlier": earlier.collect::<Vec<_>>(),
        "code": hindered.map(Hindered::code),
        "reason": hindered.map(ToString::to_string),
        "help": hindered.map(Hindered::way_out),
    })
}
