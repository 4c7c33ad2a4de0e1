//! What the handlers share: the container of the moment, the outbox, the clocks. Only here is it known that things are
//! shared.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    hash::RandomState,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use rand::RngExt;
use uuid::{Builder, Uuid};

use crate::{
    client::Client,
    consent::Evidence,
    container::Container,
    deduplication::{self, RecentCalls, Restoring},
    error::Refusal,
    history::{History, Picked},
    hit::{Hit, HitId},
    kept::Seen,
    live::Live,
    logging::seldom::Seldom,
    metrics::Metrics,
    outbox::{AcceptError, Forgotten, Outbox, Record, StoreError, sought::Sought},
    pipeline::{self, Decided, Look, Surroundings},
    time::Timestamp,
    trace::{Attention, ClientVerdict, Level, TOLD_AT_WORK, TagTrace, Trace},
    variable::Moment,
};

/// Shared by every handler; cheap to clone as an [`Arc`].
pub struct App {
    container: ArcSwap<Container>,
    pub outbox: Arc<dyn Outbox>,
    pub metrics: Metrics,
    /// Why what is live is not what should be, and the way to the one who sees to it.
    pub live: Live,
    pub history: Arc<History>,
    draining: AtomicBool,
    recent: Arc<RecentCalls>,
    out_of_time: Seldom,
}

/// Memory for recent calls: about 460,000 of them, which is ten minutes of 760 calls a second.
const RECENT_BYTES: usize = 32 << 20;

/// Whether this server wants more hits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready { version: Arc<str> },
    Draining,
    NotWritable,
}

impl App {
    /// # Errors
    /// The outbox cannot be read.
    pub async fn open(
        container: Container,
        outbox: Arc<dyn Outbox>,
        history: Arc<History>,
        metrics: Metrics,
    ) -> Result<Self, StoreError> {
        metrics.container(&container.version);
        let recent = Arc::new(RecentCalls::new(RECENT_BYTES, [RandomState::new(), RandomState::new()]));
        let mut restoring = Restoring::new(Arc::clone(&recent));
        let since = Timestamp::now().minus(deduplication::WINDOW);
        outbox.accepted_since(since, Box::new(move |past| restoring.see(&past))).await?;
        let container = ArcSwap::from_pointee(container);
        let (live, draining) = (Live::default(), AtomicBool::new(false));
        Ok(Self { container, outbox, metrics, live, history, draining, recent, out_of_time: Seldom::default() })
    }

    pub fn container(&self) -> Arc<Container> {
        self.container.load_full()
    }

    /// Puts another container in place and gives the one before, which hits in flight still have.
    pub fn replace_container(&self, container: Container) -> Arc<Container> {
        self.metrics.container(&container.version);
        self.container.swap(Arc::new(container))
    }

