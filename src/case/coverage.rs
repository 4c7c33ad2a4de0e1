//! What cases exercise of a container: takes every event of every case and the traces; gives which tags, triggers,
//! conditions and answers about consent no case has shown.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::Serialize;

use crate::{
    consent::gate::{ConsentNeed, WhenDenied},
    container::{Activity, Container, Period, Tag},
    trace::{TagVerdict, Trace},
    trigger::{Trigger, condition::Condition},
    variable::Moment,
};

/// What is covered so far, in the container's order.
#[derive(Debug, Serialize)]
pub struct Coverage {
    tags: Vec<TagCoverage>,
    triggers: Vec<TriggerCoverage>,
}

#[derive(Debug, Serialize)]
struct TagCoverage {
    tag: Arc<str>,
    /// Whether each way that a tag can go was taken. Those that only its script decides stand here once they were.
    ways: BTreeMap<Way, bool>,
}

/// What can become of a tag that a trigger chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    Fired,
    Held,
    Blocked,
    Excepted,
    /// Outside of its period.
    Inactive,
    Skipped,
    SetupFailed,
    NoCleanup,
    Failed,
    Awaited,
    Settled,
}

#[derive(Debug, Serialize)]
struct TriggerCoverage {
    trigger: Arc<str>,
    /// It looked at an event and all its conditions held.
    matched: bool,
    conditions: Vec<ConditionCoverage>,
}

/// One test; those within `any` and `all` stand for themselves. Only what decides is looked at, in the order of the
/// rules, as in production.
#[derive(Debug, Serialize)]
struct ConditionCoverage {
    condition: Arc<str>,
    held: bool,
    failed: bool,
}

impl Coverage {
    /// Nothing is covered yet. A paused tag has nothing to cover.
    pub fn of(container: &Container) -> Self {
        let active = container.tags.iter().filter(|tag| tag.activity != Activity::Paused);
        let tags = active.map(|tag| TagCoverage { tag: Arc::clone(&tag.name), ways: ways(tag) });
        let triggers = container.triggers.iter().map(|trigger| TriggerCoverage {
            trigger: Arc::clone(&trigger.name),
            matched: false,
            conditions: trigger.conditions.iter().flat_map(tests).collect(),
        });
        Self { tags: tags.collect(), triggers: triggers.collect() }
    }

    /// Takes in what the triggers say of an event.
    pub(super) fn look(&mut self, moment: &Moment<'_>) {
        let triggers = moment.container.triggers.iter().zip(&mut self.triggers);
        for (trigger, covered) in triggers.filter(|(trigger, _)| trigger.events.covers(&moment.event.name)) {
            covered.look(trigger, moment);
        }
    }

    /// Takes in what became of tags.
    pub(super) fn read(&mut self, trace: &Trace) {
        for told in trace.events.iter().flat_map(|event| &event.tags) {
            let tag = self.tags.iter_mut().find(|tag| tag.tag == told.tag);
            if let Some((tag, way)) = tag.zip(Way::of(&told.verdict)) {
                tag.ways.insert(way, true);
            }
        }
    }

    fn missing_ways(&self, of_consent: bool) -> impl Iterator<Item = (&Arc<str>, Way)> {
        let ways = self.tags.iter().flat_map(|tag| tag.ways.iter().map(move |(way, taken)| (&tag.tag, *way, *taken)));
        ways.filter(move |(_, way, taken)| !taken && (*way != Way::Fired) == of_consent).map(|(tag, way, _)| (tag, way))
    }
}

/// The ways that a tag's own words make possible.
fn ways(tag: &Tag) -> BTreeMap<Way, bool> {
    let needs_consent = matches!(tag.consent, ConsentNeed::Types(_));
    let possible = [
        (Way::Fired, true),
        (Way::Held, needs_consent && tag.when_denied == WhenDenied::Hold),
        (Way::Blocked, needs_consent),
        (Way::Excepted, !tag.exceptions.is_empty()),
        (Way::Inactive, matches!(tag.activity, Activity::Active(period) if period != Period::default())),
    ];
    possible.into_iter().filter(|(_, is_possible)| *is_possible).map(|(way, _)| (way, false)).collect()
}

fn tests(condition: &Condition) -> Vec<ConditionCoverage> {
    match condition {
        Condition::Test(test) => {
            vec![ConditionCoverage { condition: Arc::clone(&test.text), held: false, failed: false }]
        }
        Condition::Any(conditions) | Condition::All(conditions) => conditions.iter().flat_map(tests).collect(),
    }
}

impl TriggerCoverage {
    fn look(&mut self, trigger: &Trigger, moment: &Moment<'_>) {
        let mut covered = &mut self.conditions[..];
        let mut all_hold = true;
        for condition in &trigger.conditions {
            let holds = all_hold && look(condition, moment, covered);
            covered = covered.get_mut(count(condition)..).unwrap_or_default();
            all_hold = holds;
        }
        self.matched |= all_hold && trigger.sample.as_ref().is_none_or(|sample| sample.leaves_out(moment).is_none());
    }
}

