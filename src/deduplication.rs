//! Deduplication: keeps a call from being accepted a second time within ten minutes. Takes the calls that scripts asked
//! for and the calls that became durable lately; gives those that are new, and what the others are copies of.
//!
//! Sites send events again: a reloaded thank-you page, a retry of a hit whose answer was lost. Such a copy is told by
//! its tag, destination account, event type and id, and by which of the tag's calls it is. Ids that were made here
//! suppress nothing. Nor does a call that was not durable yet: of two copies at the same instant both go.
//!
//! What is remembered lies in memory alone and is bounded; so this is a filter, and the destination, which gets the same
//! event id every time, is the final deduplicator.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState},
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    call::{Account, Call, CallEvent},
    event::IdOrigin,
    hit::HitId,
    time::Timestamp,
    trace::{Original, SuppressedCall},
};

/// How long a call suppresses its copies.
pub const WINDOW: Duration = Duration::from_mins(10);

/// Neighbouring hits seldom share a shard, so that they seldom wait for each other; a power of two.
const SHARDS: usize = 16;

/// What a bucket of a map takes: an entry and its control byte.
const BUCKET_BYTES: usize = size_of::<(CallKey, Timestamp)>() + 1;

/// Which call it is: a keyed hash of 128 bits, so that nobody can make two calls look alike, by chance or on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallKey([u64; 2]);

/// It is a hash already.
impl Hash for CallKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0[1]);
    }
}

#[derive(Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

/// The calls that became durable within the last ten minutes, as far as there is room: the oldest go first, many at once.
pub struct RecentCalls {
    /// Two keys for the two halves of a [`CallKey`].
    hashers: [RandomState; 2],
    shards: [Mutex<Shard>; SHARDS],
    /// How many calls a generation of a shard holds.
    room: usize,
}

/// Two generations of calls. When the younger is full, or too old to grow, it becomes the elder, and the elder is forgotten as
/// a whole; nothing is taken out of one for its age.
#[derive(Default)]
struct Shard {
    elder: Generation,
    younger: Generation,
}

#[derive(Default)]
struct Generation {
    accepted: HashMap<CallKey, Timestamp, BuildHasherDefault<AlreadyHashed>>,
    /// When its first call was accepted; whatever came before stands in an elder one.
    began: Timestamp,
}

impl RecentCalls {
    /// Within so many bytes, of which none is taken before there is something to remember. `hashers` are keyed at random.
    pub fn new(bytes: usize, hashers: [RandomState; 2]) -> Self {
        // A map has a power of two of buckets, and fills seven of eight before it doubles.
        let buckets = (bytes / SHARDS / 2 / BUCKET_BYTES).max(8);
        let buckets = 1 << buckets.ilog2();
        Self { hashers, shards: Default::default(), room: buckets / 8 * 7 }
    }

    /// When this call was accepted, if that was within the last ten minutes.
    fn accepted(&self, key: CallKey, now: Timestamp) -> Option<Timestamp> {
        let at = self.shard(key).find(key)?;
        // Hits that are worked on side by side may see each other's times ahead; a clock may also be set back.
        (now.since(at) < WINDOW && at.since(now) < WINDOW).then_some(at)
    }

    /// These calls are durable.
    pub fn remember(&self, keys: &BTreeSet<CallKey>, at: Timestamp) {
        for key in keys {
            self.shard(*key).remember(*key, at, self.room);
        }
    }

    /// These calls will not arrive, so nothing is a copy of them. Which of a tag's calls one was is not known: all of them that
    /// are alike but for their body are forgotten, and where one of those was delivered, the destination knows its copy.
    pub fn forget(&self, past: &PastCall) {
        for ordinal in 0.. {
            let key = self.key(&past.tag, &past.account, &past.event, ordinal);
            if !self.shard(key).forget(key) {
                return;
            }
        }
    }

    fn key(&self, tag: &str, account: &Account, event: &CallEvent, ordinal: u32) -> CallKey {
        let parts = (tag, account, &*event.name, &*event.id, ordinal);
        CallKey(self.hashers.each_ref().map(|hasher| hasher.hash_one(parts)))
    }

    fn shard(&self, CallKey([first, _]): CallKey) -> std::sync::MutexGuard<'_, Shard> {
        let index = usize::try_from(first % SHARDS as u64).unwrap_or(0);
        // A panic elsewhere left at most one key half remembered, which is forgotten like any other.
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    /// The newest, where both copies of a call went.
    fn find(&self, key: CallKey) -> Option<Timestamp> {
        [&self.younger, &self.elder].into_iter().find_map(|generation| generation.accepted.get(&key).copied())
    }

