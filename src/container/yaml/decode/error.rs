//! What serde reports on its way up, until the nearest node turns it into a diagnostic.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::{Diagnostic, Key, Node, quoted};

/// What a stand-in can take the place of: a node or key, or a field that is missing in a node.
///
/// Nodes and keys are told apart by address, which is sound because the tree is borrowed for as long as it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Spot {
    address: usize,
    field: Option<&'static str>,
}

impl Spot {
    pub fn node(node: &Node) -> Self {
        Self { address: std::ptr::from_ref(node).addr(), field: None }
    }

    pub fn key(key: &Key) -> Self {
        Self { address: std::ptr::from_ref(key).addr(), field: None }
    }

    pub fn field(node: &Node, field: &'static str) -> Self {
        Self { field: Some(field), ..Self::node(node) }
    }
}

#[derive(Debug)]
pub(super) struct Error {
    kind: Kind,
    /// What the error went through, innermost first.
    trail: Vec<Spot>,
}

#[derive(Debug)]
enum Kind {
    /// As serde or a model type said it; no node has seen it yet.
    Raw(Problem),
    Told(Box<Diagnostic>),
}

#[derive(Debug)]
pub(super) enum Problem {
    Expected {
        expected: String,
        help: Option<String>,
    },
    /// A model type refused the value, in its own words.
    Invalid(String),
    Missing(&'static str),
}

impl Error {
    pub fn expected(expected: impl Into<String>, help: Option<String>) -> Self {
        Self::raw(Problem::Expected { expected: expected.into(), help })
    }

    pub fn told(diagnostic: Diagnostic) -> Self {
        Self { kind: Kind::Told(Box::new(diagnostic)), trail: Vec::new() }
    }

    fn raw(problem: Problem) -> Self {
        Self { kind: Kind::Raw(problem), trail: Vec::new() }
    }

    /// Turns what serde said into a diagnostic, if nobody nearer to the cause has.
    pub fn tell(self, diagnose: impl FnOnce(&mut Vec<Spot>, Problem) -> Diagnostic) -> Self {
        let (diagnostic, trail) = self.resolve(diagnose);
        Self { kind: Kind::Told(Box::new(diagnostic)), trail }
    }

    pub fn through(mut self, spot: Spot) -> Self {
        self.trail.push(spot);
        self
    }

    /// The diagnostic, and what it went through on its way up.
    pub fn resolve(mut self, diagnose: impl FnOnce(&mut Vec<Spot>, Problem) -> Diagnostic) -> (Diagnostic, Vec<Spot>) {
        let diagnostic = match self.kind {
            Kind::Told(diagnostic) => *diagnostic,
            Kind::Raw(problem) => diagnose(&mut self.trail, problem),
        };
        (diagnostic, self.trail)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Told(diagnostic) => f.write_str(&diagnostic.message),
            Kind::Raw(Problem::Expected { expected, .. }) => write!(f, "expected {expected}"),
            Kind::Raw(Problem::Invalid(message)) => f.write_str(message),
            Kind::Raw(Problem::Missing(field)) => write!(f, "the key {} is missing", quoted(field)),
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::raw(Problem::Invalid(message.to_string()))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::expected(in_our_words(&expected.to_string()), None)
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::expected(in_our_words(&expected.to_string()), None)
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::expected(in_our_words(&expected.to_string()), None)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::raw(Problem::Missing(field))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::raw(Problem::Invalid(format!("the key {} is given twice, under two names", quoted(field))))
    }
}

/// What serde and its derived code call the types of Rust, said to somebody who writes YAML.
fn in_our_words(expected: &str) -> String {
    let range = |from: i128, to: i128| format!("a whole number from {from} to {to}");
    match expected {
        "a boolean" => "true or false".to_owned(),
        "a string" | "a borrowed string" | "string" => "text".to_owned(),
        "a character" => "a single character".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a mapping".to_owned(),
        "unit" => "nothing".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "u8" => range(0, u8::MAX.into()),
        "u16" => range(0, u16::MAX.into()),
        "u32" => range(0, u32::MAX.into()),
        "u64" | "usize" => "a whole number that is not negative".to_owned(),
        "i8" => range(i8::MIN.into(), i8::MAX.into()),
        "i16" => range(i16::MIN.into(), i16::MAX.into()),
        "i32" => range(i32::MIN.into(), i32::MAX.into()),
        "i64" | "isize" => "a whole number".to_owned(),
        _ => match expected.strip_prefix("a nonzero ") {
            Some("u8" | "u16" | "u32" | "u64" | "usize") => "a whole number above 0".to_owned(),
            Some(_) => "a whole number other than 0".to_owned(),
            None if expected.starts_with("struct ") => "a mapping".to_owned(),
            None => expected.to_owned(),
        },
    }
}
