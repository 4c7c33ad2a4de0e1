//! The trace: what every stage decided for one hit, and why. Always built, bounded; keeping it is somebody else's choice.
//!
//! Redaction happens here and nowhere else, by type: a value that was found enters a trace only as [`Found`], which
//! keeps nothing of a personal one.

use std::{fmt, sync::Arc};

use serde::Serialize;
use serde_json::Value;

use crate::{
    consent::{ConsentState, ConsentTypes, gate::Missing},
    cookie::CookieRefusal,
    event::{self, EventId},
    hit::HitId,
    script::ScriptError,
    time::Timestamp,
};

/// What was decided about one hit.
#[derive(Clone, Debug, Serialize)]
pub struct Trace {
    pub hit: HitId,
    pub received: Timestamp,
    /// The version of the container that decided.
    pub version: Arc<str>,
    pub client: ClientVerdict,
    pub events: Vec<EventTrace>,
}

/// Which client claimed the hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum ClientVerdict {
    Claimed { client: &'static str },
    Refused { client: &'static str, field: Box<str>, message: Box<str> },
}

/// What was decided about one event.
#[derive(Clone, Debug, Serialize)]
pub struct EventTrace {
    pub name: Arc<str>,
    pub id: EventId,
    pub time: Timestamp,
    pub consent: ConsentState,
    /// What the client dropped or corrected.
    pub notes: Vec<Note>,
    /// Tags that a trigger looked at; all others wait for events of other names.
    pub tags: Vec<TagTrace>,
}

#[derive(Clone, Debug, Serialize)]
pub struct TagTrace {
    pub tag: Arc<str>,
    #[serde(flatten)]
    pub verdict: TagVerdict,
    /// What the tag's script and its helpers dropped, corrected or logged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

/// What became of a tag for one event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum TagVerdict {
    /// None of its triggers matched; the first one that looked at this event, and where it failed.
    NotTriggered {
        trigger: Arc<str>,
        condition: Box<str>,
        found: Found,
    },
    /// An exception matched.
    Excepted {
        trigger: Arc<str>,
    },
    Paused,
    /// Consent is missing and the visitor has not answered: the page may send the event again after a grant.
    Held {
        needs: ConsentTypes,
        why: Box<str>,
    },
    /// Consent is missing.
    Blocked {
        needs: ConsentTypes,
        why: Box<str>,
    },
    /// The script decided that there is nothing to do.
    Skipped {
        reason: Box<str>,
    },
    Failed {
        error: ScriptError,
    },
    /// It ran, and asked for these.
    Ran {
        calls: usize,
        cookies: Vec<CookieVerdict>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CookieVerdict {
    pub name: Box<str>,
    /// Why it is not written; absent if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<CookieRefusal>,
}

/// A remark: something that was dropped, rounded or corrected, or that a script logged. Holds no personal value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What it is about, such as `user_data.phone_number`; empty for a script's own log line.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub field: Box<str>,
    pub text: Box<str>,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.text) } else { write!(f, "{}: {}", self.field, self.text) }
    }
}

/// Whether a value may be shown in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensitivity {
    Public,
    /// About a person: e-mail, ids, addresses, cookies.
    Personal,
}

/// Event data about a person, by the first step of its path.
const PERSONAL_KEYS: [&str; 10] = [
    "user_data",
    "user_id",
    "client_id",
    "user",
    "email",
    "phone",
    "ip_override",
    "user_agent",
    "page_location",
    "page_referrer",
];

impl Sensitivity {
    /// Of the event's data at a dotted path. Page addresses count as personal: queries carry click ids and e-mails.
    pub fn of_event_data(path: &str) -> Self {
        let first = path.split('.').next().unwrap_or_default();
        if PERSONAL_KEYS.contains(&first) { Self::Personal } else { Self::Public }
    }
}

/// A value that a condition found: shown, cut short, or withheld.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Found {
    Absent,
    Shown(Box<str>),
    /// There was a value, about a person.
    Withheld,
}

impl Found {
    const MAX_CHARACTERS: usize = 120;

    pub fn new(value: Option<&Value>, sensitivity: Sensitivity) -> Self {
        let Some(text) = value.and_then(event::to_text) else { return Self::Absent };
        if sensitivity == Sensitivity::Personal || text.contains('@') {
            return Self::Withheld;
        }
        match text.char_indices().nth(Self::MAX_CHARACTERS) {
            Some((end, _)) => Self::Shown(format!("{}…", &text[..end]).into()),
            None => Self::Shown(text.into()),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("no value"),
            Self::Shown(text) => write!(f, "{text:?}"),
            Self::Withheld => f.write_str("a personal value, not shown"),
        }
    }
}

impl TagVerdict {
    pub fn held(missing: &Missing) -> Self {
        Self::Held { needs: missing.types, why: missing.to_string().into() }
    }

    pub fn blocked(missing: &Missing) -> Self {
        Self::Blocked { needs: missing.types, why: missing.to_string().into() }
    }
}

/// One sentence without its subject: "blocked by consent: needs …".
impl fmt::Display for TagVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTriggered { trigger, condition, found } => {
                write!(f, "not triggered: trigger {trigger:?} wants {condition}, found {found}")
            }
            Self::Excepted { trigger } => write!(f, "not triggered: exception {trigger:?} matched"),
            Self::Paused => f.write_str("paused"),
            Self::Held { why, .. } => write!(f, "held for consent: {why}"),
            Self::Blocked { why, .. } => write!(f, "blocked by consent: {why}"),
            Self::Skipped { reason } => write!(f, "skipped: {reason}"),
            Self::Failed { error } => write!(f, "failed: {error}"),
            Self::Ran { calls, cookies } => {
                match calls {
                    0 => f.write_str("ran: no call")?,
                    1 => f.write_str("ran: 1 call")?,
                    _ => write!(f, "ran: {calls} calls")?,
                }
                for cookie in cookies {
                    match &cookie.refused {
                        None => write!(f, ", cookie {}", cookie.name)?,
                        Some(refusal) => write!(f, ", cookie {} not written ({refusal})", cookie.name)?,
                    }
                }
                Ok(())
            }
        }
    }
}
