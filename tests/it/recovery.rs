//! Destinations that fail for a while: nothing is lost, the backlog flows soon after, and nobody else is slowed down.

use std::time::Duration;

use reqwest::StatusCode;
use tidegate::standin::{Failure, Lasting};

use crate::harness::{PATIENCE, Place, Shop, purchase};

/// A backlog starts to flow, and here ends, within this after the destination has recovered.
const RECOVERY: Duration = Duration::from_secs(10);

async fn everything_arrives_after(failure: Failure) {
    let shop = Shop::open().await;
    shop.standin.fail_with(failure.clone(), Lasting::UntilCleared);
    for nth in 0..200 {
        shop.accept(&purchase(&format!("r-{nth}"))).await;
    }
    let failed = shop.standin.wait_until(PATIENCE, |counts| counts.failures >= 4).await;
    failed.unwrap_or_else(|error| panic!("it does not go on trying: {error}"));
    shop.standin.clear_failures();
    let recovered = shop.standin.wait_for(200, RECOVERY).await;
    recovered.unwrap_or_else(|error| panic!("after {failure:?}: {error}"));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_answers_503_loses_nothing() {
    everything_arrives_after(Failure::status(StatusCode::SERVICE_UNAVAILABLE)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_hangs_up_loses_nothing() {
    everything_arrives_after(Failure::HangUp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_answers_nonsense_loses_nothing() {
    everything_arrives_after(Failure::Garbage(StatusCode::BAD_GATEWAY)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_account_slows_no_other() {
    let shop = Shop::open_at(Place::with_rules(TWO_ACCOUNTS)).await;
    shop.standin.fail_pixel("px-dead", Failure::Hold, Lasting::UntilCleared);
    for nth in 0..50 {
        shop.accept(&purchase(&format!("a-{nth}"))).await;
    }
    shop.wait_for(50).await;
    assert!(shop.standin.accepted().iter().all(|accepted| accepted.pixel_id == "px-alive"));
    assert_ne!(shop.standin.requests().failures, 0, "the dead one was tried");
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
