//! A tag's parameters, on their way into its script. Takes what the loader compiled; gives, for one event, values that
//! natives borrow and scripts read one by one.
//!
//! Most tags' parameters are the same for every event. Those are made once, when the container loads, for each thread's
//! seat, so that threads share no reference counts.

use std::sync::{Arc, OnceLock};

use rhai::Dynamic;
use serde_json::{Map, Value};

use super::{cage::Fallible, secret::Secret, value};
use crate::{
    call::{Account, SecretName},
    container::Parameter,
    event,
    variable::{Moment, Piece, ValueTemplate, Variable, VariableIndex},
};

/// A tag's parameters, by field name; fields that were not set and have no default are left out.
#[derive(Debug)]
pub struct Parameters {
    fields: Vec<(Box<str>, Parameter)>,
    /// One for each seat, if no field depends on the event.
    constant: Box<[Arc<Params>]>,
}

impl Parameters {
    pub fn new(fields: Vec<(Box<str>, Parameter)>) -> Self {
        Self { fields, constant: Box::default() }
    }

    /// Makes what does not depend on an event.
    pub fn prepare(&mut self, variables: &[Variable], seats: usize) {
        let prepared = || Some(Arc::new(Params::fill(&self.fields, &Constants(variables))?));
        self.constant = (0..seats).map_while(|_| prepared()).collect();
    }

    /// Asks for every variable that they name.
    pub fn read(&self, moment: &Moment<'_>) {
        // What cannot be filled in has been asked for all the same.
        let _ = Params::fill(&self.fields, moment);
    }

    /// The values for one event, on the thread that has this seat.
    pub(super) fn values(&self, seat: usize, moment: &Moment<'_>) -> Arc<Params> {
        if let Some(constant) = self.constant.get(seat) {
            return Arc::clone(constant);
        }
        Arc::new(Params::fill(&self.fields, moment).unwrap_or_default())
    }
}

/// What fills in the templates of parameters; `None` where it cannot say.
trait Filler {
    fn value(&self, template: &ValueTemplate) -> Option<Value>;

    /// A line for people, with nothing in it that a trace would withhold.
    fn line(&self, template: &ValueTemplate) -> Option<String>;

    /// An address, in which the values of variables are percent-encoded.
    fn address(&self, template: &ValueTemplate) -> Option<Value>;
}

/// Knows no event.
struct Constants<'a>(&'a [Variable]);

impl Filler for Constants<'_> {
    fn value(&self, template: &ValueTemplate) -> Option<Value> {
        constant(template, self.0)
    }

    fn line(&self, template: &ValueTemplate) -> Option<String> {
        match template {
            ValueTemplate::Fixed(value) => Some(event::to_text(value).unwrap_or_default().into_owned()),
            ValueTemplate::Variable(_) | ValueTemplate::Text(_) => None,
        }
    }

    fn address(&self, template: &ValueTemplate) -> Option<Value> {
        match template {
            ValueTemplate::Text(_) => None,
            ValueTemplate::Fixed(_) | ValueTemplate::Variable(_) => self.value(template),
        }
    }
}

impl Filler for Moment<'_> {
    fn value(&self, template: &ValueTemplate) -> Option<Value> {
        Some(self.fill(template).into_owned())
    }

    fn line(&self, template: &ValueTemplate) -> Option<String> {
        Some(self.tell(template))
    }

    fn address(&self, template: &ValueTemplate) -> Option<Value> {
        Some(self.fill_address(template).into_owned())
    }
}

/// A template's value if it is the same for every event; environment variables are, once the container is loaded.
fn constant(template: &ValueTemplate, variables: &[Variable]) -> Option<Value> {
    let variable = |index: &VariableIndex| variables.get(index.0)?.constant();
    match template {
        ValueTemplate::Fixed(value) => Some(value.clone()),
        ValueTemplate::Variable(index) => variable(index).cloned(),
        ValueTemplate::Text(pieces) => {
            let text = pieces.iter().map(|piece| match piece {
                Piece::Text(text) => Some(text.as_ref().into()),
                Piece::Variable(index) => Some(event::to_text(variable(index)?).unwrap_or_default()),
            });
            text.collect::<Option<String>>().map(Value::String)
        }
    }
}

/// The values of a tag's parameters for one event.
#[derive(Debug, Default)]
pub struct Params {
    fields: Vec<(Box<str>, Param)>,
    /// Made by the first conversion; the account of constant parameters is the same for every event.
    pub account: OnceLock<Arc<Account>>,
}

/// One value.
#[derive(Debug)]
pub enum Param {
    Value(Value),
    Secret(SecretName),
    /// A list that holds a secret somewhere; any other is a [`Param::Value`].
    List(Vec<Param>),
    /// A map that holds a secret somewhere.
    Map(Vec<(Box<str>, Param)>),
}

