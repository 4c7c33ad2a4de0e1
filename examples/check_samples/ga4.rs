//! Samples of requests of GA4's protocol, as sites sent them: one JSON object a line.

use bytes::Bytes;
use serde_json::Value;
use tidegate::{
    call::relay::Shared,
    client::{
        BadHit, Read,
        ga4::{
            self,
            onward::{Onward, Passing, onward},
        },
    },
    consent::{ConsentStatus, ConsentType, gcs},
    event::{Event, lookup, to_text},
    hit::{Hit, HitId, Through},
    time::Timestamp,
};
use uuid::Uuid;

use super::Tally;

/// What the samples call a key, and its path in event data; others are called the same.
const NAMES: [(&str, &str); 33] = [
    ("consent.google_consent_status", "x-ga-gcs"),
    ("consent.google_consent_default", "x-ga-gcd"),
    ("ecommerce.currency", "currency"),
    ("ecommerce.is_conversion", "x-ga-system_properties.c"),
    ("ecommerce.items", "items"),
    ("ecommerce.value", "value"),
    ("client_hints.screen_resolution", "screen_resolution"),
    ("client_hints.user_language", "language"),
    ("client_hints.user_agent_architecture", "client_hints.architecture"),
    ("client_hints.user_agent_bitness", "client_hints.bitness"),
    ("client_hints.user_agent_full_version_list", "client_hints.full_version_list"),
    ("client_hints.user_agent_mobile", "client_hints.mobile"),
    ("client_hints.user_agent_model", "client_hints.model"),
    ("client_hints.user_agent_platform", "client_hints.platform"),
    ("client_hints.user_agent_platform_version", "client_hints.platform_version"),
    ("client_hints.user_agent_wow_64", "client_hints.wow64"),
    ("client_hints.user_region", "x-ga-mp2-ur"),
    ("document_location", "page_location"),
    ("document_referrer", "page_referrer"),
    ("document_title", "page_title"),
    ("event_parameter.item_list_id", "item_list_id"),
    ("event_parameter.item_list_name", "item_list_name"),
    ("event_parameter_number.value", "value"),
    ("gtmhash_info", "x-ga-gtm_version"),
    ("item_list_position", "index"),
    ("non_personalized_ads", "x-ga-npa"),
    ("protocol_version", "x-ga-protocol_version"),
    ("richsstsse", "x-ga-mp2-richsstsse"),
    ("session_id", "ga_session_id"),
    ("tid", "x-ga-measurement_id"),
    ("tracking_id", "x-ga-measurement_id"),
    ("sst", "x-sst-system_properties"),
    ("campaign", "campaign"),
];

/// Keys of an expectation that are about the sample and not about the event.
const ABOUT: [&str; 2] = ["source", "property"];

pub fn requests(samples: &[Value]) -> Vec<Tally> {
    let (mut read, mut names, mut told, mut kept) = (
        Tally::strict("GA4, read or refused"),
        Tally::strict("GA4, event names"),
        Tally::strict("GA4, what is known of them"),
        Tally::strict("GA4, relayed byte by byte"),
    );
    for sample in samples {
        let id = sample["id"].as_str().unwrap_or_default();
        let hit = hit(sample);
        let events = ga4::read(&hit, &Uuid::nil);
        let refusal = refusal(sample);
        read.count(|| format!("{id}: {:?}, expected {refusal:?}", events.as_ref().err()), meets(&events, refusal));
        let events: Vec<Event> = events.unwrap_or_default().into_iter().map(|read| read.event).collect();
        let (expected, found) = (event_names(sample), events.iter().map(|event| &*event.name).collect::<Vec<_>>());
        if !events.is_empty() {
            names.count(|| format!("{id}: {found:?}, expected {expected:?}"), found == expected);
        }
        for (position, event) in events.iter().enumerate() {
            let (own, shared) = relayed(event, &hit, position);
            kept.count(|| format!("{id}, event {position}: {own:?}, {shared:?}"), own && shared);
        }
        for (key, value) in sample["expected"].as_object().into_iter().flatten() {
            expectation(&mut told, id, key, value, &events);
        }
    }
    vec![read, names, told, kept]
}

fn hit(sample: &Value) -> Hit {
    Hit {
        id: HitId(Uuid::nil()),
        received: Timestamp(1_767_268_800_000),
        method: if sample["method"] == "POST" { http::Method::POST } else { http::Method::GET },
        path: "/g/collect".into(),
        query: sample["query"].as_str().unwrap_or_default().into(),
        headers: http::HeaderMap::new(),
        through: Through::Strangers,
        address: None,
        detail: tidegate::privacy::Detail::default(),
        host: "t.example.com".into(),
        body: Bytes::from(sample["body"].as_str().unwrap_or_default().to_owned()),
    }
}

