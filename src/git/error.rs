//! Why git could not do something, in words that an operator can act on. No address with a password is among them.

use std::{fmt, io, path::PathBuf, time::Duration};

use super::{Commit, obstacle::shell_word};
use crate::one_line::one_line;

/// More than this of git's own words helps nobody.
const MAX_WORDS: usize = 2_000;

#[derive(Debug)]
pub enum GitError {
    NotInstalled,
    /// The folder belongs to somebody else, and git does not trust what they may have set up in it.
    Dubious {
        place: String,
    },
    /// It looks like a repository, and git sees none there.
    Damaged {
        place: PathBuf,
    },
    /// HEAD names no commit.
    NoCommit {
        root: PathBuf,
    },
    /// A revision names no commit.
    UnknownCommit {
        revision: String,
        /// Whether git has but the end of the history.
        is_shallow: bool,
    },
    /// Several commits' names begin like this.
    AmbiguousCommit {
        revision: String,
        candidates: Vec<String>,
    },
    /// The commit holds no container.
    NoRules {
        commit: Commit,
        folder: String,
    },
    TooLarge {
        commit: Commit,
        limit: u64,
    },
    TimedOut {
        what: &'static str,
        patience: Duration,
    },
    Failed {
        what: &'static str,
        words: String,
    },
    Unreadable {
        what: &'static str,
    },
    Io {
        what: &'static str,
        error: io::Error,
    },
    /// Something in git's own folder cannot be written.
    Unwritable {
        place: PathBuf,
        error: io::Error,
    },
}

impl GitError {
    pub(super) fn failed(what: &'static str, errors: &str) -> Self {
        Self::Failed { what, words: words(errors) }
    }

    pub(super) fn unreadable(what: &'static str) -> Self {
        Self::Unreadable { what }
    }

    /// Whether git refused for the sake of the folder's owner.
    pub(super) fn dubious(errors: &str) -> Option<Self> {
        let (_, rest) = errors.split_once("detected dubious ownership in repository at '")?;
        let (place, _) = rest.split_once("'\n").or_else(|| rest.split_once('\''))?;
        Some(Self::Dubious { place: place.to_owned() })
    }
}

impl GitError {
    /// The file by which another program holds what git was to change.
    pub(super) fn lock(&self) -> Option<&str> {
        let Self::Failed { words, .. } = self else { return None };
        let (_, rest) = words.split_once("Unable to create '")?;
        rest.split_once("': File exists").map(|(file, _)| file)
    }

    /// Names it for programs.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::NotInstalled => "no-git",
            Self::Dubious { .. } => "dubious",
            Self::Damaged { .. } => "damaged",
            Self::NoCommit { .. } => "no-commit",
            Self::UnknownCommit { .. } => "no-such-commit",
            Self::AmbiguousCommit { .. } => "ambiguous",
            Self::NoRules { .. } => "no-rules",
            Self::TooLarge { .. } => "too-large",
            Self::TimedOut { .. } => "timed-out",
            Self::Unwritable { .. } => "unwritable",
            Self::Failed { .. } | Self::Unreadable { .. } | Self::Io { .. } => "git",
        }
    }

    /// What to do next, where that can be told.
    pub fn way_out(&self) -> Option<String> {
        let text = match self {
            Self::NotInstalled => "install it, such as with apt install git",
            Self::Dubious { place } => {
                let place = shell_word(place.as_ref());
                return Some(format!(
                    "if you do, run as the user of this process: git config --global --add safe.directory {place}"
                ));
            }
            Self::Damaged { .. } => {
                "see that the user of this process may read it, and whether git fsck finds it damaged"
            }
            Self::NoCommit { .. } => "commit rules/ and tags/ first",
            Self::UnknownCommit { is_shallow: false, .. } => "tidegate versions lists those that are",
            Self::UnknownCommit { is_shallow: true, .. } => {
                "tidegate versions lists those that are, and git fetch --unshallow gets older ones"
            }
            Self::AmbiguousCommit { .. } => "write more",
            Self::NoRules { .. } => "commit them",
            Self::Unwritable { .. } => "publish as a user who may write there, on a disk that is not full",
            Self::TooLarge { .. }
            | Self::TimedOut { .. }
            | Self::Failed { .. }
            | Self::Unreadable { .. }
            | Self::Io { .. } => return None,
        };
        Some(text.to_owned())
    }

    /// Whether a server could do without: it may serve files as they lie.
    pub fn is_of_commits(&self) -> bool {
        matches!(self, Self::NotInstalled | Self::Damaged { .. } | Self::NoCommit { .. } | Self::NoRules { .. })
    }

    /// What happened.
    pub fn reason(&self) -> String {
        match self {
            Self::NotInstalled => {
                "the container lies in a git repository, but the program git was not found".to_owned()
            }
            Self::Dubious { place } => format!("git does not trust {place}, because it belongs to another user"),
            Self::Damaged { place } => {
                format!("git sees no repository in {}, though it looks like one", place.display())
            }
            Self::NoCommit { root } => format!("HEAD of {} names no commit", root.display()),
            Self::UnknownCommit { revision, .. } => format!("there is no commit {revision:?} here"),
            Self::AmbiguousCommit { revision, candidates } => {
                format!("the names of several commits begin with {revision:?}: {}", candidates.join(", "))
            }
            Self::NoRules { commit, folder } => format!("commit {commit} has no rules files in {folder}rules/"),
            Self::TooLarge { commit, limit } => {
                format!("the container of commit {commit} is larger than {limit} bytes")
            }
            Self::TimedOut { what, patience } => format!("git {what} did not end within {} s", patience.as_secs()),
            Self::Failed { what, words } if words.is_empty() => format!("git {what} failed without a word"),
            Self::Failed { what, words } => format!("git {what}: {words}"),
            Self::Unreadable { what } => format!("git {what} answered something that was not understood"),
            Self::Io { what, error } => format!("git {what} could not be run: {error}"),
            Self::Unwritable { place, error } => format!("{} cannot be written: {error}", place.display()),
        }
    }
}

impl fmt::Display for GitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason())?;
        self.way_out().map_or(Ok(()), |way_out| write!(f, "; {way_out}"))
    }
}

impl std::error::Error for GitError {}

/// What git said, on one line, without its credentials.
pub(super) fn words(errors: &str) -> String {
    let lines = errors.lines().map(|line| {
        let line = line.trim();
        ["fatal: ", "error: ", "remote: "].iter().find_map(|start| line.strip_prefix(start)).unwrap_or(line)
    });
    let is_told = |line: &&str| !line.is_empty() && !line.starts_with("hint: ");
    one_line(&redacted(&lines.filter(is_told).collect::<Vec<_>>().join("; "))).chars().take(MAX_WORDS).collect()
}

/// What a hook said, in its own lines, without credentials.
pub(super) fn quoted(errors: &str) -> String {
    let lines: Vec<_> = errors.trim().lines().map(|line| one_line(&redacted(line)).into_owned()).collect();
    lines.join("\n").chars().take(MAX_WORDS).collect()
}

/// A text in which addresses have lost their user and password.
pub fn redacted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after.find(|letter: char| letter == '/' || letter.is_whitespace()).unwrap_or(after.len());
        let (authority, further) = after.split_at_checked(end).unwrap_or((after, ""));
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                out.push_str("…@");
                out.push_str(host);
            }
            None => out.push_str(authority),
        }
        rest = further;
    }
    out.push_str(rest);
    out
}
