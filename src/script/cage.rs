//! The cage: an engine whose scripts cannot reach out, and the budget of one run.
//!
//! Operations, call depth, sizes and wall time are bounded. There is no file, network, clock, sleep, `eval` or `import`.
//! The clock is the host's; it is read once every few hundred operations, because reading it at each one would cost
//! more than most scripts.

use std::{
    cell::{Cell, RefCell},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use rhai::{
    Dynamic, Engine, EvalAltResult, ImmutableString, OptimizationLevel, Position,
    packages::{
        ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage, BasicMathPackage,
        BasicStringPackage, LanguageCorePackage, LogicPackage, MoreStringPackage, Package,
    },
};

use super::api;
use crate::trace::Note;

/// A clock that never goes back; where it starts does not matter. Handed in by an edge.
pub type MonotonicClock = fn() -> Duration;

/// What one script may use.
const SCRIPT_TIME: Duration = Duration::from_millis(10);
const MAX_OPERATIONS: u64 = 200_000;
const MAX_CALL_DEPTH: usize = 32;
const MAX_EXPRESSION_DEPTH: usize = 64;
const MAX_TEXT: usize = 64 * 1024;
const MAX_ITEMS: usize = 1000;
const MAX_VARIABLES: usize = 500;
const MAX_FUNCTIONS: usize = 100;
/// Lines that one script may log; the rest is counted and dropped.
const MAX_NOTES: usize = 50;
const MAX_NOTE_CHARACTERS: usize = 500;
/// How many operations pass between two looks at the clock; a power of two.
const OPERATIONS_PER_LOOK: u64 = 256;

struct Budget {
    clock: MonotonicClock,
    deadline: Duration,
}

thread_local! {
    static BUDGET: Cell<Option<Budget>> = const { Cell::new(None) };
    static NOTES: RefCell<Vec<Note>> = const { RefCell::new(Vec::new()) };
    static SEAT: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
}

/// A number of this thread's own, counted up from zero, by which it finds its seat in a workshop.
pub fn seat_of_this_thread() -> usize {
    SEAT.with(|seat| *seat)
}

/// Runs `script` on this thread within a budget; gives its result and the notes taken meanwhile.
pub fn run<T>(clock: MonotonicClock, hit_deadline: Duration, script: impl FnOnce() -> T) -> (T, Vec<Note>) {
    let deadline = (clock() + SCRIPT_TIME).min(hit_deadline);
    BUDGET.set(Some(Budget { clock, deadline }));
    let result = script();
    BUDGET.set(None);
    (result, NOTES.take())
}

/// Keeps a remark for the trace of the script that is running. Bounded; without a personal value, which is up to the
/// caller.
pub fn note(field: &str, text: &str) {
    NOTES.with_borrow_mut(|notes| {
        if notes.len() < MAX_NOTES {
            let text: String = text.chars().take(MAX_NOTE_CHARACTERS).collect();
            notes.push(Note { field: field.into(), text: text.into() });
        } else if notes.len() == MAX_NOTES {
            notes.push(Note { field: "".into(), text: "more notes were dropped".into() });
        }
    });
}

/// Whether the running script is past its deadline.
fn is_late() -> bool {
    let budget = BUDGET.take();
    let late = budget.as_ref().is_some_and(|budget| (budget.clock)() > budget.deadline);
    BUDGET.set(budget);
    late
}

/// An engine with the language, Tidegate's functions, and nothing else.
pub fn engine() -> Engine {
    let mut engine = Engine::new_raw();
    LanguageCorePackage::new().register_into_engine(&mut engine);
    ArithmeticPackage::new().register_into_engine(&mut engine);
    BasicStringPackage::new().register_into_engine(&mut engine);
    BasicIteratorPackage::new().register_into_engine(&mut engine);
    BasicFnPackage::new().register_into_engine(&mut engine);
    LogicPackage::new().register_into_engine(&mut engine);
    BasicMathPackage::new().register_into_engine(&mut engine);
    BasicArrayPackage::new().register_into_engine(&mut engine);
    BasicMapPackage::new().register_into_engine(&mut engine);
    MoreStringPackage::new().register_into_engine(&mut engine);
    engine
        .set_max_operations(MAX_OPERATIONS)
        .set_max_call_levels(MAX_CALL_DEPTH)
        .set_max_expr_depths(MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_DEPTH)
        .set_max_string_size(MAX_TEXT)
        .set_max_array_size(MAX_ITEMS)
        .set_max_map_size(MAX_ITEMS)
        .set_max_variables(MAX_VARIABLES)
        .set_max_functions(MAX_FUNCTIONS)
        .set_max_modules(0)
        .set_strict_variables(true)
        .set_optimization_level(OptimizationLevel::Simple)
        .disable_symbol("eval")
        .disable_symbol("import")
        .on_progress(|operations| {
            (operations % OPERATIONS_PER_LOOK == 0 && is_late()).then(|| Dynamic::from(SCRIPT_TIME.as_millis() as i64))
        })
        .on_print(|text| note("", text))
        .on_debug(|text, _, _| note("", text));
    replace_unbounded_natives(&mut engine);
    api::register(&mut engine);
    engine
}

/// Natives that work outside the engine's limits: `sleep` blocks the thread, and `replace` can blow a text up to
/// gigabytes before its size is looked at.
fn replace_unbounded_natives(engine: &mut Engine) {
    engine
        .register_fn("sleep", |_: i64| refuse("a script cannot sleep"))
        .register_fn("sleep", |_: f64| refuse("a script cannot sleep"))
        .register_fn("replace", |text: &mut ImmutableString, find: &str, with: &str| {
            replaced(text, find, with).map(|new| *text = new)
        })
        .register_fn("replace", |text: &mut ImmutableString, find: char, with: &str| {
            replaced(text, find.encode_utf8(&mut [0; 4]), with).map(|new| *text = new)
        })
        .register_fn("replace", |text: &mut ImmutableString, find: &str, with: char| {
            replaced(text, find, with.encode_utf8(&mut [0; 4])).map(|new| *text = new)
        });
}

fn replaced(text: &str, find: &str, with: &str) -> Result<ImmutableString, Box<EvalAltResult>> {
    let growth = with.len().saturating_sub(find.len()).saturating_mul(text.matches(find).count());
    if text.len().saturating_add(growth) > MAX_TEXT {
        return Err("replace would make a text longer than 64 KB".into());
    }
    Ok(text.replace(find, with).into())
}

fn refuse(message: &str) -> Result<(), Box<EvalAltResult>> {
    Err(message.into())
}

/// An engine error in a tag author's words, and where it happened.
pub fn explain(error: EvalAltResult) -> (String, Position) {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) => explain(*inner),
        EvalAltResult::ErrorTerminated(_, position) => (
            format!(
                "the script ran longer than {} ms, or the hit's scripts longer than 50 ms",
                SCRIPT_TIME.as_millis()
            ),
            position,
        ),
        EvalAltResult::ErrorTooManyOperations(position) => {
            (format!("the script took more than {MAX_OPERATIONS} operations"), position)
        }
        EvalAltResult::ErrorStackOverflow(position) => {
            (format!("functions call each other more than {MAX_CALL_DEPTH} deep"), position)
        }
        mut other => {
            let position = other.take_position();
            (other.to_string(), position)
        }
    }
}
