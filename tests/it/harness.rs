//! What every integration test starts from: a container in a folder of its own, a strict stand-in for `OpenAI`, and the
//! server between them, either in this process or as the real program.
//!
//! A [`Shop`] must be closed, and closing it compares what is left with what the test says should be: undelivered calls,
//! dead letters, duplicates, warnings and refusals of the stand-in. A test that forgets to close fails.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    thread,
    time::Duration,
};

use reqwest::RequestBuilder;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate::{
    container::{
        Container,
        diagnostic::Severity,
        folder,
        load::{LoadOptions, load},
    },
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
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
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

// Places.

/// A folder with a container in it and room for data; gone when dropped.
pub struct Place {
    folder: TempDir,
}

impl Place {
    /// The repository's own rules, which is what the documentation tells people to start from.
    pub fn own_rules() -> Self {
        let place = Self::empty();
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
        for entry in fs::read_dir(rules).expect("the repository's rules") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
            if name.ends_with(".yaml") && !name.ends_with(".test.yaml") {
                place.write(&format!("rules/{name}"), &fs::read_to_string(&path).expect("a rules file"));
            }
        }
        place
    }

    pub fn with_rules(rules: &str) -> Self {
        let place = Self::empty();
        place.write("rules/all.yaml", rules);
        place
    }

    pub fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("tidegate-it-").tempdir().expect("a temporary folder");
        fs::create_dir_all(folder.path().join("container/rules")).expect("a folder for rules");
        fs::create_dir_all(folder.path().join("container/tags")).expect("a folder for tags");
        Self { folder }
    }

    /// Writes a file of the container.
    pub fn write(&self, path: &str, text: &str) {
        fs::write(self.container().join(path), text).expect("a file of the container");
    }

    /// Makes a git repository of the container, which knows nothing of this machine's settings, and commits it.
    pub fn into_repository(self) -> Self {
        self.git(&["init", "-q", "-b", "main"]);
        for (key, value) in [("user.name", "Ada"), ("user.email", "ada@example.com"), ("commit.gpgSign", "false")] {
            self.git(&["config", key, value]);
        }
        self.commit();
        self
    }

    /// Commits everything in the container; gives the version's name.
    pub fn commit(&self) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "A change"]);
        self.git(&["rev-parse", "HEAD"]).chars().take(12).collect()
    }

    /// Runs git in the container; gives what it writes.
    pub fn git(&self, arguments: &[&str]) -> String {
        let mut git = std::process::Command::new("git");
        git.current_dir(self.container()).args(arguments).stdin(Stdio::null());
        git.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("LC_ALL", "C")]);
        let output = git.output().expect("git is installed");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn container(&self) -> PathBuf {
        self.folder.path().join("container")
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn load(&self) -> Container {
        let files = folder::read(&self.container()).expect("a container");
        let environment = BTreeMap::from([("OPENAI_PIXEL_ID".to_owned(), PIXEL.to_owned())]);
        let options = LoadOptions {
            version: &folder::digest(&files),
            environment: &environment,
            absent_environment: Severity::Error,
            library: &folder::library(),
            inline: None,
            seats: thread::available_parallelism().map_or(1, usize::from),
        };
        let loaded = load(&files, options);
        loaded.container.unwrap_or_else(|| panic!("the test's container is broken: {:?}", loaded.diagnostics))
    }
}

