//! The `dataLayer` client: `POST /hit`, our own JSON. One event `{"event": "purchase", …}`, or several in
//! `{"events": […], …}` whose other keys all of them share. Keys are normalised to their GA4 names.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{BadHit, MAX_EVENTS, Read, consent, json, reading::read_event};
use crate::hit::Hit;

/// How much all events together may take over from their envelope, by [`weight`]: each gets a copy of its own, which
/// must not make a large hit out of a small body.
const MAX_SHARED: usize = 4_000_000;

/// Reads the events of a hit, all or none.
pub fn read(hit: &Hit, new_id: &dyn Fn() -> Uuid) -> Result<Vec<Read>, BadHit> {
    let mut envelope = json::object(&hit.body, "the body must be a JSON object with \"event\" or \"events\"")?;
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

#[cfg(test)]
mod tests;
