//! Holds what came of a case against what was expected.

use serde_json::Value;

use super::{
    model::{Expect, ExpectedCall},
    plain,
};
use crate::{
    call::Call,
    pipeline::{Decided, Processed},
    trace::{TagTrace, TagVerdict},
};

/// What differs, one line each.
pub fn differences(expect: &Expect, processed: &Processed) -> Vec<String> {
    let mut lines = Vec::new();
    match (&processed.result, &expect.refused) {
        (Ok(decided), None) => decided_differences(expect, decided, processed, &mut lines),
        (Err(bad), Some(field)) if *bad.field == **field => {}
        (Err(bad), Some(field)) => lines.push(format!("expected the field {field:?} to be refused, but it was {bad}")),
        (Err(bad), None) => lines.push(format!("the hit was refused: {bad}")),
        (Ok(_), Some(field)) => {
            lines.push(format!("expected the hit to be refused for {field:?}, but it was accepted"))
        }
    }
    lines
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
        calls(expected, &decided.calls, lines);
    }
    if let Some(expected) = &expect.cookies
        && *expected != decided.cookies
    {
        lines.push(format!("cookies: expected {expected:?}, found {:?}", decided.cookies));
    }
    for (tag, words) in &expect.notes {
        let mut found =
            tags.iter().filter(|trace| *trace.tag == **tag).flat_map(|trace| &trace.notes).map(ToString::to_string);
        let found: Vec<String> = found.by_ref().collect();
        for words in words.as_slice().iter().filter(|words| !found.iter().any(|note| note.contains(*words))) {
            lines.push(format!("notes of {tag:?}: none says {words:?}; found {found:?}"));
        }
    }
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

fn fired(expected: &[String], tags: &[&TagTrace], lines: &mut Vec<String>) {
    let ran = |tag: &&&TagTrace| matches!(tag.verdict, TagVerdict::Ran { .. });
    let found: Vec<&str> = tags.iter().filter(ran).map(|tag| &*tag.tag).collect();
    for missing in expected.iter().filter(|tag| !found.contains(&tag.as_str())) {
        let why = tags.iter().find(|tag| *tag.tag == **missing).map(|tag| tag.verdict.to_string());
        let why = why.unwrap_or_else(|| "none of its triggers looks at this event".to_owned());
        lines.push(format!("fired: expected {missing:?}, but it was {why}"));
    }
    for surplus in found.iter().filter(|tag| !expected.iter().any(|expected| expected == *tag)) {
        lines.push(format!("fired: {surplus:?} ran, which was not expected"));
    }
}

fn not_fired(tag: &str, words: &str, tags: &[&TagTrace], lines: &mut Vec<String>) {
    let verdict = match tags.iter().find(|trace| *trace.tag == *tag).map(|trace| &trace.verdict) {
        Some(TagVerdict::Ran { .. }) => return lines.push(format!("not_fired: {tag:?} ran")),
        Some(verdict) => verdict.to_string(),
        None => "none of its triggers looks at this event".to_owned(),
    };
    if !verdict.contains(words) {
        lines.push(format!("not_fired: {tag:?}: expected words {words:?}, found {verdict:?}"));
    }
}

fn calls(expected: &[ExpectedCall], found: &[Call], lines: &mut Vec<String>) {
    if expected.len() != found.len() {
        let names: Vec<_> = found.iter().map(|call| format!("{} by {:?}", call.event.name, call.tag)).collect();
        lines.push(format!("calls: expected {}, found {}: {}", expected.len(), found.len(), names.join(", ")));
    }
    for (position, (expected, call)) in expected.iter().zip(found).enumerate() {
        let place = format!("calls[{position}]");
        if let Some(tag) = expected.tag.as_ref().filter(|tag| ***tag != *call.tag) {
            lines.push(format!("{place}.tag: expected {tag:?}, found {:?}", call.tag));
        }
        let account = call.account.to_string();
        if let Some(start) = expected.account.as_ref().filter(|start| !account.starts_with(start.as_str())) {
            lines.push(format!("{place}.account: expected {start:?}, found {account:?}"));
        }
        let body: Value = serde_json::from_str(&call.body).unwrap_or(Value::Null);
        if let Some(expected) = &expected.body {
            compare(&plain(expected), &body, Extent::Named, &format!("{place}.body"), lines);
        }
        if let Some(expected) = &expected.exact_body {
            compare(&plain(expected), &body, Extent::Whole, &format!("{place}.body"), lines);
        }
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
