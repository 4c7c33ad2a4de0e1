//! Consent defaults by region: takes where the visitor is, as far as a trusted proxy said, and lists of defaults; gives
//! what holds there.
//!
//! The most specific region decides, type by type. Where it is not known whether a default applies, because the country
//! or its subdivision is not known, it counts if it denies and not if it grants.

use std::fmt;

use serde::Serialize;

use super::{ConsentStatus, ConsentType, Statement};

/// A country or one of its subdivisions, by its code in ISO 3166-2, such as `ES` or `US-CA`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region {
    country: [u8; 2],
    /// Zeroes where there is none.
    subdivision: [u8; 3],
}

impl Region {
    /// Reads a code, in any case. `None` for what has another form, and for the codes that stand for no country: `XX`
    /// and `ZZ`, which proxies send where they do not know, and `T1`, which is Tor.
    pub fn parse(code: &str) -> Option<Self> {
        let code = code.trim();
        let (country, subdivision) = match code.split_once(['-', '_']) {
            Some((country, subdivision)) => (country, subdivision),
            None => (code, ""),
        };
        let &[first, second] = country.as_bytes() else { return None };
        let is_code = first.is_ascii_alphabetic() && second.is_ascii_alphabetic() && !code.ends_with(['-', '_']);
        let country = [first, second].map(|letter| letter.to_ascii_uppercase());
        if !is_code || matches!(&country, b"XX" | b"ZZ") {
            return None;
        }
        Self { country, subdivision: [0; 3] }.within(subdivision)
    }

    /// A subdivision of this country, by the second part of its code or by the whole of it; this country if it is empty.
    pub fn within(self, subdivision: &str) -> Option<Self> {
        let subdivision = subdivision.trim();
        if subdivision.contains('-') {
            return Self::parse(subdivision).filter(|region| region.country == self.country);
        }
        let mut letters = [0; 3];
        let given = subdivision.as_bytes();
        letters.get_mut(..given.len())?.copy_from_slice(given);
        let is_code = given.iter().all(u8::is_ascii_alphanumeric);
        is_code.then(|| Self { country: self.country, subdivision: letters.map(|letter| letter.to_ascii_uppercase()) })
    }

    fn has_subdivision(self) -> bool {
        self.subdivision != [0; 3]
    }

    fn country(self) -> Self {
        Self { subdivision: [0; 3], ..self }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = |f: &mut fmt::Formatter<'_>, code: &[u8]| {
            code.iter().filter(|letter| **letter != 0).try_for_each(|letter| write!(f, "{}", char::from(*letter)))
        };
        letters(f, &self.country)?;
        if self.has_subdivision() {
            f.write_str("-")?;
            letters(f, &self.subdivision)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Region {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where the visitor is, or why that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "region", rename_all = "snake_case")]
pub enum Whereabouts {
    /// The container names no header that says it.
    #[default]
    NotAsked,
    Known(Region),
    NotReceived,
    /// The header came from someone who is no trusted proxy.
    NotTrusted,
    /// The header names no region.
    NotARegion,
}

impl Whereabouts {
    fn region(self) -> Option<Region> {
        match self {
            Self::Known(region) => Some(region),
            Self::NotAsked | Self::NotReceived | Self::NotTrusted | Self::NotARegion => None,
        }
    }
}

/// For a sentence: "region …".
impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("unknown: consent.region_header names no header"),
            Self::Known(region) => region.fmt(f),
            Self::NotReceived => f.write_str("unknown: no header received"),
            Self::NotTrusted => f.write_str("unknown: the header did not come from a trusted proxy"),
            Self::NotARegion => f.write_str("unknown: the header names no region"),
        }
    }
}

/// Where a default applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Wherever no region's default speaks.
    Elsewhere,
    Region(Region),
    /// A region that the page meant and did not name.
    Unreadable,
}

/// A default and where it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionalDefault {
    pub scope: Scope,
    pub said: Statement,
}

/// How sure it is that a default applies. Later ones are stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    No,
    Elsewhere,
    Country,
    Subdivision,
    /// The visitor may be there.
    Perhaps,
}

impl Scope {
    fn fit(self, visitor: Option<Region>) -> Fit {
        let own = match self {
            Self::Elsewhere => return Fit::Elsewhere,
            Self::Region(own) => own,
            Self::Unreadable => return Fit::Perhaps,
        };
        match visitor {
            None => Fit::Perhaps,
            Some(visitor) if own == visitor && own.has_subdivision() => Fit::Subdivision,
            Some(visitor) if own == visitor.country() => Fit::Country,
            Some(visitor) if own.country() == visitor => Fit::Perhaps,
            Some(_) => Fit::No,
        }
    }
}

