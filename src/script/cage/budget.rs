//! The budget of one run: what its script may use, what it has used, and the notes it took on the way.
//!
//! Counted here and not by the engine, which starts anew inside the callbacks of its natives and lets some of them
//! swallow an error. Here a run that was stopped stays stopped.

use std::{
    cell::{Cell, RefCell},
    fmt,
    panic::{self, AssertUnwindSafe},
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use rhai::{Dynamic, EvalAltResult, Position};

use super::{Fallible, memory};
use crate::{
    script::plain,
    trace::{Level, Note, redacted},
};

/// A clock that never goes back; where it starts does not matter. Handed in by an edge.
pub type MonotonicClock = fn() -> Duration;

const SCRIPT_TIME: Duration = Duration::from_millis(10);
/// What passes between two looks at the clock counts no more than this. If it is more, the machine had something else to
/// do: a script that was put aside has not used its time, and must not fail for it.
const MAX_CHARGE: Duration = Duration::from_millis(1);
/// How many operations pass between two looks at the clock. A look costs less than an operation, and the slowest of
/// these take some hundred microseconds.
const OPERATIONS_PER_LOOK: u64 = 16;
const MAX_OPERATIONS: u64 = 200_000;
/// Of the thread's [`STACK`](super::STACK), in bytes: by calls and expressions inside each other. The rest is for natives
/// that walk through a deep value.
const MAX_STACK: usize = 512 << 10;
const MAX_MEMORY: isize = 16 << 20;
/// Lines that one script may log; the rest is dropped.
const MAX_NOTES: usize = 50;
const MAX_NOTE_CHARACTERS: usize = 500;

/// The time that the scripts of one hit may take together, and what is left of it.
#[derive(Clone, Debug)]
pub struct HitTime(Rc<Cell<Duration>>);

impl HitTime {
    pub fn new(time: Duration) -> Self {
        Self(Rc::new(Cell::new(time)))
    }
}

/// Why a run was stopped. No script can catch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    ScriptTime,
    HitTime,
    Operations,
    Stack,
    Memory,
    /// It tried to read a secret.
    Secret,
    /// The engine failed.
    Panic,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ScriptTime => write!(f, "the script ran longer than {} ms", SCRIPT_TIME.as_millis()),
            Self::HitTime => f.write_str("the time that the scripts of one hit may take together is used up"),
            Self::Operations => write!(f, "the script took more than {MAX_OPERATIONS} operations"),
            Self::Stack => f.write_str("functions or expressions stand too deep inside each other"),
            Self::Memory => write!(f, "the script held more than {} MB of memory", MAX_MEMORY >> 20),
            Self::Secret => f.write_str("a secret cannot be read, compared or put into a text"),
            Self::Panic => f.write_str("the script engine failed; this is a fault of the program, not of the script"),
        }
    }
}

struct Budget {
    clock: MonotonicClock,
    /// When the clock was last looked at.
    looked: Duration,
    time_left: Duration,
    /// What having no time left means.
    late: Stop,
    operations: u64,
    /// Where the stack stood when the run began.
    stack: usize,
    /// What the thread held when the run began.
    memory: isize,
    stopped: Option<(Stop, Position)>,
    notes: Vec<Note>,
}

thread_local! {
    static BUDGET: RefCell<Option<Budget>> = const { RefCell::new(None) };
    static SEAT: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
}

/// A number of this thread's own, counted up from zero, by which it finds its seat in a workshop.
pub fn seat_of_this_thread() -> usize {
    SEAT.with(|seat| *seat)
}

