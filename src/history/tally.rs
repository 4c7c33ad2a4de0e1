//! How many hits which version decided: counted by handlers, taken away by the history's thread.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwapOption;

/// Counts since they were last taken.
#[derive(Default)]
pub(super) struct Tallies {
    /// That of the last hit.
    current: ArcSwapOption<Tally>,
    /// Every one that may have counts: hits in flight have the version with which they began.
    all: Mutex<Vec<Arc<Tally>>>,
}

struct Tally {
    version: Arc<str>,
    hits: AtomicU64,
    events: AtomicU64,
}

/// What was counted of a version.
#[derive(Debug, PartialEq)]
pub(super) struct Count {
    pub version: Arc<str>,
    pub hits: u64,
    pub events: u64,
}

impl Tallies {
    pub fn count(&self, version: &Arc<str>, events: usize) {
        let current = self.current.load();
        match &*current {
            Some(tally) if tally.is_of(version) => tally.count(events),
            _ => self.change_to(version).count(events),
        }
    }

    #[cold]
    fn change_to(&self, version: &Arc<str>) -> Arc<Tally> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.iter().find(|tally| tally.is_of(version)).cloned();
        let tally = known.unwrap_or_else(|| {
            let (hits, events) = (AtomicU64::new(0), AtomicU64::new(0));
            let tally = Arc::new(Tally { version: Arc::clone(version), hits, events });
            all.push(Arc::clone(&tally));
            tally
        });
        self.current.store(Some(Arc::clone(&tally)));
        tally
    }

    /// What was counted since the last time.
    pub fn take(&self) -> Vec<Count> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let counts: Vec<_> = all.iter().map(|tally| tally.take()).collect();
        let current = self.current.load_full();
        // Whoever still counts on another one than the current holds it.
        all.retain(|tally| current.as_ref().is_some_and(|own| Arc::ptr_eq(own, tally)) || Arc::strong_count(tally) > 1);
        counts.into_iter().filter(|count| count.hits + count.events > 0).collect()
    }
}

impl Tally {
    fn is_of(&self, version: &Arc<str>) -> bool {
        Arc::ptr_eq(&self.version, version) || self.version == *version
    }

    fn count(&self, events: usize) {
        self.hits.fetch_add(1, Ordering::Relaxed);
        self.events.fetch_add(events as u64, Ordering::Relaxed);
    }

    fn take(&self) -> Count {
        let (hits, events) = (self.hits.swap(0, Ordering::Relaxed), self.events.swap(0, Ordering::Relaxed));
        Count { version: Arc::clone(&self.version), hits, events }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hit_is_counted_for_its_version() {
        let tallies = Tallies::default();
        let (old, new): (Arc<str>, Arc<str>) = ("old".into(), "new".into());
        for (version, events) in [(&old, 1), (&old, 2), (&new, 1), (&old, 1), (&Arc::from("new"), 3)] {
            tallies.count(version, events);
        }
        let count = |version: &Arc<str>, hits, events| Count { version: Arc::clone(version), hits, events };
        assert_eq!(tallies.take(), [count(&old, 3, 4), count(&new, 2, 4)]);
        assert_eq!(tallies.take(), []);
        tallies.count(&old, 1);
        assert_eq!(tallies.take(), [count(&old, 1, 1)]);
    }
}
