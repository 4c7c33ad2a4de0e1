//! Named items of the rules files, from sections to items with places, and the references from one item to another.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde::Deserialize;

use crate::{
    call::SecretName,
    container::{
        diagnostic::{Diagnostic, Diagnostics, Place, did_you_mean, quoted},
        yaml::{Node, Value, decode::Context, decode::decode},
    },
};

/// An item of a rules file: a tag, a trigger, a variable.
pub struct Item<T> {
    pub name: Arc<str>,
    pub place: Place,
    pub rule: T,
    pub reading: Reading,
}

/// How well an item could be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    Sound,
    /// Something of it is wrong, and has been told: what seems to be absent may be there under another name.
    Flawed,
}

/// The items of one kind, of every rules file.
pub struct Items<T> {
    pub list: Vec<Item<T>>,
    index: HashMap<Arc<str>, usize>,
    unread: Unread,
}

/// What could not be read, and has been told: references to it are not errors as well.
enum Unread {
    /// Items of these names.
    Names(HashSet<Arc<str>>),
    /// A whole file or section.
    Anything,
}

/// Names of one kind and where each stands among its kind; for references to them.
pub struct Names {
    kind: &'static str,
    index: HashMap<Arc<str>, usize>,
    unread: Unread,
    /// Of variables: those that are secrets. They have no value, so that no reference may lead to them.
    secrets: HashMap<usize, SecretName>,
    /// Where each stands in its file.
    places: Vec<Place>,
    /// Those that something refers to.
    used: RefCell<HashSet<usize>>,
}

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self { list: Vec::new(), index: HashMap::new(), unread: Unread::Names(HashSet::new()) }
    }
}

impl<T: for<'de> Deserialize<'de>> Items<T> {
    /// Notes that items of any name may stand in what could not be read.
    pub fn lack_anything(&mut self) {
        self.unread = Unread::Anything;
    }

    /// Reads a section of named items; a name that another file gave already is an error.
    pub fn read(&mut self, kind: &str, file: &Arc<str>, section: &Node, diagnostics: &mut Diagnostics) {
        let entries = match &section.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => {
                let message = format!("expected a mapping from names to {kind}s, found {}", section.describe());
                diagnostics.push(Diagnostic::error("wrong-type", message).at(section.span.place(file)));
                return self.lack_anything();
            }
        };
        for (key, node) in entries {
            let owner = format!("{kind} {}", quoted(&key.name));
            let place = key.span.place(file);
            if let Some(first) = self.index.get(&*key.name).and_then(|index| self.list.get(*index)) {
                let problem = Diagnostic::error("duplicate-name", format!("there is another {owner}")).at(place);
                let first = format!("the first is at {}:{}", first.place.file, first.place.line);
                diagnostics.push(problem.of(owner).help(first));
                continue;
            }
            let errors_before = diagnostics.errors_told();
            let rule = decode(node, &Context { file, owner: &owner, name: Some(&place) }, diagnostics);
            let reading = if diagnostics.errors_told() > errors_before { Reading::Flawed } else { Reading::Sound };
            self.add((&*key.name).into(), place, rule, reading);
        }
    }

    fn add(&mut self, name: Arc<str>, place: Place, rule: Option<T>, reading: Reading) {
        match (rule, &mut self.unread) {
            (Some(rule), _) => {
                self.index.insert(Arc::clone(&name), self.list.len());
                self.list.push(Item { name, place, rule, reading });
            }
            (None, Unread::Names(names)) => {
                names.insert(name);
            }
            (None, Unread::Anything) => {}
        }
    }

    /// The items, and their names for references. `kind` is what messages call one of them.
    pub fn into_parts(self, kind: &'static str) -> (Vec<Item<T>>, Names) {
        let places = self.list.iter().map(|item| item.place.clone()).collect();
        let (secrets, used) = (HashMap::new(), RefCell::default());
        (self.list, Names { kind, index: self.index, unread: self.unread, secrets, places, used })
    }
}

impl Names {
    /// Where the item of this name stands; reports a name that nothing bears.
    pub fn find(&self, name: &str, place: &Place, owner: &str, diagnostics: &mut Diagnostics) -> Option<usize> {
        let found = self.index.get(name).copied();
        self.used.borrow_mut().extend(found);
        if found.is_none() && !self.may_be_unread(name) {
            let message = format!("there is no {} {}", self.kind, quoted(name));
            let code = match self.kind {
                "variable" => "unknown-variable",
                "tag" => "unknown-tag",
                _ => "unknown-trigger",
            };
            let problem = Diagnostic::error(code, message).at(place.clone()).of(owner);
            diagnostics.push(problem.help(did_you_mean(name, self.all()).or_else(|| self.few())));
        }
        if found.is_some_and(|index| self.secrets.contains_key(&index)) {
            let message = format!("the variable {} is a secret, and this is no place for one", quoted(name));
            let help = format!("a field that takes a secret has it as its whole value: {}", quoted(&reference(name)));
            let problem = Diagnostic::error("misplaced-secret", message).at(place.clone());
            diagnostics.push(problem.of(owner).help(help));
            return None;
        }
        found
    }

    /// Notes which variables are secrets.
    pub fn set_secrets(&mut self, secrets: HashMap<usize, SecretName>) {
        self.secrets = secrets;
    }

    /// The secret that a text stands for: one that is nothing but a reference to it.
    pub fn secret(&self, text: &str) -> Option<&SecretName> {
        let name = text.strip_prefix("{{")?.strip_suffix("}}")?.trim();
        let index = self.index.get(name)?;
        let secret = self.secrets.get(index)?;
        self.used.borrow_mut().insert(*index);
        Some(secret)
    }

    /// Notes what nothing refers to, in a container that is good otherwise: in another one, the reference may be the fault.
    pub fn note_unused(&self, diagnostics: &mut Diagnostics) {
        if diagnostics.has_errors() {
            return;
        }
        let used = self.used.borrow();
        let mut unused: Vec<_> = self.index.iter().filter(|(_, index)| !used.contains(index)).collect();
        unused.sort_unstable_by_key(|(_, index)| **index);
        for (name, index) in unused {
            let Some(place) = self.places.get(*index) else { continue };
            let message = format!("nothing uses the {} {}", self.kind, quoted(name));
            diagnostics.push(Diagnostic::note("unused", message).at(place.clone()));
        }
    }

    fn may_be_unread(&self, name: &str) -> bool {
        match &self.unread {
            Unread::Names(names) => names.contains(name),
            Unread::Anything => true,
        }
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        self.index.keys().map(AsRef::as_ref)
    }

    /// All names in words, if they are few.
    fn few(&self) -> Option<String> {
        const FEW: usize = 8;
        if self.index.len() > FEW {
            return None;
        }
        let mut names: Vec<_> = self.all().map(quoted).collect();
        names.sort_unstable();
        Some(match names.as_slice() {
            [] => format!("there are no {}s at all", self.kind),
            [single] => format!("the only {} is {single}", self.kind),
            names => format!("the {}s are {}", self.kind, names.join(", ")),
        })
    }
}

/// As a text refers to a variable.
fn reference(name: &str) -> String {
    format!("{{{{{name}}}}}")
}
