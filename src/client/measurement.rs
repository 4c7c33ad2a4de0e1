//! The `measurement` client: `POST /mp/collect`, Google Analytics 4's Measurement Protocol, which servers send. Google's
//! own endpoint answers 2xx whatever it is sent; here a hit that breaks the protocol's rules is refused, with the field
//! (developers.google.com/analytics/devguides/collection/protocol/ga4).

use std::borrow::Cow;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{BadHit, Read, json, parameters::Parameters, reading};
use crate::{
    consent::{ConsentStatus, ConsentType},
    hit::Hit,
};

/// The protocol's own bounds.
const MAX_EVENTS: usize = 25;
const MAX_NAME_CHARACTERS: usize = 40;
const MAX_PARAMETERS: usize = 100;

/// Keys of the body that become event data as they are.
const SHARED: [&str; 9] = [
    "client_id",
    "app_instance_id",
    "user_id",
    "user_data",
    "user_location",
    "device",
    "ip_override",
    "user_agent",
    "cookies",
];

/// Reads the events of a hit, all or none.
pub fn read(hit: &Hit, new_id: &dyn Fn() -> Uuid) -> Result<Vec<Read>, BadHit> {
    let query = Parameters::parse(hit.query.as_bytes(), "the query string")?;
    let stream = query.get("measurement_id").or_else(|| query.get("firebase_app_id")).filter(|id| !id.is_empty());
    let stream = stream.ok_or_else(|| {
        BadHit::new("measurement_id", "is missing: it stands in the address, such as ?measurement_id=G-XXXXXXX")
    })?;
    let mut body = json::object(&hit.body, "the body must be a JSON object with \"events\"")?;
    let events = match body.remove("events") {
        Some(Value::Array(events)) if (1..=MAX_EVENTS).contains(&events.len()) => events,
        Some(Value::Array(events)) => {
            let message = format!("must hold 1 to {MAX_EVENTS} events, but holds {}", events.len());
            return Err(BadHit::new("events", message));
        }
        _ => return Err(BadHit::new("events", "must be a list of events")),
    };
    let is_text = |key: &str| body.get(key).is_some_and(|id| id.as_str().is_some_and(|id| !id.is_empty()));
    if !is_text("client_id") && !is_text("app_instance_id") {
        return Err(BadHit::new("client_id", "is missing: it is a text, as is app_instance_id for an app"));
    }
    let shared = shared(&mut body, stream)?;
    let events = events.into_iter().enumerate().map(|(position, event)| {
        let place = format!("events[{position}]");
        let Value::Object(event) = event else { return Err(BadHit::new(place, "must be an object")) };
        let data = event_data(event, &shared, &place)?;
        reading::read_event(data, &place, hit, new_id)
    });
    events.collect()
}

/// What every event of the hit has, under the names of event data.
fn shared(body: &mut Map<String, Value>, stream: &str) -> Result<Map<String, Value>, BadHit> {
    let mut shared = Map::new();
    for key in SHARED {
        if let Some(value) = body.remove(key) {
            shared.insert(key.to_owned(), value);
        }
    }
    shared.insert("x-ga-measurement_id".to_owned(), stream.into());
    if let Some(Value::Object(properties)) = body.remove("user_properties") {
        let plain = properties.into_iter().filter_map(|(name, property)| match property {
            Value::Object(mut property) => Some((name, property.remove("value")?)),
            _ => None,
        });
        shared.insert("user_properties".to_owned(), Value::Object(plain.collect()));
    }
    if body.get("non_personalized_ads") == Some(&Value::Bool(true)) {
        shared.insert("x-ga-npa".to_owned(), "1".into());
    }
    if let Some(consent) = body.remove("consent") {
        shared.insert("consent".to_owned(), Value::Object(consent_of(consent)?));
    }
    if let Some(time) = body.remove("timestamp_micros") {
        shared.insert("event_time".to_owned(), milliseconds(&time, "timestamp_micros")?);
    }
    Ok(shared)
}

/// `{"ad_user_data": "GRANTED"}`: the protocol knows two types, in capitals; here all of them may be stated, in any case.
fn consent_of(consent: Value) -> Result<Map<String, Value>, BadHit> {
    let Value::Object(consent) = consent else { return Err(BadHit::new("consent", "must be an object")) };
    let read = consent.into_iter().map(|(kind, status)| {
        let word = status.as_str().map(str::to_ascii_lowercase).unwrap_or_default();
        if ConsentType::from_name(&kind).is_some() && ConsentStatus::from_word(&word).is_none() {
            return Err(BadHit::new(format!("consent.{kind}"), "must be \"GRANTED\" or \"DENIED\""));
        }
        Ok((kind, word.into()))
    });
    read.collect()
}

fn event_data(
    mut event: Map<String, Value>,
    shared: &Map<String, Value>,
    place: &str,
) -> Result<Map<String, Value>, BadHit> {
    let name = event.remove("name");
    let name = name.as_ref().and_then(Value::as_str).unwrap_or_default();
    if !is_name(name) {
        let message = format!("must be 1 to {MAX_NAME_CHARACTERS} letters, digits and _, and begin with a letter");
        return Err(BadHit::new(format!("{place}.name"), message));
    }
    let mut data = match event.remove("params") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(parameters)) if parameters.len() <= MAX_PARAMETERS => parameters,
        Some(Value::Object(_)) => {
            return Err(BadHit::new(format!("{place}.params"), format!("has more than {MAX_PARAMETERS} parameters")));
        }
        Some(_) => return Err(BadHit::new(format!("{place}.params"), "must be an object")),
    };
    let stated =
        [("consent", event.get("consent")), ("params.consent", data.get("consent").filter(|own| own.is_object()))];
    if let Some((field, _)) = stated.into_iter().find(|(_, stated)| stated.is_some()) {
        let message = "stands beside \"events\" in this protocol, for all of them";
        return Err(BadHit::new(format!("{place}.{field}"), message));
    }
    for key in reading::EVENTS_OWN.into_iter().filter(|key| *key != "event_id") {
        data.remove(key);
    }
    if let Some(session) = data.remove("session_id") {
        data.entry("ga_session_id").or_insert(session);
    }
    for (key, value) in shared {
        data.entry(key).or_insert_with(|| value.clone());
    }
    if let Some(time) = event.remove("timestamp_micros") {
        let field = format!("{place}.timestamp_micros");
        data.insert("event_time".to_owned(), milliseconds(&time, &field)?);
    }
    data.insert("event".to_owned(), name.into());
    Ok(data)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= MAX_NAME_CHARACTERS
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Microseconds, as a number or as text, in milliseconds.
fn milliseconds(micros: &Value, field: &str) -> Result<Value, BadHit> {
    let text: Option<Cow<'_, str>> = reading::scalar_text(micros);
    match text.and_then(|text| text.parse::<i64>().ok()) {
        Some(micros) => Ok((micros / 1_000).into()),
        None => Err(BadHit::new(field, "must be a whole number of microseconds since 1970")),
    }
}
