//! What cases do not reach: that values are computed once an event, and addresses of every form.

use std::collections::BTreeMap;

use http::{HeaderMap, Method};
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::{
    container::{
        diagnostic::Severity,
        folder,
        load::{self, LoadOptions},
    },
    event::{EventId, IdOrigin},
    hit::HitId,
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

fn event(data: Value) -> Event {
    let Value::Object(data) = data else { panic!("an event is an object") };
    Event {
        name: "e".into(),
        id: EventId { text: "1".into(), origin: IdOrigin::Site },
        time: Timestamp(0),
        data,
        signals: crate::consent::Signals::default(),
    }
}

fn hit() -> Hit {
    Hit {
        id: HitId(Uuid::nil()),
        received: Timestamp(0),
        method: Method::POST,
        path: "/hit".into(),
        query: "".into(),
        headers: HeaderMap::new(),
        through: crate::hit::Through::Strangers,
        address: None,
        host: "tags.example.com".into(),
        body: "".into(),
    }
}

#[test]
fn a_value_is_computed_once_an_event() {
    let container = container("variables: { Items: { event_data: items }, Plan: { event_data: plan } }");
    let (hit, event) = (hit(), event(json!({"items": [{"item_id": "a"}]})));
    let moment = Moment::new(&container, &hit, &event);
    let first = moment.variable(VariableIndex(0));
    assert_eq!(*first, json!([{"item_id": "a"}]));
    assert!(std::ptr::eq(first, moment.variable(VariableIndex(0))));
    assert!(moment.variable(VariableIndex(1)).is_null());
}

#[test]
fn an_index_of_another_container_gives_nothing() {
    let container = container("variables: {}");
    let (hit, event) = (hit(), event(json!({})));
    assert!(Moment::new(&container, &hit, &event).variable(VariableIndex(5)).is_null());
}

#[test]
fn what_another_variable_gave_is_as_personal_as_that() {
    let container = container(
        r#"
variables:
  E-mail: { event_data: user_data.email_address }
  Written: { regex_table: { input: "{{E-mail}}", rows: [{ pattern: .*, output: known }], capture_groups: false } }
  Captured: { regex_table: { input: "{{E-mail}}", rows: [{ pattern: .*, output: "$&" }] } }
  Default: { regex_table: { input: x, rows: [], default: "{{E-mail}}" } }
  Output: { regex_table: { input: x, rows: [{ pattern: x, output: "<{{E-mail}}>" }], capture_groups: false } }
"#,
    );
    let personal = |name: &str| {
        container.variables.iter().find(|variable| *variable.name == *name).unwrap().sensitivity
            == Sensitivity::Personal
    };
    assert!(!personal("Written"));
    for name in ["E-mail", "Captured", "Default", "Output"] {
        assert!(personal(name), "{name}");
    }
}

#[test]
fn query_parameters_are_decoded_and_the_fragment_is_not_theirs() {
    let address = "https://a.test/p?x=1&utm_source=chat%20gpt&x=2#x=3";
    assert_eq!(query_parameter(address, "x").as_deref(), Some("1"));
    assert_eq!(query_parameter(address, "utm_source").as_deref(), Some("chat gpt"));
    assert_eq!(query_parameter(address, "y"), None);
    assert_eq!(query_parameter("https://a.test/p#?x=1", "x"), None);
    assert_eq!(query_parameter("/relative?x=%zz", "x").as_deref(), Some("%zz"));
}

proptest! {
    #[test]
    fn any_address_has_a_parameter_or_not(address in ".{0,40}", name in ".{0,5}") {
        query_parameter(&address, &name);
    }

    #[test]
    fn an_encoded_value_comes_back(value in ".{0,20}") {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("a", "1").append_pair("x", &value).finish();
        prop_assert_eq!(query_parameter(&format!("https://a.test/?{query}#x=2"), "x"), Some(value));
    }
}
