//! A trace for people: takes a hit and what was decided about it, gives lines, each with a tone that becomes a colour on a
//! terminal. One sentence for each tag comes first, then what it rests on: request, event, consent, tags with what each
//! condition found, variables, and what goes out.

use super::{Followed, request::FORMS};
use crate::{
    consent::{ConsentSource, ConsentType, region::Whereabouts},
    error::Refusal,
    event::IdOrigin,
    hit::{Hit, Through},
    one_line::one_line,
    pipeline::Decided,
    trace::{
        Attention, ClientVerdict, EventTrace, Found, Level, TagTrace, TagVerdict, Trace,
        closeup::{Closeup, ConditionSight, TagSight, TriggerSight},
    },
};

/// What a line says to whoever skims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Heading,
    /// Something ran.
    Good,
    /// Something waits or lacks consent.
    Waiting,
    /// Something failed or was refused.
    Bad,
    /// Seldom looked for.
    Faint,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub tone: Tone,
    pub text: String,
}

impl Tone {
    /// As the terminal has it.
    pub fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Heading => Some("1"),
            Self::Good => Some("32"),
            Self::Waiting => Some("33"),
            Self::Bad => Some("31"),
            Self::Faint => Some("2"),
        }
    }

    fn of(verdict: &TagVerdict) -> Self {
        match verdict {
            TagVerdict::Ran { .. } => Self::Good,
            TagVerdict::Failed { .. } | TagVerdict::SetupFailed { .. } => Self::Bad,
            TagVerdict::Held { .. } | TagVerdict::Blocked { .. } | TagVerdict::Awaited => Self::Waiting,
            TagVerdict::NotTriggered { .. }
            | TagVerdict::SampledOut { .. }
            | TagVerdict::Excepted { .. }
            | TagVerdict::Paused
            | TagVerdict::Inactive { .. }
            | TagVerdict::NoCleanup { .. }
            | TagVerdict::Settled { .. }
            | TagVerdict::Skipped { .. } => Self::Plain,
        }
    }
}

#[derive(Default)]
struct Lines(Vec<Line>);

impl Lines {
    /// One line, whatever the hit brought.
    fn add(&mut self, tone: Tone, text: &str) {
        self.0.push(Line { tone, text: one_line(text).into_owned() });
    }

    /// The same after an empty line.
    fn begin(&mut self, tone: Tone, text: &str) {
        self.add(Tone::Plain, "");
        self.add(tone, text);
    }
}

/// The whole of it.
pub(super) fn lines(followed: &Followed) -> anyhow::Result<Vec<Line>> {
    let mut lines = Lines::default();
    let trace = &followed.processed.trace;
    let decided = match &followed.processed.result {
        Ok(decided) => decided,
        Err(bad) => {
            lines.add(Tone::Bad, &format!("refused: {bad}"));
            if bad.field.is_empty() && !followed.hit.body.trim_ascii_start().starts_with(b"{") {
                lines.add(Tone::Plain, FORMS);
            }
            lines.request(&followed.hit, trace);
            return Ok(lines.0);
        }
    };
    let events = || trace.events.iter().zip(&followed.closeups);
    for (event, closeup) in events() {
        lines.summary(event, closeup.as_ref());
    }
    lines.request(&followed.hit, trace);
    for (event, closeup) in events() {
        lines.event(event, closeup.as_ref());
    }
    lines.outgoing(decided)?;
    Ok(lines.0)
}

/// A request that the server refuses before it reads a hit.
pub(super) fn refused(refusal: &Refusal) -> Line {
    Line { tone: Tone::Bad, text: one_line(&format!("refused: {}", refusal.message())).into_owned() }
}

const YES: &str = "✓";
const NO: &str = "✗";

fn mark(yes: bool) -> &'static str {
    if yes { YES } else { NO }
}

