//! What changes between two versions of a container, in words and by object. Takes the files of both; gives a list of
//! changes, such as `tag "Sign-up": consent none -> ad_storage`.
//!
//! Works on what is written, item by item, after the differences that mean nothing are taken out: comments, spelling,
//! which file an item stands in, the order of what has none. So it is complete without knowing every key: whatever
//! differs then is told, if need be in the words of the file.

use std::{collections::BTreeSet, fmt, sync::Arc};

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{
    diagnostic::{Sources, quoted},
    load::plain,
    yaml::{Node, Value},
};
use crate::one_line::one_line;

mod cases;
mod fields;
mod order;
mod outline;
mod script;
mod sequence;
mod words;

#[cfg(test)]
mod tests;

use outline::{Content, Outline};

/// One thing that is otherwise, of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub object: Object,
    pub what: What,
}

/// What a container is made of, as it is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// `tag`, `trigger`, `consent`, `template`, …
    pub kind: Box<str>,
    /// `None` for what there is one of.
    pub name: Option<Box<str>>,
}

/// What became of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// With the gist of it.
    Added(String),
    Removed,
    /// The same under another name.
    Renamed {
        to: Box<str>,
    },
    /// A value was changed, added or removed.
    Value(ValueChange),
    /// The same values stand in another order.
    Order {
        field: String,
    },
    /// One of several of the same priority takes another turn.
    Turn {
        /// The one that it comes before; `None` for the last.
        before: Option<Box<str>>,
    },
    /// A script; its lines.
    Script {
        lines: script::Lines,
        /// The tags that use it, by then.
        tags: Vec<Box<str>>,
    },
    Cases(cases::Cases),
    /// A file that cannot be read differs, so that nothing can be said about what is in it.
    Unreadable,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ValueChange {
    /// Such as `consent` or `parameter event`.
    pub field: String,
    pub before: Option<Node>,
    pub after: Option<Node>,
    pub is_condition: bool,
}

/// Everything that differs in meaning; empty if nothing does. `library` holds the templates that come with the program.
pub fn compare(before: &Sources, after: &Sources, library: &Sources) -> Vec<Change> {
    let files = [before, after];
    let (mut before, mut after) = (Outline::of(before, library), Outline::of(after, library));
    set_aside(&mut before, files[0], &after);
    set_aside(&mut after, files[1], &before);
    let mut objects: BTreeSet<_> = before.objects.keys().chain(after.objects.keys()).collect();
    let mut changes = Vec::new();
    for (old, new) in renamed(&before, &after) {
        objects.retain(|object| *object != old && *object != new);
        let to = new.name.clone().unwrap_or_default();
        changes.push(Change { object: old.clone(), what: What::Renamed { to } });
    }
    for object in objects {
        let pair = (before.objects.get(object), after.objects.get(object));
        let mut told = |what| changes.push(Change { object: object.clone(), what });
        match pair {
            // A file that both have, and one can be read.
            (None, Some(_)) | (Some(_), None) if files.iter().all(|files| is_file_of(files, object)) => {
                told(What::Unreadable);
            }
            (None, Some(content)) => told(What::Added(words::gist(object, content))),
            (Some(_), None) => told(What::Removed),
            (Some(old), Some(new)) => between(old, new, &mut |what| told(with_tags(what, object, &after))),
            (None, None) => {}
        }
    }
    changes.extend(order::compare(&before, &after));
    changes.sort_by(|a, b| rank(&a.object).cmp(&rank(&b.object)));
    changes
}

/// Takes out what one side writes in a file that cannot be read on the other: nobody knows that it is new or gone.
fn set_aside(side: &mut Outline, files: &Sources, other: &Outline) {
    let is_unreadable = |path: &str| other.objects.contains_key(&Object::named("file", path));
    let unknown = files.iter().filter(|(path, _)| is_unreadable(path));
    let unknown = unknown.map(|(path, bytes)| (Arc::clone(path), bytes.clone())).collect();
    let unknown = Outline::of(&unknown, &Sources::new());
    side.objects.retain(|object, _| !unknown.objects.contains_key(object) || other.objects.contains_key(object));
}

fn is_file_of(files: &Sources, object: &Object) -> bool {
    &*object.kind == "file" && object.name.as_deref().is_some_and(|path| files.contains_key(path))
}

/// Objects that have another name and are the same otherwise, so that nobody reads of a tag that is gone.
fn renamed<'o>(before: &'o Outline, after: &'o Outline) -> Vec<(&'o Object, &'o Object)> {
    let mut come: Vec<_> = after.objects.iter().filter(|(object, _)| !before.objects.contains_key(object)).collect();
    let gone = before.objects.iter().filter(|(object, _)| !after.objects.contains_key(object));
    let pair = |(old, content): (&'o Object, &Content)| {
        let same = |(new, other): &(&Object, &Content)| new.kind == old.kind && *other == content;
        let place = come.iter().position(same)?;
        Some((old, come.remove(place).0))
    };
    gone.filter(|(object, _)| object.name.is_some()).filter_map(pair).collect()
}

