//! One run of the `git` program: takes a folder and arguments, gives the exit code and what git wrote.
//!
//! Git must never wait for a person, write in another language, or take its repository from the environment that we were
//! started in; and it ends in time, or is ended with everything that it started.

use std::{
    ffi::OsStr,
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{self, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};

use super::GitError;
use crate::settings;

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

/// Hooks and signing run programs of the user's, which may wait for a key.
const USERS_PATIENCE: Duration = Duration::from_secs(300);

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
    patience: Duration,
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

    /// Runs what the user has set up, such as hooks, which find git as it is for them.
    pub fn of_user(folder: &Path, what: &'static str) -> Self {
        let command = Self::bare(folder, &["--no-pager"], what).env("LC_ALL", "C.UTF-8").env("GIT_EDITOR", ":");
        command.patience(USERS_PATIENCE)
    }

    fn new(folder: &Path, options: &[&str], what: &'static str) -> Self {
        Self::bare(folder, &[&GLOBAL_OPTIONS, options].concat(), what)
    }

    fn bare(folder: &Path, options: &[&str], what: &'static str) -> Self {
        let mut command = process::Command::new("git");
        for name in settings::variables_starting("GIT_") {
            let is_inherited = name.to_str().is_some_and(|name| INHERITED.iter().any(|start| name.starts_with(start)));
            if !is_inherited {
                command.env_remove(name);
            }
        }
        command
            .envs([("GIT_TERMINAL_PROMPT", "0"), ("GIT_ASKPASS", ""), ("SSH_ASKPASS_REQUIRE", "never")])
            .envs([("GCM_INTERACTIVE", "never"), ("GIT_NO_REPLACE_OBJECTS", "1"), ("LC_ALL", "C")])
            .arg("-C")
            .arg(folder)
            .args(options)
            .arg(what);
        Self { command, what, input: None, patience: LOCAL_PATIENCE }
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
        Self { patience, ..self }
    }

    /// Runs it; whatever git answers is `Ok`.
    ///
    /// # Errors
    /// Git is not installed, does not end in time, or refuses a repository of somebody else.
    pub fn run(mut self) -> Result<Answer, GitError> {
        let stdin = if self.input.is_some() { Stdio::piped() } else { Stdio::null() };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        // With a group of its own, so that what it started, such as ssh, can be ended with it.
        self.command.process_group(0);
        let what = self.what;
        let failed = |error| GitError::Io { what, error };
        let mut child = self.command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => GitError::NotInstalled,
            _ => failed(error),
        })?;
        let group = Pid::from_child(&child);
        let (done, ended) = mpsc::channel();
        let stdin = child.stdin.take();
        let input = self.input.take();
        let wait = move || {
            let writing = stdin.zip(input).map(|(mut stdin, input)| {
                // That git reads no further is no fault: its exit code says what is.
                thread::Builder::new().name("git-input".into()).spawn(move || stdin.write_all(&input))
            });
            let output = child.wait_with_output();
            drop(writing);
            let _ = done.send(output);
        };
        let waiting = thread::Builder::new().name("git".into()).spawn(wait);
        let output = match waiting {
            Ok(_) => ended.recv_timeout(self.patience),
            Err(error) => {
                let _ = kill_process_group(group, Signal::KILL);
                return Err(failed(error));
            }
        };
        match output {
            Ok(output) => {
                let output = output.map_err(failed)?;
                Answer::new(what, output.status, output.stdout, &output.stderr)
            }
            Err(_) => {
                let _ = kill_process_group(group, Signal::KILL);
                Err(GitError::TimedOut { what, patience: self.patience })
            }
        }
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

    pub(super) fn says_no_repository(&self) -> bool {
        // With `(or any …)` git has looked in all folders above; without, it found something broken.
        self.code == Some(128) && self.errors.contains("not a git repository (or any")
    }

    pub(super) fn says_unknown_revision(&self) -> bool {
        let unknown = ["unknown revision", "Needed a single revision", "ambiguous argument"];
        self.code == Some(128) && unknown.iter().any(|words| self.errors.contains(words))
    }
}
