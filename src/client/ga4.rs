//! The `ga4` client: `GET` and `POST /g/collect`, Google Analytics 4's own protocol, so that a site's
//! `server_container_url` works unchanged. One event in the query string, or a batch: what its events share in the query
//! string, and one event a line in the body. Keys get the names that they have in Google's server containers.

use std::borrow::Cow;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    BadHit, MAX_EVENTS, Read,
    parameters::{Parameters, nest, number},
    reading,
};
use crate::{
    consent::{Signals, gather},
    event::{Event, EventId, IdOrigin, to_text},
    hit::Hit,
    trace::Note,
};

pub mod hints;
mod impersonal;
mod items;
mod names;
pub mod onward;
mod user_data;

/// The only version of the protocol there is.
const VERSION: &str = "2";

/// How many values consent signals may have beside their first. Each is held against all others and stands in the trace; a
/// page that says two things by mistake has a few.
const MAX_AGAIN: usize = 16;

/// Reads the events of a hit, all or none.
pub fn read(hit: &Hit, new_id: &dyn Fn() -> Uuid) -> Result<Vec<Read>, BadHit> {
    let shared = Parameters::parse(hit.query.as_bytes(), "the query string")?;
    let lines: Vec<&[u8]> = lines(&hit.body).collect();
    if lines.is_empty() {
        return Ok(vec![read_event(&shared, "", 0, hit, new_id)?]);
    }
    if lines.len() > MAX_EVENTS {
        let message = format!("must hold at most {MAX_EVENTS} lines, one an event, but holds {}", lines.len());
        return Err(BadHit::new("", message));
    }
    let events = lines.into_iter().enumerate().map(|(line, bytes)| {
        let place = format!("line {}", line + 1);
        let own = Parameters::parse(bytes, &place)?;
        read_event(&own.over(&shared), &place, line, hit, new_id)
    });
    events.collect()
}

/// The lines of a batch, one an event.
fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = body.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| !line.is_empty())
}

/// `place` names the line in a batch; it is empty for a single event.
fn read_event(
    parameters: &Parameters<'_>,
    place: &str,
    line: usize,
    hit: &Hit,
    new_id: &dyn Fn() -> Uuid,
) -> Result<Read, BadHit> {
    let at = |field: &str| if place.is_empty() { field.to_owned() } else { format!("{place}: {field}") };
    match parameters.get("v") {
        Some(VERSION) => {}
        None => return Err(BadHit::new(at("v"), "is missing: GA4's protocol says v=2")),
        Some(_) => return Err(BadHit::new(at("v"), "must be 2: of Google's protocols, GA4's alone is understood")),
    }
    if parameters.get("tid").is_none_or(str::is_empty) {
        return Err(BadHit::new(at("tid"), "is missing: it names the measurement id, such as G-XXXXXXX"));
    }
    let name = parameters.get("en").ok_or_else(|| BadHit::new(at("en"), "is missing: it names the event"))?;
    if !reading::is_plain(name, reading::MAX_NAME_CHARACTERS) {
        return Err(BadHit::new(at("en"), reading::name_shape()));
    }
    let mut notes = Vec::new();
    let mut data = event_data(parameters);
    reading::drop_browsers_own(&mut data, hit.through, &mut notes);
    let id = event_id(&mut data, parameters, line, &mut notes, new_id);
    let again = stated_again(parameters, &data, &mut notes);
    let again = again.map_err(|field| BadHit::new(at(field), format!("comes with more than {MAX_AGAIN} values")))?;
    let signals = Signals { again, ..Signals::default() };
    let event = Event { name: name.into(), id, time: hit.received, data, signals, click: None };
    Ok(Read { event, notes })
}

