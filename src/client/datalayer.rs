//! The `dataLayer` client: `POST /hit`, our own JSON. One event `{"event": "purchase", …}`, or several in
//! `{"events": […], …}` whose other keys all of them share. Keys are normalised to their GA4 names.

use std::time::Duration;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{BadHit, MAX_DEPTH, MAX_EVENTS, Read};
use crate::{
    consent::{Choice, ConsentStatus, ConsentType, Signals, Statement},
    event::{Event, EventId, IdOrigin},
    hit::Hit,
    time::Timestamp,
    trace::Note,
};

const MAX_NAME_CHARACTERS: usize = 100;
const MAX_ID_CHARACTERS: usize = 256;
/// An event may have happened at most this long before it arrived.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Keys that only a server with a write key may supply; a page's browser states them by itself.
const BROWSERS_OWN: [&str; 4] = ["ip_override", "user_agent", "cookies", "ip"];

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
        return Err(BadHit::new("", format!("the JSON is nested deeper than {MAX_DEPTH} levels")));
    }
    let Value::Object(mut envelope) = body else {
        return Err(BadHit::new("", "the body must be a JSON object with \"event\" or \"events\""));
    };
    let Some(events) = envelope.remove("events") else {
        return Ok(vec![read_event(envelope, "", hit, new_id)?]);
    };
    if envelope.contains_key("event") {
        return Err(BadHit::new("event", "a hit has either \"event\" or \"events\", not both"));
    }
    let Value::Array(events) = events else {
        return Err(BadHit::new("events", "must be a list of events"));
    };
    if events.is_empty() || events.len() > MAX_EVENTS {
        return Err(BadHit::new("events", format!("must hold 1 to {MAX_EVENTS} events, but holds {}", events.len())));
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

/// Gives an event the envelope's keys that it lacks; its own consent lies over the envelope's, type by type.
fn share(envelope: &Map<String, Value>, event: &mut Map<String, Value>) {
    for (key, shared) in envelope {
        match (event.get_mut(key), shared) {
            (None, _) => {
                event.insert(key.clone(), shared.clone());
            }
            (Some(Value::Object(own)), Value::Object(shared)) if key == "consent" => {
                for (kind, status) in shared {
                    own.entry(kind).or_insert_with(|| status.clone());
                }
            }
            _ => {}
        }
    }
}

fn read_event(mut data: Map<String, Value>, place: &str, hit: &Hit, new_id: &dyn Fn() -> Uuid) -> Result<Read, BadHit> {
    let at = |field: &str| if place.is_empty() { field.to_owned() } else { format!("{place}.{field}") };
    let mut notes = Vec::new();
    normalise(&mut data, &mut notes);
    let name = match data.remove("event") {
        Some(Value::String(name)) if !name.is_empty() && name.chars().count() <= MAX_NAME_CHARACTERS => name,
        Some(_) => {
            let message = format!("must be a text of 1 to {MAX_NAME_CHARACTERS} characters");
            return Err(BadHit::new(at("event"), message));
        }
        None => return Err(BadHit::new(at("event"), "is missing: it names the event")),
    };
    let signals = signals(&mut data, &at, &mut notes)?;
    let time = event_time(&mut data, &at, hit.received)?;
    let id = event_id(&mut data, &at, new_id)?;
    Ok(Read { event: Event { name: name.into(), id, time, data, signals }, notes })
}

/// Brings keys to their GA4 names and takes out what the browser states by itself.
fn normalise(data: &mut Map<String, Value>, notes: &mut Vec<Note>) {
    if let Some(Value::Object(ecommerce)) = data.get_mut("ecommerce") {
        let lifted = std::mem::take(ecommerce);
        data.remove("ecommerce");
        for (key, value) in lifted {
            data.entry(key).or_insert(value);
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
            map.entry(*name).or_insert(value);
        }
    }
}

fn signals(
    data: &mut Map<String, Value>,
    at: &impl Fn(&str) -> String,
    notes: &mut Vec<Note>,
) -> Result<Signals, BadHit> {
    let mut hit = Statement::default();
    match data.remove("consent") {
        None | Some(Value::Null) => {}
        Some(Value::Object(stated)) => {
            for (kind, status) in stated {
                let Some(known) = ConsentType::from_name(&kind) else {
                    let text = format!("{kind:?} is no Consent Mode type; ignored");
                    notes.push(Note { field: "consent".into(), text: text.into() });
                    continue;
                };
                let Some(status) = status.as_str().and_then(ConsentStatus::from_word) else {
                    return Err(BadHit::new(at(&format!("consent.{kind}")), "must be \"granted\" or \"denied\""));
                };
                hit.set(known, status);
            }
        }
        Some(_) => return Err(BadHit::new(at("consent"), "must map Consent Mode types to \"granted\" or \"denied\"")),
    }
    let choice = match data.remove("consent_answered") {
        Some(Value::Bool(true)) => Choice::Made,
        None | Some(Value::Null | Value::Bool(false)) => Choice::NotMade,
        Some(_) => return Err(BadHit::new(at("consent_answered"), "must be true or false")),
    };
    Ok(Signals { hit, choice })
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
    let bad = || BadHit::new(at("event_id"), format!("must be a text of 1 to {MAX_ID_CHARACTERS} characters"));
    let stated = match data.remove("event_id") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(_) => return Err(bad()),
    };
    if let Some(text) = stated {
        if text.is_empty() || text.chars().count() > MAX_ID_CHARACTERS {
            return Err(bad());
        }
        return Ok(EventId { text: text.into(), origin: IdOrigin::Site });
    }
    let order = data.get("transaction_id").and_then(crate::event::to_text);
    match order.filter(|order| !order.trim().is_empty() && order.chars().count() <= MAX_ID_CHARACTERS) {
        Some(order) => Ok(EventId { text: order.trim().into(), origin: IdOrigin::Transaction }),
        None => Ok(EventId { text: new_id().to_string().into(), origin: IdOrigin::Generated }),
    }
}

fn syntax_error(error: &serde_json::Error) -> BadHit {
    BadHit::new("", format!("the body is not JSON: {error}"))
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
