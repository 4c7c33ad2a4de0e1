//! A version before it is committed: takes the draft, or an old commit, and gives the tree that a commit of it would have.
//! Works in an index of its own, so that what is checked is what is committed, and what somebody staged stays as it is.

use std::{fs, path::PathBuf, process};

use super::{Command, Commit, GitError, Hindered, Obstacle, Ready, Repository};

/// An index of its own; gone when dropped.
#[derive(Debug)]
pub struct Staging<'r> {
    repository: &'r Repository,
    index: PathBuf,
    /// What it began with: the newest commit, or nothing.
    base: Commit,
}

/// A file that is otherwise than in the newest commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Within the container.
    pub path: String,
    pub how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Added,
    Changed,
    Deleted,
}

impl<'r> Staging<'r> {
    /// Begins with the newest commit.
    ///
    /// # Errors
    /// Git fails.
    pub fn begin(repository: &'r Repository, ready: &Ready) -> Result<Self, GitError> {
        let index = repository.own_path(&format!("tidegate-{}.index", process::id()))?;
        let base = match &ready.parent {
            Some(parent) => parent.clone(),
            None => object(repository.writer("mktree").input(Vec::new()).run()?.text()?, "mktree")?,
        };
        let staging = Self { repository, index, base };
        staging.remove();
        staging.command("read-tree").args([staging.base.name()]).run()?.bytes()?;
        Ok(staging)
    }

    /// A command that works on this index.
    fn command(&self, name: &'static str) -> Command {
        self.repository.writer(name).env("GIT_INDEX_FILE", &self.index)
    }

    /// Where the index lies, for hooks.
    pub(super) fn index(&self) -> &PathBuf {
        &self.index
    }

    /// Takes in `rules/` and `tags/` as they lie in the working tree. What git is told to ignore is left out.
    ///
    /// # Errors
    /// A file cannot be read, somebody staged something else, or there are no rules.
    pub fn take_draft(&self) -> Result<Commit, Hindered> {
        for part in self.repository.parts() {
            let known = self.command("ls-files").args(["-z", "--", &part]).run()?.bytes()?;
            if !known.is_empty() || self.repository.root().join(&part).exists() {
                // Git finds nothing to add in a folder without files, and says so by failing.
                let found = self.command("ls-files").args(["-z", "--others", "--exclude-standard", "--", &part]);
                if !known.is_empty() || !found.run()?.bytes()?.is_empty() {
                    self.command("add").args(["--all", "--", &part]).run()?.bytes()?;
                }
            }
        }
        let tree = self.write()?;
        self.refuse_staged(&tree)?;
        Ok(tree)
    }

    /// Takes in `rules/` and `tags/` of an old commit.
    ///
    /// # Errors
    /// The draft has changes, which would be lost; the commit holds no container.
    pub fn take_commit(&self, old: &Commit) -> Result<Commit, Hindered> {
        let status = ["--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--"];
        let status = self.repository.reader("status").args(status).args(self.repository.parts()).run()?.text()?;
        let draft: Vec<_> = status.split_terminator('\0').filter_map(|line| line.get(3..)).map(str::to_owned).collect();
        if !draft.is_empty() {
            return Err(Obstacle::Draft { paths: draft }.into());
        }
        self.refuse_staged(&self.base)?;
        for part in self.repository.parts() {
            let quiet = ["-r", "--cached", "--quiet", "--force", "--ignore-unmatch", "--", &part];
            self.command("rm").args(quiet).run()?.bytes()?;
            if let Some(tree) = self.repository.part_of(old, &part)? {
                self.command("read-tree").args([&*format!("--prefix={part}/"), &tree]).run()?.bytes()?;
            }
        }
        let tree = self.write()?;
        // Git would write over files that it is told to ignore.
        let ignored = self.ignored_by(self.repository.reader("ls-files"))?;
        let mut added = self.changed(&tree)?;
        added.retain(|file| file.how == How::Added && ignored.contains(&file.path));
        if added.is_empty() {
            return Ok(tree);
        }
        let paths: Vec<_> = added.into_iter().map(|file| file.path).collect();
        Err(Obstacle::InTheWay { words: format!("git is told to ignore {}, which lie there", paths.join(", ")) }.into())
    }

