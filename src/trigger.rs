//! Triggers: conditions that choose tags, or, as exceptions, keep them from firing.
//!
//! Takes a [`Moment`]; gives a verdict that keeps the value it found. Compiled when the container loads and indexed by
//! event name, so that an event meets only the triggers that can match it.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use regex::Regex;
use serde::Serialize;
use serde_json::Value;

use crate::{
    event,
    trace::{Found, Sensitivity},
    variable::{Moment, VariableIndex},
};

pub mod choice;

/// A trigger, compiled.
#[derive(Debug)]
pub struct Trigger {
    pub name: Arc<str>,
    pub events: EventMatch,
    /// All of them must hold.
    pub conditions: Vec<Condition>,
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

/// A test of one value, or of several.
#[derive(Debug)]
pub enum Condition {
    Test(Test),
    /// At least one must hold; never empty.
    Any(Vec<Condition>),
    /// All must hold; never empty.
    All(Vec<Condition>),
}

#[derive(Debug)]
pub struct Test {
    pub subject: Subject,
    pub operator: Operator,
    pub sense: Sense,
    /// As the rules wrote it, for traces: `value greater_than 100`.
    pub text: Arc<str>,
}

/// What a test looks at.
#[derive(Debug)]
pub enum Subject {
    Variable(VariableIndex),
    /// The event's data at a dotted path.
    EventData(Box<str>),
}

/// Whether the test must hold or must fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sense {
    Is,
    IsNot,
}

/// GTM's operators. Texts compare by case unless the rules said otherwise, in which case both sides are lower-case
/// here. An absent value satisfies none of them, and so satisfies every negated one.
#[derive(Debug)]
pub enum Operator {
    Equals(Operand),
    /// Equal to one of these.
    In(Vec<Operand>),
    Contains(Needle),
    StartsWith(Needle),
    EndsWith(Needle),
    /// Found anywhere in the text.
    Matches(Regex),
    LessThan(f64),
    LessOrEqual(f64),
    GreaterThan(f64),
    GreaterOrEqual(f64),
    /// There is a value, even an empty one.
    Defined,
}

/// What a value is compared with. A number equals every way of writing it; a text equals itself.
#[derive(Debug)]
pub struct Operand {
    pub text: Needle,
    pub number: Option<Number>,
}

/// A number to be equal to. Whole ones are kept exactly: ids have more digits than a float tells apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Whole(i128),
    Fraction(f64),
}

#[derive(Debug)]
pub struct Needle {
    pub text: Box<str>,
    pub case: Case,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    Sensitive,
    /// The needle is lower-case already.
    Ignored,
}

/// What a trigger said of an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum TriggerVerdict {
    Matched,
    /// It looks at other events.
    OtherEvent,
    /// The first condition that did not hold, and the value it found.
    Failed {
        condition: Arc<str>,
        found: Found,
    },
}

impl Trigger {
    pub fn decide(&self, moment: &Moment<'_>) -> TriggerVerdict {
        if !self.events.covers(&moment.event.name) {
            return TriggerVerdict::OtherEvent;
        }
        match self.conditions.iter().find_map(|condition| condition.failure(moment)) {
            None => TriggerVerdict::Matched,
            Some((condition, found)) => TriggerVerdict::Failed { condition: condition.into(), found },
        }
    }
}

impl EventMatch {
    fn covers(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Names(names) => names.iter().any(|own| **own == *name),
            Self::Pattern(pattern) => pattern.is_match(name),
        }
    }
}

impl Condition {
    /// What this condition wanted, as the rules wrote it, and the value that made it fail; `None` if it holds.
    fn failure(&self, moment: &Moment<'_>) -> Option<(Cow<'_, str>, Found)> {
        match self {
            Self::Test(test) => test.failure(moment).map(|found| (Cow::Borrowed(&*test.text), found)),
            Self::All(conditions) => conditions.iter().find_map(|condition| condition.failure(moment)),
            Self::Any(conditions) => {
                let failures = conditions.iter().map(|condition| condition.failure(moment));
                let failures: Vec<_> = failures.collect::<Option<_>>()?;
                let wanted: Vec<_> = failures.iter().map(|(wanted, _)| &**wanted).collect();
                let wanted = Cow::Owned(format!("any of ({})", wanted.join("; ")));
                failures.into_iter().next().map(|(_, found)| (wanted, found))
            }
        }
    }
}

