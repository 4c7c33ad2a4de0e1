//! The limit that Tidegate's speed is compared with: axum that parses a hit's body and answers 204, and nothing else.
//! Run by `scripts/bench`; takes the address to listen on.

use axum::{Router, body::Bytes, http::StatusCode, routing::post};
use serde_json::Value;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8082".to_owned());
    let listener = tokio::net::TcpListener::bind(&address).await?;
    axum::serve(listener, Router::new().route("/hit", post(hit))).await?;
    Ok(())
}

async fn hit(body: Bytes) -> StatusCode {
    match serde_json::from_slice::<Value>(&body) {
        Ok(Value::Object(_)) => StatusCode::NO_CONTENT,
        _ => StatusCode::BAD_REQUEST,
    }
}
