//! Every file that is shipped fits its schema. That the committed schemas are these, `cli/reference.rs` tests.

use std::{fs, path::Path, sync::Arc};

use serde_json::json;

use super::*;
use crate::container::{diagnostic::Diagnostics, folder, load, yaml};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What is wrong with a value, by the keywords that our schemas use; any other keyword fails the test.
fn faults(root: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let Value::Object(schema) = schema else {
        return if *schema == json!(false) { vec![format!("{place}: nothing may stand here")] } else { Vec::new() };
    };
    let mut found = Vec::new();
    for (keyword, wanted) in schema {
        match keyword.as_str() {
            "$schema" | "title" | "description" | "default" | "format" | "definitions" | "minimum" => {}
            "$ref" => {
                let pointer = wanted.as_str().unwrap().strip_prefix('#').unwrap();
                found.extend(faults(root, root.pointer(pointer).unwrap(), value, place));
            }
            "allOf" => {
                let all = wanted.as_array().unwrap();
                found.extend(all.iter().flat_map(|schema| faults(root, schema, value, place)));
            }
            "anyOf" | "oneOf" => {
                let each: Vec<_> =
                    wanted.as_array().unwrap().iter().map(|schema| faults(root, schema, value, place)).collect();
                if !each.iter().any(Vec::is_empty) {
                    found.push(format!("{place}: {}", each.concat().join(", nor ")));
                }
            }
            "type" => {
                let is = |kind: &Value| match kind.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "number" => value.is_number(),
                    "integer" => value.is_i64(),
                    "boolean" => value.is_boolean(),
                    "null" => value.is_null(),
                    other => panic!("unknown type {other}"),
                };
                let fits = wanted.as_array().map_or_else(|| is(wanted), |kinds| kinds.iter().any(is));
                found.extend((!fits).then(|| format!("{place}: {value} is no {wanted}")));
            }
            "const" => found.extend((wanted != value).then(|| format!("{place}: {value} is not {wanted}"))),
            "enum" => {
                let is_one = wanted.as_array().unwrap().contains(value);
                found.extend((!is_one).then(|| format!("{place}: {value} is none of {wanted}")));
            }
            "required" => {
                let keys = wanted.as_array().unwrap().iter().filter_map(Value::as_str);
                let absent = keys.filter(|key| value.is_object() && value.get(key).is_none());
                found.extend(absent.map(|key| format!("{place}: {key} is missing")));
            }
            "items" => {
                let items = value.as_array().into_iter().flatten();
                found.extend(items.flat_map(|item| faults(root, wanted, item, &format!("{place}[]"))));
            }
            "properties" | "additionalProperties" => {
                let named = schema.get("properties").and_then(Value::as_object);
                for (key, value) in value.as_object().into_iter().flatten() {
                    let own = named.and_then(|named| named.get(key));
                    let schema = if keyword == "properties" { own } else { own.is_none().then_some(wanted) };
                    found
                        .extend(schema.into_iter().flat_map(|own| faults(root, own, value, &format!("{place}.{key}"))));
                }
            }
            other => panic!("unknown keyword {other}"),
        }
    }
    found
}

fn check(kind: FileKind, path: &str, bytes: &[u8]) -> Vec<String> {
    let mut diagnostics = Diagnostics::default();
    let node = yaml::parse(&Arc::from(path), bytes, &mut diagnostics).unwrap();
    let schema = schema(kind);
    faults(&schema, &schema, &load::plain(&node), path)
}

fn kind_of(path: &str) -> FileKind {
    match path {
        _ if path.ends_with(".test.yaml") || path.starts_with("tests/cases/") => FileKind::Test,
        _ if path.starts_with("tags/") => FileKind::Template,
        _ => FileKind::Rules,
    }
}

#[test]
fn every_shipped_file_fits_its_schema_and_names_it() {
    let mut files = folder::read(root()).unwrap();
    assert!(files.keys().filter(|path| path.ends_with(".yaml")).count() > 10);
    for (path, bytes) in files.iter().filter(|(path, _)| path.ends_with(".yaml")) {
        let modeline = format!("# yaml-language-server: $schema=../docs/schema/{}.json\n", kind_of(path).name());
        assert!(bytes.starts_with(modeline.as_bytes()), "{path} should begin with {modeline}");
    }
    for entry in fs::read_dir(root().join("tests/cases")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let name = path.file_name().unwrap().to_str().unwrap();
            files.insert(format!("tests/cases/{name}").into(), fs::read(&path).unwrap());
        }
    }
    let yaml = files.iter().filter(|(path, _)| path.ends_with(".yaml"));
    let faults: Vec<_> = yaml.flat_map(|(path, bytes)| check(kind_of(path), path, bytes)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn broken_files_do_not_fit() {
    for (kind, text, fault) in [
        (FileKind::Rules, "trigers: {}", "trigers: nothing may stand here"),
        (FileKind::Rules, "triggers: { A: { event: [1] } }", "1 is no \"string\""),
        (FileKind::Rules, "triggers: { A: { event: a, when: [{ event_data: x, equal: 1 }] } }", "equal: nothing may"),
        (FileKind::Rules, "triggers: { A: { event: a, when: [{ any: [{ not: 1 }] }] } }", "1 is no \"boolean\""),
        (FileKind::Rules, "tags: { A: { triggers: B } }", "template is missing"),
        (FileKind::Rules, "tags: { A: { template: t, when_denied: wait } }", "\"wait\" is n"),
        (FileKind::Rules, "variables: { A: { url: { part: hots } } }", "\"hots\" is n"),
        (FileKind::Rules, "consent: { defaults: { ad_storage: yes } }", "\"yes\" is n"),
        (FileKind::Template, "fields: {}", "description is missing"),
        (FileKind::Template, "description: d\nfields: { a: { type: txt, description: d } }", "\"txt\" is n"),
        (FileKind::Template, "description: d\npermissions: { hosts: { form: x } }", "form: nothing may"),
        (FileKind::Test, "cases: { a: { expect: { fired: A } } }", "\"A\" is no"),
        (FileKind::Test, "case: {}", "cases is missing"),
    ] {
        let faults = check(kind, "file", text.as_bytes()).join("\n");
        assert!(faults.contains(fault), "{text}: {faults}");
    }
}
