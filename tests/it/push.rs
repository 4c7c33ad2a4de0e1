//! `tidegate publish --push` against real repositories elsewhere: what goes there is said before and after, nothing goes
//! that was not meant, and a push that fails is no version lost.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::json;

use crate::{
    harness::{Place, Shop, strict_standin},
    publish::{MESSAGE, published, refused},
    repository::{CASES, RULES, Repository, git_in},
};

fn write(repository: &Repository) {
    repository.place.write("rules/shop.yaml", RULES);
    repository.place.write("rules/shop.test.yaml", CASES);
}

/// Makes a repository elsewhere refuse what it gets.
fn close(hub: &str, words: &str) {
    let hook = Path::new(hub).join("hooks/pre-receive");
    fs::write(&hook, format!("#!/bin/sh\necho '{words}' >&2\nexit 1\n")).expect("a hook");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("a mode");
}

#[tokio::test]
async fn earlier_commits_are_named_before_and_after_they_go_along() {
    let (ada, hub) = Repository::with_hub(write);
    ada.place.write("README.md", "half a thought\n");
    ada.git(&["add", "README.md"]);
    ada.git(&["commit", "-q", "-m", "Half a thought"]);
    let earlier = ada.head();
    ada.edit("rules/shop.yaml", "an order", "one order");
    let words = format!("1 commit that was not there yet: {} \"Half a thought\"", &earlier[..12]);

    let looked = ada.tidegate(&["publish", "--dry-run", "--push"]).await;
    assert_eq!(looked.code, Some(0), "{looked:?}");
    let would = format!("nothing was changed\nwould be pushed to origin/main\n  with {words}\n");
    assert!(looked.out.ends_with(&would), "{looked:?}");
    let ran = ada.tidegate(&["publish", "-m", "x", "--push"]).await;
    assert_eq!(
        (ran.code, ran.err),
        (Some(0), format!("tidegate: pushing to origin/main, with {words}\n")),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("to origin/main; servers") && ran.out.ends_with(&format!("  with {words}\n")),
        "{}",
        ran.out
    );
    assert_eq!(git_in(hub.clone().into(), &["rev-parse", "main"]), ada.head());

    // There is nothing new, but something is waiting.
    ada.edit("rules/shop.yaml", "one order", "two orders");
    published(&ada, &MESSAGE).await;
    let waiting = ada.tidegate(&["publish", "--dry-run", "--push", "--format", "json"]).await;
    let json = waiting.json();
    assert_eq!((waiting.code, &json["outcome"], &json["push"]["done"]), (Some(0), &json!("nothing"), &json!(false)));
    assert_eq!(json["push"]["earlier"][0], json!({ "commit": ada.head(), "subject": "Ask for more" }));
    assert_eq!(json["push"]["to"], json!("origin/main"));
}

