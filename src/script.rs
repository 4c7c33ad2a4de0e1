//! Scripts: what a permitted tag runs. Takes a [`Permitted`] and the moment; gives the calls and cookies it asked for.
//!
//! A script cannot send, wait, or read anything but what it was given. The engine is a [cage]; the functions that a
//! script may call are in [api] and [openai]. Every worker thread has an engine and a compiled set of its own, made
//! when the container loads, because threads that share them contend for their reference counts.

use std::{fmt, sync::Arc, time::Duration};

use rhai::{AST, Dynamic, Engine, EvalAltResult, Map, Position, Scope};
use serde::Serialize;

use crate::{
    call::Call,
    consent::{ConsentState, gate::Permitted},
    container::{Parameter, Tag, Template},
    cookie::SetCookie,
    event::Event,
    hit::Hit,
    trace::Note,
    variable::Moment,
};

mod api;
mod cage;
mod openai;
mod value;

pub use cage::MonotonicClock;

/// What a script is given beside its parameters; shared by all scripts of one event.
#[derive(Clone, Debug)]
pub struct Given {
    pub event: Arc<Event>,
    pub hit: Arc<Hit>,
    pub consent: ConsentState,
    /// When the hit's time budget ends, by the clock.
    pub hit_deadline: Duration,
    pub clock: MonotonicClock,
}

/// What a script asked for.
#[derive(Debug, Default)]
pub struct Asked {
    pub calls: Vec<Call>,
    pub cookies: Vec<SetCookie>,
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    Asked(Asked),
    /// The script said `skip(reason)`.
    Skipped {
        reason: Box<str>,
    },
    Failed(ScriptError),
}

/// A run's outcome and what was noted on the way.
#[derive(Debug)]
pub struct Run {
    pub outcome: Outcome,
    pub notes: Vec<Note>,
}

/// Why a script failed, and where. Holds no personal value but what the script's author put into a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScriptError {
    /// Such as `tags/openai_conversion.rhai`.
    pub file: Box<str>,
    /// From 1; absent where the fault has no place, such as a result of the wrong type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The line itself.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub extract: Box<str>,
    pub message: Box<str>,
}

/// `message (tags/a.rhai:3:5: let x = …)`
impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.message, self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        if !self.extract.is_empty() {
            write!(f, ": {}", self.extract.trim())?;
        }
        f.write_str(")")
    }
}

/// A script's place in its container's workshop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptIndex(usize);

/// One engine and one compiled set of scripts for each worker thread.
pub struct Workshop {
    seats: Box<[Seat]>,
    sources: Vec<Source>,
}

struct Seat {
    engine: Engine,
    scripts: Vec<AST>,
}

struct Source {
    file: Box<str>,
    text: Box<str>,
}

impl fmt::Debug for Workshop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workshop").field("seats", &self.seats.len()).field("scripts", &self.sources.len()).finish()
    }
}

impl Workshop {
    /// A workshop without scripts, for as many threads as will run them at the same time (more may, and will share).
    pub fn new(seats: usize) -> Self {
        let seats = (0..seats.max(1)).map(|_| Seat { engine: cage::engine(), scripts: Vec::new() }).collect();
        Self { seats, sources: Vec::new() }
    }

    /// Compiles a script for every seat.
    pub fn add(&mut self, file: &str, text: &str) -> Result<ScriptIndex, ScriptError> {
        let scope = api::names();
        for seat in &mut self.seats {
            let script = seat
                .engine
                .compile_with_scope(&scope, text)
                .map_err(|error| error_at(file, text, error.err_type().to_string(), error.position()))?;
            seat.scripts.push(script);
        }
        self.sources.push(Source { file: file.into(), text: text.into() });
        Ok(ScriptIndex(self.sources.len() - 1))
    }

