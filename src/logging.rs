//! Logs: for people on a terminal, JSON lines otherwise; to standard error. The field `hit` is a hit's id from its
//! arrival to its delivery. Whatever a line quotes, it stays one line and steers no terminal.

pub mod seldom;

use std::{
    fmt::Debug,
    io::{self, IsTerminal},
};

use anyhow::Context;
use clap::ValueEnum;
use serde::Deserialize;
use tracing::field::Field;
use tracing_subscriber::{
    EnvFilter,
    field::MakeExt as _,
    fmt::format::{self, FmtSpan, Writer},
};

use crate::{
    delivery::{Attempt, Observer, answer::Verdict},
    one_line::one_line,
};

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people on a terminal, JSON otherwise
    #[default]
    Auto,
    Text,
    Json,
}

/// Starts logging. `filter` is a level, or levels by target, such as `info,tidegate::hit=debug`.
///
/// # Errors
/// The filter cannot be read, or logging was started before.
pub fn start(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("--log cannot be {filter:?}"))?;
    // Whoever reads the log may go away. Complaining of that on the same pipe would panic.
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_span_events(FmtSpan::NONE)
        .log_internal_errors(false);
    let as_text = match format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let started = if as_text {
        let fields = format::debug_fn(write_field).delimited(" ");
        lines.fmt_fields(fields).with_ansi(io::stderr().is_terminal()).with_target(false).try_init()
    } else {
        lines.json().flatten_event(true).try_init()
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}

/// A message as it is, any other field with its name.
fn write_field(out: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let words = format!("{value:?}");
    let words = one_line(&words);
    match field.name() {
        "message" => write!(out, "{words}"),
        name if out.has_ansi_escapes() => write!(out, "\u{1b}[3m{name}\u{1b}[0m={words}"),
        name => write!(out, "{name}={words}"),
    }
}

/// Tells of every call that was attempted, under the id of the hit that it came from.
pub struct DeliveryLog;

impl Observer for DeliveryLog {
    fn attempted(&self, Attempt { account, calls, answer, .. }: &Attempt<'_>) {
        if !tracing::enabled!(target: "tidegate::hit", tracing::Level::DEBUG) {
            return;
        }
        for call in *calls {
            let (hit, tag, event) = (call.hit, &call.tag, &call.event.name);
            match answer.verdict() {
                Verdict::Accepted => {
                    tracing::debug!(target: "tidegate::hit", %hit, "{event}: tag {tag:?} delivered to {account}");
                }
                _ => {
                    let words = answer.words();
                    tracing::debug!(target: "tidegate::hit", %hit, "{event}: tag {tag:?} not delivered to {account}: {words}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'w> MakeWriter<'w> for Written {
        type Writer = Self;

        fn make_writer(&'w self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn what_a_line_quotes_stays_in_it() {
        let written = Written::default();
        let fields = format::debug_fn(write_field).delimited(" ");
        let lines = tracing_subscriber::fmt().with_writer(written.clone()).fmt_fields(fields);
        let event = "buy\u{1b}[2J\n2026-11-25T12:00:00Z  INFO all is well\u{202e}";
        tracing::subscriber::with_default(lines.with_ansi(false).with_target(false).finish(), || {
            tracing::info!(hit = %event, version = "a", "{event}: tag \"Log\" ran");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let shown = "buy\u{fffd}[2J\u{fffd}2026-11-25T12:00:00Z  INFO all is well\u{fffd}";
        assert!(text.ends_with(&format!("INFO {shown}: tag \"Log\" ran hit={shown} version=\"a\"\n")), "{text}");
        assert_eq!(text.lines().count(), 1);
    }
}
