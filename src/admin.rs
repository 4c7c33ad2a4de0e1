//! The routes for the operator, on a listener of their own: metrics and the webhook for now. The web UI will live here.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};

use self::webhook::Webhook;
use crate::{app::App, client_address::bare_host};

pub mod webhook;

/// The operator's routes. `address` is what the listener is bound to.
pub fn routes(app: Arc<App>, address: SocketAddr, webhook: Option<Webhook>) -> Router {
    let webhook = webhook.map_or_else(Router::new, webhook::routes);
    Router::new()
        .route("/metrics", get(metrics))
        .layer(middleware::from_fn_with_state(address, own_host_only))
        .with_state(app)
        .merge(webhook)
}

/// Refuses a foreign `Host`, so that a page that points its own name at this address (DNS rebinding) reads nothing.
async fn own_host_only(State(address): State<SocketAddr>, request: Request, next: Next) -> Response {
    let host =
        request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).map(bare_host).unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let own = &*host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip == address.ip());
    if own { next.run(request).await } else { (StatusCode::MISDIRECTED_REQUEST, "not this host\n").into_response() }
}

/// Prometheus' text, for peers on this machine.
async fn metrics(State(app): State<Arc<App>>, ConnectInfo(peer): ConnectInfo<SocketAddr>) -> Response {
    if !peer.ip().to_canonical().is_loopback() {
        return (StatusCode::FORBIDDEN, "metrics are served to this machine alone\n").into_response();
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], app.metrics.text()).into_response()
}
