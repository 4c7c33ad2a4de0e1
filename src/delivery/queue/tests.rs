//! Drives the queue by hand against a simulated store and destination. Time moves only when the queue waits.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    call::CallEvent,
    delivery::{
        answer::Answer,
        status::{Pause, PauseReason},
    },
    hit::HitId,
};

const START: Timestamp = Timestamp(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

const LIMITS: Limits = Limits {
    max_calls: 1_000,
    max_bytes: 4_000_000,
    max_age: Duration::from_secs(7 * 24 * 3600 - 600),
    max_ahead: Duration::from_secs(540),
    in_flight: 4,
};

#[derive(Clone, Debug, PartialEq)]
enum Kept {
    Due(Timestamp),
    Leased,
    Dead(Death),
    Delivered,
}

/// A store, a clock and a wire around the queue. Fails the test when a rule that always holds is broken.
struct World {
    queue: Queue,
    now: Timestamp,
    calls: BTreeMap<CallId, (Leased, Kept)>,
    /// Sent and not answered.
    wire: Vec<Arc<Batch>>,
    /// Every request: when, and which calls.
    sent: Vec<(Timestamp, Vec<CallId>)>,
    /// How the queue wanted to wait when it last had nothing to do.
    waiting: Option<(Option<Timestamp>, Arrivals)>,
    random: f64,
}

fn http(status: u16, words: &str) -> Answer {
    Answer::Http { status, words: words.to_owned(), retry_after: None }
}

fn retry_after(status: u16, seconds: u64) -> Answer {
    Answer::Http { status, words: String::new(), retry_after: Some(Duration::from_secs(seconds)) }
}

/// A destination that refuses a batch when one of these is in it.
fn refusing(bad: &[u64]) -> impl FnMut(&Batch) -> Answer {
    let bad = bad.to_vec();
    move |batch| match batch.calls.iter().any(|call| bad.contains(&call.id.0)) {
        true => http(400, "Invalid value for amount"),
        false => http(200, ""),
    }
}

impl World {
    fn new(limits: Limits) -> Self {
        Self {
            queue: Queue::new(limits),
            now: START,
            calls: BTreeMap::new(),
            wire: Vec::new(),
            sent: Vec::new(),
            waiting: None,
            random: 1.0,
        }
    }

    /// With the calls `0..n` due.
    fn holding(n: u64) -> Self {
        let mut world = Self::new(LIMITS);
        world.accept(0..n);
        world
    }

    fn accept(&mut self, ids: impl IntoIterator<Item = u64>) {
        for id in ids {
            self.accept_call(id, 100, self.now);
        }
    }

    fn accept_call(&mut self, id: u64, bytes: usize, time: Timestamp) {
        let call = Leased {
            id: CallId(id),
            hit: HitId(Uuid::nil()),
            tag: "purchase".into(),
            event: CallEvent { id: format!("event-{id:04}").into(), name: "order_created".into(), time },
            attempts: 0,
            accepted: self.now,
            body: Bytes::from(vec![b' '; bytes]),
        };
        assert!(self.calls.insert(CallId(id), (call, Kept::Due(self.now))).is_none());
        if matches!(self.waiting, Some((_, Arrivals::Heed))) {
            self.queue.arrived();
        }
    }

    /// Does what the queue asks until it has to wait.
    fn run(&mut self) {
        for _ in 0..100_000 {
            match self.queue.next(self.now) {
                Action::Settle(settlements) => self.settle(settlements),
                Action::Replay(ids) => self.replay(&ids),
                Action::Lease { max_calls, max_bytes } => {
                    let leased = self.lease(max_calls, max_bytes);
                    self.queue.leased(leased, self.now);
                }
                Action::Send(batch) => self.send(batch),
                Action::Wait { until, arrivals } => {
                    assert!(until.is_none_or(|until| until > self.now), "waits for the past");
                    self.waiting = Some((until, arrivals));
                    return self.check_leases();
                }
                Action::Done => {
                    self.waiting = None;
                    return self.check_leases();
                }
            }
        }
        panic!("the queue never waits");
    }

    fn lease(&mut self, max_calls: usize, max_bytes: usize) -> Vec<Leased> {
        let mut bytes = 0;
        let mut leased = Vec::new();
        for (call, kept) in self.calls.values_mut() {
            if !matches!(kept, Kept::Due(at) if *at <= self.now) {
                continue;
            }
            bytes += call.body.len();
            if leased.len() == max_calls || (bytes > max_bytes && !leased.is_empty()) {
                break;
            }
            *kept = Kept::Leased;
            leased.push(call.clone());
        }
        leased
    }

    fn settle(&mut self, settlements: Vec<(CallId, Settlement)>) {
        for (id, settlement) in settlements {
            let (call, kept) = self.calls.get_mut(&id).unwrap();
            assert_eq!(*kept, Kept::Leased, "{id} is settled without being leased");
            assert!(!self.wire.iter().any(|batch| batch.calls.iter().any(|c| c.id == id)), "{id} is in flight");
            *kept = match settlement {
                Settlement::Delivered => Kept::Delivered,
                Settlement::PutBack => Kept::Due(self.now),
                Settlement::Dead(death) => Kept::Dead(death),
                Settlement::Retry { at } => {
                    call.attempts += 1;
                    Kept::Due(at)
                }
            };
        }
    }

    fn replay(&mut self, ids: &[CallId]) {
        for id in ids {
            let (_, kept) = self.calls.get_mut(id).unwrap();
            assert!(matches!(kept, Kept::Dead(_)), "{id} is replayed and {kept:?}");
            *kept = Kept::Due(self.now);
        }
    }

    fn send(&mut self, batch: Arc<Batch>) {
        let bytes: usize = batch.calls.iter().map(|call| call.body.len()).sum();
        let limits = self.queue.limits;
        assert!(!batch.calls.is_empty() && batch.calls.len() <= limits.max_calls);
        assert!(bytes <= limits.max_bytes || batch.calls.len() == 1);
        for call in &batch.calls {
            assert_eq!(self.calls[&call.id].1, Kept::Leased);
            let time = call.event.time;
            assert!(self.now.since(time) <= limits.max_age && time.since(self.now) <= limits.max_ahead);
        }
        self.sent.push((self.now, batch.calls.iter().map(|call| call.id).collect()));
        self.wire.push(batch);
        assert!(self.wire.len() <= LIMITS.in_flight);
    }

    /// Whatever the store has leased, the queue knows of.
    fn check_leases(&self) {
        let leased = self.calls.values().filter(|(_, kept)| *kept == Kept::Leased).map(|(call, _)| call.id);
        let mut known = self.queue.leases();
        known.sort_unstable();
        assert_eq!(known, leased.collect::<Vec<_>>());
    }

    fn answer(&mut self, nth: usize, answer: &Answer) {
        let batch = self.wire.remove(nth);
        self.queue.answered(batch.id, answer, self.now, self.random);
        self.run();
    }

    /// Answers the oldest request, or else lets time pass, until there is nothing to wait for, or `span` is over.
    fn flow(&mut self, span: Duration, mut destination: impl FnMut(&Batch) -> Answer) {
        let end = self.now.plus(span);
        self.run();
        loop {
            if let Some(batch) = self.wire.first().cloned() {
                self.answer(0, &destination(&batch));
                continue;
            }
            match self.waiting {
                Some((Some(until), _)) if until <= end => {
                    self.now = until;
                    self.run();
                }
                Some(_) | None => return self.now = end,
            }
        }
    }

    fn count(&self, is: impl Fn(&Kept) -> bool) -> usize {
        self.calls.values().filter(|(_, kept)| is(kept)).count()
    }

    fn delivered(&self) -> usize {
        self.count(|kept| *kept == Kept::Delivered)
    }

    fn dead(&self) -> usize {
        self.count(|kept| matches!(kept, Kept::Dead(_)))
    }

    fn pending(&self) -> usize {
        self.count(|kept| matches!(kept, Kept::Due(_) | Kept::Leased))
    }

    fn death(&self, id: u64) -> &Death {
        match &self.calls[&CallId(id)].1 {
            Kept::Dead(death) => death,
            other => panic!("{id} is {other:?}"),
        }
    }

    fn pause(&self) -> Option<Pause> {
        match self.queue.state() {
            State::Paused { pause, .. } => Some(pause),
            State::Flowing | State::Retrying { .. } => None,
        }
    }

    fn wait_until(&self) -> Timestamp {
        self.waiting.unwrap().0.unwrap()
    }
}

#[test]
fn a_lone_call_is_sent_at_once() {
    let mut world = World::holding(1);
    world.run();
    assert_eq!(world.sent, [(START, vec![CallId(0)])]);
    world.answer(0, &http(202, ""));
    assert_eq!((world.delivered(), world.waiting), (1, Some((None, Arrivals::Heed))));
    assert_eq!(world.queue.state(), State::Flowing);
}

#[test]
fn calls_that_come_during_a_request_leave_together_after_it() {
    let mut world = World::holding(1);
    world.run();
    for id in 1..10 {
        world.accept([id]);
        world.now = world.now.plus(PEEK_EVERY);
        world.run();
    }
    assert_eq!(world.sent.len(), 1, "no full batch waits");
    world.accept([10]);
    world.answer(0, &http(200, ""));
    assert_eq!(world.sent.len(), 2);
    assert_eq!(world.sent[1].1.len(), 10, "also what came last");
}

#[test]
fn a_store_is_not_asked_at_every_arrival_while_a_request_is_in_flight() {
    let mut world = World::holding(1);
    world.run();
    world.accept([1]);
    world.run();
    world.accept([2]);
    assert_eq!(world.waiting, Some((Some(START.plus(PEEK_EVERY)), Arrivals::Ignore)));
}

#[test]
fn full_batches_fly_four_at_a_time() {
    let mut world = World::holding(5_500);
    world.run();
    assert_eq!(world.sent.iter().map(|(_, calls)| calls.len()).collect::<Vec<_>>(), [1_000; 4]);
    world.answer(2, &http(200, ""));
    assert_eq!(world.sent.len(), 5, "the next as soon as there is room");
    for _ in 0..3 {
        world.answer(0, &http(200, ""));
    }
    assert_eq!(world.sent.len(), 5, "500 wait while one is in flight");
    world.answer(0, &http(200, ""));
    assert_eq!(world.sent[5].1.len(), 500);
}

#[test]
fn a_batch_is_bounded_by_bytes_and_a_larger_call_goes_alone() {
    let mut world = World::new(Limits { max_bytes: 1_000, ..LIMITS });
    for (id, bytes) in [(0, 400), (1, 400), (2, 5_000), (3, 400), (4, 300), (5, 300), (6, 1)] {
        world.accept_call(id, bytes, START);
    }
    world.flow(DAY, refusing(&[]));
    let batches: Vec<Vec<u64>> = world.sent.iter().map(|(_, b)| b.iter().map(|id| id.0).collect()).collect();
    assert_eq!(batches, [vec![0, 1], vec![2], vec![3, 4, 5], vec![6]]);
}

#[test]
fn a_refused_batch_is_split_depth_first_and_the_good_half_settled_at_once() {
    let mut world = World::holding(8);
    world.run();
    let mut refuse = refusing(&[2]);
    while world.delivered() == 0 {
        let answer = refuse(&Arc::clone(&world.wire[0]));
        world.answer(0, &answer);
    }
    let batches: Vec<Vec<u64>> = world.sent.iter().map(|(_, b)| b.iter().map(|id| id.0).collect()).collect();
    assert_eq!(batches, [vec![0, 1, 2, 3, 4, 5, 6, 7], vec![0, 1, 2, 3], vec![0, 1], vec![2, 3]]);
    assert_eq!(world.delivered(), 2, "while the rest is on its way");
    world.flow(DAY, refuse);
    assert_eq!((world.delivered(), world.dead()), (7, 1));
    let words = "Invalid value for amount".to_owned();
    let at = world.death(2).at;
    assert_eq!(*world.death(2), Death { reason: DeathReason::Refused, status: Some(400), words, at });
}

#[test]
fn three_bad_events_among_a_thousand_die_alone_wherever_they_lie() {
    for bad in [[0, 1, 2], [997, 998, 999], [0, 1, 999], [499, 500, 501], [3, 250, 777], [0, 500, 999]] {
        let mut world = World::holding(1_000);
        world.flow(DAY, refusing(&bad));
        assert_eq!((world.delivered(), world.dead(), world.pause()), (997, 3, None), "{bad:?}");
        assert!(bad.iter().all(|id| world.death(*id).reason == DeathReason::Refused));
    }
}

#[test]
fn a_call_that_is_too_large_even_alone_dies_as_such() {
    let mut world = World::holding(4);
    world.flow(DAY, |batch| match batch.calls.iter().any(|call| call.id == CallId(3)) || batch.calls.len() > 2 {
        true => http(413, "too large"),
        false => http(200, ""),
    });
    assert_eq!((world.delivered(), world.dead(), world.pause()), (3, 1, None));
    assert_eq!(world.death(3).reason, DeathReason::TooLarge);
}

#[test]
fn a_lone_bad_event_on_a_quiet_site_is_a_dead_letter() {
    let mut world = World::holding(1);
    world.flow(DAY, refusing(&[0]));
    assert_eq!((world.dead(), world.pause()), (1, None));
}

#[test]
fn eight_alike_in_a_row_pause_the_account_and_nothing_stays_dead() {
    let mut world = World::new(LIMITS);
    for id in 0..8 {
        assert_eq!((world.dead(), world.pause()), (usize::try_from(id).unwrap(), None));
        world.accept([id]);
        // The words differ in what differs from event to event.
        world.flow(Duration::ZERO, |batch| {
            let call = &batch.calls[0];
            http(400, &format!("events[{}] ({}): bad, request 7f{}a-b33c", call.id, call.event.id, call.id))
        });
    }
    assert_eq!((world.dead(), world.pending()), (0, 8));
    let pause = world.pause().unwrap();
    assert_eq!((pause.reason, pause.status), (PauseReason::RefusedAlike, Some(400)));
    assert!(pause.words.starts_with("events[7]"));
}

#[test]
fn a_success_in_between_ends_the_run_and_the_dead_stay_dead() {
    let mut world = World::new(LIMITS);
    for id in 0..15 {
        world.accept([id]);
        world.flow(Duration::ZERO, refusing(&[0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14]));
    }
    assert_eq!((world.dead(), world.delivered(), world.pause()), (14, 1, None));
}

#[test]
fn refusals_in_different_words_are_no_run() {
    let mut world = World::new(LIMITS);
    for id in 0..20 {
        world.accept([id]);
        world.flow(Duration::ZERO, |_| http(400, if id % 2 == 0 { "bad amount" } else { "bad currency" }));
    }
    assert_eq!((world.dead(), world.pause()), (20, None));
}

#[test]
fn words_are_alike_when_they_differ_only_in_numbers_and_ids() {
    let print = |event: &str, words: &str| {
        let mut world = World::holding(1);
        let mut call = world.lease(1, 1_000).remove(0);
        call.event.id = event.into();
        refusals::Fingerprint::of(&http(400, words), &call)
    };
    for (one, other) in [
        (("e1", "events[3].amount"), ("e2", "events[977].amount")),
        (("order-abc", "order-abc is bad"), ("order-xyz", "order-xyz is bad")),
        (("e1", "bad (request 9f3c71d2-aa)"), ("e2", "bad (request b071ffe3-cc)")),
    ] {
        assert_eq!(print(one.0, one.1), print(other.0, other.1));
    }
    assert_eq!(print("ad", "bad amount"), print("e1", "bad amount"), "a short id may be part of any word");
    let unlike =
        ["bad amount", "bad currency", "emails_sha256", "phones_sha256", "duplicate", "malformed", "sha1", "md5"];
    let prints = unlike.map(|words| print("a", words));
    for (nth, words) in unlike.iter().enumerate() {
        assert!(!prints[..nth].contains(&prints[nth]), "{words}");
    }
}

#[test]
fn refusals_of_different_statuses_are_unlike_and_at_any_host_the_status_alone_tells() {
    let call = World::holding(1).lease(1, 1_000).remove(0);
    let of_openai = |status| refusals::Fingerprint::of(&http(status, "bad"), &call);
    assert_ne!(of_openai(400), of_openai(422));
    let of_any_host = |status, words: &str| {
        refusals::Fingerprint::of(&Answer::Refused { status: Some(status), words: words.to_owned() }, &call)
    };
    assert_eq!(of_any_host(404, "no /leads/ada"), of_any_host(404, "no /leads/bob"));
    assert_ne!(of_any_host(404, "no /leads/ada"), of_any_host(410, "no /leads/ada"));
    assert_ne!(of_any_host(422, "bad amount"), of_any_host(422, "bad currency"));
}

#[test]
fn one_event_replayed_in_vain_is_no_run() {
    let mut world = World::holding(1);
    for _ in 0..20 {
        world.flow(Duration::ZERO, refusing(&[0]));
        world.replay(&[CallId(0)]);
        world.queue.arrived();
    }
    assert_eq!(world.pause(), None);
}

#[test]
fn a_split_batch_whose_events_were_all_refused_alike_pauses_and_nothing_stays_dead() {
    for n in 2..8 {
        let mut world = World::holding(n);
        world.flow(Duration::ZERO, |_| http(422, "schema"));
        assert_eq!((world.dead(), world.pending()), (0, usize::try_from(n).unwrap()));
        assert_eq!(world.pause().unwrap().reason, PauseReason::RefusedAlike);
    }
}

#[test]
fn a_split_batch_refused_for_different_reasons_dies() {
    let mut world = World::holding(2);
    world.flow(Duration::ZERO, |batch| http(400, if batch.calls[0].id.0 == 0 { "amount" } else { "currency" }));
    assert_eq!((world.dead(), world.pause()), (2, None));
}

#[test]
fn with_everything_refused_few_requests_are_made() {
    let mut world = World::holding(5_000);
    world.flow(Duration::ZERO, |_| http(400, "schema"));
    assert_eq!((world.dead(), world.pending()), (0, 5_000));
    let requests = world.sent.len();
    assert!(requests < 60, "{requests}");
    world.flow(Duration::from_secs(600), |_| http(400, "schema"));
    assert_eq!((world.dead(), world.sent.len()), (0, requests + 10), "one a minute from then on");
}

#[test]
fn a_refused_account_heals_at_a_new_event_and_the_bad_ones_die_then() {
    for n in [3, 20] {
        let bad: Vec<u64> = (0..n).collect();
        let mut world = World::holding(n);
        world.flow(Duration::from_secs(1_800), refusing(&bad));
        assert_eq!((world.dead(), world.pause().is_some()), (0, true));
        world.accept([n]);
        world.flow(Duration::from_secs(60), refusing(&bad));
        assert_eq!((world.dead(), world.delivered(), world.pause()), (bad.len(), 1, None));
    }
}

/// Brings bad events one by one until the account is paused; says how many it took.
fn alone_until_paused(world: &mut World) -> usize {
    let is_believed = |id: &u64| {
        world.accept([*id]);
        world.flow(Duration::ZERO, |_| http(400, "Invalid value for amount"));
        world.pause().is_none()
    };
    1 + (100..200).take_while(is_believed).count()
}

#[test]
fn after_a_pause_in_vain_a_longer_run_is_believed_until_a_batch_is_accepted_whole() {
    for (good, run) in [(None, 16), (Some(9), 8)] {
        let bad: Vec<u64> = (0..8).collect();
        let mut world = World::holding(8);
        world.flow(Duration::ZERO, refusing(&bad));
        assert!(world.pause().is_some());
        world.accept([8]);
        world.flow(Duration::from_secs(60), refusing(&bad));
        assert_eq!((world.dead(), world.delivered(), world.pause()), (8, 1, None));
        world.accept(good);
        world.flow(Duration::ZERO, refusing(&bad));
        assert_eq!(alone_until_paused(&mut world), run);
    }
}

#[test]
fn calls_that_are_gone_make_nobody_patient() {
    let mut world = World::holding(8);
    world.flow(Duration::ZERO, |_| http(400, "bad"));
    assert!(world.pause().is_some());
    // A person discards them, and the next probe finds nothing.
    world.calls.clear();
    world.flow(Duration::from_secs(60), refusing(&[]));
    world.accept([8]);
    world.flow(Duration::ZERO, refusing(&[]));
    assert_eq!((world.delivered(), world.pause()), (1, None));
    assert_eq!(alone_until_paused(&mut world), 8);
}

#[test]
fn what_was_taken_back_no_longer_counts_towards_a_run() {
    let mut world = World::new(LIMITS);
    // When they are looked at again, the first two are too old.
    let old = START.minus(LIMITS.max_age - Duration::from_secs(300));
    for (id, time) in [(0, old), (1, old), (2, START)] {
        world.accept_call(id, 100, time);
    }
    world.run();
    let bad = http(400, "Invalid value for amount");
    (0..4).for_each(|_| world.answer(0, &bad));
    assert_eq!(world.dead(), 2);
    world.answer(0, &retry_after(503, 600));
    assert_eq!(world.dead(), 0);
    world.flow(Duration::from_secs(600), |_| bad.clone());
    assert_eq!((world.dead(), world.pause()), (3, None));
    assert_eq!(world.death(1).reason, DeathReason::TooOld);
    assert_eq!(alone_until_paused(&mut world), 7, "with the third, eight");
}

#[test]
fn where_another_batch_is_accepted_a_split_whose_events_were_all_refused_alike_dies() {
    let mut world = World::new(Limits { max_calls: 2, ..LIMITS });
    world.accept(0..4);
    world.run();
    world.answer(0, &http(422, "schema"));
    world.answer(0, &http(200, ""));
    world.flow(Duration::ZERO, |_| http(422, "schema"));
    assert_eq!((world.dead(), world.delivered(), world.pause()), (2, 2, None));
}

#[test]
fn the_first_probe_is_of_a_call_that_was_not_refused_before() {
    let mut run = World::new(LIMITS);
    for id in 0..8 {
        run.accept([id]);
        run.flow(Duration::ZERO, |_| http(400, "bad"));
    }
    // One split that is under way and another one that pauses the account, in other words.
    let mut splits = World::new(Limits { max_calls: 3, ..LIMITS });
    splits.accept(0..6);
    splits.run();
    (0..2).for_each(|_| splits.answer(0, &http(400, "schema")));
    while splits.pause().is_none() {
        let is_of_first = splits.wire[0].calls[0].id.0 < 3;
        if is_of_first && splits.wire[0].calls.len() == 1 && splits.dead() >= 2 && splits.wire.len() > 1 {
            splits.answer(1, &http(422, "other"));
        } else {
            splits.answer(0, &http(400, "schema"));
        }
    }
    splits.flow(Duration::ZERO, |_| http(200, ""));
    for (mut world, new) in [(run, 8), (splits, 6)] {
        let before = world.delivered();
        world.accept([new]);
        world.flow(Duration::from_secs(60), |batch| match batch.calls.iter().all(|call| call.id.0 == new) {
            true => http(200, ""),
            false => http(400, "schema"),
        });
        assert_eq!((world.delivered() - before, world.pause()), (1, None), "{new}");
    }
}

#[test]
fn hundreds_of_bad_events_in_a_row_hold_the_good_ones_for_minutes_only() {
    let bad: Vec<u64> = (0..400).collect();
    let mut world = World::holding(1_000);
    world.flow(Duration::from_secs(15 * 60), refusing(&bad));
    assert_eq!((world.dead(), world.delivered(), world.pause()), (400, 600, None));
}

#[test]
fn a_failure_is_retried_within_a_second_with_the_whole_lot() {
    for answer in [http(408, ""), http(425, ""), http(429, ""), http(500, ""), http(503, ""), unreachable()] {
        let mut world = World::holding(10);
        world.run();
        world.answer(0, &answer);
        assert!(world.wait_until().since(START) <= Duration::from_secs(1));
        assert!(world.calls.values().all(|(call, kept)| call.attempts == 1 && matches!(kept, Kept::Due(_))));
        world.now = world.wait_until();
        world.run();
        assert_eq!(world.sent[0].1, world.sent[1].1);
    }
}

fn unreachable() -> Answer {
    Answer::Unreachable { words: "connection refused".to_owned() }
}

#[test]
fn the_ladder_rises_to_five_seconds_with_full_jitter() {
    for (random, steps) in [(1.0, [1_000, 2_000, 4_000, 5_000, 5_000]), (0.5, [500, 1_000, 2_000, 2_500, 2_500])] {
        let mut world = World::holding(10);
        world.random = random;
        world.run();
        for step in steps {
            world.answer(0, &http(503, ""));
            assert_eq!(world.wait_until().since(world.now), Duration::from_millis(step));
            world.now = world.wait_until();
            world.run();
        }
        world.random = 0.0;
        world.answer(0, &http(503, ""));
        assert!(world.wait_until() > world.now, "not at once, however the dice fall");
    }
}

#[test]
fn the_breaker_probes_with_one_call_and_a_success_lets_everything_flow() {
    let mut world = World::holding(3_000);
    world.flow(Duration::from_secs(60), |_| http(503, ""));
    let State::Retrying { failures, since, until } = world.queue.state() else { panic!() };
    assert!(failures > 10 && since == START && until.since(world.now) <= Duration::from_secs(5));
    assert!(world.sent[6..].iter().all(|(_, calls)| calls.len() == 1));
    let gaps = world.sent.windows(2).map(|pair| pair[1].0.since(pair[0].0));
    assert!(gaps.max().unwrap() <= Duration::from_secs(5));
    let tried: BTreeSet<CallId> = world.sent[6..].iter().map(|(_, calls)| calls[0]).collect();
    assert!(tried.len() > 5, "no one call can keep the breaker open");
    assert_eq!(world.count(|kept| *kept == Kept::Leased), 0, "nothing stays leased");

    world.now = world.wait_until();
    world.run();
    let before = world.sent.len();
    world.answer(0, &http(200, ""));
    assert_eq!(world.queue.state(), State::Flowing);
    let at_once: Vec<usize> = world.sent[before..].iter().map(|(_, calls)| calls.len()).collect();
    assert_eq!(at_once, [1_000, 1_000], "full batches at once");
    world.flow(Duration::ZERO, refusing(&[]));
    assert_eq!(world.delivered(), 3_000);
}

#[test]
fn four_requests_that_fail_together_are_one_failure() {
    let mut world = World::holding(4_000);
    world.run();
    (0..4).for_each(|_| world.answer(0, &http(503, "")));
    assert!(matches!(world.queue.state(), State::Retrying { failures: 1, .. }));
    assert!(world.calls.values().all(|(call, _)| call.attempts == 1));
}

#[test]
fn a_straggler_neither_opens_the_gate_nor_splits() {
    let mut world = World::holding(3_000);
    world.run();
    world.answer(0, &retry_after(429, 60));
    world.answer(0, &http(200, ""));
    world.answer(0, &http(400, "bad"));
    assert_eq!((world.delivered(), world.pending(), world.wire.len()), (1_000, 2_000, 0));
    assert_eq!(world.wait_until(), START.plus(Duration::from_secs(60)));
}

#[test]
fn a_straggler_may_lengthen_a_rest_and_never_shortens_it() {
    let mut world = World::holding(4_000);
    world.run();
    world.answer(0, &http(503, ""));
    assert_eq!(world.wait_until(), START.plus(Duration::from_secs(1)));
    for (asked, rest) in [(60, 60), (5, 60), (100_000, 600)] {
        world.answer(0, &retry_after(429, asked));
        assert_eq!(world.wait_until(), START.plus(Duration::from_secs(rest)));
    }
}

#[test]
fn what_was_sent_before_an_outage_does_not_bring_it_back() {
    let mut world = World::holding(4_000);
    world.run();
    world.answer(0, &http(503, ""));
    world.now = world.wait_until();
    world.run();
    world.answer(3, &http(200, ""));
    assert_eq!(world.queue.state(), State::Flowing);
    world.answer(0, &unreachable());
    assert_eq!(world.queue.state(), State::Flowing);
}

#[test]
fn retry_after_outranks_the_ladder_up_to_ten_minutes() {
    for (asked, heeded) in [(0, 1), (120, 120), (100_000, 600)] {
        let mut world = World::holding(1);
        world.run();
        world.answer(0, &retry_after(503, asked));
        assert_eq!(world.wait_until().since(START), Duration::from_secs(heeded));
    }
}

#[test]
fn a_clock_set_back_ends_a_rest() {
    let mut world = World::holding(1);
    world.run();
    world.answer(0, &retry_after(503, 600));
    world.now = world.now.minus(Duration::from_secs(60));
    world.run();
    world.answer(0, &http(200, ""));
    assert_eq!(world.delivered(), 1, "the call that failed does not wait for its old time either");
}

#[test]
fn statuses_that_need_a_person_pause_the_account_and_kill_nothing() {
    for (status, reason) in [
        (401, PauseReason::Unauthorized),
        (403, PauseReason::Forbidden),
        (404, PauseReason::NotFound),
        (302, PauseReason::Unexpected),
        (405, PauseReason::Unexpected),
    ] {
        let mut world = World::holding(10);
        world.flow(DAY, |_| http(status, "no"));
        let words = "no".to_owned();
        assert_eq!(world.pause(), Some(Pause { reason, status: Some(status), words }));
        assert_eq!((world.pending(), world.dead()), (10, 0));
        assert!(world.calls.values().all(|(call, _)| call.attempts == 0));
    }
}

#[test]
fn a_missing_key_pauses_and_heals_by_itself() {
    let mut world = World::holding(10);
    world.flow(Duration::from_secs(600), |_| Answer::NoKey { words: "not set".to_owned() });
    assert_eq!(world.pause().unwrap().reason, PauseReason::NoKey);
    world.flow(Duration::from_secs(60), refusing(&[]));
    assert_eq!((world.pause(), world.delivered()), (None, 10));
}

#[test]
fn a_paused_account_probes_every_minute_with_another_call_each_time() {
    let mut world = World::holding(10);
    world.flow(Duration::from_secs(1_200), |_| http(401, ""));
    let probes = &world.sent[1..];
    assert_eq!(probes.len(), 20);
    assert!(probes.windows(2).all(|pair| pair[1].0.since(pair[0].0) == Duration::from_secs(60)));
    let tried: BTreeSet<CallId> = probes.iter().flat_map(|(_, calls)| calls.clone()).collect();
    assert_eq!((tried.len(), probes.iter().all(|(_, calls)| calls.len() == 1)), (10, true));
}

#[test]
fn a_bad_event_cannot_hold_a_pause_whose_cause_is_mended() {
    let mut world = World::holding(1);
    world.flow(Duration::from_secs(30), |_| http(401, ""));
    world.flow(Duration::from_secs(60), refusing(&[0]));
    assert_eq!((world.pause(), world.dead()), (None, 1));
}

#[test]
fn resume_probes_at_once_with_one_call() {
    let mut world = World::holding(10);
    world.flow(Duration::from_secs(5), |_| http(401, ""));
    world.queue.resume(world.now);
    world.run();
    assert_eq!((world.sent.len(), world.sent[1].1.len(), world.sent[1].0), (2, 1, world.now));
    world.flow(Duration::ZERO, refusing(&[]));
    assert_eq!(world.delivered(), 10);
    world.queue.resume(world.now);
    assert_eq!(world.queue.state(), State::Flowing);
}

#[test]
fn an_event_that_is_too_old_dies_without_costing_a_batch() {
    let mut world = World::holding(2);
    world.accept_call(2, 100, START.minus(7 * DAY - Duration::from_secs(300)));
    world.accept_call(3, 100, START.minus(7 * DAY - Duration::from_secs(900)));
    world.flow(DAY, refusing(&[]));
    assert_eq!((world.sent.len(), world.delivered()), (1, 3));
    assert_eq!((world.death(2).reason, world.death(2).status), (DeathReason::TooOld, None));
}

#[test]
fn age_is_judged_just_before_sending() {
    let mut world = World::holding(2);
    world.flow(8 * DAY, |_| http(503, ""));
    assert_eq!((world.dead(), world.pending()), (2, 0));
    assert!(world.sent.iter().all(|(at, _)| at.since(START) <= LIMITS.max_age));
}

#[test]
fn an_event_ahead_of_its_time_is_held_until_it_is_acceptable() {
    let mut world = World::holding(1);
    world.accept_call(1, 100, START.plus(Duration::from_secs(3_600)));
    world.flow(Duration::from_secs(600), refusing(&[]));
    assert_eq!((world.delivered(), world.pending()), (1, 1));
    world.flow(DAY, refusing(&[]));
    let (at, _) = world.sent[1];
    assert!(START.plus(Duration::from_secs(3_600)).since(at) < Duration::from_secs(600));
    assert_eq!((world.delivered(), world.dead()), (2, 0));
}

#[test]
fn stopping_puts_back_what_is_not_in_flight_and_waits_for_the_rest() {
    let mut world = World::holding(2_500);
    world.run();
    assert_eq!(world.wire.len(), 2);
    world.queue.stop();
    world.run();
    assert_eq!(world.count(|kept| *kept == Kept::Leased), 2_000);
    world.answer(0, &http(200, ""));
    world.answer(0, &http(400, "bad"));
    assert!(matches!(world.queue.next(world.now), Action::Done));
    assert_eq!((world.delivered(), world.pending(), world.count(|kept| *kept == Kept::Leased)), (1_000, 1_500, 0));
}

#[test]
fn a_split_that_cannot_be_followed_to_its_end_kills_nobody() {
    let cut_short: [fn(&mut World); 3] = [
        |world| world.answer(0, &http(503, "")),
        |world| world.answer(0, &http(401, "")),
        |world| {
            world.queue.stop();
            world.answer(0, &http(400, "schema"));
        },
    ];
    for cut_short in cut_short {
        let mut world = World::holding(4);
        world.run();
        (0..4).for_each(|_| world.answer(0, &http(400, "schema")));
        assert_eq!(world.dead(), 2);
        cut_short(&mut world);
        assert_eq!(world.dead(), 0);
    }
}

#[test]
fn a_store_that_fails_is_asked_again_after_a_second() {
    let mut world = World::holding(8);
    assert!(matches!(world.queue.next(START), Action::Lease { .. }));
    world.queue.store_failed(START);
    world.run();
    assert_eq!(world.wait_until(), START.plus(Duration::from_secs(1)));
    world.now = world.wait_until();
    world.run();
    assert_eq!(world.wire.len(), 1);
}

#[test]
fn a_replay_that_the_store_could_not_make_is_asked_for_again() {
    let mut world = World::holding(2);
    world.run();
    world.answer(0, &http(400, "schema"));
    world.answer(0, &http(400, "schema"));
    let batch = world.wire.remove(0);
    world.queue.answered(batch.id, &http(400, "schema"), world.now, 1.0);
    let Action::Settle(settlements) = world.queue.next(world.now) else { panic!() };
    world.settle(settlements);
    let Action::Replay(ids) = world.queue.next(world.now) else { panic!() };
    world.queue.not_replayed(ids, world.now);
    world.run();
    world.now = world.wait_until();
    world.run();
    assert_eq!((world.dead(), world.pending()), (0, 2));
}

/// What a hostile destination and a hostile driver may do next.
#[derive(Clone, Debug)]
enum Step {
    Accept(u64),
    Answer { nth: usize, answer: usize },
    Pass(u64),
    Resume,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1..40_u64).prop_map(Step::Accept),
        8 => (0..LIMITS.in_flight, 0..ANSWERS).prop_map(|(nth, answer)| Step::Answer { nth, answer }),
        3 => (1..70_000_u64).prop_map(Step::Pass),
        1 => Just(Step::Resume),
    ]
}

