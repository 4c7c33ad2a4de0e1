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
            let fields = || known.fields.names().map(AsRef::as_ref);
            let list = || match fields().collect::<Vec<&str>>().as_slice() {
                [] => "it has no fields".to_owned(),
                fields => format!("its fields are {}", fields.join(", ")),
            };
            let help = did_you_mean(name, fields()).unwrap_or_else(list);
            diagnostics.push(Diagnostic::error("unknown-field", message).at(name.place.clone()).of(owner).help(help));
        }
    }
    let field = |(name, field): &(crate::container::yaml::Placed<std::sync::Arc<str>>, FieldRule)| {
        let value = match given.get(name).filter(|node| node.value != Value::Null) {
            Some(node) => checked(name, node, field, variables, at, diagnostics),
            None if field.required => {
                let message = format!("template {} needs the field {}", quoted(template), quoted(name));
                let problem = Diagnostic::error("absent-field", message).at(tag.clone()).of(owner);
                diagnostics.push(problem.help(format!("add {name} to its parameters: {}", field.description)));
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
    let errors_before = diagnostics.errors_told();
    let parameter = parameter(node, variables, at, diagnostics);
    if diagnostics.errors_told() > errors_before {
        return None;
    }
    let fits = match &parameter {
        Parameter::Secret(_) => matches!(field.kind, FieldKind::Secret | FieldKind::Any),
        // What a variable gives is known only at a hit; the script looks again.
        Parameter::Value(ValueTemplate::Variable(_)) => field.kind != FieldKind::Secret,
        Parameter::Value(ValueTemplate::Text(_)) => {
            matches!(field.kind, FieldKind::Text | FieldKind::Choice | FieldKind::Any)
        }
        Parameter::Value(ValueTemplate::Fixed(_)) | Parameter::List(_) | Parameter::Map(_) => fits(field, node),
    };
    if fits {
        report_keys(name, node, field, at, diagnostics);
        return Some(parameter);
    }
    let (message, help) = misfit(name, node, &parameter, field);
    let problem = Diagnostic::error("wrong-type", message).at(node.span.place(at.file)).of(at.owner);
    // Whatever was written in place of a secret is not repeated.
    let problem = if field.kind == FieldKind::Secret { problem } else { problem.found(node.describe()) };
    diagnostics.push(problem.help(help));
    None
}

/// What is wrong with a value, and what would be right.
fn misfit(name: &str, node: &Node, parameter: &Parameter, field: &FieldRule) -> (String, Option<String>) {
    let name = quoted(name);
    let found = match parameter {
        Parameter::Secret(_) => "a secret".to_owned(),
        _ => node.describe(),
    };
    match (field.kind, &node.value) {
        (FieldKind::Choice, Value::Text(text)) => {
            let options = || field.options.iter().map(|option| &**option);
            let list = || format!("its options are {}", options().collect::<Vec<_>>().join(", "));
            let help = did_you_mean(text, options()).unwrap_or_else(list);
            (format!("the field {name} has no option {}", quoted(text)), Some(help))
        }
        (FieldKind::Secret, _) => {
            let help = "write { secret: NAME }; the value itself stays in the environment or in a file".to_owned();
            (format!("the field {name} takes the name of a secret"), Some(help))
        }
        _ => {
            let help = matches!(parameter, Parameter::Secret(_)).then(|| {
                "a secret goes where a template asks for one; its value is known to the delivery alone".to_owned()
            });
            (format!("the field {name} takes {}, not {found}", wanted(field)), help)
        }
    }
}

/// Whether a value without variables is what a field takes.
pub(super) fn fits(field: &FieldRule, node: &Node) -> bool {
    match (field.kind, &node.value) {
        (FieldKind::Any, _)
        | (FieldKind::Text, Value::Text(_) | Value::Number(_))
        | (FieldKind::Number, Value::Number(_))
        | (FieldKind::Boolean, Value::Bool(_))
        | (FieldKind::List, Value::List(_))
        | (FieldKind::Map, Value::Map(_)) => true,
        (FieldKind::Choice, Value::Text(text)) => field.options.contains(text),
        _ => false,
    }
}

/// Reports the keys that a field's mapping does not take: a misspelt one would be obeyed by nobody.
fn report_keys(name: &str, node: &Node, field: &FieldRule, at: At<'_>, diagnostics: &mut Diagnostics) {
    for (key, _) in node.entries().iter().filter(|(key, _)| !field.keys.is_empty() && !field.keys.contains(&key.name)) {
        let message = format!("the field {} takes no key {}", quoted(name), quoted(&key.name));
        let keys = || field.keys.iter().map(|key| &**key);
        let meant = did_you_mean(&key.name, keys());
        let help = meant.unwrap_or_else(|| format!("its keys are {}", keys().collect::<Vec<_>>().join(", ")));
        diagnostics.push(Diagnostic::error("unknown-key", message).at(key.span.place(at.file)).of(at.owner).help(help));
    }
}

fn wanted(field: &FieldRule) -> String {
    match field.kind {
        FieldKind::Text => "a text".to_owned(),
        FieldKind::Number => "a number".to_owned(),
        FieldKind::Boolean => "true or false".to_owned(),
        FieldKind::Choice => {
            format!("one of {}", field.options.iter().map(|option| &**option).collect::<Vec<_>>().join(", "))
        }
        FieldKind::Secret => "the name of a secret".to_owned(),
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
        Value::Text(text) => match variables.secret(text) {
            Some(secret) => Parameter::Secret(secret.clone()),
            None => Parameter::Value(values::template(node, variables, at, diagnostics)),
        },
        _ => Parameter::Value(values::template(node, variables, at, diagnostics)),
    }
}
