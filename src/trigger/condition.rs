//! Conditions: tests of an event's values. Takes a [`Moment`]; says whether a condition holds, or what it wanted and the
//! value that it found instead.

use std::{borrow::Cow, sync::Arc};

use regex::Regex;
use serde_json::Value;

use crate::{
    event,
    trace::{Found, Sensitivity},
    variable::{Moment, Piece, ValueTemplate, VariableIndex},
};

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
    /// How texts are compared; a pattern knows by itself as well.
    pub case: Case,
    pub sense: Sense,
    /// As the rules wrote it, for traces: `value greater_than 100`.
    pub text: Arc<str>,
}

/// What a test looks at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    Variable(VariableIndex),
    /// The event's data at a dotted path.
    EventData {
        path: Box<str>,
        sensitivity: Sensitivity,
    },
}

/// Whether the test must hold or must fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sense {
    Is,
    IsNot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Case {
    Sensitive,
    /// What the rules compare with is lower-case already.
    Ignored,
}

/// GTM's operators. An absent value satisfies none of them, and so satisfies every negated one.
#[derive(Debug)]
pub enum Operator {
    Equals(Operand),
    /// Equal to one of these.
    In(Vec<Operand>),
    Contains(Operand),
    StartsWith(Operand),
    EndsWith(Operand),
    /// Found anywhere in the text.
    Matches(Regex),
    /// On this side of a number.
    Compares(Order, Bound),
    /// There is a value, even an empty one.
    Defined,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a value is compared with.
#[derive(Debug)]
pub enum Operand {
    Fixed(Wanted),
    /// Looked up for each event.
    Template(ValueTemplate),
}

/// A value as the rules wrote it. A number equals every way of writing it; a text equals itself.
#[derive(Debug)]
pub struct Wanted {
    pub text: Box<str>,
    pub number: Option<Number>,
}

/// The number that a value is held against.
#[derive(Debug)]
pub enum Bound {
    Fixed(f64),
    /// Looked up for each event; no comparison with what is no number holds.
    Template(ValueTemplate),
}

/// A number to be equal to. Whole ones are kept exactly: ids have more digits than a float tells apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Whole(i128),
    Fraction(f64),
}

impl Condition {
    pub fn holds(&self, moment: &Moment<'_>) -> bool {
        match self {
            Self::Test(test) => test.holds(moment),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(moment)),
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(moment)),
        }
    }

    /// Every test in it.
    pub fn tests(&self) -> Vec<&Test> {
        match self {
            Self::Test(test) => vec![test],
            Self::Any(conditions) | Self::All(conditions) => conditions.iter().flat_map(Self::tests).collect(),
        }
    }

    /// What this condition wanted, as the rules wrote it, and the value that made it fail; `None` if it holds.
    pub fn failure(&self, moment: &Moment<'_>) -> Option<(Arc<str>, Found)> {
        match self {
            Self::Test(test) if test.holds(moment) => None,
            Self::Test(test) => Some((test.wanted(moment), test.found(moment))),
            Self::All(conditions) => conditions.iter().find_map(|condition| condition.failure(moment)),
            Self::Any(conditions) => {
                let failures = conditions.iter().map(|condition| condition.failure(moment));
                let failures: Vec<_> = failures.collect::<Option<_>>()?;
                let wanted: Vec<_> = failures.iter().map(|(wanted, _)| &**wanted).collect();
                let wanted = format!("any of ({})", wanted.join("; ")).into();
                failures.into_iter().next().map(|(_, found)| (wanted, found))
            }
        }
    }
}

impl Test {
    pub fn holds(&self, moment: &Moment<'_>) -> bool {
        let is_met = match moment.recall() {
            None => self.is_met(moment),
            Some(recall) => recall.is_met(self, moment),
        };
        is_met == (self.sense == Sense::Is)
    }

    /// Whether the value is what the operator asks for, before a negation.
    pub fn is_met(&self, moment: &Moment<'_>) -> bool {
        let value = self.subject.value(moment);
        value.is_some_and(|value| self.operator.holds(&value, self.case, moment))
    }

