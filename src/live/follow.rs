//! How two wishes go together: HEAD here and a remote's branch. Takes commits, says which of them may go live.

use std::time::Duration;

use crate::git::{Commit, GitError, Kind, Remote, Repository};

/// A remote, and how often it is asked.
#[derive(Clone, Debug)]
pub struct Follow {
    pub remote: Remote,
    pub every: Duration,
}

/// What a commit means for what is live.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It goes live if it passes its check.
    Take,
    /// What is live has it already, or is ahead of it.
    Pass,
    /// It would leave out what is live.
    Leaves { reason: String },
}

/// HEAD is free to go anywhere, back too, but not to forget what came from the remote: then the working tree is merely
/// behind, or has gone another way.
pub(super) fn judge_head(
    repository: &Repository,
    head: &Commit,
    live: &Commit,
    fetched: Option<&Commit>,
) -> Result<Judgement, GitError> {
    let Some(fetched) = fetched else { return Ok(Judgement::Take) };
    let taken = if repository.contains(live, fetched)? {
        fetched
    } else if repository.contains(fetched, live)? {
        live
    } else {
        return Ok(Judgement::Take);
    };
    if head == fetched || repository.contains(head, taken)? {
        return Ok(Judgement::Take);
    }
    if repository.contains(live, head)? {
        return Ok(Judgement::Pass);
    }
    let reason =
        format!("HEAD leaves out {taken}, which came from the remote and is live; put your commits on top of it");
    Ok(Judgement::Leaves { reason })
}

/// A remote may only go forward: from what it was and went live, from the branch here, and from what is live. A broken
/// commit that never went live may be rewritten by whoever mends it.
pub(super) fn judge_remote(
    repository: &Repository,
    remote: &Remote,
    there: &Commit,
    before: Option<&Commit>,
    live: Option<&Commit>,
) -> Result<Judgement, GitError> {
    let here = repository.branch(remote)?;
    if here.as_ref() != Some(there) {
        if let (Some(before), Some(live)) = (before, live)
            && repository.contains(live, before)?
            && !repository.contains(there, before)?
        {
            let way = accepting(repository, remote, there)?;
            return Ok(leaves(there, before, "was there before: the remote was rewritten", &way));
        }
        if let Some(here) = &here {
            if repository.contains(here, there)? {
                return Ok(Judgement::Pass);
            }
            if !repository.contains(there, here)? {
                let way = if repository.has_checked_out(remote)? {
                    format!("put the branch here on top of it: git rebase --autostash {there}")
                } else {
                    accepting(repository, remote, there)?
                };
                return Ok(leaves(there, here, "is on the branch here", &way));
            }
        }
    }
    match live {
        Some(live) if repository.contains(live, there)? => Ok(Judgement::Pass),
        Some(live) if here.as_ref() != Some(there) && !repository.contains(there, live)? => {
            let way = accepting(repository, remote, there)?;
            Ok(leaves(there, live, "is live", &way))
        }
        _ => Ok(Judgement::Take),
    }
}

fn leaves(there: &Commit, left: &Commit, what: &str, way: &str) -> Judgement {
    Judgement::Leaves { reason: format!("the remote's {there} leaves out {left}, which {what}; {way}") }
}

/// How the branch here gets to where the remote's is, which is fetched already.
fn accepting(repository: &Repository, remote: &Remote, there: &Commit) -> Result<String, GitError> {
    let branch = remote.branch();
    let way = match (repository.has_checked_out(remote)?, repository.kind()) {
        (true, _) => format!(
            "keep what is here (git branch kept, and git stash --include-untracked for what is not committed), then git \
             reset --hard {there}"
        ),
        (false, Kind::WorkingTree) => format!("git branch --force {branch} {there}"),
        (false, Kind::Bare) => format!("git update-ref refs/heads/{branch} {there}"),
    };
    Ok(format!("to accept it as it is, {way}"))
}
