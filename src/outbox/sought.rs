//! Which calls a person, or a visitor who withdrew consent, means: takes what they name, finds the calls that hold it.
//!
//! Bodies have the shapes that destinations want, and a value stands in them in many ways: as JSON text, percent-encoded in
//! an address, as a digest. So a text is looked for in every layer of encoding, but as a whole: `ada@example.com` does not
//! stand in `nada@example.com`.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

use serde_json::Value;

use crate::{digest::Digest, openai::user::normalised_email};

/// How many encodings may lie within each other, such as a percent-encoded address in JSON in a JSON text.
const LAYERS: usize = 4;

/// A shorter text would be found in calls of other people.
const SHORTEST: usize = 8;

/// What calls are looked for by.
#[derive(Clone, PartialEq, Eq)]
pub struct Sought(By);

#[derive(Clone, PartialEq, Eq)]
enum By {
    /// Events with this id, as the destination knows it.
    EventId(Box<str>),
    /// Any of these texts, wherever they stand.
    Text(Vec<Needle>),
    /// A click reference, where a call carries it as such.
    Oppref(Box<str>),
}

#[derive(Clone, PartialEq, Eq)]
struct Needle {
    text: Box<str>,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// An e-mail address in lower case.
    Address,
    /// A digest in lower-case hex.
    Hex,
    Base64,
    /// Whatever somebody looks for.
    Text,
}

/// Why nothing can be looked for by a value. Does not repeat the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSought {
    Empty,
    TooShort,
    NotAnEmail,
}

impl fmt::Display for NotSought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the value is empty"),
            Self::TooShort => {
                write!(f, "the value has less than {SHORTEST} characters, which calls of other people would hold too")
            }
            Self::NotAnEmail => f.write_str("the value is no e-mail address"),
        }
    }
}

impl std::error::Error for NotSought {}

/// It stands for a person: it is not for logs.
impl fmt::Debug for Sought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sought(•••)")
    }
}

impl Sought {
    /// Calls for the event with this id, as the destination knows it.
    pub fn event_id(id: &str) -> Result<Self, NotSought> {
        if id.is_empty() { Err(NotSought::Empty) } else { Ok(Self(By::EventId(id.into()))) }
    }

    /// Calls that hold an e-mail address: in plain, or its SHA-256 digest by `OpenAI`'s rules or of the text as it was
    /// given, in hex or base64.
    pub fn email(address: &str) -> Result<Self, NotSought> {
        let given = address.trim();
        let normalised = normalised_email(given).map_err(|_| NotSought::NotAnEmail)?;
        let mut needles = vec![Needle { text: normalised.to_lowercase().into(), form: Form::Address }];
        let texts = BTreeSet::from([&*normalised, given]);
        for digest in texts.into_iter().map(Digest::of) {
            needles.push(Needle { text: digest.to_string().into(), form: Form::Hex });
            needles.extend(digest.base64().map(|text| Needle { text: text.into(), form: Form::Base64 }));
        }
        Ok(Self(By::Text(needles)))
    }

    /// Calls that hold a text as it stands here, such as a click reference, wherever in them. For people, who look at what
    /// was found; a hostile visitor could name a text that every call holds.
    pub fn text(text: &str) -> Result<Self, NotSought> {
        match text.chars().count() {
            0 => Err(NotSought::Empty),
            1..SHORTEST => Err(NotSought::TooShort),
            _ => Ok(Self(By::Text(vec![Needle { text: text.into(), form: Form::Text }]))),
        }
    }

    /// Calls that carry this click reference as theirs: in a member or a query parameter of that name. For a visitor who
    /// withdraws consent: whatever a cookie says, calls with another click reference, or none, are not found.
    pub fn oppref(value: &str) -> Result<Self, NotSought> {
        if value.is_empty() { Err(NotSought::Empty) } else { Ok(Self(By::Oppref(value.into()))) }
    }

    /// About how many bytes it takes.
    pub fn weight(&self) -> usize {
        size_of::<Self>()
            + match &self.0 {
                By::EventId(text) | By::Oppref(text) => text.len(),
                By::Text(needles) => needles.iter().map(|needle| needle.text.len() + size_of::<Needle>()).sum(),
            }
    }
}

/// What of a call is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Looked<'a> {
    pub event_id: &'a str,
    /// JSON text, and with it whatever else is sent; absent where it was dropped.
    pub body: Option<&'a str>,
    /// What the destination said of it.
    pub words: Option<&'a str>,
}

