//! A version before it is committed: takes the draft, or an old commit, and gives the tree that a commit of it would have.
//! Works in an index of its own, so that what is checked is what is committed, and what somebody staged stays as it is.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use super::{
    Command, Commit, GitError, Hindered, Obstacle, Ready, Repository, Turn, error::words, obstacle::Elsewhere,
    tree::is_of_rules,
};

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
    pub fn begin(repository: &'r Repository, ready: &Ready, turn: &Turn) -> Result<Self, GitError> {
        let index = turn.file("index");
        let base = match &ready.parent {
            Some(parent) => parent.clone(),
            None => repository.writer("mktree").input(Vec::new()).run()?.object()?,
        };
        let staging = Self { repository, index, base };
        staging.command("read-tree").args([staging.base.name()]).run()?.bytes()?;
        Ok(staging)
    }

    /// A command that works on this index.
    fn command(&self, name: &'static str) -> Command {
        // The other half of a split index would stay behind.
        self.repository.writer_with(&["-c", "core.splitIndex=false"], name).env("GIT_INDEX_FILE", &self.index)
    }

    /// Where the index lies, for hooks.
    pub(super) fn index(&self) -> &PathBuf {
        &self.index
    }

    /// Takes in `rules/` and `tags/` as they lie in the working tree. What git is told to ignore is left out, unless
    /// somebody has added it all the same.
    ///
    /// # Errors
    /// A file cannot be read, somebody staged something else, or there are no rules.
    pub fn take_draft(&self) -> Result<Commit, Hindered> {
        let list = self.repository.reader("ls-files").args(["--stage", "-z", "--"]).args(self.repository.parts());
        let mut known = list.run()?.bytes()?.split_inclusive(|byte| *byte == 0).map(<[u8]>::to_vec).collect::<Vec<_>>();
        known.retain(|entry| !self.is_behind_link(entry));
        self.leave_out()?;
        self.command("update-index").args(["-z", "--index-info"]).input(known.concat()).run()?.bytes()?;
        let found = ["-z", "--cached", "--others", "--exclude-standard", "--"];
        let found = self.command("ls-files").args(found).args(self.repository.parts()).run()?.bytes()?;
        // One by one, and by force: git may know of files in a folder that it is told to ignore.
        let add = ["--all", "--force", "--pathspec-from-file=-", "--pathspec-file-nul"];
        if !found.is_empty() {
            let added = self.command("add").args(add).input(found).run()?;
            if added.code != Some(0) {
                return Err(Obstacle::NotTaken { words: words(&added.errors) }.into());
            }
        }
        let tree = match self.write() {
            Err(Hindered::Obstacle(Obstacle::NoRules)) => return Err(self.without_rules()?.into()),
            tree => tree?,
        };
        self.refuse_staged(&tree)?;
        Ok(tree)
    }

    /// Whether what lies there now is a link, which is something else than the file that git knows of.
    fn is_behind_link(&self, entry: &[u8]) -> bool {
        let path = entry.splitn(2, |byte| *byte == b'\t').nth(1).unwrap_or_default();
        let path = Path::new(OsStr::from_bytes(path.strip_suffix(b"\0").unwrap_or(path)));
        let mut folders = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        folders.any(|folder| self.repository.root().join(folder).is_symlink())
    }

    /// Takes the container out of the index.
    fn leave_out(&self) -> Result<(), GitError> {
        let known = self.command("ls-files").args(["-z", "--"]).args(self.repository.parts()).run()?.bytes()?;
        let remove = self.command("update-index").args(["--force-remove", "-z", "--stdin"]).input(known);
        remove.run()?.bytes().map(drop)
    }

    /// There are no rules, or git is told to ignore all of them.
    fn without_rules(&self) -> Result<Obstacle, GitError> {
        let mut ignored = self.repository.ignored()?;
        ignored.retain(|file| file.path.starts_with("rules/"));
        let Some(rule) = ignored.first().map(|file| file.rule.clone()) else { return Ok(Obstacle::NoRules) };
        Ok(Obstacle::Ignored { paths: ignored.into_iter().map(|file| file.path).collect(), rule })
    }

    /// Takes in `rules/` and `tags/` of an old commit.
    ///
    /// # Errors
    /// The draft has changes, which would be lost; the commit holds no container.
    pub fn take_commit(&self, old: &Commit) -> Result<Commit, Hindered> {
        let status = ["--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--"];
        let status = self.repository.reader("status").args(status).args(self.repository.parts()).run()?.bytes()?;
        let status = String::from_utf8_lossy(&status);
        let paths: Vec<_> = status.split_terminator('\0').filter_map(|line| line.get(3..)).map(str::to_owned).collect();
        if !paths.is_empty() {
            let mut parts = Vec::from(self.repository.parts());
            parts.retain(|part| paths.iter().any(|path| path.starts_with(part)));
            return Err(Obstacle::Draft { paths, parts }.into());
        }
        self.refuse_staged(&self.base)?;
        self.leave_out()?;
        for part in self.repository.parts() {
            if let Some(tree) = self.repository.part_of(old, &part)? {
                self.command("read-tree").args([&*format!("--prefix={part}/"), &tree]).run()?.bytes()?;
            }
        }
        let tree = match self.write() {
            Err(Hindered::Obstacle(Obstacle::NoRules)) => {
                let folder = self.repository.prefix().to_owned();
                let elsewhere = self.repository.elsewhere(old)?;
                return Err(Obstacle::NoContainer { commit: old.clone(), folder, elsewhere }.into());
            }
            tree => tree?,
        };
        // Git would write over files that it is told to ignore.
        let mut ignored = self.ignored()?;
        let changed = self.changed(&tree)?;
        let is_within = |path: &str, folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        ignored.retain(|path| {
            let mut added = changed.iter().filter(|file| file.how == How::Added).map(|file| &file.path);
            added.any(|added| added == path || is_within(added, path) || is_within(path, added))
        });
        if ignored.is_empty() {
            return Ok(tree);
        }
        let words = format!("git is told to ignore what lies in their place: {}", ignored.join(", "));
        Err(Obstacle::InTheWay { words }.into())
    }

    /// The tree of what is in the index.
    ///
    /// # Errors
    /// It holds no container, or git fails.
    pub fn write(&self) -> Result<Commit, Hindered> {
        let rules = self.repository.parts().into_iter().take(1);
        let rules = self.command("ls-files").args(["-z", "--"]).args(rules).run()?.bytes()?;
        let rules = String::from_utf8_lossy(&rules);
        if !rules.split_terminator('\0').any(|path| is_of_rules(self.repository.within(path))) {
            return Err(Obstacle::NoRules.into());
        }
        let tree = self.command("write-tree").run()?.object()?;
        let list = ["-r", "-z", "--no-renames", "--name-only", self.base.name(), tree.name()];
        let list = self.repository.reader("diff-tree").args(list).run()?.bytes()?;
        let parts = self.repository.parts();
        let is_ours = |path: &&str| {
            let rest = parts.iter().find_map(|part| path.strip_prefix(part.as_str()));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
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
            changed.push(Changed { path: self.repository.within(path).to_owned(), how });
        }
        Ok(changed)
    }

    /// All files that git is told to ignore, within the container.
    fn ignored(&self) -> Result<Vec<String>, GitError> {
        let list = ["-z", "--others", "--ignored", "--exclude-standard", "--full-name", "--"];
        let list = self.repository.reader("ls-files").args(list).args(self.repository.parts()).run()?.bytes()?;
        let list = String::from_utf8_lossy(&list);
        Ok(list.split_terminator('\0').map(|path| self.repository.within(path).to_owned()).collect())
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        // If it cannot be removed, the next one tries again.
        let _ = fs::remove_file(&self.index);
    }
}

