//! A file of YAML as a tree in which every value and every key knows its place.
//!
//! Takes a file's bytes; gives a [`Node`], and a diagnostic for whatever keeps it from being one. [`decode`](decode())
//! turns nodes into the model's types. Nothing here reads a file.
//!
//! # Why a tree of our own
//!
//! `serde_yaml` (serde-saphyr) goes from text to types in one step. That step loses what this loader needs: read without
//! a type, `1.10` becomes the float 1.1 and `NO` becomes false; it stops at the first problem; a list or a mapping has a
//! beginning and no end. So the tree is built from the events of the same crate's parser, which it re-exports
//! (`serde_yaml::granit_parser`), and serde comes in one step later, from tree to types.
//!
//! A [`Span`] is a range of bytes in the file. An editor changes the text within a span and leaves the rest, comments
//! included, as it is; that is why comments need no place in the tree.
//!
//! # Which YAML
//!
//! YAML 1.2 with its core schema: `true` and `false` are the only booleans, and `yes`, `NO` and `on` are text. Numbers
//! keep their spelling. Anchors, aliases and merge keys (`<<`) work, within a budget. Refused, each with a diagnostic:
//! two equal keys in a mapping, keys that are not names, tags other than `!!str`, directives, a second document.

mod build;
pub mod decode;
mod passage;
mod placed;
mod scalar;
mod syntax;

#[cfg(test)]
mod tests;

use std::{ops::Range, sync::Arc};

use serde::{Deserialize, Deserializer, de};

pub use self::{
    decode::{Context, decode},
    passage::Passage,
    placed::{OneOrMany, Placed, PlacedMap, Scalar, ScalarOr, SpannedText},
};
use super::diagnostic::{Diagnostic, Diagnostics, Place, quoted};

/// The largest file that is read, in bytes.
pub const MAX_FILE_BYTES: usize = 1_000_000;
/// How deep lists and mappings may lie in each other.
pub const MAX_DEPTH: usize = 64;
/// How many values a file may hold once its aliases are unfolded.
pub const MAX_NODES: usize = 500_000;

/// Where a value or a key stands in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Span {
    /// Byte offset of its first character. A quoted text begins with its quote, a `|` block with its first line.
    pub start: u32,
    /// Byte offset after its last character.
    pub end: u32,
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
    /// How many characters of its first line it takes; 0 for a value that is not there.
    pub length: u32,
}

impl Span {
    pub fn place(&self, file: &Arc<str>) -> Place {
        Place::new(file, self.line, self.column, self.length)
    }

    /// The range of bytes in the file.
    pub fn bytes(&self) -> Range<usize> {
        // A file has at most MAX_FILE_BYTES, so both fit wherever usize has 32 bits.
        self.start as usize..self.end as usize
    }
}

/// A value with its place. Two nodes are equal if their values are, wherever they stand.
///
/// Also the type for a part that is free in form, such as a tag's parameters: it decodes to itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename = "$tidegate::Place")]
pub struct Node {
    pub span: Span,
    pub value: Value,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename = "$tidegate::Kind")]
pub enum Value {
    Null,
    Bool(bool),
    /// The number as it is written: money stays `1.10`.
    Number(Box<str>),
    Text(Box<str>),
    List(Vec<Node>),
    /// In the file's order; no name twice.
    #[serde(deserialize_with = "entries")]
    Map(Vec<(Key, Node)>),
}

/// A mapping's key with its place. Two keys are equal if their names are.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename = "$tidegate::Place")]
pub struct Key {
    pub name: Box<str>,
    pub span: Span,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Node {
    /// The value under a key, if this is a mapping that has it.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.entries().iter().find(|(key, _)| &*key.name == name).map(|(_, node)| node)
    }

