//! From a draft to a version: takes the container's repository and what is wished for; looks at exactly the tree that is
//! to be committed (its check, its test cases, what changes in words), and commits it if nothing is wrong with it.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    case::{self, Bench, CaseResult, Setting},
    container::{
        diagnostic::{Diagnostics, Severity, Sources},
        diff::{self, Change},
        folder,
        load::{self, LoadOptions},
    },
    git::{Changed, Commit, GitError, Hindered, Obstacle, Place, Reach, Ready, Repository, Staging, Tree},
};

/// What somebody wants to become the next version.
#[derive(Clone, Debug)]
pub struct Wish {
    pub of: Source,
    /// What changes and why; not needed for a look, nor for rolling back.
    pub message: Option<String>,
    pub mode: Mode,
    pub reach: Reach,
}

#[derive(Clone, Debug)]
pub enum Source {
    /// `rules/` and `tags/` as they lie in the working tree.
    Draft,
    /// As they were in an old commit.
    Commit(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only say what would happen.
    Look,
    Publish,
}

/// What was found, and what came of it.
#[derive(Debug)]
pub struct Report {
    pub examined: Examined,
    pub branch: String,
    /// The container's files that are committed.
    pub files: Vec<Changed>,
    /// Files of the draft that git is told to ignore, although a container would read them.
    pub ignored: Vec<String>,
    pub outcome: Outcome,
}

#[derive(Debug)]
pub enum Outcome {
    /// The draft is what HEAD has.
    Nothing,
    /// It has errors.
    Broken,
    /// Test cases fail.
    Failing,
    WouldPublish,
    Published(Published),
    /// There was nothing new, but what had been published before has been pushed now.
    Pushed(Commit),
}

#[derive(Debug)]
pub struct Published {
    pub commit: Commit,
    pub push: Push,
    /// Why the working tree did not come along.
    pub left_behind: Option<String>,
}

#[derive(Debug)]
pub enum Push {
    NotAsked,
    Done,
    Failed(GitError),
}

/// A version, looked at.
#[derive(Debug, Default)]
pub struct Examined {
    pub diagnostics: Diagnostics,
    pub sources: Sources,
    pub cases: Vec<(Arc<str>, CaseResult)>,
    pub changes: Vec<Change>,
}

impl Examined {
    pub fn failed(&self) -> impl Iterator<Item = &(Arc<str>, CaseResult)> {
        self.cases.iter().filter(|(_, case)| !case.differences.is_empty())
    }