/// What a list of defaults says of a type, and how well what it goes by fits; equally good ones by the strictest.
pub fn default_of(list: &[RegionalDefault], kind: ConsentType, whereabouts: Whereabouts) -> (Fit, ConsentStatus) {
    let visitor = whereabouts.region();
    let mut best = (Fit::No, ConsentStatus::Unknown);
    for default in list {
        let status = default.said.get(kind);
        let fit = match default.scope.fit(visitor) {
            Fit::Perhaps if status == ConsentStatus::Granted => Fit::No,
            fit => fit,
        };
        if status == ConsentStatus::Unknown || fit == Fit::No || fit < best.0 {
            continue;
        }
        best = if fit > best.0 { (fit, status) } else { (fit, status.strictest(best.1)) };
    }
    best
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use ConsentStatus::{Denied, Granted, Unknown};

    fn region(code: &str) -> Region {
        Region::parse(code).expect(code)
    }

    #[test]
    fn codes_are_read_in_any_case_and_shown_in_theirs() {
        for (code, shown) in [
            ("ES", "ES"),
            ("es", "ES"),
            (" us-ca ", "US-CA"),
            ("GB-ENG", "GB-ENG"),
            ("fr_75", "FR-75"),
            ("AT-9", "AT-9"),
        ] {
            assert_eq!(region(code).to_string(), shown);
        }
        for code in ["", "E", "ESP", "E1", "XX", "zz", "T1", "ES-", "-CA", "US-CALI", "US-C!", "ÄÖ", "US-Ä", "US-CA-1"]
        {
            assert_eq!(Region::parse(code), None, "{code}");
        }
    }

    #[test]
    fn a_subdivision_comes_alone_or_with_its_country() {
        let us = region("US");
        assert_eq!(us.within("ca"), Some(region("US-CA")));
        assert_eq!(us.within("US-CA"), Some(region("US-CA")));
        assert_eq!(us.within(""), Some(us));
        assert_eq!(us.within("CA-BC"), None, "of another country");
        assert_eq!(us.within("Texas"), None);
    }

    fn list(entries: &[(&str, ConsentStatus)]) -> Vec<RegionalDefault> {
        let entry = |(code, status): &(&str, ConsentStatus)| RegionalDefault {
            scope: Region::parse(code).map_or(Scope::Elsewhere, Scope::Region),
            said: Statement::of(&[ConsentType::AdStorage], *status),
        };
        entries.iter().map(entry).collect()
    }

    fn decided(entries: &[(&str, ConsentStatus)], visitor: &str) -> ConsentStatus {
        let whereabouts = Region::parse(visitor).map_or(Whereabouts::NotReceived, Whereabouts::Known);
        default_of(&list(entries), ConsentType::AdStorage, whereabouts).1
    }

    #[test]
    fn the_most_specific_region_decides() {
        let entries = [("", Denied), ("US", Granted), ("US-CA", Denied), ("DE", Denied)];
        for (visitor, status) in
            [("US-CA", Denied), ("US-NY", Granted), ("DE", Denied), ("DE-BY", Denied), ("BR", Denied)]
        {
            assert_eq!(decided(&entries, visitor), status, "{visitor}");
        }
        assert_eq!(decided(&[("US", Denied), ("US-CA", Granted)], "US-CA"), Granted);
        assert_eq!(decided(&[("DE", Granted)], "FR"), Unknown);
        assert_eq!(
            decided(&[("DE", Granted), ("DE", Denied), ("DE", Granted)], "DE"),
            Denied,
            "the strictest of equals"
        );
    }

    #[test]
    fn where_it_may_apply_a_default_denies_and_does_not_grant() {
        assert_eq!(decided(&[("", Granted), ("DE", Denied)], ""), Denied, "the visitor may be in Germany");
        assert_eq!(decided(&[("", Denied), ("US", Granted)], ""), Denied);
        assert_eq!(decided(&[("US", Granted)], ""), Unknown);
        assert_eq!(decided(&[("US", Granted), ("US-CA", Denied)], "US"), Denied, "the visitor may be in California");
        assert_eq!(decided(&[("US", Denied), ("US-CA", Granted)], "US"), Denied);
        assert_eq!(decided(&[("US-CA", Denied)], "DE"), Unknown);
    }

    proptest! {
        #[test]
        fn any_text_is_a_region_or_none(code in ".*", subdivision in ".{0,6}") {
            if let Some(region) = Region::parse(&code) {
                prop_assert_eq!(Region::parse(&region.to_string()), Some(region));
            }
            let _ = region("US").within(&subdivision);
        }
    }
}
