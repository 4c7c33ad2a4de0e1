//! The cookies of a template: which of them its tags may set, and which are expired where consent is refused.
//!
//! A manifest lists their names, or says in which field a tag names them. Such a field is fixed: its values stand in the
//! rules, so that no visitor ever chooses the name of a cookie.

use std::collections::BTreeSet;

use serde_json::Value;

use super::known;
use crate::{
    container::{
        Parameter,
        diagnostic::{Diagnostic, Diagnostics, did_you_mean, quoted},
        model::{FieldKind, FieldRule, FromRule, ManifestRule, WhenRule},
        yaml::{self, Node, Placed, PlacedMap, decode::Context, decode::decode},
    },
    event,
    variable::Variable,
};

/// What a manifest says about cookies.
pub(super) struct CookieRules {
    may_set: Named,
    expires: Expires,
}

/// Where the names stand.
enum Named {
    Listed(Vec<Box<str>>),
    /// In this field of the tag.
    From(Box<str>),
}

enum Expires {
    Listed(Vec<Box<str>>),
    /// All of them, if this field of the tag is true.
    When(Box<str>),
}

/// The cookies of one tag.
#[derive(Default)]
pub(super) struct Cookies {
    pub may_set: Vec<Box<str>>,
    pub expire_when_refused: Vec<Box<str>>,
}

/// The key of an element that holds a cookie's name.
const NAME: &str = "name";

/// Reads a manifest's keys `permissions.cookies` and `expire_when_refused`.
pub(super) fn rules(rule: &ManifestRule, context: &Context<'_>, diagnostics: &mut Diagnostics) -> CookieRules {
    let may_set = match &rule.permissions.cookies {
        Some(node) if matches!(node.value, yaml::Value::Map(_)) => {
            let from: Option<FromRule> = decode(node, context, diagnostics);
            let from = from.filter(|from| is_field(&from.from, &rule.fields, context, diagnostics, names_cookies));
            from.map_or_else(|| Named::Listed(Vec::new()), |from| Named::From(from.from.value))
        }
        node => Named::Listed(values(list(node.as_ref(), context, diagnostics))),
    };
    let expires = match &rule.expire_when_refused {
        Some(node) if matches!(node.value, yaml::Value::Map(_)) => {
            let when: Option<WhenRule> = decode(node, context, diagnostics);
            let when = when.filter(|when| is_field(&when.when, &rule.fields, context, diagnostics, decides));
            when.map_or_else(|| Expires::Listed(Vec::new()), |when| Expires::When(when.when.value))
        }
        node => {
            let names = list(node.as_ref(), context, diagnostics);
            if let Named::Listed(permitted) = &may_set {
                report_unpermitted(&names, permitted, context, diagnostics);
            }
            Expires::Listed(values(names))
        }
    };
    CookieRules { may_set, expires }
}

fn list(node: Option<&Node>, context: &Context<'_>, diagnostics: &mut Diagnostics) -> Vec<Placed<Box<str>>> {
    node.and_then(|node| decode(node, context, diagnostics)).unwrap_or_default()
}

fn values(names: Vec<Placed<Box<str>>>) -> Vec<Box<str>> {
    names.into_iter().map(|name| name.value).collect()
}

fn report_unpermitted(
    names: &[Placed<Box<str>>],
    permitted: &[Box<str>],
    context: &Context<'_>,
    diagnostics: &mut Diagnostics,
) {
    for name in names.iter().filter(|name| !permitted.contains(&name.value)) {
        let owner = context.owner;
        let message = format!("{owner} may not set the cookie {}, so it may not expire it", quoted(name));
        let problem = Diagnostic::error("unpermitted-cookie", message).at(name.place.clone()).of(owner);
        diagnostics.push(problem.help(remedy(name, permitted)));
    }
}

