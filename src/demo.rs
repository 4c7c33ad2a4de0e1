//! `serve --demo`: a strict stand-in for `OpenAI` inside the process, and a few sample hits, so that everything can be
//! seen at work without an account.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use serde_json::{Value, json};

use crate::{
    delivery::{
        client::{ClientOptions, client},
        secrets::Keys,
    },
    standin::{Allowed, Options, Standin},
};

/// What the demo uses where the environment names nothing.
const PIXEL_ID: &str = "demo-pixel";
const KEY: &str = "demo-key";

/// The stand-in, which logs everything that it accepts and refuses.
pub async fn start_standin() -> anyhow::Result<Standin> {
    let options = Options {
        keys: Allowed::only([KEY]),
        observer: Arc::new(|notice| tracing::info!(target: "tidegate::demo", "OpenAI stand-in: {notice}")),
        ..Options::default()
    };
    Standin::start(options).await.context("cannot start the stand-in for OpenAI")
}

/// The container's environment with the demo's pixel in it, unless it names one.
pub fn container_environment(environment: &mut std::collections::BTreeMap<String, String>) {
    environment.entry("OPENAI_PIXEL_ID".to_owned()).or_insert_with(|| PIXEL_ID.to_owned());
}

/// The keys that go out: a real one must not travel to a stand-in.
pub const KEYS: Keys = Keys::Demo(KEY);

/// Sends sample hits to the server itself, as a shop's pages would.
pub async fn send_samples(sites: SocketAddr) -> anyhow::Result<()> {
    let client = client(&ClientOptions::default())?;
    for hit in samples() {
        let request =
            client.post(format!("http://{sites}/hit")).header("content-type", "text/plain").body(hit.to_string());
        let answer = request.send().await.context("the demo cannot reach its own server")?;
        anyhow::ensure!(answer.status().is_success(), "the demo's own hit was answered {}", answer.status());
    }
    Ok(())
}

fn samples() -> [Value; 3] {
    let granted = json!({"ad_storage": "granted", "ad_user_data": "granted", "ad_personalization": "granted"});
    [
        json!({
            "event": "page_view",
            "page_location": "http://127.0.0.1/shoes?oppref=gAAAAABdemo&utm_source=chatgpt",
            "page_title": "Shoes",
            "consent": granted,
        }),
        json!({
            "event": "sign_up",
            "page_location": "http://127.0.0.1/welcome",
            "user_data": {"email_address": "ada@example.com"},
            "consent": granted,
        }),
        json!({
            "event": "purchase",
            "page_location": "http://127.0.0.1/thanks",
            "transaction_id": "T-1",
            "value": 20,
            "currency": "EUR",
            "consent": {"ad_storage": "denied"},
            "consent_answered": true,
        }),
    ]
}
