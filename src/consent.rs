//! Consent: what a visitor allowed, type by type, and where each answer came from.
//!
//! [`gather`] takes an event and its hit and finds every signal that they carry, each read by the decoder of its name;
//! [`evidence`] weighs them and gives a [`ConsentState`] in which every Consent Mode type is granted, denied or unknown.
//! Unknown counts as denied everywhere. Only the [gate] acts on it.

use std::fmt;

use serde::{Deserialize, Serialize};

pub mod cmp;
pub mod evidence;
pub mod gate;
pub mod gather;
pub mod gcd;
pub mod gcs;
pub mod opt_out;
pub mod region;
pub mod settings;
pub mod source;
pub mod state;
pub mod tcf;
mod unreadable;

pub use evidence::{Evidence, Said, Signal};
pub use region::RegionalDefault;
pub use settings::ConsentSettings;
pub use source::ConsentSource;
pub use state::{Answer, Choice, ConsentState};
pub use unreadable::Unreadable;

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
    /// Those about advertising, which go together: CMPs have one category for them, opt-outs deny them all, and Google maps
    /// the purposes of TCF strings to no others.
    pub const AD: [Self; 3] = [Self::AdStorage, Self::AdUserData, Self::AdPersonalization];

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

    pub fn of(kinds: &[ConsentType]) -> Self {
        kinds.iter().copied().collect()
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

    /// Denied if one of both is; unknown only if both are.
    #[must_use]
    pub fn strictest(self, other: Self) -> Self {
        match (self, other) {
            (Self::Denied, _) | (_, Self::Denied) => Self::Denied,
            (Self::Granted, _) | (_, Self::Granted) => Self::Granted,
            (Self::Unknown, Self::Unknown) => Self::Unknown,
        }
    }
}

/// The statuses that one source stated, type by type; unknown where it said nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statement([ConsentStatus; 7]);

impl Statement {
    /// The same status for each of some types.
    pub fn of(kinds: &[ConsentType], status: ConsentStatus) -> Self {
        let mut statement = Self::default();
        statement.set_all(kinds, status);
        statement
    }

    pub fn get(&self, kind: ConsentType) -> ConsentStatus {
        self.0[kind as usize]
    }

    pub fn set(&mut self, kind: ConsentType, status: ConsentStatus) {
        self.0[kind as usize] = status;
    }

    pub fn set_all(&mut self, kinds: &[ConsentType], status: ConsentStatus) {
        for kind in kinds {
            self.set(*kind, status);
        }
    }

    /// The types of which it says something, with what it says.
    pub fn known(&self) -> impl Iterator<Item = (ConsentType, ConsentStatus)> {
        ConsentType::ALL
            .into_iter()
            .map(|kind| (kind, self.get(kind)))
            .filter(|(_, status)| *status != ConsentStatus::Unknown)
    }

    pub fn is_silent(&self) -> bool {
        *self == Self::default()
    }
}

/// A map from type to status, of the types of which it says something.
impl Serialize for Statement {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.known())
    }
}

/// Whether the visitor has answered, by one source's account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    Yes,
    No,
    #[default]
    NotSaid,
}

/// What a page says of consent in an event of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// `consent` in the hit: the event's own over the envelope's.
    pub hit: Statement,
    /// What somebody who tries consent out puts before that.
    pub assumed: Statement,
    /// `consent_answered`.
    pub answered: Answered,
    /// `consent_defaults`: what holds until the visitor chooses, by region.
    pub defaults: Vec<RegionalDefault>,
    pub chance: Chance,
    /// What parameters that came again said in other places: signals by their keys in event data, each beside what the
    /// event's data has of it.
    pub again: Vec<(Box<str>, serde_json::Value)>,
}

/// Whether the event was sent before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chance {
    #[default]
    First,
    /// Its page kept its data back for want of consent, and sends it whole when asked. `consent_withheld: true`.
    Bare,
    /// It was sent bare, and comes whole because the answer asked for it. `consent_withheld: false`.
    Whole,
    /// It was held, and comes again after the visitor answered. `consent_then`: what held when it was first sent.
    Second { then: Statement },
}
