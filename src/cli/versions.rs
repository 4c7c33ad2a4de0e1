//! `tidegate versions`: what was published, by whom and when, and whether it could go live.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use unicode_width::UnicodeWidthStr as _;

use super::{Context, Exit, Format, line, publish::repository};
use crate::{
    container::{diagnostic::Diagnostics, folder},
    git::{GitError, Repository, Version},
    history::{self, Served},
    one_line::shortened,
    publish,
    settings::readable_environment,
    time::Timestamp,
};

/// How many columns of a terminal these take; JSON has all of them.
const MAX_AUTHOR: usize = 24;
const MAX_SUBJECT: usize = 72;

/// List the versions of the container: commits that touch rules/ or tags/, newest first
#[derive(Args, Debug)]
pub struct Versions {
    /// Where to begin
    #[arg(value_name = "COMMIT", default_value = "HEAD")]
    from: String,
    /// How many
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    limit: usize,
    /// Folder with a server's state: how many hits each version decided there is told
    #[arg(long, env = "TIDEGATE_DATA", default_value = ".tidegate", value_name = "FOLDER")]
    data: PathBuf,
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
        let served = served(&repository, &self.data)?;
        let mut listed = Vec::new();
        for version in repository.versions(&from, self.limit)? {
            let check = match repository.tree(&version.commit) {
                Ok(tree) => Check::of(&publish::check(tree, version.commit.short(), &environment, &library).0),
                Err(GitError::NoRules { .. } | GitError::TooLarge { .. }) => Check::no_container(),
                Err(error) => return Err(error.into()),
            };
            let hits = served.get(version.commit.name()).copied();
            listed.push(Listed { version, check, hits });
        }
        let mut out = io::stdout().lock();
        match context.format {
            Format::Json => as_json(&mut out, &listed)?,
            Format::Text | Format::Github => as_text(&mut out, &repository, &listed)?,
        }
        Ok(Exit::Fine)
    }
}

/// A version and what is known of it.
struct Listed {
    version: Version,
    check: Check,
    /// How many hits it decided, if a server here counted them.
    hits: Option<u64>,
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

/// How many hits each version decided, by its commit. A commit that touches neither `rules/` nor `tags/` is the version
/// before it.
fn served(repository: &Repository, data: &Path) -> anyhow::Result<BTreeMap<String, u64>> {
    const MOST: usize = 200;
    let mut hits = BTreeMap::new();
    if !data.is_dir() {
        return Ok(hits);
    }
    for Served { version, hits: more, .. } in history::versions_served(data)?.into_iter().take(MOST) {
        let Some(commit) = repository.commit(&version)? else { continue };
        if let Some(version) = repository.versions(&commit, 1)?.pop() {
            *hits.entry(version.commit.name().to_owned()).or_default() += more;
        }
    }
    Ok(hits)
}

fn as_text(out: &mut impl Write, repository: &Repository, listed: &[Listed]) -> anyhow::Result<()> {
    if listed.is_empty() {
        let root = repository.root().display();
        line(out, format_args!("no version yet: no commit in {root} touches rules/ or tags/"))?;
        return Ok(());
    }
    let is_counted = listed.iter().any(|one| one.hits.is_some());
    let rows = listed.iter().map(|Listed { version, check, hits }| {
        let hits = is_counted.then(|| counted(*hits));
        let cells = [
            version.commit.to_string(),
            minute(version.seconds),
            shortened(&version.author, MAX_AUTHOR),
            check.words.clone(),
        ];
        cells.into_iter().chain(hits).collect::<Vec<_>>()
    });
    let rows: Vec<_> = rows.collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max();
    for (row, Listed { version, .. }) in rows.iter().zip(listed) {
        for (column, cell) in row.iter().enumerate() {
            let missing = width(column).unwrap_or_default().saturating_sub(cell.width());
            write!(out, "{cell}{}  ", " ".repeat(missing))?;
        }
        writeln!(out, "{}", shortened(&version.subject, MAX_SUBJECT))?;
    }
    Ok(())
}

fn counted(hits: Option<u64>) -> String {
    match hits.unwrap_or_default() {
        1 => "1 hit".to_owned(),
        hits => format!("{hits} hits"),
    }
}

/// `2026-11-25 14:03Z`
fn minute(seconds: i64) -> String {
    let text = Timestamp(seconds.saturating_mul(1000)).to_string();
    let minute = text.get(..16).map(|minute| minute.replace('T', " "));
    minute.map_or(text, |minute| format!("{minute}Z"))
}

fn as_json(out: &mut impl Write, listed: &[Listed]) -> anyhow::Result<()> {
    let versions: Vec<_> = listed
        .iter()
        .map(|Listed { version, check, hits }| {
            json!({
                "commit": version.commit.name(),
                "author": { "name": version.author, "email": version.email },
                "published": Timestamp(version.seconds.saturating_mul(1000)).to_string(),
                "subject": version.subject,
                "body": version.body,
                "check": { "errors": check.errors, "warnings": check.warnings },
                "hits": hits,
            })
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &json!({ "versions": versions }))?;
    writeln!(out)?;
    Ok(())
}
