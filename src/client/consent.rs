//! What an event says of consent in its own keys: takes them out of the event's data; gives [`Signals`], or which of them
//! is wrong. Nobody guesses what a visitor meant: a value that is neither `granted` nor `denied` refuses the hit.

use serde_json::{Map, Value};

use super::BadHit;
use crate::{
    consent::{
        Answered, Chance, ConsentStatus, ConsentType, RegionalDefault, Signals, Statement,
        region::{Region, Scope},
    },
    container::diagnostic::quoted,
    trace::Note,
};

pub const SHAPE: &str = "must map Consent Mode types to \"granted\" or \"denied\"";

/// More defaults than there are regions in the world are nobody's.
const MAX_DEFAULTS: usize = 1_000;

/// Keys of `gtag('consent', 'default', …)` that are no consent types.
const NOT_TYPES: [&str; 2] = ["region", "wait_for_update"];

/// Takes `consent` and the keys that begin with `consent_` out of an event. `at` makes a field's
/// place in the hit of its name.
pub fn take(
    data: &mut Map<String, Value>,
    at: &impl Fn(&str) -> String,
    notes: &mut Vec<Note>,
) -> Result<Signals, BadHit> {
    let hit = match data.remove("consent") {
        None | Some(Value::Null) => Statement::default(),
        Some(stated) => alone(&stated, &|| at("consent"), notes)?,
    };
    let answered = match data.remove("consent_answered") {
        Some(Value::Bool(true)) => Answered::Yes,
        Some(Value::Bool(false)) => Answered::No,
        None | Some(Value::Null) => Answered::NotSaid,
        Some(_) => return Err(BadHit::new(at("consent_answered"), "must be true or false")),
    };
    let defaults = match data.remove("consent_defaults") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => defaults(&list, &at("consent_defaults"), notes)?,
        Some(_) => return Err(BadHit::new(at("consent_defaults"), "must be a list")),
    };
    let withheld = data.remove("consent_withheld");
    let chance = match data.remove("consent_then") {
        None | Some(Value::Null) => chance(withheld, at)?,
        Some(stated) => Chance::Second { then: alone(&stated, &|| at("consent_then"), notes)? },
    };
    note_strays(data, notes);
    Ok(Signals { hit, answered, defaults, chance, ..Signals::default() })
}

fn chance(withheld: Option<Value>, at: &impl Fn(&str) -> String) -> Result<Chance, BadHit> {
    match withheld {
        None | Some(Value::Null) => Ok(Chance::First),
        Some(Value::Bool(true)) => Ok(Chance::Bare),
        Some(Value::Bool(false)) => Ok(Chance::Whole),
        Some(_) => Err(BadHit::new(at("consent_withheld"), "must be true or false")),
    }
}

/// What is passed over: the first is told of, the others are counted, so that a long list makes a short trace.
#[derive(Default)]
struct PassedOver {
    first: Option<(String, String)>,
    more: usize,
}

impl PassedOver {
    fn add(&mut self, place: &dyn Fn() -> String, text: &str) {
        match self.first {
            None => self.first = Some((place(), quoted(text))),
            Some(_) => self.more += 1,
        }
    }

    fn tell(self, what: &str, notes: &mut Vec<Note>) {
        let Some((place, first)) = self.first else { return };
        let others = if self.more == 0 { String::new() } else { format!(" and {} more", self.more) };
        notes.push(Note::new(place, format!("{first}{others}: {what}")));
    }
}

const NO_TYPE: &str = "no Consent Mode type, ignored";
const NO_REGION: &str = "no region: what it denies counts everywhere, what it grants nowhere";

/// Reads a statement that stands by itself.
fn alone(stated: &Value, place: &dyn Fn() -> String, notes: &mut Vec<Note>) -> Result<Statement, BadHit> {
    let mut unknown = PassedOver::default();
    let said = statement(stated, place, &[], &mut unknown)?;
    unknown.tell(NO_TYPE, notes);
    Ok(said)
}

