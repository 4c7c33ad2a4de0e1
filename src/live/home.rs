//! What to start with, and what to change to: takes an origin and perhaps a remote, gives a container at the start and
//! another one whenever there is a good one. Knows nothing of servers.

use std::path::{Path, PathBuf};

use anyhow::anyhow;

use super::{
    Compiler, Origin, Shortfall, Standing, Wish,
    follow::{Follow, Judgement, judge_head, judge_remote},
    memory::Memory,
    origin::{Seen, Version, read_commit},
};
use crate::{
    container::Container,
    git::{Advance, Commit, GitError, Repository},
};

/// Where the container lives.
pub struct Home {
    origin: Origin,
    compiler: Compiler,
    memory: Memory,
    follow: Option<Follow>,
    /// The commit that is live; `None` where no commit is.
    live: Option<Commit>,
    /// The name of the version that is live.
    version: String,
    /// What the origin held when it was tried last, and what came of it.
    tried: Option<(Seen, Option<Shortfall>)>,
    /// A folder's state that must hold for one more look, lest half of a copy goes live.
    settling: Option<Seen>,
    /// The remote's newest commit that went forward.
    fetched: Option<Commit>,
    /// The remote's commit that was tried last, and why it was refused.
    refused: Option<(Commit, Shortfall)>,
    standing: Standing,
}

/// What a server starts with.
pub struct Start {
    pub container: Container,
    pub home: Home,
}

impl Home {
    /// `data` is the data folder, which need not be there yet.
    pub fn new(origin: Origin, compiler: Compiler, data: &Path, follow: Option<Follow>) -> Self {
        Self {
            origin,
            compiler,
            memory: Memory::new(data),
            follow,
            live: None,
            version: String::new(),
            tried: None,
            settling: None,
            fetched: None,
            refused: None,
            standing: Standing::new(),
        }
    }

    /// The container to start with: HEAD's, or the last good one where HEAD's is broken.
    ///
    /// # Errors
    /// There is neither, nor one at the remote.
    pub fn start(mut self) -> anyhow::Result<Start> {
        if let Origin::Commits(repository) = &self.origin {
            self.fetched = self.follow.as_ref().map(|_| repository.fetched()).transpose()?.flatten();
            // A commit that is no longer there cannot be gone back to.
            let recalled = self.memory.recall();
            self.live = recalled.filter(|commit| matches!(repository.commit(commit.name()), Ok(Some(_))));
        }
        let recalled = self.live.take();
        if let Some(container) = self.ahead_of_head(recalled.as_ref()) {
            return Ok(Start { container, home: self });
        }
        if let Some(container) = self.look(Again::Yes) {
            return Ok(Start { container, home: self });
        }
        if let (Some(commit), Origin::Commits(repository)) = (recalled, &self.origin)
            && let Ok(container) = compile(&self.compiler, read_commit(repository, &commit))
        {
            self.goes_live(&container, Some(commit));
            return Ok(Start { container, home: self });
        }
        if let Some(container) = self.fetch() {
            // HEAD has come along, where it could.
            let container = self.look(Again::No).unwrap_or(container);
            return Ok(Start { container, home: self });
        }
        let reasons: Vec<_> = self.standing.values().map(|shortfall| &*shortfall.reason).collect();
        Err(anyhow!(reasons.join("; ")))
    }

    /// What was live before is ahead of HEAD where it came from the remote and the draft stood in the way.
    fn ahead_of_head(&mut self, recalled: Option<&Commit>) -> Option<Container> {
        let (Origin::Commits(repository), Some(recalled)) = (&self.origin, recalled) else { return None };
        let Ok(seen @ Seen::Commit(_)) = self.origin.look() else { return None };
        let Seen::Commit(head) = &seen else { return None };
        let shortfall = match judge_head(repository, head, recalled, self.fetched.as_ref()).ok()? {
            Judgement::Take => return None,
            Judgement::Pass => None,
            Judgement::Leaves { reason } => Some(Shortfall { version: Some(head.to_string()), reason }),
        };
        let container = compile(&self.compiler, read_commit(repository, recalled)).ok()?;
        self.has_tried(seen, shortfall);
        self.goes_live(&container, Some(recalled.clone()));
        Some(container)
    }

    /// Another container, if the origin has one that is good.
    pub(super) fn look(&mut self, again: Again) -> Option<Container> {
        let seen = match self.origin.look() {
            Ok(seen) => seen,
            Err(error) => {
                self.falls_short(Wish::Container, Some(Shortfall { version: None, reason: format!("{error:#}") }));
                return None;
            }
        };
        if commit_of(&seen).is_some_and(|head| self.live.as_ref() == Some(head)) {
            self.falls_short(Wish::Draft, None);
            self.has_tried(seen, None);
            return None;
        }
        if let Some((tried, shortfall)) = &self.tried
            && *tried == seen
            && again == Again::No
        {
            let shortfall = shortfall.clone();
            self.falls_short(Wish::Container, shortfall);
            return None;
        }
        if matches!(seen, Seen::Files(_)) && again == Again::No && self.settling.as_ref() != Some(&seen) {
            self.settling = Some(seen);
            return None;
        }
        match self.judge(&seen) {
            Ok(Judgement::Take) => self.take(seen),
            Ok(Judgement::Pass) => {
                self.has_tried(seen, None);
                None
            }
            Ok(Judgement::Leaves { reason }) => {
                let version = commit_of(&seen).map(Commit::to_string);
                self.has_tried(seen, Some(Shortfall { version, reason }));
                None
            }
            Err(error) => {
                self.falls_short(Wish::Container, Some(Shortfall { version: None, reason: error.to_string() }));
                None
            }
        }
    }

