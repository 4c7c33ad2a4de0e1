//! The cage: an engine whose scripts cannot reach out, cannot fail to end, and cannot take more than their share.
//!
//! There is no file, network, clock, sleep, `eval` or `import`. Operations, wall time, stack and memory are bounded by
//! the [budget] of a run; call depth, texts, lists and maps by the engine. What the engine can do that neither bounds is
//! left out: closures over outer variables and currying, which make cycles and values of unmeasured size; the optimiser,
//! which works out constants when the container loads; and some [natives]. What went wrong is [explained](mod@explain)
//! without quoting a visitor's data.

use rhai::{AST, Dynamic, Engine, EvalAltResult, NativeCallContext, OptimizationLevel, Position, Scope};

use super::{api, expression, secret};
use crate::trace::Level;

mod budget;
mod explain;
mod memory;
mod natives;

#[cfg(test)]
mod tests;

pub use budget::{HitTime, MonotonicClock, Stop, log, look, note, run, seat_of_this_thread, stop};
pub use explain::{explain, is_hit_time};
pub use memory::Counted;

/// What a native gives: a value, or an error that its caller's place is added to.
pub type Fallible<T> = Result<T, Box<EvalAltResult>>;

/// Runs a native within the budget, and gives its error the place of its call, which the engine does not for a module's.
pub fn native<T>(context: &NativeCallContext<'_>, work: impl FnOnce() -> Fallible<T>) -> Fallible<T> {
    look().and_then(|()| work()).map_err(|mut error| {
        if error.position().is_none() {
            error.set_position(context.call_position());
        }
        error
    })
}

/// What a thread that runs scripts needs of stack, in bytes. The engine copies, compares and drops a value as deep as it
/// goes, and values go as deep as lists and maps have elements. Unoptimised code takes several times what a release does.
pub const STACK: usize = 16 << 20;

const MAX_SCRIPT: usize = 64 << 10;
const MAX_CALL_DEPTH: usize = 32;
/// Of expressions and blocks inside each other; the compiler goes as deep into the thread's stack.
const MAX_EXPRESSION_DEPTH: usize = 64;
/// Of one text, or of all texts in one list or map together; in bytes.
pub const MAX_TEXT: usize = 64 << 10;
/// Of one list with all lists inside it, and of one map with all maps inside it.
pub const MAX_ITEMS: usize = 1000;
const MAX_VARIABLES: usize = 500;
const MAX_FUNCTIONS: usize = 100;

/// An engine with the language, Tidegate's functions, and nothing else.
pub fn engine() -> Engine {
    let mut engine = Engine::new_raw();
    engine
        .set_max_call_levels(MAX_CALL_DEPTH)
        .set_max_expr_depths(MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_DEPTH)
        .set_max_string_size(MAX_TEXT)
        .set_max_array_size(MAX_ITEMS)
        .set_max_map_size(MAX_ITEMS)
        .set_max_variables(MAX_VARIABLES)
        .set_max_functions(MAX_FUNCTIONS)
        .set_max_modules(0)
        .set_strict_variables(true)
        .set_optimization_level(OptimizationLevel::None)
        .on_progress(|_| budget::spend_operation())
        .on_print(|text| log(Level::Debug, text))
        .on_debug(|text, _, _| log(Level::Debug, text));
    for symbol in ["eval", "import", "export", "curry"] {
        engine.disable_symbol(symbol);
    }
    natives::register(&mut engine);
    secret::register(&mut engine);
    api::register(&mut engine);
    expression::register(&mut engine);
    engine
}

/// Compiles a script that is run with variables of these names.
///
/// # Errors
/// What is wrong with it, and where.
pub fn compile(engine: &Engine, names: &[&str], text: &str) -> Result<AST, (String, Position)> {
    if text.len() > MAX_SCRIPT {
        return Err((format!("the script is longer than {} KB", MAX_SCRIPT >> 10), Position::NONE));
    }
    let mut scope = Scope::new();
    for name in names {
        scope.push_dynamic(*name, Dynamic::UNIT);
    }
    let compiled = engine.compile_with_scope(&scope, text);
    let script = compiled.map_err(|error| (explain::syntax(error.err_type()), error.position()))?;
    // The compiler believes that functions see what is in a scope, and they do not: declare it, a line ahead.
    let declared: String = names.iter().map(|name| format!("let {name} = (); ")).collect();
    engine.compile(format!("{declared}\n{text}")).map_err(|error| {
        let line = error.position().line().and_then(|line| u16::try_from(line - 1).ok());
        let column = error.position().position().and_then(|column| u16::try_from(column).ok());
        let position = line.map_or(Position::NONE, |line| Position::new(line, column.unwrap_or_default()));
        (explain::syntax(error.err_type()), position)
    })?;
    Ok(script)
}
