//! An outbox in memory that forgets rings nobody heard: the harshest that [`Outbox`] allows.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio::sync::{Notify, watch};

use crate::{
    call::{Account, Call},
    delivery::lock,
    outbox::{
        AcceptError, AccountState, BoxFuture, CallId, CallState, Cursor, Death, Forgotten, Leased, ListQuery, Outbox,
        Page, Record, See, Settlement, StoreError, StoredCall, sought::Sought,
    },
    time::Timestamp,
};

#[derive(Default)]
pub struct Memory {
    calls: Mutex<BTreeMap<CallId, Kept>>,
    rung: Notify,
    appeared: Notify,
    /// So many of the next leases fail.
    pub failing_leases: AtomicU32,
    /// Accepted just after the next lease has found nothing: the moment at which a ring is easily missed.
    pub behind_an_empty_lease: Mutex<Option<Record>>,
    /// How many leases were extended, each time counted.
    pub extended: watch::Sender<usize>,
    tally: watch::Sender<Tally>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub pending: usize,
    pub leased: usize,
    pub dead: usize,
    pub delivered: usize,
}

struct Kept {
    call: Call,
    record: Arc<Record>,
    attempts: u32,
    state: State,
}

#[derive(Clone)]
enum State {
    Due(Timestamp),
    Leased,
    Dead(Death),
    Delivered,
}

impl Memory {
    /// Resolves when the store looks as asked.
    pub async fn until(&self, is: impl FnMut(&Tally) -> bool) -> Tally {
        *self.tally.subscribe().wait_for(is).await.unwrap()
    }

    pub fn tally(&self) -> Tally {
        *self.tally.borrow()
    }

    pub fn deaths(&self) -> Vec<Death> {
        let dead = |kept: &Kept| match &kept.state {
            State::Dead(death) => Some(death.clone()),
            _ => None,
        };
        lock(&self.calls).values().filter_map(dead).collect()
    }

    /// Rings only when something became due; a lease is no news.
    fn ring(&self) {
        self.rung.notify_waiters();
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<CallId, Kept>) -> T) -> T {
        let mut calls = lock(&self.calls);
        let changed = change(&mut calls);
        let mut tally = Tally::default();
        for kept in calls.values() {
            match kept.state {
                State::Due(_) => tally.pending += 1,
                State::Leased => tally.leased += 1,
                State::Dead(_) => tally.dead += 1,
                State::Delivered => tally.delivered += 1,
            }
        }
        self.tally.send_replace(tally);
        changed
    }
}

