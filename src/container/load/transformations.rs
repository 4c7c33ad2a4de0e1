//! From transformation rules to transformations, and which tags each affects.

use std::{cmp::Reverse, sync::Arc};

use super::{
    Item, Items, Names, Reading, conditions,
    values::{self, At},
};
use crate::{
    container::{
        diagnostic::{Diagnostic, Diagnostics, Place, quoted},
        model::TransformationRule,
        yaml::{self, Node, OneOrMany, Placed, PlacedMap},
    },
    transformation::{Change, IMMUTABLE, Path, Transformation, TransformationIndex},
};

/// Transformations in the order in which they apply.
pub(super) struct Transformations {
    pub list: Vec<Transformation>,
    /// For each tag, in the order of the items, those that affect it.
    pub of_tags: Vec<Vec<TransformationIndex>>,
}

/// What transformations refer to.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub tags: &'a Names,
    pub variables: &'a Names,
}

/// Compiles all of them, for so many tags. Those of higher priority come first, then they come as written.
pub(super) fn compile(
    items: Items<TransformationRule>,
    tags: usize,
    known: Known<'_>,
    diagnostics: &mut Diagnostics,
) -> Transformations {
    let (mut items, _) = items.into_parts("transformation");
    items.sort_by_key(|item| Reverse(item.rule.priority));
    let mut compiled = Transformations { list: Vec::new(), of_tags: vec![Vec::new(); tags] };
    for item in &items {
        let owner = format!("transformation {}", quoted(&item.name));
        let affected = affected(item, tags, known.tags, &owner, diagnostics);
        let conditions = conditions::compile(&item.rule.when, &owner, item.reading, known.variables, diagnostics);
        let Some(change) = change(item, known.variables, &owner, diagnostics) else { continue };
        for tag in affected {
            if let Some(own) = compiled.of_tags.get_mut(tag) {
                own.push(TransformationIndex(compiled.list.len()));
            }
        }
        compiled.list.push(Transformation { name: Arc::clone(&item.name), conditions, change });
    }
    compiled
}

