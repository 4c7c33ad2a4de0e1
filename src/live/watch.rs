//! The thread that keeps live what should be: looks at the origin every second, has the remote asked now and then, and puts
//! good containers in place. It compiles here, so that no hit waits for it; the remote is asked on another thread, so that
//! HEAD does not wait for a network.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Home, Order, Shortfall, Standing, Wish, home::Again};
use crate::{
    app::App,
    container::Container,
    git::{Commit, GitError},
    script::STACK,
};

/// How often the origin is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Between two questions to the remote, however many webhooks come.
const PAUSE: Duration = Duration::from_secs(1);

/// Who watches what is live.
struct Watch {
    app: Arc<App>,
    home: Home,
    told: Standing,
    asking: Asking,
    answers: (Sender<RemoteAnswer>, Receiver<RemoteAnswer>),
    heard_at: Option<Instant>,
    /// That the last good commit cannot be pinned is said once.
    is_unpinned: bool,
    /// Containers that hits may still use. Whoever lets go of one last frees it, which should not be a hit.
    retired: Vec<Arc<Container>>,
}

type RemoteAnswer = Result<Commit, GitError>;

/// When the remote is asked.
enum Asking {
    Never,
    At(Instant),
    /// It was asked, and has not answered yet. Whoever asks meanwhile may know of something newer.
    Now {
        again: bool,
    },
}

/// Starts to watch; ends with [`Order::Stop`].
///
/// # Errors
/// There is no thread to be had.
pub fn watch(app: Arc<App>, home: Home) -> io::Result<()> {
    let Some(orders) = app.live.orders() else { return Ok(()) };
    let asking = home.follow().map_or(Asking::Never, |_| Asking::At(Instant::now()));
    let answers = mpsc::channel();
    let (told, retired) = (Standing::new(), Vec::new());
    let mut watch = Watch { app, home, told, asking, answers, heard_at: None, is_unpinned: false, retired };
    watch.tell(Again::No);
    watch.remember();
    thread::Builder::new().name("live".into()).stack_size(STACK).spawn(move || watch.run(&orders)).map(|_| ())
}

/// Compiling a large container takes a core for a good while, and hits go first. On Linux priorities are a thread's own.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, 10) {
        tracing::debug!("a lower priority was refused: {error}");
    }
}

impl Watch {
    fn run(mut self, orders: &Receiver<Order>) {
        give_way();
        let mut next = Instant::now() + EVERY;
        loop {
            let wake = if let Asking::At(at) = self.asking { next.min(at) } else { next };
            let order = orders.recv_timeout(wake.saturating_duration_since(Instant::now()));
            // However many have asked meanwhile, it is done once.
            let order = order.map(|order| orders.try_iter().fold(order, Order::max));
            let again = match order {
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Order::Reload) => Again::Yes,
                Ok(Order::Fetch | Order::Hear) | Err(RecvTimeoutError::Timeout) => Again::No,
            };
            if next <= Instant::now() || again == Again::Yes {
                let found = self.home.look(again);
                self.put_in_place(found, again);
                next = Instant::now() + EVERY;
            }
            self.hear();
            if matches!(order, Ok(Order::Fetch | Order::Reload)) {
                self.ask_soon();
            }
            if let Asking::At(at) = self.asking
                && at <= Instant::now()
            {
                self.ask();
            }
            self.retired.retain(|container| Arc::strong_count(container) > 1);
        }
    }

    fn ask_soon(&mut self) {
        match &mut self.asking {
            Asking::Never => {}
            Asking::Now { again } => *again = true,
            // A pause after an answer stays one.
            Asking::At(at) => *at = (*at).min(self.heard_at.map_or_else(Instant::now, |heard| heard + PAUSE)),
        }
    }

    fn ask(&mut self) {
        let Some(question) = self.home.question() else { return };
        let (app, answers) = (Arc::clone(&self.app), self.answers.0.clone());
        let ask = move || {
            // Nobody listens any more where the server stops.
            let _ = answers.send(question.ask());
            app.live.order(Order::Hear);
        };
        self.asking = match thread::Builder::new().name("fetch".into()).spawn(ask) {
            Ok(_) => Asking::Now { again: false },
            Err(error) => {
                tracing::error!("the remote cannot be asked: {error}");
                Asking::At(Instant::now() + PAUSE)
            }
        };
    }

    /// Takes the remote's answer, if it has come.
    fn hear(&mut self) {
        let Ok(answer) = self.answers.1.try_recv() else { return };
        let found = self.home.hear(answer);
        self.put_in_place(found, Again::No);
        let every = self.home.follow().map_or(PAUSE, |follow| follow.every);
        let pause = if matches!(self.asking, Asking::Now { again: true }) { PAUSE } else { every };
        let now = Instant::now();
        self.heard_at = Some(now);
        self.asking = Asking::At(now + pause);
    }

    fn put_in_place(&mut self, found: Option<Container>, again: Again) {
        if let Some(container) = found {
            let version = Arc::clone(&container.version);
            self.retired.push(self.app.replace_container(container));
            tracing::info!("container {version} is live");
            self.remember();
        } else if again == Again::Yes && self.home.standing().is_empty() {
            tracing::info!("nothing to reload: container {} was live already", self.app.container().version);
        }
        self.tell(again);
    }

    /// Says what is not as it should be, when that changes or somebody asked.
    fn tell(&mut self, again: Again) {
        let standing = self.home.standing().clone();
        let live = Arc::clone(&self.app.container().version);
        self.app.metrics.standing(&standing);
        self.app.live.stands(standing.clone());
        for (wish, shortfall) in &standing {
            let is_new = self.told.get(wish).is_none_or(|told| !told.is_like(shortfall));
            if is_new && is_refusal(*wish, shortfall) {
                self.app.metrics.reload_failed();
            }
            if is_new || again == Again::Yes {
                let Shortfall { version, reason } = shortfall;
                let version = version.as_deref();
                match wish {
                    Wish::Draft => tracing::warn!(version, "container {live} is live, but {reason}"),
                    Wish::Container | Wish::Remote => {
                        tracing::error!(version, "not reloaded, container {live} stays live: {reason}");
                    }
                }
            }
        }
        for wish in self.told.keys().filter(|wish| !standing.contains_key(wish)) {
            tracing::info!("the {} is as it should be again", wish.name());
        }
        self.told = standing;
    }

    fn remember(&mut self) {
        if let Err(error) = self.home.remember() {
            tracing::warn!("which commit is live cannot be remembered for the next start: {error}");
        }
        if let Err(error) = self.home.pin()
            && !self.is_unpinned
        {
            self.is_unpinned = true;
            tracing::warn!(
                "the repository cannot be written to, so that the last good commit is lost once somebody rewrites history \
                 and git cleans up: {error}"
            );
        }
    }
}

/// Whether a version was refused: one without rules, or none at all, is; a remote that cannot be asked has not said any.
fn is_refusal(wish: Wish, shortfall: &Shortfall) -> bool {
    match wish {
        Wish::Container => true,
        Wish::Remote => shortfall.version.is_some(),
        Wish::Draft => false,
    }
}