    /// The tree of what is in the index.
    ///
    /// # Errors
    /// It holds no container, or git fails.
    pub fn write(&self) -> Result<Commit, Hindered> {
        let rules = self.repository.parts().into_iter().take(1);
        if self.command("ls-files").args(["-z", "--"]).args(rules).run()?.bytes()?.is_empty() {
            return Err(Obstacle::NoRules.into());
        }
        let tree = object(self.command("write-tree").run()?.text()?, "write-tree")?;
        let list = ["-r", "-z", "--no-renames", "--name-only", self.base.name(), tree.name()];
        let list = self.repository.reader("diff-tree").args(list).run()?.bytes()?;
        let parts = self.repository.parts().map(|part| format!("{part}/"));
        let is_ours = |path: &&str| parts.iter().any(|part| path.starts_with(part.as_str()));
        match String::from_utf8_lossy(&list).split_terminator('\0').find(|path| !is_ours(path)) {
            None => Ok(tree),
            Some(path) => {
                let words = format!("it adds {path} to the commit, which is no part of the container");
                Err(Obstacle::Hook { name: "pre-commit", words }.into())
            }
        }
    }

    /// What was staged must be what is committed now: it is somebody's, and would otherwise be mixed up or lost.
    fn refuse_staged(&self, tree: &Commit) -> Result<(), Hindered> {
        let differing = |from: &Commit| -> Result<Vec<String>, GitError> {
            let list = ["--cached", "--name-only", "--no-renames", "-z", from.name(), "--"];
            let list = self.repository.reader("diff-index").args(list).run()?.bytes()?;
            Ok(String::from_utf8_lossy(&list).split_terminator('\0').map(str::to_owned).collect())
        };
        let from_tree = differing(tree)?;
        let mut paths = differing(&self.base)?;
        paths.retain(|path| from_tree.contains(path));
        if paths.is_empty() { Ok(()) } else { Err(Obstacle::Staged { paths }.into()) }
    }

    /// The container's files that differ between the newest commit and a tree.
    ///
    /// # Errors
    /// Git fails.
    pub fn changed(&self, tree: &Commit) -> Result<Vec<Changed>, GitError> {
        let list = ["-r", "-z", "--no-renames", "--name-status", self.base.name(), tree.name()];
        let list = self.repository.reader("diff-tree").args(list).run()?.bytes()?;
        let list = String::from_utf8_lossy(&list);
        let mut words = list.split_terminator('\0');
        let mut changed = Vec::new();
        while let (Some(how), Some(path)) = (words.next(), words.next()) {
            let how = match how {
                "A" => How::Added,
                "D" => How::Deleted,
                _ => How::Changed,
            };
            let path = path.strip_prefix(self.repository.prefix()).unwrap_or(path);
            changed.push(Changed { path: path.to_owned(), how });
        }
        Ok(changed)
    }

    /// Files that lie in the draft and are left out, because git is told to ignore them. Within the container.
    ///
    /// # Errors
    /// Git fails.
    pub fn ignored(&self) -> Result<Vec<String>, GitError> {
        self.ignored_by(self.command("ls-files"))
    }

    fn ignored_by(&self, list_files: Command) -> Result<Vec<String>, GitError> {
        let list = ["-z", "--others", "--ignored", "--exclude-standard", "--full-name", "--"];
        let list = list_files.args(list).args(self.repository.parts()).run()?.bytes()?;
        let list = String::from_utf8_lossy(&list);
        let prefix = self.repository.prefix();
        Ok(list.split_terminator('\0').map(|path| path.strip_prefix(prefix).unwrap_or(path).to_owned()).collect())
    }

    fn remove(&self) {
        for ending in ["index", "index.lock"] {
            // Most often there is none.
            let _ = fs::remove_file(self.index.with_extension(ending));
        }
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}

impl Repository {
    /// The tree of a folder in a commit, if it has one.
    fn part_of(&self, commit: &Commit, part: &str) -> Result<Option<String>, GitError> {
        let list = ["-d", "-z", "--full-tree", "--format=%(objecttype) %(objectname)", commit.name(), "--", part];
        let list = self.reader("ls-tree").args(list).run()?.text()?;
        Ok(list.trim_end_matches('\0').strip_prefix("tree ").map(str::to_owned))
    }
}

fn object(name: String, what: &'static str) -> Result<Commit, GitError> {
    Commit::new(name.trim_end()).ok_or_else(|| GitError::unreadable(what))
}
