//! Variables that are there without being looked for in anything: what the request and the container are, random numbers,
//! instants. Takes a [`Moment`]; gives the value. Nothing here asks for randomness or the time: numbers come from the
//! hit's id, which an edge drew, and instants from the hit and the event.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Moment;
use crate::time::Timestamp;

/// GTM's built-in variables, and some that it lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    ClientAddress,
    ClientName,
    ContainerVersion,
    EventId,
    EventName,
    QueryString,
    RequestHost,
    RequestMethod,
    RequestPath,
    UndefinedValue,
}

impl BuiltIn {
    pub(super) fn value(self, moment: &Moment<'_>) -> Option<Value> {
        let hit = moment.hit;
        match self {
            Self::ClientAddress => hit.address.map(|address| address.to_string().into()),
            Self::ClientName => Some(moment.given.client.name().into()),
            Self::ContainerVersion => Some((&*moment.container.version).into()),
            Self::EventId => Some((&*moment.event.id.text).into()),
            Self::EventName => Some((&*moment.event.name).into()),
            Self::QueryString => (!hit.query.is_empty()).then(|| (&*hit.query).into()),
            Self::RequestHost => (!hit.host.is_empty()).then(|| (&*hit.host).into()),
            Self::RequestMethod => Some(hit.method.as_str().into()),
            Self::RequestPath => Some((&*hit.path).into()),
            Self::UndefinedValue => None,
        }
    }
}

/// A whole number, both bounds among the possible ones. Every variable has one of its own an event, and a moment of a
/// changed event has the same.
#[derive(Debug)]
pub struct RandomNumber {
    /// The variable's name: it tells the numbers of one event apart.
    pub name: Box<str>,
    pub min: i64,
    /// Not below `min`.
    pub max: i64,
}

impl RandomNumber {
    pub(super) fn draw(&self, moment: &Moment<'_>) -> i64 {
        let mut digest = Sha256::new_with_prefix(moment.hit.id.0.as_bytes());
        for part in [&*moment.event.name, &*moment.event.id.text, &*self.name] {
            digest.update(part);
            digest.update([0]);
        }
        let bits = digest.finalize().iter().take(8).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        self.within(bits)
    }

    /// All 64 bits spread over the range.
    fn within(&self, bits: u64) -> i64 {
        let numbers = u128::from(self.max.abs_diff(self.min)) + 1;
        let above = (u128::from(bits) * numbers) >> 64;
        let number = u64::try_from(above).ok().and_then(|above| self.min.checked_add_unsigned(above));
        number.unwrap_or(self.max)
    }
}

/// An instant, and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOf {
    pub point: PointInTime,
    pub form: TimeForm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointInTime {
    /// When the event happened.
    Event,
    /// When the hit arrived.
    Received,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeForm {
    /// Since 1970.
    Milliseconds,
    /// Since 1970, whole ones.
    Seconds,
    /// RFC 3339 in UTC.
    Iso,
}

impl TimeOf {
    pub(super) fn value(self, moment: &Moment<'_>) -> Value {
        let time: Timestamp = match self.point {
            PointInTime::Event => moment.event.time,
            PointInTime::Received => moment.hit.received,
        };
        match self.form {
            TimeForm::Milliseconds => time.0.into(),
            TimeForm::Seconds => time.0.div_euclid(1000).into(),
            TimeForm::Iso => time.to_string().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_stay_within_their_bounds(bits: u64, a: i64, b: i64) {
            let number = RandomNumber { name: "n".into(), min: a.min(b), max: a.max(b) };
            prop_assert!((number.min..=number.max).contains(&number.within(bits)));
        }
    }

    #[test]
    fn bounds_are_reached() {
        let number = RandomNumber { name: "n".into(), min: 1, max: 6 };
        assert_eq!((number.within(0), number.within(u64::MAX)), (1, 6));
    }
}
