//! The stand-in for what could not be decoded: a value that fits any type, so that the rest can be looked at.
//!
//! Types that check their values may refuse one form of it; then the next is tried, and in the end what it stands for is
//! left out. The value is never used.

use serde::de::{self, DeserializeSeed, Visitor, value::StrDeserializer};

use super::{
    Span,
    error::Error,
    node::Facts,
    want::{Answer, By, PLACE, Want},
};

/// Types that contain themselves are stood in for this deep at most.
const MAX_DEPTH: u8 = 12;
const FORMS: u8 = 6;

/// Which of several guesses at an acceptable value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Form(u8);

impl Form {
    /// After the last guess: the element or entry is skipped.
    pub const ABSENT: Self = Self(FORMS);

    pub fn next(self) -> Option<Self> {
        (self != Self::ABSENT).then_some(Self(self.0 + 1))
    }
}

#[derive(Clone, Copy)]
pub(super) struct StandIn {
    form: u8,
    depth: u8,
}

impl StandIn {
    pub fn new(form: Form) -> Self {
        Self { form: form.0, depth: 0 }
    }

    fn inner(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }

    fn text(self) -> &'static str {
        match self.form {
            0 => "",
            1 => "x",
            2 => "1",
            3 => "https://example.com/",
            4 => "*",
            _ => "example.com",
        }
    }

    fn any<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.form {
            0 => visitor.visit_str("x"),
            1 => visitor.visit_map(Fields { of: self, names: [].iter() }),
            2 => visitor.visit_seq(Items { of: self, rest: 0 }),
            3 => visitor.visit_u64(1),
            4 => visitor.visit_bool(false),
            _ => visitor.visit_unit(),
        }
    }
}

impl<'de> Answer<'de> for StandIn {
    fn answer<V: Visitor<'de>>(self, want: Want, visitor: V) -> Result<V::Value, Error> {
        if self.depth > MAX_DEPTH || self.form == Form::ABSENT.0 {
            return Err(de::Error::custom("nothing stands in for this"));
        }
        match want {
            Want::Any => self.any(visitor),
            Want::Bool => visitor.visit_bool(self.form > 0),
            Want::Whole => visitor.visit_u64(self.form.into()),
            Want::Float => visitor.visit_f64(self.form.into()),
            Want::Text => visitor.visit_str(self.text()),
            Want::Option => visitor.visit_none(),
            Want::Unit | Want::Ignored => visitor.visit_unit(),
            Want::Newtype => visitor.visit_newtype_struct(By(self.inner())),
            Want::List(length) => {
                let rest = length.unwrap_or(usize::from(self.form % 2));
                visitor.visit_seq(Items { of: self, rest })
            }
            Want::Map => visitor.visit_map(Fields { of: self, names: [].iter() }),
            Want::Struct { name: PLACE, fields } => {
                visitor.visit_map(Facts::new("", Span::default(), self.inner(), fields))
            }
            Want::Struct { fields, .. } => visitor.visit_map(Fields { of: self, names: fields.iter() }),
            Want::Enum { variants, .. } => match variants.get(usize::from(self.form) % variants.len().max(1)) {
                Some(variant) => visitor.visit_enum(Variant { of: self, name: variant }),
                None => Err(de::Error::custom("this type has no values")),
            },
        }
    }
}

struct Items {
    of: StandIn,
    rest: usize,
}

impl<'de> de::SeqAccess<'de> for Items {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(rest) = self.rest.checked_sub(1) else { return Ok(None) };
        self.rest = rest;
        seed.deserialize(By(self.of.inner())).map(Some)
    }
}

struct Fields {
    of: StandIn,
    names: std::slice::Iter<'static, &'static str>,
}

impl<'de> de::MapAccess<'de> for Fields {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some(name) = self.names.next() else { return Ok(None) };
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(By(self.of.inner()))
    }
}

struct Variant {
    of: StandIn,
    name: &'static str,
}

impl<'de> de::EnumAccess<'de> for Variant {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        Ok((seed.deserialize(StrDeserializer::new(self.name))?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(By(self.of.inner()))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.of.inner().answer(Want::List(Some(len)), visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.of.inner().answer(Want::Struct { name: "", fields }, visitor)
    }
}
