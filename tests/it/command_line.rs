//! The command line: what each command says and how it exits. 0 is fine, 1 worked and found something wrong, 2 could not
//! work.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, process::Stdio};

use regex::Regex;
use serde_json::{Value, json};
use tidegate::standin::{Failure, Lasting};

use crate::harness::{ACCOUNT, Left, PATIENCE, Place, Ran, Shop, environment, program, purchase, run, tidegate};

/// The output with everything replaced that differs from run to run.
fn tidy(place: &Place, text: &str) -> String {
    let mut text = text.replace(place.path().to_str().expect("a path in text"), "[place]");
    for (pattern, stand_in) in [
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "[uuid]"),
        (r"\bfolder-[0-9a-f]{12}\b", "folder-[digest]"),
        (r"\b[0-9a-f]{32}\b", "[hit]"),
        (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
        (r"\b\d{13}\b", "[milliseconds]"),
        (r"127\.0\.0\.1:\d{4,}", "127.0.0.1:[port]"),
    ] {
        text = Regex::new(pattern).expect("a pattern").replace_all(&text, stand_in).into_owned();
    }
    text
}

/// A command's end as one text, for a snapshot.
fn shown(place: &Place, ran: &Ran) -> String {
    assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "colours in a pipe: {ran:?}");
    let code = ran.code.map_or("killed".to_owned(), |code| code.to_string());
    let mut text = format!("exit {code}\n");
    for (name, part) in [("stdout", &ran.out), ("stderr", &ran.err)] {
        if !part.is_empty() {
            text.push_str(&format!("--- {name}\n{part}"));
        }
    }
    tidy(place, &text)
}

#[tokio::test]
async fn every_command_explains_itself() {
    let place = Place::own_rules();
    for command in [
        "",
        "serve",
        "check",
        "test",
        "trace",
        "diff",
        "publish",
        "versions",
        "deliveries",
        "deliveries list",
        "deliveries show",
        "deliveries retry",
        "deliveries discard",
        "forget",
        "audit",
    ] {
        let words: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let ran = run(&place, &words, &[], "").await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let name = if command.is_empty() { "help".to_owned() } else { format!("help_{}", command.replace(' ', "_")) };
        insta::assert_snapshot!(name, shown(&place, &ran));
    }
}

#[tokio::test]
async fn wrong_usage_exits_2() {
    let place = Place::own_rules();
    for words in [
        &[][..],
        &["serv"],
        &["check", "--format", "xml"],
        &["check", "--nothing"],
        &["trace"],
        &["deliveries"],
        &["deliveries", "retry"],
        &["deliveries", "retry", "--all", "7"],
        &["deliveries", "retry", "--tag", "OpenAI purchase", "7"],
        &["deliveries", "retry", "--all", "--since", "2h"],
        &["deliveries", "retry", "--since", "yesterday"],
        &["deliveries", "discard", "x"],
        &["serve", "--listen", "nowhere"],
        &["serve", "--rate-limit", "0"],
        &["serve", "--log", "tidegate=loud"],
        &["serve", "--openai-url", "ftp://example.com"],
    ] {
        let ran = tidegate(&place, words).await;
        assert_eq!((ran.code, &*ran.out), (Some(2), ""), "{words:?}: {ran:?}");
        assert_ne!(ran.err, "");
    }
}

const BROKEN: &str = "
triggers:
  Purchase: { event: purchase }
tags:
  Conversion:
    template: openai_conversoin
    triggers: Purchas
    consent: ad_storage
";

#[tokio::test]
async fn check_finds_everything_at_once() {
    let place = Place::own_rules();
    insta::assert_snapshot!("check_fine", shown(&place, &tidegate(&place, &["check"]).await));
    // A variable that only the server's environment has is a warning here.
    let elsewhere = run(&place, &["check"], &[], "").await;
    insta::assert_snapshot!("check_without_environment", shown(&place, &elsewhere));
    let strict = run(&place, &["check", "--deny", "warnings"], &[], "").await;
    let why = "this fails because of --deny warnings\n";
    assert_eq!((strict.code, &*strict.out), (Some(1), &*format!("{}{why}", elsewhere.out)));

    let place = Place::with_rules(BROKEN);
    for format in ["text", "json", "github"] {
        let ran = tidegate(&place, &["check", "--format", format]).await;
        insta::assert_snapshot!(format!("check_broken_{format}"), shown(&place, &ran));
        if format == "json" {
            assert!(ran.json().is_array() || ran.json().is_object());
        }
    }
}

