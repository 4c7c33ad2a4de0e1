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
    git::{Advance, Commit, GitError, Remote, Repository},
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

/// What the remote is asked: for its newest commit. Another machine answers, so it is not for the one who watches.
pub(super) struct Question {
    repository: Repository,
    remote: Remote,
}

impl Question {
    pub fn ask(&self) -> Result<Commit, GitError> {
        self.repository.fetch(&self.remote)
    }
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
        let recalled = self.recall()?;
        if let Some(container) = self.ahead_of_head(recalled.as_ref()) {
            return Ok(Start { container, home: self });
        }
        if let Some(container) = self.look(Again::Yes) {
            return Ok(Start { container, home: self });
        }
        let last_good = match recalled.map(|commit| self.go_back(commit)) {
            Some(Ok(container)) => return Ok(Start { container, home: self }),
            Some(Err(words)) => Some(words),
            None => None,
        };
        if let Some(container) = self.fetch() {
            // HEAD has come along, where it could.
            let container = self.look(Again::No).unwrap_or(container);
            return Ok(Start { container, home: self });
        }
        let reasons = self.standing.values().map(|shortfall| &*shortfall.reason);
        Err(anyhow!(reasons.chain(last_good.as_deref()).collect::<Vec<_>>().join("; ")))
    }

    /// What was live here before, and what was fetched before.
    fn recall(&mut self) -> Result<Option<Commit>, GitError> {
        let Origin::Commits(repository) = &self.origin else { return Ok(None) };
        self.fetched = self.follow.as_ref().map(|_| repository.fetched()).transpose()?.flatten();
        Ok(self.memory.recall())
    }

    /// The last good version, or why there is none.
    fn go_back(&mut self, commit: Commit) -> Result<Container, String> {
        let Origin::Commits(repository) = &self.origin else { return Err("it was a commit".to_owned()) };
        let what = format!("the last good version, {commit},");
        if !matches!(repository.commit(commit.name()), Ok(Some(_))) {
            let place = self.memory.place().display();
            return Err(format!(
                "{what} which {place} remembers, is not in the repository: history was rewritten, and git has cleaned up"
            ));
        }
        let container = compile(&self.compiler, Some(&commit), read_commit(repository, &commit));
        let container = container.map_err(|shortfall| format!("{what} does not do either: {}", shortfall.reason))?;
        self.goes_live(&container, Some(commit));
        Ok(container)
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
        let container = compile(&self.compiler, Some(recalled), read_commit(repository, recalled)).ok()?;
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
        // Whoever puts HEAD there accepts what the remote has, rewritten or not.
        if self.follow.is_some() && repository.fetched()?.as_ref() == Some(head) {
            return Ok(Judgement::Take);
        }
        judge_head(repository, head, live, self.fetched.as_ref())
    }

    fn take(&mut self, seen: Seen) -> Option<Container> {
        let read = self.origin.read(&seen);
        let is_read = read.is_ok();
        if read.as_ref().is_ok_and(|version| version.name == self.version) {
            self.has_tried(seen, None);
            return None;
        }
        match compile(&self.compiler, commit_of(&seen), read) {
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

    /// What to ask the remote, which may take its time.
    pub(super) fn question(&self) -> Option<Question> {
        let (Origin::Commits(repository), Some(follow)) = (&self.origin, &self.follow) else { return None };
        Some(Question { repository: repository.clone(), remote: follow.remote.clone() })
    }

    /// Another container, if the remote has one that is good.
    pub(super) fn fetch(&mut self) -> Option<Container> {
        let question = self.question()?;
        self.hear(question.ask())
    }

    /// The same once the remote has answered. The branch here comes along where it can.
    pub(super) fn hear(&mut self, answer: Result<Commit, GitError>) -> Option<Container> {
        let (Origin::Commits(repository), Some(follow)) = (&self.origin, self.follow.clone()) else { return None };
        let repository = repository.clone();
        match answer.and_then(|there| self.follow_remote(&repository, &follow, there)) {
            Ok(container) => container,
            Err(error) => {
                let reason = format!("cannot follow {}: {error}", follow.remote);
                self.falls_short(Wish::Remote, Some(Shortfall { version: None, reason }));
                None
            }
        }
    }

    fn follow_remote(
        &mut self,
        repository: &Repository,
        follow: &Follow,
        there: Commit,
    ) -> Result<Option<Container>, GitError> {
        let remote = &follow.remote;
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
            match compile(&self.compiler, Some(&there), read_commit(repository, &there)) {
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

    /// Keeps it in the repository, too.
    pub(super) fn pin(&self) -> Result<(), GitError> {
        match (&self.origin, &self.live) {
            (Origin::Commits(repository), Some(commit)) => self.memory.pin(repository, commit),
            _ => Ok(()),
        }
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

fn compile(compiler: &Compiler, of: Option<&Commit>, read: anyhow::Result<Version>) -> Result<Container, Shortfall> {
    let unread = |error| Shortfall { version: of.map(Commit::to_string), reason: format!("{error:#}") };
    let version = read.map_err(unread)?;
    compiler.compile(&version).map_err(|reason| Shortfall {
        version: Some(version.name.clone()),
        reason: format!("the container is broken: {reason}"),
    })
}
