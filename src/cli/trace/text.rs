//! A trace for people: takes what was processed, gives lines, each with a tone that becomes a colour on a terminal.

use crate::{
    consent::{ConsentSource, ConsentType, region::Whereabouts},
    event::IdOrigin,
    one_line::one_line,
    pipeline::Processed,
    trace::{Attention, EventTrace, Level, TagVerdict},
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
pub(super) fn lines(processed: &Processed) -> anyhow::Result<Vec<Line>> {
    let mut lines = Lines::default();
    let trace = &processed.trace;
    lines.add(Tone::Heading, &format!("hit {}, received {}, container {}", trace.hit, trace.received, trace.version));
    let decided = match &processed.result {
        Ok(decided) => decided,
        Err(bad) => {
            lines.add(Tone::Bad, &format!("refused: {bad}"));
            return Ok(lines.0);
        }
    };
    for event in &trace.events {
        lines.event(event);
    }
    for call in &decided.calls {
        lines.begin(Tone::Heading, &format!("call by {:?} to {}: {}", call.tag, call.account, call.event.name));
        let body: serde_json::Value = serde_json::from_str(&call.body)?;
        serde_json::to_string_pretty(&body)?.lines().for_each(|text| lines.add(Tone::Plain, text));
    }
    for cookie in &decided.cookies {
        lines.begin(Tone::Plain, &format!("Set-Cookie: {cookie}"));
    }
    if decided.calls.is_empty() {
        lines.begin(Tone::Plain, "no calls");
    }
    Ok(lines.0)
}

impl Lines {
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

    fn event(&mut self, event: &EventTrace) {
        let origin = match event.id.origin {
            IdOrigin::Site => "the site's",
            IdOrigin::Transaction => "the order's",
            IdOrigin::Derived => "made of the GA4 hit",
            IdOrigin::Generated => "generated, so not deduplicable",
        };
        let title = format!("event {:?}, id {} ({origin}), at {}", event.name, event.id.text, event.time);
        self.begin(Tone::Heading, &title);
        for note in &event.notes {
            self.add(Tone::Plain, &format!("  note: {note}"));
        }
        if event.attention == Attention::Bot {
            let why = "  bot: its user agent is a bot's, and this container ignores bots";
            return self.add(Tone::Waiting, why);
        }
        self.consent(event);
        if event.tags.is_empty() {
            self.add(Tone::Plain, "  no trigger looks at this event");
        }
        for tag in &event.tags {
            let mark = if matches!(tag.verdict, TagVerdict::Ran { .. }) { "+" } else { "-" };
            self.add(Tone::of(&tag.verdict), &format!("  {mark} {}{}: {}", tag.tag, tag.part, tag.verdict));
            for note in &tag.notes {
                let label = if note.level == Level::Debug { "note" } else { note.level.name() };
                self.add(Tone::Plain, &format!("      {label}: {note}"));
            }
        }
        if event.untold > 0 {
            self.add(Tone::Faint, &format!("  - and up to {} more tags did not fire", event.untold));
        }
    }
}
