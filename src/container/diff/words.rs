//! Values, conditions and whole rules in words. Takes what is written; gives text for one line.

use super::{
    Object, ValueChange, cases,
    outline::{Content, Template},
};
use crate::container::yaml::{Node, Value, reads_as_text};

/// How much of a value is shown.
const MAX_CHARS: usize = 100;
/// How much of what two long values have in common is shown.
const MAX_SHARED: usize = 20;

/// `consent none -> ad_storage`, `condition value > 0 removed`, `priority 0 -> 10`.
pub fn value_change(change: &ValueChange) -> String {
    let ValueChange { field, before, after, is_condition } = change;
    let said = |node: &Node| if *is_condition { condition(node) } else { value(node) };
    let field = if field.is_empty() { String::new() } else { format!("{field} ") };
    match (before.as_ref().map(said), after.as_ref().map(said)) {
        (Some(before), Some(after)) => {
            let (before, after) = around_difference(&before, &after);
            format!("{field}{before} -> {after}")
        }
        (Some(before), None) => format!("{field}{} removed", short(&before)),
        (None, Some(after)) => format!("{field}{} added", short(&after)),
        (None, None) => format!("{field}changed"),
    }
}

/// What an object is about, for one that is new.
pub fn gist(object: &Object, content: &Content) -> String {
    let listed = |rule: &Node, keys: &[&str]| {
        let present = keys.iter().filter_map(|key| Some((key, rule.get(key)?)));
        present.map(|(key, node)| format!("{key} {}", items(node, value))).collect::<Vec<_>>().join(", ")
    };
    let text = match content {
        Content::Rule(rule) => match &*object.kind {
            "tag" => listed(rule, &["template", "triggers", "consent"]),
            "trigger" => {
                let conditions = rule.get("when").map(|when| format!("where {}", items(when, condition)));
                let rest: Vec<_> = rule
                    .entries()
                    .iter()
                    .filter(|(key, _)| &*key.name != "when")
                    .map(|(key, node)| format!("{} {}", key.name, items(node, value)))
                    .chain(conditions)
                    .collect();
                rest.join(", ")
            }
            _ => {
                let entries = rule.entries().iter();
                let fields: Vec<_> = entries.map(|(key, node)| format!("{} {}", key.name, value(node))).collect();
                if fields.is_empty() { value(rule) } else { fields.join(", ") }
            }
        },
        Content::Template(Template { manifest, .. }) => match manifest.as_deref() {
            Some(Content::Rule(rule)) => listed(rule, &["consent", "permissions"]),
            _ => String::new(),
        },
        Content::Cases(file) => match cases::count(file) {
            1 => "1 case".to_owned(),
            count => format!("{count} cases"),
        },
        Content::Unreadable(_) => "it cannot be read".to_owned(),
    };
    short(&text)
}

/// The items of a list without its brackets, or a single value.
fn items(node: &Node, said: fn(&Node) -> String) -> String {
    match &node.value {
        Value::List(items) => items.iter().map(said).collect::<Vec<_>>().join(" and "),
        _ => said(node),
    }
}

/// As YAML has it, on one line.
fn value(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(text) => text.to_string(),
        Value::Text(text) => self::text(text),
        Value::List(items) => format!("[{}]", items.iter().map(value).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let entries: Vec<_> =
                entries.iter().map(|(key, node)| format!("{}: {}", text(&key.name), value(node))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// In quotes where it would read as something else, or where its ends would not be seen.
fn text(text: &str) -> String {
    let is_clear = reads_as_text(text)
        && !text.contains(|c: char| c.is_control() || c.is_whitespace() || matches!(c, '"' | '\\' | ',' | '[' | ']'));
    if is_clear { text.to_owned() } else { format!("{text:?}") }
}

/// `value > 0`, `{{Page path}} starts with /shop`, `any of (currency = EUR; currency = USD)`; as it is written if it is
/// none.
fn condition(node: &Node) -> String {
    if let Some(words) = known_condition(node) { words } else { value(node) }
}

fn known_condition(node: &Node) -> Option<String> {
    const COMPARISONS: [(&str, &str); 10] = [
        ("equals", "="),
        ("in", "in"),
        ("contains", "contains"),
        ("starts_with", "starts with"),
        ("ends_with", "ends with"),
        ("matches", "matches"),
        ("less_than", "<"),
        ("less_or_equal", "<="),
        ("greater_than", ">"),
        ("greater_or_equal", ">="),
    ];
    let mut subject = None;
    let mut tests = Vec::new();
    let mut case = "";
    let mut negated = false;
    for (key, node) in node.entries() {
        let said = match (&*key.name, &node.value) {
            ("variable", Value::Text(name)) => {
                subject = Some(format!("{{{{{name}}}}}"));
                continue;
            }
            ("event_data", Value::Text(path)) => {
                subject = Some(path.to_string());
                continue;
            }
            ("not", Value::Bool(true)) => {
                negated = true;
                continue;
            }
            ("ignore_case", Value::Bool(true)) => {
                case = " (in any case)";
                continue;
            }
            ("defined", Value::Bool(true)) => "is defined".to_owned(),
            ("defined", Value::Bool(false)) => "is not defined".to_owned(),
            ("any", Value::List(parts)) => format!("any of ({})", several(parts)),
            ("all", Value::List(parts)) => format!("all of ({})", several(parts)),
            (other, _) => {
                let (_, operator) = COMPARISONS.iter().find(|(name, _)| *name == other)?;
                format!("{operator} {}", value(node))
            }
        };
        tests.push(said);
    }
    let test = if tests.is_empty() { None } else { Some(tests.join(" and ")) }?;
    let words = subject.map_or_else(|| test.clone(), |subject| format!("{subject} {test}")) + case;
    Some(if negated { format!("not ({words})") } else { words })
}

fn several(parts: &[Node]) -> String {
    parts.iter().map(condition).collect::<Vec<_>>().join("; ")
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

/// Two long values from shortly before the point at which they differ.
fn around_difference(before: &str, after: &str) -> (String, String) {
    let is_long = |text: &str| text.chars().nth(MAX_CHARS).is_some();
    if !is_long(before) && !is_long(after) {
        return (before.to_owned(), after.to_owned());
    }
    let shared = before.chars().zip(after.chars()).take_while(|(a, b)| a == b).count();
    let skipped = shared.saturating_sub(MAX_SHARED);
    let cut = |text: &str| {
        let rest: String = text.chars().skip(skipped).collect();
        short(&if skipped > 0 { format!("…{rest}") } else { rest })
    };
    (cut(before), cut(after))
}
