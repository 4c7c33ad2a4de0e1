//! Broken inputs are files in `tests/cases/yaml`, with what `check` would print beside each. Here is the model that they
//! are decoded into, and what no single file can show: spans, spelling, limits, arbitrary bytes.

use std::path::Path;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::container::diagnostic::{Colour, Sources, text};

/// A small container file with every shape that model types have.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "the fields say what may be written; only some are looked at")]
struct File {
    tags: Option<PlacedMap<Node>>,
    triggers: Option<PlacedMap<ScalarOr<Placed<Box<str>>, Trigger>>>,
    settings: Option<Settings>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "see File")]
struct Tag {
    template: Placed<Box<str>>,
    triggers: Vec<Placed<Box<str>>>,
    #[serde(default)]
    priority: u8,
    #[serde(default)]
    consent: std::collections::BTreeMap<ConsentType, Placed<State>>,
    currency: Option<Currency>,
    #[serde(default)]
    params: PlacedMap<Node>,
}

#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
enum ConsentType {
    AdStorage,
    AnalyticsStorage,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Granted,
    Denied,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "see File")]
struct Trigger {
    on: OneOrMany<Placed<Box<str>>>,
    #[serde(default)]
    when: Vec<Condition>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "see File")]
enum Condition {
    Not(Box<Condition>),
    Equals { key: Box<str>, value: Scalar },
    Matches(Box<str>),
    Always,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "see File")]
struct Settings {
    debug: bool,
    rate: f64,
    region: [u16; 2],
}

/// A type that checks what it is made of.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Currency;

impl TryFrom<String> for Currency {
    type Error = String;

    fn try_from(code: String) -> Result<Self, String> {
        if code.len() == 3 { Ok(Self) } else { Err(format!("{} is not an ISO 4217 code", quoted(&code))) }
    }
}

fn file() -> Arc<str> {
    Arc::from("rules/a.yaml")
}

/// What a loader does with a file: the whole first, then each tag under its own name.
fn check(bytes: &[u8]) -> Diagnostics {
    let (name, mut diagnostics) = (file(), Diagnostics::default());
    let Some(root) = parse(&name, bytes, &mut diagnostics) else { return diagnostics };
    let whole = Context { file: &name, owner: "this file", name: None };
    let Some(File { tags, .. }) = decode(&root, &whole, &mut diagnostics) else { return diagnostics };
    for (key, node) in &tags.unwrap_or_default() {
        let owner = format!("tag {}", quoted(key));
        let at = Context { file: &name, owner: &owner, name: Some(&key.place) };
        let errors = diagnostics.errors();
        let tag = decode::<Tag>(node, &at, &mut diagnostics);
        assert!(tag.is_some() || diagnostics.errors() > errors, "no value without an error");
    }
    diagnostics
}

#[test]
fn broken_files_are_explained() {
    let settings = {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/yaml"));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings
    };
    let _bound = settings.bind_to_scope();
    insta::glob!("../../../tests/cases/yaml", "*.yaml", |path| {
        let bytes = std::fs::read(path).unwrap();
        let diagnostics = check(&bytes);
        let report = text(&diagnostics, &Sources::from([(file(), bytes)]), Colour::Off);
        insta::assert_snapshot!("check", format!("{report}\n{}", diagnostics.summary()));
    });
}

/// The tree of a text that has to be fault-free.
fn tree(source: &str) -> Node {
    let mut diagnostics = Diagnostics::default();
    let node = parse(&file(), source.as_bytes(), &mut diagnostics);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    node.unwrap()
}

fn codes(source: impl AsRef<[u8]>) -> Vec<&'static str> {
    let mut diagnostics = Diagnostics::default();
    parse(&file(), source.as_ref(), &mut diagnostics);
    diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}

#[test]
fn scalars_keep_their_spelling_and_only_true_and_false_are_boolean() {
    let number = |text: &str| Value::Number(text.into());
    let text = |text: &str| Value::Text(text.into());
    for (source, value) in [
        ("1.10", number("1.10")),
        ("\"1.10\"", text("1.10")),
        ("'1.10'", text("1.10")),
        ("!!str 1.10", text("1.10")),
        ("! 1.10", text("1.10")),
        ("007", number("007")),
        ("0x1F", number("0x1F")),
        ("-.5", number("-.5")),
        ("+1e3", number("+1e3")),
        ("1_000", text("1_000")),
        ("1.2.3", text("1.2.3")),
        ("2026-11-23", text("2026-11-23")),
        ("12:30", text("12:30")),
        (".inf", text(".inf")),
        (".", text(".")),
        ("-", Value::List(vec![Node { span: Span::default(), value: Value::Null }])),
        ("true", Value::Bool(true)),
        ("False", Value::Bool(false)),
        ("\"true\"", text("true")),
        ("yes", text("yes")),
        ("NO", text("NO")),
        ("on", text("on")),
        ("~", Value::Null),
        ("null", Value::Null),
        ("\"\"", text("")),
        ("'null'", text("null")),
    ] {
        assert_eq!(tree(source).value, value, "{source}");
    }
}

