//! `tidegate diff`: what differs between two versions, in words and by object.

use std::io::{self, Write};

use clap::Args;
use serde_json::json;

use super::{Context, Exit, Format, from_here, line, publish::repository};
use crate::{
    container::{
        diagnostic::{Diagnostic, Diagnostics, Sources},
        diff, folder,
    },
    environment::readable_environment,
    git::{Draft, Repository, Tree},
    publish::{self, container_of},
};

/// Say in words what differs between two versions, or between one and the draft
#[derive(Args, Debug)]
pub struct Diff {
    /// A commit [default: HEAD]
    #[arg(value_name = "BEFORE")]
    before: Option<String>,
    /// Another commit [default: the draft, as it lies in the folder]
    #[arg(value_name = "AFTER")]
    after: Option<String>,
}

impl Diff {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<Exit> {
        let repository = repository(context)?;
        let before = match &self.before {
            Some(revision) => version(&repository, revision)?,
            // Before the first commit everything is new.
            None => match repository.commit("HEAD")? {
                Some(head) => version(&repository, head.name())?,
                None => Sources::new(),
            },
        };
        let (after, findings) = match &self.after {
            Some(revision) => (version(&repository, revision)?, Vec::new()),
            None => {
                let Draft { files, findings } = Draft::read(&context.folder)?;
                say_if_broken(Tree { files: files.clone(), findings: findings.clone() }, "the draft", |diagnostics| {
                    let base = from_here(&context.folder);
                    diagnostics.map(|one| one.seen_from(&base))
                })?;
                (files, findings)
            }
        };
        let changes = diff::compare(&before, &after, &folder::library());
        let mut out = io::stdout().lock();
        match context.format {
            Format::Json => {
                serde_json::to_writer_pretty(&mut out, &json!({ "changes": changes, "findings": findings }))?;
                writeln!(out)?;
            }
            Format::Text | Format::Github => {
                let words = if changes.is_empty() { diff::no_change(&before, &after) } else { diff::text(&changes) };
                out.write_all(words.as_bytes())?;
                // What publishing the draft would refuse or leave out.
                for Diagnostic { severity, message, help, .. } in &findings {
                    let help = help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
                    line(&mut out, format_args!("{}: {message}{help}", severity.name()))?;
                }
            }
        }
        Ok(Exit::Fine)
    }
}

/// The files of a version. That it could not go live is said beside, as what is said of it may not be all.
fn version(repository: &Repository, revision: &str) -> anyhow::Result<Sources> {
    let commit = repository.named(revision)?;
    let tree = container_of(repository, &commit)?;
    let files = tree.files.clone();
    say_if_broken(tree, &commit.to_string(), |diagnostics| diagnostics)?;
    Ok(files)
}

/// `seen` gives the places as they are told.
fn say_if_broken(tree: Tree, which: &str, seen: impl Fn(Diagnostics) -> Diagnostics) -> io::Result<()> {
    let (diagnostics, _) = publish::check(tree, which, &readable_environment(&[]), &folder::library());
    if diagnostics.has_errors() {
        let reason = seen(diagnostics).reason();
        line(&mut io::stderr(), format_args!("{which} does not pass its check, so it cannot go live: {reason}"))?;
    }
    Ok(())
}