    /// What keeps it from being published.
    fn fault(&self) -> Option<Outcome> {
        if self.diagnostics.has_errors() {
            Some(Outcome::Broken)
        } else {
            self.failed().next().map(|_| Outcome::Failing)
        }
    }
}

/// Publishes, or says why not.
///
/// # Errors
/// Something stands in the way that has nothing to do with what is in the container, or git fails.
pub fn publish(
    repository: &Repository,
    wish: &Wish,
    environment: &BTreeMap<String, String>,
) -> Result<Report, Hindered> {
    let ready = repository.ready(wish.reach)?;
    let staging = Staging::begin(repository, &ready)?;
    let (tree, place) = match &wish.of {
        Source::Draft => (staging.take_draft()?, Place::There),
        Source::Commit(revision) => {
            let old = repository.commit(revision)?;
            let old = old.ok_or_else(|| Obstacle::NoSuchCommit { revision: revision.clone() })?;
            (staging.take_commit(&old)?, Place::Elsewhere)
        }
    };
    let before = match &ready.parent {
        Some(parent) => container_of(repository, parent)?.files,
        None => Sources::new(),
    };
    let mut report = look(repository, &staging, &tree, &before, environment)?;
    report.branch.clone_from(&ready.branch);
    if let Some(fault) = report.examined.fault() {
        report.outcome = fault;
        return Ok(report);
    }
    if report.files.is_empty() {
        report.outcome = push_what_waits(repository, wish, &ready)?;
        return Ok(report);
    }
    if wish.mode == Mode::Look {
        report.outcome = Outcome::WouldPublish;
        return Ok(report);
    }
    let message = message(repository, wish)?;
    repository.before_commit(&staging)?;
    let hooked = staging.write()?;
    if hooked != tree {
        report = Report { branch: report.branch, ..look(repository, &staging, &hooked, &before, environment)? };
        if let Some(fault) = report.examined.fault() {
            report.outcome = fault;
            return Ok(report);
        }
    }
    let made = repository.make_commit(&staging, &ready, &hooked, &message, place)?;
    let push = match (wish.reach, &ready.upstream) {
        (Reach::Upstream, Some(upstream)) => {
            repository.push(&made.commit, upstream).map_or_else(Push::Failed, |()| Push::Done)
        }
        _ => Push::NotAsked,
    };
    report.outcome = Outcome::Published(Published { commit: made.commit, push, left_behind: made.left_behind });
    Ok(report)
}

/// What a version is, and how it differs from the one before.
///
/// # Errors
/// Git fails.
fn look(
    repository: &Repository,
    staging: &Staging<'_>,
    tree: &Commit,
    before: &Sources,
    environment: &BTreeMap<String, String>,
) -> Result<Report, Hindered> {
    let files = repository.tree(tree)?;
    let changes = diff::compare(before, &files.files, &folder::library());
    let examined = Examined { changes, ..examine(files, &tree.to_string(), environment) };
    let mut ignored = staging.ignored()?;
    ignored.retain(|path| folder::is_read(path));
    let changed = staging.changed(tree)?;
    Ok(Report { examined, branch: String::new(), files: changed, ignored, outcome: Outcome::Nothing })
}

/// The files of a commit; none where it holds no container.
///
/// # Errors
/// Git fails.
pub fn container_of(repository: &Repository, commit: &Commit) -> Result<Tree, GitError> {
    match repository.tree(commit) {
        Err(GitError::NoRules { .. }) => Ok(Tree::default()),
        other => other,
    }
}

/// Checks a version and runs its test cases.
fn examine(tree: Tree, version: &str, environment: &BTreeMap<String, String>) -> Examined {
    let library = folder::library();
    let files = tree.files.clone();
    let (mut diagnostics, sources) = check(tree, version, environment, &library);
    let mut cases = Vec::new();
    if !diagnostics.has_errors() {
        let mut bench = Bench::new(Setting { files: &files, library: &library }, "");
        for (path, bytes) in files.iter().filter(|(path, _)| load::is_test_file(path)) {
            let results = bench.run_file(path, bytes, &mut diagnostics);
            cases.extend(results.into_iter().map(|result| (Arc::clone(path), result)));
        }
    }
    Examined { diagnostics, sources, cases, changes: Vec::new() }
}

/// Everything that is wrong with a version, as `tidegate check` says it.
pub fn check(
    tree: Tree,
    version: &str,
    environment: &BTreeMap<String, String>,
    library: &Sources,
) -> (Diagnostics, Sources) {
    let options =
        LoadOptions { version, environment, absent_environment: Severity::Warning, library, inline: None, seats: 1 };
    let loaded = load::load(&tree.files, options);
    let mut diagnostics = loaded.diagnostics;
    diagnostics.extend(tree.findings);
    for (path, bytes) in tree.files.iter().filter(|(path, _)| load::is_test_file(path)) {
        case::check_file(path, bytes, &mut diagnostics);
    }
    (diagnostics, loaded.sources)
}

/// A push that was refused before is made up for, now that there is nothing new.
fn push_what_waits(repository: &Repository, wish: &Wish, ready: &Ready) -> Result<Outcome, Hindered> {
    match (wish.mode, wish.reach, &ready.upstream, &ready.parent) {
        (Mode::Publish, Reach::Upstream, Some(upstream), Some(parent)) if upstream.ahead > 0 => {
            repository.push(parent, upstream)?;
            Ok(Outcome::Pushed(parent.clone()))
        }
        _ => Ok(Outcome::Nothing),
    }
}

fn message(repository: &Repository, wish: &Wish) -> Result<String, Hindered> {
    let given = wish.message.as_deref().map(str::trim).filter(|message| !message.is_empty());
    match (given, &wish.of) {
        (Some(message), _) => Ok(message.to_owned()),
        (None, Source::Draft) => Err(Obstacle::NoMessage.into()),
        (None, Source::Commit(revision)) => {
            let old = repository.commit(revision)?;
            let old = old.ok_or_else(|| Obstacle::NoSuchCommit { revision: revision.clone() })?;
            let subject = repository.subject(&old)?;
            Ok(format!("Roll back to \"{subject}\"\n\nrules/ and tags/ are as they were in {}.", old.name()))
        }
    }
}
