//! The impact of a change: takes kept hits, the container as it was and as it would be; gives for every tag how often it
//! fires before and after, and what would newly keep it from firing. Always dry: no script runs, no call is made.
//!
//! A tag fires where a trigger chooses it and the gate lets it through, by the same functions that decide hits. Events of
//! which nobody can tell, because a condition reads what is not kept, are counted by themselves and in no other number.
//! Tags that run before or after others are not counted for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use serde::Serialize;

use super::{DayKey, Kept, Recall, recall::Assumption};
use crate::{
    consent::{
        ConsentSettings,
        gate::{self, Firing, Gated},
        settings::Recipients,
    },
    container::{Container, Tag, TagIndex},
    time::Timestamp,
    trace::TagVerdict,
    trigger::choice::{ChosenTags, choose},
    variable::Moment,
};

/// A kept event with the key of its day, if that is still there.
#[derive(Clone, Debug)]
pub struct Remembered {
    pub kept: Kept,
    pub key: Option<Arc<DayKey>>,
}

/// What a change would have meant for kept hits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Impact {
    /// How many kept events it was held against.
    pub events: u64,
    /// When the first and the last of them came, to the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<(Timestamp, Timestamp)>,
    /// Of how many hits the kept ones are a sample; `None` if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
    /// Kept events that another version of the program wrote in a form of its own; they count nowhere else.
    #[serde(skip_serializing_if = "is_zero")]
    pub unreadable: u64,
    pub consent_settings: ConsentSettingsAre,
    /// In the order of their names.
    pub tags: Vec<TagImpact>,
}

/// Kept hits out of all of their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    pub kept: u64,
    pub of: u64,
}

/// What a kept hit keeps of consent are answers, and not what they were resolved from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentSettingsAre {
    /// The same, or other only in the container's own defaults, which were applied.
    Applied,
    /// Other in what signals are read or how: visitors are taken to have allowed what was resolved then.
    NotApplied,
}

/// What a change would have meant for one tag.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TagImpact {
    pub tag: Box<str>,
    pub change: Change,
    pub fired_before: u64,
    pub fired_after: u64,
    /// It fired, and would not any more, by what would become of it instead.
    pub newly: Newly,
    /// Events of which nobody can tell whether it fired or would fire.
    pub not_computable: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is in both containers.
    Stays,
    Added,
    Removed,
}

/// What becomes of a tag that fired before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Newly {
    pub blocked: u64,
    pub held: u64,
    pub not_triggered: u64,
    pub paused: u64,
    /// Done with when the event was first sent, or waiting for the event's data.
    pub at_another_time: u64,
}

/// What becomes of a tag for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Fires,
    Blocked,
    Held,
    AtAnotherTime,
    NotTriggered,
    Paused,
    NotComputable,
}

/// Holds a change against kept hits.
pub fn impact(hits: &[Remembered], old: &Container, new: &Container) -> Impact {
    let mut tags: BTreeMap<&str, TagImpact> = BTreeMap::new();
    let (of_old, of_new) = (names(old), names(new));
    for name in of_old.union(&of_new) {
        let change = match (of_old.contains(name), of_new.contains(name)) {
            (true, true) => Change::Stays,
            (false, _) => Change::Added,
            (true, false) => Change::Removed,
        };
        tags.insert(name, TagImpact::new(name, change));
    }
    for hit in hits {
        let (before, after) = (fates(hit, old), fates(hit, new));
        for (name, impact) in &mut tags {
            let fate = |fates: &BTreeMap<&str, Fate>| fates.get(name).copied().unwrap_or(Fate::NotTriggered);
            impact.count(fate(&before), fate(&after));
        }
    }
    let times = || hits.iter().map(|hit| hit.kept.at);
    Impact {
        events: hits.len() as u64,
        span: times().min().zip(times().max()),
        sample: None,
        unreadable: 0,
        consent_settings: ConsentSettingsAre::of(&old.consent, &new.consent),
        tags: tags.into_values().collect(),
    }
}

fn names(container: &Container) -> BTreeSet<&str> {
    container.tags.iter().map(|tag| &*tag.name).collect()
}

