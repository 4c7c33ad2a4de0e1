//! The outbox: the durable store of calls that have been accepted and not yet delivered.
//!
//! A small trait with two houses behind it: the [embedded] store, and later NATS JetStream. Nothing above it knows
//! which. Takes the calls of one hit and keeps them until they are settled: delivered, put back, or dead.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    call::{Account, Call, CallEvent},
    deduplication::PastCall,
    hit::HitId,
    time::Timestamp,
};

use sought::Sought;

pub mod embedded;
pub mod sought;

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Is shown calls, one after the other.
pub type See = Box<dyn FnMut(PastCall) + Send>;

/// The store of calls on their way. Every method may be called from any thread.
pub trait Outbox: Send + Sync + 'static {
    /// Makes the calls of one hit durable, all or none, before it resolves. A caller that lost the answer may call
    /// again with the same calls: the destination deduplicates by event id.
    fn accept(&self, record: Record) -> BoxFuture<'_, Result<(), AcceptError>>;

    /// Resolves when something may have become due that was not before: a call accepted for this account, put back,
    /// replayed. May resolve spuriously.
    fn arrival<'a>(&'a self, account: &'a Arc<Account>) -> BoxFuture<'a, ()>;

    /// Every account that has pending or dead calls, and every one seen since the start.
    fn accounts(&self) -> Vec<AccountState>;

    /// Resolves when an account appears that [`Outbox::accounts`] did not list before.
    fn new_account(&self) -> BoxFuture<'_, ()>;

    /// Takes up to `max_calls` due calls of an account, oldest first, whose bodies add up to at most `max_bytes` (a
    /// single larger call comes alone). A leased call is not handed out again until it is put back or the process
    /// dies; then it is due at once.
    fn lease<'a>(
        &'a self,
        account: &'a Arc<Account>,
        max_calls: usize,
        max_bytes: usize,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<Leased>, StoreError>>;

    /// Says that leased calls are still being worked on, for stores whose leases run out.
    fn extend<'a>(&'a self, calls: &'a [CallId]) -> BoxFuture<'a, ()>;

    /// Ends leases. Resolves once that is durable; a settlement lost in a crash means one more attempt, not a loss.
    /// A store that cannot write keeps the settlements and tries again by itself.
    fn settle(&self, settlements: Vec<(CallId, Settlement)>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Dead and pending calls for people to look at, oldest first.
    fn list<'a>(&'a self, query: &'a ListQuery) -> BoxFuture<'a, Result<Page, StoreError>>;

    /// One call with its body, if it is still held.
    fn show(&self, id: CallId) -> BoxFuture<'_, Result<Option<StoredCall>, StoreError>>;

    /// Puts dead letters back to be delivered for real, at once; ids that are not dead letters, or whose body has been
    /// dropped for age, are left as they are. Returns how many were put back.
    fn replay<'a>(&'a self, ids: &'a [CallId]) -> BoxFuture<'a, Result<usize, StoreError>>;

    /// Shows every call that was accepted since then and that the store still has, pending or dead, in the order in
    /// which they were accepted. For the start: it may take long.
    fn accepted_since(&self, since: Timestamp, see: See) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Forgets calls for good, dead or pending (unless leased). Returns how many.
    fn discard<'a>(&'a self, ids: &'a [CallId]) -> BoxFuture<'a, Result<usize, StoreError>>;

    /// Forgets every call that holds what is sought and was accepted before, dead or pending. A call that is just being
    /// sent cannot be called back; but it is forgotten as well, so it will not be sent again.
    ///
    /// For people, and for a visitor who withdraws consent: it looks at every call, so its cost is bounded. All who ask
    /// while it looks are served together by the next look, which rests for a multiple of the time that the one before
    /// took; and no more may wait than there is room for ([`StoreError`]). A store where little waits answers at once.
    fn forget<'a>(&'a self, sought: &'a Sought) -> BoxFuture<'a, Result<Forgotten, StoreError>> {
        self.cancel(sought, Box::new(|_| {}))
    }

    /// Forgets calls like [`Outbox::forget`], and shows those that will certainly not arrive: all but those that were just
    /// being sent.
    fn cancel<'a>(&'a self, sought: &'a Sought, see: See) -> BoxFuture<'a, Result<Forgotten, StoreError>>;

    /// Sees to it that nothing of what was forgotten, discarded or delivered can be read in the store's files any more.
    fn scrub(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Whether a hit could be accepted now; the words are for `/readyz`'s log line and the admin.
    fn writable(&self) -> Result<(), AcceptError>;

    /// Writes what is queued, checkpoints and closes. Later calls fail.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// What one hit asks to have delivered.
#[derive(Clone, Debug)]
pub struct Record {
    pub hit: HitId,
    pub accepted: Timestamp,
    /// The version of the container that decided, such as a commit.
    pub version: Arc<str>,
    pub calls: Vec<Call>,
}

/// Names a call for good: never used again, not even after the store was emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub u64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A call in the hands of a delivery.
#[derive(Clone, Debug)]
pub struct Leased {
    pub id: CallId,
    pub hit: HitId,
    pub tag: Arc<str>,
    pub event: CallEvent,
    /// Attempts made before this lease.
    pub attempts: u32,
    pub accepted: Timestamp,
    pub body: Bytes,
}

/// How a lease ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Settlement {
    /// The destination has it; the store forgets it.
    Delivered,
    /// An attempt failed in a way that may pass: due again at `at`, `attempts` grows by one.
    Retry { at: Timestamp },
    /// No attempt was made, or one that says nothing about this call (a split batch): due at once, `attempts` unchanged.
    PutBack,
    /// Given up on, kept for a person to look at.
    Dead(Death),
}

/// Why a call was given up on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Death {
    pub reason: DeathReason,
    /// The destination's last HTTP status, if it answered.
    pub status: Option<u16>,
    /// The destination's words, bounded and without secrets, or ours.
    pub words: String,
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeathReason {
    /// The destination refused this very event.
    Refused,
    /// Older than the destination accepts.
    TooOld,
    /// The body is larger than the destination takes.
    TooLarge,
}

/// A call as the store holds it, for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredCall {
    pub id: CallId,
    pub account: Account,
    pub hit: HitId,
    pub tag: String,
    pub event: CallEvent,
    pub version: String,
    pub accepted: Timestamp,
    pub attempts: u32,
    /// Set on dead letters.
    pub death: Option<Death>,
    /// JSON text; gone once it is too old to be delivered, and left out of lists.
    pub body: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallState {
    Pending,
    Dead,
}

/// Which calls are meant: those of which everything holds that is said here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFilter {
    /// By its `Display` text.
    pub account: Option<String>,
    pub tag: Option<String>,
    /// Accepted at this time or later.
    pub since: Option<Timestamp>,
    /// Accepted before this time.
    pub until: Option<Timestamp>,
}

