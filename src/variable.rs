//! Variables: named values computed from an event and its request, lazily and at most once an event.
//!
//! Takes a [`Moment`] (one event being decided) and a variable's index; gives its value. References are resolved to
//! indexes, and cycles refused, when the container loads.

use std::{borrow::Cow, cell::OnceCell, sync::Arc};

use regex::Regex;
use serde_json::Value;

use crate::{
    container::Container,
    event::{self, Event},
    hit::Hit,
    trace::Sensitivity,
};

/// A variable, compiled.
#[derive(Debug)]
pub struct Variable {
    pub name: Arc<str>,
    pub kind: VariableKind,
    /// Whether traces may show its values.
    pub sensitivity: Sensitivity,
}

/// Where a variable's value comes from.
#[derive(Debug)]
pub enum VariableKind {
    /// Always the same; environment variables too, which are read when the container loads.
    Constant(Value),
    /// The event's data at a dotted path.
    EventData {
        path: Box<str>,
    },
    /// A parameter of the page's address, percent-decoded.
    Query {
        name: Box<str>,
    },
    /// A cookie of the request, as it stands there.
    Cookie {
        name: Box<str>,
    },
    /// A header of the request.
    Header {
        name: Box<str>,
    },
    RegexTable(RegexTable),
}

/// The first row whose pattern matches the input gives the value, as GTM's RegEx Table does.
#[derive(Debug)]
pub struct RegexTable {
    pub input: ValueTemplate,
    pub rows: Vec<RegexRow>,
    pub default: Option<ValueTemplate>,
}

#[derive(Debug)]
pub struct RegexRow {
    pub pattern: Regex,
    /// What a match gives; `$1` and the like stand for capture groups when `replace` says so.
    pub output: ValueTemplate,
    pub replace: Replace,
}

/// GTM's "capture groups and replace".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// The output is taken as it is.
    Off,
    /// `$1`, `$&` and `$$` in the output stand for what the pattern captured; text around the match stays.
    CaptureGroups,
}

/// A text that may hold `{{Variable}}` references. One that is nothing but a reference keeps the variable's type.
#[derive(Debug)]
pub enum ValueTemplate {
    Fixed(Value),
    Variable(VariableIndex),
    /// Several pieces put together as text; an absent value adds nothing.
    Text(Vec<Piece>),
}

#[derive(Debug)]
pub enum Piece {
    Text(Box<str>),
    Variable(VariableIndex),
}

/// A variable's place in its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VariableIndex(pub usize);

/// One event being decided: what variables, triggers and parameters read. Values are computed when first asked for.
pub struct Moment<'a> {
    pub container: &'a Container,
    pub hit: &'a Hit,
    pub event: &'a Event,
    values: OnceCell<Box<[OnceCell<Value>]>>,
}

impl<'a> Moment<'a> {
    pub fn new(container: &'a Container, hit: &'a Hit, event: &'a Event) -> Self {
        Self { container, hit, event, values: OnceCell::new() }
    }

    /// A variable's value for this event; null where there is none.
    pub fn variable(&self, index: VariableIndex) -> &Value {
        let variables = &self.container.variables;
        let cells = self.values.get_or_init(|| variables.iter().map(|_| OnceCell::new()).collect());
        match (cells.get(index.0), variables.get(index.0)) {
            (Some(cell), Some(variable)) => cell.get_or_init(|| variable.kind.evaluate(self).unwrap_or(Value::Null)),
            _ => &Value::Null,
        }
    }

    /// A template's value for this event; null where there is none.
    pub fn fill<'t>(&'t self, template: &'t ValueTemplate) -> Cow<'t, Value> {
        match template {
            ValueTemplate::Fixed(value) => Cow::Borrowed(value),
            ValueTemplate::Variable(index) => Cow::Borrowed(self.variable(*index)),
            ValueTemplate::Text(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Text(fixed) => text.push_str(fixed),
                        Piece::Variable(index) => {
                            text.push_str(&event::to_text(self.variable(*index)).unwrap_or_default());
                        }
                    }
                }
                Cow::Owned(Value::String(text))
            }
        }
    }
}

impl VariableKind {
    fn evaluate(&self, moment: &Moment<'_>) -> Option<Value> {
        match self {
            Self::Constant(value) => Some(value.clone()),
            Self::EventData { path } => moment.event.get(path).map(Cow::into_owned),
            Self::Query { name } => query_parameter(moment.event.text("page_location")?, name).map(Value::from),
            Self::Cookie { name } => moment.hit.cookie(name).map(Value::from),
            Self::Header { name } => moment.hit.header(name).map(Value::from),
            Self::RegexTable(table) => table.look_up(moment),
        }
    }
}

impl RegexTable {
    fn look_up(&self, moment: &Moment<'_>) -> Option<Value> {
        let input = moment.fill(&self.input);
        let found = event::to_text(&input)
            .and_then(|text| self.rows.iter().find(|row| row.pattern.is_match(&text)).map(|row| (row, text)));
        let Some((row, text)) = found else {
            return self.default.as_ref().map(|default| moment.fill(default).into_owned());
        };
        match (row.replace, row.output.replacement(moment)) {
            (Replace::CaptureGroups, Some(replacement)) => {
                Some(Value::from(row.pattern.replace(&text, &*replacement).into_owned()))
            }
            _ => Some(moment.fill(&row.output).into_owned()),
        }
    }
}

impl ValueTemplate {
    /// This output as a replacement: `$` means a capture group where the rules wrote it, and itself in the value of a
    /// variable. `None` if the output is no text.
    fn replacement<'t>(&'t self, moment: &'t Moment<'_>) -> Option<Cow<'t, str>> {
        let literal =
            |index: &VariableIndex| event::to_text(moment.variable(*index)).map(|text| text.replace('$', "$$"));
        match self {
            Self::Fixed(value) => value.as_str().map(Cow::Borrowed),
            Self::Variable(index) if moment.variable(*index).is_string() => literal(index).map(Cow::Owned),
            Self::Variable(_) => None,
            Self::Text(pieces) => {
                let text = pieces.iter().map(|piece| match piece {
                    Piece::Text(text) => Cow::Borrowed(&**text),
                    Piece::Variable(index) => Cow::Owned(literal(index).unwrap_or_default()),
                });
                Some(Cow::Owned(text.collect()))
            }
        }
    }
}

/// The first value of a parameter in an address' query, percent-decoded; addresses need not be well-formed.
pub fn query_parameter(address: &str, name: &str) -> Option<String> {
    let (_, query) = address.split('#').next()?.split_once('?')?;
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests;
