//! Values on their way between an event and a script, and their form as text. Bounded: an event may hold more than a
//! script may, and a script's values may be deeper than the stack allows to walk through.

use std::fmt::Write;

use rhai::{Array, Dynamic, ImmutableString, Map, Position};
use serde_json::Value;

use super::{
    cage::{self, Fallible, MAX_ITEMS, MAX_TEXT, Stop},
    secret::Secret,
};

/// How deep a value may be to become text or JSON; events are not deeper.
const MAX_DEPTH: usize = 32;

/// An event's value as a script sees it: null becomes `()`, numbers beyond 64-bit integers become floats.
///
/// # Errors
/// It is larger than a script's values may be.
pub fn to_dynamic(value: &Value) -> Fallible<Dynamic> {
    Room { text: MAX_TEXT, items: MAX_ITEMS, entries: MAX_ITEMS }.take(value)
}

/// What is left of a script's limits while a value is taken over.
struct Room {
    text: usize,
    items: usize,
    entries: usize,
}

impl Room {
    fn take(&mut self, value: &Value) -> Fallible<Dynamic> {
        Ok(match value {
            Value::Null => Dynamic::UNIT,
            Value::Bool(bool) => Dynamic::from_bool(*bool),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => Dynamic::from_int(integer),
                (None, Some(float)) => Dynamic::from_float(float),
                (None, None) => Dynamic::UNIT,
            },
            Value::String(text) => {
                let too_long =
                    || format!("this value holds more than {} KB of text, too much for a script", MAX_TEXT >> 10);
                self.text = self.text.checked_sub(text.len()).ok_or_else(too_long)?;
                text.as_str().into()
            }
            Value::Array(items) => {
                let too_long =
                    || format!("this value holds more than {MAX_ITEMS} list elements, too many for a script");
                self.items = self.items.checked_sub(items.len()).ok_or_else(too_long)?;
                Dynamic::from_array(items.iter().map(|item| self.take(item)).collect::<Fallible<_>>()?)
            }
            Value::Object(map) => {
                let too_long = || format!("this value holds more than {MAX_ITEMS} map entries, too many for a script");
                self.entries = self.entries.checked_sub(map.len()).ok_or_else(too_long)?;
                let entries = map.iter().map(|(key, value)| Ok((key.as_str().into(), self.take(value)?)));
                Dynamic::from_map(entries.collect::<Fallible<Map>>()?)
            }
        })
    }
}

/// A script's value as JSON.
///
/// # Errors
/// It has no JSON form, holds something that has none, or is too deep.
pub fn to_json(value: &Dynamic) -> Fallible<Value> {
    json(value, MAX_DEPTH)
}

/// A script's map as JSON; see [`to_json`].
pub fn map_to_json(map: &Map) -> Fallible<Value> {
    json_object(map, MAX_DEPTH)
}

fn json(value: &Dynamic, depth: usize) -> Fallible<Value> {
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(bool) = value.as_bool() {
        return Ok(Value::from(bool));
    }
    if let Ok(integer) = value.as_int() {
        return Ok(Value::from(integer));
    }
    if let Ok(float) = value.as_float() {
        return Ok(Value::from(float));
    }
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Ok(Value::from(text.as_str()));
    }
    if let Some(items) = value.read_lock::<Array>() {
        let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
        return items.iter().map(|item| json(item, depth)).collect::<Fallible<_>>().map(Value::Array);
    }
    if let Some(map) = value.read_lock::<Map>() {
        return json_object(&map, depth);
    }
    Err(format!("a value of type {} has no JSON form", type_name(value)).into())
}

fn json_object(map: &Map, depth: usize) -> Fallible<Value> {
    let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
    let entries = map.iter().map(|(key, value)| Ok((key.to_string(), json(value, depth)?)));
    entries.collect::<Fallible<_>>().map(Value::Object)
}

