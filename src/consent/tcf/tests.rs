use proptest::prelude::*;

use super::*;
use ConsentStatus::{Denied, Granted, Unknown};

/// Writes strings, so that each field can be wrong by itself.
struct Writer(Vec<bool>);

impl Writer {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn put(mut self, length: usize, value: u64) -> Self {
        self.0.extend((0..length).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    fn text(&self) -> String {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let number =
            |bits: &[bool]| (0..6).fold(0, |number, at| number << 1 | usize::from(bits.get(at) == Some(&true)));
        self.0.chunks(6).map(|bits| char::from(ALPHABET[number(bits)])).collect()
    }
}

/// 1 November 2025, when strings need not say who was disclosed.
const BEFORE: u64 = 17_619_552_000;

fn core(made: u64, purposes: &[u64]) -> Writer {
    let bits = purposes.iter().fold(0, |bits, purpose| bits | 1 << (24 - purpose));
    let head =
        Writer::new().put(6, 2).put(36, made).put(36, made).put(12 + 12 + 6 + 12 + 12, 0).put(6 + 1 + 1 + 12, 4 << 14);
    head.put(24, bits).put(24, 0).put(1 + 12, 0)
}

/// A list with a bit for each vendor.
fn bitfield(writer: Writer, highest: u64, ids: &[u64]) -> Writer {
    let writer = writer.put(16, highest).put(1, 0);
    (1..=highest).fold(writer, |writer, id| writer.put(1, u64::from(ids.contains(&id))))
}

fn ranges(writer: Writer, ranges: &[(u64, u64)]) -> Writer {
    let writer = writer.put(12, ranges.len() as u64);
    ranges.iter().fold(writer, |writer, (first, last)| match first == last {
        true => writer.put(1, 0).put(16, *first),
        false => writer.put(1, 1).put(16, *first).put(16, *last),
    })
}

const ALL: [u64; 4] = [1, 3, 4, 7];

/// Consent for all purposes to vendors 7 and 9, without restrictions.
fn usual(made: u64) -> Writer {
    bitfield(bitfield(core(made, &ALL), 10, &[7, 9]), 0, &[]).put(12, 0)
}

fn disclosed(ids: &[u64]) -> String {
    bitfield(Writer::new().put(3, 1), 12, ids).text()
}

fn vendor(text: &str, id: u16) -> Vendor {
    decode(text).expect(text).vendor(VendorId(id))
}

#[test]
fn purposes_map_to_types_as_google_maps_them() {
    for (purposes, storage, user_data, personalization) in [
        (&ALL[..], Granted, Granted, Granted),
        (&[3, 4, 7], Denied, Denied, Granted),
        (&[1, 3, 4], Granted, Denied, Granted),
        (&[1, 4, 7], Granted, Granted, Denied),
        (&[1, 3, 7], Granted, Granted, Denied),
        (&[1], Granted, Denied, Denied),
        (&[], Denied, Denied, Denied),
    ] {
        let text = bitfield(bitfield(core(BEFORE, purposes), 9, &[9]), 0, &[]).put(12, 0).text();
        let string = decode(&text).expect("a string");
        let expected = [
            (ConsentType::AdStorage, storage),
            (ConsentType::AdUserData, user_data),
            (ConsentType::AdPersonalization, personalization),
        ];
        for (kind, status) in expected {
            assert_eq!(string.for_vendor(VendorId(9)).get(kind), status, "{purposes:?}: {kind}");
            let general = if status == Granted { Unknown } else { Denied };
            assert_eq!(string.in_general().get(kind), general, "{purposes:?}: {kind}, whoever receives it");
            assert_eq!(
                string.for_vendor(VendorId(8)).get(kind),
                Denied,
                "{purposes:?}: {kind}, a vendor without consent"
            );
        }
        assert_eq!(string.for_vendor(VendorId(9)).get(ConsentType::AnalyticsStorage), Unknown);
    }
}

#[test]
fn vendors_stand_in_a_field_of_bits_or_in_ranges() {
    let text = usual(BEFORE).text();
    for id in 0..=20 {
        let expected = if matches!(id, 7 | 9) { Vendor::Consented { restricted: 0 } } else { Vendor::NoConsent };
        assert_eq!(vendor(&text, id), expected, "{id}");
    }
    let listed = ranges(core(BEFORE, &ALL).put(16, 65_535).put(1, 1), &[(3, 3), (10, 12), (65_535, 65_535), (9, 2)]);
    let text = bitfield(listed, 0, &[]).put(12, 0).text();
    for (id, is_listed) in
        [(0, false), (2, false), (3, true), (4, false), (5, false), (10, true), (12, true), (13, false), (65_535, true)]
    {
        assert_eq!(vendor(&text, id) == Vendor::Consented { restricted: 0 }, is_listed, "{id}");
    }
}

#[test]
fn legitimate_interest_is_no_consent() {
    let text = bitfield(bitfield(core(BEFORE, &ALL), 9, &[9]), 9, &[8]).put(12, 0).text();
    assert_eq!(vendor(&text, 9), Vendor::Consented { restricted: 0 });
    assert_eq!(vendor(&text, 8), Vendor::NoConsent);
}

#[test]
fn a_publisher_takes_purposes_away() {
    let base = || bitfield(bitfield(core(BEFORE, &ALL), 9, &[8, 9]), 9, &[9]);
    for (kind, restricted) in [(0, true), (1, false), (2, true), (3, true)] {
        let text = ranges(base().put(12, 1).put(6, 7).put(2, kind), &[(9, 9)]).text();
        assert_eq!(vendor(&text, 9), Vendor::Consented { restricted: if restricted { 1 << 7 } else { 0 } }, "{kind}");
        assert_eq!(vendor(&text, 8), Vendor::Consented { restricted: 0 }, "{kind}");
        let said = decode(&text).expect("a string").for_vendor(VendorId(9));
        assert_eq!(said.get(ConsentType::AdUserData), if restricted { Denied } else { Granted }, "{kind}");
        assert_eq!(said.get(ConsentType::AdStorage), Granted, "{kind}");
    }
    let several =
        ranges(ranges(base().put(12, 2).put(6, 1).put(2, 0), &[(1, 8)]).put(6, 4).put(2, 0), &[(2, 3), (8, 9)]);
    assert_eq!(vendor(&several.text(), 8), Vendor::Consented { restricted: 1 << 1 | 1 << 4 });
    assert_eq!(vendor(&several.text(), 9), Vendor::Consented { restricted: 1 << 4 });
}

#[test]
fn from_march_2026_on_a_string_says_who_was_disclosed() {
    let old = usual(BEFORE).text();
    let new = usual(DISCLOSURE_REQUIRED).text();
    assert_eq!(vendor(&old, 7), Vendor::Consented { restricted: 0 });
    assert_eq!(vendor(&new, 7), Vendor::NotDisclosed);
    assert_eq!(vendor(&usual(DISCLOSURE_REQUIRED - 1).text(), 7), Vendor::Consented { restricted: 0 });
    for core in [&old, &new] {
        assert_eq!(vendor(&format!("{core}.{}", disclosed(&[7, 8])), 7), Vendor::Consented { restricted: 0 });
        assert_eq!(vendor(&format!("{core}.{}", disclosed(&[7, 8])), 8), Vendor::NoConsent);
        assert_eq!(vendor(&format!("{core}.{}", disclosed(&[8])), 7), Vendor::NotDisclosed);
        // Among others, in any order: allowed vendors, the publisher's own purposes.
        let others = format!(
            "{core}.{}.{}.{}",
            bitfield(Writer::new().put(3, 2), 9, &[1]).text(),
            "YAAAAAAAAAAA",
            disclosed(&[7])
        );
        assert_eq!(vendor(&others, 7), Vendor::Consented { restricted: 0 });
    }
}

#[test]
fn what_a_string_does_not_reach_is_not_granted() {
    let whole = usual(BEFORE).text();
    for length in 0..whole.len() {
        match decode(&whole[..length]) {
            Err(fault) => assert_eq!(fault, Unreadable::CutShort, "{length}"),
            Ok(string) => assert_eq!(string.vendor(VendorId(9)), Vendor::CutShort, "{length}"),
        }
    }
    assert_eq!(decode(&format!("{whole}.I")).map(|string| string.vendor(VendorId(9))), Ok(Vendor::CutShort));
}

#[test]
fn padding_and_the_other_alphabet_are_forgiven() {
    let text = bitfield(bitfield(core(BEFORE, &ALL), 60, &(1..=60).collect::<Vec<_>>()), 0, &[]).put(12, 0).text();
    assert!(text.contains('_'));
    assert_eq!(vendor(&text.replace('_', "/").replace('-', "+"), 60), Vendor::Consented { restricted: 0 });
    assert_eq!(vendor(&format!("{text}=="), 60), Vendor::Consented { restricted: 0 });
}

#[test]
fn what_is_no_string_of_version_2_says_which() {
    for (text, fault) in [
        ("", Unreadable::CutShort),
        ("C", Unreadable::CutShort),
        ("BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA", Unreadable::TcfV1),
        ("DBABMA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA", Unreadable::WrongForm),
        ("DBABMACPXxRfAPXxRf", Unreadable::TcfVersion),
        ("C O", Unreadable::WrongForm),
        ("{}", Unreadable::WrongForm),
        ("Cé", Unreadable::WrongForm),
    ] {
        assert_eq!(decode(text).map(|_| ()), Err(fault), "{text}");
    }
    assert_eq!(decode(&"C".repeat(MAX_LENGTH + 1)).map(|_| ()), Err(Unreadable::TooLong));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "C?[A-Za-z0-9_.=-]{0,200}|.*", id in any::<u16>()) {
        if let Ok(string) = decode(&text) {
            string.vendor(VendorId(id));
            string.in_general();
        }
    }

    #[test]
    fn any_lists_are_read(tail in prop::collection::vec(any::<bool>(), 0..600), id in any::<u16>()) {
        let text = tail.iter().fold(core(BEFORE, &ALL), |writer, bit| writer.put(1, u64::from(*bit))).text();
        let string = decode(&text).expect("a string");
        let said = string.for_vendor(VendorId(id));
        if string.vendor(VendorId(id)) == Vendor::CutShort {
            prop_assert_eq!(said.get(ConsentType::AdStorage), Denied);
        }
    }
}
