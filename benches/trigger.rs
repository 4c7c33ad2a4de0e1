//! How long it takes to find the tags that fire, and to say why some others do not: with ten triggers, and with a thousand
//! of which the same three match. `cargo bench --bench trigger` prints nanoseconds an event, and beside them those of
//! asking every trigger, on one thread.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends where its input is wrong"
)]

use std::{
    collections::BTreeMap,
    fmt::Write,
    hint::black_box,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tidegate::{
    client::Client,
    consent::{ConsentState, Signals},
    container::{
        Container,
        diagnostic::Severity,
        folder,
        load::{self, LoadOptions},
    },
    event::{Event, EventId, IdOrigin},
    hit::Hit,
    script::{Given, HitTime},
    time::Timestamp,
    trace::TOLD_AT_WORK,
    trigger::choice::choose,
    variable::Moment,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EVENTS: usize = 500;
const REPEATS: usize = 7;

/// The triggers that match every event here.
const MATCHING: [&str; 3] = [
    "{ event: purchase }",
    "{ event: '*', when: [{ event_data: page_location, contains: '/thanks' }] }",
    "{ event: purchase, when: [{ event_data: value, greater_than: 10 }, { event_data: currency, equals: EUR }] }",
];

/// One tag for each trigger.
fn container(others: impl Iterator<Item = String>) -> Container {
    let mut rules = "triggers:\n".to_owned();
    let triggers: Vec<String> = MATCHING.map(str::to_owned).into_iter().chain(others).collect();
    for (position, trigger) in triggers.iter().enumerate() {
        writeln!(rules, "  T{position}: {trigger}").expect("memory");
    }
    rules += "tags:\n";
    for position in 0..triggers.len() {
        let consent = "consent: none, consent_reason: it does nothing";
        writeln!(rules, "  T{position}: {{ template: nothing, {consent}, triggers: T{position} }}").expect("memory");
    }
    let options = LoadOptions {
        version: "bench",
        environment: &BTreeMap::new(),
        absent_environment: Severity::Note,
        library: &folder::sources([("tags/nothing.rhai", ""), ("tags/nothing.yaml", "description: Nothing.")]),
        inline: None,
        seats: 1,
    };
    let loaded = load::load(&folder::sources([("rules/a.yaml", &*rules)]), options);
    loaded.container.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

/// Conditions of every kind that none of the events satisfies.
fn mixed(number: usize) -> String {
    match number % 20 {
        0..6 => format!("{{ event: event_{number} }}"),
        6 => format!("{{ event_matches: '^checkout_{number}' }}"),
        7 => format!("{{ event_matches: 'step_{number}$', when: [{{ event_data: value, defined: true }}] }}"),
        8..11 => format!("{{ event: '*', when: [{{ event_data: page_location, matches: '/area-{number}/.*utm_' }}] }}"),
        11 => format!(
            "{{ event: '*', when: [{{ event_data: page_location, matches: '/Area-{number}/', ignore_case: true }}] }}"
        ),
        12..14 => format!("{{ event: '*', when: [{{ event_data: page_location, contains: '/area-{number}/' }}] }}"),
        14..16 => format!("{{ event: purchase, when: [{{ event_data: coupon, equals: CODE-{number} }}] }}"),
        16 => format!(
            "{{ event: purchase, when: [{{ event_data: items.0.item_id, in: [SKU-{number}, SKU-A{number}] }}] }}"
        ),
        17 => format!(
            "{{ event: purchase, when: [{{ any: [{{ event_data: coupon, equals: A{number} }}, {{ event_data: currency, equals: C{number} }}] }}] }}"
        ),
        18 => format!("{{ event: purchase, when: [{{ event_data: value, greater_than: {} }}] }}", 1000 + number),
        _ => format!(
            "{{ event: purchase, when: [{{ event_data: currency, equals: EUR, not: true }}, {{ event_data: page_title, starts_with: Thank {number} }}] }}"
        ),
    }
}

fn events() -> Vec<Event> {
    let event = |number: u64| {
        let hash = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let page =
            format!("https://shop.example.com/area-x/thanks/{hash:x}?utm_source=chatgpt&oppref={hash:016x}gAAAAABo");
        let Value::Object(data) = json!({
            "page_location": page, "page_title": "Thank you", "client_id": hash.to_string(), "value": 129.9,
            "currency": "EUR", "coupon": "AUTUMN", "items": [{"item_id": "sku-1", "price": 129.9, "quantity": 1}],
        }) else {
            panic!("an event is an object")
        };
        let id = EventId { text: "1".into(), origin: IdOrigin::Site };
        Event { name: "purchase".into(), id, time: Timestamp(0), data, signals: Signals::default(), click: None }
    };
    (0..EVENTS as u64).map(event).collect()
}

fn givens() -> Vec<Given> {
    let hit = Arc::new(hit());
    let given = |event| Given {
        event: Arc::new(event),
        hit: Arc::clone(&hit),
        client: Client::DataLayer,
        position: 0,
        consent: ConsentState::default(),
        hit_time: HitTime::new(Duration::from_secs(1)),
        clock: || Duration::ZERO,
    };
    events().into_iter().map(given).collect()
}

fn hit() -> Hit {
    Hit { address: Some(IpAddr::from([192, 0, 2, 7])), host: "tags.example.com".into(), ..Hit::silent(Timestamp(0)) }
}

/// Nanoseconds an event; the best of several repeats, whatever else runs on the machine can only make it slower.
fn time(givens: &[Given], container: &Container, run: impl Fn(&Moment<'_>) -> usize) -> f64 {
    let repeat = |_| {
        let start = Instant::now();
        let fired: usize = givens.iter().map(|given| run(&Moment::new(container, given))).sum();
        assert_eq!(black_box(fired), MATCHING.len() * givens.len());
        start.elapsed().as_secs_f64() * 1e9 / givens.len() as f64
    };
    (0..REPEATS).map(repeat).fold(f64::INFINITY, f64::min)
}

fn main() {
    let givens = givens();
    let ask = |name: &str, container: &Container| {
        let chosen = time(&givens, container, |moment| choose(container, moment, TOLD_AT_WORK).fire.len());
        let untold = time(&givens, container, |moment| choose(container, moment, 0).fire.len());
        let all = time(&givens, container, |moment| {
            container.triggers.iter().filter(|trigger| trigger.matches(moment)).count()
        });
        println!("{name:<34} {chosen:>9.0} ns {untold:>9.0} ns {all:>9.0} ns");
    };
    println!("{:<34} {:>12} {:>12} {:>12}", "triggers", "choice", "no reasons", "asking all");
    ask("10", &container((0..7).map(|number| mixed(number * 3))));
    ask("1,000 names", &container((0..997).map(|number| format!("{{ event: event_{number} }}"))));
    ask("1,000 mixed", &container((0..997).map(mixed)));
    let page = |pattern: &dyn Fn(usize) -> String| {
        let pattern = |number| {
            format!("{{ event: '*', when: [{{ event_data: page_location, matches: '{}' }}] }}", pattern(number))
        };
        container((0..997).map(pattern))
    };
    ask("1,000 patterns /area-N/", &page(&|number| format!("/area-{number}/")));
    ask(
        "1,000 patterns ^https://…/.*area-N/",
        &page(&|number| format!("^https://shop\\.example\\.com/.*area-{number}/")),
    );
    let names = (0..997).map(|number| format!("{{ event_matches: '^checkout_{number}(_|$)' }}"));
    ask("1,000 patterns on names", &container(names));
    let bounds = (0..997).map(|number| {
        format!("{{ event: purchase, when: [{{ event_data: value, greater_than: {} }}] }}", 200 + number)
    });
    ask("1,000 numbers", &container(bounds));
}
