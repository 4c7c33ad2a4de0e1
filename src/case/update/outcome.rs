//! What came of a hit, as an expectation says it: takes what was processed; gives a whole expectation, or changes of one
//! that is not met.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    super::{
        expect::{self, NO_TRIGGER_LOOKED},
        model::Expect,
    },
    Editor,
    write::{Entry, Item, Written},
};
use crate::{
    call::Call,
    consent::ConsentType,
    container::yaml::{self, Key, Node},
    pipeline::{Decided, Processed},
    trace::{Attention, Note, TagTrace, TagVerdict},
};

/// What came of a hit.
pub(super) struct Outcome<'p> {
    processed: &'p Processed,
    tags: Vec<&'p TagTrace>,
}

impl<'p> Outcome<'p> {
    pub fn of(processed: &'p Processed) -> Self {
        Self { processed, tags: processed.trace.events.iter().flat_map(|event| &event.tags).collect() }
    }

    /// The expectation of somebody who wrote none: what fired and what did not, the calls, the cookies, what is held.
    pub fn whole(&self) -> Written<'static> {
        let decided = match &self.processed.result {
            Ok(decided) => decided,
            Err(bad) => {
                let refused = [("refused", &bad.field), ("refused_because", &bad.message)];
                return Written::Map(refused.map(|(key, text)| Entry::New(key.into(), Written::text(&**text))).into());
            }
        };
        let mut entries = vec![Entry::New("fired".into(), names(&self.fired()))];
        let events = &self.processed.trace.events;
        if !events.is_empty() && events.iter().all(|event| event.attention == Attention::Bot) {
            entries.push(Entry::new("ignored", &json!("bot")));
        }
        let mut rest: Vec<&str> = self.tags.iter().map(|tag| &*tag.tag).filter(|tag| !self.ran(tag)).collect();
        rest.dedup();
        if !rest.is_empty() {
            let reason = |tag: &str| Entry::New(tag.into(), Written::text(self.reason(tag)));
            entries.push(Entry::New("not_fired".into(), Written::Map(rest.into_iter().map(reason).collect())));
        }
        if !decided.calls.is_empty() {
            let calls = decided.calls.iter().map(|found| Item::New(call(found))).collect();
            entries.push(Entry::New("calls".into(), Written::List(calls)));
        }
        if !decided.cookies.is_empty() {
            entries.push(Entry::new("cookies", &json!(decided.cookies)));
        }
        if !decided.held.is_empty() {
            entries.push(Entry::new("held", &held(decided)));
        }
        Written::Map(entries)
    }

    /// Changes what is not as expected. `false` if nothing of the expectation would remain.
    pub fn mend(&self, node: &Node, expect: &Expect, editor: &mut Editor<'_>) -> bool {
        let decided = match &self.processed.result {
            Ok(decided) => decided,
            Err(bad) => {
                for (key, node) in node.entries() {
                    match &*key.name {
                        "refused" if *bad.field != *text(node) => {
                            editor.replace(Some(key), node, &Written::text(&*bad.field));
                        }
                        "refused_because" if !bad.message.contains(text(node)) => {
                            editor.replace(Some(key), node, &Written::text(&*bad.message));
                        }
                        _ => {}
                    }
                }
                return true;
            }
        };
        let mut left = node.entries().len();
        for (key, node) in node.entries() {
            let remains = match &*key.name {
                "fired" => self.mend_fired(key, node, editor),
                "not_fired" => self.mend_words(key, node, editor, |tag| self.reason_unless_ran(tag)),
                "calls" => mend_calls(key, node, expect, decided, editor),
                "cookies" => mend_list(key, node, &decided.cookies, editor),
                "notes" => self.mend_notes(node, editor),
                "event_notes" => {
                    let notes = self.processed.trace.events.iter().flat_map(|event| &event.notes);
                    mend_note_words(key, node, notes, editor)
                }
                "consent" => self.mend_words(key, node, editor, |kind| self.consent(kind)),
                "answered" => {
                    let found = self.processed.trace.events.iter().map(|event| event.evidence.choice.to_string());
                    mend_text(key, node, found.collect(), editor)
                }
                "held" => {
                    let found = held(decided);
                    editor.mend(Some(key), node, &found, true);
                    true
                }
                _ => true,
            };
            left -= usize::from(!remains);
        }
        left > 0
    }

    fn fired(&self) -> Vec<&'p str> {
        let mut seen = BTreeSet::new();
        let ran = self.tags.iter().filter(|tag| matches!(tag.verdict, TagVerdict::Ran { .. }));
        ran.map(|tag| &*tag.tag).filter(|tag| seen.insert(*tag)).collect()
    }

    fn ran(&self, tag: &str) -> bool {
        self.fired().contains(&tag)
    }

    /// Why a tag did not run.
    fn reason(&self, tag: &str) -> String {
        let verdict = self.tags.iter().find(|trace| *trace.tag == *tag).map(|trace| trace.verdict.to_string());
        verdict.unwrap_or_else(|| NO_TRIGGER_LOOKED.to_owned())
    }

    fn reason_unless_ran(&self, tag: &str) -> Vec<String> {
        if self.ran(tag) {
            return Vec::new();
        }
        let reasons = self.tags.iter().filter(|trace| *trace.tag == *tag).map(|trace| trace.verdict.to_string());
        let reasons: Vec<_> = reasons.collect();
        if reasons.is_empty() { vec![NO_TRIGGER_LOOKED.to_owned()] } else { reasons }
    }

    fn consent(&self, name: &str) -> Vec<String> {
        let Some(kind) = ConsentType::from_name(name) else { return Vec::new() };
        self.processed.trace.events.iter().map(|event| event.consent.answer(kind).to_string()).collect()
    }

    fn mend_fired(&self, key: &Key, node: &Node, editor: &mut Editor<'_>) -> bool {
        let found = self.fired();
        let expected: Vec<&str> = items(node).iter().map(text).collect();
        if expected.iter().all(|tag| found.contains(tag)) && found.iter().all(|tag| expected.contains(tag)) {
            return true;
        }
        let sources = editor.items(items(node));
        let kept = expected.iter().zip(sources).filter(|(tag, _)| found.contains(tag));
        let kept = kept.map(|(_, source)| Item::Kept(source));
        let new = found.iter().filter(|tag| !expected.contains(tag)).map(|tag| Item::New(Written::text(*tag)));
        editor.replace(Some(key), node, &Written::List(kept.chain(new).collect()));
        true
    }

    /// A mapping from names to words, of which one found text must hold them; a name without any leaves the mapping.
    fn mend_words(&self, key: &Key, node: &Node, editor: &mut Editor<'_>, found: impl Fn(&str) -> Vec<String>) -> bool {
        let entries = node.entries();
        let kept = entries.iter().zip(editor.entries(node)).filter(|((name, _), _)| !found(&name.name).is_empty());
        let kept: Vec<_> = kept.collect();
        if kept.len() == entries.len() {
            for (name, words) in entries {
                mend_text(name, words, found(&name.name), editor);
            }
            return true;
        }
        let remains = !kept.is_empty();
        let kept = kept.into_iter().map(|((name, words), source)| {
            let found = found(&name.name);
            let is_met = found.iter().any(|found| found.contains(text(words)));
            let new = || Entry::New(name.name.to_string(), Written::text(found.first().cloned().unwrap_or_default()));
            if is_met { Entry::Kept(source) } else { new() }
        });
        let kept = Written::Map(kept.collect());
        editor.replace(Some(key), node, &kept);
        remains
    }

    fn mend_notes(&self, node: &Node, editor: &mut Editor<'_>) -> bool {
        for (tag, words) in node.entries() {
            let notes = self.tags.iter().filter(|trace| *trace.tag == *tag.name).flat_map(|trace| &trace.notes);
            mend_note_words(tag, words, notes, editor);
        }
        true
    }
}

