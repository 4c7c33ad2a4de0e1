//! The runner between an outbox in memory and a destination on a real socket. The clock stands still unless a test moves
//! it; tests wait for what happens, never for time to pass.

use std::{
    collections::HashMap,
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State as AxumState},
    response::Response,
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;
use url::Url;
use uuid::Uuid;

use super::{
    client::{ClientOptions, client},
    secrets::{Environment, Secrets},
    status::{Counts, PauseReason, State},
    *,
};
use crate::{
    call::{Call, CallEvent, SecretName, UserSchema},
    hit::HitId,
    outbox::{BoxFuture, DeathReason, Record},
};

use memory::{Memory, Tally};

mod memory;

const START: Timestamp = Timestamp(1_800_000_000_000);
const KEY: &str = "sk-svcacct-hush";

/// Nothing here takes long; a test that waits in vain should say so.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("waited in vain")
}

struct TestClock(watch::Sender<Timestamp>);

impl TestClock {
    fn advance(&self, span: Duration) {
        self.0.send_modify(|now| *now = now.plus(span));
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'_, ()> {
        let mut time = self.0.subscribe();
        Box::pin(async move {
            time.wait_for(|now| *now >= at).await.unwrap();
        })
    }
}

/// A request as the destination saw it.
#[derive(Clone)]
struct Seen {
    target: String,
    headers: ::http::HeaderMap,
    body: Value,
}

impl Seen {
    fn ids(&self) -> Vec<&str> {
        self.body["events"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap()).collect()
    }
}

/// How the destination answers; `None` is never.
type Script = Box<dyn FnMut(&Seen) -> Option<Response> + Send>;

struct Site {
    seen: watch::Sender<Vec<Seen>>,
    script: Mutex<Script>,
    base: Url,
}

impl Site {
    async fn open() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}/ads/", listener.local_addr().unwrap())).unwrap();
        let script: Script = Box::new(|_| Some(reply(202, "")));
        let site = Arc::new(Self { seen: watch::Sender::default(), script: Mutex::new(script), base });
        let router = Router::new().fallback(Self::answer).with_state(Arc::clone(&site));
        tokio::spawn(async move { axum::serve(listener, router).await });
        site
    }

    async fn answer(AxumState(site): AxumState<Arc<Self>>, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let body = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
        let seen = Seen { target: head.uri.to_string(), headers: head.headers, body };
        let answer = lock(&site.script)(&seen);
        site.seen.send_modify(|all| all.push(seen));
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    fn script(&self, script: impl FnMut(&Seen) -> Option<Response> + Send + 'static) {
        *lock(&self.script) = Box::new(script);
    }

    async fn until_asked(&self, times: usize) {
        soon(async { self.seen.subscribe().wait_for(|seen| seen.len() >= times).await.map(drop) }).await.unwrap();
    }

    fn asked(&self) -> usize {
        self.seen.borrow().len()
    }
}

fn reply(status: u16, body: impl Into<Body>) -> Response {
    Response::builder().status(status).body(body.into()).unwrap()
}

