//! One account's queue: what to do next, and what an answer means. A pure state machine: no I/O, no clock and no
//! randomness of its own. Takes leased calls, answers and the time; gives [`Action`]s.
//!
//! Whoever drives it asks [`Queue::next`], does what it says, tells the outcome ([`Queue::leased`],
//! [`Queue::answered`], …) and asks again. Settlements come out as an action too, always before anything else.
//!
//! - **Batching.** What is there is sent at once. While a request is in flight calls gather, and a further one is sent
//!   only when they fill a batch: large batches under load, no delay without.
//! - **Splitting.** A refused batch is halved, depth first, until the events at fault stand alone (`refusals`).
//! - **Breaker and pause.** While the gate is shut nothing stays leased, and one trial at a time goes through.
//! - **Put back, due at once.** The queue itself decides when to lease again, so nothing is put back for later and
//!   [`Queue::resume`] can cut any rest short. Only an event whose time lies ahead is held by the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
    time::Duration,
};

use crate::{
    delivery::status::State,
    outbox::{CallId, Death, DeathReason, Leased, Settlement},
    time::Timestamp,
};

use gate::{Gate, Rest, TrialSize};
use hand::Hand;
use refusals::{Belief, Refusals, Split, SplitId};

mod gate;
mod hand;
mod judge;
mod refusals;
#[cfg(test)]
mod tests;

/// While a request is in flight, how often the store is asked whether the batch in hand has become full.
const PEEK_EVERY: Duration = Duration::from_millis(25);

/// How long the store is left alone after it failed.
const STORE_REST: Duration = Duration::from_secs(1);

/// Events held for their time to come are woken in steps, so that remembering them takes little.
const HOLD_STEP: i64 = 60_000;

/// What a destination takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub max_calls: usize,
    /// Of the bodies together.
    pub max_bytes: usize,
    /// The oldest event it takes, less a margin for the way.
    pub max_age: Duration,
    /// How far ahead of now an event's time may lie, less a margin for clocks that differ.
    pub max_ahead: Duration,
    /// Requests of one account under way at once.
    pub in_flight: usize,
}

/// What to do next.
#[derive(Debug)]
pub enum Action {
    /// Settle these, and wait until that is durable.
    Settle(Vec<(CallId, Settlement)>),
    /// Take these dead letters back: it was not their fault.
    Replay(Vec<CallId>),
    /// Lease due calls and hand them to [`Queue::leased`].
    Lease { max_calls: usize, max_bytes: usize },
    /// Send this and go on asking; its answer goes to [`Queue::answered`].
    Send(Arc<Batch>),
    /// Nothing until an answer comes, `until` has come, or a call arrives if that is to be heeded.
    Wait { until: Option<Timestamp>, arrivals: Arrivals },
    /// Stopped, and nothing is in flight.
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// A call that arrives goes to [`Queue::arrived`].
    Heed,
    /// It would change nothing now; it will be found later.
    Ignore,
}

/// One request's calls.
#[derive(Clone, Debug)]
pub struct Batch {
    pub id: BatchId,
    pub calls: Vec<Leased>,
}

/// Names a batch within its queue; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BatchId(u64);

#[derive(Debug)]
pub struct Queue {
    limits: Limits,
    gate: Gate,
    /// Counts how often the gate was shut: answers to what was sent before say nothing about after.
    epoch: u64,
    hand: Hand,
    flights: BTreeMap<BatchId, Flight>,
    splits: Vec<Split>,
    refusals: Refusals,
    supply: Supply,
    /// Before it is over, the store is not asked for more while requests are in flight.
    peek_rest: Option<Rest>,
    store_rest: Option<Rest>,
    /// When events whose time lay ahead become due.
    held: BTreeSet<Timestamp>,
    settlements: Vec<(CallId, Settlement)>,
    replays: Vec<CallId>,
    course: Course,
    numbers: u64,
    trials: u32,
}

#[derive(Debug)]
struct Flight {
    batch: Arc<Batch>,
    split: Option<SplitId>,
    epoch: u64,
}

/// What is known of the store's due calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Supply {
    /// There may be some.
    Unasked,
    /// Asked since the last answer, and there were some; there may be more.
    Asked,
    /// There are none until one arrives.
    Dry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Running,
    Stopping,
}