/// The lines of a sample, or its query string, as names and values.
fn parts(sample: &Value) -> Vec<&Value> {
    let lines = sample["body_events"].as_array().into_iter().flatten().collect::<Vec<_>>();
    if lines.is_empty() { vec![&sample["params"]] } else { lines }
}

fn value<'v>(pairs: &'v Value, name: &str) -> Option<&'v str> {
    pairs.as_array()?.iter().rev().find(|pair| pair[0] == name)?.get(1)?.as_str()
}

fn event_names(sample: &Value) -> Vec<&str> {
    parts(sample)
        .into_iter()
        .filter_map(|pairs| value(pairs, "en").or_else(|| value(&sample["params"], "en")))
        .collect()
}

/// The parameter by which a request must be refused: it is another protocol's, or names no event.
fn refusal(sample: &Value) -> Option<&'static str> {
    let query = &sample["params"];
    match value(query, "v") {
        Some("2") if event_names(sample).len() == parts(sample).len() => None,
        Some("2") => Some("en"),
        _ => Some("v"),
    }
}

fn meets(events: &Result<Vec<Read>, BadHit>, refusal: Option<&str>) -> bool {
    match (events, refusal) {
        (Ok(events), None) => !events.is_empty(),
        (Err(bad), Some(field)) => &*bad.field == field,
        (Ok(_), Some(_)) | (Err(_), None) => false,
    }
}

/// Whether an event's line and what it shares go on as they came.
fn relayed(event: &Event, hit: &Hit, position: usize) -> (bool, bool) {
    let Onward { shared, line, .. } = onward(event, hit, position, Passing::Passed, Passing::Passed);
    let lines = hit.body.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let came = lines.filter(|line| !line.is_empty()).nth(position);
    let goes = shared.iter().filter_map(|shared| match shared {
        Shared::Goes(pair) => Some(&**pair),
        Shared::LeftOut | Shared::Open => None,
    });
    let is_ours = |pair: &&str| pair.starts_with("sst.") || *pair == "richsstsse" || pair.starts_with("_uip=");
    let expected = hit.query.split('&').filter(|pair| !pair.is_empty() && !is_ours(pair));
    (line.as_deref().map(str::as_bytes) == came, goes.eq(expected))
}

fn expectation(told: &mut Tally, id: &str, key: &str, expected: &Value, events: &[Event]) {
    let Some(event) = events.first() else { return told.count(|| format!("{id}: there is no event"), false) };
    match (key, expected) {
        _ if ABOUT.contains(&key) => {}
        ("event" | "event_name", name) => told.count(|| format!("{id}: {}", event.name), name == &*event.name),
        ("hits", count) => told.count(|| format!("{id}: {} events", events.len()), *count == events.len()),
        ("events", names) => {
            let found: Vec<&str> = events.iter().map(|event| &*event.name).collect();
            told.count(|| format!("{id}: {found:?}"), *names == Value::from(found.clone()));
        }
        ("analytics_storage", status) => {
            let said = event.text("x-ga-gcs").and_then(|text| gcs::decode(text).ok()).unwrap_or_default();
            let expected = status.as_str().and_then(ConsentStatus::from_word).unwrap_or_default();
            told.count(|| format!("{id}: {said:?}"), said.get(ConsentType::AnalyticsStorage) == expected);
        }
        (_, Value::Object(group)) if key != "sst" => {
            for (name, value) in group {
                data(told, id, &format!("{key}.{name}"), value, event);
            }
        }
        _ => data(told, id, key, expected, event),
    }
}

fn data(told: &mut Tally, id: &str, key: &str, expected: &Value, event: &Event) {
    let path = NAMES.iter().find(|(own, _)| *own == key).map_or(key, |(_, path)| path);
    let found = lookup(&event.data, path).cloned().unwrap_or_default();
    told.count(|| format!("{id}: {path} is {found}, expected {expected}"), holds(&found, expected));
}

/// Numbers and flags are texts in some samples. Some state what the page asked for, to which Google's tag added: mappings
/// may hold more than is expected of them.
fn holds(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(found, expected)| holds(found, expected))
        }
        (Value::Object(found), Value::Object(expected)) => expected.iter().all(|(key, value)| {
            let name = NAMES.iter().find(|(own, _)| own == key).map_or(&**key, |(_, name)| name);
            found.get(name).is_some_and(|found| holds(found, value))
        }),
        (Value::Bool(found), Value::String(flag)) => *flag == if *found { "1" } else { "0" },
        (found, expected) => to_text(found) == to_text(expected),
    }
}
