//! Test cases: an event in, and what should come of it. Takes a `*.test.yaml` and a container's files; runs every case
//! through the same pipeline as production, with fixed clocks, and gives what differed. Nothing is sent. A case ends the
//! same on a slow machine: scripts are held to their count of operations there, and not to their time.
//!
//! [`update`] writes expectations anew, [`coverage`] tells what no case exercises.

use std::{
    cell::RefCell,
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

use self::{
    coverage::Coverage,
    filter::Filter,
    model::{CaseRule, Defaults, FileRule, RequestRule, WriteKeyRule},
    update::Edit,
};
use crate::{
    client::Client,
    consent::Evidence,
    container::{
        Container,
        diagnostic::{Diagnostic, Diagnostics, Place, Severity, Sources, quoted},
        load::{self, LoadOptions, plain},
        yaml::{self, Node, Placed, decode::Context, decode::decode},
    },
    hit::{Hit, HitId, Through},
    pipeline::{self, Look, Processed, Surroundings},
    script::MonotonicClock,
    time::Timestamp,
    trace::TOLD_TO_PEOPLE,
    variable::Moment,
};

mod check;
pub mod coverage;
mod expect;
mod filter;
pub mod model;
pub mod update;

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
    /// What would make the expectation pass, where that was asked for.
    edits: Vec<Edit>,
}

/// What a case that says nothing of what it expects is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    /// A mistake: it would pass whatever happens.
    Mistake,
    /// To be filled in by what came of it.
    Request,
}

/// Runs cases. Whatever several of them need is made once.
pub struct Bench<'a> {
    setting: Setting<'a>,
    filter: Filter<'a>,
    silence: Silence,
    coverage: Option<RefCell<Coverage>>,
    own: OwnContainers,
}

/// The container for each environment that cases name; `None` if it is broken, which was told then.
type OwnContainers = BTreeMap<BTreeMap<String, String>, Option<Container>>;

impl<'a> Bench<'a> {
    /// Only cases whose name contains these words run.
    pub fn new(setting: Setting<'a>, words: &'a str) -> Self {
        Self { setting, filter: Filter::new(words), silence: Silence::Mistake, coverage: None, own: BTreeMap::new() }
    }

    /// Sees from now on what cases exercise of the container.
    pub fn watch(&mut self, diagnostics: &mut Diagnostics) {
        let container = own_container(&mut self.own, self.setting, &BTreeMap::new(), diagnostics);
        self.coverage = container.map(Coverage::of).map(RefCell::new);
    }

    /// What the cases so far exercised, if that was watched.
    pub fn coverage(self) -> Option<Coverage> {
        self.coverage.map(RefCell::into_inner)
    }

    /// After the last file: what no file tells. A container that no case runs in may be broken all the same, and words that
    /// no case has in its name choose nothing.
    pub fn finish(&mut self, diagnostics: &mut Diagnostics) {
        if self.own.is_empty() {
            own_container(&mut self.own, self.setting, &BTreeMap::new(), diagnostics);
        }
        // What is wrong may be why a case was not found.
        if !diagnostics.has_errors() {
            diagnostics.extend(self.filter.fault());
        }
    }

    /// Runs every case of one file. Faults of the file or of its container go to `diagnostics`.
    pub fn run_file(&mut self, file: &Arc<str>, bytes: &[u8], diagnostics: &mut Diagnostics) -> Vec<CaseResult> {
        let Some((rules, cases)) = read_file(file, bytes, self.silence, diagnostics) else { return Vec::new() };
        let mut inline = BTreeMap::new();
        let mut results = Vec::new();
        for case in cases.iter().filter(|case| self.filter.lets_through(&case.name.value)) {
            let mut environment = rules.defaults.environment.clone();
            environment.extend(case.rule.environment.clone());
            let (container, coverage) = match &rules.container {
                None => {
                    let own = own_container(&mut self.own, self.setting, &environment, diagnostics);
                    (own, self.coverage.as_ref())
                }
                Some(rules) => {
                    let load = || load_container(self.setting, &environment, Some((file, rules)), diagnostics);
                    (inline.entry(environment.clone()).or_insert_with(load).as_ref(), None)
                }
            };
            let Some(container) = container else { return results };
            let source = (self.silence == Silence::Request).then_some(bytes);
            results.push(run_case(case, &rules.defaults, container, coverage, source));
        }
        results
    }
}

