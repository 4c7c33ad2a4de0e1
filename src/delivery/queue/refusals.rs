//! Is it the event, or is it the account? Takes each refusal and success, tells when refusals stop being believable.
//!
//! A destination that refuses single events for what is in them accepts others. One that refuses everything in the same
//! words means something else: a revoked permission, a changed schema, a proxy in between. So a single event that is
//! refused dies, but the dead of a *run* (refused alike, nothing accepted in between) are taken back when the run grows
//! long, and those of a [`Split`] when every last one of its events ended alike.

use std::collections::HashSet;

use crate::{
    delivery::answer::Answer,
    outbox::{CallId, Leased},
};

/// So many single events refused alike in a row are not the events' fault.
const RUN: usize = 8;

/// How far that number may rise for an account that is known to have many bad events.
const LONGEST_RUN: usize = 1_024;

/// A run of letters, digits and hyphens at least this long with a digit in it is an id, not a word.
const ID_LENGTH: usize = 8;

#[derive(Debug)]
pub struct Refusals {
    /// Dead letters since the last success, all refused alike.
    run: Option<Run>,
    /// The run that is believed. Doubles when a pause turned out to be the events' fault after all, so that a site with
    /// many bad events makes progress; back to [`RUN`] when a batch is accepted as it is.
    patience: usize,
    /// Refused alone and taken back when the account was paused. Trials avoid them.
    accused: HashSet<CallId>,
    /// Accused, and then another event was accepted: the next refusal of one is final and speaks for itself alone.
    convicted: HashSet<CallId>,
}

#[derive(Debug)]
struct Run {
    print: Fingerprint,
    calls: Vec<CallId>,
}

/// Whether a run of refusals is still believed to be the events' fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belief {
    TheEvents,
    TheAccount,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { run: None, patience: RUN, accused: HashSet::new(), convicted: HashSet::new() }
    }
}

impl Refusals {
    /// One event was refused on its own.
    pub fn refused(&mut self, call: CallId, print: &Fingerprint) -> Belief {
        let calls = match &mut self.run {
            Some(run) if run.print == *print => &mut run.calls,
            run => &mut run.insert(Run { print: print.clone(), calls: Vec::new() }).calls,
        };
        // A dead letter that a person replayed in vain is no further evidence.
        if !calls.contains(&call) {
            calls.push(call);
        }
        if calls.len() >= self.patience { Belief::TheAccount } else { Belief::TheEvents }
    }

    /// Something of the account was accepted: what died before stays dead.
    pub fn accepted(&mut self, calls: &[Leased]) {
        self.run = None;
        for call in calls {
            self.accused.remove(&call.id);
            self.convicted.remove(&call.id);
        }
    }

    /// A batch was accepted without having been split.
    pub fn accepted_whole(&mut self) {
        self.patience = RUN;
    }

    /// A trial was accepted: the account works, so the accused have themselves to blame.
    pub fn convict(&mut self) {
        if !self.accused.is_empty() {
            self.convicted.extend(self.accused.drain());
            self.patience = (self.patience * 2).min(LONGEST_RUN);
        }
    }

    /// Whether this refusal is final; asking forgets it.
    pub fn take_convicted(&mut self, call: CallId) -> bool {
        self.convicted.remove(&call)
    }

    pub fn accuse(&mut self, calls: impl IntoIterator<Item = CallId>) {
        self.accused.extend(calls);
    }

    pub fn is_accused(&self, call: CallId) -> bool {
        self.accused.contains(&call)
    }

    /// Ends the run and gives its calls.
    pub fn take_run(&mut self) -> Vec<CallId> {
        self.run.take().map_or_else(Vec::new, |run| run.calls)
    }

    /// Calls that are no longer dead no longer count.
    pub fn withdraw(&mut self, revived: &[CallId]) {
        if let Some(run) = &mut self.run {
            run.calls.retain(|call| !revived.contains(call));
        }
    }

    /// Nothing is left to be delivered, so nobody is left to remember.
    pub fn forget(&mut self) {
        self.accused.clear();
        self.convicted.clear();
    }
}

