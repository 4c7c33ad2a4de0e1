//! Random histories, compared step by step with a model that holds everything in one map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::outbox::{Forgotten, sought::Sought};

#[derive(Clone, Debug)]
enum Step {
    Accept {
        calls: Vec<(usize, usize)>,
    },
    Lease {
        account: usize,
        calls: usize,
        bytes: usize,
    },
    /// Settles the lease at this place.
    Settle {
        which: usize,
        how: How,
    },
    Replay {
        which: usize,
    },
    Discard {
        which: usize,
    },
    /// Every call for the event with this number.
    Forget {
        event: usize,
    },
    Pass {
        ms: i64,
    },
    /// The process is killed and started again.
    Kill,
}

/// How many events the calls are for; a call's size says for which.
const EVENTS: usize = 3;

fn event_id(event: usize) -> String {
    format!("order-{event}")
}

#[derive(Clone, Debug)]
enum How {
    Delivered,
    Retry { after: i64 },
    PutBack,
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Due,
    Delayed(Timestamp),
    Leased,
    Dead,
}

#[derive(Debug)]
struct Known {
    account: usize,
    accepted: Timestamp,
    size: usize,
    attempts: u32,
    place: Place,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let how = prop_oneof![
        3 => Just(How::Delivered),
        2 => (0_i64..50).prop_map(|after| How::Retry { after }),
        1 => Just(How::PutBack),
        2 => Just(How::Dead),
    ];
    let step = prop_oneof![
        8 => prop::collection::vec((0..2_usize, 0..600_usize), 1..4).prop_map(|calls| Step::Accept { calls }),
        6 => (0..2_usize, 0..5_usize, 0..1_500_usize)
            .prop_map(|(account, calls, bytes)| Step::Lease { account, calls, bytes }),
        8 => (any::<usize>(), how).prop_map(|(which, how)| Step::Settle { which, how }),
        2 => any::<usize>().prop_map(|which| Step::Replay { which }),
        2 => any::<usize>().prop_map(|which| Step::Discard { which }),
        1 => (0..EVENTS).prop_map(|event| Step::Forget { event }),
        2 => (0_i64..40).prop_map(|ms| Step::Pass { ms }),
        1 => Just(Step::Kill),
    ];
    prop::collection::vec(step, 1..80)
}

struct Run {
    dir: TempDir,
    outbox: Embedded,
    accounts: [Arc<Account>; 2],
    known: BTreeMap<CallId, Known>,
    now: Timestamp,
    next: u64,
}

fn options() -> Options {
    Options { read_ahead_bytes: 2_000, ..Options::default() }
}

