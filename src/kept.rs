//! Kept hits: what stays of an event for a day, so that a change of the rules can be held against real hits. Takes what the
//! pipeline knew of an event; gives a [`Kept`] that says nothing of whose event it was, and from that the [impact] of a
//! change.
//!
//! What stays is the event's [shape], keyed pseudonyms of some of its values, and the answers to the [questions](question)
//! that the live rules ask of it. Of a visitor who granted nothing, the shape alone. Never an address, a user agent, a
//! cookie, an id or user data. What is not kept cannot be guessed: [`Recall`] hands the rules what is known, and tells
//! when they ask for more.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::{
    client::{Client, Keeping},
    consent::{
        Answer, Chance, Choice, ConsentSource, ConsentState, ConsentStatus, ConsentType, Evidence, gate::Prospect,
        settings::Recipients,
    },
    container::Container,
    digest::hex,
    event::Event,
    hit::Hit,
    pipeline,
    script::{Given, HitTime},
    time::Timestamp,
    variable::Moment,
};

pub mod impact;
pub mod question;
pub mod recall;
pub mod shape;

pub use recall::Recall;

/// An event as rules saw it, and what its visitor allowed: what something may be kept of.
#[derive(Clone, Debug)]
pub struct Seen {
    event: Arc<Event>,
    hit: Arc<Hit>,
    client: Client,
    consent: ConsentState,
    evidence: Evidence,
}

impl Seen {
    pub fn of(moment: &Moment<'_>, evidence: &Evidence) -> Self {
        let Given { event, hit, client, consent, .. } = moment.given;
        let (event, hit) = (Arc::clone(event), Arc::clone(hit));
        Self { event, hit, client: *client, consent: *consent, evidence: evidence.clone() }
    }

    pub fn event(&self) -> &Event {
        &self.event
    }

    pub fn hit(&self) -> &Hit {
        &self.hit
    }

    /// For questions, which run no script.
    fn given(&self) -> Given {
        Given {
            event: Arc::clone(&self.event),
            hit: Arc::clone(&self.hit),
            client: self.client,
            position: 0,
            consent: self.consent,
            hit_time: HitTime::new(Duration::ZERO),
            clock: || Duration::ZERO,
        }
    }
}

/// What is kept of one event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The minute in which its hit arrived.
    pub at: Timestamp,
    /// Of the container that decided it.
    pub version: Box<str>,
    /// The name of the client that claimed its hit.
    pub client: Box<str>,
    pub event: Box<str>,
    pub detail: Detail,
    pub consent: KeptConsent,
    pub data: Map<String, Value>,
    /// What the live rules found where the value itself is not kept, by the question's fingerprint.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub answers: BTreeMap<Box<str>, bool>,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Names and types: the visitor granted nothing that is about measuring or advertising.
    Shape,
    /// Pseudonyms, some values that say nothing of anybody, and answers to the rules' questions.
    Pseudonyms,
}

type Answers = BTreeMap<ConsentType, Answer>;

/// What the visitor allowed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KeptConsent {
    pub choice: Choice,
    /// By type; one that is not here was unknown, for want of any signal.
    pub answers: Answers,
    /// The same where it depends on who receives the data, by the TCF's vendors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vendors: BTreeMap<Box<str>, Answers>,
    /// Whether the event was sent before.
    #[serde(default, skip_serializing_if = "Sent::is_once")]
    pub sent: Sent,
}

/// Whether an event was sent before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    #[default]
    Once,
    Bare,
    Whole,
    /// With what was allowed then.
    Again {
        then: Answers,
    },
}

impl Sent {
    fn is_once(&self) -> bool {
        *self == Self::Once
    }
}

/// What pseudonyms of one day are made with. Thrown away with the last of them.
#[derive(Clone, PartialEq, Eq)]
pub struct DayKey(pub [u8; 32]);

/// Whoever has it can try texts until a pseudonym fits.
impl std::fmt::Debug for DayKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DayKey(•••)")
    }
}

impl DayKey {
    /// The same for the same text of the same day.
    pub fn pseudonym(&self, text: &str) -> Box<str> {
        fingerprint(&[&self.0, text.as_bytes()])
    }
}

/// The first eight bytes of a digest, in hex. So short that nothing longer can be read out of it, and long enough that no
/// two of a thousand events' values fall together.
fn fingerprint(parts: &[&[u8]]) -> Box<str> {
    let digest = parts.iter().fold(Sha256::new(), |digest, part| digest.chain_update(part)).finalize();
    hex(&digest[..8]).into()
}

