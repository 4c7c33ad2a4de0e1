//! What cases do not reach: that values are computed once an event, what the request's own query and a hit's id give, and
//! how sensitive each kind is.

use std::{cell::Cell, collections::BTreeMap, time::Duration};

use http::Method;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::{
    client::Client,
    consent::ConsentState,
    container::{
        diagnostic::Severity,
        folder,
        load::{self, LoadOptions},
    },
    event::{EventId, IdOrigin},
    hit::HitId,
    script::HitTime,
    time::Timestamp,
};

fn container(rules: &str) -> Container {
    let options = LoadOptions {
        version: "test",
        environment: &BTreeMap::new(),
        absent_environment: Severity::Note,
        library: &folder::sources([]),
        inline: None,
        seats: 1,
    };
    let loaded = load::load(&folder::sources([("rules/a.yaml", rules)]), options);
    loaded.container.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn event(data: Value) -> Arc<Event> {
    let Value::Object(data) = data else { panic!("an event is an object") };
    Arc::new(Event {
        name: "e".into(),
        id: EventId { text: "1".into(), origin: IdOrigin::Site },
        time: Timestamp(0),
        data,
        signals: crate::consent::Signals::default(),
        click: None,
    })
}

fn hit() -> Hit {
    Hit {
        method: Method::GET,
        query: "a=1&b=x+y%C3%A9&a=2".into(),
        host: "tags.example.com".into(),
        ..Hit::silent(Timestamp(0))
    }
}

fn given(data: Value, hit: Hit) -> Given {
    Given {
        event: event(data),
        hit: Arc::new(hit),
        client: Client::DataLayer,
        position: 0,
        consent: ConsentState::default(),
        hit_time: HitTime::new(Duration::from_secs(1)),
        clock: || Duration::ZERO,
    }
}

fn value_of(container: &Container, given: &Given, name: &str) -> Value {
    let moment = Moment::new(container, given);
    let index = container.variables.iter().position(|variable| *variable.name == *name).expect("a variable");
    moment.variable(VariableIndex(index)).clone()
}

#[test]
fn a_value_is_computed_once_an_event() {
    let container = container("variables: { Items: { event_data: items }, Plan: { event_data: plan } }");
    let given = given(json!({"items": [{"item_id": "a"}]}), hit());
    let moment = Moment::new(&container, &given);
    let first = moment.variable(VariableIndex(0));
    assert_eq!(*first, json!([{"item_id": "a"}]));
    assert!(std::ptr::eq(first, moment.variable(VariableIndex(0))));
    assert!(moment.variable(VariableIndex(1)).is_null());
}

#[test]
fn an_expression_runs_once_an_event_and_only_if_it_is_asked_for() {
    let container =
        container("variables: { Told: { expression: 'log(\"run\"); 1' }, Silent: { expression: 'log(2)' } }");
    let given = given(json!({}), hit());
    let moment = Moment::new(&container, &given);
    assert_eq!(*moment.variable(VariableIndex(0)), json!(1));
    assert_eq!(*moment.variable(VariableIndex(0)), json!(1));
    let notes: Vec<String> = moment.into_notes().iter().map(ToString::to_string).collect();
    assert_eq!(notes, ["variable \"Told\": run"]);
}

#[test]
fn an_expression_that_fails_says_where_in_its_file() {
    let container = container("variables:\n  Failing:\n    expression: |\n      let a = 1;\n      a.nonsense()\n");
    let given = given(json!({}), hit());
    let moment = Moment::new(&container, &given);
    assert!(moment.variable(VariableIndex(0)).is_null());
    let [note] = &*moment.into_notes() else { panic!("one note") };
    assert_eq!(
        note.to_string(),
        "variable \"Failing\": no function nonsense takes (i64) (rules/a.yaml:5:9: a.nonsense())"
    );
}

#[test]
fn expressions_use_the_time_of_the_hit() {
    thread_local! { static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) }; }
    let container = container("variables: { Endless: { expression: 'while true { }' } }");
    let mut given = given(json!({}), hit());
    given.clock = || {
        NOW.set(NOW.get() + Duration::from_millis(1));
        NOW.get()
    };
    let moment = Moment::new(&container, &given);
    assert!(moment.variable(VariableIndex(0)).is_null());
    let [note] = &*moment.into_notes() else { panic!("one note") };
    assert!(note.text.contains("longer than 10 ms (rules/a.yaml:1:"), "{}", note.text);
}

#[test]
fn an_index_of_another_container_gives_nothing() {
    let container = container("variables: {}");
    assert!(Moment::new(&container, &given(json!({}), hit())).variable(VariableIndex(5)).is_null());
}

#[test]
fn the_requests_own_query_is_not_the_pages() {
    let container = container(
        "
variables:
  A: { request_query: a }
  B: { request_query: b }
  C: { request_query: c }
  Page: { page_query: a }
  All: { built_in: query_string }
  Method: { built_in: request_method }
",
    );
    let given = given(json!({"page_location": "https://a.test/?a=3&c=4"}), hit());
    let value = |name| value_of(&container, &given, name);
    assert_eq!(value("A"), json!("1"), "the first of its name");
    assert_eq!(value("B"), json!("x yé"));
    assert_eq!(value("C"), Value::Null);
    assert_eq!(value("Page"), json!("3"));
    assert_eq!(value("All"), json!("a=1&b=x+y%C3%A9&a=2"));
    assert_eq!(value("Method"), json!("GET"));
}

