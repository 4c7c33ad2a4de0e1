//! The stand-in over real HTTP. The rules are in `tests/cases/standin/*.json`, a case each; what a case cannot say
//! (several requests, failures, waiting, stopping) is below.

use std::{path::Path, sync::Mutex};

use http::{Method, StatusCode, header::RETRY_AFTER};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

use super::*;

mod rules;

/// 2026-11-23T12:00:00Z.
const NOW: Timestamp = Timestamp(1_795_435_200_000);

/// Long enough never to run out where the awaited thing happens.
const LONG: Duration = Duration::from_secs(60);

fn options() -> Options {
    Options { clock: Arc::new(|| NOW), ..Options::default() }
}

async fn start() -> Standin {
    Standin::start(options()).await.unwrap()
}

fn client() -> reqwest::Client {
    // Another test may have been first; nothing here speaks TLS, but a client cannot be built without a provider.
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().no_proxy().timeout(LONG).build().unwrap()
}

fn event(id: &str) -> Value {
    json!({
        "id": id, "type": "page_viewed", "timestamp_ms": NOW.0, "action_source": "web",
        "source_url": "https://shop.example/", "data": { "type": "contents" },
    })
}

fn batch(ids: &[&str]) -> Value {
    json!({ "events": ids.iter().map(|id| event(id)).collect::<Vec<_>>() })
}

/// A sound request, as a careful integration would send it.
fn request(standin: &Standin, pixel_id: &str, body: &Value) -> reqwest::RequestBuilder {
    client()
        .post(format!("{}/v1/events?pid={pixel_id}", standin.url()))
        .bearer_auth("sk-any")
        .header("content-type", "application/json")
        .body(body.to_string())
}

async fn send(standin: &Standin, body: &Value) -> (StatusCode, Value) {
    send_as(standin, "px", body).await
}

async fn send_as(standin: &Standin, pixel_id: &str, body: &Value) -> (StatusCode, Value) {
    let answer = request(standin, pixel_id, body).send().await.unwrap();
    let status = answer.status();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
}

/// Sends in the background, for requests that will wait.
fn send_later(standin: &Standin, pixel_id: &str, body: &Value) -> JoinHandle<reqwest::Result<reqwest::Response>> {
    tokio::spawn(request(standin, pixel_id, body).send())
}

fn accepted(count: u64) -> (StatusCode, Value) {
    (StatusCode::OK, json!({ "accepted_events": count }))
}

fn error(status: StatusCode, words: &str) -> (StatusCode, Value) {
    (status, json!({ "error": { "message": words } }))
}

