//! Clients: the adapters that claim a hit and turn it into events. Takes a [`Hit`]; gives events, or which field of the
//! hit is wrong.

use std::fmt;

use serde::Serialize;
use uuid::Uuid;

use crate::{
    consent::{ConsentState, ConsentType},
    event::Event,
    hit::Hit,
    trace::Note,
};

pub mod consent;
pub mod datalayer;

/// Bounds on what one hit may bring.
pub const MAX_BODY: usize = 1_000_000;
pub const MAX_EVENTS: usize = 100;
pub const MAX_DEPTH: usize = 32;

/// An event as its client read it, with what the client dropped or corrected.
#[derive(Debug)]
pub struct Read {
    pub event: Event,
    pub notes: Vec<Note>,
}

/// What is wrong with a hit. Nothing of it is accepted; the visitor's side may see the words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BadHit {
    /// Such as `events[3].consent.ad_storage`; empty for the body as a whole.
    pub field: Box<str>,
    pub message: Box<str>,
}

impl BadHit {
    pub fn new(field: impl Into<Box<str>>, message: impl Into<Box<str>>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl fmt::Display for BadHit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.field, self.message) }
    }
}

/// Who keeps an event that waits for consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// The page, which sends it again after a grant.
    Page,
    /// Nobody: whoever sent it does not read the answer.
    Nobody,
}

/// The clients, by the name under which traces and metrics know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Our own JSON, `POST /hit`.
    DataLayer,
}

impl Client {
    pub fn name(self) -> &'static str {
        match self {
            Self::DataLayer => "dataLayer",
        }
    }

    /// Whether an event that waits for consent can be sent again.
    pub fn keeping(self) -> Keeping {
        match self {
            Self::DataLayer => Keeping::Page,
        }
    }

    /// Reads the events of a hit that this client claimed. `new_id` makes ids for events that bring none.
    pub fn read(self, hit: &Hit, new_id: &dyn Fn() -> Uuid) -> Result<Vec<Read>, BadHit> {
        match self {
            Self::DataLayer => datalayer::read(hit, new_id),
        }
    }
}

/// Gives an event that brings no `client_id` the one of the `_ga` cookie, if the visitor granted `analytics_storage`.
/// Tidegate mints none of its own.
pub fn adopt_client_id(event: &mut Event, hit: &Hit, consent: &ConsentState) {
    if event.data.contains_key("client_id") || !consent.is_granted(ConsentType::AnalyticsStorage) {
        return;
    }
    let cookie = hit.cookie("_ga");
    // `GA1.<depth>.<random>.<time>`: the id is the last two parts.
    let id = cookie.and_then(|value| value.splitn(3, '.').nth(2)).filter(|id| !id.is_empty());
    if let Some(id) = id {
        event.data.insert("client_id".to_owned(), id.into());
    }
}
