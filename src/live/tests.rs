use std::fs;

use tempfile::TempDir;

use super::{home::Again, *};
use crate::{
    container::{Container, folder},
    git::{Remote, tests::Sandbox},
};

const RULES: &str = "rules/shop.yaml";

/// A version of the rules; each is another one.
fn rules(event: &str) -> String {
    format!("triggers:\n  Shop: {{ event: {event} }}\n")
}

const BROKEN: &str = "triggers:\n  Shop: { evnt: purchase }\n";

/// A repository with a good commit, and a data folder.
struct Shop {
    sandbox: Sandbox,
    data: TempDir,
}

impl Shop {
    fn new() -> Self {
        let shop = Self::of(Sandbox::new());
        shop.publish(&rules("a"));
        shop
    }

    fn of(sandbox: Sandbox) -> Self {
        Self { sandbox, data: tempfile::tempdir().unwrap() }
    }

    /// Commits other rules; gives the version's name.
    fn publish(&self, rules: &str) -> String {
        self.sandbox.write(RULES, rules);
        self.sandbox.commit()[..12].to_owned()
    }

    fn home(&self, follow: Option<Follow>) -> Home {
        let compiler = Compiler::new(BTreeMap::new(), folder::library());
        Home::new(Origin::live(self.sandbox.path()).unwrap(), compiler, self.data.path(), follow)
    }

    fn start(&self) -> (String, Home) {
        started(self.home(None))
    }

    fn start_following(&self, upstream: &Self) -> (String, Home) {
        started(self.home(Some(upstream.followed())))
    }

    /// What others follow it by.
    fn followed(&self) -> Follow {
        let remote = Remote::new(self.sandbox.path().to_str().unwrap(), "main").unwrap();
        Follow { remote, every: std::time::Duration::from_secs(30) }
    }

    /// Nothing but refs keeps a commit.
    fn clean_up(&self) {
        self.sandbox.git(&["reflog", "expire", "--expire=now", "--all"]);
        self.sandbox.git(&["gc", "-q", "--prune=now"]);
    }

    fn head(&self) -> String {
        self.sandbox.git(&["rev-parse", "HEAD"])[..12].to_owned()
    }
}

/// The version that it starts with. As the watch would, it remembers that.
fn started(home: Home) -> (String, Home) {
    let Start { container, home } = home.start().unwrap();
    home.remember().unwrap();
    (container.version.to_string(), home)
}

fn version(found: Option<Container>) -> Option<String> {
    found.map(|container| container.version.to_string())
}

fn look(home: &mut Home) -> Option<String> {
    let found = version(home.look(Again::No));
    home.remember().unwrap();
    found
}

fn fetch(home: &mut Home) -> Option<String> {
    let found = version(home.fetch());
    home.remember().unwrap();
    found
}

fn reason(home: &Home, wish: Wish) -> &str {
    home.standing().get(&wish).map_or("", |shortfall| &shortfall.reason)
}

fn is_fine(home: &Home) -> bool {
    home.standing().is_empty()
}

#[test]
fn what_is_committed_goes_live_and_what_is_edited_does_not() {
    let shop = Shop::new();
    let (first, mut home) = shop.start();
    assert_eq!(first, shop.head());
    shop.sandbox.write(RULES, rules("draft"));
    assert_eq!(look(&mut home), None);
    let second = shop.publish(&rules("b"));
    assert_eq!(look(&mut home), Some(second));
    assert_eq!(look(&mut home), None);
    assert!(is_fine(&home));
}

