//! JSON Schemas of the files that people write, for editors: takes the model's types and their doc comments; gives the
//! schemas that are committed under `docs/schema/`.
//!
//! A schema says less than `check`: what a name refers to, and which keys exclude each other, it does not know.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::Value;

use super::{
    model::{
        ConsentRule, ManifestRule, SettingsRule, TagRule, TransformationRule, TriggerRule, variables::VariableRule,
    },
    yaml::{Node, OneOrMany, Placed, PlacedMap, Scalar, ScalarOr, SpannedText},
};
use crate::case::model::FileRule;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// `rules/*.yaml`
    Rules,
    /// `tags/*.yaml`
    Template,
    /// `*.test.yaml`
    Test,
}

impl FileKind {
    pub const ALL: [Self; 3] = [Self::Rules, Self::Template, Self::Test];

    /// What its schema is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Template => "template",
            Self::Test => "test",
        }
    }
}

/// A file of rules. All its sections are optional, and all files are read together.
#[derive(JsonSchema)]
#[schemars(inline)]
pub struct RulesFile {
    /// Named values computed from an event and its request.
    pub variables: Option<PlacedMap<VariableRule>>,
    /// Conditions that choose tags.
    pub triggers: Option<PlacedMap<TriggerRule>>,
    /// Templates put to use.
    pub tags: Option<PlacedMap<TagRule>>,
    /// What some tags see of an event in place of what the site sent.
    pub transformations: Option<PlacedMap<TransformationRule>>,
    pub consent: Option<ConsentRule>,
    pub settings: Option<SettingsRule>,
}

/// A list of names, or where they stand.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum NamesOr<R> {
    Names(Vec<String>),
    Elsewhere(R),
}

/// The schema of a kind of file.
pub fn schema(kind: FileKind) -> Value {
    // What editors' YAML support knows best.
    let generator = SchemaSettings::draft07().into_generator();
    let schema = match kind {
        FileKind::Rules => generator.into_root_schema_for::<RulesFile>(),
        FileKind::Template => generator.into_root_schema_for::<ManifestRule>(),
        FileKind::Test => generator.into_root_schema_for::<FileRule>(),
    };
    let mut schema = schema.to_value();
    close(&mut schema);
    schema
}

/// The same as the file that is committed.
pub fn text(kind: FileKind) -> String {
    format!("{:#}\n", schema(kind))
}

/// Keys that there are not are errors, and descriptions are for people: without links between types, on one line.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            let is_struct = matches!(object.get("properties"), Some(Value::Object(_)))
                && object.get("type").is_some_and(|kind| kind == "object");
            if is_struct {
                object.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            for (key, value) in object.iter_mut() {
                match value {
                    Value::String(text) if key == "description" => *text = text.replace('\n', " "),
                    other => close(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A type whose schema stands where it is used.
macro_rules! inline {
    ($([$($parameter:ident),*] $type:ty, $name:literal => |$generator:pat_param| $schema:expr;)*) => {$(
        impl<$($parameter: JsonSchema),*> JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

inline! {
    [] Node, "Anything" => |_| Schema::from(true);
    [] Scalar, "Scalar" => |_| json_schema!({ "type": ["boolean", "number", "string"] });
    [] SpannedText, "Text" => |_| json_schema!({ "type": "string" });
    [T] PlacedMap<T>, "Named" => |generator| json_schema!({
        "type": "object",
        "additionalProperties": generator.subschema_for::<T>(),
    });
    [T] OneOrMany<T>, "OneOrMany" => |generator| {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    };
    [S, C] ScalarOr<S, C>, "ScalarOr" => |generator| json_schema!({
        "anyOf": [generator.subschema_for::<S>(), generator.subschema_for::<C>()],
    });
}

/// A value's place is nothing that anybody writes.
impl<T: JsonSchema> JsonSchema for Placed<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

#[cfg(test)]
mod tests;
