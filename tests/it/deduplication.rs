//! Copies of a call that was accepted just before go nowhere, whatever a page sends again; and nothing else is lost by it.

use std::{fs, net::Ipv4Addr, pin::pin, sync::Arc, task::Poll, time::Duration};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tidegate::{
    app::{self, App},
    client::Client,
    history::{self, History},
    hit::Hit,
    metrics::Metrics,
    outbox::embedded::{Embedded, Options},
    standin::{Failure, Lasting},
    time::Timestamp,
};

use crate::harness::{Left, PATIENCE, Place, Shop, all_granted, purchase};

const LOG: [&str; 2] = ["--log", "info,tidegate::hit=debug"];

async fn metric(shop: &Shop, name: &str) -> Option<String> {
    shop.metrics().await.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
}

async fn suppressed(shop: &Shop) -> Option<String> {
    metric(shop, r#"tidegate_calls_suppressed_total{destination="openai"}"#).await
}

/// What became of a hit, as the log tells it: its one message that begins so.
async fn told(shop: &Shop, beginning: &str) -> Vec<String> {
    let lines = shop.server().logs_times(1, |line| line.contains(beginning)).await;
    let message = |line: &String| serde_json::from_str::<Value>(line).expect("JSON")["message"].to_string();
    lines.iter().map(message).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_loaded_again_is_counted_once_and_the_trace_says_so() {
    let shop = Shop::spawn(Place::own_rules(), &LOG).await;
    shop.accept(&purchase("order-1")).await;
    shop.wait_for(1).await;
    assert_eq!(suppressed(&shop).await.as_deref(), Some("0"));
    // Delivered or not, and whatever else differs.
    let mut again = purchase("order-1");
    again["value"] = json!(21);
    let answer = shop.post(&again).header("accept", "application/json").send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let body: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
    assert_eq!(body, json!({"accepted": 1, "held": []}), "a page learns nothing of it");
    let told = told(&shop, "suppressed").await.concat();
    assert!(
        told.contains(r#"tag \"OpenAI purchase\" ran: 1 call, suppressed: the same call was accepted"#)
            && told.contains(" s ago"),
        "{told}"
    );
    assert_eq!(suppressed(&shop).await.as_deref(), Some("1"));
    // Another event of the same order is no copy.
    let mut lead = purchase("order-1");
    lead["event"] = json!("sign_up");
    shop.accept(&lead).await;
    shop.accept(&purchase("order-2")).await;
    shop.wait_for(3).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_within_one_hit_are_made_once() {
    let shop = Shop::spawn(Place::own_rules(), &LOG).await;
    let events = [purchase("a"), purchase("b"), purchase("a")];
    shop.accept(&json!({"consent": all_granted(), "events": events})).await;
    let told = told(&shop, "suppressed").await.concat();
    assert!(told.contains("ran: 1 call, suppressed: an earlier event of this hit made the same call"), "{told}");
    shop.wait_for(2).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_an_id_is_never_a_copy() {
    let shop = Shop::open().await;
    let mut hit = purchase("");
    for key in ["event_id", "transaction_id"] {
        hit.as_object_mut().expect("a mapping").remove(key);
    }
    for _ in 0..3 {
        shop.accept(&hit).await;
    }
    shop.wait_for(3).await;
    assert_eq!(suppressed(&shop).await.as_deref(), Some("0"));
    shop.close().await;
}

const VALIDATES: &str = r#"
triggers: { Purchase: { event: purchase } }
tags:
  Looked at:
    template: openai_conversion
    triggers: Purchase
    consent: ad_storage
    parameters: { pixel_id: px, api_key: { secret: OPENAI_CONVERSIONS_API_KEY }, event: order_created, validate_only: true }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_only_validates_gets_every_copy() {
    let shop = Shop::open_at(Place::with_rules(VALIDATES)).await;
    for nth in 1..=3 {
        shop.accept(&purchase("tried")).await;
        let validated = async {
            while shop.standin.validated().len() < nth {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, validated).await.expect("it is validated");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_that_was_not_accepted_suppresses_nothing() {
    let shop = Shop::open().await;
    // A store that lies elsewhere takes no hits: they would be gone at the next start.
    let (store, aside) = (shop.place.data().join("outbox.db"), shop.place.data().join("aside.db"));
    fs::rename(&store, &aside).expect("the store can be moved");
    let status = async || shop.post(&purchase("again")).send().await.expect("an answer").status();
    assert_eq!(status().await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(status().await, StatusCode::SERVICE_UNAVAILABLE);
    fs::rename(&aside, &store).expect("the store can be moved back");
    let accepted = async { while status().await != StatusCode::NO_CONTENT {} };
    tokio::time::timeout(PATIENCE, accepted).await.expect("it is accepted");
    shop.wait_for(1).await;
    assert_eq!(suppressed(&shop).await.as_deref(), Some("0"));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_what_waits_or_died_is_still_known() {
    let mut shop = Shop::spawn(Place::own_rules(), &LOG).await;
    shop.accept(&purchase("delivered")).await;
    shop.wait_for(1).await;
    shop.standin.fail_with(Failure::RefuseEvents { words: "not today".to_owned() }, Lasting::Requests(1));
    shop.accept(&purchase("dead")).await;
    shop.standin.wait_until(PATIENCE, |counts| counts.refused == 1).await.expect("it is refused");
    shop.standin.fail_with(Failure::status(StatusCode::SERVICE_UNAVAILABLE), Lasting::UntilCleared);
    shop.accept(&purchase("pending")).await;
    shop.stop().await;

    shop.start(&LOG).await;
    shop.accept(&purchase("dead")).await;
    shop.accept(&purchase("pending")).await;
    assert_eq!(suppressed(&shop).await.as_deref(), Some("2"));
    // The store has forgotten what it delivered: the destination deduplicates.
    shop.accept(&purchase("delivered")).await;
    assert_eq!(suppressed(&shop).await.as_deref(), Some("2"));
    shop.standin.clear_failures();
    shop.standin.wait_until(PATIENCE, |counts| counts.duplicates == 1).await.expect("it is sent again");
    shop.wait_for(2).await;
    // A person who replays means it.
    assert_eq!(shop.tidegate(&["deliveries", "retry", "--all"]).await.code, Some(0));
    shop.wait_for(3).await;
    shop.close_leaving(Left { duplicates: 1, refusals: 1, ..Left::default() }).await;
}

/// A request that nobody waits for any more is dropped at once. What was on its way to the disk arrives there, and a second
/// copy, sent because the answer to the first was lost, is one.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_is_remembered() {
    let place = Place::own_rules();
    fs::create_dir_all(place.data()).expect("a folder");
    let outbox = Arc::new(Embedded::open(&place.data(), Options::default()).expect("the store opens"));
    let options = history::Options { keep: history::KeepHits::Off, max_bytes: 1 << 20 };
    let history = Arc::new(History::open(place.path(), options).expect("a thread"));
    let app = App::open(place.load(), outbox, history, Metrics::default()).await;
    let app = Arc::new(app.expect("the app opens"));
    let hit = || {
        let received = Timestamp::now();
        Hit {
            id: app::hit_id(received),
            address: Some(Ipv4Addr::LOCALHOST.into()),
            host: "localhost".into(),
            body: purchase("order-1").to_string().into(),
            ..Hit::silent(received)
        }
    };
    {
        let mut taking = pin!(app.take(Client::DataLayer, hit()));
        let first = std::future::poll_fn(|context| Poll::Ready(taking.as_mut().poll(context))).await;
        assert!(first.is_pending(), "it waits for the disk");
    }
    let counted = "tidegate_events_total 1\n";
    let counting = async {
        while !app.metrics.text().contains(counted) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, counting).await.expect("the first hit is counted");
    app.take(Client::DataLayer, hit()).await.expect("the second is taken too");
    let suppressed = r#"tidegate_calls_suppressed_total{destination="openai"} 1"#;
    assert!(app.metrics.text().contains(suppressed), "{}", app.metrics.text());
}
