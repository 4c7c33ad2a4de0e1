//! Whether a repository can take a new version: takes the repository, gives the branch and its newest commit, or what
//! stands in the way.

use super::{Beside, Commit, GitError, Hindered, Kind, Obstacle, Repository, ToBegin, Upstream, upstream::Track};

/// A branch that a version can be put on.
#[derive(Debug)]
pub struct Ready {
    /// Such as `main`.
    pub branch: String,
    /// `None` before the first commit.
    pub parent: Option<Commit>,
    pub upstream: Option<Upstream>,
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
        // A rebase takes HEAD off its branch, and has another way out than that.
        if let Some(underway) = self.underway()? {
            return Err(Obstacle::Underway(underway).into());
        }
        let branch = self.current_branch()?.ok_or(Obstacle::Detached)?;
        self.refuse_files()?;
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
        let upstream = self.upstream(&branch, parent.as_ref(), reach)?;
        Ok(Ready { branch, parent, upstream })
    }

    /// `None` where HEAD is on none.
    ///
    /// # Errors
    /// Git fails.
    pub fn current_branch(&self) -> Result<Option<String>, GitError> {
        let answer = self.reader("symbolic-ref").args(["--quiet", "HEAD"]).run()?;
        if answer.code == Some(1) {
            return Ok(None);
        }
        Ok(answer.text()?.trim_end().strip_prefix("refs/heads/").map(str::to_owned))
    }

    /// Files that are in a state in which nobody can say what the draft is.
    fn refuse_files(&self) -> Result<(), Hindered> {
        let conflicts = self.reader("ls-files").args(["--unmerged", "-z", "--full-name"]).run()?.bytes()?;
        let conflicts = String::from_utf8_lossy(&conflicts);
        if !conflicts.is_empty() {
            let mut paths: Vec<_> = conflicts.split_terminator('\0').filter_map(after_tab).collect();
            paths.dedup();
            return Err(Obstacle::Conflicts { paths }.into());
        }
        let flags =
            self.reader("ls-files").args(["-v", "-z", "--full-name", "--"]).args(self.parts()).run()?.bytes()?;
        let flags = String::from_utf8_lossy(&flags);
        let hidden = flags.split_terminator('\0').filter_map(|line| line.split_once(' '));
        let hidden = hidden.filter(|(flag, _)| flag.starts_with(|flag: char| flag == 'S' || flag.is_ascii_lowercase()));
        let hidden = hidden.map(|(_, path)| path.to_owned());
        let (paths, absent): (Vec<_>, Vec<_>) = hidden.partition(|path| self.root.join(path).exists());
        match (paths.is_empty(), absent.is_empty()) {
            (_, false) => Err(Obstacle::Sparse { paths: absent }.into()),
            (false, true) => Err(Obstacle::Hidden { paths }.into()),
            (true, true) => Ok(()),
        }
    }

    /// The branch elsewhere, if there is one; it must have nothing that is not here, and the server here must not be left
    /// behind.
    fn upstream(&self, branch: &str, parent: Option<&Commit>, reach: Reach) -> Result<Option<Upstream>, Hindered> {
        let track = self.track(branch)?;
        let followed = self.fetched()?;
        let beside = if followed.is_some() { Beside::Server } else { Beside::Nobody };
        let track = match (track, reach, beside) {
            (None, Reach::Here, Beside::Nobody) => return Ok(None),
            (None, _, _) => {
                let to_begin = self.to_begin(parent)?;
                return Err(Obstacle::NoUpstream { branch: branch.to_owned(), to_begin, beside }.into());
            }
            (Some(_), Reach::Here, Beside::Server) => return Err(Obstacle::Followed.into()),
            (Some(track), _, _) => track,
        };
        if let Some(followed) = followed {
            match parent {
                Some(parent) if self.contains(parent, &followed)? => {}
                _ => return Err(Obstacle::Outrun { commit: followed }.into()),
            }
        }
        self.compare(branch, track, parent, reach).map(Some)
    }

    fn to_begin(&self, parent: Option<&Commit>) -> Result<ToBegin, GitError> {
        let remotes = self.reader("remote").run()?.text()?;
        let mut names = remotes.lines();
        let named = names.clone().find(|name| *name == "origin").or_else(|| names.next());
        Ok(match (named, parent) {
            (_, None) => ToBegin::Unborn,
            (Some(name), Some(_)) => ToBegin::Remote(name.to_owned()),
            (None, Some(_)) => ToBegin::NoRemote,
        })
    }

    /// Where a branch goes to, by git's configuration.
    fn track(&self, branch: &str) -> Result<Option<Track>, GitError> {
        let remote = self.setting(&format!("branch.{branch}.remote"))?;
        let name = self.setting(&format!("branch.{branch}.merge"))?;
        // A branch can follow another one here: that is no place elsewhere.
        Ok(remote.zip(name).filter(|(remote, _)| remote != ".").map(|(remote, name)| Track { remote, name }))
    }

    /// A value of git's configuration, if it is set.
    fn setting(&self, name: &str) -> Result<Option<String>, GitError> {
        let answer = self.reader("config").args(["--get", name]).run()?;
        if answer.code == Some(1) {
            return Ok(None);
        }
        let value = answer.text()?;
        Ok(Some(value.strip_suffix('\n').unwrap_or(&value).to_owned()))
    }
}

/// `<mode> <object> <stage>TAB<path>`
fn after_tab(line: &str) -> Option<String> {
    line.split_once('\t').map(|(_, path)| path.to_owned())
}
