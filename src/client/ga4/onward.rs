//! A GA4 hit on its way to Google Analytics: takes an event and the line of the hit that it was read from; gives that
//! line's parameters as they came, and what becomes of those that it shares. Nothing goes on that the event no longer
//! holds: the line is read anew, and where the event differs from that, the parameter has the event's value, or is left out
//! if it cannot have it, as items cannot. Where what is about a person is withheld, that is taken out of what is left.

use std::{borrow::Cow, cell::Cell};

use serde_json::{Map, Value};

use super::{event_data, hints::Hint, impersonal, lines, names};
use crate::{
    call::relay::Shared,
    client::parameters::Parameters,
    event::{Event, lookup, to_text},
    hit::Hit,
    privacy::Fate,
};

/// What only a server that tags understands, and what it says itself: the visitor's address.
const OURS: [&str; 2] = ["richsstsse", "_uip"];
const OURS_BEGIN: &str = "sst.";

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
    /// How many parameters were left out or cut as being about a person.
    pub withheld: usize,
}

/// `position` is the event's place in its hit.
pub fn onward(event: &Event, hit: &Hit, position: usize, agent: Passing, person: Passing) -> Onward {
    let line = lines(&hit.body).nth(position);
    let own: Vec<Pair<'_>> = line.map(pairs).unwrap_or_default();
    let shared: Vec<Pair<'_>> = pairs(hit.query.as_bytes());
    let is_own = |pair: &Pair<'_>| own.iter().any(|other| other.name == pair.name);
    let came = came(hit, line);
    let name = came.get("en").unwrap_or_default();
    let sieve = Sieve { event, agent, person, name, data: &event_data(&came), withheld: Cell::new(0) };
    let line = line.map(|_| {
        let line = own.iter().filter_map(|pair| sieve.sift(pair)).collect::<Vec<_>>().join("&");
        // An empty line would be no event, even where the hit's query says all of it.
        if line.is_empty() { "&".into() } else { line.into() }
    });
    let shared = shared.iter().map(|pair| {
        if is_own(pair) {
            return Shared::Open;
        }
        sieve.sift(pair).map_or(Shared::LeftOut, |text| Shared::Goes(text.into()))
    });
    Onward { shared: shared.collect(), line, withheld: sieve.withheld.get() }
}

/// The parameters that an event was read from. What was read once is good.
fn came<'h>(hit: &'h Hit, line: Option<&'h [u8]>) -> Parameters<'h> {
    let read = |bytes| Parameters::parse(bytes, "").unwrap_or_default();
    let shared = read(hit.query.as_bytes());
    match line {
        Some(line) => read(line).over(&shared),
        None => shared,
    }
}

/// A parameter as it stands in the hit, and its name decoded.
struct Pair<'a> {
    raw: &'a [u8],
    name: Cow<'a, str>,
}

fn pairs(query: &[u8]) -> Vec<Pair<'_>> {
    let decoded = |raw| form_urlencoded::parse(raw).next().map(|(name, _)| Pair { raw, name });
    query.split(|byte| *byte == b'&').filter_map(decoded).collect()
}

struct Sieve<'s> {
    event: &'s Event,
    agent: Passing,
    /// Whether what is about a person goes along.
    person: Passing,
    /// The event's name and data as the hit has them.
    name: &'s str,
    data: &'s Map<String, Value>,
    withheld: Cell<usize>,
}

impl Sieve<'_> {
    /// The parameter as it goes on, if it does.
    fn sift<'p>(&self, pair: &'p Pair<'_>) -> Option<Cow<'p, str>> {
        let held = self.as_held(pair)?;
        if self.person == Passing::Passed {
            return Some(held);
        }
        let (_, value) = form_urlencoded::parse(held.as_bytes()).next()?;
        let kept = match impersonal::fate(&pair.name, &value) {
            Fate::Stays => return Some(held),
            Fate::Becomes(value) => Some(with_value(&pair.name, &value)),
            Fate::Goes => None,
        };
        self.withheld.update(|count| count + 1);
        kept
    }

    /// The parameter as the event has it.
    fn as_held<'p>(&self, pair: &'p Pair<'_>) -> Option<Cow<'p, str>> {
        let name = &*pair.name;
        if OURS.contains(&name) || name.starts_with(OURS_BEGIN) {
            return None;
        }
        // They tell what the browser's user agent tells.
        if self.agent == Passing::Withheld && Hint::of_wire(name).is_some() {
            return None;
        }
        if is_user_data(name) {
            let goes = self.event.data.contains_key("user_data") && self.is_unchanged("user_data");
            return goes.then(|| as_it_came(pair));
        }
        if name == "en" {
            let is_renamed = *self.event.name != *self.name;
            return Some(if is_renamed { with_value(name, &self.event.name) } else { as_it_came(pair) });
        }
        if let Some(place) = Place::of(name) {
            let now = place.find(&self.event.data);
            return match now {
                _ if now == place.find(self.data) => Some(as_it_came(pair)),
                Some(Value::String(_) | Value::Number(_) | Value::Bool(_)) => Some(with_value(name, &to_text(now?)?)),
                _ => None,
            };
        }
        let alone = event_data(&Parameters::parse(pair.raw, "").unwrap_or_default());
        // The event's id has its own place in it.
        let is_unchanged = alone.keys().all(|key| key == "event_id" || self.is_unchanged(key));
        is_unchanged.then(|| as_it_came(pair))
    }

    fn is_unchanged(&self, key: &str) -> bool {
        self.event.data.get(key) == self.data.get(key)
    }
}

fn with_value<'p>(name: &str, value: &str) -> Cow<'p, str> {
    form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish().into()
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

    fn find<'e>(&self, data: &'e Map<String, Value>) -> Option<&'e Value> {
        match self {
            Self::Data(path) => data.get(*path).or_else(|| lookup(data, path)),
            Self::UserProperty(key) => data.get("user_properties")?.get(key),
        }
    }
}

#[cfg(test)]
mod tests;
