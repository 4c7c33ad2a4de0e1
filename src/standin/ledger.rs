//! What happened: takes judged batches and refusals, deduplicates, remembers and counts them, and wakes whoever waits
//! for a count.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::StatusCode;
use serde_json::Value;
use tokio::sync::watch;

use super::{
    batch::{Batch, Purpose, Refusal},
    finding::Finding,
};
use crate::time::Timestamp;

/// An event that broke no rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// Its place among all accepted events, from 0.
    pub order: u64,
    pub received: Timestamp,
    pub pixel_id: String,
    pub fate: Fate,
    /// What the request said of the integration that sent it.
    pub integration_source: Option<String>,
    /// The event as it was sent.
    pub event: Value,
    /// What `OpenAI` would drop or alter without a word, or advises against.
    pub warnings: Vec<Finding>,
}

/// What became of an accepted event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Stored,
    /// Another event of the same pixel, name and id was stored before.
    Duplicate,
    /// Sent with `validate_only`: not stored, and no rival to one that is.
    Validated,
}

/// A request that broke a rule; nothing of it was accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    pub received: Timestamp,
    /// The pixel id that the request named; empty if it named none.
    pub pixel_id: String,
    pub status: StatusCode,
    pub words: String,
    /// Its events, if they could be read.
    pub events: Vec<Named>,
}

/// An event by its name and id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Named {
    /// The type, or the name of a custom event; empty if there is none.
    pub name: String,
    pub id: String,
}

impl Named {
    pub(super) fn read(event: &Value) -> Self {
        let field = |name| event.get(name).and_then(Value::as_str);
        let name = match field("type") {
            Some("custom") => field("custom_event_name"),
            other => other,
        };
        Self { name: name.unwrap_or_default().to_owned(), id: field("id").unwrap_or_default().to_owned() }
    }
}

/// Totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that arrived whole, failed on request or not.
    pub attempts: u64,
    /// Requests that failed on request.
    pub failures: u64,
    /// Requests accepted, whether or not the answer was then lost.
    pub batches: u64,
    /// Requests refused.
    pub refused: u64,
    /// Events in refused requests, as far as they could be read.
    pub refused_events: u64,
    pub stored: u64,
    pub duplicates: u64,
    pub validated: u64,
    /// Requests that have arrived whole and are not answered.
    pub in_flight: u64,
    pub max_in_flight: u64,
}

/// A wait that ended before what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut {
    pub waited: Duration,
    /// How far it got.
    pub counts: Counts,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not reached within {:?}: {:?}", self.waited, self.counts)
    }
}

impl std::error::Error for TimedOut {}

/// The memory of a stand-in.
pub(super) struct Ledger {
    records: Mutex<Records>,
    counts: watch::Sender<Counts>,
    keep: usize,
}

#[derive(Default)]
struct Records {
    next_order: u64,
    accepted: VecDeque<Arc<Accepted>>,
    refused: VecDeque<Arc<Refused>>,
    batch_sizes: VecDeque<usize>,
    /// The keys of the stored events among `accepted`.
    stored: HashSet<Key>,
}

/// What `OpenAI` deduplicates by: pixel id, then name and id of the event.
type Key = (String, Named);

impl Ledger {
    pub(super) fn new(keep: usize) -> Self {
        Self { records: Mutex::default(), counts: watch::Sender::new(Counts::default()), keep }
    }

    /// Records a batch that broke no rule; `warnings` holds those of each event.
    pub(super) fn accept(
        &self,
        pixel_id: &str,
        received: Timestamp,
        batch: Batch,
        warnings: Vec<Vec<Finding>>,
    ) -> Vec<Arc<Accepted>> {
        let mut records = self.records();
        remember(&mut records.batch_sizes, batch.events.len(), self.keep);
        let mut batch_accepted = Vec::with_capacity(batch.events.len());
        for (event, warnings) in batch.events.into_iter().zip(warnings) {
            let accepted = Arc::new(Accepted {
                order: records.next_order,
                received,
                pixel_id: pixel_id.to_owned(),
                fate: records.fate(pixel_id, &event, batch.purpose),
                integration_source: batch.integration_source.clone(),
                event,
                warnings,
            });
            records.next_order += 1;
            if let Some(forgotten) = remember(&mut records.accepted, Arc::clone(&accepted), self.keep) {
                records.forget(&forgotten);
            }
            batch_accepted.push(accepted);
        }
        drop(records);
        self.counts.send_modify(|counts| {
            counts.batches += 1;
            for accepted in &batch_accepted {
                match accepted.fate {
                    Fate::Stored => counts.stored += 1,
                    Fate::Duplicate => counts.duplicates += 1,
                    Fate::Validated => counts.validated += 1,
                }
            }
        });
        batch_accepted
    }

