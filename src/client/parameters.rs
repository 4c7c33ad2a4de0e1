//! A query string's parameters, decoded once, and how they become event data. A name that comes again counts as it came
//! last; what it said before is kept beside, because it may have been a refusal.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::BadHit;

/// How many parameters the query string may have, and every line of a batch. Google's own bounds (25 parameters, 200
/// items) stay far below.
const MAX_PARAMETERS: usize = 1_000;

/// How deep a dotted parameter name may reach; a longer one stays one key.
const MAX_STEPS: usize = 6;

/// A parameter's name and value.
type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Parameters, sorted by name.
#[derive(Default)]
pub struct Parameters<'a> {
    all: Vec<Pair<'a>>,
    /// What names that came again said before, where it was another thing.
    again: Vec<Pair<'a>>,
    /// What those of a batch share, where a line has another value of its own.
    overruled: Vec<Pair<'a>>,
}

impl<'a> Parameters<'a> {
    /// Reads a query string; what is no percent-encoded UTF-8 in it reads as replacement characters.
    pub fn parse(query: &'a [u8], place: &str) -> Result<Self, BadHit> {
        let mut all: Vec<_> = form_urlencoded::parse(query).take(MAX_PARAMETERS + 1).collect();
        if all.len() > MAX_PARAMETERS {
            return Err(BadHit::new("", format!("{place} has more than {MAX_PARAMETERS} parameters")));
        }
        all.reverse();
        // Sorted by name, the last of each name stands first.
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut again = Vec::new();
        all.dedup_by(|earlier, counts| {
            let is_same = earlier.0 == counts.0;
            if is_same && earlier.1 != counts.1 {
                again.push(std::mem::take(earlier));
            }
            is_same
        });
        Ok(Self { all, again, overruled: Vec::new() })
    }

    /// These parameters, and those of `shared` that are absent here.
    pub fn over(self, shared: &Parameters<'a>) -> Parameters<'a> {
        let Self { mut all, mut again, mut overruled } = self;
        let mut missing = Vec::new();
        for (name, value) in &shared.all {
            match all.binary_search_by(|(own, _)| own.cmp(name)) {
                Err(_) => missing.push((name.clone(), value.clone())),
                Ok(found) if all[found].1 != *value => overruled.push((name.clone(), value.clone())),
                Ok(_) => {}
            }
        }
        all.extend(missing);
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        again.extend(shared.again.iter().cloned());
        Parameters { all, again, overruled }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.all.binary_search_by(|(own, _)| (**own).cmp(name)).ok()?;
        self.all.get(found).map(|(_, value)| &**value)
    }

    /// By name, so that the same hit is always read in the same order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all.iter().map(|(name, value)| (&**name, &**value))
    }

    /// What names that came again said before, where it was another thing.
    pub fn again(&self) -> impl Iterator<Item = (&str, &str)> {
        self.again.iter().map(|(name, value)| (&**name, &**value))
    }

    /// What those of a batch share, where a line has another value of its own.
    pub fn overruled(&self) -> impl Iterator<Item = (&str, &str)> {
        self.overruled.iter().map(|(name, value)| (&**name, &**value))
    }
}

/// A number as JSON has it, its digits kept; any other text stays one.
pub fn number(text: &str) -> Value {
    match text.trim().parse::<serde_json::Number>() {
        Ok(number) => Value::Number(number),
        Err(_) => text.into(),
    }
}

/// Sets the value at a dotted name, step by step. A name that cannot be a path (an empty step, too many of them, a step
/// through what is no mapping) stays one key.
pub fn nest(data: &mut Map<String, Value>, name: &str, value: Value) {
    let steps = name.split('.').count();
    if steps == 1 || steps > MAX_STEPS || name.split('.').any(str::is_empty) || !leads_through_maps(data, name) {
        data.insert(name.to_owned(), value);
        return;
    }
    let mut map = data;
    let (path, last) = name.rsplit_once('.').unwrap_or_default();
    for step in path.split('.') {
        let next = map.entry(step).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(next) = next else { return };
        map = next;
    }
    map.insert(last.to_owned(), value);
}

fn leads_through_maps(data: &Map<String, Value>, name: &str) -> bool {
    let mut map = data;
    let (path, _) = name.rsplit_once('.').unwrap_or_default();
    for step in path.split('.') {
        match map.get(step) {
            None => return true,
            Some(Value::Object(next)) => map = next,
            Some(_) => return false,
        }
    }
    true
}