fn mend_text(key: &Key, node: &Node, found: Vec<String>, editor: &mut Editor<'_>) -> bool {
    if let Some(first) = found.first()
        && !found.iter().any(|found| found.contains(text(node)))
    {
        editor.replace(Some(key), node, &Written::text(first));
    }
    true
}

/// One text or a list of them, each of which must stand in a note; an empty list wants no note.
fn mend_note_words<'n>(key: &Key, node: &Node, found: impl Iterator<Item = &'n Note>, editor: &mut Editor<'_>) -> bool {
    let found: Vec<String> = found.map(ToString::to_string).collect();
    let expected: Vec<&str> = match &node.value {
        yaml::Value::List(items) => items.iter().map(text).collect(),
        _ => vec![text(node)],
    };
    let is_met = |words: &&str| found.iter().any(|note| note.contains(*words));
    if expected.iter().all(is_met) && (found.is_empty() || !expected.is_empty()) {
        return true;
    }
    let sources = editor.items(items(node));
    let kept = expected.iter().zip(sources).filter(|(words, _)| is_met(words)).map(|(_, source)| Item::Kept(source));
    let is_told = |note: &&String| expected.iter().any(|words| note.contains(*words));
    let new = found.iter().filter(|note| !is_told(note)).map(|note| Item::New(Written::text(note)));
    editor.replace(Some(key), node, &Written::List(kept.chain(new).collect()));
    true
}

