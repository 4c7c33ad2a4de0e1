//! The calls in hand: leased, and not yet in a batch. Takes leases as they come, gives batches within the limits.

use std::collections::VecDeque;

use crate::{delivery::queue::Limits, outbox::Leased};

#[derive(Debug, Default)]
pub struct Hand {
    calls: VecDeque<Leased>,
    bytes: usize,
}

impl Hand {
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Leased> {
        self.calls.iter()
    }

    /// Whether waiting for more would hardly make the batch larger. By bytes, three quarters are full: the store stops
    /// before a call that no longer fits.
    pub fn is_full(&self, limits: &Limits) -> bool {
        self.calls.len() >= limits.max_calls || self.bytes >= limits.max_bytes / 4 * 3
    }

    /// What may still be leased into the batch: calls and bytes.
    pub fn room(&self, limits: &Limits) -> (usize, usize) {
        (limits.max_calls.saturating_sub(self.calls.len()), limits.max_bytes.saturating_sub(self.bytes))
    }

    pub fn add(&mut self, calls: Vec<Leased>) {
        self.bytes += calls.iter().map(|call| call.body.len()).sum::<usize>();
        self.calls.extend(calls);
    }

    /// The oldest calls, as many as the limits allow; one alone may exceed the bytes. A lease can bring more than there
    /// was room for, because the store hands out a single larger call whatever the room.
    pub fn take_batch(&mut self, limits: &Limits) -> Vec<Leased> {
        let mut bytes = 0;
        let fits = |(nth, call): &(usize, &Leased)| {
            bytes += call.body.len();
            *nth == 0 || bytes <= limits.max_bytes
        };
        let fitting = self.calls.iter().take(limits.max_calls).enumerate().take_while(fits).count();
        let batch: Vec<Leased> = self.calls.drain(..fitting).collect();
        self.bytes -= batch.iter().map(|call| call.body.len()).sum::<usize>();
        batch
    }

    pub fn take_all(&mut self) -> Vec<Leased> {
        self.bytes = 0;
        self.calls.drain(..).collect()
    }
}
