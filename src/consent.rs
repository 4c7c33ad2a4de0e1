//! Consent: what a visitor allowed, type by type, and where each answer came from.
//!
//! Takes the signals that a hit carried and the container's defaults; gives a [`ConsentState`] in which every Consent
//! Mode type is granted, denied or unknown. Unknown counts as denied everywhere. Only the [gate] acts on it.

use std::fmt;

use serde::{Deserialize, Serialize};

pub mod gate;

/// The Consent Mode types, by their names in `gtag('consent', …)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum ConsentType {
    AdStorage,
    AdUserData,
    AdPersonalization,
    AnalyticsStorage,
    FunctionalityStorage,
    PersonalizationStorage,
    SecurityStorage,
}

impl ConsentType {
    pub const ALL: [Self; 7] = [
        Self::AdStorage,
        Self::AdUserData,
        Self::AdPersonalization,
        Self::AnalyticsStorage,
        Self::FunctionalityStorage,
        Self::PersonalizationStorage,
        Self::SecurityStorage,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::AdStorage => "ad_storage",
            Self::AdUserData => "ad_user_data",
            Self::AdPersonalization => "ad_personalization",
            Self::AnalyticsStorage => "analytics_storage",
            Self::FunctionalityStorage => "functionality_storage",
            Self::PersonalizationStorage => "personalization_storage",
            Self::SecurityStorage => "security_storage",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for ConsentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of Consent Mode types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsentTypes(u8);

impl ConsentTypes {
    pub const NONE: Self = Self(0);

    #[must_use]
    pub fn with(self, kind: ConsentType) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    pub fn contains(self, kind: ConsentType) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = ConsentType> {
        ConsentType::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }

    /// The types of either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The types of this set that `other` lacks.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl FromIterator<ConsentType> for ConsentTypes {
    fn from_iter<I: IntoIterator<Item = ConsentType>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::with)
    }
}

impl Serialize for ConsentTypes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// What is known of one type. Whoever asks whether something may be done asks for [`ConsentStatus::Granted`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsentStatus {
    Granted,
    Denied,
    /// No signal and no default spoke of it; counts as denied.
    #[default]
    Unknown,
}

impl ConsentStatus {
    /// Reads `granted` or `denied`, the only two values that Consent Mode knows.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "granted" => Some(Self::Granted),
            "denied" => Some(Self::Denied),
            _ => None,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Denied => "denied",
            Self::Unknown => "unknown",
        }
    }
}

/// Where an answer came from, strongest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentSource {
    /// Said in the hit itself, in `consent`.
    Hit,
    /// The container's own default.
    ContainerDefault,
    /// Nobody said anything.
    #[default]
    NoSignal,
}

impl ConsentSource {
    /// For a sentence: "`ad_storage` is denied (…)".
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Hit => "said in the hit",
            Self::ContainerDefault => "the container's default",
            Self::NoSignal => "no signal received",
        }
    }
}

/// One type's answer and its origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Answer {
    pub status: ConsentStatus,
    pub source: ConsentSource,
}

/// Whether the visitor has made a choice yet, as the page said. Not yet answered holds; refused drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    Made,
    NotMade,
    /// The page did not say; counts as not made.
    #[default]
    NotSaid,
}

impl Choice {
    /// For a sentence: "the visitor …".
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Made => "has answered",
            Self::NotMade => "has not answered yet",
            Self::NotSaid => "may not have answered: the hit does not say",
        }
    }
}

/// The statuses that one source stated, type by type; unknown where it said nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statement([ConsentStatus; 7]);

impl Statement {
    pub fn get(&self, kind: ConsentType) -> ConsentStatus {
        self.0[kind as usize]
    }

    pub fn set(&mut self, kind: ConsentType, status: ConsentStatus) {
        self.0[kind as usize] = status;
    }

    /// This statement, with `under` where it is silent.
    #[must_use]
    pub fn over(mut self, under: &Self) -> Self {
        for kind in ConsentType::ALL {
            if self.get(kind) == ConsentStatus::Unknown {
                self.set(kind, under.get(kind));
            }
        }
        self
    }
}

