//! Hostile scripts. Each is a file in `tests/cases/cage` that says which limit it attacks, with how it ends beside it;
//! here they run, and here is what no single file can show.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, LazyLock},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    HitTime, MonotonicClock, STACK,
    memory::{self, Counted},
};
use crate::{
    client::Client,
    container::{
        Container,
        diagnostic::{Colour, Diagnostics, Severity, Sources, text},
        load::{self, LoadOptions},
    },
    hit::Hit,
    pipeline::{self, Processed, Surroundings},
    time::Timestamp,
    trace::{TagTrace, TagVerdict},
};

mod compiling;
mod natives;

#[global_allocator]
static ALLOCATOR: Counted<std::alloc::System> = Counted(std::alloc::System);

/// What a run may hold at its worst moment: its own limit, and what one native makes before it is looked at.
const MAX_PEAK: usize = 24 << 20;

const MANIFEST: &str = "
description: Hostile.
permissions: { destinations: [openai], cookies: [permitted] }
fields:
  pixel_id: { type: text, fixed: true, description: A pixel. }
  api_key: { type: secret, description: A secret. }
  headers: { type: map, description: A secret further in. }
";

const HONEST: &str = "
fn double(list) {
    list.map(|n| n * 2)
}
let reason = `${event.event_name} ${double([1, 2, 3])} ${params.api_key == ()} ${consent.granted(\"ad_storage\")}`;
skip(reason)
";

/// An honest tag runs after the hostile one, in the same engine.
const RULES: &str = "
triggers:
  Every event: { event: '*' }
tags:
  Hostile:
    template: HOSTILE
    triggers: Every event
    consent: ad_storage
    priority: 1
    parameters: &own
      pixel_id: px_1
      api_key: { secret: NAME_OF_THE_SECRET }
      headers: { authorization: { secret: NAME_OF_THE_SECRET } }
  Honest:
    template: honest
    triggers: Every event
    consent: ad_storage
    parameters: *own
";

static PURCHASE: LazyLock<Value> = LazyLock::new(|| {
    let sample = fs::read("tests/cases/cage/purchase.json").expect("the sample");
    serde_json::from_slice(&sample).expect("JSON")
});

/// A clock that stands still: only what does not depend on time can stop a script.
fn stopped() -> Duration {
    Duration::ZERO
}

thread_local! {
    static READINGS: Cell<u32> = const { Cell::new(0) };
}

/// A clock by which a millisecond passes between each two looks at it.
fn hasty() -> Duration {
    READINGS.set(READINGS.get() + 1);
    Duration::from_millis(READINGS.get().into())
}

fn load(name: &str, script: &str) -> Result<Container, Box<Diagnostics>> {
    let mut files = Sources::default();
    let mut add = |path: String, text: &str| files.insert(path.into(), text.as_bytes().to_vec());
    add("rules/hostile.yaml".to_owned(), &RULES.replace("HOSTILE", name));
    for (name, script) in [(name, script), ("honest", HONEST)] {
        add(format!("tags/{name}.yaml"), MANIFEST);
        add(format!("tags/{name}.rhai"), script);
    }
    let (environment, library) = (BTreeMap::new(), Sources::default());
    let options = LoadOptions {
        version: "test",
        environment: &environment,
        absent_environment: Severity::Error,
        library: &library,
        inline: None,
        seats: 1,
    };
    let loaded = load::load(&files, options);
    loaded.container.ok_or_else(|| Box::new(loaded.diagnostics))
}

fn process(container: &Container, body: &Value, clock: MonotonicClock) -> Processed {
    let hit = Hit {
        host: "tags.example.com".into(),
        body: body.to_string().into(),
        ..Hit::silent(Timestamp(1_795_000_000_123))
    };
    let surroundings =
        Surroundings { clock, new_id: &|| Uuid::nil(), recent: None, told: 10, look: None, stated: Default::default() };
    pipeline::process(container, Client::DataLayer, &Arc::new(hit), surroundings)
}

