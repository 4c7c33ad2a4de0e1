//! What a container says about consent, compiled: which signals are read and how, and what holds where none spoke.

use std::sync::Arc;

use http::HeaderName;

use super::{
    ConsentTypes, RegionalDefault, Statement,
    cmp::{axeptio, onetrust},
    source::Sources,
    tcf::VendorId,
};
use crate::{trigger::condition::Wanted, variable::VariableIndex};

#[derive(Debug, Default)]
pub struct ConsentSettings {
    /// What holds where no signal spoke.
    pub default: Statement,
    /// The same by region; goes before the default.
    pub regions: Vec<RegionalDefault>,
    pub region_headers: RegionHeaders,
    /// The signals that are listened for.
    pub read: Sources,
    pub unset: Unset,
    /// The TCF vendors that tags send to.
    pub vendors: Vec<VendorId>,
    pub onetrust: onetrust::Groups,
    pub axeptio: axeptio::Vendors,
    pub variables: Vec<VariableSource>,
}

/// The headers in which a proxy says where the visitor is.
#[derive(Debug, Default)]
pub enum RegionHeaders {
    #[default]
    None,
    Named {
        /// A country, or a region with its country.
        country: HeaderName,
        subdivision: Option<HeaderName>,
    },
}

/// What it means that a `gcd` sets a type neither by default nor by update while Google would take it as granted: the
/// site has no Consent Mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unset {
    /// Nothing is known of the type.
    #[default]
    Deny,
    /// It is granted.
    Allow,
}

/// A variable whose value tells about consent.
#[derive(Debug)]
pub struct VariableSource {
    pub name: Arc<str>,
    pub variable: VariableIndex,
    pub types: ConsentTypes,
    pub granted_when: Vec<Wanted>,
    pub denied_when: Vec<Wanted>,
}

/// Whose hands a tag's data comes into, as the TCF counts them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Recipients {
    /// At least one of them is no TCF vendor, or nobody said that it is one: a TCF string alone grants them no ad type.
    #[default]
    Unregistered,
    /// All of them; never empty.
    Vendors(Box<[VendorId]>),
}
