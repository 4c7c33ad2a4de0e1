//! The body of a request: takes its bytes, gives its events with what may be said against each, or the first fault of
//! the whole. A batch is atomic: one bad event refuses all of it.

use http::StatusCode;
use serde_json::{Map, Value};

use super::{
    event,
    finding::{Finding, kind, shortened},
    ledger::Named,
    user::UserSchemas,
};
use crate::time::Timestamp;

/// How many events a request may carry.
const MAX_EVENTS: usize = 1000;

const ROOT_FIELDS: [&str; 3] = ["events", "validate_only", "integration_source"];

/// How a refusal names its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Words {
    /// `events[17].data.currency: is required with an amount`.
    #[default]
    Indexed,
    /// `data.currency: is required with an amount`: equal faults give equal answers, wherever they stand.
    Plain,
}

/// What events are judged by.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) now: Timestamp,
    pub(super) schemas: UserSchemas,
    pub(super) words: Words,
}

/// What a batch is sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Store,
    ValidateOnly,
}

/// A body whose root is sound; its events are not judged yet.
pub(super) struct Batch {
    pub(super) purpose: Purpose,
    pub(super) integration_source: Option<String>,
    pub(super) events: Vec<Value>,
}

/// An answer that says no.
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) words: String,
    /// The events that were refused with it, as far as they could be read.
    pub(super) events: Vec<Named>,
}

impl Refusal {
    /// A refusal that read no event.
    pub(super) fn new(status: StatusCode, words: impl Into<String>) -> Self {
        Self { status, words: words.into(), events: Vec::new() }
    }

    fn bad_request(words: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, words)
    }
}

impl Batch {
    /// Reads a body as far as the list of events.
    pub(super) fn open(body: &[u8]) -> Result<Self, Refusal> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|e| Refusal::bad_request(format!("Body is not JSON: line {}, column {}", e.line(), e.column())))?;
        let Value::Object(mut root) = body else {
            return Err(Refusal::bad_request(format!("Body must be an object, found {}", kind(&body))));
        };
        // Before the other fields: a bare event is full of fields that are unknown at the root.
        let Some(events) = root.remove("events") else {
            return Err(Refusal::bad_request("Missing required field: events"));
        };
        let Value::Array(events) = events else {
            return Err(Refusal::bad_request(format!("events: must be a list, found {}", kind(&events))));
        };
        if events.is_empty() || events.len() > MAX_EVENTS {
            return Err(Refusal::bad_request(format!("events: must hold 1 to {MAX_EVENTS} events")));
        }
        if let Some(name) = root.keys().find(|name| !ROOT_FIELDS.contains(&name.as_str())) {
            return Err(Refusal::bad_request(format!("{}: unknown field", shortened(name))));
        }
        Ok(Self { purpose: purpose(&root)?, integration_source: integration_source(&root)?, events })
    }

    /// Judges every event: the warnings about each, or the refusal of all of them for the first fault.
    pub(super) fn judge(&self, rules: &Rules) -> Result<Vec<Vec<Finding>>, Refusal> {
        let judge_one = |(index, event)| {
            let mut warnings = Vec::new();
            match event::check(event, rules, &mut warnings) {
                Ok(()) => Ok(warnings),
                Err(fault) => Err(self.refusal(in_words(&fault, index, rules.words))),
            }
        };
        self.events.iter().enumerate().map(judge_one).collect()
    }

    /// Refuses all events in the given words.
    pub(super) fn refusal(&self, words: String) -> Refusal {
        let events = self.events.iter().map(Named::read).collect();
        Refusal { status: StatusCode::BAD_REQUEST, words, events }
    }
}

fn in_words(fault: &Finding, index: usize, words: Words) -> String {
    match words {
        Words::Plain => fault.to_string(),
        Words::Indexed if fault.path.is_empty() => format!("events[{index}]: {}", fault.words),
        Words::Indexed => format!("events[{index}].{fault}"),
    }
}

fn purpose(root: &Map<String, Value>) -> Result<Purpose, Refusal> {
    match root.get("validate_only") {
        None | Some(Value::Bool(false)) => Ok(Purpose::Store),
        Some(Value::Bool(true)) => Ok(Purpose::ValidateOnly),
        Some(other) => {
            Err(Refusal::bad_request(format!("validate_only: must be true or false, found {}", kind(other))))
        }
    }
}

/// `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`.
fn integration_source(root: &Map<String, Value>) -> Result<Option<String>, Refusal> {
    let Some(value) = root.get("integration_source") else { return Ok(None) };
    let Some(name) = value.as_str() else {
        return Err(Refusal::bad_request(format!("integration_source: must be a string, found {}", kind(value))));
    };
    let sound = name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if sound {
        Ok(Some(name.to_owned()))
    } else {
        Err(Refusal::bad_request(
            "integration_source: must be 1 to 64 letters, digits, dots, underscores or hyphens, the first a letter or \
             digit",
        ))
    }
}