/// What became of the hostile tag and of the honest one.
fn tags(processed: Processed) -> [TagTrace; 2] {
    let tags: Vec<_> = processed.trace.events.into_iter().flat_map(|event| event.tags).collect();
    tags.try_into().expect("two tags")
}

fn run(script: &str, body: &Value) -> TagVerdict {
    let container = load("hostile", script).unwrap_or_else(|problems| panic!("{problems:?}"));
    tags(process(&container, body, stopped))[0].verdict.clone()
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).expect("a thread");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Runs a hostile script, with the clock standing still and with one that hastes; tells how it ended.
fn ending(name: &str, script: &str) -> String {
    let container = match load(name, script) {
        Ok(container) => container,
        Err(problems) => {
            let mut own = Diagnostics::default();
            own.extend(problems.iter().filter(|problem| problem.code == "bad-script").cloned());
            let sources = Sources::from([(format!("tags/{name}.rhai").into(), script.as_bytes().to_vec())]);
            return format!("does not load\n\n{}", text(&own, &sources, Colour::Off));
        }
    };
    let (processed, peak) = memory::peak(|| process(&container, &PURCHASE, stopped));
    assert!(peak < MAX_PEAK, "{name} held {} KB", peak >> 10);
    let [hostile, honest] = tags(processed);
    let expected = TagVerdict::Skipped { reason: "purchase [2, 4, 6] false true".into() };
    assert_eq!(honest.verdict, expected, "{name} is felt by what runs after it");
    assert!(!matches!(hostile.verdict, TagVerdict::Ran { .. }), "{name} got what it wanted: {}", hostile.verdict);

    READINGS.set(0);
    let [hurried, _] = tags(process(&container, &PURCHASE, hasty));
    assert!(READINGS.get() < 30, "{name} took {} looks at the clock to end", READINGS.get());
    let is_late = hurried.verdict.to_string().contains("the script ran longer than 10 ms");
    assert!(is_late || hurried.verdict == hostile.verdict, "{name} in a hurry: {}", hurried.verdict);

    let told = serde_json::to_string(&(&hostile, &hurried)).expect("JSON");
    for personal in ["Ada", "@", "746 123", "NAME_OF_THE_SECRET"] {
        assert!(!told.contains(personal), "{name} tells {personal}: {told}");
    }
    let notes = match hostile.notes.as_slice() {
        [] => String::new(),
        [first, .., last] => format!("\nnotes: {}: {first} … {last}", hostile.notes.len()),
        [note] => format!("\nnote: {note}"),
    };
    format!("{}{notes}", hostile.verdict)
}

#[test]
fn hostile_scripts_end() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cage"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let _bound = settings.bind_to_scope();
    insta::glob!("../../../tests/cases/cage", "*.rhai", |path| {
        let script = fs::read_to_string(path).expect("text");
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
        let ending = on_a_thread(|| ending(name, &script));
        insta::assert_snapshot!("ends", ending);
    });
}

#[test]
fn a_hit_whose_time_is_used_up_runs_no_more_scripts() {
    let container = load("hostile", "loop {}").expect("a good script");
    let body = json!({"events": vec![PURCHASE.clone(); 10]});
    READINGS.set(0);
    let trace = process(&container, &body, hasty).trace;
    let (_, error, late) = trace.out_of_time().expect("the log is told of it");
    assert_eq!(&*error.file, "tags/hostile.rhai");
    let events = trace.events;
    let endings: Vec<_> = events.iter().flat_map(|event| &event.tags).map(|tag| tag.verdict.to_string()).collect();
    let ended = |how: &str| endings.iter().filter(|ending| ending.contains(how)).count();
    let used_up = ended("the time that the scripts of one hit may take together is used up");
    assert!((1..=5).contains(&ended("the script ran longer than 10 ms")), "{endings:#?}");
    assert!((1..=5).contains(&ended("skipped: purchase")), "{endings:#?}");
    assert_eq!(late, used_up);
    assert!(used_up > 10 && endings[19].contains("used up"), "{endings:#?}");
}