    /// Runs a permitted tag.
    pub fn run(&self, permitted: &Permitted<'_>, moment: &Moment<'_>, given: &Given) -> Run {
        let tag = permitted.tag();
        let index = tag.template.script.0;
        let seat = &self.seats[cage::seat_of_this_thread() % self.seats.len()];
        let (Some(script), Some(source)) = (seat.scripts.get(index), self.sources.get(index)) else {
            return Run { outcome: Outcome::Failed(unplaced("", "the template has no script")), notes: Vec::new() };
        };
        let mut scope = Scope::new();
        api::fill(&mut scope, parameters(tag, moment), given);
        let (result, notes) = cage::run(given.clock, given.hit_deadline, || {
            seat.engine.eval_ast_with_scope::<Dynamic>(&mut scope, script)
        });
        let outcome = match result {
            Ok(returned) => collect(tag, source, returned),
            Err(error) => Outcome::Failed(runtime_error(source, *error)),
        };
        Run { outcome, notes }
    }
}

fn parameters(tag: &Tag, moment: &Moment<'_>) -> Map {
    tag.parameters.iter().map(|(name, parameter)| ((&**name).into(), dynamic(parameter, moment))).collect()
}

fn dynamic(parameter: &Parameter, moment: &Moment<'_>) -> Dynamic {
    match parameter {
        Parameter::Value(template) => value::to_dynamic(&moment.fill(template)),
        Parameter::List(items) => Dynamic::from_array(items.iter().map(|item| dynamic(item, moment)).collect()),
        Parameter::Map(entries) => Dynamic::from_map(
            entries.iter().map(|(name, parameter)| ((&**name).into(), dynamic(parameter, moment))).collect(),
        ),
        Parameter::Secret(name) => Dynamic::from(name.clone()),
    }
}

/// Sorts what a script returned into calls and cookies, and holds it against the manifest.
fn collect(tag: &Tag, source: &Source, returned: Dynamic) -> Outcome {
    let items = match returned.try_cast_result::<rhai::Array>() {
        Ok(items) => items,
        Err(single) => vec![single],
    };
    let mut asked = Asked::default();
    for item in items {
        if item.is_unit() {
            continue;
        }
        let kind = item.type_name().to_owned();
        match item.try_cast::<api::Returned>() {
            Some(api::Returned::Call(request)) => asked.calls.push(request.by(&tag.name)),
            Some(api::Returned::Cookie(cookie)) => asked.cookies.push(cookie),
            Some(api::Returned::Skip(reason)) => return Outcome::Skipped { reason: reason.as_str().into() },
            None => {
                let message = format!(
                    "a script returns calls, cookies, skip(reason) or nothing, but this one returned a value of type {kind}"
                );
                return Outcome::Failed(unplaced(&source.file, &message));
            }
        }
    }
    match forbidden(&tag.template, &asked) {
        None => Outcome::Asked(asked),
        Some(message) => Outcome::Failed(unplaced(&source.file, &message)),
    }
}

/// What the manifest does not permit, if anything.
fn forbidden(template: &Template, asked: &Asked) -> Option<String> {
    let name = &template.name;
    let call = asked.calls.iter().map(|call| call.account.destination());
    if let Some(destination) =
        call.into_iter().find(|wanted| !template.destinations.iter().any(|own| **own == **wanted))
    {
        return Some(format!("tags/{name}.yaml does not permit calls to the destination {destination:?}"));
    }
    let cookie = asked.cookies.iter().find(|wanted| !template.cookies.contains(&wanted.name))?;
    Some(format!("tags/{name}.yaml does not permit the cookie {:?}", cookie.name))
}

fn runtime_error(source: &Source, error: EvalAltResult) -> ScriptError {
    let (message, position) = cage::explain(error);
    error_at(&source.file, &source.text, message, position)
}

fn error_at(file: &str, text: &str, message: String, position: Position) -> ScriptError {
    let extract = position.line().and_then(|line| text.lines().nth(line - 1)).unwrap_or_default();
    ScriptError {
        file: file.into(),
        line: position.line(),
        column: position.position(),
        extract: extract.into(),
        message: message.into(),
    }
}

fn unplaced(file: &str, message: &str) -> ScriptError {
    error_at(file, "", message.to_owned(), Position::NONE)
}
