//! Variables: named values computed from an event and its request, lazily and at most once an event.
//!
//! Takes a [`Moment`] (one event being decided) and a variable's index; gives its value. References are resolved to
//! indexes, and cycles refused, when the container loads.

use std::{
    borrow::Cow,
    cell::{OnceCell, RefCell},
    sync::Arc,
};

use percent_encoding::percent_decode_str;
use serde_json::Value;

use self::{
    address::{Address, AddressPart},
    built_in::{BuiltIn, RandomNumber, TimeOf},
    format::Format,
    table::{LookupTable, RegexTable},
};
use crate::{
    call::SecretName,
    container::Container,
    event::{self, Event},
    hit::Hit,
    kept::Recall,
    script::{Expression, Given},
    trace::{Found, Note, Sensitivity},
};

pub mod address;
pub mod built_in;
pub mod format;
pub mod table;

/// A variable, compiled.
#[derive(Debug)]
pub struct Variable {
    pub name: Arc<str>,
    pub kind: VariableKind,
    /// The value where nothing was found.
    pub default: Option<ValueTemplate>,
    /// What is made of the value in the end.
    pub format: Option<Format>,
    /// Whether traces may show its values.
    pub sensitivity: Sensitivity,
}

/// Where a variable's value comes from.
#[derive(Debug)]
pub enum VariableKind {
    /// Always the same; environment variables too, which are read when the container loads.
    Constant(Value),
    /// A constant that has other variables in it.
    Text(ValueTemplate),
    /// The event's data at a dotted path.
    EventData {
        path: Box<str>,
    },
    /// A part of an address.
    Url {
        address: Address,
        part: AddressPart,
    },
    /// A parameter of the request's own query, percent-decoded.
    RequestQuery {
        name: Box<str>,
    },
    /// A cookie of the request.
    Cookie {
        name: Box<str>,
        decoding: Decoding,
    },
    /// A header of the request.
    Header {
        name: Box<str>,
    },
    BuiltIn(BuiltIn),
    Random(RandomNumber),
    Timestamp(TimeOf),
    LookupTable(LookupTable),
    RegexTable(RegexTable),
    /// The first of these that has a value other than an empty text.
    FirstOf(Vec<ValueTemplate>),
    Expression(Expression),
    /// The name of a secret. It has no value that a container could see: parameters take the name from the rules.
    Secret(SecretName),
}

/// Whether percent-escapes are resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoding {
    AsItStands,
    Percent,
}

/// A text that may hold `{{Variable}}` references. One that is nothing but a reference keeps the variable's type.
#[derive(Debug)]
pub enum ValueTemplate {
    Fixed(Value),
    Variable(VariableIndex),
    /// Several pieces put together as text; an absent value adds nothing.
    Text(Vec<Piece>),
}

#[derive(Clone, Debug)]
pub enum Piece {
    Text(Box<str>),
    Variable(VariableIndex),
}

/// A variable's place in its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VariableIndex(pub usize);

/// One event being decided: what variables, triggers and parameters read. Values are computed when first asked for. A
/// changed event is another moment: the same [`Given`] with that event.
pub struct Moment<'a> {
    pub container: &'a Container,
    pub given: &'a Given,
    pub hit: &'a Hit,
    pub event: &'a Event,
    values: OnceCell<Box<[OnceCell<Value>]>>,
    notes: RefCell<Vec<Note>>,
    /// Of a kept hit: what is known of its event.
    recall: Option<&'a Recall<'a>>,
}

/// The longest text that is put together, in bytes. A longer one has no value: texts that double each other would grow
/// beyond any memory.
const MAX_TEXT: usize = 64 * 1024;

/// How many remarks on variables one event may have.
const MAX_NOTES: usize = 50;

impl<'a> Moment<'a> {
    pub fn new(container: &'a Container, given: &'a Given) -> Self {
        let (values, notes) = (OnceCell::new(), RefCell::default());
        Self { container, given, hit: &given.hit, event: &given.event, values, notes, recall: None }
    }

