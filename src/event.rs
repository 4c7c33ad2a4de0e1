//! An event: the only shape that the stages after the client see. A name and data with keys named as in GA4 and sGTM.

use std::{borrow::Cow, sync::Arc};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{consent::Signals, time::Timestamp};

/// One thing that happened on a site.
#[derive(Clone, Debug)]
pub struct Event {
    /// `event_name`, such as `purchase`.
    pub name: Arc<str>,
    pub id: EventId,
    /// When it happened, by the server's clock; retries, splits and replays keep it.
    pub time: Timestamp,
    /// Everything else: `page_location`, `value`, `currency`, `items`, `user_data`, ….
    pub data: Map<String, Value>,
    pub signals: Signals,
    /// The click reference of the page's address, where it was taken out of that.
    pub click: Option<Box<str>>,
}

/// The id under which destinations deduplicate an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventId {
    pub text: Arc<str>,
    pub origin: IdOrigin,
}

/// Where an event's id came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IdOrigin {
    /// The site's own `event_id`.
    Site,
    /// The order's `transaction_id`.
    Transaction,
    /// Made of what a GA4 hit says of its page, visitor and place in the page; a second copy of the hit gets it too.
    Derived,
    /// Made here: a second copy of the event would get another one, so it cannot be deduplicated.
    Generated,
}

impl IdOrigin {
    /// Whether the site itself says by this id which event it is. One that was derived could by chance be that of another
    /// event, and is left for destinations to judge.
    pub fn is_the_sites(self) -> bool {
        match self {
            Self::Site | Self::Transaction => true,
            Self::Derived | Self::Generated => false,
        }
    }
}

impl Event {
    /// The value at a dotted path, such as `user_data.email_address` or `items.0.item_id`; `event_name`, `event_id`
    /// and `event_time` too. `None` if it is absent or null.
    pub fn get(&self, path: &str) -> Option<Cow<'_, Value>> {
        self.find(path).filter(|found| !found.is_null())
    }

    /// The same, with a null that the event holds as null.
    pub fn find(&self, path: &str) -> Option<Cow<'_, Value>> {
        match path {
            "event_name" => Some(Cow::Owned(Value::from(&*self.name))),
            "event_id" => Some(Cow::Owned(Value::from(&*self.id.text))),
            "event_time" => Some(Cow::Owned(Value::from(self.time.0))),
            _ => walk(&self.data, path).map(Cow::Borrowed),
        }
    }

    /// The text at a dotted path; `None` if it is absent or something else than text.
    pub fn text(&self, path: &str) -> Option<&str> {
        lookup(&self.data, path)?.as_str()
    }
}

/// The value at a dotted path; a number steps into a list. `None` if it is absent or null.
pub fn lookup<'a>(data: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    walk(data, path).filter(|found| !found.is_null())
}

/// The value at a dotted path, null or not.
fn walk<'a>(data: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let mut steps = path.split('.');
    let mut found = data.get(steps.next()?)?;
    for step in steps {
        found = match found {
            Value::Object(map) => map.get(step)?,
            Value::Array(list) => list.get(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(found)
}

/// A value as people write it: text bare, numbers in their shortest form, lists and maps as JSON. `None` for null.
pub fn to_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number_text(number))),
        other => Some(Cow::Owned(other.to_string())),
    }
}

/// A number's shortest text; a whole float is written without its fraction, as in JavaScript.
fn number_text(number: &serde_json::Number) -> String {
    let text = number.to_string();
    match text.strip_suffix(".0") {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_step_into_maps_and_lists() {
        let Value::Object(data) = json!({"items": [{"item_id": "a"}], "user_data": {"email_address": null}}) else {
            unreachable!("an object literal")
        };
        assert_eq!(lookup(&data, "items.0.item_id"), Some(&json!("a")));
        assert_eq!(lookup(&data, "items.1.item_id"), None);
        assert_eq!(lookup(&data, "items.-1"), None);
        assert_eq!(lookup(&data, "user_data.email_address"), None, "null counts as absent");
        assert_eq!(lookup(&data, ""), None);
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        for (value, text) in [(json!(10.0), "10"), (json!(129.9), "129.9"), (json!(7), "7"), (json!(true), "true")] {
            assert_eq!(to_text(&value).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_the_event_is_goes_before_data_of_the_same_name() {
        let Value::Object(data) = json!({"event_name": "other", "event_id": 5, "event_time": "now"}) else {
            unreachable!("an object literal")
        };
        let id = EventId { text: "id".into(), origin: IdOrigin::Site };
        let event = Event { name: "e".into(), id, time: Timestamp(7), data, signals: Signals::default(), click: None };
        assert_eq!(event.get("event_name").as_deref(), Some(&json!("e")));
        assert_eq!(event.get("event_id").as_deref(), Some(&json!("id")));
        assert_eq!(event.get("event_time").as_deref(), Some(&json!(7)));
    }

    proptest! {
        #[test]
        fn any_path_leads_somewhere_or_nowhere(path in "([a-z0-9-]{0,3}\\.?){0,6}|.{0,12}") {
            let Value::Object(data) = json!({"a": [{"b": {"c": 1}}, [2]], "": {"": 3}}) else {
                unreachable!("an object literal")
            };
            lookup(&data, &path);
        }
    }
}