    fn judge(&self, seen: &Seen) -> Result<Judgement, GitError> {
        let (Origin::Commits(repository), Seen::Commit(head), Some(live)) = (&self.origin, seen, &self.live) else {
            return Ok(Judgement::Take);
        };
        judge_head(repository, head, live, self.fetched.as_ref())
    }

    fn take(&mut self, seen: Seen) -> Option<Container> {
        let read = self.origin.read(&seen);
        let is_read = read.is_ok();
        if read.as_ref().is_ok_and(|version| version.name == self.version) {
            self.has_tried(seen, None);
            return None;
        }
        match compile(&self.compiler, read) {
            Ok(container) => {
                let commit = commit_of(&seen).cloned();
                self.has_tried(seen, None);
                self.goes_live(&container, commit);
                Some(container)
            }
            Err(shortfall) if is_read => {
                self.has_tried(seen, Some(shortfall));
                None
            }
            // It may be readable the next time.
            Err(shortfall) => {
                self.falls_short(Wish::Container, Some(shortfall));
                None
            }
        }
    }

    /// Another container, if the remote has one that is good. The branch here comes along where it can.
    pub(super) fn fetch(&mut self) -> Option<Container> {
        let (Origin::Commits(repository), Some(follow)) = (&self.origin, self.follow.clone()) else { return None };
        let repository = repository.clone();
        match self.follow_remote(&repository, &follow) {
            Ok(container) => container,
            Err(error) => {
                let reason = format!("cannot follow {}: {error}", follow.remote);
                self.falls_short(Wish::Remote, Some(Shortfall { version: None, reason }));
                None
            }
        }
    }

    fn follow_remote(&mut self, repository: &Repository, follow: &Follow) -> Result<Option<Container>, GitError> {
        let remote = &follow.remote;
        let there = repository.fetch(remote)?;
        let judgement = judge_remote(repository, remote, &there, self.fetched.as_ref(), self.live.as_ref())?;
        if let Judgement::Leaves { reason } = judgement {
            self.falls_short(Wish::Remote, Some(Shortfall { version: Some(there.to_string()), reason }));
            return Ok(None);
        }
        self.fetched = Some(there.clone());
        let mut container = None;
        if judgement == Judgement::Take {
            if let Some((refused, shortfall)) = &self.refused
                && *refused == there
            {
                let shortfall = shortfall.clone();
                self.falls_short(Wish::Remote, Some(shortfall));
                return Ok(None);
            }
            match compile(&self.compiler, read_commit(repository, &there)) {
                Ok(good) => container = Some(good),
                Err(shortfall) => {
                    self.refused = Some((there, shortfall.clone()));
                    self.falls_short(Wish::Remote, Some(shortfall));
                    return Ok(None);
                }
            }
        }
        self.falls_short(Wish::Remote, None);
        if let Some(container) = &container {
            self.goes_live(container, Some(there.clone()));
        }
        self.bring_along(repository, follow, &there);
        Ok(container)
    }

    /// Moves the branch here to what came from the remote and is good.
    fn bring_along(&mut self, repository: &Repository, follow: &Follow, to: &Commit) {
        let reason = match repository.advance(&follow.remote, to) {
            Ok(Advance::Nothing | Advance::Done) => None,
            Ok(Advance::InTheWay { files }) => {
                let files = files.join(", ");
                Some(format!("the draft stands in the way of {to} with changes to {files}; commit or undo them"))
            }
            Err(error) => Some(format!("the branch here cannot be moved to {to}: {error}")),
        };
        let shortfall = reason.map(|reason| Shortfall { version: Some(to.to_string()), reason });
        self.falls_short(Wish::Draft, shortfall);
    }

    fn goes_live(&mut self, container: &Container, commit: Option<Commit>) {
        self.version = container.version.to_string();
        self.live = commit;
    }

    fn has_tried(&mut self, seen: Seen, shortfall: Option<Shortfall>) {
        self.tried = Some((seen, shortfall.clone()));
        self.falls_short(Wish::Container, shortfall);
    }

    fn falls_short(&mut self, wish: Wish, shortfall: Option<Shortfall>) {
        match shortfall {
            Some(shortfall) => self.standing.insert(wish, shortfall),
            None => self.standing.remove(&wish),
        };
    }

    /// Keeps what is live in mind for the next start.
    pub(super) fn remember(&self) -> std::io::Result<()> {
        self.live.as_ref().map_or(Ok(()), |commit| self.memory.remember(commit))
    }

    pub(super) fn standing(&self) -> &Standing {
        &self.standing
    }

    pub(super) fn follow(&self) -> Option<&Follow> {
        self.follow.as_ref()
    }

    /// Where the container comes from, for the log.
    pub fn place(&self) -> String {
        match &self.origin {
            Origin::Program => "the demo's own rules".to_owned(),
            Origin::Folder(folder) => {
                format!("the files in {} as they lie, and again after each change", shown(folder))
            }
            Origin::Commits(repository) => {
                format!("what is committed in {}", repository.root().join(repository.prefix()).display())
            }
        }
    }
}

fn shown(folder: &Path) -> String {
    folder.canonicalize().unwrap_or_else(|_| PathBuf::from(folder)).display().to_string()
}

/// Whether what was tried is tried once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    Yes,
    No,
}

fn commit_of(seen: &Seen) -> Option<&Commit> {
    match seen {
        Seen::Commit(commit) => Some(commit),
        Seen::Program | Seen::Files(_) => None,
    }
}

fn compile(compiler: &Compiler, read: anyhow::Result<Version>) -> Result<Container, Shortfall> {
    let version = read.map_err(|error| Shortfall { version: None, reason: format!("{error:#}") })?;
    compiler.compile(&version).map_err(|reason| Shortfall {
        version: Some(version.name.clone()),
        reason: format!("the container is broken: {reason}"),
    })
}
