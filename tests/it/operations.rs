//! Running it: probes, metrics, stopping, reloading, settings, logs, and what must never be written anywhere.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use axum::{body::Body, extract::ConnectInfo, http::Request};
use rustix::process::Signal;
use serde_json::{Value, json};
use tidegate::{
    admin,
    standin::{Failure, Lasting},
};
use tokio::net::TcpStream;
use tower::ServiceExt;

use crate::harness::{
    KEY, Left, Load, PATIENCE, Place, Server, Shop, Wire, all_granted, environment, purchase, raw_hit, run, serve,
    stored_accounts, strict_standin,
};

async fn text_of(shop: &Shop, address: SocketAddr, path: &str) -> (u16, String) {
    let answer = shop.http.get(format!("http://{address}{path}")).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_say_little_and_metrics_everything() {
    let shop = Shop::open().await;
    assert_eq!(text_of(&shop, shop.sites(), "/healthz").await, (200, "alive\n".to_owned()));
    let version = shop.service().app.container().version.to_string();
    assert_eq!(shop.ready().await, (200, format!("ready {version}\n")));
    assert_eq!(text_of(&shop, shop.sites(), "/metrics").await.0, 404, "sites see no metrics");

    shop.accept(&purchase("measured")).await;
    let bad = shop.post_text("{").send().await.expect("an answer");
    assert_eq!(bad.status(), 400);
    shop.wait_for(1).await;
    let text = shop.metrics().await;
    let names: String = text.lines().filter(|line| line.starts_with("# ")).map(|line| format!("{line}\n")).collect();
    insta::assert_snapshot!("metrics", names);
    for line in [
        r#"tidegate_hits_total{client="dataLayer",outcome="accepted"} 1"#,
        r#"tidegate_hits_total{client="dataLayer",outcome="bad"} 1"#,
        r#"tidegate_tags_total{tag="OpenAI purchase",outcome="ran"} 1"#,
        "tidegate_outbox_writable 1",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    assert!(text.ends_with("# EOF\n"));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_for_this_machine_and_its_own_names() {
    let shop = Shop::open().await;
    for (host, status) in [
        ("localhost", 200),
        ("127.0.0.1:8081", 200),
        ("[::1]:8081", 200),
        ("evil.test", 421),
        ("localhost.evil.test", 421),
        ("127.0.0.1.evil.test", 421),
        ("", 421),
    ] {
        let mut wire = Wire::connect(shop.admin()).await;
        wire.send(format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(wire.answer().await.expect("an answer").status, status, "{host}");
    }
    for (peer, status) in [("127.0.0.1:5000", 200), ("[::ffff:127.0.0.1]:5000", 200), ("192.0.2.7:5000", 403)] {
        let mut request = Request::get("/metrics").header("host", "localhost").body(Body::empty()).expect("a request");
        request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer.parse().expect("an address")));
        let routes = admin::routes(Arc::clone(&shop.service().app), shop.admin(), None);
        assert_eq!(routes.oneshot(request).await.expect("an answer").status(), status, "{peer}");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_drains_it_is_not_ready_and_goes_on_and_a_second_signal_ends_it_at_once() {
    // The drain would outlast every patience.
    let mut shop = Shop::spawn(Place::own_rules(), &["--drain", "86400"]).await;
    shop.server().signal(Signal::TERM);
    shop.server().logs(|line| line.contains("a second signal stops at once")).await;
    let ready = async { while shop.ready().await.0 == 200 {} };
    tokio::time::timeout(PATIENCE, ready).await.expect("not ready");
    assert_eq!(shop.ready().await, (503, "not ready\n".to_owned()));
    assert_eq!(text_of(&shop, shop.sites(), "/healthz").await.0, 200);
    shop.accept(&purchase("drained")).await;
    shop.wait_for(1).await;

    // A signal that follows at once may be an echo of the first; a person goes on asking.
    let log = shop.take_server().signalled_until_ended(Signal::TERM).await;
    assert!(log.iter().any(|line| line.contains("stopped at once")), "{log:#?}");
    // It was delivered; whether that was written down in time is left open.
    shop.start(&[]).await;
    shop.stop().await;
    let duplicates = shop.standin.requests().duplicates;
    assert!(duplicates <= 1);
    shop.close_leaving(Left { duplicates, ..Left::default() }).await;
}

/// A server that was told to stop, and the connection on which the rest of a hit is still to come.
async fn stopping_amid_a_hit(shop: &mut Shop) -> (Server, Wire, String) {
    let mut wire = Wire::connect(shop.sites()).await;
    // A hit before it on the same connection, so that the server is known to have taken the connection.
    wire.send(raw_hit(r#"{"event": "unknown"}"#)).await;
    assert_eq!(wire.answer().await.expect("an answer").status, 204);
    let mut hit = raw_hit(&purchase("arriving").to_string());
    let rest = hit.split_off(hit.len() - 10);
    wire.send(hit).await;

    let sites = shop.sites();
    let server = shop.take_server();
    server.signal(Signal::TERM);
    let refused = async { while TcpStream::connect(sites).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, refused).await.expect("no new connections");
    (server, wire, rest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_requests_and_deliveries_in_flight() {
    let mut shop = Shop::spawn(Place::own_rules(), &[]).await;
    shop.standin.fail_with(Failure::Hold, Lasting::UntilCleared);
    shop.accept(&purchase("delivering")).await;
    shop.standin.wait_until(PATIENCE, |counts| counts.in_flight == 1).await.expect("a delivery is under way");
    let (mut server, mut wire, rest) = stopping_amid_a_hit(&mut shop).await;
    wire.send(rest).await;
    assert_eq!(wire.answer().await.expect("an answer").status, 204);
    assert!(wire.is_closed().await);
    assert!(server.stays().await, "a delivery is still under way");
    shop.standin.clear_failures();
    let (status, log) = server.ended().await;
    assert_eq!(status.code(), Some(0), "{log:#?}");
    assert_eq!(shop.stored_ids(), ["delivering"]);
    let pending: u64 = stored_accounts(&shop.place.data()).iter().map(|account| account.pending).sum();
    assert_eq!(pending, 1, "what was delivered is settled");

    // The hit that arrived last is durable, and due at the next start.
    shop.start(&[]).await;
    shop.wait_for(2).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_a_request_alone_and_leaves_one_file() {
    let mut shop = Shop::spawn(Place::own_rules(), &[]).await;
    let (mut server, mut wire, rest) = stopping_amid_a_hit(&mut shop).await;
    assert!(server.stays().await, "a request is still under way");
    wire.send(rest).await;
    assert_eq!(wire.answer().await.expect("an answer").status, 204);
    assert_eq!(server.ended().await.0.code(), Some(0));
    assert!(!shop.place.data().join("outbox.db-wal").exists(), "the write-ahead log is copied into the file");
    // It came too late to be delivered, or just in time.
    shop.start(&[]).await;
    shop.wait_for(1).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_stays_on_this_machine() {
    let place = Place::own_rules();
    let addresses = [("TIDEGATE_LISTEN", "127.0.0.1:0"), ("TIDEGATE_ADMIN", "0.0.0.0:0")];
    let data = place.data();
    let data = [("TIDEGATE_DATA", data.to_str().expect("a path in text"))];
    let ran = run(&place, &["serve"], &[&environment()[..], &addresses, &data].concat(), "").await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("--admin must be a loopback address, not 0.0.0.0"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_are_exchanged_under_way_and_broken_ones_never_go_live() {
    let shop = Shop::spawn(Place::own_rules(), &[]).await;
    let load = Load::start(&shop, 2, "reload", purchase);
    let is_live = |line: &str| line.contains("is live");
    for reload in 1..=5 {
        shop.place.write("rules/extra.yaml", &format!("triggers: {{ Extra {reload}: {{ event: extra }} }}\n"));
        shop.server().signal(Signal::HUP);
        shop.server().logs_times(1 + reload, is_live).await;
    }
    let before = shop.ready().await;
    shop.place.write("rules/extra.yaml", "tags: { Broken: { template: nowhere } }\n");
    shop.server().signal(Signal::HUP);
    let line = shop.server().logs(|line| line.contains("not reloaded")).await;
    assert_eq!(shop.ready().await, before);
    assert!(shop.metrics().await.contains("tidegate_reload_failures_total 1"));
    assert!(serde_json::from_str::<Value>(&line).expect("JSON")["level"] == "ERROR", "{line}");

    let sent = load.end_unbroken().await;
    shop.wait_for(sent as u64).await;
    // Every version is another one.
    let live = shop.server().logs_times(6, is_live).await;
    let versions: std::collections::BTreeSet<String> = live
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["message"].as_str().expect("text").to_owned())
        .collect();
    assert_eq!(versions.len(), 6, "{live:#?}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_beats_the_environment_which_beats_the_file() {
    let place = Place::own_rules();
    let folder = |name: &str| place.path().join(name);
    let text = |path: &Path| path.to_str().expect("a path").to_owned();
    let (in_file, in_environment, in_flag) = (folder("in-file"), folder("in-environment"), folder("in-flag"));
    let settings = folder("settings.yaml");
    fs::write(&settings, format!("data: {}\ndrain: 0\n", text(&in_file))).expect("a file");
    let (settings, variable, flag) = (text(&settings), text(&in_environment), text(&in_flag));
    let stop = async |server: Result<Server, Vec<String>>| {
        let server = server.unwrap_or_else(|log| panic!("{log:#?}"));
        server.signal(Signal::INT);
        assert_eq!(server.ended().await.0.code(), Some(0));
    };
    let shop_environment = [&environment()[..], &[("TIDEGATE_SETTINGS", &*settings)]].concat();
    let with_data = [&shop_environment[..], &[("TIDEGATE_DATA", &*variable)]].concat();

    stop(serve(&place, &[], &shop_environment).await).await;
    assert_eq!((in_file.exists(), in_environment.exists(), in_flag.exists()), (true, false, false));
    stop(serve(&place, &[], &with_data).await).await;
    assert_eq!((in_environment.exists(), in_flag.exists()), (true, false));
    stop(serve(&place, &["--data", &flag], &with_data).await).await;
    assert!(in_flag.exists());
}

/// A key must not travel by way of a host that the operator did not name to Tidegate.
#[tokio::test(flavor = "multi_thread")]
async fn proxies_of_the_environment_are_not_used() {
    let mut shop = Shop::closed(Place::own_rules(), strict_standin()).await;
    // Nobody listens there.
    let proxies = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"].map(|name| (name, "http://127.0.0.1:1"));
    shop.start_in(&[], &[&environment()[..], &proxies].concat()).await;
    shop.accept(&purchase("direct")).await;
    shop.wait_for(1).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_id_leads_from_a_hit_to_its_delivery() {
    let shop = Shop::spawn(Place::own_rules(), &["--log", "info,tidegate=debug"]).await;
    // Two hits in one batch: each of them is told of.
    shop.standin.fail_with(Failure::Hold, Lasting::UntilCleared);
    shop.accept(&purchase("first")).await;
    shop.standin.wait_until(PATIENCE, |counts| counts.in_flight == 1).await.expect("a delivery is under way");
    shop.accept(&purchase("second")).await;
    shop.accept(&purchase("third")).await;
    shop.standin.clear_failures();
    shop.wait_for(3).await;
    let delivered = shop
        .server()
        .logs_times(3, |line| line.contains("delivered to openai:px-shop") && line.contains("order_created"));
    let delivered = delivered.await;
    let hit_of = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        line["hit"].as_str().unwrap_or_else(|| panic!("no hit in {line}")).to_owned()
    };
    for line in &delivered {
        let hit = hit_of(line);
        let decided = shop.server().logs(|line| line.contains("ran: 1 call") && hit_of(line) == hit).await;
        assert!(decided.contains("OpenAI purchase"), "{decided}");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_and_the_log_name_the_hit_that_was_refused() {
    let shop = Shop::spawn(Place::own_rules(), &["--log", "info,tidegate=debug"]).await;
    let answer = shop.post_text(r#"{"event": ""}"#).send().await.expect("an answer");
    assert_eq!(answer.status(), 400);
    let line = shop.server().logs(|line| line.contains("refused") && line.contains("event: must be")).await;
    assert!(serde_json::from_str::<Value>(&line).expect("JSON")["hit"].is_string(), "{line}");
    shop.close().await;
}

/// A constant that looks like a reference, which `check` warns of.
const WARNED_OF: &str = r#"variables: { Literal: { constant: ["{{Shop}}"] } }"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_any_more_stops_nothing() {
    let mut shop = Shop::spawn(Place::own_rules(), &["--log", "trace"]).await;
    shop.server_mut().stop_listening().await;
    for nth in 0..10 {
        shop.accept(&purchase(&format!("unread-{nth}"))).await;
    }
    shop.wait_for(10).await;
    // A container with something to say about it goes live all the same.
    let before = shop.ready().await;
    shop.place.write("rules/extra.yaml", WARNED_OF);
    shop.server().signal(Signal::HUP);
    let live = async { while shop.ready().await == before {} };
    tokio::time::timeout(PATIENCE, live).await.expect("it goes live");
    shop.close().await;
}

/// Personal values that a hit brings, as they came and as they may have been rewritten.
const PERSONAL: [&str; 7] = [
    "ada@example.com",
    "ada%40example.com",
    "Ada@Example.com",
    "+442079460958",
    "442079460958",
    "Lovelace",
    "lovelace",
];

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_personal_values_are_written_nowhere() {
    let mut shop = Shop::spawn(Place::own_rules(), &["--log", "trace"]).await;
    let hit = |id: &str| {
        json!({
            "event": "purchase",
            "event_id": id,
            "page_location": "https://www.example.com/thanks?email=ada%40example.com#ada@example.com",
            "page_referrer": "https://www.example.com/pay?email=ada@example.com",
            "value": 20,
            "currency": "EUR",
            "user_data": {
                "email_address": "Ada@Example.com",
                "phone_number": "+442079460958",
                "address": {"first_name": "Ada", "last_name": "Lovelace"},
            },
            "note": "ada@example.com",
            "consent": all_granted(),
        })
    };
    let mut answers = Vec::new();
    let mut send = async |shop: &Shop, body: String| {
        let answer = shop.post_text(body).header("accept", "application/json").send().await.expect("an answer");
        answers.push(format!("{:?} {}", answer.headers().clone(), answer.text().await.expect("a body")));
    };
    // One that dies, one that waits, and some that are refused while they tell of somebody.
    shop.standin.fail_with(Failure::RefuseEvents { words: "no".to_owned() }, Lasting::Requests(1));
    send(&shop, hit("dead").to_string()).await;
    shop.standin.wait_until(PATIENCE, |counts| counts.refused == 1).await.expect("it is refused");
    shop.standin.fail_with(Failure::Hold, Lasting::UntilCleared);
    send(&shop, hit("waiting").to_string()).await;
    shop.standin.wait_until(PATIENCE, |counts| counts.in_flight == 1).await.expect("a delivery is under way");
    for (field, value) in [
        ("event", json!({"ada@example.com": 1})),
        ("event_time", json!("ada@example.com")),
        ("consent", json!({"ad_storage": "ada@example.com"})),
        ("consent", json!({"ada@example.com": "granted"})),
        ("consent_answered", json!("ada@example.com")),
    ] {
        let mut bad = hit("bad");
        bad[field] = value;
        send(&shop, bad.to_string()).await;
    }
    send(&shop, r#"{"event": "ada@example.com" "#.to_owned()).await;
    send(&shop, r#"{"event": ada@example.com}"#.to_owned()).await;

    let clean = |place: &str, bytes: &[u8]| {
        for value in PERSONAL.iter().chain([&KEY]) {
            let found = bytes.windows(value.len()).any(|window| window == value.as_bytes());
            assert!(!found, "{value} stands in {place}: {}", String::from_utf8_lossy(bytes));
        }
    };
    clean("the answers", answers.join("\n").as_bytes());
    let list = shop.tidegate(&["deliveries", "list"]).await;
    let show = shop.tidegate(&["deliveries", "show", "1"]).await;
    assert_eq!((list.code, show.code), (Some(0), Some(0)));
    clean("the command line", [list.out, show.out].concat().as_bytes());
    let data = shop.place.data();
    let files = || fs::read_dir(&data).expect("a folder").map(|entry| entry.expect("an entry").path());
    for file in files().filter(|path| path.is_file()) {
        clean(&file.display().to_string(), &fs::read(&file).expect("a file"));
    }
    clean("the metrics", shop.metrics().await.as_bytes());

    shop.standin.clear_failures();
    shop.wait_for(1).await;
    let log = shop.stop().await;
    assert!(log.len() > 20, "{log:#?}");
    clean("the log", log.join("\n").as_bytes());
    for file in files().filter(|path| path.is_file()) {
        clean(&file.display().to_string(), &fs::read(&file).expect("a file"));
    }
    let refusals = shop.standin.requests().refused;
    shop.close_leaving(Left { dead: 1, refusals, ..Left::default() }).await;
}
