//! The versions of a container: takes a commit, gives those up to it that changed `rules/` or `tags/`, newest first.
//!
//! What a branch was is what its first parents are: a merge is the version that went live, and not each of the commits that
//! it brought.

use std::{fs, io};

use super::{Commit, GitError, Repository};

/// A commit, and who made it.
#[derive(Clone, Debug)]
pub struct Version {
    pub commit: Commit,
    pub author: String,
    pub email: String,
    /// When it was published, in seconds since 1970.
    pub seconds: i64,
    /// The message's first line.
    pub subject: String,
    pub body: String,
}

impl Repository {
    /// The newest versions that a branch with this commit at its end was, the commit itself among them.
    ///
    /// # Errors
    /// Git fails.
    pub fn versions(&self, from: &Commit, limit: usize) -> Result<Vec<Version>, GitError> {
        let count = format!("--max-count={limit}");
        // Fields end with a character that no message holds: git does not store it.
        let form = "--format=%H%x00%aN%x00%aE%x00%ct%x00%s%x00%b%x00";
        let options = ["--first-parent", "--no-show-signature", "--encoding=UTF-8", &count, form, from.name(), "--"];
        let log = self.reader("log").args(options).args(self.parts()).run()?.bytes()?;
        let log = String::from_utf8_lossy(&log);
        let fields: Vec<&str> = log.split_terminator('\0').collect();
        let versions = fields.chunks_exact(6).map(|fields| match fields {
            [commit, author, email, seconds, subject, body] => Some(Version {
                commit: Commit::new(commit.trim_start())?,
                author: (*author).to_owned(),
                email: (*email).to_owned(),
                seconds: seconds.parse().ok()?,
                subject: (*subject).to_owned(),
                body: body.trim_end().to_owned(),
            }),
            _ => None,
        });
        versions.collect::<Option<_>>().ok_or_else(|| GitError::unreadable("log"))
    }

    /// The newest version of a branch with this commit at its end: the commit itself if it changed the container.
    ///
    /// # Errors
    /// Git fails.
    pub fn version(&self, of: &Commit) -> Result<Option<Commit>, GitError> {
        Ok(self.versions(of, 1)?.pop().map(|version| version.commit))
    }

    /// Where the history ends here although it goes on elsewhere, as in a shallow clone. What these commits changed cannot
    /// be told.
    ///
    /// # Errors
    /// Git fails, or its list of them cannot be read.
    pub fn ends(&self) -> Result<Vec<Commit>, GitError> {
        match fs::read_to_string(self.own_path("shallow")?) {
            Ok(list) => Ok(list.lines().filter_map(Commit::new).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(GitError::Io { what: "rev-parse", error }),
        }
    }

    /// The message's first line of a commit.
    ///
    /// # Errors
    /// Git fails.
    pub fn subject(&self, commit: &Commit) -> Result<String, GitError> {
        let options = ["-s", "--no-show-signature", "--encoding=UTF-8", "--format=%s", commit.name(), "--"];
        Ok(self.reader("show").args(options).run()?.text()?.trim_end().to_owned())
    }
}
