//! What keeps a version from being published: why, and what to do about it.

use std::fmt;

use super::{Commit, GitError};

/// How many paths a sentence names.
const MAX_NAMED: usize = 5;

/// Why nothing was published; nothing was changed either.
#[derive(Debug)]
pub enum Obstacle {
    Bare,
    Detached,
    /// A merge, a rebase or the like is not finished.
    Underway {
        what: &'static str,
        command: &'static str,
    },
    Conflicts {
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
    NoUpstream {
        branch: String,
    },
    /// A server takes its versions from a remote, and this repository is its copy.
    Followed,
    /// A server has taken a commit from its remote that is not in HEAD.
    Outrun {
        commit: Commit,
    },
    /// Rolling back would lose what was edited.
    Draft {
        paths: Vec<String>,
    },
    NoRules,
    NoMessage,
    NoSuchCommit {
        revision: String,
    },
    Hook {
        name: &'static str,
        words: String,
    },
    /// Somebody committed meanwhile.
    Moved,
    /// The working tree cannot take the files of the version that is rolled back to.
    InTheWay {
        words: String,
    },
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
            Self::Bare => "bare",
            Self::Detached => "detached",
            Self::Underway { .. } => "underway",
            Self::Conflicts { .. } => "conflicts",
            Self::Staged { .. } => "staged",
            Self::NoIdentity { .. } => "no-identity",
            Self::Behind { .. } => "behind",
            Self::NoUpstream { .. } => "no-upstream",
            Self::Followed => "followed",
            Self::Outrun { .. } => "outrun",
            Self::Draft { .. } => "draft",
            Self::NoRules => "no-rules",
            Self::NoMessage => "no-message",
            Self::NoSuchCommit { .. } => "no-such-commit",
            Self::Hook { .. } => "hook",
            Self::Moved => "moved",
            Self::InTheWay { .. } => "in-the-way",
        }
    }

    /// What to do next.
    pub fn way_out(&self) -> String {
        match self {
            Self::Bare => "clone it, and publish in the clone with --push".to_owned(),
            Self::Detached => "git switch to a branch, such as main".to_owned(),
            Self::Underway { command, .. } => {
                format!("finish it with git {command} --continue, or git {command} --abort")
            }
            Self::Conflicts { .. } => "resolve them, then git add the files".to_owned(),
            Self::Staged { paths } => {
                format!("commit them, or git restore --staged {}", paths.first().map_or(".", |path| path))
            }
            Self::NoIdentity { .. } => "git config user.name NAME, and git config user.email ADDRESS".to_owned(),
            Self::Behind { .. } => "git pull --rebase --autostash, look at the draft again, and publish".to_owned(),
            Self::NoUpstream { branch } => {
                format!("git push --set-upstream origin {branch}, or publish without --push")
            }
            Self::Followed => "publish with --push, so that the remote has it too; if no server follows a remote here \
                 any more, git update-ref -d refs/tidegate/remote"
                .to_owned(),
            Self::Outrun { .. } => {
                "put the draft on top of it: git stash, git rebase refs/tidegate/remote, git stash pop".to_owned()
            }
            Self::Draft { .. } => "publish them first, or put them aside with git stash --include-untracked".to_owned(),
            Self::NoRules => "put at least one file into rules/".to_owned(),
            Self::NoMessage => "say what changes, and why: -m \"…\"".to_owned(),
            Self::NoSuchCommit { .. } => "tidegate versions lists them".to_owned(),
            Self::Hook { .. } => "mend what it says; nothing was committed".to_owned(),
            Self::Moved => "look at the draft again, and publish".to_owned(),
            Self::InTheWay { .. } => "move these files away, and try again".to_owned(),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bare => f.write_str("this repository is bare: it has no working tree, and so no draft"),
            Self::Detached => f.write_str("HEAD is on no branch, so a new version would soon be lost"),
            Self::Underway { what, .. } => write!(f, "a {what} is not finished"),
            Self::Conflicts { paths } => write!(f, "there are conflicts in {}", named(paths)),
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
            Self::NoUpstream { branch } => write!(f, "the branch {branch} follows no branch elsewhere"),
            Self::Followed => f.write_str(
                "a server here follows a remote; a version that is only here would keep it from taking the remote's next",
            ),
            Self::Outrun { commit } => write!(f, "a server here took {commit} from its remote, and HEAD lacks it"),
            Self::Draft { paths } => write!(f, "the draft has changes that would be lost: {}", named(paths)),
            Self::NoRules => f.write_str("there is no file in rules/, so this is no container"),
            Self::NoMessage => f.write_str("a version needs a message"),
            Self::NoSuchCommit { revision } => write!(f, "there is no commit {revision:?}"),
            Self::Hook { name, words } if words.trim().is_empty() => {
                write!(f, "the hook {name} refused it without a word")
            }
            Self::Hook { name, words } => write!(f, "the hook {name} refused it:\n{}", words.trim_end()),
            Self::Moved => f.write_str("somebody else committed meanwhile, so nothing was published"),
            Self::InTheWay { words } => write!(f, "the working tree cannot take the files: {words}"),
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
        Self::Git(error)
    }
}

impl fmt::Display for Hindered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Obstacle(obstacle) => write!(f, "{obstacle}\n  {}", obstacle.way_out()),
            Self::Git(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Hindered {}
