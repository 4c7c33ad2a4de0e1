//! The wire: takes connections, gives answers. Reads each request whole, lets it fail if that was asked for, and judges
//! what its head says: method, headers, key, pixel, size.
//!
//! `OpenAI` documents neither statuses nor the shape of an answer; the ones here are those that integrations have seen
//! or expect. It serves with hyper itself, because axum cannot close a connection without an answer.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, ORIGIN, RETRY_AFTER},
    request::Parts,
};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::{
    Shared, Stage,
    batch::{Batch, Refusal, Rules},
    failure::{Failure, Release},
    ledger::Course,
    summary::Notice,
};

/// How far an oversized body is read, so that its sender gets to see the answer.
const MAX_DRAIN: usize = 64 << 20;

/// How long a stopping stand-in waits for requests that never end.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// How long to wait when no connection can be taken, for want of file descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

type Answer = Response<Full<Bytes>>;

/// Serves until `stage` says otherwise; holds `stage` until the last connection has ended.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stage: watch::Receiver<Stage>) {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stage.wait_for(|stage| *stage == Stage::Stopping) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = graceful.watch(connection(stream, Arc::clone(&shared)));
                // A connection that broke, perhaps on request, concerns nobody but its caller.
                connections.spawn(async move { connection.await.ok() });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
    drop(listener);
    tokio::time::timeout(STOP_LIMIT, graceful.shutdown()).await.ok();
}

fn connection(
    stream: TcpStream,
    shared: Arc<Shared>,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { respond(&shared, request).await }
    });
    http1::Builder::new().serve_connection(TokioIo::new(stream), service)
}

/// No answer: hyper closes the connection when the service fails.
#[derive(Debug)]
struct HungUp;

impl fmt::Display for HungUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hung up")
    }
}

impl std::error::Error for HungUp {}

async fn respond(shared: &Shared, request: Request<Incoming>) -> Result<Answer, HungUp> {
    let (head, body) = request.into_parts();
    let body = read(body, shared.options.max_body).await?;
    let pixel_id = pixel_ids(&head).next().unwrap_or_default();
    let Some((failure, release)) = shared.failures.take(&pixel_id) else {
        let _in_flight = shared.ledger.arrive(Course::Judged);
        return Ok(judge(shared, &head, &pixel_id, &body, Verdict::ByTheRules));
    };
    let _in_flight = shared.ledger.arrive(Course::Failing);
    let by_the_rules = || judge(shared, &head, &pixel_id, &body, Verdict::ByTheRules);
    match failure {
        Failure::Status { status, retry_after, words } => Ok(with_retry_after(error(status, &words), retry_after)),
        Failure::RefuseEvents { words } => Ok(judge(shared, &head, &pixel_id, &body, Verdict::Refuse(words))),
        Failure::Slow(span) => {
            delay(span, release).await;
            Ok(by_the_rules())
        }
        Failure::Hold => {
            release.wait().await;
            Ok(by_the_rules())
        }
        Failure::HangUp => Err(HungUp),
        Failure::LoseAnswer => {
            by_the_rules();
            Err(HungUp)
        }
        Failure::Garbage(status) => {
            if status.is_success() {
                by_the_rules();
            }
            Ok(garbage(status))
        }
    }
}

/// A delay that ends early when the failures are cleared.
async fn delay(span: Duration, release: Release) {
    tokio::select! {
        () = tokio::time::sleep(span) => {}
        () = release.wait() => {}
    }
}

/// A body that has arrived.
enum Body {
    Whole(Vec<u8>),
    TooLarge,
}

/// Reads a body to its end even where it is too large, for as long as that is bearable: a caller who is still sending
/// would see a broken connection in place of the answer.
async fn read(mut body: Incoming, limit: usize) -> Result<Body, HungUp> {
    let mut kept = Vec::new();
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| HungUp)?.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen <= limit {
            kept.extend_from_slice(&data);
        } else if seen > MAX_DRAIN {
            break;
        }
    }
    Ok(if seen <= limit { Body::Whole(kept) } else { Body::TooLarge })
}

/// What decides about the events of a sound batch.
enum Verdict {
    ByTheRules,
    Refuse(String),
}

