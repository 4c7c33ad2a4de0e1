//! From a draft to a version: takes the container's repository and what is wished for; looks at exactly the tree that is
//! to be committed (its check, its test cases, what changes in words), and commits it if nothing is wrong with it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    case::{self, Bench, CaseResult, Setting},
    container::{
        diagnostic::{Diagnostics, Severity, Sources},
        diff::{self, Change},
        folder,
        load::{self, LoadOptions, Loaded},
    },
    git::{Changed, Commit, GitError, Hindered, Obstacle, Place, Reach, Repository, Staging, Tree, Turn, Upstream},
    history,
    kept::impact::Impact,
};

/// What somebody wants to become the next version.
#[derive(Clone, Debug)]
pub struct Wish {
    pub of: Source,
    /// What changes and why; not needed for a look, nor for rolling back.
    pub message: Option<String>,
    pub mode: Mode,
    pub reach: Reach,
    /// The folder in which a server keeps hits, to hold the change against.
    pub data: PathBuf,
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
    /// What the change would have meant for the hits that a server keeps.
    pub impact: Known,
    /// Files of the draft that git is told to ignore, although a container would read them.
    pub ignored: Vec<String>,
    pub outcome: Outcome,
    /// `None` where none was asked for, or nothing is to be pushed.
    pub push: Option<Push>,
}

/// What is known of a change's impact.
#[derive(Debug)]
pub enum Known {
    Impact(Box<Impact>),
    /// Nobody keeps hits here, or there is no change.
    Nothing,
    /// Why it is not told: what is kept cannot be read, or the newest version is broken.
    Untold(String),
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
    Published(Commit),
}

/// What goes to the branch elsewhere, and whether it got there. A version that was published here stays published.
#[derive(Debug)]
pub struct Push {
    pub to: Upstream,
    pub end: PushEnd,
}

#[derive(Debug)]
pub enum PushEnd {
    Would,
    Done(Commit),
    Failed(Hindered),
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

/// Publishes, or says why not. `before_push` is told of earlier commits that are going to be pushed too.
///
/// # Errors
/// Something stands in the way that has nothing to do with what is in the container, or git fails.
pub fn publish(
    repository: &Repository,
    wish: &Wish,
    environment: &BTreeMap<String, String>,
    before_push: impl FnOnce(&Upstream),
) -> Result<Report, Hindered> {
    let turn = Turn::take(repository)?;
    let mut ready = repository.ready(wish.reach)?;
    let upstream = ready.upstream.take().filter(|_| wish.reach == Reach::Upstream);
    let staging = Staging::begin(repository, &ready, &turn)?;
    let (tree, place) = match &wish.of {
        Source::Draft => (staging.take_draft()?, Place::There),
        Source::Commit(revision) => (staging.take_commit(&repository.named(revision)?)?, Place::Elsewhere),
    };
    let before = match &ready.parent {
        Some(parent) => container_of(repository, parent)?.files,
        None => Sources::new(),
    };
    let head = ready.parent.clone();
    let look =
        Look { repository, staging: &staging, branch: &ready.branch, before, head, environment, data: &wish.data };
    let mut report = look.at(&tree)?;
    if report.examined.fault().is_some() {
        return Ok(report);
    }
    let newest = if report.files.is_empty() {
        // A push that was refused before is made up for.
        ready.parent.filter(|_| upstream.as_ref().is_some_and(|upstream| !upstream.unpushed.is_empty()))
    } else if wish.mode == Mode::Look {
        report.outcome = Outcome::WouldPublish;
        None
    } else {
        let message = message(repository, wish)?;
        repository.before_commit(&staging)?;
        let hooked = staging.write()?;
        if hooked != tree {
            report = look.at(&hooked)?;
            if report.examined.fault().is_some() {
                return Ok(report);
            }
        }
        let commit = repository.make_commit((&turn, &staging), &ready, &hooked, &message, place)?;
        report.outcome = Outcome::Published(commit.clone());
        Some(commit)
    };
    report.push = match (upstream, newest, &report.outcome) {
        (Some(to), Some(_), _) | (Some(to), _, Outcome::WouldPublish) if wish.mode == Mode::Look => {
            Some(Push { to, end: PushEnd::Would })
        }
        (Some(to), Some(newest), _) => {
            before_push(&to);
            let end = repository.push(&newest, &to).map_or_else(PushEnd::Failed, |()| PushEnd::Done(newest));
            Some(Push { to, end })
        }
        _ => None,
    };
    Ok(report)
}

/// What trees are looked at with, on their way to be a version.
struct Look<'a> {
    repository: &'a Repository,
    staging: &'a Staging<'a>,
    branch: &'a str,
    /// The files of the newest version.
    before: Sources,
    /// The newest version; `None` before the first.
    head: Option<Commit>,
    environment: &'a BTreeMap<String, String>,
    data: &'a Path,
}

