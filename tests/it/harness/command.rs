//! The real program as a command that ends.

use std::{path::Path, process::Stdio};

use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command};

use super::{KEY, KEY_NAME, PATIENCE, PIXEL, Place};

/// The environment of a shop that is set up right.
pub fn environment() -> [(&'static str, &'static str); 2] {
    [("OPENAI_PIXEL_ID", PIXEL), (KEY_NAME, KEY)]
}

pub fn program(container: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.env_clear().current_dir(container);
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
