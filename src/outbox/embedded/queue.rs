//! One account's pending calls, in memory: which are due, which wait, which are leased, and where the part begins that
//! only the file knows. Takes what the writer made durable and what a read brought back; gives leases, oldest first.
//!
//! Every pending call is in exactly one of these places:
//!
//! - `due`: with its body, ready to be leased. Calls come here straight from their commit.
//! - `unread`: due, but its body is in the file only: a call that was put back, replayed, or whose retry is due.
//! - `delayed`: waits for its retry.
//! - `leased`: in the hands of a delivery.
//! - the tail, `tail` and then `newer`: calls that did not fit into memory, as ranges of ids. They are younger than
//!   every call in the other places, so oldest first holds when the tail is read only after them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::Notify;

use super::CALL_OVERHEAD;
use crate::{
    call::Account,
    outbox::{AccountState, CallId, Leased, Settlement},
    time::Timestamp,
};

pub(super) struct Queue {
    account: Arc<Account>,
    arrival: Arc<Notify>,
    dead: u64,
    due: BTreeMap<CallId, Leased>,
    /// Of the bodies in `due`.
    due_bytes: usize,
    unread: BTreeMap<CallId, Timestamp>,
    delayed: BTreeMap<CallId, Delayed>,
    retries: BTreeSet<(Timestamp, CallId)>,
    leased: BTreeMap<CallId, Timestamp>,
    /// What the next read works through.
    tail: Option<Span>,
    /// What was accepted behind the tail since the last read began.
    newer: Option<Span>,
}

struct Delayed {
    at: Timestamp,
    accepted: Timestamp,
}

/// Calls of one account that only the file holds; calls of others may lie between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub first: CallId,
    /// When the first was accepted.
    pub accepted: Timestamp,
    pub last: CallId,
    pub count: u64,
}

/// What a lease lacks and the file has.
#[derive(Debug)]
pub(super) struct Shortage {
    /// Single calls, oldest first.
    pub unread: Vec<CallId>,
    /// Then the tail's beginning.
    pub tail: Option<Span>,
}

/// What a read brought back for a [`Shortage`].
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub calls: Vec<Leased>,
    /// Unread calls that the file does not have: someone else deleted them.
    pub missing: Vec<CallId>,
    /// The first call of the tail that was not read, if there is one, and when it was accepted.
    pub rest: Option<(CallId, Timestamp)>,
    /// How many of `calls` are the tail's.
    pub from_tail: u64,
}

/// What became of an attempt to take a call away from deliveries.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Withdrawal {
    /// Nobody else can have it now.
    Held,
    /// It is in the tail, which only a read under the reader's lock can change.
    InTail,
    Leased,
}

impl Queue {
    pub fn new(account: Arc<Account>, arrival: Arc<Notify>) -> Self {
        Self {
            account,
            arrival,
            dead: 0,
            due: BTreeMap::new(),
            due_bytes: 0,
            unread: BTreeMap::new(),
            delayed: BTreeMap::new(),
            retries: BTreeSet::new(),
            leased: BTreeMap::new(),
            tail: None,
            newer: None,
        }
    }

    /// A queue as it is after opening the file: everything is due, and in the file only.
    pub fn restored(account: Arc<Account>, arrival: Arc<Notify>, pending: Option<Span>, dead: u64) -> Self {
        Self { tail: pending, dead, ..Self::new(account, arrival) }
    }

    pub fn arrival(&self) -> Arc<Notify> {
        Arc::clone(&self.arrival)
    }

    pub fn state(&self) -> AccountState {
        let known = self.due.len() + self.unread.len() + self.delayed.len() + self.leased.len();
        let unknown: u64 = [self.tail, self.newer].iter().flatten().map(|span| span.count).sum();
        AccountState {
            account: Arc::clone(&self.account),
            pending: known as u64 + unknown,
            dead: self.dead,
            oldest: self.oldest(),
        }
    }

    /// When the pending call with the lowest id was accepted.
    fn oldest(&self) -> Option<Timestamp> {
        let firsts = [
            self.due.first_key_value().map(|(id, call)| (*id, call.accepted)),
            self.unread.first_key_value().map(|(id, accepted)| (*id, *accepted)),
            self.delayed.first_key_value().map(|(id, delayed)| (*id, delayed.accepted)),
            self.leased.first_key_value().map(|(id, accepted)| (*id, *accepted)),
            self.tail.map(|span| (span.first, span.accepted)),
            self.newer.map(|span| (span.first, span.accepted)),
        ];
        firsts.into_iter().flatten().min_by_key(|(id, _)| *id).map(|(_, accepted)| accepted)
    }

    /// What the bodies in memory weigh against the read-ahead bound.
    pub fn resident(&self) -> usize {
        self.due_bytes + self.due.len() * CALL_OVERHEAD
    }

    /// Whether a new call may be kept in memory without overtaking older ones.
    pub fn is_all_known(&self) -> bool {
        self.tail.is_none() && self.newer.is_none()
    }

    /// Adds a call that was just made durable, to be kept in memory.
    pub fn push(&mut self, call: Leased) {
        self.due_bytes += call.body.len();
        self.due.insert(call.id, call);
    }

    /// Adds a call that was just made durable and stays in the file.
    pub fn push_unknown(&mut self, id: CallId, accepted: Timestamp) {
        match &mut self.newer {
            Some(span) => {
                span.last = id;
                span.count += 1;
            }
            None => self.newer = Some(Span { first: id, accepted, last: id, count: 1 }),
        }
    }

