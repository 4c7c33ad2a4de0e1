//! Where an answer about consent can come from: an enum that traces keep, with its words.

use serde::{Deserialize, Serialize};

/// Where an answer came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum ConsentSource {
    /// Said in the hit itself, in `consent`.
    Hit,
    /// `gcd` as a whole.
    Gcd,
    /// `gcd`: what the site updated after a choice.
    GcdUpdate,
    /// `gcd`: what the site set by default.
    GcdDefault,
    /// `gcd`: what Google assumes where the site set nothing.
    GcdImplicit,
    Gcs,
    Tcf,
    Cookiebot,
    #[serde(rename = "onetrust")]
    OneTrust,
    #[serde(rename = "cookieyes")]
    CookieYes,
    Complianz,
    Axeptio,
    /// A variable that the container named.
    Variable,
    /// The page's own default, from `consent_defaults`.
    PageDefault,
    /// The container's default for the visitor's region.
    RegionDefault,
    /// The container's own default.
    ContainerDefault,
    /// The header `Sec-GPC`.
    SecGpc,
    /// `npa`: no personalised advertising.
    Npa,
    UsPrivacy,
    /// Nobody said anything.
    #[default]
    NoSignal,
    /// Said by a person who tries consent out, in place of the hit.
    Assumed,
}

impl ConsentSource {
    /// The signals that an event can arrive with, in the order in which traces list them.
    pub const SIGNALS: [Self; 13] = [
        Self::Hit,
        Self::Gcd,
        Self::Gcs,
        Self::Tcf,
        Self::Cookiebot,
        Self::OneTrust,
        Self::CookieYes,
        Self::Complianz,
        Self::Axeptio,
        Self::Variable,
        Self::SecGpc,
        Self::Npa,
        Self::UsPrivacy,
    ];

    /// Those that a container can leave unread, by their names in `consent.sources`.
    pub const OPTIONAL: [(&str, Self); 8] = [
        ("gcd", Self::Gcd),
        ("gcs", Self::Gcs),
        ("tcf", Self::Tcf),
        ("cookiebot", Self::Cookiebot),
        ("onetrust", Self::OneTrust),
        ("cookieyes", Self::CookieYes),
        ("complianz", Self::Complianz),
        ("axeptio", Self::Axeptio),
    ];

    /// The signal that this is part of.
    #[must_use]
    pub fn signal(self) -> Self {
        match self {
            Self::GcdUpdate | Self::GcdDefault | Self::GcdImplicit => Self::Gcd,
            other => other,
        }
    }

    /// Whether its word decides, whatever signals say.
    pub fn is_explicit(self) -> bool {
        matches!(self, Self::Hit | Self::Assumed)
    }

    /// Whether it can deny and never grant.
    pub fn is_opt_out(self) -> bool {
        matches!(self, Self::SecGpc | Self::Npa | Self::UsPrivacy)
    }

    /// Whether its answers are the visitor's own, once they have made a choice: not a default that somebody set for them.
    pub fn is_the_visitors(self) -> bool {
        match self {
            Self::Hit
            | Self::Assumed
            | Self::GcdUpdate
            | Self::Gcs
            | Self::Tcf
            | Self::Cookiebot
            | Self::OneTrust
            | Self::CookieYes
            | Self::Complianz
            | Self::Axeptio
            | Self::Variable
            | Self::SecGpc
            | Self::UsPrivacy
            | Self::Npa => true,
            Self::Gcd
            | Self::GcdDefault
            | Self::GcdImplicit
            | Self::PageDefault
            | Self::RegionDefault
            | Self::ContainerDefault
            | Self::NoSignal => false,
        }
    }

    /// The signal's name in lists.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hit => "consent in the hit",
            Self::Gcd | Self::GcdUpdate | Self::GcdDefault | Self::GcdImplicit => "gcd",
            Self::Gcs => "gcs",
            Self::Tcf => "TCF",
            Self::Cookiebot => "Cookiebot",
            Self::OneTrust => "OneTrust",
            Self::CookieYes => "CookieYes",
            Self::Complianz => "Complianz",
            Self::Axeptio => "Axeptio",
            Self::Variable => "a consent variable",
            Self::PageDefault => "the page's default",
            Self::RegionDefault => "the region's default",
            Self::ContainerDefault => "the container's default",
            Self::SecGpc => "Sec-GPC",
            Self::Npa => "npa",
            Self::UsPrivacy => "us_privacy",
            Self::NoSignal => "no signal",
            Self::Assumed => "assumed by --consent",
        }
    }

    /// For a sentence: "`ad_storage` is denied (…)".
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Hit => "said in the hit",
            Self::GcdUpdate => "update in gcd",
            Self::GcdDefault => "default in gcd",
            Self::GcdImplicit => "unset in gcd",
            Self::NoSignal => "no signal received",
            other => other.name(),
        }
    }
}

/// A set of signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources(u32);

/// All that an event can arrive with. A cookie of a CMP is there only because the site has that CMP.
impl Default for Sources {
    fn default() -> Self {
        ConsentSource::SIGNALS.into_iter().collect::<Self>().without(ConsentSource::Variable)
    }
}

impl Sources {
    pub const NONE: Self = Self(0);

    #[must_use]
    pub fn with(self, source: ConsentSource) -> Self {
        Self(self.0 | Self::bit(source))
    }

    #[must_use]
    pub fn without(self, source: ConsentSource) -> Self {
        Self(self.0 & !Self::bit(source))
    }

    pub fn contains(self, source: ConsentSource) -> bool {
        self.0 & Self::bit(source) != 0
    }

    fn bit(source: ConsentSource) -> u32 {
        1 << source.signal() as u8
    }
}

impl FromIterator<ConsentSource> for Sources {
    fn from_iter<I: IntoIterator<Item = ConsentSource>>(sources: I) -> Self {
        sources.into_iter().fold(Self::NONE, Self::with)
    }
}
