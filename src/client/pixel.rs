//! The `pixel` client: `GET /p.gif`, one event in the query string, for pages without scripts and for e-mails. Parameters
//! are named as the keys of `POST /hit`; a dot steps into a mapping (`user_data.email_address`), and Consent Mode types
//! are parameters of their own (`ad_storage=granted`). What they say of consent is read as strictly as in JSON. The
//! answer is a transparent GIF of one pixel.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    BadHit, Read, consent,
    json::TWICE,
    parameters::{Parameters, nest, number},
    reading,
};
use crate::{consent::ConsentType, hit::Hit, trace::Note};

/// A transparent GIF of one pixel.
pub const GIF: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

/// Parameters that are numbers of milliseconds.
const TIMES: [&str; 2] = ["event_time", "sent_at"];

/// Reads the one event of a hit.
pub fn read(hit: &Hit, new_id: &dyn Fn() -> Uuid) -> Result<Vec<Read>, BadHit> {
    let parameters = Parameters::parse(hit.query.as_bytes(), "the query string")?;
    if let Some((name, _)) = parameters.again().next() {
        return Err(BadHit::new(reading::shown(name), TWICE));
    }
    let mut data = Map::new();
    let mut stated = Map::new();
    for (name, value) in parameters.iter() {
        let nested = name.strip_prefix("consent.");
        if nested.is_some() || ConsentType::from_name(name).is_some() {
            let kind = nested.unwrap_or(name);
            if stated.insert(kind.to_owned(), value.into()).is_some_and(|other| other != *value) {
                return Err(BadHit::new(reading::shown(kind), TWICE));
            }
        } else if let Some(meant) = consent::misspelt(name) {
            return Err(BadHit::new(name, format!("is written {meant}")));
        } else if name == "consent_answered" {
            data.insert(name.to_owned(), flag(value));
        } else if TIMES.contains(&name) {
            data.insert(name.to_owned(), number(value));
        } else {
            nest(&mut data, name, value.into());
        }
    }
    if !stated.is_empty() {
        // A text for all types is refused where it is read.
        data.entry("consent").or_insert(stated.into());
    }
    let mut read = reading::read_event(data, "", hit, new_id)?;
    // Only now have other names for it become this one.
    if !read.event.data.contains_key("page_location")
        && let Some(page) = hit.header("referer")
    {
        read.event.data.insert("page_location".to_owned(), page.into());
        let text = "taken from the header Referer, of which browsers often send the origin alone";
        read.notes.push(Note::new("page_location", text));
    }
    Ok(vec![read])
}

/// Yes or no, as a query string says it. Anything else stays text, which is refused where it is read.
fn flag(value: &str) -> Value {
    match value {
        "true" | "1" => Value::Bool(true),
        "false" | "0" => Value::Bool(false),
        other => other.into(),
    }
}
