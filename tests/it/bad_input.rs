//! Bad input: what is refused, in which words, and that nothing of it was accepted. After each of these the server goes
//! on as if nothing had happened.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate::settings::Stated;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::harness::{HOST, Place, Shop, Wire, purchase, raw_hit};

/// Words of the container and of the machine, of which no answer may speak.
const CONTAINER_WORDS: [&str; 9] =
    ["openai", "click id", "px-shop", "ad_storage", "tags/", "rules", "/tmp", "folder-", "trigger"];

fn tells_nothing_of_the_container(answer: &str) {
    let told = answer.to_lowercase();
    assert!(!CONTAINER_WORDS.iter().any(|word| told.contains(word)), "{answer}");
}

/// A good hit arrives, and it is the first and only one.
async fn nothing_was_accepted(shop: &Shop) {
    shop.accept(&purchase("good")).await;
    shop.wait_for(1).await;
    assert_eq!(shop.stored_ids(), ["good"]);
}

/// What a bad hit is answered: the status, and the field that it names.
async fn refused(shop: &Shop, body: impl Into<reqwest::Body>) -> (u16, Option<String>) {
    let answer = shop.post_text(body).send().await.expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a body");
    let error: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"));
    assert!(error["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{text}");
    (status, error["error"]["field"].as_str().map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_hit_is_told_which_field_is_wrong() {
    let shop = Shop::open().await;
    let with = |field: &str, value: Value| {
        let mut hit = purchase("bad");
        hit[field] = value;
        hit
    };
    let events = |events: Value| json!({ "events": events });
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let cases = [
        (json!([]), None),
        (json!("purchase"), None),
        (json!(null), None),
        (json!({}), Some("event")),
        (with("event", json!(7)), Some("event")),
        (with("event", json!("")), Some("event")),
        (with("event", json!("x".repeat(101))), Some("event")),
        (with("event_id", json!({})), Some("event_id")),
        (with("event_id", json!("")), Some("event_id")),
        (with("event_id", json!("x".repeat(257))), Some("event_id")),
        (with("consent", json!("granted")), Some("consent")),
        (with("consent", json!({"ad_storage": "yes"})), Some("consent.ad_storage")),
        (with("consent", json!({"ad_storage": true})), Some("consent.ad_storage")),
        (with("consent_answered", json!("yes")), Some("consent_answered")),
        (with("event_time", json!("yesterday")), Some("event_time")),
        (with("sent_at", json!([])), Some("sent_at")),
        (with("deep", nested(32)), None),
        (with("events", json!([])), Some("event")),
        (events(json!({})), Some("events")),
        (events(json!([])), Some("events")),
        (events(json!(vec![purchase("many"); 101])), Some("events")),
        (events(json!([purchase("first"), 7])), Some("events[1]")),
        (events(json!([purchase("first"), {"event": null}])), Some("events[1].event")),
        (
            events(json!([purchase("first"), {"event": "e", "consent": {"ad_user_data": 1}}])),
            Some("events[1].consent.ad_user_data"),
        ),
    ];
    for (hit, field) in cases {
        assert_eq!(refused(&shop, hit.to_string()).await, (400, field.map(str::to_owned)), "{hit}");
    }
    nothing_was_accepted(&shop).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_json_is_refused() {
    let shop = Shop::open().await;
    let deep = "[".repeat(200_000);
    let bodies: [&[u8]; 11] = [
        b"",
        b"{",
        b"{\"event\": \"purchase\"} trailing",
        b"event=purchase",
        b"{'event': 'purchase'}",
        b"{\"event\": NaN}",
        b"{\"event\": \"\xff\xfe\"}",
        b"{\"event\": \"a\0b\"}",
        b"\0\0\0\0",
        b"\xef\xbb\xbf{\"event\": \"purchase\"}",
        deep.as_bytes(),
    ];
    for body in bodies {
        let (status, field) = refused(&shop, body.to_vec()).await;
        assert_eq!((status, field), (400, None), "{}", String::from_utf8_lossy(&body[..body.len().min(40)]));
    }
    nothing_was_accepted(&shop).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_themselves_are_within_the_limits() {
    let shop = Shop::open().await;
    let events: Vec<Value> = (0..100).map(|nth| purchase(&format!("e-{nth}"))).collect();
    shop.accept(&json!({ "events": events })).await;
    let mut hit = purchase("deep");
    hit["deep"] = (0..31).fold(json!(1), |inner, _| json!([inner]));
    shop.accept(&hit).await;
    let mut hit = purchase("large");
    hit["filler"] = "x".repeat(1_000_000 - hit.to_string().len() - r#","filler":"""#.len()).into();
    assert_eq!(hit.to_string().len(), 1_000_000);
    shop.accept(&hit).await;
    shop.wait_for(102).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_body_is_refused_before_it_is_read_and_its_sender_sees_that() {
    let shop = Shop::open().await;
    let mut wire = Wire::connect(shop.sites()).await;
    wire.send(format!("POST /hit HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 3000000\r\n\r\n")).await;
    let answer = wire.answer().await.expect("an answer without a byte of the body");
    assert_eq!(answer.status, 413);
    tells_nothing_of_the_container(&answer.body);
    // Who sends on without looking must not find the connection broken: few clients read an answer then.
    for _ in 0..30 {
        assert!(wire.try_send(&[b' '; 100_000]).await, "the connection broke under the sender");
    }
    assert!(wire.is_closed().await);

    assert_eq!(refused(&shop, vec![b' '; 3_000_000]).await, (413, None));
    let mut wire = Wire::connect(shop.sites()).await;
    wire.send(format!("POST /hit HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n")).await;
    for _ in 0..30 {
        assert!(wire.try_send(format!("186a0\r\n{}\r\n", " ".repeat(100_000))).await, "the connection broke");
    }
    wire.send("0\r\n\r\n").await;
    assert_eq!(wire.answer().await.map(|answer| answer.status), Some(413));
    nothing_was_accepted(&shop).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_end_is_cut_off() {
    let shop = Shop::open().await;
    let mut wire = Wire::connect(shop.sites()).await;
    wire.send(format!("POST /hit HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n")).await;
    let chunk = format!("f4240\r\n{}\r\n", " ".repeat(1_000_000));
    let mut sent = 0;
    while wire.try_send(&chunk).await {
        sent += 1;
        assert!(sent < 200, "two hundred megabytes were read");
    }
    nothing_was_accepted(&shop).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_methods_and_media_types_that_are_not_ours_are_refused() {
    let shop = Shop::open().await;
    let url = |path: &str| format!("http://{}{path}", shop.sites());
    let body = purchase("wrong").to_string();
    for path in ["/", "/hits", "/hit/", "/hit/x", "/HIT", "//hit", "/metrics", "/hit%00"] {
        let answer = shop.http.post(url(path)).body(body.clone()).send().await.expect("an answer");
        assert_eq!(answer.status(), 404, "{path}");
        tells_nothing_of_the_container(&answer.text().await.expect("a body"));
    }
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "PURGE"] {
        let method = method.parse().expect("a method");
        let answer = shop.http.request(method, url("/hit")).body(body.clone()).send().await.expect("an answer");
        assert_eq!((answer.status().as_u16(), &answer.headers()["allow"]), (405, &"POST, OPTIONS".parse().expect("")));
        tells_nothing_of_the_container(&answer.text().await.expect("a body"));
    }
    for kind in ["application/xml", "multipart/form-data; boundary=x", "image/gif", "json"] {
        let answer = shop.post_text(body.clone()).header("content-type", kind).send().await.expect("an answer");
        assert_eq!(answer.status(), 415, "{kind}");
        tells_nothing_of_the_container(&answer.text().await.expect("a body"));
    }
    nothing_was_accepted(&shop).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_sends_too_much_is_slowed_down() {
    let stated = Stated { rate_limit: "1".parse().ok(), ..Stated::default() };
    let shop = Shop::open_with(Place::own_rules(), stated).await;
    let hits = (0..20).map(|nth| shop.post(&purchase(&format!("r-{nth}"))).send());
    let answers = futures_util::future::join_all(hits).await;
    let mut accepted = 0;
    for answer in answers {
        let answer = answer.expect("an answer");
        match answer.status().as_u16() {
            204 => accepted += 1,
            429 => {
                assert_eq!(answer.headers()["retry-after"], "1");
                tells_nothing_of_the_container(&answer.text().await.expect("a body"));
            }
            other => panic!("{other}"),
        }
    }
    assert!((1..20).contains(&accepted), "{accepted} of 20");
    shop.wait_for(accepted).await;
    assert_eq!(shop.stored().len() as u64, accepted);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_that_cannot_be_made_durable_is_answered_503() {
    let stated = Stated { disk_reserve: Some(u64::MAX), ..Stated::default() };
    let shop = Shop::open_with(Place::own_rules(), stated).await;
    let answer = shop.post(&purchase("nowhere")).send().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &"1".parse().expect("a value")));
    let body = answer.text().await.expect("a body");
    assert!(!body.contains("disk"), "{body}");
    tells_nothing_of_the_container(&body);
    assert_eq!(shop.ready().await.0, 503);
    assert_eq!(shop.standin.requests().attempts, 0);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_no_http_or_too_long_end_the_connection() {
    let shop = Shop::open().await;
    let many: String = (0..500).map(|nth| format!("X-{nth}: y\r\n")).collect();
    let long = "x".repeat(2_000_000);
    let heads = [
        format!("POST /hit HTTP/1.1\r\nHost: {HOST}\r\n{many}Content-Length: 2\r\n\r\n{{}}"),
        format!("POST /hit HTTP/1.1\r\nHost: {HOST}\r\nX-Long: {long}\r\n\r\n"),
        format!("GET /{long} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"),
        format!("POST /hit HTTP/1.1\r\nHost: {HOST}\r\nX-Nul: a\0b\r\nContent-Length: 2\r\n\r\n{{}}"),
        format!("POST /hit HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}"),
        format!("POST /hit HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: -1\r\n\r\n{{}}"),
        format!("POST /hit HTTP/1.1\r\nHost: {HOST}\r\nX Space: y\r\nContent-Length: 2\r\n\r\n{{}}"),
        "\0\0\0\0\0\0\0\0\r\n\r\n".to_owned(),
        "\x16\x03\x01\x02\x00\x01\x00\x01\u{7f}\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
    ];
    for head in heads {
        let mut wire = Wire::connect(shop.sites()).await;
        wire.send(&head).await;
        let shown = &head[..head.len().min(60)];
        if let Some(answer) = wire.answer().await {
            assert!((400..=431).contains(&answer.status) || answer.status == 505, "{shown:?}: {answer:?}");
            tells_nothing_of_the_container(&answer.body);
            assert!(wire.is_closed().await, "{shown:?}");
        }
    }
    nothing_was_accepted(&shop).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_must_be_framed_in_one_way() {
    let shop = Shop::open().await;
    let inner = raw_hit(&purchase("smuggled").to_string());
    // What a proxy in front reads as one request must not be two for us, so the connection must not be used again.
    let mut wire = Wire::connect(shop.sites()).await;
    let head = format!(
        "POST /hit HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        inner.len() + 5
    );
    wire.send([head, inner].concat()).await;
    while let Some(answer) = wire.answer().await {
        assert_eq!(answer.status, 400);
    }
    nothing_was_accepted(&shop).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_hits_are_answered_in_order() {
    let shop = Shop::open().await;
    let mut wire = Wire::connect(shop.sites()).await;
    let (first, third) = (purchase("p-1").to_string(), purchase("p-3").to_string());
    wire.send([raw_hit(&first), raw_hit("{"), raw_hit(&third)].concat()).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(wire.answer().await.expect("an answer").status);
    }
    assert_eq!(statuses, [204, 400, 204]);
    shop.wait_for(2).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_cap_wait_for_their_turn() {
    let stated = Stated { max_connections: std::num::NonZeroUsize::new(2), ..Stated::default() };
    let shop = Shop::open_with(Place::own_rules(), stated).await;
    let mut open = Vec::new();
    for nth in 0..2 {
        let mut wire = Wire::connect(shop.sites()).await;
        wire.send(raw_hit(&purchase(&format!("c-{nth}")).to_string())).await;
        assert_eq!(wire.answer().await.expect("an answer").status, 204);
        open.push(wire);
    }
    let mut third = Wire::connect(shop.sites()).await;
    third.send(raw_hit(&purchase("c-2").to_string())).await;
    // A missing cap would answer within a few milliseconds.
    assert!(timeout(Duration::from_millis(500), third.answer()).await.is_err());
    open.pop();
    assert_eq!(third.answer().await.expect("an answer").status, 204);
    shop.wait_for(3).await;
    drop((open, third));
    shop.close().await;
}

// Time is paused below: it passes as soon as everyone waits.

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_arrive_in_time_ends_the_connection() {
    let shop = Shop::open().await;
    let mut wire = Wire::connect(shop.sites()).await;
    let started = Instant::now();
    let mut bytes =
        format!("POST /hit HTTP/1.1\r\nHost: {HOST}\r\nX-Slow: {}", "x".repeat(1_000)).into_bytes().into_iter();
    while timeout(Duration::from_millis(500), wire.is_closed()).await != Ok(true) {
        wire.send([bytes.next().expect("the connection is closed at last")]).await;
    }
    let took = started.elapsed().as_secs();
    assert!((14..=17).contains(&took), "{took} s");
    shop.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_in_time_is_refused() {
    let shop = Shop::open().await;
    let mut wire = Wire::connect(shop.sites()).await;
    let hit = raw_hit(&purchase("slow").to_string());
    let (start, rest) = hit.split_at(hit.len() - 40);
    wire.send(start).await;
    let started = Instant::now();
    for byte in rest.bytes().take(19) {
        wire.send([byte]).await;
        sleep(Duration::from_millis(500)).await;
    }
    let answer = wire.answer().await.expect("an answer");
    assert_eq!((answer.status, started.elapsed().as_secs()), (408, 10));
    tells_nothing_of_the_container(&answer.body);
    assert!(wire.is_closed().await);
    assert_eq!(shop.standin.requests().attempts, 0);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_bodies_take_a_bounded_room_and_no_hit_that_comes_whole() {
    let shop = Shop::open().await;
    let head = format!("POST /hit HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 16000\r\n\r\n");
    let mut held = JoinSet::new();
    for _ in 0..1_200 {
        let mut wire = Wire::connect(shop.sites()).await;
        wire.send(&head).await;
        wire.send("x".repeat(15_000)).await;
        held.spawn(async move { (wire.answer().await.expect("an answer"), wire) });
    }
    // Without a bound all of them would be answered 408, once their time is over; on a slow machine that of the first is.
    let (answer, mut wire) = loop {
        let (answer, wire) = held.join_next().await.expect("one that has no room").expect("no panic");
        if answer.status != 408 {
            break (answer, wire);
        }
    };
    assert_eq!(answer.status, 503);
    assert!(wire.is_closed().await);
    tells_nothing_of_the_container(&answer.body);
    shop.accept(&purchase("whole")).await;
    shop.wait_for(1).await;
    // Whoever goes away makes room.
    held.shutdown().await;
    let again = async { while shop.post_text("x".repeat(15_000)).send().await.expect("an answer").status() == 503 {} };
    timeout(Duration::from_secs(10), again).await.expect("there is room again");
    shop.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_left_idle_is_closed() {
    let shop = Shop::open().await;
    let mut wire = Wire::connect(shop.sites()).await;
    wire.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(wire.answer().await.expect("an answer").status, 200);
    let started = Instant::now();
    assert!(wire.is_closed().await);
    let took = started.elapsed().as_secs();
    assert!((14..=17).contains(&took), "{took} s");
    shop.close().await;
}
