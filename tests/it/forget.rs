//! Forgetting somebody: from the queue, the dead letters and the files, with and without a server; and what stays of it.

use std::fs;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tidegate::standin::{Failure, Lasting};

use crate::harness::{Left, PATIENCE, PIXEL, Place, Shop, environment, purchase, run};

const ADA: &str = "ada@example.com";
/// SHA-256 of it, which is what is sent.
const DIGEST: &str = "b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72";
const CLICK: &str = "gAAAABclick-of-ada";

fn order(id: &str, email: &str, click: &str) -> Value {
    let mut hit = purchase(id);
    hit["page_location"] = json!(format!("https://www.example.com/thanks?oppref={click}"));
    hit["user_data"] = json!({"email_address": email});
    hit
}

async fn forget(shop: &Shop, arguments: &[&str]) -> (Option<i32>, Value) {
    let ran = shop.tidegate(&[&["forget"], arguments, &["--format", "json"]].concat()).await;
    assert_eq!(ran.err, "", "{ran:?}");
    (ran.code, ran.json())
}

fn counts(report: &Value) -> [u64; 3] {
    ["pending", "dead", "in_flight"].map(|key| report[key].as_u64().expect("a count"))
}

/// Whether a text stands in any file of the data folder.
fn is_on_disk(place: &Place, text: &str) -> bool {
    let files = fs::read_dir(place.data()).expect("a data folder").map(|entry| entry.expect("an entry").path());
    // A socket cannot be read.
    files.filter_map(|path| fs::read(path).ok()).any(|bytes| memchr::memmem::find(&bytes, text.as_bytes()).is_some())
}

/// One dead letter and two pending calls of Ada's, as many of Bob's, and nothing being sent.
async fn open(shop: &Shop) {
    shop.standin.fail_with(Failure::RefuseEvents { words: "not today".to_owned() }, Lasting::Requests(2));
    for (nth, (id, email)) in [("ada-1", ADA), ("bob-1", "bob@example.com")].into_iter().enumerate() {
        shop.accept(&order(id, email, &format!("gAAAAB-{id}"))).await;
        shop.standin.wait_until(PATIENCE, |counts| counts.refused == nth as u64 + 1).await.expect("it is refused");
    }
    let not_found =
        Failure::Status { status: StatusCode::NOT_FOUND, retry_after: None, words: "Pixel not found".to_owned() };
    shop.standin.fail_pixel(PIXEL, not_found, Lasting::UntilCleared);
    shop.accept(&order("ada-2", &ADA.to_uppercase(), "gAAAAB-other")).await;
    shop.accept(&order("ada-3", ADA, CLICK)).await;
    shop.accept(&order("bob-2", "bob@example.com", CLICK)).await;
    shop.accept(&order("bob-3", "nada@example.com", "gAAAAB-other")).await;
    // Paused: it will not be tried again before a minute has passed.
    let paused = async { while !accounts(shop).await.contains("PAUSED") {} };
    tokio::time::timeout(PATIENCE, paused).await.expect("the account is paused");
}

