//! The container: everything that decides what happens to an event, loaded and compiled. Immutable; a change is a new
//! container and one swapped pointer.

use std::{collections::BTreeSet, sync::Arc};

use serde::Serialize;

use crate::{
    call::SecretName,
    consent::{
        ConsentSettings,
        gate::{ConsentNeed, WhenDenied},
        settings::Recipients,
    },
    privacy::Privacy,
    script::{Parameters, ScriptIndex, Workshop},
    time::Timestamp,
    transformation::{Transformation, TransformationIndex},
    trigger::{
        Trigger, TriggerIndex,
        index::{Groups, TriggerIndexByName},
    },
    variable::{Moment, ValueTemplate, Variable},
};

pub mod diagnostic;
pub mod diff;
pub mod folder;
mod host;
pub mod load;
pub mod model;
pub mod schema;
pub mod yaml;

pub use host::{Host, Hosts};

/// A compiled container.
#[derive(Debug)]
pub struct Container {
    /// Which version of the rules this is, such as a commit; named in traces and stored calls.
    pub version: Arc<str>,
    /// In firing order: higher priority first, then as written.
    pub tags: Vec<Tag>,
    pub triggers: Vec<Trigger>,
    pub variables: Vec<Variable>,
    /// In the order in which they apply.
    pub transformations: Vec<Transformation>,
    pub consent: ConsentSettings,
    pub settings: ContainerSettings,
    pub scripts: Workshop,
    /// What its tags need beside what stands in it.
    pub secrets: Vec<SecretUse>,
    index: TriggerIndexByName,
    /// For each trigger, the tags it can fire, in firing order.
    tags_of_trigger: Vec<Vec<TagIndex>>,
}

/// A secret that a tag hands on, and where it says so; of a paused tag nobody needs any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretUse {
    pub name: SecretName,
    pub tag: Arc<str>,
    pub place: diagnostic::Place,
}

/// What a container says beside its rules.
#[derive(Clone, Debug, Default)]
pub struct ContainerSettings {
    /// Further origins whose pages may send hits, such as `https://shop.example`.
    pub origins: Vec<Box<str>>,
    pub privacy: Privacy,
}

/// A template put to use: its parameters, triggers, exceptions and consent.
#[derive(Debug)]
pub struct Tag {
    pub name: Arc<str>,
    pub template: Arc<Template>,
    pub parameters: Parameters,
    /// Hosts that its calls may go to.
    pub hosts: Vec<Host>,
    /// Cookies that it may set.
    pub cookies: Vec<Box<str>>,
    /// Cookies that are expired where the visitor refused what it needs.
    pub expire_when_refused: Vec<Box<str>>,
    pub triggers: Vec<TriggerIndex>,
    pub exceptions: Vec<TriggerIndex>,
    pub consent: ConsentNeed,
    pub when_denied: WhenDenied,
    pub recipients: Recipients,
    /// Higher fires first.
    pub priority: i64,
    pub activity: Activity,
    /// The tag that runs before it.
    pub setup: Option<Step>,
    /// The tag that runs after it.
    pub cleanup: Option<Step>,
    pub serves: Serves,
    /// What changes the event that it sees, in this order.
    pub transformations: Vec<TransformationIndex>,
}

/// When a tag may fire at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    Active(Period),
    Paused,
}

/// A span of time, open where an end is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    pub from: Option<Timestamp>,
    /// The first instant that is no longer part of it.
    pub to: Option<Timestamp>,
}

/// On which side of a tag's period an instant lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Inactive {
    Until(Timestamp),
    Since(Timestamp),
}

/// A tag that runs before or after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub tag: TagIndex,
    pub on_failure: OnFailure,
}

/// Whether the later of two tags runs if the earlier failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    GoOn,
    Stop,
}

/// Whether a tag is the set-up or clean-up of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    Itself,
    Others,
}

