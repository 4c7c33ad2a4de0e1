//! Holds what came of a case against what was expected.

use serde_json::Value;

use super::{
    model::{Expect, ExpectedCall, Ignored},
    plain,
};
use crate::{
    call::Call,
    consent::ConsentType,
    container::{
        Container,
        diagnostic::{did_you_mean, quoted},
    },
    pipeline::{Decided, Processed},
    trace::{Attention, Note, TagTrace, TagVerdict},
};

pub(super) const NO_TRIGGER_LOOKED: &str = "none of its triggers looks at this event";

/// What differs, one line each.
pub fn differences(expect: &Expect, processed: &Processed, container: &Container) -> Vec<String> {
    let mut lines = Vec::new();
    match (&processed.result, &expect.refused) {
        (Ok(decided), None) => {
            unknown_tags(expect, container, &mut lines);
            decided_differences(expect, decided, processed, &mut lines);
        }
        (Err(bad), Some(field)) if *bad.field != **field => {
            lines.push(format!("refused: expected the field {field:?}, but it was {bad}"));
        }
        (Err(bad), Some(_)) => {
            if let Some(words) = expect.refused_because.as_ref().filter(|words| !bad.message.contains(words.as_str())) {
                lines.push(format!("refused_because: expected words {words:?}, found {:?}", bad.message));
            }
        }
        (Err(bad), None) => lines.push(format!("the hit was refused: {bad}")),
        (Ok(_), Some(field)) => lines.push(format!("refused: expected for {field:?}, but the hit was accepted")),
    }
    lines
}

/// A tag that the container does not have never fires, so that expecting just that would prove nothing.
fn unknown_tags(expect: &Expect, container: &Container, lines: &mut Vec<String>) {
    let named = expect.fired.iter().flatten().chain(expect.not_fired.keys()).chain(expect.notes.keys());
    let known = || container.tags.iter().map(|tag| &*tag.name);
    for name in named.filter(|name| !known().any(|known| known == name.as_str())) {
        let meant = did_you_mean(name, known()).map_or(String::new(), |meant| format!("; {meant}"));
        lines.push(format!("there is no tag {}{meant}", quoted(name)));
    }
}

fn decided_differences(expect: &Expect, decided: &Decided, processed: &Processed, lines: &mut Vec<String>) {
    let tags: Vec<&TagTrace> = processed.trace.events.iter().flat_map(|event| &event.tags).collect();
    if let Some(expected) = &expect.fired {
        fired(expected, &tags, lines);
    }
    for (tag, words) in &expect.not_fired {
        not_fired(tag, words, &tags, lines);
    }
    if let Some(expected) = &expect.calls {
        if expected.len() != decided.calls.len() {
            let failed = tags.iter().filter(|tag| matches!(tag.verdict, TagVerdict::Failed { .. }));
            lines.extend(failed.map(|tag| format!("{:?} {}", tag.tag, tag.verdict)));
        }
        calls(expected, &decided.calls, lines);
    }
    if let Some(expected) = &expect.cookies
        && *expected != decided.cookies
    {
        lines.push(format!("cookies: expected {expected:?}, found {:?}", decided.cookies));
    }
    for (tag, words) in &expect.notes {
        let found = tags.iter().filter(|trace| *trace.tag == **tag).flat_map(|trace| &trace.notes);
        notes(&format!("notes of {tag:?}"), words.as_slice(), found, lines);
    }
    if let Some(words) = &expect.event_notes {
        let found = processed.trace.events.iter().flat_map(|event| &event.notes);
        notes("event_notes", words.as_slice(), found, lines);
    }
    if let Some(Ignored::Bot) = expect.ignored
        && processed.trace.events.iter().any(|event| event.attention != Attention::Bot)
    {
        lines.push("ignored: expected bot, but tags were looked at".to_owned());
    }
    consent(expect, processed, lines);
    if let Some(expected) = &expect.held {
        let found = decided.held.iter().map(|held| {
            (held.event_id.to_string(), held.needs.iter().map(|kind| kind.name().to_owned()).collect::<Vec<_>>())
        });
        let found = found.collect();
        if *expected != found {
            lines.push(format!("held: expected {expected:?}, found {found:?}"));
        }
    }
}

/// A hit may hold several events: the words stand in the answer of one of them.
fn consent(expect: &Expect, processed: &Processed, lines: &mut Vec<String>) {
    let events = &processed.trace.events;
    for (name, words) in &expect.consent {
        let Some(kind) = ConsentType::from_name(name) else {
            let meant = did_you_mean(name, ConsentType::ALL.map(ConsentType::name));
            let meant = meant.map_or(String::new(), |meant| format!("; {meant}"));
            lines.push(format!("consent: {} is no Consent Mode type{meant}", quoted(name)));
            continue;
        };
        let found: Vec<_> = events.iter().map(|event| event.consent.answer(kind).to_string()).collect();
        if !found.iter().any(|answer| answer.contains(words.as_str())) {
            lines.push(format!("consent.{kind}: expected words {words:?}, found {:?}", found.join("; ")));
        }
    }
    if let Some(words) = &expect.answered {
        let found: Vec<_> = events.iter().map(|event| event.evidence.choice.to_string()).collect();
        if !found.iter().any(|choice| choice.contains(words.as_str())) {
            lines.push(format!("answered: expected words {words:?}, found {:?}", found.join("; ")));
        }
    }
}

