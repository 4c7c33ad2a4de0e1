//! One event's tags, one after the other: takes those that triggers chose; leads each through the gate and, once it is
//! permitted, runs its script, with the tags that come before and after it; gives what became of them.

use std::{borrow::Cow, sync::Arc};

use crate::{
    consent::{
        ConsentTypes, Evidence,
        gate::{self, Firing, Gated, Permitted, Prospect},
        settings::Recipients,
    },
    container::{Container, OnFailure, Serves, Step, Tag, TagIndex},
    pipeline::harvest::Harvest,
    script::Given,
    trace::{Note, Part, TagTrace, TagVerdict},
    transformation::{self, Seen},
    trigger::choice,
    variable::Moment,
};

/// What the tags of one event are led through.
pub struct Round<'a, 'h> {
    pub container: &'a Container,
    /// Which tags triggers chose, in firing order.
    pub chosen: &'a [TagIndex],
    pub moment: &'a Moment<'a>,
    pub given: &'a Given,
    pub evidence: &'a Evidence,
    pub prospect: Prospect<'a>,
    pub harvest: &'a mut Harvest<'h>,
    /// What tags wait for.
    pub held: ConsentTypes,
    /// Whether one of them waits for the event's data.
    pub awaited: bool,
    pub tags: Vec<TagTrace>,
    /// The tags of sequences that had their turn: a tag runs at most once an event.
    done: Vec<(TagIndex, Ending)>,
}

/// How a tag's turn ended, for the tag that it comes before or after.
#[derive(Clone)]
enum Ending {
    Well,
    Failed { why: Box<str> },
}

impl<'a, 'h> Round<'a, 'h> {
    pub fn new(
        moment: &'a Moment<'a>,
        chosen: &'a [TagIndex],
        evidence: &'a Evidence,
        prospect: Prospect<'a>,
        harvest: &'a mut Harvest<'h>,
        tags: Vec<TagTrace>,
    ) -> Self {
        let (container, given) = (moment.container, moment.given);
        let held = ConsentTypes::NONE;
        Self {
            container,
            chosen,
            moment,
            given,
            evidence,
            prospect,
            harvest,
            held,
            awaited: false,
            tags,
            done: Vec::new(),
        }
    }

    /// Gives every tag its turn.
    pub fn fire(&mut self) {
        for index in self.chosen {
            self.turn(*index, Part::Own);
        }
    }

    /// Of an event that came without its data: tags that nothing chose by what there is may be chosen once it comes whole.
    /// They wait where they would wait had they been chosen; what they would do without waiting is not done on a guess.
    pub fn wait_for_data(&mut self) {
        for index in choice::may_be_chosen(self.container, self.moment, self.chosen) {
            let Some(tag) = self.container.tags.get(index.0) else { continue };
            if choice::inactivity(tag, self.moment).is_some() {
                continue;
            }
            let consent = &of_recipients(self.given, self.evidence, &tag.recipients).consent;
            let verdict = match gate::decide(Firing::new(tag), consent, self.prospect) {
                Gated::Held(missing) => {
                    self.held = self.held.union(missing.types);
                    TagVerdict::held(&missing)
                }
                Gated::Awaited => {
                    self.awaited = true;
                    TagVerdict::Awaited
                }
                Gated::Blocked(_) | Gated::Settled(_) | Gated::Permitted(_) => continue,
            };
            // Of many tags that do not fire, only a few are told of.
            if let Some(told) = self.tags.iter_mut().find(|told| told.tag == tag.name) {
                told.verdict = verdict;
            }
        }
    }

    fn turn(&mut self, index: TagIndex, part: Part) -> Ending {
        let Some(tag) = self.container.tags.get(index.0) else { return Ending::Well };
        if tag.serves == Serves::Others {
            if let Some((_, ending)) = self.done.iter().find(|(done, _)| *done == index) {
                return ending.clone();
            }
            // Whatever else was said of it before, that none of its triggers chose it, say, it has its turn now.
            self.tags.retain(|trace| trace.tag != tag.name);
        }
        // Whoever chose a tag asked its exceptions already.
        let is_chosen = part == Part::Own || self.chosen.binary_search(&index).is_ok();
        let refusal = if is_chosen { None } else { choice::refusal(self.container, tag, self.moment) };
        let (verdict, notes) = match refusal {
            Some(verdict) => (verdict, Vec::new()),
            // A tag that serves another does not wait for consent: when the event came again, the other would be done
            // with it.
            None => self.decide(tag, if is_chosen { self.prospect } else { Prospect::Final }),
        };
        let ending = Ending::of(&verdict);
        let has_run =
            matches!(verdict, TagVerdict::Ran { .. } | TagVerdict::Skipped { .. } | TagVerdict::Failed { .. });
        self.tags.push(TagTrace { tag: Arc::clone(&tag.name), part, verdict, notes });
        if tag.serves == Serves::Others {
            self.done.push((index, ending.clone()));
        }
        if let (Some(step), true) = (&tag.cleanup, has_run) {
            self.clean_up(tag, step, &ending);
        }
        ending
    }

