//! What a visitor allowed: an answer with its origin for each type, and whether it is an answer of theirs at all.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Answered, ConsentSource, ConsentStatus, ConsentType, ConsentTypes};

/// One type's answer and its origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub status: ConsentStatus,
    pub source: ConsentSource,
}

/// "denied (said in the hit)"
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match (self.status, self.source) {
            (ConsentStatus::Unknown, ConsentSource::Tcf) => "TCF, which names no vendor that this goes to",
            (_, source) => source.phrase(),
        };
        write!(f, "{} ({source})", self.status.word())
    }
}

/// Whether the visitor has made a choice yet, and who says so. Not yet answered holds; refused drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "visitor", content = "says", rename_all = "snake_case")]
pub enum Choice {
    #[serde(rename = "answered")]
    Made(ConsentSource),
    #[serde(rename = "not_answered")]
    NotMade(ConsentSource),
    /// Nobody said; counts as not made.
    #[default]
    NotSaid,
}

impl Choice {
    /// What a source says of it.
    pub fn new(answered: Answered, source: ConsentSource) -> Self {
        match answered {
            Answered::Yes => Self::Made(source),
            Answered::No => Self::NotMade(source),
            Answered::NotSaid => Self::NotSaid,
        }
    }
}

/// For a sentence: "the visitor …".
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made(source) => write!(f, "has answered ({})", source.phrase()),
            Self::NotMade(source) => write!(f, "has not answered yet ({})", source.phrase()),
            Self::NotSaid => f.write_str("may not have answered: nothing says so"),
        }
    }
}

/// What a visitor allowed, as resolved for one event and those who would receive its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsentState {
    pub(super) answers: [Answer; 7],
    pub choice: Choice,
}

impl ConsentState {
    /// A state that was resolved before, such as that of a kept hit. Types without an answer are unknown.
    pub fn resolved(answers: impl IntoIterator<Item = (ConsentType, Answer)>, choice: Choice) -> Self {
        let mut state = Self { choice, ..Self::default() };
        answers.into_iter().for_each(|(kind, answer)| state.answers[kind as usize] = answer);
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

    /// Denied by a visitor who has made a choice: neither denied until then, nor by a default that nobody chose. Who
    /// opted out by law has chosen.
    pub fn is_refused(&self, kind: ConsentType) -> bool {
        let Answer { status: ConsentStatus::Denied, source } = self.answer(kind) else { return false };
        match source {
            ConsentSource::SecGpc | ConsentSource::UsPrivacy => true,
            source => source.is_the_visitors() && matches!(self.choice, Choice::Made(_)),
        }
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
