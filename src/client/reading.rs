//! How the clients read an event: takes a map of keys as JSON has it, or as good as; gives an event with GA4's names, or
//! which key is wrong. Clients with a form of their own use the parts: a name, and an id under which the event is counted
//! once.

use std::{borrow::Cow, time::Duration};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{BadHit, Read, consent};
use crate::{
    event::{Event, EventId, IdOrigin, to_text},
    hit::{Hit, Through},
    time::Timestamp,
    trace::Note,
};

pub const MAX_NAME_CHARACTERS: usize = 100;
pub const MAX_ID_CHARACTERS: usize = 256;

/// An event may have happened at most this long before it arrived.
pub const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Keys that only a server with a write key may supply; a page's browser states them by itself.
pub const BROWSERS_OWN: [&str; 5] = ["ip_override", "user_agent", "cookies", "common_cookie", "ip"];

/// Keys of the event itself, which `ecommerce` cannot supply.
pub const EVENTS_OWN: [&str; 9] = [
    "event",
    "event_id",
    "event_time",
    "sent_at",
    "consent",
    "consent_answered",
    "consent_defaults",
    "consent_then",
    "consent_withheld",
];

/// Names that sites use for a key, and its GA4 name.
const ALIASES: [(&str, &str); 9] = [
    ("eventId", "event_id"),
    ("transactionId", "transaction_id"),
    ("userId", "user_id"),
    ("clientId", "client_id"),
    ("pageLocation", "page_location"),
    ("pageReferrer", "page_referrer"),
    ("pageTitle", "page_title"),
    ("userData", "user_data"),
    ("user", "user_data"),
];

const USER_ALIASES: [(&str, &str); 6] = [
    ("email", "email_address"),
    ("phone", "phone_number"),
    ("sha256_email", "sha256_email_address"),
    ("sha256_phone", "sha256_phone_number"),
    ("emailAddress", "email_address"),
    ("phoneNumber", "phone_number"),
];

/// Reads one event, whose place in the hit is empty if it is alone.
pub fn read_event(
    mut data: Map<String, Value>,
    place: &str,
    hit: &Hit,
    new_id: &dyn Fn() -> Uuid,
) -> Result<Read, BadHit> {
    let at = |field: &str| if place.is_empty() { field.to_owned() } else { format!("{place}.{field}") };
    let mut notes = Vec::new();
    normalise(&mut data, hit.through, &mut notes);
    let name = match data.remove("event") {
        Some(Value::String(name)) if is_plain(&name, MAX_NAME_CHARACTERS) => name,
        None | Some(Value::Null) => return Err(BadHit::new(at("event"), "is missing: it names the event")),
        Some(_) => return Err(BadHit::new(at("event"), name_shape())),
    };
    let signals = consent::take(&mut data, &at, &mut notes)?;
    let time = event_time(&mut data, &at, hit.received)?;
    let id = event_id(&mut data, &at, new_id)?;
    Ok(Read { event: Event { name: name.into(), id, time, data, signals, click: None }, notes })
}

/// Brings keys to their GA4 names.
fn normalise(data: &mut Map<String, Value>, through: Through, notes: &mut Vec<Note>) {
    if let Some(Value::Object(ecommerce)) = data.get_mut("ecommerce") {
        let lifted = std::mem::take(ecommerce);
        data.remove("ecommerce");
        // An order's own keys; what the event says of itself stands outside.
        for (key, value) in lifted.into_iter().filter(|(key, _)| !EVENTS_OWN.contains(&key.as_str())) {
            put(data, &key, value);
        }
    }
    rename(data, &ALIASES);
    if let Some(Value::Object(user)) = data.get_mut("user_data") {
        rename_user_data(user);
    }
    drop_browsers_own(data, through, notes);
}

/// Brings the keys of `user_data` to their GA4 names.
pub fn rename_user_data(user: &mut Map<String, Value>) {
    rename(user, &USER_ALIASES);
}

