//! A destination that takes every batch at the least cost and counts its events, so that `scripts/bench` measures
//! Tidegate and not its stand-in. `GET /count` says how many events came; takes the address to listen on.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    routing::{get, post},
};

/// Stands once in every event of the Conversions API, and nowhere else in what the bench sends.
const MARK: &[u8] = b"\"timestamp_ms\":";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8083".to_owned());
    let listener = tokio::net::TcpListener::bind(&address).await?;
    let routes = Router::new()
        .route("/v1/events", post(events))
        .route("/count", get(count))
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::new(AtomicUsize::new(0)));
    axum::serve(listener, routes).await?;
    Ok(())
}

async fn events(State(counted): State<Arc<AtomicUsize>>, body: Bytes) {
    counted.fetch_add(memchr::memmem::find_iter(&body, MARK).count(), Ordering::Relaxed);
}

async fn count(State(counted): State<Arc<AtomicUsize>>) -> String {
    counted.load(Ordering::Relaxed).to_string()
}