impl Test {
    fn failure(&self, moment: &Moment<'_>) -> Option<Found> {
        let (value, sensitivity) = self.subject.look(moment);
        let holds = value.as_deref().is_some_and(|value| self.operator.holds(value));
        if holds == (self.sense == Sense::Is) {
            return None;
        }
        Some(Found::new(value.as_deref(), sensitivity))
    }
}

impl Subject {
    fn look<'m>(&'m self, moment: &'m Moment<'_>) -> (Option<Cow<'m, Value>>, Sensitivity) {
        match self {
            Self::Variable(index) => {
                let value = moment.variable(*index);
                let sensitivity =
                    moment.container.variables.get(index.0).map_or(Sensitivity::Personal, |v| v.sensitivity);
                ((!value.is_null()).then_some(Cow::Borrowed(value)), sensitivity)
            }
            Self::EventData(path) => (moment.event.get(path), Sensitivity::of_event_data(path)),
        }
    }
}

impl Operator {
    fn holds(&self, value: &Value) -> bool {
        let Some(text) = event::to_text(value) else { return false };
        match self {
            Self::Equals(operand) => operand.equals(&text),
            Self::In(operands) => operands.iter().any(|operand| operand.equals(&text)),
            Self::Contains(needle) => needle.within(&text, |text, needle| text.contains(needle)),
            Self::StartsWith(needle) => needle.within(&text, |text, needle| text.starts_with(needle)),
            Self::EndsWith(needle) => needle.within(&text, |text, needle| text.ends_with(needle)),
            Self::Matches(pattern) => pattern.is_match(&text),
            Self::LessThan(bound) => number(&text).is_some_and(|number| number < *bound),
            Self::LessOrEqual(bound) => number(&text).is_some_and(|number| number <= *bound),
            Self::GreaterThan(bound) => number(&text).is_some_and(|number| number > *bound),
            Self::GreaterOrEqual(bound) => number(&text).is_some_and(|number| number >= *bound),
            Self::Defined => true,
        }
    }
}

impl Number {
    /// Reads `10`, `10.0` and `1e1` alike, spaces around them forgiven; `None` if it is not a finite number.
    pub fn parse(text: &str) -> Option<Self> {
        /// Below this every whole float fits.
        const LIMIT: f64 = 1e38;
        if let Ok(whole) = text.trim().parse() {
            return Some(Self::Whole(whole));
        }
        let float = number(text)?;
        let is_whole = float.fract() == 0.0 && float.abs() < LIMIT;
        Some(if is_whole { Self::Whole(float as i128) } else { Self::Fraction(float) })
    }
}

impl Operand {
    pub fn equals(&self, text: &str) -> bool {
        match self.number {
            Some(wanted) => Number::parse(text) == Some(wanted),
            None => self.text.within(text, |text, needle| text == needle),
        }
    }
}

impl Needle {
    fn within(&self, text: &str, test: impl Fn(&str, &str) -> bool) -> bool {
        match self.case {
            Case::Sensitive => test(text, &self.text),
            Case::Ignored => test(&text.to_lowercase(), &self.text),
        }
    }
}

/// A text as a number, spaces around it forgiven; `None` (so no numeric comparison holds) if it is not a finite one.
fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// A trigger's place in its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TriggerIndex(pub usize);

/// Which triggers can match an event of a given name.
#[derive(Debug, Default)]
pub struct TriggerIndexByName {
    by_name: HashMap<Arc<str>, Vec<TriggerIndex>>,
    /// Triggers for all events and for patterns of names.
    any_name: Vec<TriggerIndex>,
}

impl TriggerIndexByName {
    pub fn new(triggers: &[Trigger]) -> Self {
        let mut index = Self::default();
        for (position, trigger) in triggers.iter().enumerate() {
            match &trigger.events {
                EventMatch::Names(names) => {
                    for name in names {
                        index.by_name.entry(Arc::clone(name)).or_default().push(TriggerIndex(position));
                    }
                }
                EventMatch::All | EventMatch::Pattern(_) => index.any_name.push(TriggerIndex(position)),
            }
        }
        index
    }

    /// The triggers that look at events of this name, or may.
    pub fn candidates(&self, event_name: &str) -> impl Iterator<Item = TriggerIndex> {
        self.by_name.get(event_name).into_iter().flatten().chain(&self.any_name).copied()
    }
}

#[cfg(test)]
mod tests;
