//! A team at work on one container: two clones, a bare remote, a server that follows it, and hits that do not wait for any
//! of them. Whatever somebody breaks on the way, no hit is lost, and each is decided by one whole version.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::StatusCode;
use tidegate::standin::{Failure, Lasting};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    git::{hit_of_two, stored_calls},
    harness::{HOST, Left, PATIENCE, Place, Ran, Shop, strict_standin},
    repository::Repository,
};

/// Two files and a case; the tags name the version.
fn write(repository: &Repository, number: usize) {
    let file = |tag: &str, template: &str, event: &str| {
        format!(
            "triggers:\n  {tag} trigger: {{ event: purchase }}\ntags:\n  {tag} {number}:\n    template: {template}\n    \
             triggers: {tag} trigger\n    consent: ad_storage\n    \
             parameters: {{ pixel_id: px-shop, api_key: {{ secret: OPENAI_CONVERSIONS_API_KEY }}{event} }}\n"
        )
    };
    repository.place.write("rules/first.yaml", &file("First", "openai_conversion", ", event: order_created"));
    repository.place.write("rules/second.yaml", &file("Second", "openai_pageview", ""));
    write_case(repository, number);
}

fn write_case(repository: &Repository, number: usize) {
    let case = format!(
        "cases:\n  an order is reported:\n    event: {{ event: purchase, event_id: e-1, value: 1, currency: EUR, \
         page_location: https://www.example.com/ }}\n    consent: {{ ad_storage: granted }}\n    \
         expect: {{ fired: [First {number}, Second {number}] }}\n"
    );
    repository.place.write("rules/shop.test.yaml", &case);
}

/// Hits without a pause, until nobody asks for their number any more.
fn send_hits(shop: &Shop) -> (watch::Receiver<u64>, JoinHandle<u64>) {
    let (http, url) = (shop.http.clone(), format!("http://{}/hit", shop.sites()));
    let (counter, counted) = watch::channel(0);
    let sender = tokio::spawn(async move {
        let mut sent = 0;
        while counter.send(sent).is_ok() {
            let body = hit_of_two(&format!("team-{sent}")).to_string();
            let answer = http.post(&url).header("host", HOST).body(body).send().await.expect("an answer");
            assert_eq!(answer.status(), 204);
            sent += 1;
        }
        sent
    });
    (counted, sender)
}

/// Waits for a hit that began after this.
async fn another_hit(hits: &watch::Receiver<u64>) {
    let mut hits = hits.clone();
    let now = *hits.borrow();
    tokio::time::timeout(PATIENCE, hits.wait_for(|sent| *sent >= now + 2)).await.expect("in time").expect("hits flow");
}

/// Publishes to the remote, and waits until the server has decided a hit by that; gives the version.
async fn publish(shop: &Shop, hits: &watch::Receiver<u64>, repository: &Repository, arguments: &[&str]) -> String {
    let ran = repository.tidegate(&[&["publish", "--push"], arguments].concat()).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let version: String = repository.head().chars().take(12).collect();
    assert!(ran.out.contains(&format!("published as {version} on main\npushed")), "{ran:?}");
    shop.server().logs(|line| line.contains(&format!("container {version} is live"))).await;
    another_hit(hits).await;
    version
}

