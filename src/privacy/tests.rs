//! What cases do not reach: the request as a script would pass it on.

use http::Method;
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::{
    consent::Signals,
    event::{EventId, IdOrigin},
    hit::{HitId, Through},
    time::Timestamp,
};

const CHROME: &str = "Mozilla/5.0 (Linux; Android 13; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.6367.82 Mobile Safari/537.36";
const REDUCED: &str =
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36";

fn hit(query: &str, body: &str, headers: &[(&'static str, &str)]) -> Arc<Hit> {
    let header = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
    };
    Arc::new(Hit {
        id: HitId(Uuid::nil()),
        received: Timestamp(0),
        method: Method::POST,
        path: "/g/collect".into(),
        query: query.into(),
        headers: headers.iter().map(header).collect(),
        through: Through::TrustedProxy,
        address: "203.0.113.7".parse().ok(),
        detail: Detail::default(),
        host: "t.example.com".into(),
        body: body.to_owned().into(),
    })
}

fn all(user_agent: AgentDetail) -> Privacy {
    let mut strip = StripQuery::default();
    strip.add_default();
    Privacy {
        detail: Detail { ip_address: AddressDetail::Truncated, user_agent },
        queries: Queries::Stripped(Arc::new(strip)),
        bots: Bots::Welcome,
    }
}

fn event(data: Value) -> Event {
    let Value::Object(data) = data else { panic!("an event is an object") };
    let id = EventId { text: "1".into(), origin: IdOrigin::Site };
    Event { name: "e".into(), id, time: Timestamp(0), data, signals: Signals::default(), click: None }
}

fn headers(hit: &Hit) -> Vec<(&str, &str)> {
    hit.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text"))).collect()
}

const HEADERS: [(&str, &str); 11] = [
    ("user-agent", CHROME),
    ("sec-ch-ua", "\"Chromium\";v=\"124\""),
    ("sec-ch-ua-model", "\"SM-S918B\""),
    ("x-forwarded-for", "203.0.113.7, 10.0.0.1"),
    ("cf-connecting-ip", "2001:db8::7"),
    ("forwarded", "for=203.0.113.7;proto=https"),
    ("referer", "https://shop.example/p?email=x&a=1"),
    ("x-device-agent", CHROME),
    ("cookie", "a=203.0.113.7"),
    ("host", "203.0.113.9"),
    ("accept-language", "de"),
];

#[test]
fn headers_lose_addresses_agents_and_parameters() {
    let hit = hit("", "", &HEADERS);
    let rest = [("cookie", "a=203.0.113.7"), ("host", "203.0.113.9"), ("accept-language", "de")];
    let referrer = ("referer", "https://shop.example/p?a=1");
    let seen = all(AgentDetail::Dropped).of_hit(&hit, Client::DataLayer);
    assert_eq!(headers(&seen), [&[referrer][..], &rest].concat());
    assert_eq!(seen.address, "203.0.113.0".parse().ok());
    let seen = all(AgentDetail::Reduced).of_hit(&hit, Client::DataLayer);
    let told =
        [("user-agent", REDUCED), ("sec-ch-ua", "\"Chromium\";v=\"124\""), referrer, ("x-device-agent", REDUCED)];
    assert_eq!(headers(&seen), [&told[..], &rest].concat());
}

#[test]
fn a_request_that_is_passed_on_keeps_what_is_not_withheld() {
    let query = "v=2&tid=G-1&cid=1.2&_uip=203.0.113.7&uam=SM-S918B&uamb=1&ep.note=%7e&dr=shop.example%2F%3Femail%3Dx";
    let lines = "en=page_view&dl=https%3A%2F%2Fshop.example%2Fp%3Fq%3Dada%2540b.example%26a%3D1\r\nen=scroll&epn.x=1";
    let hit = hit(query, lines, &[]);
    let seen = all(AgentDetail::Reduced).of_hit(&hit, Client::Ga4);
    assert_eq!(&*seen.query, "v=2&tid=G-1&cid=1.2&_uip=203.0.113.0&uamb=1&ep.note=%7e&dr=shop.example%2F");
    assert_eq!(seen.body, "en=page_view&dl=https%3A%2F%2Fshop.example%2Fp%3Fa%3D1\r\nen=scroll&epn.x=1");
    let seen = all(AgentDetail::Dropped).of_hit(&hit, Client::Ga4);
    assert_eq!(&*seen.query, "v=2&tid=G-1&cid=1.2&_uip=203.0.113.0&ep.note=%7e&dr=shop.example%2F");
    // A line of which nothing is left is a line still.
    let hit = Arc::new(Hit { body: Bytes::from_static(b"uam=a\nen=\xff\n\nuam=a&en=b"), ..Hit::clone(&hit) });
    assert_eq!(&*all(AgentDetail::Reduced).of_hit(&hit, Client::Ga4).body, b"&\nen=\xff\n\nen=b");
    // Nobody needs the body of another protocol once it is read.
    assert_eq!(all(AgentDetail::Whole).of_hit(&hit, Client::DataLayer).body, "");
}

#[test]
fn events_are_searched_to_the_bottom() {
    let mut seen = event(json!({
        "user_agent": "ShopApp/3.1", "client_hints": {"model": "SM-S918B", "mobile": true},
        "visitor": {"address": "203.0.113.7", "agents": [CHROME, "other", "Mozilla/5.0 (PlayStation 5)"]},
        "page_location": "https://shop.example/p?email=x&a=1", "page_referrer": "shop.example/?email=x",
        "links": ["https://shop.example/?token=x"], "user_data": {"email_address": "ada@example.com"}, "value": 1.5,
    }));
    let mut notes = Vec::new();
    all(AgentDetail::Reduced).of_event(&mut seen, &mut notes);
    assert_eq!(
        Value::Object(seen.data),
        json!({
            "client_hints": {"mobile": true},
            "visitor": {"address": "203.0.113.0", "agents": [REDUCED, "other", null]},
            "page_location": "https://shop.example/p?a=1", "page_referrer": "shop.example/",
            "links": ["https://shop.example/"], "user_data": {"email_address": "ada@example.com"}, "value": 1.5,
        })
    );
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert_eq!(seen.click, None);
}

#[test]
fn without_switches_nothing_is_copied() {
    let hit = hit("dl=https%3A%2F%2Fa.example%2F%3Femail%3Dx", "b", &HEADERS);
    let seen = Privacy::default().of_hit(&hit, Client::DataLayer);
    assert!(Arc::ptr_eq(&hit, &seen));
}

proptest! {
    #[test]
    fn no_request_breaks_it_and_no_whole_address_stays(
        query in "([a-z_.]{0,4}=(203\\.0\\.113\\.7|%32%30%33\\.0\\.113\\.7|[0-9a-f:.%&]{0,9}|/.?email=.{0,4}))*|.{0,30}",
        body in "(en=a&dl=https%3A%2F%2Fa%3Femail%3Db.{0,9}\r?\n?){0,3}|.{0,30}",
        header in "[ -~]{0,20}|203\\.0\\.113\\.7, 1",
        value in "203\\.0\\.113\\.7(:1)?|.{0,20}",
    ) {
        let hit = hit(&query, &body, &[("x-any", &header)]);
        for detail in [AgentDetail::Whole, AgentDetail::Reduced, AgentDetail::Dropped] {
            let privacy = all(detail);
            let seen = privacy.of_hit(&hit, Client::Ga4);
            let whole = |text: &str| text.trim() == "203.0.113.7";
            let mut parameters = form_urlencoded::parse(seen.query.as_bytes());
            prop_assert!(!parameters.any(|(_, value)| whole(&value)), "{}", seen.query);
            prop_assert!(!seen.header("x-any").unwrap_or_default().contains("203.0.113.7"));
            let mut event = event(json!({"a": value.clone(), "b": [value.clone()], "page_location": value.clone()}));
            privacy.of_event(&mut event, &mut Vec::new());
            prop_assert!(!Value::Object(event.data).to_string().contains("\"203.0.113.7"));
        }
    }
}
