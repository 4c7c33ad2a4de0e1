//! What no broken container in `tests/cases/diagnostics` shows: options, layers and size.

use std::time::Instant;

use super::*;
use crate::container::{diagnostic::Severity, folder};

fn load_with(files: &[(&str, &str)], absent: Severity, inline: Option<(&Arc<str>, &Node)>) -> Loaded {
    let options = LoadOptions {
        version: "v1",
        environment: &BTreeMap::new(),
        absent_environment: absent,
        library: &folder::library(),
        inline,
        seats: 1,
    };
    load(&folder::sources(files.iter().copied()), options)
}

fn loaded(files: &[(&str, &str)]) -> Loaded {
    load_with(files, Severity::Error, None)
}

const CLICK: &str = "
triggers: { Every event: { event: '*' } }
tags: { Click: { template: openai_cookie, triggers: Every event, consent: ad_storage } }
";

#[test]
fn a_container_knows_its_version_and_has_its_items() {
    let container = loaded(&[("rules/a.yaml", CLICK)]).container.unwrap();
    assert_eq!(&*container.version, "v1");
    assert_eq!((container.tags.len(), container.triggers.len(), container.variables.len()), (1, 1, 0));
}

#[test]
fn an_empty_container_is_good_and_unused_templates_never_warn() {
    let loaded = loaded(&[]);
    assert!(loaded.container.is_some() && loaded.diagnostics.is_empty());
}

#[test]
fn files_that_are_no_rules_are_left_alone() {
    for path in
        ["rules/a.test.yaml", "rules/deeper/a.yaml", "rules/a.yml", "rules/a.rhai", "tags/a.test.yaml", "a.yaml"]
    {
        let loaded = loaded(&[(path, "nonsense: [")]);
        assert!(loaded.container.is_some(), "{path}: {:?}", loaded.diagnostics);
    }
}

#[test]
fn marks_of_the_byte_order_and_line_ends_of_windows_are_no_part_of_a_file() {
    let files = [
        (
            "rules/a.yaml",
            "\u{FEFF}triggers:\r\n  All: { event: '*' }\r\ntags:\r\n  Own: { template: own, triggers: All, consent: ad_storage }\r\n",
        ),
        ("tags/own.yaml", "\u{FEFF}description: Says nothing.\r\n"),
        ("tags/own.rhai", "\u{FEFF}// Nothing.\r\nskip(\r\n  \"nothing\")\r\n"),
    ];
    let Loaded { container, diagnostics, .. } = loaded(&files);
    assert!(container.is_some() && diagnostics.is_empty(), "{diagnostics:?}");
}

#[test]
fn inline_rules_take_the_place_of_the_containers_own() {
    let file: Arc<str> = "tags/a.test.yaml".into();
    let inline = yaml::parse(&file, CLICK.as_bytes(), &mut Diagnostics::default()).unwrap();
    let files = [("rules/a.yaml", "tags: { Other: nonsense }")];
    let loaded = load_with(&files, Severity::Error, Some((&file, &inline)));
    assert_eq!(loaded.container.unwrap().tags.len(), 1);
}

#[test]
fn how_grave_an_absent_variable_is_depends_on_who_asks() {
    let pixel = "
variables: { Pixel: { environment: OPENAI_PIXEL_ID } }
triggers: { Pixel: { event: e, when: [{ variable: Pixel, defined: true }] } }
tags: { Click: { template: openai_cookie, triggers: Pixel, consent: ad_storage } }
";
    let files = [("rules/a.yaml", pixel)];
    for (severity, is_live) in [(Severity::Error, false), (Severity::Warning, true), (Severity::Note, true)] {
        let loaded = load_with(&files, severity, None);
        assert_eq!(loaded.container.is_some(), is_live, "{severity:?}");
        assert_eq!(loaded.diagnostics.iter().map(|told| told.severity).collect::<Vec<_>>(), [severity]);
    }
}

#[test]
fn a_copy_of_the_library_is_no_shadow_of_it() {
    let library = folder::library();
    let copies: Vec<_> = library.iter().map(|(path, bytes)| (&**path, std::str::from_utf8(bytes).unwrap())).collect();
    assert!(loaded(&copies).diagnostics.is_empty());
    let changed: Vec<_> = copies.iter().map(|(path, text)| (*path, format!("{text}\n"))).collect();
    let changed: Vec<_> = changed.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let loaded = loaded(&changed);
    assert!(loaded.container.is_some());
    assert!(loaded.diagnostics.iter().all(|told| told.code == "shadowed-template"));
    assert_eq!(loaded.diagnostics.iter().count(), library.len());
}

#[test]
fn a_container_of_thousands_of_items_loads() {
    let numbers = 0..5_000;
    let variables: String = numbers.clone().map(|n| format!("  V{n}: {{ event_data: a{n} }}\n")).collect();
    let triggers: String = numbers
        .clone()
        .map(|n| format!("  T{n}: {{ event: e{n}, when: [{{ variable: V{n}, equals: 1 }}] }}\n"))
        .collect();
    let tags: String = numbers
        .map(|n| format!("  G{n}: {{ template: openai_cookie, triggers: T{n}, consent: ad_storage }}\n"))
        .collect();
    let rules = format!("variables:\n{variables}triggers:\n{triggers}tags:\n{tags}");
    let started = Instant::now();
    let container = loaded(&[("rules/a.yaml", &rules)]).container.unwrap();
    assert_eq!(container.tags.len(), 5_000);
    // Far above what it takes: no benchmark, only a guard against quadratic behaviour.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}
