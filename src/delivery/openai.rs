//! The `openai` destination: takes calls of one account, sends them to `OpenAI` Ads' Conversions API as one batch, gives
//! its answer. Field names and limits: `developers.openai.com/ads/conversions-api`, as of September 2026.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};
use http::header;
use url::Url;

use crate::{
    call::SecretName,
    delivery::{answer::Answer, queue::Limits, response, secrets::Secrets},
    outbox::Leased,
    time::Timestamp,
};

/// The destination's name, as in [`crate::call::Account::destination`].
const DESTINATION: &str = "openai";

/// Our own bound on a request body, in bytes: `OpenAI` documents none, RudderStack's integration uses the same.
const MAX_BODY: usize = 4_000_000;

/// The body around the events, and the comma that each of up to a thousand brings.
const ENVELOPE: usize = 2_000;

/// What the Conversions API takes: 1,000 events a request, at most 7 days old and 10 minutes ahead when it receives
/// them. The margins leave room for a slow request and for clocks that differ.
pub const LIMITS: Limits = Limits {
    max_calls: 1_000,
    max_bytes: MAX_BODY - ENVELOPE,
    max_age: Duration::from_secs(7 * 24 * 3600 - 10 * 60),
    max_ahead: Duration::from_secs(9 * 60),
    in_flight: 4,
};

/// Sends batches to the Conversions API.
pub struct OpenAi {
    endpoint: Url,
    client: reqwest::Client,
    secrets: Arc<Secrets>,
}

impl OpenAi {
    /// `base` is `--openai-url`, by default `https://bzr.openai.com`; its path, if any, is kept.
    ///
    /// # Errors
    /// If `base` is not an `http` or `https` address, or carries a user name, query or fragment.
    pub fn new(base: &Url, client: reqwest::Client, secrets: Arc<Secrets>) -> anyhow::Result<Self> {
        if !matches!(base.scheme(), "http" | "https") {
            bail!("the address of OpenAI must begin with https:// or http://, not {}:", base.scheme());
        }
        ensure!(
            base.username().is_empty() && base.password().is_none(),
            "the address of OpenAI must not carry a user name or password"
        );
        ensure!(
            base.query().is_none() && base.fragment().is_none(),
            "the address of OpenAI must not carry a query or fragment"
        );
        let mut endpoint = base.clone();
        endpoint
            .path_segments_mut()
            .ok()
            .context("the address of OpenAI cannot have a path")?
            .pop_if_empty()
            .extend(["v1", "events"]);
        Ok(Self { endpoint, client, secrets })
    }

    /// Sends one batch and tells what came of it. Never fails otherwise: no answer is an [`Answer`] too.
    pub async fn send(
        &self,
        pixel_id: &str,
        key: &SecretName,
        validate_only: bool,
        calls: &[Leased],
        now: Timestamp,
    ) -> Answer {
        let key = match self.secrets.resolve(key, DESTINATION).await {
            Ok(key) => key,
            Err(error) => return Answer::NoKey { words: error.to_string() },
        };
        let request = self
            .client
            .post(self.url(pixel_id))
            .header(header::CONTENT_TYPE, "application/json")
            .bearer_auth(key.expose())
            .body(body(calls, validate_only));
        match request.send().await {
            Ok(answer) => response::read(answer, std::slice::from_ref(&key), calls, now).await,
            Err(error) => Answer::Unreachable { words: response::unreachable(error, std::slice::from_ref(&key)) },
        }
    }

    fn url(&self, pixel_id: &str) -> Url {
        let mut url = self.endpoint.clone();
        url.query_pairs_mut().append_pair("pid", pixel_id);
        url
    }
}

/// The request's body. The events were checked when they were made, so they are joined, not parsed again.
fn body(calls: &[Leased], validate_only: bool) -> Vec<u8> {
    let events: usize = calls.iter().map(|call| call.body.len() + 1).sum();
    let mut body = Vec::with_capacity(events + 100);
    body.extend_from_slice(br#"{"events":["#);
    for (nth, call) in calls.iter().enumerate() {
        if nth > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&call.body);
    }
    body.extend_from_slice(br#"],"integration_source":"tidegate""#);
    if validate_only {
        body.extend_from_slice(br#","validate_only":true"#);
    }
    body.push(b'}');
    body
}
