//! From condition rules to conditions: one subject, one operator, or a group.

use super::{
    Names, Reading,
    values::{self, PatternOptions},
};
use crate::{
    container::{
        diagnostic::{Diagnostic, Diagnostics},
        model::ConditionRule,
        yaml::{Placed, Scalar},
    },
    trigger::{Case, Condition, Needle, Number, Operand, Operator, Sense, Subject, Test},
    variable::VariableIndex,
};

const OPERATORS: &str = "equals, in, contains, starts_with, ends_with, matches, less_than, less_or_equal, greater_than, \
                         greater_or_equal, defined";

pub(super) fn compile(
    rules: &[Placed<ConditionRule>],
    owner: &str,
    reading: Reading,
    variables: &Names,
    diagnostics: &mut Diagnostics,
) -> Vec<Condition> {
    rules.iter().filter_map(|rule| condition(rule, owner, reading, variables, diagnostics)).collect()
}

fn condition(
    rule: &Placed<ConditionRule>,
    owner: &str,
    reading: Reading,
    variables: &Names,
    diagnostics: &mut Diagnostics,
) -> Option<Condition> {
    let problem = |message: &str, help: String| {
        Diagnostic::error("bad-condition", message).at(rule.place.clone()).of(owner).help(help)
    };
    let subject = subject(rule, owner, variables, diagnostics);
    let errors_before = diagnostics.errors_told();
    let mut operators = operators(rule, owner, diagnostics);
    if diagnostics.errors_told() > errors_before {
        return None;
    }
    let group = match (&rule.any, &rule.all) {
        (Some(items), None) | (None, Some(items)) if items.is_empty() => {
            diagnostics
                .push(problem("a group of conditions is empty", "add conditions to it, or delete it".to_owned()));
            return None;
        }
        (Some(any), None) => Some(Condition::Any(compile(any, owner, reading, variables, diagnostics))),
        (None, Some(all)) => Some(Condition::All(compile(all, owner, reading, variables, diagnostics))),
        (None, None) => None,
        (Some(_), Some(_)) => {
            diagnostics.push(problem("a condition has both any and all", "put one into the other".to_owned()));
            return None;
        }
    };
    let has_subject = rule.variable.is_some() || rule.event_data.is_some();
    if let Some(group) = group {
        if has_subject || !operators.is_empty() || rule.not || rule.ignore_case {
            let help = "any and all stand alone; not and ignore_case go into their items".to_owned();
            diagnostics.push(problem("a group of conditions also holds a test", help));
        }
        return Some(group);
    }
    let is_flawed = reading == Reading::Flawed;
    let fault = match (has_subject, operators.len()) {
        (true, 0) | (false, 0 | 1) if is_flawed => return None,
        (false, 0) => {
            Some(("a condition is empty", format!("add event_data: PATH or variable: NAME, and one of {OPERATORS}")))
        }
        (true, 0) => Some(("a condition has no operator", format!("add one of {OPERATORS}"))),
        (false, _) => Some(("a condition has nothing to test", "add event_data: PATH, or variable: NAME".to_owned())),
        (true, 1) if rule.variable.is_some() && rule.event_data.is_some() => {
            Some(("a condition has both event_data and variable", "keep one of them".to_owned()))
        }
        (true, 1) => None,
        (true, _) => {
            Some(("a condition has several operators", "make each a condition of its own; all must hold".to_owned()))
        }
    };
    if let Some((message, help)) = fault {
        diagnostics.push(problem(message, help));
        return None;
    }
    let (operator, words) = operators.pop()?;
    if matches!(&operator, Operator::In(values) if values.is_empty()) {
        diagnostics.push(problem("in has no values, so it never holds", "add values to it".to_owned()));
    }
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

pub(super) fn operand(value: &Scalar, case: Case) -> Operand {
    let number = match value {
        Scalar::Number(text) => Number::parse(text),
        Scalar::Bool(_) | Scalar::Text(_) => None,
    };
    Operand { text: needle(value, case), number }
}

fn needle(value: &Scalar, case: Case) -> Needle {
    let text = value.to_string();
    Needle { text: if case == Case::Ignored { text.to_lowercase() } else { text }.into(), case }
}