impl Params {
    /// `None` if the filler cannot say of a template.
    fn fill(fields: &[(Box<str>, Parameter)], filler: &impl Filler) -> Option<Self> {
        let fields = fields.iter().map(|(name, parameter)| Some((name.clone(), Param::fill(parameter, filler)?)));
        Some(Self { fields: fields.collect::<Option<_>>()?, account: OnceLock::new() })
    }

    pub fn get(&self, name: &str) -> Option<&Param> {
        self.fields.iter().find(|(own, _)| **own == *name).map(|(_, param)| param)
    }

    /// A field as its script sees it; `()` if it is not set.
    pub fn to_dynamic(&self, name: &str) -> Fallible<Dynamic> {
        self.get(name).map_or(Ok(Dynamic::UNIT), Param::to_dynamic)
    }
}

impl Param {
    fn fill(parameter: &Parameter, filler: &impl Filler) -> Option<Self> {
        Some(match parameter {
            Parameter::Value(template) => Self::Value(filler.value(template)?),
            Parameter::Line(template) => Self::Value(Value::String(filler.line(template)?)),
            Parameter::Address(template) => Self::Value(filler.address(template)?),
            Parameter::Secret(name) => Self::Secret(name.clone()),
            Parameter::List(items) => {
                Self::list(items.iter().map(|item| Self::fill(item, filler)).collect::<Option<_>>()?)
            }
            Parameter::Map(entries) => {
                let entries = entries.iter().map(|(name, item)| Some((name.clone(), Self::fill(item, filler)?)));
                Self::map(entries.collect::<Option<_>>()?)
            }
        })
    }

    fn list(items: Vec<Self>) -> Self {
        if !items.iter().all(|item| matches!(item, Self::Value(_))) {
            return Self::List(items);
        }
        Self::Value(Value::Array(items.into_iter().filter_map(Self::into_value).collect()))
    }

    fn map(entries: Vec<(Box<str>, Self)>) -> Self {
        if !entries.iter().all(|(_, item)| matches!(item, Self::Value(_))) {
            return Self::Map(entries);
        }
        let entries = entries.into_iter().filter_map(|(name, item)| Some((name.into(), item.into_value()?)));
        Self::Value(Value::Object(entries.collect::<Map<_, _>>()))
    }

    fn into_value(self) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value),
            Self::Secret(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    fn to_dynamic(&self) -> Fallible<Dynamic> {
        Ok(match self {
            Self::Value(value) => value::to_dynamic(value)?,
            Self::Secret(_) => Dynamic::from(Secret),
            Self::List(items) => Dynamic::from_array(items.iter().map(Self::to_dynamic).collect::<Fallible<_>>()?),
            Self::Map(entries) => {
                let entries = entries.iter().map(|(name, item)| Ok(((&**name).into(), item.to_dynamic()?)));
                Dynamic::from_map(entries.collect::<Fallible<_>>()?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{trace::Sensitivity, variable::VariableKind};

    fn variable(kind: VariableKind) -> Variable {
        Variable { name: "v".into(), kind, default: None, format: None, sensitivity: Sensitivity::Public }
    }

    #[test]
    fn constants_are_found_through_variables_and_texts() {
        let variables =
            [variable(VariableKind::Constant(json!(7))), variable(VariableKind::EventData { path: "value".into() })];
        let text = |index| ValueTemplate::Text(vec![Piece::Text("a".into()), Piece::Variable(VariableIndex(index))]);
        assert_eq!(constant(&ValueTemplate::Variable(VariableIndex(0)), &variables), Some(json!(7)));
        assert_eq!(constant(&text(0), &variables), Some(json!("a7")));
        assert_eq!(constant(&text(1), &variables), None);
        assert_eq!(constant(&ValueTemplate::Variable(VariableIndex(2)), &variables), None);
    }

    #[test]
    fn only_parameters_that_no_event_changes_are_made_at_load() {
        let variables = [variable(VariableKind::EventData { path: "value".into() })];
        let fixed = |value| ("a".into(), Parameter::Value(ValueTemplate::Fixed(value)));
        let read = ("b".into(), Parameter::List(vec![Parameter::Value(ValueTemplate::Variable(VariableIndex(0)))]));
        let mut constant = Parameters::new(vec![fixed(json!("x"))]);
        let mut changing = Parameters::new(vec![fixed(json!("x")), read]);
        constant.prepare(&variables, 2);
        changing.prepare(&variables, 2);
        assert_eq!((constant.constant.len(), changing.constant.len()), (2, 0));
    }
}
