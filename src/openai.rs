//! `OpenAI`'s shapes: what its Conversions API wants to be told, made from event data. Pure functions, which the
//! `openai::` functions of the tag scripts wrap; nothing here reads a clock, a header or the network.
//!
//! Takes event data with its keys named as in GA4 and sGTM, and gives the parts of one element of the request's
//! `events`, in the order in which a tag needs them:
//!
//! 1. [`event_type`]: which standard or custom event it is, and so which data shape it has
//! 2. [`data`]: the `data` object, with [`money`] in minor units and [`contents`] from the items
//! 3. [`source_url`] and [`oppref`]: the page, and the click that led to it
//! 4. [`user`]: the `user` object, normalised and hashed ([`digest`](crate::digest))
//! 5. [`event`]: all of them put together and checked, as JSON text
//!
//! Every value that is left out, rounded or corrected on the way becomes a [`Note`] for the trace; what makes the
//! whole event wrong is an [`Invalid`]. Neither ever repeats the value. Bringing a value into the form that the API
//! documents (trimming, the case of an e-mail or currency, digests to lower-case hex) is not worth a note.
//!
//! Source of names, limits and rules: `OpenAI`'s documentation, <https://developers.openai.com/ads/conversions-api>
//! and `supported-events` next to it, as of September 2026.

use std::borrow::Cow;

use serde_json::{Map, Value};

pub mod contents;
pub mod data;
pub mod event;
pub mod event_type;
pub mod money;
pub mod note;
pub mod oppref;
pub mod source_url;
pub mod user;

pub use note::{Invalid, Note, Notes, Reason};

/// Where the value of one field comes from. A tag may replace or switch off every field that is mapped by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Source<'a> {
    /// The event's own keys.
    #[default]
    Event,
    /// Nothing: the field is left out.
    Off,
    /// This value in place of the event's. `null` (a variable that found nothing) leaves the field out; it does not
    /// bring the event's value back, which the tag's author had replaced.
    Value(&'a Value),
}

/// A key's value, unless it is `null`, which means the same as no key.
fn present<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    map.get(key).filter(|value| !value.is_null())
}

/// A scalar as text: trimmed text, or the digits of a number (12345.0 is `12345`). `None` if it is blank, which means the
/// same as no value.
fn scalar_text(value: &Value) -> Result<Option<Cow<'_, str>>, Reason> {
    const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::String(text) => Ok(Some(text.trim()).filter(|text| !text.is_empty()).map(Cow::Borrowed)),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < EXACT_INTEGERS => {
                Ok(Some(Cow::Owned(format!("{float:.0}"))))
            }
            _ => Ok(Some(Cow::Owned(number.to_string()))),
        },
        _ => Err(Reason::NotText),
    }
}
