//! What a model type is made of where plain serde types would lose something: places, spelling, order.
//!
//! All of them ask [`decode`](super::decode()) for more than serde's data model holds, under names that begin with
//! `$tidegate::` and that no type of anybody else bears. Other deserializers do not know these names, so the types are
//! for decoding a container only.

use std::{
    collections::{HashMap, hash_map},
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
    ops::Deref,
    sync::Arc,
};

use serde::{Deserialize, Deserializer, de};

use super::{Span, quoted};
use crate::container::diagnostic::{Diagnostic, Diagnostics, Place};

/// A value, list item or key with its place. Equal, ordered and hashed by its value alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Facts<T>", bound(deserialize = "T: Deserialize<'de>"))]
pub struct Placed<T> {
    pub value: T,
    pub place: Place,
}

impl<T> Placed<T> {
    pub fn new(value: T, place: Place) -> Self {
        Self { value, place }
    }

    /// Another value at the same place.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Placed<U> {
        Placed { value: change(self.value), place: self.place }
    }
}

/// A text with its span, for one that is a language of its own: places in it are found by a [`Passage`](super::Passage).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename = "$tidegate::Place")]
pub struct SpannedText {
    pub span: Span,
    pub value: Box<str>,
}

/// What the decoder tells about a node or key, by the names of the fields that are asked for.
#[derive(Deserialize)]
#[serde(rename = "$tidegate::Place")]
struct Facts<T> {
    file: Arc<str>,
    span: Span,
    value: T,
}

impl<T> From<Facts<T>> for Placed<T> {
    fn from(facts: Facts<T>) -> Self {
        Self { value: facts.value, place: facts.span.place(&facts.file) }
    }
}

impl<T> Deref for Placed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Display> fmt::Display for Placed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: PartialEq> PartialEq for Placed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Placed<T> {}

impl<T: PartialOrd> PartialOrd for Placed<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl<T: Ord> Ord for Placed<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.value.cmp(&other.value)
    }
}

impl<T: Hash> Hash for Placed<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

/// A scalar as it is written; for values that may be of any kind, such as what a condition compares with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename = "$tidegate::Scalar")]
pub enum Scalar {
    Bool(bool),
    /// The number's own spelling: `1.10` is not `1.1`.
    Number(Box<str>),
    Text(Box<str>),
}

/// `true`, `1.10`, `abc`.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Number(text) | Self::Text(text) => text.fmt(f),
        }
    }
}

/// A short form and a full one: `S` from a scalar, `C` from a list or mapping. Unlike serde's `untagged`, it decides
/// by the kind of the node, so that errors inside keep their place.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename = "$tidegate::ScalarOr")]
pub enum ScalarOr<S, C> {
    Scalar(S),
    Collection(C),
}

/// One or a list of them: `on: purchase` means `on: [purchase]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename = "$tidegate::OneOrMany")]
pub enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    pub fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(item) => vec![item],
            Self::Many(items) => items,
        }
    }

    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(item) => std::slice::from_ref(item),
            Self::Many(items) => items,
        }
    }
}

/// A mapping from names to values, in the file's order, that knows where each name stands.
#[derive(Clone, Debug)]
pub struct PlacedMap<T> {
    entries: Vec<(Placed<Arc<str>>, T)>,
    index: HashMap<Arc<str>, usize>,
}

impl<T> PlacedMap<T> {
    /// The entries in order: files in the order in which they were taken in, names in the file's.
    pub fn iter(&self) -> std::slice::Iter<'_, (Placed<Arc<str>>, T)> {
        self.entries.iter()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<&T> {
        self.entry(name).map(|(_, value)| value)
    }

    /// Where a name stands.
    pub fn place(&self, name: &str) -> Option<&Place> {
        self.entry(name).map(|(key, _)| &key.place)
    }

    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.entries.iter().map(|(key, _)| &key.value)
    }

    fn entry(&self, name: &str) -> Option<&(Placed<Arc<str>>, T)> {
        self.entries.get(*self.index.get(name)?)
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// Hands the entry back if the name is taken.
    pub fn insert(&mut self, key: Placed<Arc<str>>, value: T) -> Result<(), (Placed<Arc<str>>, T)> {
        match self.index.entry(Arc::clone(&key.value)) {
            hash_map::Entry::Occupied(_) => Err((key, value)),
            hash_map::Entry::Vacant(vacant) => {
                vacant.insert(self.entries.len());
                self.entries.push((key, value));
                Ok(())
            }
        }
    }

    /// Takes in the entries of another file. A name that is taken is a diagnostic, and the first one counts.
    /// `noun` says what the entries are, such as `tag`.
    pub fn absorb(&mut self, other: Self, noun: &str, diagnostics: &mut Diagnostics) {
        for (key, value) in other.entries {
            let Err((key, _)) = self.insert(key, value) else { continue };
            let owner = format!("{noun} {}", quoted(&key));
            let problem =
                Diagnostic::error("duplicate-name", format!("there is another {owner}")).at(key.place.clone());
            let first = self.place(&key).map(|first| format!("the first is at {}:{}", first.file, first.line));
            diagnostics.push(problem.of(owner).help(first));
        }
    }
}

impl<T> Default for PlacedMap<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), index: HashMap::new() }
    }
}

/// In the same order with equal values; places do not count.
impl<T: PartialEq> PartialEq for PlacedMap<T> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<T> IntoIterator for PlacedMap<T> {
    type Item = (Placed<Arc<str>>, T);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a PlacedMap<T> {
    type Item = &'a (Placed<Arc<str>>, T);
    type IntoIter = std::slice::Iter<'a, (Placed<Arc<str>>, T)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for PlacedMap<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MapVisitor(PhantomData))
    }
}

struct MapVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> de::Visitor<'de> for MapVisitor<T> {
    type Value = PlacedMap<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut map = PlacedMap::default();
        while let Some((key, value)) = access.next_entry::<Placed<Arc<str>>, T>()? {
            map.insert(key, value).map_err(|(key, _)| de::Error::custom(format_args!("{key} is given twice")))?;
        }
        Ok(map)
    }
}