    pub(super) fn refuse(&self, pixel_id: &str, received: Timestamp, refusal: Refusal) -> Arc<Refused> {
        let Refusal { status, words, events } = refusal;
        let refused = Arc::new(Refused { received, pixel_id: pixel_id.to_owned(), status, words, events });
        remember(&mut self.records().refused, Arc::clone(&refused), self.keep);
        self.counts.send_modify(|counts| {
            counts.refused += 1;
            counts.refused_events += refused.events.len() as u64;
        });
        refused
    }

    /// Counts a request that has arrived whole, until the guard is dropped.
    pub(super) fn arrive(&self, course: Course) -> InFlight<'_> {
        self.counts.send_modify(|counts| {
            counts.attempts += 1;
            counts.failures += u64::from(course == Course::Failing);
            counts.in_flight += 1;
            counts.max_in_flight = counts.max_in_flight.max(counts.in_flight);
        });
        InFlight(self)
    }

    pub(super) fn accepted(&self, fate: Fate) -> Vec<Arc<Accepted>> {
        self.records().accepted.iter().filter(|accepted| accepted.fate == fate).cloned().collect()
    }

    pub(super) fn refused(&self) -> Vec<Arc<Refused>> {
        self.records().refused.iter().cloned().collect()
    }

    pub(super) fn batch_sizes(&self) -> Vec<usize> {
        self.records().batch_sizes.iter().copied().collect()
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let in_words = |accepted: &Arc<Accepted>| {
            let Named { name, id } = Named::read(&accepted.event);
            accepted.warnings.iter().map(|warning| format!("{name} {id}: {warning}")).collect::<Vec<_>>()
        };
        self.records().accepted.iter().flat_map(in_words).collect()
    }

    pub(super) fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    pub(super) async fn wait_until(
        &self,
        timeout: Duration,
        mut reached: impl FnMut(&Counts) -> bool,
    ) -> Result<Counts, TimedOut> {
        let mut counts = self.counts.subscribe();
        let outcome = match tokio::time::timeout(timeout, counts.wait_for(|counts| reached(counts))).await {
            Ok(Ok(counts)) => Some(*counts),
            Ok(Err(_)) | Err(_) => None,
        };
        outcome.ok_or_else(|| TimedOut { waited: timeout, counts: self.counts() })
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    /// What becomes of an event; a first one of its key is noted. The first delivery wins.
    fn fate(&mut self, pixel_id: &str, event: &Value, purpose: Purpose) -> Fate {
        match purpose {
            Purpose::ValidateOnly => Fate::Validated,
            Purpose::Store if self.stored.insert((pixel_id.to_owned(), Named::read(event))) => Fate::Stored,
            Purpose::Store => Fate::Duplicate,
        }
    }

    fn forget(&mut self, accepted: &Accepted) {
        if accepted.fate == Fate::Stored {
            self.stored.remove(&(accepted.pixel_id.clone(), Named::read(&accepted.event)));
        }
    }
}

/// Adds to a bounded memory; gives back what had to make room.
fn remember<T>(memory: &mut VecDeque<T>, new: T, keep: usize) -> Option<T> {
    memory.push_back(new);
    if memory.len() > keep { memory.pop_front() } else { None }
}

/// Whether a request is judged or made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    Judged,
    Failing,
}

/// A request between its arrival and its answer; dropping it ends that, also when the caller has gone.
pub(super) struct InFlight<'a>(&'a Ledger);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.counts.send_modify(|counts| counts.in_flight = counts.in_flight.saturating_sub(1));
    }
}
