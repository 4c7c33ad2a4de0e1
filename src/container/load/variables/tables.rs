//! From table rules to tables: rows by their text, rows by their pattern.

use std::collections::HashMap;

use regex::{RegexSet, RegexSetBuilder};
use serde_json::Value;

use super::{
    Cx, quoted,
    values::{self, PatternOptions},
};
use crate::{
    container::{
        diagnostic::Diagnostic,
        model::variables::{LookupTableRule, RegexTableRule},
    },
    variable::{
        Piece, ValueTemplate,
        table::{LookupTable, RegexBlock, RegexRow, RegexTable, Replace},
    },
};

/// From so many rows on, one look at the input for all patterns is quicker than one for each.
const MANY_ROWS: usize = 8;
/// So many patterns are looked for at once. A thousand would make an automaton that is rebuilt at every look, which takes
/// longer than trying each; thirty rarely do.
const BLOCK: usize = 32;

pub(super) fn lookup(rule: &LookupTableRule, cx: &mut Cx<'_>) -> LookupTable {
    let mut rows = HashMap::with_capacity(rule.rows.len());
    for (key, node) in &rule.rows {
        if key.contains("{{") {
            let message = format!("the row {} is this text as it stands", quoted(key));
            let problem = Diagnostic::warning("reference-in-row", message).at(key.place.clone());
            let help = "inputs, values and defaults look variables up, the left side of a row does not".to_owned();
            cx.diagnostics.push(problem.of(cx.at.owner).help(help));
        }
        rows.insert(key.as_ref().into(), cx.template(node));
    }
    let default = rule.default.as_ref().map(|node| cx.template(node));
    LookupTable { input: cx.template(&rule.input), rows, default }
}

pub(super) fn regex(rule: &RegexTableRule, cx: &mut Cx<'_>) -> RegexTable {
    let options = PatternOptions { ignore_case: rule.ignore_case, full_match: rule.full_match };
    let mut rows = Vec::with_capacity(rule.rows.len());
    for row in &rule.rows {
        let output = cx.template(&row.output);
        let pattern = values::pattern(&row.pattern, &row.pattern.place, options, cx.at.owner, cx.diagnostics);
        let Some(pattern) = pattern else { continue };
        let groups = pattern.captures_len() - 1;
        // Where nothing is captured and no text stays around the match, the output is all that there is.
        let row = if rule.capture_groups && !(rule.full_match && is_taken_as_it_is(&output)) {
            RegexRow { pattern, output: with_rust_groups(output, groups), replace: Replace::CaptureGroups }
        } else {
            RegexRow { pattern, output, replace: Replace::Off }
        };
        rows.push(row);
    }
    let default = rule.default.as_ref().map(|node| cx.template(node));
    RegexTable { input: cx.template(&rule.input), blocks: blocks(rows, options), default }
}

/// Whether an output means the same as a replacement and as itself.
fn is_taken_as_it_is(output: &ValueTemplate) -> bool {
    match output {
        ValueTemplate::Fixed(value) => value.as_str().is_none_or(|text| !text.contains('$')),
        ValueTemplate::Variable(_) => true,
        ValueTemplate::Text(pieces) => pieces.iter().all(|piece| match piece {
            Piece::Text(text) => !text.contains('$'),
            Piece::Variable(_) => true,
        }),
    }
}

fn blocks(rows: Vec<RegexRow>, options: PatternOptions) -> Vec<RegexBlock> {
    let mut rows = rows.into_iter().peekable();
    let mut blocks = Vec::new();
    while rows.peek().is_some() {
        let rows: Vec<_> = rows.by_ref().take(BLOCK).collect();
        let set = (rows.len() >= MANY_ROWS).then(|| set(&rows, options)).flatten();
        blocks.push(RegexBlock { rows, set });
    }
    blocks
}

/// All patterns in one; `None` if that would grow too large, and then each is tried by itself.
fn set(rows: &[RegexRow], options: PatternOptions) -> Option<RegexSet> {
    const MAX_COMPILED_BYTES: usize = 8 << 20;
    let mut set = RegexSetBuilder::new(rows.iter().map(|row| row.pattern.as_str()));
    set.case_insensitive(options.ignore_case).size_limit(MAX_COMPILED_BYTES).build().ok()
}

/// JavaScript's replacements as Rust's, for a pattern with so many groups: `$1` becomes `${1}`, because `$1a` would be
/// the group named `1a`, and `$&` becomes `${0}`.
fn with_rust_groups(output: ValueTemplate, groups: usize) -> ValueTemplate {
    match output {
        ValueTemplate::Fixed(Value::String(text)) => ValueTemplate::Fixed(Value::String(rust_groups(&text, groups))),
        ValueTemplate::Text(pieces) => ValueTemplate::Text(
            pieces
                .into_iter()
                .map(|piece| match piece {
                    Piece::Text(text) => Piece::Text(rust_groups(&text, groups).into()),
                    variable @ Piece::Variable(_) => variable,
                })
                .collect(),
        ),
        other => other,
    }
}

fn rust_groups(text: &str, groups: usize) -> String {
    let mut output = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        output.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('&') {
            output.push_str("${0}");
            rest = after;
        } else if let Some((group, after)) = group_number(rest, groups) {
            output.push_str(&format!("${{{group}}}"));
            rest = after;
        } else {
            output.push_str("$$");
            rest = rest.strip_prefix('$').unwrap_or(rest);
        }
    }
    output + rest
}

/// A group that the pattern has, of two digits if it has that many, and the text after it (ECMA-262, `GetSubstitution`).
fn group_number(text: &str, groups: usize) -> Option<(usize, &str)> {
    [2, 1].into_iter().find_map(|length| {
        let (digits, after) = text.split_at_checked(length)?;
        let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()?;
        (1..=groups).contains(&number).then_some((number, after))
    })
}

#[cfg(test)]
mod tests {
    use super::rust_groups;

    #[test]
    fn javascript_groups_become_rust_groups() {
        for (javascript, groups, rust) in [
            ("$1a", 1, "${1}a"),
            ("$&", 0, "${0}"),
            ("$$1", 1, "$$1"),
            ("a$", 1, "a$$"),
            ("$x", 1, "$$x"),
            ("$é", 1, "$$é"),
            ("$12", 12, "${12}"),
            ("$12", 1, "${1}2"),
            ("$2", 1, "$$2"),
            ("$0", 1, "$$0"),
            ("$1$2", 2, "${1}${2}"),
        ] {
            assert_eq!(rust_groups(javascript, groups), rust, "{javascript}");
        }
    }
}