impl Outbox for Memory {
    fn accept(&self, record: Record) -> BoxFuture<'_, Result<(), AcceptError>> {
        Box::pin(async move {
            let record = Arc::new(record);
            self.change(|calls| {
                for call in &record.calls {
                    let state = State::Due(record.accepted);
                    let kept = Kept { call: call.clone(), record: Arc::clone(&record), attempts: 0, state };
                    calls.insert(CallId(calls.len() as u64), kept);
                }
            });
            self.appeared.notify_waiters();
            self.ring();
            Ok(())
        })
    }

    fn arrival<'a>(&'a self, _: &'a Arc<Account>) -> BoxFuture<'a, ()> {
        Box::pin(self.rung.notified())
    }

    fn accounts(&self) -> Vec<AccountState> {
        let mut accounts = BTreeMap::new();
        for kept in lock(&self.calls).values() {
            let account = Arc::clone(&kept.call.account);
            let state = AccountState { account, pending: 0, dead: 0, oldest: None };
            accounts.entry(Arc::clone(&kept.call.account)).or_insert(state);
        }
        accounts.into_values().collect()
    }

    fn new_account(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.appeared.notified())
    }

    fn lease<'a>(
        &'a self,
        account: &'a Arc<Account>,
        max_calls: usize,
        max_bytes: usize,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<Leased>, StoreError>> {
        Box::pin(async move {
            let failing = self.failing_leases.load(Ordering::Relaxed);
            if failing > 0 {
                self.failing_leases.store(failing - 1, Ordering::Relaxed);
                return Err(StoreError(anyhow::anyhow!("the disk is on fire")));
            }
            let mut leased = Vec::new();
            let mut bytes = 0;
            let mut take = |calls: &mut BTreeMap<CallId, Kept>| {
                for (id, kept) in calls.iter_mut().filter(|(_, kept)| kept.call.account == *account) {
                    if !matches!(kept.state, State::Due(at) if at <= now) {
                        continue;
                    }
                    bytes += kept.call.body.len();
                    if leased.len() == max_calls || (bytes > max_bytes && !leased.is_empty()) {
                        break;
                    }
                    kept.state = State::Leased;
                    leased.push(Leased {
                        id: *id,
                        hit: kept.record.hit,
                        tag: Arc::clone(&kept.call.tag),
                        event: kept.call.event.clone(),
                        attempts: kept.attempts,
                        accepted: kept.record.accepted,
                        body: kept.call.body.to_string().into(),
                    });
                }
            };
            self.change(&mut take);
            let late = if leased.is_empty() { lock(&self.behind_an_empty_lease).take() } else { None };
            if let Some(late) = late {
                self.accept(late).await.unwrap();
            }
            Ok(leased)
        })
    }

    fn extend<'a>(&'a self, calls: &'a [CallId]) -> BoxFuture<'a, ()> {
        Box::pin(async { self.extended.send_modify(|extended| *extended += calls.len()) })
    }

    fn settle(&self, settlements: Vec<(CallId, Settlement)>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.change(|calls| {
                for (id, settlement) in settlements {
                    let kept = calls.get_mut(&id).unwrap();
                    assert!(matches!(kept.state, State::Leased), "{id} is not leased");
                    kept.state = match settlement {
                        Settlement::Delivered => State::Delivered,
                        Settlement::PutBack => State::Due(Timestamp::default()),
                        Settlement::Dead(death) => State::Dead(death),
                        Settlement::Retry { at } => {
                            kept.attempts += 1;
                            State::Due(at)
                        }
                    };
                }
            });
            self.ring();
            Ok(())
        })
    }

    fn list<'a>(&'a self, query: &'a ListQuery) -> BoxFuture<'a, Result<Page, StoreError>> {
        Box::pin(async move {
            let mut calls = Vec::new();
            let ids: Vec<CallId> = lock(&self.calls).keys().copied().collect();
            for id in ids {
                let Some(call) = self.show(id).await? else { continue };
                let state = if call.death.is_some() { CallState::Dead } else { CallState::Pending };
                let beyond = query.after.as_ref().is_none_or(|Cursor(after)| id.0 > after.parse().unwrap());
                let wanted = query.filter.is_met(&call.account.to_string(), &call.tag, call.accepted);
                if state == query.state && beyond && wanted && calls.len() < query.limit {
                    calls.push(call);
                }
            }
            let next = calls.last().map(|call| Cursor(call.id.to_string()));
            Ok(Page { calls, next })
        })
    }

    fn show(&self, id: CallId) -> BoxFuture<'_, Result<Option<StoredCall>, StoreError>> {
        let stored = |kept: &Kept| {
            let death = match &kept.state {
                State::Delivered => return None,
                State::Dead(death) => Some(death.clone()),
                State::Due(_) | State::Leased => None,
            };
            Some(StoredCall {
                id,
                account: (*kept.call.account).clone(),
                hit: kept.record.hit,
                tag: kept.call.tag.to_string(),
                event: kept.call.event.clone(),
                version: kept.record.version.to_string(),
                accepted: kept.record.accepted,
                attempts: kept.attempts,
                death,
                body: Some(kept.call.body.to_string()),
            })
        };
        let found = lock(&self.calls).get(&id).and_then(stored);
        Box::pin(async move { Ok(found) })
    }

    fn replay<'a>(&'a self, ids: &'a [CallId]) -> BoxFuture<'a, Result<usize, StoreError>> {
        Box::pin(async move {
            let revived = self.change(|calls| {
                let mut revived = 0;
                for (_, kept) in calls.iter_mut().filter(|(id, _)| ids.contains(id)) {
                    if matches!(kept.state, State::Dead(_)) {
                        kept.state = State::Due(Timestamp::default());
                        revived += 1;
                    }
                }
                revived
            });
            self.ring();
            Ok(revived)
        })
    }

    fn accepted_since(&self, _: Timestamp, _: See) -> BoxFuture<'_, Result<(), StoreError>> {
        unreachable!("deliveries do not ask for it")
    }

    fn discard<'a>(&'a self, ids: &'a [CallId]) -> BoxFuture<'a, Result<usize, StoreError>> {
        Box::pin(async move {
            Ok(self.change(|calls| {
                let before = calls.len();
                calls.retain(|id, kept| !ids.contains(id) || matches!(kept.state, State::Leased));
                before - calls.len()
            }))
        })
    }

    fn cancel<'a>(&'a self, _: &'a Sought, _: See) -> BoxFuture<'a, Result<Forgotten, StoreError>> {
        unreachable!("deliveries do not ask for it")
    }

    fn scrub(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        unreachable!("deliveries do not ask for it")
    }

    fn writable(&self) -> Result<(), AcceptError> {
        Ok(())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