    /// Makes retries due whose time has come.
    pub fn promote(&mut self, now: Timestamp) {
        while let Some(&(at, id)) = self.retries.first()
            && at <= now
        {
            self.retries.pop_first();
            if let Some(delayed) = self.delayed.remove(&id) {
                self.unread.insert(id, delayed.accepted);
            }
        }
    }

    /// Whether a lease of this size should read from the file first.
    pub fn is_short(&self, max_calls: usize, max_bytes: usize) -> bool {
        !self.unread.is_empty() || self.needs_tail(max_calls, max_bytes)
    }

    fn needs_tail(&self, max_calls: usize, max_bytes: usize) -> bool {
        self.due.len() < max_calls && self.due_bytes < max_bytes && !self.is_all_known()
    }

    /// Begins a read for a lease of this size. Only one may be under way at a time.
    pub fn begin_read(&mut self, max_calls: usize, max_bytes: usize) -> Option<Shortage> {
        if !self.is_short(max_calls, max_bytes) {
            return None;
        }
        self.join_tail();
        let tail = self.tail.filter(|_| self.needs_tail(max_calls, max_bytes));
        Some(Shortage { unread: self.unread.keys().copied().take(max_calls).collect(), tail })
    }

    /// Makes the whole tail one span; not while a read is under way.
    fn join_tail(&mut self) {
        self.tail = match (self.tail, self.newer.take()) {
            (Some(tail), Some(newer)) => Some(Span { last: newer.last, count: tail.count + newer.count, ..tail }),
            (tail, newer) => tail.or(newer),
        };
    }

    /// Ends the read that [`Queue::begin_read`] began.
    pub fn end_read(&mut self, shortage: &Shortage, reading: Reading) {
        for id in &reading.missing {
            self.unread.remove(id);
        }
        for call in reading.calls {
            self.unread.remove(&call.id);
            self.push(call);
        }
        if let Some(tail) = shortage.tail {
            self.tail = reading.rest.map(|(first, accepted)| {
                // A tail with a rest has at least that one call, whatever others did to the file.
                Span { first, accepted, count: tail.count.saturating_sub(reading.from_tail).max(1), ..tail }
            });
        }
    }

    /// Leases due calls, oldest first, as far as they are in memory.
    pub fn take(&mut self, max_calls: usize, max_bytes: usize) -> Vec<Leased> {
        let fence = self.unread.first_key_value().map(|(id, _)| *id);
        let mut taken = Vec::with_capacity(max_calls.min(self.due.len()));
        let mut bytes = 0;
        while taken.len() < max_calls
            && let Some(first) = self.due.first_entry()
        {
            let size = first.get().body.len();
            let fits = taken.is_empty() || bytes + size <= max_bytes;
            if !fits || fence.is_some_and(|fence| *first.key() > fence) {
                break;
            }
            let call = first.remove();
            bytes += size;
            self.leased.insert(call.id, call.accepted);
            taken.push(call);
        }
        self.due_bytes -= bytes;
        taken
    }

    /// Ends a lease, or a withdrawal, as the file now has it.
    pub fn settle(&mut self, id: CallId, settlement: &Settlement) {
        let Some(accepted) = self.leased.remove(&id) else { return };
        match settlement {
            Settlement::Delivered => {}
            Settlement::Retry { at } => {
                self.delayed.insert(id, Delayed { at: *at, accepted });
                self.retries.insert((*at, id));
            }
            Settlement::PutBack => {
                self.unread.insert(id, accepted);
            }
            Settlement::Dead(_) => self.dead += 1,
        }
    }

    /// Puts a dead letter back among the pending calls; not while a read is under way.
    pub fn replay(&mut self, id: CallId, accepted: Timestamp) {
        self.dead = self.dead.saturating_sub(1);
        self.join_tail();
        match &mut self.tail {
            // A read of the tail will come past it: it lies in the file among the tail's calls.
            Some(tail) if id > tail.first => {
                tail.last = tail.last.max(id);
                tail.count += 1;
            }
            _ => {
                self.unread.insert(id, accepted);
            }
        }
    }

    /// Keeps a pending call from being leased, so that it can be deleted. End it with [`Queue::settle`].
    pub fn withdraw(&mut self, id: CallId) -> Withdrawal {
        if self.leased.contains_key(&id) {
            return Withdrawal::Leased;
        }
        let accepted = if let Some(call) = self.due.remove(&id) {
            self.due_bytes -= call.body.len();
            call.accepted
        } else if let Some(accepted) = self.unread.remove(&id) {
            accepted
        } else if let Some(delayed) = self.delayed.remove(&id) {
            self.retries.remove(&(delayed.at, id));
            delayed.accepted
        } else {
            return Withdrawal::InTail;
        };
        self.leased.insert(id, accepted);
        Withdrawal::Held
    }

    /// Forgets dead letters that were deleted.
    pub fn forget_dead(&mut self, count: u64) {
        self.dead = self.dead.saturating_sub(count);
    }

    /// The tail as one span; not while a read is under way.
    pub fn whole_tail(&mut self) -> Option<Span> {
        self.join_tail();
        self.tail
    }

    /// Replaces what [`Queue::whole_tail`] gave.
    pub fn set_tail(&mut self, tail: Option<Span>) {
        self.tail = tail;
    }
}
