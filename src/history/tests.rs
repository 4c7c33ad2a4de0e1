use std::{
    fs,
    net::IpAddr,
    sync::atomic::{AtomicI64, Ordering},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::{
    app::monotonic_clock,
    client::Client,
    container::{
        diagnostic::Severity,
        folder,
        load::{LoadOptions, load},
    },
    hit::Hit,
    pipeline::{self, Surroundings},
};

const RULES: &str = "
triggers: { Order: { event: purchase, when: [{ event_data: page_location, contains: /shop }] } }
tags: { Order: { template: openai_cookie, triggers: Order, consent: none, consent_reason: a test } }
";

fn container(rules: &str) -> Arc<Container> {
    let files = [("rules/all.yaml".into(), rules.as_bytes().to_vec())].into();
    let options = LoadOptions {
        version: "v1",
        environment: &std::collections::BTreeMap::new(),
        absent_environment: Severity::Error,
        library: &folder::library(),
        inline: None,
        seats: 1,
    };
    Arc::new(load(&files, options).container.expect("a container"))
}

fn purchase(id: &str) -> Value {
    json!({
        "event": "purchase", "event_id": id, "value": 5, "plan": "gold-plan",
        "page_location": "https://x.example/shop", "consent": {"ad_storage": "granted"},
    })
}

/// A history of its own, at its own time.
struct Place {
    folder: TempDir,
    container: Arc<Container>,
    now: AtomicI64,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder, container: container(RULES), now: AtomicI64::new(Timestamp::now().0) }
    }

    fn open(&self, keep: KeepHits, max_bytes: u64) -> History {
        History::open(self.folder.path(), Options { keep, max_bytes }).expect("a thread")
    }

    fn path(&self) -> PathBuf {
        file::path(self.folder.path())
    }

    /// Takes a hit as the app does.
    fn take(&self, history: &History, body: &Value) {
        let received = Timestamp(self.now.load(Ordering::Relaxed));
        let hit = Hit {
            address: Some(IpAddr::from([203, 0, 113, 7])),
            host: "t.x.example".into(),
            body: body.to_string().into_bytes().into(),
            ..Hit::silent(received)
        };
        let is_picked = history.picks(received);
        let seen = std::cell::RefCell::new(Vec::new());
        let look = |moment: &crate::variable::Moment<'_>, evidence: &crate::consent::Evidence| {
            seen.borrow_mut().push(Seen::of(moment, evidence));
        };
        let surroundings = Surroundings {
            clock: monotonic_clock,
            new_id: &|| Uuid::nil(),
            recent: None,
            told: 0,
            look: Some(&look),
            stated: Default::default(),
        };
        let processed = pipeline::process(&self.container, Client::DataLayer, &Arc::new(hit), surroundings);
        history.served(&self.container.version, processed.result.expect("a good hit").events);
        if is_picked {
            history.keep(Picked { container: Arc::clone(&self.container), events: seen.take() });
        }
    }

    fn impact(&self) -> Impact {
        super::impact(self.folder.path(), &self.container, &container("tags: {}")).expect("a file that can be read")
    }

    fn outcome(history: &History, name: &str) -> u64 {
        history.counts().outcomes().into_iter().find(|(own, _)| *own == name).expect("an outcome").1
    }
}

#[tokio::test]
async fn hits_are_kept_and_counted() {
    let place = Place::new();
    let history = place.open(KeepHits::On, 64 << 20);
    place.take(&history, &json!({"event": "somebody@example.com"}));
    for nth in 0..3 {
        place.take(&history, &purchase(&format!("id-{nth}")));
    }
    place.take(&history, &json!({"events": [{"event": "a"}, {"event": "b"}]}));
    history.flush().await;
    // While it runs, and after.
    for _ in 0..2 {
        let impact = place.impact();
        assert_eq!((impact.events, impact.tags[0].fired_before), (5, 3));
        assert_eq!(impact.sample.map(|sample| (sample.kept, sample.of)), Some((4, 5)));
        let served = versions_served(place.folder.path()).expect("a file");
        let [Served { version, hits, events, first, last }] = &served[..] else { panic!("{served:?}") };
        assert_eq!((&**version, *hits, *events), ("v1", 5, 6));
        assert!(first <= last && place.now.load(Ordering::Relaxed) - 1 <= first.0);
        history.close().await;
    }
    assert_eq!(Place::outcome(&history, "kept"), 4);
    assert_eq!(Place::outcome(&history, "withheld"), 1);
}

