//! The pending calls of all accounts, in memory, and who holds which lease.
//! Takes what the writer made durable; gives leases and the state of each account. Knows nothing of files.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tokio::sync::Notify;

use super::{
    CALL_OVERHEAD,
    intake::Settled,
    queue::{Queue, Reading, Shortage},
};
use crate::{
    call::Account,
    outbox::{AccountState, CallId, Leased, Settlement},
    time::Timestamp,
};

/// How much one read brings into memory at most, beyond what its lease takes away.
const READ_AHEAD_CHUNK: usize = 4 * 1024 * 1024;

pub(super) struct Queues {
    /// By the account's row id.
    by_row: BTreeMap<i64, Queue>,
    rows: HashMap<Arc<Account>, i64>,
    /// Also of accounts that are waited for and have not been seen yet.
    arrivals: HashMap<Arc<Account>, Arc<Notify>>,
    /// The account of each call that may be settled.
    leases: HashMap<CallId, i64>,
    /// What the bodies in memory weigh, over all accounts.
    resident: usize,
    bound: usize,
}

/// What a lease finds.
#[derive(Debug)]
pub(super) enum Lease {
    Calls(Vec<Leased>),
    /// The account with this row id has due calls whose bodies must be read first.
    ReadFirst(i64),
}

impl Queues {
    pub fn new(bound: usize) -> Self {
        Self {
            by_row: BTreeMap::new(),
            rows: HashMap::new(),
            arrivals: HashMap::new(),
            leases: HashMap::new(),
            resident: 0,
            bound,
        }
    }

    /// Adds an account that has a row in the file.
    pub fn add(&mut self, row: i64, account: &Arc<Account>, queue: impl FnOnce(Arc<Account>, Arc<Notify>) -> Queue) {
        let arrival = self.arrival(account);
        self.rows.insert(Arc::clone(account), row);
        self.by_row.insert(row, queue(Arc::clone(account), arrival));
    }

    pub fn rows(&self) -> HashMap<Arc<Account>, i64> {
        self.rows.clone()
    }

    pub fn states(&self) -> Vec<AccountState> {
        self.by_row.values().map(Queue::state).collect()
    }

    /// What rings when the account gets something to do.
    pub fn arrival(&mut self, account: &Arc<Account>) -> Arc<Notify> {
        match self.arrivals.get(account) {
            Some(arrival) => Arc::clone(arrival),
            None => Arc::clone(self.arrivals.entry(Arc::clone(account)).or_default()),
        }
    }

    /// What rings for the account with this row id.
    pub fn arrival_of(&self, row: i64) -> Option<Arc<Notify>> {
        self.by_row.get(&row).map(Queue::arrival)
    }

    pub fn all_arrivals(&self) -> Vec<Arc<Notify>> {
        self.arrivals.values().map(Arc::clone).collect()
    }

    /// Adds a call that was just made durable.
    pub fn accepted(&mut self, row: i64, call: Leased) {
        let Some(queue) = self.by_row.get_mut(&row) else { return };
        let weight = call.body.len() + CALL_OVERHEAD;
        if queue.is_all_known() && self.resident.saturating_add(weight) <= self.bound {
            self.resident += weight;
            queue.push(call);
        } else {
            queue.push_unknown(call.id, call.accepted);
        }
    }

    /// Leases due calls, or says that they must be read first.
    pub fn lease(&mut self, account: &Account, max_calls: usize, max_bytes: usize, now: Timestamp) -> Lease {
        let Some((row, queue)) = self.find(account) else { return Lease::Calls(Vec::new()) };
        queue.promote(now);
        if queue.is_short(max_calls, max_bytes) {
            return Lease::ReadFirst(row);
        }
        Lease::Calls(self.take(row, max_calls, max_bytes))
    }

    /// Leases due calls as far as they are in memory.
    pub fn take(&mut self, row: i64, max_calls: usize, max_bytes: usize) -> Vec<Leased> {
        let taken = self.change(row, |queue| queue.take(max_calls, max_bytes)).unwrap_or_default();
        self.leases.extend(taken.iter().map(|call| (call.id, row)));
        taken
    }

    /// Ends leases as far as settling goes: each can be settled once. Leaves out calls that are not leased.
    pub fn end_leases(&mut self, settlements: Vec<(CallId, Settlement)>) -> Vec<Settled> {
        let end = |(id, settlement)| self.leases.remove(&id).map(|account| Settled { id, account, settlement });
        settlements.into_iter().filter_map(end).collect()
    }

    /// A leased call was deleted. Its lease ends without a word to its delivery, whose settlement will be nobody's.
    pub fn recall(&mut self, id: CallId, row: i64) {
        self.leases.remove(&id);
        self.change(row, |queue| queue.settle(id, &Settlement::Delivered));
    }

    /// Does what the file now says of these calls.
    pub fn settled(&mut self, settled: &[Settled]) {
        for Settled { id, account, settlement } in settled {
            self.change(*account, |queue| queue.settle(*id, settlement));
        }
    }

    /// Begins a read for a lease of this size, unless memory has enough by now; with it, how many bytes may be read
    /// ahead for later leases.
    pub fn begin_read(&mut self, row: i64, max_calls: usize, max_bytes: usize) -> Option<(Shortage, usize)> {
        let ahead = self.bound.saturating_sub(self.resident).min(READ_AHEAD_CHUNK);
        let shortage = self.by_row.get_mut(&row)?.begin_read(max_calls, max_bytes)?;
        Some((shortage, ahead))
    }

    pub fn end_read(&mut self, row: i64, shortage: &Shortage, reading: Reading) {
        self.change(row, |queue| queue.end_read(shortage, reading));
    }

    /// Changes one account's queue and keeps count of the memory it takes.
    pub fn change<T>(&mut self, row: i64, change: impl FnOnce(&mut Queue) -> T) -> Option<T> {
        let queue = self.by_row.get_mut(&row)?;
        let before = queue.resident();
        let result = change(queue);
        self.resident = self.resident.saturating_sub(before) + queue.resident();
        Some(result)
    }

    /// What the bodies in memory weigh, over all accounts.
    #[cfg(test)]
    pub fn resident(&self) -> usize {
        self.resident
    }

    fn find(&mut self, account: &Account) -> Option<(i64, &mut Queue)> {
        let row = *self.rows.get(account)?;
        Some((row, self.by_row.get_mut(&row)?))
    }
}
