//! Write keys: takes what a request shows as one; says whether it is one of those that the operator gave to servers.
//!
//! The operator names them, and they are found like every other secret, whenever a request shows a key, so that one can
//! be exchanged while the server runs.

use std::sync::Arc;

use anyhow::Context as _;
use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::{
    call::SecretName,
    client::Client,
    delivery::secrets::{Secret, Secrets},
};

/// What write keys are bound to; no container can name a destination so.
pub const DESTINATION: &str = "write key";

/// The parameter in which the Measurement Protocol has its key.
const API_SECRET: &str = "api_secret";

/// The keys that servers may show.
pub struct WriteKeys {
    names: Vec<SecretName>,
    secrets: Arc<Secrets>,
}

/// What a request shows.
#[derive(Debug, PartialEq, Eq)]
pub enum Shown {
    Nothing,
    Key(Box<str>),
}

/// What became of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    NoneShown,
    Valid,
    Wrong,
}

impl WriteKeys {
    /// # Errors
    /// One of the keys cannot be had now: whoever relies on it should not find out from a server's log.
    pub async fn open(names: Vec<SecretName>, secrets: Arc<Secrets>) -> anyhow::Result<Self> {
        for name in &names {
            secrets.resolve(name, DESTINATION).await.context("--write-keys")?;
        }
        Ok(Self { names, secrets })
    }

    /// Whether what a request shows is one of the keys. Which of them, and how much of it is right, does not show in the
    /// time that this takes.
    pub async fn judge(&self, shown: &Shown) -> Verdict {
        let Shown::Key(shown) = shown else { return Verdict::NoneShown };
        let shown = Sha256::digest(shown.as_bytes());
        let mut found = Choice::from(0);
        for name in &self.names {
            match self.secrets.resolve(name, DESTINATION).await {
                Ok(key) => found |= is(&key, &shown),
                Err(error) => tracing::warn!(target: "tidegate::collect", "a write key cannot be used: {error}"),
            }
        }
        if bool::from(found) { Verdict::Valid } else { Verdict::Wrong }
    }

    /// The key that a request shows: `Authorization: Bearer`, which browsers add by themselves to nothing, or where there
    /// are keys at all, the Measurement Protocol's own parameter.
    pub fn shown(&self, client: Client, headers: &HeaderMap, query: &str) -> Shown {
        if let Some(key) = bearer(headers) {
            return Shown::Key(key);
        }
        if client != Client::Measurement || self.names.is_empty() {
            return Shown::Nothing;
        }
        let secret = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == API_SECRET);
        secret.map_or(Shown::Nothing, |(_, key)| Shown::Key(key.into()))
    }
}

/// The key of `Authorization: Bearer`. It is empty where a server has none that should have one.
pub fn bearer(headers: &HeaderMap) -> Option<Box<str>> {
    let text = String::from_utf8_lossy(headers.get(header::AUTHORIZATION)?.as_bytes());
    let (scheme, key) = text.split_once(' ').unwrap_or((&text, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim().into())
}

/// A query without the Measurement Protocol's key, which is no script's business.
pub fn without_key(query: &str) -> String {
    let is_key = |pair: &&str| form_urlencoded::parse(pair.as_bytes()).any(|(name, _)| name == API_SECRET);
    query.split('&').filter(|pair| !is_key(pair)).collect::<Vec<_>>().join("&")
}

fn is(key: &Secret, shown: &[u8]) -> Choice {
    Sha256::digest(key.expose().as_bytes()).as_slice().ct_eq(shown)
}