#[test]
fn a_broken_commit_keeps_the_last_good_one_over_a_restart_too() {
    let shop = Shop::new();
    let (first, mut home) = shop.start();
    let broken = shop.publish(BROKEN);
    assert_eq!(look(&mut home), None);
    let expected = "the container is broken: 1 error at rules/shop.yaml:2:11: unknown key";
    assert!(reason(&home, Wish::Container).starts_with(expected), "{}", reason(&home, Wish::Container));
    assert_eq!(home.standing()[&Wish::Container].version, Some(broken));
    let standing = home.standing().clone();
    assert_eq!(look(&mut home), None);
    assert_eq!(*home.standing(), standing, "it is tried once");

    let (restarted, mut home) = shop.start();
    assert_eq!((restarted, home.standing()), (first, &standing));
    let mended = shop.publish(&rules("c"));
    assert_eq!(look(&mut home), Some(mended));
    assert!(is_fine(&home));

    let stranger = Shop::of(shop.sandbox.cloned());
    stranger.publish(BROKEN);
    let error = stranger.home(None).start().err().unwrap().to_string();
    assert!(error.starts_with(expected), "nothing is remembered there: {error}");
}

#[test]
fn head_may_go_anywhere() {
    let shop = Shop::new();
    let first = shop.head();
    let second = shop.publish(&rules("b"));
    let (started, mut home) = shop.start();
    assert_eq!(started, second);
    shop.sandbox.git(&["reset", "-q", "--hard", &first]);
    assert_eq!(look(&mut home), Some(first.clone()), "history was rewritten");
    shop.sandbox.git(&["switch", "-q", "-c", "other"]);
    let other = shop.publish(&rules("c"));
    assert_eq!(look(&mut home), Some(other.clone()), "another branch");
    shop.sandbox.git(&["switch", "-q", "--detach", &first]);
    assert_eq!(look(&mut home), Some(first.clone()), "no branch");
    shop.sandbox.git(&["symbolic-ref", "HEAD", "refs/heads/gone"]);
    assert_eq!(look(&mut home), None);
    assert!(reason(&home, Wish::Container).contains("names no commit"));
    let (restarted, _) = shop.start();
    assert_eq!(restarted, first, "HEAD is still gone");
    shop.sandbox.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    assert_eq!(look(&mut home), None, "it is live already");
    assert!(is_fine(&home));
    fs::rename(shop.sandbox.path().join(".git"), shop.sandbox.path().join("gone")).unwrap();
    assert_eq!(look(&mut home), None);
    assert!(reason(&home, Wish::Container).contains("not a git repository"));
}

#[test]
fn what_stands_in_place_of_files_keeps_a_commit_from_going_live() {
    let shop = Shop::new();
    let (_, mut home) = shop.start();
    std::os::unix::fs::symlink("shop.yaml", shop.sandbox.path().join("rules/link.yaml")).unwrap();
    shop.sandbox.commit();
    assert_eq!(look(&mut home), None);
    assert!(reason(&home, Wish::Container).contains("rules/link.yaml is a symbolic link"));
    shop.sandbox.git(&["rm", "-q", "-r", "rules", "-f"]);
    shop.sandbox.commit();
    assert_eq!(look(&mut home), None);
    assert!(reason(&home, Wish::Container).contains("has no rules files in rules/"));
}

#[test]
fn the_last_good_commit_outlives_gits_clean_up() {
    let shop = Shop::new();
    let (good, home) = shop.start();
    home.pin().unwrap();
    shop.sandbox.write(RULES, BROKEN);
    shop.sandbox.git(&["commit", "-q", "-a", "--amend", "-m", "rewritten"]);
    shop.clean_up();
    let (again, home) = shop.start();
    assert_eq!(again, good, "though nothing else names it");
    assert!(reason(&home, Wish::Container).contains("is broken"));

    let branches =
        shop.sandbox.git(&["for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags", "refs/remotes"]);
    assert_eq!(branches, "refs/heads/main", "it is nobody's branch");
    let pins = shop.sandbox.git(&["for-each-ref", "--format=%(refname)", "refs/tidegate"]);
    assert!(pins.starts_with("refs/tidegate/last-good/") && pins.lines().count() == 1, "{pins}");
    let other = tempfile::tempdir().unwrap();
    let compiler = Compiler::new(BTreeMap::new(), folder::library());
    shop.publish(&rules("mended"));
    let beside = Home::new(Origin::live(shop.sandbox.path()).unwrap(), compiler, other.path(), None);
    started(beside).1.pin().unwrap();
    assert_eq!(shop.sandbox.git(&["for-each-ref", "refs/tidegate"]).lines().count(), 2, "each server has its own");

    // By hand, or by a clone of what was rewritten.
    shop.sandbox.git(&["update-ref", "-d", &pins]);
    shop.publish(BROKEN);
    shop.clean_up();
    let error = shop.home(None).start().map(|_| ()).unwrap_err().to_string();
    let words = format!(
        "the last good version, {good}, which {}/live remembers, is not in the repository",
        shop.data.path().display()
    );
    assert!(error.starts_with("the container is broken: ") && error.contains(&words), "{error}");
}

