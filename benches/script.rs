//! How long a tag takes: the purchase of a typical shop through the whole pipeline, the conversion's script by itself,
//! an empty script, and telling copies of its call from new ones. `cargo bench --bench script` prints microseconds for each, on one thread.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends where its input is wrong"
)]

use std::{
    collections::BTreeMap,
    hash::RandomState,
    hint::black_box,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderValue, header};
use serde_json::json;
use tidegate::{
    app::monotonic_clock,
    call::{Call, CallEvent},
    client::Client,
    consent::{
        ConsentState,
        gate::{self, Firing, Gated, Permitted, Prospect},
        gather,
        settings::Recipients,
    },
    container::{
        Container,
        diagnostic::{Severity, Sources},
        folder,
        load::{self, LoadOptions},
    },
    deduplication::{RecentCalls, Sieve, WINDOW},
    event::IdOrigin,
    hit::Hit,
    pipeline::{self, Surroundings},
    script::{Counted, Given, HitTime, Outcome},
    time::Timestamp,
    trace::TOLD_AT_WORK,
    variable::Moment,
};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: Counted<mimalloc::MiMalloc> = Counted(mimalloc::MiMalloc);

const ROUNDS: u32 = 100_000;
const REPEATS: usize = 5;

const RULES: &str = "
triggers:
  Purchase: { event: purchase }
tags:
  Conversion:
    template: openai_conversion
    triggers: Purchase
    consent: ad_storage
    parameters: { pixel_id: px_1234567890, api_key: { secret: OPENAI_CONVERSIONS_API_KEY }, event: order_created }
  Empty:
    template: empty
    triggers: []
    paused: true
    consent: ad_storage
";

fn container() -> Container {
    let mut files = Sources::default();
    // A trigger, so that the loader lets it pass; of no event that is sent here.
    let rules = RULES
        .replace("triggers: []", "triggers: Never")
        .replace("triggers:\n", "triggers:\n  Never: { event: never }\n");
    for (path, text) in
        [("rules/all.yaml", rules.as_str()), ("tags/empty.rhai", ""), ("tags/empty.yaml", "description: Nothing.")]
    {
        files.insert(path.into(), text.as_bytes().to_vec());
    }
    let (environment, library) = (BTreeMap::new(), folder::library());
    let absent_environment = Severity::Note;
    let options = LoadOptions {
        version: "bench",
        environment: &environment,
        absent_environment,
        library: &library,
        inline: None,
        seats: 1,
    };
    let loaded = load::load(&files, options);
    loaded.container.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn purchase() -> Hit {
    let body = json!({
        "event": "purchase", "event_id": "T-90210",
        "page_location": "https://shop.example.com/thanks?oppref=gAAAAABoabc123&utm_source=chatgpt&utm_medium=cpc",
        "page_referrer": "https://shop.example.com/checkout", "page_title": "Thank you",
        "client_id": "1234567890.1790000000", "user_id": "CUST-00042", "transaction_id": "T-90210",
        "value": 129.9, "currency": "EUR", "tax": 20.74, "shipping": 0, "coupon": "AUTUMN",
        "items": [
            {"item_id": "sku-1", "item_name": "Wool shoe", "item_brand": "Acme", "item_category": "Shoes", "price": 59.95, "quantity": 2},
            {"item_id": "sku-2", "item_name": "Sock", "price": 10, "quantity": 1},
        ],
        "user_data": {
            "email_address": " Ada@Example.com ", "phone_number": "+40 746 123 456",
            "address": {"first_name": "Ada", "last_name": "O'Neill", "city": "London", "postal_code": "N1 9GU", "country": "gb"},
        },
        "consent": {
            "ad_storage": "granted", "ad_user_data": "granted", "ad_personalization": "denied", "analytics_storage": "granted",
        },
    });
    let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36";
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    headers
        .insert(header::COOKIE, HeaderValue::from_static("_ga=GA1.1.1234567890.1790000000; __oppref=gAAAAABoabc123"));
    Hit {
        headers,
        address: Some(IpAddr::from([192, 0, 2, 7])),
        host: "tags.example.com".into(),
        body: body.to_string().into(),
        ..Hit::silent(Timestamp(1_795_000_000_123))
    }
}

/// The best of several repeats: whatever else runs on the machine can only make it slower.
fn time(step: &str, mut run: impl FnMut()) {
    (0..ROUNDS / 10).for_each(|_| run());
    let repeat = |_| {
        let start = Instant::now();
        (0..ROUNDS).for_each(|_| run());
        start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
    };
    let best = (0..REPEATS).map(repeat).fold(f64::INFINITY, f64::min);
    println!("{step:<42} {best:>7.2} µs");
}

fn permitted<'c>(container: &'c Container, name: &str, consent: &ConsentState) -> Permitted<'c> {
    let tag = container.tags.iter().find(|tag| &*tag.name == name).expect("a tag of this name");
    match gate::decide(Firing::new(tag), consent, Prospect::Final) {
        Gated::Permitted(permitted) => permitted,
        refused => panic!("{refused:?}"),
    }
}

