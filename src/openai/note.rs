//! What was left out, rounded or corrected, and why: takes a field and a reason from the mappings, gives lines for
//! the trace. A reason never holds the value itself, so that a note about a person's data is not a copy of it.

use std::{borrow::Cow, fmt};

use super::{event_type::ActionSource, money::MoneyError};

/// The remarks of one mapping, in the order in which they arose.
pub type Notes = Vec<Note>;

/// A remark about one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The field by its name in the event, such as `items[0].price`, or the logical one, such as `user.email`.
    pub field: Cow<'static, str>,
    pub reason: Reason,
}

impl Note {
    pub fn new(field: impl Into<Cow<'static, str>>, reason: Reason) -> Self {
        Self { field: field.into(), reason }
    }
}

/// `items[0].price: more decimals than the currency has: rounded half away from zero`.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

/// Why there can be no event at all: one field of it, and what is wrong there. The tag fails with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub Note);

impl Invalid {
    pub fn new(field: impl Into<Cow<'static, str>>, reason: Reason) -> Self {
        Self(Note::new(field, reason))
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Invalid {}

/// What became of a value, and why; its text is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    // Any field
    /// A required field that is missing.
    Missing,
    Empty,
    NotText,
    NotAnObject,
    NotAList,
    NotAScalar,
    /// More valid values than the API uses.
    TooMany(usize),
    /// A list longer than any honest one; only its beginning was read, so that notes and work stay bounded.
    TooLongAList(usize),
    /// More than this many characters.
    TooLong(usize),
    /// The API documents no such field for this kind of event or this user schema; says which.
    NotPartOf(&'static str),
    ReservedName,

    // Event names, sources and times
    UnknownEvent,
    NotACustomName,
    StandardName,
    UpperCaseName,
    WrongShape {
        expected: &'static str,
    },
    WrongActionSource(ActionSource),
    NotMilliseconds,
    NotJson,

    // Money and items
    Money(MoneyError),
    Rounded,
    NoCurrency,
    MixedCurrencies,
    NoAmount,
    Summed,
    NotSummed,
    NotAQuantity,
    NothingKnown,

    // Addresses and people
    NotAUrl,
    NotAnEmail,
    NotAPhone,
    HashedPhone,
    NotADigest,
    DigestOfNothing,
    NotACountry,
    NotAPostcode,
    NotAnIpAddress,
    NotAnAdvertisingId,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "required, and missing",
            Self::Empty => "empty",
            Self::NotText => "neither text nor a number",
            Self::NotAnObject => "not an object",
            Self::NotAList => "not a list",
            Self::NotAScalar => "neither text, number nor boolean",
            Self::TooMany(used) => return write!(f, "more values than the API uses: kept the first {used}"),
            Self::TooLongAList(read) => return write!(f, "a list too long: only the first {read} were read"),
            Self::TooLong(limit) => return write!(f, "more than {limit} characters: left out"),
            Self::NotPartOf(whole) => return write!(f, "not part of {whole}: left out"),
            Self::ReservedName => "the name of a field that the tag sets by other means: left out",
            Self::UnknownEvent => "no standard event corresponds to this event name",
            Self::NotACustomName => {
                "a custom event name has 1 to 64 letters, digits, `_` or `-`, and begins and ends with a letter or digit"
            }
            Self::StandardName => "a custom event may not have the name of a standard one",
            Self::UpperCaseName => "OpenAI advises lower-case names, and tells apart names that differ in case",
            Self::WrongShape { expected } => return write!(f, "this event type takes data of type `{expected}`"),
            Self::WrongActionSource(source) => return write!(f, "`{source}` cannot be where this event type happens"),
            Self::NotMilliseconds => "not a time in whole milliseconds since 1970",
            Self::NotJson => "cannot be written as JSON",
            Self::Money(error) => return error.fmt(f),
            Self::Rounded => "more decimals than the currency has: rounded half away from zero",
            Self::NoCurrency => "an amount without a currency: left out",
            Self::MixedCurrencies => "the items disagree about the currency: none chosen",
            Self::NoAmount => "a currency without an amount: left out",
            Self::Summed => "no value given: summed from the items",
            Self::NotSummed => "no value given, and not every item's price and quantity can be summed: left out",
            Self::NotAQuantity => "not a whole number from 0 up: left out",
            Self::NothingKnown => "an item with neither id, name, price, group nor variant: left out",
            Self::NotAUrl => "not an absolute http or https address: left out",
            Self::NotAnEmail => "not an e-mail address: left out",
            Self::NotAPhone => "not 8 to 15 digits once cleaned: left out",
            Self::HashedPhone => "a phone hashed by other rules than OpenAI's cannot match: left out",
            Self::NotADigest => "neither 64 hex digits nor 32 bytes of base64: left out",
            Self::DigestOfNothing => "the digest of empty text: left out",
            Self::NotACountry => "not an ISO 3166-1 alpha-2 code: left out",
            Self::NotAPostcode => "not 1 to 32 letters, digits, spaces and hyphens: left out",
            Self::NotAnIpAddress => "not an IP address: left out",
            Self::NotAnAdvertisingId => "not an Android advertising id, or one of zeros: left out",
        })
    }
}
