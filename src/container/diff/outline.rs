//! A version as its objects, each reduced to what it means. Takes the files; gives for each object what is written of it,
//! without the differences that mean nothing.

use std::{
    collections::{BTreeMap, btree_map},
    sync::Arc,
};

use super::Object;
use crate::container::{
    diagnostic::{Diagnostics, Sources},
    load::{is_rules_file, is_test_file},
    yaml::{self, Key, Node, Span, Value},
};

/// Objects of the same priority take their turns as they are written.
pub const TURNS: [&str; 2] = ["tag", "transformation"];

/// What was found of an object.
#[derive(Debug, PartialEq)]
pub enum Content {
    Rule(Node),
    Template(Template),
    /// A file of test cases.
    Cases(Node),
    /// A file that is no YAML.
    Unreadable(Vec<u8>),
}

#[derive(Debug, Default, PartialEq)]
pub struct Template {
    pub manifest: Option<Box<Content>>,
    pub script: Option<Vec<u8>>,
}

#[derive(Debug, Default)]
pub struct Outline {
    pub objects: BTreeMap<Object, Content>,
    /// The names as written, of those objects that take turns.
    pub written: BTreeMap<&'static str, Vec<Box<str>>>,
}

impl Outline {
    pub fn of(files: &Sources, library: &Sources) -> Self {
        let mut outline = Self::default();
        for (path, bytes) in files {
            if is_test_file(path) {
                let content = parse(path, bytes).map_or_else(|| Content::Unreadable(bytes.clone()), Content::Cases);
                outline.objects.insert(Object::named("test cases", path), content);
            } else if is_rules_file(path) {
                outline.read_rules(path, bytes);
            }
        }
        let layered = library.iter().chain(files).collect::<BTreeMap<_, _>>();
        for (path, bytes) in layered {
            outline.read_template(path, bytes);
        }
        outline
    }

    fn read_rules(&mut self, path: &Arc<str>, bytes: &[u8]) {
        let root = match read(path, bytes) {
            Some(Node { value: Value::Map(sections), .. }) => sections,
            Some(Node { value: Value::Null, .. }) => return,
            _ => {
                self.objects.insert(Object::named("file", path), Content::Unreadable(bytes.to_vec()));
                return;
            }
        };
        for (key, section) in root {
            match (&*key.name, section.value) {
                (_, Value::Null) => {}
                ("consent" | "settings", value) => self.merge(Object::only(&key.name), normal(value)),
                (section, Value::Map(entries)) => {
                    let kind = section.strip_suffix('s').unwrap_or(section);
                    for (name, node) in entries {
                        if let Some(kind) = TURNS.into_iter().find(|turns| *turns == kind) {
                            self.written.entry(kind).or_default().push(name.name.clone());
                        }
                        let rule = Content::Rule(item(kind, node));
                        self.objects.entry(Object::named(kind, &name.name)).or_insert(rule);
                    }
                }
                (section, value) => self.merge(Object::only(section), bare(value)),
            }
        }
    }

    /// Parts of what there is one of may stand in several files.
    fn merge(&mut self, object: Object, node: Node) {
        match self.objects.entry(object) {
            btree_map::Entry::Vacant(vacant) => {
                vacant.insert(Content::Rule(node));
            }
            btree_map::Entry::Occupied(mut occupied) => {
                if let Content::Rule(first) = occupied.get_mut() {
                    join(first, node);
                }
            }
        }
    }

    fn read_template(&mut self, path: &Arc<str>, bytes: &[u8]) {
        let Some(name) = path.strip_prefix("tags/").filter(|name| !name.contains('/') && !is_test_file(path)) else {
            return;
        };
        let (name, is_script) = match (name.strip_suffix(".rhai"), name.strip_suffix(".yaml")) {
            (Some(name), _) => (name, true),
            (None, Some(name)) => (name, false),
            (None, None) => return,
        };
        let template = Content::Template(Template::default());
        let content = self.objects.entry(Object::named("template", name)).or_insert(template);
        let Content::Template(template) = content else { return };
        if is_script {
            template.script = Some(bytes.to_vec());
        } else {
            let manifest = parse(path, bytes).map(|node| Content::Rule(normal(node.value)));
            template.manifest = Some(Box::new(manifest.unwrap_or_else(|| Content::Unreadable(bytes.to_vec()))));
        }
    }
}

impl Object {
    pub(super) fn named(kind: &str, name: &str) -> Self {
        Self { kind: kind.into(), name: Some(name.into()) }
    }

    fn only(kind: &str) -> Self {
        Self { kind: kind.into(), name: None }
    }
}

/// A file without errors; nothing in it is a null.
fn read(path: &Arc<str>, bytes: &[u8]) -> Option<Node> {
    let mut diagnostics = Diagnostics::default();
    let root = yaml::parse(path, bytes, &mut diagnostics);
    if diagnostics.errors_told() > 0 {
        return None;
    }
    root.or(Some(bare(Value::Null)))
}

