//! Every native that a script can call: a list that a new version of the engine cannot lengthen unnoticed, and each of
//! them called with the worst that there is.

use std::{collections::BTreeSet, time::Duration};

use rhai::{Dynamic, EvalAltResult};

use super::{super::Stop, on_a_thread, stopped};
use crate::script::{
    cage::{self, HitTime},
    reference,
};

/// `name(type, type)` of every native, without what it returns.
fn signatures() -> BTreeSet<(String, Vec<String>)> {
    let engine = cage::engine();
    let parse = |signature: String| {
        let (name, rest) = signature.split_once('(').expect("an argument list");
        let (arguments, _) = rest.rsplit_once(')').expect("an argument list");
        let arguments = arguments.split(", ").filter(|argument| !argument.is_empty());
        let kind = |argument: &str| argument.split_once(": ").map_or(argument, |(_, kind)| kind).to_owned();
        (name.to_owned(), arguments.map(kind).collect())
    };
    engine.gen_fn_signatures(true).into_iter().map(parse).collect()
}

#[test]
fn the_natives_are_these() {
    let names: BTreeSet<String> = signatures().into_iter().map(|(name, _)| name).collect();
    insta::assert_snapshot!("natives", names.into_iter().collect::<Vec<_>>().join("\n"));
}

/// What the engine knows is what the reference tells of, and nothing else.
#[test]
fn the_reference_leaves_nothing_out() {
    let plain = |name: &str| name.trim_start_matches("get$").trim_start_matches("set$").to_owned();
    let known: BTreeSet<String> = signatures().into_iter().map(|(name, _)| plain(&name)).collect();
    let own = reference::SECTIONS.iter().flat_map(|section| section.entries).flat_map(|entry| entry.names);
    let others = reference::GROUPS.iter().flat_map(|group| group.names).chain(["sleep"].iter());
    let told: BTreeSet<String> = own.chain(others).map(|name| plain(name)).collect();
    let untold: Vec<_> = known.difference(&told).collect();
    let unknown: Vec<_> = told.difference(&known).collect();
    assert!(untold.is_empty() && unknown.is_empty(), "not told of: {untold:?}; not known: {unknown:?}");
}

/// The worst values of a type, as a script writes them.
fn worst(kind: &str) -> &'static [&'static str] {
    match kind.trim_start_matches("&mut ") {
        "i64" | "INT" => &["0", "-1", "64", "9223372036854775807", "(-9223372036854775807 - 1)"],
        "f64" | "f32" | "FLOAT" => &["0.0", "-1.5", "1.0e308", "(0.0 / 0.0)", "(-1.0 / 0.0)"],
        "bool" => &["true"],
        "char" => &["'a'", "'\\u{1F600}'", "'\\0'"],
        "()" => &["()"],
        "array" | "Array" => &["[]", "[3, \"a\", [1.5, ()], #{ a: 1 }]"],
        "map" | "Map" => &["#{}", "#{ a: 1, b: [#{ c: 'c' }] }"],
        "blob" | "Blob" => &["\"\\u{1F600}a\".to_blob()"],
        "Fn" | "FnPtr" => &["Fn(\"len\")", "|x| x", "|x, y| throw x"],
        kind if kind.contains("RangeInclusive") || kind.contains("range=") => {
            &["(0..=9223372036854775807)", "(9..=-9)", "(-3..=3)"]
        }
        kind if kind.contains("Range") || kind.contains("range") => &["(0..9223372036854775807)", "(9..-9)", "(-3..3)"],
        kind if kind.contains("String") || kind.contains("str") => {
            &["\"\"", "\"\\u{DF}\\u{1F600}a\\u{301} a,a\"", "long"]
        }
        "Params" => &["params"],
        "Event" => &["event"],
        "Request" => &["request"],
        "Consent" => &["consent"],
        "Secret" => &["params.api_key"],
        _ => &["1", "\"a\"", "[[]]", "()", "event"],
    }
}

/// Every combination of the worst values, as one call each.
fn calls(name: &str, kinds: &[String]) -> Vec<String> {
    let mut lists = vec![Vec::new()];
    for kind in kinds {
        lists = lists
            .into_iter()
            .flat_map(|list| worst(kind).iter().map(move |value| [list.as_slice(), &[*value]].concat()))
            .collect();
    }
    let call = |arguments: Vec<&str>| match (name, arguments.as_slice()) {
        ("index$get$", [a, b]) => format!("let a = {a}; a[{b}]"),
        (name, [a]) if name.starts_with("get$") => format!("({a}).{}", &name[4..]),
        (name, [a, b]) if name.starts_with("set$") => format!("let a = {a}; a.{} = {b}", &name[4..]),
        (name, [a, b]) if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
            format!("let a = {a}; a {name} {b}")
        }
        (name, arguments) => format!("{name}({})", arguments.join(", ")),
    };
    lists.into_iter().map(call).collect()
}

#[test]
fn no_native_panics_or_outlives_its_budget() {
    on_a_thread(|| {
        let engine = cage::engine();
        let mut called = 0;
        for (name, kinds) in signatures() {
            for call in calls(&name, &kinds) {
                let script =
                    format!("let long = \"aB \\u{{DF}}\"; while long.len() < 4000 {{ long += long; }}\n{call}");
                let (result, _) =
                    cage::run(stopped, &HitTime::new(Duration::from_secs(1)), || engine.eval::<Dynamic>(&script));
                if let Err(error) = result
                    && let EvalAltResult::ErrorTerminated(stop, _) = *error
                {
                    let stop = stop.try_cast::<Stop>();
                    assert_ne!(stop, Some(Stop::Panic), "{call}");
                }
                called += 1;
            }
        }
        assert!(called > 1000, "only {called} calls");
    });
}