const ANSWERS: usize = 10;

fn hostile(n: usize) -> Answer {
    match n {
        0..=2 => http(200, ""),
        3 | 4 => http(400, "bad"),
        5 => http(422, "worse"),
        6 => http(413, ""),
        7 => http(401, ""),
        8 => retry_after(429, 30),
        _ => unreachable(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// The world checks at every step: limits, leases known, nothing settled twice or while in flight.
    #[test]
    fn every_call_ends_once_whatever_the_answers(steps in prop::collection::vec(step(), 0..120)) {
        let mut world = World::new(Limits { max_calls: 16, max_bytes: 1_000, ..LIMITS });
        let mut accepted = 0;
        for step in steps {
            match step {
                Step::Accept(n) => {
                    for id in accepted..accepted + n {
                        world.accept_call(id, 20 + usize::try_from(id * 37 % 300).unwrap(), world.now);
                    }
                    accepted += n;
                }
                Step::Answer { nth, answer } if nth < world.wire.len() => world.answer(nth, &hostile(answer)),
                Step::Answer { .. } => {}
                Step::Pass(ms) => world.now = world.now.plus(Duration::from_millis(ms)),
                Step::Resume => world.queue.resume(world.now),
            }
            world.run();
        }
        let dead = world.dead();
        world.flow(DAY, |_| http(200, ""));
        prop_assert_eq!(world.pending(), 0);
        prop_assert_eq!(world.delivered() + world.dead(), usize::try_from(accepted).unwrap());
        prop_assert!(world.dead() <= dead, "nothing dies while everything is accepted");
    }

    #[test]
    fn the_bad_die_and_the_good_arrive_wherever_they_lie(
        bad in prop::collection::btree_set(0..200_u64, 0..12),
        limit in 1..201_usize,
        failures in prop::collection::vec(any::<bool>(), 0..60),
    ) {
        let mut world = World::new(Limits { max_calls: limit, ..LIMITS });
        world.accept(0..200);
        let bad: Vec<u64> = bad.into_iter().collect();
        let mut refuse = refusing(&bad);
        let mut failures = failures.into_iter();
        // One good event a minute, so that a pause that the batches' borders caused can end.
        for id in 200..210 {
            world.flow(Duration::from_secs(120), |batch| match failures.next() {
                Some(true) => http(503, ""),
                Some(false) | None => refuse(batch),
            });
            world.accept([id]);
        }
        world.flow(DAY, &mut refuse);
        prop_assert_eq!(world.pending(), 0);
        prop_assert_eq!(world.dead(), bad.len());
        prop_assert!(bad.iter().all(|id| world.death(*id).reason == DeathReason::Refused));
    }

    #[test]
    fn with_everything_refused_alike_nothing_stays_dead(n in 2..300_u64, limit in 2..101_usize) {
        let mut world = World::new(Limits { max_calls: limit, ..LIMITS });
        world.accept(0..n);
        world.flow(Duration::from_secs(3_600), |_| http(400, "schema"));
        prop_assert_eq!(world.dead(), 0);
        prop_assert_eq!(world.pending(), usize::try_from(n).unwrap());
        prop_assert!(world.pause().is_some());
    }
}
