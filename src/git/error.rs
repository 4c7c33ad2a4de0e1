//! Why git could not do something, in words that an operator can act on. No address with a password is among them.

use std::{fmt, io, path::PathBuf, time::Duration};

use super::Commit;

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

impl fmt::Display for GitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled => f.write_str(
                "the container lies in a git repository, but the program git was not found; install it, or serve the files \
                 as they lie with --draft",
            ),
            Self::Dubious { place } => write!(
                f,
                "git does not trust {place}, because it belongs to another user; if you do, run as the user of this \
                 process: git config --global --add safe.directory {}",
                shell_word(place)
            ),
            Self::Damaged { place } => write!(
                f,
                "git sees no repository in {}, though it looks like one: see that the user of this process may read it, and \
                 whether git fsck finds it damaged; or serve the files as they lie with --draft",
                place.display()
            ),
            Self::NoCommit { root } => write!(
                f,
                "HEAD of {} names no commit; commit rules/ and tags/ first, or serve the files as they lie with --draft",
                root.display()
            ),
            Self::UnknownCommit { revision, is_shallow } => {
                write!(f, "there is no commit {revision:?} here; tidegate versions lists those that are")?;
                if *is_shallow { f.write_str(", and git fetch --unshallow gets older ones") } else { Ok(()) }
            }
            Self::AmbiguousCommit { revision, candidates } => {
                write!(f, "the names of several commits begin with {revision:?}: {}; write more", candidates.join(", "))
            }
            Self::NoRules { commit, folder } => write!(
                f,
                "commit {commit} has no files in {folder}rules/; commit them, or serve the files as they lie with --draft"
            ),
            Self::TooLarge { commit, limit } => {
                write!(f, "the container of commit {commit} is larger than {limit} bytes")
            }
            Self::TimedOut { what, patience } => write!(f, "git {what} did not end within {} s", patience.as_secs()),
            Self::Failed { what, words } if words.is_empty() => write!(f, "git {what} failed without a word"),
            Self::Failed { what, words } => write!(f, "git {what}: {words}"),
            Self::Unreadable { what } => write!(f, "git {what} answered something that was not understood"),
            Self::Io { what, error } => write!(f, "git {what} could not be run: {error}"),
        }
    }
}

impl std::error::Error for GitError {}

/// A path as a shell takes it back.
fn shell_word(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+,@".contains(&byte));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// What git said, on one line, without its credentials.
fn words(errors: &str) -> String {
    let lines = errors.lines().map(|line| {
        let line = line.trim();
        ["fatal: ", "error: "].iter().find_map(|start| line.strip_prefix(start)).unwrap_or(line)
    });
    let text = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    let text: String = redacted(&text).chars().filter(|letter| !letter.is_control()).take(MAX_WORDS).collect();
    text
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