    /// The same for a kept hit, of whose event not all is known.
    pub fn recalled(container: &'a Container, given: &'a Given, recall: &'a Recall<'a>) -> Self {
        Self { recall: Some(recall), ..Self::new(container, given) }
    }

    /// What is known of the event, if it is a kept one.
    pub fn recall(&self) -> Option<&'a Recall<'a>> {
        self.recall
    }

    /// The event's value at a dotted path, null or not. All that rules read of an event they read by this.
    pub fn find(&self, path: &str) -> Option<Cow<'_, Value>> {
        if let Some(recall) = self.recall {
            recall.read(path);
        }
        self.event.find(path)
    }

    /// A variable's value for this event; null where there is none.
    pub fn variable(&self, index: VariableIndex) -> &Value {
        let variables = &self.container.variables;
        let cells = self.values.get_or_init(|| variables.iter().map(|_| OnceCell::new()).collect());
        match (cells.get(index.0), variables.get(index.0)) {
            (Some(cell), Some(variable)) => match self.recall {
                None => cell.get_or_init(|| variable.evaluate(self)),
                Some(recall) => recall.variable(index, || cell.get_or_init(|| variable.evaluate(self))),
            },
            _ => &Value::Null,
        }
    }

    /// The variables that were asked for so far, with their values.
    pub fn known(&self) -> impl Iterator<Item = (VariableIndex, &Value)> {
        let cells = self.values.get().into_iter().flatten().enumerate();
        cells.filter_map(|(index, cell)| Some((VariableIndex(index), cell.get()?)))
    }

    /// A template's value for this event; null where there is none.
    pub fn fill<'t>(&'t self, template: &'t ValueTemplate) -> Cow<'t, Value> {
        match template {
            ValueTemplate::Fixed(value) => Cow::Borrowed(value),
            ValueTemplate::Variable(index) => Cow::Borrowed(self.variable(*index)),
            ValueTemplate::Text(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    let part = match piece {
                        Piece::Text(fixed) => Cow::Borrowed(&**fixed),
                        Piece::Variable(index) => event::to_text(self.variable(*index)).unwrap_or_default(),
                    };
                    if text.len() + part.len() > MAX_TEXT {
                        return Cow::Owned(Value::Null);
                    }
                    text.push_str(&part);
                }
                Cow::Owned(Value::String(text))
            }
        }
    }

    /// A template as an address: what variables give is percent-encoded, so that it can be no other part of one.
    pub fn fill_address<'t>(&'t self, template: &'t ValueTemplate) -> Cow<'t, Value> {
        let ValueTemplate::Text(pieces) = template else { return self.fill(template) };
        // A variable at the beginning is the address's own, not a part of it.
        let mut text = String::new();
        for (position, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Text(fixed) => text.push_str(fixed),
                Piece::Variable(index) => {
                    let part = event::to_text(self.variable(*index)).unwrap_or_default();
                    if position == 0 {
                        text.push_str(&part);
                    } else {
                        text.extend(form_urlencoded::byte_serialize(part.as_bytes()).flat_map(|part| match part {
                            "+" => "%20".chars(),
                            part => part.chars(),
                        }));
                    }
                }
            }
            if text.len() > MAX_TEXT {
                return Cow::Owned(Value::Null);
            }
        }
        Cow::Owned(Value::String(text))
    }

    /// A template as a line for people: nothing of what variables hold about a person, and long values cut short.
    pub fn tell(&self, template: &ValueTemplate) -> String {
        let variable = |index: &VariableIndex| {
            let sensitivity = self.container.variables.get(index.0).map(|variable| variable.sensitivity);
            match Found::new(Some(self.variable(*index)), sensitivity.unwrap_or(Sensitivity::Personal)) {
                Found::Text(shown) | Found::Json(shown) => shown.into_string(),
                other => format!("({other})"),
            }
        };
        match template {
            ValueTemplate::Fixed(value) => event::to_text(value).unwrap_or_default().into_owned(),
            ValueTemplate::Variable(index) => variable(index),
            ValueTemplate::Text(pieces) => pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text.to_string(),
                    Piece::Variable(index) => variable(index),
                })
                .collect(),
        }
    }

    /// What was remarked on variables: what expressions logged, and where they failed.
    pub fn into_notes(self) -> Vec<Note> {
        self.notes.into_inner()
    }

    fn note(&self, name: &str, text: Box<str>) {
        let mut notes = self.notes.borrow_mut();
        if notes.len() < MAX_NOTES {
            notes.push(Note::new(format!("variable {name:?}"), text));
        }
    }
}