#[test]
fn a_repository_that_cannot_be_written_to_is_served_all_the_same() {
    let shop = Shop::new();
    let (_, home) = shop.start();
    fs::write(shop.sandbox.path().join(".git/refs/tidegate"), "in the way").unwrap();
    assert!(home.pin().is_err());
    home.remember().unwrap();
    assert!(is_fine(&home));
}

#[test]
fn a_folder_without_git_is_served_once_it_has_settled() {
    let folder = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("rules")).unwrap();
    fs::write(folder.path().join(RULES), rules("a")).unwrap();
    let compiler = Compiler::new(BTreeMap::new(), folder::library());
    let origin = Origin::live(folder.path()).unwrap();
    let (first, mut home) = started(Home::new(origin, compiler, data.path(), None));
    assert!(first.starts_with("folder-"), "{first}");
    assert_eq!(look(&mut home), None);
    fs::write(folder.path().join(RULES), rules("longer")).unwrap();
    assert_eq!(look(&mut home), None, "somebody may still be copying");
    let second = look(&mut home).unwrap();
    fs::write(folder.path().join(RULES), BROKEN).unwrap();
    assert_eq!((look(&mut home), look(&mut home)), (None, None));
    assert!(reason(&home, Wish::Container).contains("is broken"));
    fs::write(folder.path().join(RULES), rules("longer")).unwrap();
    assert_eq!(version(home.look(Again::Yes)), None, "it is live already: {second}");
    assert!(is_fine(&home));
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0, "no commit to remember");
}

#[test]
fn a_remotes_branch_goes_live_and_the_branch_here_comes_along() {
    let upstream = Shop::new();
    let shop = Shop::of(upstream.sandbox.cloned());
    let (first, mut home) = shop.start_following(&upstream);
    assert_eq!((fetch(&mut home), &first), (None, &upstream.head()));
    let second = upstream.publish(&rules("b"));
    assert_eq!(look(&mut home), None);
    assert_eq!(fetch(&mut home), Some(second.clone()));
    assert_eq!(shop.head(), second);
    assert_eq!(fs::read_to_string(shop.sandbox.path().join(RULES)).unwrap(), rules("b"), "the working tree too");
    assert_eq!((look(&mut home), fetch(&mut home)), (None, None));

    upstream.publish(BROKEN);
    assert_eq!((fetch(&mut home), fetch(&mut home)), (None, None));
    assert!(reason(&home, Wish::Remote).contains("is broken"), "{:?}", home.standing());
    assert_eq!(shop.head(), second, "nobody gets what is broken");
    let mended = upstream.publish(&rules("c"));
    assert_eq!(fetch(&mut home), Some(mended));
    assert!(is_fine(&home));

    let own = shop.publish(&rules("own"));
    assert_eq!((look(&mut home), fetch(&mut home)), (Some(own), None), "here is ahead");
    assert!(is_fine(&home));
    upstream.publish(&rules("d"));
    assert_eq!(fetch(&mut home), None);
    let reason = reason(&home, Wish::Remote);
    assert!(
        reason.contains("is on the branch here; put the branch here on top of it: git rebase --autostash"),
        "{reason}"
    );
}

