//! What every destination's client makes of a response, or of none.

use std::{error::Error as _, fmt::Write as _};

use http::header;

use crate::{
    delivery::{
        answer::{self, Answer},
        secrets::Secret,
    },
    outbox::Leased,
    time::Timestamp,
};

/// No more of an answer is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Reads a destination's answer to these calls: its status, and its words where it is no success.
pub async fn read(mut response: reqwest::Response, keys: &[Secret], calls: &[Leased], now: Timestamp) -> Answer {
    let status = response.status();
    let retry_after = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| answer::retry_after(value, now));
    let mut body = Vec::new();
    // The status has decided; words that break off or never end change nothing.
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = MAX_ANSWER - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if body.len() == MAX_ANSWER {
            break;
        }
    }
    let words = if status.is_success() {
        String::new()
    } else {
        answer::words(&body, keys, calls.iter().map(|call| &*call.body))
    };
    Answer::Http { status: status.as_u16(), words, retry_after }
}

/// The error with its causes, without the address: the account is named beside it.
pub fn unreachable(error: reqwest::Error, keys: &[Secret]) -> String {
    if error.is_timeout() {
        return if error.is_connect() { "connecting timed out" } else { "no answer in time" }.to_owned();
    }
    let error = error.without_url();
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string cannot fail.
        let _ = write!(words, ": {error}");
        cause = error.source();
    }
    answer::words(words.as_bytes(), keys, [])
}
