//! Writes expectations anew: takes a file of cases and what came of them; gives the file with what differed changed and
//! everything else, comments included, as it was. A file is only given if its cases then pass.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use serde_json::Value;

use super::{Bench, CaseResult, Silence, model::CaseRule, plain};
use crate::{
    container::{
        diagnostic::Diagnostics,
        yaml::{self, Key, Node},
    },
    pipeline::Processed,
};

mod outcome;
mod write;

use outcome::Outcome;
use write::{Entry, Written};

/// A change to a file's text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edit {
    range: (usize, usize),
    text: String,
}

/// What came of updating a file.
#[derive(Debug)]
pub struct Updated {
    /// The whole text, if anything in it changed.
    pub text: Option<String>,
    /// The cases whose expectations changed.
    pub changed: BTreeSet<Arc<str>>,
    /// How the cases end now. Those that still fail cannot be helped by another expectation that can be written here.
    pub results: Vec<CaseResult>,
}

/// Makes the cases of a file pass, as far as that can be done by changing what they expect.
pub fn update(bench: &mut Bench<'_>, file: &Arc<str>, bytes: &[u8], diagnostics: &mut Diagnostics) -> Updated {
    bench.silence = Silence::Request;
    let results = bench.run_file(file, bytes, diagnostics);
    bench.silence = Silence::Mistake;
    let (text, changed) = match std::str::from_utf8(bytes) {
        Ok(text) => mended(bench, file, text, &results),
        Err(_) => (None, BTreeSet::new()),
    };
    match text {
        None => Updated { text: None, changed: BTreeSet::new(), results },
        Some((text, results)) => Updated { text: Some(text), changed, results },
    }
}

type Names = BTreeSet<Arc<str>>;

/// The text with as many cases changed as can be, how its cases end, and which were changed.
fn mended(
    bench: &mut Bench<'_>,
    file: &Arc<str>,
    text: &str,
    results: &[CaseResult],
) -> (Option<(String, Vec<CaseResult>)>, Names) {
    let passes = |case: &CaseResult| case.differences.is_empty();
    let mut attempt = |names: &Names| {
        let edits = results.iter().filter(|case| names.contains(&case.name)).flat_map(|case| &case.edits);
        let text = apply(text, edits)?;
        let mut faults = Diagnostics::default();
        let after = bench.run_file(file, text.as_bytes(), &mut faults);
        // A case that passed may share what another expects.
        let is_worse = results.iter().zip(&after).any(|(before, after)| passes(before) && !passes(after));
        (!faults.has_errors() && after.len() == results.len() && !is_worse).then_some((text, after))
    };
    let stubborn = |names: &Names, after: &[CaseResult]| -> Names {
        let failing = after.iter().filter(|case| !passes(case) && names.contains(&case.name));
        failing.map(|case| Arc::clone(&case.name)).collect()
    };
    let mut names: Names =
        results.iter().filter(|case| !case.edits.is_empty()).map(|case| Arc::clone(&case.name)).collect();
    // Mostly all of them can be changed at once, or all but those that fail all the same.
    while !names.is_empty() {
        let Some((text, after)) = attempt(&names) else { break };
        let stubborn = stubborn(&names, &after);
        if stubborn.is_empty() {
            return (Some((text, after)), names);
        }
        names.retain(|name| !stubborn.contains(name));
    }
    // One of them spoils the file, or two share a place: each by itself, as long as those before it still pass.
    let (mut best, mut changed) = (None, Names::new());
    for name in names {
        let more: Names = changed.iter().cloned().chain([name]).collect();
        if let Some((text, after)) = attempt(&more).filter(|(_, after)| stubborn(&more, after).is_empty()) {
            (best, changed) = (Some((text, after)), more);
        }
    }
    (best, changed)
}

/// The text with all edits, in its own kind of line breaks; `None` if two of them speak of the same place, as those of an
/// alias may.
fn apply<'e>(text: &str, edits: impl Iterator<Item = &'e Edit>) -> Option<String> {
    let edits: BTreeSet<&Edit> = edits.collect();
    let is_windows = text.find('\n').is_some_and(|end| text.get(..end).is_some_and(|line| line.ends_with('\r')));
    let mut changed = String::with_capacity(text.len());
    let mut copied = 0;
    for Edit { range: (start, end), text: new } in edits {
        changed.push_str(text.get(copied..*start)?);
        if is_windows {
            // What is kept of the file has them already.
            changed.push_str(&new.replace("\r\n", "\n").replace('\n', "\r\n"));
        } else {
            changed.push_str(new);
        }
        copied = *end;
    }
    changed.push_str(text.get(copied..)?);
    Some(changed)
}

