//! A container, a stand-in and a server, and what is left of them at the end.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, thread};

use reqwest::RequestBuilder;
use serde_json::Value;
use tidegate::{
    delivery::{
        client::{ClientOptions, client},
        secrets::Environment,
    },
    outbox::{
        AccountState, CallFilter, CallState, ListQuery, Outbox,
        embedded::{Embedded, Options as StoreOptions},
    },
    service::Service,
    settings::{Settings, Stated},
    standin::{Allowed, Options, Standin},
};

use super::{
    HOST, KEY, KEY_NAME, PATIENCE, Place,
    command::{Ran, environment, tidegate},
    server::Server,
};

/// A container, a stand-in and a server.
pub struct Shop {
    pub place: Place,
    pub standin: Standin,
    pub http: reqwest::Client,
    running: Running,
}

enum Running {
    InProcess(Box<Service>),
    Program(Box<Server>),
    No,
    Closed,
}

/// What is left when a shop closes; nothing by default.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Left {
    pub pending: u64,
    pub dead: u64,
    /// Events that reached the stand-in again.
    pub duplicates: u64,
    /// What the stand-in would have dropped silently.
    pub warnings: Vec<String>,
    /// Requests that the stand-in refused by its rules.
    pub refusals: u64,
}

impl Shop {
    /// The repository's own rules, served in this process.
    pub async fn open() -> Self {
        Self::open_at(Place::own_rules()).await
    }

    pub async fn open_at(place: Place) -> Self {
        Self::open_with(place, Stated::default()).await
    }

    /// Served in this process, with these settings.
    pub async fn open_with(place: Place, stated: Stated) -> Self {
        Self::open_with_environment(place, stated, &[]).await
    }

    /// The same, with these secrets beside the key.
    pub async fn open_with_environment(place: Place, stated: Stated, secrets: &[(&'static str, &'static str)]) -> Self {
        let mut shop = Self::closed(place, strict_standin()).await;
        let settings = shop.settings(stated);
        let secrets: BTreeMap<_, _> = secrets.iter().copied().chain([(KEY_NAME, KEY)]).collect();
        let environment: Environment = Box::new(move |name| secrets.get(name).map(Into::into));
        let service = Service::start(&settings, shop.place.load(), environment).await.expect("the service starts");
        shop.running = Running::InProcess(Box::new(service));
        shop
    }

    /// Served by the real program, with these arguments.
    pub async fn spawn(place: Place, arguments: &[&str]) -> Self {
        let mut shop = Self::closed(place, strict_standin()).await;
        shop.start(arguments).await;
        shop
    }

    /// A stand-in and no server yet.
    pub async fn closed(place: Place, options: Options) -> Self {
        let standin = Standin::start(options).await.expect("a stand-in");
        let http = client(&ClientOptions { total_timeout: PATIENCE, ..ClientOptions::default() }).expect("a client");
        Self { place, standin, http, running: Running::No }
    }

    fn settings(&self, stated: Stated) -> Settings {
        let any_port = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let file = Stated {
            listen: any_port,
            admin: any_port,
            data: Some(self.place.data()),
            openai_url: Some(self.standin.url().parse().expect("an address")),
            ..Stated::default()
        };
        stated.over(file).expect("settings")
    }

    /// Starts the real program.
    pub async fn start(&mut self, arguments: &[&str]) {
        self.start_in(arguments, &environment()).await;
    }

    /// Starts the real program with another environment.
    pub async fn start_in(&mut self, arguments: &[&str], environment: &[(&str, &str)]) {
        assert!(matches!(self.running, Running::No), "the server runs already");
        self.running = Running::Program(Box::new(Server::start(self, arguments, environment).await));
    }

    pub fn server(&self) -> &Server {
        match &self.running {
            Running::Program(server) => server,
            _ => panic!("the real program does not run"),
        }
    }

    pub fn server_mut(&mut self) -> &mut Server {
        match &mut self.running {
            Running::Program(server) => server,
            _ => panic!("the real program does not run"),
        }
    }

    pub fn service(&self) -> &Service {
        match &self.running {
            Running::InProcess(service) => service,
            _ => panic!("the service does not run in this process"),
        }
    }

    /// Kills the program as a power failure would, and waits until it is gone.
    pub async fn crash(&mut self) {
        self.take_server().kill().await;
    }

    /// Stops the program in order; gives its log.
    pub async fn stop(&mut self) -> Vec<String> {
        self.take_server().stop().await
    }

    /// Hands the program over, to be watched to its end.
    pub fn take_server(&mut self) -> Server {
        match std::mem::replace(&mut self.running, Running::No) {
            Running::Program(server) => *server,
            _ => panic!("the real program does not run"),
        }
    }

