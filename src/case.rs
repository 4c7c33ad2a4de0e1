//! Test cases: an event in, and what should come of it. Takes a `*.test.yaml` and a container's files; runs every case
//! through the same pipeline as production, with fixed clocks, and gives what differed. Nothing is sent. A case ends the
//! same on a slow machine: scripts are held to their count of operations there, and not to their time.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;
use uuid::Uuid;

use self::model::{CaseRule, Defaults, FileRule, RequestRule};
use crate::{
    client::Client,
    container::{
        Container,
        diagnostic::{Diagnostic, Diagnostics, Place, Severity, Sources, quoted},
        load::{self, LoadOptions, plain},
        yaml::{self, Node, Placed, decode::Context, decode::decode},
    },
    hit::{Hit, HitId, Through},
    pipeline::{self, Processed, Surroundings},
    script::MonotonicClock,
    time::Timestamp,
    trace::TOLD_TO_PEOPLE,
};

mod check;
mod expect;
mod model;

/// The clock of a case that names no time: 2026-01-01T12:00:00Z.
const DEFAULT_NOW: Timestamp = Timestamp(1_767_268_800_000);

/// What cases run in.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// The container's files, `rules/` and `tags/`.
    pub files: &'a Sources,
    pub library: &'a Sources,
}

/// One case and how it ended.
#[derive(Clone, Debug)]
pub struct CaseResult {
    pub name: Arc<str>,
    pub place: Place,
    /// What differed from the expectation, one line each; empty if the case passed.
    pub differences: Vec<String>,
}

/// Runs every case of one file, or those whose name contains `filter`. Faults of the file or of its container go to
/// `diagnostics`.
pub fn run_file(
    file: &Arc<str>,
    bytes: &[u8],
    setting: Setting<'_>,
    filter: &str,
    diagnostics: &mut Diagnostics,
) -> Vec<CaseResult> {
    let Some((rules, cases)) = read_file(file, bytes, diagnostics) else { return Vec::new() };
    let mut containers = Containers { setting, file, inline: rules.container.as_ref(), loaded: BTreeMap::new() };
    let mut results = Vec::new();
    for (name, case) in cases.iter().filter(|(name, _)| name.contains(filter)) {
        let mut environment = rules.defaults.environment.clone();
        environment.extend(case.environment.clone());
        let Some(container) = containers.get(&environment, diagnostics) else { return results };
        let differences = match hit_of(&rules.defaults, case) {
            Ok((client, hit)) => {
                let processed = process(container, client, hit);
                expect::differences(&case.expect, &processed, container)
            }
            Err(fault) => vec![fault],
        };
        results.push(CaseResult { name: Arc::clone(&name.value), place: name.place.clone(), differences });
    }
    results
}

/// Reads a file of cases without running them; what is wrong with it goes to `diagnostics`.
pub fn check_file(file: &Arc<str>, bytes: &[u8], diagnostics: &mut Diagnostics) {
    read_file(file, bytes, diagnostics);
}

type Cases = Vec<(Placed<Arc<str>>, CaseRule)>;

/// `None` goes with at least one error.
fn read_file(file: &Arc<str>, bytes: &[u8], diagnostics: &mut Diagnostics) -> Option<(FileRule, Cases)> {
    let errors_before = diagnostics.errors_told();
    let root = yaml::parse(file, bytes, diagnostics)?;
    let rules: FileRule = decode(&root, &Context { file, owner: "test cases", name: None }, diagnostics)?;
    check::has_cases(file, &root, &rules, diagnostics);
    let mut cases = Cases::new();
    for (name, node) in &rules.cases {
        let owner = format!("case {}", quoted(name));
        let context = Context { file, owner: &owner, name: Some(&name.place) };
        let errors_before = diagnostics.errors_told();
        let Some(case) = decode(node, &context, diagnostics) else { continue };
        // What seems to be absent may be there under a misspelt name, which has been told.
        if diagnostics.errors_told() == errors_before {
            check::case(name, &case, &context, diagnostics);
        }
        cases.push((name.clone(), case));
    }
    (diagnostics.errors_told() == errors_before).then_some((rules, cases))
}

/// The containers that a file's cases run in: one for each environment that they name.
struct Containers<'a> {
    setting: Setting<'a>,
    file: &'a Arc<str>,
    /// Rules in place of the container's own.
    inline: Option<&'a Node>,
    loaded: BTreeMap<BTreeMap<String, String>, Option<Container>>,
}