/// What would make a case pass.
pub(super) fn edits(node: &Node, rule: &CaseRule, source: &str, processed: &Processed) -> Vec<Edit> {
    let outcome = Outcome::of(processed);
    let mut editor = Editor { source, edits: Vec::new() };
    let entry = node.entries().iter().find(|(key, _)| &*key.name == "expect");
    match (entry, &rule.expect) {
        (None, _) => editor.add(node, "expect", &outcome.whole()),
        (Some((key, node)), Some(expect))
            if expect.is_of_anything() && expect.refused.is_some() == processed.result.is_err() =>
        {
            let remaining = outcome.mend(node, expect, &mut editor);
            if !remaining {
                editor.edits.clear();
                editor.replace(Some(key), node, &outcome.whole());
            }
        }
        (Some((key, node)), _) => editor.replace(Some(key), node, &outcome.whole()),
    }
    editor.edits
}

/// Gathers the edits of one case.
struct Editor<'s> {
    source: &'s str,
    edits: Vec<Edit>,
}

impl<'s> Editor<'s> {
    fn edit(&mut self, range: Range<usize>, text: String) {
        self.edits.push(Edit { range: (range.start, range.end), text });
    }

    fn is_flow(&self, node: &Node) -> bool {
        self.source.get(node.span.bytes()).is_some_and(|text| text.starts_with(['[', '{']))
    }

    /// Puts another value in the place of one, in the style of the old one.
    fn replace(&mut self, key: Option<&Key>, node: &Node, value: &Written<'_>) {
        let span = node.span.bytes();
        let is_block = match &node.value {
            yaml::Value::List(_) | yaml::Value::Map(_) => !self.is_flow(node),
            _ => false,
        };
        let colon = key.and_then(|key| {
            let after = self.source.get(key.span.bytes().end..)?;
            Some(key.span.bytes().end + after.find(':')? + 1)
        });
        let between = colon.and_then(|colon| self.source.get(colon..span.start));
        // The value's own place is no place for it where it is to begin on the line of its key: nothing was there, a block
        // of text, or a list that becomes empty.
        let is_text_block = between.is_some_and(|between| between.trim_start().starts_with(['|', '>']));
        let was_nothing = span.is_empty() || matches!(node.value, yaml::Value::Null);
        let becomes_short = is_block && value.is_short() && between.is_some_and(|between| between.trim().is_empty());
        let is_hollow = match &node.value {
            yaml::Value::Map(entries) => entries.is_empty(),
            yaml::Value::List(items) => items.is_empty(),
            _ => false,
        };
        match (key, colon) {
            (Some(key), Some(colon)) if was_nothing || is_text_block || becomes_short || is_hollow => {
                let end = if was_nothing && span.is_empty() { colon } else { span.end };
                // In a flow mapping nothing may begin on a line of its own.
                let in_flow = is_hollow && !self.begins_its_line(key);
                let text =
                    if in_flow { format!(" {}", value.flow()) } else { value.after_key(column(key.span.column)) };
                self.edit(colon..end, text);
            }
            _ if is_block => {
                let text = value.block(column(node.span.column));
                self.edit(span, text);
            }
            _ => self.edit(span, value.flow()),
        }
    }

    /// Adds a key to a mapping that has others.
    fn add(&mut self, map: &Node, name: &str, value: &Written<'_>) {
        let Some((first, _)) = map.entries().first() else { return };
        let indent = column(first.span.column);
        if self.is_flow(map) {
            let last = map.entries().iter().map(|(key, node)| key.span.end.max(node.span.end)).max();
            let Some(end) = last.map(|end| end as usize) else { return };
            return self.edit(end..end, format!(", {name}: {}", value.flow()));
        }
        // After the last line, with whatever remark stands at its end.
        let end = map.span.bytes().end;
        let rest = self.source.get(end..).unwrap_or_default();
        let line_end = end + rest.find('\n').unwrap_or(rest.len());
        let before = self.source.get(..line_end).unwrap_or_default();
        let line_end = before.trim_end_matches('\r').len();
        // A text block ends with its own line break.
        let at_line_start = before.get(..end).is_some_and(|before| before.ends_with('\n'));
        let (at, opening, closing) = if at_line_start { (end, "", "\n") } else { (line_end, "\n", "") };
        let text = format!("{opening}{:indent$}{name}:{}{closing}", "", value.after_key(indent));
        self.edit(at..at, text);
    }

