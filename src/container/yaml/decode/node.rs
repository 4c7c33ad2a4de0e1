//! Decoding a node: what serde asks for, answered from the tree, and a diagnostic where it cannot be.

use serde::de::{
    self, DeserializeSeed, IntoDeserializer, Visitor,
    value::{BorrowedStrDeserializer, SeqDeserializer, StrDeserializer},
};

use super::{
    Diagnostic, Key, Node, Session, Span, Value,
    error::{Error, Problem, Spot},
    key::AtKey,
    quoted, scalar,
    stand_in::{Form, StandIn},
    variant::{ByKind, Variant},
    want::{Answer, By, PLACE, Want},
};

/// What a node is to its surroundings, for messages.
#[derive(Clone, Copy)]
pub(super) enum Slot<'de> {
    /// The whole item.
    Item,
    /// The value of a key.
    Key(&'de Key),
    /// An element of a list, which is the value of a key itself if it has a name.
    Element { index: usize, list: Option<&'de Key> },
}

#[derive(Clone, Copy)]
pub(super) struct AtNode<'s, 'de> {
    pub session: &'s Session<'s>,
    pub node: &'de Node,
    pub slot: Slot<'de>,
}

impl<'s, 'de> AtNode<'s, 'de> {
    pub fn child(self, key: &'de Key, node: &'de Node) -> Self {
        Self { node, slot: Slot::Key(key), ..self }
    }

    fn element(self, index: usize, node: &'de Node) -> Self {
        let list = match self.slot {
            Slot::Key(key) => Some(key),
            Slot::Item => None,
            Slot::Element { list, .. } => list,
        };
        Self { node, slot: Slot::Element { index, list }, ..self }
    }

    /// Decodes into whatever the seed makes. A type may refuse a value after it has been read, outside of the visitor.
    pub fn feed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(By(self)).map_err(|error| self.locate(error))
    }

    /// What stands in for a node, if anything does.
    fn form(self, node: &Node) -> Option<Form> {
        self.session.stand_ins.get(&Spot::node(node)).copied()
    }

    fn read<V: Visitor<'de>>(self, want: Want, visitor: V) -> Result<V::Value, Error> {
        match (want, &self.node.value) {
            (Want::Any, _) => self.read_any(visitor),
            (Want::Bool, Value::Bool(value)) => visitor.visit_bool(*value),
            (Want::Whole, Value::Number(text)) if scalar::whole(text).is_some() => number(text, visitor),
            (Want::Float, Value::Number(text)) => match scalar::float(text) {
                Some(float) => visitor.visit_f64(float),
                None => Err(Error::expected("a number of at most 64 bits", None)),
            },
            (Want::Text, Value::Text(text)) => visitor.visit_borrowed_str(text),
            (Want::Option, Value::Null) => visitor.visit_none(),
            (Want::Option, _) => visitor.visit_some(By(self)),
            (Want::Unit, Value::Null) | (Want::Ignored, _) => visitor.visit_unit(),
            (Want::Newtype, _) => visitor.visit_newtype_struct(By(self)),
            (Want::List(length), Value::List(items)) if length.is_none_or(|length| length == items.len()) => {
                visitor.visit_seq(Elements { of: self, rest: items.iter().enumerate() })
            }
            (Want::Map, Value::Map(entries)) => visitor.visit_map(Entries::new(self, entries, None)),
            (Want::Struct { name: PLACE, fields }, _) => {
                visitor.visit_map(Facts::new(self.session.context.file, self.node.span, self, fields))
            }
            (Want::Struct { fields, .. }, Value::Map(entries)) => {
                visitor.visit_map(Entries::new(self, entries, Some(fields)))
            }
            (Want::Enum { name, variants }, _) => match ByKind::choose(name, self) {
                Some(variant) => visitor.visit_enum(variant?),
                None => visitor.visit_enum(Variant::choose(variants, self)?),
            },
            _ => Err(self.mismatch(want)),
        }
    }

    fn read_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(text) => number(text, visitor),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(Elements { of: self, rest: items.iter().enumerate() }),
            Value::Map(entries) => visitor.visit_map(Entries::new(self, entries, None)),
        }
    }

    fn mismatch(self, want: Want) -> Error {
        let expected = match want {
            Want::Bool => "true or false",
            Want::Whole => "a whole number",
            Want::Float => "a number",
            Want::Text => "text",
            Want::Unit => "nothing",
            Want::List(None) => "a list",
            Want::List(Some(length)) => return Error::expected(format!("a list of {length} items"), None),
            Want::Map | Want::Struct { .. } => "a mapping",
            Want::Any | Want::Option | Want::Newtype | Want::Enum { .. } | Want::Ignored => "something else",
        };
        Error::expected(expected, self.remedy(want))
    }

    /// What would turn the value into what is wanted, where that can be told.
    fn remedy(self, want: Want) -> Option<String> {
        match (want, &self.node.value) {
            (Want::Bool, Value::Text(text)) => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "true" => Some("write true".to_owned()),
                "no" | "off" | "n" | "false" => Some("write false".to_owned()),
                _ => None,
            },
            (Want::Whole | Want::Float, Value::Text(text)) => {
                let number = matches!(scalar::resolve(text), Value::Number(_));
                number.then(|| format!("without quotes it is a number: {text}"))
            }
            (Want::Text, Value::Number(text)) => Some(format!("put it in quotes: {}", quoted(text))),
            (Want::Text, Value::Bool(value)) => Some(format!("put it in quotes: \"{value}\"")),
            (Want::List(_), Value::Text(text)) => Some(format!("a list of one is written [{}]", quoted(text))),
            (Want::List(_), Value::Number(text)) => Some(format!("a list of one is written [{text}]")),
            (Want::List(_), Value::Map(_)) => {
                Some("each item of a list begins with a dash, also if it is the only one".to_owned())
            }
            (Want::List(Some(_)), Value::List(items)) => Some(format!("it has {}", items.len())),
            (Want::Struct { fields, .. }, _) if !fields.is_empty() => {
                Some(format!("its keys are {}", fields.join(", ")))
            }
            _ => None,
        }
    }

    /// Makes a diagnostic of an error that has no place yet, and leaves this node in its trail.
    fn locate(self, error: Error) -> Error {
        error.tell(|trail, problem| self.diagnose(trail, problem)).through(Spot::node(self.node))
    }

    /// What an error tells that has come up to this node, and its way here.
    pub fn resolve(self, error: Error) -> (Diagnostic, Vec<Spot>) {
        self.locate(error).resolve(|trail, problem| self.diagnose(trail, problem))
    }

    fn diagnose(self, trail: &mut Vec<Spot>, problem: Problem) -> Diagnostic {
        let (whereabouts, found) = (self.session.whereabouts(self.slot), self.node.describe());
        match problem {
            Problem::Expected { expected, help } => {
                let message = format!("expected {expected} for {whereabouts}, found {found}");
                self.session.error("wrong-type", message, self.node.span).found(found).help(help)
            }
            Problem::Invalid(reason) => {
                let message = format!("invalid value for {whereabouts}: {reason}");
                self.session.error("invalid-value", message, self.node.span).found(found)
            }
            Problem::Missing(field) => {
                trail.push(Spot::field(self.node, field));
                let message = format!("the key {} is missing in {whereabouts}", quoted(field));
                let problem = Diagnostic::error("missing-key", message);
                match self.slot {
                    Slot::Item => self.session.about_item(problem, self.node),
                    Slot::Key(key) => self.session.about(problem, key.span),
                    Slot::Element { .. } => self.session.about(problem, self.node.span),
                }
            }
        }
    }
}

