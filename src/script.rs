//! Scripts: what a permitted tag runs. Takes a [`Permitted`] and the moment; gives the calls and cookies it asked for.
//!
//! A script cannot send, wait, or read anything but what it was given. The engine is a [cage]; the functions that a
//! script may call are in [api] and [openai]. Every worker thread has an engine and a compiled set of its own, made
//! when the container loads, because threads that share them contend for their reference counts.

use std::{fmt, sync::Arc};

use rhai::{AST, Dynamic, Engine, EvalAltResult, Position};
use serde::Serialize;

use crate::{
    call::{Account, Call, relay::Relay},
    client::Client,
    consent::{ConsentState, gate::Permitted},
    container::{Hosts, Tag, yaml::Passage},
    cookie::SetCookie,
    event::Event,
    hit::Hit,
    one_line::is_deceptive,
    trace::{Note, redacted},
    variable::Moment,
};

mod api;
mod asks;
mod cage;
mod expression;
mod ga4;
mod http;
mod openai;
mod parameters;
pub mod reference;
mod secret;
mod tokens;
mod value;

pub use asks::{Asks, Literal};
pub use cage::{Counted, HitTime, MonotonicClock, STACK};
pub use expression::{Expression, Mention, Reads, Stray};
pub use http::address;
pub use parameters::Parameters;

/// How many calls and cookies one run may ask for.
const MAX_REQUESTS: usize = 20;
/// Of a text that a script gives for people to read: a reason, an error.
const MAX_WORDS: usize = 300;

/// What is there to decide an event by: what scripts are given beside their parameters, and variables are computed from.
#[derive(Clone, Debug)]
pub struct Given {
    pub event: Arc<Event>,
    pub hit: Arc<Hit>,
    /// Which client claimed the hit.
    pub client: Client,
    /// Which of the hit's events it is, from 0.
    pub position: usize,
    pub consent: ConsentState,
    /// What is left for the scripts of this hit.
    pub hit_time: HitTime,
    pub clock: MonotonicClock,
}

/// What a script asked for.
#[derive(Debug, Default)]
pub struct Asked {
    pub calls: Vec<Call>,
    /// Calls that pass the hit on, without their body: it may be one for several events.
    pub relays: Vec<(Call, Relay)>,
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
    #[serde(skip)]
    pub cause: Cause,
}

/// Whose fault it is that a script failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    #[default]
    Itself,
    /// All scripts of the hit together had used up their time, and it had none left.
    HitTime,
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

#[derive(Default)]
struct Source {
    file: Box<str>,
    text: Box<str>,
    /// Where the text stands in its file; `None` if it is the file.
    passage: Option<Passage>,
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

    /// For how many threads it is.
    pub fn seats(&self) -> usize {
        self.seats.len()
    }

    /// Compiles a tag's script for every seat.
    pub fn add(&mut self, file: &str, text: &str) -> Result<ScriptIndex, ScriptError> {
        self.compile(Source { file: file.into(), text: text.into(), passage: None }, &api::NAMES)
    }

    /// Compiles a variable's expression for every seat.
    pub fn add_expression(&mut self, passage: Passage) -> Result<ScriptIndex, ScriptError> {
        let (file, text) = ((&*passage.file).into(), passage.text.clone());
        self.compile(Source { file, text, passage: Some(passage) }, &expression::NAMES)
    }

    fn compile(&mut self, source: Source, names: &[&str]) -> Result<ScriptIndex, ScriptError> {
        for seat in &mut self.seats {
            let script = cage::compile(&seat.engine, names, &source.text);
            let script = script.map_err(|(message, position)| source.error(&message, position))?;
            api::register_properties(&mut seat.engine, &source.text);
            seat.scripts.push(script);
        }
        self.sources.push(source);
        Ok(ScriptIndex(self.sources.len() - 1))
    }

    /// Runs a permitted tag.
    pub fn run(&self, permitted: &Permitted<'_>, moment: &Moment<'_>, given: &Given) -> Run {
        let tag = permitted.tag();
        let index = tag.template.script.0;
        let number = cage::seat_of_this_thread() % self.seats.len();
        let seat = &self.seats[number];
        let (Some(script), Some(source)) = (seat.scripts.get(index), self.sources.get(index)) else {
            let error = Source::default().error("the template has no script", Position::NONE);
            return Run { outcome: Outcome::Failed(error), notes: Vec::new() };
        };
        // Ahead of the run: a parameter may be an expression's value, and runs do not nest.
        let parameters = tag.parameters.values(number, moment);
        let (result, notes) = cage::run(given.clock, &given.hit_time, || {
            let mut scope = api::values(parameters, given);
            seat.engine.eval_ast_with_scope::<Dynamic>(&mut scope, script)
        });
        let outcome = match result {
            Ok(returned) => collect(tag, source, returned),
            Err(error) => Outcome::Failed(runtime_error(source, *error)),
        };
        Run { outcome, notes }
    }
}

/// Sorts what a script returned into calls and cookies, and holds it against the manifest.
fn collect(tag: &Tag, source: &Source, returned: Dynamic) -> Outcome {
    let items = match returned.try_cast_result::<rhai::Array>() {
        Ok(items) => items,
        Err(single) => vec![single],
    };
    match sorted(tag, items, source) {
        Ok(outcome) => outcome,
        Err((message, position)) => Outcome::Failed(source.error(&message, position)),
    }
}

