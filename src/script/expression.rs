//! Expressions: variables whose value a small script computes. Takes a [`Moment`]; gives the value, or why there is none.
//!
//! An expression runs in the same cage as a tag's script and within the same time. It is given the event, the request and
//! the variables that it names, as `variables["Name"]`: a name is a text that stands there, so that the loader knows all
//! of them.

use std::sync::Arc;

use rhai::{Dynamic, Engine, Scope};
use serde_json::Value;

use super::{
    ScriptError, ScriptIndex, Workshop,
    api::{EventHandle, RequestHandle},
    cage::{self, Fallible},
    runtime_error, value,
};
use crate::{
    trace::Note,
    variable::{Moment, VariableIndex},
};

mod reads;

pub use reads::{Mention, Reads, Stray};

/// The names that every expression knows.
pub(super) const NAMES: [&str; 3] = ["event", "request", "variables"];

/// An expression, compiled.
#[derive(Debug)]
pub struct Expression {
    pub script: ScriptIndex,
    /// The variables that it names.
    pub variables: Box<[(Arc<str>, VariableIndex)]>,
}

/// `variables` in an expression: the values of those that it names.
#[derive(Clone)]
pub struct VariablesHandle(Arc<[(Arc<str>, Value)]>);

pub(super) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<VariablesHandle>("Variables")
        .register_indexer_get(|variables: &mut VariablesHandle, name: &str| variables.read(name));
}

impl VariablesHandle {
    fn read(&self, name: &str) -> Fallible<Dynamic> {
        cage::look()?;
        match self.0.iter().find(|(own, _)| **own == *name) {
            Some((_, value)) => value::to_dynamic(value),
            None => Err("variables are named by a text that stands there: variables[\"Name\"]".into()),
        }
    }
}

impl Workshop {
    /// Computes an expression's value; gives also what it logged.
    pub fn evaluate(
        &self,
        expression: &Expression,
        moment: &Moment<'_>,
    ) -> (Result<Option<Value>, ScriptError>, Vec<Note>) {
        let index = expression.script.0;
        let seat = &self.seats[cage::seat_of_this_thread() % self.seats.len()];
        let (Some(script), Some(source)) = (seat.scripts.get(index), self.sources.get(index)) else {
            return (Ok(None), Vec::new());
        };
        // Ahead of the run: a variable may be an expression itself, and runs do not nest.
        let named = expression.variables.iter();
        let variables = named.map(|(name, index)| (Arc::clone(name), moment.variable(*index).clone())).collect();
        let given = moment.given;
        let (result, notes) = cage::run(given.clock, &given.hit_time, || {
            let [event, request, own] = NAMES;
            let mut scope = Scope::new();
            scope
                .push(event, EventHandle(Arc::clone(&given.event), given.consent))
                .push(request, RequestHandle::new(given))
                .push(own, VariablesHandle(variables));
            let returned = seat.engine.eval_ast_with_scope::<Dynamic>(&mut scope, script)?;
            value::to_json(&returned)
        });
        match result {
            Ok(Value::Null) => (Ok(None), notes),
            Ok(value) => (Ok(Some(value)), notes),
            Err(error) => (Err(runtime_error(source, *error)), notes),
        }
    }
}
