//! The trace: what every stage decided for one hit, and why. Always built, bounded; keeping it is somebody else's choice.
//!
//! Redaction happens in [`redaction`] and nowhere else, by type: a value that was found enters a trace only as [`Found`],
//! which keeps nothing of a personal one.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Serialize, Serializer};

use crate::{
    consent::{
        ConsentState, ConsentTypes, Evidence,
        gate::{Missing, Settled},
    },
    container::Inactive,
    cookie::CookieRefusal,
    event::EventId,
    hit::HitId,
    script::{Cause, ScriptError},
    time::Timestamp,
    trigger::sample::SampledOut,
};

pub mod closeup;
pub mod redaction;

pub use redaction::{Found, Sensitivity, redacted, redacted_answer};

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

/// So many tags that did not fire are told of for one event, of hits that nobody watches. A thousand tags that look at an
/// event are no reason for a trace of a thousand lines, nor for the work of finding a thousand reasons.
pub const TOLD_AT_WORK: usize = 10;
/// The same where somebody watches: cases, `tidegate trace`, previews.
pub const TOLD_TO_PEOPLE: usize = 1000;

impl Trace {
    /// Tags that failed because the scripts of the hit had used up their time together: the first of them with what it
    /// says, and how many there are.
    pub fn out_of_time(&self) -> Option<(&TagTrace, &ScriptError, usize)> {
        let mut late = self.events.iter().flat_map(|event| &event.tags).filter_map(|tag| match &tag.verdict {
            TagVerdict::Failed { error } if error.cause == Cause::HitTime => Some((tag, error)),
            _ => None,
        });
        let (tag, error) = late.next()?;
        Some((tag, error, 1 + late.count()))
    }
}

/// What was decided about one event.
#[derive(Clone, Debug, Serialize)]
pub struct EventTrace {
    pub name: Arc<str>,
    pub id: EventId,
    pub time: Timestamp,
    #[serde(skip_serializing_if = "Attention::is_full")]
    pub attention: Attention,
    /// What the visitor allowed, whoever receives the data.
    pub consent: ConsentState,
    /// What that follows from.
    #[serde(flatten)]
    pub evidence: Evidence,
    /// What the client dropped or corrected, and what expressions logged or failed by.
    pub notes: Vec<Note>,
    /// Tags that a trigger looked at; all others wait for events of other names.
    pub tags: Vec<TagTrace>,
    /// How many more such tags did not fire and are not told of; a tag may count more than once.
    #[serde(skip_serializing_if = "is_zero")]
    pub untold: usize,
}

/// Whether an event is decided at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Attention {
    #[default]
    Full,
    /// It is a bot's, and the container ignores those: no tag is looked at.
    Bot,
}

impl Attention {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    fn is_full(&self) -> bool {
        *self == Self::Full
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[derive(Clone, Debug, Serialize)]
pub struct TagTrace {
    pub tag: Arc<str>,
    #[serde(skip_serializing_if = "Part::is_own")]
    pub part: Part,
    #[serde(flatten)]
    pub verdict: TagVerdict,
    /// What the tag's script and its helpers dropped, corrected or logged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

/// For whom a tag had its turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Own,
    /// Before another tag.
    SetUp {
        of: Arc<str>,
    },
    /// After another tag.
    CleanUp {
        of: Arc<str>,
    },
}

impl Part {
    fn is_own(&self) -> bool {
        *self == Self::Own
    }
}

/// What stands after a tag's name: ` (set-up of "Purchase")`.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => Ok(()),
            Self::SetUp { of } => write!(f, " (set-up of {of:?})"),
            Self::CleanUp { of } => write!(f, " (clean-up of {of:?})"),
        }
    }
}

/// What became of a tag for one event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum TagVerdict {
    /// None of its triggers matched; the first one that looked at this event, and where it failed.
    NotTriggered {
        trigger: Arc<str>,
        condition: Arc<str>,
        found: Found,
    },
    /// The conditions of one of its triggers hold, but the visitor is not among those that the trigger asks for.
    SampledOut {
        trigger: Arc<str>,
        #[serde(flatten)]
        sample: SampledOut,
    },
    /// An exception matched.
    Excepted {
        trigger: Arc<str>,
    },
    Paused,
    /// The hit came outside of the tag's period.
    Inactive {
        why: Inactive,
    },
    /// The tag that runs before it failed, or did not run.
    SetupFailed {
        setup: Arc<str>,
        why: Box<str>,
    },
    /// The tag after which it cleans up failed, and it cleans up after success only.
    NoCleanup {
        of: Arc<str>,
    },
    /// Consent is missing and the visitor has not answered: the page may send the event again after a grant.
    Held {
        needs: ConsentTypes,
        why: Box<str>,
    },
    /// Consent is missing. A refusal also expires cookies that such a tag would have set.
    Blocked {
        needs: ConsentTypes,
        why: Box<str>,
        #[serde(flatten)]
        forgotten: RefusalEffects,
    },
    /// Consent is there, the event's data is not: the page kept it back, and is asked for it.
    Awaited,
    /// The event was sent before, and this tag was done with it.
    Settled {
        why: Settled,
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
        /// Those of its calls that are copies, and were not accepted again.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        suppressed: Vec<SuppressedCall>,
        /// Those of its calls that go along in a request for an earlier event of the same hit.
        #[serde(skip_serializing_if = "is_zero")]
        joined: usize,
        cookies: Vec<CookieVerdict>,
    },
}

