//! Variables that need each other: refuses circles and long chains, and tells how sensitive each one is by what it needs.

use super::{Item, VariableRule};
use crate::{
    container::diagnostic::{Diagnostic, Diagnostics, quoted},
    trace::Sensitivity,
    variable::{
        Piece, ValueTemplate, Variable, VariableIndex, VariableKind,
        address::{Address, AddressPart},
        built_in::BuiltIn,
    },
};

/// How many variables may be needed one by one for a value: each takes some of the thread's stack.
const MAX_CHAIN: usize = 64;

/// The variables that a variable needs.
fn references(variable: &Variable) -> Vec<VariableIndex> {
    let mut found = Vec::new();
    match &variable.kind {
        VariableKind::Text(template) | VariableKind::Url { address: Address::Text(template), .. } => {
            found.extend(in_template(template));
        }
        VariableKind::LookupTable(table) => {
            let templates = table.rows.values().chain([&table.input]).chain(&table.default);
            found.extend(templates.flat_map(in_template));
        }
        VariableKind::RegexTable(table) => {
            let templates = table.rows().map(|row| &row.output).chain([&table.input]).chain(&table.default);
            found.extend(templates.flat_map(in_template));
        }
        VariableKind::FirstOf(templates) => found.extend(templates.iter().flat_map(in_template)),
        VariableKind::Expression(expression) => found.extend(expression.variables.iter().map(|(_, index)| *index)),
        _ => {}
    }
    let formats = variable.format.iter().flat_map(|format| format.templates());
    found.extend(formats.chain(&variable.default).flat_map(in_template));
    found.sort_unstable();
    found.dedup();
    found
}

fn in_template(template: &ValueTemplate) -> impl Iterator<Item = VariableIndex> {
    let (single, pieces) = match template {
        ValueTemplate::Fixed(_) => (None, &[][..]),
        ValueTemplate::Variable(index) => (Some(*index), &[][..]),
        ValueTemplate::Text(pieces) => (None, pieces.as_slice()),
    };
    let pieces = pieces.iter().filter_map(|piece| match piece {
        Piece::Variable(index) => Some(*index),
        Piece::Text(_) => None,
    });
    single.into_iter().chain(pieces)
}

/// Reports every variable that needs its own value, once a circle, and chains that are too long. Gives the variables in
/// an order in which each comes after those that it needs.
pub(super) fn sort(
    items: &[Item<VariableRule>],
    variables: &[Variable],
    diagnostics: &mut Diagnostics,
) -> Vec<VariableIndex> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let needs: Vec<Vec<VariableIndex>> = variables.iter().map(references).collect();
    let mut marks = vec![Mark::New; variables.len()];
    let mut depths = vec![0_usize; variables.len()];
    let mut sorted = Vec::with_capacity(variables.len());
    for start in 0..variables.len() {
        // An explicit stack: a long chain of variables must not use up the thread's own.
        let mut path: Vec<(usize, Vec<VariableIndex>)> = Vec::new();
        let mut next = (marks[start] == Mark::New).then_some(start);
        loop {
            if let Some(index) = next.take() {
                marks[index] = Mark::Open;
                path.push((index, needs[index].clone()));
            }
            let Some((index, pending)) = path.last_mut() else { break };
            let Some(reference) = pending.pop() else {
                let index = *index;
                marks[index] = Mark::Done;
                sorted.push(VariableIndex(index));
                let below = needs[index].iter().filter_map(|below| depths.get(below.0));
                depths[index] = below.max().map_or(1, |depth| depth + 1);
                if depths[index] == MAX_CHAIN + 1 {
                    let message = format!("variables refer to each other more than {MAX_CHAIN} deep");
                    diagnostics.push(Diagnostic::error("long-chain", message).at(items[index].place.clone()));
                }
                path.pop();
                continue;
            };
            match marks.get(reference.0) {
                Some(Mark::New) => next = Some(reference.0),
                Some(Mark::Open) => {
                    let from = path.iter().position(|(index, _)| *index == reference.0).unwrap_or_default();
                    let names = path[from..].iter().map(|(index, _)| quoted(&variables[*index].name));
                    let cycle = names.chain([quoted(&variables[reference.0].name)]).collect::<Vec<_>>().join(" -> ");
                    let message = format!("a variable needs its own value: {cycle}");
                    diagnostics.push(Diagnostic::error("cycle", message).at(items[reference.0].place.clone()));
                }
                _ => {}
            }
        }
    }
    sorted
}

/// Makes every variable as sensitive as what it is computed from. An output that stands in the rules tells of its input:
/// which customers a table names, say.
pub(super) fn mark(variables: &mut [Variable], sorted: &[VariableIndex]) {
    for index in sorted {
        let Some(variable) = variables.get(index.0) else { continue };
        let needs_personal = references(variable)
            .into_iter()
            .any(|needed| variables.get(needed.0).is_some_and(|needed| needed.sensitivity == Sensitivity::Personal));
        let sensitivity = if needs_personal { Sensitivity::Personal } else { own(variable) };
        variables[index.0].sensitivity = sensitivity;
    }
}

/// How sensitive a variable is by itself.
fn own(variable: &Variable) -> Sensitivity {
    match &variable.kind {
        VariableKind::EventData { path } => Sensitivity::of_event_data(path),
        VariableKind::Url { address, part } => of_address(address, part),
        VariableKind::RequestQuery { name } => of_parameter(name),
        VariableKind::BuiltIn(BuiltIn::ClientAddress | BuiltIn::QueryString)
        | VariableKind::Cookie { .. }
        | VariableKind::Secret(_) => Sensitivity::Personal,
        VariableKind::Header { name } => match &**name {
            "host" | "origin" | "sec-gpc" | "content-type" | "accept-language" => Sensitivity::Public,
            _ => Sensitivity::Personal,
        },
        // The loader knows it by the text.
        VariableKind::Expression(_) => variable.sensitivity,
        VariableKind::Constant(_)
        | VariableKind::Text(_)
        | VariableKind::BuiltIn(_)
        | VariableKind::Random(_)
        | VariableKind::Timestamp(_)
        | VariableKind::LookupTable(_)
        | VariableKind::RegexTable(_)
        | VariableKind::FirstOf(_) => Sensitivity::Public,
    }
}

/// Addresses are personal for their queries and fragments: a site's pages are no secret, nor are sites that link to them.
fn of_address(address: &Address, part: &AddressPart) -> Sensitivity {
    let whole = match address {
        Address::EventData(path) if matches!(&**path, "page_location" | "page_referrer") => Sensitivity::Public,
        Address::EventData(path) => Sensitivity::of_event_data(path),
        Address::Text(_) => Sensitivity::Public,
    };
    let part = match part {
        AddressPart::Protocol
        | AddressPart::Host
        | AddressPart::HostWithoutWww
        | AddressPart::Port
        | AddressPart::Path => Sensitivity::Public,
        AddressPart::Query | AddressPart::Fragment => Sensitivity::Personal,
        AddressPart::Parameter(name) => of_parameter(name),
    };
    if whole == Sensitivity::Personal { whole } else { part }
}

fn of_parameter(name: &str) -> Sensitivity {
    if name.starts_with("utm_") { Sensitivity::Public } else { Sensitivity::Personal }
}
