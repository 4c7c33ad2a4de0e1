//! `tidegate versions`: what was published, by whom and when, and whether it could go live.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, value_parser};
use serde_json::json;
use unicode_width::UnicodeWidthStr as _;

use super::{Context, Exit, Format, line, publish::repository};
use crate::{
    container::{diagnostic::Diagnostics, folder},
    control::{self, LiveReport},
    environment::readable_environment,
    git::{Commit, GitError, Kind, Repository, Version},
    history::{self, Served},
    one_line::shortened,
    publish,
    time::Timestamp,
};

/// How many columns of a terminal these take; JSON has all of them.
const MAX_AUTHOR: usize = 24;
const MAX_SUBJECT: usize = 72;

/// List the versions of the container: commits that changed rules/ or tags/, newest first
#[derive(Args, Debug)]
pub struct Versions {
    /// Where to begin [default: HEAD]
    #[arg(value_name = "COMMIT")]
    from: Option<String>,
    /// How many
    #[arg(long, value_name = "NUMBER", default_value = "20", value_parser = value_parser!(u32).range(1..))]
    limit: u32,
    /// Folder with a server's state: what is live there is marked, and how many hits each version decided is told
    #[arg(long, env = "TIDEGATE_DATA", default_value = ".tidegate", value_name = "FOLDER")]
    data: PathBuf,
    /// Further environment variables that the container may read
    #[arg(long, env = "TIDEGATE_ALLOW_ENV", value_name = "NAME", value_delimiter = ',')]
    allow_env: Vec<String>,
}

impl Versions {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<Exit> {
        let repository = repository(context)?;
        let head = repository.commit("HEAD")?;
        let from = self.from.as_deref().map(|from| repository.named(from)).transpose()?.or_else(|| head.clone());
        let ends = repository.ends()?;
        let standing = Standing {
            head: head.as_ref().map(|head| repository.version(head)).transpose()?.flatten(),
            live: Live::ask(&repository, &self.data)?,
        };
        let listed = from.as_ref().map(|from| self.listed(&repository, from)).transpose()?.unwrap_or_default();
        let mut out = io::stdout().lock();
        if context.format == Format::Json {
            as_json(&mut out, &standing, &listed, !ends.is_empty())?;
            return Ok(Exit::Fine);
        }
        if listed.is_empty() {
            none(&mut out, &repository, from.as_ref())?;
        }
        as_text(&mut out, &standing, &listed)?;
        if let Live::Served { version, of, falls_short } = &standing.live {
            if !listed.iter().any(|one| Some(&one.version.commit) == of.as_ref()) {
                line(&mut out, format_args!("live is {version}, which is none of these"))?;
            }
            for words in falls_short {
                line(&mut out, format_args!("not live as it should be, {words}"))?;
            }
        }
        let is_whole = listed.len() < usize::try_from(self.limit).unwrap_or(usize::MAX);
        if is_whole && !ends.is_empty() {
            let advice = "git fetch --unshallow gets them, and what the last one here changed";
            line(&mut out, format_args!("older versions are not here, as the clone is shallow; {advice}"))?;
        }
        Ok(Exit::Fine)
    }

    fn listed(&self, repository: &Repository, from: &Commit) -> anyhow::Result<Vec<Listed>> {
        let environment = readable_environment(&self.allow_env);
        let library = folder::library();
        let served = served(repository, &self.data)?;
        let mut listed = Vec::new();
        for version in repository.versions(from, usize::try_from(self.limit)?)? {
            let check = match repository.tree(&version.commit) {
                Ok(tree) => Check::of(&publish::check(tree, version.commit.short(), &environment, &library).0),
                Err(GitError::NoRules { .. } | GitError::TooLarge { .. }) => Check::no_container(),
                Err(error) => return Err(error.into()),
            };
            let hits = served.get(version.commit.name()).copied();
            listed.push(Listed { version, check, hits });
        }
        Ok(listed)
    }
}