#[test]
fn head_keeps_what_came_from_the_remote_though_a_commit_here_is_on_top_of_it() {
    let upstream = Shop::new();
    let shop = Shop::of(upstream.sandbox.cloned());
    let (first, mut home) = shop.start_following(&upstream);
    let second = upstream.publish(&rules("b"));
    assert_eq!(fetch(&mut home), Some(second.clone()));
    assert_eq!(look(&mut home), None);
    let top = shop.publish(&rules("top"));
    assert_eq!(look(&mut home), Some(top));
    shop.sandbox.git(&["reset", "-q", "--hard", &first]);
    let beside = shop.publish(&rules("beside"));
    assert_eq!(look(&mut home), None);
    let said = &home.standing()[&Wish::Container];
    assert!(said.reason.starts_with(&format!("HEAD leaves out {second}")), "{said:?}");
    assert_eq!(said.version, Some(beside));
    shop.sandbox.git(&["reset", "-q", "--hard", &second]);
    assert_eq!(look(&mut home), Some(second), "a commit from here may be taken back");
}

#[test]
fn where_the_draft_stands_in_the_way_live_goes_ahead() {
    let upstream = Shop::new();
    let shop = Shop::of(upstream.sandbox.cloned());
    let (first, mut home) = shop.start_following(&upstream);
    fetch(&mut home);
    shop.sandbox.write(RULES, rules("draft"));
    let second = upstream.publish(&rules("b"));
    assert_eq!(fetch(&mut home), Some(second.clone()));
    assert_eq!((shop.head(), look(&mut home)), (first, None));
    assert!(reason(&home, Wish::Draft).contains("with changes to rules/shop.yaml; commit"), "{:?}", home.standing());
    assert_eq!(fs::read_to_string(shop.sandbox.path().join(RULES)).unwrap(), rules("draft"));

    let (restarted, mut home) = shop.start_following(&upstream);
    assert_eq!((restarted, look(&mut home)), (second.clone(), None), "what is live is not gone back from");
    let unaware = shop.publish(&rules("draft"));
    assert_eq!(look(&mut home), None);
    assert!(reason(&home, Wish::Container).starts_with(&format!("HEAD leaves out {second}")), "{:?}", home.standing());
    assert_eq!(home.standing()[&Wish::Container].version, Some(unaware));
    shop.sandbox.git(&["reset", "-q", "--hard", "HEAD~1"]);
    assert_eq!((look(&mut home), fetch(&mut home)), (None, None));
    assert_eq!((shop.head(), is_fine(&home)), (second, true), "the branch came along");
}

#[test]
fn a_rewritten_remote_is_taken_only_on_purpose() {
    let upstream = Shop::new();
    let shop = Shop::of(upstream.sandbox.cloned());
    let (first, mut home) = shop.start_following(&upstream);
    let second = upstream.publish(&rules("b"));
    assert_eq!(fetch(&mut home), Some(second.clone()));
    upstream.sandbox.git(&["reset", "-q", "--hard", &first]);
    assert_eq!(fetch(&mut home), None);
    let said = reason(&home, Wish::Remote);
    assert!(said.contains("the remote was rewritten") && said.contains("git branch kept, and git stash"), "{said}");
    let other = upstream.publish(&rules("c"));
    assert_eq!((fetch(&mut home), look(&mut home), shop.head()), (None, None, second));
    let way = format!("then git reset --hard {other}");
    assert!(reason(&home, Wish::Remote).ends_with(&way), "{:?}", home.standing());

    shop.sandbox.git(&["reset", "-q", "--hard", &other]);
    assert_eq!(look(&mut home), Some(other), "HEAD was put there by somebody");
    assert!(!home.standing().contains_key(&Wish::Container), "{:?}", home.standing());
    assert_eq!((fetch(&mut home), look(&mut home), is_fine(&home)), (None, None, true), "{:?}", home.standing());

    let away = upstream.publish(&rules("d"));
    assert_eq!(fetch(&mut home), Some(away));
    shop.sandbox.git(&["switch", "-q", "-c", "elsewhere"]);
    upstream.sandbox.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let other = upstream.publish(&rules("e"));
    assert_eq!(fetch(&mut home), None);
    let way = format!("to accept it as it is, git branch --force main {other}");
    assert!(reason(&home, Wish::Remote).ends_with(&way), "{:?}", home.standing());
    shop.sandbox.git(&["branch", "--force", "main", &other]);
    assert_eq!((fetch(&mut home), is_fine(&home)), (Some(other), true), "{:?}", home.standing());
}

