//! The routes for sites: takes requests, makes hits of them, answers once they are durable.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    num::NonZeroU32,
    sync::Arc,
    time::Instant,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use ipnet::IpNet;
use serde_json::json;

use crate::{
    app::{self, App, Readiness},
    body::{Bodies, read_on},
    client::{Client, Reply, Takes},
    client_address::{Caller, bare_host},
    cookie,
    error::Refusal,
    hit::{Hit, Through},
    metrics,
    pipeline::Decided,
    site_script,
    time::Timestamp,
    write_keys::{self, Verdict, WriteKeys},
};

/// What the routes for sites need beside the [`App`].
pub struct Collect {
    app: Arc<App>,
    trusted_proxies: Vec<IpNet>,
    limiter: Option<DefaultKeyedRateLimiter<IpAddr>>,
    write_keys: WriteKeys,
    bodies: Bodies,
}

impl Collect {
    pub fn new(
        app: Arc<App>,
        trusted_proxies: Vec<IpNet>,
        hits_a_second: Option<NonZeroU32>,
        write_keys: WriteKeys,
    ) -> Self {
        let limiter = hits_a_second.map(|hits| RateLimiter::keyed(Quota::per_second(hits)));
        Self { app, trusted_proxies, limiter, write_keys, bodies: Bodies::default() }
    }

    /// The routes that sites use.
    pub fn routes(self: Arc<Self>) -> Router {
        Client::ALL
            .into_iter()
            .fold(Router::new(), |routes, client| routes.route(client.path(), any(hit)))
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .merge(site_script::routes())
            .fallback(|| async { Refusal::Unclaimed })
            .with_state(self)
    }

    /// Forgets addresses that have been quiet, so that the limiter does not grow without bound.
    pub fn tidy(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.retain_recent();
        }
    }
}

async fn hit(
    State(collect): State<Arc<Collect>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let started = Instant::now();
    let (head, mut body) = request.into_parts();
    let Some(client) = Client::claim(head.uri.path()) else { return Refusal::Unclaimed.into_response() };
    let caller = Caller::of(peer.ip(), &head.headers, &collect.trusted_proxies);
    let listed = |origin: &str| collect.app.container().settings.origins.iter().any(|listed| **listed == *origin);
    let origin = match origin(&head.headers, &caller.host, listed) {
        Ok(origin) => origin,
        Err(refusal) => {
            read_on(body, &refusal);
            return answered(&collect, client, started, Err(refusal));
        }
    };
    if head.method == Method::OPTIONS {
        return with_cors(preflight(client), origin);
    }
    let accepts_json = accepts_json(&head.headers);
    let result = receive(&collect, client, head, &mut body, caller).await;
    if let Err(refusal) = &result {
        read_on(body, refusal);
    }
    let result = result.map(|decided| answer(client, &decided, accepts_json));
    with_cors(answered(&collect, client, started, result), origin)
}

async fn receive(
    collect: &Collect,
    client: Client,
    mut head: Parts,
    body: &mut Body,
    caller: Caller,
) -> Result<Decided, Refusal> {
    takes_method(client, &head.method)?;
    let shown = collect.write_keys.shown(client, &head.headers, head.uri.query().unwrap_or_default());
    let verdict = collect.write_keys.judge(&shown).await;
    let is_over = |limiter: &DefaultKeyedRateLimiter<_>| limiter.check_key(&network(caller.address)).is_err();
    // A server with a key sends for many visitors.
    if verdict != Verdict::Valid && collect.limiter.as_ref().is_some_and(is_over) {
        return Err(Refusal::TooMany);
    }
    let (through, query) = match verdict {
        Verdict::Wrong => return Err(Refusal::WrongKey),
        Verdict::Valid => {
            head.headers.remove(header::AUTHORIZATION);
            (Through::ServerWithKey, write_keys::without_key(head.uri.query().unwrap_or_default()).into())
        }
        Verdict::NoneShown => (caller.through, head.uri.query().unwrap_or_default().into()),
    };
    takes_media(client, &head.headers)?;
    let body = collect.bodies.read(body, &head.headers).await?;
    let received = Timestamp::now();
    let hit = Hit {
        id: app::hit_id(received),
        received,
        method: head.method,
        path: head.uri.path().into(),
        query,
        headers: head.headers,
        through,
        address: Some(caller.address),
        detail: crate::privacy::Detail::default(),
        host: caller.host,
        body: body.bytes.clone(),
    };
    collect.app.take(client, hit).await
}

