//! `gcd`, Google's newer consent signal: takes its text, such as `13r3r3r2r5l1`; gives, for four types, what was set by
//! default, by update, and by neither.
//!
//! `1`, then for `ad_storage`, `analytics_storage`, `ad_user_data` and `ad_personalization` an implicit and an explicit
//! character, then flags. A character stands for six bits; only the lower ones are consent, two for each setting: 2 is
//! denied, 3 granted, 0 and 1 not set. The explicit one has the default above the update. Letters are never compared
//! whole, because browsers send some with higher bits set.

use super::{ConsentStatus, ConsentType, Statement, Unreadable};

/// In the order of the string.
const TYPES: [ConsentType; 4] =
    [ConsentType::AdStorage, ConsentType::AnalyticsStorage, ConsentType::AdUserData, ConsentType::AdPersonalization];

/// A decoded `gcd`. Within it an update goes before the default of its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gcd {
    pub default: Statement,
    pub update: Statement,
    /// What Google assumes where the site set nothing: a grant here means that it has no Consent Mode.
    pub implicit: Statement,
}

pub fn decode(text: &str) -> Result<Gcd, Unreadable> {
    let [b'1', pairs @ ..] = text.as_bytes() else { return Err(Unreadable::WrongForm) };
    let mut gcd = Gcd::default();
    for (position, kind) in TYPES.into_iter().enumerate() {
        let [implicit, explicit] = pairs.get(2 * position..2 * position + 2).ok_or(Unreadable::CutShort)? else {
            return Err(Unreadable::CutShort);
        };
        let (implicit, explicit) = (bits(*implicit)?, bits(*explicit)?);
        gcd.implicit.set(kind, status(implicit));
        gcd.default.set(kind, status(explicit >> 2));
        gcd.update.set(kind, status(explicit));
    }
    Ok(gcd)
}

/// The number that a character stands for.
fn bits(character: u8) -> Result<u8, Unreadable> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'z' => Ok(character - b'a' + 10),
        b'A'..=b'Z' => Ok(character - b'A' + 36),
        b'-' => Ok(62),
        b'_' => Ok(63),
        _ => Err(Unreadable::WrongForm),
    }
}

/// What the two lowest bits say.
fn status(bits: u8) -> ConsentStatus {
    match bits & 0b11 {
        2 => ConsentStatus::Denied,
        3 => ConsentStatus::Granted,
        _ => ConsentStatus::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use ConsentStatus::{Denied, Granted, Unknown};

    #[test]
    fn a_letter_holds_default_and_update() {
        for (letter, default, update) in [
            ('l', Unknown, Unknown),
            ('m', Unknown, Denied),
            ('n', Unknown, Granted),
            ('p', Denied, Unknown),
            ('q', Denied, Denied),
            ('r', Denied, Granted),
            ('t', Granted, Unknown),
            ('u', Granted, Denied),
            ('v', Granted, Granted),
        ] {
            let gcd = decode(&format!("13{letter}3l3l2l5l1")).expect("a gcd");
            assert_eq!(gcd.default.get(ConsentType::AdStorage), default, "{letter}");
            assert_eq!(gcd.update.get(ConsentType::AdStorage), update, "{letter}");
            assert_eq!(gcd.update.get(ConsentType::AnalyticsStorage), Unknown);
        }
    }

    #[test]
    fn each_type_has_its_place() {
        let gcd = decode("13p3t2r1v5l1").expect("a gcd");
        let default = [Denied, Granted, Denied, Granted];
        let update = [Unknown, Unknown, Granted, Granted];
        let implicit = [Granted, Granted, Denied, Unknown];
        for (position, kind) in TYPES.into_iter().enumerate() {
            assert_eq!(gcd.default.get(kind), default[position], "{kind}");
            assert_eq!(gcd.update.get(kind), update[position], "{kind}");
            assert_eq!(gcd.implicit.get(kind), implicit[position], "{kind}");
        }
        assert_eq!(gcd.default.get(ConsentType::SecurityStorage), Unknown);
    }

    #[test]
    fn higher_bits_are_not_consent() {
        // P, X and Z are 51, 59 and 61: in their lower four bits the same as 3, b and d.
        for (upper, lower) in [('P', '3'), ('X', 'b'), ('Z', 'd')] {
            assert_eq!(decode(&format!("13{upper}3l3l2l5")), decode(&format!("13{lower}3l3l2l5")), "{upper}");
            assert_eq!(decode(&format!("1{upper}l3l3l2l5")), decode(&format!("1{lower}l3l3l2l5")), "{upper}");
        }
    }

    #[test]
    fn the_end_may_be_missing_and_the_types_may_not() {
        assert_eq!(decode("13r3r3r2r"), decode("13r3r3r2r5l1"));
        for (text, fault) in [
            ("", Unreadable::WrongForm),
            ("1", Unreadable::CutShort),
            ("11111", Unreadable::CutShort),
            ("13r3r3r2", Unreadable::CutShort),
            ("G111", Unreadable::WrongForm),
            ("03r3r3r2r5l1", Unreadable::WrongForm),
            ("13r3r3r2~5l1", Unreadable::WrongForm),
            ("13é3r3r2r5l1", Unreadable::WrongForm),
        ] {
            assert_eq!(decode(text), Err(fault), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "1?.*") {
            let _ = decode(&text);
        }

        #[test]
        fn what_is_in_the_alphabet_is_read(text in "1[0-9a-zA-Z_-]{8,20}") {
            prop_assert!(decode(&text).is_ok());
        }
    }
}