fn mend_list(key: &Key, node: &Node, found: &[String], editor: &mut Editor<'_>) -> bool {
    let expected: Vec<&str> = items(node).iter().map(text).collect();
    if expected.len() == found.len() {
        for (item, found) in items(node).iter().zip(found) {
            editor.mend(None, item, &json!(found), true);
        }
        return true;
    }
    let sources = editor.items(items(node));
    let written = found.iter().map(|found| match expected.iter().position(|expected| expected == found) {
        Some(position) => Item::Kept(sources.get(position).copied().unwrap_or_default()),
        None => Item::New(Written::text(found)),
    });
    editor.replace(Some(key), node, &Written::List(written.collect()));
    true
}

fn mend_calls(key: &Key, node: &Node, expect: &Expect, decided: &Decided, editor: &mut Editor<'_>) -> bool {
    let expected = expect.calls.as_deref().unwrap_or_default();
    if expected.len() == decided.calls.len() {
        for (item, found) in items(node).iter().zip(&decided.calls) {
            mend_call(item, found, editor);
        }
        return true;
    }
    // Each found call takes the next expected one that it satisfies.
    let sources = editor.items(items(node));
    let mut rest = expected.iter().zip(sources);
    let written = decided.calls.iter().map(|found| {
        let mut ahead = rest.clone();
        match ahead.find(|(expected, _)| expect::is_call(expected, found)) {
            Some((_, source)) => {
                rest = ahead;
                Item::Kept(source)
            }
            None => Item::New(call(found)),
        }
    });
    let written = Written::List(written.collect());
    editor.replace(Some(key), node, &written);
    true
}

fn mend_call(node: &Node, found: &Call, editor: &mut Editor<'_>) {
    let account = found.account.to_string();
    for (key, node) in node.entries() {
        match &*key.name {
            "tag" if *text(node) != *found.tag => editor.replace(Some(key), node, &Written::text(&*found.tag)),
            "account" if !account.starts_with(text(node)) => {
                editor.replace(Some(key), node, &Written::text(&account));
            }
            "body" => editor.mend(Some(key), node, &body(found), false),
            "exact_body" => editor.mend(Some(key), node, &body(found), true),
            _ => {}
        }
    }
}

/// A call in full.
fn call(found: &Call) -> Written<'static> {
    Written::Map(vec![
        Entry::New("tag".into(), Written::text(&*found.tag)),
        Entry::New("account".into(), Written::text(found.account.to_string())),
        Entry::new("body", &body(found)),
    ])
}

fn body(call: &Call) -> Value {
    serde_json::from_str(&call.body).unwrap_or(Value::Null)
}

fn held(decided: &Decided) -> Value {
    let needs = |held: &crate::pipeline::Held| held.needs.iter().map(ConsentType::name).collect::<Vec<_>>();
    decided.held.iter().map(|held| (held.event_id.to_string(), json!(needs(held)))).collect()
}

fn names(names: &[&str]) -> Written<'static> {
    Written::List(names.iter().map(|name| Item::New(Written::text(*name))).collect())
}

fn items(node: &Node) -> &[Node] {
    match &node.value {
        yaml::Value::List(items) => items,
        _ => &[],
    }
}

fn text(node: &Node) -> &str {
    match &node.value {
        yaml::Value::Text(text) => text,
        _ => "",
    }
}
