//! `tidegate forget`: what is kept about a person, an event or a click is forgotten, and an audit entry stays.

use std::io::{self, Read, Write};

use anyhow::Context as _;
use clap::Args;

use super::{Context, Exit, Format, door::Data};
use crate::{
    desk::{ForgetReport, ForgetWish},
    outbox::Forgotten,
};

/// Forget calls that wait or died, by a person, an event or a click
///
/// Exits with 0 if calls were forgotten, and with 1 if none was found or some were just being sent, which may still arrive.
/// An entry in `tidegate audit` stays, which holds a fingerprint in place of the value.
#[derive(Args, Debug)]
pub struct Forget {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    whom: Whom,
}

/// A value on the command line can be seen by other users of the machine, so it may come from standard input.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// The event with this id, as `tidegate deliveries` shows it; - reads it from standard input
    #[arg(long, value_name = "ID")]
    event_id: Option<String>,
    /// Everything that holds this e-mail address, in plain or as a digest; - reads it from standard input
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Everything that holds this click reference; - reads it from standard input
    #[arg(long, value_name = "VALUE")]
    oppref: Option<String>,
}

/// The values are about people: they are not for messages.
impl std::fmt::Debug for Whom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Whom(•••)")
    }
}

impl Forget {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<Exit> {
        let wish = self.whom.wish()?;
        // Before a server is asked, or a store opened.
        wish.sought()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let report = self.data.door()?.forget(&wish).await?;
            say(&mut io::stdout().lock(), context, &report)
        })
    }
}

impl Whom {
    fn wish(self) -> anyhow::Result<ForgetWish> {
        let Self { event_id, email, oppref } = self;
        let wishes = [
            event_id.map(|id| value(id).map(ForgetWish::EventId)),
            email.map(|address| value(address).map(ForgetWish::Email)),
            oppref.map(|value_of| value(value_of).map(ForgetWish::Oppref)),
        ];
        wishes.into_iter().flatten().next().context("name an event id, an e-mail address or a click reference")?
    }
}

/// A value as it was given, or the line on standard input.
fn value(given: String) -> anyhow::Result<String> {
    if given != "-" {
        return Ok(given);
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn say(out: &mut impl Write, context: &Context, report: &ForgetReport) -> anyhow::Result<Exit> {
    let Forgotten { pending, dead, in_flight } = report.forgotten;
    if context.format == Format::Json {
        writeln!(out, "{}", serde_json::to_string_pretty(report)?)?;
    } else {
        writeln!(out, "{pending} pending {} and {dead} dead {} forgotten", calls(pending), letters(dead))?;
        let kept = report.kept;
        writeln!(out, "{kept} kept {} forgotten; they hold no e-mail address, click or visitor id", hits(kept))?;
        if in_flight > 0 {
            let (were, they) = if in_flight == 1 { ("was", "it") } else { ("were", "they") };
            writeln!(
                out,
                "{in_flight} {} {were} just being sent: {they} may still arrive, and will not be sent again",
                calls(in_flight)
            )?;
        }
        writeln!(out, "what was delivered earlier is with its destination, and has to be asked for there")?;
        writeln!(out, "audit entry {}, fingerprint {}", report.audit_entry, report.fingerprint)?;
    }
    Ok(if pending + dead + report.kept > 0 && in_flight == 0 { Exit::Fine } else { Exit::FoundWrong })
}

fn calls(count: u64) -> &'static str {
    if count == 1 { "call" } else { "calls" }
}

fn hits(count: u64) -> &'static str {
    if count == 1 { "hit" } else { "hits" }
}

fn letters(count: u64) -> &'static str {
    if count == 1 { "letter" } else { "letters" }
}
