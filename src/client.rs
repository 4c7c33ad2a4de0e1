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
pub mod ga4;
mod json;
pub mod measurement;
mod parameters;
pub mod pixel;
mod reading;

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

/// What the body of a client's hits is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Json,
    /// Text of the client's own protocol, or nothing, whatever its media type says.
    Anything,
}

/// What is answered once a hit is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To who asks for it, which events wait; else nothing.
    WhatWaits,
    Nothing,
    Image(&'static [u8]),
}

/// The clients, by the name under which traces and metrics know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Our own JSON, `POST /hit`.
    DataLayer,
    /// Google Analytics 4's protocol, `/g/collect`.
    Ga4,
    /// Google Analytics 4's Measurement Protocol, `POST /mp/collect`.
    Measurement,
    /// One event in an image's address, `GET /p.gif`.
    Pixel,
}

impl Client {
    pub const ALL: [Self; 4] = [Self::DataLayer, Self::Ga4, Self::Measurement, Self::Pixel];

    /// The client that claims hits of this path; every path has one at most.
    pub fn claim(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|client| client.path() == path)
    }

    pub fn path(self) -> &'static str {
        match self {
            Self::DataLayer => "/hit",
            Self::Ga4 => "/g/collect",
            Self::Measurement => "/mp/collect",
            Self::Pixel => "/p.gif",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::DataLayer => "dataLayer",
            Self::Ga4 => "ga4",
            Self::Measurement => "measurement",
            Self::Pixel => "pixel",
        }
    }

    /// The methods of its hits, as the header `Allow` has them.
    pub fn methods(self) -> &'static str {
        match self {
            Self::DataLayer | Self::Measurement => "POST, OPTIONS",
            Self::Ga4 => "GET, POST, OPTIONS",
            Self::Pixel => "GET, OPTIONS",
        }
    }

    pub fn takes(self) -> Takes {
        match self {
            Self::DataLayer | Self::Measurement => Takes::Json,
            Self::Ga4 | Self::Pixel => Takes::Anything,
        }
    }

    pub fn reply(self) -> Reply {
        match self {
            Self::DataLayer => Reply::WhatWaits,
            Self::Ga4 | Self::Measurement => Reply::Nothing,
            Self::Pixel => Reply::Image(pixel::GIF),
        }
    }

    /// Whether an event that waits for consent can be sent again.
    pub fn keeping(self) -> Keeping {
        match self {
            Self::DataLayer => Keeping::Page,
            Self::Ga4 | Self::Measurement | Self::Pixel => Keeping::Nobody,
        }
    }

    /// Reads the events of a hit that this client claimed. `new_id` makes ids for events that bring none.
    pub fn read(self, hit: &Hit, new_id: &dyn Fn() -> Uuid) -> Result<Vec<Read>, BadHit> {
        match self {
            Self::DataLayer => datalayer::read(hit, new_id),
            Self::Ga4 => ga4::read(hit, new_id),
            Self::Measurement => measurement::read(hit, new_id),
            Self::Pixel => pixel::read(hit, new_id),
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

#[cfg(test)]
mod tests;
