//! From variable rules to variables: kinds, defaults, formats; references, circles, sensitivity.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;

use super::{
    Item, Items, LoadOptions, Names, Reading,
    values::{self, At},
};
use crate::{
    call::SecretName,
    container::{
        diagnostic::{Diagnostic, Diagnostics, Sources, quoted},
        model::variables::{CaseRule, FormatRule, VariableRule},
        yaml::Node,
    },
    script::Workshop,
    trace::Sensitivity,
    variable::{
        ValueTemplate, Variable, VariableKind,
        format::{Format, LetterCase},
    },
};

mod environment;
mod expression;
mod kinds;
mod order;
mod tables;

/// What variables are compiled with.
pub(super) struct Known<'a> {
    pub options: LoadOptions<'a>,
    /// The files themselves, for places within expressions.
    pub sources: &'a Sources,
    /// Takes the expressions.
    pub scripts: &'a mut Workshop,
}

/// What the parts of one variable are compiled with.
struct Cx<'a> {
    names: &'a Names,
    at: At<'a>,
    options: &'a LoadOptions<'a>,
    sources: &'a Sources,
    scripts: &'a mut Workshop,
    diagnostics: &'a mut Diagnostics,
}

impl Cx<'_> {
    fn template(&mut self, node: &Node) -> ValueTemplate {
        values::template(node, self.names, self.at, self.diagnostics)
    }

    fn optional(&mut self, node: Option<&Node>) -> Option<ValueTemplate> {
        node.map(|node| self.template(node))
    }

    fn report(&mut self, problem: Diagnostic) {
        self.diagnostics.push(problem.of(self.at.owner));
    }
}

/// Compiles all variables. One that is wrong becomes a constant nothing, so that others keep their indexes.
pub(super) fn compile(
    items: Items<VariableRule>,
    known: Known<'_>,
    diagnostics: &mut Diagnostics,
) -> (Vec<Variable>, Names) {
    let (items, mut names) = items.into_parts("variable");
    let secrets = items.iter().enumerate();
    let secrets =
        secrets.filter_map(|(index, item)| Some((index, SecretName(item.rule.secret.as_ref()?.value.clone()))));
    names.set_secrets(secrets.collect::<HashMap<_, _>>());
    let mut variables = Vec::with_capacity(items.len());
    for item in &items {
        let owner = format!("variable {}", quoted(&item.name));
        let at = At { file: &item.place.file, owner: &owner };
        let (options, sources) = (&known.options, known.sources);
        variables
            .push(variable(item, &mut Cx { names: &names, at, options, sources, scripts: known.scripts, diagnostics }));
    }
    let sorted = order::sort(&items, &variables, diagnostics);
    order::mark(&mut variables, &sorted);
    (variables, names)
}

fn variable(item: &Item<VariableRule>, cx: &mut Cx<'_>) -> Variable {
    let rule = &item.rule;
    let mut kind = kind(item, cx).unwrap_or(VariableKind::Constant(Value::Null));
    let sensitivity = match &rule.expression {
        Some(expression) => expression::sensitivity(&expression.value),
        None => Sensitivity::Public,
    };
    let mut default = cx.optional(rule.default.as_ref());
    let format = rule.format.as_ref().map(|rule| format(rule, cx));
    if let VariableKind::Secret(_) = kind
        && (default.is_some() || format.is_some())
    {
        let message = "a secret has neither default nor format: its value is known to the delivery alone";
        cx.report(Diagnostic::error("secret-value", message).at(item.place.clone()));
    }
    // What is the same for every event is known now.
    if let VariableKind::Constant(value) = &mut kind {
        default = match default {
            Some(ValueTemplate::Fixed(default)) if value.is_null() => {
                *value = default;
                None
            }
            default => default.filter(|_| value.is_null()),
        };
    }
    Variable { name: Arc::clone(&item.name), kind, default, format, sensitivity }
}

fn kind(item: &Item<VariableRule>, cx: &mut Cx<'_>) -> Option<VariableKind> {
    let mut found = kinds::all(item, cx);
    let problem = |message: String| Diagnostic::error("variable-kind", message).at(item.place.clone());
    match found.len() {
        0 if item.reading == Reading::Flawed => None,
        0 => {
            let message = format!("{} has no kind: nothing says where its value comes from", cx.at.owner);
            cx.report(problem(message).help(format!("add one of {}", kinds::NAMES.join(", "))));
            None
        }
        1 => found.pop().map(|(_, kind)| kind),
        _ => {
            let names = found.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            let message = format!("{} has more than one kind: {names}", cx.at.owner);
            let help = "keep one; first_of takes the first of several that has a value".to_owned();
            cx.report(problem(message).help(help));
            None
        }
    }
}

fn format(rule: &FormatRule, cx: &mut Cx<'_>) -> Format {
    Format {
        case: match rule.case {
            None => LetterCase::AsItStands,
            Some(CaseRule::Lower) => LetterCase::Lower,
            Some(CaseRule::Upper) => LetterCase::Upper,
        },
        when_null: cx.optional(rule.when_null.as_ref()),
        when_undefined: cx.optional(rule.when_undefined.as_ref()),
        when_true: cx.optional(rule.when_true.as_ref()),
        when_false: cx.optional(rule.when_false.as_ref()),
    }
}
