//! The last good commit, remembered in the data folder, so that a server starts although HEAD is broken, and kept from git's
//! clean-up, so that it is still there then.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{
    digest::hex,
    git::{Commit, GitError, Repository},
};

/// The file in the data folder that holds the full name of a commit.
#[derive(Debug)]
pub struct Memory(PathBuf);

impl Memory {
    pub fn new(data: &Path) -> Self {
        Self(data.join("live"))
    }

    /// `None` where nothing was remembered, or nothing that makes sense.
    pub fn recall(&self) -> Option<Commit> {
        Commit::new(fs::read_to_string(&self.0).ok()?.trim_end())
    }

    /// # Errors
    /// The file cannot be written; what it held before is still there.
    pub fn remember(&self, commit: &Commit) -> io::Result<()> {
        let new = self.0.with_extension("new");
        fs::write(&new, format!("{}\n", commit.name()))?;
        fs::rename(&new, &self.0)
    }

    /// Several servers may be on one repository, each with a data folder and a last good commit of its own.
    ///
    /// # Errors
    /// The repository cannot be written to.
    pub fn pin(&self, repository: &Repository, commit: &Commit) -> Result<(), GitError> {
        let folder = self.0.parent().and_then(|data| data.canonicalize().ok()).unwrap_or_default();
        let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
        repository.pin(&hex(digest.get(..6).unwrap_or_default()), commit)
    }

    /// The file, for those who are told of it.
    pub fn place(&self) -> &Path {
        &self.0
    }
}
