//! What the files in `tests/cases/yaml` cannot show: the values themselves, and types that make it hard to go on.

use std::{collections::BTreeMap, num::NonZeroU32};

use super::super::{OneOrMany, Placed, PlacedMap, Scalar, ScalarOr, parse};
use super::*;

fn file() -> Arc<str> {
    Arc::from("rules/a.yaml")
}

fn tree(source: &str) -> Node {
    parse(&file(), source.as_bytes(), &mut Diagnostics::default()).unwrap()
}

fn attempt<T: for<'de> Deserialize<'de>>(source: &str) -> (Option<T>, Vec<String>) {
    let (node, file, mut diagnostics) = (tree(source), file(), Diagnostics::default());
    let value = decode(&node, &Context { file: &file, owner: "the item", name: None }, &mut diagnostics);
    let message = |diagnostic: &Diagnostic| {
        let place = diagnostic.place.as_ref().unwrap();
        format!("{}:{} {}", place.line, place.column, diagnostic.message)
    };
    (value, diagnostics.iter().map(message).collect())
}

fn value<T: for<'de> Deserialize<'de>>(source: &str) -> T {
    let (value, messages) = attempt(source);
    assert_eq!(messages, [""; 0]);
    value.unwrap()
}

fn messages<T: for<'de> Deserialize<'de>>(source: &str) -> Vec<String> {
    let (value, messages) = attempt::<T>(source);
    assert!(value.is_none());
    messages
}

#[test]
fn places_reach_values_items_and_keys() {
    let map: PlacedMap<Vec<Placed<Box<str>>>> = value("b: [x, \"y\"]\na: []\n");
    assert_eq!(map.names().map(|name| &**name).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(map.place("a"), Some(&Place::new(&file(), 2, 1, 1)));
    assert_eq!(map.get("b").unwrap()[1].place, Place::new(&file(), 1, 8, 3));
    let nested: Placed<Option<Placed<u8>>> = value("7");
    assert_eq!(nested.value.unwrap().place, nested.place);
}

#[test]
fn free_parts_keep_everything() {
    let source = "a: [1.10, \"1.10\", NO, ~, {b: true}]\n";
    let node: Placed<Node> = value(source);
    assert_eq!(node.value, tree(source));
    assert_eq!(format!("{:?}", node.value), format!("{:?}", tree(source)), "spans too");
    let json: serde_json::Value = value(source);
    assert_eq!(json, serde_json::json!({"a": [1.1, "1.10", "NO", null, {"b": true}]}));
    let scalars: Vec<Scalar> = value("[1.10, true, NO]");
    assert_eq!(scalars.iter().map(Scalar::to_string).collect::<Vec<_>>(), ["1.10", "true", "NO"]);
}

#[test]
fn short_forms_decide_by_kind() {
    type Short = ScalarOr<Box<str>, BTreeMap<String, u8>>;
    let short: Vec<Short> = value("[a, {b: 1}]");
    assert_eq!(short, [ScalarOr::Scalar("a".into()), ScalarOr::Collection([("b".to_owned(), 1)].into())]);
    assert_eq!(messages::<Vec<Short>>("[1, {b: x}]").len(), 2);
    assert_eq!(value::<OneOrMany<u8>>("1").into_vec(), [1]);
    assert_eq!(value::<OneOrMany<u8>>("[1, 2]").as_slice(), [1, 2]);
}

#[test]
fn numbers_are_refused_rather_than_altered() {
    assert_eq!(value::<u64>("0x1F"), 31);
    assert_eq!(value::<f64>("-.5e1"), -5.0);
    assert_eq!(value::<i64>("-9223372036854775808"), i64::MIN);
    assert_eq!(messages::<serde_json::Value>("123456789012345678901").len(), 1);
    assert_eq!(messages::<serde_json::Value>(&format!("-{}", "9".repeat(60))).len(), 1);
    assert_eq!(messages::<f64>("1e999").len(), 1);
    assert_eq!(messages::<u8>("1.0").len(), 1);
}

/// Refuses whatever a stand-in may offer.
#[derive(Debug)]
struct Picky;

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "the one" { Ok(Self) } else { Err(serde::de::Error::custom("not the one")) }
    }
}

/// Does not even look.
#[derive(Debug)]
struct Stubborn;

