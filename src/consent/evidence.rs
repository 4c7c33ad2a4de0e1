//! The evidence for one event: every signal that it arrived with, and what follows from all of them.
//!
//! For each type: what the hit says explicitly decides; else the strictest known answer among the signals; else the
//! region's default; else the container's; else it is unknown. Signals that opt out come last, and can only deny.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Serialize, ser::SerializeMap};
use smallvec::SmallVec;

use super::{
    Answer, Choice, ConsentSource, ConsentState, ConsentStatus, ConsentType, ConsentTypes, Statement, Unreadable,
    region::Whereabouts, settings::Recipients, source::Sources, tcf::VendorId,
};

/// A signal that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    pub source: ConsentSource,
    pub said: Said,
    /// The variable's name, if that is what it is.
    pub variable: Option<Arc<str>>,
    /// Counts from 0 what comes more than once: a signal by two names, a repeated parameter or cookie.
    pub turn: u8,
}

/// What a signal said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Types(Statement),
    /// A TCF string: what it says whoever receives the data, and the types that it grants to the vendors it permits.
    Tcf {
        denied: Statement,
        open: ConsentTypes,
    },
    Unreadable(Unreadable),
    /// The container's `consent.sources` leave it out.
    LeftOut,
    /// A TCF string where the GDPR does not apply.
    NoGdpr,
}

/// Everything that is known about consent for one event.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    pub signals: SmallVec<[Signal; 2]>,
    /// What the TCF string grants each vendor that tags of this container send to.
    pub(super) vendors: SmallVec<[(VendorId, Statement); 1]>,
    /// What holds where no signal spoke.
    pub(super) defaults: [Answer; 7],
    pub whereabouts: Whereabouts,
    pub choice: Choice,
    /// The signals that are listened for.
    pub(super) read: Sources,
}

impl Evidence {
    /// What the visitor allowed to whoever receives the data.
    pub fn state(&self, recipients: &Recipients) -> ConsentState {
        let mut state = ConsentState { choice: self.choice, ..ConsentState::default() };
        // What is assumed, and what the hit says, stands first, and most hits say all there is to say.
        let explicit = |kind| {
            let mut signals = self.signals.iter().take_while(|signal| signal.source.is_explicit());
            signals.find_map(|signal| match signal.said.in_general(kind) {
                ConsentStatus::Unknown => None,
                status => Some(Answer { status, source: signal.source }),
            })
        };
        let has_opt_out = self.signals.iter().any(|signal| signal.source.is_opt_out());
        for kind in ConsentType::ALL {
            let answer = explicit(kind).unwrap_or_else(|| self.implied(kind, recipients));
            let answer = if has_opt_out { self.opted_out(kind, answer, self.choice) } else { answer };
            state.answers[kind as usize] = answer;
        }
        state
    }

    /// What the visitor had allowed when the event was first sent, before there was an answer: what the page said then,
    /// else the defaults. Signals are those of now, and prove nothing of then.
    pub fn state_then(&self, then: &Statement) -> ConsentState {
        let mut state = ConsentState { choice: Choice::NotMade(ConsentSource::Hit), ..ConsentState::default() };
        for kind in ConsentType::ALL {
            let answer = match then.get(kind) {
                ConsentStatus::Unknown => self.defaults[kind as usize],
                status => Answer { status, source: ConsentSource::Hit },
            };
            state.answers[kind as usize] = self.opted_out(kind, answer, state.choice);
        }
        state
    }

    /// Whether what a tag may do can depend on who receives its data.
    pub fn depends_on_recipients(&self) -> bool {
        !self.vendors.is_empty()
    }

    /// The signals that say another thing of a type than what was decided, whether they were outweighed or overruled.
    pub fn against(&self, kind: ConsentType, decided: Answer) -> impl Iterator<Item = &Signal> {
        let says = move |signal: &Signal| signal.said.in_general(kind);
        let is_update = |signal: &&Signal| signal.source == ConsentSource::GcdUpdate;
        let updated =
            self.signals.iter().filter(is_update).filter(move |signal| says(signal) != ConsentStatus::Unknown);
        self.signals.iter().filter(move |signal| {
            let is_past =
                signal.source == ConsentSource::GcdDefault && updated.clone().any(|update| update.turn == signal.turn);
            !is_past && says(signal) != ConsentStatus::Unknown && says(signal) != decided.status
        })
    }

    /// The signals that were listened for and did not come.
    pub fn not_received(&self) -> impl Iterator<Item = ConsentSource> {
        let received: Sources = self.signals.iter().map(|signal| signal.source).collect();
        ConsentSource::SIGNALS
            .into_iter()
            .filter(move |source| self.read.contains(*source) && !received.contains(*source))
    }

    /// What follows for a type of which the hit itself says nothing.
    fn implied(&self, kind: ConsentType, recipients: &Recipients) -> Answer {
        let mut best = Answer::default();
        let mut gcd_spoke = None;
        for signal in self.signals.iter().filter(|signal| !signal.source.is_opt_out()) {
            let status = self.said_to(signal, kind, recipients);
            let source = signal.source;
            if status == ConsentStatus::Unknown {
                continue;
            }
            // Its update comes before its default, and that before what nobody set.
            if source.signal() == ConsentSource::Gcd && gcd_spoke.replace(signal.turn) == Some(signal.turn) {
                continue;
            }
            let is_stricter = match (best.status, status) {
                (ConsentStatus::Unknown, _) | (ConsentStatus::Granted, ConsentStatus::Denied) => true,
                // Behind a default of the site may stand the visitor's own refusal, and that has further effects.
                (ConsentStatus::Denied, ConsentStatus::Denied) => {
                    source.is_the_visitors() && !best.source.is_the_visitors()
                }
                _ => false,
            };
            if is_stricter {
                best = Answer { status, source };
            }
        }
        if best.status == ConsentStatus::Unknown {
            best = self.defaults[kind as usize];
        }
        if best.status == ConsentStatus::Unknown && self.signals.iter().any(|signal| signal.said.is_open(kind)) {
            best.source = ConsentSource::Tcf;
        }
        best
    }

