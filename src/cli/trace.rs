//! `tidegate trace`: one hit through the pipeline, decided by decided; sends nothing.

use std::{
    fs,
    io::{self, Read, Write},
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
};

use anyhow::Context as _;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use clap::Args;
use serde_json::{Value, json};

use super::{Context, Exit, Format, check, report};
use crate::{
    app::{self, monotonic_clock},
    client::Client,
    consent::{ConsentSource, ConsentType, region::Whereabouts},
    container::Container,
    hit::{Hit, Through},
    pipeline::{self, Processed, Surroundings},
    time::Timestamp,
    trace::{Attention, EventTrace, Level, TOLD_TO_PEOPLE, TagVerdict},
};

/// Follow one hit through the container and say what every stage decided; sends nothing
#[derive(Args, Debug)]
pub struct Trace {
    /// File with the body of POST /hit; - for standard input
    file: PathBuf,
    /// A header of the request, as NAME: VALUE; may be repeated
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The tagging host that was asked for
    #[arg(long, default_value = "localhost", value_name = "HOST")]
    host: String,
    /// The visitor's address
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    address: IpAddr,
    /// Further environment variables that the container may read
    #[arg(long, env = "TIDEGATE_ALLOW_ENV", value_name = "NAME", value_delimiter = ',')]
    allow_env: Vec<String>,
}

impl Trace {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<Exit> {
        let hit = self.hit()?;
        let loaded = check::load(context, &self.allow_env)?;
        let Some(container) = loaded.container else {
            report(&mut io::stderr().lock(), context.format, &loaded.diagnostics, &loaded.sources)?;
            anyhow::bail!("the container is broken: {}", loaded.diagnostics.summary());
        };
        let processed = process(&container, hit);
        let mut out = io::stdout().lock();
        match context.format {
            Format::Json => {
                serde_json::to_writer_pretty(&mut out, &as_json(&processed))?;
                writeln!(out)?;
            }
            Format::Text | Format::Github => as_text(&mut out, &processed)?,
        }
        let failed = |tag: &crate::trace::TagTrace| matches!(tag.verdict, TagVerdict::Failed { .. });
        let any_failed = processed.trace.events.iter().flat_map(|event| &event.tags).any(failed);
        Ok(if processed.result.is_err() || any_failed { Exit::FoundWrong } else { Exit::Fine })
    }

