//! Which tags fire for an event: takes a [`Moment`], asks the triggers that look at it, gives the tags they chose, and
//! the verdicts on those that do not fire although a trigger looked.

use std::sync::Arc;

use super::TriggerVerdict;
use crate::{
    container::{Activity, Container, TagIndex},
    trace::{TagTrace, TagVerdict},
    variable::Moment,
};

/// So many tags that did not fire are told of for one event; an event that a thousand tags look at is no reason for a
/// trace of a thousand lines.
const MAX_TOLD: usize = 200;

/// What the triggers said of an event.
#[derive(Debug, Default)]
pub struct Choice {
    /// The tags that fire, in firing order; each still has to pass the gate.
    pub fire: Vec<TagIndex>,
    /// The others that a trigger looked at, and why they do not fire.
    pub rest: Vec<TagTrace>,
    /// How many more of them are not told of.
    pub untold: usize,
}

/// Asks every trigger that may look at the event.
pub fn choose(container: &Container, moment: &Moment<'_>) -> Choice {
    let mut fire: Vec<TagIndex> = Vec::new();
    let mut failed: Vec<(TagIndex, TagVerdict)> = Vec::new();
    let mut untold = 0;
    for index in container.triggers_for(&moment.event.name) {
        let tags = container.tags_fired_by(index);
        let Some(trigger) = container.triggers.get(index.0).filter(|_| !tags.is_empty()) else { continue };
        match trigger.decide(moment) {
            TriggerVerdict::OtherEvent => {}
            TriggerVerdict::Matched => fire.extend(tags),
            TriggerVerdict::Failed { condition, found } => {
                let room = MAX_TOLD.saturating_sub(failed.len());
                untold += tags.len().saturating_sub(room);
                failed.extend(tags.iter().take(room).map(|tag| {
                    let (condition, found) = (Arc::clone(&condition), found.clone());
                    (*tag, TagVerdict::NotTriggered { trigger: Arc::clone(&trigger.name), condition, found })
                }));
            }
        }
    }
    fire.sort_unstable();
    fire.dedup();
    // A tag that was chosen and then kept from firing says so, whatever its other triggers said.
    let mut told: Vec<(TagIndex, TagVerdict)> = Vec::new();
    fire.retain(|index| match refusal(container, *index, moment) {
        None => true,
        Some(verdict) => {
            told.push((*index, verdict));
            false
        }
    });
    failed.retain(|(index, _)| fire.binary_search(index).is_err());
    told.append(&mut failed);
    told.sort_by_key(|(index, _)| *index);
    told.dedup_by_key(|(index, _)| *index);
    let name = |index: TagIndex| container.tags.get(index.0).map(|tag| Arc::clone(&tag.name)).unwrap_or_default();
    let rest = told.into_iter().map(|(index, verdict)| TagTrace { tag: name(index), verdict, notes: Vec::new() });
    Choice { rest: rest.collect(), fire, untold }
}

/// Why a tag that a trigger chose does not fire all the same.
fn refusal(container: &Container, index: TagIndex, moment: &Moment<'_>) -> Option<TagVerdict> {
    let tag = container.tags.get(index.0)?;
    if tag.activity == Activity::Paused {
        return Some(TagVerdict::Paused);
    }
    let mut exceptions = tag.exceptions.iter().filter_map(|exception| container.triggers.get(exception.0));
    let matched = exceptions.find(|exception| exception.decide(moment) == TriggerVerdict::Matched)?;
    Some(TagVerdict::Excepted { trigger: Arc::clone(&matched.name) })
}