#[test]
fn a_random_number_is_the_events_own() {
    let container =
        container("variables: { A: { random: { min: 0, max: 1000000 } }, B: { random: { max: 1000000 } } }");
    let first = given(json!({}), hit());
    let changed = Given { event: event(json!({"value": 1})), ..first.clone() };
    let other_hit = given(json!({}), Hit { id: HitId(Uuid::from_u128(1)), ..hit() });
    let number = value_of(&container, &first, "A");
    assert_eq!(number, value_of(&container, &changed, "A"), "an event that a transformation changed is the same event");
    assert_ne!(number, value_of(&container, &first, "B"));
    assert_ne!(number, value_of(&container, &other_hit, "A"));
}

#[test]
fn missing_parts_of_a_request_give_nothing() {
    let container = container(
        "variables: { Address: { built_in: client_address }, Query: { built_in: query_string }, Host: { built_in: request_host } }",
    );
    let given = given(json!({}), Hit { query: "".into(), host: "".into(), ..hit() });
    for name in ["Address", "Query", "Host"] {
        assert_eq!(value_of(&container, &given, name), Value::Null, "{name}");
    }
}

#[test]
fn a_long_table_decides_as_a_short_one() {
    let rows: String = (0..100)
        .map(|n| format!("    - {{ pattern: '/({n}|{}|all-{})/.*', output: 'row {n}: $1' }}\n", n * 3, n % 7))
        .collect();
    let long = container(&format!(
        "variables:\n  In: {{ event_data: in }}\n  T:\n   regex_table:\n    input: '{{{{In}}}}'\n    rows:\n{rows}"
    ));
    for (input, output) in [
        ("/0/a", "row 0: 0"),
        ("/99/a", "row 33: 99"),
        ("/98/a", "row 98: 98"),
        ("/297/a", "row 99: 297"),
        ("/all-6/", "row 6: all-6"),
        ("/ALL-0/x", "row 0: ALL-0"),
    ] {
        assert_eq!(value_of(&long, &given(json!({"in": input}), hit()), "T"), json!(output), "{input}");
    }
    assert_eq!(value_of(&long, &given(json!({"in": "/298/"}), hit()), "T"), Value::Null);
}

/// `P` at the beginning of a name: its values are personal.
const SENSITIVE: &str = r#"
variables:
  Constant: { constant: a }
  Constant of a constant: { constant: "{{Constant}}" }
  P Constant of an e-mail: { constant: "<{{P E-mail}}>" }
  Value: { event_data: value }
  P E-mail: { event_data: user_data.email_address }
  P Page query: { page_query: q }
  Campaign: { page_query: utm_campaign }
  P Request query: { request_query: q }
  Campaign of the request: { request_query: utm_campaign }
  Host: { url: host }
  Path: { url: path }
  P Query: { url: query }
  P Fragment: { url: fragment }
  P Parameter: { url: { parameter: q } }
  Campaign of the referrer: { url: { parameter: utm_source, event_data: page_referrer } }
  Host of the referrer: { url: { part: host, event_data: page_referrer } }
  P Host of a click: { url: { part: host, event_data: user.homepage } }
  P Host of a cookie: { url: { part: host, input: "{{P Cookie}}" } }
  P Cookie: { cookie: a }
  P Agent: { header: user-agent }
  Language: { header: accept-language }
  P Address: { built_in: client_address }
  P Query string: { built_in: query_string }
  Client: { built_in: client_name }
  Method: { built_in: request_method }
  P Key: { secret: KEY }
  Random: { random: {} }
  Time: { timestamp: event }
  Lookup: { lookup_table: { input: "{{Host}}", rows: { a: b } } }
  P Lookup of an e-mail: { lookup_table: { input: "{{P E-mail}}", rows: { a: b } } }
  P Lookup to an e-mail: { lookup_table: { input: "{{Host}}", rows: { a: "{{P E-mail}}" } } }
  P Lookup else e-mail: { lookup_table: { input: "{{Host}}", rows: { a: b }, default: "{{P E-mail}}" } }
  Regex: { regex_table: { input: "{{Host}}", rows: [{ pattern: .*, output: "$&" }] } }
  P Regex of an e-mail: { regex_table: { input: "{{P E-mail}}", rows: [{ pattern: .*, output: known }], capture_groups: false } }
  P Regex to an e-mail: { regex_table: { input: x, rows: [{ pattern: x, output: "<{{P E-mail}}>" }] } }
  P Regex else e-mail: { regex_table: { input: x, rows: [], default: "{{P E-mail}}" } }
  P First of: { first_of: ["{{Host}}", "{{P E-mail}}"] }
  First of: { first_of: ["{{Host}}", "{{Value}}"] }
  P Defaulted: { event_data: value, default: "{{P E-mail}}" }
  P Formatted: { event_data: value, format: { when_true: "{{P E-mail}}" } }
  Expression: { expression: 'event.value * variables["Value"]' }
  P Expression of an e-mail: { expression: 'variables["P E-mail"].len()' }
  P Expression of a person: { expression: 'event.user_data.email_address.len()' }
  P Expression of a request: { expression: 'request.user_agent' }
  P Expression of an expression: { expression: 'variables["P Expression of a request"]' }
"#;

#[test]
fn a_variable_is_as_personal_as_what_it_is_computed_from() {
    let container = container(SENSITIVE);
    for variable in &container.variables {
        let is_personal = variable.sensitivity == Sensitivity::Personal;
        assert_eq!(is_personal, variable.name.starts_with("P "), "{}", variable.name);
    }
}
