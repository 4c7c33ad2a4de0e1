//! Transformations: what a tag sees of an event, where that is not what the site sent.
//!
//! Takes a permitted tag and the [`Moment`] of its event; gives the changed event, and what was done. Triggers, consent,
//! cookies' domains and other tags go by the event as it came.

use std::{borrow::Cow, sync::Arc};

use serde_json::{Map, Value};

use crate::{
    container::Tag,
    event::{self, Event},
    script::Given,
    trace::{Found, Note},
    trigger::condition::Condition,
    variable::{Moment, ValueTemplate},
};

/// A transformation, compiled.
#[derive(Debug)]
pub struct Transformation {
    pub name: Arc<str>,
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    pub change: Change,
}

/// What a transformation does to an event.
#[derive(Debug)]
pub enum Change {
    /// Keeps only these, and what cannot be changed.
    Allow(Vec<Path>),
    /// Leaves these out.
    Exclude(Vec<Path>),
    /// Adds these, or puts them in place of what was there; one without a value is left out.
    Augment { event_name: Option<ValueTemplate>, data: Vec<(Path, ValueTemplate)> },
}

/// The keys that lead to a part of an event's data. In a list, a key stands for that of each element.
#[derive(Debug)]
pub struct Path {
    pub first: Box<str>,
    pub rest: Vec<Box<str>>,
}

/// A transformation's place in its container; they apply in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransformationIndex(pub usize);

/// What a tag sees of its event.
pub struct Seen<'g> {
    pub given: Cow<'g, Given>,
    /// Which transformations applied, and why others did not.
    pub notes: Vec<Note>,
}

/// Keys that hold for the event as a whole: its identity, and what Google's own tags rely on, which GTM's transformations
/// leave alone as well (developers.google.com/tag-platform/tag-manager/server-side/common-event-data).
pub const IMMUTABLE: [&str; 24] = [
    "event_id",
    "event_time",
    "x-ga-protocol_version",
    "x-ga-temp_client_id",
    "x-ga-measurement_id",
    "x-ga-gtm_version",
    "x-ga-page_id",
    "x-ga-request_count",
    "x-ga-gcs",
    "x-ga-gcd",
    "x-ga-gcu",
    "x-ga-dma",
    "x-ga-dma_cps",
    "x-ga-npa",
    "x-ga-did",
    "x-ga-gdid",
    "x-ga-edid",
    "x-ga-ecid",
    "x-ga-em",
    "x-ga-tfd",
    "x-ga-lps",
    "x-sst-prehit_properties",
    "x-ga-system_properties",
    "x-sst-system_properties",
];

/// The event as a tag sees it: each of the tag's transformations changes what those before it made.
pub fn seen_by<'g>(tag: &Tag, moment: &Moment<'_>, given: &'g Given) -> Seen<'g> {
    watched(tag, moment, given, |_, _| {})
}

/// The same, and whoever watches is shown each transformation with the event that its conditions are about.
pub fn watched<'g>(
    tag: &Tag,
    moment: &Moment<'_>,
    given: &'g Given,
    mut watch: impl FnMut(TransformationIndex, &Moment<'_>),
) -> Seen<'g> {
    let mut seen = Seen { given: Cow::Borrowed(given), notes: Vec::new() };
    let all = &moment.container.transformations;
    for (index, transformation) in tag.transformations.iter().filter_map(|index| Some((*index, all.get(index.0)?))) {
        let changed = match &seen.given {
            Cow::Borrowed(_) => {
                watch(index, moment);
                transformation.apply(moment, &mut seen.notes)
            }
            Cow::Owned(given) => {
                let moment = Moment::new(moment.container, given);
                watch(index, &moment);
                let changed = transformation.apply(&moment, &mut seen.notes);
                seen.notes.extend(moment.into_notes());
                changed
            }
        };
        if let Some(event) = changed {
            seen.given = Cow::Owned(Given { event: Arc::new(event), ..given.clone() });
        }
    }
    seen
}