/// Judges a request, records the outcome, tells the observer, and gives the answer.
fn judge(shared: &Shared, head: &Parts, pixel_id: &str, body: &Body, verdict: Verdict) -> Answer {
    let options = &shared.options;
    let received = (options.clock)();
    let rules = Rules { now: received, schemas: options.schemas, words: options.words };
    let outcome = check_head(head, shared).and_then(|()| match body {
        Body::TooLarge => {
            let words = format!("Request body is larger than {} bytes", options.max_body);
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, words))
        }
        Body::Whole(bytes) => Batch::open(bytes),
    });
    let outcome = outcome.and_then(|batch| match verdict {
        Verdict::ByTheRules => batch.judge(&rules).map(|warnings| (batch, warnings)),
        Verdict::Refuse(words) => Err(batch.refusal(words)),
    });
    match outcome {
        Ok((batch, warnings)) => {
            let accepted = shared.ledger.accept(pixel_id, received, batch, warnings);
            let answer = answer(StatusCode::OK, &json!({ "accepted_events": accepted.len() }));
            accepted.into_iter().for_each(|event| (options.observer)(&Notice::Accepted(event)));
            answer
        }
        Err(refusal) => {
            let status = refusal.status;
            let refused = shared.ledger.refuse(pixel_id, received, refusal);
            let answer = error(status, &refused.words);
            (options.observer)(&Notice::Refused(refused));
            answer
        }
    }
}

/// Everything that a request says before its body.
fn check_head(head: &Parts, shared: &Shared) -> Result<(), Refusal> {
    let refuse = |status, words: &str| Err(Refusal::new(status, words));
    if head.uri.path() != "/v1/events" {
        return refuse(StatusCode::NOT_FOUND, "Not found");
    }
    if head.method != Method::POST {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "Method must be POST");
    }
    if head.headers.contains_key(ORIGIN) {
        return refuse(StatusCode::FORBIDDEN, "Calls from browsers are not allowed");
    }
    let media_type = header(head, &CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json");
    }
    if head.headers.contains_key(CONTENT_ENCODING) {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Encoding is not supported");
    }
    match header(head, &AUTHORIZATION).split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => {
            if !shared.options.keys.admits(key) {
                return refuse(StatusCode::UNAUTHORIZED, "Missing scopes: ads.third_party_events.write");
            }
        }
        _ => return refuse(StatusCode::UNAUTHORIZED, "Missing bearer authentication"),
    }
    check_query(head, shared)
}

fn check_query(head: &Parts, shared: &Shared) -> Result<(), Refusal> {
    let mut names = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).map(|(name, _)| name);
    if names.any(|name| name != "pid") {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "The only query parameter is pid"));
    }
    let ids: Vec<String> = pixel_ids(head).collect();
    match ids.as_slice() {
        [id] if id.is_empty() => Err(Refusal::new(StatusCode::BAD_REQUEST, "Missing required parameter: pid")),
        [id] if shared.options.pixels.admits(id) => Ok(()),
        [_] => Err(Refusal::new(StatusCode::NOT_FOUND, "Pixel not found")),
        [] => Err(Refusal::new(StatusCode::BAD_REQUEST, "Missing required parameter: pid")),
        _ => Err(Refusal::new(StatusCode::BAD_REQUEST, "pid must be given once")),
    }
}

/// The values of `pid`, decoded.
fn pixel_ids(head: &Parts) -> impl Iterator<Item = String> {
    let query = head.uri.query().unwrap_or_default().as_bytes();
    form_urlencoded::parse(query).filter(|(name, _)| name == "pid").map(|(_, id)| id.into_owned())
}

/// A header's value; empty if it is absent or not text.
fn header<'h>(head: &'h Parts, name: &HeaderName) -> &'h str {
    head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Answer {
    let mut answer = Response::new(Full::from(body.to_string()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
    answer
}

/// One of the three shapes that integrations read: `error`, `error.message`, `message`.
fn error(status: StatusCode, words: &str) -> Answer {
    answer(status, &json!({ "error": { "message": words } }))
}

/// Adds the header, unless it holds what no header can.
fn with_retry_after(mut answer: Answer, retry_after: Option<String>) -> Answer {
    if let Some(value) = retry_after.and_then(|text| HeaderValue::try_from(text).ok()) {
        answer.headers_mut().insert(RETRY_AFTER, value);
    }
    answer
}

fn garbage(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::from("<html><body>\u{fffd} not what you asked for"));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    answer
}