/// A batch is refused when one of these events is in it.
fn refusing(bad: &[&str]) -> impl FnMut(&Seen) -> Option<Response> + use<> {
    let bad: Vec<String> = bad.iter().map(|id| (*id).to_owned()).collect();
    move |seen| match seen.ids().iter().any(|id| bad.iter().any(|bad| bad == id)) {
        true => Some(reply(400, r#"{"error": {"message": "Invalid amount"}}"#)),
        false => Some(reply(202, "")),
    }
}

/// Everything a test needs, with the key set.
struct Stage {
    outbox: Arc<Memory>,
    clock: Arc<TestClock>,
    site: Arc<Site>,
    variables: Arc<Mutex<HashMap<String, String>>>,
    delivery: Delivery,
}

impl Stage {
    async fn set() -> Self {
        Self::with(ClientOptions::default(), None).await
    }

    async fn with(options: ClientOptions, observer: Option<Arc<dyn Observer>>) -> Self {
        let site = Site::open().await;
        let outbox = Arc::new(Memory::default());
        let clock = Arc::new(TestClock(watch::Sender::new(START)));
        let variables = Arc::new(Mutex::new(HashMap::from([("OPENAI_KEY".to_owned(), KEY.to_owned())])));
        let read = Arc::clone(&variables);
        let environment: Environment = Box::new(move |name| lock(&read).get(name).map(Into::into));
        let secrets = Arc::new(Secrets::new(environment, None, vec![]));
        let openai = OpenAi::new(&site.base, client(&options).unwrap(), Arc::clone(&secrets)).unwrap();
        let http = Http::new(guard::Guard::default(), secrets).unwrap();
        let surroundings = Surroundings { clock: clock.clone(), random: || 1.0, observer };
        let delivery = Delivery::start(outbox.clone(), Destinations { openai, http }, surroundings);
        Self { outbox, clock, site, variables, delivery }
    }

    async fn accept(&self, account: &Arc<Account>, ids: &[&str]) {
        self.outbox.accept(record(account, ids)).await.unwrap();
    }

    async fn until(&self, is: impl FnMut(&Tally) -> bool) {
        soon(self.outbox.until(is)).await;
    }

    async fn until_state(&self, account: &Account, mut is: impl FnMut(&State) -> bool) -> Status {
        soon(async {
            // The task of a new account takes a moment to appear.
            while self.delivery.watch(account).is_none() {
                tokio::task::yield_now().await;
            }
            let mut status = self.delivery.watch(account).unwrap();
            status.wait_for(|status| is(&status.state)).await.unwrap().clone()
        })
        .await
    }

    async fn until_paused(&self, account: &Account) -> (PauseReason, String) {
        let status = self.until_state(account, |state| matches!(state, State::Paused { .. })).await;
        let State::Paused { pause, .. } = status.state else { panic!() };
        (pause.reason, pause.words)
    }
}

fn account(pixel: &str) -> Arc<Account> {
    let key = SecretName("OPENAI_KEY".into());
    Arc::new(Account::OpenAi { pixel_id: pixel.into(), key, validate_only: false, schema: UserSchema::Lists })
}

fn record(account: &Arc<Account>, ids: &[&str]) -> Record {
    let calls = ids.iter().map(|id| call(account, id)).collect();
    Record { hit: HitId(Uuid::nil()), accepted: START, version: "v1".into(), calls }
}

fn call(account: &Arc<Account>, id: &str) -> Call {
    let event = CallEvent { id: id.into(), name: "order_created".into(), time: START };
    let body = json!({"id": id, "type": "order_created", "user": {"cities": ["Secretville"]}}).to_string().into();
    Call { tag: "purchase".into(), account: Arc::clone(account), event, body }
}

#[tokio::test]
async fn a_request_is_as_the_conversions_api_wants_it() {
    let stage = Stage::set().await;
    stage.accept(&account("px&1=/ü"), &["a", "b"]).await;
    stage.until(|tally| tally.delivered == 2).await;

    let seen = stage.site.seen.borrow()[0].clone();
    assert_eq!(seen.target, "/ads/v1/events?pid=px%261%3D%2F%C3%BC");
    assert_eq!(seen.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(seen.headers["content-type"], "application/json");
    assert!(seen.headers["user-agent"].to_str().unwrap().starts_with("tidegate/"));
    let event = |id| json!({"id": id, "type": "order_created", "user": {"cities": ["Secretville"]}});
    assert_eq!(seen.body, json!({"events": [event("a"), event("b")], "integration_source": "tidegate"}));
}

#[tokio::test]
async fn an_address_that_cannot_be_meant_is_refused() {
    let open = |base: &str| {
        let secrets = Arc::new(Secrets::new(Box::new(|_| None), None, vec![]));
        OpenAi::new(&Url::parse(base).unwrap(), client(&ClientOptions::default()).unwrap(), secrets).map(drop)
    };
    assert!(open("https://bzr.openai.com").is_ok() && open("http://127.0.0.1:9/below/").is_ok());
    for bad in ["ftp://bzr.openai.com", "mailto:a@b", "https://me:pw@bzr.openai.com", "https://h/?a", "https://h/#a"] {
        assert!(open(bad).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn validate_only_is_said_only_where_it_is_meant() {
    let stage = Stage::set().await;
    let Account::OpenAi { pixel_id, key, schema, .. } = Arc::unwrap_or_clone(account("px")) else {
        unreachable!("an OpenAI account")
    };
    stage.accept(&Arc::new(Account::OpenAi { pixel_id, key, schema, validate_only: true }), &["a"]).await;
    stage.until(|tally| tally.delivered == 1).await;
    assert_eq!(stage.site.seen.borrow()[0].body["validate_only"], json!(true));
}

#[tokio::test]
async fn the_bad_one_of_many_dies_with_the_destinations_words_and_the_rest_arrive() {
    let stage = Stage::set().await;
    stage.site.script(refusing(&["7"]));
    let ids: Vec<String> = (0..200).map(|id| id.to_string()).collect();
    stage.accept(&account("px"), &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    stage.until(|tally| (tally.delivered, tally.dead) == (199, 1)).await;

    let death = stage.outbox.deaths().remove(0);
    assert_eq!((death.reason, death.status, &*death.words), (DeathReason::Refused, Some(400), "Invalid amount"));
    let status = stage.until_state(&account("px"), |_| true).await;
    assert_eq!(status.state, State::Flowing);
}

#[tokio::test]
async fn with_everything_refused_the_account_pauses_and_nothing_stays_dead() {
    let stage = Stage::set().await;
    stage.site.script(|_| Some(reply(422, r#"{"error": "unknown field type"}"#)));
    stage.accept(&account("px"), &["a", "b", "c"]).await;
    let pause = stage.until_paused(&account("px")).await;
    assert_eq!(pause, (PauseReason::RefusedAlike, "unknown field type".to_owned()));
    stage.until(|tally| (tally.pending, tally.dead) == (3, 0)).await;
}

#[tokio::test]
async fn an_outage_is_waited_out_and_counted() {
    let stage = Stage::set().await;
    let account = account("px");
    stage.site.script(|_| Some(reply(503, "down")));
    stage.accept(&account, &["a", "b"]).await;
    for failures in 1..=4 {
        let retrying = |state: &State| matches!(state, State::Retrying { failures: n, .. } if *n == failures);
        let status = stage.until_state(&account, retrying).await;
        let State::Retrying { until, .. } = status.state else { panic!() };
        if failures == 4 {
            stage.site.script(|_| Some(reply(200, "")));
        }
        stage.clock.advance(until.since(stage.clock.now()));
    }
    stage.until(|tally| tally.delivered == 2).await;
    let status = stage.until_state(&account, |state| *state == State::Flowing).await;
    assert_eq!(status.last.unwrap().status, Some(200));
    let mut counts = soon(async {
        let mut status = stage.delivery.watch(&account).unwrap();
        status.wait_for(|status| status.counts.delivered == 2).await.unwrap().counts
    })
    .await;
    assert_eq!(counts.attempts, 6, "three batches and probes, a probe that passes, the rest");
    counts.attempts = 0;
    assert_eq!(counts, Counts { delivered: 2, retried: 2 + 2 + 2 + 1, ..Counts::default() });
}

#[tokio::test]
async fn one_dead_destination_slows_nobody_else() {
    let stage = Stage::set().await;
    stage.site.script(|seen| (!seen.target.contains("dead")).then(|| reply(200, "")));
    stage.accept(&account("dead"), &["a"]).await;
    stage.site.until_asked(1).await;
    for id in ["b", "c", "d"] {
        stage.accept(&account("alive"), &[id]).await;
        stage.until(|tally| tally.pending == 0 && tally.leased == 1).await;
    }
    assert_eq!(stage.outbox.tally().delivered, 3);
}

#[tokio::test]
async fn without_a_key_nothing_is_sent_and_a_mended_one_heals_by_itself() {
    let stage = Stage::set().await;
    lock(&stage.variables).clear();
    stage.accept(&account("px"), &["a", "b"]).await;
    let (reason, words) = stage.until_paused(&account("px")).await;
    assert_eq!(reason, PauseReason::NoKey);
    assert!(words.contains("OPENAI_KEY"), "{words}");
    assert_eq!(stage.site.asked(), 0);

    lock(&stage.variables).insert("OPENAI_KEY".to_owned(), KEY.to_owned());
    stage.clock.advance(Duration::from_secs(60));
    stage.until(|tally| tally.delivered == 2).await;
}

#[tokio::test]
async fn a_key_that_is_not_bound_is_never_sent() {
    let stage = Stage::set().await;
    lock(&stage.variables).insert("DATABASE_PASSWORD".to_owned(), "hush".to_owned());
    let Account::OpenAi { pixel_id, schema, .. } = Arc::unwrap_or_clone(account("px")) else {
        unreachable!("an OpenAI account")
    };
    let key = SecretName("DATABASE_PASSWORD".into());
    let account = Arc::new(Account::OpenAi { pixel_id, key, schema, validate_only: false });
    stage.accept(&account, &["a"]).await;
    assert_eq!(stage.until_paused(&account).await.0, PauseReason::NoKey);
    assert_eq!(stage.site.asked(), 0);
}

#[tokio::test]
async fn a_refused_key_pauses_until_someone_resumes() {
    let stage = Stage::set().await;
    let account = account("px");
    stage.site.script(|_| Some(reply(401, r#"{"error": "Missing scopes"}"#)));
    stage.accept(&account, &["a", "b"]).await;
    let pause = stage.until_paused(&account).await;
    assert_eq!(pause, (PauseReason::Unauthorized, "Missing scopes".to_owned()));
    stage.until(|tally| tally.pending == 2).await;

    stage.site.script(|_| Some(reply(200, "")));
    assert_eq!(stage.delivery.resume(&account), Resumed::Told);
    stage.until(|tally| tally.delivered == 2).await;
    assert_eq!(stage.delivery.resume(&super::tests::account("other")), Resumed::UnknownAccount);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let stage = Stage::set().await;
    stage.site.script(|_| {
        let moved = Response::builder().status(307).header("location", "/elsewhere");
        Some(moved.body(Body::empty()).unwrap())
    });
    stage.accept(&account("px"), &["a"]).await;
    assert_eq!(stage.until_paused(&account("px")).await.0, PauseReason::Unexpected);
    assert_eq!(stage.site.asked(), 1);
}

#[tokio::test]
async fn retry_after_is_heeded() {
    let stage = Stage::set().await;
    stage.site.script(|_| {
        let busy = Response::builder().status(429).header("retry-after", "90");
        Some(busy.body(Body::empty()).unwrap())
    });
    stage.accept(&account("px"), &["a"]).await;
    let status = stage.until_state(&account("px"), |state| *state != State::Flowing).await;
    let until = START.plus(Duration::from_secs(90));
    assert_eq!(status.state, State::Retrying { since: START, until, failures: 1 });
}

#[tokio::test]
async fn an_endless_answer_is_read_to_its_bound_and_cut() {
    let patient = ClientOptions { total_timeout: Duration::from_secs(3_600), ..ClientOptions::default() };
    let stage = Stage::with(patient, None).await;
    stage.site.script(|_| {
        let chunk = || Some((Ok::<_, io::Error>("é".repeat(1_000)), ()));
        let endless = futures_util::stream::unfold((), move |()| std::future::ready(chunk()));
        Some(reply(400, Body::from_stream(endless)))
    });
    stage.accept(&account("px"), &["a"]).await;
    stage.until(|tally| tally.dead == 1).await;
    assert_eq!(stage.outbox.deaths()[0].words, "é".repeat(500));
}

#[tokio::test]
async fn a_destination_that_does_not_speak_tls_is_out_of_reach() {
    let site = Site::open().await;
    let mut base = site.base.clone();
    base.set_scheme("https").unwrap();
    let secrets = Arc::new(Secrets::new(Box::new(|name| (name == "OPENAI_KEY").then(|| KEY.into())), None, vec![]));
    let openai = OpenAi::new(&base, client(&ClientOptions::default()).unwrap(), secrets).unwrap();
    let answer = soon(openai.send("px", &SecretName("OPENAI_KEY".into()), false, &[], START)).await;
    assert!(
        matches!(&answer, Answer::Unreachable { words } if words.contains("TLS") || words.contains("corrupt")),
        "{answer:?}"
    );
    assert_eq!(site.asked(), 0);
}

#[tokio::test]
async fn no_answer_in_time_is_retried() {
    let options = ClientOptions { total_timeout: Duration::from_millis(50), ..ClientOptions::default() };
    let stage = Stage::with(options, None).await;
    stage.site.script(|_| None);
    stage.accept(&account("px"), &["a"]).await;
    let status = stage.until_state(&account("px"), |state| *state != State::Flowing).await;
    assert!(matches!(status.state, State::Retrying { failures: 1, .. }));
    let last = soon(async {
        let mut status = stage.delivery.watch(&account("px")).unwrap();
        status.wait_for(|status| status.last.is_some()).await.unwrap().last.clone().unwrap()
    });
    assert_eq!(last.await.words, "no answer in time");
}

#[tokio::test]
async fn a_call_that_arrives_just_behind_an_empty_lease_is_not_missed() {
    let stage = Stage::set().await;
    let account = account("px");
    stage.accept(&account, &["a"]).await;
    stage.until(|tally| tally.delivered == 1).await;
    for (nth, id) in ["b", "c", "d", "e"].into_iter().enumerate() {
        *lock(&stage.outbox.behind_an_empty_lease) = Some(record(&account, &["late"]));
        stage.accept(&account, &[id]).await;
        stage.until(|tally| tally.delivered == 2 * nth + 3).await;
    }
}

#[tokio::test]
async fn a_store_that_fails_for_a_moment_stops_nothing() {
    let stage = Stage::set().await;
    stage.outbox.failing_leases.store(1, Ordering::Relaxed);
    stage.accept(&account("px"), &["a"]).await;
    while stage.outbox.failing_leases.load(Ordering::Relaxed) > 0 {
        tokio::task::yield_now().await;
    }
    stage.clock.advance(Duration::from_secs(1));
    stage.until(|tally| tally.delivered == 1).await;
}

#[tokio::test]
async fn stopping_lets_requests_finish_and_leaves_the_rest() {
    let stage = Stage::set().await;
    let held = Arc::new(Notify::new());
    let release = Arc::clone(&held);
    stage.site.script(move |_| {
        let held = Arc::clone(&held);
        let late = async move {
            held.notified().await;
            Ok::<_, io::Error>("late")
        };
        Some(reply(200, Body::from_stream(futures_util::stream::once(late))))
    });
    stage.accept(&account("px"), &["a"]).await;
    stage.site.until_asked(1).await;
    stage.accept(&account("px"), &["b"]).await;

    let (stopped, ()) =
        tokio::join!(soon(stage.delivery.stop(Duration::from_secs(10))), async { release.notify_one() });
    assert_eq!(stopped, Stopped::Settled);
    let left = Tally { pending: 1, delivered: 1, ..Tally::default() };
    assert_eq!((stage.outbox.tally(), stage.site.asked()), (left, 1));
    assert_eq!(stage.delivery.stop(Duration::ZERO).await, Stopped::Settled);
}

#[tokio::test]
async fn a_store_is_told_that_a_slow_request_is_still_worked_on() {
    let stage = Stage::set().await;
    stage.site.script(|_| None);
    stage.accept(&account("px"), &["a", "b"]).await;
    stage.site.until_asked(1).await;
    for times in 1..=3 {
        stage.clock.advance(Duration::from_secs(10));
        soon(stage.outbox.extended.subscribe().wait_for(|extended| *extended == 2 * times)).await.unwrap();
    }
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let stage = Stage::set().await;
    stage.site.script(|_| None);
    stage.accept(&account("px"), &["a"]).await;
    stage.site.until_asked(1).await;
    assert_eq!(soon(stage.delivery.stop(Duration::ZERO)).await, Stopped::CutShort);
    assert_eq!(stage.outbox.tally().leased, 1, "due again at the next start");
}

#[tokio::test]
async fn an_observer_is_told_of_every_attempt() {
    #[derive(Default)]
    struct Counting(AtomicUsize);
    impl Observer for Counting {
        fn attempted(&self, attempt: &Attempt<'_>) {
            self.0.fetch_add(attempt.calls.len(), Ordering::Relaxed);
        }
    }
    let counting = Arc::new(Counting::default());
    let stage = Stage::with(ClientOptions::default(), Some(counting.clone())).await;
    stage.site.script(refusing(&["b"]));
    stage.accept(&account("px"), &["a", "b"]).await;
    stage.until(|tally| (tally.delivered, tally.dead) == (1, 1)).await;
    assert_eq!(counting.0.load(Ordering::Relaxed), 4, "a and b together, then each");
}

/// What a subscriber wrote.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_log_tells_what_happened_and_neither_keys_nor_bodies() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(lines.clone());
    let _guard = tracing::subscriber::set_default(subscriber.with_ansi(false).finish());
    let stage = Stage::set().await;
    let account = account("px");
    stage.site.script(|_| Some(reply(503, format!("down for {KEY}"))));
    stage.accept(&account, &["a"]).await;
    stage.until_state(&account, |state| matches!(state, State::Retrying { .. })).await;
    stage.site.script(|_| Some(reply(403, format!("forbidden for {KEY}"))));
    stage.delivery.resume(&account);
    stage.until_paused(&account).await;
    stage.site.script(|_| Some(reply(200, "")));
    stage.delivery.resume(&account);
    stage.until(|tally| tally.delivered == 1).await;

    let text = String::from_utf8(lock(&lines.0).clone()).unwrap();
    for expected in
        ["WARN", "a destination fails", "ERROR", "an account is paused", "INFO", "flows again", "hit.id=0000"]
    {
        assert!(text.contains(expected), "{expected} is missing in {text}");
    }
    let own: String = text.lines().filter(|line| line.contains("tidegate::")).collect();
    assert!(own.contains("[key]") && !own.contains(KEY) && !own.contains("Secretville"), "{own}");
    assert!(!text.contains(KEY), "nor do the libraries tell");
}
