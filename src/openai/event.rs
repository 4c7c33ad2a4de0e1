//! One event of the Conversions API: takes its parts, gives one element of the request's `events` as JSON text, with the
//! keys in the documented order, or says which required field is missing or contradicts another.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use super::{
    Invalid, Note, Notes, Reason,
    data::Data,
    event_type::{ActionSource, EventType},
    scalar_text,
    source_url::SourceUrl,
    user::User,
};
use crate::time::Timestamp;

/// The parts of an event.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The same as the pixel's `event_id`, and the same on every attempt: by it the API deduplicates.
    pub id: &'a str,
    pub event_type: &'a EventType,
    /// When it happened. Whether that is too long ago is judged when it is sent.
    pub time: Timestamp,
    pub data: &'a Data,
    pub action_source: ActionSource,
    /// Required for web events, and left out of all others.
    pub source_url: Option<&'a SourceUrl>,
    /// The raw click reference; an empty one counts as none.
    pub oppref: Option<&'a str>,
    pub opt_out: OptOut,
    pub user: Option<&'a User>,
}

/// Whether the event is kept out of later personalisation of ads for this person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OptOut {
    /// It is not, which is the API's default: the field is left out.
    #[default]
    No,
    Yes,
}

impl Event<'_> {
    /// The event as JSON text. `notes` gets a remark on a `source_url` that has no place in it.
    ///
    /// # Errors
    /// The first field that is missing, or does not fit the event's type.
    pub fn to_json(mut self, notes: &mut Notes) -> Result<String, Invalid> {
        self.check()?;
        if self.action_source != ActionSource::Web && self.source_url.take().is_some() {
            notes.push(Note::new("source_url", Reason::NotPartOf("an event outside the web")));
        }
        // A user with hashes takes about a kilobyte; growing twice would cost more than what is left over.
        let mut json = Vec::with_capacity(1536);
        let written = serde_json::to_writer(&mut json, &Checked(self)).ok().and_then(|()| String::from_utf8(json).ok());
        written.ok_or_else(|| Invalid::new("event", Reason::NotJson))
    }

    fn check(&self) -> Result<(), Invalid> {
        if self.id.trim().is_empty() {
            return Err(Invalid::new("id", Reason::Missing));
        }
        if self.time.0 <= 0 {
            return Err(Invalid::new("timestamp_ms", Reason::NotMilliseconds));
        }
        let shape = self.event_type.shape();
        if self.data.shape() != shape {
            return Err(Invalid::new("data", Reason::WrongShape { expected: shape.name() }));
        }
        if !self.event_type.allows(self.action_source) {
            return Err(Invalid::new("action_source", Reason::WrongActionSource(self.action_source)));
        }
        if self.action_source == ActionSource::Web && self.source_url.is_none() {
            return Err(Invalid::new("source_url", Reason::Missing));
        }
        Ok(())
    }
}

/// An event that passed [`Event::check`]; no other can be written.
struct Checked<'a>(Event<'a>);

impl Serialize for Checked<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = &self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", event.id)?;
        map.serialize_entry("type", event.event_type.type_name())?;
        if let EventType::Custom(name) = event.event_type {
            map.serialize_entry("custom_event_name", name.as_str())?;
        }
        map.serialize_entry("timestamp_ms", &event.time)?;
        map.serialize_entry("data", event.data)?;
        map.serialize_entry("action_source", event.action_source.name())?;
        if let Some(source_url) = event.source_url {
            map.serialize_entry("source_url", source_url.as_str())?;
        }
        if let Some(oppref) = event.oppref.filter(|oppref| !oppref.is_empty()) {
            map.serialize_entry("oppref", oppref)?;
        }
        if event.opt_out == OptOut::Yes {
            map.serialize_entry("opt_out", &true)?;
        }
        if let Some(user) = event.user {
            map.serialize_entry("user", user)?;
        }
        map.end()
    }
}

/// The time that a tag gives: whole milliseconds since 1970 between the years 2001 and 2286, as a number or as text.
/// Seconds and microseconds fall outside.
///
/// # Errors
/// It is anything else.
pub fn timestamp(value: &Value) -> Result<Timestamp, Invalid> {
    let text = scalar_text(value).ok().flatten().unwrap_or_default();
    let is_plain = text.len() == 13 && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    let time = text.parse().ok().filter(|_| is_plain).map(Timestamp);
    time.ok_or_else(|| Invalid::new("timestamp_ms", Reason::NotMilliseconds))
}

#[cfg(test)]
mod tests;
