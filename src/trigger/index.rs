//! The index: which triggers an event meets. Takes the event's name; gives the groups of triggers that look at events of
//! this name, each with the tags that they can fire. Built when the container loads.

use std::{collections::HashMap, sync::Arc};

use regex::Regex;
use smallvec::SmallVec;

use super::{
    EventMatch, Trigger, TriggerIndex,
    condition::{Case, Subject},
    need::{self, Needs},
    prefilter::Prefilter,
};
use crate::{container::TagIndex, variable::Moment};

/// The triggers that look at the same events.
#[derive(Debug, Default)]
pub struct Group {
    triggers: Vec<TriggerIndex>,
    filter: Option<Prefilter>,
    /// Every tag that one of them can fire, in firing order.
    pub tags: Vec<TagIndex>,
}

/// Triggers by the names of events. One without tags is in no group.
#[derive(Debug, Default)]
pub struct TriggerIndexByName {
    named: HashMap<Arc<str>, Group>,
    /// For events of any name.
    all: Group,
    /// For events in whose name a pattern is found.
    patterns: Vec<(Regex, Group)>,
    patterns_filter: Option<Prefilter>,
}

/// The groups that an event meets.
pub type Groups<'a> = SmallVec<[&'a Group; 4]>;

impl TriggerIndexByName {
    /// `tags_of` has, for each trigger, the tags that it can fire, in firing order.
    pub fn new(triggers: &[Trigger], tags_of: &[Vec<TagIndex>]) -> Self {
        let mut index = Self::default();
        let mut by_pattern: HashMap<&str, usize> = HashMap::new();
        for (position, trigger) in triggers.iter().enumerate() {
            let Some(tags) = tags_of.get(position).filter(|tags| !tags.is_empty()) else { continue };
            let position = TriggerIndex(position);
            match &trigger.events {
                EventMatch::All => index.all.add(position, tags),
                EventMatch::Names(names) => {
                    for name in names {
                        index.named.entry(Arc::clone(name)).or_default().add(position, tags);
                    }
                }
                EventMatch::Pattern(pattern) => {
                    let patterns = &mut index.patterns;
                    let known = *by_pattern.entry(pattern.as_str()).or_insert_with(|| {
                        patterns.push((pattern.clone(), Group::default()));
                        patterns.len() - 1
                    });
                    if let Some((_, group)) = patterns.get_mut(known) {
                        group.add(position, tags);
                    }
                }
            }
        }
        let groups = index.named.values_mut().chain([&mut index.all]);
        groups.chain(index.patterns.iter_mut().map(|(_, group)| group)).for_each(|group| group.finish(triggers));
        let name = Subject::event_data("event_name");
        let needs = |(pattern, _): &(Regex, Group)| {
            let texts = need::of_pattern(pattern.as_str(), &name, Case::Sensitive);
            Needs { texts, side: None }
        };
        index.patterns_filter = Prefilter::new(&index.patterns.iter().map(needs).collect::<Vec<_>>());
        index
    }

    /// The groups whose triggers look at this event.
    pub fn groups(&self, moment: &Moment<'_>) -> Groups<'_> {
        let name = &*moment.event.name;
        let mut groups = Groups::new();
        groups.extend(self.named.get(name));
        if !self.all.triggers.is_empty() {
            groups.push(&self.all);
        }
        fn matching<'g>(name: &str, (pattern, group): &'g (Regex, Group)) -> Option<&'g Group> {
            pattern.is_match(name).then_some(group)
        }
        match &self.patterns_filter {
            None => groups.extend(self.patterns.iter().filter_map(|one| matching(name, one))),
            Some(filter) => {
                let kept = filter.keep(moment);
                groups.extend(
                    kept.iter()
                        .filter_map(|position| self.patterns.get(*position))
                        .filter_map(|one| matching(name, one)),
                );
            }
        }
        groups
    }
}

impl Group {
    fn add(&mut self, trigger: TriggerIndex, tags: &[TagIndex]) {
        // A list of names may hold one twice.
        if self.triggers.last() != Some(&trigger) {
            self.triggers.push(trigger);
            self.tags.extend(tags);
        }
    }

    fn finish(&mut self, triggers: &[Trigger]) {
        self.tags.sort_unstable();
        self.tags.dedup();
        let needs = |index: &TriggerIndex| {
            let conditions = triggers.get(index.0).map_or(&[][..], |trigger| &trigger.conditions);
            Needs::of(conditions)
        };
        self.filter = Prefilter::new(&self.triggers.iter().map(needs).collect::<Vec<_>>());
    }

    /// Asks the triggers that may hold for this event; all others do not.
    pub fn each_candidate(&self, moment: &Moment<'_>, mut ask: impl FnMut(TriggerIndex)) {
        match &self.filter {
            // What is not known of a kept hit may be what a trigger needs.
            Some(_) if moment.recall().is_some() => self.triggers.iter().copied().for_each(ask),
            None => self.triggers.iter().copied().for_each(ask),
            Some(filter) => {
                for position in filter.keep(moment) {
                    self.triggers.get(position).copied().into_iter().for_each(&mut ask);
                }
            }
        }
    }
}