#[tokio::test]
async fn a_push_that_fails_is_told_and_made_up_for() {
    let (ada, hub) = Repository::with_hub(write);
    close(&hub, "protected branch: open a pull request");
    ada.edit("rules/shop.yaml", "an order", "one order");
    let ran = ada.tidegate(&["publish", "-m", "x", "--push"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let words = "not pushed: origin/main does not take it: protected branch: open a pull request; ";
    assert!(ran.out.contains("published as ") && ran.out.contains(words), "{ran:?}");
    assert!(ran.out.contains("git push origin HEAD:refs/heads/NAME"), "{ran:?}");
    // And again: that ends the same way.
    let ran = ada.tidegate(&["publish", "--push"]).await;
    assert!(ran.code == Some(1) && ran.out.contains("nothing new to publish\nnot pushed: origin/main"), "{ran:?}");
    let ran = ada.tidegate(&["publish", "--push", "--format", "json"]).await;
    let json = ran.json();
    assert_eq!(
        (ran.code, &json["outcome"], &json["push"]["code"]),
        (Some(1), &json!("nothing"), &json!("push-refused"))
    );
    assert!(json["push"]["reason"].as_str().is_some_and(|reason| reason.contains("protected")), "{json}");
    assert!(json["push"]["help"].is_string(), "{json}");
    fs::remove_file(Path::new(&hub).join("hooks/pre-receive")).expect("the hook");
    // A hook here, which is the user's.
    ada.hook("pre-push", "echo 'not on Fridays' >&2; exit 1");
    let ran = ada.tidegate(&["publish", "--push"]).await;
    assert!(ran.code == Some(1) && ran.out.contains("does not take it: not on Fridays"), "{ran:?}");
    fs::remove_file(ada.folder().join(".git/hooks/pre-push")).expect("the hook");
    let ran = ada.tidegate(&["publish", "--push"]).await;
    assert!(ran.code == Some(0) && ran.out.contains("nothing new to publish\npushed "), "{ran:?}");

    // A remote that cannot even be asked is found out before anything is committed.
    ada.edit("rules/shop.yaml", "one order", "two orders");
    ada.git(&["remote", "set-url", "origin", "http://ada:s3cret@127.0.0.1:1/shop.git"]);
    let told = refused(&ada, &["-m", "x", "--push"], "unreachable").await;
    assert!(
        told.err.contains("origin cannot be asked") && told.err.contains("git fetch origin works, without"),
        "{told:?}"
    );
    assert!(!told.err.contains("s3cret"), "{told:?}");
}

#[tokio::test]
async fn a_branch_that_was_deleted_elsewhere_does_not_come_back_by_itself() {
    let (ada, hub) = Repository::with_hub(write);
    ada.git(&["switch", "-q", "-c", "next"]);
    ada.git(&["push", "-q", "--set-upstream", "origin", "next"]);
    git_in(hub.clone().into(), &["branch", "-q", "-D", "next"]);
    ada.edit("rules/shop.yaml", "an order", "one order");
    let told = refused(&ada, &["-m", "x", "--push"], "gone").await;
    assert!(told.err.contains("origin has no branch next, which the one here follows"), "{told:?}");
    assert!(told.err.contains("git push origin next"), "{told:?}");
    // Whatever the branch is called.
    ada.git(&["switch", "-q", "-c", "it's;new"]);
    let told = refused(&ada, &["-m", "x", "--push"], "no-upstream").await;
    assert!(told.err.contains(r"git push --set-upstream origin 'it'\''s;new', then"), "{told:?}");
    ada.git(&["switch", "-q", "next"]);
    // Pruned, nobody remembers that it was there, and still the branch here follows it.
    ada.git(&["fetch", "-q", "--prune"]);
    let told = refused(&ada, &["-m", "x", "--push"], "gone").await;
    assert!(told.err.contains("git push origin next"), "{told:?}");
    ada.git(&["push", "-q", "origin", "next"]);
    let ran = ada.tidegate(&["publish", "-m", "x", "--push"]).await;
    assert!(ran.code == Some(0) && ran.out.contains("to origin/next; "), "{ran:?}");
}

/// A clone of a repository in which there is nothing yet follows a branch that never was.
#[tokio::test]
async fn the_first_branch_of_an_empty_repository_elsewhere_is_new() {
    let place = Place::empty();
    let hub = place.path().join("empty.git");
    let hub = hub.to_str().expect("a path in text");
    git_in(place.path().to_owned(), &["init", "-q", "--bare", "-b", "main", hub]);
    let ada = Repository::clone_of(hub);
    fs::create_dir(ada.folder().join("rules")).expect("a folder");
    write(&ada);
    let ran = ada.tidegate(&["publish", "-m", "x", "--push"]).await;
    assert!(ran.code == Some(0) && ran.out.contains("to origin/main, which was not there; "), "{ran:?}");
}

/// `git init` and `serve --remote` are enough for a server. What its repository needs to publish, it says.
#[tokio::test(flavor = "multi_thread")]
async fn beside_a_server_that_follows_a_remote_the_advice_leads_to_a_version() {
    let (ada, hub) = Repository::with_hub(write);
    let place = Place::empty();
    place.git(&["init", "-q", "-b", "main"]);
    let mut shop = Shop::closed(place, strict_standin()).await;
    shop.start(&["--remote", &hub, "--poll", "1s"]).await;
    for (name, value) in [("user.name", "Grace"), ("user.email", "grace@example.com")] {
        shop.place.git(&["config", name, value]);
    }
    shop.place.write("rules/shop.yaml", &RULES.replace("an order", "one order"));
    for arguments in [&["publish", "-m", "x"][..], &["publish", "-m", "x", "--push"]] {
        let told = shop.tidegate(arguments).await;
        assert_eq!(told.code, Some(2), "{told:?}");
        let advice = "git remote add origin URL, which is the address that the server's --remote has; then git push \
                      --set-upstream origin main; then publish with --push";
        assert!(told.err.contains(advice), "{told:?}");
    }
    shop.place.git(&["remote", "add", "origin", &hub]);
    let told = shop.tidegate(&["publish", "-m", "x"]).await;
    assert!(told.err.contains("\n  git push --set-upstream origin main, then publish with --push"), "{told:?}");
    shop.place.git(&["push", "-q", "--set-upstream", "origin", "main"]);
    let told = shop.tidegate(&["publish", "-m", "x"]).await;
    assert!(told.err.contains("\n  publish with --push"), "{told:?}");
    let ran = shop.tidegate(&["publish", "-m", "x", "--push"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let version = shop.place.git(&["rev-parse", "HEAD"]);
    shop.server().logs(|line| line.contains(&format!("container {} is live", &version[..12]))).await;
    assert_eq!(git_in(hub.into(), &["rev-parse", "main"]), version);
    ada.git(&["pull", "-q", "--ff-only"]);
    shop.close().await;
}
