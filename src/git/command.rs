//! One run of the `git` program: takes a folder and arguments, gives the exit code and what git wrote.
//!
//! Git must never ask for anything by itself, write in another language, or take its repository from the environment that
//! we were started in; and it ends in time, or is ended with everything that it started. What runs programs of the user's,
//! such as hooks, takes the time that those need: it is said on a terminal what is waited for, and Ctrl-C ends all of it.

use std::{
    ffi::OsStr,
    io::{self, IsTerminal as _, Read, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{self, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{Commit, GitError};
use crate::{environment, one_line::one_line};

/// For a command that only this machine has to do with.
const LOCAL_PATIENCE: Duration = Duration::from_secs(30);

/// For every command: nothing that depends on a terminal, on the user's language or on a set-up of hooks for speed.
const GLOBAL_OPTIONS: [&str; 12] = [
    "--no-pager",
    "--literal-pathspecs",
    "-c",
    "color.ui=false",
    "-c",
    "core.quotePath=false",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "submodule.recurse=false",
    "-c",
    "gc.auto=0",
];

/// For this long nobody wonders what is waited for.
const WITHOUT_A_WORD: Duration = Duration::from_secs(1);

/// What a hook or ssh leaves running may hold our ends of git's pipes, and has nothing more to say.
const AFTER_ITS_END: Duration = Duration::from_secs(1);

/// Variables of git that say how an operator reaches and signs things. All others would move us to another repository,
/// index or output, as inside a hook, and are not handed on.
const INHERITED: [&str; 13] = [
    "GIT_ALLOW_PROTOCOL",
    "GIT_AUTHOR_",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMITTER_",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_KEY_",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_VALUE_",
    "GIT_HTTP_",
    "GIT_SSH",
    "GIT_SSL_",
];

/// A run of git that is being put together.
#[derive(Debug)]
pub struct Command {
    command: process::Command,
    /// Names it in errors, such as `ls-tree`.
    what: &'static str,
    input: Option<Vec<u8>>,
    limit: Limit,
}

/// How long a run may take.
#[derive(Debug)]
enum Limit {
    Patience(Duration),
    /// As long as the user's own programs need. What they are is said once somebody may wonder.
    Users(String),
}

/// What git answered.
#[derive(Debug)]
pub struct Answer {
    what: &'static str,
    /// `None` where a signal ended it.
    pub code: Option<i32>,
    pub output: Vec<u8>,
    pub errors: String,
}

impl Command {
    /// Changes nothing: what git would do by the way, such as refreshing the index, would need a lock.
    pub fn reader(folder: &Path, command: &'static str) -> Self {
        Self::new(folder, &["--no-optional-locks"], command)
    }

    pub fn writer(folder: &Path, options: &[&str], command: &'static str) -> Self {
        Self::new(folder, options, command)
    }

    /// Runs what the user has set up, such as hooks, which find git and a terminal as they are for them. `waiting` says
    /// what is done, such as `running the hook pre-commit`.
    pub fn of_user(folder: &Path, what: &'static str, waiting: impl Into<String>) -> Self {
        let command = Self::bare(folder, &["--no-pager"], what).env("LC_ALL", "C.UTF-8").env("GIT_EDITOR", ":");
        Self { limit: Limit::Users(waiting.into()), ..command }
    }

    fn new(folder: &Path, options: &[&str], what: &'static str) -> Self {
        Self::bare(folder, &[&GLOBAL_OPTIONS, options].concat(), what)
    }

    fn bare(folder: &Path, options: &[&str], what: &'static str) -> Self {
        let mut command = process::Command::new("git");
        for name in environment::variables_starting("GIT_") {
            let is_inherited = name.to_str().is_some_and(|name| INHERITED.iter().any(|start| name.starts_with(start)));
            if !is_inherited {
                command.env_remove(name);
            }
        }
        command
            .envs([("GIT_TERMINAL_PROMPT", "0"), ("GIT_ASKPASS", ""), ("SSH_ASKPASS_REQUIRE", "never")])
            .envs([("GCM_INTERACTIVE", "never"), ("GIT_NO_REPLACE_OBJECTS", "1"), ("LC_ALL", "C")])
            // It would go before the language that the line above asks for.
            .env_remove("LANGUAGE")
            .arg("-C")
            .arg(folder)
            .args(options)
            .arg(what);
        Self { command, what, input: None, limit: Limit::Patience(LOCAL_PATIENCE) }
    }

    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// What git reads from its standard input, which is closed otherwise.
    pub fn input(self, input: Vec<u8>) -> Self {
        Self { input: Some(input), ..self }
    }

    /// After this long git is ended.
    pub fn patience(self, patience: Duration) -> Self {
        Self { limit: Limit::Patience(patience), ..self }
    }

    /// Runs it; whatever git answers is `Ok`.
    ///
    /// # Errors
    /// Git is not installed, does not end in time, or refuses a repository of somebody else.
    pub fn run(mut self) -> Result<Answer, GitError> {
        let stdin = if self.input.is_some() { Stdio::piped() } else { Stdio::null() };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Limit::Patience(_) = self.limit {
            // With a group of its own, so that what it started, such as ssh, can be ended with it.
            self.command.process_group(0);
        }
        let what = self.what;
        let failed = |error| GitError::Io { what, error };
        let mut child = self.command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => GitError::NotInstalled,
            _ => failed(error),
        })?;
        let group = Pid::from_child(&child);
        let (output, errors) = (Reading::begin(child.stdout.take()), Reading::begin(child.stderr.take()));
        let (done, ended) = mpsc::channel();
        let stdin = child.stdin.take();
        let input = self.input.take();
        let wait = move || {
            let writing = stdin.zip(input).map(|(mut stdin, input)| {
                // That git reads no further is no fault: its exit code says what is.
                thread::Builder::new().name("git-input".into()).spawn(move || stdin.write_all(&input))
            });
            let status = child.wait();
            drop(writing);
            let _ = done.send(status);
        };
        let started = thread::Builder::new().name("git".into()).spawn(wait).map(drop);
        let started = started.and_then(|()| Ok((output?, errors?)));
        let (output, errors) = started.map_err(|error| {
            let _ = kill_process_group(group, Signal::KILL);
            failed(error)
        })?;
        match self.limit.until(&ended) {
            Ok(status) => {
                let status = status.map_err(failed)?;
                Answer::new(what, status, output.end(self.limit.after_its_end()), &errors.end(AFTER_ITS_END))
            }
            Err(_) => {
                let _ = kill_process_group(group, Signal::KILL);
                let patience = if let Limit::Patience(patience) = self.limit { patience } else { Duration::ZERO };
                Err(GitError::TimedOut { what, patience })
            }
        }
    }
}

impl Limit {
    /// How long to wait for the rest of the output once git has ended.
    fn after_its_end(&self) -> Duration {
        match self {
            Self::Patience(patience) => *patience,
            Self::Users(_) => AFTER_ITS_END,
        }
    }

    /// Waits for the end.
    fn until<T>(&self, ended: &Receiver<T>) -> Result<T, RecvTimeoutError> {
        let waiting = match self {
            Self::Patience(patience) => return ended.recv_timeout(*patience),
            Self::Users(waiting) => waiting,
        };
        match ended.recv_timeout(WITHOUT_A_WORD) {
            Err(RecvTimeoutError::Timeout) => {}
            ended => return ended,
        }
        let mut terminal = io::stderr();
        if terminal.is_terminal() {
            // If it is gone, nobody wonders.
            let _ = writeln!(terminal, "tidegate: {} … (Ctrl-C ends it)", one_line(waiting));
        }
        ended.recv().map_err(RecvTimeoutError::from)
    }
}

/// What is read while git runs.
struct Reading {
    bytes: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl Reading {
    fn begin(stream: Option<impl Read + Send + 'static>) -> io::Result<Self> {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (done, ended) = mpsc::channel();
        let into = Arc::clone(&bytes);
        let read = move || {
            let mut part = vec![0; 1 << 16];
            let mut stream = stream;
            while let Some(stream) = &mut stream {
                match stream.read(&mut part) {
                    Ok(0) => break,
                    Ok(count) => {
                        let part = part.get(..count).unwrap_or_default();
                        into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(part);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            let _ = done.send(());
        };
        thread::Builder::new().name("git-output".into()).spawn(read)?;
        Ok(Self { bytes, ended })
    }

    /// All of it, now that git has ended.
    fn end(self, patience: Duration) -> Vec<u8> {
        let _ = self.ended.recv_timeout(patience);
        std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Answer {
    fn new(what: &'static str, status: ExitStatus, output: Vec<u8>, errors: &[u8]) -> Result<Self, GitError> {
        let errors = String::from_utf8_lossy(errors).into_owned();
        if let Some(refusal) = GitError::dubious(&errors) {
            return Err(refusal);
        }
        Ok(Self { what, code: status.code(), output, errors })
    }

    /// What git wrote, if it did what it was asked to.
    ///
    /// # Errors
    /// It did not, and its words say why.
    pub fn bytes(self) -> Result<Vec<u8>, GitError> {
        if self.code == Some(0) { Ok(self.output) } else { Err(GitError::failed(self.what, &self.errors)) }
    }

    /// The same as text.
    ///
    /// # Errors
    /// Git failed, or wrote something that is not UTF-8.
    pub fn text(self) -> Result<String, GitError> {
        let what = self.what;
        String::from_utf8(self.bytes()?).map_err(|_| GitError::unreadable(what))
    }

    /// The commit or tree that git made, by its name.
    pub(super) fn object(self) -> Result<Commit, GitError> {
        let what = self.what;
        Commit::new(self.text()?.trim_end()).ok_or_else(|| GitError::unreadable(what))
    }

    pub(super) fn says_no_repository(&self) -> bool {
        // With `(or any …)` git has looked in all folders above; without, it found something broken.
        self.code == Some(128) && self.errors.contains("not a git repository (or any")
    }

    pub(super) fn says_unknown_revision(&self) -> bool {
        let unknown = ["unknown revision", "Needed a single revision", "ambiguous argument"];
        // Of a line that a reflog does not have, nothing is said.
        let is_silent = self.errors.is_empty();
        self.code == Some(128) && (is_silent || unknown.iter().any(|words| self.errors.contains(words)))
    }
}