impl Queue {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            gate: Gate::Open,
            epoch: 0,
            hand: Hand::default(),
            flights: BTreeMap::new(),
            splits: Vec::new(),
            refusals: Refusals::default(),
            supply: Supply::Unasked,
            peek_rest: None,
            store_rest: None,
            held: BTreeSet::new(),
            settlements: Vec::new(),
            replays: Vec::new(),
            course: Course::Running,
            numbers: 0,
            trials: 0,
        }
    }

    /// What to do next.
    pub fn next(&mut self, now: Timestamp) -> Action {
        if !self.settlements.is_empty() {
            return Action::Settle(mem::take(&mut self.settlements));
        }
        if let Some(rest) = self.store_rest {
            if !rest.is_over(now) {
                return Action::Wait { until: Some(rest.until), arrivals: Arrivals::Ignore };
            }
            self.store_rest = None;
        }
        if !self.replays.is_empty() {
            self.arrived();
            return Action::Replay(mem::take(&mut self.replays));
        }
        if self.course == Course::Stopping {
            return match self.flights.is_empty() {
                true => Action::Done,
                false => Action::Wait { until: None, arrivals: Arrivals::Ignore },
            };
        }
        while self.held.first().is_some_and(|due| *due <= now) {
            self.held.pop_first();
            self.supply = Supply::Unasked;
        }
        match &self.gate {
            Gate::Open => self.next_open(now),
            Gate::Shut(shut) if shut.trial.is_some() => Action::Wait { until: None, arrivals: Arrivals::Ignore },
            Gate::Shut(shut) if !shut.rest.is_over(now) => {
                Action::Wait { until: Some(shut.rest.until), arrivals: Arrivals::Ignore }
            }
            Gate::Shut(shut) => {
                let (size, window) = (shut.trial_size(), shut.window(&self.limits));
                self.next_trial(size, window, now)
            }
        }
    }

    /// What the store gave; nothing means that nothing is due.
    pub fn leased(&mut self, calls: Vec<Leased>, now: Timestamp) {
        if calls.is_empty() {
            self.supply = Supply::Dry;
            if self.flights.is_empty() && self.hand.is_empty() {
                self.refusals.forget();
            }
        } else if self.course == Course::Stopping {
            self.put_back(calls);
        } else {
            self.supply = Supply::Asked;
            self.hand.add(calls);
            let full = self.hand.is_full(&self.limits);
            self.peek_rest = (!full).then(|| Rest::lasting(now, PEEK_EVERY));
        }
    }

    /// A call may have become due.
    pub fn arrived(&mut self) {
        if self.supply == Supply::Dry {
            self.supply = Supply::Unasked;
        }
    }

    /// A person says that the cause is mended: the next trial is due now.
    pub fn resume(&mut self, now: Timestamp) {
        if let Gate::Shut(shut) = &mut self.gate {
            shut.rest = Rest::lasting(now, Duration::ZERO);
        }
    }

    /// Lease nothing more, put back what is not in flight.
    pub fn stop(&mut self) {
        self.course = Course::Stopping;
        self.release();
    }

    /// The store could not lease.
    pub fn store_failed(&mut self, now: Timestamp) {
        self.store_rest = Some(Rest::lasting(now, STORE_REST));
    }

    /// The store could not take these dead letters back; they will be asked for again.
    pub fn not_replayed(&mut self, calls: Vec<CallId>, now: Timestamp) {
        self.replays.extend(calls);
        self.store_failed(now);
    }

    pub fn state(&self) -> State {
        self.gate.state()
    }

    /// Every call that is leased, for stores whose leases run out.
    pub fn leases(&self) -> Vec<CallId> {
        let flying = self.flights.values().flat_map(|flight| &flight.batch.calls);
        flying.chain(self.hand.iter()).chain(self.splits.iter().flat_map(Split::iter)).map(|call| call.id).collect()
    }

    fn next_open(&mut self, now: Timestamp) -> Action {
        if self.flights.len() < self.limits.in_flight {
            let part = self.splits.iter_mut().find_map(|split| Some((split.id, split.next_part()?)));
            if let Some((split, part)) = part {
                return self.launch(part, Some(split), now);
            }
            if self.hand_is_ripe() {
                let calls = self.hand.take_batch(&self.limits);
                return self.launch(calls, None, now);
            }
            if self.wants_more(now) {
                let (max_calls, max_bytes) = self.hand.room(&self.limits);
                return Action::Lease { max_calls, max_bytes };
            }
        }
        self.wait_open()
    }

    /// With nothing in flight a batch goes as it is, once the store was asked what else there is.
    fn hand_is_ripe(&self) -> bool {
        let full = self.hand.is_full(&self.limits);
        !self.hand.is_empty() && (full || (self.flights.is_empty() && self.supply != Supply::Unasked))
    }

    fn wants_more(&self, now: Timestamp) -> bool {
        self.supply != Supply::Dry && (self.flights.is_empty() || self.peek_rest.is_none_or(|rest| rest.is_over(now)))
    }

    fn wait_open(&self) -> Action {
        let no_use = self.flights.len() >= self.limits.in_flight;
        match self.supply {
            _ if no_use => Action::Wait { until: None, arrivals: Arrivals::Ignore },
            Supply::Dry => Action::Wait { until: self.held.first().copied(), arrivals: Arrivals::Heed },
            Supply::Unasked | Supply::Asked => {
                Action::Wait { until: self.peek_rest.map(|rest| rest.until), arrivals: Arrivals::Ignore }
            }
        }
    }

    fn next_trial(&mut self, size: TrialSize, window: usize, now: Timestamp) -> Action {
        if self.hand.is_empty() {
            return match self.supply {
                Supply::Dry => Action::Wait { until: self.held.first().copied(), arrivals: Arrivals::Heed },
                Supply::Unasked | Supply::Asked => {
                    Action::Lease { max_calls: window, max_bytes: self.limits.max_bytes }
                }
            };
        }
        let leased = match size {
            TrialSize::One => self.hand.take_all(),
            TrialSize::Batch => self.hand.take_batch(&self.limits),
        };
        let mut calls = self.sift(leased, now);
        if size == TrialSize::One && !calls.is_empty() {
            let chosen = calls.swap_remove(self.choose(&calls));
            self.put_back(mem::replace(&mut calls, vec![chosen]));
        }
        let rest = self.hand.take_all();
        self.put_back(rest);
        self.launch(calls, None, now)
    }

    /// Which call to try alone: another at every trial, spread evenly over those there are (multiples of the golden
    /// ratio), and none that was refused before while there are others.
    fn choose(&mut self, calls: &[Leased]) -> usize {
        let innocent = |call: &Leased| !self.refusals.is_accused(call.id);
        let mut candidates: Vec<usize> = (0..calls.len()).filter(|i| calls.get(*i).is_some_and(innocent)).collect();
        if candidates.is_empty() {
            candidates = (0..calls.len()).collect();
        }
        let share = u64::from(self.trials.wrapping_mul(0x9E37_79B9));
        self.trials = self.trials.wrapping_add(1);
        let nth = usize::try_from((share * candidates.len() as u64) >> 32).unwrap_or(0);
        candidates.get(nth).copied().unwrap_or(0)
    }

    /// Sends what may be sent of these calls. If that is nothing, what became of them instead is to be settled.
    fn launch(&mut self, calls: Vec<Leased>, split: Option<SplitId>, now: Timestamp) -> Action {
        let calls = self.sift(calls, now);
        if calls.is_empty() {
            if self.end_part(split) == Belief::TheAccount {
                self.pause_refused(None, "every event of a batch was refused alike", None, now);
            }
            return self.next(now);
        }
        let id = BatchId(self.number());
        if let Gate::Shut(shut) = &mut self.gate {
            shut.trial = Some(id);
        }
        let batch = Arc::new(Batch { id, calls });
        self.flights.insert(id, Flight { batch: Arc::clone(&batch), split, epoch: self.epoch });
        Action::Send(batch)
    }

    /// Takes out what the destination would not accept for its time alone, so that it never costs a batch.
    fn sift(&mut self, mut calls: Vec<Leased>, now: Timestamp) -> Vec<Leased> {
        let (oldest, newest) = (now.minus(self.limits.max_age), now.plus(self.limits.max_ahead));
        calls.retain(|call| {
            let time = call.event.time;
            if time < oldest {
                let death = Death { reason: DeathReason::TooOld, status: None, words: too_old(time, now), at: now };
                self.settlements.push((call.id, Settlement::Dead(death)));
            } else if time > newest {
                let due = time.minus(self.limits.max_ahead).0;
                let at = Timestamp(due.saturating_add(HOLD_STEP - due.rem_euclid(HOLD_STEP)));
                self.held.insert(at);
                self.settlements.push((call.id, Settlement::Retry { at }));
            }
            oldest <= time && time <= newest
        });
        calls
    }

    fn shut(&mut self, gate: Gate) {
        self.gate = gate;
        self.epoch += 1;
        self.release();
    }

    fn open(&mut self) {
        self.gate = Gate::Open;
        self.supply = Supply::Unasked;
    }

    /// Puts back everything that is not in flight, and the dead of splits that now cannot be followed to their end.
    fn release(&mut self) {
        let in_hand = self.hand.take_all();
        self.put_back(in_hand);
        for split in mem::take(&mut self.splits) {
            let (parts, doubtful) = split.abandon();
            self.put_back(parts);
            self.refusals.withdraw(&doubtful);
            self.replays.extend(doubtful);
        }
        self.replays.sort_unstable();
        self.replays.dedup();
    }

    fn put_back(&mut self, calls: impl IntoIterator<Item = Leased>) {
        let before = self.settlements.len();
        self.settlements.extend(calls.into_iter().map(|call| (call.id, Settlement::PutBack)));
        if self.settlements.len() > before {
            // They became due again without the store's saying so.
            self.arrived();
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}

fn too_old(time: Timestamp, now: Timestamp) -> String {
    let hours = now.since(time).as_secs() / 3600;
    format!("the event happened {hours} hours ago, longer than the destination accepts")
}
