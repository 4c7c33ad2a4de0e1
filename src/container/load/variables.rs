//! From variable rules to variables: kinds, references, cycles.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Item, Items, LoadOptions, Names, Reading, is_always_readable,
    values::{self, At, PatternOptions},
};
use crate::{
    container::{
        diagnostic::{Diagnostic, Diagnostics, Severity, quoted},
        model::{RegexTableRule, VariableRule},
        yaml::Placed,
    },
    trace::Sensitivity,
    variable::{Piece, RegexRow, RegexTable, Replace, ValueTemplate, Variable, VariableIndex, VariableKind},
};

/// Compiles all variables. One that is wrong becomes a constant nothing, so that others keep their indexes.
pub(super) fn compile(
    items: Items<VariableRule>,
    options: &LoadOptions<'_>,
    diagnostics: &mut Diagnostics,
) -> (Vec<Variable>, Names) {
    let (items, names) = items.into_parts("variable");
    let variables: Vec<Variable> = items
        .iter()
        .map(|item| {
            let owner = format!("variable {}", quoted(&item.name));
            let kind = kind(item, &owner, &names, options, diagnostics).unwrap_or(VariableKind::Constant(Value::Null));
            Variable { name: Arc::clone(&item.name), sensitivity: sensitivity(&kind), kind }
        })
        .collect();
    report_cycles(&items, &variables, diagnostics);
    (variables, names)
}

