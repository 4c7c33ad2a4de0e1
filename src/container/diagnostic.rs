//! Diagnostics: what is wrong with a container, each with its file, line, extract and way out.
//!
//! Takes problems from every part of the loader (YAML, model, scripts) through [`Diagnostics::push`]; gives them back
//! sorted and free of repetitions, as [`text()`] for people, [`json()`] for programs and [`github()`] for a pull request.
//! Pure: extracts come from the [`Sources`] that the caller already holds.

mod github;
mod text;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Serialize, Serializer};

pub use self::{
    github::github,
    text::{Colour, text},
};

/// The container's files as they were read: path within the container -> bytes. Extracts are cut from it.
pub type Sources = BTreeMap<Arc<str>, Vec<u8>>;

/// More problems than this are counted, not kept: nobody reads them, and a hostile file must not fill memory.
const MAX_KEPT: usize = 1_000;

/// How long a name may be for [`closest`] to look for a neighbour; comparing takes the product of both lengths.
const MAX_COMPARED_CHARS: usize = 64;
const MAX_CANDIDATES: usize = 2_000;

/// How much of a text a message quotes.
const MAX_QUOTED_CHARS: usize = 60;

/// How bad it is. Only an error keeps a container from going live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
    Note,
}

impl Severity {
    /// `error`, `warning` or `note`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// Where something stands in a file of the container, be it YAML or a script.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// Path within the container, such as `rules/tags.yaml`.
    pub file: Arc<str>,
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters (Unicode scalar values), a tab being one.
    pub column: u32,
    /// How many characters of that line are meant; 0 is a point between two.
    pub length: u32,
}

impl Place {
    /// A place by its numbers, as parsers give them: line and column from 1, length in characters.
    pub fn new(file: &Arc<str>, line: u32, column: u32, length: u32) -> Self {
        Self { file: Arc::clone(file), line, column, length }
    }
}

/// One thing that is wrong, or worth knowing.
///
/// Serialises as one element of [`json`]; the names of the fields and the values of `code` are stable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    pub severity: Severity,
    /// Kebab-case and stable, such as `unknown-key`; what a search or a filter takes.
    pub code: &'static str,
    /// One sentence without a full stop.
    pub message: String,
    /// The item it belongs to, such as `tag "Sign-up"`.
    pub owner: Option<String>,
    /// `null` for what belongs to no single line.
    pub place: Option<Place>,
    /// The value that was found, such as `the text "abc"`.
    pub found: Option<String>,
    /// The way out: `did you mean "triggers"?`, or a remedy.
    pub help: Option<String>,
}

impl Diagnostic {
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, message)
    }

    fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Self { severity, code, message: message.into(), owner: None, place: None, found: None, help: None }
    }

    pub fn at(self, place: Place) -> Self {
        Self { place: Some(place), ..self }
    }

    pub fn of(self, owner: impl Into<String>) -> Self {
        Self { owner: Some(owner.into()), ..self }
    }

    pub fn found(self, found: impl Into<String>) -> Self {
        Self { found: Some(found.into()), ..self }
    }

    /// As an error, if it is a warning.
    #[must_use]
    pub fn grave(self) -> Self {
        let severity = if self.severity == Severity::Warning { Severity::Error } else { self.severity };
        Self { severity, ..self }
    }

    /// As seen from elsewhere: `base`, which is empty or ends in `/`, goes before the file.
    pub fn seen_from(mut self, base: &str) -> Self {
        if let Some(place) = &mut self.place {
            place.file = format!("{base}{}", place.file).into();
        }
        self
    }

    /// Attaches the way out; `None` leaves it without one.
    pub fn help(self, help: impl Into<Option<String>>) -> Self {
        Self { help: help.into(), ..self }
    }

    /// The owner, unless the message names it already.
    fn unnamed_owner(&self) -> Option<&str> {
        self.owner.as_deref().filter(|owner| !self.message.contains(owner))
    }

    /// What the order of a report follows: file, line, column, then gravity.
    fn rank(&self) -> impl Ord + '_ {
        (&self.place, self.severity, self.code, &self.message, &self.owner, &self.found, &self.help)
    }
}

