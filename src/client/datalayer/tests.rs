//! What no file of cases can hold: bytes that are no text, large bodies, arbitrary JSON. All else is in `tests/cases`.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    client::reading::{BROWSERS_OWN, MAX_AGE},
    event::IdOrigin,
    time::Timestamp,
};

const RECEIVED: Timestamp = Timestamp(1_767_268_800_000);

fn hit(body: impl Into<Bytes>) -> Hit {
    Hit { host: "tags.example.com".into(), body: body.into(), ..Hit::silent(RECEIVED) }
}

fn read_body(body: impl Into<Bytes>) -> Result<Vec<Read>, BadHit> {
    read(&hit(body), &|| Uuid::from_u128(7))
}

fn read_json(body: &Value) -> Result<Vec<Read>, BadHit> {
    read_body(body.to_string())
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    for body in [&b"{\"event\": \"\xff\"}"[..], b"\xff\xfe{\0", b"\0", b"\xef\xbb\xbf{\"event\": \"e\"}"] {
        let bad = read_body(body).unwrap_err();
        assert!(bad.field.is_empty() && bad.message.starts_with("the body is not JSON"), "{bad}");
    }
}

#[test]
fn a_small_body_does_not_become_a_large_hit() {
    let shared = |bytes: usize, events: usize| {
        let events = vec![json!({"event": "e"}); events];
        read_json(&json!({"events": events, "note": "x".repeat(bytes)}))
    };
    assert_eq!(shared(30_000, 100).unwrap().len(), 100);
    assert_eq!(shared(900_000, 4).unwrap().len(), 4);
    let bad = shared(50_000, 100).unwrap_err();
    assert_eq!((&*bad.field, &*bad.message), ("", "what the events share is too large for so many of them"));
    let nested = json!({"events": vec![json!({"event": "e"}); 100], "list": vec![0; 2_000]});
    assert!(read_json(&nested).is_err(), "small values weigh, too");
}

#[test]
fn a_hostile_consent_leaves_one_short_note() {
    let consent: Map<String, Value> = (0..50_000).map(|n| (format!("kind{n}{}", "x".repeat(90)), json!(1))).collect();
    let events = read_json(&json!({"event": "e", "consent": consent})).unwrap();
    let [note] = events[0].notes.as_slice() else { panic!("{} notes", events[0].notes.len()) };
    assert!(note.text.len() < 200 && note.text.contains("and 49999 more"), "{note}");
}

#[test]
fn hostile_defaults_are_bounded_and_leave_two_short_notes() {
    let read = |entries: Vec<Value>| read_json(&json!({"event": "e", "consent_defaults": entries}));
    let entry = |regions: usize| json!({"region": vec!["?"; regions], "ad_storage": "denied", "x": "granted"});
    let refused = "there may be 1000 defaults, each region of an entry counting as one";
    for entries in
        [vec![entry(1000)], vec![entry(1); 1000], vec![entry(0); 1000], vec![entry(400), entry(0), entry(599)]]
    {
        let notes = read(entries).expect("as many as there may be").remove(0).notes;
        assert!(notes.len() <= 2, "{} notes", notes.len());
        assert!(notes.iter().all(|note| note.text.len() < 100), "{notes:?}");
    }
    for entries in
        [vec![entry(1001)], vec![entry(1); 1001], vec![entry(0); 1001], vec![entry(400), entry(0), entry(600)]]
    {
        let last = entries.len() - 1;
        let bad = read(entries).expect_err("more than there may be");
        assert_eq!((&*bad.field, &*bad.message), (&*format!("consent_defaults[{last}]"), refused));
    }
}

#[test]
fn an_id_knows_where_it_came_from() {
    for (body, text, origin) in [
        (json!({"event": "e", "event_id": "a", "transaction_id": "t"}), "a", IdOrigin::Site),
        (json!({"event": "e", "transaction_id": 12}), "12", IdOrigin::Transaction),
        (json!({"event": "e", "transaction_id": true}), "00000000-0000-0000-0000-000000000007", IdOrigin::Generated),
    ] {
        let id = read_json(&body).unwrap().remove(0).event.id;
        assert_eq!((&*id.text, id.origin), (text, origin), "{body}");
    }
}

#[test]
fn what_the_client_has_read_is_not_data_as_well() {
    let body = json!({
        "event": "e", "event_id": "a", "event_time": 1, "sent_at": 1, "consent": {}, "consent_answered": true, "x": 1,
    });
    let event = read_json(&body).unwrap().remove(0).event;
    assert_eq!(Value::Object(event.data), json!({"x": 1}));
    assert_eq!(event.signals.answered, crate::consent::Answered::Yes);
}

fn arbitrary_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        prop::sample::select(vec![
            "event",
            "events",
            "event_id",
            "eventId",
            "event_time",
            "sent_at",
            "consent",
            "consent_answered",
            "ad_storage",
            "ecommerce",
            "user",
            "user_data",
            "transaction_id",
            "ip",
            "page_location",
            "items",
        ])
        .prop_map(str::to_owned),
        ".{0,5}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "(granted|denied|secret|.{0,8})".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((key.clone(), inner), 0..8)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Read or refused, never worse; a time is always of the last day, an id never blank.
    #[test]
    fn any_json_is_read_or_refused(mut body in arbitrary_json(), with_name: bool) {
        if let Value::Object(map) = &mut body && with_name && !map.contains_key("events") {
            map.insert("event".to_owned(), json!("e"));
        }
        if let Ok(events) = read_json(&body) {
            prop_assert!((1..=MAX_EVENTS).contains(&events.len()));
            for Read { event, .. } in events {
                prop_assert!(event.time <= RECEIVED && RECEIVED.since(event.time) <= MAX_AGE);
                prop_assert!(!event.id.text.trim().is_empty() && !event.name.is_empty());
                for key in BROWSERS_OWN {
                    prop_assert!(!event.data.contains_key(key));
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = read_body(body);
    }

    /// The site learns which field is wrong, and nothing of what stands in it.
    #[test]
    fn a_refusal_repeats_no_value(field in "(event|event_id|event_time|sent_at|consent|consent_answered)", depth in 0..3_u32) {
        let mut value = json!({"secret": "ada@example.com"});
        for _ in 0..depth {
            value = json!([value]);
        }
        let mut body = json!({"event": "e"});
        body[field.as_str()] = value;
        if let Err(bad) = read_json(&body) {
            prop_assert!(!bad.to_string().contains("ada@example.com"), "{bad}");
        }
    }

    #[test]
    fn only_the_difference_of_the_pages_clock_matters(happened in any::<i32>(), ago in 0..86_400_000_i64) {
        let happened = i64::from(happened);
        let body = json!({"event": "e", "event_time": happened, "sent_at": happened + ago});
        let event = read_json(&body).unwrap().remove(0).event;
        prop_assert_eq!(event.time, Timestamp(RECEIVED.0 - ago));
    }
}
