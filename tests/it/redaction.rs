//! Personal values stay out of traces, whatever becomes of the event: no key of the event, no cookie and no header that
//! tells who the visitor is stands in what is kept about a hit.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tidegate::{
    client::Client,
    container::{
        Container,
        diagnostic::Severity,
        folder,
        load::{self, LoadOptions},
    },
    hit::Hit,
    pipeline::{self, Processed, Surroundings},
    time::Timestamp,
};
use uuid::Uuid;

/// What must not be kept; each is written into the hit below.
const PERSONAL: [&str; 13] = [
    "ada@example.com",
    "Lovelace",
    "+40746123456",
    "CUST-00042",
    "198.51.100.77",
    "Mozilla/5.0 (Ada)",
    "MOZILLA/5.0 (ADA)",
    "gAAAAclick",
    "obref-of-ada",
    "123.456",
    "s3cret-token",
    "Bucharest",
    "010101",
];

fn container(rules: &str) -> Container {
    let options = LoadOptions {
        version: "test",
        environment: &[("OPENAI_PIXEL_ID".to_owned(), "PIXEL".to_owned())].into(),
        absent_environment: Severity::Error,
        library: &folder::library(),
        inline: None,
        seats: 1,
    };
    let loaded = load::load(&folder::sources([("rules/a.yaml", rules)]), options);
    loaded.container.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn process(container: &Container, event: &Value) -> Processed {
    let cookie = "__oppref=gAAAAclick; __obref=obref-of-ada; _ga=GA1.1.123.456";
    let headers = [("user-agent", "Mozilla/5.0 (Ada)"), ("cookie", cookie), ("authorization", "Bearer s3cret-token")];
    let hit = Hit {
        headers: headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect(),
        address: "198.51.100.77".parse().ok(),
        host: "tags.example.com".into(),
        body: event.to_string().into(),
        ..Hit::silent(Timestamp(1_767_268_800_000))
    };
    let surroundings = Surroundings {
        clock: || Duration::ZERO,
        new_id: &|| Uuid::nil(),
        recent: None,
        told: 1000,
        look: None,
        stated: Default::default(),
    };
    pipeline::process(container, Client::DataLayer, &Arc::new(hit), surroundings)
}

fn event_about_ada() -> Value {
    json!({
        "event": "purchase",
        "event_id": "order-1",
        "page_location": "https://shop.example.com/ada@example.com?oppref=gAAAAclick&token=s3cret-token",
        "page_referrer": "https://shop.example.com/?email=ada@example.com",
        "user_id": "CUST-00042",
        "user_data": {
            "email_address": ["ada@example.com", "ada@example.com at home"],
            "phone_number": ["+40746123456", "Lovelace"],
            "sha256_email_address": "Lovelace",
            "address": {
                "first_name": "Ada", "last_name": "Lovelace", "city": "Bucharest", "country": "Bucharest",
                "postal_code": "010101",
            },
        },
        "value": "ada@example.com",
        "currency": "EUR",
        "items": [{"item_id": {"of": "Lovelace"}, "price": "ada@example.com", "quantity": "Lovelace"}],
        "consent": {"ad_storage": "granted", "ad_user_data": "granted", "analytics_storage": "granted"},
    })
}

fn assert_nothing_personal(processed: &Processed) {
    let trace = serde_json::to_string(&processed.trace).unwrap();
    for value in PERSONAL {
        assert!(!trace.contains(value), "{value:?} stands in {trace}");
    }
}

/// Tags of every ending, each behind a trigger that looks at something personal.
const RULES: &str = r#"
variables:
  E-mail: { event_data: user_data.email_address }
  Client: { event_data: client_id }
  Click: { cookie: __oppref }
  Token: { page_query: token }
  Agent: { header: user-agent }
  Copied: { regex_table: { input: "{{Agent}}", rows: [{ pattern: ".*", output: "$&" }] } }
  Defaulted: { regex_table: { input: x, rows: [], default: "{{Click}}" } }
  Address: { built_in: client_address }
  Query: { url: query }
  Looked up: { lookup_table: { input: "{{Client}}", rows: { "123.456": Lovelace } } }
  First: { first_of: ["{{Absent}}", "{{E-mail}}"] }
  Absent: { built_in: undefined_value }
  Fallback: { built_in: undefined_value, default: "{{Address}}" }
  Shouted: { header: user-agent, format: { case: upper, when_undefined: x } }
  Put together: { constant: "<{{Click}}>" }
  Expressed: { expression: 'event.user_data.email_address[0] + request.ip' }
  Expressed again: { expression: 'variables["Client"] + "!"' }
  Failing: { expression: 'event.user_data.email_address.nonsense(request.cookie("__oppref"))' }

triggers:
  Purchase: { event: purchase }
  E-mail: { event: purchase, when: [{ variable: E-mail, equals: x }] }
  Client: { event: purchase, when: [{ variable: Client, equals: x }] }
  Click: { event: purchase, when: [{ variable: Click, equals: x }] }
  Token: { event: purchase, when: [{ variable: Token, equals: x }] }
  Agent: { event: purchase, when: [{ variable: Agent, equals: x }] }
  Copied: { event: purchase, when: [{ variable: Copied, equals: x }] }
  Defaulted: { event: purchase, when: [{ variable: Defaulted, equals: x }] }
  Address: { event: purchase, when: [{ variable: Address, equals: x }] }
  Query: { event: purchase, when: [{ variable: Query, equals: x }] }
  Looked up: { event: purchase, when: [{ variable: Looked up, equals: x }] }
  First: { event: purchase, when: [{ variable: First, equals: x }] }
  Fallback: { event: purchase, when: [{ variable: Fallback, equals: x }] }
  Shouted: { event: purchase, when: [{ variable: Shouted, equals: x }] }
  Put together: { event: purchase, when: [{ variable: Put together, equals: x }] }
  Expressed: { event: purchase, when: [{ variable: Expressed, equals: x }] }
  Expressed again: { event: purchase, when: [{ variable: Expressed again, equals: x }] }
  Failing: { event: purchase, when: [{ variable: Failing, equals: x }] }
  User: { event: purchase, when: [{ event_data: user_data, equals: x }] }
  User id: { event: purchase, when: [{ event_data: user_id, equals: x }] }
  Page: { event: purchase, when: [{ event_data: page_location, equals: x }] }
  Referrer: { event: purchase, when: [{ event_data: page_referrer, equals: x }] }
  Value: { event: purchase, when: [{ event_data: value, equals: x }] }
  Any: { event: purchase, when: [{ any: [{ variable: E-mail, equals: x }, { variable: Client, equals: x }] }] }

tags:
  Bad value: &tag
    template: openai_conversion
    triggers: Purchase
    consent: ad_storage
    parameters: &parameters { pixel_id: PIXEL, api_key: { secret: KEY } }
  Sent: { <<: *tag, parameters: { <<: *parameters, map: { amount: 5 } } }
  Bad name: { <<: *tag, parameters: { <<: *parameters, event: "{{Client}}" } }
  Bad source: { <<: *tag, parameters: { <<: *parameters, map: { amount: 5 }, action_source: "{{Client}}" } }
  Bad schema: { <<: *tag, parameters: { <<: *parameters, user_schema: "{{Client}}" } }
  Bad map: { <<: *tag, parameters: { <<: *parameters, map: { timestamp_ms: "{{Client}}", amount: 5 } } }
  Blocked: { <<: *tag, consent: security_storage, consent_reason: it is blocked }
  Not triggered:
    <<: *tag
    triggers: [Address, Query, Looked up, First, Fallback, Shouted, Put together, Expressed, Expressed again, Failing, E-mail, Client, Click, Token, Agent, Copied, Defaulted, User, User id, Page, Referrer, Value, Any]
  Click: { template: openai_cookie, triggers: Purchase, consent: ad_storage }
"#;

#[test]
fn a_trace_holds_nothing_personal() {
    let processed = process(&container(RULES), &event_about_ada());
    assert_nothing_personal(&processed);
    let calls = processed.result.unwrap().calls;
    let [sent] = calls.as_slice() else { panic!("{} calls", calls.len()) };
    assert!(sent.body.contains("198.51.100.77"), "the call itself tells of the visitor: {}", sent.body);
}

#[test]
fn each_condition_by_itself_holds_nothing_personal() {
    // Of a tag's triggers only the first is told: here each is the first.
    let names = RULES.split("triggers: [").nth(1).and_then(|rest| rest.split(']').next()).unwrap();
    for name in names.split(", ") {
        let rules = RULES.replace(&format!("triggers: [{names}]"), &format!("triggers: {name}"));
        assert_ne!(rules, RULES);
        assert_nothing_personal(&process(&container(&rules), &event_about_ada()));
    }
}

#[test]
fn a_refused_hit_leaves_nothing_personal() {
    for (field, value) in [
        ("event", json!(["ada@example.com"])),
        ("event_id", json!({"of": "Lovelace"})),
        ("event_time", json!("ada@example.com")),
        ("consent", json!("ada@example.com")),
        ("consent", json!({"ad_storage": "Lovelace"})),
        ("consent_answered", json!("Lovelace")),
    ] {
        let mut event = event_about_ada();
        event[field] = value;
        let processed = process(&container(RULES), &event);
        assert!(processed.result.is_err(), "{field}");
        assert_nothing_personal(&processed);
    }
}
