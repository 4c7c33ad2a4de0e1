//! What people and metrics may know of an account's delivery. Written by the account's task, read by anyone.

use std::{fmt, sync::Arc};

use serde::Serialize;

use crate::{call::Account, time::Timestamp};

/// One account's delivery at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    pub account: Arc<Account>,
    pub state: State,
    /// The newest answer, of whatever kind; `None` before the first.
    pub last: Option<LastAnswer>,
    pub counts: Counts,
}

/// Whether calls flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// Calls are sent as they come.
    Flowing,
    /// The destination failed; the next attempt is due at `until`.
    Retrying {
        since: Timestamp,
        until: Timestamp,
        /// Attempts that failed one after the other.
        failures: u32,
    },
    /// A person is needed. One call is tried at `probe_at`, so that a cause mended elsewhere heals.
    Paused { since: Timestamp, probe_at: Timestamp, pause: Pause },
}

/// Why an account is paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pause {
    pub reason: PauseReason,
    /// The HTTP status that led to it; `None` if nothing was sent.
    pub status: Option<u16>,
    /// The destination's words, bounded and without secrets, or ours.
    pub words: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// The account's key is missing, unreadable or not bound to the destination. Nothing was sent.
    NoKey,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// Another 3xx or 4xx that says nothing about single events.
    Unexpected,
    /// Event after event was refused in the same words and none was accepted: it is not the events.
    RefusedAlike,
}

impl fmt::Display for PauseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKey => "the key could not be had",
            Self::Unauthorized => "the key was not accepted",
            Self::Forbidden => "the key may not do this",
            Self::NotFound => "the address was not found",
            Self::Unexpected => "the answer was not one that single events cause",
            Self::RefusedAlike => "every event was refused alike",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastAnswer {
    pub at: Timestamp,
    /// `None` if there was no answer, or nothing was sent.
    pub status: Option<u16>,
    pub words: String,
    /// How many calls the attempt carried.
    pub calls: usize,
}

/// Counters since the start; they only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Calls that the destination has.
    pub delivered: u64,
    /// Calls put back after an attempt that failed in a way that may pass.
    pub retried: u64,
    /// Calls given up on; those of `revived` among them.
    pub dead: u64,
    /// Dead letters taken back, because it turned out not to be their fault.
    pub revived: u64,
    /// Requests made, and those not made for want of a key.
    pub attempts: u64,
}
