//! A stand-in for `OpenAI`'s Conversions API, inside the process: for `tidegate serve --demo`, and for every test that
//! delivers something.
//!
//! Takes what a server would send to `POST https://bzr.openai.com/v1/events?pid=…` and judges it as the documents say
//! `OpenAI` does, strictly: a batch is accepted whole or refused whole, and values that `OpenAI` would drop without a
//! word are recorded as [warnings](Accepted::warnings). Gives the accepted and refused events back to whoever asks or
//! watches, and misbehaves on request ([`Failure`]). Sources: `docs/openai.md`; what they leave open is decided in the
//! module that needs it and said there.
//!
//! A request meets, in this order: `wire` (method, headers, key, pixel, size), `batch` (JSON, root fields), `event`,
//! `data` and `user` for each event, then `ledger`, which deduplicates and remembers. `summary` puts the outcome into
//! words.

use std::{
    collections::BTreeSet,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, sync::watch};

use crate::time::Timestamp;

mod batch;
mod data;
mod event;
mod failure;
mod finding;

mod ledger;
mod summary;
#[cfg(test)]
mod tests;
mod user;
mod wire;

pub use batch::Words;
pub use failure::{Failure, Lasting};
pub use finding::Finding;
pub use ledger::{Accepted, Counts, Fate, Named, Refused, TimedOut};
pub use summary::Notice;
pub use user::UserSchemas;

/// Where the stand-in reads the time. Timestamps of events are judged by it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Told of every accepted event and every refused request, before the answer goes out. Must not block.
pub type Observer = Arc<dyn Fn(&Notice) + Send + Sync>;

/// How a stand-in behaves; the default is as strict as the documents, with any key and any pixel.
#[derive(Clone)]
pub struct Options {
    /// The port on 127.0.0.1; 0 lets the system choose.
    pub port: u16,
    /// Conversions API keys that are accepted.
    pub keys: Allowed,
    /// Pixel ids that exist.
    pub pixels: Allowed,
    /// Which version of the `user` object is accepted.
    pub schemas: UserSchemas,
    /// How a refusal names its place.
    pub words: Words,
    /// The largest body, in bytes. `OpenAI` documents no limit; 4 MiB is what a careful integrator keeps to.
    pub max_body: usize,
    /// How many events, refusals and batch sizes are remembered, each; older ones are forgotten, for deduplication too.
    pub keep: usize,
    pub clock: Clock,
    pub observer: Observer,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            keys: Allowed::Any,
            pixels: Allowed::Any,
            schemas: UserSchemas::default(),
            words: Words::default(),
            max_body: 4 << 20,
            keep: 100_000,
            clock: Arc::new(Timestamp::now),
            observer: Arc::new(|_| {}),
        }
    }
}

/// A set of names that are let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Every name but the empty one.
    Any,
    Only(BTreeSet<String>),
}

impl Allowed {
    /// Only these names.
    pub fn only<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::Only(names.into_iter().map(Into::into).collect())
    }

    fn admits(&self, name: &str) -> bool {
        match self {
            Self::Any => !name.is_empty(),
            Self::Only(names) => names.contains(name),
        }
    }
}

/// A running stand-in. Dropping it stops it: requests in flight are still answered, new connections are refused.
pub struct Standin {
    address: SocketAddr,
    shared: Arc<Shared>,
    stage: watch::Sender<Stage>,
}

/// What the handle and the requests share.
struct Shared {
    options: Options,
    ledger: ledger::Ledger,
    failures: failure::Plan,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serving,
    Stopping,
}

impl Standin {
    /// Binds 127.0.0.1 and serves on the current tokio runtime. Fails if the port is taken.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = listener.local_addr()?;
        let ledger = ledger::Ledger::new(options.keep);
        let shared = Arc::new(Shared { options, ledger, failures: failure::Plan::default() });
        let (stage, stopping) = watch::channel(Stage::Serving);
        tokio::spawn(wire::serve(listener, Arc::clone(&shared), stopping));
        Ok(Self { address, shared, stage })
    }

    /// `http://127.0.0.1:PORT`, to be used in place of `https://bzr.openai.com`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Releases delayed answers, lets requests in flight finish and gives the port back. Later calls return at once.
    pub async fn stop(&self) {
        self.begin_stop();
        self.stage.closed().await;
    }

    fn begin_stop(&self) {
        self.stage.send_replace(Stage::Stopping);
        self.clear_failures();
    }

    /// Misbehaves towards the next requests of every pixel. Failures asked for earlier are used up first.
    pub fn fail_with(&self, failure: Failure, lasting: Lasting) {
        self.shared.failures.add(failure::Whose::Everyone, failure, lasting);
    }

    /// Misbehaves towards the next requests of one pixel only, as [`Standin::fail_with`] does.
    pub fn fail_pixel(&self, pixel_id: &str, failure: Failure, lasting: Lasting) {
        self.shared.failures.add(failure::Whose::Pixel(pixel_id.to_owned()), failure, lasting);
    }

    /// Behaves again. Requests that are being delayed go on at once.
    pub fn clear_failures(&self) {
        self.shared.failures.clear();
    }

    /// The events that were stored, in the order of their arrival: no duplicates, none that was only validated.
    pub fn accepted(&self) -> Vec<Arc<Accepted>> {
        self.shared.ledger.accepted(Fate::Stored)
    }

    /// The events that were accepted again; the first one of its key is among [`Standin::accepted`].
    pub fn duplicates(&self) -> Vec<Arc<Accepted>> {
        self.shared.ledger.accepted(Fate::Duplicate)
    }

    /// The events that passed under `validate_only`; they are not stored.
    pub fn validated(&self) -> Vec<Arc<Accepted>> {
        self.shared.ledger.accepted(Fate::Validated)
    }

    /// The requests that broke a rule, in the order of their arrival. Failures made on request are not among them.
    pub fn refused(&self) -> Vec<Arc<Refused>> {
        self.shared.ledger.refused()
    }

    /// Every warning about an accepted event, such as `order_created evt-1: user.countries[0]: …`.
    pub fn warnings(&self) -> Vec<String> {
        self.shared.ledger.warnings()
    }

    /// The number of events in each accepted batch, in the order of their arrival.
    pub fn batch_sizes(&self) -> Vec<usize> {
        self.shared.ledger.batch_sizes()
    }

    /// What was counted since the start; nothing of it is ever forgotten.
    pub fn requests(&self) -> Counts {
        self.shared.ledger.counts()
    }

    /// Resolves once `events` events have been stored since the start.
    pub async fn wait_for(&self, events: u64, timeout: Duration) -> Result<Counts, TimedOut> {
        self.wait_until(timeout, |counts| counts.stored >= events).await
    }

    /// Resolves once the counts are as asked. The timeout runs on tokio's clock: where that is paused, it passes as
    /// soon as every task waits, for sockets too.
    pub async fn wait_until(
        &self,
        timeout: Duration,
        reached: impl FnMut(&Counts) -> bool,
    ) -> Result<Counts, TimedOut> {
        self.shared.ledger.wait_until(timeout, reached).await
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        self.begin_stop();
    }
}
