//! The branch elsewhere that a branch goes to: takes its name, gives what is there and what is not; pushes.

use super::{Commit, GitError, Hindered, Obstacle, Reach, Repository, error, redacted};

/// The name of a branch elsewhere.
#[derive(Debug)]
pub(super) struct Track {
    pub remote: String,
    /// Its name over there, such as `refs/heads/main`.
    pub name: String,
}

/// The branch elsewhere that a branch goes to.
#[derive(Debug)]
pub struct Upstream {
    track: Track,
    /// Commits that are here and not there, newest first, by what was fetched last.
    pub unpushed: Vec<Unpushed>,
    pub there: There,
}

/// Whether the branch is over there, by what was fetched last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum There {
    Branch,
    Nothing,
}

/// A commit that the branch elsewhere does not have.
#[derive(Clone, Debug)]
pub struct Unpushed {
    pub commit: Commit,
    pub subject: String,
}

impl Track {
    fn branch(&self) -> &str {
        self.name.strip_prefix("refs/heads/").unwrap_or(&self.name)
    }

    /// Such as `origin/main`.
    fn shown(&self) -> String {
        format!("{}/{}", redacted(&self.remote), self.branch())
    }
}

impl Upstream {
    /// Such as `origin/main`.
    pub fn shown(&self) -> String {
        self.track.shown()
    }
}

impl Repository {
    /// What is there and what is not; the branch elsewhere must have nothing that is not here.
    pub(super) fn compare(
        &self,
        branch: &str,
        track: Track,
        parent: Option<&Commit>,
        reach: Reach,
    ) -> Result<Upstream, Hindered> {
        let mut tracked = match self.commit(&format!("{branch}@{{upstream}}"))? {
            Some(commit) => Some(commit),
            None => self.commit(&format!("refs/remotes/{}/{}", track.remote, track.branch()))?,
        };
        if reach == Reach::Upstream {
            tracked = self.ask(branch, &track, tracked)?;
        }
        let (ahead, behind) = match (parent, &tracked) {
            (Some(parent), Some(tracked)) => self.ahead_and_behind(parent, tracked)?,
            (None, Some(_)) => (0, 1),
            (_, None) => (0, 0),
        };
        if behind > 0 {
            return Err(Obstacle::Behind { upstream: track.shown(), ahead, behind }.into());
        }
        let unpushed = match parent {
            Some(parent) => self.unpushed(parent, tracked.as_ref(), &track.remote)?,
            None => Vec::new(),
        };
        let there = if tracked.is_some() { There::Branch } else { There::Nothing };
        Ok(Upstream { track, unpushed, there })
    }

    /// Where the branch is over there by now; `None` where there is none yet, this or another. Beside others it was deleted:
    /// nothing here remembers it once that was pruned.
    fn ask(&self, branch: &str, track: &Track, known: Option<Commit>) -> Result<Option<Commit>, Hindered> {
        let fetch = self.of_user("fetch", format!("asking {}", track.shown()));
        let answer = fetch.args(["--quiet", "--", &track.remote, &track.name]).run()?;
        if answer.code == Some(0) {
            let tracked = self.commit(&format!("{branch}@{{upstream}}"))?;
            return Ok(match tracked {
                Some(tracked) => Some(tracked),
                None => self.commit("FETCH_HEAD")?,
            });
        }
        if !answer.errors.contains("couldn't find remote ref") {
            let words = error::words(&answer.errors);
            return Err(Obstacle::Unreachable { remote: redacted(&track.remote), command: "fetch", words }.into());
        }
        if known.is_none() && self.is_empty(track)? {
            return Ok(None);
        }
        Err(Obstacle::Gone { remote: redacted(&track.remote), branch: track.branch().to_owned() }.into())
    }

    /// Whether the remote has no branch at all.
    fn is_empty(&self, track: &Track) -> Result<bool, Hindered> {
        let remote = redacted(&track.remote);
        let list = self.of_user("ls-remote", format!("asking {remote}"));
        let branches = list.args(["--quiet", "--heads", "--", &track.remote]).run()?;
        if branches.code != Some(0) {
            let words = error::words(&branches.errors);
            return Err(Obstacle::Unreachable { remote, command: "ls-remote", words }.into());
        }
        Ok(branches.text()?.trim().is_empty())
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

    fn unpushed(&self, here: &Commit, there: Option<&Commit>, remote: &str) -> Result<Vec<Unpushed>, GitError> {
        let known = there.map_or_else(|| format!("--remotes={remote}"), |there| there.name().to_owned());
        let options = ["-z", "--no-show-signature", "--encoding=UTF-8", "--format=%H %s", here.name(), "--not", &known];
        let log = self.reader("log").args(options).args(["--"]).run()?.bytes()?;
        let log = String::from_utf8_lossy(&log);
        let commits = log.split_terminator('\0').map(|line| {
            let (commit, subject) = line.split_once(' ')?;
            Some(Unpushed { commit: Commit::new(commit)?, subject: subject.to_owned() })
        });
        commits.collect::<Option<_>>().ok_or_else(|| GitError::unreadable("log"))
    }

    /// Sends a commit to the branch elsewhere.
    ///
    /// # Errors
    /// The remote refuses it, or cannot be reached.
    pub fn push(&self, commit: &Commit, to: &Upstream) -> Result<(), Hindered> {
        let Upstream { track, .. } = to;
        let what = format!("{}:{}", commit.name(), track.name);
        let push = self.of_user("push", format!("pushing to {}", track.shown()));
        let answer = push.args(["--quiet", "--", &track.remote, &what]).run()?;
        if answer.code == Some(0) {
            return Ok(());
        }
        let words = error::words(&answer.errors);
        // Both the remote's own refusal and a hook's here come after the other side was reached.
        let is_refused =
            ["[rejected]", "[remote rejected]", "failed to push some refs"].iter().any(|said| words.contains(said));
        let remote = redacted(&track.remote);
        Err(if is_refused {
            Obstacle::PushRefused { remote, branch: track.branch().to_owned(), words }.into()
        } else {
            Obstacle::Unreachable { remote, command: "push", words }.into()
        })
    }
}
