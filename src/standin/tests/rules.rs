//! Runs the case files: each names a sound body (`base`) and what to change in it, and expects an answer.

use serde::Deserialize;

use super::*;
use crate::standin::summary;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    #[serde(rename = "about")]
    _about: String,
    #[serde(default)]
    options: CaseOptions,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default = "any_pixel")]
    query: String,
    base: Value,
    cases: Vec<Case>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseOptions {
    keys: Option<Vec<String>>,
    pixels: Option<Vec<String>>,
    max_body: Option<usize>,
    schemas: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    method: Option<String>,
    path: Option<String>,
    query: Option<String>,
    /// Headers to set, or with null to leave out.
    #[serde(default)]
    headers: Map<String, Value>,
    /// JSON pointers into the base body, with the value to put there; the end of a list is a place too.
    #[serde(default)]
    set: Map<String, Value>,
    #[serde(default)]
    remove: Vec<String>,
    /// A body to send in place of the base.
    raw: Option<String>,
    /// Send so many blanks in place of the base.
    blanks: Option<usize>,
    expect: Expect,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Expect {
    status: u16,
    words: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

fn any_pixel() -> String {
    "pid=px".to_owned()
}

impl CaseFile {
    fn options(&self) -> Options {
        let CaseOptions { keys, pixels, max_body, schemas } = &self.options;
        let defaults = options();
        Options {
            keys: keys.as_ref().map_or(Allowed::Any, Allowed::only),
            pixels: pixels.as_ref().map_or(Allowed::Any, Allowed::only),
            max_body: max_body.unwrap_or(defaults.max_body),
            schemas: match schemas.as_deref() {
                None => UserSchemas::Lists,
                Some("scalars") => UserSchemas::Scalars,
                Some("either") => UserSchemas::Either,
                Some(other) => panic!("unknown schemas: {other}"),
            },
            ..defaults
        }
    }

    fn body(&self, case: &Case) -> String {
        if let Some(raw) = &case.raw {
            return raw.clone();
        }
        if let Some(blanks) = case.blanks {
            return " ".repeat(blanks);
        }
        let mut body = self.base.clone();
        for pointer in &case.remove {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
        }
        for (pointer, value) in &case.set {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            match body.pointer_mut(parent).unwrap() {
                Value::Array(list) if name.parse() == Ok(list.len()) => list.push(value.clone()),
                Value::Array(list) => list[name.parse::<usize>().unwrap()] = value.clone(),
                object => drop(object.as_object_mut().unwrap().insert(name.to_owned(), value.clone())),
            }
        }
        body.to_string()
    }

    /// Sends one case to a fresh stand-in, so that no event is a duplicate.
    async fn run(&self, case: &Case) -> Expect {
        let standin = Standin::start(self.options()).await.unwrap();
        let method = case.method.as_deref().map_or(Method::POST, |name| name.parse().unwrap());
        let path = case.path.as_deref().unwrap_or("/v1/events");
        let query = case.query.as_ref().unwrap_or(&self.query);
        let mut request = client().request(method, format!("{}{path}?{query}", standin.url())).body(self.body(case));
        let mut headers = Map::from_iter([
            ("authorization".to_owned(), json!("Bearer sk-any")),
            ("content-type".to_owned(), json!("application/json")),
        ]);
        headers.extend(self.headers.clone().into_iter().chain(case.headers.clone()));
        for (name, value) in &headers {
            if let Some(value) = value.as_str() {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        let words = body["error"]["message"].as_str().map(str::to_owned);
        assert_eq!(words.is_none(), !standin.accepted().is_empty() || !standin.validated().is_empty(), "{}", case.name);
        assert_eq!(words.is_some(), standin.refused().len() == 1, "{}", case.name);
        Expect { status, words, warnings: standin.warnings() }
    }
}

#[tokio::test]
async fn every_case_meets_its_rule() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/standin");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut faults = Vec::new();
    for path in files {
        let file: CaseFile = serde_json::from_slice(&std::fs::read(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for case in &file.cases {
            let found = file.run(case).await;
            if found != case.expect {
                let file = path.file_name().unwrap().display();
                faults.push(format!("{file}, {}:\n  expected {:?}\n  found    {found:?}", case.name, case.expect));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The exponents come from `OpenAI`'s advice, the currencies from a crate: they must not contradict each other.
#[test]
fn exponents_agree_with_iso_4217() {
    let letters = || 'A'..='Z';
    let codes = letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| format!("{a}{b}{c}"))));
    let mut known = 0;
    for code in codes {
        if let Some(digits) = iso_currency::Currency::from_code(&code).and_then(iso_currency::Currency::exponent) {
            known += 1;
            assert_eq!(summary::minor_digits(&code), usize::from(digits), "{code}");
        }
    }
    assert!(known > 150);
}
