//! `tidegate audit`: what people did that concerns somebody's data.

use std::{
    io::{self, Write},
    num::NonZeroUsize,
};

use clap::Args;

use super::{Context, Exit, Format, door::Data, line};
use crate::{audit::Outcome, outbox::Forgotten};

/// Show what people did that concerns somebody's data
#[derive(Args, Debug)]
pub struct Audit {
    #[command(flatten)]
    data: Data,
    /// At most this many, the last ones
    #[arg(long, default_value = "50", value_name = "NUMBER")]
    limit: NonZeroUsize,
}

impl Audit {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<Exit> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let entries = runtime.block_on(async { self.data.door()?.audit(self.limit.get()).await })?;
        let mut out = io::stdout().lock();
        if context.format == Format::Json {
            writeln!(out, "{}", serde_json::to_string_pretty(&entries)?)?;
            return Ok(Exit::Fine);
        }
        if entries.is_empty() {
            writeln!(out, "nothing yet")?;
        }
        for entry in entries {
            let (deed, subject, fingerprint) = (&entry.deed, &entry.subject, &entry.fingerprint);
            let outcome = match &entry.outcome {
                Outcome::Open => "not ended".to_owned(),
                Outcome::Failed { words } => format!("failed: {words}"),
                Outcome::Forgotten(Forgotten { pending, dead, in_flight }) => {
                    format!("{pending} pending, {dead} dead, {in_flight} being sent")
                }
            };
            let (id, at, who) = (entry.id, entry.at, &entry.who);
            line(&mut out, format_args!("{id:>6}  {at}  {who}: {deed} {subject} {fingerprint}: {outcome}"))?;
        }
        Ok(Exit::Fine)
    }
}
