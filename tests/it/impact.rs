//! Changes, held against kept hits: `tests/cases/impact/<name>/case.yaml` holds the rules before and after and the hits;
//! `impact.snap` beside it what of each hit is kept, and what the change would have meant. Adding a case is adding a folder.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt::Write as _,
    fs, panic,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value};
use tidegate::{
    client::Client,
    container::{
        Container,
        diagnostic::{self, Colour, Severity, Sources},
        folder,
        load::{LoadOptions, load},
    },
    hit::Hit,
    kept::{
        DayKey, Kept, Seen,
        impact::{Impact, Remembered, impact},
    },
    pipeline::{self, Surroundings},
    time::Timestamp,
};
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    old: Value,
    new: Value,
    #[serde(default)]
    defaults: Map<String, Value>,
    hits: Vec<Sent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    times: usize,
    event: Map<String, Value>,
    #[serde(default)]
    request: Request,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Request {
    cookies: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
}

const KEY: DayKey = DayKey([7; 32]);

fn container(rules: &Value, version: &str) -> Container {
    // JSON is YAML.
    let files = Sources::from([("rules/all.yaml".into(), rules.to_string().into_bytes())]);
    let options = LoadOptions {
        version,
        environment: &BTreeMap::new(),
        absent_environment: Severity::Error,
        library: &folder::library(),
        inline: None,
        seats: 1,
    };
    let loaded = load(&files, options);
    let told = diagnostic::text(&loaded.diagnostics, &loaded.sources, Colour::Off);
    loaded.container.unwrap_or_else(|| panic!("{told}"))
}

/// What is kept of the events of a hit, as the server would.
fn keep(container: &Container, sent: &Sent, defaults: &Map<String, Value>) -> Vec<Kept> {
    let mut body = sent.event.clone();
    defaults.iter().for_each(|(key, value)| {
        body.entry(key).or_insert_with(|| value.clone());
    });
    let mut headers = HeaderMap::new();
    for (name, value) in &sent.request.headers {
        let name: http::HeaderName = name.parse().unwrap();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
    }
    let cookies: Vec<_> = sent.request.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if !cookies.is_empty() {
        headers.insert("cookie", HeaderValue::from_str(&cookies.join("; ")).unwrap());
    }
    let hit = Hit {
        headers,
        address: Some([203, 0, 113, 7].into()),
        host: "t.x.example".into(),
        body: serde_json::to_vec(&body).unwrap().into(),
        ..Hit::silent(Timestamp(1_764_072_061_234))
    };
    let kept = RefCell::new(Vec::new());
    let surroundings = Surroundings {
        clock: || Duration::ZERO,
        new_id: &|| Uuid::nil(),
        recent: None,
        told: 0,
        look: Some(&|moment, evidence| {
            kept.borrow_mut().extend(Kept::of(container, &Seen::of(moment, evidence), &KEY))
        }),
        stated: Default::default(),
    };
    pipeline::process(container, Client::DataLayer, &Arc::new(hit), surroundings).result.expect("a good hit");
    kept.into_inner()
}

/// What of each hit is kept, as it comes back from a file, and the impact.
fn told(folder: &Path) -> (String, Impact) {
    let text = fs::read_to_string(folder.join("case.yaml")).unwrap();
    let case: Case = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let (old, new) = (container(&case.old, "old"), container(&case.new, "new"));
    let key = Some(Arc::new(KEY));
    let (mut told, mut hits) = (String::new(), Vec::new());
    for sent in &case.hits {
        for kept in keep(&old, sent, &case.defaults) {
            let text = serde_json::to_string(&kept).unwrap();
            writeln!(told, "{} x {text}", sent.times).unwrap();
            let read: Kept = serde_json::from_str(&text).unwrap();
            assert_eq!(read, kept);
            hits.extend(std::iter::repeat_n(Remembered { kept: read, key: key.clone() }, sent.times));
        }
    }
    let impact = impact(&hits, &old, &new);
    write!(told, "\n{impact}").unwrap();
    (told, impact)
}

#[test]
fn every_change_has_its_impact() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/impact");
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 10, "found only {}", cases.len());
    let differs = |case: &PathBuf| {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(case);
        settings.set_omit_expression(true);
        settings.set_prepend_module_to_snapshot(false);
        let compare = || settings.bind(|| insta::assert_snapshot!("impact", told(case).0));
        panic::catch_unwind(panic::AssertUnwindSafe(compare)).is_err()
    };
    let different: Vec<_> = cases.iter().filter(|case| differs(case)).collect();
    assert!(different.is_empty(), "{different:#?}");
}

#[test]
fn an_impact_is_json_too() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/impact/consent_added");
    insta::assert_snapshot!(serde_json::to_string_pretty(&told(&folder).1).unwrap());
}