impl Variable {
    /// Its value if that is the same for every event.
    pub fn constant(&self) -> Option<&Value> {
        match &self.kind {
            VariableKind::Constant(value) if self.default.is_none() && self.format.is_none() => Some(value),
            _ => None,
        }
    }

    /// What GTM does, in its order: the value, the default where there is none, the format.
    fn evaluate(&self, moment: &Moment<'_>) -> Value {
        let found = match &self.kind {
            kind if moment.recall.is_some_and(|recall| recall.knows_nothing_of(kind)) => None,
            VariableKind::Expression(expression) => self.express(expression, moment),
            kind => kind.evaluate(moment),
        };
        let found = match &self.default {
            Some(default) if found.as_ref().is_none_or(Value::is_null) => Some(moment.fill(default).into_owned()),
            _ => found,
        };
        let formatted = match &self.format {
            Some(format) => format.apply(found, moment),
            None => found,
        };
        formatted.unwrap_or_default()
    }

    /// An expression that fails has no value, and says so.
    fn express(&self, expression: &Expression, moment: &Moment<'_>) -> Option<Value> {
        let (result, logged) = moment.container.scripts.evaluate(expression, moment);
        logged.into_iter().for_each(|note| moment.note(&self.name, note.text));
        result.unwrap_or_else(|error| {
            moment.note(&self.name, error.to_string().into());
            None
        })
    }
}

impl VariableKind {
    /// `None` where there is nothing, and null where there is a null, which formats tell apart.
    fn evaluate(&self, moment: &Moment<'_>) -> Option<Value> {
        match self {
            Self::Constant(value) => Some(value.clone()),
            Self::Text(template) => Some(moment.fill(template).into_owned()),
            Self::EventData { path } => moment.find(path).map(Cow::into_owned),
            Self::Url { address, part } => address.read(moment, |text| part.of(text)),
            Self::RequestQuery { name } => address::parameter(&moment.hit.query, name).map(Value::from),
            Self::Cookie { name, decoding } => moment.hit.cookie(name).map(|value| decoding.apply(value).into()),
            Self::Header { name } => moment.hit.header(name).map(Value::from),
            Self::BuiltIn(built_in) => built_in.value(moment),
            Self::Random(number) => Some(number.draw(moment).into()),
            Self::Timestamp(time) => Some(time.value(moment)),
            Self::LookupTable(table) => table.look_up(moment),
            Self::RegexTable(table) => table.look_up(moment),
            Self::FirstOf(templates) => {
                let mut values = templates.iter().map(|template| moment.fill(template));
                values.find(|value| !value.is_null() && value.as_str() != Some("")).map(Cow::into_owned)
            }
            // Expressions need their variable's name: see `Variable::express`.
            Self::Expression(_) | Self::Secret(_) => None,
        }
    }
}

impl Decoding {
    /// What is no escape stays, and bytes that are no UTF-8 become replacement characters, as in queries.
    fn apply(self, value: &str) -> Cow<'_, str> {
        match self {
            Self::AsItStands => Cow::Borrowed(value),
            Self::Percent => percent_decode_str(value).decode_utf8_lossy(),
        }
    }
}

#[cfg(test)]
mod tests;
