//! What the destination will not take: single bad events become dead letters, faults of the account pause it, and the
//! command line shows and mends both.

use std::fs;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tidegate::standin::{Failure, Lasting};

use crate::harness::{
    ACCOUNT, KEY, KEY_NAME, Left, PATIENCE, PIXEL, Place, Shop, all_granted, purchase, strict_standin,
};

/// A template of the container's own, with a fault such as people make: it sends a click id that is no more than a blank,
/// and it believes any time that an event names.
const FAULTY: (&str, &str) = (
    r#"
openai::conversion(event, request, params, #{
    type: openai::standard_event("order_created"),
    timestamp_ms: if event.happened == () { event.event_time } else { event.happened },
    oppref: event.click,
})
"#,
    r#"
description: A conversion with a fault.
consent: [ad_storage]
permissions: { destinations: [openai] }
fields:
  pixel_id: { type: text, description: The pixel., required: true, fixed: true }
  api_key: { type: secret, description: The key., required: true }
"#,
);

const FAULTY_RULES: &str = r#"
triggers:
  Purchase: { event: purchase }
tags:
  Faulty:
    template: faulty
    triggers: Purchase
    consent: ad_storage
    parameters: { pixel_id: px-shop, api_key: { secret: OPENAI_CONVERSIONS_API_KEY } }
"#;

fn faulty_place() -> Place {
    let place = Place::with_rules(FAULTY_RULES);
    place.write("tags/faulty.rhai", FAULTY.0);
    place.write("tags/faulty.yaml", FAULTY.1);
    place
}

async fn deliveries(shop: &Shop, arguments: &[&str]) -> Value {
    let ran = shop.tidegate(&[&["deliveries"], arguments, &["--format", "json"]].concat()).await;
    assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{ran:?}");
    ran.json()
}

/// The account as the command line reports it.
async fn account(shop: &Shop) -> Value {
    let list = deliveries(shop, &["list"]).await;
    let accounts = list["accounts"].as_array().expect("accounts");
    accounts.iter().find(|account| account["account"] == ACCOUNT).cloned().unwrap_or_else(|| panic!("{list}"))
}