fn notes<'n>(place: &str, expected: &[String], found: impl Iterator<Item = &'n Note>, lines: &mut Vec<String>) {
    let found: Vec<String> = found.map(ToString::to_string).collect();
    if expected.is_empty() && !found.is_empty() {
        lines.push(format!("{place}: expected none, found {found:?}"));
    }
    for words in expected.iter().filter(|words| !found.iter().any(|note| note.contains(*words))) {
        lines.push(format!("{place}: none says {words:?}; found {found:?}"));
    }
}

fn fired(expected: &[String], tags: &[&TagTrace], lines: &mut Vec<String>) {
    let ran = |tag: &&&TagTrace| matches!(tag.verdict, TagVerdict::Ran { .. });
    let found: Vec<&str> = tags.iter().filter(ran).map(|tag| &*tag.tag).collect();
    for missing in expected.iter().filter(|tag| !found.contains(&tag.as_str())) {
        let why = tags.iter().find(|tag| *tag.tag == **missing).map(|tag| tag.verdict.to_string());
        let why = why.unwrap_or_else(|| NO_TRIGGER_LOOKED.to_owned());
        lines.push(format!("fired: expected {missing:?}, but: {why}"));
    }
    for surplus in found.iter().filter(|tag| !expected.iter().any(|expected| expected == *tag)) {
        lines.push(format!("fired: {surplus:?} ran, which was not expected"));
    }
}

/// A hit may hold several events: the tag must not have run for any of them, and the words stand in one of the reasons.
fn not_fired(tag: &str, words: &str, tags: &[&TagTrace], lines: &mut Vec<String>) {
    let verdicts: Vec<_> = tags.iter().filter(|trace| *trace.tag == *tag).map(|trace| &trace.verdict).collect();
    if verdicts.iter().any(|verdict| matches!(verdict, TagVerdict::Ran { .. })) {
        return lines.push(format!("not_fired: {tag:?} ran"));
    }
    let mut reasons: Vec<_> = verdicts.iter().map(ToString::to_string).collect();
    if reasons.is_empty() {
        reasons.push(NO_TRIGGER_LOOKED.to_owned());
    }
    if !reasons.iter().any(|reason| reason.contains(words)) {
        lines.push(format!("not_fired: {tag:?}: expected words {words:?}, found {:?}", reasons.join("; ")));
    }
}

fn calls(expected: &[ExpectedCall], found: &[Call], lines: &mut Vec<String>) {
    if expected.len() != found.len() {
        let names: Vec<_> = found.iter().map(|call| format!("{} by {:?}", call.event.name, call.tag)).collect();
        lines.push(format!("calls: expected {}, found {}: {}", expected.len(), found.len(), names.join(", ")));
    }
    for (position, (expected, found)) in expected.iter().zip(found).enumerate() {
        call(expected, found, &format!("calls[{position}]"), lines);
    }
}

/// Whether a call is as one was expected to be.
pub(super) fn is_call(expected: &ExpectedCall, found: &Call) -> bool {
    let mut lines = Vec::new();
    call(expected, found, "", &mut lines);
    lines.is_empty()
}

fn call(expected: &ExpectedCall, found: &Call, place: &str, lines: &mut Vec<String>) {
    if let Some(tag) = expected.tag.as_ref().filter(|tag| ***tag != *found.tag) {
        lines.push(format!("{place}.tag: expected {tag:?}, found {:?}", found.tag));
    }
    let account = found.account.to_string();
    if let Some(start) = expected.account.as_ref().filter(|start| !account.starts_with(start.as_str())) {
        lines.push(format!("{place}.account: expected {start:?}, found {account:?}"));
    }
    let body: Value = serde_json::from_str(&found.body).unwrap_or(Value::Null);
    if let Some(expected) = &expected.body {
        compare(&plain(expected), &body, Extent::Named, &format!("{place}.body"), lines);
    }
    if let Some(expected) = &expected.exact_body {
        compare(&plain(expected), &body, Extent::Whole, &format!("{place}.body"), lines);
    }
}

/// How much of a map is compared.
#[derive(Clone, Copy, PartialEq)]
enum Extent {
    /// The keys that are named; `null` wants a key to be absent.
    Named,
    Whole,
}

fn compare(expected: &Value, found: &Value, extent: Extent, place: &str, lines: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (key, value) in expected {
                compare(value, found.get(key).unwrap_or(&Value::Null), extent, &format!("{place}.{key}"), lines);
            }
            if extent == Extent::Whole {
                for key in found.keys().filter(|key| !expected.contains_key(*key)) {
                    lines.push(format!("{place}.{key}: not expected, found {}", found[key]));
                }
            }
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            for (position, (expected, found)) in expected.iter().zip(found).enumerate() {
                compare(expected, found, extent, &format!("{place}[{position}]"), lines);
            }
        }
        // 10 and 10.0 are one number to people who write YAML.
        (Value::Number(expected), Value::Number(found)) if expected.as_f64() == found.as_f64() => {}
        _ if expected == found => {}
        (Value::Null, _) => lines.push(format!("{place}: expected nothing, found {found}")),
        (_, Value::Null) => lines.push(format!("{place}: expected {expected}, found nothing")),
        _ => lines.push(format!("{place}: expected {expected}, found {found}")),
    }
}