/// How many tests a condition holds.
fn count(condition: &Condition) -> usize {
    match condition {
        Condition::Test(_) => 1,
        Condition::Any(conditions) | Condition::All(conditions) => conditions.iter().map(count).sum(),
    }
}

/// Whether a condition holds; marks the outcomes of those tests that are needed to tell.
fn look(condition: &Condition, moment: &Moment<'_>, mut covered: &mut [ConditionCoverage]) -> bool {
    match condition {
        Condition::Test(test) => {
            let holds = test.holds(moment);
            if let Some(covered) = covered.first_mut() {
                covered.held |= holds;
                covered.failed |= !holds;
            }
            holds
        }
        Condition::Any(conditions) | Condition::All(conditions) => {
            let decisive = matches!(condition, Condition::Any(_));
            for condition in conditions {
                if look(condition, moment, covered) == decisive {
                    return decisive;
                }
                covered = covered.get_mut(count(condition)..).unwrap_or_default();
            }
            !decisive
        }
    }
}

impl Way {
    fn of(verdict: &TagVerdict) -> Option<Self> {
        Some(match verdict {
            TagVerdict::Ran { .. } => Self::Fired,
            TagVerdict::Held { .. } => Self::Held,
            TagVerdict::Blocked { .. } => Self::Blocked,
            TagVerdict::Excepted { .. } => Self::Excepted,
            TagVerdict::Inactive { .. } => Self::Inactive,
            TagVerdict::Skipped { .. } => Self::Skipped,
            TagVerdict::SetupFailed { .. } => Self::SetupFailed,
            TagVerdict::NoCleanup { .. } => Self::NoCleanup,
            TagVerdict::Failed { .. } => Self::Failed,
            TagVerdict::Awaited => Self::Awaited,
            TagVerdict::Settled { .. } => Self::Settled,
            TagVerdict::NotTriggered { .. } | TagVerdict::SampledOut { .. } | TagVerdict::Paused => return None,
        })
    }

    fn never(self) -> &'static str {
        match self {
            Self::Fired => "never fired",
            Self::Held => "never held because the visitor has not answered",
            Self::Blocked => "never blocked for lack of consent",
            Self::Excepted => "never kept from firing by an exception",
            Self::Inactive => "never met an event outside of its period",
            Self::Skipped => "never skipped by its script",
            Self::SetupFailed => "never stopped by the tag before it",
            Self::NoCleanup => "never left out after a failure",
            Self::Failed => "never failed",
            Self::Awaited => "never awaited the whole event",
            Self::Settled => "never settled when the event was first sent",
        }
    }
}

/// How much of each kind is covered, then what is not, one line each.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |parts: &mut dyn Iterator<Item = bool>| {
            let (mut covered, mut all) = (0, 0);
            for is_covered in parts {
                covered += usize::from(is_covered);
                all += 1;
            }
            format!("{covered} of {all}")
        };
        let ways = |of_consent: bool| {
            let ways = self.tags.iter().flat_map(|tag| &tag.ways);
            ways.filter(move |(way, _)| (**way != Way::Fired) == of_consent).map(|(_, taken)| *taken)
        };
        let conditions = || self.triggers.iter().flat_map(|trigger| &trigger.conditions);
        let outcomes = &mut conditions().flat_map(|condition| [condition.held, condition.failed]);
        writeln!(f, "covered:")?;
        writeln!(f, "  {} tags fired", part(&mut ways(false)))?;
        writeln!(f, "  {} triggers matched", part(&mut self.triggers.iter().map(|trigger| trigger.matched)))?;
        writeln!(f, "  {} outcomes of conditions", part(outcomes))?;
        writeln!(f, "  {} ways of tags not to fire", part(&mut ways(true)))?;
        let mut lines = Vec::new();
        lines.extend(self.missing_ways(false).map(|(tag, way)| format!("tag {tag:?} {}", way.never())));
        for TriggerCoverage { trigger, matched, conditions } in &self.triggers {
            if !matched {
                lines.push(format!("trigger {trigger:?} never matched"));
            }
            lines.extend(conditions.iter().filter_map(|ConditionCoverage { condition, held, failed }| {
                let never = match (held, failed) {
                    (true, true) => return None,
                    (false, true) => "never held",
                    (true, false) => "never failed",
                    (false, false) => "was never looked at",
                };
                Some(format!("trigger {trigger:?}: {condition} {never}"))
            }));
        }
        lines.extend(self.missing_ways(true).map(|(tag, way)| format!("tag {tag:?} {}", way.never())));
        if !lines.is_empty() {
            writeln!(f, "not covered:")?;
        }
        lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}
