//! Values that people write: scalars as event data would hold them, texts with `{{Variable}}` in them, patterns.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Number, Value};

use super::Names;
use crate::{
    container::{
        diagnostic::{Diagnostic, Diagnostics, Place, quoted},
        yaml::{self, Node},
    },
    variable::{Piece, ValueTemplate, VariableIndex},
};

/// Where a value stands, for diagnostics.
#[derive(Clone, Copy)]
pub struct At<'a> {
    pub file: &'a Arc<str>,
    /// Such as `tag "Sign-up"`.
    pub owner: &'a str,
}

/// A node as plain data; `{{…}}` is not looked at.
pub fn plain(node: &Node) -> Value {
    match &node.value {
        yaml::Value::Null => Value::Null,
        yaml::Value::Bool(bool) => Value::from(*bool),
        yaml::Value::Number(text) => number(text),
        yaml::Value::Text(text) => Value::from(&**text),
        yaml::Value::List(items) => Value::Array(items.iter().map(plain).collect()),
        yaml::Value::Map(entries) => Value::Object(
            entries.iter().map(|(key, value)| (key.name.to_string(), plain(value))).collect::<Map<_, _>>(),
        ),
    }
}

/// A number as JSON has it; one that JSON cannot hold (`.inf`, `0x1F`) stays the text that it is.
fn number(text: &str) -> Value {
    match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(integer), _) => Value::from(integer),
        (Err(_), Ok(float)) => Number::from_f64(float).map_or_else(|| Value::from(text), Value::Number),
        (Err(_), Err(_)) => Value::from(text),
    }
}

/// A node as a template: text is searched for `{{Variable}}`, anything else is taken as it is.
pub fn template(node: &Node, variables: &Names, at: At<'_>, diagnostics: &mut Diagnostics) -> ValueTemplate {
    match &node.value {
        yaml::Value::Text(text) if text.contains("{{") => {
            text_template(text, &node.span.place(at.file), variables, at.owner, diagnostics)
        }
        _ => ValueTemplate::Fixed(plain(node)),
    }
}

/// A text in which `{{Variable}}` is searched for.
pub fn text_template(
    text: &str,
    place: &Place,
    variables: &Names,
    owner: &str,
    diagnostics: &mut Diagnostics,
) -> ValueTemplate {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else {
            let problem = Diagnostic::error("open-reference", "a reference to a variable is not closed");
            let help = "write {{Name}}; a text cannot hold {{ otherwise".to_owned();
            diagnostics.push(problem.at(place.clone()).of(owner).found(quoted(text)).help(help));
            return ValueTemplate::Fixed(Value::Null);
        };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.into()));
        }
        if let Some(index) = variables.find(name.trim(), place, owner, diagnostics) {
            pieces.push(Piece::Variable(VariableIndex(index)));
        }
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.into()));
    }
    match pieces.as_slice() {
        [Piece::Variable(index)] => ValueTemplate::Variable(*index),
        _ => ValueTemplate::Text(pieces),
    }
}

/// How a pattern is meant.
#[derive(Clone, Copy, Default)]
pub struct PatternOptions {
    pub ignore_case: bool,
    /// As if `^` and `$` stood around the whole of it.
    pub full_match: bool,
}

/// Compiles a pattern; reports one that is none, with the engine's own words.
pub fn pattern(
    text: &str,
    place: &Place,
    options: PatternOptions,
    owner: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Regex> {
    /// Far more than a sensible pattern needs, far less than would be felt.
    const MAX_COMPILED_BYTES: usize = 1 << 20;
    // The pattern by itself first: an error must speak of what the user wrote, not of what stands around it.
    let whole = format!("^(?:{text})$");
    let compiled = RegexBuilder::new(text).size_limit(MAX_COMPILED_BYTES).build().and_then(|_| {
        let text = if options.full_match { &whole } else { text };
        RegexBuilder::new(text).case_insensitive(options.ignore_case).size_limit(MAX_COMPILED_BYTES).build()
    });
    match compiled {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let reason = match &error {
                regex::Error::CompiledTooBig(_) => "it takes more than a megabyte".to_owned(),
                other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
            };
            let help = match reason.as_str() {
                words if words.contains("look-around") || words.contains("backreference") => {
                    Some("patterns are those of RE2: no look-around, no backreferences")
                }
                words if words.starts_with("repetition operator") => {
                    Some("* repeats what stands before it; .* is any text, and \\* a star")
                }
                _ => None,
            };
            let problem = Diagnostic::error("bad-pattern", format!("the pattern does not compile: {reason}"));
            diagnostics.push(problem.at(place.clone()).of(owner).found(quoted(text)).help(help.map(str::to_owned)));
            None
        }
    }
}