fn ids(events: &[Arc<Accepted>]) -> Vec<&str> {
    events.iter().map(|accepted| accepted.event["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn keeps_what_it_accepts_in_order_with_where_and_when() {
    let standin = start().await;
    let mut body = batch(&["a", "b"]);
    body["integration_source"] = json!("tidegate");
    assert_eq!(send_as(&standin, "px-1", &body).await, accepted(2));
    assert_eq!(send_as(&standin, "px-2", &batch(&["c"])).await, accepted(1));

    let events = standin.accepted();
    assert_eq!(ids(&events), ["a", "b", "c"]);
    assert_eq!(events.iter().map(|event| event.order).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(events[2].pixel_id, "px-2");
    assert_eq!(events[0].event, event("a"));
    assert_eq!((events[0].received, events[0].fate), (NOW, Fate::Stored));
    assert_eq!(events[0].integration_source.as_deref(), Some("tidegate"));
    assert_eq!(standin.batch_sizes(), [2, 1]);
    assert!(standin.refused().is_empty() && standin.warnings().is_empty());
}

#[tokio::test]
async fn one_bad_event_refuses_the_whole_batch() {
    let standin = start().await;
    let mut body = batch(&["a", "b", "c"]);
    body["events"][1]["data"] = json!({ "type": "contents", "amount": 1 });
    body["events"][2]["id"] = json!("");
    let words = "events[1].data.currency: is required with an amount";
    assert_eq!(send(&standin, &body).await, error(StatusCode::BAD_REQUEST, words));

    assert!(standin.accepted().is_empty());
    let refused = standin.refused();
    assert_eq!((refused.len(), refused[0].words.as_str()), (1, words));
    assert_eq!(refused[0].pixel_id, "px");
    assert_eq!(refused[0].events[1], Named { name: "page_viewed".into(), id: "b".into() });
    let counts = standin.requests();
    assert_eq!((counts.attempts, counts.batches, counts.refused, counts.refused_events), (1, 0, 1, 3));

    // A refused event leaves no key behind: it can still be stored.
    assert_eq!(send(&standin, &batch(&["a"])).await, accepted(1));
    assert_eq!(ids(&standin.accepted()), ["a"]);
}

#[tokio::test]
async fn plain_words_do_not_tell_which_event_it_was() {
    let standin = Standin::start(Options { words: Words::Plain, ..options() }).await.unwrap();
    let mut body = batch(&["a", "b"]);
    body["events"][1]["data"] = json!({ "type": "contents", "amount": 1 });
    let answer = error(StatusCode::BAD_REQUEST, "data.currency: is required with an amount");
    assert_eq!(send(&standin, &body).await, answer);
    body["events"].as_array_mut().unwrap().swap(0, 1);
    assert_eq!(send(&standin, &body).await, answer);
    body["events"] = json!([1]);
    assert_eq!(
        send(&standin, &body).await,
        error(StatusCode::BAD_REQUEST, "event: must be an object, found an integer")
    );
}

#[tokio::test]
async fn takes_a_thousand_events_and_not_one_more() {
    let standin = start().await;
    let names: Vec<String> = (0..1001).map(|n| format!("evt-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(send(&standin, &batch(&names[..1000])).await, accepted(1000));
    let words = "events: must hold 1 to 1000 events";
    assert_eq!(send(&standin, &batch(&names)).await, error(StatusCode::BAD_REQUEST, words));
}

/// By hand, because reqwest reads an answer that comes before the end of the body, and others do not.
#[tokio::test]
async fn who_sends_an_oversized_body_to_its_end_sees_the_answer() {
    let standin = start().await;
    let body = " ".repeat(16 << 20);
    let head = format!(
        "POST /v1/events?pid=px HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(standin.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("larger than 4194304 bytes"), "{answer}");
}

#[tokio::test]
async fn deduplicates_by_pixel_name_and_id_and_the_first_wins() {
    let standin = start().await;
    let mut first = batch(&["a", "a", "b"]);
    first["events"][0]["opt_out"] = json!(true);
    assert_eq!(send(&standin, &first).await, accepted(3));
    let mut quiz = event("a");
    quiz["type"] = json!("custom");
    quiz["custom_event_name"] = json!("quiz");
    quiz["data"]["type"] = json!("custom");
    let mut poll = quiz.clone();
    poll["custom_event_name"] = json!("poll");
    assert_eq!(send(&standin, &json!({ "events": [event("b"), quiz, poll, quiz] })).await, accepted(4));
    assert_eq!(send_as(&standin, "other", &batch(&["a"])).await, accepted(1));

    assert_eq!(ids(&standin.accepted()), ["a", "b", "a", "a", "a"]);
    assert_eq!(ids(&standin.duplicates()), ["a", "b", "a"]);
    assert_eq!(standin.accepted()[0].event["opt_out"], json!(true));
    let counts = standin.requests();
    assert_eq!((counts.stored, counts.duplicates), (5, 3));
}

#[tokio::test]
async fn validate_only_stores_nothing_and_takes_no_ones_place() {
    let standin = start().await;
    let mut body = batch(&["a"]);
    body["validate_only"] = json!(true);
    assert_eq!(send(&standin, &body).await, accepted(1));
    assert!(standin.accepted().is_empty());
    assert_eq!(ids(&standin.validated()), ["a"]);

    body["validate_only"] = json!(false);
    assert_eq!(send(&standin, &body).await, accepted(1));
    assert_eq!((ids(&standin.accepted()), standin.requests().validated), (vec!["a"], 1));
}

#[tokio::test]
async fn answers_a_status_as_often_as_asked() {
    let standin = start().await;
    standin.fail_with(Failure::retry_after(StatusCode::TOO_MANY_REQUESTS, "7"), Lasting::Requests(2));
    standin.fail_with(Failure::status(StatusCode::BAD_GATEWAY), Lasting::Requests(1));
    for _ in 0..2 {
        let answer = request(&standin, "px", &batch(&["a"])).send().await.unwrap();
        assert_eq!(
            (answer.status(), answer.headers()[RETRY_AFTER].to_str().unwrap()),
            (StatusCode::TOO_MANY_REQUESTS, "7")
        );
    }
    let answer = request(&standin, "px", &batch(&["a"])).send().await.unwrap();
    assert_eq!((answer.status(), answer.headers().get(RETRY_AFTER)), (StatusCode::BAD_GATEWAY, None));
    assert_eq!(send(&standin, &batch(&["a"])).await, accepted(1));

    let counts = standin.requests();
    assert_eq!((counts.attempts, counts.failures, counts.refused), (4, 3, 0));
}

#[tokio::test]
async fn fails_until_cleared() {
    let standin = start().await;
    standin.fail_with(Failure::status(StatusCode::SERVICE_UNAVAILABLE), Lasting::UntilCleared);
    for _ in 0..3 {
        let answer = error(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
        assert_eq!(send(&standin, &batch(&["a"])).await, answer);
    }
    standin.clear_failures();
    assert_eq!(send(&standin, &batch(&["a"])).await, accepted(1));
}

#[tokio::test]
async fn fails_one_pixel_and_no_other() {
    let standin = start().await;
    standin.fail_pixel("bad", Failure::status(StatusCode::FORBIDDEN), Lasting::Requests(1));
    assert_eq!(send_as(&standin, "good", &batch(&["a"])).await, accepted(1));
    assert_eq!(send_as(&standin, "bad", &batch(&["a"])).await, error(StatusCode::FORBIDDEN, "Forbidden"));
    assert_eq!(send_as(&standin, "bad", &batch(&["a"])).await, accepted(1));
}

#[tokio::test]
async fn refuses_good_events_in_the_words_asked_for() {
    let standin = start().await;
    standin.fail_with(Failure::RefuseEvents { words: "pixel is paused".into() }, Lasting::UntilCleared);
    assert_eq!(send(&standin, &batch(&["a", "b"])).await, error(StatusCode::BAD_REQUEST, "pixel is paused"));
    assert_eq!(send(&standin, &json!({})).await, error(StatusCode::BAD_REQUEST, "Missing required field: events"));
    let refused = standin.refused();
    assert_eq!((refused[0].events.len(), refused[1].events.len()), (2, 0));
}

#[tokio::test]
async fn hangs_up_before_or_after_storing() {
    let standin = start().await;
    standin.fail_with(Failure::HangUp, Lasting::Requests(1));
    standin.fail_with(Failure::LoseAnswer, Lasting::Requests(1));
    assert!(request(&standin, "px", &batch(&["a"])).send().await.is_err());
    assert!(standin.accepted().is_empty());
    assert!(request(&standin, "px", &batch(&["a"])).send().await.is_err());
    assert_eq!(ids(&standin.accepted()), ["a"]);

    assert_eq!(send(&standin, &batch(&["a"])).await, accepted(1));
    assert_eq!((ids(&standin.accepted()), ids(&standin.duplicates())), (vec!["a"], vec!["a"]));
    assert_eq!(standin.requests().attempts, 3);
}

#[tokio::test]
async fn answers_garbage() {
    let standin = start().await;
    standin.fail_with(Failure::Garbage(StatusCode::BAD_GATEWAY), Lasting::Requests(1));
    standin.fail_with(Failure::Garbage(StatusCode::OK), Lasting::Requests(1));
    assert_eq!(send(&standin, &batch(&["a"])).await, (StatusCode::BAD_GATEWAY, Value::Null));
    assert!(standin.accepted().is_empty());
    assert_eq!(send(&standin, &batch(&["a"])).await, (StatusCode::OK, Value::Null));
    assert_eq!(ids(&standin.accepted()), ["a"]);
}

#[tokio::test]
async fn holds_requests_until_cleared_and_counts_them_meanwhile() {
    let standin = start().await;
    standin.fail_with(Failure::Hold, Lasting::UntilCleared);
    let waiting = [send_later(&standin, "px", &batch(&["a"])), send_later(&standin, "px", &batch(&["b"]))];
    standin.wait_until(LONG, |counts| counts.in_flight == 2).await.unwrap();
    assert!(standin.accepted().is_empty());

    standin.clear_failures();
    for answer in waiting {
        assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    let counts = standin.wait_until(LONG, |counts| counts.in_flight == 0).await.unwrap();
    assert_eq!((counts.stored, counts.max_in_flight), (2, 2));
}

#[tokio::test]
async fn a_delay_ends_by_itself_or_when_cleared() {
    let standin = start().await;
    standin.fail_with(Failure::Slow(Duration::from_millis(1)), Lasting::Requests(1));
    assert_eq!(send(&standin, &batch(&["a"])).await, accepted(1));

    standin.fail_with(Failure::Slow(Duration::from_hours(1)), Lasting::Requests(1));
    let waiting = send_later(&standin, "px", &batch(&["b"]));
    standin.wait_until(LONG, |counts| counts.in_flight == 1).await.unwrap();
    standin.clear_failures();
    assert_eq!(waiting.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_delayed_request_that_is_given_up_leaves_nothing() {
    let standin = start().await;
    standin.fail_with(Failure::Hold, Lasting::UntilCleared);
    let waiting = send_later(&standin, "px", &batch(&["a"]));
    standin.wait_until(LONG, |counts| counts.in_flight == 1).await.unwrap();
    waiting.abort();
    standin.wait_until(LONG, |counts| counts.in_flight == 0).await.unwrap();
    standin.clear_failures();
    standin.stop().await;
    assert_eq!((standin.requests().attempts, standin.requests().batches), (1, 0));
}

#[tokio::test]
async fn waits_for_events_and_says_how_far_it_got() {
    let standin = start().await;
    let sending = async {
        for id in ["a", "b", "c"] {
            send(&standin, &batch(&[id])).await;
        }
    };
    let (waited, ()) = tokio::join!(standin.wait_for(3, LONG), sending);
    assert_eq!(waited.unwrap().stored, 3);
    assert_eq!(standin.wait_for(2, LONG).await.unwrap().stored, 3);

    let late = standin.wait_for(4, Duration::from_millis(1)).await.unwrap_err();
    assert_eq!(late.counts.stored, 3);
    assert!(late.to_string().starts_with("not reached within 1ms: Counts { attempts: 3"), "{late}");
}

#[tokio::test]
async fn stopping_answers_what_is_in_flight_and_frees_the_port() {
    let standin = start().await;
    standin.fail_with(Failure::Hold, Lasting::UntilCleared);
    let waiting = send_later(&standin, "px", &batch(&["a"]));
    standin.wait_until(LONG, |counts| counts.in_flight == 1).await.unwrap();
    standin.stop().await;
    assert_eq!(waiting.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(ids(&standin.accepted()), ["a"]);
    assert!(request(&standin, "px", &batch(&["b"])).send().await.unwrap_err().is_connect());

    standin.stop().await;
    let again = Standin::start(Options { port: standin.address.port(), ..options() }).await.unwrap();
    assert_eq!((again.url(), send(&again, &batch(&["b"])).await), (standin.url(), accepted(1)));
    assert!(Standin::start(Options { port: again.address.port(), ..options() }).await.is_err());
}

#[tokio::test]
async fn forgets_the_oldest_but_never_the_counts() {
    let standin = Standin::start(Options { keep: 2, ..options() }).await.unwrap();
    assert_eq!(send(&standin, &batch(&["a", "b", "c"])).await, accepted(3));
    assert_eq!(ids(&standin.accepted()), ["b", "c"]);
    assert_eq!(send(&standin, &batch(&["c", "a"])).await, accepted(2));
    assert_eq!((ids(&standin.accepted()), ids(&standin.duplicates())), (vec!["a"], vec!["c"]));
    assert_eq!((standin.requests().stored, standin.requests().duplicates), (4, 1));
}

#[tokio::test]
async fn tells_its_observer_in_plain_words() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let observer: Observer = Arc::new(move |notice| sink.lock().unwrap().push(notice.to_string()));
    let standin = Standin::start(Options { observer, ..options() }).await.unwrap();
    let mut order = event("a");
    order["type"] = json!("order_created");
    order["data"] = json!({ "type": "contents", "amount": 12990, "currency": "EUR", "contents": [{}, { "id": "x" }] });
    order["user"] = json!({
        "ip_address": "203.0.113.9",
        "phone_numbers_sha256": ["af9e136cc1c34ac87999ef8bd28b3d15c08a75b9ae1c2018b39c0f37c23296bd"],
        "emails_sha256": ["b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72", "nonsense"],
    });
    send(&standin, &json!({ "events": [order, order] })).await;
    send(&standin, &json!({ "events": [event("b")], "validate_only": true })).await;
    order["data"]["currency"] = json!("eur");
    send(&standin, &json!({ "events": [order] })).await;
    send(&standin, &json!({ "events": [event("c"), order] })).await;
    send(&standin, &json!({ "events": [7] })).await;
    send(&standin, &json!(7)).await;

    let order = "order_created 129.90 EUR, 2 items, user: email b5fc85e5… (+1), phone af9e136c…, IP address; \
                 warning: data.contents[0]: is empty; \
                 warning: user.emails_sha256[1]: is dropped: not 64 lower-case hexadecimal digits";
    assert_eq!(
        *lines.lock().unwrap(),
        [
            &format!("accepted {order}"),
            &format!("duplicate {order}"),
            "validated page_viewed",
            "refused order_created (400): events[0].data.currency: must be three upper-case letters",
            "refused a batch of 2 (400): events[1].data.currency: must be three upper-case letters",
            "refused an event (400): events[0]: must be an object, found an integer",
            "refused a request (400): Body must be an object, found an integer",
        ]
    );
}

#[test]
fn sums_an_event_up() {
    let summary = |event| {
        let (pixel_id, integration_source) = (String::new(), None);
        Accepted { order: 0, received: NOW, pixel_id, fate: Fate::Stored, integration_source, event, warnings: vec![] }
            .summary()
    };
    let money = |amount: i64, currency: &str| {
        summary(json!({ "type": "order_created", "data": { "amount": amount, "currency": currency } }))
    };
    assert_eq!(money(12999, "USD"), "order_created 129.99 USD");
    assert_eq!(money(5, "EUR"), "order_created 0.05 EUR");
    assert_eq!(money(0, "EUR"), "order_created 0.00 EUR");
    assert_eq!(money(-1250, "EUR"), "order_created -12.50 EUR");
    assert_eq!(money(1000, "JPY"), "order_created 1000 JPY");
    assert_eq!(money(1500, "KWD"), "order_created 1.500 KWD");
    assert_eq!(money(12345, "CLF"), "order_created 1.2345 CLF");
    assert_eq!(money(i64::MIN, "EUR"), "order_created -92233720368547758.08 EUR");
    let full = json!({
        "type": "custom", "custom_event_name": "quiz", "oppref": "gAAAA", "opt_out": true,
        "data": { "plan_id": "pro", "contents": [{}] }, "user": { "country": "RO", "email_sha256": "ăăăăăăăăă" },
    });
    assert_eq!(
        summary(full),
        "quiz (custom), 1 item, plan pro, click reference, opted out of personalization, user: email, country"
    );
    assert_eq!(summary(Value::Null), "");
}