impl<'de> Deserialize<'de> for Stubborn {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("no"))
    }
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "the fields say what may be written")]
struct Hard {
    picky: Picky,
    count: NonZeroU32,
    /// Contains itself in its first variant.
    tree: Tree,
    last: u8,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "the fields say what may be written")]
enum Tree {
    Branch(Box<(Tree, Tree)>),
    Leaf,
}

#[test]
fn types_that_refuse_stand_ins_do_not_end_the_search() {
    assert_eq!(
        messages::<Vec<Hard>>("- {picky: x, count: 0, tree: twig, last: x}\n- {picky: the one, last: 300}\n- 5\n"),
        [
            "1:11 invalid value for \"picky\": not the one",
            "1:21 expected a whole number above 0 for \"count\", found the number 0",
            "1:30 unknown value \"twig\" for \"tree\"",
            "1:42 expected a whole number for \"last\", found the text \"x\"",
            "2:3 the key \"count\" is missing in item 2 of the item",
            "2:3 the key \"tree\" is missing in item 2 of the item",
            "2:26 expected a whole number from 0 to 255 for \"last\", found the number 300",
            "3:3 expected a mapping for item 3 of the item, found the number 5",
        ]
    );
    assert_eq!(
        messages::<Hard>("{picky: the one, count: 0, tree: twig, last: x}"),
        [
            "1:25 expected a whole number above 0 for \"count\", found the number 0",
            "1:34 unknown value \"twig\" for \"tree\"",
            "1:46 expected a whole number for \"last\", found the text \"x\"",
        ]
    );
    assert_eq!(messages::<Stubborn>("a: 1"), ["1:1 invalid value for the item: no"]);
    assert_eq!(messages::<Vec<Stubborn>>("[1, 2]").len(), 2);
}

#[test]
fn a_misspelt_key_is_not_missed_as_well() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "the fields say what may be written")]
    struct Tag {
        triggers: Vec<u8>,
        template: String,
    }
    let found = messages::<Tag>("trigers: [x]\n");
    assert_eq!(found, ["1:1 unknown key \"trigers\" in the item", "1:1 the key \"template\" is missing in the item"]);
    // An unknown key alone leaves the value usable, so that more can be checked.
    let (tag, found) = attempt::<Tag>("{triggers: [1], template: a, x: 1}");
    assert!(tag.is_some());
    assert_eq!(found.len(), 1);
}

#[test]
fn aliases_of_fields_and_keys_of_other_types() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Renamed {
        #[serde(alias = "old")]
        new: u8,
    }
    assert_eq!(value::<Renamed>("old: 1"), Renamed { new: 1 });
    assert_eq!(messages::<Renamed>("{old: 1, new: 2}").len(), 1);
    assert_eq!(value::<BTreeMap<i32, u8>>("{-1: 2, 5: 6}"), [(-1, 2), (5, 6)].into());
    assert_eq!(messages::<BTreeMap<i32, u8>>("{a: 2, b: 6}").len(), 2);
}

#[test]
fn names_given_in_two_files_are_reported_with_both_places() {
    let mut diagnostics = Diagnostics::default();
    let mut all: PlacedMap<u8> = value("a: 1\nb: 2\n");
    all.absorb(value("c: 3\nb: 4\n"), "tag", &mut diagnostics);
    assert_eq!(
        all.iter().map(|(key, value)| (&*key.value, *value)).collect::<Vec<_>>(),
        [("a", 1), ("b", 2), ("c", 3)]
    );
    let [duplicate] = diagnostics.iter().collect::<Vec<_>>()[..] else { panic!("{diagnostics:?}") };
    assert_eq!(duplicate.message, "there is another tag \"b\"");
    assert_eq!(duplicate.help.as_deref(), Some("the first is at rules/a.yaml:2"));
}

#[test]
fn a_large_item_full_of_errors_is_given_up_in_time() {
    let source: String = (0..41_000).map(|n| format!("x{n}: {}\n", if n < 40_000 { "1" } else { "a" })).collect();
    let found = messages::<BTreeMap<String, u8>>(&source);
    assert!(found.iter().any(|message| message.ends_with("there may be more; mend these first")), "{found:?}");
    assert!((10..100).contains(&found.len()), "{}", found.len());
}
