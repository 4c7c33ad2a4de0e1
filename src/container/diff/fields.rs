//! Field by field: where two rules differ. Takes what is written before and after; tells each difference with the path to
//! it in words.

use super::{ValueChange, What, outline::is_set, sequence};
use crate::container::yaml::{Node, Value};

/// In place of a secret that somebody wrote out.
const UNSHOWN: &str = "•••";

/// Where a value stands in its rule.
#[derive(Clone, Copy)]
struct Spot<'a> {
    /// In words, such as `parameter event`; empty for the rule itself.
    words: &'a str,
    /// The last key.
    key: &'a str,
}

pub fn compare(before: &Node, after: &Node, told: &mut impl FnMut(What)) {
    let root = Spot { words: "", key: "" };
    values(root, Some(before), Some(after), &mut |what| told(what));
}

fn values(spot: Spot<'_>, before: Option<&Node>, after: Option<&Node>, told: &mut dyn FnMut(What)) {
    if before == after {
        return;
    }
    match (before.map(|node| &node.value), after.map(|node| &node.value)) {
        (Some(Value::Map(_)), Some(Value::Map(_))) => entries(spot, before, after, told),
        (None, Some(Value::Map(map))) | (Some(Value::Map(map)), None) if is_opened(spot) && !map.is_empty() => {
            entries(spot, before, after, told);
        }
        (Some(Value::List(old)), Some(Value::List(new))) if is_set(spot.key) => set(spot, old, new, told),
        (Some(Value::List(old)), Some(Value::List(new))) => list(spot, old, new, told),
        (None, Some(Value::List(new))) if is_set(spot.key) && !new.is_empty() => set(spot, &[], new, told),
        (Some(Value::List(old)), None) if is_set(spot.key) && !old.is_empty() => set(spot, old, &[], told),
        _ => change(spot, before, after, told),
    }
}

/// Mappings that are told of key by key where they come or go as a whole, since they are but a heading.
fn is_opened(spot: Spot<'_>) -> bool {
    matches!(spot.words, "" | "parameters" | "defaults" | "permissions" | "fields")
}

fn entries(spot: Spot<'_>, before: Option<&Node>, after: Option<&Node>, told: &mut dyn FnMut(What)) {
    let of = |node: Option<&'_ Node>| node.map(Node::entries).unwrap_or_default().to_vec();
    let (old, new) = (of(before), of(after));
    let added = new.iter().filter(|(key, _)| !old.iter().any(|(other, _)| other == key));
    for (key, _) in old.iter().chain(added) {
        let words = below(spot, &key.name);
        let inner = Spot { words: &words, key: &key.name };
        let get = |node: Option<&'_ Node>| node.and_then(|node| node.get(&key.name)).cloned();
        values(inner, get(before).as_ref(), get(after).as_ref(), told);
    }
}

/// The path to a key: `parameter event`, `permissions.hosts`, `condition`.
fn below(spot: Spot<'_>, key: &str) -> String {
    match (spot.words, key) {
        ("", "when") => "condition".to_owned(),
        ("", key) => key.to_owned(),
        ("parameters", key) => format!("parameter {key}"),
        ("fields", key) => format!("field {key}"),
        ("defaults", key) => format!("default of {key}"),
        (words, key) => format!("{words}.{key}"),
    }
}

/// One value for another is a change; any other difference is what came and what went.
fn set(spot: Spot<'_>, old: &[Node], new: &[Node], told: &mut dyn FnMut(What)) {
    let mut removed: Vec<_> = old.iter().filter(|item| !new.contains(item)).collect();
    let mut added: Vec<_> = new.iter().filter(|item| !old.contains(item)).collect();
    let differ = !removed.is_empty() || !added.is_empty();
    removed.retain(|old| {
        let same = added.iter().position(|new| subject(old).is_some() && subject(old) == subject(new));
        if let Some(place) = same {
            change(spot, Some(old), Some(added.remove(place)), told);
        }
        same.is_none()
    });
    match (removed.as_slice(), added.as_slice()) {
        ([], []) if differ => {}
        ([], []) => change(spot, Some(&node(old)), Some(&node(new)), told),
        ([old], [new]) => change(spot, Some(old), Some(new), told),
        _ => {
            removed.into_iter().for_each(|item| change(spot, Some(item), None, told));
            added.into_iter().for_each(|item| change(spot, None, Some(item), told));
        }
    }
}

/// What a condition is about: two about the same are one that changed.
fn subject(condition: &Node) -> Option<&Node> {
    condition.get("event_data").or_else(|| condition.get("variable"))
}

fn node(items: &[Node]) -> Node {
    Node { span: crate::container::yaml::Span::default(), value: Value::List(items.to_vec()) }
}

/// A list whose order means something. As many values as before are compared one by one.
fn list(spot: Spot<'_>, old: &[Node], new: &[Node], told: &mut dyn FnMut(What)) {
    let common = sequence::common(old, new);
    let gone = rest(old, common.iter().map(|(old, _)| *old));
    let come = rest(new, common.iter().map(|(_, new)| *new));
    let sorted = |items: &[(usize, &Node)]| {
        let mut items: Vec<_> = items.iter().map(|(_, item)| format!("{:?}", item.value)).collect();
        items.sort_unstable();
        items
    };
    if sorted(&gone) == sorted(&come) {
        return told(What::Order { field: spot.words.to_owned() });
    }
    if gone.len() == come.len() && gone.iter().zip(&come).all(|((a, _), (b, _))| a == b) {
        for ((place, old), (_, new)) in gone.iter().zip(&come) {
            let words = format!("{}[{}]", spot.words, place + 1);
            values(Spot { words: &words, key: "" }, Some(old), Some(new), told);
        }
        return;
    }
    gone.into_iter().for_each(|(_, item)| change(spot, Some(item), None, told));
    come.into_iter().for_each(|(_, item)| change(spot, None, Some(item), told));
}

/// The items whose places are not among these, with their places.
fn rest(items: &[Node], places: impl Iterator<Item = usize>) -> Vec<(usize, &Node)> {
    let places: Vec<_> = places.collect();
    items.iter().enumerate().filter(|(place, _)| places.binary_search(place).is_err()).collect()
}

fn change(spot: Spot<'_>, before: Option<&Node>, after: Option<&Node>, told: &mut dyn FnMut(What)) {
    let field = spot.words.to_owned();
    let is_condition = field == "condition";
    let (shown_before, shown_after) = (shown(before, after), shown(after, before));
    told(What::Value(ValueChange { field, before: shown_before, after: shown_after, is_condition }));
}

/// A text where the other version names a secret is the secret itself, and is not shown.
fn shown(node: Option<&Node>, other: Option<&Node>) -> Option<Node> {
    let is_secret = matches!(node?.value, Value::Text(_)) && other.is_some_and(|other| other.get("secret").is_some());
    let mut node = node.cloned();
    if let Some(node) = node.as_mut().filter(|_| is_secret) {
        node.value = Value::Text(UNSHOWN.into());
    }
    node
}
