//! Makes a commit of a tree that was looked at before: takes the tree, its parent and a message; gives the commit. Hooks
//! and signing are those that the user has set up. The branch moves only if it still is where it was.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process, thread,
    time::Duration,
};

use super::{Commit, GitError, Hindered, Obstacle, Ready, Repository, Staging};

/// How often git's index is looked for while another program holds it.
const LOOKS_FOR_THE_INDEX: u32 = 25;
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// Where the files of a new version lie in the working tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// They are the draft.
    There,
    /// They must be written.
    Elsewhere,
}

/// A commit that was made.
#[derive(Debug)]
pub struct Made {
    pub commit: Commit,
    /// Why the working tree or git's index did not come along; the version is published all the same.
    pub left_behind: Option<String>,
}

impl Repository {
    /// Lets the pre-commit hook look at the index. It may change what is in there, as those that format files do.
    ///
    /// # Errors
    /// The hook refuses, or git fails.
    pub fn before_commit(&self, staging: &Staging<'_>) -> Result<(), Hindered> {
        self.hook("pre-commit", Some(staging), &[])
    }

    /// Makes the commit, and moves the branch to it.
    ///
    /// # Errors
    /// A hook refuses, somebody else moved the branch, the working tree cannot follow, or git fails.
    pub fn make_commit(
        &self,
        staging: &Staging<'_>,
        ready: &Ready,
        tree: &Commit,
        message: &str,
        files: Place,
    ) -> Result<Made, Hindered> {
        let parent = ready.parent.as_ref();
        if let (Place::Elsewhere, Some(parent)) = (files, parent) {
            self.write_files(parent, tree, &["--dry-run"])?;
        }
        let draft = Message { path: self.own_path(&format!("tidegate-{}.message", process::id()))? };
        draft.write(message)?;
        let path = draft.path.to_string_lossy().into_owned();
        self.hook("prepare-commit-msg", Some(staging), &[&path, "message"])?;
        self.hook("commit-msg", Some(staging), &[&path])?;
        let text = self.reader("stripspace").input(draft.read()?).run()?.bytes()?;
        if text.is_empty() {
            return Err(Obstacle::NoMessage.into());
        }
        let commit = self.write_commit(tree, parent, text)?;
        self.move_branch(ready, &commit, message)?;
        let came_along = match (files, parent) {
            (Place::Elsewhere, Some(parent)) => self.write_files(parent, &commit, &[]),
            // Git's own index learns what was committed; whatever was edited since is the next draft.
            _ => self.forget_staged().map_err(Hindered::from),
        };
        // Too late to refuse anything.
        let _ = self.hook("post-commit", None, &[]);
        Ok(Made { commit, left_behind: came_along.err().map(|hindered| hindered.to_string()) })
    }

    /// Another program may have git's index in its hands, for a moment as a rule.
    #[expect(clippy::disallowed_methods, reason = "the program that holds it tells nobody of its end")]
    fn forget_staged(&self) -> Result<(), GitError> {
        let parts = self.parts();
        for _ in 0..LOOKS_FOR_THE_INDEX {
            match self.writer("reset").args(["--quiet", "--"]).args(&parts).run()?.bytes() {
                Err(GitError::Failed { words, .. }) if words.contains("index.lock") => thread::sleep(BETWEEN_LOOKS),
                ended => return ended.map(drop),
            }
        }
        let words = format!(
            "another program holds git's index, which still has the version before; once that program has ended, run git \
             reset -q -- {}, or the next commit by hand would undo this version",
            parts.join(" ")
        );
        Err(GitError::Failed { what: "reset", words })
    }

    /// Brings the working tree and git's index from one commit to another. Loses nothing: git refuses instead.
    fn write_files(&self, from: &Commit, to: &Commit, options: &[&str]) -> Result<(), Hindered> {
        let read = self.writer("read-tree").args(["-m", "-u"]).args(options).args([from.name(), to.name()]);
        match read.run()?.bytes() {
            Ok(_) => Ok(()),
            Err(GitError::Failed { words, .. }) => Err(Obstacle::InTheWay { words }.into()),
            Err(error) => Err(error.into()),
        }
    }

    fn write_commit(&self, tree: &Commit, parent: Option<&Commit>, message: Vec<u8>) -> Result<Commit, GitError> {
        let parent = parent.map(|parent| ["-p", parent.name()]);
        let signed = self.reader("config").args(["--type=bool", "--get", "commit.gpgSign"]).run()?;
        let sign = (signed.output.starts_with(b"true")).then_some("-S");
        let command = self.of_user("commit-tree").args(parent.into_iter().flatten()).args(sign);
        let name = command.args(["-F", "-", tree.name()]).input(message).run()?.text()?;
        Commit::new(name.trim_end()).ok_or_else(|| GitError::unreadable("commit-tree"))
    }

    fn move_branch(&self, ready: &Ready, to: &Commit, message: &str) -> Result<(), Hindered> {
        let name = format!("refs/heads/{}", ready.branch);
        let reason = format!("tidegate publish: {}", message.lines().next().unwrap_or_default());
        let nothing = "0".repeat(to.name().len());
        let from = ready.parent.as_ref().map_or(&*nothing, Commit::name);
        let command = self.of_user("update-ref").args(["--create-reflog", "-m", &reason, &name, to.name(), from]);
        match command.run()?.bytes() {
            Ok(_) => Ok(()),
            Err(GitError::Failed { .. }) if self.commit("HEAD")? != ready.parent => Err(Obstacle::Moved.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Runs a hook if there is one.
    fn hook(&self, name: &'static str, staging: Option<&Staging<'_>>, arguments: &[&str]) -> Result<(), Hindered> {
        let mut command = self.of_user("hook").args(["run", "--ignore-missing", name]);
        if let Some(staging) = staging {
            command = command.env("GIT_INDEX_FILE", staging.index());
        }
        if !arguments.is_empty() {
            command = command.args(["--"]).args(arguments);
        }
        let answer = command.run()?;
        if answer.code == Some(0) { Ok(()) } else { Err(Obstacle::Hook { name, words: answer.errors }.into()) }
    }
}

/// The message in a file, where hooks find it; gone when dropped.
struct Message {
    path: PathBuf,
}

impl Message {
    fn write(&self, text: &str) -> Result<(), GitError> {
        // Hooks add lines at its end.
        fs::write(&self.path, format!("{text}\n")).map_err(failed)
    }

    fn read(&self) -> Result<Vec<u8>, GitError> {
        fs::read(&self.path).map_err(failed)
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn remove(path: &Path) {
    // If it cannot be removed, the next version overwrites it.
    let _ = fs::remove_file(path);
}

fn failed(error: io::Error) -> GitError {
    GitError::Io { what: "commit-tree", error }
}
