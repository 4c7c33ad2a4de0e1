//! Which tags and transformations take another turn than before. Those of the same priority go as they are written, so
//! moving one is a change; where its priority is what changed, that has been told.

use std::collections::BTreeMap;

use super::{
    Change, Object, What,
    outline::{Content, Outline, TURNS},
    sequence,
};
use crate::container::yaml::Value;

pub fn compare(before: &Outline, after: &Outline) -> Vec<Change> {
    TURNS.into_iter().flat_map(|kind| of_kind(kind, before, after)).collect()
}

fn of_kind(kind: &'static str, before: &Outline, after: &Outline) -> Vec<Change> {
    let mut turns: BTreeMap<i64, [Vec<&str>; 2]> = BTreeMap::new();
    for (side, outline) in [before, after].into_iter().enumerate() {
        for name in outline.written.get(kind).into_iter().flatten() {
            let old = priority(before, kind, name);
            if let Some(priority) = old.filter(|_| old == priority(after, kind, name)) {
                turns.entry(priority).or_default()[side].push(name);
            }
        }
    }
    turns.values().flat_map(|[old, new]| moved(kind, old, new)).collect()
}

fn moved(kind: &str, old: &[&str], new: &[&str]) -> Vec<Change> {
    let mut stayed = vec![false; new.len()];
    for (_, place) in sequence::common(old, new) {
        if let Some(stayed) = stayed.get_mut(place) {
            *stayed = true;
        }
    }
    let moved = new.iter().enumerate().filter(|(place, _)| stayed.get(*place) == Some(&false));
    let change = |(place, name): (usize, &&str)| Change {
        object: Object { kind: kind.into(), name: Some((*name).into()) },
        what: What::Turn { before: new.get(place + 1).map(|next| (*next).into()) },
    };
    moved.map(change).collect()
}

/// `None` for what is no number, and for objects that are not there.
fn priority(outline: &Outline, kind: &str, name: &str) -> Option<i64> {
    let object = Object { kind: kind.into(), name: Some(name.into()) };
    let Content::Rule(rule) = outline.objects.get(&object)? else { return None };
    match &rule.get("priority")?.value {
        Value::Number(number) => number.parse().ok(),
        _ => None,
    }
}
