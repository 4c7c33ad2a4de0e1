//! What cases do not reach: that the index and its prefilters leave out nothing, and that a trace stays short.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    client::Client,
    consent::{ConsentState, Signals},
    container::{
        Container, TagIndex,
        diagnostic::Severity,
        folder,
        load::{self, LoadOptions},
    },
    event::{Event, EventId, IdOrigin},
    hit::Hit,
    script::{Given, HitTime},
    time::Timestamp,
    trigger::choice::choose,
};

/// A container with one tag for each trigger, of the same name.
fn container(triggers: &[String]) -> Container {
    let mut rules = "triggers:\n  Never: { event: never }\n".to_owned();
    for (position, trigger) in triggers.iter().enumerate() {
        writeln!(rules, "  T{position}: {trigger}").unwrap();
    }
    rules += "variables: { X: { event_data: x }, Y: { event_data: y } }\ntags:\n";
    let tag = "template: nothing, consent: none, consent_reason: it does nothing";
    writeln!(rules, "  Never: {{ {tag}, triggers: Never }}").unwrap();
    for position in 0..triggers.len() {
        writeln!(rules, "  T{position}: {{ {tag}, triggers: T{position} }}").unwrap();
    }
    let options = LoadOptions {
        version: "test",
        environment: &BTreeMap::new(),
        absent_environment: Severity::Note,
        library: &folder::sources([("tags/nothing.rhai", ""), ("tags/nothing.yaml", "description: Nothing.")]),
        inline: None,
        seats: 1,
    };
    let loaded = load::load(&folder::sources([("rules/a.yaml", &*rules)]), options);
    loaded.container.unwrap_or_else(|| panic!("{:?}\n{rules}", loaded.diagnostics))
}

fn event(name: &str, data: Value) -> Event {
    let Value::Object(data) = data else { panic!("an event is an object") };
    let id = EventId { text: "1".into(), origin: IdOrigin::Site };
    Event { name: name.into(), id, time: Timestamp(0), data, signals: Signals::default(), click: None }
}

fn given(name: &str, data: Value) -> Given {
    Given {
        event: Arc::new(event(name, data)),
        hit: Arc::new(hit()),
        client: Client::DataLayer,
        position: 0,
        consent: ConsentState::default(),
        hit_time: HitTime::new(Duration::from_secs(1)),
        clock: || Duration::ZERO,
    }
}

fn hit() -> Hit {
    Hit { host: "tags.example.com".into(), ..Hit::silent(Timestamp(0)) }
}

/// The tags whose triggers match, found by asking every one.
fn asked_one_by_one(container: &Container, moment: &Moment<'_>) -> Vec<TagIndex> {
    let matches = |index: &TriggerIndex| container.triggers[index.0].matches(moment);
    let tags = container.tags.iter().enumerate();
    tags.filter(|(_, tag)| tag.triggers.iter().any(matches)).map(|(position, _)| TagIndex(position)).collect()
}

fn pattern() -> impl Strategy<Value = String> {
    const PARTS: [&str; 13] =
        ["a", "sK", "K.", "(B|ak)", "(a|k)+", "s?", ".*", "^", "[as]", "(a|(Bk|s))", "k{2}", "(?i)s", "ſ"];
    prop::collection::vec(prop::sample::select(&PARTS[..]), 1..4).prop_map(|parts| parts.concat())
}

fn operator() -> impl Strategy<Value = String> {
    let word = "[aBsſKk]{1,3}";
    prop_oneof![
        word.prop_map(|word| format!("equals: {word:?}")),
        (word, word).prop_map(|(one, two)| format!("in: [{one:?}, {two:?}]")),
        word.prop_map(|word| format!("contains: {word:?}")),
        word.prop_map(|word| format!("starts_with: {word:?}")),
        word.prop_map(|word| format!("ends_with: {word:?}")),
        pattern().prop_map(|pattern| format!("matches: '{pattern}'")),
        (0..3).prop_map(|number| format!("equals: {number}")),
        (0..3).prop_map(|number| format!("greater_than: {number}")),
        Just("contains: '{{Y}}'".to_owned()),
        Just("defined: true".to_owned()),
    ]
}