/// Everything that the parameters say, under its event data name.
fn event_data(parameters: &Parameters<'_>) -> Map<String, Value> {
    let mut data = Map::new();
    let promotes = parameters.get("pi").or_else(|| parameters.get("pn")).is_some();
    let mut items = items::Items::default();
    for (wire, value) in parameters.iter() {
        if wire.is_empty() || wire == "en" {
            continue;
        }
        match wire.split_once('.') {
            Some(("ep", key)) if !key.is_empty() => nest(&mut data, key, value.into()),
            Some(("epn", key)) if !key.is_empty() => nest(&mut data, key, number(value)),
            Some(("up", key)) if !key.is_empty() => names::property(&mut data, "user_properties", key, value.into()),
            Some(("upn", key)) if !key.is_empty() => {
                names::property(&mut data, "user_properties", key, number(value));
            }
            Some(("sst", key)) if !key.is_empty() => {
                names::property(&mut data, "x-sst-system_properties", key, value.into());
            }
            _ if items.take(wire, value) => {}
            _ => names::put(&mut data, wire, value, promotes),
        }
    }
    if let Some(items) = items.finish() {
        data.insert("items".to_owned(), items);
    }
    names::derive(&mut data);
    user_data::add(&mut data, parameters.get("em").unwrap_or_default());
    data
}

/// What parameters that come again say of consent, beside what the event has of them. That any does is noted. Which
/// parameter it was that said too much is the error: none of it may be passed over, since that may be the refusal.
fn stated_again<'p>(
    parameters: &'p Parameters<'_>,
    data: &Map<String, Value>,
    notes: &mut Vec<Note>,
) -> Result<Vec<(Box<str>, Value)>, &'p str> {
    let mut again: Vec<(Box<str>, Value)> = Vec::new();
    // A parameter of the event may have the very name that one of the protocol gets.
    let of_event = parameters.iter().filter(|(wire, _)| wire.starts_with("ep"));
    for (wire, value) in parameters.again().chain(parameters.overruled()).chain(of_event) {
        let key = match wire.split_once('.') {
            Some(("ep" | "epn", key)) => Some(key),
            _ => names::key_of(wire),
        };
        let Some(key) = key.filter(|key| gather::is_signal(key)) else { continue };
        let is_known = again.iter().any(|(own, said)| **own == *key && said == value);
        if is_known || data.get(key).and_then(to_text).as_deref() == Some(value) {
            continue;
        }
        if again.len() == MAX_AGAIN {
            return Err(wire);
        }
        again.push((key.into(), value.into()));
    }
    if let Some((wire, _)) = parameters.again().next() {
        let more = parameters.again().count() - 1;
        let others = if more == 0 { String::new() } else { format!(" (and {more} more like it)") };
        let text =
            format!("comes again with another value{others}: the last counts, and of consent signals the strictest");
        notes.push(Note::new(reading::shown(wire), text));
    }
    Ok(again)
}

/// The site's own id, else the order's, else one that a second copy of the hit gets too.
fn event_id(
    data: &mut Map<String, Value>,
    parameters: &Parameters<'_>,
    line: usize,
    notes: &mut Vec<Note>,
    new_id: &dyn Fn() -> Uuid,
) -> EventId {
    if let Some(stated) = data.remove("event_id") {
        match reading::scalar_text(&stated).filter(|text| reading::is_plain(text, reading::MAX_ID_CHARACTERS)) {
            Some(text) => return EventId { text: text.into(), origin: IdOrigin::Site },
            None => {
                let text = format!("ignored: it {}", reading::id_shape());
                notes.push(Note::new("event_id", text));
            }
        }
    }
    if let Some(order) = reading::order_id(data) {
        return order;
    }
    let of_page = |wire| parameters.get(wire).filter(|value| !value.is_empty());
    // Without these two, other visitors' events would get the same id.
    let (Some(visitor), Some(page)) = (of_page("cid"), of_page("_p")) else { return reading::generated_id(new_id) };
    let line = line.to_string();
    let parts = ["tid", "sid", "_s", "en"].map(|wire| parameters.get(wire).unwrap_or_default());
    let mut hash = Sha256::new();
    for part in parts.into_iter().chain([visitor, page, &line]) {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let mut id = [0; 16];
    for (byte, hashed) in id.iter_mut().zip(hash.finalize()) {
        *byte = hashed;
    }
    let text: Cow<'_, str> = uuid::Builder::from_custom_bytes(id).into_uuid().to_string().into();
    EventId { text: text.into(), origin: IdOrigin::Derived }
}
