//! A close-up of one event, for whoever asks why a tag did not fire: takes the event as rules saw it; gives its data, every
//! trigger that looks at it with what each condition found, and the variables that were read on the way. Made on demand,
//! beside the trace, and redacted as that is.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use serde_json::Value;

use super::{Found, Sensitivity};
use crate::{
    container::{Container, Tag, diagnostic::did_you_mean},
    script::{Given, HitTime},
    trigger::{EventMatch, Trigger, TriggerIndex, condition::Condition},
    variable::Moment,
};

/// What expressions may take together, as in production.
const TIME: Duration = Duration::from_millis(50);
/// So much of an event is told, and so deep.
const MAX_DATA: usize = 200;
const MAX_DEPTH: usize = 6;

/// What is to be seen of an event.
#[derive(Clone, Debug, Serialize)]
pub struct Closeup {
    /// The event's data, by dotted path.
    pub data: Vec<Seen>,
    /// How much more of it there is.
    pub more_data: usize,
    /// The tags that one of these triggers may choose or except.
    pub tags: Vec<TagSight>,
    /// Every variable that triggers and the parameters of these tags read.
    pub variables: Vec<Seen>,
    /// Where no trigger looks at the event: the name that may have been meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meant: Option<String>,
}

/// A named value.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    pub name: Box<str>,
    #[serde(flatten)]
    pub found: Found,
}

/// What the triggers of a tag say of the event; of those that look at it.
#[derive(Clone, Debug, Serialize)]
pub struct TagSight {
    pub tag: Arc<str>,
    pub triggers: Vec<TriggerSight>,
    pub exceptions: Vec<TriggerSight>,
}

#[derive(Clone, Debug, Serialize)]
pub struct TriggerSight {
    pub trigger: Arc<str>,
    pub matched: bool,
    pub conditions: Vec<ConditionSight>,
    /// The conditions hold, but the visitor is not among those that the trigger asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampled_out: Option<String>,
}

/// A condition and what it found, also where the one before it had decided already.
#[derive(Clone, Debug, Serialize)]
pub struct ConditionSight {
    /// As the rules wrote it; `any of` and `all of` for a group.
    pub condition: Arc<str>,
    pub held: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub of: Vec<ConditionSight>,
}

impl Closeup {
    /// Looks at an event that was decided. Nothing of that changes.
    pub fn of(container: &Container, given: &Given) -> Self {
        let given = Given { hit_time: HitTime::new(TIME), ..given.clone() };
        let moment = Moment::new(container, &given);
        let tags: Vec<TagSight> = container.tags.iter().filter_map(|tag| TagSight::of(tag, &moment)).collect();
        for tag in container.tags.iter().filter(|tag| tags.iter().any(|seen| seen.tag == tag.name)) {
            tag.parameters.read(&moment);
        }
        let variables = moment.known().filter_map(|(index, value)| {
            let variable = container.variables.get(index.0)?;
            Some(Seen { name: (&*variable.name).into(), found: Found::new(Some(value), variable.sensitivity) })
        });
        let mut data = Vec::new();
        given.event.data.iter().for_each(|(key, value)| gather(key, value, 1, &mut data));
        let more_data = data.len().saturating_sub(MAX_DATA);
        data.truncate(MAX_DATA);
        let meant = if tags.is_empty() { meant(container, &given.event.name) } else { None };
        Self { data, more_data, variables: variables.collect(), tags, meant }
    }

    pub fn tag(&self, name: &str) -> Option<&TagSight> {
        self.tags.iter().find(|seen| *seen.tag == *name)
    }
}

fn gather(path: &str, value: &Value, depth: usize, data: &mut Vec<Seen>) {
    match value {
        Value::Object(members) if depth < MAX_DEPTH && !members.is_empty() => {
            members.iter().for_each(|(key, value)| gather(&format!("{path}.{key}"), value, depth + 1, data));
        }
        Value::Array(elements) if depth < MAX_DEPTH && !elements.is_empty() => {
            elements.iter().enumerate().for_each(|(at, value)| gather(&format!("{path}.{at}"), value, depth + 1, data));
        }
        value => {
            data.push(Seen { name: path.into(), found: Found::new(Some(value), Sensitivity::of_event_data(path)) })
        }
    }
}

fn meant(container: &Container, event: &str) -> Option<String> {
    let names = container.triggers.iter().filter_map(|trigger| match &trigger.events {
        EventMatch::Names(names) => Some(names),
        EventMatch::All | EventMatch::Pattern(_) => None,
    });
    did_you_mean(event, names.flatten().map(|name| &**name))
}

impl TagSight {
    fn of(tag: &Tag, moment: &Moment<'_>) -> Option<Self> {
        let sights = |triggers: &[TriggerIndex]| -> Vec<TriggerSight> {
            let triggers = triggers.iter().filter_map(|index| moment.container.triggers.get(index.0));
            let looking = triggers.filter(|trigger| trigger.looks_at(&moment.event.name));
            looking.map(|trigger| TriggerSight::of(trigger, moment)).collect()
        };
        let triggers = sights(&tag.triggers);
        if triggers.is_empty() {
            return None;
        }
        Some(Self { tag: Arc::clone(&tag.name), triggers, exceptions: sights(&tag.exceptions) })
    }
}

impl TriggerSight {
    fn of(trigger: &Trigger, moment: &Moment<'_>) -> Self {
        let conditions: Vec<_> =
            trigger.conditions.iter().map(|condition| ConditionSight::of(condition, moment)).collect();
        let all_hold = conditions.iter().all(|condition| condition.held);
        let left_out = trigger.sample.as_ref().filter(|_| all_hold).and_then(|sample| sample.leaves_out(moment));
        Self {
            trigger: Arc::clone(&trigger.name),
            matched: all_hold && left_out.is_none(),
            conditions,
            sampled_out: left_out.map(|why| why.to_string()),
        }
    }
}

impl ConditionSight {
    fn of(condition: &Condition, moment: &Moment<'_>) -> Self {
        let group = |name: &str, conditions: &[Condition]| Self {
            condition: name.into(),
            held: condition.holds(moment),
            found: None,
            of: conditions.iter().map(|condition| Self::of(condition, moment)).collect(),
        };
        match condition {
            Condition::Test(test) => Self {
                condition: test.wanted(moment),
                held: test.holds(moment),
                found: Some(test.found(moment)),
                of: Vec::new(),
            },
            Condition::Any(conditions) => group("any of", conditions),
            Condition::All(conditions) => group("all of", conditions),
        }
    }
}