#[tokio::test]
async fn a_folder_that_is_no_container_exits_2() {
    let place = Place::empty();
    fs::remove_dir(place.container().join("rules")).expect("an empty folder");
    for command in ["check", "test", "serve"] {
        let ran = tidegate(&place, &[command]).await;
        assert_eq!((ran.code, &*ran.out), (Some(2), ""));
        insta::assert_snapshot!("no_container", shown(&place, &ran));
    }
}

const SECRETS: &str = "
triggers:
  Purchase: { event: purchase }
variables:
  Token: { secret: CRM_TOKEN }
tags:
  To the CRM:
    template: http_request
    triggers: Purchase
    consent: [ad_storage, ad_user_data]
    parameters: { url: 'https://crm.example.com/', bearer_token: '{{Token}}', headers: { X-Key: { secret: CRM_KEY } } }
  Again:
    template: http_request
    triggers: Purchase
    consent: [ad_storage, ad_user_data]
    parameters: { url: 'https://crm.example.com/', headers: { X-Key: { secret: CRM_KEY } } }
  Not now:
    template: http_request
    triggers: Purchase
    consent: [ad_storage, ad_user_data]
    paused: true
    parameters: { url: 'https://crm.example.com/', bearer_token: { secret: OLD_TOKEN } }
";

#[tokio::test]
async fn check_and_serve_tell_of_secrets_that_are_not_there() {
    let place = Place::with_rules(SECRETS);
    let told = async |arguments: &[&str], environment: &[(&str, &str)]| {
        let ran = run(&place, &[&["check", "--format", "json"], arguments].concat(), environment, "").await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let findings = ran.json();
        let findings = findings.as_array().expect("a list").iter().filter(|one| one["code"] == "absent-secret");
        let names = findings.map(|one| one["message"].as_str()?.split(' ').nth(2).map(str::to_owned));
        names.collect::<Option<Vec<_>>>().expect("a name in each message")
    };
    insta::assert_snapshot!("check_without_secrets", shown(&place, &run(&place, &["check"], &[], "").await));
    assert_eq!(told(&[], &[("CRM_KEY", "k"), ("CRM_TOKEN", "")]).await, ["CRM_TOKEN"], "an empty one is none");
    assert_eq!(told(&["--no-secrets"], &[]).await, Vec::<String>::new());
    assert_eq!(told(&[], &[("TIDEGATE_NO_SECRETS", "true")]).await, Vec::<String>::new());
    let folder = place.path().join("secrets");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("CRM_TOKEN"), "t\n").expect("a secret");
    let (folder, file) = (folder.display().to_string(), folder.join("CRM_TOKEN").display().to_string());
    assert_eq!(told(&["--secrets", &folder], &[]).await, ["CRM_KEY"]);
    assert_eq!(told(&[], &[("CREDENTIALS_DIRECTORY", &folder)]).await, ["CRM_KEY"]);
    assert_eq!(told(&[], &[("CRM_TOKEN_FILE", &file), ("CRM_KEY_FILE", "/nowhere")]).await, ["CRM_KEY"]);

    let mut shop = Shop::spawn(place, &["--secrets", &folder]).await;
    let line = shop.server().logs(|line| line.contains("needs a secret")).await;
    let words = r#"tag \"To the CRM\" needs a secret (rules/all.yaml:11:97): the secret CRM_KEY is set neither as CRM_KEY_FILE,"#;
    assert!(line.contains("WARN") && line.contains(words), "{line}");
    let log = shop.stop().await;
    assert_eq!(log.iter().filter(|line| line.contains("needs a secret")).count(), 1, "{log:#?}");
    shop.close().await;
}