/// What is wrong with what a script returned, and where it asked for that.
type Fault = (String, Position);

fn sorted(tag: &Tag, items: rhai::Array, source: &Source) -> Result<Outcome, Fault> {
    let mut asked = Asked::default();
    let alone = items.len() == 1;
    for item in items {
        if item.is_unit() {
            continue;
        }
        let api::Returned { request, at } = item.try_cast_result().map_err(|item| {
            let kind = value::type_name(&item);
            let earlier = ["return", "exit"].iter().any(|word| source.text.contains(word));
            let place = if earlier { ", here or before by a return" } else { "" };
            let message = format!(
                "a script returns calls, cookies, skip(reason) or nothing, but this one returned a value of type \
                 {kind}{place}"
            );
            (message, source.end())
        })?;
        permitted(tag, &request, &source.text).map_err(|message| (message, at))?;
        match Arc::unwrap_or_clone(request) {
            api::Request::Call(request) => asked.calls.push(request.by(&tag.name)),
            api::Request::Relay(request, relay) => asked.relays.push((request.by(&tag.name), relay)),
            api::Request::Cookie(cookie) => asked.cookies.push(cookie),
            api::Request::Skip(reason) if alone => {
                return Ok(Outcome::Skipped { reason: redacted(&plain(&reason, MAX_WORDS)).into() });
            }
            api::Request::Skip(_) => {
                return Err(("a script that returns skip(reason) returns nothing beside it".to_owned(), at));
            }
        }
        if asked.calls.len() + asked.relays.len() + asked.cookies.len() > MAX_REQUESTS {
            let message = format!("a script may ask for {MAX_REQUESTS} calls and cookies, but this one asked for more");
            return Err((message, at));
        }
    }
    Ok(Outcome::Asked(asked))
}

/// Whether the manifest permits what was asked for; if not, why.
fn permitted(tag: &Tag, request: &api::Request, script: &str) -> Result<(), String> {
    let (template, name) = (&tag.template, &tag.template.name);
    let account = match request {
        api::Request::Call(call) | api::Request::Relay(call, _) => &call.account,
        api::Request::Cookie(SetCookie { name: wanted, .. }) if !tag.cookies.contains(wanted) => {
            // A name that is not in the script may be made of a visitor's data.
            let which = if script.contains(&**wanted) { format!("{wanted:?}") } else { "of a name made up".to_owned() };
            return Err(format!("tags/{name}.yaml does not permit the cookie {which}"));
        }
        api::Request::Cookie(_) | api::Request::Skip(_) => return Ok(()),
    };
    let wanted = account.destination();
    if !template.destinations.iter().any(|own| **own == *wanted) {
        return Err(format!("tags/{name}.yaml does not permit calls to the destination {wanted:?}"));
    }
    match &**account {
        Account::Http { origin, .. } if !tag.hosts.iter().any(|own| own.covers(origin)) => {
            // A host that is not in the rules may be made of a visitor's data.
            let hosts = Hosts(&tag.hosts);
            Err(format!("tags/{name}.yaml does not permit calls to this host; it permits {hosts}"))
        }
        Account::Http { .. } | Account::OpenAi { .. } => Ok(()),
    }
}

fn runtime_error(source: &Source, error: EvalAltResult) -> ScriptError {
    let cause = if cage::is_hit_time(&error) { Cause::HitTime } else { Cause::Itself };
    let (message, position) = cage::explain(error, &source.text);
    ScriptError { cause, ..source.error(&message, position) }
}

impl Source {
    /// The last line with code in it, which is where a value that is returned without a place comes from, or where its
    /// script ends.
    fn end(&self) -> Position {
        let is_code = |line: &str| !line.starts_with("//") && line.chars().any(|c| !matches!(c, '}' | ')' | ']' | ';'));
        let last = self.text.lines().enumerate().filter(|(_, line)| is_code(line.trim())).last();
        let place = last.and_then(|(number, line)| {
            let column = line.chars().take_while(|c| c.is_whitespace()).count() + 1;
            Some(Position::new(u16::try_from(number + 1).ok()?, u16::try_from(column).ok()?))
        });
        place.unwrap_or(Position::NONE)
    }

    fn error(&self, message: &str, position: Position) -> ScriptError {
        let (line, column) = match (&self.passage, position.line()) {
            // What has no place concerns the whole expression.
            (Some(_), None) => (Some(1), Some(1)),
            (_, line) => (line, position.position()),
        };
        let extract = line.and_then(|line| self.text.lines().nth(line - 1)).unwrap_or_default();
        let mut error = ScriptError {
            file: self.file.clone(),
            line,
            column,
            extract: plain(extract, MAX_WORDS),
            message: redacted(&plain(message, MAX_WORDS)).into(),
            cause: Cause::Itself,
        };
        if let (Some(passage), Some(line)) = (&self.passage, line) {
            let place = passage.place(line, column.unwrap_or(1), 1);
            error.line = usize::try_from(place.line).ok();
            error.column = usize::try_from(place.column).ok();
        }
        error
    }
}

/// A text for a terminal, a log line or a page: cut to so many characters, without any that move a cursor or turn text
/// around.
fn plain(text: &str, max_characters: usize) -> Box<str> {
    let mut characters = text.chars();
    let shown = characters.by_ref().take(max_characters).map(|c| match c {
        '\t' => ' ',
        c if is_deceptive(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    });
    let mut shown: String = shown.collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown.into()
}
