//! Redaction: takes a value that was found, and how sensitive what it was found in is; gives what a trace may hold of it.
//! It happens here and nowhere else.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::event;

/// Whether a value may be shown in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sensitivity {
    Public,
    /// About a person: e-mail, ids, addresses, cookies.
    Personal,
}

/// What names of event data about a person hold, at any step of a path.
const PERSONAL: [&str; 25] = [
    "user",
    "client",
    "customer",
    "email",
    "mail",
    "phone",
    "mobile",
    "first_name",
    "last_name",
    "full_name",
    "address",
    "street",
    "city",
    "postal",
    "zip",
    "birth",
    "gender",
    "ip_",
    "agent",
    "location",
    "referrer",
    "oppref",
    "obref",
    "clid",
    "token",
];

impl Sensitivity {
    /// Of the event's data at a dotted path. Page addresses count as personal: queries carry click ids and e-mails.
    pub fn of_event_data(path: &str) -> Self {
        let path = path.to_ascii_lowercase();
        if PERSONAL.iter().any(|part| path.contains(part)) { Self::Personal } else { Self::Public }
    }
}

/// A text that somebody composed (a script's log line, a destination's answer) without what looks like an e-mail
/// address or a phone number. A last line of defence: whoever composes it should leave them out.
pub fn redacted(text: &str) -> String {
    const LONG_NUMBER: usize = 9;
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '@' | '.' | '_' | '-' | '+' | '%');
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_part(c) != is_part(first)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let digits = word.chars().filter(char::is_ascii_digit).count();
        let is_number =
            digits >= LONG_NUMBER && word.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
        match word {
            _ if word.contains('@') => shown.push_str("(an e-mail address)"),
            _ if is_number => shown.push_str("(a long number)"),
            _ => shown.push_str(word),
        }
        rest = after;
    }
    shown
}

/// A value that a condition found: shown, cut short, or withheld.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Found {
    Absent,
    Shown(Box<str>),
    /// There was a value, about a person.
    Withheld,
}

impl Found {
    const MAX_CHARACTERS: usize = 120;

    pub fn new(value: Option<&Value>, sensitivity: Sensitivity) -> Self {
        if sensitivity == Sensitivity::Personal {
            return if value.is_none_or(Value::is_null) { Self::Absent } else { Self::Withheld };
        }
        let Some(text) = value.and_then(event::to_text) else { return Self::Absent };
        if text.contains('@') {
            return Self::Withheld;
        }
        match text.char_indices().nth(Self::MAX_CHARACTERS) {
            Some((end, _)) => Self::Shown(format!("{}…", &text[..end]).into()),
            None => Self::Shown(text.into()),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("no value"),
            Self::Shown(text) => write!(f, "{text:?}"),
            Self::Withheld => f.write_str("a personal value, not shown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn composed_texts_lose_addresses_and_long_numbers() {
        for (text, shown) in [
            ("no ada@example.com here", "no (an e-mail address) here"),
            ("<ada+x@example.co.uk>", "<(an e-mail address)>"),
            ("call +40746123456 now", "call (a long number) now"),
            ("order T-90210 of 12990 cents", "order T-90210 of 12990 cents"),
            ("events[17].data.currency: missing", "events[17].data.currency: missing"),
            ("", ""),
        ] {
            assert_eq!(redacted(text), shown);
        }
    }

    #[test]
    fn data_about_people_is_told_by_its_name() {
        for path in
            ["user_data.email_address", "items.0.customer_phone", "clientId", "oppref", "gclid", "page_location"]
        {
            assert_eq!(Sensitivity::of_event_data(path), Sensitivity::Personal, "{path}");
        }
        for path in ["value", "currency", "items.0.item_name", "plan", "page_title", "method"] {
            assert_eq!(Sensitivity::of_event_data(path), Sensitivity::Public, "{path}");
        }
    }
}
