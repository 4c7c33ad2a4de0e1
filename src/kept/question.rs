//! Questions: what the live rules ask of a value that is not kept. Takes a container and an event; gives the answers, which
//! are kept instead of the value.
//!
//! A question is a test of an event's own data, or of a part of an address in it, against something that stands in the
//! rules. Its fingerprint is the same in every container that asks the same, so that a condition which a change leaves
//! alone can still be answered. Nothing is asked of cookies, headers, addresses or user data.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{DayKey, Kept, Recall, fingerprint};
use crate::{
    container::Container,
    trace::Sensitivity,
    trigger::condition::{Bound, Operand, Operator, Subject, Test},
    variable::{
        Moment, VariableKind,
        address::{Address, AddressPart},
    },
};

/// What the rules that look at an event find where the kept event does not tell.
pub fn answers(moment: &Moment<'_>, kept: &Kept, key: &DayKey) -> BTreeMap<Box<str>, bool> {
    let container = moment.container;
    let recall = Recall::new(kept, Some(key));
    let given = recall.given(container);
    let recalled = Moment::recalled(container, &given, &recall);
    let triggers = container.triggers.iter().filter(|trigger| trigger.looks_at(&kept.event));
    let tests = triggers.flat_map(|trigger| &trigger.conditions).flat_map(|condition| condition.tests());
    let open = tests.filter(|test| recall.known(test, &recalled).is_none());
    open.filter_map(|test| Some((fingerprint_of(test, container)?, test.is_met(moment)))).collect()
}

/// What a test asks, whatever the container calls it and whether it negates it; `None` if that is not for keeping.
pub fn fingerprint_of(test: &Test, container: &Container) -> Option<Box<str>> {
    let mut text = match &test.subject {
        Subject::EventData { path, .. } => event_data(path)?,
        Subject::Variable(index) => {
            let variable = container.variables.get(index.0)?;
            if variable.default.is_some() || variable.format.is_some() {
                return None;
            }
            match &variable.kind {
                VariableKind::EventData { path } => event_data(path)?,
                VariableKind::Url { address: Address::EventData(path), part } => part_of(path, part)?,
                _ => return None,
            }
        }
    };
    // Writing into a `String` cannot fail.
    let _ = match &test.operator {
        Operator::Equals(one) => write!(text, "equals {:?}", fixed(one)?),
        Operator::In(several) => write!(text, "in {:?}", several.iter().map(fixed).collect::<Option<Vec<_>>>()?),
        Operator::Contains(one) => write!(text, "contains {:?}", fixed(one)?),
        Operator::StartsWith(one) => write!(text, "starts with {:?}", fixed(one)?),
        Operator::EndsWith(one) => write!(text, "ends with {:?}", fixed(one)?),
        Operator::Matches(pattern) => write!(text, "matches {:?}", pattern.as_str()),
        Operator::Compares(order, Bound::Fixed(number)) => write!(text, "{order:?} {number}"),
        Operator::Compares(_, Bound::Template(_)) => return None,
        Operator::Defined => write!(text, "defined"),
    };
    let _ = write!(text, " case {:?}", test.case);
    Some(fingerprint(&[text.as_bytes()]))
}

fn fixed(operand: &Operand) -> Option<String> {
    match operand {
        Operand::Fixed(wanted) => Some(format!("{wanted:?}")),
        Operand::Template(_) => None,
    }
}

fn event_data(path: &str) -> Option<String> {
    may_be_asked(path).then(|| format!("{path} "))
}

fn part_of(path: &str, part: &AddressPart) -> Option<String> {
    let may_be_asked = may_be_asked(path)
        && match part {
            AddressPart::Parameter(name) => Sensitivity::of_event_data(name) == Sensitivity::Public,
            _ => true,
        };
    may_be_asked.then(|| format!("{part:?} of {path} "))
}

/// A page's address is no personal value by itself, as a person's is.
fn may_be_asked(path: &str) -> bool {
    matches!(path, "page_location" | "page_referrer") || Sensitivity::of_event_data(path) == Sensitivity::Public
}
