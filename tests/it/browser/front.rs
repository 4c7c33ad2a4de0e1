//! What stands between a browser and the server in the world: TLS, real host names, a reverse proxy, and the pages of a
//! shop. It keeps every request that it passed on, and fails on demand.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::AbortHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::harness::PATIENCE;

pub const SHOP: &str = "shop.example.com";
pub const TAGGING: &str = "t.example.com";

/// A page of the shop: headers and HTML.
type Page = (Vec<(HeaderName, String)>, String);

/// A request that reached the tagging server, and how it was answered.
#[derive(Clone, Debug)]
pub struct Passed {
    pub method: Method,
    pub host: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
    pub status: StatusCode,
    pub answer: HeaderMap,
}

impl Passed {
    pub fn is_hit(&self) -> bool {
        self.method == Method::POST
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The events of a hit, as they stand in it.
    pub fn events(&self) -> Vec<Value> {
        self.json()["events"].as_array().expect("a list of events").clone()
    }
}

struct Shared {
    server: SocketAddr,
    http: reqwest::Client,
    pages: Mutex<BTreeMap<String, Page>>,
    passed: watch::Sender<Vec<Passed>>,
    /// Connections to the tagging host that were cut off, while there is no network.
    cut_off: watch::Sender<Option<usize>>,
    /// The largest body that the proxy lets through.
    max_body: AtomicUsize,
    /// A prefix of the shop's paths that leads to the tagging server, passed on as it is.
    prefix: &'static str,
}

pub struct Front {
    pub port: u16,
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Front {
    /// Stands before this server.
    pub async fn start(server: SocketAddr, http: reqwest::Client, prefix: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            server,
            http,
            pages: Mutex::default(),
            passed: watch::Sender::default(),
            cut_off: watch::Sender::default(),
            max_body: AtomicUsize::new(usize::MAX),
            prefix,
        });
        let acceptor = TlsAcceptor::from(Arc::new(tls()));
        let task = tokio::spawn(accept(listener, acceptor, Arc::clone(&shared))).abort_handle();
        Self { port, shared, task }
    }

    pub fn page(&self, path: &str, html: impl Into<String>) {
        self.page_with(path, &[], html);
    }

    pub fn page_with(&self, path: &str, headers: &[(HeaderName, &str)], html: impl Into<String>) {
        let headers = headers.iter().map(|(name, value)| (name.clone(), (*value).to_owned())).collect();
        self.shared.pages.lock().expect("pages").insert(path.to_owned(), (headers, html.into()));
    }

    /// Hits that were answered so far.
    pub fn hits(&self) -> Vec<Passed> {
        self.shared.passed.borrow().iter().filter(|passed| passed.is_hit()).cloned().collect()
    }

    /// The events of all hits that the server accepted, as they stood in them.
    pub fn events(&self) -> Vec<Value> {
        let accepted = self.hits().into_iter().filter(|hit| hit.status.is_success());
        accepted.flat_map(|hit| hit.events()).collect()
    }

    /// Requests other than hits.
    pub fn others(&self) -> Vec<Passed> {
        self.shared.passed.borrow().iter().filter(|passed| !passed.is_hit()).cloned().collect()
    }

    /// Waits until this holds of the hits that were answered.
    pub async fn wait(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let mut changes = self.shared.passed.subscribe();
        let waited = tokio::time::timeout(PATIENCE, async {
            while !holds(self) {
                changes.changed().await.expect("the front stands");
            }
        });
        assert!(waited.await.is_ok(), "{what} never came: {:#?}", self.hits());
    }

    /// Waits for so many events in accepted hits.
    pub async fn wait_for(&self, events: usize) {
        self.wait(&format!("event {events}"), |front| front.events().len() >= events).await;
    }

    /// Cuts the tagging host off the network; connections break and none is made.
    pub fn cut(&self) {
        self.shared.cut_off.send_replace(Some(0));
    }