impl CallFilter {
    pub fn is_met(&self, account: &str, tag: &str, accepted: Timestamp) -> bool {
        self.account.as_ref().is_none_or(|wanted| wanted == account)
            && self.tag.as_ref().is_none_or(|wanted| wanted == tag)
            && self.since.is_none_or(|since| accepted >= since)
            && self.until.is_none_or(|until| accepted < until)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListQuery {
    pub state: CallState,
    pub filter: CallFilter,
    /// Where the page before ended.
    pub after: Option<Cursor>,
    /// At most this many; the store may give fewer.
    pub limit: usize,
}

/// How many calls were forgotten, by where they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    pub pending: u64,
    pub dead: u64,
    /// Of those that were just being sent: they may still arrive.
    pub in_flight: u64,
}

/// Where a page of a list ended. Opaque: only the store that made it can read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page {
    pub calls: Vec<StoredCall>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// One account's share of the store.
#[derive(Clone, Debug)]
pub struct AccountState {
    pub account: Arc<Account>,
    /// Accepted and not settled, leased ones included.
    pub pending: u64,
    pub dead: u64,
    /// When the oldest pending call was accepted.
    pub oldest: Option<Timestamp>,
}

/// Why a hit's calls could not be made durable. Nothing of it was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptError {
    /// More bytes wait for the disk than the bound allows.
    Busy,
    /// Free disk is below the reserve, or the disk is full.
    DiskFull { words: String },
    /// The store failed.
    Store { words: String },
    /// The process is stopping.
    Closed,
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("the outbox's write queue is full"),
            Self::DiskFull { words } => write!(f, "the disk is full: {words}"),
            Self::Store { words } => write!(f, "the outbox failed: {words}"),
            Self::Closed => f.write_str("the outbox is closed"),
        }
    }
}

impl std::error::Error for AcceptError {}

/// A fault of the store itself.
#[derive(Debug)]
pub struct StoreError(pub anyhow::Error);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl std::error::Error for StoreError {}
