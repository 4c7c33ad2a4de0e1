//! Environment variables: read when the container loads, as the type that the rules say.

use serde_json::{Number, Value};

use super::Cx;
use crate::container::{
    diagnostic::{Diagnostic, Severity, quoted},
    load::is_always_readable,
    model::variables::{EnvironmentKind, EnvironmentRule},
    yaml::{Placed, ScalarOr},
};

/// Whether there is another value for one that is not set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Without {
    Default,
    Nothing,
}

pub(super) fn read(rule: &ScalarOr<Placed<Box<str>>, EnvironmentRule>, without: Without, cx: &mut Cx<'_>) -> Value {
    let (name, kind) = match rule {
        ScalarOr::Scalar(name) => (name, EnvironmentKind::Text),
        ScalarOr::Collection(rule) => (&rule.name, rule.kind),
    };
    let Some(text) = cx.options.environment.get(&*name.value) else {
        if without == Without::Nothing {
            cx.report(absent(name, cx.options.absent_environment).at(name.place.clone()));
        }
        return Value::Null;
    };
    let (value, wanted) = match kind {
        EnvironmentKind::Text => (Some(Value::from(text.as_str())), "a text"),
        EnvironmentKind::Number => (number(text.trim()), "a number, such as 5 or -1.50"),
        EnvironmentKind::Boolean => (text.trim().parse::<bool>().ok().map(Value::from), "true or false"),
    };
    value.unwrap_or_else(|| {
        let message = format!("the environment variable {} must be {wanted}", name.value);
        let problem = Diagnostic::error("environment-type", message).at(name.place.clone());
        cx.report(problem.found(quoted(text)).help(format!("set it otherwise: export {}=…", name.value)));
        Value::Null
    })
}

fn number(text: &str) -> Option<Value> {
    let whole = text.parse::<i64>().ok().map(Value::from);
    // Not `inf`, which has no JSON form.
    whole.or_else(|| Number::from_f64(text.parse().ok()?).map(Value::Number))
}

fn absent(name: &str, severity: Severity) -> Diagnostic {
    let message = format!("the environment variable {name} is not set, or is empty");
    let diagnostic = match severity {
        Severity::Error => Diagnostic::error("absent-environment", message),
        Severity::Warning => Diagnostic::warning("absent-environment", message),
        Severity::Note => Diagnostic::note("absent-environment", message),
    };
    let help = if is_always_readable(name) {
        format!("set it: export {name}=…")
    } else {
        format!("set it, and let containers read it: tidegate serve --allow-env {name}")
    };
    diagnostic.help(help)
}