/// The tags that see what the transformation makes of an event.
fn affected(
    item: &Item<TransformationRule>,
    tags: usize,
    names: &Names,
    owner: &str,
    diagnostics: &mut Diagnostics,
) -> Vec<usize> {
    let mut find = |named: &OneOrMany<Placed<Box<str>>>| {
        let found = named.as_slice().iter().filter_map(|name| names.find(name, &name.place, owner, diagnostics));
        let mut found: Vec<_> = found.collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    let (message, help) = match (&item.rule.tags, &item.rule.all_tags_except) {
        (Some(named), None) if named.as_slice().is_empty() => {
            ("affects no tag", "name tags, or leave out the key: without it all tags are affected")
        }
        (Some(named), None) => return find(named),
        (None, Some(named)) => {
            let spared = find(named);
            return (0..tags).filter(|tag| spared.binary_search(tag).is_err()).collect();
        }
        (None, None) => return (0..tags).collect(),
        (Some(_), Some(_)) => ("has both tags and all_tags_except", "keep one of them"),
    };
    let problem = Diagnostic::error("bad-transformation", format!("{owner} {message}")).at(item.place.clone());
    diagnostics.push(problem.of(owner).help(help.to_owned()));
    Vec::new()
}

/// `None` goes with at least one error.
fn change(
    item: &Item<TransformationRule>,
    variables: &Names,
    owner: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Change> {
    let mut bad = |message: &str, help: &str| {
        let problem = Diagnostic::error("bad-transformation", format!("{owner} {message}")).at(item.place.clone());
        diagnostics.push(problem.of(owner).help(help.to_owned()));
        None
    };
    match (&item.rule.allow, &item.rule.exclude, &item.rule.augment) {
        (Some(keys), None, None) if keys.as_slice().is_empty() => {
            bad("allows nothing", "name the keys that tags may see, or delete it")
        }
        (None, Some(keys), None) if keys.as_slice().is_empty() => {
            bad("excludes nothing", "name the keys that tags may not see, or delete it")
        }
        (Some(keys), None, None) => {
            // What cannot be left out, may be named all the same.
            let named = keys.as_slice().iter().filter(|key| !is_immutable(key) && &*key.value != "event_name");
            Some(Change::Allow(named.filter_map(|key| path(key, &key.place, owner, diagnostics)).collect()))
        }
        (None, Some(keys), None) => {
            let path = |key| changeable(key, &key.place, "excluded", owner, diagnostics);
            Some(Change::Exclude(keys.as_slice().iter().filter_map(path).collect()))
        }
        (None, None, Some(keys)) if keys.is_empty() => bad("adds nothing", "say KEY: VALUE, or delete it"),
        (None, None, Some(keys)) => Some(augment(keys, &item.place.file, variables, owner, diagnostics)),
        (None, None, None) if item.reading == Reading::Flawed => None,
        (None, None, None) => bad(
            "does nothing",
            "add allow: [KEYS], exclude: [KEYS] or augment: { KEY: VALUE }; keys are dotted paths of event data",
        ),
        _ => bad("does several things", "keep one of allow, exclude and augment, and make others of the rest"),
    }
}

fn augment(
    keys: &PlacedMap<Node>,
    file: &Arc<str>,
    variables: &Names,
    owner: &str,
    diagnostics: &mut Diagnostics,
) -> Change {
    let (mut event_name, mut data) = (None, Vec::new());
    let at = At { file, owner };
    for (key, node) in keys {
        if holds_reference(node) {
            let problem = Diagnostic::error("bad-transformation", "a variable within a list or map is not looked at");
            let help = "set the inner key by its path, such as user_data.email_address, or let a variable of kind \
                        expression make the whole value";
            diagnostics.push(problem.at(node.span.place(file)).of(owner).help(help.to_owned()));
        }
        let template = values::template(node, variables, at, diagnostics);
        if &*key.value == "event_name" {
            event_name = Some(template);
        } else if let Some(path) = changeable(key, &key.place, "changed", owner, diagnostics) {
            data.push((path, template));
        }
    }
    Change::Augment { event_name, data }
}

/// Whether a list or map has a text with `{{` in it.
fn holds_reference(node: &Node) -> bool {
    let is_reference = |node: &Node| matches!(&node.value, yaml::Value::Text(text) if text.contains("{{"));
    match &node.value {
        yaml::Value::List(items) => items.iter().any(|item| is_reference(item) || holds_reference(item)),
        yaml::Value::Map(entries) => entries.iter().any(|(_, item)| is_reference(item) || holds_reference(item)),
        _ => false,
    }
}

fn is_immutable(key: &str) -> bool {
    let first = key.split('.').next().unwrap_or_default();
    IMMUTABLE.contains(&first)
}

/// The path of a key that a transformation may change.
fn changeable(
    key: &Placed<impl AsRef<str>>,
    place: &Place,
    deed: &str,
    owner: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Path> {
    let text = key.value.as_ref();
    if is_immutable(text) || text == "event_name" {
        let problem = Diagnostic::error("immutable-key", format!("{} cannot be {deed}", quoted(text)));
        let help = match text.split('.').next().unwrap_or_default() {
            "event_name" => "every event has a name; augment may give it another one",
            "event_id" | "event_time" => "destinations know events by their id and time",
            _ => "Google's own tags rely on it",
        };
        diagnostics.push(problem.at(place.clone()).of(owner).help(help.to_owned()));
        return None;
    }
    path(key, place, owner, diagnostics)
}

fn path(key: &Placed<impl AsRef<str>>, place: &Place, owner: &str, diagnostics: &mut Diagnostics) -> Option<Path> {
    let text = key.value.as_ref();
    let mut keys = text.split('.').map(Box::<str>::from);
    let is_flawed = |key: &str| key.is_empty() || key.bytes().all(|byte| byte.is_ascii_digit());
    if text.split('.').any(is_flawed) || text.contains("{{") {
        let problem = Diagnostic::error("bad-path", format!("{} is no path of keys", quoted(text)));
        let help = "write keys with dots between them; in a list, a key stands for that of each element: items.price";
        diagnostics.push(problem.at(place.clone()).of(owner).help(help.to_owned()));
        return None;
    }
    Some(Path { first: keys.next()?, rest: keys.collect() })
}