/// By place, so that a report reads down each file; what has no place comes first.
impl Ord for Diagnostic {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Diagnostic {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Everything found so far: sorted by file and line, each problem once.
///
/// The same problem is met more than once when YAML aliases repeat a node, also under other owners; it is kept and
/// counted once.
#[derive(Debug, Default)]
pub struct Diagnostics {
    kept: BTreeSet<Diagnostic>,
    errors: usize,
    errors_told: usize,
    warnings: usize,
    omitted: usize,
    /// Says how many were omitted, once any were.
    rest: Option<Diagnostic>,
}

impl Diagnostics {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if diagnostic.severity == Severity::Error {
            self.errors_told += 1;
        }
        if self.holds(&diagnostic) {
            return;
        }
        match diagnostic.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
            Severity::Note => {}
        }
        if self.kept.len() < MAX_KEPT {
            self.kept.insert(diagnostic);
        } else {
            self.omitted += 1;
            self.rest = Some(Diagnostic::note("more-problems", format!("{} more are not shown", self.omitted)));
        }
    }

    /// Whether the same is said of the same place already, be it of another owner.
    fn holds(&self, diagnostic: &Diagnostic) -> bool {
        let same = |kept: &Diagnostic| {
            kept.place == diagnostic.place && kept.code == diagnostic.code && kept.message == diagnostic.message
        };
        // Without an owner it sorts before all of its kind.
        let first = Diagnostic { owner: None, found: None, help: None, ..diagnostic.clone() };
        match diagnostic.place {
            Some(_) => self.kept.range(first..).next().is_some_and(same),
            None => self.kept.contains(diagnostic),
        }
    }

    /// How many errors there are, those that are not shown included.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// How often an error was pushed, repetitions included: whether it grows tells whether something went wrong.
    pub fn errors_told(&self) -> usize {
        self.errors_told
    }

    /// How many warnings there are, those that are not shown included.
    pub fn warnings(&self) -> usize {
        self.warnings
    }

    /// Whether anything keeps the container from going live.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// All of them by file and line. At most 1,000, then a note that says how many more there are.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.kept.iter().chain(&self.rest)
    }

    /// The same ones, each a little different; as many as they were.
    pub fn map(&self, change: impl Fn(Diagnostic) -> Diagnostic) -> Self {
        let kept = self.kept.iter().cloned().map(change).collect();
        Self { kept, rest: self.rest.clone(), ..*self }
    }

    /// `no problems`, `1 error`, `3 errors and 1 warning`.
    pub fn summary(&self) -> String {
        let count = |number: usize, noun: &str| match number {
            0 => None,
            1 => Some(format!("1 {noun}")),
            _ => Some(format!("{number} {noun}s")),
        };
        match (count(self.errors, "error"), count(self.warnings, "warning")) {
            (None, None) => "no problems".to_owned(),
            (Some(errors), Some(warnings)) => format!("{errors} and {warnings}"),
            (Some(one), None) | (None, Some(one)) => one,
        }
    }

    /// The summary with the first error: `2 errors, the first at rules/shop.yaml:3:14: unknown trigger "Shopp"`.
    pub fn reason(&self) -> String {
        let summary = self.summary();
        let Some(first) = self.iter().find(|diagnostic| diagnostic.severity == Severity::Error) else {
            return summary;
        };
        let place = first.place.as_ref().map(|at| format!(" at {}:{}:{}", at.file, at.line, at.column));
        let which = if self.errors() > 1 { ", the first" } else { "" };
        format!("{summary}{which}{}: {}", place.unwrap_or_default(), first.message)
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: I) {
        diagnostics.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }
}

/// An array of diagnostics.
impl Serialize for Diagnostics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// One JSON array of [`Diagnostic`], every field present, absent ones `null`, with a final line break.
///
/// # Errors
/// Only if `serde_json` fails to write strings and numbers, which it does not.
pub fn json(diagnostics: &Diagnostics) -> serde_json::Result<String> {
    serde_json::to_string_pretty(diagnostics).map(|text| text + "\n")
}

/// The candidate that `name` was probably meant to be, if any is near enough: a third of its letters may differ.
/// Case and `-`, `_`, ` ` do not count.
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().take(MAX_COMPARED_CHARS + 1).count();
    if length > MAX_COMPARED_CHARS {
        return None;
    }
    let allowed = length / 3;
    let name = folded(name);
    candidates
        .into_iter()
        .filter(|candidate| candidate.chars().take(length + allowed + 1).count().abs_diff(length) <= allowed)
        .take(MAX_CANDIDATES)
        .map(|candidate| (strsim::damerau_levenshtein(&name, &folded(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// `did you mean "triggers"?`, if [`closest`] finds one.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    closest(name, candidates).map(|candidate| format!("did you mean {}?", quoted(candidate)))
}

fn folded(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).map(|c| if matches!(c, '-' | ' ') { '_' } else { c }).collect()
}

/// A user's text in a message: in quotes, on one line, without control characters, cut after 60 characters.
pub fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
    }
}