#[tokio::test]
async fn what_is_a_day_old_is_gone_with_its_key() {
    let place = Place::new();
    let long_ago = place.now.load(Ordering::Relaxed) - 2 * store::DAY;
    let now = place.now.swap(long_ago, Ordering::Relaxed);
    let history = place.open(KeepHits::On, 64 << 20);
    place.take(&history, &purchase("id-old"));
    history.close().await;
    let count = |what: &str| {
        let conn = file::open_reader(&place.path()).expect("a file").expect("a file");
        conn.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get::<_, i64>(0)).expect("a count")
    };
    assert_eq!((count("kept"), count("keys"), place.impact().events), (0, 0, 0));
    place.now.store(now, Ordering::Relaxed);
    let history = place.open(KeepHits::On, 64 << 20);
    place.take(&history, &purchase("id-new"));
    history.close().await;
    assert_eq!((count("kept"), count("keys"), place.impact().events), (1, 1, 1));
}

#[tokio::test]
async fn of_many_hits_the_last_thousand_stay() {
    let place = Place::new();
    let history = place.open(KeepHits::On, 64 << 20);
    place.now.fetch_sub(3_600_000 * 2, Ordering::Relaxed);
    for nth in 0..1_200 {
        place.now.fetch_add(3_700, Ordering::Relaxed);
        place.take(&history, &purchase(&format!("id-{nth}")));
        if nth % 100 == 0 {
            history.flush().await;
        }
    }
    history.close().await;
    assert_eq!(place.impact().events, 1_000);
}

#[tokio::test]
async fn the_file_stays_within_its_limit() {
    let place = Place::new();
    let limit = 1 << 20;
    let history = place.open(KeepHits::On, limit);
    let members = (0..90).map(|nth| (format!("some_long_name_of_a_member_{nth}"), json!("text")));
    let mut large: serde_json::Map<_, _> = members.collect();
    large.extend(purchase("id").as_object().expect("a map").clone());
    let large = Value::Object(large);
    for nth in 0..600 {
        place.now.fetch_add(3_700, Ordering::Relaxed);
        place.take(&history, &large);
        if nth % 20 == 0 {
            history.flush().await;
            assert!(file::bytes(&place.path()) <= limit, "{}", file::bytes(&place.path()));
        }
    }
    history.close().await;
    assert!(file::bytes(&place.path()) <= limit);
    let events = place.impact().events;
    assert!((20..600).contains(&events), "{events} events");
    assert_eq!(Place::outcome(&history, "kept"), 600);
}

#[tokio::test]
async fn a_broken_file_is_set_aside() {
    let place = Place::new();
    for broken in [b"no database at all, but long enough to be looked at as one would be".to_vec(), vec![0; 8192]] {
        fs::write(place.path(), &broken).expect("a file");
        let history = place.open(KeepHits::On, 64 << 20);
        place.take(&history, &purchase("id"));
        history.close().await;
        assert_eq!(place.impact().events, 1);
        fs::remove_file(place.path()).expect("a file");
    }
    assert!(file::aside(&place.path()).exists());
}

#[tokio::test]
async fn a_file_that_cannot_be_written_stops_nothing() {
    let place = Place::new();
    fs::create_dir(place.path()).expect("a folder in its place");
    fs::create_dir(file::aside(&place.path())).expect("a folder in the place of the other");
    fs::write(file::aside(&place.path()).join("x"), "").expect("a file in it");
    let history = place.open(KeepHits::On, 64 << 20);
    place.take(&history, &purchase("id"));
    history.flush().await;
    assert_eq!(Place::outcome(&history, "failed"), 1);
    history.close().await;
}

