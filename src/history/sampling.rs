//! Which hits are kept under load: takes the time of each hit, says whether it is picked. A thousand an hour at most, a
//! hundred of them at once, so that the thousand that are kept span an hour or more however many hits come.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::time::Timestamp;

/// Milliseconds between two hits that are kept, in the long run.
const INTERVAL: i64 = 3_600;
/// How many may come at once after a quiet time.
const BURST: i64 = 100;

/// When the next hit would be due if they came evenly (GCRA). One number, so that nobody waits for anybody.
#[derive(Default)]
pub(super) struct Sampling(AtomicI64);

impl Sampling {
    pub fn picks(&self, now: Timestamp) -> bool {
        const AHEAD: i64 = INTERVAL * (BURST - 1);
        let stated = self.0.load(Ordering::Relaxed);
        let ahead = stated.saturating_sub(now.0);
        // Further ahead than it can be: the clock was set back.
        let due = if ahead > AHEAD + INTERVAL { now.0 } else { stated.max(now.0) };
        if due - now.0 > AHEAD {
            return false;
        }
        // Whoever comes at the very same moment is passed over.
        self.0.compare_exchange(stated, due + INTERVAL, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_at_once_and_then_a_thousand_an_hour() {
        let sampling = Sampling::default();
        let start = 1_764_072_000_000;
        let at_once = (0..500).filter(|_| sampling.picks(Timestamp(start))).count();
        assert_eq!(at_once, 100);
        let in_an_hour = (1..=3_600_000 / 50).filter(|nth| sampling.picks(Timestamp(start + nth * 50))).count();
        assert!((999..=1_001).contains(&in_an_hour), "{in_an_hour}");
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nothing() {
        let sampling = Sampling::default();
        assert!(sampling.picks(Timestamp(1_764_072_000_000)));
        assert!(sampling.picks(Timestamp(1_000_000_000_000)));
        assert!(sampling.picks(Timestamp(1_000_000_000_000)));
    }
}