#[test]
fn spans_name_their_text() {
    let source = "\u{FEFF}a: 1.10\r\nbé:\r\n  - \"yé: s\"  # c\r\n  # d\r\n  - 日本\r\nc: [1, {q: 2}, ]\r\nd: |\r\n  one\r\n  two\r\n\r\ne:\r\n";
    let root = tree(source);
    let slice = |span: Span| &source[span.bytes()];
    let named: Vec<_> = root.entries().iter().map(|(key, node)| (slice(key.span), slice(node.span))).collect();
    assert_eq!(
        named,
        [
            ("a", "1.10"),
            ("bé", "- \"yé: s\"  # c\r\n  # d\r\n  - 日本"),
            ("c", "[1, {q: 2}, ]"),
            ("d", "one\r\n  two"),
            ("e", ""),
        ]
    );
    let Value::List(items) = &root.get("bé").unwrap().value else { panic!() };
    let place = items[1].span.place(&file());
    assert_eq!((place.line, place.column, place.length), (5, 5, 2));
    let block = root.get("d").unwrap().span;
    assert_eq!((block.line, block.column, block.length), (8, 3, 3));
}

#[test]
fn anchors_aliases_and_merge_keys_unfold() {
    let root = tree("base: &b {x: 1, y: 2}\nmore: &m {z: 3}\na:\n  y: 9\n  <<: [*b, *m]\nc: *b\nquoted: {\"<<\": 1}\n");
    assert_eq!(root.get("a"), Some(&tree("{y: 9, x: 1, z: 3}")));
    assert_eq!(root.get("c"), root.get("base"));
    let source = "a: &a 1\nb:\n  - *a # here\n";
    assert_eq!(&source[tree(source).get("b").unwrap().span.bytes()], "- *a");
    assert_eq!(root.get("quoted").and_then(|node| node.get("<<")), Some(&tree("1")));
}

/// Each of these would take minutes or gigabytes if any step were quadratic or followed the file without a limit.
#[test]
fn hostile_files_are_refused() {
    let laughs: String = std::iter::once("l0: &l0 [x, x, x, x, x, x, x, x, x]\n".to_owned())
        .chain((1..12).map(|n| format!("l{n}: &l{n} [{}]\n", format!("*l{}, ", n - 1).repeat(9))))
        .collect();
    let nested_anchors: String = (0..60).map(|n| format!("{}- &a{n}\n", " ".repeat(n))).collect::<String>()
        + format!("{}- [{}]\n", " ".repeat(60), "a,".repeat(200_000)).as_str();
    for (name, source, code) in [
        ("aliases of aliases", laughs, "too-many-values"),
        ("anchors within anchors", nested_anchors, "too-many-values"),
        ("many values", format!("[{}]", "a,".repeat(499_000)), "wrong-type"),
        ("an alias within itself", "a: &a [*a]".to_owned(), "recursive-alias"),
        ("brackets", "[".repeat(20_000), "too-deep"),
        ("braces", "{a: ".repeat(20_000), "too-deep"),
        ("dashes", "- ".repeat(20_000), "too-deep"),
        ("indentation", (0..1_400).map(|n| format!("{}a:\n", " ".repeat(n))).collect(), "too-deep"),
        ("size", "#".repeat(MAX_FILE_BYTES + 1), "file-too-large"),
        ("comment", "#".repeat(MAX_FILE_BYTES), "empty-file"),
        ("tabs", "\t".repeat(100_000), "empty-file"),
        ("unknown keys", (0..20_000).map(|n| format!("tag{n}: 1\n")).collect(), "unknown-key"),
        ("wrong values", format!("triggers: [{}]", "1,".repeat(30_000)), "wrong-type"),
        (
            "wrong items",
            format!("triggers:\n{}", (0..20_000).map(|n| format!(" x{n}: [1]\n")).collect::<String>()),
            "wrong-type",
        ),
        ("one key, often", "a: 1\n".repeat(30_000), "duplicate-key"),
        ("one key, often, on one line", format!("{{{}}}", "a: 1,".repeat(30_000)), "duplicate-key"),
    ] {
        let diagnostics = check(source.as_bytes());
        let report = text(&diagnostics, &Sources::from([(file(), source.into_bytes())]), Colour::Off);
        assert!(report.len() < 1_000_000, "{name}");
        assert!(diagnostics.iter().any(|diagnostic| diagnostic.code == code), "{name}: {report}");
    }
}

