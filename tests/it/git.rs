//! A container in git: live is HEAD, named everywhere, exchanged under load without a hit lost or decided by two versions.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::Value;
use tidegate::{
    outbox::{
        CallFilter, CallState, ListQuery, Outbox as _,
        embedded::{Embedded, Options},
    },
    standin::{Failure, Lasting},
};
use tokio::net::TcpListener;

use crate::harness::{Left, Load, Place, Shop, all_granted, environment, purchase, serve, strict_standin};

/// Two files whose tags name the version.
fn write_version(place: &Place, number: usize) {
    let file = |tag: &str, template: &str, event: &str| {
        format!(
            "triggers: {{ {tag} trigger: {{ event: purchase }} }}\n\
             tags:\n  {tag} {number}:\n    template: {template}\n    triggers: {tag} trigger\n    consent: ad_storage\n    \
             parameters: {{ pixel_id: px-shop, api_key: {{ secret: OPENAI_CONVERSIONS_API_KEY }}{event} }}\n"
        )
    };
    place.write("rules/first.yaml", &file("First", "openai_conversion", ", event: order_created"));
    place.write("rules/second.yaml", &file("Second", "openai_pageview", ""));
}

fn git_shop() -> Place {
    let place = Place::empty();
    write_version(&place, 0);
    place.into_repository()
}

