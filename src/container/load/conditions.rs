//! From condition rules to conditions: one subject, one operator, or a group.

use regex::Regex;

use super::{
    Names, Reading,
    values::{self, PatternOptions},
};
use crate::{
    container::{
        diagnostic::{Diagnostic, Diagnostics, quoted},
        model::ConditionRule,
        yaml::{Placed, Scalar},
    },
    trigger::condition::{Bound, Case, Condition, Number, Operand, Operator, Order, Sense, Subject, Test, Wanted},
    variable::{ValueTemplate, VariableIndex},
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
    let mut operators = operators(rule, owner, variables, diagnostics);
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
    Some(Condition::Test(Test { subject: subject?, operator, case: case_of(rule), sense, text }))
}

fn subject(rule: &ConditionRule, owner: &str, variables: &Names, diagnostics: &mut Diagnostics) -> Option<Subject> {
    match (&rule.variable, &rule.event_data) {
        (Some(name), _) => {
            let index = variables.find(name, &name.place, owner, diagnostics)?;
            Some(Subject::Variable(VariableIndex(index)))
        }
        (None, Some(path)) => Some(Subject::event_data(path)),
        (None, None) => None,
    }
}

/// Reads what a condition compares with.
struct Reader<'a> {
    owner: &'a str,
    case: Case,
    variables: &'a Names,
}

/// Every operator that the condition names, with its words for traces.
fn operators(
    rule: &ConditionRule,
    owner: &str,
    variables: &Names,
    diagnostics: &mut Diagnostics,
) -> Vec<(Operator, String)> {
    let reader = Reader { owner, case: case_of(rule), variables };
    let mut found = Vec::new();
    if let Some(value) = &rule.equals {
        found.push((Operator::Equals(reader.operand(value, diagnostics)), format!("equals {value}")));
    }
    if let Some(value) = &rule.contains {
        found.push((Operator::Contains(reader.operand(value, diagnostics)), format!("contains {value}")));
    }
    if let Some(value) = &rule.starts_with {
        found.push((Operator::StartsWith(reader.operand(value, diagnostics)), format!("starts_with {value}")));
    }
    if let Some(value) = &rule.ends_with {
        found.push((Operator::EndsWith(reader.operand(value, diagnostics)), format!("ends_with {value}")));
    }
    if let Some(values) = &rule.one_of {
        let words = values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let operands = values.iter().map(|value| reader.operand(value, diagnostics)).collect();
        found.push((Operator::In(operands), format!("in [{words}]")));
    }
    if let Some(text) = &rule.matches
        && let Some(pattern) = reader.pattern(text, diagnostics)
    {
        found.push((Operator::Matches(pattern), format!("matches {}", text.value)));
    }
    let numbers = [
        ("less_than", &rule.less_than, Order::Less),
        ("less_or_equal", &rule.less_or_equal, Order::LessOrEqual),
        ("greater_than", &rule.greater_than, Order::Greater),
        ("greater_or_equal", &rule.greater_or_equal, Order::GreaterOrEqual),
    ];
    for (name, value, order) in numbers {
        let Some(value) = value else { continue };
        if let Some(bound) = reader.bound(name, value, diagnostics) {
            found.push((Operator::Compares(order, bound), format!("{name} {value}")));
        }
    }
    if rule.defined.is_some() {
        found.push((Operator::Defined, "defined".to_owned()));
    }
    found
}

pub(super) fn wanted(value: &Scalar, case: Case) -> Wanted {
    let number = match value {
        Scalar::Number(text) => Number::parse(text),
        Scalar::Bool(_) | Scalar::Text(_) => None,
    };
    Wanted { text: case.fold(value.to_string().into()).into(), number }
}

fn case_of(rule: &ConditionRule) -> Case {
    if rule.ignore_case { Case::Ignored } else { Case::Sensitive }
}

impl Reader<'_> {
    fn operand(&self, value: &Placed<Scalar>, diagnostics: &mut Diagnostics) -> Operand {
        if let Some(template) = self.template(value, diagnostics) {
            return Operand::Template(template);
        }
        Operand::Fixed(wanted(&value.value, self.case))
    }

    fn bound(&self, name: &str, value: &Placed<Scalar>, diagnostics: &mut Diagnostics) -> Option<Bound> {
        if let Some(template) = self.template(value, diagnostics) {
            return Some(Bound::Template(template));
        }
        let number = |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite());
        let (found, help) = match &value.value {
            Scalar::Number(text) => match number(text) {
                Some(number) => return Some(Bound::Fixed(number)),
                None => (format!("the number {text}"), None),
            },
            Scalar::Bool(bool) => (bool.to_string(), None),
            Scalar::Text(text) => {
                let help = number(text).map(|_| format!("without quotes it is a number: {text}"));
                let help = help.unwrap_or_else(|| "write a number, or \"{{Variable}}\"".to_owned());
                (format!("the text {}", quoted(text)), Some(help))
            }
        };
        let message = format!("expected a number for {name:?}, found {found}");
        let problem = Diagnostic::error("wrong-type", message).at(value.place.clone()).of(self.owner);
        diagnostics.push(problem.help(help));
        None
    }

    /// What is looked up for each event, if there is anything of the kind in a value.
    fn template(&self, value: &Placed<Scalar>, diagnostics: &mut Diagnostics) -> Option<ValueTemplate> {
        let Scalar::Text(text) = &value.value else { return None };
        text.contains("{{").then(|| values::text_template(text, &value.place, self.variables, self.owner, diagnostics))
    }

    fn pattern(&self, text: &Placed<Box<str>>, diagnostics: &mut Diagnostics) -> Option<Regex> {
        if text.split_once("{{").is_some_and(|(_, after)| after.contains("}}")) {
            let problem = Diagnostic::error("bad-pattern", "a pattern holds no variables").at(text.place.clone());
            let help = "compare by equals, in, contains, starts_with or ends_with, which look variables up".to_owned();
            diagnostics.push(problem.of(self.owner).found(quoted(text)).help(help));
            return None;
        }
        let options = PatternOptions { ignore_case: self.case == Case::Ignored, full_match: false };
        values::pattern(text, &text.place, options, self.owner, diagnostics)
    }
}
