//! The container in git: takes a folder, gives the repository that it lies in, the commits there, and the container's
//! files as a commit has them.
//!
//! Git is the program that users have set up, with their credentials, hooks and signing. This module is the only one that
//! knows how it is run; everybody else asks a [`Repository`]. Files are read out of the object database, never out of
//! the working tree: what is being edited there is nobody's version yet.

use std::{
    fmt,
    path::{Path, PathBuf},
};

mod command;
mod commit;
mod draft;
mod error;
mod obstacle;
mod pin;
mod ready;
mod remote;
mod staging;
mod tree;
mod turn;
mod underway;
mod upstream;
mod versions;

#[cfg(test)]
pub(crate) mod tests;

pub use command::{Answer, Command};
pub use commit::Place;
pub use draft::{Draft, Ignored};
pub use error::{GitError, redacted};
pub use obstacle::{Beside, Hindered, Obstacle, ToBegin};
pub use ready::{Reach, Ready};
pub use remote::{Advance, Remote};
pub use staging::{Changed, How, Staging};
pub use tree::Tree;
pub use turn::Turn;
pub use underway::Underway;
pub use upstream::{There, Unpushed, Upstream};
pub use versions::Version;

/// For what the server does by itself: a hook here was written for people.
const NO_HOOKS: [&str; 2] = ["-c", "core.hooksPath=/dev/null"];

/// The repository that a container's folder lies in, be it the folder itself or one above it.
#[derive(Clone, Debug)]
pub struct Repository {
    /// The top of the working tree; of a bare repository, its folder.
    root: PathBuf,
    /// The container's folder in the repository: empty, or a path that ends in `/`.
    prefix: String,
    kind: Kind,
    /// Where new objects go, if not into the repository.
    objects: Option<PathBuf>,
}

/// Whether files are checked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    WorkingTree,
    Bare,
}

/// A commit, by its full name.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Commit(Box<str>);

