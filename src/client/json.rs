//! JSON as hits bring it: takes a body's bytes; gives the object that they are, or what is wrong with them. A key that
//! stands twice in one object is wrong: read as usual the later one overwrites the earlier, and so a grant a refusal.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{BadHit, MAX_DEPTH, reading};

/// What is said of a key, or of a parameter, that comes again.
pub const TWICE: &str = "stands twice; of two answers nobody guesses which was meant";

/// A body that is a JSON object, not too deep; `otherwise` is said of any other JSON.
pub fn object(body: &[u8], otherwise: &str) -> Result<Map<String, Value>, BadHit> {
    let mut objection = Objection::default();
    let mut parser = serde_json::Deserializer::from_slice(body);
    let read = Reading { objection: &mut objection, levels: MAX_DEPTH }.deserialize(&mut parser);
    match read.and_then(|value| parser.end().map(|()| value)) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(BadHit::new("", otherwise)),
        Err(error) => Err(match objection.fault {
            None => BadHit::new("", format!("the body is not JSON: {error}")),
            Some(Fault::TooDeep) => BadHit::new("", format!("the JSON is nested deeper than {MAX_DEPTH} levels")),
            Some(Fault::Twice) => BadHit::new(objection.place(), TWICE),
        }),
    }
}

/// What is wrong with JSON that the parser takes.
#[derive(Clone, Copy)]
enum Fault {
    TooDeep,
    Twice,
}

/// A step on the way to a value.
enum Step {
    Key(String),
    Element(usize),
}

/// What was found wrong, and the way there from inside.
#[derive(Default)]
struct Objection {
    fault: Option<Fault>,
    way: Vec<Step>,
}

impl Objection {
    /// `events[3].consent.ad_storage`; a key that cannot be shown as it is becomes `…`.
    fn place(&self) -> String {
        let mut place = String::new();
        for step in self.way.iter().rev() {
            match step {
                Step::Element(position) => place.push_str(&format!("[{position}]")),
                Step::Key(key) => {
                    place.push_str(if place.is_empty() { "" } else { "." });
                    place.push_str(reading::shown(key));
                }
            }
        }
        place
    }
}

/// Reads one value, with so many levels below it.
struct Reading<'f> {
    objection: &'f mut Objection,
    levels: usize,
}

impl Reading<'_> {
    /// How many levels are left inside a list or mapping.
    fn inside<E: serde::de::Error>(&mut self) -> Result<usize, E> {
        self.levels.checked_sub(1).ok_or_else(|| {
            self.objection.fault = Some(Fault::TooDeep);
            E::custom("too deep")
        })
    }
}

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        let levels = self.inside()?;
        let mut list = Vec::new();
        loop {
            match items.next_element_seed(Reading { objection: self.objection, levels }) {
                Ok(Some(item)) => list.push(item),
                Ok(None) => return Ok(Value::Array(list)),
                Err(error) => {
                    self.objection.way.push(Step::Element(list.len()));
                    return Err(error);
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Value, A::Error> {
        let levels = self.inside()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                self.objection.fault = Some(Fault::Twice);
                self.objection.way.push(Step::Key(key));
                return Err(A::Error::custom("a key stands twice"));
            }
            match entries.next_value_seed(Reading { objection: self.objection, levels }) {
                Ok(value) => {
                    map.insert(key, value);
                }
                Err(error) => {
                    self.objection.way.push(Step::Key(key));
                    return Err(error);
                }
            }
        }
        Ok(Value::Object(map))
    }
}
