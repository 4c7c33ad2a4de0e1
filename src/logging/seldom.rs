//! Takes what others can bring about as often as they like, gives whether it is told this time: nobody floods the log.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::time::Timestamp;

/// How long it stays quiet after a line. Whoever uses it says so in the line.
const EVERY: Duration = Duration::from_secs(60);

/// One kind of line, told once a minute at most.
#[derive(Debug, Default)]
pub struct Seldom {
    told: Mutex<Option<Timestamp>>,
}

impl Seldom {
    /// Whether the line is due. Then it counts as told.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = told.is_none_or(|told| now < told || now.since(told) >= EVERY);
        if is_due {
            *told = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_told_once_a_minute() {
        let seldom = Seldom::default();
        let start = Timestamp::now();
        let after = |seconds| start.plus(Duration::from_secs(seconds));
        let due = [0, 1, 59, 60, 61, 119, 120].map(|seconds| seldom.is_due(after(seconds)));
        assert_eq!(due, [true, false, false, true, false, false, true]);
        assert!(seldom.is_due(start), "the clock was set back");
    }
}