/// What becomes of the tags of a container that a trigger may choose for an event; of all others nothing does.
fn fates<'c>(hit: &Remembered, container: &'c Container) -> BTreeMap<&'c str, Fate> {
    let may = Chosen::by(hit, container, Assumption::Fires);
    let must = if may.has_assumed { Chosen::by(hit, container, Assumption::DoesNotFire) } else { may.clone() };
    let mut fates = BTreeMap::new();
    for index in may.fire.union(&must.fire) {
        let Some(tag) = container.tags.get(index.0) else { continue };
        let is_certain = may.fire.contains(index) && must.fire.contains(index);
        fates.insert(&*tag.name, if is_certain { gated(hit, container, tag) } else { Fate::NotComputable });
    }
    for tag in &container.tags {
        if may.paused.contains(&tag.name) && must.paused.contains(&tag.name) {
            fates.insert(&tag.name, Fate::Paused);
        }
    }
    fates
}

/// The tags that triggers choose under an assumption.
#[derive(Clone)]
struct Chosen {
    fire: BTreeSet<TagIndex>,
    /// A trigger chose them, and they rest.
    paused: BTreeSet<Arc<str>>,
    has_assumed: bool,
}

impl Chosen {
    fn by(hit: &Remembered, container: &Container, assumption: Assumption) -> Self {
        let recall = Recall::assuming(&hit.kept, hit.key.as_deref(), assumption);
        let given = recall.given(container);
        let moment = Moment::recalled(container, &given, &recall);
        let ChosenTags { fire, rest, .. } = choose(container, &moment, 0);
        let rests = |verdict: &TagVerdict| matches!(verdict, TagVerdict::Paused | TagVerdict::Inactive { .. });
        let paused = rest.into_iter().filter(|tag| rests(&tag.verdict)).map(|tag| tag.tag).collect();
        Self { fire: fire.into_iter().collect(), paused, has_assumed: recall.has_assumed() }
    }
}

fn gated(hit: &Remembered, container: &Container, tag: &Tag) -> Fate {
    let Kept { consent, .. } = &hit.kept;
    let Some(state) = consent.state(container, &tag.recipients) else { return Fate::NotComputable };
    let general = consent.state(container, &Recipients::Unregistered).unwrap_or_default();
    let then = consent.then(container);
    let prospect = consent.prospect(then.as_ref(), hit.kept.client().keeping(), &general);
    match gate::decide(Firing::new(tag), &state, prospect) {
        Gated::Permitted(_) => Fate::Fires,
        Gated::Held(_) => Fate::Held,
        Gated::Blocked(_) => Fate::Blocked,
        Gated::Awaited | Gated::Settled(_) => Fate::AtAnotherTime,
    }
}

impl TagImpact {
    fn new(tag: &str, change: Change) -> Self {
        let newly = Newly::default();
        Self { tag: tag.into(), change, fired_before: 0, fired_after: 0, newly, not_computable: 0 }
    }

    fn count(&mut self, before: Fate, after: Fate) {
        if before == Fate::NotComputable || after == Fate::NotComputable {
            self.not_computable += 1;
            return;
        }
        self.fired_before += u64::from(before == Fate::Fires);
        self.fired_after += u64::from(after == Fate::Fires);
        if before != Fate::Fires {
            return;
        }
        let newly = &mut self.newly;
        match after {
            Fate::Fires | Fate::NotComputable => {}
            Fate::Blocked => newly.blocked += 1,
            Fate::Held => newly.held += 1,
            Fate::AtAnotherTime => newly.at_another_time += 1,
            Fate::NotTriggered => newly.not_triggered += 1,
            Fate::Paused => newly.paused += 1,
        }
    }

    /// Whether there is something to say of it beside how often it fires.
    pub fn is_touched(&self) -> bool {
        self.change != Change::Stays
            || self.fired_before != self.fired_after
            || self.newly != Newly::default()
            || self.not_computable > 0
    }
}