/// Many wishes at once: a call is looked at only one time for all of them.
pub struct Search<'a> {
    /// Each with its place in the list of wishes.
    texts: Vec<(usize, &'a [Needle])>,
    event_ids: HashMap<&'a str, Vec<usize>>,
    opprefs: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Search<'a> {
    pub fn new(wishes: impl IntoIterator<Item = &'a Sought>) -> Self {
        let mut search = Self { texts: Vec::new(), event_ids: HashMap::new(), opprefs: HashMap::new() };
        for (nth, Sought(by)) in wishes.into_iter().enumerate() {
            match by {
                By::EventId(id) => search.event_ids.entry(id).or_default().push(nth),
                By::Text(needles) => search.texts.push((nth, needles)),
                By::Oppref(value) => search.opprefs.entry(value).or_default().push(nth),
            }
        }
        search
    }

    /// Which wishes mean this call, by their places in the list.
    pub fn found(&self, call: Looked<'_>) -> Vec<usize> {
        let mut found = self.event_ids.get(call.event_id).cloned().unwrap_or_default();
        for (nth, needles) in &self.texts {
            let texts = [Some(call.event_id), call.body, call.words];
            if texts.into_iter().flatten().any(|text| holds(text, needles, LAYERS)) {
                found.push(*nth);
            }
        }
        if !self.opprefs.is_empty()
            && let Some(body) = call.body.and_then(|body| serde_json::from_str(body).ok())
        {
            opprefs(&body, &mut |oppref| found.extend(self.opprefs.get(oppref).into_iter().flatten()));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Gives every click reference that a body carries as such.
fn opprefs(value: &Value, give: &mut impl FnMut(&str)) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if matches!(&**name, "oppref" | "__oppref") => give(text),
                    other => opprefs(other, give),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|element| opprefs(element, give)),
        Value::String(text) => opprefs_in_text(text, give),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The same for a text, which may be an address, a form, or JSON in its turn.
fn opprefs_in_text(text: &str, give: &mut impl FnMut(&str)) {
    for raw in text.split(['?', '&', '#']).filter_map(|pair| pair.strip_prefix("oppref=")) {
        give(raw);
        without_percents(raw).iter().for_each(|decoded| give(decoded));
    }
    if text.starts_with(['{', '['])
        && let Ok(inner) = serde_json::from_str(text)
    {
        opprefs(&inner, give);
    }
}

/// Whether one of the needles stands in a text, or in what the text encodes.
fn holds(text: &str, needles: &[Needle], layers: usize) -> bool {
    let lower = text.to_lowercase();
    let stands = |needle: &Needle| match needle.form {
        Form::Address | Form::Hex => stands_in(&lower, needle),
        Form::Base64 | Form::Text => stands_in(text, needle),
    };
    needles.iter().any(stands)
        || (layers > 1
            && [without_escapes(text), without_percents(text)]
                .into_iter()
                .flatten()
                .any(|inner| holds(&inner, needles, layers - 1)))
}

/// Whether a needle stands in a text as a whole, and not within a longer word, address or token. A digest may stand behind
/// a dot: Google's tags write `tv.1~em.<digest>`.
fn stands_in(text: &str, needle: &Needle) -> bool {
    let joins_behind_a_dot = matches!(needle.form, Form::Address | Form::Text);
    text.match_indices(&*needle.text).any(|(start, _)| {
        let (before, after) = (&text[..start], &text[start + needle.text.len()..]);
        let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let mut next = after.chars();
        let is_whole_after = match next.next() {
            Some('.') => !next.next().is_some_and(goes_on),
            other => !other.is_some_and(goes_on),
        };
        is_whole_after && !before.ends_with(|c| goes_on(c) || c == '.' && joins_behind_a_dot)
    })
}

/// A text without the escapes of JSON; `None` if it has none.
fn without_escapes(text: &str) -> Option<String> {
    if !text.contains('\\') {
        return None;
    }
    let mut units = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let plain = match c {
            '\\' => match rest.next() {
                Some('u') => {
                    let digits = rest.as_str().get(..4);
                    if let Some(unit) = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
                        units.push(unit);
                        rest = rest.as_str().get(4..).unwrap_or_default().chars();
                    }
                    continue;
                }
                // Line feeds and their like: they end a word.
                Some('n' | 'r' | 't' | 'b' | 'f') => ' ',
                Some(escaped) => escaped,
                None => continue,
            },
            c => c,
        };
        units.extend_from_slice(plain.encode_utf16(&mut [0; 2]));
    }
    Some(String::from_utf16_lossy(&units))
}

/// A text without percent-encoding; `None` if it has none.
fn without_percents(text: &str) -> Option<String> {
    if !text.contains('%') {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