const HIT: &str = r#"{
    "event": "purchase",
    "event_id": "order-7",
    "page_location": "https://www.example.com/thanks?oppref=gAAAABclick&email=ada%40example.com",
    "value": "20.50",
    "currency": "EUR",
    "user_data": {"email_address": "ada@example.com"},
    "consent": {"ad_storage": "granted", "ad_user_data": "granted"}
}"#;

#[tokio::test]
async fn trace_follows_a_hit_from_a_file_or_a_pipe() {
    let place = Place::own_rules();
    let file = place.path().join("hit.json");
    fs::write(&file, HIT).expect("a file");
    let flags = ["--host", "t.example.com", "--address", "203.0.113.9", "-H", "User-Agent: Firefox/150"];
    let from_file = tidegate(&place, &[&["trace", file.to_str().expect("a path")], &flags[..]].concat()).await;
    insta::assert_snapshot!("trace", shown(&place, &from_file));
    let from_pipe = run(&place, &[&["trace", "-"], &flags[..]].concat(), &environment(), HIT).await;
    assert_eq!(shown(&place, &from_pipe), shown(&place, &from_file));

    let words = ["trace", "-", "--format", "json"];
    let as_json = run(&place, &[&words[..], &flags[..]].concat(), &environment(), HIT).await;
    assert_eq!(as_json.json()["calls"][0]["event"]["name"], "order_created");
    insta::assert_snapshot!("trace_json", shown(&place, &as_json));
    assert!(!place.data().exists(), "a trace leaves nothing behind");
}

const GA4_HIT: &str = "/g/collect?v=2&tid=G-TEST&cid=1.2&en=purchase&epn.value=20.5&cu=EUR&ep.transaction_id=T-1\
    &dl=https%3A%2F%2Fwww.example.com%2Fthanks&gcs=G100";

#[tokio::test]
async fn trace_follows_an_address_a_copied_curl_command_and_assumed_consent() {
    let place = Place::own_rules();
    let consent = ["--consent", "ad_storage=granted,ad_user_data=denied", "--consent", "ad_personalization=granted"];
    let address = format!("https://t.example.com{GA4_HIT}");
    let by_address = tidegate(&place, &[&["trace", &address], &consent[..]].concat()).await;
    insta::assert_snapshot!("trace_address", shown(&place, &by_address));
    let by_path = [&["trace", GA4_HIT, "--host", "t.example.com"], &consent[..]].concat();
    assert_eq!(shown(&place, &tidegate(&place, &by_path).await), shown(&place, &by_address));
    let as_said = tidegate(&place, &["trace", &address]).await;
    assert!(as_said.out.contains("ad_storage: denied (gcs)"), "{as_said:?}");

    // As a browser copies it, from a page of the site behind a path of its own.
    let command = format!(
        "curl 'https://www.example.com/metrics/hit' -X POST \\\n  -H 'User-Agent: Firefox/150' -b '__oppref=gAAAABclick' \\\n  \
         -H 'sec-ch-ua;' --data-raw $'{}' --compressed\n",
        HIT.replace('\n', "\\n").replace('\'', "\\'")
    );
    let copied = run(&place, &["trace", "-", "--format", "json"], &environment(), &command).await.json();
    assert_eq!(copied["calls"][0]["body"]["user"]["user_agent"], "Firefox/150");
    assert_eq!(copied["calls"][0]["body"]["source_url"], "https://www.example.com/thanks");
    let in_quotes = tidegate(&place, &["trace", &command]).await;
    assert_eq!(in_quotes.code, Some(0), "{in_quotes:?}");
    let no_curl = run(&place, &["trace", "-", "--curl"], &environment(), HIT).await;
    assert!(no_curl.err.contains("this is no curl command"), "{no_curl:?}");

    let mut errors = String::new();
    for wrong in [
        &["https://t.example.com/other"][..],
        &["https://"],
        &["-", "--consent", "ad_storag=denied"],
        &["-", "--consent", "ad_storage=maybe"],
        &["-", "--consent", "ad_storage"],
        &["curl https://t.example.com/hit -F a=b"],
    ] {
        let ran = tidegate(&place, &[&["trace"], wrong].concat()).await;
        assert_eq!((ran.code, &*ran.out), (Some(2), ""), "{wrong:?}: {ran:?}");
        errors.push_str(&ran.err);
    }
    insta::assert_snapshot!("trace_wrong", errors);
}