    /// Whether it was remembered.
    fn forget(&mut self, key: CallKey) -> bool {
        [&mut self.younger, &mut self.elder].map(|generation| generation.accepted.remove(&key).is_some()) != [false; 2]
    }

    fn remember(&mut self, key: CallKey, at: Timestamp, room: usize) {
        let younger = &self.younger;
        if younger.accepted.len() >= room || at.since(younger.began) >= WINDOW {
            self.elder = mem::replace(&mut self.younger, Generation { began: at, ..Generation::default() });
        }
        self.younger.accepted.insert(key, at);
    }
}

/// Tells copies from new calls, for one hit.
pub struct Sieve<'a> {
    /// `None`: lets everything pass.
    recent: Option<&'a RecentCalls>,
    now: Timestamp,
    /// Of the new calls: what to remember once they are durable.
    keys: BTreeSet<CallKey>,
}

impl<'a> Sieve<'a> {
    pub fn new(recent: Option<&'a RecentCalls>, now: Timestamp) -> Self {
        Self { recent, now, keys: BTreeSet::new() }
    }

    /// Adds those calls of one tag for one event that are new; gives what became of the others.
    pub fn sift(&mut self, calls: Vec<Call>, origin: IdOrigin, new: &mut Vec<Call>) -> Vec<SuppressedCall> {
        let Some(recent) = self.recent.filter(|_| origin.is_the_sites()) else {
            new.extend(calls);
            return Vec::new();
        };
        let mut suppressed = Vec::new();
        let ordinals: Vec<u32> = ordinals(&calls);
        for (nth, call) in calls.into_iter().enumerate() {
            if call.account.is_validate_only() {
                new.push(call);
                continue;
            }
            let ordinal = ordinals.get(nth).copied().unwrap_or(0);
            let key = recent.key(&call.tag, &call.account, &call.event, ordinal);
            let original = match recent.accepted(key, self.now) {
                Some(at) => Original::Accepted { ago: self.now.since(at) },
                None if self.keys.insert(key) => {
                    new.push(call);
                    continue;
                }
                None => Original::SameHit,
            };
            suppressed.push(SuppressedCall { destination: call.account.destination(), original });
        }
        suppressed
    }

    /// What to [remember](RecentCalls::remember) once the new calls are durable.
    pub fn into_keys(self) -> BTreeSet<CallKey> {
        self.keys
    }
}

/// For each call, how many before it are alike but for their body. Hardly ever is there more than one call.
fn ordinals(calls: &[Call]) -> Vec<u32> {
    if calls.len() < 2 {
        return Vec::new();
    }
    let alike = |one: &Call, other: &Call| {
        one.account == other.account && one.event.name == other.event.name && one.event.id == other.event.id
    };
    let before = |nth: usize, call: &Call| calls.iter().take(nth).filter(|other| alike(call, other)).count();
    let count = |(nth, call)| u32::try_from(before(nth, call)).unwrap_or(u32::MAX);
    calls.iter().enumerate().map(count).collect()
}

/// A call that was accepted earlier, as a store still has it.
#[derive(Clone, Debug)]
pub struct PastCall {
    pub hit: HitId,
    pub tag: Arc<str>,
    pub account: Arc<Account>,
    pub event: CallEvent,
    pub accepted: Timestamp,
}

/// Brings back what is known of recent calls after a restart. Takes past calls in the order in which they were accepted.
///
/// A store does not keep which of a tag's calls one was: that is counted anew. Where it has some of them no more, as they
/// were delivered, the last of them are taken for new, and never a new call for a copy.
pub struct Restoring {
    recent: Arc<RecentCalls>,
    hit: Option<HitId>,
    /// How often each call of this hit came, but for its body.
    alike: HashMap<CallKey, u32>,
}

impl Restoring {
    pub fn new(recent: Arc<RecentCalls>) -> Self {
        Self { recent, hit: None, alike: HashMap::new() }
    }

    pub fn see(&mut self, past: &PastCall) {
        if past.account.is_validate_only() {
            return;
        }
        if self.hit != Some(past.hit) {
            self.hit = Some(past.hit);
            self.alike.clear();
        }
        let key = |ordinal| self.recent.key(&past.tag, &past.account, &past.event, ordinal);
        let ordinal = self.alike.entry(key(0)).or_insert(0);
        self.recent.remember(&BTreeSet::from([key(*ordinal)]), past.accepted);
        *ordinal += 1;
    }
}

#[cfg(test)]
mod tests;
