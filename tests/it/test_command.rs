//! `tidegate test` from the command line: what it says where nothing is tested, what its coverage counts, and that
//! `--update` harms no file.

use std::fs;

use crate::harness::{Place, tidegate};

const ONE: &str = "
cases:
  a purchase is seen: { event: { event: purchase }, expect: { fired: [] } }
  a refund is seen: { event: { event: refund }, expect: { fired: [] } }
";

#[tokio::test]
async fn words_that_no_case_has_are_an_error() {
    let place = Place::with_rules("triggers: {}\n");
    place.write("rules/a.test.yaml", ONE);
    let ran = tidegate(&place, &["test", "--filter", "purchse"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let told =
        "error[no-such-case]: no case has \"purchse\" in its name\n   = help: did you mean \"a purchase is seen\"?\n";
    assert!(ran.out.starts_with(told), "{ran:?}");

    let report = place.path().join("report.xml");
    let words = ["test", "--filter", "nothing", "--junit", report.to_str().expect("a path")];
    assert_eq!(tidegate(&place, &words).await.code, Some(1));
    let xml = fs::read_to_string(&report).expect("a report");
    assert!(xml.contains(r#"<error type="no-such-case" message="no case has &quot;nothing&quot;"#), "{xml}");
    let as_json = tidegate(&place, &["test", "--filter", "nothing", "--format", "json"]).await;
    assert_eq!((as_json.code, &as_json.json()["diagnostics"][0]["code"]), (Some(1), &"no-such-case".into()));
    assert_eq!(tidegate(&place, &["test", "--filter", "purchase"]).await.code, Some(0));

    // What cannot be read may hold the case.
    place.write("rules/b.test.yaml", "cases: { purchse: 7 }\n");
    let ran = tidegate(&place, &["test", "--filter", "purchse"]).await;
    assert!(ran.code == Some(1) && !ran.out.contains("no-such-case"), "{ran:?}");
}

#[tokio::test]
async fn a_container_that_is_broken_fails_although_no_case_needs_it() {
    let place = Place::with_rules("tags: { A: { template: log, triggers: Absent, consent: ad_storage } }\n");
    let report = place.path().join("report.xml");
    let words = ["test", "--junit", report.to_str().expect("a path")];
    let ran = tidegate(&place, &words).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("error[unknown-trigger]"), "{ran:?}");
    let xml = fs::read_to_string(&report).expect("a report");
    assert!(xml.contains("<testsuite name=\"container\"") && xml.contains("<error type=\"unknown-trigger\""), "{xml}");

    // Cases with rules of their own need it as little.
    place.write("rules/a.test.yaml", &format!("container: {{ triggers: {{}} }}\n{ONE}"));
    let ran = tidegate(&place, &["test"]).await;
    assert!(ran.code == Some(1) && ran.out.contains("error[unknown-trigger]"), "{ran:?}");
}

#[tokio::test]
async fn a_file_in_which_nothing_is_tested_fails() {
    for text in ["", "# a remark\n", "cases:\n", "cases: {}\n", "defaults: {}\n"] {
        let place = Place::with_rules("triggers: {}\n");
        place.write("rules/a.test.yaml", text);
        let ran = tidegate(&place, &["test"]).await;
        assert!(ran.code == Some(1) && ran.out.starts_with("error["), "{text:?}: {ran:?}");
    }
    let place = Place::with_rules("triggers: {}\n");
    for expected in [r#"answered: """#, r#"consent: { ad_storage: "" }"#, "not_fired: {}", ""] {
        place.write(
            "rules/a.test.yaml",
            &format!("cases: {{ a: {{ event: {{ event: e }}, expect: {{ {expected} }} }} }}\n"),
        );
        let ran = tidegate(&place, &["test"]).await;
        assert!(ran.code == Some(1) && ran.out.starts_with("error[case-expectation]"), "{expected}: {ran:?}");
    }
    place.write("rules/a.test.yaml", "cases:\n  a: { event: { event: e }, expect: { fired: [] } }\n  a: { event: { event: f }, expect: { fired: [] } }\n");
    let ran = tidegate(&place, &["test"]).await;
    assert!(ran.code == Some(1) && ran.out.starts_with("error[duplicate-key]"), "{ran:?}");
}

const WAYS: &str = r#"
triggers:
  Orders: { event: purchase }
  Half: { event: purchase, sample: { percent: 50, by: "{{Order}}" } }
  Inside: { event: purchase, when: [{ event_data: internal, equals: true }] }
variables:
  Order: { event_data: event_id }
transformations:
  Without names: { tags: [Order], exclude: [customer_name], when: [{ event_data: country, in: [DE, AT] }, { any: [{ event_data: value, less_than: 5 }, { event_data: coupon, defined: true }] }] }
  Short: { tags: [Order], allow: [value] }
tags:
  Order: { template: log, triggers: Orders, exceptions: Inside, setup: { tag: Prepare, stop_on_failure: true }, cleanup: Tidy, consent: [ad_storage, ad_user_data], when_denied: hold, parameters: { line: order } }
  Prepare: { template: log, triggers: [], consent: analytics_storage, parameters: { line: before } }
  Tidy: { template: log, triggers: [], consent: none, consent_reason: it only writes a line, parameters: { line: after } }
  Winter: { template: log, triggers: Half, active: { from: 2026-12-01T00:00:00Z, to: 2027-03-01T00:00:00Z }, consent: none, consent_reason: it only writes a line, parameters: { line: winter } }
"#;

const SOME: &str = r#"
defaults: { event: { event: purchase, event_id: a } }
cases:
  all granted:
    event: { country: DE, value: 9 }
    consent: { ad_storage: granted, ad_user_data: granted, analytics_storage: granted }
    expect: { fired: [Order, Prepare, Tidy] }
  one missing: { event: {}, consent: { ad_storage: granted }, expect: { fired: [] } }
"#;

#[tokio::test]
async fn coverage_tells_every_way_that_no_case_takes() {
    let place = Place::with_rules(WAYS);
    place.write("rules/a.test.yaml", SOME);
    let ran = tidegate(&place, &["test", "--coverage"]).await;
    assert_eq!(ran.code, Some(0), "what is not covered is no failure: {ran:?}");
    insta::assert_snapshot!("coverage_of_some", ran.out);
    let as_json = tidegate(&place, &["test", "--coverage", "--format", "json"]).await.json();
    insta::assert_snapshot!("coverage_json", serde_json::to_string_pretty(&as_json["coverage"]).expect("JSON"));

    let more = r#"
  a coupon: { event: { country: DE, coupon: x }, consent: { ad_storage: granted, ad_user_data: granted, analytics_storage: granted }, expect: { fired: [Order, Prepare, Tidy] } }
  a small one: { event: { country: AT, value: 1 }, consent: { ad_storage: granted, ad_user_data: granted, analytics_storage: granted }, expect: { fired: [Order, Prepare, Tidy] } }
  elsewhere: { event: { country: FR }, consent: { ad_storage: granted, ad_user_data: granted, analytics_storage: granted }, expect: { fired: [Order, Prepare, Tidy] } }
  inside: { event: { internal: true }, expect: { fired: [] } }
  no set-up: { event: { }, consent: { ad_storage: granted, ad_user_data: granted }, expect: { not_fired: { Order: set-up } } }
  refused: { event: { consent_answered: true }, consent: { ad_storage: denied, ad_user_data: granted }, expect: { fired: [] } }
  winter: { now: 2026-12-10T00:00:00Z, event: { event_id: e }, expect: { fired: [Winter] } }
  spring: { now: 2027-03-10T00:00:00Z, event: { event_id: e }, expect: { not_fired: { Winter: not active since } } }
  autumn: { now: 2026-10-10T00:00:00Z, event: { event_id: e }, expect: { not_fired: { Winter: not active until } } }
  sampled: { event: { event_id: b }, expect: { not_fired: { Winter: "" } } }
"#;
    place.write("rules/a.test.yaml", &format!("{SOME}{more}"));
    let ran = tidegate(&place, &["test", "--coverage"]).await;
    insta::assert_snapshot!("coverage_of_all", ran.out);
}
