//! Redaction: takes a value that was found, and how sensitive what it was found in is; gives what a trace may hold of it.
//! It happens here and nowhere else.

use std::fmt;

use aho_corasick::{AhoCorasick, MatchKind};
use serde::Serialize;
use serde_json::Value;

use crate::{
    digest::Digest,
    event,
    privacy::{email::holds_email, personal},
};

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

/// A destination's answer without what the bodies that it answers told of persons, wherever it repeats that as whole words:
/// names, clicks, digests, whatever no form gives away. Bodies are JSON; what is none told nothing.
pub fn redacted_answer<'b>(answer: &str, sent: impl IntoIterator<Item = &'b [u8]>) -> String {
    /// Shorter ones, such as a country's code, are in every text.
    const MIN_CHARACTERS: usize = 3;
    let in_lower_case = answer.to_ascii_lowercase();
    // Most of what was sent is in no answer, and a batch is large.
    let is_repeated = |text: &str| {
        let stands = |text: &str| in_lower_case.contains(&text.to_ascii_lowercase());
        text.trim().chars().count() >= MIN_CHARACTERS && (stands(text) || stands(&as_in_json(text)))
    };
    let bodies = sent.into_iter().filter_map(|body| serde_json::from_slice::<Value>(body).ok());
    let mut told: Vec<String> = bodies.flat_map(|body| personal::told_in(&body, &is_repeated)).collect();
    // In an answer that is JSON they are written as JSON has them.
    let escaped: Vec<_> = told.iter().map(|text| as_in_json(text)).collect();
    told.extend(escaped);
    told.sort_unstable();
    told.dedup();
    let mut finder = AhoCorasick::builder();
    finder.ascii_case_insensitive(true).match_kind(MatchKind::LeftmostLongest);
    let Ok(finder) = finder.build(&told) else { return redacted(answer) };
    let mut shown = String::with_capacity(answer.len());
    finder.replace_all_with(answer, &mut shown, |found, text, shown| {
        let is_within = answer[..found.start()].ends_with(char::is_alphanumeric)
            || answer[found.end()..].starts_with(char::is_alphanumeric);
        shown.push_str(if is_within { text } else { "(a value that was sent)" });
        true
    });
    redacted(&shown)
}

/// A text between the quotes that JSON puts around it.
fn as_in_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// A text that somebody composed (a script's log line, a destination's answer) without what looks like an e-mail
/// address, a phone number or a digest. A last line of defence: whoever composes it should leave them out.
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
            _ if word.contains('@') || holds_email(word) => shown.push_str("(an e-mail address)"),
            _ if Digest::from_hex(word).is_some() => shown.push_str("(a digest)"),
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
    /// It is a text, this one.
    Text(Box<str>),
    /// It is anything else, which as JSON reads so: a number, a truth value, a list, a map.
    Json(Box<str>),
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
        if text.contains('@') || Self::spells_email(&text) {
            return Self::Withheld;
        }
        let shown = match text.char_indices().nth(Self::MAX_CHARACTERS) {
            Some((end, _)) => format!("{}…", &text[..end]).into(),
            None => text.into(),
        };
        if value.is_some_and(Value::is_string) { Self::Text(shown) } else { Self::Json(shown) }
    }

    /// Whether an e-mail address without its usual sign stands in what would be shown, or begins there. Most values have
    /// nothing that one could be spelt with.
    fn spells_email(text: &str) -> bool {
        let end = text.char_indices().nth(4 * Self::MAX_CHARACTERS).map_or(text.len(), |(end, _)| end);
        let start = &text[..end];
        (start.contains('%') || !start.is_ascii()) && holds_email(start)
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("no value"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Json(text) => f.write_str(text),
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
            ("GET /u?e=ada%40example.com", "GET /u?e=(an e-mail address)"),
            ("no b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72", "no (a digest)"),
            ("order T-90210 of 12990 cents", "order T-90210 of 12990 cents"),
            ("events[17].data.currency: missing", "events[17].data.currency: missing"),
            ("", ""),
        ] {
            assert_eq!(redacted(text), shown);
        }
    }

    #[test]
    fn answers_lose_what_was_sent() {
        let sent = [
            &br#"{"id": "e-1", "type": "order_created", "oppref": "gAAAx", "user": {"cities": ["Ulm"], "countries": ["DE"], "user_agent": "Own/1 (x)"}}"#[..],
            br#"{"method": "POST", "url": "https://a.example/?phone=0151-77&x=1", "body": "{\"customer\":{\"name\":\"Ada \\\"L\\\"\"},\"value\":129}"}"#,
            br#"{"body": "first_name=Ada&n=5&tel=0152"}"#,
            b"none",
        ];
        for (answer, shown) in [
            ("city ulm, click gAAAx of e-1", "city (a value that was sent), click (a value that was sent) of e-1"),
            ("Own/1 (x) is no agent", "(a value that was sent) is no agent"),
            (r#"{"name":"Ada \"L\""}"#, r#"{"name":"(a value that was sent)"}"#),
            (
                "no Ada at 0151-77 or 0152",
                "no (a value that was sent) at (a value that was sent) or (a value that was sent)",
            ),
            ("Adam in Ulmen: order_created of 129, DE", "Adam in Ulmen: order_created of 129, DE"),
        ] {
            assert_eq!(redacted_answer(answer, sent), shown);
        }
        assert_eq!(redacted_answer("ada@example.com", []), "(an e-mail address)");
    }

    #[test]
    fn values_that_hold_an_address_are_withheld_however_it_is_spelt() {
        let found = |text: &str| Found::new(Some(&text.into()), Sensitivity::Public);
        let behind = format!("{}%40example.com", "a".repeat(Found::MAX_CHARACTERS));
        for text in ["ada@example.com", "/u/ada%40example.com", "ada＠example。com", &behind] {
            assert_eq!(found(text), Found::Withheld, "{text}");
        }
        for text in ["/sale/50%25-off", "Möwe & Söhne", "a".repeat(Found::MAX_CHARACTERS).as_str()] {
            assert_eq!(found(text), Found::Text(text.into()), "{text}");
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
