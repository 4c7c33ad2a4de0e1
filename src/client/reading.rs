//! What the clients have in common that take an event as JSON has it, or as good as: takes a map of keys; gives an event
//! with GA4's names, or which key is wrong.

use std::time::Duration;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{BadHit, MAX_DEPTH, Read, consent, fields};
use crate::{
    event::Event,
    hit::{Hit, Through},
    time::Timestamp,
    trace::Note,
};

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

/// A body that is a JSON object, not too deep; `otherwise` is said of any other JSON.
pub fn json_object(body: &[u8], otherwise: &str) -> Result<Map<String, Value>, BadHit> {
    let body: Value = serde_json::from_slice(body).map_err(|error| syntax_error(&error))?;
    if is_deeper_than(&body, MAX_DEPTH) {
        return Err(too_deep());
    }
    let Value::Object(object) = body else { return Err(BadHit::new("", otherwise)) };
    Ok(object)
}

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
        Some(Value::String(name)) if fields::is_plain(&name, fields::MAX_NAME_CHARACTERS) => name,
        None | Some(Value::Null) => return Err(BadHit::new(at("event"), "is missing: it names the event")),
        Some(_) => return Err(BadHit::new(at("event"), fields::name_shape())),
    };
    let signals = consent::take(&mut data, &at, &mut notes)?;
    let time = event_time(&mut data, &at, hit.received)?;
    let id = fields::event_id(&mut data, &at, new_id)?;
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

fn syntax_error(error: &serde_json::Error) -> BadHit {
    // The parser's own limit on depth has no category by which to know it.
    if error.to_string().starts_with("recursion limit exceeded") {
        return too_deep();
    }
    BadHit::new("", format!("the body is not JSON: {error}"))
}

fn too_deep() -> BadHit {
    BadHit::new("", format!("the JSON is nested deeper than {MAX_DEPTH} levels"))
}

fn is_deeper_than(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| is_deeper_than(item, levels - 1)),
        Value::Object(map) => levels == 0 || map.values().any(|item| is_deeper_than(item, levels - 1)),
        _ => false,
    }
}