impl Look<'_> {
    /// What a tree is, and how it differs from the newest version.
    fn at(&self, tree: &Commit) -> Result<Report, Hindered> {
        let files = self.repository.tree(tree)?;
        let changes = diff::compare(&self.before, &files.files, &folder::library());
        let after = files.files.clone();
        let examined = Examined { changes, ..examine(files, &tree.to_string(), self.environment) };
        let fault = examined.fault();
        let impact = if fault.is_none() { self.impact(&examined, &after) } else { Known::Nothing };
        let ignored = self.repository.ignored()?.into_iter().map(|file| file.path).collect();
        Ok(Report {
            examined,
            branch: self.branch.to_owned(),
            files: self.staging.changed(tree)?,
            impact,
            ignored,
            outcome: fault.unwrap_or(Outcome::Nothing),
            push: None,
        })
    }

    fn impact(&self, examined: &Examined, after: &Sources) -> Known {
        if examined.changes.is_empty() || !self.data.is_dir() {
            return Known::Nothing;
        }
        let library = folder::library();
        let load = |files: &Sources| compile(files, "", self.environment, &library);
        let old = load(&self.before);
        let old = match (old.container, &self.head) {
            (Some(container), _) => container,
            (None, Some(head)) => {
                let reason = old.diagnostics.reason();
                return Known::Untold(format!("not told, as what is committed (HEAD, {head}) is broken: {reason}"));
            }
            (None, None) => return Known::Nothing,
        };
        let Some(new) = load(after).container else { return Known::Nothing };
        match history::impact(self.data, &old, &new) {
            Ok(impact) if impact.events == 0 => Known::Nothing,
            Ok(impact) => Known::Impact(Box::new(impact)),
            Err(error) => Known::Untold(format!("{error:#}")),
        }
    }
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
    let loaded = compile(&tree.files, version, environment, library);
    let mut diagnostics = loaded.diagnostics;
    diagnostics.extend(tree.findings);
    for (path, bytes) in tree.files.iter().filter(|(path, _)| load::is_test_file(path)) {
        case::check_file(path, bytes, &mut diagnostics);
    }
    (diagnostics, loaded.sources)
}

fn compile(files: &Sources, version: &str, environment: &BTreeMap<String, String>, library: &Sources) -> Loaded {
    let options =
        LoadOptions { version, environment, absent_environment: Severity::Warning, library, inline: None, seats: 1 };
    load::load(files, options)
}

fn message(repository: &Repository, wish: &Wish) -> Result<String, Hindered> {
    let given = wish.message.as_deref().map(str::trim).filter(|message| !message.is_empty());
    match (given, &wish.of) {
        (Some(message), _) => Ok(message.to_owned()),
        (None, Source::Draft) => Err(Obstacle::NoMessage.into()),
        (None, Source::Commit(revision)) => {
            let old = repository.named(revision)?;
            let subject = repository.subject(&old)?;
            Ok(format!("Roll back to \"{subject}\"\n\nrules/ and tags/ are as they were in {}.", old.name()))
        }
    }
}
