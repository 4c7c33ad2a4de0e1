//! The `http` destination: takes one call of an account, sends the request that it describes, gives its answer. One
//! request a call, several at a time. Redirects are not followed: whoever answers with one refuses.

use std::{error::Error as _, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue as WireValue};
use url::Url;

use crate::{
    call::http::{HeaderValue, HttpRequest, Method},
    delivery::{
        answer::Answer,
        client::{ClientOptions, Reach, client},
        guard::{Closed, Guard},
        queue::Limits,
        response,
        secrets::{Secret, Secrets},
    },
    outbox::Leased,
    time::Timestamp,
};

/// The destination's own bounds. A week, as at `OpenAI`: what could not be delivered for so long is for a person to
/// judge.
pub const LIMITS: Limits = Limits {
    max_calls: 1,
    max_bytes: 4_000_000,
    max_age: Duration::from_secs(7 * 24 * 3600),
    max_ahead: Duration::from_secs(9 * 60),
    in_flight: 32,
};

/// Sends requests to any host that may be called.
pub struct Http {
    guard: Guard,
    /// For everybody: connects to public addresses alone.
    guarded: reqwest::Client,
    /// For hosts that the operator exempted.
    exempt: reqwest::Client,
    secrets: Arc<Secrets>,
}

impl Http {
    /// # Errors
    /// If no client can be built.
    pub fn new(guard: Guard, secrets: Arc<Secrets>) -> anyhow::Result<Self> {
        let guarded = client(&ClientOptions { reach: Reach::Public, ..ClientOptions::default() })?;
        let exempt = client(&ClientOptions::default())?;
        Ok(Self { guard, guarded, exempt, secrets })
    }

    /// Sends one call and tells what came of it. Never fails otherwise: no answer is an [`Answer`] too.
    pub async fn send(&self, origin: &str, call: &Leased, now: Timestamp) -> Answer {
        let Ok(HttpRequest { method, url, headers, body }) = serde_json::from_slice(&call.body) else {
            return Answer::Refused { status: None, words: "the stored request cannot be read".to_owned() };
        };
        let Ok(url) = Url::parse(&url) else {
            return Answer::Refused { status: None, words: "the stored request has no address".to_owned() };
        };
        let client = if self.guard.exempts(&url) {
            &self.exempt
        } else if let Err(closed) = Guard::judge_literal(&url) {
            return Answer::Refused { status: None, words: closed.to_string() };
        } else {
            &self.guarded
        };
        let mut request = client.request(wire(method), url);
        let mut secrets: Vec<Secret> = Vec::new();
        for own in headers {
            let (value, secret) = match own.value {
                HeaderValue::Text(text) => (WireValue::from_str(&text).ok(), None),
                HeaderValue::Secret(ref name) | HeaderValue::Bearer(ref name) => {
                    let secret = match self.secrets.resolve(name, origin).await {
                        Ok(secret) => secret,
                        Err(error) => return Answer::NoKey { words: error.to_string() },
                    };
                    let scheme = if matches!(own.value, HeaderValue::Bearer(_)) { "Bearer " } else { "" };
                    let mut value = WireValue::from_str(&format!("{scheme}{}", secret.expose())).ok();
                    if let Some(value) = &mut value {
                        value.set_sensitive(true);
                    }
                    (value, Some(secret))
                }
            };
            let (Ok(name), Some(value)) = (HeaderName::from_bytes(own.name.as_bytes()), value) else {
                return Answer::Refused { status: None, words: "a header of the request cannot be sent".to_owned() };
            };
            request = request.header(name, value);
            secrets.extend(secret);
        }
        if let Some(body) = body {
            request = request.body(String::from(body));
        }
        let uses_secrets = !secrets.is_empty();
        match request.send().await {
            Ok(answer) => judge(response::read(answer, &secrets, std::slice::from_ref(call), now).await, uses_secrets),
            Err(error) => match closed(&error) {
                Some(words) => Answer::Refused { status: None, words },
                None => Answer::Unreachable { words: response::unreachable(error, &secrets) },
            },
        }
    }
}

fn wire(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    }
}

/// At a host of which nothing is known, a refusal speaks of the request: one wrong path must not hold up the others. A
/// host that refuses everything alike is paused all the same, by the run of refusals. A key that does not fit is the
/// account's.
fn judge(answer: Answer, uses_secrets: bool) -> Answer {
    match answer {
        Answer::Http { status: 401 | 403, .. } if uses_secrets => answer,
        Answer::Http { status: 408 | 425 | 429, .. } => answer,
        Answer::Http { status: status @ 300..=499, words, .. } => {
            let words = match status {
                300..=399 => format!("a redirect, which is not followed {words}").trim_end().to_owned(),
                _ => words,
            };
            Answer::Refused { status: Some(status), words }
        }
        other => other,
    }
}

/// What the guard said, if it was the one to end the request.
fn closed(error: &reqwest::Error) -> Option<String> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(closed) = error.downcast_ref::<Closed>() {
            return Some(closed.to_string());
        }
        cause = error.source();
    }
    None
}