#[tokio::test(flavor = "multi_thread")]
async fn live_is_head_and_a_broken_head_is_not() {
    let place = git_shop();
    let first: String = place.git(&["rev-parse", "HEAD"]).chars().take(12).collect();
    let mut shop = Shop::spawn(place, &[]).await;
    let line = shop.server().logs(|line| line.contains("is live")).await;
    assert!(line.contains(&format!("container {first} is live: what is committed in ")), "{line}");
    assert_eq!(shop.ready().await, (200, format!("ready {first}\n")));
    assert!(shop.metrics().await.contains(&format!("tidegate_container{{version=\"{first}\"}} 1")));

    // Nobody tells the server; an edit alone changes nothing.
    write_version(&shop.place, 1);
    shop.server().signal(Signal::HUP);
    shop.server().logs(|line| line.contains(&format!("container {first} was live already"))).await;
    let second = shop.place.commit();
    shop.server().logs(|line| line.contains(&format!("container {second} is live"))).await;
    assert_eq!(shop.ready().await, (200, format!("ready {second}\n")));

    shop.place.write("rules/broken.yaml", "tags: { Broken: { template: nowhere } }\n");
    let broken = shop.place.commit();
    let line = shop.server().logs(|line| line.contains("not reloaded")).await;
    let line: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!((&line["level"], &line["version"]), (&"ERROR".into(), &broken.into()), "{line}");
    let said = line["message"].as_str().expect("text");
    assert!(
        said.contains(&format!("container {second} stays live")) && said.contains("rules/broken.yaml:1:"),
        "{said}"
    );
    assert_eq!(shop.ready().await, (200, format!("ready {second}\n")), "it says no more");
    let degraded = "tidegate_container_degraded{source=\"container\"} 1";
    assert!(shop.metrics().await.contains(degraded));
    shop.stop().await;

    shop.start(&[]).await;
    shop.server().logs(|line| line.contains("not reloaded")).await;
    assert_eq!(shop.ready().await, (200, format!("ready {second}\n")));
    assert!(shop.metrics().await.contains(degraded));
    shop.place.git(&["revert", "--no-edit", "HEAD"]);
    shop.server().logs(|line| line.contains("as it should be again")).await;
    assert_ne!(shop.ready().await, (200, format!("ready {second}\n")));
    assert!(shop.metrics().await.contains("tidegate_container_degraded{source=\"container\"} 0"));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_beside_what_is_committed_decides_nothing() {
    let place = git_shop();
    write_version(&place, 1);
    let mut shop = Shop::spawn(place, &[]).await;
    shop.standin.fail_with(Failure::Hold, Lasting::UntilCleared);
    shop.accept(&purchase("committed")).await;
    shop.crash().await;
    let tags: BTreeSet<_> = stored_calls(&shop).await.into_iter().map(|(_, _, tag)| tag).collect();
    assert_eq!(tags, BTreeSet::from(["First 0".to_owned(), "Second 0".to_owned()]));
    shop.close_leaving(Left { pending: 2, ..Left::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_draft_is_served_where_that_is_asked_for() {
    let place = git_shop();
    write_version(&place, 1);
    let shop = Shop::spawn(place, &["--draft"]).await;
    let line = shop.server().logs(|line| line.contains("is live")).await;
    assert!(line.contains("container folder-") && line.contains("as they lie"), "{line}");
    write_version(&shop.place, 22);
    let both = shop.server().logs_times(2, |line| line.contains("is live")).await;
    assert_ne!(both[0], both[1]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_webhook_makes_the_remote_be_asked_at_once() {
    let upstream = git_shop();
    let first: String = upstream.git(&["rev-parse", "HEAD"]).chars().take(12).collect();
    let place = Place::empty();
    place.git(&["init", "-q", "-b", "main"]);
    let url = upstream.container();
    let url = url.to_str().expect("a path in text");
    let mut shop = Shop::closed(place, strict_standin()).await;
    let environment = [&environment()[..], &[("SHOP_WEBHOOK", "s3cret-of-the-hook")]].concat();
    shop.start_in(&["--remote", url, "--poll", "60m", "--webhook-secret", "SHOP_WEBHOOK"], &environment).await;
    assert_eq!(shop.ready().await, (200, format!("ready {first}\n")), "an empty repository is enough to start with");

    write_version(&upstream, 1);
    let second = upstream.commit();
    let body = r#"{"ref":"refs/heads/main"}"#;
    let push = async |signature: Option<&str>| {
        let request = shop.http.post(format!("http://{}/webhook/git", shop.admin())).header("host", "ci.example.com");
        let request =
            signature.into_iter().fold(request, |request, value| request.header("x-hub-signature-256", value));
        request.body(body).send().await.expect("an answer").status().as_u16()
    };
    // printf '%s' '{"ref":"refs/heads/main"}' | openssl dgst -sha256 -hmac s3cret-of-the-hook
    let signed = "sha256=a7b3d5790461ade1caed3ce4d710e355f150f505608bd5872c85c2c737663d40";
    assert_eq!(push(None).await, 401);
    let token =
        shop.http.post(format!("http://{}/webhook/git", shop.admin())).header("x-gitlab-token", "s3cret-of-the-hook");
    let answer = token.body(body).send().await.expect("an answer");
    assert_eq!(answer.status(), 401);
    assert!(answer.text().await.expect("text").contains("GitLab's token is no signature"));
    assert_eq!(push(Some(&signed.replace('a', "b").replacen("shb", "sha", 1))).await, 403);
    assert_eq!(shop.ready().await, (200, format!("ready {first}\n")));
    assert_eq!(push(Some(signed)).await, 202);
    shop.server().logs(|line| line.contains(&format!("container {second} is live"))).await;
    assert_eq!(shop.ready().await, (200, format!("ready {second}\n")));
    assert_eq!(shop.place.git(&["status", "--porcelain"]), "", "the working tree came along");

    upstream.write("rules/broken.yaml", "tags: { Broken: { template: nowhere } }\n");
    upstream.commit();
    assert_eq!(push(Some(signed)).await, 202);
    shop.server().logs(|line| line.contains("not reloaded")).await;
    assert!(shop.metrics().await.contains("tidegate_container_degraded{source=\"remote\"} 1"));
    assert_eq!(shop.ready().await, (200, format!("ready {second}\n")));
    let log = shop.stop().await;
    assert!(!log.iter().any(|line| line.contains("s3cret")), "{log:#?}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_without_a_version_is_refused_and_counted() {
    let mut shop = Shop::spawn(git_shop(), &[]).await;
    let first: String = shop.place.git(&["rev-parse", "HEAD"]).chars().take(12).collect();
    let refused = async |times: usize, words: &str| {
        let lines = shop.server().logs_times(times, |line| line.contains("not reloaded")).await;
        let line: Value = serde_json::from_str(&lines[times - 1]).expect("JSON");
        assert!(line["message"].as_str().is_some_and(|said| said.contains(words)), "{line}");
        let count = format!("tidegate_reload_failures_total {times}\n");
        assert!(shop.metrics().await.contains(&count), "{count}");
        line
    };
    shop.place.git(&["symbolic-ref", "HEAD", "refs/heads/gone"]);
    let line = refused(1, "names no commit; commit rules/ and tags/ first").await;
    assert_eq!(line.get("version"), None, "there is none: {line}");
    shop.place.git(&["rm", "-q", "-r", "--cached", "rules"]);
    shop.place.git(&["commit", "-q", "--allow-empty", "-m", "x"]);
    let empty: String = shop.place.git(&["rev-parse", "HEAD"]).chars().take(12).collect();
    let line = refused(2, "has no rules files in rules/").await;
    assert_eq!(line["version"], empty);
    assert_eq!(shop.ready().await, (200, format!("ready {first}\n")));
    shop.stop().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn head_goes_live_while_the_remote_does_not_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("git://{}/shop.git", silent.local_addr().expect("an address"));
    let mut shop = Shop::spawn(git_shop(), &["--remote", &url, "--poll", "1s"]).await;
    // It was asked, and holds the line.
    let _held = silent.accept().await.expect("a connection");
    write_version(&shop.place, 1);
    let second = shop.place.commit();
    shop.server().logs(|line| line.contains(&format!("container {second} is live"))).await;
    shop.stop().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_whose_secret_is_missing_is_told_at_the_start() {
    let place = git_shop();
    let arguments = ["--remote", "https://git.example.com/shop.git", "--webhook-secret", "SHOP_WEBHOOK"];
    let refused = serve(&place, &arguments, &environment()).await.err().expect("it does not start");
    let said = refused.last().expect("a word");
    assert!(said.starts_with("tidegate: --webhook-secret: ") && said.contains("SHOP_WEBHOOK"), "{refused:?}");
}

const COMMITS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_commits_lose_no_hit_and_mix_no_versions() {
    let mut shop = Shop::closed(git_shop(), strict_standin()).await;
    // So that every call stays where it can be looked at.
    shop.standin.fail_with(Failure::status(StatusCode::SERVICE_UNAVAILABLE), Lasting::UntilCleared);
    shop.start(&[]).await;
    let first = shop.place.git(&["rev-parse", "HEAD"]).chars().take(12).collect();
    let mut numbers: BTreeMap<String, usize> = BTreeMap::from([(first, 0)]);

    let load = Load::start(&shop, 2, "commit", hit_of_two);
    for number in 1..=COMMITS {
        write_version(&shop.place, number);
        let version = shop.place.commit();
        shop.server().signal(Signal::HUP);
        shop.server().logs(|line| line.contains(&format!("container {version} is live"))).await;
        numbers.insert(version, number);
        // However slow the senders are, every version decides a hit.
        shop.accept(&hit_of_two(&format!("probe-{number}"))).await;
    }
    let sent = COMMITS + load.end_unbroken().await;
    shop.stop().await;

    let mut versions = BTreeSet::new();
    let mut tags_of_events: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (event, version, tag) in stored_calls(&shop).await {
        let number = numbers[&version];
        assert!(tag == format!("First {number}") || tag == format!("Second {number}"), "{version}: {tag}");
        versions.insert(version.clone());
        tags_of_events.entry(event).or_default().push((version, tag));
    }
    assert_eq!(tags_of_events.len(), 2 * sent, "two events a hit");
    for (event, tags) in &tags_of_events {
        assert!(tags.len() == 2 && tags[0].0 == tags[1].0 && tags[0].1 != tags[1].1, "{event}: {tags:?}");
    }
    let met = numbers.iter().filter(|(version, number)| **number > 0 && versions.contains(*version)).count();
    assert_eq!(met, COMMITS, "hits met every version");
    shop.close_leaving(Left { pending: 4 * sent as u64, ..Left::default() }).await;
}

/// A hit of two events.
pub fn hit_of_two(id: &str) -> Value {
    let [mut first, mut second] = [purchase(&format!("{id}-a")), purchase(&format!("{id}-b"))];
    first["consent"] = all_granted();
    second["consent"] = all_granted();
    serde_json::json!({ "events": [first, second] })
}

/// Every pending call of a stopped server: its event, its version and its tag.
pub async fn stored_calls(shop: &Shop) -> Vec<(String, String, String)> {
    let store = Embedded::open(&shop.place.data(), Options::default()).expect("the store opens");
    let mut query = ListQuery { state: CallState::Pending, filter: CallFilter::default(), after: None, limit: 1000 };
    let mut calls = Vec::new();
    loop {
        let page = store.list(&query).await.expect("a list");
        calls.extend(page.calls.into_iter().map(|call| (call.event.id.to_string(), call.version, call.tag)));
        query.after = page.next;
        if query.after.is_none() {
            store.close().await;
            return calls;
        }
    }
}
