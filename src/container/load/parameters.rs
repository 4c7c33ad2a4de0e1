//! A tag's parameters, held against its template's fields.

use super::{
    Names, templates,
    values::{self, At},
};
use crate::{
    call::SecretName,
    container::{
        Parameter,
        diagnostic::{Diagnostic, Diagnostics, Place, did_you_mean, quoted},
        model::{FieldKind, FieldRule},
        yaml::{Node, PlacedMap, Value},
    },
    variable::ValueTemplate,
};

pub(super) fn compile(
    given: &PlacedMap<Node>,
    known: &templates::Known,
    variables: &Names,
    tag: &Place,
    owner: &str,
    diagnostics: &mut Diagnostics,
) -> Vec<(Box<str>, Parameter)> {
    let at = At { file: &tag.file, owner };
    let template = &known.template.name;
    for (name, _) in given {
        if known.fields.get(name).is_none() {
            let message = format!("template {} has no field {}", quoted(template), quoted(name));
            let help = did_you_mean(name, known.fields.names().map(AsRef::as_ref));
            diagnostics.push(Diagnostic::error("unknown-field", message).at(name.place.clone()).of(owner).help(help));
        }
    }
    let field = |(name, field): &(crate::container::yaml::Placed<std::sync::Arc<str>>, FieldRule)| {
        let value = match given.get(name).filter(|node| node.value != Value::Null) {
            Some(node) => checked(name, node, field, variables, at, diagnostics),
            None if field.required => {
                let message = format!("template {} needs the field {}", quoted(template), quoted(name));
                let problem = Diagnostic::error("absent-field", message).at(tag.clone()).of(owner);
                diagnostics.push(problem.help(format!("{name}: {}", field.description)));
                None
            }
            None => field.default.as_ref().map(|node| Parameter::Value(ValueTemplate::Fixed(values::plain(node)))),
        };
        Some((name.as_ref().into(), value?))
    };
    known.fields.iter().filter_map(field).collect()
}

fn checked(
    name: &str,
    node: &Node,
    field: &FieldRule,
    variables: &Names,
    at: At<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Parameter> {
    let parameter = parameter(node, variables, at, diagnostics);
    let wanted = match (field.kind, &parameter) {
        // What a variable gives is known only at a hit; the script looks again.
        (_, Parameter::Value(ValueTemplate::Variable(_))) if field.kind != FieldKind::Secret => None,
        (FieldKind::Any, _) | (FieldKind::Secret, Parameter::Secret(_)) | (FieldKind::List, Parameter::List(_)) => None,
        (FieldKind::Map, Parameter::Map(_))
        | (FieldKind::Text | FieldKind::Choice, Parameter::Value(ValueTemplate::Text(_))) => None,
        (kind, Parameter::Value(ValueTemplate::Fixed(_))) => match (kind, &node.value) {
            (FieldKind::Text, Value::Text(_) | Value::Number(_))
            | (FieldKind::Number, Value::Number(_))
            | (FieldKind::Boolean, Value::Bool(_)) => None,
            (FieldKind::Choice, Value::Text(text)) if field.options.contains(text) => None,
            _ => Some(wanted(field)),
        },
        _ => Some(wanted(field)),
    };
    let Some(wanted) = wanted else { return Some(parameter) };
    let message = format!("the field {} takes {wanted}", quoted(name));
    let meant = match &node.value {
        Value::Text(text) => did_you_mean(text, field.options.iter().map(|option| &**option)),
        _ => None,
    };
    let problem = Diagnostic::error("wrong-type", message).at(node.span.place(at.file)).of(at.owner);
    diagnostics.push(problem.found(node.describe()).help(meant));
    None
}

fn wanted(field: &FieldRule) -> String {
    match field.kind {
        FieldKind::Text => "a text".to_owned(),
        FieldKind::Number => "a number".to_owned(),
        FieldKind::Boolean => "true or false".to_owned(),
        FieldKind::Choice => {
            format!("one of {}", field.options.iter().map(|option| &**option).collect::<Vec<_>>().join(", "))
        }
        FieldKind::Secret => {
            "the name of a secret, as { secret: NAME }; the value itself is never written here".to_owned()
        }
        FieldKind::List => "a list".to_owned(),
        FieldKind::Map => "a mapping".to_owned(),
        FieldKind::Any => "anything".to_owned(),
    }
}

fn parameter(node: &Node, variables: &Names, at: At<'_>, diagnostics: &mut Diagnostics) -> Parameter {
    match &node.value {
        Value::List(items) => {
            Parameter::List(items.iter().map(|item| parameter(item, variables, at, diagnostics)).collect())
        }
        Value::Map(entries) => {
            if let [(key, Node { value: Value::Text(name), .. })] = entries.as_slice()
                && &*key.name == "secret"
            {
                return Parameter::Secret(SecretName(name.clone()));
            }
            let entries = entries.iter();
            Parameter::Map(
                entries.map(|(key, node)| (key.name.clone(), parameter(node, variables, at, diagnostics))).collect(),
            )
        }
        _ => Parameter::Value(values::template(node, variables, at, diagnostics)),
    }
}