/// Reads `{"ad_storage": "granted", …}`. `others` are keys that may stand there too.
fn statement(
    stated: &Value,
    place: &dyn Fn() -> String,
    others: &[&str],
    unknown: &mut PassedOver,
) -> Result<Statement, BadHit> {
    let Value::Object(stated) = stated else { return Err(BadHit::new(place(), SHAPE)) };
    let mut said = Statement::default();
    for (kind, status) in stated.iter().filter(|(kind, _)| !others.contains(&kind.as_str())) {
        let Some(known) = ConsentType::from_name(kind) else {
            if let Some(meant) = misspelt(kind) {
                return Err(BadHit::new(format!("{}.{kind}", place()), format!("is written {meant}")));
            }
            unknown.add(place, kind);
            continue;
        };
        let Some(status) = status.as_str().and_then(ConsentStatus::from_word) else {
            return Err(BadHit::new(format!("{}.{kind}", place()), "must be \"granted\" or \"denied\""));
        };
        said.set(known, status);
    }
    Ok(said)
}

/// Reads a list of what `gtag('consent', 'default', …)` was told. One entry may be for several regions.
fn defaults(list: &[Value], place: &str, notes: &mut Vec<Note>) -> Result<Vec<RegionalDefault>, BadHit> {
    let mut defaults = Vec::new();
    let (mut unknown, mut nowhere) = (PassedOver::default(), PassedOver::default());
    let mut room = MAX_DEFAULTS;
    for (position, entry) in list.iter().enumerate() {
        let place = || format!("{place}[{position}]");
        let regions = entry.get("region").and_then(Value::as_array).map_or(1, |regions| regions.len().max(1));
        // Before anything is made of them: a hit may hold far more.
        room = room.checked_sub(regions).ok_or_else(|| BadHit::new(place(), too_many()))?;
        let said = statement(entry, &place, &NOT_TYPES, &mut unknown)?;
        let bad = || {
            let text = "must be a region, such as \"ES\" or \"US-CA\", or a list of them";
            BadHit::new(format!("{}.region", place()), text)
        };
        let mut scope = |code: &str| {
            Region::parse(code).map_or_else(
                || {
                    nowhere.add(&place, code);
                    Scope::Unreadable
                },
                Scope::Region,
            )
        };
        match entry.get("region") {
            None | Some(Value::Null) => defaults.push(RegionalDefault { scope: Scope::Elsewhere, said }),
            Some(Value::String(code)) => defaults.push(RegionalDefault { scope: scope(code), said }),
            Some(Value::Array(codes)) => {
                for code in codes {
                    defaults.push(RegionalDefault { scope: scope(code.as_str().ok_or_else(bad)?), said });
                }
            }
            Some(_) => return Err(bad()),
        }
    }
    unknown.tell(NO_TYPE, notes);
    nowhere.tell(NO_REGION, notes);
    Ok(defaults)
}

fn too_many() -> String {
    format!("there may be {MAX_DEFAULTS} defaults, each region of an entry counting as one")
}

/// The consent type that a key means and does not name, such as `adStorage`: who states a refusal must be heard.
pub fn misspelt(key: &str) -> Option<&'static str> {
    ConsentType::ALL.map(ConsentType::name).into_iter().find(|name| *name != key && letters(name).eq(letters(key)))
}

fn letters(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase())
}

/// Keys that look as if they spoke of consent, and stand where it is not read: an event may have such data, as the
/// pushes of consent managers do, and whoever wonders why it counts for nothing finds a note.
fn note_strays(data: &Map<String, Value>, notes: &mut Vec<Note>) {
    let is_stray = |key: &str| {
        ConsentType::from_name(key).is_some() || misspelt(key).is_some() || letters(key).eq(letters("consent"))
    };
    let mut strays = PassedOver::default();
    for key in data.keys() {
        // By its first letter, because every event comes through here.
        if matches!(key.as_bytes().first(), Some(b'a' | b'A' | b'c' | b'C' | b'f' | b'F' | b'p' | b'P' | b's' | b'S'))
            && is_stray(key)
        {
            strays.add(&|| "consent".to_owned(), key);
        }
    }
    strays.tell("event data, from which no consent is read; that stands in \"consent\"", notes);
}