#[test]
fn encodings_and_line_ends() {
    assert!(codes("\u{FEFF}a: 1\r\nb: 2\r\n").is_empty());
    assert!(codes("a: 1\rb: 2\r").is_empty());
    assert_eq!(codes(b"\xFF\xFEa\0:\0"), ["not-utf-8"]);
    assert_eq!(codes("a: \"\0\""), ["control-character"]);
    assert_eq!(codes("# only a comment"), ["empty-file"]);
    assert_eq!(codes(""), ["empty-file"]);
    assert_eq!(codes("--- \na: 1\n...\n"), [""; 0]);
    assert_eq!(codes("a: 1\n---\nb: 2\n"), ["second-document"]);
}

/// Every node and key of a tree.
fn spans(node: &Node, out: &mut Vec<(Span, Option<Box<str>>)>) {
    let text = match &node.value {
        Value::Number(text) | Value::Text(text) => Some(text.clone()),
        _ => None,
    };
    out.push((node.span, text));
    if let Value::List(items) = &node.value {
        items.iter().for_each(|item| spans(item, out));
    }
    for (key, node) in node.entries() {
        out.push((key.span, Some(key.name.clone())));
        spans(node, out);
    }
}

/// Line and column of a byte offset, counted in the plainest way.
fn counted(source: &str, offset: usize) -> (u32, u32) {
    let before = source[..offset].trim_start_matches('\u{FEFF}').replace("\r\n", "\n").replace('\r', "\n");
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (u32::try_from(line).unwrap(), u32::try_from(column).unwrap())
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let report = text(&check(&bytes), &Sources::from([(file(), bytes)]), Colour::On);
        prop_assert!(!report.contains('\0'));
    }

    /// Near enough to YAML to get deep into the decoder.
    #[test]
    fn arbitrary_yaml_is_read_or_refused(
        source in "(tags|triggers|settings|a|x: \\{|\\[|\\]|\\}|,|: |:\n  |- |\n|\n  |\n    |&a |\\*a|<<|\\|\n|>\n|'|\"|#|\t|\r\n|!!str |~|1.10|true|é|日本|template|consent|on|when|not|equals|---|\\?){0,40}"
    ) {
        let diagnostics = check(source.as_bytes());
        text(&diagnostics, &Sources::from([(file(), source.clone().into_bytes())]), Colour::Off);
        for diagnostic in diagnostics.iter() {
            let place = diagnostic.place.as_ref().unwrap();
            let lines = source.replace("\r\n", "\n").replace('\r', "\n");
            let line = lines.split('\n').nth(place.line as usize - 1);
            prop_assert!(line.is_some_and(|line| place.column as usize <= line.chars().count() + 1), "{diagnostic:?}");
        }
    }

    #[test]
    fn spans_agree_with_the_text(
        source in "\u{FEFF}?(a: |b:\n  |- |\n|\n  |'é日'|\"a b\"|text|1.10|\\[|\\]|, |\\{|\\}|# c|\r\n|\r|\t){1,30}"
    ) {
        let mut diagnostics = Diagnostics::default();
        let Some(root) = parse(&file(), source.as_bytes(), &mut diagnostics) else { return Ok(()) };
        let mut all = Vec::new();
        spans(&root, &mut all);
        for (span, text) in all {
            let slice = source.get(span.bytes());
            prop_assert!(slice.is_some(), "{span:?}");
            let slice = slice.unwrap_or_default();
            prop_assert_eq!((span.line, span.column), counted(&source, span.start as usize));
            prop_assert_eq!(span.length as usize, slice.split(['\n', '\r']).next().unwrap_or_default().chars().count());
            if let Some(text) = text.filter(|_| !slice.contains(['\n', '\r'])) {
                let plain = match slice.as_bytes() {
                    [b'\'', inner @ .., b'\''] => String::from_utf8_lossy(inner).replace("\'\'", "'"),
                    [b'"', inner @ .., b'"'] => String::from_utf8_lossy(inner).into_owned(),
                    _ => slice.to_owned(),
                };
                prop_assert_eq!(plain, &*text);
            }
        }
    }
}
