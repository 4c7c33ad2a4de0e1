//! Servers that show a write key, and whoever shows a wrong one.

use reqwest::Response;
use serde_json::{Value, json};
use tidegate::{service::Service, settings::Stated};

use crate::harness::{HOST, Place, Shop, all_granted, purchase};

const WRITE_KEY: &str = "wk-5d1f0c7a9e";
const OTHER_KEY: &str = "wk-77aa01c3b2";

async fn shop(stated: Stated) -> Shop {
    let stated = Stated { write_keys: Some(vec!["SHOP_WRITE_KEY".into(), "CRM_WRITE_KEY".into()]), ..stated };
    let keys = [("SHOP_WRITE_KEY", WRITE_KEY), ("CRM_WRITE_KEY", OTHER_KEY)];
    Shop::open_with_environment(Place::own_rules(), stated, &keys).await
}

/// An order as a server reports it, of a visitor whom it knows.
fn order(id: &str) -> Value {
    let mut order = purchase(id);
    order["ip_override"] = json!("203.0.113.7");
    order["user_agent"] = json!("Firefox/1");
    order["cookies"] = json!({"__oppref": "click.1", "__obref": "ref.1"});
    order
}

async fn error(answer: Response) -> (u16, Value) {
    (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_key_says_whose_its_events_are() {
    let shop = shop(Stated::default()).await;
    for (id, key) in [("s-1", WRITE_KEY), ("s-2", OTHER_KEY)] {
        let hit = shop.post(&order(id)).header("user-agent", "Shop server/1").bearer_auth(key);
        assert_eq!(hit.send().await.expect("an answer").status(), 204);
    }
    // Of its own nothing counts.
    let bare =
        shop.post(&purchase("s-3")).header("user-agent", "Shop server/1").header("cookie", "__obref=of-the-server");
    assert_eq!(bare.bearer_auth(WRITE_KEY).send().await.expect("an answer").status(), 204);
    // A browser says what it likes, and is believed none of it.
    let page = shop.post(&order("s-4")).header("user-agent", "Firefox/2");
    assert_eq!(page.send().await.expect("an answer").status(), 204);
    shop.wait_for(4).await;
    let stored = shop.stored();
    let of = |id: &str| stored.iter().find(|event| event["id"] == id).expect("it is stored");
    for id in ["s-1", "s-2"] {
        let user = &of(id)["user"];
        assert_eq!(
            (&user["ip_address"], &user["user_agent"], &user["obref"], &of(id)["oppref"]),
            (&json!("203.0.113.7"), &json!("Firefox/1"), &json!("ref.1"), &json!("click.1")),
            "{id}"
        );
    }
    let user = &of("s-3")["user"];
    assert!(user["ip_address"].is_null() && user["user_agent"].is_null() && user["obref"].is_null(), "{user}");
    assert_eq!(of("s-4")["user"]["ip_address"], "127.0.0.1");
    assert_eq!(of("s-4")["user"]["user_agent"], "Firefox/2");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_measurement_protocol_has_its_key_in_the_address() {
    let shop = shop(Stated::default()).await;
    let send = |id: &'static str, query: &'static str| {
        let consent = all_granted();
        let event = json!({"name": "purchase", "params": {"transaction_id": id, "value": 1, "currency": "EUR",
            "page_location": "https://www.example.com/"}});
        let body = json!({"client_id": "1.2", "ip_override": "203.0.113.7", "consent": consent, "events": [event]});
        let url = format!("http://{}/mp/collect?measurement_id=G-1{query}", shop.sites());
        shop.http.post(url).header("host", HOST).header("user-agent", "Shop server/1").body(body.to_string()).send()
    };
    assert_eq!(send("m-1", "&api_secret=wk-5d1f0c7a9e").await.expect("an answer").status(), 204);
    assert_eq!(send("m-2", "").await.expect("an answer").status(), 204);
    let (status, body) = error(send("m-3", "&api_secret=wk-5d1f0c7a9").await.expect("an answer")).await;
    assert_eq!((status, body), (401, json!({"error": {"message": "this write key is not valid"}})));
    shop.wait_for(2).await;
    let stored = shop.stored();
    let address =
        |id: &str| stored.iter().find(|event| event["id"] == id).map(|event| event["user"]["ip_address"].clone());
    assert_eq!([address("m-1"), address("m-2")], [Some(json!("203.0.113.7")), Some(Value::Null)]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_refused_before_anything_is_read() {
    let shop = shop(Stated::default()).await;
    let wrong = ["", "wk", "wk-5d1f0c7a9f", "wk-5d1f0c7a9e0", "sk-live-4f9d2c71", "SHOP_WRITE_KEY"];
    for key in wrong {
        // Not even the body is looked at: this one would be answered 400.
        let answer = shop.post_text("{").header("authorization", format!("Bearer {key}")).send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.headers()["www-authenticate"], "Bearer", "{key:?}");
        assert_eq!(error(answer).await, (401, json!({"error": {"message": "this write key is not valid"}})), "{key:?}");
    }
    // What is no write key at all is nobody's business: a site may ask its visitors for a password.
    let answer = shop.post(&purchase("w-1")).basic_auth("ada", Some("secret")).send().await.expect("an answer");
    assert_eq!(answer.status(), 204);
    // A page does not become a server by a key: its origin has to be right as well.
    let answer = shop.post(&order("w-2")).bearer_auth(WRITE_KEY).header("origin", "https://evil.test").send().await;
    assert_eq!(answer.expect("an answer").status(), 403);
    shop.wait_for(1).await;
    assert_eq!(shop.stored_ids(), ["w-1"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_write_keys_api_secret_is_none_and_any_bearer_is_wrong() {
    let shop = Shop::open().await;
    let answer = shop.post(&order("n-1")).bearer_auth(WRITE_KEY).send().await.expect("an answer");
    assert_eq!(answer.status(), 401);
    let url = format!("http://{}/mp/collect?measurement_id=G-1&api_secret=googles", shop.sites());
    let body = json!({"client_id": "1.2", "events": [{"name": "scroll"}]});
    let answer = shop.http.post(url).header("host", HOST).body(body.to_string()).send().await.expect("an answer");
    assert_eq!(answer.status(), 204);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_limit_is_for_those_without_a_key() {
    let shop = shop(Stated { rate_limit: std::num::NonZeroU32::new(1), ..Stated::default() }).await;
    let mut refused = 0;
    for nth in 0..5 {
        let answer = shop.post(&order(&format!("r-{nth}"))).bearer_auth(WRITE_KEY).send().await.expect("an answer");
        assert_eq!(answer.status(), 204);
        let guess = shop.post(&order("guess")).bearer_auth("guess").send().await.expect("an answer");
        refused += u32::from(guess.status() == 429);
    }
    assert!(refused > 0, "whoever guesses keys is slowed down");
    shop.wait_for(5).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_not_start_without_the_keys_it_was_told_of() {
    let place = Place::own_rules();
    let any_port = Some(([127, 0, 0, 1], 0).into());
    let stated = Stated {
        listen: any_port,
        admin: any_port,
        data: Some(place.data()),
        write_keys: Some(vec!["SHOP_WRITE_KEY".into()]),
        ..Stated::default()
    };
    let settings = stated.over(Stated::default()).expect("settings");
    let started = Service::start(&settings, place.load(), Box::new(|_| None)).await;
    let error = format!("{:#}", started.err().expect("it does not start"));
    assert!(error.contains("--write-keys: the secret SHOP_WRITE_KEY is set neither as"), "{error}");
}