    /// Waits until the browser has tried so often in vain, and brings the network back.
    pub async fn mend_after(&self, tries: usize) {
        let mut tried = self.shared.cut_off.subscribe();
        let enough = tried.wait_for(|tried| tried.is_some_and(|tried| tried >= tries));
        tokio::time::timeout(PATIENCE, enough).await.expect("tries").expect("the front stands");
        self.shared.cut_off.send_replace(None);
    }

    pub fn limit_bodies(&self, bytes: usize) {
        self.shared.max_body.store(bytes, Ordering::Relaxed);
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn tls() -> ServerConfig {
    let made = rcgen::generate_simple_self_signed([SHOP, TAGGING].map(str::to_owned)).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    config.with_single_cert(vec![made.cert.der().clone()], key).expect("a certificate with its key")
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        tokio::spawn(serve(stream, acceptor.clone(), Arc::clone(&shared)));
    }
}

/// Serves one connection, which ends with the network if it is to the tagging host.
async fn serve(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let is_tagging = stream.get_ref().1.server_name() == Some(TAGGING);
    let mut cut_off = shared.cut_off.subscribe();
    if is_tagging && cut_off.borrow().is_some() {
        shared.cut_off.send_modify(|tries| *tries = tries.map(|tries| tries + 1));
        return;
    }
    let service = service_fn(|request| answer(Arc::clone(&shared), request));
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // A browser may close in the midst of anything.
        _ = connection => {}
        _ = cut_off.wait_for(|tries| is_tagging && tries.is_some()) => {}
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let host = request.headers().get(header::HOST).map_or("", |host| host.to_str().expect("text")).to_owned();
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    if host == TAGGING || !shared.prefix.is_empty() && path.starts_with(shared.prefix) {
        return Ok(pass(&shared, host, path, request).await);
    }
    let pages = shared.pages.lock().expect("pages");
    let Some((headers, html)) = pages.get(request.uri().path()) else {
        return Ok(respond(StatusCode::NOT_FOUND, &HeaderMap::new(), Bytes::new()));
    };
    let mut all = HeaderMap::new();
    all.insert(header::CONTENT_TYPE, "text/html; charset=utf-8".parse().expect("a value"));
    all.extend(headers.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value"))));
    Ok(respond(StatusCode::OK, &all, html.clone().into()))
}

/// Passes a request on, as a reverse proxy does.
async fn pass(shared: &Shared, host: String, path: String, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return respond(StatusCode::BAD_REQUEST, &HeaderMap::new(), Bytes::new());
    };
    let body = body.to_bytes();
    let mut headers = head.headers.clone();
    for name in [header::HOST, header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers.insert("x-forwarded-for", "203.0.113.7".parse().expect("a value"));
    headers.insert("x-forwarded-host", host.parse().expect("a value"));
    headers.insert("x-forwarded-proto", "https".parse().expect("a value"));
    let url = format!("http://{}{path}", shared.server);
    let (status, answer, bytes) = if body.len() > shared.max_body.load(Ordering::Relaxed) {
        let mut answer = HeaderMap::new();
        // As the server itself would, so that the page may read the status.
        if let Some(origin) = head.headers.get(header::ORIGIN) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            answer.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true".parse().expect("a value"));
        }
        (StatusCode::PAYLOAD_TOO_LARGE, answer, Bytes::new())
    } else {
        let request = shared.http.request(head.method.clone(), url).headers(headers).body(body.clone());
        let answer = request.send().await.expect("an answer from the server");
        (answer.status(), answer.headers().clone(), answer.bytes().await.expect("a body"))
    };
    let body = String::from_utf8(body.to_vec()).expect("a body in text");
    let headers = head.headers;
    let passed = Passed { method: head.method, host, path, headers, body, status, answer: answer.clone() };
    let response = respond(status, &answer, bytes);
    shared.passed.send_modify(|all| all.push(passed));
    response
}

fn respond(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let hops = [header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    let kept = headers.iter().filter(|(name, _)| !hops.contains(name));
    response.headers_mut().extend(kept.map(|(name, value)| (name.clone(), value.clone())));
    response
}
