//! What is kept of hits, and about whom: nothing personal, of those who granted nothing the shape alone, and nothing that
//! cannot be forgotten; and that a change can be held against it beside a running server.

use std::fs;

use serde_json::{Value, json};
use tidegate::{history, settings::Stated};

use crate::harness::{Left, Place, Shop};

const RULES: &str = "
variables: { Place: { url: path } }
triggers:
  Sign-up: { event: sign_up, when: [{ variable: Place, starts_with: /shop }] }
tags:
  Sign-up: { template: openai_cookie, triggers: Sign-up, consent: none, consent_reason: a test }
";

/// Everything about somebody that a hit may bring.
const PERSONAL: [&str; 16] = [
    "ada@example.com",
    "ada%40example.com",
    "b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72",
    "Lovelace",
    "0746123456",
    "203.0.113.99",
    "Mozilla/5.0 of-ada",
    "gAAAAclick-of-ada",
    "GA1.1.4711.4712",
    "4711.4712",
    "T-90210",
    "id-of-ada",
    "u-ada",
    "coupon-of-ada",
    "/shop/ada",
    "127.0.0.1",
];

fn sign_up(consent: &Value) -> Value {
    json!({
        "event": "sign_up", "event_id": "id-of-ada", "transaction_id": "T-90210", "client_id": "4711.4712",
        "user_id": "u-ada", "coupon": "coupon-of-ada", "value": 12.5, "currency": "EUR",
        "page_location": "https://www.example.com/shop/ada?oppref=gAAAAclick-of-ada&email=ada%40example.com",
        "user_data": {
            "email_address": "ada@example.com", "phone_number": "0746123456", "address": {"last_name": "Lovelace"},
            "sha256_email_address": "b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72",
        },
        "newsletter": "ada@example.com", "ada@example.com": true, "consent": consent, "consent_answered": true,
    })
}

async fn send(shop: &Shop, body: &Value) {
    let request = shop.post(body).header("user-agent", "Mozilla/5.0 of-ada").header("x-forwarded-for", "203.0.113.99");
    let cookies = "__oppref=gAAAAclick-of-ada; _ga=GA1.1.4711.4712";
    assert_eq!(request.header("cookie", cookies).send().await.expect("an answer").status(), 204);
}