// Shops.

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

    async fn metrics(&self) -> String {
        let answer = self.http.get(format!("http://{}/metrics", self.admin())).send().await.expect("an answer");
        answer.text().await.expect("text")
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

// Events.

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

// The program.

/// The environment of a shop that is set up right.
pub fn environment() -> [(&'static str, &'static str); 2] {
    [("OPENAI_PIXEL_ID", PIXEL), (KEY_NAME, KEY)]
}

/// A running server program. Killed when dropped.
pub struct Server {
    child: Child,
    log: Log,
    readers: JoinSet<()>,
    pub sites: SocketAddr,
    pub admin: SocketAddr,
}

/// The lines of a program's standard output and error, as they come.
#[derive(Clone, Default)]
struct Log(watch::Sender<Vec<String>>);

impl Log {
    /// Reads a pipe to its end.
    async fn read(self, pipe: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            self.0.send_modify(|log| log.push(line));
        }
    }

    fn lines(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

impl Server {
    /// Starts `tidegate serve` for a shop and waits until it says where it listens.
    async fn start(shop: &Shop, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let data = shop.place.data();
        let url = shop.standin.url();
        let all = [&["--openai-url", &url, "--data", data.to_str().expect("a path in text")], arguments].concat();
        let started = serve(&shop.place, &all, environment).await;
        started.unwrap_or_else(|log| panic!("the server did not start: {log:#?}"))
    }

    /// The log is given where it did not start.
    async fn follow(mut command: Command) -> Result<Self, Vec<String>> {
        let mut child = command.spawn().expect("the program starts");
        let (log, mut readers) = (Log::default(), JoinSet::new());
        readers.spawn(log.clone().read(child.stdout.take().expect("a pipe")));
        readers.spawn(log.clone().read(child.stderr.take().expect("a pipe")));
        let mut lines = log.0.subscribe();
        let live = |lines: &Vec<String>| lines.iter().find_map(|line| addresses(line));
        let started = async {
            tokio::select! {
                found = lines.wait_for(|lines| live(lines).is_some()) => found.ok().and_then(|lines| live(&lines)),
                _ = child.wait() => None,
            }
        };
        let found = tokio::time::timeout(PATIENCE, started).await.ok().flatten();
        match found {
            Some((sites, admin)) => Ok(Self { child, log, readers, sites, admin }),
            None => {
                child.kill().await.expect("the program can be killed");
                Err(log.lines())
            }
        }
    }

    pub fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        kill_process(pid.expect("the program runs"), signal).expect("the program can be signalled");
    }

    /// Stops it in order; gives its log.
    pub async fn stop(self) -> Vec<String> {
        self.signal(Signal::TERM);
        let (status, log) = self.ended().await;
        assert_eq!(status.code(), Some(0), "{log:#?}");
        assert!(!log.iter().any(|line| line.contains("panicked")), "{log:#?}");
        log
    }

    async fn kill(mut self) {
        self.child.kill().await.expect("the program can be killed");
    }

    /// Waits for the end of the program; gives its exit status and its whole log.
    pub async fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("the program does not end: {:#?}", self.log.lines()));
        while self.readers.join_next().await.is_some() {}
        (status.expect("an exit status"), self.log.lines())
    }

    /// Whether it goes on for a moment in which a program with nothing to do would end.
    pub async fn stays(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(700), self.child.wait()).await.is_err()
    }

    /// Signals it again and again until it ends; gives its whole log.
    pub async fn signalled_until_ended(mut self, signal: Signal) -> Vec<String> {
        let signalled = async {
            loop {
                self.signal(signal);
                if tokio::time::timeout(Duration::from_millis(100), self.child.wait()).await.is_ok() {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, signalled).await.expect("the program ends");
        while self.readers.join_next().await.is_some() {}
        self.log.lines()
    }

    /// Closes the pipes that the program writes to.
    pub async fn stop_listening(&mut self) {
        self.readers.shutdown().await;
    }

    /// Waits for a log line, from the start of the program on.
    pub async fn logs(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.logs_times(1, wanted).await.pop().expect("a line")
    }

    /// Waits until so many lines of the log are wanted ones; gives them.
    pub async fn logs_times(&self, times: usize, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines = self.log.0.subscribe();
        let chosen = |lines: &Vec<String>| lines.iter().filter(|line| wanted(line)).cloned().collect::<Vec<_>>();
        let found = tokio::time::timeout(PATIENCE, lines.wait_for(|lines| chosen(lines).len() >= times)).await;
        match found {
            Ok(Ok(lines)) => chosen(&lines),
            _ => panic!("the line never came: {:#?}", self.log.lines()),
        }
    }
}

/// Starts `tidegate serve` on free ports; gives the log where it did not start.
pub async fn serve(place: &Place, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Server, Vec<String>> {
    let mut command = program(&place.container());
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-format", "json"]);
    command.args(arguments).envs(environment.iter().copied());
    Server::follow(command).await
}

/// The addresses in the line that says that the server is live.
fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let address =
        |field: &str, path: &str| line[field].as_str()?.strip_prefix("http://")?.strip_suffix(path)?.parse().ok();
    Some((address("hits", "/hit")?, address("metrics", "/metrics")?))
}

pub fn program(container: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.env_clear().arg("-C").arg(container);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs a command of the program on a container and its data folder.
pub async fn tidegate(place: &Place, arguments: &[&str]) -> Ran {
    let data = place.data();
    let environment = [&environment()[..], &[("TIDEGATE_DATA", data.to_str().expect("a path in text"))]].concat();
    run(place, arguments, &environment, "").await
}

/// Runs a command of the program on a container, with nothing in its environment but this.
pub async fn run(place: &Place, arguments: &[&str], environment: &[(&str, &str)], stdin: &str) -> Ran {
    let mut command = program(&place.container());
    command.args(arguments).envs(environment.iter().copied());
    let mut child = command.stdin(Stdio::piped()).spawn().expect("the program starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    // A program that does not read its input may have ended before it was written.
    let _ = pipe.write_all(stdin.as_bytes()).await;
    drop(pipe);
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let output = ended.unwrap_or_else(|_| panic!("{arguments:?} does not end")).expect("an end");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

// The wire.

/// A connection on which a test writes what no HTTP client would.
pub struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer as it stood on the wire.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Wire {
    pub async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.expect("a connection"), read: Vec::new() }
    }

    /// A server that has had enough may have closed already; its answer tells.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await;
    }

    /// Whether the connection still takes bytes.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let sent = tokio::time::timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await;
        sent.expect("the server reads, or closes").is_ok()
    }

    /// The next answer; `None` if the connection ends before one.
    pub async fn answer(&mut self) -> Option<Answer> {
        let answer = async {
            loop {
                if let Some((answer, length)) = parse(&self.read) {
                    self.read.drain(..length);
                    return Some(answer);
                }
                let mut chunk = [0; 4096];
                match self.stream.read(&mut chunk).await {
                    Ok(0) | Err(_) => return None,
                    Ok(length) => self.read.extend_from_slice(&chunk[..length]),
                }
            }
        };
        tokio::time::timeout(PATIENCE, answer).await.expect("an answer or the end of the connection")
    }

    pub async fn is_closed(&mut self) -> bool {
        self.answer().await.is_none()
    }
}

/// An answer with a `Content-Length`, or without a body, and how long it is.
fn parse(bytes: &[u8]) -> Option<(Answer, usize)> {
    let head_length = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(bytes[..head_length].to_vec()).expect("a head in text").to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.map_or(0, |length| length.trim().parse::<usize>().expect("a length"));
    let body = bytes.get(head_length..head_length + length)?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = String::from_utf8(body.to_vec()).expect("a body in text");
    Some((Answer { status, body }, head_length + length))
}

/// A request as bytes, for the wire.
pub fn raw_hit(body: &str) -> String {
    format!("POST /hit HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
