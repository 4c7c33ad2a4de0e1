//! `tidegate trace` from the command line: what it says first, in which forms it takes a request, that it refuses what the
//! server would, and that the examples of the documentation run as they stand.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use regex::Regex;
use tokio::process::Command;

use crate::harness::{Place, Ran, environment, run, tidegate};

const RULES: &str = r#"
variables:
  Page: { url: path }
  Plan: { cookie: plan }
triggers:
  Purchase: { event: purchase }
  Large: { event: purchase, when: [{ event_data: value, greater_than: 100 }, { any: [{ event_data: currency, equals: EUR }, { variable: Page, starts_with: /shop }] }] }
  Test: { event: purchase, when: [{ event_data: coupon, equals: TEST }] }
tags:
  Large order: { template: log, triggers: Large, exceptions: Test, consent: ad_storage, parameters: { line: "large {{Plan}}" } }
  Any order: { template: log, triggers: Purchase, consent: none, consent_reason: it only writes a line, parameters: { line: "an order" } }
  Held order: { template: log, triggers: Purchase, consent: ad_storage, when_denied: hold, parameters: { line: "held" } }
"#;

const HIT: &str = r#"{
    "event": "purchase", "event_id": "order-7", "value": 50, "currency": "USD", "page_location": "https://www.example.com/shop/x",
    "user_data": {"email_address": "ada@example.com"}, "items": [{"item_id": "A"}], "consent": {"analytics_storage": "granted"}
}"#;

/// What differs from run to run, replaced.
fn tidy(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, stand_in) in [
        (r"\bfolder-[0-9a-f]{12}\b", "folder-[digest]"),
        (r"\b[0-9a-f]{32}\b", "[hit]"),
        (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
    ] {
        text = Regex::new(pattern).expect("a pattern").replace_all(&text, stand_in).into_owned();
    }
    text
}

async fn traced(place: &Place, words: &[&str], stdin: &str) -> Ran {
    run(place, &[&["trace"], words].concat(), &environment(), stdin).await
}

