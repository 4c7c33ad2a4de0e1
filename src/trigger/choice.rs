//! Which tags fire for an event: takes a [`Moment`], asks the triggers that look at it, gives the tags they chose, and
//! the verdicts on those that do not fire although a trigger looked.
//!
//! What it takes depends on how many triggers may hold, not on how many there are: the [index](super::index) finds
//! those, and why all others did not choose their tags is told of a few tags only.

use std::sync::Arc;

use super::{TriggerVerdict, index::Groups};
use crate::{
    container::{Activity, Container, Tag, TagIndex},
    trace::{Part, TagTrace, TagVerdict},
    variable::Moment,
};

/// What the triggers said of an event.
#[derive(Debug, Default)]
pub struct ChosenTags {
    /// The tags that fire, in firing order; each still has to pass the gate.
    pub fire: Vec<TagIndex>,
    /// Others that a trigger looked at, and why they do not fire.
    pub rest: Vec<TagTrace>,
    /// How many more there are that none chose and that are not told of; a tag with several triggers may count more than
    /// once.
    pub untold: usize,
}

/// Asks every trigger that may choose a tag for the event. Of the tags that none chose so many are told of.
pub fn choose(container: &Container, moment: &Moment<'_>, told: usize) -> ChosenTags {
    let groups = container.trigger_groups(moment);
    let mut fire: Vec<TagIndex> = Vec::new();
    for group in &groups {
        group.each_candidate(moment, |index| {
            if container.triggers.get(index.0).is_some_and(|trigger| trigger.holds(moment)) {
                fire.extend(container.tags_fired_by(index));
            }
        });
    }
    fire.sort_unstable();
    fire.dedup();
    let chosen = fire.clone();
    // A tag that was chosen and then kept from firing says so, whatever its other triggers said.
    let mut rest = Vec::new();
    fire.retain(|index| {
        let Some(tag) = container.tags.get(index.0) else { return false };
        let Some(verdict) = refusal(container, tag, moment) else { return true };
        rest.push((*index, verdict));
        false
    });
    let (others, untold) = not_chosen(container, &groups, &chosen, moment, told);
    rest.extend(others);
    rest.sort_by_key(|(index, _)| *index);
    let name = |index: TagIndex| container.tags.get(index.0).map(|tag| Arc::clone(&tag.name)).unwrap_or_default();
    let rest = rest.into_iter().map(|(index, verdict)| TagTrace {
        tag: name(index),
        part: Part::Own,
        verdict,
        notes: Vec::new(),
    });
    ChosenTags { rest: rest.collect(), fire, untold }
}

/// The tags that a trigger looks at by the event's name and that are not among these, in firing order: once the event comes
/// with the data that its page kept back, they may be chosen.
pub fn may_be_chosen(container: &Container, moment: &Moment<'_>, chosen: &[TagIndex]) -> Vec<TagIndex> {
    let groups = container.trigger_groups(moment);
    let mut tags: Vec<TagIndex> = groups.iter().flat_map(|group| &group.tags).copied().collect();
    tags.sort_unstable();
    tags.dedup();
    tags.retain(|tag| chosen.binary_search(tag).is_err());
    tags
}

/// The first tags, in firing order, that a trigger looked at and none chose, each with its reason; and how many more
/// there are.
fn not_chosen(
    container: &Container,
    groups: &Groups<'_>,
    chosen: &[TagIndex],
    moment: &Moment<'_>,
    told: usize,
) -> (Vec<(TagIndex, TagVerdict)>, usize) {
    // As many of each group as are told of, should all that were chosen be among them.
    let few = told.saturating_add(chosen.len());
    let mut tags: Vec<TagIndex> = groups.iter().flat_map(|group| group.tags.iter().take(few)).copied().collect();
    tags.sort_unstable();
    tags.dedup();
    let all: usize = groups.iter().map(|group| group.tags.len()).sum();
    let looked_at = if groups.iter().all(|group| group.tags.len() <= few) { tags.len() } else { all };
    tags.retain(|tag| chosen.binary_search(tag).is_err());
    tags.truncate(told);
    let untold = looked_at.saturating_sub(chosen.len() + tags.len());
    let verdicts = tags.into_iter().filter_map(|index| {
        let tag = container.tags.get(index.0)?;
        Some((index, reason(container, tag, moment)?))
    });
    (verdicts.collect(), untold)
}

/// Why none of a tag's triggers chose it: what the first that looks at this event says.
fn reason(container: &Container, tag: &Tag, moment: &Moment<'_>) -> Option<TagVerdict> {
    let mut triggers = tag.triggers.iter().filter_map(|index| container.triggers.get(index.0));
    triggers.find_map(|trigger| {
        let trigger_name = || Arc::clone(&trigger.name);
        match trigger.decide(moment) {
            TriggerVerdict::OtherEvent | TriggerVerdict::Matched => None,
            TriggerVerdict::Failed { condition, found } => {
                Some(TagVerdict::NotTriggered { trigger: trigger_name(), condition, found })
            }
            TriggerVerdict::SampledOut(sample) => Some(TagVerdict::SampledOut { trigger: trigger_name(), sample }),
        }
    })
}

/// Why a tag does not fire at all when the hit came.
pub fn inactivity(tag: &Tag, moment: &Moment<'_>) -> Option<TagVerdict> {
    match tag.activity {
        Activity::Paused => Some(TagVerdict::Paused),
        Activity::Active(period) => period.excludes(moment.hit.received).map(|why| TagVerdict::Inactive { why }),
    }
}

/// Why a tag that was chosen does not fire all the same.
pub fn refusal(container: &Container, tag: &Tag, moment: &Moment<'_>) -> Option<TagVerdict> {
    if let Some(verdict) = inactivity(tag, moment) {
        return Some(verdict);
    }
    let mut exceptions = tag.exceptions.iter().filter_map(|exception| container.triggers.get(exception.0));
    let matched = exceptions.find(|exception| match moment.recall() {
        None => exception.matches(moment),
        Some(recall) => recall.against(|| exception.matches(moment)),
    })?;
    Some(TagVerdict::Excepted { trigger: Arc::clone(&matched.name) })
}
