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
        Some(stated) => statement(&stated, &|| at("consent"), &[], notes)?,
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
        Some(stated) => Chance::Second { then: statement(&stated, &|| at("consent_then"), &[], notes)? },
    };
    Ok(Signals { hit, answered, defaults, chance })
}

fn chance(withheld: Option<Value>, at: &impl Fn(&str) -> String) -> Result<Chance, BadHit> {
    match withheld {
        None | Some(Value::Null) => Ok(Chance::First),
        Some(Value::Bool(true)) => Ok(Chance::Bare),
        Some(Value::Bool(false)) => Ok(Chance::Whole),
        Some(_) => Err(BadHit::new(at("consent_withheld"), "must be true or false")),
    }
}

/// Reads `{"ad_storage": "granted", …}`. `others` are keys that may stand there too.
fn statement(
    stated: &Value,
    place: &dyn Fn() -> String,
    others: &[&str],
    notes: &mut Vec<Note>,
) -> Result<Statement, BadHit> {
    let Value::Object(stated) = stated else { return Err(BadHit::new(place(), SHAPE)) };
    let mut said = Statement::default();
    let mut unknown = Vec::new();
    for (kind, status) in stated.iter().filter(|(kind, _)| !others.contains(&kind.as_str())) {
        let Some(known) = ConsentType::from_name(kind) else {
            if let Some(meant) = misspelt(kind) {
                return Err(BadHit::new(format!("{}.{kind}", place()), format!("is written {meant}")));
            }
            unknown.push(kind);
            continue;
        };
        let Some(status) = status.as_str().and_then(ConsentStatus::from_word) else {
            return Err(BadHit::new(format!("{}.{kind}", place()), "must be \"granted\" or \"denied\""));
        };
        said.set(known, status);
    }
    if let [first, others @ ..] = unknown.as_slice() {
        let others = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
        let text = format!("{}{others}: no Consent Mode type, ignored", quoted(first));
        notes.push(Note::new(place(), text));
    }
    Ok(said)
}

/// Reads a list of what `gtag('consent', 'default', …)` was told. One entry may be for several regions.
fn defaults(list: &[Value], place: &str, notes: &mut Vec<Note>) -> Result<Vec<RegionalDefault>, BadHit> {
    let mut defaults = Vec::new();
    for (position, entry) in list.iter().enumerate() {
        let place = format!("{place}[{position}]");
        let said = statement(entry, &|| place.clone(), &NOT_TYPES, notes)?;
        let bad = || {
            BadHit::new(format!("{place}.region"), "must be a region, such as \"ES\" or \"US-CA\", or a list of them")
        };
        match entry.get("region") {
            None | Some(Value::Null) => defaults.push(RegionalDefault { scope: Scope::Elsewhere, said }),
            Some(Value::String(code)) => defaults.push(RegionalDefault { scope: scope(code, &place, notes), said }),
            Some(Value::Array(codes)) => {
                for code in codes {
                    let scope = scope(code.as_str().ok_or_else(bad)?, &place, notes);
                    defaults.push(RegionalDefault { scope, said });
                }
            }
            Some(_) => return Err(bad()),
        }
        if defaults.len() > MAX_DEFAULTS {
            return Err(BadHit::new(place, format!("there may be {MAX_DEFAULTS} defaults, a region counting as one")));
        }
    }
    Ok(defaults)
}

fn scope(code: &str, place: &str, notes: &mut Vec<Note>) -> Scope {
    let Some(region) = Region::parse(code) else {
        let text = format!("{} is no region: what it denies counts everywhere, what it grants nowhere", quoted(code));
        notes.push(Note::new(place, text));
        return Scope::Unreadable;
    };
    Scope::Region(region)
}

/// The consent type that a key means and does not name, such as `adStorage`: who states a refusal must be heard.
fn misspelt(key: &str) -> Option<&'static str> {
    let plain = |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    ConsentType::ALL.map(ConsentType::name).into_iter().find(|name| plain(name) == plain(key))
}
