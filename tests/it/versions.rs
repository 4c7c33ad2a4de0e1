//! What `tidegate versions` says of a history: which commits are versions, which of them is live, and where it ends.

use std::fs;

use serde_json::json;

use crate::{
    harness::{Place, Shop},
    repository::{RULES, Repository, git_in},
};

/// Commits all that lies there.
fn commit(repository: &Repository, message: &str) -> String {
    repository.git(&["add", "--all"]);
    repository.git(&["commit", "-q", "-m", message]);
    repository.head()
}

fn edit(repository: &Repository, line: &str) {
    repository.place.write("rules/shop.yaml", &RULES.replace("an order", line));
}

/// The last column of each line.
fn subjects(out: &str) -> Vec<&str> {
    out.lines().map(|line| line.rsplit("  ").next().unwrap_or_default()).collect()
}

#[tokio::test]
async fn a_merge_is_the_version_that_went_live() {
    let repository = Repository::new();
    repository.git(&["switch", "-q", "-c", "offer"]);
    edit(&repository, "an offer");
    commit(&repository, "Offer");
    edit(&repository, "a better offer");
    commit(&repository, "Offer more");
    repository.git(&["switch", "-q", "main"]);
    repository.place.write("README.md", "beside it");
    commit(&repository, "Say what it is");
    repository.git(&["merge", "-q", "--no-ff", "-m", "Merge the offer", "offer"]);

    let versions = repository.tidegate(&["versions"]).await;
    assert_eq!(subjects(&versions.out), ["Merge the offer", "First version"], "{versions:?}");
    let first = versions.out.lines().next().expect("a line");
    assert!(first.starts_with(&format!("{}  HEAD  ", &repository.head()[..12])), "{first}");
    let branch = repository.tidegate(&["versions", "offer"]).await;
    assert_eq!(subjects(&branch.out), ["Offer more", "Offer", "First version"], "{branch:?}");
    assert!(!branch.out.contains("HEAD"), "what HEAD has is none of these: {branch:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_decides_by_is_marked() {
    let repository = Repository::new();
    let first = repository.head();
    let mut shop = Shop::spawn(repository.place, &[]).await;
    let (broken, rules) = ("tags: { Log: { template: lgo } }", "rules/shop.yaml");
    shop.place.write(rules, broken);
    shop.place.git(&["commit", "-q", "-a", "-m", "Broken"]);
    shop.server().logs(|line| line.contains("not reloaded")).await;

    let versions = shop.tidegate(&["versions"]).await;
    let lines: Vec<_> = versions.out.lines().collect();
    assert_eq!(lines.len(), 3, "{versions:?}");
    assert!(
        lines[0].contains("  HEAD  ") && lines[1].starts_with(&format!("{}  live  ", &first[..12])),
        "{versions:?}"
    );
    assert!(
        lines[2].starts_with("not live as it should be, container: the container is broken: 3 errors"),
        "{versions:?}"
    );
    let one = shop.tidegate(&["versions", "--limit", "1"]).await;
    assert!(one.out.contains(&format!("\nlive is {}, which is none of these\n", &first[..12])), "{one:?}");
    let json = shop.tidegate(&["versions", "--format", "json"]).await.json();
    assert_eq!(json["live"]["version"], first[..12]);
    let marks = |which: usize| (json["versions"][which]["head"].clone(), json["versions"][which]["live"].clone());
    assert_eq!((marks(0), marks(1)), ((json!(true), json!(false)), (json!(false), json!(true))));

    shop.stop().await;
    let versions = shop.tidegate(&["versions"]).await;
    assert!(versions.out.contains("  HEAD  ") && !versions.out.contains("live"), "{versions:?}");
    shop.close().await;
}

#[tokio::test]
async fn where_nothing_was_published_yet_the_next_step_is_told() {
    let unborn = Repository::unborn();
    let said = unborn.tidegate(&["versions"]).await;
    let words =
        "no version yet: the branch main has no commit; tidegate publish -m \"First version\" makes one of them\n";
    assert_eq!((said.code, &*said.out), (Some(0), words), "{said:?}");
    assert_eq!(unborn.tidegate(&["versions", "--format", "json"]).await.json()["versions"], json!([]));
    let place = Place::empty();
    place.git(&["init", "-q", "--bare"]);
    let said = crate::harness::tidegate(&place, &["versions"]).await;
    assert!(said.out.ends_with("; publish one in a clone, and push it here\n"), "{said:?}");

    let repository = Repository { place: Place::empty() };
    repository.git(&["init", "-q"]);
    repository.introduce();
    repository.place.write("README.md", "no rules");
    commit(&repository, "Say what it is");
    let said = repository.tidegate(&["versions"]).await;
    assert!(said.out.contains("has rules/ or tags/; tidegate publish"), "{said:?}");

    let none = repository.tidegate(&["versions", "--limit", "0"]).await;
    assert!(none.code == Some(2) && none.err.contains("0 is not in 1.."), "{none:?}");
}

#[tokio::test]
async fn a_history_that_is_not_all_here_is_said_to_be_so() {
    let repository = Repository::new();
    let first = repository.head();
    for number in 0..3 {
        edit(&repository, &format!("order {number}"));
        commit(&repository, &format!("Version {number}"));
    }
    let hub = format!("file://{}", repository.folder().display());
    let shallow = Repository { place: Place::empty() };
    fs::remove_dir_all(shallow.folder()).expect("the empty container");
    git_in(shallow.place.path().to_owned(), &["clone", "-q", "--depth", "2", &hub, "container"]);

    let versions = shallow.tidegate(&["versions"]).await;
    let lines: Vec<_> = versions.out.lines().collect();
    assert_eq!(lines.len(), 3, "{versions:?}");
    assert!(
        lines[2].starts_with("older versions are not here, as the clone is shallow; git fetch --unshallow"),
        "{lines:?}"
    );
    let cut = shallow.tidegate(&["versions", "--limit", "1"]).await;
    assert_eq!(cut.out.lines().count(), 1, "{cut:?}");
    assert_eq!(shallow.tidegate(&["versions", "--format", "json"]).await.json()["shallow"], true);
    let gone = shallow.tidegate(&["diff", &first]).await;
    assert!(gone.code == Some(2) && gone.err.contains("git fetch --unshallow gets older ones"), "{gone:?}");
    shallow.git(&["fetch", "-q", "--unshallow"]);
    assert_eq!(shallow.tidegate(&["versions"]).await.out.lines().count(), 4);
}

#[tokio::test]
async fn a_bare_repository_and_a_detached_head_have_versions_too() {
    let repository = Repository::new();
    let first = repository.head();
    edit(&repository, "a sale");
    commit(&repository, "Say sale");
    let bare = repository.place.path().join("hub.git");
    git_in(repository.folder(), &["clone", "-q", "--bare", ".", bare.to_str().expect("a path in text")]);
    let versions = repository.tidegate_in(bare.to_str().expect("a path in text"), &["versions"]).await;
    assert_eq!(subjects(&versions.out), ["Say sale", "First version"], "{versions:?}");
    assert!(versions.out.lines().next().is_some_and(|line| line.contains("  HEAD  ")), "{versions:?}");

    repository.git(&["switch", "-q", "--detach", &first]);
    let versions = repository.tidegate(&["versions"]).await;
    assert_eq!(subjects(&versions.out), ["First version"], "{versions:?}");
    let versions = repository.tidegate(&["versions", "main"]).await;
    let marked: Vec<_> = versions.out.lines().map(|line| line.contains("  HEAD  ")).collect();
    assert_eq!(marked, [false, true], "{versions:?}");
}

#[tokio::test]
async fn a_name_of_no_commit_or_of_several_is_refused_in_words() {
    let repository = Repository::new();
    let said = repository.tidegate(&["versions", "v9"]).await;
    let words = "tidegate: there is no commit \"v9\" here; tidegate versions lists those that are\n";
    assert_eq!((said.code, &*said.err), (Some(2), words));
    // Names of four digits, of which two are alike soon.
    let tree = repository.git(&["rev-parse", "HEAD^{tree}"]);
    let mut names = std::collections::BTreeSet::new();
    let twice = (0..2_000).find_map(|number| {
        let name = repository.git(&["commit-tree", &tree, "-m", &number.to_string()]);
        (!names.insert(name[..4].to_owned())).then(|| name[..4].to_owned())
    });
    let twice = twice.expect("two names that begin alike");
    for arguments in [&["versions", &twice][..], &["diff", &twice], &["diff", "HEAD", &twice]] {
        let said = repository.tidegate(arguments).await;
        assert_eq!(said.code, Some(2), "{said:?}");
        let start = format!("tidegate: the names of several commits begin with {twice:?}: {twice}");
        assert!(said.err.starts_with(&start) && said.err.ends_with("; write more\n"), "{said:?}");
    }
}

#[tokio::test]
async fn what_is_no_change_and_what_could_not_go_live_is_said() {
    let repository = Repository::new();
    let same = repository.tidegate(&["diff", "HEAD", "HEAD"]).await;
    assert_eq!((same.code, &*same.out), (Some(0), "no change: all files are the same\n"), "{same:?}");
    repository.git(&["mv", "rules/shop.yaml", "rules/orders.yaml"]);
    let moved = repository.tidegate(&["diff"]).await;
    let words = "no change of meaning, but of comments, spelling, order or place: rules/orders.yaml, rules/shop.yaml\n";
    assert_eq!((moved.code, &*moved.out), (Some(0), words), "{moved:?}");

    repository.place.write("rules/orders.yaml", &RULES.replace("log,", "lgo,"));
    let broken = commit(&repository, "Break it");
    for arguments in [["diff", "HEAD~1", "HEAD"], ["diff", "HEAD", "HEAD~1"]] {
        let told = repository.tidegate(&arguments).await;
        assert_eq!(told.code, Some(0), "{told:?}");
        assert!(told.out.contains("template log -> lgo") || told.out.contains("template lgo -> log"), "{told:?}");
        let words = format!("{} does not pass its check, so it cannot go live: ", &broken[..12]);
        assert!(told.err.starts_with(&words) && told.err.lines().count() == 1, "{told:?}");
        assert!(told.err.contains(": 1 error at rules/orders.yaml:4:"), "{told:?}");
    }
}

#[tokio::test]
async fn a_broken_draft_is_said_to_be_and_nothing_in_it_to_be_gone() {
    let repository = Repository::new();
    repository.place.write("rules/shop.yaml", &format!("{RULES}x: [\n"));
    let told = repository.tidegate(&["diff"]).await;
    assert_eq!((told.code, &*told.out), (Some(0), "file rules/shop.yaml: changed; it cannot be read\n"), "{told:?}");
    let words = "the draft does not pass its check, so it cannot go live: 1 error at rules/shop.yaml:";
    assert!(told.err.starts_with(words) && told.err.lines().count() == 1, "{told:?}");
    commit(&repository, "Break it");
    let back = repository.tidegate(&["diff", "HEAD", "HEAD~1", "--format", "json"]).await;
    let changes = back.json()["changes"].clone();
    assert_eq!((changes.as_array().map(Vec::len), &changes[0]["change"]), (Some(1), &"changed".into()), "{back:?}");
}
