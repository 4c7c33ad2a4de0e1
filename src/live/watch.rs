//! The thread that keeps live what should be: looks at the origin every second, asks the remote now and then, and puts
//! good containers in place. It compiles here, so that no hit waits for it.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Home, Order, Shortfall, Standing, Wish, home::Again};
use crate::{app::App, container::Container, script::STACK};

/// How often the origin is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Who watches what is live.
struct Watch {
    app: Arc<App>,
    home: Home,
    told: Standing,
    fetch_at: Option<Instant>,
    /// Containers that hits may still use. Whoever lets go of one last frees it, which should not be a hit.
    retired: Vec<Arc<Container>>,
}

/// Starts to watch; ends with [`Order::Stop`].
///
/// # Errors
/// There is no thread to be had.
pub fn watch(app: Arc<App>, home: Home) -> io::Result<()> {
    let Some(orders) = app.live.orders() else { return Ok(()) };
    let fetch_at = home.follow().map(|_| Instant::now());
    let mut watch = Watch { app, home, told: Standing::new(), fetch_at, retired: Vec::new() };
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
            let order = orders.recv_timeout(next.saturating_duration_since(Instant::now()));
            // However many have asked meanwhile, it is done once.
            let order = order.map(|order| orders.try_iter().fold(order, Order::max));
            let again = match order {
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Order::Reload) => Again::Yes,
                Ok(Order::Fetch) | Err(RecvTimeoutError::Timeout) => Again::No,
            };
            if order.is_err() || again == Again::Yes {
                let found = self.home.look(again);
                self.put_in_place(found, again);
                next = Instant::now() + EVERY;
            }
            if order.is_ok() || self.fetch_at.is_some_and(|at| at <= Instant::now()) {
                self.fetch();
            }
            self.retired.retain(|container| Arc::strong_count(container) > 1);
        }
    }

    fn fetch(&mut self) {
        let Some(follow) = self.home.follow() else { return };
        let every = follow.every;
        let found = self.home.fetch();
        self.put_in_place(found, Again::No);
        self.fetch_at = Some(Instant::now() + every);
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
            let is_new = self.told.get(wish) != Some(shortfall);
            if is_new && *wish != Wish::Draft && shortfall.version.is_some() {
                self.app.metrics.reload_failed();
            }
            if is_new || again == Again::Yes {
                let Shortfall { version, reason } = shortfall;
                let version = version.as_deref().unwrap_or("unknown");
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

    fn remember(&self) {
        if let Err(error) = self.home.remember() {
            tracing::warn!("which commit is live cannot be remembered for the next start: {error}");
        }
    }
}