    /// The value that it looks at, as a trace may hold it.
    pub fn found(&self, moment: &Moment<'_>) -> Found {
        let sensitivity = match &self.subject {
            Subject::Variable(index) => sensitivity_of(*index, moment),
            Subject::EventData { sensitivity, .. } => *sensitivity,
        };
        Found::new(self.subject.value(moment).as_deref(), sensitivity)
    }

    /// The test as the rules wrote it, with the values that were looked up for it.
    pub fn wanted(&self, moment: &Moment<'_>) -> Arc<str> {
        let found: Vec<_> = self.operator.templates().map(|template| found_in(template, moment).to_string()).collect();
        if found.is_empty() {
            return Arc::clone(&self.text);
        }
        format!("{} (which is {})", self.text, found.join(", ")).into()
    }
}

impl Subject {
    pub fn event_data(path: &str) -> Self {
        Self::EventData { path: path.into(), sensitivity: Sensitivity::of_event_data(path) }
    }

    /// The value; `None` if it is absent or null.
    pub fn value<'m>(&'m self, moment: &'m Moment<'_>) -> Option<Cow<'m, Value>> {
        match self {
            Self::Variable(index) => Some(Cow::Borrowed(moment.variable(*index))).filter(|value| !value.is_null()),
            Self::EventData { path, .. } => moment.find(path).filter(|value| !value.is_null()),
        }
    }
}

fn sensitivity_of(variable: VariableIndex, moment: &Moment<'_>) -> Sensitivity {
    moment.container.variables.get(variable.0).map_or(Sensitivity::Personal, |variable| variable.sensitivity)
}

fn found_in(template: &ValueTemplate, moment: &Moment<'_>) -> Found {
    let variables = match template {
        ValueTemplate::Fixed(_) => &[][..],
        ValueTemplate::Variable(index) => &[*index][..],
        ValueTemplate::Text(pieces) => {
            let indexes = pieces.iter().filter_map(|piece| match piece {
                Piece::Variable(index) => Some(*index),
                Piece::Text(_) => None,
            });
            &indexes.collect::<Vec<_>>()[..]
        }
    };
    let is_personal = variables.iter().any(|index| sensitivity_of(*index, moment) == Sensitivity::Personal);
    let sensitivity = if is_personal { Sensitivity::Personal } else { Sensitivity::Public };
    Found::new(Some(&*moment.fill(template)), sensitivity)
}

impl Operator {
    fn holds(&self, value: &Value, case: Case, moment: &Moment<'_>) -> bool {
        if let Self::Compares(order, bound) = self {
            let numbers = number_of(value).zip(bound.number(moment));
            return numbers.is_some_and(|(number, bound)| order.admits(number, bound));
        }
        let Some(text) = event::to_text(value) else { return false };
        if let Self::Matches(pattern) = self {
            return pattern.is_match(&text);
        }
        let text = case.fold(text);
        match self {
            Self::Equals(operand) => operand.equals(&text, case, moment),
            Self::In(operands) => operands.iter().any(|operand| operand.equals(&text, case, moment)),
            Self::Contains(operand) => operand.text(case, moment).is_some_and(|part| text.contains(&*part)),
            Self::StartsWith(operand) => operand.text(case, moment).is_some_and(|part| text.starts_with(&*part)),
            Self::EndsWith(operand) => operand.text(case, moment).is_some_and(|part| text.ends_with(&*part)),
            Self::Defined | Self::Matches(_) | Self::Compares(..) => true,
        }
    }

    /// What is looked up for each event.
    fn templates(&self) -> impl Iterator<Item = &ValueTemplate> {
        let (operands, bound) = match self {
            Self::Equals(one) | Self::Contains(one) | Self::StartsWith(one) | Self::EndsWith(one) => {
                (std::slice::from_ref(one), None)
            }
            Self::In(operands) => (&operands[..], None),
            Self::Compares(_, bound) => (&[][..], Some(bound)),
            Self::Matches(_) | Self::Defined => (&[][..], None),
        };
        let operands = operands.iter().filter_map(|operand| match operand {
            Operand::Template(template) => Some(template),
            Operand::Fixed(_) => None,
        });
        operands.chain(bound.and_then(|bound| match bound {
            Bound::Template(template) => Some(template),
            Bound::Fixed(_) => None,
        }))
    }
}