impl Run {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let outbox = open_with(&dir, options());
        let accounts = [account("p1"), account("p2")];
        Self { dir, outbox, accounts, known: BTreeMap::new(), now: NOW, next: 1 }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Accept { calls } => self.accept(&calls).await,
            Step::Lease { account, calls, bytes } => self.lease(account, calls, bytes).await,
            Step::Settle { which, how } => self.settle(which, how).await,
            Step::Replay { which } => {
                let id = self.any(which, |_| true);
                let dead = self.known.get_mut(&id).filter(|known| known.place == Place::Dead);
                assert_eq!(self.outbox.replay(&[id]).await.unwrap(), usize::from(dead.is_some()));
                if let Some(known) = dead {
                    (known.place, known.attempts) = (Place::Due, 0);
                }
            }
            Step::Discard { which } => {
                let id = self.any(which, |_| true);
                let free = self.known.get(&id).is_some_and(|known| known.place != Place::Leased);
                assert_eq!(self.outbox.discard(&[id]).await.unwrap(), usize::from(free));
                if free {
                    self.known.remove(&id);
                }
            }
            Step::Forget { event } => self.forget(event).await,
            Step::Pass { ms } => self.now = Timestamp(self.now.0 + ms),
            Step::Kill => {
                self.dir = killed(&self.dir);
                self.outbox = open_with(&self.dir, options());
                let pending = self.known.values_mut().filter(|known| known.place != Place::Dead);
                pending.for_each(|known| known.place = Place::Due);
            }
        }
        self.compare();
    }

    async fn accept(&mut self, calls: &[(usize, usize)]) {
        let make = |(account, size): &(usize, usize)| {
            let mut made = call(&self.accounts[*account], &"x".repeat(*size));
            made.event.id = event_id(size % EVENTS).into();
            made
        };
        let made = calls.iter().map(make).collect();
        self.outbox.accept(record_at(self.now, made)).await.unwrap();
        for &(account, size) in calls {
            let known = Known { account, accepted: self.now, size, attempts: 0, place: Place::Due };
            self.known.insert(CallId(self.next), known);
            self.next += 1;
        }
    }

    async fn forget(&mut self, event: usize) {
        let forgotten = self.outbox.forget(&Sought::event_id(&event_id(event)).unwrap()).await.unwrap();
        let mut expected = Forgotten::default();
        self.known.retain(|_, known| {
            let is_meant = known.size % EVENTS == event;
            if is_meant {
                match known.place {
                    Place::Due | Place::Delayed(_) => expected.pending += 1,
                    Place::Leased => expected.in_flight += 1,
                    Place::Dead => expected.dead += 1,
                }
            }
            !is_meant
        });
        assert_eq!(forgotten, expected);
    }

    async fn lease(&mut self, account: usize, max_calls: usize, max_bytes: usize) {
        let now = self.now;
        let leased = self.outbox.lease(&self.accounts[account], max_calls, max_bytes, now).await.unwrap();
        let is_due = |known: &Known| match known.place {
            Place::Due => true,
            Place::Delayed(at) => at <= now,
            Place::Leased | Place::Dead => false,
        };
        let due = self.known.iter_mut().filter(|(_, known)| known.account == account && is_due(known));
        let (mut expected, mut bytes) = (Vec::new(), 0);
        for (id, known) in due.take(max_calls) {
            if expected.is_empty() || bytes + known.size <= max_bytes {
                bytes += known.size;
                expected.push((*id, known.size, known.attempts, known.accepted));
            } else {
                break;
            }
        }
        let got: Vec<_> = leased.iter().map(|call| (call.id, call.body.len(), call.attempts, call.accepted)).collect();
        // A lease that reads may give less than it could, but never something else, and never nothing.
        assert!(expected.starts_with(&got) && got.is_empty() == expected.is_empty(), "{got:?} of {expected:?}");
        for call in leased {
            self.known.get_mut(&call.id).unwrap().place = Place::Leased;
        }
    }

    async fn settle(&mut self, which: usize, how: How) {
        let id = self.any(which, |known| known.place == Place::Leased);
        let settlement = match how {
            How::Delivered => Settlement::Delivered,
            How::Retry { after } => Settlement::Retry { at: Timestamp(self.now.0 + after) },
            How::PutBack => Settlement::PutBack,
            How::Dead => Settlement::Dead(death()),
        };
        self.outbox.settle(vec![(id, settlement.clone())]).await.unwrap();
        let Some(known) = self.known.get_mut(&id).filter(|known| known.place == Place::Leased) else { return };
        match settlement {
            Settlement::Delivered => drop(self.known.remove(&id)),
            Settlement::Retry { at } => (known.place, known.attempts) = (Place::Delayed(at), known.attempts + 1),
            Settlement::PutBack => known.place = Place::Due,
            Settlement::Dead(_) => known.place = Place::Dead,
        }
    }

    /// One of the calls that fit, or an id that no call has.
    fn any(&self, which: usize, fits: impl Fn(&Known) -> bool) -> CallId {
        let fitting: Vec<_> = self.known.iter().filter(|(_, known)| fits(known)).map(|(id, _)| *id).collect();
        fitting.get(which % (fitting.len() + 1)).copied().unwrap_or(CallId(self.next + 5))
    }

    fn compare(&self) {
        let states = self.outbox.accounts();
        for (index, account) in self.accounts.iter().enumerate() {
            let (dead, pending): (Vec<_>, Vec<_>) = self
                .known
                .values()
                .filter(|known| known.account == index)
                .partition(|known| known.place == Place::Dead);
            let expected = (pending.len() as u64, dead.len() as u64, pending.first().map(|known| known.accepted));
            let state = states.iter().find(|state| state.account == *account);
            let found = state.map_or((0, 0, None), |state| (state.pending, state.dead, state.oldest));
            assert_eq!(found, expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_file_agree_with_the_model(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::new();
            for step in steps {
                run.step(step).await;
            }
        });
    }
}
