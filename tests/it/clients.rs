//! The other ways in beside `POST /hit`: GA4's protocol, its Measurement Protocol, and a pixel.

use reqwest::Method;
use serde_json::{Value, json};
use tidegate::client::pixel::GIF;

use crate::harness::{HOST, Place, Shop, purchase};

/// Consent Mode granted in full, as Google's tag reports it.
const GRANTED: &str = "gcs=G111&gcd=13r3r3r3r5l1";

#[tokio::test(flavor = "multi_thread")]
async fn a_ga4_batch_is_answered_once_and_each_of_its_orders_is_delivered() {
    let shop = Shop::open().await;
    let page = "dl=https%3A%2F%2Fwww.example.com%2Fthanks%3Foppref%3DgAAAAclick";
    let url = format!("http://{}/g/collect?v=2&tid=G-1&cid=1.2&_p=3&{GRANTED}&{page}", shop.sites());
    let body = "en=purchase&ep.transaction_id=T-1&epn.value=20.5&cu=EUR&pr1=idSKU-1~pr20.5~qt1\r\n\
                en=scroll\nen=purchase&ep.transaction_id=T-2&epn.value=7&cu=JPY";
    let request = shop.http.post(url).header("host", HOST).header("origin", "https://www.example.com");
    let answer = request.header("content-type", "text/plain;charset=UTF-8").body(body).send().await.expect("an answer");
    assert_eq!(answer.status(), 204);
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().expect("text"));
    assert_eq!(header("access-control-allow-origin"), Some("https://www.example.com"));
    assert_eq!(header("access-control-allow-credentials"), Some("true"));
    let cookie = header("set-cookie").expect("the click id");
    assert!(cookie.starts_with("__oppref=gAAAAclick; Path=/; Domain=example.com;"), "{cookie}");
    shop.wait_for(2).await;
    let mut stored: Vec<_> =
        shop.stored().into_iter().map(|event| json!([event["id"], event["data"]["amount"]])).collect();
    stored.sort_by_key(ToString::to_string);
    assert_eq!(stored, [json!(["T-1", 2050]), json!(["T-2", 7])]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ga4_hit_in_an_address_alone_is_decided_by_the_consent_it_carries() {
    let shop = Shop::open().await;
    for (id, consent) in [("denied", "gcs=G100&gcd=13q3q3q3q5l1"), ("unsaid", "gcs=G1--"), ("granted", GRANTED)] {
        let query = format!("v=2&tid=G-1&en=purchase&ep.transaction_id={id}&epn.value=1&cu=EUR&{consent}");
        let page = "dl=https%3A%2F%2Fwww.example.com%2F";
        let answer = shop.get(&format!("/g/collect?{query}&{page}")).header("host", HOST).send().await;
        assert_eq!(answer.expect("an answer").status(), 204, "{id}");
    }
    shop.wait_for(1).await;
    assert_eq!(shop.stored_ids(), ["granted"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pixel_is_answered_by_an_image() {
    let shop = Shop::open().await;
    let query = "event=sign_up&event_id=p-1&ad_storage=granted&page_location=https%3A%2F%2Fwww.example.com%2F";
    let answer = shop.get(&format!("/p.gif?{query}")).header("host", HOST).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "image/gif");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.bytes().await.expect("a body"), GIF);
    shop.wait_for(1).await;
    assert_eq!(shop.stored_ids(), ["p-1"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_measurement_protocol_is_held_to_its_rules() {
    let shop = Shop::open().await;
    let post = |body: &str| {
        let url = format!("http://{}/mp/collect?measurement_id=G-1&api_secret=s", shop.sites());
        shop.http.post(url).header("host", HOST).body(body.to_owned())
    };
    let consent = r#""consent": {"ad_storage": "GRANTED", "ad_user_data": "GRANTED"}"#;
    let event = |params: &str| {
        format!(r#"{{"client_id": "1.2", {consent}, "events": [{{"name": "sign_up", "params": {params}}}]}}"#)
    };
    let params = r#"{"event_id": "mp-1", "page_location": "https://www.example.com/"}"#;
    assert_eq!(post(&event(params)).send().await.expect("an answer").status(), 204);
    let answer = post(&event("5")).send().await.expect("an answer");
    assert_eq!(answer.status(), 400);
    let told: Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
    assert_eq!(told["error"]["field"], "events[0].params");
    shop.wait_for(1).await;
    assert_eq!(shop.stored_ids(), ["mp-1"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_says_which_methods_it_takes() {
    let shop = Shop::open().await;
    for (method, path, allow) in [
        (Method::GET, "/hit", "POST, OPTIONS"),
        (Method::GET, "/mp/collect", "POST, OPTIONS"),
        (Method::PUT, "/g/collect", "GET, POST, OPTIONS"),
        (Method::POST, "/p.gif", "GET, OPTIONS"),
    ] {
        let answer = shop.http.request(method.clone(), format!("http://{}{path}", shop.sites())).send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 405, "{method} {path}");
        assert_eq!(answer.headers()["allow"], allow, "{method} {path}");
    }
    let answer = shop.get("/collect").send().await.expect("an answer");
    assert_eq!(answer.status(), 404);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_is_answered_as_anybody_and_nothing_is_sent_for_it() {
    let place = Place::own_rules();
    place.write("rules/settings.yaml", "settings: { privacy: { bots: ignore } }\n");
    let shop = Shop::open_at(place).await;
    let bot = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
    let answer = shop.post(&purchase("bot-1")).header("user-agent", bot).send().await.expect("an answer");
    assert_eq!(answer.status(), 204);
    assert_eq!(answer.headers().get("set-cookie"), None);
    let query = format!("v=2&tid=G-1&en=purchase&ep.transaction_id=bot-2&epn.value=1&cu=EUR&{GRANTED}");
    let answer = shop.get(&format!("/g/collect?{query}")).header("host", HOST).header("user-agent", bot).send().await;
    assert_eq!(answer.expect("an answer").status(), 204);
    let pixel = "event=sign_up&event_id=bot-3&ad_storage=granted&page_location=https%3A%2F%2Fwww.example.com%2F";
    let answer = shop.get(&format!("/p.gif?{pixel}")).header("host", HOST).header("user-agent", bot).send().await;
    assert_eq!(answer.expect("an answer").bytes().await.expect("a body"), GIF);
    shop.accept(&purchase("person")).await;
    shop.wait_for(1).await;
    assert_eq!(shop.stored_ids(), ["person"]);
    let metrics = shop.metrics().await;
    assert!(
        metrics.contains("tidegate_bot_events_total 3\n") && metrics.contains("tidegate_events_total 4\n"),
        "{metrics}"
    );
    shop.close().await;
}
