//! What to do about an obstacle: takes it, gives the next step as whoever publishes can type it.

use std::path::Path;

use super::{Beside, Elsewhere, Obstacle, ToBegin};
use crate::git::Commit;

impl Obstacle {
    /// What to do next.
    pub fn way_out(&self) -> String {
        let text = match self {
            Self::NoFolder { .. } => "name the container's folder with -C",
            Self::NoRepository { folder } => return format!("make one there: git -C {} init", shell_word(folder)),
            Self::Bare => "clone it, and publish in the clone with --push",
            Self::Detached => "git switch to a branch, such as main",
            Self::Underway(underway) => return underway.way_out(),
            Self::Conflicts { .. } => "resolve them, then git add the files",
            Self::Hidden { paths } => {
                return format!("git update-index --no-assume-unchanged --no-skip-worktree {}", first(paths));
            }
            Self::Sparse { .. } => "git sparse-checkout disable",
            Self::Staged { paths } => return format!("commit them, or git restore --staged {}", first(paths)),
            Self::NoIdentity { .. } => "git config user.name NAME, and git config user.email ADDRESS",
            Self::Behind { .. } => "git pull --rebase --autostash, look at the draft again, and publish",
            Self::Gone { remote, branch } => {
                return format!(
                    "if it was merged and deleted, git switch to the branch that it went into; to make it anew, git push \
                     {} {}",
                    shell_word(remote.as_ref()),
                    shell_word(branch.as_ref())
                );
            }
            Self::NoUpstream { branch, to_begin, beside } => return begin(branch, to_begin, *beside),
            Self::Unreachable { remote, command, .. } => {
                return format!("see that git {command} {remote} works, without a question, and try again");
            }
            Self::PushRefused { words, .. } if words.contains("fetch first") || words.contains("non-fast-forward") => {
                "git pull --rebase, look again, then tidegate publish --push"
            }
            Self::PushRefused { remote, .. } => {
                return format!(
                    "mend what it says, then tidegate publish --push; where the branch takes pull requests only: git push \
                     {remote} HEAD:refs/heads/NAME, and open one for NAME"
                );
            }
            Self::Followed => {
                "publish with --push, so that the remote has it too; if no server follows a remote here any more, git \
                 update-ref -d refs/tidegate/remote"
            }
            Self::Outrun { .. } => "put the draft on top of it: git rebase --autostash refs/tidegate/remote",
            Self::Draft { parts, .. } => {
                return format!(
                    "publish it first, or put it aside: git stash push --include-untracked -- {}",
                    words(parts)
                );
            }
            Self::NoRules => "write a file such as rules/tags.yaml",
            Self::Ignored { .. } => "take that out, or git add --force the files",
            Self::NoContainer { commit, folder, elsewhere } => return take_over(commit, folder, elsewhere.as_ref()),
            Self::NoMessage => "say what changes, and why: -m \"…\"",
            Self::Hook { .. } => "mend what it says, and publish again; nothing was committed",
            Self::NotTaken { words } => take_in(words),
            Self::Unsigned { .. } => {
                "see that git commit -S works here; or git config commit.gpgSign false; nothing was committed"
            }
            Self::Locked { file } => {
                return format!(
                    "wait until it has ended; if none is running, it was killed and left that behind: rm {}; nothing was \
                     changed",
                    shell_word(file.as_ref())
                );
            }
            Self::Busy => "wait until it has ended, look at the draft again, and publish",
            Self::Moved => "look at the draft again, and publish",
            Self::InTheWay { words } if words.contains("not uptodate") => {
                "they were edited meanwhile, perhaps by a hook: look at git diff, then git stash or git restore them, and \
                 try again; nothing was committed"
            }
            Self::InTheWay { .. } => "move these files out of rules/ and tags/, and try again; nothing was changed",
            Self::Stranded { parts, .. } => {
                return format!(
                    "look at git status; to have HEAD's files again: git restore --staged --worktree {}",
                    words(parts)
                );
            }
        };
        text.to_owned()
    }
}

/// How git comes to take in a file that it does not take as it lies.
fn take_in(words: &str) -> &'static str {
    if words.contains("filter") {
        "install what .gitattributes names, such as git-lfs, or take rules/ and tags/ out of there: containers are small \
         texts; nothing was committed"
    } else if words.contains("CRLF") {
        "give the files the line ends that git asks for, or git config core.safecrlf warn; nothing was committed"
    } else if words.contains("commit checked out") {
        "that folder is a repository of its own: move it away, or remove its .git; nothing was committed"
    } else {
        "mend what it says, and publish again; nothing was committed"
    }
}

/// How a branch comes to have one elsewhere that it goes to.
fn begin(branch: &str, to_begin: &ToBegin, beside: Beside) -> String {
    let (address, otherwise) = match beside {
        Beside::Server => (
            "the address that the server's --remote has",
            "; if no server follows a remote here any more, git update-ref -d refs/tidegate/remote",
        ),
        Beside::Nobody => ("the address of the repository elsewhere", ""),
    };
    let branch = shell_word(branch.as_ref());
    let way_out = match to_begin {
        ToBegin::Remote(remote) => {
            format!("git push --set-upstream {} {branch}, then publish with --push", shell_word(remote.as_ref()))
        }
        ToBegin::NoRemote => format!(
            "git remote add origin URL, which is {address}; then git push --set-upstream origin {branch}; then publish with \
             --push"
        ),
        ToBegin::Unborn => format!(
            "publish the first version without --push; then git remote add origin URL, which is {address}, unless there is \
             one; then git push --set-upstream origin {branch}"
        ),
    };
    way_out + otherwise
}

/// How the container of a commit that has it elsewhere becomes the draft.
fn take_over(commit: &Commit, folder: &str, elsewhere: Option<&Elsewhere>) -> String {
    let Some(Elsewhere { place, parts }) = elsewhere else {
        return "tidegate versions lists those that have one".to_owned();
    };
    let to = if folder.is_empty() { String::new() } else { format!(" -C {}", shell_word(folder.as_ref())) };
    let (from, parts) = (shell_word(format!("{commit}:{place}").as_ref()), parts.join(" "));
    format!(
        "it has one in {}; to make that the draft, in the repository's top folder: git archive {from} {parts} | tar -x{to}; \
         then publish it",
        if place.is_empty() { "the repository's top folder" } else { place }
    )
}

/// One of them as a shell takes it; the others go the same way.
fn first(paths: &[String]) -> String {
    paths.first().map_or_else(|| ".".to_owned(), |path| shell_word(path.as_ref()))
}

fn words(paths: &[String]) -> String {
    paths.iter().map(|path| shell_word(path.as_ref())).collect::<Vec<_>>().join(" ")
}

/// A path as a shell takes it back.
pub(in crate::git) fn shell_word(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+,@:".contains(&byte));
    if is_plain { text.into_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
