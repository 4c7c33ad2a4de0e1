//! The gate: the one place where a firing becomes a permission to run.
//!
//! Takes a [`Firing`] (a tag that a trigger chose) and the visitor's consent; gives a [`Permitted`], or why not. A
//! `Permitted` cannot be made anywhere else, and only a `Permitted` can be run, so that a tag that ran ungated would
//! not compile:
//!
//! ```
//! use tidegate::{consent::{ConsentState, gate::{self, Firing, Gated, Permitted, Prospect}}, container::Tag};
//!
//! fn through_the_gate<'c>(tag: &'c Tag, consent: &ConsentState) -> Option<Permitted<'c>> {
//!     match gate::decide(Firing::new(tag), consent, Prospect::Final) {
//!         Gated::Permitted(permitted) => Some(permitted),
//!         _ => None,
//!     }
//! }
//! ```
//!
//! ```compile_fail,E0451
//! use tidegate::{consent::{ConsentState, gate::{self, Firing, Gated, Permitted}}, container::Tag};
//!
//! fn around_the_gate<'c>(tag: &'c Tag, consent: &ConsentState) -> Option<Permitted<'c>> {
//!     Some(Permitted { tag })
//! }
//! ```

use std::fmt;

use serde::Serialize;

use super::{Choice, ConsentState, ConsentTypes};
use crate::container::Tag;

/// What a tag says about the consent it needs. Every tag says one or the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsentNeed {
    /// Every one of these must be granted; never empty.
    Types(ConsentTypes),
    /// `consent: none`, with the reason that was written down for it.
    None { reason: Box<str> },
}

/// What becomes of a firing whose consent is missing because the visitor has not answered yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenDenied {
    #[default]
    Skip,
    /// The page keeps the event and sends it again once consent is given.
    Hold,
}

/// Whether an event that lacks consent may come again, or has.
#[derive(Clone, Copy, Debug)]
pub enum Prospect<'s> {
    /// The page keeps it and sends it again after a grant.
    MayComeAgain,
    /// Nobody keeps it.
    Final,
    /// It came without its data, which the page will send: it did not know that `ad_storage` is granted.
    ComesWhole,
    /// It came without its data before. What needs no consent ran then.
    CameBare,
    /// It was sent before. What was allowed then has been done then.
    CameAgain { then: &'s ConsentState },
}

/// Why a tag has nothing to do with an event that comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Settled {
    /// It had its consent when the event was first sent.
    AllowedThen,
    /// It does not wait for consent: `when_denied: skip`.
    DoesNotWait,
    /// It needs none, and ran on what there was.
    NeededNone,
}

impl fmt::Display for Settled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AllowedThen => "it had its consent then",
            Self::DoesNotWait => "it does not wait for consent",
            Self::NeededNone => "it needs no consent",
        })
    }
}

/// A tag that a trigger chose for an event, not yet permitted.
#[derive(Debug)]
pub struct Firing<'c> {
    tag: &'c Tag,
}

impl<'c> Firing<'c> {
    pub fn new(tag: &'c Tag) -> Self {
        Self { tag }
    }

    pub fn tag(&self) -> &'c Tag {
        self.tag
    }
}

/// A firing that consent let through. Its field is private: see the module's documentation.
#[derive(Debug)]
pub struct Permitted<'c> {
    tag: &'c Tag,
}

impl<'c> Permitted<'c> {
    pub fn tag(&self) -> &'c Tag {
        self.tag
    }
}

/// The gate's verdict on one firing.
#[derive(Debug)]
pub enum Gated<'c> {
    Permitted(Permitted<'c>),
    /// Consent is missing, the visitor has not answered, and the tag says `when_denied: hold`.
    Held(Missing),
    /// Consent is missing.
    Blocked(Missing),
    /// Consent is there, the event's data is not: the page is asked for it.
    Awaited,
    /// The event was sent before, and this tag was done with it.
    Settled(Settled),
}

/// The types that a tag needs and that were not granted, with the state that said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    pub types: ConsentTypes,
    pub state: ConsentState,
}

/// "needs `ad_storage`, which is denied (said in the hit)", for each missing type.
impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, kind) in self.types.iter().enumerate() {
            let answer = self.state.answer(kind);
            let lead = if position == 0 { "needs" } else { "; needs" };
            write!(f, "{lead} {kind}, which is {answer}")?;
        }
        Ok(())
    }
}

/// Decides whether a firing may run. Unknown counts as denied. Of an event that comes again, only what waited for consent
/// and lacked it then gets its chance.
pub fn decide<'c>(firing: Firing<'c>, consent: &ConsentState, prospect: Prospect<'_>) -> Gated<'c> {
    let tag = firing.tag;
    let needed = match &tag.consent {
        ConsentNeed::Types(types) => *types,
        ConsentNeed::None { .. } => ConsentTypes::NONE,
    };
    if let Prospect::CameAgain { then } = prospect {
        if needed.without(then.granted()).is_empty() {
            return Gated::Settled(Settled::AllowedThen);
        }
        if tag.when_denied == WhenDenied::Skip {
            return Gated::Settled(Settled::DoesNotWait);
        }
    }
    if matches!(prospect, Prospect::CameBare) && needed.is_empty() {
        return Gated::Settled(Settled::NeededNone);
    }
    let missing = needed.without(consent.granted());
    if missing.is_empty() && !needed.is_empty() && matches!(prospect, Prospect::ComesWhole) {
        return Gated::Awaited;
    }
    if missing.is_empty() {
        return Gated::Permitted(Permitted { tag });
    }
    let is_answered = matches!(consent.choice, Choice::Made(_)) || missing.iter().any(|kind| consent.is_refused(kind));
    let missing = Missing { types: missing, state: *consent };
    match (tag.when_denied, prospect) {
        (_, Prospect::Final) | (WhenDenied::Skip, _) => Gated::Blocked(missing),
        _ if is_answered => Gated::Blocked(missing),
        _ => Gated::Held(missing),
    }
}