/// The origin to answer to, if the request names one. By default pages of the tagging host's own site may send; the
/// container's `origins`, which list others, widen that.
///
/// # Errors
/// Pages of this origin may not send hits.
pub fn origin(
    headers: &HeaderMap,
    tagging_host: &str,
    listed: impl Fn(&str) -> bool,
) -> Result<Option<HeaderValue>, Refusal> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(None) };
    let text = origin.to_str().map_err(|_| Refusal::ForeignOrigin)?;
    let host = text.split_once("://").map(|(_, host)| bare_host(host));
    let own_site = host.is_some_and(|host| !host.is_empty() && cookie::site(&host) == cookie::site(tagging_host));
    if own_site || listed(text) { Ok(Some(origin.clone())) } else { Err(Refusal::ForeignOrigin) }
}

/// Whether hits of a client come by this method.
///
/// # Errors
/// They come by others.
pub fn takes_method(client: Client, method: &Method) -> Result<(), Refusal> {
    let allow = client.methods();
    if allow.split(", ").any(|allowed| method == allowed) { Ok(()) } else { Err(Refusal::Method { allow }) }
}

/// Whether a client reads bodies of the kind that the request says it has.
///
/// # Errors
/// It reads none of these.
pub fn takes_media(client: Client, headers: &HeaderMap) -> Result<(), Refusal> {
    if client.takes() == Takes::Json && !is_json_or_text(headers) { Err(Refusal::MediaType) } else { Ok(()) }
}

fn is_json_or_text(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return true };
    let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    // curl's `-d` says it sends a form; its body is the JSON all the same, and anything else is refused as bad JSON.
    ["application/json", "text/plain", "application/x-www-form-urlencoded"]
        .iter()
        .any(|own| kind.eq_ignore_ascii_case(own))
}

fn accepts_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|kind| kind.split(';').next().unwrap_or_default().trim() == "application/json")
}

fn answer(client: Client, decided: &Decided, as_json: bool) -> Response {
    let mut response = match client.reply() {
        Reply::Image(gif) => ([(header::CONTENT_TYPE, HeaderValue::from_static("image/gif"))], gif).into_response(),
        Reply::WhatWaits if as_json => {
            let held: Vec<_> =
                decided.held.iter().map(|held| json!({"event_id": held.event_id, "needs": held.needs})).collect();
            Json(json!({"accepted": decided.events, "held": held})).into_response()
        }
        Reply::WhatWaits | Reply::Nothing => StatusCode::NO_CONTENT.into_response(),
    };
    for cookie in &decided.cookies {
        // A cookie's parts were checked to be visible ASCII when it was made.
        if let Ok(value) = HeaderValue::from_str(cookie) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

fn answered(collect: &Collect, client: Client, started: Instant, result: Result<Response, Refusal>) -> Response {
    let (outcome, response) = match result {
        Ok(response) => (metrics::ACCEPTED, response),
        Err(refusal) => {
            if let Refusal::NotDurable(error) = &refusal {
                // The store says once that it fails; the metric counts the hits.
                tracing::debug!(target: "tidegate::collect", "a hit was answered 503: {error}");
            }
            (refusal.outcome(), refusal.into_response())
        }
    };
    collect.app.metrics.answered(client.name(), outcome, started.elapsed());
    response
}

fn preflight(client: Client) -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(client.methods())),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type, accept")),
        (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600")),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn with_cors(mut response: Response, origin: Option<HeaderValue>) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(origin) = origin {
        let credentials: HeaderName = header::ACCESS_CONTROL_ALLOW_CREDENTIALS;
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(credentials, HeaderValue::from_static("true"));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    }
    response
}

/// What the rate limit counts by: an IPv6 visitor has a whole /64 to choose addresses from.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

async fn healthz() -> &'static str {
    "alive\n"
}

/// Says ready and the version, or not; the reason stays with the operator.
async fn readyz(State(collect): State<Arc<Collect>>) -> Response {
    match collect.app.readiness() {
        Readiness::Ready { version } => format!("ready {version}\n").into_response(),
        Readiness::Draining | Readiness::NotWritable => {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
        }
    }
}
