//! `POST /webhook/git`: whoever knows the secret may say that the remote has something new, and it is fetched at once.
//!
//! Takes a body signed as GitHub, Gitea and Forgejo sign theirs: HMAC-SHA256 in `X-Hub-Signature-256`. What the body says
//! does not matter, as the remote is asked in any case.

use std::sync::Arc;

use anyhow::Context as _;
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use ring::hmac;

use crate::{
    app::App, call::SecretName, delivery::secrets::Secrets, live::Order, logging::seldom::Seldom, time::Timestamp,
};

/// What the secret must be bound to. No container can name it: an address is none.
pub const DESTINATION: &str = "webhook/git";

/// A push of many commits is large; one that is larger than this is seen at the next poll.
const MAX_BODY: usize = 2 << 20;

/// What the route needs.
pub struct Webhook {
    app: Arc<App>,
    secrets: Arc<Secrets>,
    secret: SecretName,
    wrong_signatures: Seldom,
}

impl Webhook {
    pub fn new(app: Arc<App>, secrets: Arc<Secrets>, secret: SecretName) -> Self {
        Self { app, secrets, secret, wrong_signatures: Seldom::default() }
    }
}

/// # Errors
/// The secret cannot be had now: whoever relies on the webhook should not find out from a version that comes late.
pub async fn ensure(secrets: &Secrets, secret: &SecretName) -> anyhow::Result<()> {
    secrets.resolve(secret, DESTINATION).await.map(drop).context("--webhook-secret")
}

/// The route; it needs no `Host` of this machine, since its callers prove that they may.
pub fn routes(webhook: Webhook) -> Router {
    let route = post(pushed).layer(DefaultBodyLimit::max(MAX_BODY));
    Router::new().route("/webhook/git", route).with_state(Arc::new(webhook))
}

async fn pushed(State(webhook): State<Arc<Webhook>>, headers: HeaderMap, body: Bytes) -> (StatusCode, &'static str) {
    let Some(signature) = signature(&headers) else {
        let words = if headers.contains_key("x-gitlab-token") {
            "not signed by X-Hub-Signature-256; GitLab's token is no signature, so leave it to --poll, or sign in a job\n"
        } else {
            "not signed by X-Hub-Signature-256\n"
        };
        return (StatusCode::UNAUTHORIZED, words);
    };
    let secret = match webhook.secrets.resolve(&webhook.secret, DESTINATION).await {
        Ok(secret) => secret,
        Err(error) => {
            tracing::error!("a webhook cannot be checked: {error}");
            return (StatusCode::SERVICE_UNAVAILABLE, "the signature cannot be checked\n");
        }
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    if hmac::verify(&key, &body, &signature).is_err() {
        if webhook.wrong_signatures.is_due(Timestamp::now()) {
            let secret = &webhook.secret;
            tracing::warn!(
                "a webhook was refused: its signature is not made with the secret {secret}; told once a minute"
            );
        }
        return (StatusCode::FORBIDDEN, "the signature is not right\n");
    }
    webhook.app.live.order(Order::Fetch);
    (StatusCode::ACCEPTED, "fetching\n")
}

/// The digest out of `sha256=<hex>`.
fn signature(headers: &HeaderMap) -> Option<Vec<u8>> {
    let digits = headers.get("x-hub-signature-256")?.to_str().ok()?.strip_prefix("sha256=")?;
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let is_hex = digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_hex { digits.as_bytes().chunks(2).map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_64_digits_after_its_kind() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-hub-signature-256", value.parse().unwrap());
            signature(&headers)
        };
        assert_eq!(read(&format!("sha256={}", "0aF1".repeat(16))), Some([0x0a, 0xf1].repeat(16)));
        for wrong in ["", "sha256=", "sha1=0a", &"0a".repeat(32), &format!("sha256={}", "+1".repeat(32))] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(signature(&HeaderMap::new()), None);
    }
}
