//! One event: which fields it has, its name, time, source and references. Takes the event and the rules of the moment,
//! gives warnings or the first fault.

use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use super::{
    batch::Rules,
    data::{self, Shape},
    finding::{Finding, Place, boolean, filled_text, integer, no_others, object, required, text},
    user,
};
use crate::time::Timestamp;

const FIELDS: [&str; 10] = [
    "id",
    "type",
    "custom_event_name",
    "timestamp_ms",
    "data",
    "action_source",
    "source_url",
    "oppref",
    "opt_out",
    "user",
];

/// Names of earlier versions, which must not be used any more, and what they are called now.
const LEGACY_FIELDS: [(&str, &str); 6] = [
    ("event_type", "type"),
    ("event_name", "type"),
    ("event_id", "id"),
    ("event_time_epoch_ms", "timestamp_ms"),
    ("event_source_url", "source_url"),
    ("event_data", "data"),
];

const ACTION_SOURCES: [&str; 7] = ["web", "mobile_app", "offline", "physical_store", "phone_call", "email", "other"];

/// Events that only an app can send.
const APP_EVENTS: [&str; 2] = ["app_installed", "app_opened"];

const MAX_AGE: Duration = Duration::from_hours(7 * 24);
const MAX_AHEAD: Duration = Duration::from_mins(10);

/// The first fault of an event; what does not refuse it is added to `warnings`.
pub(super) fn check(event: &Value, rules: &Rules, warnings: &mut Vec<Finding>) -> Result<(), Finding> {
    let place = Place::Event;
    let event = object(event, &place)?;
    // Before the unknown and the missing fields, because an old name explains both.
    if let Some((old, now)) = LEGACY_FIELDS.iter().find(|(old, _)| event.contains_key(*old)) {
        return Err(place.field(old).finding(format!("is no longer used: the field is now called {now}")));
    }
    no_others(event, &FIELDS, &place)?;
    filled_text(required(event, "id", &place)?, &place.field("id"))?;
    let (event_type, shape) = check_name(event, warnings)?;
    check_time(required(event, "timestamp_ms", &place)?, rules.now)?;
    data::check(required(event, "data", &place)?, shape, warnings)?;
    check_source(event, event_type, warnings)?;
    if let Some(oppref) = event.get("oppref") {
        filled_text(oppref, &place.field("oppref"))?;
    }
    if let Some(opt_out) = event.get("opt_out") {
        boolean(opt_out, &place.field("opt_out"))?;
    }
    match event.get("user") {
        Some(user) => user::check(user, rules.schemas, warnings),
        None => Ok(()),
    }
}

/// `type`, and `custom_event_name` with it.
fn check_name<'v>(event: &'v Map<String, Value>, warnings: &mut Vec<Finding>) -> Result<(&'v str, Shape), Finding> {
    let place = Place::Event;
    let event_type = text(required(event, "type", &place)?, &place.field("type"))?;
    let custom_name = event.get("custom_event_name");
    if event_type == "custom" {
        let name = required(event, "custom_event_name", &place)?;
        check_custom_name(name, &place.field("custom_event_name"), warnings)?;
        return Ok((event_type, Shape::Custom));
    }
    let shape = data::shape_of(event_type)
        .ok_or_else(|| place.field("type").finding("must be a standard event name or custom"))?;
    match custom_name {
        Some(_) => Err(place.field("custom_event_name").finding("is allowed with type custom only")),
        None => Ok((event_type, shape)),
    }
}

fn check_custom_name(name: &Value, place: &Place<'_>, warnings: &mut Vec<Finding>) -> Result<(), Finding> {
    let name = text(name, place)?;
    if !(1..=64).contains(&name.len()) || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) {
        return Err(place.finding("must be 1 to 64 letters, digits, underscores or hyphens"));
    }
    if name.starts_with(['_', '-']) || name.ends_with(['_', '-']) {
        return Err(place.finding("must begin and end with a letter or digit"));
    }
    if data::shape_of(&name.to_ascii_lowercase()).is_some() {
        return Err(place.finding("must not be the name of a standard event"));
    }
    if name.contains(|c: char| c.is_ascii_uppercase()) {
        warnings.push(place.finding("should be lower-case"));
    }
    Ok(())
}

/// The window is measured when the event arrives.
fn check_time(value: &Value, now: Timestamp) -> Result<(), Finding> {
    let root = Place::Event;
    let place = root.field("timestamp_ms");
    let time = Timestamp(integer(value, &place)?);
    if now.since(time) > MAX_AGE {
        Err(place.finding("is more than 7 days old"))
    } else if time.since(now) > MAX_AHEAD {
        Err(place.finding("is more than 10 minutes ahead"))
    } else {
        Ok(())
    }
}

/// `action_source`, and `source_url` with it.
fn check_source(event: &Map<String, Value>, event_type: &str, warnings: &mut Vec<Finding>) -> Result<(), Finding> {
    let root = Place::Event;
    let place = root.field("action_source");
    let source = event.get("action_source").map(|source| text(source, &place)).transpose()?;
    match source {
        Some(source) if !ACTION_SOURCES.contains(&source) => {
            return Err(place.finding(format!("must be one of {}", ACTION_SOURCES.join(", "))));
        }
        source if APP_EVENTS.contains(&event_type) && source != Some("mobile_app") => {
            return Err(place.finding(format!("must be mobile_app for {event_type}")));
        }
        // OpenAI's own page calls it optional, a later reading of the same page required.
        None => warnings.push(place.finding("should always be sent")),
        Some(_) => {}
    }
    match event.get("source_url") {
        Some(url) => check_url(url, &root.field("source_url"), warnings),
        None if source == Some("web") => Err(root.field("source_url").finding("is required for action_source web")),
        None => Ok(()),
    }
}

/// An absolute http(s) address. Only its origin and path should be sent: the rest may carry personal data.
fn check_url(value: &Value, place: &Place<'_>, warnings: &mut Vec<Finding>) -> Result<(), Finding> {
    let text = text(value, place)?;
    let Some(url) = parse_url(text) else { return Err(place.finding("must be an http or https URL with a host")) };
    if url.query().is_some() {
        warnings.push(place.finding("should have no query"));
    }
    if url.fragment().is_some() {
        warnings.push(place.finding("should have no fragment"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        warnings.push(place.finding("should have no user name or password"));
    }
    Ok(())
}

/// Parses without the leniency that browsers need: `Url` alone would trim blanks and supply missing slashes.
fn parse_url(text: &str) -> Option<Url> {
    let (scheme, rest) = text.split_once("://")?;
    let http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    if !http || rest.starts_with(['/', '\\']) || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return None;
    }
    Url::parse(text).ok().filter(Url::has_host)
}
