//! What became of one attempt at a batch. Takes a destination's status, headers and bytes; gives an [`Answer`], and the
//! [`Verdict`] that the queue acts upon.

use std::{borrow::Cow, time::Duration};

use serde_json::Value;

use crate::{delivery::secrets::Secret, time::Timestamp, trace::redacted_answer};

/// At most this much of a destination's words is kept, in characters.
pub const MAX_WORDS: usize = 500;

/// What stands in the place of a key that a destination echoed.
const MASK: &str = "[key]";

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The destination answered.
    Http {
        status: u16,
        /// Its own words, cleaned by [`words`]; empty if it gave none.
        words: String,
        /// How long it asked us to stay away, uncapped.
        retry_after: Option<Duration>,
    },
    /// This very call is refused: by a destination of which nothing else is known, or before it was sent.
    Refused {
        /// `None` if nothing was sent.
        status: Option<u16>,
        words: String,
    },
    /// No answer came: connection, TLS, time-out.
    Unreachable { words: String },
    /// Nothing was sent, because the account's key could not be had.
    NoKey { words: String },
}

/// What an answer means for the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx: the destination has it.
    Accepted,
    /// 400, 422: something in it is wrong.
    Refused,
    /// 413: it is too large.
    TooLarge,
    /// 408, 425, 429, 5xx or no answer: the same again later may pass.
    Passing,
    /// Anything else, or no key: the account needs a person, whatever is in the batch.
    Barred,
}

impl Answer {
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Http { status, .. } => match status {
                200..=299 => Verdict::Accepted,
                400 | 422 => Verdict::Refused,
                413 => Verdict::TooLarge,
                408 | 425 | 429 | 500.. => Verdict::Passing,
                _ => Verdict::Barred,
            },
            Self::Refused { .. } => Verdict::Refused,
            Self::Unreachable { .. } => Verdict::Passing,
            Self::NoKey { .. } => Verdict::Barred,
        }
    }

    /// The HTTP status, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Http { status, .. } => Some(*status),
            Self::Refused { status, .. } => *status,
            Self::Unreachable { .. } | Self::NoKey { .. } => None,
        }
    }

    /// The destination's words, or ours where it said nothing.
    pub fn words(&self) -> &str {
        match self {
            Self::Http { words, .. }
            | Self::Refused { words, .. }
            | Self::Unreachable { words }
            | Self::NoKey { words } => words,
        }
    }

    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Http { retry_after, .. } => *retry_after,
            Self::Refused { .. } | Self::Unreachable { .. } | Self::NoKey { .. } => None,
        }
    }
}

/// The words in an answer's body: `{"error": "…"}`, `{"error": {"message": "…"}}`, `{"message": "…"}` (the shapes that
/// public integrations read from `OpenAI` Ads), else the text itself. Bounded to [`MAX_WORDS`], without control
/// characters, with the keys masked should the destination have echoed one, and without what the bodies that were `sent`
/// told of persons or what looks like a person's: words are logged and kept.
pub fn words<'b>(body: &[u8], keys: &[Secret], sent: impl IntoIterator<Item = &'b [u8]>) -> String {
    let clean: String = message(body).chars().filter_map(printable).collect();
    // Before cutting, so that no half of a key is left at the end.
    let masked = keys.iter().fold(clean, |text, key| text.replace(key.expose(), MASK));
    redacted_answer(&masked, sent).trim().chars().take(MAX_WORDS).collect()
}

fn message(body: &[u8]) -> Cow<'_, str> {
    serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|json| {
            let error = json.get("error");
            let found = error
                .and_then(Value::as_str)
                .or_else(|| error?.get("message")?.as_str())
                .or_else(|| json.get("message")?.as_str())?;
            Some(Cow::Owned(found.to_owned()))
        })
        .unwrap_or_else(|| String::from_utf8_lossy(body))
}

/// White space as a space, other control characters gone.
fn printable(c: char) -> Option<char> {
    match c {
        '\t' | '\n' | '\r' => Some(' '),
        c if c.is_control() => None,
        c => Some(c),
    }
}

