//! That nothing is kept back, and nothing made up: what the loader makes of random containers decides.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{compare, text};
use crate::container::{
    diagnostic::{Severity, Sources},
    folder,
    load::{LoadOptions, load},
};

#[derive(Clone, Debug, PartialEq)]
struct Tag {
    name: usize,
    priority: i8,
    trigger: usize,
    exception: Option<usize>,
    consent: &'static str,
    when_denied: &'static str,
    paused: bool,
    message: &'static str,
}

#[derive(Clone, Debug, PartialEq)]
struct Trigger {
    events: Vec<&'static str>,
    conditions: Vec<(&'static str, &'static str, u8, bool)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Rules {
    tags: Vec<Tag>,
    triggers: Vec<Trigger>,
    rows: Vec<(&'static str, u8)>,
    default: Option<&'static str>,
    region: Option<&'static str>,
}

const WORDS: [&str; 5] = ["a", "A", "1", "\"1\"", "\"{{Kind}}\""];

fn tag() -> impl Strategy<Value = Tag> {
    let word = prop::sample::select(&WORDS[..]);
    let consent = prop::sample::select(&["ad_storage", "analytics_storage"][..]);
    let when = prop::sample::select(&["skip", "hold"][..]);
    let parts = (0..4_usize, 0..2_i8, 0..2_usize, prop::option::of(0..2_usize), consent, when, any::<bool>(), word);
    parts.prop_map(|(name, priority, trigger, exception, consent, when_denied, paused, message)| Tag {
        name,
        priority,
        trigger,
        exception,
        consent,
        when_denied,
        paused,
        message,
    })
}

fn trigger() -> impl Strategy<Value = Trigger> {
    let events = prop::sample::subsequence(&["purchase", "refund", "login"][..], 1..3);
    let condition = (
        prop::sample::select(&["value", "items.0.price"][..]),
        prop::sample::select(&["equals", "greater_than", "less_than"][..]),
        0..3_u8,
        any::<bool>(),
    );
    let conditions = prop::collection::vec(condition, 0..3);
    (events, conditions).prop_map(|(events, conditions)| Trigger { events, conditions })
}

fn rules() -> impl Strategy<Value = Rules> {
    let tags = prop::collection::vec(tag(), 0..4).prop_map(|mut tags| {
        let mut seen = std::collections::BTreeSet::new();
        tags.retain(|tag| seen.insert(tag.name));
        tags
    });
    let rows = prop::collection::vec((prop::sample::select(&["a.*", "b", "[0-9]"][..]), 0..3_u8), 1..4);
    let status = || prop::option::of(prop::sample::select(&["granted", "denied"][..]));
    let parts = (tags, prop::collection::vec(trigger(), 2), rows, status(), status());
    parts.prop_map(|(tags, triggers, rows, default, region)| Rules { tags, triggers, rows, default, region })
}

/// As somebody would write it: `plain` in one file with blocks, otherwise in several, in other ways.
fn write(rules: &Rules, plain: bool) -> Sources {
    let list = |items: &[&str]| match items {
        [single] if plain => (*single).to_owned(),
        items if plain => format!("[{}]", items.join(", ")),
        items => format!("[ \"{}\" ] # as before", items.iter().rev().copied().collect::<Vec<_>>().join("\", \"")),
    };
    let mut tags = String::from("tags:\n");
    for tag in &rules.tags {
        let mut fields = vec![
            "template: log".to_owned(),
            format!("triggers: {}", list(&[&format!("T{}", tag.trigger)])),
            format!("consent: {}", list(&[tag.consent])),
            format!("parameters: {{ line: {} }}", tag.message),
        ];
        fields.extend(tag.exception.map(|name| format!("exceptions: {}", list(&[&format!("T{name}")]))));
        fields.extend((tag.priority != 0 || !plain).then(|| format!("priority: {}", tag.priority)));
        fields.extend((tag.paused || !plain).then(|| format!("paused: {}", tag.paused)));
        fields.extend((tag.when_denied != "skip" || !plain).then(|| format!("when_denied: {}", tag.when_denied)));
        if !plain {
            fields.reverse();
        }
        tags += &format!("  Tag {}:\n    {}\n", tag.name, fields.join("\n    "));
    }
    let mut triggers = String::from("triggers:\n");
    for (place, trigger) in rules.triggers.iter().enumerate() {
        let conditions = trigger.conditions.iter().map(|(path, operator, number, not)| {
            let not = if *not || !plain { format!(", not: {not}") } else { String::new() };
            format!("{{ event_data: {path}, {operator}: {number}{not} }}")
        });
        let conditions: Vec<_> = conditions.collect();
        triggers +=
            &format!("  T{place}:\n    event: {}\n    when: [{}]\n", list(&trigger.events), conditions.join(", "));
    }
    let rows = rules.rows.iter().map(|(pattern, output)| format!("{{ pattern: \"{pattern}\", output: {output} }}"));
    let rows = rows.collect::<Vec<_>>().join(", ");
    let variables = format!("variables: {{ Kind: {{ regex_table: {{ input: x, rows: [{rows}] }} }} }}\n");
    let mut consent = String::from("consent:\n  region_header: cf-ipcountry\n");
    consent += &rules.default.map(|status| format!("  defaults: {{ ad_storage: {status} }}\n")).unwrap_or_default();
    let region = |status| format!("  regions: [{{ region: ES, defaults: {{ ad_storage: {status} }} }}]\n");
    consent += &rules.region.map(region).unwrap_or_default();
    if plain {
        return folder::sources([("rules/shop.yaml", &*([tags, triggers, variables, consent].concat()))]);
    }
    folder::sources([
        ("rules/a.yaml", &*[&*variables, "# the rest lies beside\n", &triggers].concat()),
        ("rules/b.yaml", &*[consent, tags.replace('\n', "\r\n")].concat()),
    ])
}

/// The one template that is used; compiling all of them would take most of the time.
fn library() -> Sources {
    folder::library().into_iter().filter(|(path, _)| path.starts_with("tags/log.")).collect()
}

/// What the loader made of it.
fn meaning(files: &Sources) -> Option<String> {
    let options = LoadOptions {
        version: "v",
        environment: &BTreeMap::new(),
        absent_environment: Severity::Warning,
        library: &library(),
        inline: None,
        seats: 1,
    };
    let container = load(files, options).container?;
    let (tags, triggers, variables) = (&container.tags, &container.triggers, &container.variables);
    Some(format!("{tags:?} {triggers:?} {variables:?} {:?} {:?}", container.consent, container.settings))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_differs_for_the_loader_is_told(one in rules(), other in rules()) {
        let (before, after) = (write(&one, true), write(&other, true));
        let (old, new) = (meaning(&before), meaning(&after));
        prop_assume!(old.is_some() && new.is_some());
        let changes = compare(&before, &after, &library());
        prop_assert!(old == new || !changes.is_empty(), "nothing told");
    }

    #[test]
    fn one_thing_that_differs_is_told(one in rules(), other in rules(), which in 0..9_usize) {
        let mut changed = one.clone();
        let first = changed.tags.first_mut().zip(other.tags.first());
        match (which, first) {
            (0, Some((tag, other))) => tag.priority = other.priority,
            (1, Some((tag, other))) => tag.message = other.message,
            (2, Some((tag, other))) => tag.exception = other.exception,
            (3, Some((tag, other))) => tag.consent = other.consent,
            (4, _) => changed.triggers[0].conditions.clone_from(&other.triggers[0].conditions),
            (5, _) => changed.tags.reverse(),
            (6, _) => changed.rows.reverse(),
            (7, _) => changed.region = other.region,
            _ => changed.default = other.default,
        }
        let (before, after) = (write(&one, true), write(&changed, true));
        let (old, new) = (meaning(&before), meaning(&after));
        prop_assume!(old.is_some() && new.is_some());
        let changes = compare(&before, &after, &library());
        prop_assert!(old == new || !changes.is_empty(), "nothing told");
    }

    #[test]
    fn the_same_written_in_another_way_is_no_change(rules in rules()) {
        let (before, after) = (write(&rules, true), write(&rules, false));
        let changes = compare(&before, &after, &library());
        prop_assert!(changes.is_empty(), "{}", text(&changes));
    }
}

#[test]
fn programs_are_told_the_values() {
    let files = |consent: &str| {
        folder::sources([("rules/a.yaml", &*format!("tags: {{ Order: {{ template: log, consent: {consent} }} }}"))])
    };
    let changes = compare(&files("none"), &files("ad_storage"), &Sources::new());
    let expected = serde_json::json!([{
        "object": "tag", "name": "Order", "change": "changed", "field": "consent", "before": "none",
        "after": "ad_storage", "words": "tag \"Order\": consent none -> ad_storage",
    }]);
    assert_eq!(serde_json::to_value(&changes).unwrap(), expected);
}