/// The texts that stand in the history's files.
fn in_files(place: &Place, texts: &[&'static str]) -> Vec<&'static str> {
    let files = ["history.db", "history.db-wal", "history.db-shm"].map(|name| place.data().join(name));
    let bytes = files.into_iter().filter_map(|path| fs::read(path).ok()).collect::<Vec<_>>().concat();
    assert!(bytes.len() > 4096, "there is a history");
    texts.iter().filter(|text| memchr::memmem::find(&bytes, text.as_bytes()).is_some()).copied().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_are_kept_and_nothing_personal_with_them() {
    let shop = Shop::open_at(Place::with_rules(RULES)).await;
    send(&shop, &sign_up(&json!({"ad_storage": "granted", "ad_user_data": "granted"}))).await;
    shop.service().app.history.flush().await;
    assert_eq!(in_files(&shop.place, &["sign_up", "user_data", "currency", "EUR"]).len(), 4);
    assert_eq!(in_files(&shop.place, &PERSONAL), [""; 0]);

    // What a change would have meant, beside the running server.
    let before = shop.place.load();
    shop.place.write(
        "rules/all.yaml",
        &RULES.replace("consent: none, consent_reason: a test", "consent: [ad_storage, analytics_storage]"),
    );
    let after = shop.place.load();
    let impact = history::impact(&shop.place.data(), &before, &after).expect("an impact");
    assert!(impact.to_string().contains("\"Sign-up\" fired 1 -> 0, 1 newly blocked by consent"), "{impact}");
    let served = history::versions_served(&shop.place.data()).expect("versions");
    assert_eq!((served.len(), &served[0].version[..], served[0].hits), (1, &before.version[..], 1));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_visitor_who_granted_nothing_the_shape_alone_is_kept() {
    let shop = Shop::open_at(Place::with_rules(RULES)).await;
    send(&shop, &sign_up(&json!({"ad_storage": "denied", "security_storage": "granted"}))).await;
    shop.service().app.history.flush().await;
    assert_eq!(in_files(&shop.place, &PERSONAL), [""; 0]);
    assert_eq!(in_files(&shop.place, &["EUR", "12.5", "\"is\"", "answers\":{\""]), ["answers\":{\""], "consent alone");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_nothing_is_kept() {
    let stated = Stated { keep_hits: Some(history::KeepHits::Off), ..Stated::default() };
    let shop = Shop::open_with(Place::with_rules(RULES), stated).await;
    send(&shop, &sign_up(&json!({"ad_storage": "granted"}))).await;
    shop.service().app.history.flush().await;
    assert_eq!(in_files(&shop.place, &["sign_up", "user_data"]), [""; 0]);
    assert_eq!(history::versions_served(&shop.place.data()).expect("versions")[0].hits, 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_held_against_kept_hits_and_a_kept_hit_is_forgotten() {
    let mut shop = Shop::spawn(Place::with_rules(RULES), &[]).await;
    send(&shop, &sign_up(&json!({"ad_storage": "granted"}))).await;
    let before = shop.place.path().join("before");
    fs::create_dir_all(before.join("rules")).expect("a folder");
    fs::write(before.join("rules/all.yaml"), RULES).expect("a file");
    shop.place.write("rules/all.yaml", "tags: {}");
    let against = before.to_str().expect("a path").to_owned();
    // The history writes a second later at the latest.
    let told = async {
        loop {
            let told = shop.tidegate(&["impact", "--against-folder", &against]).await;
            if told.out.contains("is removed") || told.code != Some(0) {
                return told;
            }
        }
    };
    let told = tokio::time::timeout(crate::harness::PATIENCE, told).await.expect("a kept hit");
    assert!(told.out.ends_with("\"Sign-up\" is removed, and fired 1 times\n"), "{told:?}");
    let json = shop.tidegate(&["impact", "--against-folder", &against, "--format", "json"]).await.json();
    assert_eq!((&json["events"], &json["tags"][0]["fired_before"]), (&json!(1), &json!(1)));

    let forgotten = shop.tidegate(&["forget", "--event-id", "id-of-ada"]).await;
    assert!(forgotten.code == Some(0) && forgotten.out.contains("\n1 kept hit forgotten"), "{forgotten:?}");
    shop.stop().await;
    let again = shop.tidegate(&["forget", "--event-id", "id-of-ada", "--format", "json"]).await;
    assert_eq!((again.code, &again.json()["kept"]), (Some(1), &json!(0)));
    let told = shop.tidegate(&["impact", "--against-folder", &against]).await;
    let nothing = "impact: no hits are kept in this data folder, so nothing can be said\na server keeps hits";
    assert!(told.out.starts_with(nothing), "{told:?}");
    shop.close_leaving(Left::default()).await;
}

/// One address, in every spelling in which it may arrive.
const SPELLINGS: [&str; 9] = [
    "zq7ada@example.com",
    "ZQ7ADA@EXAMPLE.COM",
    "zq7ada%40example.com",
    "zq7ada%2540example.com",
    "<zq7ada@example.com>",
    "mailto:zq7ada@example.com?subject=x",
    "zq7ada\u{FF20}example.com",
    "zq7ada_at_example.com",
    "zq7ada at example dot com",
];

#[tokio::test(flavor = "multi_thread")]
async fn an_address_stands_nowhere_wherever_it_was_sent() {
    let shop = Shop::open_at(Place::with_rules(RULES)).await;
    let base = format!("http://{}", shop.sites());
    for consent in [
        json!({"ad_storage": "granted", "ad_user_data": "granted", "analytics_storage": "granted"}),
        json!({"ad_storage": "denied"}),
    ] {
        for spelling in SPELLINGS {
            let nested = json!({spelling: {spelling: [spelling, {spelling: spelling}]}, "plan": spelling});
            let event = json!({
                "event": "sign_up", "event_id": spelling, "transaction_id": spelling, "client_id": spelling, "user_id": spelling,
                "page_location": format!("https://www.example.com/{spelling}?e={spelling}#{spelling}"), "page_referrer": spelling,
                "page_title": spelling, "value": spelling, "currency": spelling, "coupon": spelling, "search_term": spelling,
                "items": [{"item_id": spelling, "item_name": spelling, "price": spelling, spelling: spelling, "more": nested}],
                "user_data": {"email_address": spelling, spelling: spelling}, "custom_dimension": spelling, "list": [spelling, [spelling]],
                spelling: spelling, "custom": nested, "consent": consent, "consent_answered": true,
            });
            for body in [event, json!({"event": spelling, "x": spelling, "consent": consent})] {
                let request = shop.post(&body).header("referer", "https://www.example.com/zq7ada@example.com");
                let request = request.header("user-agent", "zq7ada@example.com").header("x-name", "zq7ada@example.com");
                let status = request
                    .header("cookie", "who=zq7ada@example.com; _ga=GA1.1.zq7ada.5")
                    .send()
                    .await
                    .expect("an answer")
                    .status();
                assert!(status == 204 || status == 400, "{status}: {body}");
            }
        }
        let text = "zq7ada%40example.com";
        let parameters = format!(
            "v=2&tid=G-T&cid={text}&uid={text}&sid=1&_p=1&_s=1&en=sign_up&dl=https%3A%2F%2Fwww.example.com%2F{text}&dr={text}&dt={text}&ep.mail={text}&ep.{text}={text}&up.x={text}&pr1=nm{text}~id{text}&gcs=G111"
        );
        for address in [
            format!("{base}/g/collect?{parameters}"),
            format!("{base}/p.gif?event=sign_up&ad_storage=granted&plan={text}&{text}={text}"),
        ] {
            let status = shop
                .http
                .get(&address)
                .header("cookie", "who=zq7ada@example.com")
                .send()
                .await
                .expect("an answer")
                .status();
            assert!(status.is_success(), "{status}: {address}");
        }
    }
    shop.service().app.history.flush().await;
    let names = ["history.db", "history.db-wal", "history.db-shm"].map(|name| shop.place.data().join(name));
    let bytes = names.into_iter().filter_map(|path| fs::read(path).ok()).collect::<Vec<_>>().concat();
    let bytes = String::from_utf8_lossy(&bytes).to_lowercase();
    assert!(bytes.contains("custom_dimension"), "there is a history");
    let around = |(at, _): (usize, &str)| bytes.get(at.saturating_sub(60)..at + 40).map(str::to_owned);
    let found: Vec<_> = bytes.match_indices("zq7ada").map(around).collect();
    assert!(found.is_empty(), "{found:?}");
    shop.close().await;
}
