//! What the history tells of itself, and what handlers share with its thread.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::{sampling::Sampling, tally::Tallies};

pub(super) struct Shared {
    pub sampling: Sampling,
    pub tallies: Tallies,
    /// That hits in the queue brought.
    pub queued_bytes: AtomicUsize,
    pub counts: Counts,
}

/// Hits since the start.
#[derive(Debug, Default)]
pub struct Counts {
    /// Accepted.
    pub(super) seen: AtomicU64,
    /// To be kept.
    pub(super) picked: AtomicU64,
    /// Written.
    pub(super) kept: AtomicU64,
    /// Picked, and too many at once.
    pub(super) dropped: AtomicU64,
    /// Picked, and of a name that may be about somebody, or too large.
    pub(super) withheld: AtomicU64,
    /// Picked, and the file could not be written.
    pub(super) failed: AtomicU64,
    /// Of the file and its log.
    pub(super) bytes: AtomicU64,
}

impl Counts {
    /// By what became of them, for metrics.
    pub fn outcomes(&self) -> [(&'static str, u64); 5] {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("kept", of(&self.kept)),
            ("passed_over", of(&self.seen).saturating_sub(of(&self.picked))),
            ("dropped", of(&self.dropped)),
            ("withheld", of(&self.withheld)),
            ("failed", of(&self.failed)),
        ]
    }

    /// How large the file and its log are.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}
