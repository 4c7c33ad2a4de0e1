//! Values that are known when the container loads. Takes a value template and the compiled variables; gives every value
//! that it can have, or that nobody can tell before an event is there.
//!
//! What must not grow with the number of visitors (accounts, names of cookies) takes such values alone.

use serde_json::Value;

use crate::{
    event,
    variable::{Piece, ValueTemplate, Variable, VariableIndex, VariableKind, table::Replace},
};

/// More values than this are no longer known: they would multiply.
const MAX_VALUES: usize = 100;
/// How many variables deep a value is looked for. Longer chains are refused elsewhere, and circles end here.
const MAX_DEPTH: usize = 64;

/// Every value that a template can have; `None` if it depends on an event or its request. A variable without a value
/// gives null.
pub(super) fn values(template: &ValueTemplate, variables: &[Variable]) -> Option<Vec<Value>> {
    of_template(template, variables, MAX_DEPTH)
}

fn of_template(template: &ValueTemplate, variables: &[Variable], depth: usize) -> Option<Vec<Value>> {
    match template {
        ValueTemplate::Fixed(value) => Some(vec![value.clone()]),
        ValueTemplate::Variable(index) => of_variable(*index, variables, depth),
        ValueTemplate::Text(pieces) => {
            let mut texts = vec![String::new()];
            for piece in pieces {
                let ends = match piece {
                    Piece::Text(text) => vec![Value::from(&**text)],
                    Piece::Variable(index) => of_variable(*index, variables, depth)?,
                };
                if texts.len() * ends.len() > MAX_VALUES {
                    return None;
                }
                let end = |text: &String, end: &Value| format!("{text}{}", event::to_text(end).unwrap_or_default());
                texts = texts.iter().flat_map(|text| ends.iter().map(move |value| end(text, value))).collect();
            }
            Some(texts.into_iter().map(Value::String).collect())
        }
    }
}

fn of_variable(index: VariableIndex, variables: &[Variable], depth: usize) -> Option<Vec<Value>> {
    let depth = depth.checked_sub(1)?;
    let variable = variables.get(index.0)?;
    // A format makes other values of them, of which this does not know.
    if variable.format.is_some() {
        return None;
    }
    let outputs: Vec<&ValueTemplate> = match &variable.kind {
        VariableKind::Constant(value) if variable.default.is_none() => return Some(vec![value.clone()]),
        VariableKind::Constant(_) => Vec::new(),
        VariableKind::Text(template) => vec![template],
        VariableKind::LookupTable(table) => table.rows.values().chain(&table.default).collect(),
        VariableKind::RegexTable(table) if table.rows().all(|row| row.replace == Replace::Off) => {
            table.rows().map(|row| &row.output).chain(&table.default).collect()
        }
        VariableKind::FirstOf(templates) => templates.iter().collect(),
        _ => return None,
    };
    let mut all = Vec::new();
    for output in outputs.into_iter().chain(&variable.default) {
        all.extend(of_template(output, variables, depth)?);
        if all.len() > MAX_VALUES {
            return None;
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use regex::Regex;
    use serde_json::json;

    use super::*;
    use crate::{
        trace::Sensitivity,
        variable::{
            Decoding,
            table::{LookupTable, RegexBlock, RegexRow, RegexTable},
        },
    };

    fn variable(kind: VariableKind) -> Variable {
        Variable { name: "v".into(), kind, default: None, format: None, sensitivity: Sensitivity::Public }
    }

    fn table(replace: Replace, outputs: Vec<ValueTemplate>) -> Variable {
        let pattern = || Regex::new("x").unwrap();
        let rows = outputs.into_iter().map(|output| RegexRow { pattern: pattern(), output, replace }).collect();
        let input = ValueTemplate::Fixed(json!("x"));
        variable(VariableKind::RegexTable(RegexTable {
            input,
            blocks: vec![RegexBlock { rows, set: None }],
            default: None,
        }))
    }

    #[test]
    fn what_stands_in_the_rules_is_known_and_what_an_event_brings_is_not() {
        let fixed = |value| ValueTemplate::Fixed(value);
        let one = |index| ValueTemplate::Variable(VariableIndex(index));
        let variables = [
            variable(VariableKind::Constant(json!("de"))),
            variable(VariableKind::Cookie { name: "c".into(), decoding: Decoding::AsItStands }),
            table(Replace::Off, vec![fixed(json!("at")), one(0)]),
            table(Replace::CaptureGroups, vec![fixed(json!("${1}"))]),
            table(Replace::Off, vec![one(4)]),
            table(Replace::Off, vec![one(1)]),
            variable(VariableKind::LookupTable(LookupTable {
                input: one(1),
                rows: [("a".into(), one(0))].into(),
                default: Some(fixed(json!("ch"))),
            })),
            variable(VariableKind::FirstOf(vec![one(6), one(1)])),
            Variable { default: Some(one(1)), ..variable(VariableKind::Constant(json!(null))) },
        ];
        let text = |index| ValueTemplate::Text(vec![Piece::Text("px-".into()), Piece::Variable(VariableIndex(index))]);
        let of = |template| values(&template, &variables);
        assert_eq!(of(fixed(json!(1))), Some(vec![json!(1)]));
        assert_eq!(of(one(0)), Some(vec![json!("de")]));
        assert_eq!(of(text(2)), Some(vec![json!("px-at"), json!("px-de")]));
        assert_eq!(of(one(6)), Some(vec![json!("de"), json!("ch")]));
        for unknown in [one(1), text(1), one(3), one(4), one(5), one(7), one(8), one(99)] {
            assert_eq!(of(unknown), None);
        }
    }

    #[test]
    fn values_that_would_multiply_are_not_known() {
        let outputs = || (0..11).map(|number| ValueTemplate::Fixed(json!(number))).collect();
        let variables = [table(Replace::Off, outputs()), table(Replace::Off, outputs())];
        let both = ValueTemplate::Text(vec![Piece::Variable(VariableIndex(0)), Piece::Variable(VariableIndex(1))]);
        assert_eq!(values(&ValueTemplate::Variable(VariableIndex(0)), &variables).map(|values| values.len()), Some(11));
        assert_eq!(values(&both, &variables), None);
    }
}
