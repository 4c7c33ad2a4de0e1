//! Whether a repository can take a new version: takes the repository, gives the branch and its newest commit, or what
//! stands in the way.

use std::time::Duration;

use super::{Commit, GitError, Hindered, Kind, Obstacle, Repository};

/// For a command that asks another machine.
const REMOTE_PATIENCE: Duration = Duration::from_secs(120);

/// Files by which git remembers what it is in the middle of.
const UNDERWAY: [(&str, &str, &str); 6] = [
    ("MERGE_HEAD", "merge", "merge"),
    ("rebase-merge", "rebase", "rebase"),
    ("rebase-apply", "rebase", "rebase"),
    ("CHERRY_PICK_HEAD", "cherry-pick", "cherry-pick"),
    ("REVERT_HEAD", "revert", "revert"),
    ("sequencer", "sequence of commits", "cherry-pick"),
];

/// A branch that a version can be put on.
#[derive(Debug)]
pub struct Ready {
    /// Such as `main`.
    pub branch: String,
    /// `None` before the first commit.
    pub parent: Option<Commit>,
    pub upstream: Option<Upstream>,
}

/// The branch elsewhere that a branch goes to.
#[derive(Debug)]
pub struct Upstream {
    pub remote: String,
    /// Its name over there, such as `refs/heads/main`.
    pub name: String,
    /// Commits that are here and not there, by what was fetched last.
    pub ahead: usize,
}

/// Whether the version goes elsewhere, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Here,
    Upstream,
}

impl Repository {
    /// The branch that HEAD is on, if a version can be put on it.
    ///
    /// # Errors
    /// Something stands in the way, or git fails.
    pub fn ready(&self, reach: Reach) -> Result<Ready, Hindered> {
        if self.kind() == Kind::Bare {
            return Err(Obstacle::Bare.into());
        }
        let branch = self.current_branch()?.ok_or(Obstacle::Detached)?;
        for (name, what, command) in UNDERWAY {
            if self.own_path(name)?.exists() {
                return Err(Obstacle::Underway { what, command }.into());
            }
        }
        let conflicts = self.reader("ls-files").args(["--unmerged", "-z", "--full-name"]).run()?.text()?;
        if !conflicts.is_empty() {
            let mut paths: Vec<_> = conflicts.split_terminator('\0').filter_map(after_tab).collect();
            paths.dedup();
            return Err(Obstacle::Conflicts { paths }.into());
        }
        for name in ["GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"] {
            if let Err(error) = self.reader("var").args([name]).run()?.text() {
                let words = match error {
                    GitError::Failed { words, .. } => words.rsplit("; ").next().unwrap_or_default().to_owned(),
                    other => return Err(other.into()),
                };
                return Err(Obstacle::NoIdentity { words }.into());
            }
        }
        let parent = self.commit("HEAD")?;
        self.refuse_beside_server(parent.as_ref(), reach)?;
        let upstream = self.upstream(&branch, parent.as_ref(), reach)?;
        Ok(Ready { branch, parent, upstream })
    }

    /// `None` where HEAD is on none.
    ///
    /// # Errors
    /// Git fails.
    pub fn current_branch(&self) -> Result<Option<String>, GitError> {
        let answer = self.reader("symbolic-ref").args(["--quiet", "--short", "HEAD"]).run()?;
        if answer.code == Some(1) {
            return Ok(None);
        }
        Ok(Some(answer.text()?.trim_end().to_owned()))
    }

    fn refuse_beside_server(&self, parent: Option<&Commit>, reach: Reach) -> Result<(), Hindered> {
        let Some(followed) = self.fetched()? else { return Ok(()) };
        if reach == Reach::Here {
            return Err(Obstacle::Followed.into());
        }
        match parent {
            Some(parent) if self.contains(parent, &followed)? => Ok(()),
            _ => Err(Obstacle::Outrun { commit: followed }.into()),
        }
    }

    /// The branch elsewhere, if there is one; it must have nothing that is not here.
    fn upstream(&self, branch: &str, parent: Option<&Commit>, reach: Reach) -> Result<Option<Upstream>, Hindered> {
        let remote = self.setting(&format!("branch.{branch}.remote"))?;
        let name = self.setting(&format!("branch.{branch}.merge"))?;
        let (Some(remote), Some(name)) = (remote, name) else {
            return match reach {
                Reach::Here => Ok(None),
                Reach::Upstream => Err(Obstacle::NoUpstream { branch: branch.to_owned() }.into()),
            };
        };
        if reach == Reach::Upstream {
            self.of_user("fetch").args(["--quiet", &remote]).patience(REMOTE_PATIENCE).run()?.bytes()?;
        }
        let short = name.strip_prefix("refs/heads/").unwrap_or(&name);
        let shown = format!("{remote}/{short}");
        let tracked = match self.commit(&format!("{branch}@{{upstream}}"))? {
            Some(commit) => Some(commit),
            None => self.commit(&format!("refs/remotes/{shown}"))?,
        };
        let (ahead, behind) = match (parent, &tracked) {
            (Some(parent), Some(tracked)) => self.ahead_and_behind(parent, tracked)?,
            (Some(_), None) => (1, 0),
            (None, Some(_)) => (0, 1),
            (None, None) => (0, 0),
        };
        if behind > 0 {
            return Err(Obstacle::Behind { upstream: shown, ahead, behind }.into());
        }
        Ok(Some(Upstream { remote, name, ahead }))
    }

    fn ahead_and_behind(&self, here: &Commit, there: &Commit) -> Result<(usize, usize), GitError> {
        let range = format!("{}...{}", here.name(), there.name());
        let counts = self.reader("rev-list").args(["--left-right", "--count", &range, "--"]).run()?.text()?;
        let mut counts = counts.split_whitespace().map(str::parse);
        match (counts.next(), counts.next()) {
            (Some(Ok(ahead)), Some(Ok(behind))) => Ok((ahead, behind)),
            _ => Err(GitError::unreadable("rev-list")),
        }
    }

    /// A value of git's configuration, if it is set.
    pub(super) fn setting(&self, name: &str) -> Result<Option<String>, GitError> {
        let answer = self.reader("config").args(["--get", name]).run()?;
        if answer.code == Some(1) {
            return Ok(None);
        }
        let value = answer.text()?;
        Ok(Some(value.strip_suffix('\n').unwrap_or(&value).to_owned()))
    }

    /// Sends a commit to the branch elsewhere; in git's words why not.
    ///
    /// # Errors
    /// The remote refuses it, or cannot be reached.
    pub fn push(&self, commit: &Commit, to: &Upstream) -> Result<(), GitError> {
        let what = format!("{}:{}", commit.name(), to.name);
        self.of_user("push").args(["--quiet", "--", &to.remote, &what]).run()?.bytes().map(drop)
    }
}

/// `<mode> <object> <stage>TAB<path>`
fn after_tab(line: &str) -> Option<String> {
    line.split_once('\t').map(|(_, path)| path.to_owned())
}