    fn hit(&self) -> anyhow::Result<Hit> {
        let mut body = Vec::new();
        if self.file.as_os_str() == "-" {
            io::stdin().lock().read_to_end(&mut body).context("cannot read standard input")?;
        } else {
            body = fs::read(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        }
        let mut headers = HeaderMap::new();
        for header in &self.headers {
            let (name, value) = header.split_once(':').with_context(|| format!("{header:?} is not NAME: VALUE"))?;
            let name = HeaderName::try_from(name.trim()).with_context(|| format!("{name:?} is no header name"))?;
            headers.append(name, HeaderValue::try_from(value.trim()).context("a header cannot have this value")?);
        }
        let received = Timestamp::now();
        Ok(Hit {
            id: app::hit_id(received),
            received,
            method: Method::POST,
            path: "/hit".into(),
            query: "".into(),
            headers,
            through: Through::TrustedProxy,
            address: Some(self.address),
            detail: crate::privacy::Detail::default(),
            host: self.host.to_ascii_lowercase().into(),
            body: body.into(),
        })
    }
}

fn process(container: &Container, hit: Hit) -> Processed {
    let surroundings = Surroundings {
        clock: monotonic_clock,
        new_id: &app::random_id,
        recent: None,
        told: TOLD_TO_PEOPLE,
        look: None,
    };
    pipeline::process(container, Client::DataLayer, &Arc::new(hit), surroundings)
}

/// The trace, with what the server would have done.
fn as_json(processed: &Processed) -> Value {
    let (calls, cookies) = match &processed.result {
        Ok(decided) => (decided.calls.as_slice(), decided.cookies.as_slice()),
        Err(_) => (&[][..], &[][..]),
    };
    let calls: Vec<_> = calls
        .iter()
        .map(|call| {
            let body: Value = serde_json::from_str(&call.body).unwrap_or(Value::Null);
            json!({ "tag": call.tag, "account": call.account, "event": call.event, "body": body })
        })
        .collect();
    json!({ "trace": processed.trace, "calls": calls, "cookies": cookies })
}

fn as_text(out: &mut impl Write, processed: &Processed) -> anyhow::Result<()> {
    let trace = &processed.trace;
    writeln!(out, "hit {}, received {}, container {}", trace.hit, trace.received, trace.version)?;
    let decided = match &processed.result {
        Ok(decided) => decided,
        Err(bad) => {
            writeln!(out, "refused: {bad}")?;
            return Ok(());
        }
    };
    for event in &trace.events {
        event_text(out, event)?;
    }
    for call in &decided.calls {
        writeln!(out, "\ncall by {:?} to {}: {}", call.tag, call.account, call.event.name)?;
        let body: Value = serde_json::from_str(&call.body)?;
        writeln!(out, "{}", serde_json::to_string_pretty(&body)?)?;
    }
    for cookie in &decided.cookies {
        writeln!(out, "\nSet-Cookie: {cookie}")?;
    }
    if decided.calls.is_empty() {
        writeln!(out, "\nno calls")?;
    }
    Ok(())
}

/// What was decided about consent, from which signals, and which did not come: "not received" is not "denied".
fn consent_text(out: &mut impl Write, event: &EventTrace) -> anyhow::Result<()> {
    let EventTrace { consent, evidence, .. } = event;
    for kind in ConsentType::ALL {
        let answer = consent.answer(kind);
        write!(out, "  {kind}: {answer}")?;
        let against: Vec<_> = evidence.against(kind, answer).map(|signal| signal.source.phrase()).collect();
        if !against.is_empty() {
            write!(out, ", against {}", against.join(", "))?;
        }
        writeln!(out)?;
    }
    writeln!(out, "  the visitor {}", evidence.choice)?;
    let by_region =
        |kind| matches!(consent.answer(kind).source, ConsentSource::PageDefault | ConsentSource::RegionDefault);
    if evidence.whereabouts != Whereabouts::NotAsked || ConsentType::ALL.into_iter().any(by_region) {
        writeln!(out, "  region: {}", evidence.whereabouts)?;
    }
    for signal in &evidence.signals {
        writeln!(out, "  signal {signal}")?;
    }
    let absent: Vec<_> = evidence.not_received().map(ConsentSource::name).collect();
    if !absent.is_empty() {
        writeln!(out, "  not received: {}", absent.join(", "))?;
    }
    Ok(())
}

fn event_text(out: &mut impl Write, event: &EventTrace) -> anyhow::Result<()> {
    let origin = match event.id.origin {
        crate::event::IdOrigin::Site => "the site's",
        crate::event::IdOrigin::Transaction => "the order's",
        crate::event::IdOrigin::Derived => "made of the GA4 hit",
        crate::event::IdOrigin::Generated => "generated, so not deduplicable",
    };
    writeln!(out, "\nevent {:?}, id {} ({origin}), at {}", event.name, event.id.text, event.time)?;
    for note in &event.notes {
        writeln!(out, "  note: {note}")?;
    }
    if event.attention == Attention::Bot {
        writeln!(out, "  bot: its user agent is a bot's, and this container ignores bots")?;
        return Ok(());
    }
    consent_text(out, event)?;
    if event.tags.is_empty() {
        writeln!(out, "  no trigger looks at this event")?;
    }
    for tag in &event.tags {
        let mark = if matches!(tag.verdict, TagVerdict::Ran { .. }) { "+" } else { "-" };
        writeln!(out, "  {mark} {}{}: {}", tag.tag, tag.part, tag.verdict)?;
        for note in &tag.notes {
            let label = if note.level == Level::Debug { "note" } else { note.level.name() };
            writeln!(out, "      {label}: {note}")?;
        }
    }
    if event.untold > 0 {
        writeln!(out, "  - and up to {} more tags did not fire", event.untold)?;
    }
    Ok(())
}