    /// Whether nothing but space stands before a key on its line.
    fn begins_its_line(&self, key: &Key) -> bool {
        let before = self.source.get(..key.span.bytes().start).unwrap_or_default();
        before.rsplit('\n').next().unwrap_or_default().trim_start_matches([' ', '-']).is_empty()
    }

    /// A list's items as they stand, each up to the next, remarks between them included.
    fn items(&self, list: &[Node]) -> Vec<&'s str> {
        let starts: Vec<_> = list.iter().map(|node| node.span.bytes().start).collect();
        let piece = |(position, node): (usize, &Node)| self.piece(node.span.bytes(), starts.get(position + 1).copied());
        list.iter().enumerate().map(piece).collect()
    }

    /// The same of a mapping's entries.
    fn entries(&self, map: &'_ Node) -> Vec<&'s str> {
        let entries = map.entries();
        let piece = |(position, (key, node)): (usize, &(Key, Node))| {
            let next = entries.get(position + 1).map(|(key, _)| key.span.bytes().start);
            self.piece(key.span.bytes().start..node.span.bytes().end, next)
        };
        entries.iter().enumerate().map(piece).collect()
    }

    fn piece(&self, own: Range<usize>, next: Option<usize>) -> &'s str {
        let own_text = self.source.get(own.clone()).unwrap_or_default();
        let Some(up_to_next) = next.and_then(|next| self.source.get(own.start..next)) else { return own_text };
        // On one line there is nothing between two but a comma.
        match up_to_next.rfind('\n') {
            Some(end) if end >= own_text.len() => up_to_next.get(..end).unwrap_or(own_text).trim_end(),
            Some(_) | None => own_text,
        }
    }

    /// Makes an expected body be like the one that was found: where a key is named, or all of it.
    fn mend(&mut self, key: Option<&Key>, expected: &Node, found: &Value, is_whole: bool) {
        match (&expected.value, found) {
            (yaml::Value::Map(entries), Value::Object(object)) => {
                let named = |name: &str| entries.iter().any(|(key, _)| &*key.name == name);
                let surplus = || object.iter().filter(|(name, _)| !named(name));
                let vanished =
                    |(key, node): &(Key, Node)| node.value != yaml::Value::Null && !object.contains_key(&*key.name);
                if !is_whole || (surplus().next().is_none() && !entries.iter().any(vanished)) {
                    for (key, node) in entries {
                        self.mend(Some(key), node, object.get(&*key.name).unwrap_or(&Value::Null), is_whole);
                    }
                    return;
                }
                let kept = entries.iter().zip(self.entries(expected)).filter_map(|((key, node), source)| {
                    let found = object.get(&*key.name)?;
                    let is_kept = same(&plain(node), found);
                    Some(if is_kept { Entry::Kept(source) } else { Entry::new(&*key.name, found) })
                });
                let new = surplus().map(|(name, value)| Entry::new(name.as_str(), value));
                let entries = kept.chain(new).collect();
                self.replace(key, expected, &Written::Map(entries));
            }
            (yaml::Value::List(items), Value::Array(array)) if items.len() == array.len() => {
                for (item, found) in items.iter().zip(array) {
                    self.mend(None, item, found, is_whole);
                }
            }
            _ if same(&plain(expected), found) => {}
            _ => self.replace(key, expected, &Written::of(found)),
        }
    }
}

/// As the comparison sees it: 10 and 10.0 are one number.
fn same(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Number(expected), Value::Number(found)) => expected.as_f64() == found.as_f64(),
        _ => expected == found,
    }
}

/// How far a text is indented that begins at a column.
fn column(column: u32) -> usize {
    column.saturating_sub(1) as usize
}

#[cfg(test)]
mod tests;