/// A call that was asked for and is a copy of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SuppressedCall {
    pub destination: &'static str,
    #[serde(flatten)]
    pub original: Original,
}

/// What a suppressed call is a copy of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "copy_of", rename_all = "snake_case")]
pub enum Original {
    /// A call that was accepted earlier.
    Accepted {
        #[serde(rename = "seconds_ago", serialize_with = "seconds")]
        ago: Duration,
    },
    /// A call for an earlier event of the same hit.
    SameHit,
}

fn seconds<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(span.as_secs())
}

impl fmt::Display for Original {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { ago } => write!(f, "the same call was accepted {} s ago", ago.as_secs()),
            Self::SameHit => f.write_str("an earlier event of this hit made the same call"),
        }
    }
}

/// What a refusal makes others forget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RefusalEffects {
    /// By the browser.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expired: Vec<CookieVerdict>,
    /// By the outbox.
    #[serde(skip_serializing_if = "Cancelled::is_nothing")]
    pub cancelled: Cancelled,
}

/// Which calls that were not delivered yet are cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cancelled {
    #[default]
    Nothing,
    /// Those that carry the click reference of the expired cookie.
    CallsOfTheClick,
}

impl Cancelled {
    fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
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
    #[serde(skip_serializing_if = "Level::is_debug")]
    pub level: Level,
}

/// Who should hear of a note beside those who read traces: from `Info` on, whoever reads the server's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    #[default]
    Debug,
    Info,
    Warning,
    Error,
}

impl Level {
    pub const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warning, Self::Error];

    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    fn is_debug(&self) -> bool {
        *self == Self::Debug
    }
}

impl Note {
    pub fn new(field: impl Into<Box<str>>, text: impl Into<Box<str>>) -> Self {
        Self { field: field.into(), text: text.into(), level: Level::Debug }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.text) } else { write!(f, "{}: {}", self.field, self.text) }
    }
}

impl TagVerdict {
    pub fn held(missing: &Missing) -> Self {
        Self::Held { needs: missing.types, why: missing.to_string().into() }
    }

    pub fn blocked(missing: &Missing, forgotten: RefusalEffects) -> Self {
        Self::Blocked { needs: missing.types, why: missing.to_string().into(), forgotten }
    }
}

/// One sentence without its subject: "blocked by consent: needs …".
impl fmt::Display for TagVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTriggered { trigger, condition, found } => {
                write!(f, "not triggered: trigger {trigger:?} wants {condition}, found {found}")
            }
            Self::SampledOut { trigger, sample } => {
                write!(f, "not triggered: trigger {trigger:?} sampled out: {sample}")
            }
            Self::Excepted { trigger } => write!(f, "not triggered: exception {trigger:?} matched"),
            Self::Paused => f.write_str("paused"),
            Self::Inactive { why: Inactive::Until(from) } => write!(f, "not active until {from}"),
            Self::Inactive { why: Inactive::Since(to) } => write!(f, "not active since {to}"),
            Self::SetupFailed { setup, why } => write!(f, "not run: its set-up tag {setup:?} failed: {why}"),
            Self::NoCleanup { of } => {
                write!(f, "not run: the tag {of:?} failed, and this one cleans up only after its success")
            }
            Self::Held { why, .. } => write!(f, "held for consent: {why}"),
            Self::Blocked { why, forgotten, .. } => {
                write!(f, "blocked by consent: {why}")?;
                forgotten.expired.iter().try_for_each(|cookie| match &cookie.refused {
                    None => write!(f, ", cookie {} expired", cookie.name),
                    Some(refusal) => write!(f, ", cookie {} not expired ({refusal})", cookie.name),
                })?;
                match forgotten.cancelled {
                    Cancelled::Nothing => Ok(()),
                    Cancelled::CallsOfTheClick => f.write_str(", undelivered calls of its click cancelled"),
                }
            }
            Self::Awaited => f.write_str("awaits the whole event: the page kept its data back"),
            Self::Settled { why } => write!(f, "settled when the event was first sent: {why}"),
            Self::Skipped { reason } => write!(f, "skipped: {reason}"),
            Self::Failed { error } => write!(f, "failed: {error}"),
            Self::Ran { calls, suppressed, joined, cookies } => {
                match calls {
                    0 => f.write_str("ran: no call")?,
                    1 => f.write_str("ran: 1 call")?,
                    _ => write!(f, "ran: {calls} calls")?,
                }
                if let Some(SuppressedCall { original, .. }) = suppressed.first() {
                    match suppressed.len() {
                        all if all == *calls => write!(f, ", suppressed: {original}")?,
                        some => write!(f, ", {some} of them suppressed: {original}")?,
                    }
                }
                if *joined > 0 {
                    f.write_str(", in one request with an earlier event of this hit")?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_joined_another_says_so() {
        let ran = |joined| TagVerdict::Ran { calls: 1, suppressed: Vec::new(), joined, cookies: Vec::new() };
        assert_eq!(ran(0).to_string(), "ran: 1 call");
        assert_eq!(ran(1).to_string(), "ran: 1 call, in one request with an earlier event of this hit");
    }
}
