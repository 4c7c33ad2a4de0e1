//! A tag's parameters, held against its template's fields.

use std::collections::BTreeSet;

use super::{
    Names,
    fields::{fits, wanted},
    hosts, known,
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
    event, script,
    variable::{ValueTemplate, Variable},
};

/// What the texts of parameters may refer to.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub names: &'a Names,
    pub variables: &'a [Variable],
}

/// Parameters, or one element of a list of them: what they are called and where they stand.
pub(super) struct Subject<'a> {
    /// Such as `template "openai_conversion"`.
    pub name: &'a str,
    pub place: &'a Place,
    /// Such as `tag "Sign-up"`.
    pub owner: &'a str,
}

/// A tag's parameters, and the secrets among them with their places.
pub(super) struct Compiled {
    pub parameters: Vec<(Box<str>, Parameter)>,
    pub secrets: Vec<(SecretName, Place)>,
}

/// One parameter as it was written.
struct Given<'a> {
    name: &'a str,
    place: Place,
    node: &'a Node,
}

pub(super) fn compile(
    given: &PlacedMap<Node>,
    fields: &PlacedMap<FieldRule>,
    subject: &Subject<'_>,
    scope: Scope<'_>,
    diagnostics: &mut Diagnostics,
) -> Compiled {
    let given = given.iter().map(|(name, node)| Given { name, place: name.place.clone(), node });
    let at = At { file: &subject.place.file, owner: subject.owner };
    let mut compiler = Compiler { scope, at, secrets: Vec::new(), diagnostics };
    let parameters = compiler.parameters(&given.collect::<Vec<_>>(), fields, subject);
    Compiled { parameters, secrets: compiler.secrets }
}

struct Compiler<'a, 'd> {
    scope: Scope<'a>,
    at: At<'a>,
    secrets: Vec<(SecretName, Place)>,
    diagnostics: &'d mut Diagnostics,
}

impl Compiler<'_, '_> {
    fn report(&mut self, problem: Diagnostic, place: Place, help: Option<String>) {
        self.diagnostics.push(problem.at(place).of(self.at.owner).help(help));
    }

