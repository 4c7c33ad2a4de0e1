//! The bits of one segment of a TCF string: fields, lists of vendors, publisher restrictions. Takes base64 characters,
//! six bits each; never allocates, and a field that the segment does not reach is `None`.

use super::VendorId;

/// A segment and how far it has been read.
#[derive(Clone, Copy, Debug)]
pub struct Bits<'t> {
    text: &'t [u8],
    /// Of the next bit.
    at: usize,
}

/// Whether a list of vendors holds one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    Yes,
    No,
    /// The segment ends within the list, before the vendor.
    CutShort,
}

/// A restriction that leaves a purpose to consent, which is what we go by; every other takes the purpose away.
const REQUIRES_CONSENT: u64 = 1;

impl<'t> Bits<'t> {
    pub fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0 }
    }

    pub fn is_base64(&self) -> bool {
        self.text.iter().all(|character| value(*character).is_some())
    }

    /// The next bits as a number, at most 57 of them.
    pub fn take(&mut self, length: usize) -> Option<u64> {
        let end = self.at.checked_add(length)?;
        let first = self.at / 6;
        let last = end.div_ceil(6);
        let characters = self.text.get(first..last)?;
        let number =
            characters.iter().try_fold(0_u64, |number, character| Some(number << 6 | u64::from(value(*character)?)))?;
        self.at = end;
        Some(number >> (6 * last - end) & ((1 << length) - 1))
    }

    /// Steps over a list of vendors and says whether it holds one: a bit for each, or ranges.
    pub fn take_vendors(&mut self, id: VendorId) -> Holds {
        let id = u64::from(id.0);
        let (Some(highest), Some(is_ranges)) = (self.take(16), self.take(1)) else { return Holds::CutShort };
        if is_ranges == 1 {
            return self.take_ranges(id);
        }
        let start = self.at;
        self.at = self.at.saturating_add(highest as usize);
        if id > highest {
            return Holds::No;
        }
        let mut bit = Self { text: self.text, at: start + id as usize - 1 };
        match bit.take(1) {
            Some(1) => Holds::Yes,
            Some(_) => Holds::No,
            None => Holds::CutShort,
        }
    }

    fn take_ranges(&mut self, id: u64) -> Holds {
        let Some(count) = self.take(12) else { return Holds::CutShort };
        let mut holds = Holds::No;
        for _ in 0..count {
            let (Some(is_range), Some(first)) = (self.take(1), self.take(16)) else { return Holds::CutShort };
            let last = if is_range == 1 { self.take(16) } else { Some(first) };
            let Some(last) = last else { return Holds::CutShort };
            if (first..=last).contains(&id) {
                holds = Holds::Yes;
            }
        }
        holds
    }

    /// The purposes that the publisher took away from a vendor, as bits by their numbers.
    pub fn take_restrictions(&mut self, id: VendorId) -> Option<u64> {
        let mut restricted = 0;
        for _ in 0..self.take(12)? {
            let (purpose, kind) = (self.take(6)?, self.take(2)?);
            match self.take_ranges(u64::from(id.0)) {
                Holds::Yes if kind != REQUIRES_CONSENT => restricted |= 1 << purpose,
                Holds::Yes | Holds::No => {}
                Holds::CutShort => return None,
            }
        }
        Some(restricted)
    }
}

/// Six bits. Both alphabets: some strings pass through software that changes `-_` to `+/`.
fn value(character: u8) -> Option<u8> {
    Some(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'-' | b'+' => 62,
        b'_' | b'/' => 63,
        _ => return None,
    })
}
