//! Logs: for people on a terminal, JSON lines otherwise; to standard error. The field `hit` is a hit's id from its
//! arrival to its delivery.

use std::io::{self, IsTerminal};

use anyhow::Context;
use clap::ValueEnum;
use serde::Deserialize;
use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

use crate::delivery::{Attempt, Observer, answer::Verdict};

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
        lines.with_ansi(io::stderr().is_terminal()).with_target(false).try_init()
    } else {
        lines.json().flatten_event(true).try_init()
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
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
