//! What is wrong, and where: takes a place in an event and words, gives a [`Finding`]. Also the readers that every rule
//! begins with: this value must be a string, an integer, a list, an object.
//!
//! Words never hold a value of the event, only names and kinds: values may be personal, and equal faults in different
//! events must read the same.

use std::{borrow::Cow, fmt};

use serde_json::{Map, Value};

/// A broken rule or a warning, with its place inside the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The place, such as `data.contents[2].amount`; empty for the event itself.
    pub path: String,
    pub words: Cow<'static, str>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "event" } else { &self.path };
        write!(f, "{path}: {}", self.words)
    }
}

/// A place inside an event. Costs nothing until a finding has to name it.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Event,
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl<'a> Place<'a> {
    pub(super) fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    pub(super) fn item(&'a self, index: usize) -> Self {
        Self::Item(self, index)
    }

    pub(super) fn finding(&self, words: impl Into<Cow<'static, str>>) -> Finding {
        Finding { path: self.to_string(), words: words.into() }
    }

    /// A finding about the kind of a value.
    fn wrong_kind(&self, wanted: &str, found: &Value) -> Finding {
        self.finding(format!("must be {wanted}, found {}", kind(found)))
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event => Ok(()),
            Self::Field(Self::Event, name) => f.write_str(&shortened(name)),
            Self::Field(parent, name) => write!(f, "{parent}.{}", shortened(name)),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A name that the caller wrote, short enough to be repeated.
pub(super) fn shortened(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(64) {
        None => Cow::Borrowed(name),
        Some(_) => Cow::Owned(name.chars().take(64).chain(['…']).collect()),
    }
}

/// A value's kind, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

pub(super) fn text<'v>(value: &'v Value, place: &Place<'_>) -> Result<&'v str, Finding> {
    value.as_str().ok_or_else(|| place.wrong_kind("a string", value))
}

/// A string that is more than blanks.
pub(super) fn filled_text<'v>(value: &'v Value, place: &Place<'_>) -> Result<&'v str, Finding> {
    let text = text(value, place)?;
    if text.trim().is_empty() { Err(place.finding("must not be empty")) } else { Ok(text) }
}

/// An integer written as one: neither `12.0` nor `"12"`.
pub(super) fn integer(value: &Value, place: &Place<'_>) -> Result<i64, Finding> {
    match value {
        Value::Number(number) if !number.is_f64() => {
            number.as_i64().ok_or_else(|| place.finding("is too large an integer"))
        }
        _ => Err(place.wrong_kind("an integer", value)),
    }
}

pub(super) fn boolean(value: &Value, place: &Place<'_>) -> Result<bool, Finding> {
    value.as_bool().ok_or_else(|| place.wrong_kind("true or false", value))
}

pub(super) fn list<'v>(value: &'v Value, place: &Place<'_>) -> Result<&'v Vec<Value>, Finding> {
    value.as_array().ok_or_else(|| place.wrong_kind("a list", value))
}

pub(super) fn object<'v>(value: &'v Value, place: &Place<'_>) -> Result<&'v Map<String, Value>, Finding> {
    value.as_object().ok_or_else(|| place.wrong_kind("an object", value))
}

/// A field that must be there.
pub(super) fn required<'v>(
    object: &'v Map<String, Value>,
    name: &str,
    place: &Place<'_>,
) -> Result<&'v Value, Finding> {
    object.get(name).ok_or_else(|| place.field(name).finding("is required"))
}

/// Refuses the first field that is not in `known`.
pub(super) fn no_others(object: &Map<String, Value>, known: &[&str], place: &Place<'_>) -> Result<(), Finding> {
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(place.field(name).finding("unknown field")),
        None => Ok(()),
    }
}
