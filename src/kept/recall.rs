//! Recall: a kept event, asked by the same rules that decide hits. Takes a [`Kept`]; gives the rules what is known of it, and
//! notices when they read what is not.
//!
//! A test that read such a value may still be decided, by a pseudonym or by an answer that was kept. Else an assumption
//! takes its place: a test that speaks for a firing holds, or fails, and one that speaks against it does the opposite. What
//! comes out the same under both assumptions is certain, and the rest is not computable. Triggers are all, any and negated
//! tests, so that nothing else than these two extremes need be tried.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    sync::Arc,
    time::Duration,
};

use super::{
    DayKey, Kept, question,
    shape::{self, Reach},
};
use crate::{
    consent::{Signals, settings::Recipients},
    container::Container,
    event::{Event, EventId, IdOrigin},
    hit::Hit,
    script::{Given, HitTime},
    trigger::condition::{Operand, Operator, Subject, Test},
    variable::{Moment, VariableIndex, VariableKind, built_in::BuiltIn},
};

/// What takes the place of what is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assumption {
    /// Whatever lets a tag fire.
    Fires,
    /// Whatever keeps it from firing.
    DoesNotFire,
}

/// A kept event that is asked once: another container, or another assumption, needs another one.
#[derive(Debug)]
pub struct Recall<'k> {
    kept: &'k Kept,
    key: Option<&'k DayKey>,
    assumption: Cell<Assumption>,
    /// Whether an assumption was needed.
    assumed: Cell<bool>,
    /// Whether something was read that is not known, since somebody last looked.
    touched: Cell<bool>,
    /// Variables that were made of what is not known.
    tainted: RefCell<BTreeSet<VariableIndex>>,
}

impl<'k> Recall<'k> {
    pub fn new(kept: &'k Kept, key: Option<&'k DayKey>) -> Self {
        Self::assuming(kept, key, Assumption::Fires)
    }

    pub fn assuming(kept: &'k Kept, key: Option<&'k DayKey>, assumption: Assumption) -> Self {
        let (assumption, assumed, touched) = (Cell::new(assumption), Cell::new(false), Cell::new(false));
        Self { kept, key, assumption, assumed, touched, tainted: RefCell::default() }
    }

    pub fn has_assumed(&self) -> bool {
        self.assumed.get()
    }

    /// The event and its hit as far as they are known, for [`Moment::recalled`].
    pub fn given(&self, container: &Container) -> Given {
        let kept = self.kept;
        let id = EventId { text: "".into(), origin: IdOrigin::Generated };
        let event = Event {
            name: (&*kept.event).into(),
            id,
            time: kept.at,
            data: kept.data.clone(),
            signals: Signals { chance: kept.consent.chance(), ..Signals::default() },
            click: None,
        };
        let hit = Hit { path: "".into(), ..Hit::silent(kept.at) };
        Given {
            event: Arc::new(event),
            hit: Arc::new(hit),
            client: kept.client(),
            position: 0,
            consent: kept.consent.state(container, &Recipients::Unregistered).unwrap_or_default(),
            hit_time: HitTime::new(Duration::ZERO),
            clock: || Duration::ZERO,
        }
    }

    /// The rules read the event's data at a path.
    pub fn read(&self, path: &str) {
        let is_known = match path {
            "event_name" => true,
            "event_id" | "event_time" => false,
            _ => shape::reach(&self.kept.data, path) == Reach::Known,
        };
        if !is_known {
            self.touched.set(true);
        }
    }

    /// The rules read a variable; it is computed when first asked for.
    pub fn variable<T>(&self, index: VariableIndex, compute: impl FnOnce() -> T) -> T {
        let before = self.touched.replace(self.tainted.borrow().contains(&index));
        let value = compute();
        if self.touched.get() {
            self.tainted.borrow_mut().insert(index);
        }
        self.touched.set(before || self.touched.get());
        value
    }

