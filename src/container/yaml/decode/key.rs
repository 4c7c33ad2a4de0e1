//! Decoding a mapping's key: a name with a place, an enum's variant, a newtype that checks it.

use serde::de::{self, DeserializeSeed, Visitor, value::StrDeserializer};

use super::{
    Key, Session,
    error::{Error, Problem, Spot},
    node::{Facts, Slot},
    quoted, scalar,
    want::{Answer, By, PLACE, Want},
};
use crate::container::diagnostic::did_you_mean;

#[derive(Clone, Copy)]
pub(super) struct AtKey<'s, 'de> {
    pub session: &'s Session<'s>,
    pub key: &'de Key,
    /// Where the mapping stands that has the key.
    pub slot: Slot<'de>,
}

impl<'de> AtKey<'_, 'de> {
    /// Decodes into whatever the seed makes; see [`AtNode::feed`](super::node::AtNode::feed).
    pub fn feed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(By(self)).map_err(|error| self.locate(error))
    }

    fn unknown(self, variants: &[&'static str]) -> Error {
        let message = format!("unknown key {} in {}", quoted(&self.key.name), self.session.whereabouts(self.slot));
        let help = did_you_mean(&self.key.name, variants.iter().copied())
            .unwrap_or_else(|| format!("known keys: {}", variants.join(", ")));
        let problem = self.session.error("unknown-key", message, self.key.span);
        Error::told(problem.found(&*self.key.name).help(help))
    }

    fn locate(self, error: Error) -> Error {
        let (key, whereabouts) = (quoted(&self.key.name), self.session.whereabouts(self.slot));
        let diagnose = |_: &mut Vec<Spot>, problem| {
            let message = match problem {
                Problem::Expected { expected, .. } => {
                    format!("expected {expected} as a key in {whereabouts}, found {key}")
                }
                Problem::Invalid(reason) => format!("invalid key {key} in {whereabouts}: {reason}"),
                Problem::Missing(field) => format!("the key {} is missing in {whereabouts}", quoted(field)),
            };
            self.session.error("invalid-key", message, self.key.span).found(&*self.key.name)
        };
        error.tell(diagnose).through(Spot::key(self.key))
    }

    fn whole<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match scalar::whole(&self.key.name).map(|whole| (u64::try_from(whole), i64::try_from(whole))) {
            Some((Ok(whole), _)) => visitor.visit_u64(whole),
            Some((_, Ok(whole))) => visitor.visit_i64(whole),
            _ => Err(Error::expected("a whole number", None)),
        }
    }
}

impl<'de> Answer<'de> for AtKey<'_, 'de> {
    fn answer<V: Visitor<'de>>(self, want: Want, visitor: V) -> Result<V::Value, Error> {
        let answer = match want {
            Want::Option => visitor.visit_some(By(self)),
            Want::Newtype => visitor.visit_newtype_struct(By(self)),
            Want::Ignored => visitor.visit_unit(),
            Want::Whole => self.whole(visitor),
            Want::Struct { name: PLACE, fields } => {
                visitor.visit_map(Facts::new(self.session.context.file, self.key.span, self, fields))
            }
            Want::Enum { variants, .. } => match variants.iter().find(|variant| **variant == &*self.key.name) {
                Some(variant) => visitor.visit_enum(Name(variant)),
                None => Err(self.unknown(variants)),
            },
            // Whatever else is wanted, a key is a name; the type says itself what it expected instead.
            _ => visitor.visit_borrowed_str(&self.key.name),
        };
        answer.map_err(|error| self.locate(error))
    }
}

/// A variant that is nothing but its name.
struct Name(&'static str);

impl<'de> de::EnumAccess<'de> for Name {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        Ok((seed.deserialize(StrDeserializer::new(self.0))?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Name {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Error> {
        Err(Error::expected("a name without a value", None))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        Err(Error::expected("a name without a value", None))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Error> {
        Err(Error::expected("a name without a value", None))
    }
}