fn git(place: &Place, words: &[&str]) {
    let identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main"];
    let ended = std::process::Command::new("git").arg("-C").arg(place.container()).args(identity).args(words).output();
    let ended = ended.expect("git runs");
    assert!(ended.status.success(), "{words:?}: {ended:?}");
}

#[tokio::test]
async fn trace_sets_two_versions_side_by_side() {
    let place = Place::own_rules();
    let outside = run(&place, &["trace", "-", "--against", "HEAD"], &environment(), HIT).await;
    assert_eq!((outside.code, &*outside.out), (Some(2), ""), "{outside:?}");
    assert!(outside.err.contains("--against needs a git repository"), "{outside:?}");
    git(&place, &["init", "-q"]);
    git(&place, &["add", "-A"]);
    git(&place, &["commit", "-q", "-m", "As it was"]);
    let rules = fs::read_to_string(place.container().join("rules/openai_ads.yaml")).expect("the rules");
    place.write(
        "rules/openai_ads.yaml",
        &rules.replace("template: openai_cookie", "template: openai_cookie\n    paused: true"),
    );

    let words = ["trace", "-", "--against", "HEAD", "--host", "t.example.com"];
    let ran = run(&place, &words, &environment(), HIT).await;
    // The versions' names are made of the time.
    let differs = |line: &&str| Regex::new(r" [|<>]( |$)").expect("a pattern").is_match(line);
    let rows = ran.out.lines().filter(differs).filter(|line| !line.contains("  container "));
    insta::assert_snapshot!("trace_against", rows.collect::<Vec<_>>().join("\n"));
    let as_json = run(&place, &[&words[..], &["--format", "json"]].concat(), &environment(), HIT).await.json();
    assert_eq!(as_json["against"]["cookies"].as_array().map(Vec::len), Some(1));
    assert_eq!(as_json["now"]["cookies"].as_array().map(Vec::len), Some(0));
    assert_eq!(as_json["now"]["trace"]["events"][0]["id"], as_json["against"]["trace"]["events"][0]["id"]);

    let unknown = run(&place, &["trace", "-", "--against", "nowhere"], &environment(), HIT).await;
    assert_eq!(
        (unknown.code, &*unknown.err),
        (Some(2), "tidegate: there is no commit \"nowhere\" here; tidegate versions lists those that are\n")
    );
}

