//! `tidegate deliveries`: what waits, what died, and what is to be done about it. Asks the server of the data folder, or
//! opens the store itself where no server runs.

use std::io::{self, Write};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::{
    Context, Exit, Format,
    door::{Data, Door},
    line, lines,
};
use crate::{
    desk::{AccountReport, Selection},
    outbox::{CallFilter, CallId, CallState, ListQuery, Page, StoredCall},
    time::Timestamp,
};

/// Look after calls that wait or died: list, show, retry, discard
#[derive(Debug, Subcommand)]
pub enum Deliveries {
    /// The accounts, and the calls that died or wait
    List(List),
    /// One call with its body and what the destination said
    Show(Show),
    /// Put dead letters back to be delivered, and let paused accounts try again
    Retry(Which),
    /// Forget calls for good
    Discard(Which),
}

#[derive(Args, Debug)]
pub struct List {
    #[command(flatten)]
    data: Data,
    /// Which calls
    #[arg(long, default_value = "dead", value_name = "STATE")]
    state: State,
    #[command(flatten)]
    filter: Filter,
    /// At most this many
    #[arg(long, default_value = "50", value_name = "NUMBER")]
    limit: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Dead,
    Pending,
}

#[derive(Args, Debug)]
pub struct Show {
    #[command(flatten)]
    data: Data,
    /// The call's id, as the list shows it
    id: u64,
}

#[derive(Args, Debug)]
pub struct Which {
    #[command(flatten)]
    data: Data,
    /// The calls' ids, as the list shows them
    #[arg(required_unless_present_any = ["all", "Filter"], conflicts_with_all = ["all", "Filter"])]
    ids: Vec<u64>,
    /// Every dead letter
    #[arg(long, conflicts_with = "Filter")]
    all: bool,
    #[command(flatten)]
    filter: Filter,
}

/// What is said together must hold together.
#[derive(Args, Debug)]
#[group(multiple = true)]
struct Filter {
    /// Only calls of this account, named as the list shows it
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Only calls of this tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Only calls accepted at this time or later: 2026-12-01T08:00:00Z, or 2h for two hours ago
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: Option<Timestamp>,
    /// Only calls accepted before this time, written like --since
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<Timestamp>,
}

impl Filter {
    fn into_calls(self) -> CallFilter {
        let Self { account, tag, since, until } = self;
        CallFilter { account, tag, since, until }
    }
}

/// An instant, by itself or by how long ago it was; a day has 24 hours.
fn instant(text: &str) -> Result<Timestamp, String> {
    let ago = || {
        let span: jiff::Span = text.parse().ok()?;
        let ago = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
        Some(Timestamp::now().minus(ago.try_into().ok()?))
    };
    let instant = text.parse::<jiff::Timestamp>().ok().map(|instant| Timestamp(instant.as_millisecond()));
    let wrong = "a time is an instant such as 2026-12-01T08:00:00Z, or how long ago: 30m, 2h, 3d";
    instant.or_else(ago).ok_or_else(|| wrong.to_owned())
}

impl Deliveries {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<Exit> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut out = io::stdout().lock();
            match self {
                Self::List(list) => list.run(context, &mut out).await,
                Self::Show(show) => show.run(context, &mut out).await,
                Self::Retry(choice) => {
                    let (door, selection) = choice.take()?;
                    let count = door.retry(&selection).await?;
                    say(&mut out, context, "put back to be delivered", count, &selection)
                }
                Self::Discard(choice) => {
                    let (door, selection) = choice.take()?;
                    let count = door.discard(&selection).await?;
                    say(&mut out, context, "discarded", count, &selection)
                }
            }
        })
    }
}

impl Which {
    /// The store, and which calls of it are meant.
    fn take(self) -> anyhow::Result<(Door, Selection)> {
        let selection = if self.ids.is_empty() {
            Selection::Matching(self.filter.into_calls())
        } else {
            Selection::Ids(self.ids.into_iter().map(CallId).collect())
        };
        Ok((self.data.door()?, selection))
    }
}

/// Says how many calls were meant and found. Ids that match nothing are worth an exit code.
fn say(
    out: &mut impl Write,
    context: &Context,
    done: &str,
    count: usize,
    selection: &Selection,
) -> anyhow::Result<Exit> {
    if context.format == Format::Json {
        writeln!(out, "{}", serde_json::json!({ "calls": count }))?;
    } else {
        writeln!(out, "{count} call{} {done}", if count == 1 { "" } else { "s" })?;
    }
    let is_by_id = matches!(selection, Selection::Ids(_));
    Ok(if count == 0 && is_by_id { Exit::FoundWrong } else { Exit::Fine })
}

