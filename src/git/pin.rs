//! Keeps a commit from git's clean-up: takes it and whose it is, and lets a ref of ours name it.
//!
//! A commit that history was rewritten without is deleted some day, unless something names it. The ref is no branch and no
//! tag: nothing lists it among them, and nothing pushes it but a push of all there is (`--mirror`).

use super::{Commit, GitError, NO_HOOKS, Repository};

const PINNED: &str = "refs/tidegate/last-good";

impl Repository {
    /// Keeps the commit, in place of the one that was kept for the same owner before.
    ///
    /// # Errors
    /// The repository cannot be written to.
    pub fn pin(&self, owner: &str, commit: &Commit) -> Result<(), GitError> {
        let name = format!("{PINNED}/{owner}");
        if self.commit(&name)?.as_ref() == Some(commit) {
            return Ok(());
        }
        self.writer_with(&NO_HOOKS, "update-ref").args(["--no-deref", &name, commit.name()]).run()?.bytes().map(drop)
    }
}
