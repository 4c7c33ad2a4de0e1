//! What keeps a version from being published, in words for people and a code for programs. All refusals are here; what to
//! do about each of them is next door.

use std::{fmt, path::PathBuf};

use super::{Commit, GitError, Underway};

mod way_out;

pub(super) use way_out::shell_word;

/// How many paths a sentence names.
const MAX_NAMED: usize = 5;

/// Why nothing was published. Nothing was changed either, but for [`Obstacle::Stranded`], and for those that a push of what
/// is committed already can meet.
#[derive(Debug)]
pub enum Obstacle {
    NoFolder {
        folder: PathBuf,
    },
    NoRepository {
        folder: PathBuf,
    },
    Bare,
    Detached,
    Underway(Underway),
    Conflicts {
        paths: Vec<String>,
    },
    /// Git is told to look away from these files, so it would not see what is lost.
    Hidden {
        paths: Vec<String>,
    },
    /// These files need not be there, and are not.
    Sparse {
        paths: Vec<String>,
    },
    /// Somebody staged what is not part of the draft.
    Staged {
        paths: Vec<String>,
    },
    NoIdentity {
        words: String,
    },
    /// The branch elsewhere has commits that are not here.
    Behind {
        upstream: String,
        ahead: usize,
        behind: usize,
    },
    /// The branch elsewhere is not there, although the one here follows it.
    Gone {
        remote: String,
        branch: String,
    },
    NoUpstream {
        branch: String,
        to_begin: ToBegin,
        beside: Beside,
    },
    Unreachable {
        remote: String,
        /// Git's command that asked it.
        command: &'static str,
        words: String,
    },
    /// The other side does not take the commit.
    PushRefused {
        remote: String,
        branch: String,
        words: String,
    },
    /// A server takes its versions from a remote, and this repository is its copy.
    Followed,
    /// A server has taken a commit from its remote that is not in HEAD.
    Outrun {
        commit: Commit,
    },
    /// Rolling back is for a draft without changes.
    Draft {
        paths: Vec<String>,
        parts: Vec<String>,
    },
    NoRules,
    /// Git is told to ignore all of `rules/`.
    Ignored {
        paths: Vec<String>,
        rule: String,
    },
    /// The commit that is rolled back to holds no container where this one lies.
    NoContainer {
        commit: Commit,
        folder: String,
        elsewhere: Option<Elsewhere>,
    },
    NoMessage,
    Hook {
        name: &'static str,
        words: String,
    },
    /// Git does not take the draft's files in as they lie.
    NotTaken {
        words: String,
    },
    Unsigned {
        words: String,
    },
    /// Another program holds something of git's, or left it behind.
    Locked {
        file: String,
    },
    /// Another `tidegate publish` is at work.
    Busy,
    /// Somebody committed meanwhile.
    Moved,
    /// The working tree cannot take the files of the version that is rolled back to.
    InTheWay {
        words: String,
    },
    /// Something stood in the way at the very end, and what was prepared could not be taken back.
    Stranded {
        why: Box<Hindered>,
        words: String,
        parts: Vec<String>,
    },
}

/// Where else a commit has a container.
#[derive(Debug)]
pub struct Elsewhere {
    /// Empty, or a path that ends in `/`.
    pub place: String,
    /// Which of its two folders are there.
    pub parts: Vec<&'static str>,
}

/// What a branch needs to go to a branch elsewhere.
#[derive(Debug)]
pub enum ToBegin {
    /// This one is there.
    Remote(String),
    NoRemote,
    /// There is nothing to push yet.
    Unborn,
}

/// Whether a server follows a remote into the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    Server,
    Nobody,
}

/// Why something that may be refused did not happen.
#[derive(Debug)]
pub enum Hindered {
    Obstacle(Obstacle),
    Git(GitError),
}

