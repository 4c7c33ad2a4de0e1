//! serde's thirty ways to ask for a value, reduced to the few that differ for a container.

use serde::de::{Deserializer, Visitor};

use super::error::Error;

/// What a type asks for.
#[derive(Clone, Copy)]
pub(super) enum Want {
    Any,
    Bool,
    Whole,
    Float,
    Text,
    Option,
    Unit,
    Newtype,
    /// A list, of so many items if the type says so.
    List(Option<usize>),
    Map,
    Struct {
        name: &'static str,
        fields: &'static [&'static str],
    },
    Enum {
        name: &'static str,
        variants: &'static [&'static str],
    },
    Ignored,
}

/// The name under which a type asks for facts about a node or key: any of the fields `file`, `span`, and `value` or
/// `name` for the thing itself.
pub(super) const PLACE: &str = "$tidegate::Place";
/// The names under which an enum asks for a variant by the kind of the node.
pub(super) const KIND: &str = "$tidegate::Kind";
pub(super) const SCALAR: &str = "$tidegate::Scalar";
pub(super) const SCALAR_OR: &str = "$tidegate::ScalarOr";
pub(super) const ONE_OR_MANY: &str = "$tidegate::OneOrMany";

/// Something that can be decoded: a node, a key, a stand-in.
pub(super) trait Answer<'de>: Sized {
    fn answer<V: Visitor<'de>>(self, want: Want, visitor: V) -> Result<V::Value, Error>;
}

/// Makes a serde deserializer of anything that answers.
pub(super) struct By<A>(pub A);

macro_rules! ask {
    ($($method:ident => $want:expr),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.0.answer($want, visitor)
        })*
    };
}

impl<'de, A: Answer<'de>> Deserializer<'de> for By<A> {
    type Error = Error;

    ask! {
        deserialize_any => Want::Any,
        deserialize_bool => Want::Bool,
        deserialize_i8 => Want::Whole,
        deserialize_i16 => Want::Whole,
        deserialize_i32 => Want::Whole,
        deserialize_i64 => Want::Whole,
        deserialize_i128 => Want::Whole,
        deserialize_u8 => Want::Whole,
        deserialize_u16 => Want::Whole,
        deserialize_u32 => Want::Whole,
        deserialize_u64 => Want::Whole,
        deserialize_u128 => Want::Whole,
        deserialize_f32 => Want::Float,
        deserialize_f64 => Want::Float,
        deserialize_char => Want::Text,
        deserialize_str => Want::Text,
        deserialize_string => Want::Text,
        deserialize_bytes => Want::Text,
        deserialize_byte_buf => Want::Text,
        deserialize_identifier => Want::Text,
        deserialize_option => Want::Option,
        deserialize_unit => Want::Unit,
        deserialize_seq => Want::List(None),
        deserialize_map => Want::Map,
        deserialize_ignored_any => Want::Ignored,
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.0.answer(Want::Unit, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.0.answer(Want::Newtype, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.0.answer(Want::List(Some(len)), visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.answer(Want::List(Some(len)), visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.answer(Want::Struct { name, fields }, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.answer(Want::Enum { name, variants }, visitor)
    }
}