fn parse(path: &Arc<str>, bytes: &[u8]) -> Option<Node> {
    read(path, bytes).map(|node| sorted(node.value))
}

fn bare(value: Value) -> Node {
    Node { span: Span::default(), value }
}

/// With the keys of every mapping in one order. Places go, too: they are not of this text.
fn sorted(value: Value) -> Node {
    rebuild(value, &mut |_, value| sorted(value))
}

/// The same value with what `child` makes of its parts, and its keys in one order.
fn rebuild(value: Value, child: &mut dyn FnMut(Option<&str>, Value) -> Node) -> Node {
    bare(match value {
        Value::List(items) => Value::List(items.into_iter().map(|item| child(None, item.value)).collect()),
        Value::Map(entries) => {
            let mut entries: Vec<_> = entries
                .into_iter()
                .map(|(key, node)| {
                    let node = child(Some(&key.name), node.value);
                    (Key { name: key.name, span: Span::default() }, node)
                })
                .collect();
            entries.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
            Value::Map(entries)
        }
        other => other,
    })
}

/// Keys of which one or a list can be written, and no order is meant.
const SETS: [&str; 21] = [
    "all",
    "all_tags_except",
    "allow",
    "any",
    "consent",
    "cookies",
    "denied_when",
    "destinations",
    "event",
    "exceptions",
    "exclude",
    "excludes",
    "granted_when",
    "hosts",
    "in",
    "origins",
    "region",
    "tags",
    "triggers",
    "types",
    "when",
];

/// Keys whose values are free in form: only their user knows what an order means.
const FREE: [&str; 3] = ["augment", "default", "parameters"];

/// Whether the order of a field's values means nothing.
pub fn is_set(key: &str) -> bool {
    SETS.contains(&key)
}

/// What is written of something whose keys are known.
fn normal(value: Value) -> Node {
    rebuild(value, &mut |key, value| match key {
        Some(key) if FREE.contains(&key) => sorted(value),
        Some(key) if is_set(key) && !matches!(value, Value::Map(_)) => as_set(value),
        _ => normal(value),
    })
}

fn as_set(value: Value) -> Node {
    let items = match value {
        Value::List(items) => items,
        Value::Null => Vec::new(),
        scalar => vec![bare(scalar)],
    };
    let mut items: Vec<Node> = items.into_iter().map(|item| condition(normal(item.value))).collect();
    items.sort_by_cached_key(|item| format!("{:?}", item.value));
    items.dedup();
    bare(Value::List(items))
}

/// Without what a condition says by default.
fn condition(mut node: Node) -> Node {
    if let Value::Map(entries) = &mut node.value {
        entries
            .retain(|(key, value)| !(matches!(&*key.name, "not" | "ignore_case") && value.value == Value::Bool(false)));
    }
    node
}

/// An item of a section of named ones.
fn item(kind: &str, node: Node) -> Node {
    match kind {
        "tag" => with_defaults(
            node,
            [
                ("paused", Value::Bool(false)),
                ("priority", Value::Number("0".into())),
                ("when_denied", Value::Text("skip".into())),
            ],
        ),
        "transformation" => with_defaults(node, [("priority", Value::Number("0".into()))]),
        "trigger" => without_empty(normal(node.value)),
        _ => sorted(node.value),
    }
}

/// With its defaults written out, so that a change from one is told from what to what.
fn with_defaults<const N: usize>(node: Node, defaults: [(&str, Value); N]) -> Node {
    let mut node = without_empty(normal(node.value));
    if let Value::Map(entries) = &mut node.value {
        for (name, default) in defaults {
            if !entries.iter().any(|(key, _)| &*key.name == name) {
                entries.push((Key { name: name.into(), span: Span::default() }, bare(default)));
            }
        }
        entries.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    }
    node
}

/// An empty list of conditions or exceptions, or no parameter, says nothing.
fn without_empty(mut node: Node) -> Node {
    let is_empty = |name: &str, value: &Value| match value {
        Value::List(items) => matches!(name, "when" | "exceptions") && items.is_empty(),
        Value::Map(entries) => name == "parameters" && entries.is_empty(),
        _ => false,
    };
    if let Value::Map(entries) = &mut node.value {
        entries.retain(|(key, value)| !is_empty(&key.name, &value.value));
    }
    node
}

/// Takes a second part into the first: mappings key by key, lists one after the other.
fn join(first: &mut Node, second: Node) {
    match (&mut first.value, second.value) {
        (Value::Map(entries), Value::Map(more)) => {
            for (key, node) in more {
                match entries.iter_mut().find(|(own, _)| *own == key) {
                    Some((_, own)) => join(own, node),
                    None => entries.push((key, node)),
                }
            }
            entries.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        }
        (Value::List(items), Value::List(more)) => items.extend(more),
        (own, other) => {
            let both = vec![bare(std::mem::replace(own, Value::Null)), bare(other)];
            *own = Value::List(both);
        }
    }
}