impl Repository {
    /// The repository of this folder; `None` where it lies in none.
    ///
    /// # Errors
    /// There is a repository, but git is not installed, refuses to read it, or fails.
    pub fn find(folder: &Path) -> Result<Option<Self>, GitError> {
        let asked = ["--is-bare-repository", "--is-inside-work-tree", "--absolute-git-dir", "--show-prefix"];
        let answer = match Command::reader(folder, "rev-parse").args(asked).run() {
            Ok(answer) => answer,
            // A plain folder needs no git.
            Err(GitError::NotInstalled) if repository_above(folder).is_none() => return Ok(None),
            Err(error) => return Err(error),
        };
        if answer.says_no_repository() {
            // What git cannot read is still a repository: its draft must not go live for a live version.
            return repository_above(folder).map_or(Ok(None), |place| Err(GitError::Damaged { place }));
        }
        let text = answer.text()?;
        let mut lines = text.splitn(4, '\n');
        let [Some(bare), Some(inside), Some(git_folder)] = [lines.next(), lines.next(), lines.next()] else {
            return Err(GitError::unreadable("rev-parse"));
        };
        if bare == "true" {
            return Ok(Some(Self { root: git_folder.into(), prefix: String::new(), kind: Kind::Bare, objects: None }));
        }
        if inside != "true" {
            return Ok(None);
        }
        let prefix = lines.next().map(|prefix| prefix.strip_suffix('\n').unwrap_or(prefix)).unwrap_or_default();
        let root = Command::reader(folder, "rev-parse").args(["--show-toplevel"]).run()?.text()?;
        let root = root.strip_suffix('\n').unwrap_or(&root).into();
        Ok(Some(Self { root, prefix: prefix.to_owned(), kind: Kind::WorkingTree, objects: None }))
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The container's folder in the repository: empty, or a path that ends in `/`.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The commit that HEAD names.
    ///
    /// # Errors
    /// [`GitError::NoCommit`] where it names none, as before the first commit or on a branch that was deleted.
    pub fn head(&self) -> Result<Commit, GitError> {
        self.commit("HEAD")?.ok_or_else(|| GitError::NoCommit { root: self.root.clone() })
    }

    /// The commit that a revision names, such as `main`, `HEAD~2` or a part of a commit's name.
    ///
    /// # Errors
    /// Git fails; that there is no such commit is `Ok(None)`.
    pub fn commit(&self, revision: &str) -> Result<Option<Commit>, GitError> {
        let commit = format!("{revision}^{{commit}}");
        let answer = self.reader("rev-parse").args(["--verify", "--quiet", "--end-of-options", &commit]).run()?;
        if answer.code == Some(1) || answer.says_unknown_revision() {
            return Ok(None);
        }
        // `^main` is a revision too, and no commit.
        Ok(Commit::new(answer.text()?.trim_end()))
    }

    /// The same of a revision that somebody wrote down for one commit.
    ///
    /// # Errors
    /// There is no such commit, or more than one; or git fails.
    pub fn named(&self, revision: &str) -> Result<Commit, GitError> {
        if let Some(commit) = self.commit(revision)? {
            return Ok(commit);
        }
        let commit = format!("{revision}^{{commit}}");
        let errors = self.reader("rev-parse").args(["--verify", "--end-of-options", &commit]).run()?.errors;
        if errors.contains("is ambiguous") {
            let candidates = errors.lines().filter_map(|line| line.strip_prefix("hint:   ")).map(str::to_owned);
            return Err(GitError::AmbiguousCommit { revision: revision.to_owned(), candidates: candidates.collect() });
        }
        Err(GitError::UnknownCommit { revision: revision.to_owned(), is_shallow: !self.ends()?.is_empty() })
    }

    /// The files of the container as a commit has them.
    ///
    /// # Errors
    /// The commit has no folder `rules/`, or cannot be read.
    pub fn tree(&self, commit: &Commit) -> Result<Tree, GitError> {
        tree::read(self, commit)
    }

    /// A command that changes nothing, and takes no lock that could be in somebody's way.
    pub fn reader(&self, command: &'static str) -> Command {
        self.aware_of_objects(Command::reader(&self.root, command))
    }

    /// A command that runs what the user has set up: hooks, signing, credentials.
    pub fn of_user(&self, command: &'static str, waiting: impl Into<String>) -> Command {
        Command::of_user(&self.root, command, waiting)
    }

    /// A file's place in git's own folder of this working tree.
    fn own_path(&self, name: &str) -> Result<PathBuf, GitError> {
        let path = self.reader("rev-parse").args(["--git-path", name]).run()?.text()?;
        Ok(self.root.join(path.strip_suffix('\n').unwrap_or(&path)))
    }

    /// The two folders that a version is made of, as paths of the repository.
    fn parts(&self) -> [String; 2] {
        ["rules", "tags"].map(|part| format!("{}{part}", self.prefix))
    }

    /// A path of the repository as one of the container.
    fn within<'p>(&self, path: &'p str) -> &'p str {
        path.strip_prefix(&*self.prefix).unwrap_or(path)
    }

    /// A command that may change the repository.
    pub fn writer(&self, command: &'static str) -> Command {
        self.writer_with(&[], command)
    }

    /// The same with options of git itself, which stand before the command.
    fn writer_with(&self, options: &[&str], command: &'static str) -> Command {
        self.aware_of_objects(Command::writer(&self.root, options, command))
    }

    fn aware_of_objects(&self, command: Command) -> Command {
        match &self.objects {
            Some(objects) => command.env("GIT_OBJECT_DIRECTORY", objects),
            None => command,
        }
    }
}

/// What looks like the repository of this folder.
fn repository_above(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    folder.ancestors().map(|folder| folder.join(".git")).find(|place| place.exists())
}

impl Commit {
    /// `None` unless it is the full name of a commit: 40 or 64 hexadecimal digits.
    pub fn new(name: &str) -> Option<Self> {
        let is_name =
            matches!(name.len(), 40 | 64) && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_name.then(|| Self(name.into()))
    }

    /// The full name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Its first twelve digits, by which git finds it too; what traces and stored calls name.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Commit({})", self.0)
    }
}