    /// Whether a variable is made of what no kept event has: the request, the time, chance, or all of the event.
    pub fn knows_nothing_of(&self, kind: &VariableKind) -> bool {
        let is_unknown = match kind {
            VariableKind::Constant(_)
            | VariableKind::Text(_)
            | VariableKind::EventData { .. }
            | VariableKind::Url { .. }
            | VariableKind::LookupTable(_)
            | VariableKind::RegexTable(_)
            | VariableKind::FirstOf(_)
            | VariableKind::Secret(_)
            | VariableKind::BuiltIn(
                BuiltIn::ClientName | BuiltIn::ContainerVersion | BuiltIn::EventName | BuiltIn::UndefinedValue,
            ) => false,
            VariableKind::RequestQuery { .. }
            | VariableKind::Cookie { .. }
            | VariableKind::Header { .. }
            | VariableKind::BuiltIn(_)
            | VariableKind::Random(_)
            | VariableKind::Timestamp(_)
            | VariableKind::Expression(_) => true,
        };
        if is_unknown {
            self.touched.set(true);
        }
        is_unknown
    }

    /// Whether a test is met, as far as anybody can tell; else by assumption.
    pub fn is_met(&self, test: &Test, moment: &Moment<'_>) -> bool {
        self.known(test, moment).unwrap_or_else(|| self.assume())
    }

    /// Whether a test is met; `None` if nobody can tell.
    pub fn known(&self, test: &Test, moment: &Moment<'_>) -> Option<bool> {
        let (is_met, is_known) = self.watch(|| test.is_met(moment));
        if is_known {
            return Some(is_met);
        }
        self.by_pseudonym(test, moment.container).or_else(|| {
            let fingerprint = question::fingerprint_of(test, moment.container)?;
            self.kept.answers.get(&fingerprint).copied()
        })
    }

    /// The answer to something else than a test; by assumption if it depends on what is not known.
    pub fn ask(&self, question: impl FnOnce() -> bool) -> bool {
        let (answer, is_known) = self.watch(question);
        if is_known { answer } else { self.assume() }
    }

    /// Asks what speaks against a firing.
    pub fn against<T>(&self, ask: impl FnOnce() -> T) -> T {
        let own = self.assumption.get();
        self.assumption.set(match own {
            Assumption::Fires => Assumption::DoesNotFire,
            Assumption::DoesNotFire => Assumption::Fires,
        });
        let answer = ask();
        self.assumption.set(own);
        answer
    }

    fn assume(&self) -> bool {
        self.assumed.set(true);
        self.assumption.get() == Assumption::Fires
    }

    /// What comes of it, and whether it read nothing but what is known.
    fn watch<T>(&self, ask: impl FnOnce() -> T) -> (T, bool) {
        let before = self.touched.replace(false);
        let answer = ask();
        let is_known = !self.touched.replace(before);
        (answer, is_known)
    }

    fn by_pseudonym(&self, test: &Test, container: &Container) -> Option<bool> {
        let path = match &test.subject {
            Subject::EventData { path, .. } => path,
            Subject::Variable(index) => match container.variables.get(index.0)? {
                // A default does not take the place of what is there.
                variable if variable.format.is_some() => return None,
                variable => match &variable.kind {
                    VariableKind::EventData { path } => path,
                    _ => return None,
                },
            },
        };
        let Reach::Marked(mark) = shape::reach(&self.kept.data, path) else { return None };
        let is = |operand: &Operand| match operand {
            Operand::Fixed(wanted) => shape::is(mark, wanted, test.case, self.key?),
            Operand::Template(_) => None,
        };
        match &test.operator {
            Operator::Defined => Some(true),
            Operator::Equals(one) => is(one),
            Operator::In(several) => {
                several.iter().map(is).collect::<Option<Vec<_>>>().map(|are| are.into_iter().any(|is| is))
            }
            _ => None,
        }
    }
}
