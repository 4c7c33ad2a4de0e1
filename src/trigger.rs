//! Triggers: conditions that choose tags, or, as exceptions, keep them from firing.
//!
//! Takes a [`Moment`]; gives a verdict that keeps the value it found. Compiled when the container loads and
//! [indexed](index), so that an event meets only the triggers that can match it.

use std::sync::Arc;

use regex::Regex;

use crate::{trace::Found, variable::Moment};

pub mod choice;
pub mod condition;
pub mod index;
mod need;
mod prefilter;
pub mod sample;

use condition::Condition;
use sample::{Sample, SampledOut};

/// A trigger, compiled.
#[derive(Debug)]
pub struct Trigger {
    pub name: Arc<str>,
    pub events: EventMatch,
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    /// Of the events for which they do, those of a share of the visitors.
    pub sample: Option<Sample>,
}

/// Which events a trigger looks at.
#[derive(Debug)]
pub enum EventMatch {
    All,
    /// Exactly these names.
    Names(Vec<Arc<str>>),
    /// Names in which the pattern is found.
    Pattern(Regex),
}

/// What a trigger said of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum TriggerVerdict {
    Matched,
    /// It looks at other events.
    OtherEvent,
    /// The first condition that did not hold, and the value it found.
    Failed {
        condition: Arc<str>,
        found: Found,
    },
    /// All conditions hold, but the visitor is not among those that were asked for.
    SampledOut(SampledOut),
}

impl Trigger {
    /// Whether it looks at events of this name.
    pub fn looks_at(&self, name: &str) -> bool {
        self.events.covers(name)
    }

    pub fn matches(&self, moment: &Moment<'_>) -> bool {
        self.events.covers(&moment.event.name) && self.holds(moment)
    }

    /// Of an event that it looks at.
    fn holds(&self, moment: &Moment<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(moment))
            && self.sample.as_ref().is_none_or(|sample| sample.lets_in(moment))
    }

    /// Whether it matches, and if not, why.
    pub fn decide(&self, moment: &Moment<'_>) -> TriggerVerdict {
        if !self.events.covers(&moment.event.name) {
            return TriggerVerdict::OtherEvent;
        }
        if let Some((condition, found)) = self.conditions.iter().find_map(|condition| condition.failure(moment)) {
            return TriggerVerdict::Failed { condition, found };
        }
        let left_out = self.sample.as_ref().and_then(|sample| sample.leaves_out(moment));
        left_out.map_or(TriggerVerdict::Matched, TriggerVerdict::SampledOut)
    }
}

impl EventMatch {
    pub fn covers(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Names(names) => names.iter().any(|own| **own == *name),
            Self::Pattern(pattern) => pattern.is_match(name),
        }
    }
}

/// A trigger's place in its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TriggerIndex(pub usize);

#[cfg(test)]
mod tests;