async fn fails(repository: &Repository, arguments: &[&str], code: i32) -> Ran {
    let head = repository.head();
    let ran = repository.tidegate(&[&["publish", "--push"], arguments].concat()).await;
    assert_eq!((ran.code, repository.head()), (Some(code), head), "{ran:?}");
    ran
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_publishes_breaks_mends_and_rolls_back_while_hits_flow() {
    let (ada, url) = Repository::with_hub(|ada| write(ada, 0));
    let grace = Repository::clone_of(&url);
    let copy = Place::empty();
    copy.git(&["init", "-q", "-b", "main"]);
    let mut shop = Shop::closed(copy, strict_standin()).await;
    // So that every call stays where it can be looked at.
    shop.standin.fail_with(Failure::status(StatusCode::SERVICE_UNAVAILABLE), Lasting::UntilCleared);
    shop.start(&["--remote", &url, "--poll", "1s"]).await;
    let mut numbers = BTreeMap::from([(ada.head().chars().take(12).collect::<String>(), 0)]);
    let (hits, sender) = send_hits(&shop);
    another_hit(&hits).await;

    // Ada's first attempts are refused, and nobody else notices.
    write(&ada, 1);
    ada.edit("rules/second.yaml", "triggers: Second trigger", "triggers: Secnod trigger");
    let broken = fails(&ada, &["-m", "Second attempt"], 1).await;
    assert!(broken.out.contains("did you mean \"Second trigger\"?"), "{broken:?}");
    write(&ada, 1);
    write_case(&ada, 0);
    let failing = fails(&ada, &["-m", "Second attempt"], 1).await;
    assert!(failing.out.contains("FAILED rules/shop.test.yaml:2: an order is reported"), "{failing:?}");
    write(&ada, 1);
    let second = publish(&shop, &hits, &ada, &["-m", "Second version"]).await;
    numbers.insert(second.clone(), 1);

    // Grace has not seen it.
    grace.place.write("rules/grace.yaml", "variables: { Grace: { constant: 1 } }\n");
    let behind = fails(&grace, &["-m", "Third version"], 2).await;
    assert!(behind.err.contains("origin/main has 1 commit that is not here"), "{behind:?}");
    assert!(behind.err.contains("git pull --rebase --autostash"), "{behind:?}");
    grace.git(&["pull", "-q", "--rebase", "--autostash"]);
    numbers.insert(publish(&shop, &hits, &grace, &["-m", "Third version"]).await, 1);
    write(&grace, 2);
    numbers.insert(publish(&shop, &hits, &grace, &["-m", "Fourth version"]).await, 2);

    // Ada takes both back, once she has them.
    fails(&ada, &["--rollback", &second], 2).await;
    ada.git(&["pull", "-q", "--ff-only"]);
    numbers.insert(publish(&shop, &hits, &ada, &["--rollback", &second]).await, 1);
    assert!(!ada.folder().join("rules/grace.yaml").exists());

    // Somebody goes around all of it.
    grace.git(&["pull", "-q", "--ff-only"]);
    grace.place.write("rules/second.yaml", "tags: { Second 3: { template: nowhere } }\n");
    grace.git(&["commit", "-q", "-a", "-m", "Without a look"]);
    grace.git(&["push", "-q"]);
    let broken: String = grace.head().chars().take(12).collect();
    shop.server().logs(|line| line.contains("not reloaded") && line.contains(&broken)).await;
    ada.git(&["pull", "-q", "--ff-only"]);
    let listed = ada.tidegate(&["versions", "--limit", "2"]).await;
    assert!(listed.out.lines().next().is_some_and(|line| line.contains("error")), "{listed:?}");
    write(&ada, 4);
    numbers.insert(publish(&shop, &hits, &ada, &["-m", "Mended"]).await, 4);

    drop(hits);
    let events = 2 * sender.await.expect("hits end by themselves");
    shop.stop().await;
    let mut versions = BTreeSet::new();
    let mut calls_of_events: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (event, version, tag) in stored_calls(&shop).await {
        let number = numbers.get(&version).unwrap_or_else(|| panic!("{version} never was good: {numbers:?}"));
        assert!(tag == format!("First {number}") || tag == format!("Second {number}"), "{version}: {tag}");
        versions.insert(version.clone());
        calls_of_events.entry(event).or_default().push((version, tag));
    }
    assert_eq!(calls_of_events.len() as u64, events, "hits that were lost");
    for (event, calls) in &calls_of_events {
        assert!(calls.len() == 2 && calls[0].0 == calls[1].0 && calls[0].1 != calls[1].1, "{event}: {calls:?}");
    }
    assert_eq!(versions.len(), numbers.len(), "every version met hits");
    shop.close_leaving(Left { pending: 2 * events, ..Left::default() }).await;
}