fn kind(
    item: &Item<VariableRule>,
    owner: &str,
    names: &Names,
    options: &LoadOptions<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<VariableKind> {
    let rule = &item.rule;
    let at = At { file: &item.place.file, owner };
    let mut kinds = Vec::new();
    if let Some(node) = &rule.constant {
        let value = values::plain(node);
        if value.as_str().is_some_and(|text| text.contains("{{")) {
            let message = format!("{owner} is the text {} as it stands", quoted(value.as_str().unwrap_or_default()));
            let help = "parameters and the outputs of a regex_table look variables up, a constant does not".to_owned();
            diagnostics
                .push(Diagnostic::warning("reference-in-constant", message).at(node.span.place(at.file)).help(help));
        }
        kinds.push(VariableKind::Constant(value));
    }
    if let Some(path) = &rule.event_data {
        kinds.push(VariableKind::EventData { path: path.value.clone() });
    }
    if let Some(name) = &rule.page_query {
        kinds.push(VariableKind::Query { name: name.value.clone() });
    }
    if let Some(name) = &rule.cookie {
        kinds.push(VariableKind::Cookie { name: name.value.clone() });
    }
    if let Some(name) = &rule.header {
        report_header(name, owner, diagnostics);
        kinds.push(VariableKind::Header { name: name.to_ascii_lowercase().into() });
    }
    if let Some(name) = &rule.environment {
        let value = options.environment.get(&*name.value);
        if value.is_none() {
            diagnostics
                .push(absent_environment(&name.value, options.absent_environment).at(name.place.clone()).of(owner));
        }
        kinds.push(VariableKind::Constant(value.map_or(Value::Null, |value| Value::from(value.as_str()))));
    }
    if let Some(table) = &rule.regex_table {
        kinds.push(VariableKind::RegexTable(regex_table(table, names, at, diagnostics)));
    }
    let count = kinds.len();
    let kind = kinds.pop();
    if count == 0 && item.reading == Reading::Flawed {
        return None;
    }
    if count != 1 {
        let message = format!("{owner} must have one kind, but has {}", if count == 0 { "none" } else { "several" });
        let help =
            "the kinds are constant, event_data, page_query, cookie, header, environment, regex_table".to_owned();
        diagnostics.push(Diagnostic::error("variable-kind", message).at(item.place.clone()).of(owner).help(help));
        return None;
    }
    kind
}

/// Cookies are read one by one, credentials not at all, by scripts as by variables.
fn report_header(name: &Placed<Box<str>>, owner: &str, diagnostics: &mut Diagnostics) {
    let (message, help) = match name.to_ascii_lowercase().as_str() {
        "cookie" => ("cookies are not read as a header", "read each by its name: cookie: NAME"),
        "authorization" => ("credentials are not read", "no variable holds them"),
        _ if http::HeaderName::try_from(&*name.value).is_err() => {
            ("that is no name of a header", "such as Accept-Language")
        }
        _ => return,
    };
    let problem = Diagnostic::error("bad-header", message).at(name.place.clone()).of(owner);
    diagnostics.push(problem.found(quoted(name)).help(help.to_owned()));
}

fn absent_environment(name: &str, severity: Severity) -> Diagnostic {
    let message = format!("the environment variable {name} is not set, or is empty");
    let diagnostic = match severity {
        Severity::Error => Diagnostic::error("absent-environment", message),
        Severity::Warning => Diagnostic::warning("absent-environment", message),
        Severity::Note => Diagnostic::note("absent-environment", message),
    };
    let readable = is_always_readable(name);
    let help = if readable {
        format!("set it: export {name}=…")
    } else {
        format!("set it, and let containers read it: tidegate serve --allow-env {name}")
    };
    diagnostic.help(help)
}

fn regex_table(rule: &RegexTableRule, names: &Names, at: At<'_>, diagnostics: &mut Diagnostics) -> RegexTable {
    let options = PatternOptions { ignore_case: rule.ignore_case, full_match: rule.full_match };
    let replace = if rule.capture_groups { Replace::CaptureGroups } else { Replace::Off };
    let rows = rule.rows.iter().filter_map(|row| {
        let output = values::template(&row.output, names, at, diagnostics);
        let pattern = values::pattern(&row.pattern, &row.pattern.place, options, at.owner, diagnostics)?;
        let groups = pattern.captures_len() - 1;
        let output = if replace == Replace::CaptureGroups { with_rust_groups(output, groups) } else { output };
        Some(RegexRow { pattern, output, replace })
    });
    let rows = rows.collect();
    RegexTable {
        input: values::template(&rule.input, names, at, diagnostics),
        rows,
        default: rule.default.as_ref().map(|node| values::template(node, names, at, diagnostics)),
    }
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

/// Whether traces may show the values of this kind.
fn sensitivity(kind: &VariableKind) -> Sensitivity {
    match kind {
        VariableKind::Constant(_) => Sensitivity::Public,
        VariableKind::EventData { path } => Sensitivity::of_event_data(path),
        VariableKind::Query { name } if name.starts_with("utm_") => Sensitivity::Public,
        VariableKind::Cookie { .. } | VariableKind::Query { .. } => Sensitivity::Personal,
        VariableKind::Header { name } => match &**name {
            "host" | "origin" | "sec-gpc" | "content-type" | "accept-language" => Sensitivity::Public,
            _ => Sensitivity::Personal,
        },
        VariableKind::RegexTable(table) if gives_only_what_was_written(table) => Sensitivity::Public,
        VariableKind::RegexTable(_) => Sensitivity::Personal,
    }
}

/// Whether every value that a table can give stands in the rules: nothing captured, and of no other variable.
fn gives_only_what_was_written(table: &RegexTable) -> bool {
    let outputs = table.rows.iter().map(|row| &row.output).chain(&table.default);
    table.rows.iter().all(|row| row.replace == Replace::Off)
        && outputs.into_iter().all(|output| matches!(output, ValueTemplate::Fixed(_)))
}

/// The variables that a variable needs.
fn references(kind: &VariableKind) -> Vec<VariableIndex> {
    let VariableKind::RegexTable(table) = kind else { return Vec::new() };
    let templates = table.rows.iter().map(|row| &row.output).chain([&table.input]).chain(&table.default);
    let mut found = Vec::new();
    for template in templates {
        match template {
            ValueTemplate::Fixed(_) => {}
            ValueTemplate::Variable(index) => found.push(*index),
            ValueTemplate::Text(pieces) => found.extend(pieces.iter().filter_map(|piece| match piece {
                Piece::Variable(index) => Some(*index),
                Piece::Text(_) => None,
            })),
        }
    }
    found
}

/// Reports every variable that needs its own value, once a cycle.
fn report_cycles(items: &[Item<VariableRule>], variables: &[Variable], diagnostics: &mut Diagnostics) {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; variables.len()];
    for start in 0..variables.len() {
        // An explicit stack: a long chain of variables must not use up the thread's own.
        let mut path: Vec<(usize, Vec<VariableIndex>)> = Vec::new();
        let mut next = (marks[start] == Mark::New).then_some(start);
        loop {
            if let Some(index) = next.take() {
                marks[index] = Mark::Open;
                path.push((index, references(&variables[index].kind)));
            }
            let Some((index, pending)) = path.last_mut() else { break };
            let Some(reference) = pending.pop() else {
                marks[*index] = Mark::Done;
                path.pop();
                continue;
            };
            match marks.get(reference.0) {
                Some(Mark::New) => next = Some(reference.0),
                Some(Mark::Open) => {
                    let from = path.iter().position(|(index, _)| *index == reference.0).unwrap_or_default();
                    let names = path[from..].iter().map(|(index, _)| quoted(&variables[*index].name));
                    let cycle = names.chain([quoted(&variables[reference.0].name)]).collect::<Vec<_>>().join(" -> ");
                    let message = format!("a variable needs its own value: {cycle}");
                    diagnostics.push(Diagnostic::error("cycle", message).at(items[reference.0].place.clone()));
                }
                _ => {}
            }
        }
    }
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
