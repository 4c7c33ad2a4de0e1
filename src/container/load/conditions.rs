//! From condition rules to conditions: one subject, one operator, or a group.

use super::{
    Names,
    values::{self, PatternOptions},
};
use crate::{
    container::{
        diagnostic::{Diagnostic, Diagnostics},
        model::ConditionRule,
        yaml::{Placed, Scalar},
    },
    trigger::{Case, Condition, Needle, Operand, Operator, Sense, Subject, Test},
    variable::VariableIndex,
};

const OPERATORS: &str = "equals, in, contains, starts_with, ends_with, matches, less_than, less_or_equal, greater_than, \
                         greater_or_equal, defined";

pub(super) fn compile(
    rules: &[Placed<ConditionRule>],
    owner: &str,
    variables: &Names,
    diagnostics: &mut Diagnostics,
) -> Vec<Condition> {
    rules.iter().filter_map(|rule| condition(rule, owner, variables, diagnostics)).collect()
}

fn condition(
    rule: &Placed<ConditionRule>,
    owner: &str,
    variables: &Names,
    diagnostics: &mut Diagnostics,
) -> Option<Condition> {
    let problem = |message: &str, help: String| {
        Diagnostic::error("bad-condition", message).at(rule.place.clone()).of(owner).help(help)
    };
    let subject = subject(rule, owner, variables, diagnostics);
    let errors_before = diagnostics.errors();
    let mut operators = operators(rule, owner, diagnostics);
    if diagnostics.errors() > errors_before {
        return None;
    }
    let group = match (&rule.any, &rule.all) {
        (Some(any), None) => Some(Condition::Any(compile(any, owner, variables, diagnostics))),
        (None, Some(all)) => Some(Condition::All(compile(all, owner, variables, diagnostics))),
        (None, None) => None,
        (Some(_), Some(_)) => {
            diagnostics.push(problem("a condition has both any and all", "put one into the other".to_owned()));
            return None;
        }
    };
    let has_subject = rule.variable.is_some() || rule.event_data.is_some();
    if let Some(group) = group {
        if has_subject || !operators.is_empty() || rule.not {
            let help = "any and all stand alone; their items are conditions".to_owned();
            diagnostics.push(problem("a group of conditions also holds a test", help));
        }
        return Some(group);
    }
    if !has_subject || rule.variable.is_some() && rule.event_data.is_some() {
        diagnostics
            .push(problem("a condition needs one thing to test", "add variable: NAME, or event_data: PATH".to_owned()));
    }
    if operators.len() != 1 {
        let message =
            if operators.is_empty() { "a condition needs an operator" } else { "a condition has several operators" };
        diagnostics
            .push(problem(message, format!("write one of {OPERATORS}; several conditions are several list items")));
        return None;
    }
    let (operator, words) = operators.pop()?;
    let sense = if rule.not != (rule.defined == Some(false)) { Sense::IsNot } else { Sense::Is };
    let name = rule.variable.as_ref().or(rule.event_data.as_ref()).map_or("", |name| &name.value);
    let negation = if sense == Sense::IsNot { "not " } else { "" };
    let text = format!("{name} {negation}{words}").into();
    Some(Condition::Test(Test { subject: subject?, operator, sense, text }))
}

fn subject(rule: &ConditionRule, owner: &str, variables: &Names, diagnostics: &mut Diagnostics) -> Option<Subject> {
    match (&rule.variable, &rule.event_data) {
        (Some(name), _) => {
            let index = variables.find(name, &name.place, owner, diagnostics)?;
            Some(Subject::Variable(VariableIndex(index)))
        }
        (None, Some(path)) => Some(Subject::EventData(path.value.clone())),
        (None, None) => None,
    }
}

/// Every operator that the condition names, with its words for traces.
fn operators(rule: &ConditionRule, owner: &str, diagnostics: &mut Diagnostics) -> Vec<(Operator, String)> {
    let case = if rule.ignore_case { Case::Ignored } else { Case::Sensitive };
    let mut found = Vec::new();
    if let Some(value) = &rule.equals {
        found.push((Operator::Equals(operand(value, case)), format!("equals {value}")));
    }
    if let Some(values) = &rule.one_of {
        let words = values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        found.push((Operator::In(values.iter().map(|value| operand(value, case)).collect()), format!("in [{words}]")));
    }
    if let Some(value) = &rule.contains {
        found.push((Operator::Contains(needle(value, case)), format!("contains {value}")));
    }
    if let Some(value) = &rule.starts_with {
        found.push((Operator::StartsWith(needle(value, case)), format!("starts_with {value}")));
    }
    if let Some(value) = &rule.ends_with {
        found.push((Operator::EndsWith(needle(value, case)), format!("ends_with {value}")));
    }
    if let Some(text) = &rule.matches {
        let options = PatternOptions { ignore_case: rule.ignore_case, full_match: false };
        if let Some(pattern) = values::pattern(text, &text.place, options, owner, diagnostics) {
            found.push((Operator::Matches(pattern), format!("matches {}", text.value)));
        }
    }
    if let Some(bound) = rule.less_than {
        found.push((Operator::LessThan(bound), format!("less_than {bound}")));
    }
    if let Some(bound) = rule.less_or_equal {
        found.push((Operator::LessOrEqual(bound), format!("less_or_equal {bound}")));
    }
    if let Some(bound) = rule.greater_than {
        found.push((Operator::GreaterThan(bound), format!("greater_than {bound}")));
    }
    if let Some(bound) = rule.greater_or_equal {
        found.push((Operator::GreaterOrEqual(bound), format!("greater_or_equal {bound}")));
    }
    if rule.defined.is_some() {
        found.push((Operator::Defined, "defined".to_owned()));
    }
    found
}

fn operand(value: &Scalar, case: Case) -> Operand {
    let number = match value {
        Scalar::Number(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        Scalar::Bool(_) | Scalar::Text(_) => None,
    };
    Operand { text: needle(value, case), number }
}

fn needle(value: &Scalar, case: Case) -> Needle {
    let text = value.to_string();
    Needle { text: if case == Case::Ignored { text.to_lowercase() } else { text }.into(), case }
}
