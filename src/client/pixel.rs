//! The `pixel` client: `GET /p.gif`, one event in the query string, for pages without scripts and for e-mails. Parameters
//! are named as the keys of `POST /hit`; a dot steps into a mapping (`user_data.email_address`), and Consent Mode types
//! are parameters of their own (`ad_storage=granted`). The answer is a transparent GIF of one pixel.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    BadHit, Read,
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
    let mut data = Map::new();
    let mut consent = Map::new();
    for (name, value) in parameters.iter() {
        match name {
            "consent_answered" => {
                data.insert(name.to_owned(), flag(value));
            }
            _ if TIMES.contains(&name) => {
                data.insert(name.to_owned(), number(value));
            }
            _ if ConsentType::from_name(name).is_some() => {
                consent.insert(name.to_owned(), value.into());
            }
            _ => nest(&mut data, name, value.into()),
        }
    }
    if !consent.is_empty() {
        data.insert("consent".to_owned(), consent.into());
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
