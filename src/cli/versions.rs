//! `tidegate versions`: what was published, by whom and when, and whether it could go live.

use std::io::{self, Write};

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::{Context, Exit, Format, publish::repository};
use crate::{
    container::{diagnostic::Diagnostics, folder},
    git::{GitError, Repository, Version},
    publish,
    settings::readable_environment,
    time::Timestamp,
};

/// List the versions of the container: commits that touch rules/ or tags/, newest first
#[derive(Args, Debug)]
pub struct Versions {
    /// Where to begin
    #[arg(value_name = "COMMIT", default_value = "HEAD")]
    from: String,
    /// How many
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    limit: usize,
    /// Further environment variables that the container may read
    #[arg(long, env = "TIDEGATE_ALLOW_ENV", value_name = "NAME", value_delimiter = ',')]
    allow_env: Vec<String>,
}

impl Versions {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<Exit> {
        let repository = repository(context)?;
        let from = repository.commit(&self.from)?;
        let from = from.with_context(|| format!("there is no commit {:?}", self.from))?;
        let environment = readable_environment(&self.allow_env);
        let library = folder::library();
        let mut listed = Vec::new();
        for version in repository.versions(&from, self.limit)? {
            let check = match repository.tree(&version.commit) {
                Ok(tree) => Check::of(&publish::check(tree, version.commit.short(), &environment, &library).0),
                Err(GitError::NoRules { .. } | GitError::TooLarge { .. }) => Check::no_container(),
                Err(error) => return Err(error.into()),
            };
            listed.push((version, check));
        }
        let mut out = io::stdout().lock();
        match context.format {
            Format::Json => as_json(&mut out, &listed)?,
            Format::Text | Format::Github => as_text(&mut out, &repository, &listed)?,
        }
        Ok(Exit::Fine)
    }
}

/// What `tidegate check` says of a version today.
struct Check {
    words: String,
    errors: usize,
    warnings: usize,
}

impl Check {
    fn of(diagnostics: &Diagnostics) -> Self {
        let words = if diagnostics.is_empty() { "fine".to_owned() } else { diagnostics.summary() };
        Self { words, errors: diagnostics.errors(), warnings: diagnostics.warnings() }
    }

    fn no_container() -> Self {
        Self { words: "no container".to_owned(), errors: 1, warnings: 0 }
    }
}

fn as_text(out: &mut impl Write, repository: &Repository, listed: &[(Version, Check)]) -> anyhow::Result<()> {
    if listed.is_empty() {
        writeln!(out, "no version yet: no commit in {} touches rules/ or tags/", repository.root().display())?;
        return Ok(());
    }
    let rows = listed.iter().map(|(version, check)| {
        [version.commit.to_string(), minute(version.seconds), version.author.clone(), check.words.clone()]
    });
    let rows: Vec<_> = rows.collect();
    let width = |column: usize| rows.iter().map(|row| unicode_width::UnicodeWidthStr::width(&*row[column])).max();
    for (row, (version, _)) in rows.iter().zip(listed) {
        for (column, cell) in row.iter().enumerate() {
            let missing =
                width(column).unwrap_or_default().saturating_sub(unicode_width::UnicodeWidthStr::width(&**cell));
            write!(out, "{cell}{}  ", " ".repeat(missing))?;
        }
        writeln!(out, "{}", version.subject)?;
    }
    Ok(())
}

/// `2026-11-25 14:03Z`
fn minute(seconds: i64) -> String {
    let text = Timestamp(seconds.saturating_mul(1000)).to_string();
    let minute = text.get(..16).map(|minute| minute.replace('T', " "));
    minute.map_or(text, |minute| format!("{minute}Z"))
}

fn as_json(out: &mut impl Write, listed: &[(Version, Check)]) -> anyhow::Result<()> {
    let versions: Vec<_> = listed
        .iter()
        .map(|(version, check)| {
            json!({
                "commit": version.commit.name(),
                "author": { "name": version.author, "email": version.email },
                "published": Timestamp(version.seconds.saturating_mul(1000)).to_string(),
                "subject": version.subject,
                "body": version.body,
                "check": { "errors": check.errors, "warnings": check.warnings },
            })
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &json!({ "versions": versions }))?;
    writeln!(out)?;
    Ok(())
}
