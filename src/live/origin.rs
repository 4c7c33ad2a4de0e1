//! Where the container's files come from: takes a folder, gives what is in it now, and the files of that version.

use std::path::{Path, PathBuf};

use crate::{
    container::{
        diagnostic::{Diagnostic, Sources},
        folder,
    },
    git::{Commit, GitError, Repository},
};

/// Where a container comes from.
#[derive(Debug)]
pub enum Origin {
    /// The program itself: the demo.
    Program,
    /// A folder, as it lies.
    Folder(PathBuf),
    /// A repository: HEAD, and nothing that is not committed.
    Commits(Repository),
}

/// What an origin holds at a moment. Cheap to find out, and different once something changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Program,
    Files(u64),
    Commit(Commit),
}

/// The files of a version.
#[derive(Debug)]
pub struct Version {
    pub name: String,
    pub files: Sources,
    /// What is wrong with them as files.
    pub findings: Vec<Diagnostic>,
}

impl Origin {
    /// The repository of the folder, if it lies in one.
    ///
    /// # Errors
    /// There is a repository, but git cannot read it.
    pub fn live(folder: &Path) -> anyhow::Result<Self> {
        // Of a folder that is not there, `read` says more than git does.
        let repository = if folder.is_dir() { Repository::find(folder).map_err(told)? } else { None };
        Ok(repository.map_or_else(|| Self::Folder(folder.to_owned()), Self::Commits))
    }

    pub(super) fn look(&self) -> anyhow::Result<Seen> {
        Ok(match self {
            Self::Program => Seen::Program,
            Self::Folder(folder) => Seen::Files(folder::fingerprint(folder)?),
            Self::Commits(repository) => Seen::Commit(repository.head().map_err(told)?),
        })
    }

    pub(super) fn read(&self, seen: &Seen) -> anyhow::Result<Version> {
        let files = match (self, seen) {
            (Self::Commits(repository), Seen::Commit(commit)) => return read_commit(repository, commit),
            (Self::Commits(repository), _) => return read_commit(repository, &repository.head().map_err(told)?),
            (Self::Folder(folder), _) => folder::read(folder)?,
            (Self::Program, _) => folder::demo(),
        };
        let findings = folder::oddities(&files, &[]);
        Ok(Version { name: folder::digest(&files), files, findings })
    }
}

pub(super) fn read_commit(repository: &Repository, commit: &Commit) -> anyhow::Result<Version> {
    let tree = repository.tree(commit).map_err(told)?;
    Ok(Version { name: commit.short().to_owned(), files: tree.files, findings: tree.findings })
}

/// A server has one way more than other commands.
fn told(error: GitError) -> anyhow::Error {
    let is_of_commits = error.is_of_commits();
    let error = anyhow::Error::from(error);
    if is_of_commits { anyhow::anyhow!("{error}; or serve the files as they lie with --draft") } else { error }
}
