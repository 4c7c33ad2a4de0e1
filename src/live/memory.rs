//! The last good commit, remembered in the data folder, so that a server starts although HEAD is broken.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::git::Commit;

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
}