impl<'de> Answer<'de> for AtNode<'_, 'de> {
    fn answer<V: Visitor<'de>>(self, want: Want, visitor: V) -> Result<V::Value, Error> {
        let visits = &self.session.visits;
        visits.set(visits.get() + 1);
        let answer = match self.form(self.node) {
            Some(form) => StandIn::new(form).answer(want, visitor),
            None => self.read(want, visitor),
        };
        answer.map_err(|error| self.locate(error))
    }
}

/// A number as serde's model has it, refused rather than altered if it does not fit.
fn number<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value, Error> {
    match scalar::whole(text).map(|whole| (u64::try_from(whole), i64::try_from(whole))) {
        Some((Ok(whole), _)) => visitor.visit_u64(whole),
        Some((_, Ok(whole))) => visitor.visit_i64(whole),
        Some(_) => Err(too_large()),
        // Whole, but not even an i128.
        None if text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-')) => Err(too_large()),
        None => scalar::float(text).ok_or_else(too_large).and_then(|float| visitor.visit_f64(float)),
    }
}

fn too_large() -> Error {
    Error::expected("a number of at most 64 bits", Some("an id of this length must be in quotes".to_owned()))
}

/// A list's elements.
struct Elements<'s, 'de> {
    of: AtNode<'s, 'de>,
    rest: std::iter::Enumerate<std::slice::Iter<'de, Node>>,
}