/// Waits until the account's report is as wanted; gives it.
async fn account_when(shop: &Shop, wanted: impl Fn(&Value) -> bool) -> Value {
    let wait = async {
        loop {
            let report = account(shop).await;
            if wanted(&report) {
                return report;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the account comes to it")
}

fn is_paused(report: &Value) -> bool {
    report["state"].as_str().is_some_and(|state| state.starts_with("PAUSED"))
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_events_of_a_batch_die_alone_and_the_rest_goes_through() {
    let shop = Shop::spawn(faulty_place(), &[]).await;
    // While one request is under way, the others gather into one batch.
    shop.standin.fail_with(Failure::Hold, Lasting::UntilCleared);
    shop.accept(&purchase("first")).await;
    let held = shop.standin.wait_until(PATIENCE, |counts| counts.in_flight == 1).await;
    held.expect("the first request is under way");
    for hit in 0..10 {
        let events: Vec<Value> = (0..100).map(|nth| event(hit * 100 + nth)).collect();
        shop.accept(&json!({ "consent": all_granted(), "events": events })).await;
    }
    shop.standin.wait_until(PATIENCE, |counts| counts.in_flight == 2).await.expect("a full batch is sent");
    shop.standin.clear_failures();
    shop.wait_for(1 + 997).await;

    let report = account_when(&shop, |report| report["dead"] == 3 && report["pending"] == 0).await;
    assert_eq!(report["state"], "flowing", "the account is not to blame");
    let list = deliveries(&shop, &["list"]).await;
    let dead = list["calls"].as_array().expect("calls");
    let mut ids: Vec<_> = dead.iter().map(|call| call["event"]["id"].as_str().expect("an id")).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["e-17", "e-500", "e-999"]);
    for call in dead {
        let death = &call["death"];
        assert_eq!((&death["reason"], &death["status"]), (&json!("refused"), &json!(400)), "{call}");
        let words = death["words"].as_str().expect("words");
        assert!(words.contains("oppref: must not be empty"), "{words}");
    }
    let refusals = shop.standin.requests().refused;
    assert!((4..=40).contains(&refusals), "{refusals} refusals to find three among a thousand");
    shop.close_leaving(Left { dead: 3, refusals, ..Left::default() }).await;
}

fn event(nth: usize) -> Value {
    let click = if [17, 500, 999].contains(&nth) { " " } else { "gAAAABclick" };
    let page = "https://www.example.com/thanks";
    json!({"event": "purchase", "event_id": format!("e-{nth}"), "page_location": page, "click": click})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_too_old_becomes_a_dead_letter_without_being_sent() {
    let shop = Shop::spawn(faulty_place(), &[]).await;
    let week_and_a_day = 8 * 24 * 3600 * 1000;
    let mut hit = purchase("old");
    hit["happened"] = json!(tidegate::time::Timestamp::now().0 - week_and_a_day);
    shop.accept(&hit).await;
    shop.accept(&purchase("young")).await;
    shop.wait_for(1).await;
    account_when(&shop, |report| report["dead"] == 1 && report["pending"] == 0).await;
    let list = deliveries(&shop, &["list"]).await;
    assert_eq!(list["calls"][0]["event"]["id"], "old");
    assert_eq!(list["calls"][0]["death"]["reason"], "too_old");
    assert_eq!(shop.stored_ids(), ["young"]);
    shop.close_leaving(Left { dead: 1, ..Left::default() }).await;
}

/// The account pauses with these words and this status, kills nothing, and delivers everything once it is mended.
async fn pauses_until_mended(shop: &Shop, words: &str, mend: impl FnOnce()) {
    for nth in 0..20 {
        shop.accept(&purchase(&format!("paused-{nth}"))).await;
    }
    let report = account_when(shop, is_paused).await;
    let state = report["state"].as_str().expect("a state");
    assert!(state.contains(words), "{state}");
    assert!(!state.contains(KEY), "{state}");
    assert_eq!((&report["dead"], &report["pending"]), (&json!(0), &json!(20)));
    mend();
    deliveries(shop, &["retry", "--account", ACCOUNT]).await;
    shop.wait_for(20).await;
    account_when(shop, |report| report["pending"] == 0 && report["state"] == "flowing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pixel_that_is_not_found_pauses_the_account() {
    let shop = Shop::spawn(Place::own_rules(), &[]).await;
    let not_found =
        Failure::Status { status: StatusCode::NOT_FOUND, retry_after: None, words: "Pixel not found".to_owned() };
    shop.standin.fail_pixel(PIXEL, not_found, Lasting::UntilCleared);
    pauses_until_mended(&shop, "the address was not found (404: Pixel not found)", || shop.standin.clear_failures())
        .await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_accepted_pauses_the_account() {
    let mut shop = Shop::closed(Place::own_rules(), strict_standin()).await;
    let secrets = shop.place.path().join("secrets");
    fs::create_dir(&secrets).expect("a folder for secrets");
    fs::write(secrets.join(KEY_NAME), "sk-wrong").expect("a wrong key");
    shop.start(&["--secrets", secrets.to_str().expect("a path in text")]).await;
    let mend = || fs::write(secrets.join(KEY_NAME), KEY).expect("the right key");
    pauses_until_mended(&shop, "the key was not accepted (401: Missing scopes", mend).await;
    let refusals = shop.standin.requests().refused;
    assert_ne!(refusals, 0);
    shop.close_leaving(Left { refusals, ..Left::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_key_pauses_the_account_and_nothing_is_sent() {
    let mut shop = Shop::closed(Place::own_rules(), strict_standin()).await;
    let secrets = shop.place.path().join("secrets");
    fs::create_dir(&secrets).expect("a folder for secrets");
    let arguments = ["--secrets", secrets.to_str().expect("a path in text")];
    shop.start_in(&arguments, &[("OPENAI_PIXEL_ID", PIXEL)]).await;
    let mend = || {
        assert_eq!(shop.standin.requests().attempts, 0, "without a key nothing is sent");
        fs::write(secrets.join(KEY_NAME), KEY).expect("the key");
    };
    pauses_until_mended(&shop, "the key could not be had (", mend).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_can_be_sent_again_or_forgotten() {
    let shop = Shop::spawn(Place::own_rules(), &[]).await;
    shop.standin.fail_with(Failure::RefuseEvents { words: "not today".to_owned() }, Lasting::UntilCleared);
    shop.accept(&purchase("again")).await;
    shop.accept(&purchase("forget")).await;
    account_when(&shop, |report| report["dead"] == 2).await;
    shop.standin.clear_failures();

    let list = deliveries(&shop, &["list"]).await;
    let id_of = |event: &str| {
        let calls = list["calls"].as_array().expect("calls");
        let call = calls.iter().find(|call| call["event"]["id"] == event).expect("the call");
        call["id"].to_string()
    };
    assert_eq!(deliveries(&shop, &["discard", &id_of("forget")]).await, json!({"calls": 1}));
    let call = deliveries(&shop, &["show", &id_of("again")]).await;
    assert!(call["body"].as_str().is_some_and(|body| body.contains("order_created")), "{call}");
    assert_eq!(deliveries(&shop, &["retry", &id_of("again")]).await, json!({"calls": 1}));
    shop.wait_for(1).await;
    assert_eq!(shop.stored_ids(), ["again"]);
    let refusals = shop.standin.requests().refused;
    shop.close_leaving(Left { refusals, ..Left::default() }).await;
}
