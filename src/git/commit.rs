//! Makes a commit of a tree that was looked at before: takes the tree, its parent and a message; gives the commit. Hooks
//! and signing are those that the user has set up. Git's index and the working tree come along first, and the branch moves
//! last, only if it still is where it was: whatever fails or is killed on the way leaves a draft, and no version half made.

use std::{fs, io, path::PathBuf};

use super::{Commit, GitError, Hindered, Obstacle, Ready, Repository, Staging, Turn, error, turn::patiently};

/// Where the files of a new version lie in the working tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// They are the draft.
    There,
    /// They must be written.
    Elsewhere,
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
        (turn, staging): (&Turn, &Staging<'_>),
        ready: &Ready,
        tree: &Commit,
        message: &str,
        files: Place,
    ) -> Result<Commit, Hindered> {
        let draft = Message { path: turn.file("message") };
        draft.write(message)?;
        let path = draft.path.to_string_lossy().into_owned();
        self.hook("prepare-commit-msg", Some(staging), &[&path, "message"])?;
        self.hook("commit-msg", Some(staging), &[&path])?;
        let text = self.reader("stripspace").input(draft.read()?).run()?.bytes()?;
        if text.is_empty() {
            return Err(Obstacle::NoMessage.into());
        }
        let commit = self.write_commit(tree, ready.parent.as_ref(), text)?;
        // Hooks and signing may have taken long.
        if self.current_branch()?.as_ref() != Some(&ready.branch) || self.commit("HEAD")? != ready.parent {
            return Err(Obstacle::Moved.into());
        }
        let before = patiently(|| Ok(self.writer("write-tree").run()?.text()?))?;
        match (files, &ready.parent) {
            (Place::Elsewhere, Some(parent)) => patiently(|| self.write_files(parent, tree))?,
            _ => patiently(|| self.stage(Some(tree.name())))?,
        }
        if let Err(why) = self.move_branch(ready, &commit, message) {
            let is_moved = matches!(why, Hindered::Obstacle(Obstacle::Moved));
            let back = match (files, self.commit("HEAD")?) {
                (Place::Elsewhere, Some(head)) => patiently(|| self.write_files(tree, &head)),
                _ if is_moved => patiently(|| self.stage(None)),
                _ => patiently(|| self.stage(Some(before.trim_end()))),
            };
            let Err(words) = back else { return Err(why) };
            let parts = self.parts().into();
            return Err(Obstacle::Stranded { why: Box::new(why), words: words.to_string(), parts }.into());
        }
        // Too late to refuse anything.
        let _ = self.hook("post-commit", None, &[]);
        Ok(commit)
    }

    /// Makes git's index have the container as a tree has it; as HEAD has it where none is given.
    fn stage(&self, tree: Option<&str>) -> Result<(), Hindered> {
        let reset = self.writer("reset").args(["--quiet"]).args(tree).args(["--"]).args(self.parts());
        Ok(reset.run()?.bytes().map(drop)?)
    }

    /// Brings the working tree and git's index from one tree to another. Loses nothing: git refuses instead.
    fn write_files(&self, from: &Commit, to: &Commit) -> Result<(), Hindered> {
        // A file that was merely touched is no edit.
        let refreshed = self.writer("update-index").args(["-q", "--refresh"]).run()?;
        if let Some(file) = GitError::failed("update-index", &refreshed.errors).lock() {
            return Err(Obstacle::Locked { file: file.to_owned() }.into());
        }
        let read = self.writer("read-tree").args(["-m", "-u", from.name(), to.name()]);
        match read.run()?.bytes().map_err(Hindered::from) {
            Err(Hindered::Git(GitError::Failed { words, .. })) => Err(Obstacle::InTheWay { words }.into()),
            ended => ended.map(drop),
        }
    }

    fn write_commit(&self, tree: &Commit, parent: Option<&Commit>, message: Vec<u8>) -> Result<Commit, Hindered> {
        let parent = parent.map(|parent| ["-p", parent.name()]);
        let signed = self.reader("config").args(["--type=bool", "--get", "commit.gpgSign"]).run()?;
        let sign = (signed.output.starts_with(b"true")).then_some("-S");
        let command = self.of_user("commit-tree", "signing the commit");
        let command = command.args(parent.into_iter().flatten()).args(sign).args(["-F", "-", tree.name()]);
        match command.input(message).run()?.object() {
            Ok(commit) => Ok(commit),
            Err(GitError::Failed { words, .. }) if sign.is_some() => Err(Obstacle::Unsigned { words }.into()),
            Err(error) => Err(error.into()),
        }
    }

    fn move_branch(&self, ready: &Ready, to: &Commit, message: &str) -> Result<(), Hindered> {
        let name = format!("refs/heads/{}", ready.branch);
        let reason = format!("tidegate publish: {}", message.lines().next().unwrap_or_default());
        let nothing = "0".repeat(to.name().len());
        let from = ready.parent.as_ref().map_or(&*nothing, Commit::name);
        let command = self.of_user("update-ref", "running the hook reference-transaction");
        let answer = command.args(["--create-reflog", "-m", &reason, &name, to.name(), from]).run()?;
        if answer.code == Some(0) {
            return Ok(());
        }
        if let Some((words, _)) = answer.errors.split_once("fatal: ref updates aborted by hook") {
            return Err(Obstacle::Hook { name: "reference-transaction", words: error::quoted(words) }.into());
        }
        if self.commit("HEAD")? != ready.parent {
            return Err(Obstacle::Moved.into());
        }
        Ok(answer.bytes().map(drop)?)
    }

    /// Runs a hook if there is one.
    fn hook(&self, name: &'static str, staging: Option<&Staging<'_>>, arguments: &[&str]) -> Result<(), Hindered> {
        let mut command = self.of_user("hook", format!("running the hook {name}"));
        command = command.args(["run", "--ignore-missing", name]);
        if let Some(staging) = staging {
            command = command.env("GIT_INDEX_FILE", staging.index());
        }
        if !arguments.is_empty() {
            command = command.args(["--"]).args(arguments);
        }
        let answer = command.run()?;
        if answer.code == Some(0) {
            return Ok(());
        }
        Err(Obstacle::Hook { name, words: error::quoted(&answer.errors) }.into())
    }
}

/// The message in a file, where hooks find it; gone when dropped.
struct Message {
    path: PathBuf,
}

impl Message {
    fn write(&self, text: &str) -> Result<(), GitError> {
        // Hooks add lines at its end.
        fs::write(&self.path, format!("{text}\n")).map_err(|error| self.failed(error))
    }

    fn read(&self) -> Result<Vec<u8>, GitError> {
        fs::read(&self.path).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> GitError {
        GitError::Unwritable { place: self.path.clone(), error }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // If it cannot be removed, the next one tries again.
        let _ = fs::remove_file(&self.path);
    }
}