/// The types of which one must be granted for more than the shape to stay. The others are granted to nearly everybody by
/// default, and say nothing of being measured.
const TELLING: [ConsentType; 4] =
    [ConsentType::AdStorage, ConsentType::AdUserData, ConsentType::AdPersonalization, ConsentType::AnalyticsStorage];

impl Kept {
    /// What stays of an event that this container decided. `None` if its very name may be about somebody.
    pub fn of(container: &Container, seen: &Seen, key: &DayKey) -> Option<Self> {
        const MINUTE: i64 = 60_000;
        let event = &seen.event;
        if !shape::is_plain_name(&event.name) {
            return None;
        }
        let may_tell = TELLING.into_iter().any(|kind| seen.consent.is_granted(kind));
        let detail = if may_tell { Detail::Pseudonyms } else { Detail::Shape };
        let mut kept = Self {
            at: Timestamp(seen.hit.received.0.div_euclid(MINUTE) * MINUTE),
            version: (&*container.version).into(),
            client: seen.client.name().into(),
            event: (&*event.name).into(),
            detail,
            consent: KeptConsent::of(container, seen),
            data: shape::of(&event.data, detail, key),
            answers: BTreeMap::new(),
        };
        if detail == Detail::Pseudonyms {
            kept.answers = question::answers(&Moment::new(container, &seen.given()), &kept, key);
        }
        Some(kept)
    }

    fn client(&self) -> Client {
        Client::ALL.into_iter().find(|client| client.name() == &*self.client).unwrap_or(Client::DataLayer)
    }
}

impl KeptConsent {
    fn of(container: &Container, seen: &Seen) -> Self {
        let Seen { event, consent, evidence, .. } = seen;
        let mut vendors = BTreeMap::new();
        if evidence.depends_on_recipients() {
            for tag in &container.tags {
                if let Some(name) = vendors_name(&tag.recipients) {
                    vendors.entry(name).or_insert_with(|| answers(&evidence.state(&tag.recipients)));
                }
            }
        }
        let sent = match &event.signals.chance {
            Chance::First => Sent::Once,
            Chance::Bare => Sent::Bare,
            Chance::Whole => Sent::Whole,
            Chance::Second { then } => Sent::Again { then: answers(&evidence.state_then(then)) },
        };
        Self { choice: consent.choice, answers: answers(consent), vendors, sent }
    }

    /// What holds under a container: where no signal spoke, its own default does. `None` if that depends on a vendor of
    /// which nothing was kept.
    fn state(&self, container: &Container, recipients: &Recipients) -> Option<ConsentState> {
        let answers = match vendors_name(recipients) {
            Some(name) if !self.vendors.is_empty() => self.vendors.get(&name)?,
            _ => &self.answers,
        };
        Some(state(answers, self.choice, container))
    }

    fn then(&self, container: &Container) -> Option<ConsentState> {
        let Sent::Again { then } = &self.sent else { return None };
        Some(state(then, Choice::NotMade(ConsentSource::Hit), container))
    }

    fn chance(&self) -> Chance {
        match self.sent {
            Sent::Bare => Chance::Bare,
            Sent::Whole => Chance::Whole,
            // What held then is read from here.
            Sent::Once | Sent::Again { .. } => Chance::First,
        }
    }

    fn prospect<'s>(&self, then: Option<&'s ConsentState>, keeping: Keeping, state: &ConsentState) -> Prospect<'s> {
        pipeline::prospect(&self.chance(), then, keeping, state)
    }
}

fn answers(state: &ConsentState) -> Answers {
    let answers = ConsentType::ALL.into_iter().map(|kind| (kind, state.answer(kind)));
    answers.filter(|(_, answer)| *answer != Answer::default()).collect()
}

fn state(kept: &Answers, choice: Choice, container: &Container) -> ConsentState {
    let answers = ConsentType::ALL.into_iter().map(|kind| {
        let answer = kept.get(&kind).copied().unwrap_or_default();
        let is_default = matches!(answer.source, ConsentSource::ContainerDefault | ConsentSource::NoSignal);
        (kind, if is_default { default(container, kind) } else { answer })
    });
    ConsentState::resolved(answers, choice)
}

fn default(container: &Container, kind: ConsentType) -> Answer {
    match container.consent.default.get(kind) {
        ConsentStatus::Unknown => Answer::default(),
        status => Answer { status, source: ConsentSource::ContainerDefault },
    }
}

/// `12,755`; `None` where no vendor stands for the recipients.
fn vendors_name(recipients: &Recipients) -> Option<Box<str>> {
    let Recipients::Vendors(ids) = recipients else { return None };
    let ids: Vec<_> = ids.iter().map(|id| id.0.to_string()).collect();
    Some(ids.join(",").into())
}
