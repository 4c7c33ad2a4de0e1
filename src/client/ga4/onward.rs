//! A GA4 hit on its way to Google Analytics: takes an event and the line of the hit that it was read from; gives that
//! line's parameters as they came, and what becomes of those that it shares. Nothing goes on that the event no longer
//! holds: what was taken out of it, or changed in it, is taken out or changed in the hit.

use std::borrow::Cow;

use serde_json::Value;

use super::{lines, names};
use crate::{
    call::relay::Shared,
    event::{Event, lookup},
    hit::Hit,
};

/// What only a server that tags understands, and what it says itself: the visitor's address.
const OURS: [&str; 2] = ["richsstsse", "_uip"];
const OURS_BEGIN: &str = "sst.";

/// The browser's client hints, which tell what its user agent tells.
const HINTS: [&str; 8] = ["uaa", "uab", "uafvl", "uam", "uamb", "uap", "uapv", "uaw"];

/// Whether something about the visitor goes along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    Passed,
    Withheld,
}

/// What of a hit goes on for one of its events.
#[derive(Debug, PartialEq, Eq)]
pub struct Onward {
    pub shared: Vec<Shared>,
    /// `None` if the hit has no lines.
    pub line: Option<Box<str>>,
}

/// `position` is the event's place in its hit.
pub fn onward(event: &Event, hit: &Hit, position: usize, agent: Passing, user_data: Passing) -> Onward {
    let line = lines(&hit.body).nth(position);
    let own: Vec<Pair<'_>> = line.map(pairs).unwrap_or_default();
    let shared: Vec<Pair<'_>> = pairs(hit.query.as_bytes());
    let is_own = |pair: &Pair<'_>| own.iter().any(|other| other.name == pair.name);
    let effective: Vec<&Pair<'_>> = own.iter().chain(shared.iter().filter(|pair| !is_own(pair))).collect();
    let sieve = Sieve { event, agent, user_data, effective: &effective };
    let line = line.map(|_| {
        let line = own.iter().filter_map(|pair| sieve.sift(pair)).collect::<Vec<_>>().join("&");
        // An empty line would be no event, even where the hit's query says all of it.
        if line.is_empty() { "&".into() } else { line.into() }
    });
    let shared = shared.iter().map(|pair| match sieve.sift(pair) {
        _ if is_own(pair) => Shared::Open,
        Some(text) => Shared::Goes(text.into()),
        None => Shared::LeftOut,
    });
    Onward { shared: shared.collect(), line }
}

/// A parameter as it stands in the hit, and decoded.
struct Pair<'a> {
    raw: &'a [u8],
    name: Cow<'a, str>,
    value: Cow<'a, str>,
}

fn pairs(query: &[u8]) -> Vec<Pair<'_>> {
    let decoded = |raw| form_urlencoded::parse(raw).next().map(|(name, value)| Pair { raw, name, value });
    query.split(|byte| *byte == b'&').filter_map(decoded).collect()
}

struct Sieve<'s, 'a> {
    event: &'s Event,
    agent: Passing,
    user_data: Passing,
    /// The parameters that the event was read from.
    effective: &'s [&'s Pair<'a>],
}

impl Sieve<'_, '_> {
    /// The parameter as it goes on, if it does.
    fn sift<'p>(&self, pair: &'p Pair<'_>) -> Option<Cow<'p, str>> {
        let name = &*pair.name;
        if OURS.contains(&name) || name.starts_with(OURS_BEGIN) {
            return None;
        }
        if HINTS.contains(&name) && self.agent == Passing::Withheld {
            return None;
        }
        if is_user_data(name) {
            let is_there = self.user_data == Passing::Passed && self.event.data.contains_key("user_data");
            return is_there.then(|| as_it_came(pair));
        }
        let Some(place) = Place::of(name) else { return Some(as_it_came(pair)) };
        match place.find(self.event) {
            None if !place.is_taken(self.event) => None,
            Some(Value::String(text)) if *text != *pair.value && !self.comes_from_elsewhere(name, text) => {
                Some(form_urlencoded::Serializer::new(String::new()).append_pair(name, text).finish().into())
            }
            _ => Some(as_it_came(pair)),
        }
    }

    /// Two parameters can mean the same key of the event, which then holds one of their values.
    fn comes_from_elsewhere(&self, name: &str, text: &str) -> bool {
        let place = Place::of(name);
        self.effective.iter().any(|other| other.value == text && Place::of(&other.name) == place)
    }
}

/// `em`, and the parameters of what a site says of its user.
fn is_user_data(name: &str) -> bool {
    name == "em" || name == "ep.user_data" || name.starts_with("ep.user_data.")
}

/// Text in a hit is percent-encoded; a stray byte that an address would end at or lose, or that is no text, gets its
/// encoding.
fn as_it_came<'p>(pair: &Pair<'p>) -> Cow<'p, str> {
    let is_stray = |byte: &u8| byte.is_ascii_control() || matches!(byte, b' ' | b'#');
    match std::str::from_utf8(pair.raw) {
        Ok(text) if !pair.raw.iter().any(is_stray) => Cow::Borrowed(text),
        _ => {
            let encoded = pair.raw.iter().map(|byte| match byte {
                byte if byte.is_ascii() && !is_stray(byte) => char::from(*byte).to_string(),
                byte => format!("%{byte:02X}"),
            });
            encoded.collect()
        }
    }
}

/// Where a parameter stands in the event.
#[derive(PartialEq, Eq)]
enum Place<'a> {
    Data(&'a str),
    UserProperty(&'a str),
}

impl<'a> Place<'a> {
    /// `None` for what is read into more than one key, or whose key is nobody's but this protocol's.
    fn of(name: &'a str) -> Option<Self> {
        match name.split_once('.') {
            Some(("ep" | "epn", key)) if key != "event_id" && !key.is_empty() => Some(Self::Data(key)),
            Some(("up" | "upn", key)) if !key.is_empty() => Some(Self::UserProperty(key)),
            _ => names::key_of(name).map(Self::Data),
        }
    }

    fn find<'e>(&self, event: &'e Event) -> Option<&'e Value> {
        match self {
            Self::Data(path) => event.data.get(*path).or_else(|| lookup(&event.data, path)),
            Self::UserProperty(key) => event.data.get("user_properties")?.get(key),
        }
    }

    /// Whether another parameter put a value where this one's path leads through, so that it left nothing.
    fn is_taken(&self, event: &Event) -> bool {
        let Self::Data(path) = self else { return false };
        let ends = path.match_indices('.').map(|(end, _)| &path[..end]);
        ends.filter_map(|start| lookup(&event.data, start)).any(|found| !found.is_object())
    }
}

#[cfg(test)]
mod tests;