/// One new call after the other, as many as ten minutes of a busy site bring; then copies of the last.
fn deduplicate(call: &Call) {
    let recent = RecentCalls::new(32 << 20, [RandomState::new(), RandomState::new()]);
    // What a body costs, it costs elsewhere.
    let call = Call { body: "".into(), ..call.clone() };
    let (mut now, mut nth) = (Timestamp(1_795_000_000_000), 0_u32);
    let mut sift = |id: Arc<str>| {
        now = now.plus(WINDOW / ROUNDS);
        let call = Call { event: CallEvent { id, ..call.event.clone() }, ..call.clone() };
        let (mut sieve, mut new) = (Sieve::new(Some(&recent), now), Vec::new());
        let suppressed = sieve.sift(vec![call], IdOrigin::Site, &mut new);
        recent.remember(&sieve.into_keys(), now);
        black_box((suppressed, new));
    };
    time("a new call, told and remembered", || {
        nth += 1;
        let id = [0, 7, 14, 21, 28].map(|shift| u8::try_from(nth >> shift & 127).unwrap_or(0));
        sift(Arc::from(std::str::from_utf8(&id).expect("ASCII")));
    });
    let id: Arc<str> = "T-90210".into();
    time("a copy, suppressed", || sift(Arc::clone(&id)));
}

fn main() {
    let container = container();
    let hit = Arc::new(purchase());
    let surroundings = Surroundings {
        clock: monotonic_clock,
        new_id: &|| Uuid::nil(),
        recent: None,
        told: TOLD_AT_WORK,
        look: None,
        stated: Default::default(),
    };
    let processed = pipeline::process(&container, Client::DataLayer, &hit, surroundings);
    let mut decided = processed.result.expect("a good hit");
    let call = decided.calls.remove(0);
    println!("{}", call.body);

    let mut events = Client::DataLayer.read(&hit, &|| Uuid::nil()).expect("a good hit");
    let event = Arc::new(events.remove(0).event);
    let mut given = Given {
        event,
        hit: Arc::clone(&hit),
        client: Client::DataLayer,
        position: 0,
        consent: ConsentState::default(),
        hit_time: HitTime::new(Duration::from_secs(3600)),
        clock: monotonic_clock,
    };
    let of_hit = gather::of_hit(&hit, &container.consent);
    given.consent = gather::of_event(&Moment::new(&container, &given), &of_hit).state(&Recipients::Unregistered);
    let run = |name: &str| {
        let moment = Moment::new(&container, &given);
        let run = container.scripts.run(&permitted(&container, name, &given.consent), &moment, &given);
        assert!(matches!(run.outcome, Outcome::Asked(_)), "{:?}", run.outcome);
        drop(black_box(run));
    };
    time("hit through the pipeline, one conversion", || {
        drop(black_box(pipeline::process(&container, Client::DataLayer, &hit, surroundings)));
    });
    time("consent, said in the hit", || {
        let of_hit = gather::of_hit(&hit, &container.consent);
        let evidence = gather::of_event(&Moment::new(&container, &given), &of_hit);
        black_box(evidence.state(&Recipients::Unregistered));
        drop(black_box(evidence));
    });
    time("the conversion's script", || run("Conversion"));
    time("an empty script", || run("Empty"));
    deduplicate(&call);
}
