use serde_json::{Map, json};

use super::*;
use crate::openai::{
    data::DataOptions,
    event_type::{Shape, StandardEvent, Unmapped},
    user::{UserOptions, Visitor},
};

fn data(shape: Shape) -> Data {
    Data::build(shape, &Map::new(), &DataOptions::default(), &mut Notes::new()).unwrap()
}

fn event<'a>(event_type: &'a EventType, data: &'a Data) -> Event<'a> {
    Event {
        id: "T-1",
        event_type,
        time: Timestamp(1_795_000_000_123),
        data,
        action_source: ActionSource::Offline,
        source_url: None,
        oppref: None,
        opt_out: OptOut::No,
        user: None,
    }
}

const ORDER: EventType = EventType::Standard(StandardEvent::OrderCreated);

#[test]
fn a_full_event_has_its_keys_in_the_documented_order() {
    let event_type = EventType::inherit("view_cart", Unmapped::Custom, &mut Notes::new()).unwrap();
    let event_data = json!({"user_id": "CUST-00042"});
    let user =
        User::build(event_data.as_object().unwrap(), &Visitor::default(), &UserOptions::default(), &mut Notes::new());
    let source_url = SourceUrl::from_page("https://shop.example/cart?a=b", &mut Notes::new());
    let data = data(Shape::Custom);
    let full = Event {
        action_source: ActionSource::Web,
        source_url: source_url.as_ref(),
        oppref: Some("gA%3D+ \""),
        opt_out: OptOut::Yes,
        user: user.as_ref(),
        ..event(&event_type, &data)
    };
    assert_eq!(
        full.to_json(&mut Notes::new()).unwrap(),
        concat!(
            r#"{"id":"T-1","type":"custom","custom_event_name":"view_cart","timestamp_ms":1795000000123,"#,
            r#""data":{"type":"custom"},"action_source":"web","source_url":"https://shop.example/cart","#,
            r#""oppref":"gA%3D+ \"","opt_out":true,"user":{"external_ids_sha256":["#,
            r#""382211e688c29ae2dcce0b401999831aec27161d9bc0ffd092545a828a18bbc8"]}}"#
        )
    );
}

#[test]
fn what_is_absent_is_left_out() {
    let data = data(Shape::Contents);
    let bare = Event { oppref: Some(""), ..event(&ORDER, &data) };
    assert_eq!(
        bare.to_json(&mut Notes::new()).unwrap(),
        r#"{"id":"T-1","type":"order_created","timestamp_ms":1795000000123,"data":{"type":"contents"},"action_source":"offline"}"#
    );
}

#[test]
fn a_page_has_no_place_outside_the_web() {
    let source_url = SourceUrl::from_page("https://shop.example/", &mut Notes::new());
    let data = data(Shape::Contents);
    let mut notes = Notes::new();
    let json = Event { source_url: source_url.as_ref(), ..event(&ORDER, &data) }.to_json(&mut notes).unwrap();
    assert!(!json.contains("source_url"), "{json}");
    assert_eq!(notes, [Note::new("source_url", Reason::NotPartOf("an event outside the web"))]);
}

#[test]
fn contradictions_are_refused() {
    let (contents, action) = (data(Shape::Contents), data(Shape::CustomerAction));
    let app_opened = EventType::Standard(StandardEvent::AppOpened);
    let good = event(&ORDER, &contents);
    for (bad, field, reason) in [
        (Event { id: " ", ..good }, "id", Reason::Missing),
        (Event { time: Timestamp(0), ..good }, "timestamp_ms", Reason::NotMilliseconds),
        (Event { action_source: ActionSource::Web, ..good }, "source_url", Reason::Missing),
        (Event { data: &action, ..good }, "data", Reason::WrongShape { expected: "contents" }),
        (event(&app_opened, &action), "action_source", Reason::WrongActionSource(ActionSource::Offline)),
    ] {
        assert_eq!(bad.to_json(&mut Notes::new()), Err(Invalid::new(field, reason)));
    }
}

#[test]
fn times_are_whole_milliseconds() {
    for value in
        [json!(1_795_000_000_123_i64), json!("1795000000123"), json!(1_795_000_000_123.0), json!(" 1795000000123 ")]
    {
        assert_eq!(timestamp(&value), Ok(Timestamp(1_795_000_000_123)), "{value}");
    }
    for value in [
        json!(1_795_000_000),
        json!(1_795_000_000_123_000_i64),
        json!(-1_795_000_000_123_i64),
        json!(1_795_000_000_123.5),
        json!("+179500000012"),
        json!("0795000000123"),
        json!("2026-11-23T00:00:00Z"),
        json!(""),
        json!(null),
        json!(true),
    ] {
        assert_eq!(timestamp(&value), Err(Invalid::new("timestamp_ms", Reason::NotMilliseconds)), "{value}");
    }
}
