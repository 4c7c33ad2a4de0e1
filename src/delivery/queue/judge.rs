//! What an answer means: settlements for its calls, and for the account whether it may go on sending.

use std::sync::Arc;

use crate::{
    delivery::{
        answer::{Answer, Verdict},
        queue::{
            BatchId, Course, Flight, Queue, Supply,
            gate::{Cause, Gate, Shut},
            refusals::{Belief, Fingerprint, Split, SplitId},
        },
        status::{Pause, PauseReason},
    },
    outbox::{Death, DeathReason, Leased, Settlement},
    time::Timestamp,
};

/// How an answer stands to the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Sent through the open gate, and it has not been shut since.
    Regular,
    /// The trial that decides about the shut gate.
    Trial,
    /// Sent before the gate was last shut.
    Straggler,
}

impl Queue {
    /// What came of a batch. `random` lies in `0..1` and spreads retries.
    pub fn answered(&mut self, batch: BatchId, answer: &Answer, now: Timestamp, random: f64) {
        let Some(flight) = self.flights.remove(&batch) else { return };
        if self.supply == Supply::Asked {
            self.supply = Supply::Unasked;
        }
        let standing = self.standing(batch, &flight);
        match answer.verdict() {
            Verdict::Accepted => self.accepted(&flight, standing),
            Verdict::Refused | Verdict::TooLarge => self.refused(flight, standing, answer, now),
            Verdict::Passing => self.failed(&flight, standing, answer, now, random),
            Verdict::Barred => self.barred(flight, standing, answer, now),
        }
        if self.course == Course::Stopping {
            self.release();
        }
    }

    fn standing(&mut self, batch: BatchId, flight: &Flight) -> Standing {
        match &mut self.gate {
            Gate::Shut(shut) if shut.trial == Some(batch) => {
                shut.trial = None;
                Standing::Trial
            }
            Gate::Open if flight.epoch == self.epoch => Standing::Regular,
            Gate::Open | Gate::Shut(_) => Standing::Straggler,
        }
    }

    fn accepted(&mut self, flight: &Flight, standing: Standing) {
        let calls = &flight.batch.calls;
        self.settlements.extend(calls.iter().map(|call| (call.id, Settlement::Delivered)));
        self.refusals.accepted(calls);
        self.splits.iter_mut().for_each(Split::accepted);
        // Never the account's fault now: something was just accepted.
        self.end_part(flight.split);
        match standing {
            Standing::Trial => {
                self.refusals.convict();
                self.open();
            }
            Standing::Regular if flight.split.is_none() => self.refusals.accepted_whole(),
            Standing::Regular | Standing::Straggler => {}
        }
    }

    fn refused(&mut self, flight: Flight, standing: Standing, answer: &Answer, now: Timestamp) {
        let Flight { batch, split, .. } = flight;
        let mut calls = Arc::unwrap_or_clone(batch).calls;
        match (standing, &mut self.gate) {
            // Others of its kind were put back when the gate was shut; it goes with them.
            (Standing::Straggler, _) => return self.put_back(calls),
            (Standing::Trial, Gate::Shut(Shut { cause: Cause::Pause(pause), .. }))
                if pause.reason == PauseReason::RefusedAlike =>
            {
                self.refusals.accuse(calls.iter().map(|call| call.id));
                return self.still_paused(calls, reason_for(PauseReason::RefusedAlike, answer), now);
            }
            // The account answers for single events again.
            (Standing::Trial, _) => self.open(),
            (Standing::Regular, _) => {}
        }
        match calls.pop() {
            Some(call) if calls.is_empty() => self.refused_alone(call, split, answer, now),
            last => {
                calls.extend(last);
                self.halve(calls, split);
            }
        }
    }

    fn halve(&mut self, calls: Vec<Leased>, split: Option<SplitId>) {
        if let Some(split) = self.splits.iter_mut().find(|known| Some(known.id) == split) {
            split.part_done();
            return split.halve(calls);
        }
        let mut split = Split::new(SplitId(self.number()));
        split.halve(calls);
        self.splits.push(split);
    }

