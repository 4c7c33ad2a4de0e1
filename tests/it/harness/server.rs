//! The real program as a server: started, signalled, killed, and its log read as it comes.

use std::{net::SocketAddr, process::ExitStatus, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
};

use super::{PATIENCE, Place, Shop, command::program};

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
    pub(super) async fn start(shop: &Shop, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
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
                // Its last words may still be in the pipes.
                while readers.join_next().await.is_some() {}
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

    pub(super) async fn kill(mut self) {
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