/// A refused batch on its way down to the events at fault, depth first, one request at a time.
#[derive(Debug)]
pub struct Split {
    pub id: SplitId,
    /// What is still to be sent; the next part is last.
    parts: Vec<Vec<Leased>>,
    flight: PartInFlight,
    doubt: Doubt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitId(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartInFlight {
    None,
    One,
}

/// What is known of a split's dead.
#[derive(Debug)]
enum Doubt {
    /// Nothing of the account was accepted since the batch was first refused, and all these were refused alike.
    Open { print: Option<Fingerprint>, dead: Vec<CallId> },
    /// They are at fault.
    Resolved,
}

impl Split {
    pub fn new(id: SplitId) -> Self {
        let doubt = Doubt::Open { print: None, dead: Vec::new() };
        Self { id, parts: Vec::new(), flight: PartInFlight::None, doubt }
    }

    /// Halves a refused part of two or more.
    pub fn halve(&mut self, mut calls: Vec<Leased>) {
        let right = calls.split_off(calls.len().div_ceil(2));
        self.parts.push(right);
        self.parts.push(calls);
    }

    /// The next part to send, unless one is on its way.
    pub fn next_part(&mut self) -> Option<Vec<Leased>> {
        if self.flight == PartInFlight::One {
            return None;
        }
        let part = self.parts.pop()?;
        self.flight = PartInFlight::One;
        Some(part)
    }

    pub fn part_done(&mut self) {
        self.flight = PartInFlight::None;
    }

    pub fn is_done(&self) -> bool {
        self.flight == PartInFlight::None && self.parts.is_empty()
    }

    /// One of its events was refused on its own.
    pub fn refused(&mut self, call: CallId, print: &Fingerprint) {
        if let Doubt::Open { print: first, dead } = &mut self.doubt {
            if first.get_or_insert_with(|| print.clone()) == print {
                dead.push(call);
            } else {
                self.doubt = Doubt::Resolved;
            }
        }
    }

    /// Something of the account was accepted.
    pub fn accepted(&mut self) {
        self.doubt = Doubt::Resolved;
    }

    /// At the end: whether all its events were refused alike. One alone proves nothing.
    pub fn belief(&self) -> Belief {
        match &self.doubt {
            Doubt::Open { dead, .. } if self.is_done() && dead.len() >= 2 => Belief::TheAccount,
            Doubt::Open { .. } | Doubt::Resolved => Belief::TheEvents,
        }
    }

    /// Gives up on the way: what is still to be sent, and the dead of whom it is not known whether it was their fault.
    pub fn abandon(self) -> (impl Iterator<Item = Leased>, Vec<CallId>) {
        let doubtful = match self.doubt {
            Doubt::Open { dead, .. } => dead,
            Doubt::Resolved => Vec::new(),
        };
        (self.parts.into_iter().rev().flatten(), doubtful)
    }

    /// The calls still to be sent.
    pub fn iter(&self) -> impl Iterator<Item = &Leased> {
        self.parts.iter().flatten()
    }
}

/// What makes two refusals the same: the status, and the words without what differs from event to event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    status: Option<u16>,
    words: String,
}

impl Fingerprint {
    /// Leaves out the event's own id, ids in general (the request's, say) and digits.
    pub fn of(answer: &Answer, call: &Leased) -> Self {
        if let Answer::Refused { status: status @ Some(401 | 403..=412 | 414..=421 | 423..), .. } = answer {
            // At any host, what tells refusals apart is the status: the words often repeat the address.
            return Self { status: *status, words: String::new() };
        }
        let id = &*call.event.id;
        // A short id may be part of any word.
        let words = if id.len() >= ID_LENGTH { answer.words().replace(id, "#") } else { answer.words().to_owned() };
        let mut folded = String::with_capacity(words.len());
        for token in words.split_inclusive(|c: char| !is_id_character(c)) {
            let end = token.trim_end_matches(|c| !is_id_character(c));
            if end.len() >= ID_LENGTH && end.bytes().any(|b| b.is_ascii_digit()) {
                folded.push('#');
            } else {
                folded.extend(end.chars().filter(|c| !c.is_ascii_digit()));
            }
            folded.push_str(token.get(end.len()..).unwrap_or_default());
        }
        Self { status: answer.status(), words: folded }
    }
}

fn is_id_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}