impl Order {
    fn admits(self, number: f64, bound: f64) -> bool {
        match self {
            Self::Less => number < bound,
            Self::LessOrEqual => number <= bound,
            Self::Greater => number > bound,
            Self::GreaterOrEqual => number >= bound,
        }
    }
}

impl Operand {
    /// Whether a text, folded already, is equal to this.
    fn equals(&self, text: &str, case: Case, moment: &Moment<'_>) -> bool {
        match self {
            Self::Fixed(wanted) => wanted.equals(text),
            Self::Template(template) => match &*moment.fill(template) {
                Value::Null => false,
                Value::Number(wanted) => {
                    Number::parse(&wanted.to_string()).is_some_and(|w| Number::parse(text) == Some(w))
                }
                wanted => event::to_text(wanted).is_some_and(|wanted| case.fold(wanted) == text),
            },
        }
    }

    /// This as text, folded; `None` if there is none for this event.
    fn text<'m>(&'m self, case: Case, moment: &'m Moment<'_>) -> Option<Cow<'m, str>> {
        match self {
            Self::Fixed(wanted) => Some(Cow::Borrowed(&*wanted.text)),
            Self::Template(template) => match moment.fill(template) {
                Cow::Borrowed(value) => event::to_text(value).map(|text| case.fold(text)),
                Cow::Owned(value) => event::to_text(&value).map(|text| Cow::Owned(case.fold(text).into_owned())),
            },
        }
    }
}

impl Wanted {
    /// Whether a text is this one; where case does not count, it is in lower case.
    pub fn equals(&self, text: &str) -> bool {
        match self.number {
            Some(wanted) => Number::parse(text) == Some(wanted),
            None => *text == *self.text,
        }
    }
}

impl Bound {
    fn number(&self, moment: &Moment<'_>) -> Option<f64> {
        match self {
            Self::Fixed(number) => Some(*number),
            Self::Template(template) => number_of(&moment.fill(template)),
        }
    }
}

impl Case {
    pub fn fold(self, text: Cow<'_, str>) -> Cow<'_, str> {
        match self {
            Self::Sensitive => text,
            Self::Ignored => Cow::Owned(text.to_lowercase()),
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
        let float = finite(text)?;
        let is_whole = float.fract() == 0.0 && float.abs() < LIMIT;
        Some(if is_whole { Self::Whole(float as i128) } else { Self::Fraction(float) })
    }
}

/// A value as a number; `None` (so no numeric comparison holds) if it is not a finite one.
pub fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64().filter(|number| number.is_finite()),
        Value::String(text) => finite(text),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A text as a finite number, spaces around it forgiven.
fn finite(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_equal_however_they_are_written() {
        for (text, expected) in [
            ("10", Some(Number::Whole(10))),
            (" 10.000 ", Some(Number::Whole(10))),
            ("1e1", Some(Number::Whole(10))),
            ("+10", Some(Number::Whole(10))),
            ("-0", Some(Number::Whole(0))),
            ("-0.0", Some(Number::Whole(0))),
            ("0.5", Some(Number::Fraction(0.5))),
            ("18446744073709551616", Some(Number::Whole(1 << 64))),
            ("1e300", Some(Number::Fraction(1e300))),
            ("1e999", None),
            ("NaN", None),
            ("infinity", None),
            ("0x10", None),
            ("1_000", None),
            ("1,5", None),
            ("", None),
            (" ", None),
        ] {
            assert_eq!(Number::parse(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_number_or_not(text in "\\PC{0,20}|[-+0-9.e]{0,12}") {
            if let Some(Number::Fraction(float)) = Number::parse(&text) {
                prop_assert!(float.is_finite());
            }
        }

        #[test]
        fn every_whole_number_is_exact(number: i64) {
            prop_assert_eq!(Number::parse(&number.to_string()), Some(Number::Whole(number.into())));
        }
    }
}
