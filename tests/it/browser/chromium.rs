//! A real Chromium, driven by its driver over the `WebDriver` protocol: a handful of requests with JSON in them, which is
//! less than any client for it brings along.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpStream},
    process::{ChildStdin, Command, Stdio},
    sync::LazyLock,
    thread,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::harness::PATIENCE;

/// How many run at the same time.
static SEATS: Semaphore = Semaphore::const_new(2);

static DRIVER: LazyLock<Driver> = LazyLock::new(Driver::start);

/// One driver for all tests.
struct Driver {
    port: u16,
    /// The driver ends when this closes, and so with the tests, however they end.
    _lifeline: ChildStdin,
}

impl Driver {
    fn start() -> Self {
        for program in ["chromedriver", "chromium"] {
            let found = Command::new(program).arg("--version").output().is_ok_and(|ran| ran.status.success());
            assert!(found, "{program} is missing; scripts/test installs it");
        }
        let script = "chromedriver --port=0 & driver=$!; cat >/dev/null; kill $driver; wait $driver";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = shell.spawn().expect("a shell");
        let lifeline = shell.stdin.take().expect("a pipe");
        let mut lines = BufReader::new(shell.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            line.strip_prefix("ChromeDriver was started successfully on port ")?.trim_end_matches('.').parse().ok()
        });
        thread::spawn(move || {
            lines.for_each(drop);
            shell.wait()
        });
        Self { port: port.expect("the driver says its port"), _lifeline: lifeline }
    }
}

/// A browser with a profile of its own, that has never been anywhere.
pub struct Chromium {
    session: String,
    http: reqwest::Client,
    _profile: TempDir,
    _seat: SemaphorePermit<'static>,
}

impl Chromium {
    /// Opens a browser for which these hosts live at this port, and no others exist.
    pub async fn open(http: reqwest::Client, hosts: &[&str], port: u16) -> Self {
        let seat = SEATS.acquire().await.expect("a seat");
        let profile = tempfile::Builder::new().prefix("tidegate-chromium-").tempdir().expect("a temporary folder");
        let mapped: Vec<_> = hosts.iter().map(|host| format!("MAP {host}:443 127.0.0.1:{port}")).collect();
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--no-proxy-server",
            "--ignore-certificate-errors",
            "--window-size=1200,800",
            "--accept-lang=en-GB",
        ];
        let mut args: Vec<_> = args.map(str::to_owned).into();
        args.push(format!("--user-data-dir={}", profile.path().display()));
        args.push(format!("--host-resolver-rules={}, MAP * ~NOTFOUND", mapped.join(", ")));
        let wanted = json!({
            "browserName": "chrome",
            "timeouts": {"pageLoad": PATIENCE.as_millis(), "script": PATIENCE.as_millis()},
            "goog:chromeOptions": {"args": args},
        });
        let mut browser = Self { session: String::new(), http, _profile: profile, _seat: seat };
        let opened = browser.post("", json!({"capabilities": {"alwaysMatch": wanted}})).await;
        browser.session = opened["sessionId"].as_str().expect("a session").to_owned();
        browser
    }

    pub async fn close(mut self) {
        let session = std::mem::take(&mut self.session);
        let url = format!("http://127.0.0.1:{}/session/{session}", DRIVER.port);
        self.http.delete(url).send().await.expect("an answer from the driver");
    }

    /// Goes to an address and waits until the page has loaded.
    pub async fn go(&self, url: &str) {
        self.post("/url", json!({ "url": url })).await;
    }

    /// The value of an expression in the page; of a promise, what it comes to.
    pub async fn eval(&self, expression: &str) -> Value {
        let script = format!("return (async () => ({expression}))()");
        self.post("/execute/sync", json!({"script": script, "args": []})).await
    }

    /// Runs statements in the page.
    pub async fn run(&self, statements: &str) {
        self.post("/execute/sync", json!({"script": statements, "args": []})).await;
    }

    /// Waits until an expression in the page is true.
    pub async fn wait(&self, expression: &str) {
        let condition = format!(
            "new Promise(done => {{ const look = () => ({expression}) ? done(true) : setTimeout(look, 20); look(); }})"
        );
        self.eval(&condition).await;
    }

    /// The browser's cookies of any site.
    pub async fn cookies(&self) -> Vec<Value> {
        let found = self.cdp("Storage.getCookies", json!({})).await;
        found["cookies"].as_array().expect("a list").clone()
    }

    /// A command of the `DevTools` protocol.
    pub async fn cdp(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", json!({"cmd": command, "params": parameters})).await
    }

    async fn post(&self, command: &str, body: Value) -> Value {
        let slash = if self.session.is_empty() { "" } else { "/" };
        let url = format!("http://127.0.0.1:{}/session{slash}{}{command}", DRIVER.port, self.session);
        let answer = self.http.post(url).body(body.to_string()).send().await.expect("an answer from the driver");
        let is_fine = answer.status().is_success();
        let mut answer: Value = serde_json::from_str(&answer.text().await.expect("text")).expect("JSON");
        assert!(is_fine, "{command} {body}: {:#}", answer["value"]["message"]);
        answer["value"].take()
    }
}

impl Drop for Chromium {
    /// Of a test that failed, the browser is still there.
    fn drop(&mut self) {
        if self.session.is_empty() {
            return;
        }
        if let Ok(mut driver) = TcpStream::connect((Ipv4Addr::LOCALHOST, DRIVER.port)) {
            let _ = write!(driver, "DELETE /session/{} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", self.session);
            let _ = BufReader::new(driver).read_line(&mut String::new());
        }
    }
}