impl Transformation {
    /// The changed event, if the conditions hold.
    fn apply(&self, moment: &Moment<'_>, notes: &mut Vec<Note>) -> Option<Event> {
        let mut note = |text: String| notes.push(Note::new(format!("transformation {:?}", self.name), text));
        if let Some((condition, found)) = self.conditions.iter().find_map(|condition| condition.failure(moment)) {
            note(not_applied(&condition, &found));
            return None;
        }
        note("applied".to_owned());
        let mut event = moment.event.clone();
        match &self.change {
            Change::Allow(paths) => event.data = allowed(&event.data, paths),
            Change::Exclude(paths) => paths.iter().for_each(|path| exclude(&mut event.data, &path.first, &path.rest)),
            Change::Augment { event_name, data } => {
                for (path, template) in data {
                    let value = moment.fill(template).into_owned();
                    if value.is_null() {
                        exclude(&mut event.data, &path.first, &path.rest);
                    } else if let Err(obstacle) = set(&mut event.data, path, value) {
                        note(format!("{path} was not set, because {obstacle} is no map"));
                    }
                }
                let name = event_name.as_ref().map(|template| moment.fill(template));
                match name.as_deref().map(|name| event::to_text(name).unwrap_or_default()) {
                    Some(name) if name.is_empty() => {
                        note("the event's name stays, because the new one is empty".to_owned())
                    }
                    Some(name) => event.name = name.into(),
                    None => {}
                }
            }
        }
        if event.text("page_location") != moment.event.text("page_location") {
            // It was the click of another address.
            event.click = None;
        }
        Some(event)
    }
}

fn not_applied(condition: &str, found: &Found) -> String {
    format!("not applied: {condition}, found {found}")
}

/// What the paths lead to, and what no transformation changes.
fn allowed(data: &Map<String, Value>, paths: &[Path]) -> Map<String, Value> {
    let mut kept = Map::new();
    for key in IMMUTABLE {
        if let Some(value) = data.get(key) {
            kept.insert(key.to_owned(), value.clone());
        }
    }
    for path in paths {
        keep(data, &mut kept, &path.first, &path.rest);
    }
    kept
}

/// Copies what lies at a path. What another path copied stays.
fn keep(from: &Map<String, Value>, to: &mut Map<String, Value>, key: &str, rest: &[Box<str>]) {
    let Some(value) = from.get(key) else { return };
    let Some((next, rest)) = rest.split_first() else {
        to.insert(key.to_owned(), value.clone());
        return;
    };
    match value {
        Value::Object(inner) => {
            if let Value::Object(kept) = to.entry(key).or_insert_with(|| Value::Object(Map::new())) {
                keep(inner, kept, next, rest);
            }
        }
        Value::Array(items) => {
            // Every element keeps its place, even one of which nothing stays: positions mean something.
            let empty = || Value::Array(items.iter().map(|_| Value::Object(Map::new())).collect());
            if let Value::Array(kept) = to.entry(key).or_insert_with(empty) {
                for (item, kept) in items.iter().zip(kept) {
                    if let (Value::Object(item), Value::Object(kept)) = (item, kept) {
                        keep(item, kept, next, rest);
                    }
                }
            }
        }
        _ => {}
    }
}

fn exclude(data: &mut Map<String, Value>, key: &str, rest: &[Box<str>]) {
    let Some((next, rest)) = rest.split_first() else {
        data.remove(key);
        return;
    };
    match data.get_mut(key) {
        Some(Value::Object(inner)) => exclude(inner, next, rest),
        Some(Value::Array(items)) => {
            items.iter_mut().filter_map(Value::as_object_mut).for_each(|item| exclude(item, next, rest));
        }
        _ => {}
    }
}

/// Sets a value; maps on the way are made where there are none.
///
/// # Errors
/// Something on the way is no map; gives its path.
fn set(data: &mut Map<String, Value>, path: &Path, value: Value) -> Result<(), String> {
    let (mut map, mut key, mut way) = (data, &path.first, path.first.to_string());
    for next in &path.rest {
        let inner = map.entry(&**key).or_insert(Value::Null);
        if inner.is_null() {
            *inner = Value::Object(Map::new());
        }
        let Value::Object(inner) = inner else { return Err(way) };
        (map, key) = (inner, next);
        way = format!("{way}.{next}");
    }
    map.insert(key.to_string(), value);
    Ok(())
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.first)?;
        self.rest.iter().try_for_each(|key| write!(f, ".{key}"))
    }
}
