//! What every integration test starts from: a container in a folder of its own, a strict stand-in for `OpenAI`, and the
//! server between them, either in this process or as the real program.
//!
//! A [`Shop`] must be closed, and closing it compares what is left with what the test says should be: undelivered calls,
//! dead letters, duplicates, warnings and refusals of the stand-in. A test that forgets to close fails.

mod command;
mod load;
mod place;
mod server;
mod shop;
mod wire;

use std::time::Duration;

use serde_json::{Value, json};

pub use self::{
    command::{Ran, environment, program, run, tidegate},
    load::Load,
    place::Place,
    server::{Server, serve},
    shop::{Left, Shop, stored_accounts, strict_standin},
    wire::{Wire, raw_hit},
};

/// Longer than anything here takes, also on a machine that is busy with something else.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const PIXEL: &str = "px-shop";
pub const KEY: &str = "sk-live-4f9d2c71";
pub const KEY_NAME: &str = "OPENAI_CONVERSIONS_API_KEY";
/// As `tidegate deliveries` names it.
pub const ACCOUNT: &str = "openai:px-shop (key OPENAI_CONVERSIONS_API_KEY)";
/// The host under which the shop's pages reach the server.
pub const HOST: &str = "t.example.com";

pub fn all_granted() -> Value {
    json!({"ad_storage": "granted", "ad_user_data": "granted", "ad_personalization": "granted"})
}

/// A purchase that the repository's own rules turn into one call.
pub fn purchase(id: &str) -> Value {
    json!({
        "event": "purchase",
        "event_id": id,
        "transaction_id": id,
        "page_location": "https://www.example.com/thanks",
        "value": 20,
        "currency": "EUR",
        "consent": all_granted(),
    })
}