fn too_deep() -> String {
    format!("a value of more than {MAX_DEPTH} levels has no JSON form")
}

/// A list as the engine writes it, such as `["a", 1]`. What lies deeper than [`MAX_DEPTH`] becomes `…`, and a text longer
/// than a script may have ends early, for the engine to refuse; a secret in it stops the run.
pub fn list_to_text(list: &Array, position: Position) -> String {
    let mut text = Text { out: String::new(), position };
    text.list(list, MAX_DEPTH);
    text.out
}

/// A map as the engine writes it, such as `#{"a": 1}`; see [`list_to_text`].
pub fn map_to_text(map: &Map, position: Position) -> String {
    let mut text = Text { out: String::new(), position };
    text.map(map, MAX_DEPTH);
    text.out
}

struct Text {
    out: String,
    position: Position,
}

impl Text {
    fn list(&mut self, list: &Array, depth: usize) {
        self.out.push('[');
        for (index, item) in list.iter().enumerate() {
            if self.out.len() > MAX_TEXT {
                return;
            }
            self.out.push_str(if index == 0 { "" } else { ", " });
            self.value(item, depth);
        }
        self.out.push(']');
    }

    fn map(&mut self, map: &Map, depth: usize) {
        self.out.push_str("#{");
        for (index, (key, value)) in map.iter().enumerate() {
            if self.out.len() > MAX_TEXT {
                return;
            }
            self.out.push_str(if index == 0 { "" } else { ", " });
            self.debug(key);
            self.out.push_str(": ");
            self.value(value, depth);
        }
        self.out.push('}');
    }

    fn value(&mut self, value: &Dynamic, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return self.out.push('…') };
        if let Some(list) = value.read_lock::<Array>() {
            self.list(&list, depth);
        } else if let Some(map) = value.read_lock::<Map>() {
            self.map(&map, depth);
        } else if let Some(text) = value.read_lock::<ImmutableString>() {
            self.debug(text.as_str());
        } else if value.is::<Secret>() {
            cage::stop(Stop::Secret, self.position);
        } else if value.is_unit() {
            self.out.push_str("()");
        } else if value.is_variant() {
            self.out.push_str(type_name(value));
        } else {
            self.out.push_str(&value.to_string());
        }
    }

    fn debug(&mut self, text: &str) {
        // A string takes whatever is written to it.
        let _ = write!(self.out, "{text:?}");
    }
}

/// The name by which scripts know a value's type.
pub fn type_name(value: &Dynamic) -> &'static str {
    shown_type(value.type_name())
}

/// The name by which scripts know a type: that of the Rust type, without its path or what it is wrapped in.
pub fn shown_type(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name).trim_end_matches('>').trim_end_matches("Handle")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_survives_the_way_through_a_script() {
        let value = json!({"a": [1, 2.5, "x", true, null], "b": {"c": "ä"}});
        assert_eq!(to_json(&to_dynamic(&value).expect("a small value")).expect("JSON"), value);
    }

    #[test]
    fn what_has_no_json_form_is_named() {
        let error = to_json(&Dynamic::from_char('x')).expect_err("a character");
        assert_eq!(error.to_string(), "Runtime error: a value of type char has no JSON form");
    }

    #[test]
    fn what_is_larger_than_a_script_may_hold_does_not_enter_it() {
        let text = "x".repeat(40_000);
        for value in [json!("x".repeat(65_537)), json!(vec![0; 1001]), json!({"a": {"b": [text, text]}})] {
            assert!(to_dynamic(&value).is_err());
        }
    }

    #[test]
    fn values_become_text_as_the_engine_writes_them() {
        let value = to_dynamic(&json!({"a": [1, 2.5, "x\"", true, null], "b": {}})).expect("a small value");
        let text = map_to_text(&value.cast::<Map>(), Position::NONE);
        assert_eq!(text, r#"#{"a": [1, 2.5, "x\"", true, ()], "b": #{}}"#);
    }
}
