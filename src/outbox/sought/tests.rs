use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Whether a wish means a call with this body.
fn is_in(sought: &Sought, body: &str) -> bool {
    let looked = Looked { event_id: "order-7", body: Some(body), words: None };
    !Search::new([sought]).found(looked).is_empty()
}

/// SHA-256 of `ada@example.com`.
const DIGEST: &str = "b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72";

#[test]
fn an_address_is_found_in_every_form_that_is_sent() {
    let ada = Sought::email(" Ada@Example.com ").unwrap();
    let nested = json!({"body": json!({"mail": "ada@example.com"}).to_string()}).to_string();
    let twice = json!({"url": "https://a.example/?u=https%3A%2F%2Fb.example%2F%3Fm%3Dada%2540example.com"}).to_string();
    let upper = DIGEST.to_uppercase();
    for body in [
        r#"{"email":"ada@example.com"}"#,
        r#"{"email":"ADA@example.COM"}"#,
        r#"["mailto:ada@example.com?subject=x"]"#,
        r#"{"text":"ask\nada@example.com."}"#,
        r#"{"email":"ada\u0040example.com"}"#,
        r#"{"url":"https://a.example/?email=ada%40example.com&x=1"}"#,
        r#"{"form":"name=Ada+ada%40Example.com"}"#,
        &*nested,
        &*twice,
        &*format!(r#"{{"user":{{"emails_sha256":["{DIGEST}"]}}}}"#),
        &*format!(r#"{{"em":"{upper}"}}"#),
        r#"{"em":"tfyF5VdV+eDQMKEKtEKbaylEhV+aDWAHf+gyvsvEHXI="}"#,
        r#"{"em":"tfyF5VdV-eDQMKEKtEKbaylEhV-aDWAHf-gyvsvEHXI"}"#,
        r#"{"url":"https://a.example/?em=tv.1~em.tfyF5VdV-eDQMKEKtEKbaylEhV-aDWAHf-gyvsvEHXI~ctBerlin"}"#,
        &*format!(r#"{{"body":"en=login&em=tv.1~em.{DIGEST}~pn.x"}}"#),
        r#"{"url":"https://a.example/?em=tfyF5VdV%2BeDQMKEKtEKbaylEhV%2BaDWAHf%2BgyvsvEHXI%3D"}"#,
    ] {
        assert!(is_in(&ada, body), "{body}");
    }
    let given = Digest::of("Ada@Example.com").to_string();
    assert!(is_in(&ada, &format!(r#"["{given}"]"#)), "as a script that hashes what it is given sends it");
}

#[test]
fn addresses_and_tokens_of_others_are_left_alone() {
    let ada = Sought::email("ada@example.com").unwrap();
    for body in [
        r#"["nada@example.com"]"#,
        r#"["x.ada@example.com"]"#,
        r#"["x-ada@example.com"]"#,
        r#"["ada@example.community"]"#,
        r#"["ada@example.com.au"]"#,
        r#"["ada@example.com-x"]"#,
        r#"["ada@example"]"#,
        r#"["ada"]"#,
        r#"{}"#,
        "",
        &*format!(r#"["0{DIGEST}"]"#),
        &*format!(r#"["{DIGEST}.sig"]"#),
    ] {
        assert!(!is_in(&ada, body), "{body}");
    }
    let click = Sought::text("gAAAABclick").unwrap();
    for body in [r#"["gAAAABclick2"]"#, r#"["x_gAAAABclick"]"#, r#"["gaaaabclick"]"#, r#"["gAAAABclick-2"]"#] {
        assert!(!is_in(&click, body), "{body}");
    }
}

#[test]
fn a_text_is_found_wherever_it_stands() {
    let click = Sought::text("gA_-x==.1").unwrap();
    for body in
        [r#"{"oppref":"gA_-x==.1"}"#, r#"{"click":"gA_-x==.1"}"#, r#"{"url":"https://a.example/?c=gA_-x%3D%3D.1#x"}"#]
    {
        assert!(is_in(&click, body), "{body}");
    }
    for (event_id, words) in [("gA_-x==.1", None), ("order-7", Some("click gA_-x==.1 is unknown"))] {
        let found = Search::new([&click]).found(Looked { event_id, body: None, words });
        assert_eq!(found, [0], "{event_id} {words:?}");
    }
}

#[test]
fn an_event_is_meant_by_its_id_alone() {
    let order = Sought::event_id("order-7").unwrap();
    let found = |event_id| Search::new([&order]).found(Looked { event_id, body: Some(r#"["order-7"]"#), words: None });
    assert_eq!(found("order-7"), [0]);
    assert!(found("order-70").is_empty());
    assert!(found("Order-7").is_empty());
}

#[test]
fn a_click_reference_is_found_only_where_a_call_carries_it_as_such() {
    let click = Sought::oppref("gAAAABclick").unwrap();
    let nested = json!({"body": r#"{"a":[{"__oppref":"gAAAABclick"}]}"#}).to_string();
    for body in [
        r#"{"id":"1","oppref":"gAAAABclick"}"#,
        r#"{"url":"https://a.example/?x=1&oppref=gAAAABclick#top"}"#,
        r#"{"form":"oppref=gAAAABclick&x=1"}"#,
        &*nested,
    ] {
        assert!(is_in(&click, body), "{body}");
    }
    let encoded = Sought::oppref("g=A").unwrap();
    assert!(is_in(&encoded, r#"["https://a.example/?oppref=g%3DA"]"#));
    assert!(is_in(&Sought::oppref("g%3DA").unwrap(), r#"["https://a.example/?oppref=g%3DA"]"#));

    // A hostile cookie finds nothing of other people.
    let body = r#"{"oppref":"other","currency":"EUR","source_url":"https://shop.example/thanks","n":"oppref"}"#;
    for hostile in ["EUR", "https://shop.example/thanks", "oppref", "othe", "{", "\"", "null", "*", "%"] {
        assert!(!is_in(&Sought::oppref(hostile).unwrap(), body), "{hostile}");
    }
}

#[test]
fn many_wishes_are_looked_for_at_once() {
    let wishes = [
        Sought::oppref("click-1").unwrap(),
        Sought::email("ada@example.com").unwrap(),
        Sought::oppref("click-2").unwrap(),
        Sought::event_id("order-7").unwrap(),
        Sought::oppref("click-1").unwrap(),
    ];
    let found = |body| Search::new(&wishes).found(Looked { event_id: "e", body: Some(body), words: None });
    assert_eq!(found(r#"{"oppref":"click-1","mail":"ada@example.com"}"#), [0, 1, 4]);
    assert_eq!(found(r#"{"oppref":"click-2","url":"/?oppref=click-2"}"#), [2]);
    assert!(found("not JSON").is_empty());
}

#[test]
fn what_would_find_everything_is_refused() {
    assert_eq!(Sought::event_id(""), Err(NotSought::Empty));
    assert_eq!(Sought::oppref(""), Err(NotSought::Empty));
    assert_eq!(Sought::text("1234567"), Err(NotSought::TooShort));
    for text in ["", "ada", "@", "ada@", "a b@example.com", "ada@example.com, bob@example.com"] {
        assert_eq!(Sought::email(text), Err(NotSought::NotAnEmail), "{text}");
    }
    assert_eq!(format!("{:?}", Sought::email("ada@example.com")), "Ok(Sought(•••))");
}

proptest! {
    #[test]
    fn any_body_can_be_looked_at(body in ".{0,60}|[\\\\u0-9a-f%{}\"\\[\\]?&=]{0,60}") {
        for sought in [Sought::email("ada@example.com"), Sought::text("gAAAABclick"), Sought::oppref("gAAAABclick")] {
            is_in(&sought.unwrap(), &body);
        }
    }

    #[test]
    fn a_text_survives_the_encodings(text in "[a-zA-Z0-9@.é€😀/+=]{8,20}") {
        let sought = Sought::text(&text).unwrap();
        let json = json!({"a": json!([text]).to_string()}).to_string();
        prop_assert!(is_in(&sought, &json));
        let percent: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let percent = format!("https://a.example/?x={}", percent);
        prop_assert!(is_in(&sought, &percent));
        let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        let escaped = format!("\"{}\"", escaped);
        prop_assert!(is_in(&sought, &escaped));
    }
}
