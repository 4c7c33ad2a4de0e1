//! The corridor: one function that calls each stage in turn. `serve`, `test`, `trace` and previews all come through
//! here; only the clock and the outbox differ.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use uuid::Uuid;

use crate::{
    call::Call,
    client::{self, BadHit, Client, Keeping, Read},
    consent::{
        Chance, ConsentState, ConsentType, ConsentTypes, Evidence, Statement, gate::Prospect, gather,
        settings::Recipients,
    },
    container::Container,
    deduplication::{CallKey, RecentCalls, Sieve},
    event::Event,
    hit::Hit,
    script::{Given, HitTime, MonotonicClock},
    trace::{Attention, ClientVerdict, EventTrace, Note, Trace},
    trigger::choice::{ChosenTags, choose},
    variable::Moment,
    visitor::{Sender, Visit, Visitor},
};

mod harvest;
mod round;

use harvest::Harvest;
use round::Round;

/// The time that all scripts of one hit may take together.
const HIT_TIME: Duration = Duration::from_millis(50);

/// What the core cannot know by itself, handed in by an edge.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    pub clock: MonotonicClock,
    /// Makes ids for events that bring none.
    pub new_id: &'a dyn Fn() -> Uuid,
    /// Calls that need not be made again; `None` where none is made in earnest: there nothing is suppressed.
    pub recent: Option<&'a RecentCalls>,
    /// Of how many tags that do not fire for an event the trace gives the reason.
    pub told: usize,
    /// Is shown every event beside what was decided about it, with what its visitor allowed; for finding out what cases
    /// exercise, and for keeping hits.
    pub look: Option<Look<'a>>,
    /// Assumed of every event, whatever the event says; for trying consent out.
    pub stated: Statement,
}

