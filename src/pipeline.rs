//! The corridor: one function that calls each stage in turn. `serve`, `test`, `trace` and previews all come through
//! here; only the clock and the outbox differ.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use crate::{
    call::Call,
    client::{self, BadHit, Client, Read},
    consent::{
        ConsentState, ConsentTypes,
        gate::{self, Firing, Gated, Missing},
    },
    container::{Activity, Container, Tag, TagIndex},
    cookie::SetCookie,
    event::{Event, EventId},
    hit::Hit,
    script::{Given, MonotonicClock, Outcome},
    trace::{ClientVerdict, CookieVerdict, EventTrace, Note, TagTrace, TagVerdict, Trace},
    trigger::TriggerVerdict,
    variable::Moment,
};

/// The time that all scripts of one hit may take together.
const HIT_TIME: Duration = Duration::from_millis(50);

/// What the core cannot know by itself, handed in by an edge.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    pub clock: MonotonicClock,
    /// Makes ids for events that bring none.
    pub new_id: &'a dyn Fn() -> Uuid,
}

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
    /// `Set-Cookie` headers, in the order in which tags asked for them.
    pub cookies: Vec<String>,
    pub held: Vec<Held>,
}

/// An event for which at least one tag waits for consent. Never names the tag.
#[derive(Debug, PartialEq, Eq)]
pub struct Held {
    pub event_id: Arc<str>,
    pub needs: ConsentTypes,
}

/// One hit through every stage: client, consent, triggers, gate, scripts.
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
    let hit_deadline = (surroundings.clock)() + HIT_TIME;
    let mut decided = Decided { events: events.len(), ..Decided::default() };
    for Read { mut event, notes } in events {
        let consent = ConsentState::resolve(&event.signals, &container.consent_default);
        client::adopt_client_id(&mut event, hit, &consent);
        let event = Arc::new(event);
        let given =
            Given { event: Arc::clone(&event), hit: Arc::clone(hit), consent, hit_deadline, clock: surroundings.clock };
        trace.events.push(decide_event(container, &given, notes, &mut decided));
    }
    Processed { result: Ok(decided), trace }
}

fn decide_event(container: &Container, given: &Given, notes: Vec<Note>, decided: &mut Decided) -> EventTrace {
    let event: &Event = &given.event;
    let moment = Moment::new(container, &given.hit, event);
    let mut held = ConsentTypes::NONE;
    let (chosen, mut tags) = choose(container, &moment);
    for index in chosen {
        let Some(tag) = container.tags.get(index.0) else { continue };
        let (verdict, notes) = match gate::decide(Firing::new(tag), &given.consent) {
            Gated::Held(missing) => {
                held = held.union(missing.types);
                (TagVerdict::held(&missing), Vec::new())
            }
            Gated::Blocked(missing) => {
                expire_refused(tag, &missing, given, decided);
                (TagVerdict::blocked(&missing), Vec::new())
            }
            Gated::Permitted(permitted) => {
                let run = container.scripts.run(&permitted, &moment, given);
                (record(run.outcome, given, decided), run.notes)
            }
        };
        tags.push(TagTrace { tag: Arc::clone(&tag.name), verdict, notes });
    }
    if !held.is_empty() {
        decided.held.push(Held { event_id: Arc::clone(&event.id.text), needs: held });
    }
    let EventId { text, origin } = &event.id;
    EventTrace {
        name: Arc::clone(&event.name),
        id: EventId { text: Arc::clone(text), origin: *origin },
        time: event.time,
        consent: given.consent,
        notes,
        tags,
    }
}

/// The tags that fire, in firing order, and the verdicts on those that do not although a trigger looked at the event.
fn choose(container: &Container, moment: &Moment<'_>) -> (Vec<TagIndex>, Vec<TagTrace>) {
    let mut chosen: Vec<TagIndex> = Vec::new();
    let mut failed: Vec<(TagIndex, TagVerdict)> = Vec::new();
    for index in container.triggers_for(&moment.event.name) {
        let tags = container.tags_fired_by(index);
        let Some(trigger) = container.triggers.get(index.0).filter(|_| !tags.is_empty()) else { continue };
        match trigger.decide(moment) {
            TriggerVerdict::OtherEvent => {}
            TriggerVerdict::Matched => chosen.extend(tags),
            TriggerVerdict::Failed { condition, found } => {
                failed.extend(tags.iter().map(|tag| {
                    let (condition, found) = (condition.clone(), found.clone());
                    (*tag, TagVerdict::NotTriggered { trigger: Arc::clone(&trigger.name), condition, found })
                }));
            }
        }
    }
    chosen.sort_unstable();
    chosen.dedup();
    chosen.retain(|index| match refusal(container, *index, moment) {
        None => true,
        Some(verdict) => {
            failed.push((*index, verdict));
            false
        }
    });
    failed.sort_by_key(|(index, _)| *index);
    failed.dedup_by_key(|(index, _)| *index);
    failed.retain(|(index, _)| chosen.binary_search(index).is_err());
    let name = |index: TagIndex| container.tags.get(index.0).map(|tag| Arc::clone(&tag.name)).unwrap_or_default();
    let failed = failed.into_iter().map(|(index, verdict)| TagTrace { tag: name(index), verdict, notes: Vec::new() });
    (chosen, failed.collect())
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

/// Takes what a script asked for; a cookie that may not be written is refused here, with its reason.
fn record(outcome: Outcome, given: &Given, decided: &mut Decided) -> TagVerdict {
    match outcome {
        Outcome::Skipped { reason } => TagVerdict::Skipped { reason },
        Outcome::Failed(error) => TagVerdict::Failed { error },
        Outcome::Asked(asked) => {
            let calls = asked.calls.len();
            decided.calls.extend(asked.calls);
            let cookies = asked.cookies.iter().map(|cookie| set_cookie(cookie, given, decided)).collect();
            TagVerdict::Ran { calls, cookies }
        }
    }
}

fn set_cookie(cookie: &SetCookie, given: &Given, decided: &mut Decided) -> CookieVerdict {
    let page = given.event.text("page_location").and_then(|address| url::Url::parse(address).ok());
    let refused = match cookie.header(&given.hit.host, page.as_ref().and_then(url::Url::host_str)) {
        Ok(header) => {
            decided.cookies.push(header);
            None
        }
        Err(refusal) => Some(refusal),
    };
    CookieVerdict { name: cookie.name.clone(), refused }
}

/// A refusal makes the browser forget the cookies that the tag's template would have set, if it still has them.
fn expire_refused(tag: &Tag, missing: &Missing, given: &Given, decided: &mut Decided) {
    let refused = missing.types.iter().any(|kind| missing.state.is_refused(kind));
    let Some(header) = given.hit.header("cookie").filter(|_| refused) else { return };
    for name in &tag.template.expire_when_refused {
        if crate::cookie::find(header, name).is_some() {
            set_cookie(&SetCookie::expiry(name), given, decided);
        }
    }
}