/// Takes out what a browser states by itself, unless a server with a write key says it: otherwise anyone could write
/// another's address.
pub fn drop_browsers_own(data: &mut Map<String, Value>, through: Through, notes: &mut Vec<Note>) {
    if through == Through::ServerWithKey {
        return;
    }
    for key in BROWSERS_OWN {
        if data.remove(key).is_some() {
            notes.push(Note::new(key, "dropped: only a server with a write key may supply it"));
        }
    }
}

fn rename(map: &mut Map<String, Value>, names: &[(&str, &str)]) {
    for (alias, name) in names {
        if let Some(value) = map.remove(*alias) {
            put(map, name, value);
        }
    }
}

/// Sets a key that is absent or null.
fn put(map: &mut Map<String, Value>, key: &str, value: Value) {
    let own = map.entry(key).or_insert(Value::Null);
    if own.is_null() {
        *own = value;
    }
}

/// `received - (sent_at - event_time)`: the page's clock may be wrong, but not its differences.
fn event_time(
    data: &mut Map<String, Value>,
    at: &impl Fn(&str) -> String,
    received: Timestamp,
) -> Result<Timestamp, BadHit> {
    let mut milliseconds = |field: &str| match data.remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) if number.as_f64().is_some_and(f64::is_finite) => {
            // A float of milliseconds has no fraction worth keeping; `as` saturates.
            Ok(number.as_i64().or_else(|| number.as_f64().map(|float| float as i64)))
        }
        Some(_) => Err(BadHit::new(at(field), "must be a number of milliseconds since 1970")),
    };
    let (happened, sent) = (milliseconds("event_time")?, milliseconds("sent_at")?);
    let Some(happened) = happened else { return Ok(received) };
    let time = Timestamp(received.0.saturating_sub(sent.unwrap_or(received.0).saturating_sub(happened)));
    Ok(time.clamp(received.minus(MAX_AGE), received))
}

/// What an event's name must be.
pub fn name_shape() -> String {
    shape(MAX_NAME_CHARACTERS)
}

/// What an event's id must be.
pub fn id_shape() -> String {
    shape(MAX_ID_CHARACTERS)
}

fn shape(max_characters: usize) -> String {
    format!("must be a text of 1 to {max_characters} characters, none of them a control character")
}

/// The site's own id, else the order's, else a generated one.
pub fn event_id(
    data: &mut Map<String, Value>,
    at: &impl Fn(&str) -> String,
    new_id: &dyn Fn() -> Uuid,
) -> Result<EventId, BadHit> {
    match data.remove("event_id") {
        None | Some(Value::Null) => Ok(order_id(data).unwrap_or_else(|| generated_id(new_id))),
        Some(stated) => {
            let text = scalar_text(&stated).filter(|text| is_plain(text, MAX_ID_CHARACTERS));
            let text = text.ok_or_else(|| BadHit::new(at("event_id"), id_shape()))?;
            Ok(EventId { text: text.into(), origin: IdOrigin::Site })
        }
    }
}

/// The id of an event that is an order: its `transaction_id`.
pub fn order_id(data: &Map<String, Value>) -> Option<EventId> {
    let order = data.get("transaction_id").and_then(scalar_text).filter(|order| is_plain(order, MAX_ID_CHARACTERS))?;
    Some(EventId { text: order.trim().into(), origin: IdOrigin::Transaction })
}

pub fn generated_id(new_id: &dyn Fn() -> Uuid) -> EventId {
    EventId { text: new_id().to_string().into(), origin: IdOrigin::Generated }
}

/// A text, or a number as people write it.
pub fn scalar_text(value: &Value) -> Option<Cow<'_, str>> {
    if value.is_string() || value.is_number() { to_text(value) } else { None }
}

/// Something in it, not too long, and nothing that would move an operator's cursor when it is shown.
pub fn is_plain(text: &str, max_characters: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= max_characters && !text.chars().any(char::is_control)
}

/// A name that a hit gave, for a message: as it is if it can be shown.
pub fn shown(name: &str) -> &str {
    if is_plain(name, MAX_NAME_CHARACTERS) { name } else { "…" }
}