/// With the file's bytes come the edits that would make the case pass.
fn run_case(
    case: &Case,
    defaults: &Defaults,
    container: &Container,
    coverage: Option<&RefCell<Coverage>>,
    source: Option<&[u8]>,
) -> CaseResult {
    let (name, place) = (Arc::clone(&case.name.value), case.name.place.clone());
    let (client, hit) = match hit_of(defaults, &case.rule) {
        Ok(found) => found,
        Err(fault) => return CaseResult { name, place, differences: vec![fault], edits: Vec::new() },
    };
    let processed = process(container, client, hit, coverage);
    let differences = match case.rule.expect.as_ref().filter(|expect| expect.is_of_anything()) {
        Some(expect) => expect::differences(expect, &processed, container),
        None => vec!["expects nothing yet".to_owned()],
    };
    let source = source.filter(|_| !differences.is_empty()).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let edits = source.map(|source| update::edits(&case.node, &case.rule, source, &processed));
    CaseResult { name, place, differences, edits: edits.unwrap_or_default() }
}

fn own_container<'c>(
    own: &'c mut OwnContainers,
    setting: Setting<'_>,
    environment: &BTreeMap<String, String>,
    diagnostics: &mut Diagnostics,
) -> Option<&'c Container> {
    if !own.contains_key(environment) {
        own.insert(environment.clone(), load_container(setting, environment, None, diagnostics));
    }
    own.get(environment)?.as_ref()
}

fn load_container(
    setting: Setting<'_>,
    environment: &BTreeMap<String, String>,
    inline: Option<(&Arc<str>, &Node)>,
    diagnostics: &mut Diagnostics,
) -> Option<Container> {
    let options = LoadOptions {
        version: "test",
        environment,
        absent_environment: Severity::Note,
        library: setting.library,
        inline,
        seats: 1,
    };
    let loaded = load::load(setting.files, options);
    if loaded.container.is_none() {
        diagnostics.extend(loaded.diagnostics.iter().filter(|d| d.severity == Severity::Error).cloned());
    }
    loaded.container
}

/// Reads a file of cases without running them; what is wrong with it goes to `diagnostics`.
pub fn check_file(file: &Arc<str>, bytes: &[u8], diagnostics: &mut Diagnostics) {
    read_file(file, bytes, Silence::Mistake, diagnostics);
}

/// A case as it was read.
struct Case {
    name: Placed<Arc<str>>,
    node: Node,
    rule: CaseRule,
}

/// `None` goes with at least one error.
fn read_file(
    file: &Arc<str>,
    bytes: &[u8],
    silence: Silence,
    diagnostics: &mut Diagnostics,
) -> Option<(FileRule, Vec<Case>)> {
    let errors_before = diagnostics.errors_told();
    let mut faults = Diagnostics::default();
    let root = yaml::parse(file, bytes, &mut faults);
    if root.is_none() && !faults.has_errors() {
        diagnostics.push(check::no_cases(Place::new(file, 1, 1, 0)));
        return None;
    }
    diagnostics.extend(faults.iter().cloned());
    let root = root?;
    let rules: FileRule = decode(&root, &Context { file, owner: "test cases", name: None }, diagnostics)?;
    check::has_cases(file, &root, &rules, diagnostics);
    let mut cases = Vec::new();
    for (name, node) in rules.cases.iter() {
        let owner = format!("case {}", quoted(name));
        let context = Context { file, owner: &owner, name: Some(&name.place) };
        let errors_before = diagnostics.errors_told();
        let Some(rule) = decode(node, &context, diagnostics) else { continue };
        // What seems to be absent may be there under a misspelt name, which has been told.
        if diagnostics.errors_told() == errors_before {
            check::case(name, &rule, silence, &context, diagnostics);
        }
        cases.push(Case { name: name.clone(), node: node.clone(), rule });
    }
    (diagnostics.errors_told() == errors_before).then_some((rules, cases))
}

fn process(container: &Container, client: Client, hit: Hit, coverage: Option<&RefCell<Coverage>>) -> Processed {
    let stopped: MonotonicClock = || Duration::ZERO;
    let made = AtomicU64::new(0);
    let new_id = || Uuid::from_u128(u128::from(made.fetch_add(1, Ordering::Relaxed) + 1));
    let look = |moment: &Moment<'_>, _: &Evidence| {
        if let Some(coverage) = coverage {
            coverage.borrow_mut().look(moment);
        }
    };
    let look = coverage.is_some().then_some(&look as Look<'_>);
    let surroundings = Surroundings {
        clock: stopped,
        new_id: &new_id,
        recent: None,
        told: TOLD_TO_PEOPLE,
        look,
        stated: Default::default(),
    };
    let processed = pipeline::process(container, client, &Arc::new(hit), surroundings);
    if let Some(coverage) = coverage {
        coverage.borrow_mut().read(container, &processed.trace);
    }
    processed
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
    let through = match request.write_key {
        Some(WriteKeyRule::Valid) => Through::ServerWithKey,
        None | Some(WriteKeyRule::None) => Through::TrustedProxy,
    };
    let hit = Hit {
        id: HitId(Uuid::nil()),
        received,
        method,
        path: path.into(),
        query: query.into(),
        headers,
        through,
        address: Some(request.address.unwrap_or(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)))),
        detail: crate::privacy::Detail::default(),
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