    pub fn sites(&self) -> SocketAddr {
        match &self.running {
            Running::InProcess(service) => service.sites,
            Running::Program(server) => server.sites,
            Running::No | Running::Closed => panic!("the server does not run"),
        }
    }

    pub fn admin(&self) -> SocketAddr {
        match &self.running {
            Running::InProcess(service) => service.admin,
            Running::Program(server) => server.admin,
            Running::No | Running::Closed => panic!("the server does not run"),
        }
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("http://{}{path}", self.sites()))
    }

    /// `POST /hit`, as a page of the shop's own site sends it.
    pub fn post(&self, body: &Value) -> RequestBuilder {
        self.post_text(body.to_string())
    }

    pub fn post_text(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.http.post(format!("http://{}/hit", self.sites())).header("host", HOST).body(body)
    }

    /// Sends a hit that must be accepted.
    pub async fn accept(&self, body: &Value) {
        let answer = self.post(body).send().await.expect("an answer");
        assert_eq!(answer.status(), 204, "{body}");
    }

    /// The events that the stand-in stored, as they were sent.
    pub fn stored(&self) -> Vec<Value> {
        self.standin.accepted().iter().map(|accepted| accepted.event.clone()).collect()
    }

    pub fn stored_ids(&self) -> Vec<String> {
        self.stored().iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
    }

    pub async fn wait_for(&self, events: u64) {
        if let Err(error) = self.standin.wait_for(events, PATIENCE).await {
            panic!("{error}; refused: {:?}", self.standin.refused());
        }
    }

    /// Waits for so many dead letters; gives the words of each.
    pub async fn wait_for_dead(&self, count: usize) -> Vec<String> {
        let query = ListQuery { state: CallState::Dead, filter: CallFilter::default(), after: None, limit: 100 };
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let page = self.service().app.outbox.list(&query).await.expect("a list");
                if page.calls.len() >= count {
                    return page.calls.into_iter().filter_map(|call| call.death).map(|death| death.words).collect();
                }
                tokio::task::yield_now().await;
            }
        });
        found.await.expect("dead letters in time")
    }

    /// Waits until an account is paused.
    pub async fn wait_for_pause(&self) {
        let paused = tokio::time::timeout(PATIENCE, async {
            let is_paused = |line: &str| line.starts_with("tidegate_account_paused") && line.ends_with(" 1");
            while !self.metrics().await.lines().any(is_paused) {
                tokio::task::yield_now().await;
            }
        });
        paused.await.expect("a paused account in time");
    }

    /// What `/metrics` says.
    pub async fn metrics(&self) -> String {
        let answer = self.http.get(format!("http://{}/metrics", self.admin())).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.text().await.expect("text")
    }

    /// What `/readyz` answers.
    pub async fn ready(&self) -> (u16, String) {
        let answer = self.get("/readyz").send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    }

    /// Runs a command of the program on this shop's container and data folder.
    pub async fn tidegate(&self, arguments: &[&str]) -> Ran {
        tidegate(&self.place, arguments).await
    }

    /// Stops everything; nothing may be left.
    pub async fn close(self) {
        self.close_leaving(Left::default()).await;
    }

    /// Stops everything and compares what is left.
    pub async fn close_leaving(mut self, expected: Left) {
        match std::mem::replace(&mut self.running, Running::Closed) {
            Running::InProcess(service) => service.stop().await,
            Running::Program(server) => {
                server.stop().await;
            }
            Running::No | Running::Closed => {}
        }
        let accounts = stored_accounts(&self.place.data());
        let requests = self.standin.requests();
        let found = Left {
            pending: accounts.iter().map(|account| account.pending).sum(),
            dead: accounts.iter().map(|account| account.dead).sum(),
            duplicates: requests.duplicates,
            warnings: self.standin.warnings(),
            refusals: requests.refused,
        };
        assert_eq!(found, expected, "what the test left behind; refused: {:?}", self.standin.refused());
        self.standin.stop().await;
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        assert!(
            matches!(self.running, Running::Closed) || thread::panicking(),
            "a test must close its shop, so that leftovers are found"
        );
    }
}

/// One key, one pixel, everything by the rules.
pub fn strict_standin() -> Options {
    Options { keys: Allowed::only([KEY]), ..Options::default() }
}

/// What the store of a stopped server holds. Opening it is a check in itself: a damaged file does not open.
pub fn stored_accounts(data: &Path) -> Vec<AccountState> {
    if !data.join("outbox.db").exists() {
        return Vec::new();
    }
    let store = Embedded::open(data, StoreOptions::default()).expect("the store opens");
    store.accounts()
}
