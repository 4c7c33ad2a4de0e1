//! TCF strings of IAB Europe, versions 2.0 to 2.3: takes the text; gives what it says of the ad types, in general and for
//! one vendor.
//!
//! Read leniently, and no further than needed: real strings have lists of the wrong length, a CMP of number 0, padding.
//! What a string does not reach is not granted. Purposes count by consent alone, never by legitimate interest, because
//! which of the two a vendor may rely on stands in a list that is not here.
//!
//! Sources: IAB Tech Lab, "Consent string and vendor list formats v2", and Google's "TCF integration with Consent Mode",
//! both as of 2026.

use super::{ConsentStatus, ConsentType, Statement, Unreadable};

mod bits;

use bits::Bits;
pub use bits::Holds;

/// Far longer than a string that names every vendor one by one.
const MAX_LENGTH: usize = 16 * 1024;
/// From this moment on strings must say which vendors were disclosed (TCF 2.3): the end of 28 February 2026, in tenths
/// of a second.
const DISCLOSURE_REQUIRED: u64 = 17_723_232_000;

/// A vendor's number in the Global Vendor List.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VendorId(pub u16);

/// A TCF string whose beginning could be read.
#[derive(Clone, Copy, Debug)]
pub struct TcString<'t> {
    purposes: u64,
    /// When it was made or last changed, whichever is later, in tenths of a second.
    made: u64,
    /// The list of vendors that have consent, and all that follows it in the first segment.
    vendors: Bits<'t>,
    disclosed: Option<Bits<'t>>,
}

/// What a string says of one vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// It has consent for what the purposes allow. Bit `n` is set if the publisher took purpose `n` away.
    Consented {
        restricted: u64,
    },
    NoConsent,
    /// The vendor was not shown to the visitor, or the string should say who was and does not.
    NotDisclosed,
    /// The string ends before it says so.
    CutShort,
}

pub fn decode(text: &str) -> Result<TcString<'_>, Unreadable> {
    if text.len() > MAX_LENGTH {
        return Err(Unreadable::TooLong);
    }
    let mut segments = text.split('.').map(|segment| Bits::new(segment.trim_end_matches('=').as_bytes()));
    let mut core = segments.next().ok_or(Unreadable::CutShort)?;
    if !core.is_base64() {
        return Err(Unreadable::WrongForm);
    }
    match core.take(6).ok_or(Unreadable::CutShort)? {
        2 => {}
        1 => return Err(Unreadable::TcfV1),
        _ => return Err(Unreadable::TcfVersion),
    }
    let mut field = |length| core.take(length).ok_or(Unreadable::CutShort);
    let made = field(36)?.max(field(36)?);
    // The CMP and its version, screen, language, vendor list; policy; two flags; special features.
    let (_, _) = (field(12 + 12 + 6 + 12 + 12)?, field(6 + 1 + 1 + 12)?);
    let purposes = field(24)?;
    // Purposes by legitimate interest; whether purpose 1 was asked for, and the publisher's country.
    let (_, _) = (field(24)?, field(1 + 12)?);
    let disclosed =
        segments.find_map(|mut segment| (segment.is_base64() && segment.take(3) == Some(1)).then_some(segment));
    Ok(TcString { purposes, made, vendors: core, disclosed })
}

impl TcString<'_> {
    /// Whether the visitor consented to a purpose, 1 to 24.
    pub fn purpose(&self, number: u32) -> bool {
        (1..=24).contains(&number) && self.purposes >> (24 - number) & 1 == 1
    }

    /// What the string says of the ad types whoever the vendor is: it can deny them. Where it does not, it depends on
    /// the vendor, and the type is unknown.
    pub fn in_general(&self) -> Statement {
        let mut said = self.by_purposes(0);
        for kind in ConsentType::AD {
            if said.get(kind) == ConsentStatus::Granted {
                said.set(kind, ConsentStatus::Unknown);
            }
        }
        said
    }

    /// What the string says of the ad types for a vendor.
    pub fn for_vendor(&self, id: VendorId) -> Statement {
        match self.vendor(id) {
            Vendor::Consented { restricted } => self.by_purposes(restricted),
            Vendor::NoConsent | Vendor::NotDisclosed | Vendor::CutShort => {
                Statement::of(&ConsentType::AD, ConsentStatus::Denied)
            }
        }
    }

    /// Whether the string's list of vendors with consent holds one, whatever else it says of them.
    pub fn consents(&self, id: VendorId) -> Holds {
        let mut list = self.vendors;
        list.take_vendors(id)
    }

    /// Whether the string says that a vendor was shown to the visitor; `None` if it does not say who was.
    pub fn disclosed(&self, id: VendorId) -> Option<Holds> {
        self.disclosed.map(|mut list| list.take_vendors(id))
    }

    pub fn vendor(&self, id: VendorId) -> Vendor {
        if id.0 == 0 {
            return Vendor::NoConsent;
        }
        match self.disclosed(id) {
            Some(Holds::Yes) => {}
            None if self.made < DISCLOSURE_REQUIRED => {}
            Some(Holds::No) | None => return Vendor::NotDisclosed,
            Some(Holds::CutShort) => return Vendor::CutShort,
        }
        let mut rest = self.vendors;
        match rest.take_vendors(id) {
            Holds::Yes => {}
            Holds::No => return Vendor::NoConsent,
            Holds::CutShort => return Vendor::CutShort,
        }
        // The vendors with a legitimate interest lie in between.
        if rest.take_vendors(id) == Holds::CutShort {
            return Vendor::CutShort;
        }
        match rest.take_restrictions(id) {
            Some(restricted) => Vendor::Consented { restricted },
            None => Vendor::CutShort,
        }
    }

    /// As Google maps purposes to Consent Mode.
    fn by_purposes(&self, restricted: u64) -> Statement {
        let allowed = |number: u32| self.purpose(number) && restricted >> number & 1 == 0;
        let status = |all: &[u32]| {
            if all.iter().all(|number| allowed(*number)) { ConsentStatus::Granted } else { ConsentStatus::Denied }
        };
        let mut said = Statement::default();
        said.set(ConsentType::AdStorage, status(&[1]));
        said.set(ConsentType::AdUserData, status(&[1, 7]));
        said.set(ConsentType::AdPersonalization, status(&[3, 4]));
        said
    }
}

#[cfg(test)]
mod tests;
