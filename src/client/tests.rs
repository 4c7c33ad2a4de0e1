//! Hits as files: `tests/cases/clients/*.http`, a request line, parameters of its address one a line, headers, and after
//! an empty line the body. Beside each what its client read.

use std::{collections::BTreeMap, fs, path::Path};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{event::IdOrigin, time::Timestamp};

fn hit(text: &str) -> Hit {
    let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
    let mut lines = head.lines();
    let (method, path) = lines.next().and_then(|line| line.split_once(' ')).expect("a request line");
    let mut headers = HeaderMap::new();
    let mut query = Vec::new();
    for line in lines {
        match line.split_once(": ") {
            Some((name, value)) => {
                let name: HeaderName = name.parse().expect("a header's name");
                headers.append(name, HeaderValue::from_str(value).expect("a header's value"));
            }
            None => query.push(line),
        }
    }
    Hit {
        method: Method::from_bytes(method.as_bytes()).expect("a method"),
        path: path.into(),
        query: query.join("&").into(),
        headers,
        host: "t.example.com".into(),
        body: body.to_owned().into(),
        ..Hit::silent(Timestamp(1_767_268_800_000))
    }
}

fn new_id() -> Uuid {
    Uuid::from_u128(7)
}

fn told(read: &Read) -> Value {
    let Event { name, id, time, data, signals, click: _ } = &read.event;
    let consent = ConsentType::ALL.map(|kind| (kind.name(), signals.hit.get(kind).word()));
    let consent: BTreeMap<_, _> = consent.into_iter().filter(|(_, word)| *word != "unknown").collect();
    json!({
        "name": name, "id": id, "time": time.to_string(), "data": data, "consent": consent,
        "notes": read.notes,
    })
}

#[test]
fn clients_read_hits() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/clients"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let _bound = settings.bind_to_scope();
    insta::glob!("../../tests/cases/clients", "*.http", |path| {
        let hit = hit(&fs::read_to_string(path).expect("a case"));
        let client = Client::claim(&hit.path).expect("a client that claims it");
        let told = match client.read(&hit, &new_id) {
            Ok(events) => json!({ "client": client.name(), "events": events.iter().map(told).collect::<Vec<_>>() }),
            Err(bad) => json!({ "client": client.name(), "refused": bad.to_string() }),
        };
        insta::assert_yaml_snapshot!("read", told);
    });
}

#[test]
fn a_second_copy_of_a_ga4_hit_gets_the_same_id_and_any_other_hit_another() {
    let id = |query: &str| {
        let read = Client::Ga4.read(&hit(&format!("GET /g/collect\nv=2\ntid=G-1\n{query}")), &new_id);
        read.expect("events").remove(0).event.id
    };
    let first = id("en=scroll\ncid=1.2\n_p=3\n_s=1\nsid=4");
    assert_eq!(first.origin, IdOrigin::Derived);
    assert_eq!(first, id("sid=4\n_s=1\n_p=3\ncid=1.2\nen=scroll\n_et=99"));
    for other in [
        "en=scrol\ncid=1.2\n_p=3\n_s=1\nsid=4",
        "en=scroll\ncid=1.21\n_p=3\n_s=1\nsid=4",
        "en=scroll\ncid=1.2\n_p=31\n_s=\nsid=4",
        "en=scroll\ncid=1.2\n_p=3\n_s=2\nsid=4",
        "en=scroll\ncid=1.2\n_p=3\n_s=1",
    ] {
        assert_ne!(first, id(other), "{other}");
    }
}

#[test]
fn hits_are_bounded() {
    let many = |count: usize| (0..count).map(|n| format!("ep.p{n}=1\n")).collect::<String>();
    let read = |text: &str| Client::Ga4.read(&hit(text), &new_id).map(|events| events.len());
    assert_eq!(read(&format!("GET /g/collect\nv=2\ntid=G-1\nen=a\n{}", many(997))), Ok(1));
    let refused = read(&format!("GET /g/collect\nv=2\ntid=G-1\nen=a\n{}", many(998))).expect_err("too many parameters");
    assert_eq!(&*refused.message, "the query string has more than 1000 parameters");
    let lines = |count: usize| "en=a\n".repeat(count);
    assert_eq!(read(&format!("POST /g/collect\nv=2\ntid=G-1\n\n{}", lines(100))), Ok(100));
    let refused = read(&format!("POST /g/collect\nv=2\ntid=G-1\n\n{}", lines(101))).expect_err("too many lines");
    assert_eq!(&*refused.message, "must hold at most 100 lines, one an event, but holds 101");
}

proptest! {
    #[test]
    fn nothing_that_is_sent_makes_a_client_panic(query in "(v=2&tid=G-1&en=a&)?[ -~é~=&%.]{0,80}", body: Vec<u8>, client in 0..4_usize) {
        let mut hit = hit("POST /any");
        hit.query = query.into();
        hit.body = body.into();
        let _ = Client::ALL[client].read(&hit, &new_id);
    }

    #[test]
    fn any_items_and_user_data_are_read(text in "[ -~é]{0,60}", code in "(pr[0-9]{1,3}|em|ep\\.[a-z.]{0,12}|up\\.[a-z]{0,3})") {
        let pair: String = form_urlencoded::Serializer::new(String::new()).append_pair(&code, &text).finish();
        let mut hit = hit("GET /g/collect\nv=2\ntid=G-1\nen=a");
        hit.query = format!("{}&{pair}", hit.query).into();
        prop_assert_eq!(Client::Ga4.read(&hit, &new_id).map(|events| events.len()), Ok(1));
    }
}
