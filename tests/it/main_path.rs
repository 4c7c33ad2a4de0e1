//! The main path: a hit over HTTP, its answer, and what arrives at the strict stand-in.

use serde_json::{Value, json};
use tidegate::{digest::Digest, time::Timestamp};

use crate::harness::{PIXEL, Place, Shop, all_granted, environment, purchase, run};

fn sha256(text: &str) -> String {
    Digest::of(text).to_string()
}

/// The `Set-Cookie` headers of an answer.
fn cookies(answer: &reqwest::Response) -> Vec<String> {
    let values = answer.headers().get_all("set-cookie").iter();
    values.map(|value| value.to_str().expect("text").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_arrives_as_openai_wants_it() {
    let shop = Shop::open().await;
    let hit = json!({
        "event": "purchase",
        "event_id": "order-77",
        "transaction_id": "T-77",
        "page_location": "https://www.example.com/thanks?oppref=gAAAABclick&email=ada%40example.com#top",
        "value": 129.9,
        "currency": "EUR",
        "items": [
            {"item_id": "SKU-1", "item_name": "Shoe", "price": 59.95, "quantity": 2},
            {"item_id": "SKU-2", "item_name": "Lace", "price": 10, "quantity": 1},
        ],
        "user_data": {"email_address": " Ada@Example.com ", "phone_number": "+44 20 7946 0958"},
        "consent": {"ad_storage": "granted", "ad_user_data": "granted", "ad_personalization": "denied"},
    });
    let answer = shop.post(&hit).header("user-agent", "Firefox/150").send().await.expect("an answer");
    assert_eq!(answer.status(), 204);
    assert_eq!(
        cookies(&answer),
        ["__oppref=gAAAABclick; Path=/; Domain=example.com; Max-Age=2592000; SameSite=Lax; Secure"]
    );
    assert_eq!(answer.text().await.expect("a body"), "");

    shop.wait_for(1).await;
    let accepted = shop.standin.accepted();
    assert_eq!(accepted[0].integration_source.as_deref(), Some("tidegate"));
    let event = &accepted[0].event;
    assert_eq!((&event["type"], &event["id"]), (&json!("order_created"), &json!("order-77")));
    assert_eq!((&event["data"]["amount"], &event["data"]["currency"]), (&json!(12990), &json!("EUR")));
    assert_eq!(event["data"]["contents"].as_array().map(Vec::len), Some(2));
    assert_eq!(event["data"]["contents"][0]["id"], "SKU-1");
    assert_eq!(event["user"]["emails_sha256"], json!([sha256("ada@example.com")]));
    assert_eq!(event["user"]["phone_numbers_sha256"], json!([sha256("442079460958")]));
    assert_eq!(event["user"]["user_agent"], "Firefox/150");
    assert_eq!(event["oppref"], "gAAAABclick");
    assert_eq!(event["opt_out"], true);
    assert_eq!(event["source_url"], "https://www.example.com/thanks");
    assert_eq!(event["action_source"], "web");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn send_beacon_is_understood() {
    let shop = Shop::open().await;
    let hit = shop.post(&purchase("beacon")).header("content-type", "text/plain;charset=UTF-8");
    let answer = hit.header("origin", "https://www.example.com").send().await.expect("an answer");
    assert_eq!(answer.status(), 204);
    shop.wait_for(1).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_accepts_json_is_told_how_many_events_were_taken() {
    let shop = Shop::open().await;
    let hit = json!({"consent": all_granted(), "events": [purchase("a"), purchase("b")]});
    let answer = shop.post(&hit).header("accept", "text/html, application/json;q=0.9").send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/json");
    let body: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
    assert_eq!(body, json!({"accepted": 2, "held": []}));
    shop.wait_for(2).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_consent_nothing_is_sent_and_no_cookie_is_set() {
    let shop = Shop::open().await;
    for consent in [json!({"ad_storage": "denied"}), json!({"analytics_storage": "granted"}), json!({}), Value::Null] {
        let mut hit = purchase("denied");
        hit["consent"] = consent;
        hit["page_location"] = "https://www.example.com/thanks?oppref=gAAAABclick".into();
        let answer = shop.post(&hit).send().await.expect("an answer");
        assert_eq!(answer.status(), 204);
        assert_eq!(cookies(&answer), [""; 0]);
    }
    // Had any of them been sent, it would lie before this one.
    shop.accept(&purchase("granted")).await;
    shop.wait_for(1).await;
    assert_eq!(shop.stored_ids(), ["granted"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_ad_user_data_nobody_is_described() {
    let shop = Shop::open().await;
    let mut hit = purchase("no-user");
    hit["user_data"] = json!({"email_address": "ada@example.com"});
    hit["consent"] = json!({"ad_storage": "granted", "ad_user_data": "denied", "ad_personalization": "granted"});
    shop.accept(&hit).await;
    shop.wait_for(1).await;
    let event = &shop.stored()[0];
    assert_eq!((event.get("user"), event.get("opt_out")), (None, None));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_held_until_the_visitor_answers() {
    let shop = Shop::open_at(Place::with_rules(HOLDING_RULES)).await;
    let ask = async |hit: Value| -> Value {
        let answer = shop.post(&hit).header("accept", "application/json").send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON")
    };
    let mut hit = purchase("held-1");
    hit["consent"] = json!({"ad_storage": "denied"});
    let held = json!([{"event_id": "held-1", "needs": ["ad_storage"]}]);
    assert_eq!(ask(hit.clone()).await, json!({"accepted": 1, "held": held}));

    // A refusal is an answer: nothing to wait for.
    hit["consent_answered"] = true.into();
    assert_eq!(ask(hit.clone()).await, json!({"accepted": 1, "held": []}));

    // A minute later the page sends it again: the same event, at the time at which it happened.
    hit["consent"] = all_granted();
    hit["consent_then"] = json!({"ad_storage": "denied"});
    (hit["event_time"], hit["sent_at"]) = (json!(1_000_000), json!(1_060_000));
    let sent = Timestamp::now();
    assert_eq!(ask(hit.clone()).await, json!({"accepted": 1, "held": []}));
    shop.wait_for(1).await;
    let [event] = &shop.stored()[..] else { panic!("one event") };
    assert_eq!(event["id"], "held-1");
    let late = event["timestamp_ms"].as_i64().expect("a time") - (sent.0 - 60_000);
    assert!((0..30_000).contains(&late), "{late} ms late");

    // What did not wait for consent is not done twice.
    hit["event"] = "sign_up".into();
    assert_eq!(ask(hit).await, json!({"accepted": 1, "held": []}));
    assert_eq!(shop.stored_ids(), ["held-1"]);
    shop.close().await;
}

const HOLDING_RULES: &str = r#"
triggers:
  Purchase: { event: purchase }
  Sign-up: { event: sign_up }
tags:
  Does not wait:
    template: openai_conversion
    triggers: Sign-up
    consent: ad_storage
    parameters: { pixel_id: px-shop, api_key: { secret: OPENAI_CONVERSIONS_API_KEY }, event: registration_completed }
  Conversion:
    template: openai_conversion
    triggers: Purchase
    consent: ad_storage
    when_denied: hold
    parameters: { pixel_id: px-shop, api_key: { secret: OPENAI_CONVERSIONS_API_KEY }, event: order_created }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_makes_the_browser_forget_the_click() {
    let shop = Shop::open().await;
    let mut hit = purchase("refused");
    hit["consent"] = json!({"ad_storage": "denied"});
    let send = async |hit: &Value| {
        let hit = shop.post(hit).header("cookie", "theme=dark; __oppref=gAAAABold");
        cookies(&hit.send().await.expect("an answer"))
    };
    assert_eq!(send(&hit).await, [""; 0], "not answered is not refused");
    hit["consent_answered"] = true.into();
    assert_eq!(send(&hit).await, ["__oppref=; Path=/; Domain=example.com; Max-Age=0; SameSite=Lax; Secure"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_events_share_their_envelope_and_keep_their_own_consent() {
    let shop = Shop::open().await;
    let hit = json!({
        "consent": all_granted(),
        "page_location": "https://www.example.com/welcome",
        "events": [
            {"event": "page_view", "event_id": "e1"},
            {"event": "sign_up", "event_id": "e2"},
            {"event": "page_view", "event_id": "e3", "consent": {"ad_storage": "denied"}},
            {"event": "scroll", "event_id": "e4"},
        ],
    });
    shop.accept(&hit).await;
    shop.wait_for(2).await;
    let mut sent = shop.stored_ids();
    sent.sort();
    assert_eq!(sent, ["e1", "e2"]);
    assert!(shop.stored().iter().all(|event| event["source_url"] == "https://www.example.com/welcome"));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_click_in_the_cookie_finds_its_purchase() {
    let shop = Shop::open().await;
    let hit = shop.post(&purchase("later")).header("cookie", "__oppref=gAAAABearlier==");
    assert_eq!(hit.send().await.expect("an answer").status(), 204);
    shop.wait_for(1).await;
    assert_eq!(shop.stored()[0]["oppref"], "gAAAABearlier==");
    shop.close().await;
}

/// One path: what `trace` and a test case say of a hit is what the server does with it.
#[tokio::test(flavor = "multi_thread")]
async fn trace_and_test_say_what_the_server_does() {
    let shop = Shop::spawn(Place::own_rules(), &["--log", "info,tidegate::hit=debug"]).await;
    let mut refused = purchase("refused");
    refused["consent"] = json!({"ad_storage": "denied"});
    // Of each hit: the calls that the server made of it, without what it knows of the connection and of the time.
    let bare = |mut call: Value| {
        call.as_object_mut().expect("a mapping").retain(|key, _| key != "timestamp_ms" && key != "user");
        call
    };
    for (hit, calls) in [(purchase("granted"), 1), (refused, 0)] {
        shop.accept(&hit).await;
        let id = hit["event_id"].as_str().expect("an id");
        shop.wait_for(1).await;
        let served: Vec<_> = shop.stored().into_iter().filter(|call| call["id"] == id).map(bare).collect();
        assert_eq!(served.len(), calls, "{id}");

        let traced = run(&shop.place, &["trace", "-", "--format", "json"], &environment(), &hit.to_string()).await;
        let traced = traced.json();
        let told: Vec<_> =
            traced["calls"].as_array().expect("calls").iter().map(|call| bare(call["body"].clone())).collect();
        assert_eq!(told, served, "{id}");
        let tags = traced["trace"]["events"][0]["tags"].as_array().expect("tags");
        assert!(!tags.is_empty(), "{id}: {traced}");
        for tag in tags {
            let (name, verdict) = (tag["tag"].as_str().expect("a name"), tag["verdict"].as_str().expect("a verdict"));
            shop.server().logs(|line| line.contains(&format!(r#"purchase: tag \"{name}\" {verdict}"#))).await;
        }

        let expected: Vec<_> = served.iter().map(|call| json!({"body": call})).collect();
        let pixel = json!({"OPENAI_PIXEL_ID": PIXEL});
        let case = json!({"event": hit, "environment": pixel, "expect": {"calls": expected}});
        shop.place.write("rules/served.test.yaml", &json!({"cases": {id: case}}).to_string());
        let tested = run(&shop.place, &["test"], &environment(), "").await;
        assert_eq!(tested.code, Some(0), "{tested:?}");
    }
    shop.close().await;
}
