//! A branch of another repository that is followed: takes where it is, gives its newest commit, and brings the branch of
//! the same name here up to it, where nothing stands in the way.

use std::time::Duration;

use super::{Commit, GitError, Kind, NO_HOOKS, Repository, redacted};

/// For a command that asks another machine, perhaps for a large repository. Nobody waits for it but the next one.
const FETCH_PATIENCE: Duration = Duration::from_secs(600);

/// What was fetched last. A ref of its own, so that nobody's branches move before it was checked.
const FETCHED: &str = "refs/tidegate/remote";

/// A branch elsewhere.
#[derive(Clone)]
pub struct Remote {
    url: String,
    branch: String,
}

/// What became of the branch here.
#[derive(Debug, PartialEq, Eq)]
pub enum Advance {
    /// It was there already, or has commits on top.
    Nothing,
    Done,
    /// Changes to these files of the working tree would be lost.
    InTheWay {
        files: Vec<String>,
    },
}

impl Remote {
    /// # Errors
    /// The branch's name cannot be one.
    pub fn new(url: &str, branch: &str) -> Result<Self, GitError> {
        let is_name = !branch.is_empty()
            && !branch.starts_with('-')
            && branch.bytes().all(|byte| byte.is_ascii_graphic() && !b"~^:?*[\\".contains(&byte));
        if is_name {
            Ok(Self { url: url.to_owned(), branch: branch.to_owned() })
        } else {
            Err(GitError::failed("fetch", &format!("{branch:?} cannot be the name of a branch")))
        }
    }

    pub fn branch(&self) -> &str {
        &self.branch
    }

    fn local(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }
}

/// Without the password that may stand in its address.
impl std::fmt::Display for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.branch, redacted(&self.url))
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Remote({self})")
    }
}

impl Repository {
    /// Asks the remote for its newest commit.
    ///
    /// # Errors
    /// The remote cannot be reached, lets nobody in, or has no such branch.
    pub fn fetch(&self, remote: &Remote) -> Result<Commit, GitError> {
        // Whatever it is: that it was rewritten over there is for the caller to judge.
        let into = format!("+{}:{FETCHED}", remote.local());
        let quiet = ["--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"];
        let fetch = self.writer_with(&NO_HOOKS, "fetch").args(quiet).args(["--", &remote.url, &into]);
        fetch.patience(FETCH_PATIENCE).run()?.bytes()?;
        self.fetched()?.ok_or_else(|| GitError::unreadable("fetch"))
    }

    /// The newest commit of the remote, when it was asked last; `None` if no remote is followed.
    ///
    /// # Errors
    /// Git fails.
    pub fn fetched(&self) -> Result<Option<Commit>, GitError> {
        self.commit(FETCHED)
    }

    /// Whether `later` is `earlier`, or has it among its ancestors.
    ///
    /// # Errors
    /// One of them is not there, or git fails.
    pub fn contains(&self, later: &Commit, earlier: &Commit) -> Result<bool, GitError> {
        if later == earlier {
            return Ok(true);
        }
        let answer = self.reader("merge-base").args(["--is-ancestor", earlier.name(), later.name()]).run()?;
        if answer.code == Some(1) {
            return Ok(false);
        }
        answer.bytes().map(|_| true)
    }

    /// The commit that the branch of the same name has here, if it is there.
    ///
    /// # Errors
    /// Git fails.
    pub fn branch(&self, remote: &Remote) -> Result<Option<Commit>, GitError> {
        self.commit(&remote.local())
    }

    /// Whether the working tree is on the branch of the same name.
    ///
    /// # Errors
    /// Git fails.
    pub fn has_checked_out(&self, remote: &Remote) -> Result<bool, GitError> {
        let head = self.reader("symbolic-ref").args(["--quiet", "HEAD"]).run()?;
        Ok(self.kind() == Kind::WorkingTree && head.output == format!("{}\n", remote.local()).as_bytes())
    }

    /// Moves the branch here forward to a fetched commit, and the working tree with it where it has this branch.
    ///
    /// # Errors
    /// It would not be forward, or git fails.
    pub fn advance(&self, remote: &Remote, to: &Commit) -> Result<Advance, GitError> {
        if let Some(here) = self.branch(remote)?
            && self.contains(&here, to)?
        {
            return Ok(Advance::Nothing);
        }
        if !self.has_checked_out(remote)? {
            // Refuses what is not forward, and a branch that another working tree has.
            let into = format!("{}:{}", to.name(), remote.local());
            let move_branch =
                self.writer_with(&NO_HOOKS, "fetch").args(["--quiet", "--no-write-fetch-head", ".", &into]);
            return move_branch.run()?.bytes().map(|_| Advance::Done);
        }
        let merge = self.writer_with(&NO_HOOKS, "merge").args(["--quiet", "--ff-only", "--no-autostash", to.name()]);
        let answer = merge.run()?;
        if answer.code != Some(0) && answer.errors.contains("would be overwritten") {
            let files = answer.errors.lines().filter_map(|line| line.strip_prefix('\t')).map(str::to_owned).collect();
            return Ok(Advance::InTheWay { files });
        }
        answer.bytes().map(|_| Advance::Done)
    }
}
