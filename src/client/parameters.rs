//! A query string's parameters, decoded once, and how they become event data. A name that comes again counts as it came
//! last.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::BadHit;

/// How many parameters the query string may have, and every line of a batch. Google's own bounds (25 parameters, 200
/// items) stay far below.
const MAX_PARAMETERS: usize = 1_000;

/// How deep a dotted parameter name may reach; a longer one stays one key.
const MAX_STEPS: usize = 6;

/// Parameters, sorted by name.
#[derive(Default)]
pub struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Parameters<'a> {
    /// Reads a query string; what is no percent-encoded UTF-8 in it reads as replacement characters.
    pub fn parse(query: &'a [u8], place: &str) -> Result<Self, BadHit> {
        let mut parameters: Vec<_> = form_urlencoded::parse(query).take(MAX_PARAMETERS + 1).collect();
        if parameters.len() > MAX_PARAMETERS {
            return Err(BadHit::new("", format!("{place} has more than {MAX_PARAMETERS} parameters")));
        }
        parameters.reverse();
        // Sorted by name, the last of each name stands first.
        parameters.sort_by(|(one, _), (other, _)| one.cmp(other));
        parameters.dedup_by(|later, first| later.0 == first.0);
        Ok(Self(parameters))
    }

    /// These parameters, and those of `shared` that are absent here.
    pub fn over(self, shared: &Parameters<'a>) -> Parameters<'a> {
        let missing: Vec<_> = shared.0.iter().filter(|(name, _)| self.get(name).is_none()).cloned().collect();
        let mut all = self.0;
        all.extend(missing);
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        Parameters(all)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.binary_search_by(|(own, _)| (**own).cmp(name)).ok()?;
        self.0.get(found).map(|(_, value)| &**value)
    }

    /// By name, so that the same hit is always read in the same order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
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
