//! The demo: a stand-in for OpenAI in the process, and no secret of its operator on its way to it.

use std::fs;

use serde_json::json;
use tidegate::delivery::client::{ClientOptions, client};

use crate::harness::{Place, purchase, serve, tidegate};

const KEY: &str = "sk-real-key-of-the-shop";
const WRITE_KEY: &str = "wk-5d1f0c7a9e";

/// Another key than the demo knows of, and a call elsewhere with a secret.
const RULES: &str = "
triggers:
  Purchase: { event: purchase }
tags:
  Conversion:
    template: openai_conversion
    triggers: Purchase
    consent: ad_storage
    parameters: { pixel_id: px-shop, api_key: { secret: ADS_KEY }, event: order_created }
  Partner:
    template: http_request
    triggers: Purchase
    consent: [ad_storage, ad_user_data]
    parameters:
      url: https://partner.example.com/orders
      bearer_token: { secret: PARTNER_KEY }
      body: event
";

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_takes_write_keys_and_sends_no_secret() {
    let place = Place::with_rules(RULES);
    let secrets = place.path().join("secrets");
    fs::create_dir(&secrets).expect("a folder");
    for (name, value) in [("ADS_KEY", KEY), ("PARTNER_KEY", KEY), ("SHOP_WRITE_KEY", WRITE_KEY)] {
        fs::write(secrets.join(name), value).expect("a secret");
    }
    let (data, secrets) = (place.data(), secrets.to_str().expect("a path in text").to_owned());
    let arguments = [
        "--demo",
        "--data",
        data.to_str().expect("a path in text"),
        "--secrets",
        &secrets,
        "--bind-secret",
        "ADS_KEY=openai,PARTNER_KEY=https://partner.example.com",
        "--write-keys",
        "SHOP_WRITE_KEY",
    ];
    let server = serve(&place, &arguments, &[]).await.unwrap_or_else(|log| panic!("it did not start: {log:#?}"));
    server.logs(|line| line.contains("this is a demo") && line.contains("data/demo")).await;
    let http = client(&ClientOptions::default()).expect("a client");
    let hit = |key: &'static str| {
        let mut order = purchase("d-1");
        order["ip_override"] = json!("203.0.113.7");
        http.post(format!("http://{}/hit", server.sites)).bearer_auth(key).body(order.to_string()).send()
    };
    assert_eq!(hit("wk-wrong").await.expect("an answer").status(), 401);
    assert_eq!(hit(WRITE_KEY).await.expect("an answer").status(), 204);
    server.logs(|line| line.contains("OpenAI stand-in: accepted order_created")).await;
    // What would go elsewhere waits, and the reason is the true one.
    let paused = server.logs(|line| line.contains("PARTNER_KEY")).await;
    assert!(paused.contains("a demo sends no secret"), "{paused}");
    let log = server.stop().await;
    assert!(!log.iter().any(|line| line.contains(KEY)), "{log:#?}");
    // Its state is beside the server's own, in a folder of its own.
    assert!(!data.join("outbox.db").exists());
    let demo = data.join("demo");
    let list = ["deliveries", "list", "--state", "pending", "--data", demo.to_str().expect("a path in text")];
    let list = tidegate(&place, &list).await;
    assert!(list.out.contains("https://partner.example.com"), "{list:?}");
}