impl Lines {
    /// One sentence for each tag.
    fn summary(&mut self, event: &EventTrace, closeup: Option<&Closeup>) {
        if !self.0.is_empty() {
            self.add(Tone::Plain, "");
        }
        let ran = event.tags.iter().filter(|tag| matches!(tag.verdict, TagVerdict::Ran { .. })).count();
        let tags = event.tags.len() + event.untold;
        let told = match (event.attention, tags) {
            (Attention::Bot, _) => "ignored: its user agent is a bot's, and this container ignores bots".to_owned(),
            (Attention::Full, 0) => "no trigger looks at this event".to_owned(),
            (Attention::Full, 1) => format!("{ran} of 1 tag ran"),
            (Attention::Full, _) => format!("{ran} of {tags} tags ran"),
        };
        let meant = closeup.and_then(|closeup| closeup.meant.as_deref());
        let meant = meant.map_or(String::new(), |meant| format!("; {meant}"));
        let id = match event.id.origin {
            IdOrigin::Site | IdOrigin::Transaction => format!(", id {}", event.id.text),
            IdOrigin::Derived | IdOrigin::Generated => String::new(),
        };
        self.add(Tone::Heading, &format!("{}{id}: {told}{meant}", event.name));
        for tag in &event.tags {
            let ran = matches!(tag.verdict, TagVerdict::Ran { .. });
            self.add(Tone::of(&tag.verdict), &format!("  {} {}", mark(ran), sentence(tag)));
        }
        if event.untold > 0 {
            self.add(Tone::Faint, &format!("  {NO} and up to {} more tags did not fire", event.untold));
        }
    }

    /// What arrived. Names alone: values are the visitor's.
    fn request(&mut self, hit: &Hit, trace: &Trace) {
        let (ClientVerdict::Claimed { client } | ClientVerdict::Refused { client, .. }) = &trace.client;
        self.begin(Tone::Heading, "Request");
        let through = match hit.through {
            Through::ServerWithKey => ", by a server with a write key",
            Through::TrustedProxy | Through::Strangers => "",
        };
        self.add(Tone::Plain, &format!("  {} {} to {}, read as {client}{through}", hit.method, hit.path, hit.host));
        self.add(Tone::Plain, &format!("  hit {}, received {}", trace.hit, trace.received));
        self.add(Tone::Plain, &format!("  container {}", trace.version));
        let cookie = http::header::COOKIE;
        let headers: Vec<_> = hit.headers.keys().filter(|name| **name != cookie).map(|name| name.as_str()).collect();
        self.list("headers", &headers);
        let cookies = hit.headers.get_all(cookie).iter().filter_map(|header| header.to_str().ok());
        let names: Vec<_> = cookies
            .flat_map(|header| header.split(';'))
            .filter_map(|cookie| Some(cookie.split_once('=')?.0.trim()))
            .collect();
        self.list("cookies", &names);
    }

    fn list(&mut self, what: &str, names: &[&str]) {
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        self.add(Tone::Plain, &format!("  {what}: {names}"));
    }

    fn event(&mut self, event: &EventTrace, closeup: Option<&Closeup>) {
        let origin = match event.id.origin {
            IdOrigin::Site => "the site's",
            IdOrigin::Transaction => "the order's",
            IdOrigin::Derived => "made of the GA4 hit",
            IdOrigin::Generated => "generated, so not deduplicable",
        };
        let title = format!("Event {:?}, id {} ({origin}), at {}", event.name, event.id.text, event.time);
        self.begin(Tone::Heading, &title);
        for note in &event.notes {
            self.add(Tone::Plain, &format!("  note: {note}"));
        }
        let Some(closeup) = closeup else { return };
        for seen in &closeup.data {
            self.value(&seen.name, &seen.found);
        }
        if closeup.more_data > 0 {
            self.add(Tone::Faint, &format!("  and {} more values", closeup.more_data));
        }
        self.begin(Tone::Heading, "Consent");
        self.consent(event);
        if !event.tags.is_empty() {
            self.begin(Tone::Heading, "Tags");
        }
        for tag in &event.tags {
            self.tag(tag, closeup.tag(&tag.tag));
        }
        if !closeup.variables.is_empty() {
            self.begin(Tone::Heading, "Variables");
            for seen in &closeup.variables {
                self.value(&seen.name, &seen.found);
            }
        }
    }

    fn value(&mut self, name: &str, found: &Found) {
        let tone = if matches!(found, Found::Text(_) | Found::Json(_)) { Tone::Plain } else { Tone::Faint };
        self.add(tone, &format!("  {name}: {found}"));
    }