#[test]
fn a_broken_commit_of_the_remote_may_be_rewritten() {
    let upstream = Shop::new();
    let shop = Shop::of(upstream.sandbox.cloned());
    let (_, mut home) = shop.start_following(&upstream);
    upstream.publish(BROKEN);
    assert_eq!(fetch(&mut home), None);
    assert!(reason(&home, Wish::Remote).contains("is broken"), "{:?}", home.standing());
    upstream.sandbox.write(RULES, rules("mended"));
    upstream.sandbox.git(&["commit", "-q", "-a", "--amend", "-m", "mended"]);
    let mended = upstream.head();
    assert_eq!(fetch(&mut home), Some(mended.clone()), "{:?}", home.standing());
    assert_eq!((shop.head(), look(&mut home), is_fine(&home)), (mended, None, true), "{:?}", home.standing());
}

#[test]
fn an_outage_is_one_state_whatever_numbers_its_words_hold() {
    let told =
        |version: Option<&str>, reason: &str| Shortfall { version: version.map(str::to_owned), reason: reason.into() };
    let first = told(None, "Failed to connect to git.example.com port 443 after 12 ms");
    assert!(first.is_like(&told(None, "Failed to connect to git.example.com port 443 after 131 ms")));
    assert!(!first.is_like(&told(None, "could not read Username")));
    assert!(!first.is_like(&told(Some("a"), &first.reason)));
}

#[test]
fn a_remote_is_enough_to_start_with() {
    let upstream = Shop::new();
    let shop = Shop::of(Sandbox::new());
    let (started, mut home) = shop.start_following(&upstream);
    assert_eq!((&started, &shop.head()), (&upstream.head(), &upstream.head()));
    assert!(is_fine(&home), "{:?}", home.standing());
    assert_eq!((look(&mut home), is_fine(&home)), (None, true), "{:?}", home.standing());

    let away = Remote::new("https://ada:hunter2@127.0.0.1:1/shop.git", "main").unwrap();
    let follow = Follow { remote: away, every: std::time::Duration::from_secs(30) };
    let (_, mut home) = super::tests::started(shop.home(Some(follow)));
    assert_eq!(fetch(&mut home), None);
    let reason = reason(&home, Wish::Remote);
    assert!(reason.starts_with("cannot follow main of https://…@127.0.0.1:1/shop.git: git fetch: "), "{reason}");
    assert!(!reason.contains("hunter2"), "{reason}");
}

#[test]
fn a_commit_in_which_nothing_of_the_rules_is_read_never_goes_live() {
    let shop = Shop::new();
    let (_, mut home) = shop.start();
    let rules = shop.sandbox.path().join("rules");
    fs::remove_dir_all(&rules).unwrap();
    shop.sandbox.write("rules", "no folder\n");
    shop.sandbox.commit();
    assert_eq!(look(&mut home), None);
    let expected = "the container is broken: 1 error at rules:1:1: rules is a file, not a folder";
    assert_eq!(reason(&home, Wish::Container), expected);
    fs::remove_file(&rules).unwrap();
    fs::create_dir_all(rules.join("deeper")).unwrap();
    let good = shop.publish(&self::rules("b"));
    assert_eq!(look(&mut home), Some(good));
    fs::rename(rules.join("shop.yaml"), rules.join("deeper/shop.yaml")).unwrap();
    shop.sandbox.commit();
    assert_eq!(look(&mut home), None);
    assert!(reason(&home, Wish::Container).contains("has no rules files in rules/"), "{:?}", home.standing());
}
