//! The shape of an event's data: names and types. Takes the data and how much may stay of it; gives the same data with a
//! mark in place of every value that does not stay.
//!
//! A mark is a map with the member `$`, which no name that stays can be: `{"$": "text"}`. Where a value may be compared by
//! its pseudonym, that stands beside it: `{"$": "text", "is": "9f86d081884c7d65"}`.
//!
//! In clear stay, and only where the visitor granted something: true, false and null, empty texts, amounts and numbers of
//! things by the names in [`NUMBERS`], and currency codes. Texts and other numbers stay as pseudonyms, unless their name or
//! their look tells of a person: of those stays the type. A name that is no plain word does not stay either.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::{DayKey, Detail};
use crate::{
    event,
    openai::money::Currency,
    trace::Sensitivity,
    trigger::condition::{Case, Number, Wanted},
};

/// The member that makes a map a mark.
const MARK: &str = "$";
/// In a mark: the pseudonym of the value as text.
const EXACT: &str = "is";
/// In a mark: that of the text in lower case, if it is another.
const LOWER: &str = "lower";
/// In a mark: that of the number that the text is.
const NUMBER: &str = "number";

/// Names of amounts and counts, as GA4 has them.
pub const NUMBERS: [&str; 12] = [
    "discount",
    "index",
    "item_count",
    "num_items",
    "percent_scrolled",
    "position",
    "price",
    "quantity",
    "shipping",
    "step",
    "tax",
    "value",
];

/// Of one map.
const MAX_MEMBERS: usize = 100;
/// Of one list.
const MAX_ELEMENTS: usize = 5;
const MAX_DEPTH: usize = 6;
/// Of a name, and of a text of which a pseudonym is made.
const MAX_NAME: usize = 64;
const MAX_TEXT: usize = 256;
/// As many digits in a row may be a telephone number or a date of birth.
const MANY_DIGITS: usize = 6;

/// What is known of the value at a path.
#[derive(Debug, PartialEq)]
pub enum Reach<'k> {
    /// All of it; nothing where there was nothing.
    Known,
    /// That there was one, and perhaps its pseudonyms.
    Marked(&'k Map<String, Value>),
    /// Not even whether there was one.
    Unknown,
}

/// The shape of an event's data.
pub fn of(data: &Map<String, Value>, detail: Detail, key: &DayKey) -> Map<String, Value> {
    map(data, &Maker { detail, key }, 1)
}

/// Whether a name is a word that rules could be written for: letters, digits and a few signs, no long number.
pub fn is_plain_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | ' ');
    (1..=MAX_NAME).contains(&name.len()) && name.chars().all(is_part) && !has_many_digits(name) && !spells_address(name)
}

/// Whether a name is an e-mail address with its signs written as words: `ada_at_example.com`.
fn spells_address(name: &str) -> bool {
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').skip(1);
    let has_at = words.any(|word| word.eq_ignore_ascii_case("at"));
    has_at && words.any(|word| word.contains('.') || word.eq_ignore_ascii_case("dot"))
}

fn has_many_digits(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() >= MANY_DIGITS)
}

struct Maker<'a> {
    detail: Detail,
    key: &'a DayKey,
}

fn map(members: &Map<String, Value>, maker: &Maker<'_>, depth: usize) -> Map<String, Value> {
    let plain = members.iter().filter(|(name, _)| is_plain_name(name)).take(MAX_MEMBERS);
    let mut shape: Map<_, _> = plain.map(|(name, value)| (name.clone(), maker.value(name, value, depth))).collect();
    let more = members.len() - shape.len();
    if more > 0 {
        shape.insert(MARK.to_owned(), format!("{more} more").into());
    }
    shape
}

impl Maker<'_> {
    fn value(&self, name: &str, value: &Value, depth: usize) -> Value {
        if value.is_null() {
            return Value::Null;
        }
        if Sensitivity::of_event_data(name) == Sensitivity::Personal {
            return mark(value);
        }
        match value {
            Value::Object(_) | Value::Array(_) if depth >= MAX_DEPTH => mark(value),
            Value::Object(members) => Value::Object(map(members, self, depth + 1)),
            Value::Array(elements) => {
                let kept = elements.iter().take(MAX_ELEMENTS).map(|element| self.value(name, element, depth + 1));
                let mut kept: Vec<_> = kept.collect();
                if elements.len() > MAX_ELEMENTS {
                    kept.push(json!({MARK: format!("{} more", elements.len() - MAX_ELEMENTS)}));
                }
                Value::Array(kept)
            }
            _ if self.detail == Detail::Shape => mark(value),
            plain if stays(name, plain) => plain.clone(),
            other => self.pseudonyms(other),
        }
    }

    fn pseudonyms(&self, value: &Value) -> Value {
        let mut mark = mark(value);
        let Some(text) = event::to_text(value) else { return mark };
        if text.len() > MAX_TEXT || text.contains('@') {
            return mark;
        }
        mark[EXACT] = (&*self.key.pseudonym(&text)).into();
        let lower = text.to_lowercase();
        if lower != *text {
            mark[LOWER] = (&*self.key.pseudonym(&lower)).into();
        }
        if let Some(number) = Number::parse(&text) {
            mark[NUMBER] = (&*number_pseudonym(number, self.key)).into();
        }
        mark
    }
}

