//! Values on their way between an event and a script.

use rhai::{Dynamic, Map};
use serde_json::Value;

/// An event's value as a script sees it: null becomes `()`, numbers beyond 64-bit integers become floats.
pub fn to_dynamic(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(bool) => Dynamic::from_bool(*bool),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Dynamic::from_int(integer),
            (None, Some(float)) => Dynamic::from_float(float),
            (None, None) => Dynamic::UNIT,
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => Dynamic::from_array(items.iter().map(to_dynamic).collect()),
        Value::Object(map) => {
            Dynamic::from_map(map.iter().map(|(key, value)| (key.as_str().into(), to_dynamic(value))).collect::<Map>())
        }
    }
}

/// A script's value as JSON; the name of its type if it has no JSON form.
pub fn to_json(value: &Dynamic) -> Result<Value, String> {
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(bool) = value.as_bool() {
        return Ok(Value::from(bool));
    }
    if let Ok(integer) = value.as_int() {
        return Ok(Value::from(integer));
    }
    if let Ok(float) = value.as_float() {
        return Ok(Value::from(float));
    }
    if let Some(text) = value.read_lock::<rhai::ImmutableString>() {
        return Ok(Value::from(text.as_str()));
    }
    if let Some(data) = value.read_lock::<super::api::Data>() {
        return Ok(data.0.clone());
    }
    if let Some(items) = value.read_lock::<rhai::Array>() {
        return items.iter().map(to_json).collect::<Result<_, _>>().map(Value::Array);
    }
    if let Some(map) = value.read_lock::<Map>() {
        let entries = map.iter().map(|(key, value)| Ok((key.to_string(), to_json(value)?)));
        return entries.collect::<Result<_, String>>().map(Value::Object);
    }
    Err(value.type_name().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_survives_the_way_through_a_script() {
        let value = json!({"a": [1, 2.5, "x", true, null], "b": {"c": "ä"}});
        assert_eq!(to_json(&to_dynamic(&value)), Ok(value));
    }

    #[test]
    fn what_has_no_json_form_is_named() {
        assert_eq!(to_json(&Dynamic::from_char('x')), Err("char".into()));
    }
}
