//! The named items of rules files, and references to them by name.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use serde::Deserialize;

use crate::container::{
    diagnostic::{Diagnostic, Diagnostics, Place, did_you_mean, quoted},
    yaml::{Node, Value, decode::Context, decode::decode},
};

/// A tag, trigger or variable as it was written.
pub struct Item<T> {
    pub name: Arc<str>,
    pub place: Place,
    pub rule: T,
}

/// All items of one kind, from all files, in order.
pub struct Items<T> {
    /// Such as `tag`.
    kind: &'static str,
    list: Vec<Item<T>>,
    known: HashMap<Arc<str>, Known>,
}

/// A name that somebody gave, and what stands there.
#[derive(Clone)]
struct Known {
    place: Place,
    /// Where it stands in the list; `None` if it is broken, which was reported already.
    index: Option<usize>,
}

/// Which references hold where not everything could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    Whole,
    /// A file could not be read at all: a name that nothing bears may stand there.
    Partial,
}

/// Names of one kind and where each stands among its kind.
pub struct Names {
    kind: &'static str,
    known: HashMap<Arc<str>, Known>,
    extent: Extent,
}

impl<T: for<'de> Deserialize<'de>> Items<T> {
    pub fn new(kind: &'static str) -> Self {
        Self { kind, list: Vec::new(), known: HashMap::new() }
    }

    /// Reads a section of a file; a name that was given already is an error.
    pub fn read(&mut self, file: &Arc<str>, section: &Node, diagnostics: &mut Diagnostics) {
        let kind = self.kind;
        let entries = match &section.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => {
                let message = format!("expected a mapping from names to {kind}s, found {}", section.describe());
                diagnostics.push(Diagnostic::error("wrong-type", message).at(section.span.place(file)));
                return;
            }
        };
        for (key, node) in entries {
            let owner = format!("{kind} {}", quoted(&key.name));
            let place = key.span.place(file);
            let name: Arc<str> = (&*key.name).into();
            match self.known.entry(Arc::clone(&name)) {
                Entry::Occupied(first) => {
                    let first = &first.get().place;
                    let help = format!("the first is at {}:{}", first.file, first.line);
                    let problem = Diagnostic::error("duplicate-name", format!("there is another {owner}")).at(place);
                    diagnostics.push(problem.of(owner).help(help));
                }
                Entry::Vacant(vacant) => {
                    let rule = decode(node, &Context { file, owner: &owner, name: Some(&place) }, diagnostics);
                    let index = rule.is_some().then_some(self.list.len());
                    vacant.insert(Known { place: place.clone(), index });
                    self.list.extend(rule.map(|rule| Item { name, place, rule }));
                }
            }
        }
    }
}

impl<T> Items<T> {
    pub fn iter(&self) -> std::slice::Iter<'_, Item<T>> {
        self.list.iter()
    }

    pub fn get(&self, index: usize) -> Option<&Item<T>> {
        self.list.get(index)
    }

    pub fn names(&self, extent: Extent) -> Names {
        Names { kind: self.kind, known: self.known.clone(), extent }
    }
}

impl Names {
    /// Where the item of this name stands; reports a name that nothing bears.
    pub fn find(&self, name: &str, place: &Place, owner: &str, diagnostics: &mut Diagnostics) -> Option<usize> {
        match (self.known.get(name), self.extent) {
            (Some(known), _) => known.index,
            (None, Extent::Partial) => None,
            (None, Extent::Whole) => {
                let message = format!("there is no {} {}", self.kind, quoted(name));
                let code = if self.kind == "variable" { "unknown-variable" } else { "unknown-trigger" };
                let help = did_you_mean(name, self.known.keys().map(AsRef::as_ref));
                diagnostics.push(Diagnostic::error(code, message).at(place.clone()).of(owner).help(help));
                None
            }
        }
    }
}
