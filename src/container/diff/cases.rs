//! Test cases, counted: they change what is tested, not what happens to an event.

use std::fmt;

use crate::container::yaml::{Node, Value};

/// How the cases of one file differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cases {
    pub added: usize,
    pub removed: usize,
    pub changed: usize,
    pub common: Common,
}

/// What a file says beside its cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Common {
    #[default]
    Same,
    Changed,
}

/// `None` if the files say the same.
pub fn compare(before: &Node, after: &Node) -> Option<Cases> {
    if before == after {
        return None;
    }
    let (old, new) = (before.get("cases"), after.get("cases"));
    let entries = |node: Option<&'_ Node>| node.map(Node::entries).unwrap_or_default().to_vec();
    let (old_cases, new_cases) = (entries(old), entries(new));
    let mut cases = Cases::default();
    for (name, case) in &old_cases {
        match new.and_then(|new| new.get(&name.name)) {
            None => cases.removed += 1,
            Some(other) if other != case => cases.changed += 1,
            Some(_) => {}
        }
    }
    cases.added = new_cases.iter().filter(|(name, _)| old.and_then(|old| old.get(&name.name)).is_none()).count();
    if cases == Cases::default() || rest(before) != rest(after) {
        cases.common = Common::Changed;
    }
    Some(cases)
}

/// How many cases a file has.
pub fn count(file: &Node) -> usize {
    file.get("cases").map_or(0, |cases| cases.entries().len())
}

fn rest(file: &Node) -> Value {
    Value::Map(file.entries().iter().filter(|(key, _)| &*key.name != "cases").cloned().collect())
}

/// `2 cases added, 1 changed`.
impl fmt::Display for Cases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [(self.added, "added"), (self.removed, "removed"), (self.changed, "changed")];
        let mut parts = Vec::new();
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            let noun = match (parts.is_empty(), count) {
                (false, _) => "",
                (true, 1) => " case",
                (true, _) => " cases",
            };
            parts.push(format!("{count}{noun} {what}"));
        }
        if self.common == Common::Changed {
            parts.push("what all cases share changed".to_owned());
        }
        f.write_str(&parts.join(", "))
    }
}