    fn said_to(&self, signal: &Signal, kind: ConsentType, recipients: &Recipients) -> ConsentStatus {
        match (&signal.said, recipients) {
            (Said::Tcf { open, .. }, Recipients::Vendors(ids)) if open.contains(kind) => {
                let said =
                    |id: &VendorId| self.vendors.iter().find(|(known, _)| known == id).map(|(_, said)| said.get(kind));
                ids.iter().map(|id| said(id).unwrap_or_default()).reduce(ConsentStatus::strictest).unwrap_or_default()
            }
            (said, _) => said.in_general(kind),
        }
    }

    /// The answer after signals that opt out. One that is refused already stays, so that its own reason is told.
    fn opted_out(&self, kind: ConsentType, answer: Answer, choice: Choice) -> Answer {
        let denies =
            |signal: &&Signal| signal.source.is_opt_out() && signal.said.in_general(kind) == ConsentStatus::Denied;
        let Some(signal) = self.signals.iter().find(denies) else { return answer };
        let mut alone = ConsentState { choice, ..ConsentState::default() };
        alone.answers[kind as usize] = answer;
        if alone.is_refused(kind) { answer } else { Answer { status: ConsentStatus::Denied, source: signal.source } }
    }
}

impl Said {
    /// What it says of a type whoever receives the data.
    pub fn in_general(&self, kind: ConsentType) -> ConsentStatus {
        match self {
            Self::Types(said) | Self::Tcf { denied: said, .. } => said.get(kind),
            Self::Unreadable(_) | Self::LeftOut | Self::NoGdpr => ConsentStatus::Unknown,
        }
    }

    fn is_open(&self, kind: ConsentType) -> bool {
        matches!(self, Self::Tcf { open, .. } if open.contains(kind))
    }
}

/// `choice`, `region`, `signals`, `not_received`, and for each disputed type the signals that say another thing.
impl Serialize for Evidence {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let state = self.state(&Recipients::Unregistered);
        let against = |kind| self.against(kind, state.answer(kind)).map(|signal| signal.source).collect::<Vec<_>>();
        let disputed = ConsentType::ALL.into_iter().map(|kind| (kind, against(kind)));
        let disputed: BTreeMap<_, _> = disputed.filter(|(_, against)| !against.is_empty()).collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("choice", &self.choice)?;
        map.serialize_entry("region", &self.whereabouts)?;
        map.serialize_entry("signals", self.signals.as_slice())?;
        map.serialize_entry("not_received", &self.not_received().collect::<Vec<_>>())?;
        map.serialize_entry("disputed", &disputed)?;
        map.end()
    }
}

/// One line: "update in gcd: `ad_storage` granted, …".
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.variable {
            Some(name) => write!(f, "variable {name:?}")?,
            None if self.source == ConsentSource::Hit => f.write_str(self.source.name())?,
            None => f.write_str(self.source.phrase())?,
        }
        f.write_str(if self.turn == 0 { ": " } else { ", which came again: " })?;
        let said = match &self.said {
            Said::Types(said) => said,
            Said::Tcf { denied, open } => {
                let mut lead = "";
                for kind in open.iter() {
                    write!(f, "{lead}{kind}")?;
                    lead = ", ";
                }
                if !open.is_empty() {
                    f.write_str(" granted to the vendors that it permits")?;
                    if !denied.is_silent() {
                        f.write_str("; ")?;
                    }
                }
                denied
            }
            Said::Unreadable(fault) => return write!(f, "unreadable, {fault}"),
            Said::LeftOut => return f.write_str("received, not read: consent.sources leave it out"),
            Said::NoGdpr => return f.write_str("received, not applied: the hit says that the GDPR does not apply"),
        };
        for (position, (kind, status)) in said.known().enumerate() {
            write!(f, "{}{kind} {}", if position == 0 { "" } else { ", " }, status.word())?;
        }
        if said.is_silent() && !matches!(self.said, Said::Tcf { .. }) {
            f.write_str("says nothing of any type")?;
        }
        Ok(())
    }
}

impl Serialize for Signal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("source", &self.source)?;
        if let Some(name) = &self.variable {
            map.serialize_entry("variable", name)?;
        }
        if self.turn > 0 {
            map.serialize_entry("turn", &self.turn)?;
        }
        match &self.said {
            Said::Types(said) => map.serialize_entry("says", said)?,
            Said::Tcf { denied, open } => {
                map.serialize_entry("says", denied)?;
                map.serialize_entry("grants_to_permitted_vendors", open)?;
            }
            Said::Unreadable(fault) => map.serialize_entry("unreadable", fault)?,
            Said::LeftOut => map.serialize_entry("not_read", "left_out")?,
            Said::NoGdpr => map.serialize_entry("not_read", "no_gdpr")?,
        }
        map.end()
    }
}

#[cfg(test)]
mod tests;
