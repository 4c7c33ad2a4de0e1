//! Which tags fire at another point than before. Tags of the same priority fire as they are written, so moving one is a
//! change; where its priority is what changed, that has been told.

use std::collections::BTreeMap;

use super::{
    Change, Object, What,
    outline::{Content, Outline},
    sequence,
};
use crate::container::yaml::Value;

pub fn of_tags(before: &Outline, after: &Outline) -> Vec<Change> {
    let mut turns: BTreeMap<i64, (Vec<&str>, Vec<&str>)> = BTreeMap::new();
    let kept = |name: &&str| priority(before, name).is_some_and(|old| priority(after, name) == Some(old));
    let of = |outline: &'_ Outline, name: &str| priority(outline, name).unwrap_or_default();
    for name in before.tags.iter().map(AsRef::as_ref).filter(kept) {
        turns.entry(of(before, name)).or_default().0.push(name);
    }
    for name in after.tags.iter().map(AsRef::as_ref).filter(kept) {
        turns.entry(of(after, name)).or_default().1.push(name);
    }
    turns.values().flat_map(|(old, new)| moved(old, new)).collect()
}

fn moved(old: &[&str], new: &[&str]) -> Vec<Change> {
    let mut stayed = vec![false; new.len()];
    for (_, place) in sequence::common(old, new) {
        if let Some(stayed) = stayed.get_mut(place) {
            *stayed = true;
        }
    }
    let moved = new.iter().enumerate().filter(|(place, _)| stayed.get(*place) == Some(&false));
    let change = |(place, name): (usize, &&str)| Change {
        object: Object { kind: "tag".into(), name: Some((*name).into()) },
        what: What::Turn { before: new.get(place + 1).map(|next| (*next).into()) },
    };
    moved.map(change).collect()
}

/// `None` for what is no number, and for tags that are not there.
fn priority(outline: &Outline, name: &str) -> Option<i64> {
    let object = Object { kind: "tag".into(), name: Some(name.into()) };
    let Content::Rule(rule) = outline.objects.get(&object)? else { return None };
    match &rule.get("priority")?.value {
        Value::Number(number) => number.parse().ok(),
        _ => None,
    }
}