/// On a machine with more to do than it has processors, a thread is put aside for longer than any script may run.
#[test]
fn a_script_does_not_pay_for_what_else_the_machine_does() {
    fn put_aside() -> Duration {
        READINGS.set(READINGS.get() + 1);
        Duration::from_secs(READINGS.get().into())
    }
    let container =
        load("hostile", "let name = event.event_name; skip(`${name} ${params.pixel_id}`)").expect("a script");
    READINGS.set(0);
    let [first, _] = tags(process(&container, &PURCHASE, put_aside));
    assert_eq!(first.verdict, TagVerdict::Skipped { reason: "purchase px_1".into() });
}

#[test]
fn what_an_event_holds_beyond_a_scripts_limits_does_not_enter_it() {
    let mut body = PURCHASE.clone();
    body["long"] = json!("x".repeat(70_000));
    body["many"] = json!(vec![1; 1001]);
    body["wide"] = json!({"in": {"depth": vec![json!({"a": 1, "b": 2}); 501]}});
    for (script, expected) in [
        ("event.long", "holds more than 64 KB of text"),
        ("event[\"long\"]", "holds more than 64 KB of text"),
        ("event.many", "holds more than 1000 list elements"),
        ("event.wide", "holds more than 1000 map entries"),
    ] {
        let verdict = run(script, &body).to_string();
        assert!(verdict.contains(expected), "{script}: {verdict}");
    }
    let verdict = run("skip(`${event[\"many.1000\"]} ${event[\"wide.in.depth.3.b\"]}`)", &body);
    assert_eq!(verdict, TagVerdict::Skipped { reason: "1 2".into() }, "a part may be read where the whole may not");
}

#[test]
fn a_script_may_ask_for_as_much_as_it_may_and_no_more() {
    let cookies =
        |number: usize| format!("let all = [];\nall.pad({number}, set_cookie(\"permitted\", \"1\", #{{}}));\nall");
    assert!(matches!(run(&cookies(20), &PURCHASE), TagVerdict::Ran { calls: 0, cookies, .. } if cookies.len() == 20));
    assert!(matches!(run(&cookies(21), &PURCHASE), TagVerdict::Failed { .. }));
}

#[test]
fn a_fault_in_the_engine_ends_the_run_and_not_the_thread() {
    let mut engine = super::engine();
    engine.register_fn("fault", || -> i64 { panic!("a fault") });
    let call = |script: &str| {
        super::run(stopped, &HitTime::new(Duration::from_secs(1)), || engine.eval::<rhai::Dynamic>(script))
    };
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let (failed, notes) = call("log(\"before\"); try { fault() } catch { }");
    std::panic::set_hook(hook);
    let (message, _) = super::explain(*failed.expect_err("a fault"), "");
    assert_eq!(message, "the script engine failed; this is a fault of the program, not of the script");
    assert_eq!(notes.len(), 1);
    assert_eq!(call("1 + 1").0.expect("a number").as_int(), Ok(2));
}

#[test]
fn sorting_is_stable_and_stops_at_a_failing_comparer() {
    let script = "
        let by_tens = [31, 12, 35, 11, 39, 10];
        by_tens.sort(|a, b| a / 10 - b / 10);
        let down = [1, 3, 2].order_by(|a, b| a > b);
        let named = [2, 1];
        named.sort(\"rising\");
        fn rising(a, b) { a - b }
        try { [1, 2, 3].sort(|a, b| throw `at ${a}`); } catch (error) { return skip(`${by_tens} ${down} ${named} ${error}`); }
    ";
    let expected = "[12, 11, 10, 31, 35, 39] [3, 2, 1] [1, 2] at 2";
    assert_eq!(run(script, &PURCHASE), TagVerdict::Skipped { reason: expected.into() });
}