impl ConsentSettingsAre {
    fn of(old: &ConsentSettings, new: &ConsentSettings) -> Self {
        // All that is compiled into them, but for the default and the places of variables.
        let told = |settings: &ConsentSettings| {
            let ConsentSettings {
                default: _,
                regions,
                region_headers,
                read,
                unset,
                vendors,
                onetrust,
                axeptio,
                variables,
            } = settings;
            let variables = variables.iter().map(|source| {
                (&source.name, source.types, format!("{:?} {:?}", source.granted_when, source.denied_when))
            });
            let variables: Vec<_> = variables.collect();
            format!(
                "{regions:?} {region_headers:?} {read:?} {unset:?} {vendors:?} {onetrust:?} {axeptio:?} {variables:?}"
            )
        };
        if told(old) == told(new) { Self::Applied } else { Self::NotApplied }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Impact {
    fn tell_unreadable(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unreadable {
            0 => Ok(()),
            events => writeln!(f, "{} not read: another version of Tidegate kept them", counted(events)),
        }
    }
}

fn counted(events: u64) -> String {
    if events == 1 { "1 event".to_owned() } else { format!("{events} events") }
}

/// Several lines, for a terminal.
impl fmt::Display for Impact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, last)) = self.span else {
            writeln!(f, "impact: no hits are kept in this data folder, so nothing can be said")?;
            self.tell_unreadable(f)?;
            return writeln!(
                f,
                "a server keeps hits that it accepts for a day, unless it runs with --keep-hits off; --data names its folder"
            );
        };
        let events = if self.events == 1 { "event" } else { "events" };
        write!(f, "impact on {} kept {events}, {first} to {last}", self.events)?;
        match self.sample {
            Some(Sample { kept, of }) if of > kept => writeln!(f, ", {kept} hits out of {of}")?,
            _ => writeln!(f)?,
        }
        self.tell_unreadable(f)?;
        if self.consent_settings == ConsentSettingsAre::NotApplied {
            writeln!(
                f,
                "the change of the consent settings is not applied: visitors allow what they were found to allow"
            )?;
        }
        let mut untouched = 0;
        for tag in &self.tags {
            if tag.is_touched() {
                writeln!(f, "{tag}")?;
            } else {
                untouched += 1;
            }
        }
        match (untouched, self.tags.len()) {
            (0, _) => Ok(()),
            (1, 1) => writeln!(f, "the tag fires as before"),
            (all, tags) if all == tags => writeln!(f, "all {all} tags fire as before"),
            (1, _) => writeln!(f, "1 more tag fires as before"),
            (some, _) => writeln!(f, "{some} more tags fire as before"),
        }
    }
}

/// `"Sign-up" fired 212 -> 148, 64 newly blocked by consent`
impl fmt::Display for TagImpact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WHY: &str = "a condition reads what is not kept";
        let Self { tag, fired_before: before, fired_after: after, newly, not_computable, .. } = self;
        if self.change == Change::Stays && (before, after) == (&0, &0) && *not_computable > 0 {
            return write!(f, "{tag:?} is not computable for {}: {WHY}", counted(*not_computable));
        }
        match self.change {
            Change::Stays => write!(f, "{tag:?} fired {before} -> {after}")?,
            Change::Added => write!(f, "{tag:?} is new and fires {after} times")?,
            Change::Removed => write!(f, "{tag:?} is removed, and fired {before} times")?,
        }
        if self.change == Change::Stays {
            for (count, what) in [
                (newly.blocked, "newly blocked by consent"),
                (newly.held, "newly held for consent"),
                (newly.not_triggered, "newly not triggered"),
                (newly.paused, "newly paused"),
                (newly.at_another_time, "newly left to another sending of the event"),
            ] {
                if count > 0 {
                    write!(f, ", {count} {what}")?;
                }
            }
            // What fired newly: the rest of the difference.
            let lost = newly.blocked + newly.held + newly.not_triggered + newly.paused + newly.at_another_time;
            match (after + lost).saturating_sub(*before) {
                0 => {}
                gained => write!(f, ", {gained} newly fired")?,
            }
        }
        match not_computable {
            0 => Ok(()),
            events => write!(f, "; not computable for {}: {WHY}", counted(*events)),
        }
    }
}