impl Repository {
    /// The tree of a folder in a commit, if it has one.
    fn part_of(&self, commit: &Commit, part: &str) -> Result<Option<String>, GitError> {
        let list = ["-d", "-z", "--full-tree", "--format=%(objecttype) %(objectname)", commit.name(), "--", part];
        let list = self.reader("ls-tree").args(list).run()?.text()?;
        Ok(list.trim_end_matches('\0').strip_prefix("tree ").map(str::to_owned))
    }

    /// Where a commit has `rules/`, if not where the container lies now.
    fn elsewhere(&self, commit: &Commit) -> Result<Option<Elsewhere>, GitError> {
        let list = ["-r", "-d", "-z", "--full-tree", "--name-only", commit.name()];
        let list = self.reader("ls-tree").args(list).run()?.bytes()?;
        let list = String::from_utf8_lossy(&list);
        let folders: Vec<_> = list.split_terminator('\0').collect();
        let place = folders
            .iter()
            .find_map(|folder| folder.strip_suffix("rules").filter(|place| place.is_empty() || place.ends_with('/')));
        let parts = |place: &str| {
            ["rules", "tags"].into_iter().filter(|part| folders.contains(&&*format!("{place}{part}"))).collect()
        };
        Ok(place.map(|place| Elsewhere { place: place.to_owned(), parts: parts(place) }))
    }
}
