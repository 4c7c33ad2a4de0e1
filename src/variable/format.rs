//! Formats: what is made of a variable's value in the end, as GTM's "Format Value" does. Takes what was found, if
//! anything; gives what takes its place.

use serde_json::Value;

use super::{Moment, ValueTemplate};

/// GTM's order: a text changes its case, then null, nothing, true and false are replaced, one after the other.
/// Replacements keep the case in which they are written.
#[derive(Debug, Default)]
pub struct Format {
    pub case: LetterCase,
    pub when_null: Option<ValueTemplate>,
    pub when_undefined: Option<ValueTemplate>,
    pub when_true: Option<ValueTemplate>,
    pub when_false: Option<ValueTemplate>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LetterCase {
    #[default]
    AsItStands,
    Lower,
    Upper,
}

impl Format {
    pub fn apply(&self, found: Option<Value>, moment: &Moment<'_>) -> Option<Value> {
        let mut value = match (self.case, found) {
            (LetterCase::Lower, Some(Value::String(text))) => Some(Value::String(text.to_lowercase())),
            (LetterCase::Upper, Some(Value::String(text))) => Some(Value::String(text.to_uppercase())),
            (_, found) => found,
        };
        let replacements = [
            (Some(Value::Null), &self.when_null),
            (None, &self.when_undefined),
            (Some(Value::Bool(true)), &self.when_true),
            (Some(Value::Bool(false)), &self.when_false),
        ];
        for (replaced, replacement) in replacements {
            if let Some(replacement) = replacement
                && value == replaced
            {
                value = Some(moment.fill(replacement).into_owned());
            }
        }
        value
    }

    /// What takes the place of values.
    pub fn templates(&self) -> impl Iterator<Item = &ValueTemplate> {
        [&self.when_null, &self.when_undefined, &self.when_true, &self.when_false].into_iter().flatten()
    }
}
