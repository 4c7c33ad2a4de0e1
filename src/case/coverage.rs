//! What cases exercise of a container: takes every event of every case and the traces; gives which tags, triggers,
//! transformations, conditions and answers about consent no case has shown.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use crate::{
    consent::{
        ConsentType, ConsentTypes,
        gate::{ConsentNeed, WhenDenied},
    },
    container::{Activity, Container, Inactive, OnFailure, Period, Tag},
    script::Given,
    trace::{Attention, EventTrace, Part, TagTrace, TagVerdict, Trace},
    transformation,
    trigger::{Trigger, condition::Condition},
    variable::Moment,
};

mod told;

/// What is covered so far, in the container's order.
#[derive(Debug, Serialize)]
pub struct Coverage {
    tags: Vec<TagCoverage>,
    triggers: Vec<TriggerCoverage>,
    transformations: Vec<TransformationCoverage>,
    /// The events of a hit whose trace is still to come.
    #[serde(skip)]
    seen: Vec<Given>,
}

#[derive(Debug, Serialize)]
struct TagCoverage {
    tag: Arc<str>,
    /// Whether each way that a tag can go was taken. Those that only its script decides stand here once they were.
    ways: BTreeMap<Way, bool>,
    /// Of a tag that needs several types: whether each was missing in some case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    lacked: BTreeMap<ConsentType, bool>,
}

/// What can become of a tag that a trigger chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    Fired,
    /// After the tag that comes before it.
    SetUp,
    /// The tag that comes after it ran.
    CleanedUp,
    Held,
    Blocked,
    Excepted,
    BeforeItsPeriod,
    AfterItsPeriod,
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
    /// Of a trigger with a sample: whether it left a visitor out.
    #[serde(skip_serializing_if = "Option::is_none")]
    sampled_out: Option<bool>,
}

#[derive(Debug, Serialize)]
struct TransformationCoverage {
    transformation: Arc<str>,
    /// A tag saw an event that it had changed.
    applied: bool,
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
        let tags = active.map(|tag| TagCoverage {
            tag: Arc::clone(&tag.name),
            ways: ways(container, tag),
            lacked: lackable(tag),
        });
        let triggers = container.triggers.iter().map(|trigger| TriggerCoverage {
            trigger: Arc::clone(&trigger.name),
            matched: false,
            conditions: trigger.conditions.iter().flat_map(tests).collect(),
            sampled_out: trigger.sample.as_ref().map(|_| false),
        });
        let transformations = container.transformations.iter().map(|transformation| TransformationCoverage {
            transformation: Arc::clone(&transformation.name),
            applied: false,
            conditions: transformation.conditions.iter().flat_map(tests).collect(),
        });
        let (tags, triggers, transformations) = (tags.collect(), triggers.collect(), transformations.collect());
        Self { tags, triggers, transformations, seen: Vec::new() }
    }

    /// Takes in what the triggers say of an event.
    pub(super) fn look(&mut self, moment: &Moment<'_>) {
        let triggers = moment.container.triggers.iter().zip(&mut self.triggers);
        for (trigger, covered) in triggers.filter(|(trigger, _)| trigger.events.covers(&moment.event.name)) {
            covered.look(trigger, moment);
        }
        self.seen.push(moment.given.clone());
    }

    /// Takes in what became of tags, once a hit was decided.
    pub(super) fn read(&mut self, container: &Container, trace: &Trace) {
        let seen = std::mem::take(&mut self.seen);
        let events = trace.events.iter().filter(|event| event.attention == Attention::Full);
        for (event, given) in events.zip(&seen) {
            event.tags.iter().for_each(|told| self.take(told));
            self.transform(container, event, given);
        }
    }

    fn take(&mut self, told: &TagTrace) {
        let mut mark = |name: &Arc<str>, way: Way| {
            if let Some(tag) = self.tags.iter_mut().find(|tag| tag.tag == *name) {
                tag.ways.insert(way, true);
            }
        };
        match (&told.verdict, &told.part) {
            // What is told of the tag that does not clean up is a way of the one that failed.
            (TagVerdict::NoCleanup { of }, _) => mark(of, Way::NoCleanup),
            (TagVerdict::Ran { .. }, Part::SetUp { of }) => mark(of, Way::SetUp),
            (TagVerdict::Ran { .. }, Part::CleanUp { of }) => mark(of, Way::CleanedUp),
            _ => {}
        }
        if let Some(way) = Way::of(&told.verdict) {
            mark(&told.tag, way);
        }
        if let TagVerdict::Held { needs, .. } | TagVerdict::Blocked { needs, .. } = &told.verdict
            && let Some(tag) = self.tags.iter_mut().find(|tag| tag.tag == told.tag)
        {
            tag.lacked.iter_mut().for_each(|(kind, lacked)| *lacked |= needs.contains(*kind));
        }
    }

    /// Looks on again while the tags that had their turn are given the event as they saw it.
    fn transform(&mut self, container: &Container, event: &EventTrace, given: &Given) {
        let moment = Moment::new(container, given);
        let had_turn = |tag: &&Tag| {
            event.tags.iter().any(|told| {
                let verdict = &told.verdict;
                let has_run =
                    matches!(verdict, TagVerdict::Ran { .. } | TagVerdict::Skipped { .. } | TagVerdict::Failed { .. });
                has_run && told.tag == tag.name
            })
        };
        for tag in container.tags.iter().filter(had_turn) {
            transformation::watched(tag, &moment, given, |index, moment| {
                let own = container.transformations.get(index.0).zip(self.transformations.get_mut(index.0));
                if let Some((transformation, covered)) = own {
                    covered.applied |= all_hold(&transformation.conditions, moment, &mut covered.conditions);
                }
            });
        }
    }
}