/// However the number is written.
fn number_pseudonym(number: Number, key: &DayKey) -> Box<str> {
    key.pseudonym(&format!("{number:?}"))
}

/// Whether a value says nothing of anybody, whoever's event it is in.
fn stays(name: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => true,
        Value::Number(number) => NUMBERS.contains(&name) && is_an_amount(number.as_f64()),
        Value::String(text) if text.is_empty() => true,
        Value::String(text) if NUMBERS.contains(&name) => text.len() <= 20 && is_an_amount(text.trim().parse().ok()),
        // Three letters may be a name.
        Value::String(text) => name == "currency" && text.len() == 3 && Currency::parse(text).is_ok(),
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// Whatever has more digits may be the number of a card, a telephone or an order.
fn is_an_amount(number: Option<f64>) -> bool {
    number.is_some_and(|number| number.abs() < 1e7)
}

fn mark(value: &Value) -> Value {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    };
    json!({MARK: kind})
}

/// What is known of the value at a dotted path of a shape.
pub fn reach<'k>(shape: &'k Map<String, Value>, path: &str) -> Reach<'k> {
    let mut here: Here<'k> = Here::Map(shape);
    let mut steps = path.split('.').peekable();
    while let Some(step) = steps.next() {
        let next = match here {
            Here::Map(members) => match members.get(step) {
                // What is left of a map has its mark too.
                None if members.contains_key(MARK) => return Reach::Unknown,
                None => return Reach::Known,
                Some(value) => value,
            },
            Here::List(elements) => {
                let Ok(index) = step.parse::<usize>() else { return Reach::Known };
                match (elements.get(index), elements.last()) {
                    (Some(value), _) if !is_more(value) => value,
                    (_, Some(last)) if is_more(last) => return Reach::Unknown,
                    _ => return Reach::Known,
                }
            }
        };
        here = match next {
            Value::Object(members) if is_mark(members) => {
                return match members.get(MARK).and_then(Value::as_str) {
                    _ if steps.peek().is_none() => Reach::Marked(members),
                    Some("map" | "list") => Reach::Unknown,
                    // Nothing lies within a text.
                    _ => Reach::Known,
                };
            }
            Value::Object(members) => Here::Map(members),
            Value::Array(elements) => Here::List(elements),
            _ => return Reach::Known,
        };
    }
    match here {
        Here::Map(members) if holds_mark(members.values()) || members.contains_key(MARK) => Reach::Unknown,
        Here::List(elements) if holds_mark(elements.iter()) => Reach::Unknown,
        Here::Map(_) | Here::List(_) => Reach::Known,
    }
}

enum Here<'k> {
    Map(&'k Map<String, Value>),
    List(&'k [Value]),
}

/// Alone, `$` says what else a map holds.
fn is_mark(members: &Map<String, Value>) -> bool {
    members.get(MARK).and_then(Value::as_str).is_some_and(|kind| !kind.ends_with(" more"))
}

fn is_more(value: &Value) -> bool {
    value.get(MARK).and_then(Value::as_str).is_some_and(|kind| kind.ends_with(" more"))
}

fn holds_mark<'v>(mut values: impl Iterator<Item = &'v Value>) -> bool {
    values.any(|value| match value {
        Value::Object(members) => members.contains_key(MARK) || holds_mark(members.values()),
        Value::Array(elements) => holds_mark(elements.iter()),
        _ => false,
    })
}

/// Whether a value of which only a mark is left is the wanted one; `None` if its pseudonyms do not tell.
pub fn is(mark: &Map<String, Value>, wanted: &Wanted, case: Case, key: &DayKey) -> Option<bool> {
    let pseudonym = |name: &str| mark.get(name).and_then(Value::as_str);
    let exact = pseudonym(EXACT)?;
    if let Some(number) = wanted.number {
        return Some(pseudonym(NUMBER) == Some(&*number_pseudonym(number, key)));
    }
    let own = match case {
        Case::Sensitive => exact,
        Case::Ignored => pseudonym(LOWER).unwrap_or(exact),
    };
    let wanted = case.fold(Cow::Borrowed(&*wanted.text));
    Some(*own == *key.pseudonym(&wanted))
}

#[cfg(test)]
mod tests;
