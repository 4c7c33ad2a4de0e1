//! The control socket in the data folder: how the command line talks to the server that holds the folder's lock. Only
//! the server's own user can open it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::{ConnectInfo, Path as UrlPath, Query, State, connect_info::Connected},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::IncomingStream,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{net::UnixListener, sync::watch};

use crate::{
    app::App,
    audit::{Actor, Entry},
    data_folder::DataFolder,
    delivery::client::{ClientOptions, client},
    desk::{AccountReport, Desk, ForgetReport, ForgetWish, Selection},
    outbox::{CallId, ListQuery, Page, StoredCall},
};

/// For an answer that takes no work.
const LOOK: Duration = Duration::from_secs(5);

/// The folder's socket, bound and not yet served.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

/// Binds the folder's socket. Needs a tokio runtime.
///
/// # Errors
/// The socket cannot be made.
pub fn bind(folder: &DataFolder) -> anyhow::Result<Socket> {
    let path = DataFolder::socket(folder.path());
    // Left behind by a server that was killed: we hold the lock, so nobody listens on it.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", path.display()));
        }
        _ => {}
    }
    let listener = UnixListener::bind(&path).with_context(|| {
        format!("cannot listen on {}; a socket's path has at most 107 bytes: choose a shorter --data", path.display())
    })?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(Socket { listener, path })
}

impl Socket {
    /// Serves the desk, and says what is live, until `stop` turns true.
    pub async fn serve(self, desk: Desk, app: Arc<App>, mut stop: watch::Receiver<bool>) {
        let stopped = async move {
            // An error means that the sender is gone, which is a stop as well.
            let _ = stop.wait_for(|stop| *stop).await;
        };
        let served = axum::serve(
            self.listener,
            routes(desk).merge(live_route(app)).into_make_service_with_connect_info::<Peer>(),
        );
        if let Err(error) = served.with_graceful_shutdown(stopped).await {
            tracing::warn!(target: "tidegate::control", "the control socket failed: {error}");
        }
        let _ = fs::remove_file(&self.path);
    }
}

fn routes(desk: Desk) -> Router {
    Router::new()
        .route("/accounts", get(accounts))
        .route("/deliveries/{id}", get(show))
        .route("/deliveries/list", post(list))
        .route("/deliveries/retry", post(retry))
        .route("/deliveries/discard", post(discard))
        .route("/forget", post(forget))
        .route("/audit", get(audit))
        .with_state(desk)
}

fn live_route(app: Arc<App>) -> Router {
    Router::new().route("/live", get(live)).with_state(app)
}

/// What a server decides hits by.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct LiveReport {
    pub version: String,
    /// What should be live and is not, each with why.
    pub falls_short: Vec<String>,
}

async fn live(State(app): State<Arc<App>>) -> Json<LiveReport> {
    let standing = app.live.standing();
    let falls_short = standing.iter().map(|(wish, shortfall)| format!("{}: {}", wish.name(), shortfall.reason));
    Json(LiveReport { version: app.container().version.to_string(), falls_short: falls_short.collect() })
}

/// The user at the other end of the socket, by the system's word: `None` if it does not say.
#[derive(Clone, Copy)]
struct Peer(Option<u32>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|peer| peer.uid()))
    }
}

async fn forget(
    State(desk): State<Desk>,
    ConnectInfo(Peer(uid)): ConnectInfo<Peer>,
    Json(wish): Json<ForgetWish>,
) -> Response {
    match uid {
        Some(uid) => answer(desk.forget(&wish, Actor::user(uid)).await),
        None => answer::<()>(Err(anyhow::anyhow!("the system does not say who asks"))),
    }
}

#[derive(Deserialize, Serialize)]
struct Limit {
    limit: usize,
}

async fn audit(State(desk): State<Desk>, Query(Limit { limit }): Query<Limit>) -> Response {
    answer(desk.audit(limit).await)
}

async fn accounts(State(desk): State<Desk>) -> Json<Vec<AccountReport>> {
    Json(desk.accounts())
}

async fn list(State(desk): State<Desk>, Json(query): Json<ListQuery>) -> Response {
    answer(desk.list(&query).await)
}

async fn show(State(desk): State<Desk>, UrlPath(id): UrlPath<u64>) -> Response {
    answer(desk.show(CallId(id)).await)
}

async fn retry(State(desk): State<Desk>, Json(selection): Json<Selection>) -> Response {
    answer(desk.retry(&selection).await)
}

async fn discard(State(desk): State<Desk>, Json(selection): Json<Selection>) -> Response {
    answer(desk.discard(&selection).await)
}

fn answer<T: Serialize>(result: Result<T, impl Into<anyhow::Error>>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{:#}", error.into())).into_response(),
    }
}

/// The other end: a desk in another process.
pub struct Client {
    http: reqwest::Client,
}

impl Client {
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        let http = client(&ClientOptions {
            socket: Some(DataFolder::socket(folder)),
            // Replaying a large backlog takes as long as it takes.
            total_timeout: Duration::from_secs(3600),
            ..ClientOptions::default()
        })?;
        Ok(Self { http })
    }

    /// What the server decides hits by; `None` where no server answers.
    pub async fn live(folder: &Path) -> anyhow::Result<Option<LiveReport>> {
        if !DataFolder::socket(folder).exists() {
            return Ok(None);
        }
        let client = Self::new(folder)?;
        let Ok(answer) = client.http.get("http://control/live").timeout(LOOK).send().await else { return Ok(None) };
        let body = answer.bytes().await.unwrap_or_default();
        Ok(serde_json::from_slice(&body).ok())
    }

    pub async fn accounts(&self) -> anyhow::Result<Vec<AccountReport>> {
        self.ask(self.http.get("http://control/accounts")).await
    }

    pub async fn list(&self, query: &ListQuery) -> anyhow::Result<Page> {
        self.post("deliveries/list", query).await
    }

    pub async fn show(&self, id: CallId) -> anyhow::Result<Option<StoredCall>> {
        self.ask(self.http.get(format!("http://control/deliveries/{id}"))).await
    }

    pub async fn retry(&self, selection: &Selection) -> anyhow::Result<usize> {
        self.post("deliveries/retry", selection).await
    }

    pub async fn discard(&self, selection: &Selection) -> anyhow::Result<usize> {
        self.post("deliveries/discard", selection).await
    }

    pub async fn forget(&self, wish: &ForgetWish) -> anyhow::Result<ForgetReport> {
        self.post("forget", wish).await
    }

    pub async fn audit(&self, limit: usize) -> anyhow::Result<Vec<Entry>> {
        self.ask(self.http.get(format!("http://control/audit?limit={limit}"))).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        let request = self.http.post(format!("http://control/{path}")).body(serde_json::to_vec(body)?);
        self.ask(request.header("content-type", "application/json")).await
    }

    async fn ask<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> anyhow::Result<T> {
        let answer = request.send().await.context("the server of this data folder does not answer")?;
        let status = answer.status();
        let body = answer.bytes().await?;
        anyhow::ensure!(status.is_success(), "the server answered {status}: {}", String::from_utf8_lossy(&body));
        Ok(serde_json::from_slice(&body)?)
    }
}
