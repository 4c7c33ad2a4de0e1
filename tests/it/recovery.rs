//! Destinations that fail for a while: nothing is lost, the backlog flows soon after, and nobody else is slowed down.

use std::time::Duration;

use reqwest::StatusCode;
use tidegate::standin::{Failure, Lasting};

use crate::harness::{KEY_NAME, Left, PATIENCE, Place, Shop, purchase};

/// A backlog starts to flow, and here ends, within this after the destination has recovered.
const RECOVERY: Duration = Duration::from_secs(10);

/// Fails so many times, and then no more.
async fn everything_arrives_after(failures: u64, failure: Failure) {
    let shop = Shop::open().await;
    shop.standin.fail_with(failure.clone(), Lasting::UntilCleared);
    for nth in 0..200 {
        shop.accept(&purchase(&format!("r-{nth}"))).await;
    }
    let failed = shop.standin.wait_until(PATIENCE, move |counts| counts.failures >= failures).await;
    failed.unwrap_or_else(|error| panic!("it does not go on trying: {error}"));
    shop.standin.clear_failures();
    let recovered = shop.standin.wait_for(200, RECOVERY).await;
    recovered.unwrap_or_else(|error| panic!("after {failure:?}: {error}"));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_answers_503_loses_nothing() {
    // The fourth is the first call that is tried alone.
    everything_arrives_after(4, Failure::status(StatusCode::SERVICE_UNAVAILABLE)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_hangs_up_loses_nothing() {
    everything_arrives_after(2, Failure::HangUp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_answers_nonsense_loses_nothing() {
    everything_arrives_after(2, Failure::Garbage(StatusCode::BAD_GATEWAY)).await;
}

/// Of what was in flight nobody knows whether it arrived, so it may arrive twice. The destination must know it again.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_twice_is_the_same_event() {
    let shop = Shop::open().await;
    shop.standin.fail_with(Failure::LoseAnswer, Lasting::Requests(1));
    shop.accept(&purchase("twice")).await;
    shop.standin.wait_until(PATIENCE, |counts| counts.duplicates == 1).await.expect("it is known again");
    let again: Vec<_> = shop.standin.duplicates().into_iter().map(|accepted| accepted.event.clone()).collect();
    assert_eq!(again, shop.stored());
    shop.close_leaving(Left { duplicates: 1, ..Left::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_account_slows_no_other() {
    let shop = Shop::open_at(Place::with_rules(TWO_ACCOUNTS)).await;
    shop.standin.fail_pixel("px-dead", Failure::Hold, Lasting::UntilCleared);
    shop.accept(&purchase("a-0")).await;
    shop.standin.wait_until(PATIENCE, |counts| counts.failures == 1).await.expect("the dead one is tried");
    for nth in 1..50 {
        shop.accept(&purchase(&format!("a-{nth}"))).await;
    }
    shop.wait_for(50).await;
    assert!(shop.standin.accepted().iter().all(|accepted| accepted.pixel_id == "px-alive"));
    let unanswered = format!(r#"deliveries_attempts_total{{account="openai:px-dead (key {KEY_NAME})"}} 0"#);
    let metrics = shop.metrics().await;
    assert!(metrics.contains(&unanswered), "the other waited until a request to the dead one was given up: {metrics}");
    shop.standin.clear_failures();
    shop.wait_for(100).await;
    shop.close().await;
}

const TWO_ACCOUNTS: &str = r#"
triggers:
  Purchase: { event: purchase }
tags:
  Dead:
    template: openai_conversion
    triggers: Purchase
    consent: ad_storage
    parameters: { pixel_id: px-dead, api_key: { secret: OPENAI_CONVERSIONS_API_KEY }, event: order_created }
  Alive:
    template: openai_conversion
    triggers: Purchase
    consent: ad_storage
    parameters: { pixel_id: px-alive, api_key: { secret: OPENAI_CONVERSIONS_API_KEY }, event: order_created }
"#;
