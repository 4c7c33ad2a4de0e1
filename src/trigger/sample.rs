//! Sampling: a share of an event's visitors, always the same ones. Takes a [`Moment`]; says whether the key it finds there
//! is in, and the bucket that decided.
//!
//! The bucket of a key is the first eight bytes of the SHA-256 of `<salt>:<key>`, read as a number from 0 to 100 with four
//! decimals. Whoever has a bucket below the percentage is in, so that raising it keeps everybody who was in.

use std::{borrow::Cow, fmt};

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::{
    event,
    variable::{Moment, Piece, ValueTemplate},
};

/// Which share of the visitors is in.
#[derive(Debug)]
pub struct Sample {
    pub share: Percent,
    /// What tells visitors apart.
    pub key: ValueTemplate,
    /// Triggers of the same salt choose the same visitors.
    pub salt: Box<str>,
}

/// A percentage in steps of a ten-thousandth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u32);

/// Why a sample leaves somebody out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum SampledOut {
    Bucket {
        bucket: Percent,
        percent: Percent,
    },
    /// Nothing tells this visitor from others, so nobody can say who was in before.
    NoKey {
        percent: Percent,
    },
}

impl Sample {
    /// Whether this event is in.
    pub fn lets_in(&self, moment: &Moment<'_>) -> bool {
        let lets_in = || self.leaves_out(moment).is_none();
        moment.recall().map_or_else(lets_in, |recall| recall.ask(lets_in))
    }

    /// Why this event is left out; `None` if it is in.
    pub fn leaves_out(&self, moment: &Moment<'_>) -> Option<SampledOut> {
        let percent = self.share;
        let filled = moment.fill(&self.key);
        let has_key = match &self.key {
            ValueTemplate::Text(pieces) => pieces.iter().any(|piece| match piece {
                Piece::Variable(index) => has_text(moment.variable(*index)),
                Piece::Text(_) => false,
            }),
            _ => has_text(&filled),
        };
        let key = event::to_text(&filled).filter(|_| has_key);
        let Some(key) = key else { return Some(SampledOut::NoKey { percent }) };
        let bucket = Percent::bucket(&self.salt, key);
        (bucket >= percent).then_some(SampledOut::Bucket { bucket, percent })
    }
}

fn has_text(value: &serde_json::Value) -> bool {
    event::to_text(value).is_some_and(|text| !text.is_empty())
}

impl Percent {
    const STEPS: u32 = 10_000;
    const ALL: Self = Self(100 * Self::STEPS);

    /// `None` for a number outside of 0 to 100, and for one of more than four decimals.
    pub fn new(number: f64) -> Option<Self> {
        let steps = number * f64::from(Self::STEPS);
        let whole = steps.round();
        // A percentage such as 0.0007 is no whole number of steps in binary, but as good as one.
        let is_percentage = (0.0..=f64::from(Self::ALL.0)).contains(&whole) && (steps - whole).abs() < 1e-6;
        is_percentage.then_some(Self(whole as u32))
    }

    fn bucket(salt: &str, key: Cow<'_, str>) -> Self {
        let digest = Sha256::new().chain_update(salt).chain_update(":").chain_update(&*key).finalize();
        let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        // The product is less than ALL << 64.
        Self(((u128::from(number) * u128::from(Self::ALL.0)) >> 64) as u32)
    }
}

/// `73.2`, without needless zeros.
impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / Self::STEPS, self.0 % Self::STEPS);
        if rest == 0 {
            return whole.fmt(f);
        }
        write!(f, "{whole}.{}", format!("{rest:04}").trim_end_matches('0'))
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / f64::from(Self::STEPS))
    }
}

/// `bucket 73.2 of 10 %`
impl fmt::Display for SampledOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket { bucket, percent } => write!(f, "bucket {bucket} of {percent} %"),
            Self::NoKey { percent } => write!(f, "its key has no value, so it is not among {percent} %"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn percentages_are_exact_to_four_decimals() {
        for (number, shown) in
            [(0.0, "0"), (100.0, "100"), (10.0, "10"), (0.5, "0.5"), (33.3333, "33.3333"), (0.0007, "0.0007")]
        {
            assert_eq!(Percent::new(number).unwrap().to_string(), shown);
        }
        for number in [-0.1, 100.0001, 0.00001, f64::NAN, f64::INFINITY] {
            assert_eq!(Percent::new(number), None, "{number}");
        }
    }

    /// `printf 'checkout:visitor-1' | sha256sum` begins with these eight bytes.
    #[test]
    fn a_bucket_is_the_beginning_of_a_digest() {
        let bucket = Percent::bucket("checkout", "visitor-1".into());
        assert_eq!(bucket.to_string(), "16.1124");
    }

    #[test]
    fn as_many_are_in_as_was_asked_for() {
        let share = Percent::new(10.0).unwrap();
        let inside = (0..20_000).filter(|number| Percent::bucket("s", format!("v{number}").into()) < share).count();
        assert!((1_800..2_200).contains(&inside), "{inside} of 20000");
    }

    proptest! {
        #[test]
        fn every_key_has_a_bucket_below_all(salt in ".{0,8}", key in ".{0,8}") {
            prop_assert!(Percent::bucket(&salt, key.as_str().into()) < Percent::ALL);
        }
    }
}