/// What a script does differently, it does for the tags that use it.
fn with_tags(what: What, template: &Object, after: &Outline) -> What {
    let What::Script { lines, .. } = what else { return what };
    let uses = |content: &Content| match content {
        Content::Rule(rule) => rule.get("template").is_some_and(|node| match &node.value {
            Value::Text(name) => template.name.as_deref() == Some(name),
            _ => false,
        }),
        _ => false,
    };
    let tags = after.objects.iter().filter(|(object, content)| &*object.kind == "tag" && uses(content));
    What::Script { lines, tags: tags.filter_map(|(tag, _)| tag.name.clone()).collect() }
}

fn between(before: &Content, after: &Content, told: &mut impl FnMut(What)) {
    match (before, after) {
        (Content::Rule(before), Content::Rule(after)) => fields::compare(before, after, told),
        (Content::Template(before), Content::Template(after)) => {
            let (old, new) = (before.manifest.as_deref(), after.manifest.as_deref());
            match (old, new) {
                (Some(Content::Rule(old)), Some(Content::Rule(new))) => fields::compare(old, new, told),
                _ if old == new => {}
                _ => told(What::Unreadable),
            }
            if let Some(lines) = script::compare(before.script.as_deref(), after.script.as_deref()) {
                told(What::Script { lines, tags: Vec::new() });
            }
        }
        (Content::Cases(before), Content::Cases(after)) => {
            if let Some(cases) = cases::compare(before, after) {
                told(What::Cases(cases));
            }
        }
        _ if before == after => {}
        _ => told(What::Unreadable),
    }
}

/// In which order objects are told of: what fires, when, and by which values, before what stands around it.
fn rank(object: &Object) -> (usize, &Object) {
    const ORDER: [&str; 6] = ["tag", "trigger", "transformation", "variable", "consent", "settings"];
    const LAST: [&str; 3] = ["template", "test cases", "file"];
    let first = ORDER.iter().position(|kind| **kind == *object.kind);
    let last = LAST.iter().position(|kind| **kind == *object.kind).map(|place| ORDER.len() + 1 + place);
    (first.or(last).unwrap_or(ORDER.len()), object)
}

/// One line a change; says so where there is none.
pub fn text(changes: &[Change]) -> String {
    match changes {
        [] => "no change of meaning\n".to_owned(),
        changes => changes.iter().map(|change| format!("{}\n", one_line(&change.to_string()))).collect(),
    }
}

/// Which files differ although nothing is meant otherwise; says so where there are none.
pub fn no_change(before: &Sources, after: &Sources) -> String {
    let paths: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let differ: Vec<_> =
        paths.into_iter().filter(|path| before.get(*path) != after.get(*path)).map(|path| &**path).collect();
    if differ.is_empty() {
        return "no change: all files are the same\n".to_owned();
    }
    let files = differ.join(", ");
    format!("no change of meaning, but of comments, spelling, order or place: {}\n", one_line(&files))
}

/// `tag "Sign-up"`, `consent`.
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) if matches!(&*self.kind, "file" | "test cases") => write!(f, "{} {name}", self.kind),
            Some(name) => write!(f, "{} {}", self.kind, quoted(name)),
            None => f.write_str(&self.kind),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, what } = self;
        match what {
            What::Added(gist) if gist.is_empty() => write!(f, "{object} added"),
            What::Added(gist) => write!(f, "{object} added: {gist}"),
            What::Removed => write!(f, "{object} removed"),
            What::Value(change) => write!(f, "{object}: {}", words::value_change(change)),
            What::Order { field } => write!(f, "{object}: {field} in another order"),
            What::Turn { before: Some(other) } => write!(f, "{object}: comes before {} now", quoted(other)),
            What::Turn { before: None } => write!(f, "{object}: comes last now"),
            What::Renamed { to } => write!(f, "{object}: renamed to {}", quoted(to)),
            What::Script { lines, tags } => {
                write!(f, "{object}: {lines}")?;
                match tags.as_slice() {
                    [] => Ok(()),
                    [tag] => write!(f, "; the tag {} uses it", quoted(tag)),
                    [first, rest @ ..] => write!(f, "; {} and {} more tags use it", quoted(first), rest.len()),
                }
            }
            What::Cases(cases) => write!(f, "{object}: {cases}"),
            What::Unreadable => write!(f, "{object}: changed; it cannot be read"),
        }
    }
}

impl What {
    /// As programs are told.
    fn name(&self) -> &'static str {
        match self {
            Self::Added(_) => "added",
            Self::Removed => "removed",
            Self::Renamed { .. } => "renamed",
            Self::Value(_) | Self::Script { .. } | Self::Cases(_) | Self::Unreadable => "changed",
            Self::Order { .. } | Self::Turn { .. } => "moved",
        }
    }
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("object", &self.object.kind)?;
        if let Some(name) = &self.object.name {
            map.serialize_entry("name", name)?;
        }
        map.serialize_entry("change", self.what.name())?;
        match &self.what {
            What::Value(change) => {
                map.serialize_entry("field", &change.field)?;
                map.serialize_entry("before", &change.before.as_ref().map(plain))?;
                map.serialize_entry("after", &change.after.as_ref().map(plain))?;
            }
            What::Order { field } => map.serialize_entry("field", field)?,
            What::Renamed { to } => map.serialize_entry("to", to)?,
            What::Script { tags, .. } => map.serialize_entry("used_by", tags)?,
            _ => {}
        }
        map.serialize_entry("words", &self.to_string())?;
        map.end()
    }
}
