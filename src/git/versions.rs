//! The versions of a container: takes a revision, gives the commits before it that touch `rules/` or `tags/`, newest first.

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
    /// The newest versions that a commit descends from, itself among them.
    ///
    /// # Errors
    /// Git fails.
    pub fn versions(&self, from: &Commit, limit: usize) -> Result<Vec<Version>, GitError> {
        let count = format!("--max-count={limit}");
        // Fields end with a character that no message holds: git does not store it.
        let form = "--format=%H%x00%aN%x00%aE%x00%ct%x00%s%x00%b%x00";
        let options = ["--no-show-signature", "--encoding=UTF-8", &count, form, from.name(), "--"];
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

    /// The message's first line of a commit.
    ///
    /// # Errors
    /// Git fails.
    pub fn subject(&self, commit: &Commit) -> Result<String, GitError> {
        let options = ["-s", "--no-show-signature", "--encoding=UTF-8", "--format=%s", commit.name(), "--"];
        Ok(self.reader("show").args(options).run()?.text()?.trim_end().to_owned())
    }
}
