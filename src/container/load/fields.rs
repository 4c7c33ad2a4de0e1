//! A template's fields: what each of them takes, and what is wrong with how a manifest describes them.

use super::{hosts, values};
use crate::{
    container::{
        diagnostic::{Diagnostic, Diagnostics, quoted},
        model::{FieldKind, FieldRule},
        yaml::{Node, PlacedMap, Value},
    },
    variable::ValueTemplate,
};

/// Whether a value without variables is what a field takes.
pub(super) fn fits(field: &FieldRule, node: &Node) -> bool {
    match (field.kind, &node.value) {
        (FieldKind::Any, _)
        | (FieldKind::Text | FieldKind::Line, Value::Text(_) | Value::Number(_))
        | (FieldKind::Url, Value::Text(_))
        | (FieldKind::Number, Value::Number(_))
        | (FieldKind::Boolean, Value::Bool(_))
        | (FieldKind::List, Value::List(_))
        | (FieldKind::Map, Value::Map(_)) => true,
        (FieldKind::Whole, Value::Number(text)) => text.parse::<u32>().is_ok(),
        (FieldKind::Choice, Value::Text(text)) => field.options.contains(text),
        _ => false,
    }
}

/// What a field takes, as the object of a sentence.
pub(super) fn wanted(field: &FieldRule) -> String {
    match field.kind {
        FieldKind::Text | FieldKind::Line => "a text".to_owned(),
        FieldKind::Number => "a number".to_owned(),
        FieldKind::Whole => "a whole number, zero or more".to_owned(),
        FieldKind::Boolean => "true or false".to_owned(),
        FieldKind::Choice => {
            format!("one of {}", field.options.iter().map(|option| &**option).collect::<Vec<_>>().join(", "))
        }
        FieldKind::Url => "an address".to_owned(),
        FieldKind::Secret => "the name of a secret".to_owned(),
        FieldKind::List => "a list".to_owned(),
        FieldKind::Map => "a mapping".to_owned(),
        FieldKind::Any => "anything".to_owned(),
    }
}

/// Reports fields that contradict themselves.
pub(super) fn check(fields: &PlacedMap<FieldRule>, owner: &str, diagnostics: &mut Diagnostics) {
    for (name, field) in fields {
        if let Some(contradiction) = contradiction(field, fields) {
            let message = format!("the field {} {contradiction}", quoted(name));
            diagnostics.push(Diagnostic::error("bad-field", message).at(name.place.clone()).of(owner));
        }
        check(&field.items, owner, diagnostics);
    }
}

fn contradiction(field: &FieldRule, fields: &PlacedMap<FieldRule>) -> Option<String> {
    let is = |kind: FieldKind| field.kind == kind;
    let words = match field {
        _ if is(FieldKind::Choice) && field.options.is_empty() => "is a choice without options",
        _ if !is(FieldKind::Choice) && !field.options.is_empty() => "has options, but is no choice",
        _ if !is(FieldKind::Map) && !field.keys.is_empty() => "has keys, but is no map",
        _ if !is(FieldKind::List) && !field.items.is_empty() => "has items, but is no list",
        _ if !is(FieldKind::Text) && field.pattern.is_some() => "has a pattern, but is no text",
        _ if field.fixed && matches!(field.kind, FieldKind::List | FieldKind::Map | FieldKind::Secret) => {
            "is fixed, but is no single value"
        }
        _ if field.default.as_ref().is_some_and(|default| !fits(field, default)) => {
            "has a default that it does not take itself"
        }
        _ if is(FieldKind::Url) && field.default.as_ref().is_some_and(|default| !is_address(default)) => {
            "has a default that is no absolute address"
        }
        _ => {
            let unknown = field.excludes.iter().find(|other| fields.get(other).is_none())?;
            return Some(format!("excludes {}, which is no field", quoted(unknown)));
        }
    };
    Some(words.to_owned())
}

fn is_address(default: &Node) -> bool {
    hosts::origins(&ValueTemplate::Fixed(values::plain(default)), &[]).is_ok()
}