impl List {
    async fn run(self, context: &Context, out: &mut impl Write) -> anyhow::Result<Exit> {
        let door = self.data.door()?;
        let accounts = door.accounts().await?;
        let state = match self.state {
            State::Dead => CallState::Dead,
            State::Pending => CallState::Pending,
        };
        let query = ListQuery { state, filter: self.filter.into_calls(), after: None, limit: self.limit };
        let page = door.list(&query).await?;
        if context.format == Format::Json {
            let Page { calls, next } = &page;
            let more = next.is_some();
            let value = serde_json::json!({ "accounts": accounts, "calls": calls, "more": more });
            writeln!(out, "{}", serde_json::to_string_pretty(&value)?)?;
            return Ok(Exit::Fine);
        }
        accounts_text(out, &accounts)?;
        calls_text(out, state, &page)?;
        Ok(Exit::Fine)
    }
}

fn accounts_text(out: &mut impl Write, accounts: &[AccountReport]) -> io::Result<()> {
    if accounts.is_empty() {
        return writeln!(out, "no accounts: no call was ever accepted, or all were delivered");
    }
    for account in accounts {
        line(out, format_args!("{}", account.account))?;
        let oldest = account.oldest.map(|oldest| format!("; oldest pending from {oldest}")).unwrap_or_default();
        let (pending, dead, state) = (account.pending, account.dead, &account.state);
        line(out, format_args!("  {pending} pending, {dead} dead; {state}{oldest}"))?;
    }
    Ok(())
}

fn calls_text(out: &mut impl Write, state: CallState, page: &Page) -> io::Result<()> {
    let what = if state == CallState::Dead { "dead letters" } else { "pending calls" };
    if page.calls.is_empty() {
        return writeln!(out, "no {what}");
    }
    writeln!(out, "\n{what}:")?;
    for call in &page.calls {
        let reason = match &call.death {
            None => format!("{} attempts", call.attempts),
            Some(death) => {
                let status = death.status.map(|status| format!("{status}: ")).unwrap_or_default();
                format!("{status}{}", death.words)
            }
        };
        let (id, tag) = (call.id, &call.tag);
        let event = format!("{}  {}  {}", call.event.time, call.event.name, call.event.id);
        line(out, format_args!("  {id:>6}  {event}  {tag:?}  {reason}"))?;
    }
    if page.next.is_some() {
        writeln!(out, "  … and more; --limit shows more of them")?;
    }
    Ok(())
}

impl Show {
    async fn run(self, context: &Context, out: &mut impl Write) -> anyhow::Result<Exit> {
        let door = self.data.door()?;
        let Some(call) = door.show(CallId(self.id)).await? else {
            let _ = writeln!(
                io::stderr(),
                "tidegate: there is no call {}: it was delivered, discarded, or never was",
                self.id
            );
            return Ok(Exit::FoundWrong);
        };
        if context.format == Format::Json {
            writeln!(out, "{}", serde_json::to_string_pretty(&call)?)?;
            return Ok(Exit::Fine);
        }
        call_text(out, &call)?;
        Ok(Exit::Fine)
    }
}

fn call_text(out: &mut impl Write, call: &StoredCall) -> anyhow::Result<()> {
    line(out, format_args!("call {} by {:?}", call.id, call.tag))?;
    line(out, format_args!("  to        {}", call.account))?;
    line(out, format_args!("  event     {}, id {}, of {}", call.event.name, call.event.id, call.event.time))?;
    line(out, format_args!("  hit       {}, accepted {}, container {}", call.hit, call.accepted, call.version))?;
    writeln!(out, "  attempts  {}", call.attempts)?;
    if let Some(death) = &call.death {
        let status = death.status.map(|status| format!("{status}: ")).unwrap_or_default();
        line(out, format_args!("  dead      since {}: {status}{}", death.at, death.words))?;
    }
    match &call.body {
        Some(body) => {
            let body: Value = serde_json::from_str(body)?;
            lines(out, &serde_json::to_string_pretty(&body)?)?;
        }
        None => writeln!(out, "  the body is gone: it was too old to be delivered")?,
    }
    Ok(())
}