impl<'de> de::SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let present = |(_, node): &(usize, &Node)| self.of.form(node) != Some(Form::ABSENT);
        let Some((index, node)) = self.rest.find(present) else { return Ok(None) };
        self.of.element(index, node).feed(seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// A mapping's entries; for a struct only those it has fields for, and stand-ins for those it misses.
struct Entries<'s, 'de> {
    of: AtNode<'s, 'de>,
    rest: std::slice::Iter<'de, (Key, Node)>,
    fields: Option<&'static [&'static str]>,
    missing: std::slice::Iter<'static, &'static str>,
    /// The fields that no key has, once an unknown key makes one look.
    free: Option<Vec<&'static str>>,
    pending: Option<Pending<'de>>,
}

/// The value that belongs to the key that was handed out last.
enum Pending<'de> {
    Entry(&'de Key, &'de Node),
    Missing(&'static str, StandIn),
}

impl<'s, 'de> Entries<'s, 'de> {
    fn new(of: AtNode<'s, 'de>, entries: &'de [(Key, Node)], fields: Option<&'static [&'static str]>) -> Self {
        let missing = fields.unwrap_or_default().iter();
        Self { of, rest: entries.iter(), fields, missing, free: None, pending: None }
    }

    /// The next entry to hand out; keys that mean nothing are reported and stepped over.
    fn next_entry(&mut self) -> Option<Pending<'de>> {
        let AtNode { session, node, slot } = self.of;
        for (key, value) in self.rest.by_ref() {
            match self.fields {
                Some(fields) if !fields.contains(&&*key.name) => {
                    let absent = || fields.iter().copied().filter(|field| node.get(field).is_none()).collect();
                    session.unknown_key(key, node, slot, self.free.get_or_insert_with(absent), fields);
                }
                _ if session.stand_ins.contains_key(&Spot::key(key)) => {}
                fields if self.of.form(value) == Some(Form::ABSENT) => {
                    let field = fields.unwrap_or_default().iter().find(|field| **field == &*key.name);
                    session.told.borrow_mut().extend(field.map(|field| Spot::field(node, field)));
                }
                _ => return Some(Pending::Entry(key, value)),
            }
        }
        self.missing.find_map(|field| {
            let form = session.stand_ins.get(&Spot::field(node, field))?;
            Some(Pending::Missing(field, StandIn::new(*form)))
        })
    }
}

impl<'de> de::MapAccess<'de> for Entries<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.pending = self.next_entry();
        match &self.pending {
            None => Ok(None),
            Some(Pending::Entry(key, _)) => {
                let AtNode { session, slot, .. } = self.of;
                AtKey { session, key, slot }.feed(seed).map(Some)
            }
            Some(Pending::Missing(field, _)) => seed.deserialize(StrDeserializer::new(field)).map(Some),
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        match self.pending.take() {
            Some(Pending::Entry(key, node)) => self.of.child(key, node).feed(seed),
            Some(Pending::Missing(field, stand_in)) => {
                let spot = Spot::field(self.of.node, field);
                seed.deserialize(By(stand_in)).map_err(|error| error.through(spot))
            }
            None => Err(de::Error::custom("a value was asked for before its key")),
        }
    }
}

/// What is known about a node or a key beside its value, by the names of the fields that a type asks for.
pub(super) struct Facts<'f, A> {
    file: &'f str,
    span: Span,
    thing: A,
    fields: std::slice::Iter<'static, &'static str>,
    field: &'static str,
}

impl<'f, A> Facts<'f, A> {
    pub fn new(file: &'f str, span: Span, thing: A, fields: &'static [&'static str]) -> Self {
        Self { file, span, thing, fields: fields.iter(), field: "" }
    }
}

impl<'de, A: Answer<'de> + Copy> de::MapAccess<'de> for Facts<'_, A> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some(field) = self.fields.next() else { return Ok(None) };
        self.field = field;
        seed.deserialize(StrDeserializer::new(field)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        match self.field {
            "file" => seed.deserialize(self.file.into_deserializer()),
            "span" => {
                let Span { start, end, line, column, length } = self.span;
                seed.deserialize(SeqDeserializer::new([start, end, line, column, length].into_iter()))
            }
            _ => seed.deserialize(By(self.thing)),
        }
    }
}

/// A scalar's content without a second look at its kind.
pub(super) fn verbatim<'de, T: DeserializeSeed<'de>>(node: AtNode<'_, 'de>, seed: T) -> Result<T::Value, Error> {
    match &node.node.value {
        Value::Bool(value) => seed.deserialize((*value).into_deserializer()),
        Value::Number(text) | Value::Text(text) => seed.deserialize(BorrowedStrDeserializer::new(text)),
        Value::Null | Value::List(_) | Value::Map(_) => seed.deserialize(By(node)),
    }
}