    /// From now on `/readyz` sends load balancers elsewhere.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub fn readiness(&self) -> Readiness {
        if self.draining.load(Ordering::Relaxed) {
            return Readiness::Draining;
        }
        match self.outbox.writable() {
            Ok(()) => Readiness::Ready { version: Arc::clone(&self.container.load().version) },
            Err(_) => Readiness::NotWritable,
        }
    }

    /// Takes a hit all the way to a durable outbox. `Ok` means durable.
    pub async fn take(self: &Arc<Self>, client: Client, hit: Hit) -> Result<Decided, Refusal> {
        let (id, received) = (hit.id, hit.received);
        let is_picked = self.history.picks(received);
        let (version, processed, picked) = {
            let container = self.container.load();
            let recent = Some(&*self.recent);
            let seen = RefCell::new(Vec::new());
            let look = |moment: &Moment<'_>, evidence: &Evidence| {
                seen.borrow_mut().push(Seen::of(moment, evidence));
            };
            let look = is_picked.then_some(&look as Look<'_>);
            let surroundings = Surroundings {
                clock: monotonic_clock,
                new_id: &random_id,
                recent,
                told: TOLD_AT_WORK,
                look,
                stated: Default::default(),
            };
            let processed = pipeline::process(&container, client, &Arc::new(hit), surroundings);
            let picked = is_picked.then(|| Picked { container: Arc::clone(&container), events: seen.take() });
            // Of what the container ignores, nothing was seen.
            let picked = picked.filter(|picked| !picked.events.is_empty());
            (Arc::clone(&container.version), processed, picked)
        };
        let trace = processed.trace;
        let mut decided = match processed.result {
            Ok(decided) => decided,
            Err(bad) => {
                tell(&trace);
                return Err(Refusal::Bad(bad));
            }
        };
        if decided.calls.is_empty() && decided.withdrawn.is_empty() {
            self.happened(&trace, picked);
            return Ok(decided);
        }
        let record = Record { hit: id, accepted: received, version, calls: std::mem::take(&mut decided.calls) };
        // A task of its own: whoever sent the hit may go away, and this is done all the same.
        let app = Arc::clone(self);
        tokio::spawn(async move { app.settle(record, decided, &trace, picked).await }).await.unwrap_or_else(|error| {
            tracing::error!(target: "tidegate::hit", hit = %id, "a hit could not be settled: {error}");
            Err(Refusal::NotDurable(AcceptError::Closed))
        })
    }

    /// Makes a hit's calls durable, and then does the rest.
    async fn settle(
        &self,
        record: Record,
        mut decided: Decided,
        trace: &Trace,
        picked: Option<Picked>,
    ) -> Result<Decided, Refusal> {
        let Record { hit, accepted, .. } = record;
        if !record.calls.is_empty() {
            self.outbox.accept(record).await.map_err(Refusal::NotDurable)?;
            self.recent.remember(&decided.keys, accepted);
        }
        self.happened(trace, picked);
        self.withdraw(hit, std::mem::take(&mut decided.withdrawn)).await;
        Ok(decided)
    }

    /// Tells of a hit of which all is durable: of one that was refused, nothing happened.
    fn happened(&self, trace: &Trace, picked: Option<Picked>) {
        self.metrics.traced(trace);
        self.history.served(&trace.version, trace.events.len());
        if let Some(picked) = picked {
            self.history.keep(picked);
        }
        self.tell_out_of_time(trace);
        tell(trace);
    }

    /// Warns that some tags had no time, as their author may not know. Whoever sends heavy hits floods no log.
    fn tell_out_of_time(&self, trace: &Trace) {
        let Some((TagTrace { tag, .. }, error, count)) = trace.out_of_time() else { return };
        if !self.out_of_time.is_due(Timestamp::now()) {
            return;
        }
        let (hit, file, events) = (trace.hit, &error.file, trace.events.len());
        tracing::warn!(
            target: "tidegate::hit", %hit,
            "{count} firings of a hit of {events} events failed for want of time, first tag {tag:?} ({file}): look for a slow \
             script with tidegate trace, or send fewer events a hit; told once a minute, and counted in the metrics"
        );
    }

    /// Cancels calls of visitors who withdrew their consent. Where little waits that takes no time, and the answer waits
    /// for it; a longer search goes on by itself.
    async fn withdraw(&self, hit: HitId, clicks: BTreeSet<Box<str>>) {
        const PATIENCE: Duration = Duration::from_secs(1);
        for click in clicks {
            let Ok(sought) = Sought::oppref(&click) else { continue };
            let (outbox, recent) = (Arc::clone(&self.outbox), Arc::clone(&self.recent));
            let search = tokio::spawn(async move {
                // Whoever grants it again, and sends the event again, has it delivered.
                match outbox.cancel(&sought, Box::new(move |call| recent.forget(&call))).await {
                    Ok(Forgotten { pending: 0, dead: 0, in_flight: 0 }) => {}
                    Ok(Forgotten { pending, dead, in_flight }) => tracing::info!(
                        target: "tidegate::hit", %hit,
                        "consent was withdrawn: {pending} pending and {dead} dead calls cancelled, {in_flight} being sent"
                    ),
                    Err(error) => tracing::warn!(
                        target: "tidegate::hit", %hit,
                        "consent was withdrawn, but calls of this click could not be cancelled: {error}"
                    ),
                }
            });
            let _ = tokio::time::timeout(PATIENCE, search).await;
        }
    }
}

/// Says what was decided about a hit, one line a tag, to whoever listens at the debug level; and to others what tags log
/// at a higher level.
fn tell(trace: &Trace) {
    if !tracing::enabled!(target: "tidegate::hit", tracing::Level::DEBUG) {
        return tell_logged(trace);
    }
    let hit = trace.hit;
    if let ClientVerdict::Refused { field, message, .. } = &trace.client {
        let colon = if field.is_empty() { "" } else { ": " };
        tracing::debug!(target: "tidegate::hit", %hit, "refused: {field}{colon}{message}");
    }
    for event in &trace.events {
        let name = &event.name;
        if event.attention == Attention::Bot {
            tracing::debug!(target: "tidegate::hit", %hit, "{name}: bot: ignored");
        } else if event.tags.is_empty() {
            tracing::debug!(target: "tidegate::hit", %hit, "{name}: no trigger looks at this event");
        }
        for TagTrace { tag, part, verdict, notes } in &event.tags {
            tracing::debug!(target: "tidegate::hit", %hit, "{name}: tag {tag:?}{part} {verdict}");
            for note in notes.iter().filter(|note| note.level == Level::Debug) {
                tracing::debug!(target: "tidegate::hit", %hit, "{name}: tag {tag:?} notes {note}");
            }
        }
    }
    tell_logged(trace);
}

/// The lines that tags log at a level above debug.
fn tell_logged(trace: &Trace) {
    let hit = trace.hit;
    for event in &trace.events {
        for TagTrace { tag, notes, .. } in &event.tags {
            for note in notes {
                match note.level {
                    Level::Debug => {}
                    Level::Info => tracing::info!(target: "tidegate::hit", %hit, "{}: tag {tag:?}: {note}", event.name),
                    Level::Warning => {
                        tracing::warn!(target: "tidegate::hit", %hit, "{}: tag {tag:?}: {note}", event.name);
                    }
                    Level::Error => {
                        tracing::error!(target: "tidegate::hit", %hit, "{}: tag {tag:?}: {note}", event.name);
                    }
                }
            }
        }
    }
}

/// Time since the process first asked.
pub fn monotonic_clock() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// A hit's id: version 7, so that ids sort by time.
#[expect(clippy::disallowed_methods, reason = "ids are made here")]
pub fn hit_id(received: Timestamp) -> HitId {
    let millis = u64::try_from(received.0).unwrap_or_default();
    HitId(Builder::from_unix_timestamp_millis(millis, &rand::rng().random::<[u8; 10]>()).into_uuid())
}

/// An id for an event that brings none.
#[expect(clippy::disallowed_methods, reason = "ids are made here")]
pub fn random_id() -> Uuid {
    Builder::from_random_bytes(rand::rng().random()).into_uuid()
}