    fn refused_alone(&mut self, call: Leased, split: Option<SplitId>, answer: &Answer, now: Timestamp) {
        let mut belief = Belief::TheEvents;
        if !self.refusals.take_convicted(call.id) {
            let print = Fingerprint::of(answer, &call);
            belief = self.refusals.refused(call.id, &print);
            if let Some(split) = self.splits.iter_mut().find(|known| Some(known.id) == split) {
                split.refused(call.id, &print);
            }
        }
        if self.end_part(split) == Belief::TheAccount || belief == Belief::TheAccount {
            return self.pause_refused(Some(call), answer.words(), answer.status(), now);
        }
        let reason = match answer.verdict() {
            Verdict::TooLarge => DeathReason::TooLarge,
            _ => DeathReason::Refused,
        };
        let death = Death { reason, status: answer.status(), words: answer.words().to_owned(), at: now };
        self.settlements.push((call.id, Settlement::Dead(death)));
    }

    /// A split's part has had its answer. Says what to believe if it was the last.
    pub(super) fn end_part(&mut self, split: Option<SplitId>) -> Belief {
        let Some(at) = self.splits.iter().position(|known| Some(known.id) == split) else { return Belief::TheEvents };
        let Some(split) = self.splits.get_mut(at) else { return Belief::TheEvents };
        split.part_done();
        let belief = split.belief();
        // One that ended in doubt stays until the pause has taken its dead back.
        if split.is_done() && belief == Belief::TheEvents {
            self.splits.remove(at);
        }
        belief
    }

    fn failed(&mut self, flight: &Flight, standing: Standing, answer: &Answer, now: Timestamp, random: f64) {
        // When to go on is for the gate to say; a time of its own would hold the call up where the clock is set back.
        let retry = |call: &Leased| (call.id, Settlement::Retry { at: Timestamp::default() });
        self.settlements.extend(flight.batch.calls.iter().map(retry));
        let retry_after = answer.retry_after();
        match (standing, &mut self.gate) {
            (Standing::Regular, _) => self.shut(Gate::outage(now, retry_after, random)),
            (Standing::Trial, Gate::Shut(shut)) => shut.trial_failed(now, retry_after, random),
            (Standing::Straggler, Gate::Shut(shut)) => {
                if let Some(retry_after) = retry_after {
                    shut.extend(now, retry_after);
                }
            }
            (Standing::Trial | Standing::Straggler, Gate::Open) => {}
        }
        // It became due again without the store's saying so.
        self.arrived();
    }

    fn barred(&mut self, flight: Flight, standing: Standing, answer: &Answer, now: Timestamp) {
        let calls = Arc::unwrap_or_clone(flight.batch).calls;
        let pause = barred_for(answer);
        match standing {
            Standing::Straggler if self.gate.is_paused() => self.put_back(calls),
            Standing::Trial if self.gate.is_paused() => self.still_paused(calls, pause, now),
            Standing::Regular | Standing::Trial | Standing::Straggler => {
                self.put_back(calls);
                self.shut(Gate::pause(now, pause));
            }
        }
    }

    fn still_paused(&mut self, calls: Vec<Leased>, pause: Pause, now: Timestamp) {
        self.put_back(calls);
        if let Gate::Shut(shut) = &mut self.gate {
            shut.trial_barred(now, pause);
        }
    }

    /// Everything was refused alike: takes the dead of the run back, and `last`, which has not died yet.
    pub(super) fn pause_refused(&mut self, last: Option<Leased>, words: &str, status: Option<u16>, now: Timestamp) {
        let last_id = last.as_ref().map(|call| call.id);
        let run = self.refusals.take_run();
        self.replays.extend(run.iter().filter(|id| Some(**id) != last_id));
        self.refusals.accuse(run.into_iter().chain(last_id));
        self.put_back(last);
        self.shut(Gate::pause(now, Pause { reason: PauseReason::RefusedAlike, status, words: words.to_owned() }));
        // A split's dead are put back by the shutting.
        self.replays.retain(|id| Some(*id) != last_id);
        self.refusals.accuse(self.replays.iter().copied());
    }
}

fn barred_for(answer: &Answer) -> Pause {
    let reason = match answer.status() {
        None => PauseReason::NoKey,
        Some(401) => PauseReason::Unauthorized,
        Some(403) => PauseReason::Forbidden,
        Some(404) => PauseReason::NotFound,
        Some(_) => PauseReason::Unexpected,
    };
    reason_for(reason, answer)
}

fn reason_for(reason: PauseReason, answer: &Answer) -> Pause {
    Pause { reason, status: answer.status(), words: answer.words().to_owned() }
}