/// What to do about a cookie that is not permitted.
pub(super) fn remedy(name: &str, permitted: &[Box<str>]) -> String {
    let meant = did_you_mean(name, permitted.iter().map(AsRef::as_ref));
    meant.unwrap_or_else(|| "add it to permissions.cookies".to_owned())
}

/// Whether there is a field of this name that is good for what a manifest wants of it. Reports where it is not.
fn is_field(
    name: &Placed<Box<str>>,
    fields: &PlacedMap<FieldRule>,
    context: &Context<'_>,
    diagnostics: &mut Diagnostics,
    fault: fn(&FieldRule) -> Option<&'static str>,
) -> bool {
    let (message, help) = match fields.get(&name.value) {
        None => {
            let message = format!("{} has no field {}", context.owner, quoted(name));
            (message, did_you_mean(name, fields.names().map(AsRef::as_ref)))
        }
        Some(field) => match fault(field) {
            None => return true,
            Some(wanted) => {
                (format!("the field {} cannot decide about cookies", quoted(name)), Some(wanted.to_owned()))
            }
        },
    };
    let problem = Diagnostic::error("unfixed-cookies", message).at(name.place.clone()).of(context.owner);
    diagnostics.push(problem.help(help));
    false
}

fn names_cookies(field: &FieldRule) -> Option<&'static str> {
    let is_fixed_text = |field: &FieldRule| field.kind == FieldKind::Text && field.fixed;
    let is_fit = is_fixed_text(field) || field.items.get(NAME).is_some_and(is_fixed_text);
    (!is_fit).then_some("it must be a text with fixed: true, or a list whose items have a name of that kind")
}

fn decides(field: &FieldRule) -> Option<&'static str> {
    let is_fit = field.kind == FieldKind::Boolean && field.fixed;
    (!is_fit).then_some("it must be a boolean with fixed: true")
}

impl CookieRules {
    /// The names that may be set, where the manifest lists them.
    pub(super) fn listed(&self) -> Option<&[Box<str>]> {
        match &self.may_set {
            Named::Listed(names) => Some(names),
            Named::From(_) => None,
        }
    }

    /// The cookies of a tag with these parameters.
    pub(super) fn of(&self, parameters: &[(Box<str>, Parameter)], variables: &[Variable]) -> Cookies {
        let parameter = |wanted: &str| parameters.iter().find(|(name, _)| **name == *wanted).map(|(_, value)| value);
        let may_set = match &self.may_set {
            Named::Listed(names) => names.clone(),
            Named::From(field) => parameter(field).map_or_else(Vec::new, |value| names_in(value, variables)),
        };
        let expire_when_refused = match &self.expires {
            Expires::Listed(names) => names.clone(),
            Expires::When(field) => match parameter(field).map(|value| known_values(value, variables)).as_deref() {
                Some([Value::Bool(true)]) => may_set.clone(),
                _ => Vec::new(),
            },
        };
        Cookies { may_set, expire_when_refused }
    }
}

/// The names that a field gives, each once.
fn names_in(parameter: &Parameter, variables: &[Variable]) -> Vec<Box<str>> {
    let elements = match parameter {
        Parameter::List(elements) => elements.as_slice(),
        single => std::slice::from_ref(single),
    };
    let known = elements.iter().filter_map(name_of).flat_map(|name| known_values(name, variables));
    let names: BTreeSet<Box<str>> = known.filter_map(|name| event::to_text(&name).map(Into::into)).collect();
    names.into_iter().collect()
}

/// What an element says of a cookie's name: itself, or its key of that name.
fn name_of(element: &Parameter) -> Option<&Parameter> {
    match element {
        Parameter::Map(entries) => entries.iter().find(|(key, _)| **key == *NAME).map(|(_, value)| value),
        single => Some(single),
    }
}

fn known_values(parameter: &Parameter, variables: &[Variable]) -> Vec<Value> {
    match parameter {
        Parameter::Value(template) => known::values(template, variables).unwrap_or_default(),
        _ => Vec::new(),
    }
}