/// Says why there is nothing to list, and what to do.
fn none(out: &mut impl Write, repository: &Repository, from: Option<&Commit>) -> anyhow::Result<()> {
    let why = match (from, repository.current_branch()?) {
        (Some(from), _) => format!("nothing that {from} descends from has rules/ or tags/"),
        (None, Some(branch)) => format!("the branch {branch} has no commit"),
        (None, None) => "HEAD names no commit".to_owned(),
    };
    let way = match repository.kind() {
        Kind::WorkingTree => "tidegate publish -m \"First version\" makes one of them",
        Kind::Bare => "publish one in a clone, and push it here",
    };
    line(out, format_args!("no version yet: {why}; {way}"))?;
    Ok(())
}

/// What is where, among the versions.
struct Standing {
    /// The version that HEAD has.
    head: Option<Commit>,
    live: Live,
}

/// What the server of the data folder decides hits by.
enum Live {
    NoServer,
    Served {
        /// Its own name for it.
        version: String,
        /// The version here that this is.
        of: Option<Commit>,
        falls_short: Vec<String>,
    },
}

impl Live {
    fn ask(repository: &Repository, data: &Path) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let Some(report) = runtime.block_on(control::Client::live(data))? else { return Ok(Self::NoServer) };
        let LiveReport { version, falls_short } = report;
        let commit = repository.commit(&version)?;
        let of = commit.map(|commit| repository.version(&commit)).transpose()?.flatten();
        Ok(Self::Served { version, of, falls_short })
    }

    fn is(&self, commit: &Commit) -> bool {
        matches!(self, Self::Served { of: Some(live), .. } if live == commit)
    }
}

impl Standing {
    /// Without a server, HEAD is what one would serve.
    fn mark(&self, commit: &Commit) -> &'static str {
        match (self.live.is(commit), self.head.as_ref() == Some(commit)) {
            (true, _) => "live",
            (false, true) => "HEAD",
            (false, false) => "",
        }
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
        // Notes ask nobody to do anything.
        let is_fine = !diagnostics.has_errors() && diagnostics.warnings() == 0;
        let words = if is_fine { "fine".to_owned() } else { diagnostics.summary() };
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
        if let Some(version) = repository.version(&commit)? {
            *hits.entry(version.name().to_owned()).or_default() += more;
        }
    }
    Ok(hits)
}

fn as_text(out: &mut impl Write, standing: &Standing, listed: &[Listed]) -> anyhow::Result<()> {
    let is_counted = listed.iter().any(|one| one.hits.is_some());
    let is_marked = listed.iter().any(|one| !standing.mark(&one.version.commit).is_empty());
    let row = |Listed { version, check, hits }: &Listed| {
        let Version { commit, author, seconds, .. } = version;
        let mark = is_marked.then(|| standing.mark(commit).to_owned());
        let hits = is_counted.then(|| counted(*hits));
        let rest = [minute(*seconds), shortened(author, MAX_AUTHOR), check.words.clone()];
        [commit.to_string()].into_iter().chain(mark).chain(rest).chain(hits).collect::<Vec<_>>()
    };
    let rows: Vec<_> = listed.iter().map(row).collect();
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

fn as_json(out: &mut impl Write, standing: &Standing, listed: &[Listed], is_shallow: bool) -> anyhow::Result<()> {
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
                "head": standing.head.as_ref() == Some(&version.commit),
                "live": standing.live.is(&version.commit),
                "hits": hits,
            })
        })
        .collect();
    let live = match &standing.live {
        Live::NoServer => None,
        Live::Served { version, falls_short, .. } => Some(json!({ "version": version, "falls_short": falls_short })),
    };
    let all = json!({ "versions": versions, "live": live, "shallow": is_shallow });
    serde_json::to_writer_pretty(&mut *out, &all)?;
    writeln!(out)?;
    Ok(())
}
