//! Tables: an input, looked up among rows. Takes a [`Moment`]; gives the value of the first row that fits, else the
//! default. Rows are compiled when the container loads, so that a long table costs a hit about what a short one does.

use std::{borrow::Cow, collections::HashMap};

use regex::{Regex, RegexSet};
use serde_json::Value;

use super::{Moment, Piece, ValueTemplate, VariableIndex};
use crate::event;

/// The row whose text the input is gives the value, as GTM's Lookup Table does.
#[derive(Debug)]
pub struct LookupTable {
    pub input: ValueTemplate,
    pub rows: HashMap<Box<str>, ValueTemplate>,
    pub default: Option<ValueTemplate>,
}

/// The first row whose pattern matches the input gives the value, as GTM's RegEx Table does.
#[derive(Debug)]
pub struct RegexTable {
    pub input: ValueTemplate,
    pub blocks: Vec<RegexBlock>,
    pub default: Option<ValueTemplate>,
}

/// Some rows, one after the other.
#[derive(Debug)]
pub struct RegexBlock {
    pub rows: Vec<RegexRow>,
    /// All of their patterns in one: one look at the input for all of them.
    pub set: Option<RegexSet>,
}

#[derive(Debug)]
pub struct RegexRow {
    pub pattern: Regex,
    /// What a match gives; `$1` and the like stand for capture groups when `replace` says so.
    pub output: ValueTemplate,
    pub replace: Replace,
}

/// GTM's "capture groups and replace".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// The output is taken as it is.
    Off,
    /// `$1`, `$&` and `$$` in the output stand for what the pattern captured; text around the matches stays.
    CaptureGroups,
}

impl LookupTable {
    pub(super) fn look_up(&self, moment: &Moment<'_>) -> Option<Value> {
        let input = moment.fill(&self.input);
        let row = event::to_text(&input).and_then(|text| self.rows.get(&*text));
        row.or(self.default.as_ref()).map(|output| moment.fill(output).into_owned())
    }
}

impl RegexTable {
    pub(super) fn look_up(&self, moment: &Moment<'_>) -> Option<Value> {
        let input = moment.fill(&self.input);
        let found = event::to_text(&input).and_then(|text| self.row_for(&text).map(|row| (row, text)));
        let Some((row, text)) = found else {
            return self.default.as_ref().map(|default| moment.fill(default).into_owned());
        };
        match (row.replace, row.output.replacement(moment)) {
            (Replace::CaptureGroups, Some(replacement)) => {
                Some(Value::from(row.pattern.replace_all(&text, &*replacement).into_owned()))
            }
            _ => Some(moment.fill(&row.output).into_owned()),
        }
    }

    /// The rows, from the top.
    pub fn rows(&self) -> impl Iterator<Item = &RegexRow> {
        self.blocks.iter().flat_map(|block| &block.rows)
    }

    fn row_for(&self, text: &str) -> Option<&RegexRow> {
        self.blocks.iter().find_map(|block| match &block.set {
            Some(set) => block.rows.get(set.matches(text).iter().next()?),
            None => block.rows.iter().find(|row| row.pattern.is_match(text)),
        })
    }
}

impl ValueTemplate {
    /// This output as a replacement: `$` means a capture group where the rules wrote it, and itself in the value of a
    /// variable. `None` if the output is no text.
    fn replacement<'t>(&'t self, moment: &'t Moment<'_>) -> Option<Cow<'t, str>> {
        let literal =
            |index: &VariableIndex| event::to_text(moment.variable(*index)).map(|text| text.replace('$', "$$"));
        match self {
            Self::Fixed(value) => value.as_str().map(Cow::Borrowed),
            Self::Variable(index) if moment.variable(*index).is_string() => literal(index).map(Cow::Owned),
            Self::Variable(_) => None,
            Self::Text(pieces) => {
                let text = pieces.iter().map(|piece| match piece {
                    Piece::Text(text) => Cow::Borrowed(&**text),
                    Piece::Variable(index) => Cow::Owned(literal(index).unwrap_or_default()),
                });
                Some(Cow::Owned(text.collect()))
            }
        }
    }
}