#[tokio::test]
async fn a_sentence_for_each_tag_comes_first_and_then_what_it_rests_on() {
    let place = Place::with_rules(RULES);
    let words =
        ["-", "--host", "t.example.com", "-H", "Cookie: plan=secret; _ga=GA1.1.2.3", "-H", "User-Agent: Firefox/150"];
    let ran = traced(&place, &words, HIT).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for personal in ["ada@", "example.com/shop/x", "secret", "GA1", "Firefox"] {
        assert!(!ran.out.contains(personal), "{personal}: {ran:?}");
    }
    insta::assert_snapshot!("trace_of_a_purchase", tidy(&ran.out));
    let as_json = traced(&place, &["-", "--format", "json"], HIT).await.json();
    insta::assert_snapshot!("trace_closeups", serde_json::to_string_pretty(&as_json["closeups"]).expect("JSON"));

    let misspelt = traced(&place, &["-"], r#"{"event": "purchse"}"#).await;
    assert!(
        misspelt.out.starts_with("purchse: no trigger looks at this event; did you mean \"purchase\"?\n"),
        "{misspelt:?}"
    );
    let two = traced(&place, &["-"], r#"{"events": [{"event": "purchase"}, {"event": "scroll"}]}"#).await;
    let heads: Vec<_> = two.out.lines().filter(|line| line.starts_with(['p', 's', 'R', 'E'])).collect();
    assert_eq!(
        heads[..3],
        ["purchase: 1 of 3 tags ran", "scroll: no trigger looks at this event", "Request"],
        "{two:?}"
    );
}

#[tokio::test]
async fn what_is_assumed_says_so() {
    let place = Place::with_rules(RULES);
    let hit = HIT.replace("analytics_storage\": \"granted", "ad_storage\": \"granted");
    let ran = traced(&place, &["-", "--consent", "ad_storage=denied"], &hit).await;
    let told = "needs ad_storage, which is denied (assumed by --consent)";
    assert!(ran.out.contains(&format!("✗ Held order waits: held for consent: {told}")), "{ran:?}");
    assert!(ran.out.contains("  ad_storage: denied (assumed by --consent), against said in the hit\n"), "{ran:?}");
    assert!(ran.out.contains("  signal assumed by --consent: ad_storage denied\n"), "{ran:?}");
    assert!(ran.out.contains("  signal consent in the hit: ad_storage granted\n"), "{ran:?}");
    let as_json = traced(&place, &["-", "--consent", "ad_storage=denied", "--format", "json"], &hit).await.json();
    assert_eq!(as_json["trace"]["events"][0]["consent"]["ad_storage"]["source"], "assumed");
}

#[tokio::test]
async fn a_request_is_taken_as_browsers_copy_it() {
    let place = Place::with_rules(RULES);
    let body = HIT.replace('\n', " ");
    let in_json = serde_json::to_string(&body).expect("JSON");
    let fetch = format!(
        "fetch(\"https://t.example.com/hit\", {{\n  \"headers\": {{ \"content-type\": \"text/plain\" }},\n  \
         \"referrer\": \"https://www.example.com/\",\n  \"body\": {in_json},\n  \"method\": \"POST\"\n}});\n"
    );
    let chrome = format!(
        "curl 'https://t.example.com/hit' \\\n  -H 'content-type: text/plain' \\\n  -b 'plan=x' \\\n  --data-raw $'{body}' \\\n  --compressed ;\n"
    );
    for text in [&fetch, &chrome] {
        for ran in [traced(&place, &["-"], text).await, traced(&place, &[text], "").await] {
            assert!(
                ran.code == Some(0) && ran.out.starts_with("purchase, id order-7: 1 of 3 tags ran\n"),
                "{text}: {ran:?}"
            );
            assert!(ran.out.contains("  POST /hit to t.example.com, read as dataLayer\n"), "{ran:?}");
        }
    }
    let without_cookies = traced(&place, &["-"], &fetch).await;
    assert!(without_cookies.err.starts_with("note: a request copied as fetch has no cookies"), "{without_cookies:?}");
    let address = "t.example.com/p.gif?event=purchase&event_id=order-7";
    for (words, stdin) in [
        (&[address][..], ""),
        (&[&body], ""),
        (&["-"], address),
        (&["-"], "https://t.example.com/p.gif?event=purchase&event_id=order-7\n"),
    ] {
        let ran = traced(&place, words, stdin).await;
        assert!(ran.out.starts_with("purchase, id order-7: "), "{words:?} {stdin}: {ran:?}");
    }
    for (words, stdin) in [(&["[]"][..], ""), (&["-"], "[7]"), (&["-"], "tags: {}\n")] {
        let ran = traced(&place, words, stdin).await;
        assert!(
            ran.code == Some(1) && ran.out.contains("\na hit is the JSON body of POST /hit, an address, or"),
            "{ran:?}"
        );
    }
    let marked = traced(&place, &["-"], &format!("\u{FEFF}{body}")).await;
    assert!(marked.out.starts_with("purchase, id order-7: "), "{marked:?}");
    for words in [&["", ""][..1], &["-"], &["{}", "--consent", "ad_storage=granted,ad_storage=denied"]] {
        let ran = traced(&place, words, " \n").await;
        assert!(ran.code == Some(2) && ran.out.is_empty(), "{words:?}: {ran:?}");
    }
    for (text, remedy) in [
        (
            "$session = New-Object Web\nInvoke-WebRequest -UseBasicParsing -Uri \"https://t.example.com/hit\"",
            "for PowerShell",
        ),
        ("{\n  \"log\": { \"version\": \"1.2\", \"entries\": [] } }", "a HAR file"),
        ("POST /hit HTTP/1.1\r\nHost: t.example.com\r\n", "the head of a request"),
        ("curl ^\"https://t.example.com/hit^\" ^\r\n  -H ^\"accept: */*^\"", "for cmd of Windows"),
        ("fetch('https://t.example.com/hit')", "not as a browser copies it"),
    ] {
        let ran = traced(&place, &["-"], text).await;
        assert!(ran.code == Some(2) && ran.out.is_empty() && ran.err.contains(remedy), "{text}: {ran:?}");
    }
}

#[tokio::test]
async fn what_the_server_refuses_is_refused_in_its_words() {
    let place = Place::with_rules(RULES);
    let large = format!("{{\"event\": \"purchase\", \"x\": \"{}\"}}", "x".repeat(1_000_000));
    for (words, stdin, told) in [
        (&["-"][..], &*large, "refused: the body is larger than 1000000 bytes\n"),
        (&["curl https://t.example.com/hit"], "", "refused: this path takes POST, OPTIONS\n"),
        (
            &["curl https://t.example.com/hit -H 'Content-Type: image/png' -d x"],
            "",
            "refused: the body must be JSON, sent as application/json or text/plain\n",
        ),
        (
            &["curl https://t.example.com/hit -H 'Origin: https://elsewhere.test' -d {}"],
            "",
            "refused: pages of this origin may not send hits here\n",
        ),
    ] {
        let ran = traced(&place, words, stdin).await;
        assert_eq!((ran.code, &*ran.out), (Some(1), told), "{words:?}");
    }
    let as_json = traced(&place, &["-", "--format", "json"], &large).await;
    assert_eq!((as_json.code, &as_json.json()["refused"]["status"]), (Some(1), &413.into()));
}

#[tokio::test]
async fn columns_say_which_version_they_are() {
    let place = Place::with_rules(RULES).into_repository();
    place.write("rules/all.yaml", &RULES.replace("greater_than: 100", "greater_than: 10"));
    let ran = traced(&place, &["-", "--against", "HEAD", "--consent", "ad_storage=granted"], HIT).await;
    let commit: String = place.git(&["rev-parse", "HEAD"]).chars().take(12).collect();
    let mut lines = ran.out.lines();
    let heading = lines.next().unwrap_or_default();
    assert!(
        heading.starts_with(&format!("{commit} A change  ")) && heading.contains("   the draft: the files in "),
        "{ran:?}"
    );
    assert!(lines.next().is_some_and(|line| line.chars().all(|c| c == '-')), "{ran:?}");
    let marked = |line: &&str| line.contains(" | ");
    assert!(
        ran.out
            .lines()
            .filter(marked)
            .any(|line| line.contains("✗ Large order did not fire") && line.contains("✓ Large order ran")),
        "{ran:?}"
    );
}

/// Every command of `tidegate trace` in the blocks for a shell.
fn examples() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents =
        ["README.md", "docs/configuration.md", "docs/openai.md", "docs/sites.md", "docs/git.md", "docs/operations.md"];
    let texts = documents.map(|document| fs::read_to_string(root.join(document)).expect("a document"));
    let blocks =
        texts.iter().flat_map(|text| text.split("\n```sh\n").skip(1)).filter_map(|rest| rest.split("\n```").next());
    blocks.flat_map(str::lines).filter(|line| line.contains("tidegate trace")).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_examples_of_the_documentation_run() {
    let place = Place::own_rules().into_repository();
    let tools = place.path().join("tools");
    fs::create_dir(&tools).expect("a folder");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tidegate"), tools.join("tidegate")).expect("a link");
    // What a browser copied, as macOS pastes it.
    let copied = HIT.replace('\n', " ");
    fs::write(
        tools.join("pbpaste"),
        format!("#!/bin/sh\ncat <<'EOF'\ncurl 'https://t.example.com/hit' --data-raw '{copied}'\nEOF\n"),
    )
    .expect("a script");
    fs::set_permissions(tools.join("pbpaste"), fs::Permissions::from_mode(0o755)).expect("a script");
    let examples = examples();
    assert!(examples.len() >= 2, "{examples:?}");
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").expect("a path"));
    for example in examples {
        let mut shell = Command::new("sh");
        shell.env_clear().envs(environment()).env("PATH", &path).current_dir(place.container()).args(["-c", &example]);
        let output = shell.output().await.expect("a shell");
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && out.contains("tags ran"), "{example}: {output:?}");
    }
    assert_eq!(tidegate(&place, &["trace", "/absent.json"]).await.code, Some(2));
}