/// The ways that a tag's own words make possible.
fn ways(container: &Container, tag: &Tag) -> BTreeMap<Way, bool> {
    let needs_consent = matches!(tag.consent, ConsentNeed::Types(_));
    let own_period = period(tag);
    // A set-up tag that its own rules may keep from running; whether it fails is for its script to say.
    let may_stop = tag.setup.as_ref().filter(|step| step.on_failure == OnFailure::Stop).is_some_and(|step| {
        container.tags.get(step.tag.0).is_some_and(|setup| {
            matches!(setup.consent, ConsentNeed::Types(_))
                || !setup.exceptions.is_empty()
                || period(setup) != Period::default()
        })
    });
    let possible = [
        (Way::Fired, true),
        (Way::SetUp, tag.setup.is_some()),
        (Way::SetupFailed, may_stop),
        (Way::CleanedUp, tag.cleanup.is_some()),
        (Way::Held, needs_consent && tag.when_denied == WhenDenied::Hold),
        (Way::Blocked, needs_consent),
        (Way::Excepted, !tag.exceptions.is_empty()),
        (Way::BeforeItsPeriod, own_period.from.is_some()),
        (Way::AfterItsPeriod, own_period.to.is_some()),
    ];
    possible.into_iter().filter(|(_, is_possible)| *is_possible).map(|(way, _)| (way, false)).collect()
}

fn period(tag: &Tag) -> Period {
    match tag.activity {
        Activity::Active(period) => period,
        Activity::Paused => Period::default(),
    }
}

/// The types of which each may be the missing one.
fn lackable(tag: &Tag) -> BTreeMap<ConsentType, bool> {
    let types = match tag.consent {
        ConsentNeed::Types(types) => types,
        ConsentNeed::None { .. } => ConsentTypes::NONE,
    };
    let types: BTreeMap<_, _> = types.iter().map(|kind| (kind, false)).collect();
    if types.len() > 1 { types } else { BTreeMap::new() }
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
        if !all_hold(&trigger.conditions, moment, &mut self.conditions) {
            return;
        }
        let left_out = trigger.sample.as_ref().is_some_and(|sample| sample.leaves_out(moment).is_some());
        self.matched |= !left_out;
        self.sampled_out = self.sampled_out.map(|before| before || left_out);
    }
}

/// Whether all conditions hold, in their order; marks what was looked at.
fn all_hold(conditions: &[Condition], moment: &Moment<'_>, mut covered: &mut [ConditionCoverage]) -> bool {
    for condition in conditions {
        if !look(condition, moment, covered) {
            return false;
        }
        covered = covered.get_mut(count(condition)..).unwrap_or_default();
    }
    true
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
            TagVerdict::Inactive { why: Inactive::Until(_) } => Self::BeforeItsPeriod,
            TagVerdict::Inactive { why: Inactive::Since(_) } => Self::AfterItsPeriod,
            TagVerdict::Skipped { .. } => Self::Skipped,
            TagVerdict::SetupFailed { .. } => Self::SetupFailed,
            TagVerdict::Failed { .. } => Self::Failed,
            TagVerdict::Awaited => Self::Awaited,
            TagVerdict::Settled { .. } => Self::Settled,
            TagVerdict::NotTriggered { .. }
            | TagVerdict::SampledOut { .. }
            | TagVerdict::Paused
            | TagVerdict::NoCleanup { .. } => return None,
        })
    }

    fn never(self) -> &'static str {
        match self {
            Self::Fired => "never fired",
            Self::SetUp => "never ran its set-up tag",
            Self::CleanedUp => "never ran its clean-up tag",
            Self::Held => "never held because the visitor has not answered",
            Self::Blocked => "never blocked for lack of consent",
            Self::Excepted => "never kept from firing by an exception",
            Self::BeforeItsPeriod => "never met an event before its period",
            Self::AfterItsPeriod => "never met an event after its period",
            Self::Skipped => "never skipped by its script",
            Self::SetupFailed => "never stopped by its set-up tag",
            Self::NoCleanup => "never failed before its clean-up tag",
            Self::Failed => "never failed",
            Self::Awaited => "never awaited the whole event",
            Self::Settled => "never settled when the event was first sent",
        }
    }
}