    fn parameters(
        &mut self,
        given: &[Given<'_>],
        fields: &PlacedMap<FieldRule>,
        subject: &Subject<'_>,
    ) -> Vec<(Box<str>, Parameter)> {
        for Given { name, place, .. } in given.iter().filter(|given| fields.get(given.name).is_none()) {
            let message = format!("{} has no field {}", subject.name, quoted(name));
            let names = || fields.names().map(AsRef::as_ref);
            let list = || match names().collect::<Vec<&str>>().as_slice() {
                [] => "it has no fields".to_owned(),
                names => format!("its fields are {}", names.join(", ")),
            };
            let help = did_you_mean(name, names()).unwrap_or_else(list);
            self.report(Diagnostic::error("unknown-field", message), place.clone(), Some(help));
        }
        let stated = |name: &str| given.iter().find(|given| given.name == name && given.node.value != Value::Null);
        let mut parameters = Vec::new();
        for (name, field) in fields {
            let value = match stated(name) {
                Some(given) => {
                    for other in field.excludes.iter().filter(|other| stated(other).is_some()) {
                        let message = format!("the fields {} and {} exclude each other", quoted(name), quoted(other));
                        let problem = Diagnostic::error("conflicting-fields", message);
                        self.report(problem, given.place.clone(), Some("keep one of them".to_owned()));
                    }
                    self.parameter_of(name, given.node, field)
                }
                None if field.required => {
                    let message = format!("{} needs the field {}", subject.name, quoted(name));
                    let help = format!("add {name}: {}", field.description);
                    self.report(Diagnostic::error("absent-field", message), subject.place.clone(), Some(help));
                    None
                }
                None => field.default.as_ref().map(|node| {
                    let default = ValueTemplate::Fixed(values::plain(node));
                    if field.kind == FieldKind::Url { Parameter::Address(default) } else { Parameter::Value(default) }
                }),
            };
            parameters.extend(value.map(|value| (name.as_ref().into(), value)));
        }
        parameters
    }

    fn parameter_of(&mut self, name: &str, node: &Node, field: &FieldRule) -> Option<Parameter> {
        if let (false, Value::List(elements)) = (field.items.is_empty(), &node.value) {
            let elements = elements.iter().filter_map(|element| self.element(name, element, field));
            return Some(Parameter::List(elements.collect()));
        }
        let errors_before = self.diagnostics.errors_told();
        let parameter = self.parameter(node);
        if self.diagnostics.errors_told() > errors_before {
            return None;
        }
        let is_taken = match &parameter {
            Parameter::Secret(_) => matches!(field.kind, FieldKind::Secret | FieldKind::Any),
            // What a variable gives is known only at a hit; the script looks again.
            Parameter::Value(ValueTemplate::Variable(_)) => field.kind != FieldKind::Secret && field.items.is_empty(),
            Parameter::Value(ValueTemplate::Text(_)) => {
                matches!(
                    field.kind,
                    FieldKind::Text | FieldKind::Line | FieldKind::Choice | FieldKind::Url | FieldKind::Any
                )
            }
            Parameter::Value(ValueTemplate::Fixed(_)) | Parameter::List(_) | Parameter::Map(_) => fits(field, node),
            Parameter::Line(_) | Parameter::Address(_) => false,
        };
        if !is_taken {
            let (message, help) = misfit(name, node, &parameter, field);
            let problem = Diagnostic::error("wrong-type", message);
            // Whatever was written in place of a secret is not repeated.
            let problem = if field.kind == FieldKind::Secret { problem } else { problem.found(node.describe()) };
            self.report(problem, node.span.place(self.at.file), help);
            return None;
        }
        self.report_keys(name, node, field);
        self.report_values(name, node, &parameter, field);
        match parameter {
            Parameter::Value(line) if field.kind == FieldKind::Line => Some(Parameter::Line(line)),
            Parameter::Value(address) if field.kind == FieldKind::Url => {
                self.report_host(name, node, &address);
                Some(Parameter::Address(address))
            }
            parameter => Some(parameter),
        }
    }

    /// An element of a list whose elements have fields of their own.
    fn element(&mut self, name: &str, element: &Node, field: &FieldRule) -> Option<Parameter> {
        let place = element.span.place(self.at.file);
        let Value::Map(entries) = &element.value else {
            let message = format!("an element of {} must be a mapping", quoted(name));
            let help =
                format!("its keys are {}", field.items.names().map(AsRef::as_ref).collect::<Vec<_>>().join(", "));
            let problem = Diagnostic::error("wrong-type", message).found(element.describe());
            self.report(problem, place, Some(help));
            return None;
        };
        let given =
            entries.iter().map(|(key, node)| Given { name: &key.name, place: key.span.place(self.at.file), node });
        let given: Vec<_> = given.collect();
        let subject = format!("an element of {}", quoted(name));
        let subject = Subject { name: &subject, place: &place, owner: self.at.owner };
        Some(Parameter::Map(self.parameters(&given, &field.items, &subject)))
    }

    /// Reports the keys that a field's mapping does not take: a misspelt one would be obeyed by nobody.
    fn report_keys(&mut self, name: &str, node: &Node, field: &FieldRule) {
        let is_unknown = |key: &str| !field.keys.is_empty() && field.keys.iter().all(|known| **known != *key);
        for (key, _) in node.entries().iter().filter(|(key, _)| is_unknown(&key.name)) {
            let message = format!("the field {} takes no key {}", quoted(name), quoted(&key.name));
            let keys = || field.keys.iter().map(|key| &**key);
            let meant = did_you_mean(&key.name, keys());
            let help = meant.unwrap_or_else(|| format!("its keys are {}", keys().collect::<Vec<_>>().join(", ")));
            self.report(Diagnostic::error("unknown-key", message), key.span.place(self.at.file), Some(help));
        }
    }

    /// Looks at every value that the parameter can have, if they are known by now.
    fn report_values(&mut self, name: &str, node: &Node, parameter: &Parameter, field: &FieldRule) {
        if !field.fixed && field.pattern.is_none() {
            return;
        }
        let known = match parameter {
            Parameter::Value(template) => known::values(template, self.scope.variables),
            _ => Some(Vec::new()),
        };
        let place = node.span.place(self.at.file);
        let Some(known) = known else {
            if field.fixed {
                let message = format!("the field {} takes only what stands in the rules", quoted(name));
                let help = "write the value, or a variable of the kind constant or environment, or a table whose \
                            outputs are such values: an event must not choose it";
                let problem = Diagnostic::error("unfixed-value", message).found(node.describe());
                self.report(problem, place, Some(help.to_owned()));
            }
            return;
        };
        let Some(pattern) = &field.pattern else { return };
        // No value at all is told where it is missed: by the environment, or by the script.
        let texts = known.iter().filter_map(event::to_text).filter(|text| !text.is_empty());
        for text in texts.filter(|text| !pattern.is_match(text)) {
            let message = format!("the field {} does not take this value", quoted(name));
            let problem = Diagnostic::error("bad-value", message).found(format!("the text {}", quoted(&text)));
            self.report(problem, place.clone(), Some(field.description.clone()));
        }
    }

    /// Reports an address of which the rules do not say where it leads.
    fn report_host(&mut self, name: &str, node: &Node, address: &ValueTemplate) {
        let (message, help) = match hosts::origins(address, self.scope.variables) {
            Ok(_) => return self.report_address(node, address),
            Err(hosts::Unknown::Unfixed) => (
                format!("an event would choose the host in the field {}", quoted(name)),
                "write scheme and host in the rules, and variables after them: https://api.example.com/{{Variable}}",
            ),
            Err(hosts::Unknown::NotAnAddress) => (
                format!("the field {} takes an absolute address", quoted(name)),
                "write one such as https://api.example.com/path, without a user name",
            ),
        };
        let problem = Diagnostic::error("unfixed-host", message).found(node.describe());
        self.report(problem, node.span.place(self.at.file), Some(help.to_owned()));
    }

    /// Reports an address that is known by now, and that no request will be sent to.
    fn report_address(&mut self, node: &Node, address: &ValueTemplate) {
        let known = known::values(address, self.scope.variables).unwrap_or_default();
        let texts = known.iter().filter_map(event::to_text).filter(|text| !text.is_empty());
        let faults: BTreeSet<String> = texts.filter_map(|text| script::address(&text).err()).collect();
        for fault in faults {
            let problem = Diagnostic::error("bad-address", fault).found(node.describe());
            self.report(problem, node.span.place(self.at.file), None);
        }
    }

    fn parameter(&mut self, node: &Node) -> Parameter {
        match &node.value {
            Value::List(items) => Parameter::List(items.iter().map(|item| self.parameter(item)).collect()),
            Value::Map(entries) => {
                if let [(key, Node { value: Value::Text(name), .. })] = entries.as_slice()
                    && &*key.name == "secret"
                {
                    return self.secret(SecretName(name.clone()), node);
                }
                let entries = entries.iter().map(|(key, node)| (key.name.clone(), self.parameter(node)));
                Parameter::Map(entries.collect())
            }
            Value::Text(text) => match self.scope.names.secret(text) {
                Some(secret) => self.secret(secret.clone(), node),
                None => self.value(node),
            },
            _ => self.value(node),
        }
    }

    fn secret(&mut self, name: SecretName, node: &Node) -> Parameter {
        self.secrets.push((name.clone(), node.span.place(self.at.file)));
        Parameter::Secret(name)
    }

    fn value(&mut self, node: &Node) -> Parameter {
        Parameter::Value(values::template(node, self.scope.names, self.at, self.diagnostics))
    }
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