    /// The gate, the tag before, the script.
    fn decide(&mut self, tag: &'a Tag, prospect: Prospect<'a>) -> (TagVerdict, Vec<Note>) {
        let given = &of_recipients(self.given, self.evidence, &tag.recipients);
        match gate::decide(Firing::new(tag), &given.consent, prospect) {
            Gated::Held(missing) => {
                self.held = self.held.union(missing.types);
                (TagVerdict::held(&missing), Vec::new())
            }
            Gated::Blocked(missing) => {
                let forgotten = self.harvest.forget_refused(tag, &missing, given);
                (TagVerdict::blocked(&missing, forgotten), Vec::new())
            }
            Gated::Awaited => {
                self.awaited = true;
                (TagVerdict::Awaited, Vec::new())
            }
            Gated::Settled(why) => (TagVerdict::Settled { why }, Vec::new()),
            Gated::Permitted(permitted) => match self.set_up(tag) {
                Some(failed) => (failed, Vec::new()),
                None => self.run(&permitted, given),
            },
        }
    }

    /// Runs the tag that comes before this one. Gives why this one does not run, if so.
    fn set_up(&mut self, tag: &Tag) -> Option<TagVerdict> {
        let step = tag.setup.as_ref()?;
        let ending = self.turn(step.tag, Part::SetUp { of: Arc::clone(&tag.name) });
        let setup = self.container.tags.get(step.tag.0).map(|setup| Arc::clone(&setup.name))?;
        match (ending, step.on_failure) {
            (Ending::Failed { why }, OnFailure::Stop) => Some(TagVerdict::SetupFailed { setup, why }),
            (Ending::Failed { .. }, OnFailure::GoOn) | (Ending::Well, _) => None,
        }
    }

    fn run(&mut self, permitted: &Permitted<'_>, given: &Given) -> (TagVerdict, Vec<Note>) {
        let Seen { given: seen, mut notes } = transformation::seen_by(permitted.tag(), self.moment, given);
        let run = match &seen {
            Cow::Borrowed(given) => self.container.scripts.run(permitted, self.moment, given),
            Cow::Owned(given) => {
                let moment = Moment::new(self.container, given);
                let run = self.container.scripts.run(permitted, &moment, given);
                notes.extend(moment.into_notes());
                run
            }
        };
        notes.extend(run.notes);
        // A cookie's domain depends on the page that the event came from, whatever the tag saw of it.
        (self.harvest.record(run.outcome, given), notes)
    }

    /// Runs the tag that comes after this one, which has run.
    fn clean_up(&mut self, tag: &Tag, step: &Step, ending: &Ending) {
        let of = Arc::clone(&tag.name);
        if matches!(ending, Ending::Well) || step.on_failure == OnFailure::GoOn {
            self.turn(step.tag, Part::CleanUp { of });
            return;
        }
        let Some(cleanup) = self.container.tags.get(step.tag.0) else { return };
        let is_told = self.tags.iter().any(|trace| trace.tag == cleanup.name);
        if !is_told && self.chosen.binary_search(&step.tag).is_err() {
            let (tag, verdict) = (Arc::clone(&cleanup.name), TagVerdict::NoCleanup { of });
            self.tags.push(TagTrace { tag, part: Part::Own, verdict, notes: Vec::new() });
        }
    }
}

impl Ending {
    fn of(verdict: &TagVerdict) -> Self {
        match verdict {
            TagVerdict::Ran { .. } | TagVerdict::Skipped { .. } | TagVerdict::Settled { .. } => Self::Well,
            TagVerdict::Failed { error } => Self::Failed { why: error.to_string().into() },
            other => Self::Failed { why: other.to_string().into() },
        }
    }
}

/// What a tag is given: what the visitor allowed may depend on who receives its data.
fn of_recipients<'g>(given: &'g Given, evidence: &Evidence, recipients: &Recipients) -> Cow<'g, Given> {
    if !evidence.depends_on_recipients() || *recipients == Recipients::Unregistered {
        return Cow::Borrowed(given);
    }
    Cow::Owned(Given { consent: evidence.state(recipients), ..given.clone() })
}