/// A script and what its manifest says.
#[derive(Debug)]
pub struct Template {
    pub name: Arc<str>,
    pub script: ScriptIndex,
    /// Destinations that its calls may go to, such as `openai`.
    pub destinations: Vec<Box<str>>,
}

/// A tag's parameter, compiled.
#[derive(Debug)]
pub enum Parameter {
    Value(ValueTemplate),
    /// A text for people, in which values of variables about a person are withheld.
    Line(ValueTemplate),
    /// An address, in which the values of variables are percent-encoded.
    Address(ValueTemplate),
    List(Vec<Parameter>),
    Map(Vec<(Box<str>, Parameter)>),
    /// An opaque reference: the script can hand it on, not read it.
    Secret(SecretName),
}

/// A tag's place in its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagIndex(pub usize);

/// The parts of a container, before its indexes are built.
#[derive(Debug)]
pub struct Parts {
    pub version: Arc<str>,
    pub tags: Vec<Tag>,
    pub triggers: Vec<Trigger>,
    pub variables: Vec<Variable>,
    pub transformations: Vec<Transformation>,
    pub consent: ConsentSettings,
    pub settings: ContainerSettings,
    pub scripts: Workshop,
    pub secrets: Vec<SecretUse>,
}

impl Period {
    pub fn excludes(&self, instant: Timestamp) -> Option<Inactive> {
        match self {
            Self { from: Some(from), .. } if instant < *from => Some(Inactive::Until(*from)),
            Self { to: Some(to), .. } if instant >= *to => Some(Inactive::Since(*to)),
            _ => None,
        }
    }
}

/// Higher priority first; tags that name others by their place find them again.
fn in_firing_order(tags: Vec<Tag>) -> Vec<Tag> {
    let mut order: Vec<(usize, Tag)> = tags.into_iter().enumerate().collect();
    order.sort_by_key(|(_, tag)| std::cmp::Reverse(tag.priority));
    let mut places = vec![TagIndex(0); order.len()];
    for (place, (written, _)) in order.iter().enumerate() {
        places[*written] = TagIndex(place);
    }
    let moved = |step: Step| Step { tag: places.get(step.tag.0).copied().unwrap_or(step.tag), ..step };
    let tags = order.into_iter().map(|(_, tag)| tag);
    tags.map(|tag| Tag { setup: tag.setup.map(moved), cleanup: tag.cleanup.map(moved), ..tag }).collect()
}

impl Container {
    /// Sorts the tags into firing order, and makes the indexes and what else is the same for every event.
    pub fn assemble(parts: Parts) -> Self {
        let Parts { version, tags, triggers, variables, transformations, consent, settings, scripts, secrets } = parts;
        let mut tags = in_firing_order(tags);
        for tag in &mut tags {
            tag.parameters.prepare(&variables, scripts.seats());
        }
        let mut tags_of_trigger = vec![Vec::new(); triggers.len()];
        for (position, tag) in tags.iter().enumerate() {
            for trigger in &tag.triggers {
                if let Some(tags) = tags_of_trigger.get_mut(trigger.0) {
                    tags.push(TagIndex(position));
                }
            }
        }
        let index = TriggerIndexByName::new(&triggers, &tags_of_trigger);
        Self {
            version,
            tags,
            triggers,
            variables,
            transformations,
            consent,
            settings,
            scripts,
            secrets,
            index,
            tags_of_trigger,
        }
    }

    /// The triggers that look at this event, in groups.
    pub fn trigger_groups(&self, moment: &Moment<'_>) -> Groups<'_> {
        self.index.groups(moment)
    }

    /// Every cookie that one of its tags may set, by name.
    pub fn cookies(&self) -> BTreeSet<&str> {
        self.tags.iter().flat_map(|tag| &tag.cookies).map(AsRef::as_ref).collect()
    }

    /// The tags that a trigger can fire, in firing order.
    pub fn tags_fired_by(&self, trigger: TriggerIndex) -> &[TagIndex] {
        self.tags_of_trigger.get(trigger.0).map_or(&[], Vec::as_slice)
    }
}