async fn accounts(shop: &Shop) -> String {
    shop.tidegate(&["deliveries", "list"]).await.out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_forgotten_while_the_server_runs() {
    let mut shop = Shop::spawn(Place::own_rules(), &["--log", "trace"]).await;
    open(&shop).await;
    assert!(is_on_disk(&shop.place, DIGEST));

    let (code, report) = forget(&shop, &["--email", " Ada@Example.com"]).await;
    assert_eq!((code, counts(&report)), (Some(0), [2, 1, 0]), "{report}");
    assert!(!is_on_disk(&shop.place, DIGEST) && !is_on_disk(&shop.place, ADA));
    assert!(is_on_disk(&shop.place, "bob-3"));
    let line = shop.server().logs(|line| line.contains("calls were forgotten by hand")).await;
    let fingerprint = report["fingerprint"].as_str().expect("a fingerprint");
    assert!(line.contains(fingerprint) && line.contains("tidegate::audit"), "{line}");

    // What is not there any more is not found again.
    let (code, again) = forget(&shop, &["--email", ADA]).await;
    assert_eq!((code, counts(&again)), (Some(1), [0, 0, 0]));
    assert_eq!(again["fingerprint"].as_str(), Some(fingerprint), "the same person, however it is written");
    let entries = shop.tidegate(&["audit", "--format", "json"]).await.json();
    let (first, uid) = (&entries[0], format!("uid {}", rustix::process::getuid().as_raw()));
    assert_eq!((&first["deed"], &first["subject"]), (&json!("forget"), &json!("email")));
    assert_eq!(first["outcome"], json!({"outcome": "forgotten", "pending": 2, "dead": 1, "in_flight": 0}));
    assert!(first["who"].as_str().is_some_and(|who| who.contains(&uid)), "{first}");
    assert_eq!(entries.as_array().map(Vec::len), Some(2));

    // Others are not.
    shop.standin.clear_failures();
    assert_eq!(shop.tidegate(&["deliveries", "retry", "--all"]).await.code, Some(0));
    shop.wait_for(3).await;
    let mut stored = shop.stored_ids();
    stored.sort();
    assert_eq!(stored, ["bob-1", "bob-2", "bob-3"]);
    let log = shop.stop().await.concat().to_lowercase();
    assert!(!log.contains(ADA) && !log.contains(DIGEST));
    shop.close_leaving(Left { refusals: 2, ..Left::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_forgotten_where_no_server_runs() {
    let mut shop = Shop::spawn(Place::own_rules(), &[]).await;
    open(&shop).await;
    shop.stop().await;
    let by_click = shop.tidegate(&["forget", "--oppref", CLICK]).await;
    let text = &by_click.out;
    assert_eq!(by_click.code, Some(0), "{by_click:?}");
    assert!(
        text.starts_with(
            "2 pending calls and 0 dead letters forgotten\n0 kept hits forgotten; they hold no e-mail address"
        ),
        "{text}"
    );
    let (code, report) = forget(&shop, &["--event-id", "ada-2"]).await;
    assert_eq!((code, counts(&report)), (Some(0), [1, 0, 0]), "{report}");
    let (code, report) = forget(&shop, &["--event-id", "ada-1"]).await;
    assert_eq!((code, counts(&report)), (Some(0), [0, 1, 0]), "{report}");
    for text in [DIGEST, CLICK, "ada-1", "ada-2", "ada-3"] {
        assert!(!is_on_disk(&shop.place, text), "{text}");
    }
    let listed = shop.tidegate(&["audit", "--limit", "2"]).await;
    assert_eq!((listed.code, listed.out.lines().count()), (Some(0), 2), "{listed:?}");
    assert!(listed.out.contains(": forget event_id ") && listed.out.contains(": 0 pending, 1 dead, 0 being sent\n"));
    shop.close_leaving(Left { pending: 1, dead: 1, refusals: 2, ..Left::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_sent_is_told_of_and_never_sent_again() {
    let shop = Shop::spawn(Place::own_rules(), &[]).await;
    shop.standin.fail_with(Failure::Hold, Lasting::UntilCleared);
    shop.accept(&order("under-way", ADA, CLICK)).await;
    shop.standin.wait_until(PATIENCE, |counts| counts.in_flight == 1).await.expect("it is under way");
    let ran = shop.tidegate(&["forget", "--email", ADA]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let words = "1 call was just being sent: it may still arrive, and will not be sent again\n";
    assert!(ran.out.contains(words), "{ran:?}");
    assert!(!is_on_disk(&shop.place, DIGEST));
    assert!(accounts(&shop).await.contains("  0 pending, 0 dead"));
    shop.standin.clear_failures();
    shop.wait_for(1).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_withdraws_consent_takes_back_what_is_not_delivered_yet() {
    let mut shop = Shop::spawn(Place::own_rules(), &[]).await;
    let not_found =
        Failure::Status { status: StatusCode::NOT_FOUND, retry_after: None, words: "Pixel not found".to_owned() };
    shop.standin.fail_pixel(PIXEL, not_found, Lasting::UntilCleared);
    shop.accept(&order("ada-1", ADA, CLICK)).await;
    shop.accept(&order("bob-1", "bob@example.com", "gAAAAB-of-bob")).await;
    let paused = async { while !accounts(&shop).await.contains("PAUSED") {} };
    tokio::time::timeout(PATIENCE, paused).await.expect("the account is paused");

    let mut refusal = json!({
        "events": [{"event": "page_view"}, {"event": "scroll"}],
        "page_location": "https://www.example.com/privacy",
        "consent": {"ad_storage": "denied"},
    });
    let send = async |refusal: &Value| {
        let hit = shop.post(refusal).header("cookie", format!("__oppref={CLICK}"));
        assert_eq!(hit.send().await.expect("an answer").status(), StatusCode::NO_CONTENT);
    };
    send(&refusal).await;
    assert!(accounts(&shop).await.contains("  2 pending, 0 dead"), "who has not answered has withdrawn nothing");
    refusal["consent_answered"] = true.into();
    send(&refusal).await;
    let line = shop.server().logs(|line| line.contains("consent was withdrawn")).await;
    assert!(line.contains("1 pending and 0 dead calls cancelled, 0 being sent") && !line.contains(CLICK), "{line}");

    shop.standin.clear_failures();
    assert_eq!(shop.tidegate(&["deliveries", "retry", "--all"]).await.code, Some(0));
    shop.wait_for(1).await;
    assert_eq!(shop.stored_ids(), ["bob-1"]);
    // Whoever agrees again and comes back to the page is no copy of what was never sent; the others still are.
    shop.accept(&order("bob-1", "bob@example.com", "gAAAAB-of-bob")).await;
    shop.accept(&order("ada-1", ADA, CLICK)).await;
    shop.wait_for(2).await;
    assert_eq!(shop.stored_ids(), ["bob-1", "ada-1"]);
    shop.stop().await;
    shop.close_leaving(Left::default()).await;
}

#[tokio::test]
async fn what_cannot_be_looked_for_exits_2_and_leaves_no_entry() {
    let place = Place::own_rules();
    fs::create_dir(place.data()).expect("a data folder");
    let data = place.data();
    let data = data.to_str().expect("a path");
    for (words, why) in [
        (&["forget"][..], "required"),
        (&["forget", "--email", ADA, "--oppref", CLICK], "cannot be used with"),
        (&["forget", "--email", "ada"], "the value is no e-mail address"),
        (&["forget", "--oppref", "short"], "the value has less than 8 characters"),
        (&["forget", "--event-id", ""], "the value is empty"),
        (&["forget", "--email", "-"], "the value is no e-mail address"),
    ] {
        let ran = run(&place, &[words, &["--data", data]].concat(), &environment(), "").await;
        assert_eq!((ran.code, &*ran.out), (Some(2), ""), "{ran:?}");
        assert!(ran.err.contains(why), "{ran:?}");
    }
    let none = run(&place, &["audit", "--data", data], &environment(), "").await;
    assert_eq!((none.code, &*none.out), (Some(0), "nothing yet\n"), "{none:?}");

    // From standard input no other user of the machine can read it. Nothing is there to be found.
    let piped = run(&place, &["forget", "--email", "-", "--data", data], &environment(), "ada@example.com\n").await;
    assert_eq!(piped.code, Some(1), "{piped:?}");
    assert!(piped.out.starts_with("0 pending calls and 0 dead letters forgotten\n"), "{piped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_audit_log_nothing_is_forgotten() {
    let mut shop = Shop::spawn(Place::own_rules(), &[]).await;
    open(&shop).await;
    fs::write(shop.place.data().join("admin.db"), "this is no database, whatever it is called").expect("a file");
    for _ in ["with a server", "without one"] {
        let ran = shop.tidegate(&["forget", "--email", ADA]).await;
        assert_eq!((ran.code, &*ran.out), (Some(2), ""), "{ran:?}");
        assert!(ran.err.contains("cannot open the audit log"), "{ran:?}");
        if shop.tidegate(&["deliveries", "list"]).await.out.contains("PAUSED") {
            shop.stop().await;
        }
    }
    shop.close_leaving(Left { pending: 4, dead: 2, refusals: 2, ..Left::default() }).await;
}