/// Reads `Retry-After`: seconds, or a date in any of the three forms of RFC 9110, section 5.6.7. A date that has passed
/// is zero.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let at = jiff::fmt::rfc2822::parse(value).map(|date| date.timestamp()).or_else(|_| {
        jiff::civil::DateTime::strptime("%A, %d-%b-%y %H:%M:%S GMT", value)
            .or_else(|_| jiff::civil::DateTime::strptime("%a %b %e %H:%M:%S %Y", value))
            .and_then(|date| jiff::tz::TimeZone::UTC.to_timestamp(date))
    });
    Some(Timestamp(at.ok()?.as_millisecond()).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &str) -> String {
        words(body.as_bytes(), &[Secret::new("sk-secret").unwrap()], [])
    }

    #[test]
    fn words_are_found_in_each_known_shape() {
        assert_eq!(said(r#"{"error": "bad amount"}"#), "bad amount");
        assert_eq!(said(r#"{"error": {"message": "bad amount", "code": 7}}"#), "bad amount");
        assert_eq!(said(r#"{"message": "bad amount"}"#), "bad amount");
        assert_eq!(said("bad amount\n"), "bad amount");
        assert_eq!(
            said(r#"{"message": "nobody is ada@example.com, +4915112345678"}"#),
            "nobody is (an e-mail address), (a long number)"
        );
        assert_eq!(said(r#"{"code": 7}"#), r#"{"code": 7}"#);
        assert_eq!(said(""), "");
    }

    #[test]
    fn words_lose_what_was_sent_before_they_are_cut() {
        let sent = [&br#"{"user": {"external_ids": ["customer-77"]}}"#[..]];
        let long = format!("{}customer-77", "x ".repeat((MAX_WORDS - 4) / 2));
        let said = words(long.as_bytes(), &[], sent);
        assert!(!said.contains("cust"), "{said}");
    }

    #[test]
    fn words_are_bounded_and_printable() {
        assert_eq!(said(&"é".repeat(2_000)).chars().count(), MAX_WORDS);
        assert_eq!(said("a\u{1b}[31m\0b\r\nc"), "a[31mb  c");
        assert_eq!(words(b"\xff\xfe", &[Secret::new("k").unwrap()], []), "\u{fffd}\u{fffd}");
    }

    #[test]
    fn an_echoed_key_is_masked_even_where_the_words_are_cut() {
        assert_eq!(said("bad key Bearer sk-secret!"), "bad key Bearer [key]!");
        assert_eq!(said(r#"{"error": "bad \u0073k-secret"}"#), "bad [key]");
        assert!(!said(&format!("{}sk-secret", "x".repeat(MAX_WORDS - 4))).contains("sk-"));
    }

    #[test]
    fn retry_after_is_seconds_or_any_http_date() {
        // 1994-11-06T08:49:37Z, the example of RFC 9110.
        let now = Timestamp(784_111_777_000).minus(Duration::from_secs(30));
        let half_a_minute = Some(Duration::from_secs(30));
        assert_eq!(retry_after("30", now), half_a_minute);
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), half_a_minute);
        assert_eq!(retry_after("Sunday, 06-Nov-94 08:49:37 GMT", now), half_a_minute);
        assert_eq!(retry_after("Sun Nov  6 08:49:37 1994", now), half_a_minute);
        assert_eq!(retry_after("Sat, 05 Nov 1994 08:49:37 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("99999999999999999999999", now), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("", now), None);
        assert_eq!(retry_after("-1", now), None);
    }

    #[test]
    fn each_status_has_one_verdict() {
        let verdict = |status| Answer::Http { status, words: String::new(), retry_after: None }.verdict();
        for (statuses, expected) in [
            (&[200, 202, 204, 299][..], Verdict::Accepted),
            (&[400, 422], Verdict::Refused),
            (&[413], Verdict::TooLarge),
            (&[408, 425, 429, 500, 502, 503, 504, 599, 999], Verdict::Passing),
            (&[301, 302, 304, 307, 401, 402, 403, 404, 405, 409, 410, 414, 415, 418, 451], Verdict::Barred),
        ] {
            for status in statuses {
                assert_eq!(verdict(*status), expected, "{status}");
            }
        }
    }
}
