//! SHA-256 digests and hex: takes text, or a digest that somebody made already in any of the spellings that sites use;
//! gives a [`Digest`], written as 64 lower-case hex digits. [`hex`] writes any other bytes so.

use std::fmt;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    prelude::{BASE64_STANDARD_NO_PAD as STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD},
};
use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The bytes that a text in base64 stands for, of either alphabet, padded or not.
pub fn base64_bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

/// A SHA-256 digest; displayed and serialised as lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of empty text, which sites send for want of a value. It would make all such visitors one person.
    const OF_NOTHING: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae,
        0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ]);

    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// A digest written as 64 hex digits of either case.
    pub fn from_hex(text: &str) -> Option<Self> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
        let mut bytes = [0; 32];
        if pairs.len() != bytes.len() {
            return None;
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = hex_value(*high)? << 4 | hex_value(*low)?;
        }
        Some(Self(bytes))
    }

    /// A digest in any of its spellings.
    pub fn read(text: &str) -> Option<Self> {
        Self::from_hex(text).or_else(|| Self::from_base64(text))
    }

    /// A digest written as base64 of its 32 bytes, of either alphabet, padded or not.
    pub fn from_base64(text: &str) -> Option<Self> {
        // 32 bytes are 43 digits and one sign of padding.
        if !matches!(text.len(), 43 | 44) {
            return None;
        }
        let mut buffer = [0; 36];
        let decode = |engine: GeneralPurpose, buffer: &mut [u8]| engine.decode_slice(text, buffer).ok();
        let length = decode(STANDARD, &mut buffer).or_else(|| decode(URL_SAFE, &mut buffer))?;
        buffer.get(..length)?.try_into().ok().map(Self)
    }

    /// The digest in base64 as others write it, in either alphabet, without the padding.
    pub fn base64(&self) -> [String; 2] {
        [STANDARD_NO_PAD, URL_SAFE_NO_PAD].map(|engine| engine.encode(self.0))
    }

    pub fn is_of_nothing(&self) -> bool {
        *self == Self::OF_NOTHING
    }

    fn hex(&self) -> [u8; 64] {
        let mut hex = [0; 64];
        for (pair, byte) in hex.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        }
        hex
    }
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.hex()).unwrap_or_default())
    }
}

/// A digest stands for a person: it is not for logs.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(•••)")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.hex()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_documented_digests() {
        for (text, expected) in [
            ("ada@example.com", "b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72"),
            ("40746123456", "af9e136cc1c34ac87999ef8bd28b3d15c08a75b9ae1c2018b39c0f37c23296bd"),
            ("CUST-00042", "382211e688c29ae2dcce0b401999831aec27161d9bc0ffd092545a828a18bbc8"),
            ("oneill", "fa0fd24b2d0175a5c48e1b82f4d707a8a95f5279c4abdc43fa2f19d8e30eb47d"),
            ("ștefănescu", "1c43886f1047ed5dfae59c0945ff61475b7df3a912312a6484ce80429df049a1"),
        ] {
            assert_eq!(Digest::of(text).to_string(), expected, "{text}");
        }
        assert!(Digest::of("").is_of_nothing());
    }

    #[test]
    fn what_is_no_digest() {
        let hex = Digest::of("x").to_string();
        for text in
            ["", "ada@example.com", &hex[1..], &format!("{hex}0"), &hex.replace(|c: char| c.is_ascii_digit(), "g")]
        {
            assert_eq!(Digest::from_hex(text), None, "{text}");
        }
        let of_33_bytes = BASE64_STANDARD.encode([7; 33]);
        let mixed_alphabets = BASE64_STANDARD.encode([0xfb; 32]).replacen('+', "-", 1);
        for text in ["", &of_33_bytes, &mixed_alphabets, &"a".repeat(43), &"é".repeat(22), &"=".repeat(44)] {
            assert_eq!(Digest::from_base64(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_digest_in_any_spelling_stays_what_it_is(bytes: [u8; 32]) {
            let digest = Digest(bytes);
            let hex = digest.to_string();
            prop_assert_eq!(&super::hex(&bytes), &hex);
            prop_assert_eq!(Digest::from_hex(&hex), Some(digest));
            prop_assert_eq!(Digest::from_hex(&hex.to_uppercase()), Some(digest));
            prop_assert_eq!(serde_json::to_value(digest).unwrap(), hex);
            for engine in [BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD] {
                prop_assert_eq!(Digest::read(&engine.encode(bytes)), Some(digest));
            }
        }

        #[test]
        fn never_panics(text in ".*") {
            Digest::read(&text);
        }
    }
}