    /// What was decided about consent, from which signals, and which did not come: "not received" is not "denied".
    fn consent(&mut self, event: &EventTrace) {
        let EventTrace { consent, evidence, .. } = event;
        for kind in ConsentType::ALL {
            let answer = consent.answer(kind);
            let against: Vec<_> = evidence.against(kind, answer).map(|signal| signal.source.phrase()).collect();
            let against = if against.is_empty() { String::new() } else { format!(", against {}", against.join(", ")) };
            self.add(Tone::Plain, &format!("  {kind}: {answer}{against}"));
        }
        self.add(Tone::Plain, &format!("  the visitor {}", evidence.choice));
        let by_region =
            |kind| matches!(consent.answer(kind).source, ConsentSource::PageDefault | ConsentSource::RegionDefault);
        if evidence.whereabouts != Whereabouts::NotAsked || ConsentType::ALL.into_iter().any(by_region) {
            self.add(Tone::Plain, &format!("  region: {}", evidence.whereabouts));
        }
        for signal in &evidence.signals {
            self.add(Tone::Plain, &format!("  signal {signal}"));
        }
        let absent: Vec<_> = evidence.not_received().map(ConsentSource::name).collect();
        if !absent.is_empty() {
            self.add(Tone::Faint, &format!("  not received: {}", absent.join(", ")));
        }
    }

    /// What a tag's triggers found, and what its script remarked.
    fn tag(&mut self, tag: &TagTrace, sight: Option<&TagSight>) {
        let ran = matches!(tag.verdict, TagVerdict::Ran { .. });
        self.add(Tone::of(&tag.verdict), &format!("  {} {}{}", mark(ran), tag.tag, tag.part));
        if let Some(TagSight { triggers, exceptions, .. }) = sight {
            triggers.iter().for_each(|trigger| self.trigger("trigger", trigger));
            exceptions.iter().for_each(|trigger| self.trigger("exception", trigger));
        }
        for note in &tag.notes {
            let label = if note.level == Level::Debug { "note" } else { note.level.name() };
            self.add(Tone::Plain, &format!("      {label}: {note}"));
        }
    }

    fn trigger(&mut self, what: &str, sight: &TriggerSight) {
        let TriggerSight { trigger, matched, conditions, sampled_out } = sight;
        let asks = if conditions.is_empty() && *matched { ": any event of this name" } else { "" };
        self.add(Tone::Plain, &format!("      {} {what} {trigger:?}{asks}", mark(*matched)));
        conditions.iter().for_each(|condition| self.condition(8, condition));
        if let Some(why) = sampled_out {
            self.add(Tone::Plain, &format!("        {NO} sampled out: {why}"));
        }
    }

    fn condition(&mut self, indent: usize, sight: &ConditionSight) {
        let ConditionSight { condition, held, found, of } = sight;
        let found = found.as_ref().map_or(String::new(), |found| format!(", found {found}"));
        self.add(Tone::Plain, &format!("{:indent$}{} {condition}{found}", "", mark(*held)));
        of.iter().for_each(|condition| self.condition(indent + 2, condition));
    }

    fn outgoing(&mut self, decided: &Decided) -> anyhow::Result<()> {
        self.begin(Tone::Heading, "Outgoing (nothing is sent from here)");
        for call in &decided.calls {
            self.add(Tone::Heading, &format!("  {} by {:?} to {}", call.event.name, call.tag, call.account));
            let body: serde_json::Value = serde_json::from_str(&call.body)?;
            let body = serde_json::to_string_pretty(&body)?;
            body.lines().for_each(|text| self.add(Tone::Plain, &format!("  {text}")));
        }
        for cookie in &decided.cookies {
            self.add(Tone::Plain, &format!("  Set-Cookie: {cookie}"));
        }
        if decided.calls.is_empty() {
            self.add(Tone::Plain, "  no calls");
        }
        Ok(())
    }
}

/// What became of a tag.
fn sentence(tag: &TagTrace) -> String {
    let (name, part, verdict) = (&tag.tag, &tag.part, &tag.verdict);
    let told = verdict.to_string();
    let words = match verdict {
        // The verb is the verdict's own.
        TagVerdict::Ran { .. } | TagVerdict::Failed { .. } => told,
        TagVerdict::Held { .. } => format!("waits: {told}"),
        TagVerdict::Awaited => format!("waits: it {told}"),
        _ => format!("did not fire: {}", told.strip_prefix("not triggered: ").unwrap_or(&told)),
    };
    format!("{name}{part} {words}")
}