impl Containers<'_> {
    fn get(&mut self, environment: &BTreeMap<String, String>, diagnostics: &mut Diagnostics) -> Option<&Container> {
        if !self.loaded.contains_key(environment) {
            let options = LoadOptions {
                version: "test",
                environment,
                absent_environment: Severity::Note,
                library: self.setting.library,
                inline: self.inline.map(|rules| (self.file, rules)),
                seats: 1,
            };
            let loaded = load::load(self.setting.files, options);
            if loaded.container.is_none() {
                diagnostics.extend(loaded.diagnostics.iter().filter(|d| d.severity == Severity::Error).cloned());
            }
            self.loaded.insert(environment.clone(), loaded.container);
        }
        self.loaded.get(environment)?.as_ref()
    }
}

fn process(container: &Container, client: Client, hit: Hit) -> Processed {
    let stopped: MonotonicClock = || Duration::ZERO;
    let made = AtomicU64::new(0);
    let new_id = || Uuid::from_u128(u128::from(made.fetch_add(1, Ordering::Relaxed) + 1));
    let surroundings = Surroundings { clock: stopped, new_id: &new_id, recent: None, told: TOLD_TO_PEOPLE };
    pipeline::process(container, client, &Arc::new(hit), surroundings)
}

/// The hit that a case describes, and the client that claims it; a sentence about what cannot be in a hit otherwise.
fn hit_of(defaults: &Defaults, case: &CaseRule) -> Result<(Client, Hit), String> {
    let request = case.request.over(&defaults.request);
    let now = case.now.or(defaults.now).map_or(DEFAULT_NOW, |now| now.0);
    let body = match (&case.body, &case.event) {
        (Some(body), _) => body.value.clone().into_bytes(),
        (None, Some(event)) => {
            serde_json::to_vec(&body_of(event, case.consent.as_deref(), defaults)).map_err(|error| error.to_string())?
        }
        (None, None) => Vec::new(),
    };
    let method = if case.body.is_none() && case.event.is_none() { Method::GET } else { Method::POST };
    build_hit(&request, method, now, body)
}

/// The event as the case tells it, with the defaults where it is silent.
fn body_of(event: &Node, consent: Option<&Node>, defaults: &Defaults) -> Value {
    let mut body = plain(event);
    let Some(event) = body.as_object_mut() else { return body };
    if let Some(Value::Object(shared)) = defaults.event.as_ref().map(plain) {
        // Several events have names of their own.
        let has_events = event.contains_key("events");
        for (key, value) in shared.into_iter().filter(|(key, _)| !(has_events && key == "event")) {
            event.entry(key).or_insert(value);
        }
    }
    if let Some(consent) = consent.or(defaults.consent.as_ref()) {
        event.entry("consent").or_insert_with(|| plain(consent));
    }
    body
}

fn build_hit(
    request: &RequestRule,
    method: Method,
    received: Timestamp,
    body: Vec<u8>,
) -> Result<(Client, Hit), String> {
    let url = request.url.as_deref().unwrap_or(Client::DataLayer.path());
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let client = Client::claim(path).ok_or_else(|| format!("no client claims hits of {path}"))?;
    let mut headers = HeaderMap::new();
    let cookies: Vec<_> = request.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let cookies = (!cookies.is_empty()).then(|| ("cookie".to_owned(), cookies.join("; ")));
    for (name, value) in request.headers.clone().into_iter().chain(cookies) {
        let header = HeaderName::try_from(name.as_str()).map_err(|_| format!("{name:?} is no header name"))?;
        headers.insert(header, HeaderValue::try_from(value).map_err(|_| format!("{name} cannot have this value"))?);
    }
    let hit = Hit {
        id: HitId(Uuid::nil()),
        received,
        method,
        path: path.into(),
        query: query.into(),
        headers,
        through: Through::TrustedProxy,
        address: Some(request.address.unwrap_or(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)))),
        host: request.host.as_deref().unwrap_or("tags.example.com").into(),
        body: body.into(),
    };
    Ok((client, hit))
}

/// A difference as a diagnostic, for the renderers.
pub fn diagnostic(result: &CaseResult) -> Option<Diagnostic> {
    if result.differences.is_empty() {
        return None;
    }
    let message = format!("case {:?} failed: {}", result.name, result.differences.join("; "));
    Some(Diagnostic::error("case-failed", message).at(result.place.clone()))
}

#[cfg(test)]
mod tests;