impl Obstacle {
    /// Names it for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoFolder { .. } => "no-folder",
            Self::NoRepository { .. } => "no-repository",
            Self::Bare => "bare",
            Self::Detached => "detached",
            Self::Underway(_) => "underway",
            Self::Conflicts { .. } => "conflicts",
            Self::Hidden { .. } => "hidden",
            Self::Sparse { .. } => "sparse",
            Self::Staged { .. } => "staged",
            Self::NoIdentity { .. } => "no-identity",
            Self::Behind { .. } => "behind",
            Self::Gone { .. } => "gone",
            Self::NoUpstream { .. } => "no-upstream",
            Self::Unreachable { .. } => "unreachable",
            Self::PushRefused { .. } => "push-refused",
            Self::Followed => "followed",
            Self::Outrun { .. } => "outrun",
            Self::Draft { .. } => "draft",
            Self::NoRules => "no-rules",
            Self::Ignored { .. } => "ignored",
            Self::NoContainer { .. } => "no-container",
            Self::NoMessage => "no-message",
            Self::Hook { .. } => "hook",
            Self::NotTaken { .. } => "not-taken",
            Self::Unsigned { .. } => "unsigned",
            Self::Locked { .. } => "locked",
            Self::Busy => "busy",
            Self::Moved => "moved",
            Self::InTheWay { .. } => "in-the-way",
            Self::Stranded { .. } => "stranded",
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFolder { folder } => write!(f, "there is no folder {}", folder.display()),
            Self::NoRepository { folder } => write!(f, "{} lies in no git repository", folder.display()),
            Self::Bare => f.write_str("this repository is bare: it has no working tree, and so no draft"),
            Self::Detached => f.write_str("HEAD is on no branch, so a new version would soon be lost"),
            Self::Underway(underway) => write!(f, "{} is not finished", underway.words()),
            Self::Conflicts { paths } => write!(f, "there are conflicts in {}", named(paths)),
            Self::Hidden { paths } => write!(
                f,
                "git is told to look away from {} (skip-worktree or assume-unchanged), so the draft cannot be told",
                named(paths)
            ),
            Self::Sparse { paths } => {
                write!(f, "git is told that {} need not be here, so a version would be without", named(paths))
            }
            Self::Staged { paths } => {
                write!(f, "staged, but not part of the draft as it lies in rules/ and tags/: {}", named(paths))
            }
            Self::NoIdentity { words } => write!(f, "git does not know who publishes: {words}"),
            Self::Behind { upstream, ahead: 0, behind } => {
                write!(f, "{upstream} has {} that {} not here", commits(*behind), is_are(*behind))
            }
            Self::Behind { upstream, ahead, behind } => write!(
                f,
                "the branch and {upstream} have diverged: {} here, {} there",
                commits(*ahead),
                commits(*behind)
            ),
            Self::Gone { remote, branch } => {
                let words = "which the one here follows; a push would bring back a deleted one";
                write!(f, "{remote} has no branch {branch}, {words}")
            }
            Self::NoUpstream { branch, beside: Beside::Nobody, .. } => {
                write!(f, "the branch {branch} follows no branch elsewhere")
            }
            Self::NoUpstream { branch, beside: Beside::Server, .. } => {
                write!(f, "{}, and the branch {branch} follows no branch elsewhere", Self::Followed)
            }
            Self::Unreachable { remote, words, .. } => write!(f, "{remote} cannot be asked: {words}"),
            Self::PushRefused { remote, branch, words } => write!(f, "{remote}/{branch} does not take it: {words}"),
            Self::Followed => f.write_str(
                "a server here follows a remote; a version that is only here would keep it from taking the remote's next",
            ),
            Self::Outrun { commit } => write!(f, "a server here took {commit} from its remote, and HEAD lacks it"),
            Self::Draft { paths, .. } => write!(f, "the draft has changes: {}", named(paths)),
            Self::NoRules => f.write_str("no file in rules/ is read, so this is no container"),
            Self::Ignored { paths, rule } => {
                write!(f, "git is told to ignore all of rules/, by {rule}: {}", named(paths))
            }
            Self::NoContainer { commit, folder, .. } => write!(f, "commit {commit} has no rules files in {folder}rules/"),
            Self::NoMessage => f.write_str("a version needs a message"),
            Self::Hook { name, words } if words.trim().is_empty() => {
                write!(f, "the hook {name} refused it without a word")
            }
            Self::Hook { name, words } => write!(f, "the hook {name} refused it:\n{}", words.trim_end()),
            Self::NotTaken { words } => write!(f, "git does not take the files in as they lie: {words}"),
            Self::Unsigned { words } => write!(f, "the commit could not be signed: {words}"),
            Self::Locked { file } => write!(f, "another program is at work on this repository; it holds {file}"),
            Self::Busy => f.write_str("another tidegate publish is at work on this working tree"),
            Self::Moved => f.write_str("somebody else committed meanwhile, so nothing was published"),
            Self::InTheWay { words } => write!(f, "the working tree cannot take the files: {words}"),
            Self::Stranded { why, words, .. } => {
                write!(f, "{why}; rules/ and tags/ of the new version are staged already, and could not be put back: {words}")
            }
        }
    }
}

impl Hindered {
    /// Names it for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Obstacle(obstacle) => obstacle.code(),
            Self::Git(error) => error.code(),
        }
    }

    /// What to do next.
    pub fn way_out(&self) -> String {
        match self {
            Self::Obstacle(obstacle) => obstacle.way_out(),
            Self::Git(error) => {
                error.way_out().unwrap_or_else(|| "nothing was changed; mend what it says, and try again".to_owned())
            }
        }
    }
}

/// A few of them, and how many there are more.
fn named(paths: &[String]) -> String {
    let mut text = paths.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
    if let Some(more) = paths.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
        text += &format!(" and {more} more");
    }
    text
}

fn commits(count: usize) -> String {
    if count == 1 { "1 commit".to_owned() } else { format!("{count} commits") }
}

fn is_are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

impl From<Obstacle> for Hindered {
    fn from(obstacle: Obstacle) -> Self {
        Self::Obstacle(obstacle)
    }
}

impl From<GitError> for Hindered {
    fn from(error: GitError) -> Self {
        match error.lock() {
            Some(file) => Self::Obstacle(Obstacle::Locked { file: file.to_owned() }),
            None => Self::Git(error),
        }
    }
}

impl fmt::Display for Hindered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Obstacle(obstacle) => obstacle.fmt(f),
            Self::Git(error) => f.write_str(&error.reason()),
        }
    }
}

impl std::error::Error for Hindered {}