#[tokio::test]
async fn switched_off_nothing_is_kept_and_what_was_is_deleted() {
    let place = Place::new();
    let history = place.open(KeepHits::On, 64 << 20);
    place.take(&history, &purchase("id"));
    history.close().await;
    assert_eq!(place.impact().events, 1);
    let history = place.open(KeepHits::Off, 64 << 20);
    place.take(&history, &purchase("id"));
    history.close().await;
    assert_eq!(place.impact().events, 0);
    assert!(history.counts().outcomes().iter().all(|(_, hits)| *hits == 0));
    // It is still told which versions decided.
    assert_eq!(versions_served(place.folder.path()).expect("a file")[0].hits, 2);
    let bytes = fs::read(place.path()).expect("a file");
    assert!(memchr::memmem::find(&bytes, b"purchase").is_none());
}

#[tokio::test]
async fn an_event_is_forgotten_by_its_id_or_a_text_in_it() {
    let place = Place::new();
    let history = place.open(KeepHits::On, 64 << 20);
    for id in ["ada-1", "ada-2", "bob-1"] {
        let mut event = purchase(id);
        event["coupon"] = json!(format!("coupon-of-{id}"));
        place.take(&history, &event);
    }
    let texts = |text: &str| BTreeSet::from([text.to_owned()]);
    assert_eq!(history.forget(texts("nobody")).await.expect("it is forgotten"), 0);
    assert_eq!(history.forget(texts("ada-1")).await.expect("it is forgotten"), 1);
    assert_eq!(place.impact().events, 2);
    assert_eq!(history.forget(texts("coupon-of-ada-2")).await.expect("it is forgotten"), 1);
    history.close().await;
    fs::write(file::aside(&place.path()), "what was broken").expect("a file");
    assert_eq!(forget(place.folder.path(), texts("bob-1")).await.expect("it is forgotten"), 1);
    assert_eq!(place.impact().events, 0);
    assert!(!file::aside(&place.path()).exists());
}

#[test]
fn where_there_is_no_file_there_is_nothing() {
    let place = Place::new();
    assert_eq!(place.impact().events, 0);
    assert_eq!(versions_served(place.folder.path()).expect("nothing"), []);
    assert!(!place.path().exists());
}

#[tokio::test]
async fn a_file_of_another_version_is_told_from_a_broken_one() {
    let place = Place::new();
    let history = place.open(KeepHits::On, 64 << 20);
    for id in ["a", "b"] {
        place.take(&history, &purchase(id));
    }
    history.close().await;
    let change = |sql: &str| {
        let conn = rusqlite::Connection::open(place.path()).expect("the file");
        conn.execute_batch(sql).expect("a change");
    };
    let read = || super::impact(place.folder.path(), &place.container, &container("tags: {}"));
    let refused = || format!("{:#}", read().expect_err("it cannot be read"));

    change("UPDATE kept SET event = '{}' WHERE id = 1");
    let impact = read().expect("the rest can be read");
    assert_eq!((impact.events, impact.unreadable), (1, 1));
    assert!(impact.to_string().contains("\n1 event not read: another version of Tidegate kept them\n"), "{impact}");

    change("PRAGMA user_version = 7");
    let told = refused();
    assert!(told.contains("another version of Tidegate wrote it (schema 7; this one reads 1): use the one"), "{told}");
    change("PRAGMA user_version = 1");
    let mut bytes = fs::read(place.path()).expect("the file");
    bytes[100..3000].fill(0xAB);
    fs::write(place.path(), bytes).expect("a broken file");
    let told = refused();
    assert!(told.contains("a server that starts sets a broken history aside and begins it anew"), "{told}");
    let history = place.open(KeepHits::On, 64 << 20);
    place.take(&history, &purchase("c"));
    history.close().await;
    assert_eq!(read().expect("it was begun anew").events, 1);
}
