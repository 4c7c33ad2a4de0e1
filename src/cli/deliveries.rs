//! `tidegate deliveries`: what waits, what died, and what is to be done about it. Asks the server of the data folder, or
//! opens the store itself where no server runs.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    num::NonZeroUsize,
};

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
    time::{self, Timestamp},
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
    /// Forget dead letters for good; by their ids, pending calls too
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
    limit: NonZeroUsize,
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
    let ago = || time::length(text).map(|ago| Timestamp::now().minus(ago));
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
                Self::Retry(which) => which.run(context, &mut out, Deed::Retry).await,
                Self::Discard(which) => which.run(context, &mut out, Deed::Discard).await,
            }
        })
    }
}

/// What is done to the calls that are chosen.
#[derive(Clone, Copy)]
enum Deed {
    Retry,
    Discard,
}

impl Which {
    /// Says how many calls were meant and found. Ids that match nothing are worth an exit code.
    async fn run(self, context: &Context, out: &mut impl Write, deed: Deed) -> anyhow::Result<Exit> {
        let door = self.data.door()?;
        if let Some(exit) = no_such_account(&door, &self.filter).await? {
            return Ok(exit);
        }
        let ids: BTreeSet<u64> = self.ids.into_iter().collect();
        let meant = ids.len();
        let selection = if ids.is_empty() {
            Selection::Matching(self.filter.into_calls())
        } else {
            Selection::Ids(ids.into_iter().map(CallId).collect())
        };
        let (count, done, no_match) = match deed {
            Deed::Retry => {
                (door.retry(&selection).await?, "put back to be delivered", "no dead letter that can be sent")
            }
            Deed::Discard => (door.discard(&selection).await?, "discarded", "no call that waits or died"),
        };
        if context.format == Format::Json {
            writeln!(out, "{}", serde_json::json!({ "calls": count }))?;
        } else {
            writeln!(out, "{count} call{} {done}", if count == 1 { "" } else { "s" })?;
        }
        let missing = meant.saturating_sub(count);
        if missing == 0 {
            return Ok(Exit::Fine);
        }
        let name = if missing == 1 { "names" } else { "name" };
        let _ = writeln!(io::stderr(), "tidegate: {missing} of the ids {name} {no_match}");
        Ok(Exit::FoundWrong)
    }
}

/// Whoever names an account that is not there mistyped it, and must not take the silence for good news.
async fn no_such_account(door: &Door, filter: &Filter) -> anyhow::Result<Option<Exit>> {
    let Some(wanted) = &filter.account else { return Ok(None) };
    let accounts = door.accounts().await?;
    if accounts.iter().any(|known| known.account == *wanted) {
        return Ok(None);
    }
    let known: Vec<&str> = accounts.iter().map(|known| &*known.account).collect();
    let known = match &*known {
        [] => "no call waits, and none died".to_owned(),
        [only] => format!("there is: {only}"),
        several => format!("there are:\n  {}", several.join("\n  ")),
    };
    let _ = lines(&mut io::stderr(), &format!("tidegate: there is no account {wanted:?} here; {known}"));
    Ok(Some(Exit::FoundWrong))
}

impl List {
    async fn run(self, context: &Context, out: &mut impl Write) -> anyhow::Result<Exit> {
        let door = self.data.door()?;
        if let Some(exit) = no_such_account(&door, &self.filter).await? {
            return Ok(exit);
        }
        let accounts = door.accounts().await?;
        let state = match self.state {
            State::Dead => CallState::Dead,
            State::Pending => CallState::Pending,
        };
        let filter = self.filter.into_calls();
        let is_all = filter == CallFilter::default();
        let page = calls(&door, ListQuery { state, filter, after: None, limit: self.limit.get() }).await?;
        if context.format == Format::Json {
            let Page { calls, next } = &page;
            let more = next.is_some();
            let value = serde_json::json!({ "accounts": accounts, "calls": calls, "more": more });
            writeln!(out, "{}", serde_json::to_string_pretty(&value)?)?;
            return Ok(Exit::Fine);
        }
        accounts_text(out, &accounts)?;
        calls_text(out, state, &page, is_all)?;
        Ok(Exit::Fine)
    }
}

/// As many calls as were asked for: the store gives them in pages of its own size.
async fn calls(door: &Door, mut query: ListQuery) -> anyhow::Result<Page> {
    let mut calls = Vec::new();
    loop {
        let page = door.list(&query).await?;
        query.limit -= page.calls.len().min(query.limit);
        calls.extend(page.calls);
        query.after = page.next;
        if query.limit == 0 || query.after.is_none() {
            return Ok(Page { calls, next: query.after });
        }
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

fn calls_text(out: &mut impl Write, state: CallState, page: &Page, is_all: bool) -> io::Result<()> {
    let what = if state == CallState::Dead { "dead letters" } else { "pending calls" };
    if page.calls.is_empty() {
        return writeln!(out, "no {what}{}", if is_all { "" } else { " match" });
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