/// Somebody who looks on and has no say.
pub type Look<'a> = &'a dyn Fn(&Moment<'_>, &Evidence);

/// What came of a hit. Nothing has been done yet.
#[derive(Debug)]
pub struct Processed {
    pub result: Result<Decided, BadHit>,
    pub trace: Trace,
}

/// What to do about a hit: make the calls durable, then answer with the cookies.
#[derive(Debug, Default)]
pub struct Decided {
    /// How many events the hit held.
    pub events: usize,
    pub calls: Vec<Call>,
    /// Of these calls: what to remember once they are durable, so that copies of them are suppressed.
    pub keys: BTreeSet<CallKey>,
    /// `Set-Cookie` headers, in the order in which tags asked for them.
    pub cookies: Vec<String>,
    pub held: Vec<Held>,
    /// Click references whose visitor refused: calls that carry them and are not delivered yet are to be forgotten.
    pub withdrawn: BTreeSet<Box<str>>,
}

/// An event for which at least one tag waits. Never names the tag.
#[derive(Debug, PartialEq, Eq)]
pub struct Held {
    pub event_id: Arc<str>,
    /// The types that are missing; none if the event's data is.
    pub needs: ConsentTypes,
}

/// One hit through every stage: client, consent, triggers, gate, scripts, deduplication.
pub fn process(container: &Container, client: Client, hit: &Arc<Hit>, surroundings: Surroundings<'_>) -> Processed {
    let mut trace = Trace {
        hit: hit.id,
        received: hit.received,
        version: Arc::clone(&container.version),
        client: ClientVerdict::Claimed { client: client.name() },
        events: Vec::new(),
    };
    let events = match client.read(hit, surroundings.new_id) {
        Ok(events) => events,
        Err(bad) => {
            let (field, message) = (bad.field.clone(), bad.message.clone());
            trace.client = ClientVerdict::Refused { client: client.name(), field, message };
            return Processed { result: Err(bad), trace };
        }
    };
    let privacy = &container.settings.privacy;
    let sender = Sender::of(hit, client, privacy);
    let shared = match &sender {
        Sender::Browser(visit) => Some(gather::of_hit(&visit.hit, &container.consent)),
        Sender::Server(_) => None,
    };
    let hit_time = HitTime::new(HIT_TIME);
    let mut harvest = Harvest::new(events.len(), Sieve::new(surroundings.recent, hit.received));
    for (position, Read { mut event, mut notes }) in events.into_iter().enumerate() {
        let (told, told_signals);
        let visit = match &sender {
            Sender::Browser(visit) => visit,
            Sender::Server(server) => {
                told = Visit::told(server, client, &mut event, &mut notes, privacy);
                &told
            }
        };
        if visit.visitor == Visitor::Bot {
            trace.events.push(ignored(&event, notes));
            continue;
        }
        privacy.of_event(&mut event, &mut notes);
        event.signals.assumed = surroundings.stated;
        let signals = match &shared {
            Some(signals) => signals,
            None => {
                told_signals = gather::of_hit(&visit.hit, &container.consent);
                &told_signals
            }
        };
        let mut given = Given {
            event: Arc::new(event),
            hit: Arc::clone(&visit.hit),
            client,
            position,
            // Nothing is allowed while it is being found out.
            consent: ConsentState::default(),
            hit_time: hit_time.clone(),
            clock: surroundings.clock,
        };
        let moment = Moment::new(container, &given);
        let evidence = gather::of_event(&moment, signals);
        notes.extend(moment.into_notes());
        given.consent = evidence.state(&Recipients::Unregistered);
        client::adopt_client_id(Arc::make_mut(&mut given.event), &visit.hit, &given.consent);
        let keeping = client.keeping();
        let told = surroundings.told;
        let decided = decide_event(container, keeping, &given, evidence, notes, told, &mut harvest);
        if let Some(look) = surroundings.look {
            look(&Moment::new(container, &given), &decided.evidence);
        }
        trace.events.push(decided);
    }
    Processed { result: Ok(harvest.into_decided()), trace }
}

/// What is told of a bot's event.
fn ignored(event: &Event, notes: Vec<Note>) -> EventTrace {
    EventTrace {
        name: Arc::clone(&event.name),
        id: event.id.clone(),
        time: event.time,
        attention: Attention::Bot,
        consent: ConsentState::default(),
        evidence: Evidence::default(),
        notes,
        tags: Vec::new(),
        untold: 0,
    }
}

fn decide_event(
    container: &Container,
    keeping: Keeping,
    given: &Given,
    evidence: Evidence,
    mut notes: Vec<Note>,
    told: usize,
    harvest: &mut Harvest<'_>,
) -> EventTrace {
    let event: &Event = &given.event;
    let moment = Moment::new(container, given);
    let then = match &event.signals.chance {
        Chance::First | Chance::Bare | Chance::Whole => None,
        Chance::Second { then } => Some(evidence.state_then(then)),
    };
    let prospect = prospect(&event.signals.chance, then.as_ref(), keeping, &given.consent);
    let ChosenTags { fire, rest, untold } = choose(container, &moment, told);
    let mut round = Round::new(&moment, &fire, &evidence, prospect, harvest, rest);
    round.fire();
    if let Chance::Bare = event.signals.chance {
        round.wait_for_data();
    }
    let Round { held, awaited, tags, .. } = round;
    if awaited || !held.is_empty() {
        // What still lacks consent is decided anew when the event comes whole.
        let needs = if awaited { ConsentTypes::NONE } else { held };
        harvest.hold(Held { event_id: Arc::clone(&event.id.text), needs });
    }
    // Consent may have read the same variables.
    let new = moment.into_notes().into_iter().filter(|note| !notes.contains(note)).collect::<Vec<_>>();
    notes.extend(new);
    EventTrace {
        name: Arc::clone(&event.name),
        id: event.id.clone(),
        time: event.time,
        attention: Attention::Full,
        consent: given.consent,
        evidence,
        notes,
        tags,
        untold,
    }
}

/// Whether the event may come again, or has. Only a page that would send all of it now is asked for what it kept back.
pub fn prospect<'s>(
    chance: &Chance,
    then: Option<&'s ConsentState>,
    keeping: Keeping,
    consent: &ConsentState,
) -> Prospect<'s> {
    match (chance, then, keeping) {
        (_, Some(then), _) => Prospect::CameAgain { then },
        (_, None, Keeping::Nobody) => Prospect::Final,
        (Chance::Bare, None, Keeping::Page) if consent.is_granted(ConsentType::AdStorage) => Prospect::ComesWhole,
        (Chance::Whole, None, Keeping::Page) => Prospect::CameBare,
        (_, None, Keeping::Page) => Prospect::MayComeAgain,
    }
}

#[cfg(test)]
mod tests;