/// Every consent signal that one event arrived with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// `consent` in the hit: the event's own over the envelope's.
    pub hit: Statement,
    pub choice: Choice,
}

/// What a visitor allowed, as resolved for one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsentState {
    answers: [Answer; 7],
    pub choice: Choice,
}

impl ConsentState {
    /// For each type: the hit's explicit state decides; else the container's default; else unknown.
    pub fn resolve(signals: &Signals, container_default: &Statement) -> Self {
        let mut state = Self { choice: signals.choice, ..Self::default() };
        for kind in ConsentType::ALL {
            let sources = [
                (signals.hit.get(kind), ConsentSource::Hit),
                (container_default.get(kind), ConsentSource::ContainerDefault),
            ];
            let known = sources.into_iter().find(|(status, _)| *status != ConsentStatus::Unknown);
            if let Some((status, source)) = known {
                state.answers[kind as usize] = Answer { status, source };
            }
        }
        state
    }

    pub fn answer(&self, kind: ConsentType) -> Answer {
        self.answers[kind as usize]
    }

    pub fn status(&self, kind: ConsentType) -> ConsentStatus {
        self.answer(kind).status
    }

    pub fn is_granted(&self, kind: ConsentType) -> bool {
        self.status(kind) == ConsentStatus::Granted
    }

    /// Denied by a visitor who has made a choice: neither denied until then, nor by a default that nobody chose.
    pub fn is_refused(&self, kind: ConsentType) -> bool {
        let said = Answer { status: ConsentStatus::Denied, source: ConsentSource::Hit };
        self.answer(kind) == said && self.choice == Choice::Made
    }

    /// The types that are granted.
    pub fn granted(&self) -> ConsentTypes {
        ConsentType::ALL.into_iter().filter(|kind| self.is_granted(*kind)).collect()
    }
}

/// A map from type to answer, types in Google's order.
impl Serialize for ConsentState {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(ConsentType::ALL.into_iter().map(|kind| (kind, self.answer(kind))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(pairs: &[(ConsentType, ConsentStatus)]) -> Statement {
        let mut statement = Statement::default();
        for (kind, status) in pairs {
            statement.set(*kind, *status);
        }
        statement
    }

    #[test]
    fn the_hit_outranks_the_default_and_silence_is_unknown() {
        use ConsentStatus::{Denied, Granted, Unknown};
        use ConsentType::{AdStorage, AdUserData, AnalyticsStorage};
        let signals = Signals { hit: statement(&[(AdStorage, Denied)]), choice: Choice::Made };
        let state = ConsentState::resolve(&signals, &statement(&[(AdStorage, Granted), (AnalyticsStorage, Granted)]));
        assert_eq!(state.answer(AdStorage), Answer { status: Denied, source: ConsentSource::Hit });
        assert_eq!(state.answer(AnalyticsStorage), Answer { status: Granted, source: ConsentSource::ContainerDefault });
        assert_eq!(state.answer(AdUserData), Answer { status: Unknown, source: ConsentSource::NoSignal });
        assert!(!state.is_granted(AdUserData));
    }

    #[test]
    fn a_default_of_denied_is_no_refusal_until_the_visitor_chose() {
        let signals = |choice| Signals { hit: statement(&[(ConsentType::AdStorage, ConsentStatus::Denied)]), choice };
        let refused =
            |choice| ConsentState::resolve(&signals(choice), &Statement::default()).is_refused(ConsentType::AdStorage);
        assert!(refused(Choice::Made));
        assert!(!refused(Choice::NotMade));
        let default = statement(&[(ConsentType::AdStorage, ConsentStatus::Denied)]);
        let silent = Signals { hit: Statement::default(), choice: Choice::Made };
        assert!(!ConsentState::resolve(&silent, &default).is_refused(ConsentType::AdStorage));
    }
}
