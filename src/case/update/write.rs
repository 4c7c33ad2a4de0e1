//! YAML as people would write it: takes values, some of which are pieces of the file as it was; gives text.

use std::{borrow::Cow, fmt::Write};

use serde_json::Value;

use crate::container::yaml;

/// Lines are not longer than this where they need not be.
const WIDTH: usize = 110;

/// A value to be written.
#[derive(Debug)]
pub(super) enum Written<'s> {
    Scalar(Value),
    List(Vec<Item<'s>>),
    Map(Vec<Entry<'s>>),
}

#[derive(Debug)]
pub(super) enum Item<'s> {
    /// As it stood.
    Kept(&'s str),
    New(Written<'s>),
}

#[derive(Debug)]
pub(super) enum Entry<'s> {
    /// Key and value as they stood.
    Kept(&'s str),
    New(String, Written<'s>),
}

impl Entry<'_> {
    pub fn new(name: impl Into<String>, value: &Value) -> Self {
        Self::New(name.into(), Written::of(value))
    }
}

impl Written<'_> {
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Array(items) => Self::List(items.iter().map(|item| Item::New(Self::of(item))).collect()),
            Value::Object(entries) => {
                Self::Map(entries.iter().map(|(key, value)| Entry::new(key.as_str(), value)).collect())
            }
            scalar => Self::Scalar(scalar.clone()),
        }
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self::Scalar(Value::String(text.into()))
    }

    /// Whether it has no lines of its own.
    pub fn is_short(&self) -> bool {
        match self {
            Self::Scalar(_) => true,
            Self::List(items) => items.is_empty(),
            Self::Map(entries) => entries.is_empty(),
        }
    }

    /// On one line, but for what is kept.
    pub fn flow(&self) -> String {
        match self {
            Self::Scalar(value) => scalar(value).into_owned(),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(Item::flow).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Map(entries) if entries.is_empty() => "{}".to_owned(),
            Self::Map(entries) => {
                let entries: Vec<_> = entries.iter().map(Entry::flow).collect();
                format!("{{ {} }}", entries.join(", "))
            }
        }
    }

    /// On lines of their own, each but the first behind so many spaces.
    pub fn block(&self, indent: usize) -> String {
        let lines: Vec<_> = match self {
            _ if self.is_short() => vec![self.flow()],
            Self::Scalar(_) => Vec::new(),
            Self::List(items) => items.iter().map(|item| item.block(indent)).collect(),
            Self::Map(entries) => entries.iter().map(|entry| entry.block(indent)).collect(),
        };
        lines.join(&format!("\n{:indent$}", ""))
    }

    /// What follows the colon of a key behind so many spaces: on its line if there is room.
    pub fn after_key(&self, indent: usize) -> String {
        match self.on_one_line(indent) {
            Some(line) => format!(" {line}"),
            None => format!("\n{:width$}{}", "", self.block(indent + 2), width = indent + 2),
        }
    }

    fn on_one_line(&self, indent: usize) -> Option<String> {
        let line = self.flow();
        (self.is_short() || line.len() + indent <= WIDTH && !line.contains('\n') && !self.is_long()).then_some(line)
    }

    /// What reads better on several lines: expectations, calls.
    fn is_long(&self) -> bool {
        let is_collection = |value: &Written<'_>| !value.is_short();
        match self {
            Self::Scalar(_) => false,
            Self::List(items) => {
                items.iter().any(|item| matches!(item, Item::New(value @ Self::Map(_)) if value.is_long()))
            }
            Self::Map(entries) => {
                entries.iter().filter(|entry| matches!(entry, Entry::New(_, value) if is_collection(value))).count() > 1
            }
        }
    }
}

impl Item<'_> {
    fn flow(&self) -> String {
        match self {
            Self::Kept(source) => (*source).to_owned(),
            Self::New(value) => value.flow(),
        }
    }

    fn block(&self, indent: usize) -> String {
        match self {
            Self::Kept(source) => format!("- {source}"),
            Self::New(value) => {
                let line = value.on_one_line(indent + 2);
                format!("- {}", line.unwrap_or_else(|| value.block(indent + 2)))
            }
        }
    }
}

impl Entry<'_> {
    fn flow(&self) -> String {
        match self {
            Self::Kept(source) => (*source).to_owned(),
            Self::New(name, value) => format!("{}: {}", text(name), value.flow()),
        }
    }

    fn block(&self, indent: usize) -> String {
        match self {
            Self::Kept(source) => (*source).to_owned(),
            Self::New(name, value) => format!("{}:{}", text(name), value.after_key(indent)),
        }
    }
}

fn scalar(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(own) => text(own),
        other => Cow::Owned(other.to_string()),
    }
}

/// A text without quotes where nobody, nor YAML, could take it for something else.
fn text(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | '/' | '(' | ')' | '+' | ';');
    let is_safe = text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && !text.ends_with(' ')
        && text.chars().all(is_plain)
        && yaml::reads_as_text(text);
    if is_safe { Cow::Borrowed(text) } else { Cow::Owned(quoted(text)) }
}

/// In double quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}') => {
                // Writing to a String cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