/// Runs `script` on this thread within a budget; gives its result and the notes taken meanwhile. A stop is an
/// [`EvalAltResult::ErrorTerminated`] that holds a [`Stop`].
pub fn run<T>(
    clock: MonotonicClock,
    HitTime(hit_time): &HitTime,
    script: impl FnOnce() -> Fallible<T>,
) -> (Fallible<T>, Vec<Note>) {
    let given = SCRIPT_TIME.min(hit_time.get());
    if given.is_zero() {
        return (Err(terminated(Stop::HitTime, Position::NONE)), Vec::new());
    }
    BUDGET.set(Some(Budget {
        clock,
        looked: clock(),
        time_left: given,
        late: if given < SCRIPT_TIME { Stop::HitTime } else { Stop::ScriptTime },
        operations: 0,
        stack: stack_position(),
        memory: memory::held(),
        stopped: None,
        notes: Vec::new(),
    }));
    // Whatever a fault in the engine leaves half done is dropped with the run.
    let result = panic::catch_unwind(AssertUnwindSafe(script));
    let budget = BUDGET.take();
    let result = result.unwrap_or_else(|_| Err(terminated(Stop::Panic, Position::NONE)));
    let Some(mut budget) = budget else { return (result, Vec::new()) };
    budget.charge();
    hit_time.set(hit_time.get().saturating_sub(given.saturating_sub(budget.time_left)));
    let result = match budget.stopped {
        None => result,
        Some((stop, position)) => {
            // Where the run was stopped, else where the script was when it noticed.
            let noticed = result.err().map_or(Position::NONE, |error| innermost_position(&error));
            Err(terminated(stop, if position.is_none() { noticed } else { position }))
        }
    };
    (result, budget.notes)
}

/// The engine's question before every operation: whether to go on.
pub fn spend_operation() -> Option<Dynamic> {
    BUDGET.with_borrow_mut(|budget| budget.as_mut()?.spend_operation()).map(Dynamic::from)
}

/// For natives whose work depends on what they are given: fails if the run's time is up.
pub fn look() -> Fallible<()> {
    let stop = BUDGET.with_borrow_mut(|budget| {
        let budget = budget.as_mut()?;
        budget.look();
        budget.stopped
    });
    stop.map_or(Ok(()), |(stop, position)| Err(terminated(stop, position)))
}

/// Stops the run that does this, whatever its script makes of it.
pub fn stop(stop: Stop, position: Position) {
    BUDGET.with_borrow_mut(|budget| {
        if let Some(budget) = budget {
            budget.stopped.get_or_insert((stop, position));
        }
    });
}

/// Keeps a remark for the trace of the script that is running. Bounded; without a personal value, which is up to the
/// caller.
pub fn note(field: &str, text: &str) {
    keep(|| Note::new(field, plain(text, MAX_NOTE_CHARACTERS)));
}

/// Keeps a line that the script composed, without what looks personal in it.
pub fn log(level: Level, line: &str) {
    keep(|| {
        // Cut before it is looked through: a script may hand over far more than is kept.
        let line = plain(line, MAX_NOTE_CHARACTERS);
        Note { field: "".into(), text: redacted(&line).into(), level }
    });
}

fn keep(note: impl FnOnce() -> Note) {
    BUDGET.with_borrow_mut(|budget| {
        let Some(Budget { notes, stopped: None, .. }) = budget else { return };
        if notes.len() < MAX_NOTES {
            notes.push(note());
        } else if notes.len() == MAX_NOTES {
            notes.push(Note::new("", "more notes were dropped"));
        }
    });
}

impl Budget {
    fn spend_operation(&mut self) -> Option<Stop> {
        self.operations += 1;
        if self.operations > MAX_OPERATIONS {
            self.stop(Stop::Operations);
        } else if self.stack.abs_diff(stack_position()) > MAX_STACK {
            self.stop(Stop::Stack);
        } else if memory::held().wrapping_sub(self.memory) > MAX_MEMORY {
            self.stop(Stop::Memory);
        } else if self.operations.is_multiple_of(OPERATIONS_PER_LOOK) {
            self.look();
        }
        self.stopped.map(|(stop, _)| stop)
    }

    fn look(&mut self) {
        self.charge();
        if self.time_left.is_zero() {
            self.stop(self.late);
        }
    }

    fn charge(&mut self) {
        let now = (self.clock)();
        self.time_left = self.time_left.saturating_sub(now.saturating_sub(self.looked).min(MAX_CHARGE));
        self.looked = now;
    }

    fn stop(&mut self, stop: Stop) {
        self.stopped.get_or_insert((stop, Position::NONE));
    }
}

/// About how far down this thread's stack is used.
#[inline(never)]
fn stack_position() -> usize {
    let here = 0_u8;
    std::hint::black_box(&raw const here).addr()
}

/// The place of the error that natives and functions wrapped into others, or that of the innermost which has one.
fn innermost_position(error: &EvalAltResult) -> Position {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, position) => innermost_position(inner).or_else(*position),
        other => other.position(),
    }
}

fn terminated(stop: Stop, position: Position) -> Box<EvalAltResult> {
    EvalAltResult::ErrorTerminated(Dynamic::from(stop), position).into()
}
