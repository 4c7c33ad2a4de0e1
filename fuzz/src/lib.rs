//! Any bytes, as a hit, through all stages of a container that has the OpenAI templates and the relay of GA4's hits. Takes
//! what somebody sends; panics where a promise is broken. The fuzz targets and the ordinary test of their seeds call it.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, LazyLock},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, header};
use tidegate::{
    call::{Account, Call, http::HttpRequest},
    client::{Client, MAX_EVENTS},
    container::{
        Container,
        diagnostic::Severity,
        folder,
        load::{LoadOptions, load},
    },
    hit::Hit,
    pipeline::{Decided, Processed, Surroundings, process},
    time::Timestamp,
    trace::{TOLD_TO_PEOPLE, TagVerdict, Trace},
};
use uuid::Uuid;

const RULES: &str = r#"
triggers:
  Any: { event: "*" }
tags:
  Click id: { template: openai_cookie, triggers: Any, consent: ad_storage, when_denied: hold }
  Page view:
    template: openai_pageview
    triggers: Any
    consent: ad_storage
    parameters: &account { pixel_id: px-fuzz, api_key: { secret: KEY } }
  Conversion:
    template: openai_conversion
    triggers: Any
    consent: ad_storage
    when_denied: hold
    parameters: { <<: *account, event: inherit, unmapped: custom }
  Relay: { template: ga4_relay, triggers: Any, consent: analytics_storage }
consent:
  defaults:
    { ad_storage: granted, ad_user_data: granted, ad_personalization: granted, analytics_storage: granted }
"#;

static CONTAINER: LazyLock<Container> = LazyLock::new(|| {
    let options = LoadOptions {
        version: "fuzz",
        environment: &BTreeMap::new(),
        absent_environment: Severity::Error,
        library: &folder::library(),
        inline: None,
        seats: 1,
    };
    let loaded = load(&folder::sources([("rules/fuzz.yaml", RULES)]), options);
    loaded.container.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
});

/// The body of a `POST /hit`.
pub fn hit(body: &[u8]) {
    decide(Client::DataLayer, request("", body));
}

/// A request of GA4's protocol: its query string, and behind the first line's end its body.
pub fn ga4(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (query, body) = bytes.split_at(end);
    let query = String::from_utf8_lossy(query);
    let Some((decided, trace)) = decide(Client::Ga4, request(&query, body.get(1..).unwrap_or_default())) else {
        return;
    };
    let ran = |tag: &&tidegate::trace::TagTrace| &*tag.tag == "Relay" && matches!(tag.verdict, TagVerdict::Ran { .. });
    let relayed = trace.events.iter().flat_map(|event| &event.tags).filter(ran).count();
    let arrived: usize = decided.calls.iter().filter(|call| &*call.tag == "Relay").map(arrive).sum();
    assert_eq!(arrived, relayed, "events are relayed once each");
}

/// How many events a relayed request holds, as this very client reads it.
fn arrive(call: &Call) -> usize {
    let request: HttpRequest = serde_json::from_str(&call.body).expect("a request");
    let url = url::Url::parse(&request.url).expect("an address");
    assert_eq!(url.host_str(), Some("www.google-analytics.com"));
    let hit = self::request(url.query().unwrap_or_default(), request.body.unwrap_or_default().as_bytes());
    Client::Ga4.read(&hit, &Uuid::nil).expect("what is relayed can be read").len()
}

/// What was decided about a hit that was read.
fn decide(client: Client, hit: Hit) -> Option<(Decided, Trace)> {
    let surroundings = Surroundings {
        clock: || Duration::ZERO,
        new_id: &|| Uuid::from_u128(7),
        recent: None,
        told: TOLD_TO_PEOPLE,
        look: None,
        stated: Default::default(),
    };
    let Processed { result, trace } = process(&CONTAINER, client, &Arc::new(hit), surroundings);
    serde_json::to_string(&trace).expect("a trace is JSON");
    let Ok(decided) = result else {
        assert!(trace.events.is_empty(), "nothing of a refused hit is accepted");
        return None;
    };
    assert!((1..=MAX_EVENTS).contains(&decided.events) && decided.events == trace.events.len());
    for call in &decided.calls {
        let body: serde_json::Value = serde_json::from_str(&call.body).expect("a call's body is JSON");
        assert!(matches!(*call.account, Account::Http { .. }) || body["id"].is_string(), "an event has an id: {body}");
    }
    for cookie in &decided.cookies {
        HeaderValue::from_str(cookie).expect("a cookie is a header");
    }
    Some((decided, trace))
}

fn request(query: &str, body: &[u8]) -> Hit {
    let headers = [
        (header::USER_AGENT, HeaderValue::from_static("Mozilla/5.0 (X11; Linux x86_64)")),
        (header::COOKIE, HeaderValue::from_static("__oppref=gAAAAcookie; _ga=GA1.1.1.2")),
    ];
    Hit {
        path: "/".into(),
        query: query.into(),
        headers: headers.into_iter().collect::<HeaderMap>(),
        address: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7))),
        host: "t.example.com".into(),
        body: bytes::Bytes::copy_from_slice(body),
        ..Hit::silent(Timestamp(1_767_268_800_000))
    }
}
