//! What the events of every client have in common: a plain name, and an id under which they are counted once.

use std::borrow::Cow;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::BadHit;
use crate::event::{EventId, IdOrigin, to_text};

pub const MAX_NAME_CHARACTERS: usize = 100;
pub const MAX_ID_CHARACTERS: usize = 256;

/// What an event's name must be.
pub fn name_shape() -> String {
    shape(MAX_NAME_CHARACTERS)
}

/// What an event's id must be.
pub fn id_shape() -> String {
    shape(MAX_ID_CHARACTERS)
}

fn shape(max_characters: usize) -> String {
    format!("must be a text of 1 to {max_characters} characters, none of them a control character")
}

/// The site's own id, else the order's, else a generated one.
pub fn event_id(
    data: &mut Map<String, Value>,
    at: &impl Fn(&str) -> String,
    new_id: &dyn Fn() -> Uuid,
) -> Result<EventId, BadHit> {
    match data.remove("event_id") {
        None | Some(Value::Null) => Ok(order_id(data).unwrap_or_else(|| generated_id(new_id))),
        Some(stated) => {
            let text = scalar_text(&stated).filter(|text| is_plain(text, MAX_ID_CHARACTERS));
            let text = text.ok_or_else(|| BadHit::new(at("event_id"), id_shape()))?;
            Ok(EventId { text: text.into(), origin: IdOrigin::Site })
        }
    }
}

/// The id of an event that is an order: its `transaction_id`.
pub fn order_id(data: &Map<String, Value>) -> Option<EventId> {
    let order = data.get("transaction_id").and_then(scalar_text).filter(|order| is_plain(order, MAX_ID_CHARACTERS))?;
    Some(EventId { text: order.trim().into(), origin: IdOrigin::Transaction })
}

pub fn generated_id(new_id: &dyn Fn() -> Uuid) -> EventId {
    EventId { text: new_id().to_string().into(), origin: IdOrigin::Generated }
}

/// A text, or a number as people write it.
pub fn scalar_text(value: &Value) -> Option<Cow<'_, str>> {
    if value.is_string() || value.is_number() { to_text(value) } else { None }
}

/// Something in it, not too long, and nothing that would move an operator's cursor when it is shown.
pub fn is_plain(text: &str, max_characters: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= max_characters && !text.chars().any(char::is_control)
}
