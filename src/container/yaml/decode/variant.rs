//! Decoding a node into an enum: by a name that the user wrote, or by the kind of the node.

use std::marker::PhantomData;

use serde::de::{
    self, DeserializeSeed, Visitor,
    value::{BorrowedStrDeserializer, StrDeserializer},
};

use super::{
    Key, Node, Value,
    error::Error,
    node::{AtNode, Slot, verbatim},
    quoted,
    want::{Answer, KIND, ONE_OR_MANY, SCALAR, SCALAR_OR, Want},
};
use crate::container::diagnostic::closest;

/// A variant named by the user: `name` alone, or `name: content`.
pub(super) struct Variant<'s, 'de> {
    at: AtNode<'s, 'de>,
    name: &'static str,
    content: Option<(&'de Key, &'de Node)>,
}

impl<'s, 'de> Variant<'s, 'de> {
    pub fn choose(variants: &'static [&'static str], at: AtNode<'s, 'de>) -> Result<Self, Error> {
        let (written, span, content) = match &at.node.value {
            Value::Text(text) | Value::Number(text) => (&**text, at.node.span, None),
            Value::Bool(value) => (if *value { "true" } else { "false" }, at.node.span, None),
            Value::Map(entries) if let [(key, content)] = entries.as_slice() => {
                (&*key.name, key.span, Some((key, content)))
            }
            _ => return Err(Error::expected(format!("one of {}", variants.join(", ")), None)),
        };
        if let Some(name) = variants.iter().find(|variant| **variant == written) {
            return Ok(Self { at, name, content });
        }
        let (code, what) = match content {
            Some(_) => ("unknown-key", format!("unknown key {} in", quoted(written))),
            None => ("unknown-value", format!("unknown value {} for", quoted(written))),
        };
        let allowed = format!("allowed: {}", variants.join(", "));
        let help = match closest(written, variants.iter().copied()) {
            Some(variant) => format!("did you mean {}? {allowed}", quoted(variant)),
            None => allowed,
        };
        let message = format!("{what} {}", at.session.whereabouts(at.slot));
        Err(Error::told(at.session.error(code, message, span).found(written).help(help)))
    }

    /// The content, for a variant that has one.
    fn content(self) -> Result<AtNode<'s, 'de>, Error> {
        if let Some((key, node)) = self.content {
            return Ok(self.at.child(key, node));
        }
        let message = format!("{} needs a value", quoted(self.name));
        let message = match self.at.slot {
            Slot::Item => message,
            slot => format!("{message} in {}", self.at.session.whereabouts(slot)),
        };
        let help = format!("write \"{}: …\"", self.name);
        Err(Error::told(self.at.session.error("wrong-type", message, self.at.node.span).help(help)))
    }
}

impl<'s, 'de> de::EnumAccess<'de> for Variant<'s, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        Ok((seed.deserialize(StrDeserializer::new(self.name))?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.content {
            Some((key, node)) => self.at.child(key, node).feed(PhantomData),
            None => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        self.content()?.feed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.content()?.answer(Want::List(Some(len)), visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.content()?.answer(Want::Struct { name: "", fields }, visitor)
    }
}

/// A variant chosen by the kind of the node, for the enums of our own that ask so.
pub(super) struct ByKind<'s, 'de> {
    at: AtNode<'s, 'de>,
    variant: &'static str,
    content: Content,
}

/// How the content of the variant is read.
#[derive(Clone, Copy, PartialEq)]
enum Content {
    /// As the node that it is.
    Node,
    /// A scalar's text as it is written.
    Verbatim,
}

impl<'s, 'de> ByKind<'s, 'de> {
    /// `None` if the enum is a user's choice and not one of ours.
    pub fn choose(name: &str, at: AtNode<'s, 'de>) -> Option<Result<Self, Error>> {
        let value = &at.node.value;
        let kind = match value {
            Value::Null => "Null",
            Value::Bool(_) => "Bool",
            Value::Number(_) => "Number",
            Value::Text(_) => "Text",
            Value::List(_) => "List",
            Value::Map(_) => "Map",
        };
        let collection = matches!(value, Value::List(_) | Value::Map(_));
        let (variant, content) = match name {
            KIND => (kind, Content::Verbatim),
            SCALAR if collection || *value == Value::Null => {
                return Some(Err(Error::expected("text, a number, true or false", None)));
            }
            SCALAR => (kind, Content::Verbatim),
            SCALAR_OR => (if collection { "Collection" } else { "Scalar" }, Content::Node),
            ONE_OR_MANY => (if kind == "List" { "Many" } else { "One" }, Content::Node),
            _ => return None,
        };
        Some(Ok(Self { at, variant, content }))
    }
}

impl<'de> de::EnumAccess<'de> for ByKind<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        Ok((seed.deserialize(BorrowedStrDeserializer::new(self.variant))?, self))
    }
}

impl<'de> de::VariantAccess<'de> for ByKind<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        match self.content {
            Content::Node => self.at.feed(seed),
            Content::Verbatim => verbatim(self.at, seed),
        }
    }

    // Our own enums have no variants of the other shapes.
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        Err(de::Error::custom("a variant chosen by kind holds one value"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Error> {
        Err(de::Error::custom("a variant chosen by kind holds one value"))
    }
}