    /// A mapping's keys and values in the file's order; empty for anything else.
    pub fn entries(&self) -> &[(Key, Self)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// What a message says was found: `the text "abc"`, `the number 1.10`, `a list`.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Number(text) => format!("the number {text}"),
            Value::Text(text) => format!("the text {}", quoted(text)),
            Value::List(items) if items.is_empty() => "an empty list".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(entries) if entries.is_empty() => "an empty mapping".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }
}

/// Reads a file. `None` if there is nothing in it or nothing to be made of it; the diagnostics say which.
///
/// A tree may come with errors (a key given twice, a second document): it is good enough to look for more of them.
pub fn parse(file: &Arc<str>, bytes: &[u8], diagnostics: &mut Diagnostics) -> Option<Node> {
    let outcome = readable(file, bytes).and_then(|text| {
        let after_mark = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        build::tree(file, after_mark, text.len() - after_mark.len(), diagnostics)
    });
    match outcome {
        Ok(Some(node)) => Some(node),
        Ok(None) => {
            let empty = Diagnostic::warning("empty-file", "there is nothing in this file");
            diagnostics.push(empty.at(Place::new(file, 1, 1, 0)).help("fill it or delete it".to_owned()));
            None
        }
        Err(diagnostic) => {
            diagnostics.push(*diagnostic);
            None
        }
    }
}

/// Whether a scalar without quotes would be this text, and no number, boolean or null.
pub fn reads_as_text(text: &str) -> bool {
    matches!(scalar::resolve(text), Value::Text(_))
}

/// The file as text, if it is UTF-8 of a reasonable size without characters that YAML forbids.
fn readable<'b>(file: &Arc<str>, bytes: &'b [u8]) -> Result<&'b str, Box<Diagnostic>> {
    if bytes.len() > MAX_FILE_BYTES {
        let message = format!("the file is larger than {MAX_FILE_BYTES} bytes");
        let problem = Diagnostic::error("file-too-large", message).at(Place::new(file, 1, 1, 0));
        return Err(Box::new(problem.help("split it: all files of rules/ are read together".to_owned())));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).map(String::from_utf8_lossy).unwrap_or_default();
            let help = match bytes {
                [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => "this looks like UTF-16; save it as UTF-8",
                _ => "save the file as UTF-8",
            };
            let problem = Diagnostic::error("not-utf-8", "the file is not UTF-8 text").at(end_of(&before, file));
            return Err(Box::new(problem.help(help.to_owned())));
        }
    };
    // YAML 1.2 section 5.1, the set of allowed characters.
    let forbidden =
        |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}') || matches!(c, '\u{FFFE}' | '\u{FFFF}');
    match text.char_indices().find(|&(_, character)| forbidden(character)) {
        None => Ok(text),
        Some((at, character)) => {
            let message = format!("the control character U+{:04X} has no place in YAML", u32::from(character));
            let place = end_of(text.get(..at).unwrap_or_default(), file);
            let escape = match u32::from(character) {
                code @ ..=0xFF => format!("\\x{code:02X}"),
                code => format!("\\u{code:04X}"),
            };
            let help = format!("delete it, or write {escape} in double quotes");
            Err(Box::new(Diagnostic::error("control-character", message).at(place).help(help)))
        }
    }
}

/// The place of the character that follows a text.
fn end_of(text: &str, file: &Arc<str>) -> Place {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let breaks = text.matches('\n').count() + text.matches('\r').count() - text.matches("\r\n").count();
    let column = text.rsplit(['\n', '\r']).next().map_or(0, |line| line.chars().count());
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
    Place::new(file, number(breaks), number(column), 1)
}

/// Decodes the entries of a free mapping with the places of their keys.
fn entries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(Key, Node)>, D::Error> {
    struct Entries;

    impl<'de> de::Visitor<'de> for Entries {
        type Value = Vec<(Key, Node)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a mapping")
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = map.next_entry()? {
                entries.push(entry);
            }
            Ok(entries)
        }
    }

    deserializer.deserialize_map(Entries)
}
