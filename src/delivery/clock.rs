//! The delivery's clock, passed in so that tests decide what time it is. Gives the wall clock and a way to wait for it.

use crate::{outbox::BoxFuture, time::Timestamp};

/// Where the delivery gets the time, and how it waits.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;

    /// Resolves at `at` or later. May resolve early: whoever waits asks [`Clock::now`] again.
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'_, ()>;
}

/// The machine's wall clock and tokio's timer.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(at.since(Timestamp::now())))
    }
}