#[tokio::test]
async fn trace_exits_1_for_a_bad_hit_and_2_where_it_cannot_work() {
    let place = Place::own_rules();
    let bad = run(&place, &["trace", "-"], &environment(), r#"{"event": "purchase", "consent": 7}"#).await;
    insta::assert_snapshot!("trace_bad_hit", shown(&place, &bad));
    let absent = tidegate(&place, &["trace", "/nonexistent.json"]).await;
    insta::assert_snapshot!("trace_absent_file", shown(&place, &absent));
    let header = run(&place, &["trace", "-", "-H", "no colon"], &environment(), HIT).await;
    assert_eq!(header.code, Some(2), "{header:?}");
    let broken = run(&Place::with_rules(BROKEN), &["trace", "-"], &environment(), HIT).await;
    assert_eq!((broken.code, &*broken.out), (Some(2), ""), "{broken:?}");
}

const CASES: &str = r#"
defaults:
  environment: { OPENAI_PIXEL_ID: px-test }
  consent: { ad_storage: granted }
cases:
  a purchase is reported:
    event: { event: purchase, event_id: a, page_location: "https://www.example.com/", value: 20, currency: EUR }
    expect: { fired: [OpenAI purchase] }
  a purchase is free:
    event: { event: purchase, event_id: b, page_location: "https://www.example.com/", value: 20, currency: EUR }
    expect: { calls: [{ body: { data: { amount: AMOUNT } } }] }
"#;

#[tokio::test]
async fn test_runs_the_cases_of_the_container() {
    let place = Place::own_rules();
    insta::assert_snapshot!("test_none", shown(&place, &tidegate(&place, &["test"]).await));
    place.write("rules/shop.test.yaml", &CASES.replace("AMOUNT", "2000"));
    insta::assert_snapshot!("test_passed", shown(&place, &tidegate(&place, &["test"]).await));
    place.write("rules/shop.test.yaml", &CASES.replace("AMOUNT", "0"));
    for format in ["text", "json", "github"] {
        let ran = tidegate(&place, &["test", "--format", format]).await;
        insta::assert_snapshot!(format!("test_failed_{format}"), shown(&place, &ran));
    }
    let chosen = tidegate(&place, &["test", "--filter", "reported"]).await;
    assert_eq!(chosen.code, Some(0), "{chosen:?}");
}

#[tokio::test]
async fn test_writes_expectations_anew_and_results_for_ci() {
    let place = Place::own_rules();
    let failing = CASES.replace("AMOUNT } } }] }", "0 } } }] }   # to be looked at");
    place.write("rules/shop.test.yaml", &failing);
    let report = place.path().join("report.xml");
    let junit = ["test", "--junit", report.to_str().expect("a path")];
    assert_eq!(tidegate(&place, &junit).await.code, Some(1));
    let xml = fs::read_to_string(&report).expect("a report");
    assert!(xml.contains(r#"<testsuite name="rules/shop.test.yaml" tests="2" failures="1""#), "{xml}");
    assert!(xml.contains("calls[0].body.data.amount: expected 0, found 2000</failure>"), "{xml}");

    let updated = tidegate(&place, &["test", "--update"]).await;
    insta::assert_snapshot!("test_updated", shown(&place, &updated));
    let written = fs::read_to_string(place.container().join("rules/shop.test.yaml")).expect("the cases");
    assert_eq!(written, failing.replace("amount: 0", "amount: 2000"));

    place.write("rules/orders.test.yaml", "cases: { an order: { event: { event: purchase } } }\n");
    let silent = tidegate(&place, &["test"]).await;
    assert!(silent.out.contains("case \"an order\" expects nothing"), "{silent:?}");
    let filled = tidegate(&place, &["test", "--update"]).await;
    assert_eq!(filled.code, Some(0), "{filled:?}");

    let nowhere = place.path().join("absent/report.xml");
    let unwritten = tidegate(&place, &["test", "--junit", nowhere.to_str().expect("a path")]).await;
    assert_eq!(unwritten.code, Some(2), "{unwritten:?}");
}

const CONDITIONS: &str = r#"
triggers:
  Large: { event: purchase, when: [{ event_data: value, greater_than: 100 }, { any: [{ event_data: currency, equals: EUR }, { event_data: currency, equals: USD }] }] }
  Never: { event: refund }
tags:
  Large order: { template: log, triggers: Large, exceptions: Never, consent: none, consent_reason: it only writes a line, parameters: { line: large } }
  Refund: { template: openai_cookie, triggers: Never, consent: ad_storage, when_denied: hold }
"#;

const SOME_OF_THEM: &str = "cases:
  a large order: { event: { event: purchase, value: 200, currency: EUR }, expect: { fired: [Large order] } }
  a small order: { event: { event: purchase, value: 20, currency: EUR }, expect: { fired: [] } }
";

#[tokio::test]
async fn test_tells_what_no_case_exercises() {
    let place = Place::with_rules(CONDITIONS);
    place.write("rules/shop.test.yaml", SOME_OF_THEM);
    let ran = tidegate(&place, &["test", "--coverage"]).await;
    insta::assert_snapshot!("test_coverage", shown(&place, &ran));
    let as_json = tidegate(&place, &["test", "--coverage", "--format", "json"]).await.json();
    insta::assert_snapshot!("test_coverage_json", as_json["coverage"]);
}

/// Two dead letters, one pending call.
async fn shop_with_letters(shop: &Shop) {
    shop.standin.fail_with(Failure::RefuseEvents { words: "the shop is closed".to_owned() }, Lasting::Requests(2));
    for id in ["dead-1", "dead-2"] {
        shop.accept(&purchase(id)).await;
        dead_letters(shop, if id == "dead-1" { 1 } else { 2 }).await;
    }
    shop.standin.fail_with(Failure::Hold, Lasting::UntilCleared);
    shop.accept(&purchase("pending")).await;
    shop.standin.wait_until(PATIENCE, |counts| counts.in_flight == 1).await.expect("it is under way");
}

async fn dead_letters(shop: &Shop, wanted: u64) {
    let wait = async {
        loop {
            let list = shop.tidegate(&["deliveries", "list", "--format", "json"]).await.json();
            if list["accounts"].as_array().is_some_and(|all| all.iter().any(|account| account["dead"] == wanted)) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("dead letters");
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_looked_after_with_and_without_a_server() {
    let mut shop = Shop::spawn(Place::own_rules(), &[]).await;
    shop_with_letters(&shop).await;
    let socket = fs::metadata(shop.place.data().join("control.sock")).expect("a socket");
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    let folder = fs::metadata(shop.place.data()).expect("a folder");
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);

    let looks: [(&str, &[&str]); 5] = [
        ("dead", &["deliveries", "list"]),
        ("pending", &["deliveries", "list", "--state", "pending"]),
        ("other", &["deliveries", "list", "--account", "openai:another"]),
        ("none_match", &["deliveries", "list", "--tag", "OpenAI"]),
        ("show", &["deliveries", "show", "1"]),
    ];
    for (name, words) in looks {
        let ran = shop.tidegate(words).await;
        insta::assert_snapshot!(format!("deliveries_{name}_with_server"), shown(&shop.place, &ran));
    }
    for words in [&["deliveries", "list", "--limit", "0"][..], &["audit", "--limit", "0"]] {
        assert_eq!(shop.tidegate(words).await.code, Some(2), "{words:?}");
    }
    let unknown = shop.tidegate(&["deliveries", "show", "4711"]).await;
    insta::assert_snapshot!("deliveries_show_unknown", shown(&shop.place, &unknown));

    shop.crash().await;
    for (name, words) in looks {
        let ran = shop.tidegate(words).await;
        insta::assert_snapshot!(format!("deliveries_{name}_without_server"), shown(&shop.place, &ran));
    }
    assert_eq!(shop.tidegate(&["deliveries", "show", "4711"]).await.code, Some(1));
    let discarded = shop.tidegate(&["deliveries", "discard", "1"]).await;
    assert_eq!((discarded.code, &*discarded.out), (Some(0), "1 call discarded\n"));
    let again = shop.tidegate(&["deliveries", "discard", "1"]).await;
    assert_eq!((again.code, &*again.out), (Some(1), "0 calls discarded\n"));
    assert_eq!(again.err, "tidegate: 1 of the ids names no call that waits or died\n");
    for words in [&["deliveries", "retry", "--account", "nope"], &["deliveries", "discard", "--account", "nope"]] {
        let ran = shop.tidegate(words).await;
        assert_eq!((ran.code, &*ran.out), (Some(1), ""), "{words:?}");
        assert_eq!(ran.err, format!("tidegate: there is no account \"nope\" here; there is: {ACCOUNT}\n"));
    }
    for of_others in [
        &["--tag", "OpenAI"][..],
        &["--account", ACCOUNT, "--until", "2026-01-01T00:00:00Z"],
        &["--until", "1d 2h"],
        &["--account", ACCOUNT, "--since", "2100-01-01T00:00:00+01:00"],
    ] {
        let words = [&["deliveries", "retry"], of_others].concat();
        let retried = shop.tidegate(&words).await;
        assert_eq!((retried.code, &*retried.out), (Some(0), "0 calls put back to be delivered\n"), "{of_others:?}");
    }
    let words = ["deliveries", "retry", "--account", ACCOUNT, "--tag", "OpenAI purchase", "--since", "2h"];
    let retried = shop.tidegate(&words).await;
    assert_eq!((retried.code, &*retried.out), (Some(0), "1 call put back to be delivered\n"));
    let again = shop.tidegate(&["deliveries", "retry", "2", "3"]).await;
    assert_eq!((again.code, &*again.out), (Some(1), "0 calls put back to be delivered\n"));
    assert_eq!(again.err, "tidegate: 2 of the ids name no dead letter that can be sent\n");

    shop.standin.clear_failures();
    shop.start(&[]).await;
    shop.wait_for(2).await;
    let mut stored = shop.stored_ids();
    stored.sort();
    assert_eq!(stored, ["dead-2", "pending"]);
    // The request that was held while the server was killed may have been stored as well.
    let (duplicates, refusals) = (shop.standin.requests().duplicates, shop.standin.requests().refused);
    assert!(duplicates <= 1);
    shop.close_leaving(Left { duplicates, refusals, ..Left::default() }).await;
}

#[tokio::test]
async fn deliveries_of_a_folder_that_is_not_there_exit_2() {
    let place = Place::own_rules();
    let ran = tidegate(&place, &["deliveries", "list"]).await;
    insta::assert_snapshot!("deliveries_no_data", shown(&place, &ran));
    assert!(!place.data().exists(), "looking makes no folder");
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::own_rules();
    place.write("rules/shop.test.yaml", &CASES.replace("AMOUNT", "2000"));
    let hit = place.path().join("hit.json");
    fs::write(&hit, HIT).expect("a file");
    let hit = hit.to_str().expect("a path");
    fs::create_dir(place.data()).expect("a data folder");
    let data = place.data();
    let data = data.to_str().expect("a path");
    for words in [
        &["check"][..],
        &["check", "--format", "json"],
        &["test"],
        &["test", "--format", "json"],
        &["trace", hit],
        &["trace", hit, "--format", "json"],
        &["deliveries", "list", "--data", data],
        &["deliveries", "list", "--format", "json", "--data", data],
        &["--help"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = program(&place.container());
        command.args(words).envs(environment()).stdout(Stdio::from(writer));
        let child = command.spawn().expect("the program starts");
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("an end").expect("an end");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*err), (Some(0), ""), "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_start_says_why_and_exits_2() {
    let place = Place::own_rules();
    let settings = place.path().join("settings.yaml");
    let settings_path = settings.to_str().expect("a path");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let fails = async |name: &str, words: &[&str], environment: &[(&str, &str)]| {
        let data = place.data();
        let words = [&serve[..], words, &["--data", data.to_str().expect("a path")]].concat();
        let ran = run(&place, &words, environment, "").await;
        assert_eq!((ran.code, &*ran.out), (Some(2), ""), "{ran:?}");
        insta::assert_snapshot!(format!("serve_{name}"), shown(&place, &ran));
    };
    fails("settings_absent", &["--settings", settings_path], &environment()).await;
    fs::write(&settings, "listen: [not an address\n").expect("a file");
    fails("settings_malformed", &["--settings", settings_path], &environment()).await;
    fs::write(&settings, "lisen: 127.0.0.1:0\n").expect("a file");
    fails("settings_unknown_key", &["--settings", settings_path], &environment()).await;
    fails("environment_absent", &[], &[]).await;
    fails("bad_binding", &["--bind-secret", "OPENAI_KEY"], &environment()).await;

    fs::remove_dir_all(place.data()).expect("a data folder");
    fs::write(place.data(), "a file").expect("a file");
    fails("data_is_a_file", &[], &environment()).await;
    fs::remove_file(place.data()).expect("the file");

    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let words = ["serve", "--listen", &address, "--admin", "127.0.0.1:0"];
    let port = tidegate(&place, &words).await;
    insta::assert_snapshot!("serve_port_taken", shown(&place, &port));

    let shop = Shop::spawn(place, &[]).await;
    let second = shop.tidegate(&serve).await;
    insta::assert_snapshot!("serve_data_locked", shown(&shop.place, &second));
    assert_eq!((port.code, second.code), (Some(2), Some(2)));
    shop.accept(&purchase("undisturbed")).await;
    shop.wait_for(1).await;
    shop.close().await;
}

#[tokio::test]
async fn list_formats_hold_the_same() {
    let place = Place::own_rules();
    fs::create_dir(place.data()).expect("a data folder");
    let list: Value = tidegate(&place, &["deliveries", "list", "--format", "json"]).await.json();
    assert_eq!(list, json!({"accounts": [], "calls": [], "more": false}));
    let list = tidegate(&place, &["deliveries", "list"]).await;
    insta::assert_snapshot!("deliveries_none", shown(&place, &list));
}
