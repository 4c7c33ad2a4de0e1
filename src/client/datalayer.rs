//! The `dataLayer` client: `POST /hit`, our own JSON. One event `{"event": "purchase", …}`, or several in
//! `{"events": […], …}` whose other keys all of them share. Keys are normalised to their GA4 names.

use std::{borrow::Cow, time::Duration};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{BadHit, MAX_DEPTH, MAX_EVENTS, Read, consent};
use crate::{
    event::{Event, EventId, IdOrigin, to_text},
    hit::Hit,
    time::Timestamp,
    trace::Note,
};

const MAX_NAME_CHARACTERS: usize = 100;
const MAX_ID_CHARACTERS: usize = 256;
/// An event may have happened at most this long before it arrived.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Keys that only a server with a write key may supply; a page's browser states them by itself.
const BROWSERS_OWN: [&str; 5] = ["ip_override", "user_agent", "cookies", "common_cookie", "ip"];

/// How much all events together may take over from their envelope, by [`weight`]: each gets a copy of its own, which
/// must not make a large hit out of a small body.
const MAX_SHARED: usize = 4_000_000;

/// Keys of the event itself, which `ecommerce` cannot supply.
const EVENTS_OWN: [&str; 8] =
    ["event", "event_id", "event_time", "sent_at", "consent", "consent_answered", "consent_defaults", "consent_then"];

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

/// Reads the events of a hit, all or none.
pub fn read(hit: &Hit, new_id: &dyn Fn() -> Uuid) -> Result<Vec<Read>, BadHit> {
    let body: Value = serde_json::from_slice(&hit.body).map_err(|error| syntax_error(&error))?;
    if is_deeper_than(&body, MAX_DEPTH) {
        return Err(too_deep());
    }
    let Value::Object(mut envelope) = body else {
        return Err(BadHit::new("", "the body must be a JSON object with \"event\" or \"events\""));
    };
    let events = match envelope.remove("events") {
        None | Some(Value::Null) => return Ok(vec![read_event(envelope, "", hit, new_id)?]),
        Some(Value::Array(events)) => events,
        Some(_) => return Err(BadHit::new("events", "must be a list of events")),
    };
    if envelope.remove("event").is_some_and(|name| !name.is_null()) {
        return Err(BadHit::new("event", "a hit has either \"event\" or \"events\", not both"));
    }
    if events.is_empty() || events.len() > MAX_EVENTS {
        return Err(BadHit::new("events", format!("must hold 1 to {MAX_EVENTS} events, but holds {}", events.len())));
    }
    if envelope.values().map(weight).sum::<usize>().saturating_mul(events.len()) > MAX_SHARED {
        return Err(BadHit::new("", "what the events share is too large for so many of them"));
    }
    if envelope.get("consent").is_some_and(|consent| !consent.is_object() && !consent.is_null()) {
        return Err(BadHit::new("consent", consent::SHAPE));
    }
    let events = events.into_iter().enumerate().map(|(position, event)| {
        let place = format!("events[{position}]");
        let Value::Object(mut event) = event else {
            return Err(BadHit::new(place, "must be an object"));
        };
        share(&envelope, &mut event);
        read_event(event, &place, hit, new_id)
    });
    events.collect()
}

/// Gives an event the envelope's keys that it lacks; its own consent lies over the envelope's, type by type. A null is
/// no consent, but any other key that is null takes the envelope's value away.
fn share(envelope: &Map<String, Value>, event: &mut Map<String, Value>) {
    for (key, shared) in envelope {
        match (event.get_mut(key), shared) {
            (None, _) => {
                event.insert(key.clone(), shared.clone());
            }
            (Some(own @ Value::Null), _) if key == "consent" => *own = shared.clone(),
            (Some(Value::Object(own)), Value::Object(shared)) if key == "consent" => {
                for (kind, status) in shared {
                    own.entry(kind).or_insert_with(|| status.clone());
                }
            }
            _ => {}
        }
    }
}

/// About how many bytes a copy of a value takes.
fn weight(value: &Value) -> usize {
    const NODE: usize = 32;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => NODE,
        Value::String(text) => NODE + text.len(),
        Value::Array(items) => NODE + items.iter().map(weight).sum::<usize>(),
        Value::Object(map) => NODE + map.iter().map(|(key, value)| NODE + key.len() + weight(value)).sum::<usize>(),
    }
}

fn read_event(mut data: Map<String, Value>, place: &str, hit: &Hit, new_id: &dyn Fn() -> Uuid) -> Result<Read, BadHit> {
    let at = |field: &str| if place.is_empty() { field.to_owned() } else { format!("{place}.{field}") };
    let mut notes = Vec::new();
    normalise(&mut data, &mut notes);
    let name = match data.remove("event") {
        Some(Value::String(name)) if is_plain(&name, MAX_NAME_CHARACTERS) => name,
        None | Some(Value::Null) => return Err(BadHit::new(at("event"), "is missing: it names the event")),
        Some(_) => {
            let message =
                format!("must be a text of 1 to {MAX_NAME_CHARACTERS} characters, none of them a control character");
            return Err(BadHit::new(at("event"), message));
        }
    };
    let signals = consent::take(&mut data, &at, &mut notes)?;
    let time = event_time(&mut data, &at, hit.received)?;
    let id = event_id(&mut data, &at, new_id)?;
    Ok(Read { event: Event { name: name.into(), id, time, data, signals }, notes })
}

/// Brings keys to their GA4 names and takes out what the browser states by itself.
fn normalise(data: &mut Map<String, Value>, notes: &mut Vec<Note>) {
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
        rename(user, &USER_ALIASES);
    }
    for key in BROWSERS_OWN {
        if data.remove(key).is_some() {
            notes
                .push(Note { field: key.into(), text: "dropped: only a server with a write key may supply it".into() });
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

fn event_id(
    data: &mut Map<String, Value>,
    at: &impl Fn(&str) -> String,
    new_id: &dyn Fn() -> Uuid,
) -> Result<EventId, BadHit> {
    match data.remove("event_id") {
        None | Some(Value::Null) => {}
        Some(stated) => {
            let text = scalar_text(&stated).filter(|text| is_plain(text, MAX_ID_CHARACTERS));
            let bad = || {
                BadHit::new(
                    at("event_id"),
                    format!("must be a text of 1 to {MAX_ID_CHARACTERS} characters, none of them a control character"),
                )
            };
            return Ok(EventId { text: text.ok_or_else(bad)?.into(), origin: IdOrigin::Site });
        }
    }
    match data.get("transaction_id").and_then(scalar_text).filter(|order| is_plain(order, MAX_ID_CHARACTERS)) {
        Some(order) => Ok(EventId { text: order.trim().into(), origin: IdOrigin::Transaction }),
        None => Ok(EventId { text: new_id().to_string().into(), origin: IdOrigin::Generated }),
    }
}

/// A text, or a number as people write it.
fn scalar_text(value: &Value) -> Option<Cow<'_, str>> {
    if value.is_string() || value.is_number() { to_text(value) } else { None }
}

/// Something in it, not too long, and nothing that would move an operator's cursor when it is shown.
fn is_plain(text: &str, max_characters: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= max_characters && !text.chars().any(char::is_control)
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

#[cfg(test)]
mod tests;