fn test() -> impl Strategy<Value = String> {
    let subject = prop_oneof![Just("event_data: x"), Just("variable: Y")];
    let test = (subject, operator(), prop::bool::weighted(0.2), any::<bool>());
    test.prop_map(|(subject, operator, not, ignore_case)| {
        format!("{{ {subject}, {operator}, not: {not}, ignore_case: {ignore_case} }}")
    })
}

fn condition() -> impl Strategy<Value = String> {
    let group = (prop::sample::select(vec!["any", "all"]), prop::collection::vec(test(), 1..3));
    prop_oneof![
        3 => test(),
        1 => group.prop_map(|(kind, tests)| format!("{{ {kind}: [{}] }}", tests.join(", "))),
    ]
}

fn trigger() -> impl Strategy<Value = String> {
    let events = prop_oneof![
        Just("event: '*'".to_owned()),
        "[ab]".prop_map(|name| format!("event: {name}")),
        prop::sample::select(vec!["a", "^b", "ab|ba", "a.", "[ab]b", "(a|b)$"])
            .prop_map(|pattern| format!("event_matches: '{pattern}'")),
    ];
    (events, prop::collection::vec(condition(), 0..3))
        .prop_map(|(events, conditions)| format!("{{ {events}, when: [{}] }}", conditions.join(", ")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn the_index_finds_what_asking_everybody_finds(
        triggers in prop::collection::vec(trigger(), 1..120),
        events in prop::collection::vec(("[ab]{1,2}", "[aBbsSſKk\u{212a}]{0,5}|[0-3]", "[aBsſk]{0,2}|[0-3]"), 1..12),
    ) {
        let container = container(&triggers);
        for (name, x, y) in events {
            let number: Option<i64> = x.parse().ok();
            let given = given(&name, json!({"x": number.map_or(json!(x), |x| json!(x)), "y": y}));
            let moment = Moment::new(&container, &given);
            let choice = choose(&container, &moment, 5);
            prop_assert_eq!(&choice.fire, &asked_one_by_one(&container, &moment), "{:?}", given.event);
            let looked_at = container.tags.iter().filter(|tag| {
                tag.triggers.iter().any(|index| container.triggers[index.0].events.covers(&name))
            });
            let others = looked_at.count() - choice.fire.len();
            prop_assert_eq!(choice.rest.len(), others.min(5));
            prop_assert_eq!(choice.untold, others.saturating_sub(5));
        }
    }
}

#[test]
fn an_event_meets_only_the_triggers_that_look_at_it() {
    let triggers = [
        "{ event: purchase }",
        "{ event: '*' }",
        "{ event: [sign_up, purchase, purchase] }",
        "{ event_matches: '^view_' }",
        "{ event_matches: '.*', when: [{ event_data: x, equals: 1 }] }",
    ];
    let container = container(&triggers.map(str::to_owned));
    let told = |name: &str| {
        let given = given(name, json!({}));
        let moment = Moment::new(&container, &given);
        let choice = choose(&container, &moment, 100);
        let fired = choice.fire.iter().map(|index| container.tags[index.0].name.to_string());
        let rest = choice.rest.iter().map(|tag| format!("not {}", tag.tag));
        (fired.chain(rest).collect::<Vec<_>>().join(" "), choice.untold)
    };
    assert_eq!(told("purchase"), ("T0 T1 T2 not T4".to_owned(), 0));
    assert_eq!(told("sign_up"), ("T1 T2 not T4".to_owned(), 0));
    assert_eq!(told("view_item"), ("T1 T3 not T4".to_owned(), 0));
    assert_eq!(told("scroll"), ("T1 not T4".to_owned(), 0));
}
