//! `tidegate publish`, `diff` and `versions` on real repositories: what is refused and why, and that what is committed is
//! exactly what was checked.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::json;

use crate::{
    harness::{Ran, Shop, purchase},
    repository::{CASES, RULES, Repository, git_in},
};

/// Refused with this code, with nothing committed and nothing changed.
pub async fn refused(repository: &Repository, arguments: &[&str], code: &str) -> Ran {
    let state = || repository.git(&["status", "--porcelain", "--branch", "--untracked-files=all"]);
    let before = (repository.git(&["for-each-ref"]), state());
    let told = repository.tidegate(&[&["publish"], arguments].concat()).await;
    assert_eq!((told.code, &*told.out), (Some(2), ""), "{told:?}");
    assert!(told.err.starts_with("tidegate: not published: ") && told.err.lines().count() >= 2, "{told:?}");
    let ran = repository.tidegate(&[&["publish", "--format", "json"], arguments].concat()).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let json = ran.json();
    assert_eq!((&json["outcome"], &json["code"]), (&json!("refused"), &json!(code)), "{ran:?}");
    assert_eq!((repository.git(&["for-each-ref"]), state()), before);
    told
}

pub async fn published(repository: &Repository, arguments: &[&str]) -> Ran {
    let ran = repository.tidegate(&[&["publish"], arguments].concat()).await;
    assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{ran:?}");
    let leftovers = fs::read_dir(repository.folder().join(".git")).expect("git's folder");
    let leftovers = leftovers.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    assert_eq!(leftovers.filter(|name| name.starts_with("tidegate")).collect::<Vec<_>>(), [""; 0]);
    ran
}

pub const MESSAGE: [&str; 2] = ["-m", "Ask for more"];

#[tokio::test]
async fn a_first_version_is_published_on_a_branch_without_commits() {
    let repository = Repository::unborn();
    let looked = repository.tidegate(&["publish", "--dry-run"]).await;
    assert_eq!(looked.code, Some(0), "{looked:?}");
    assert!(looked.out.ends_with("would be published on main; nothing was changed\n"), "{looked:?}");
    assert_eq!(repository.git(&["for-each-ref"]), "");
    let ran = published(&repository, &MESSAGE).await;
    let head = repository.head();
    assert!(ran.out.contains("tag \"Log orders\" added"), "{ran:?}");
    assert!(ran.out.contains(&format!("published as {} on main", &head[..12])), "{ran:?}");
    assert_eq!(repository.git(&["log", "-1", "--format=%an <%ae> %s %P"]), "Ada <ada@example.com> Ask for more");
    assert_eq!(repository.git(&["status", "--porcelain"]), "");
}

#[tokio::test]
async fn what_is_wrong_with_the_draft_is_told_and_nothing_is_committed() {
    let repository = Repository::new();
    let head = repository.head();
    let nothing = repository.tidegate(&["publish", "-m", "x"]).await;
    assert_eq!(nothing.code, Some(1));
    assert!(nothing.out.contains("nothing to publish"), "{nothing:?}");

    repository.edit("rules/shop.yaml", "triggers: Order", "triggers: Ordre");
    let broken = repository.tidegate(&["publish", "-m", "x"]).await;
    assert_eq!(broken.code, Some(1));
    assert!(broken.out.contains("did you mean \"Order\"?") && broken.out.contains("mend"), "{broken:?}");

    repository.place.write("rules/shop.yaml", &RULES.replace("purchase", "refund"));
    let failing = repository.tidegate(&["publish", "-m", "x"]).await;
    assert_eq!(failing.code, Some(1));
    assert!(failing.out.contains("FAILED rules/shop.test.yaml:2: an order is logged"), "{failing:?}");
    let annotated = repository.tidegate(&["publish", "-m", "x", "--format", "github"]).await;
    let tested = repository.tidegate(&["test", "--format", "github"]).await;
    assert!(tested.out.starts_with("::error file=rules/shop.test.yaml,line=2,"), "{tested:?}");
    assert!(annotated.code == Some(1) && annotated.out.starts_with(&tested.out), "{annotated:?}");
    let json = repository.tidegate(&["publish", "-m", "x", "--format", "json"]).await.json();
    assert_eq!((&json["outcome"], &json["cases"]["failed"][0]["line"]), (&json!("failing"), &json!(2)));
    assert_eq!(repository.head(), head);
}

#[tokio::test]
async fn only_the_container_is_committed_and_all_of_it() {
    let repository = Repository::new();
    repository.place.write("rules/more.yaml", "variables: { Shop: { constant: kettles } }\r\n");
    repository.place.write("rules/notes.txt", "for people");
    repository.place.write("rules/hers.yaml", "variables: { Hers: { constant: 1 } }");
    repository.place.write(".git/info/exclude", "hers.yaml\n");
    repository.place.write("README.md", "not part of it");
    repository.git(&["mv", "rules/shop.test.yaml", "tags/moved.test.yaml"]);
    fs::set_permissions(repository.folder().join("rules/shop.yaml"), fs::Permissions::from_mode(0o755))
        .expect("a mode");
    repository.place.write(".gitattributes", "*.yaml text=auto\n");
    let ran = published(&repository, &MESSAGE).await;
    let files = repository.git(&["show", "--name-status", "--no-renames", "--format=", "HEAD"]);
    let expected =
        "A\trules/more.yaml\nA\trules/notes.txt\nD\trules/shop.test.yaml\nM\trules/shop.yaml\nA\ttags/moved.test.yaml";
    assert_eq!(files, expected);
    assert!(ran.out.contains("variable \"Shop\" added"), "{ran:?}");
    assert!(ran.out.contains("new rules/notes.txt (no container reads it)"), "{ran:?}");
    assert!(ran.out.contains("left out, because git is told to ignore it: rules/hers.yaml"), "{ran:?}");
    assert_eq!(repository.git(&["status", "--porcelain"]), "?? .gitattributes\n?? README.md");
}

#[tokio::test]
async fn what_others_are_in_the_middle_of_is_left_alone() {
    let repository = Repository::new();
    repository.edit("rules/shop.yaml", "an order", "one order");
    refused(&repository, &[], "no-message").await;
    refused(&repository, &["--rollback", "HEAD"], "draft").await;
    refused(&repository, &["--rollback", "v9"], "no-such-commit").await;
    refused(&repository, &[&MESSAGE[..], &["--push"]].concat(), "no-upstream").await;

    repository.place.write("README.md", "theirs");
    repository.git(&["add", "README.md"]);
    let told = refused(&repository, &MESSAGE, "staged").await;
    assert!(told.err.contains("README.md") && told.err.contains("git restore --staged README.md"), "{told:?}");
    repository.git(&["rm", "-q", "--cached", "README.md"]);
    // Half of the draft, staged by somebody who is choosing parts of it.
    repository.git(&["add", "rules/shop.yaml"]);
    repository.edit("rules/shop.yaml", "one order", "two orders");
    refused(&repository, &MESSAGE, "staged").await;
    // All of it: that is what is committed.
    repository.git(&["add", "rules/shop.yaml"]);
    let looked = repository.tidegate(&["publish", "--dry-run"]).await;
    assert_eq!(looked.code, Some(0), "{looked:?}");

    for (file, code) in [("MERGE_HEAD", "underway"), ("CHERRY_PICK_HEAD", "underway"), ("REVERT_HEAD", "underway")] {
        let path = repository.folder().join(".git").join(file);
        fs::write(&path, format!("{}\n", repository.head())).expect("git's note");
        refused(&repository, &MESSAGE, code).await;
        fs::remove_file(path).expect("git's note");
    }
    repository.git(&["update-ref", "refs/tidegate/remote", "HEAD"]);
    let told = refused(&repository, &MESSAGE, "no-upstream").await;
    assert!(told.err.contains("a server here follows a remote") && told.err.contains("git remote add origin URL"));
    repository.git(&["update-ref", "-d", "refs/tidegate/remote"]);
    repository.git(&["config", "--unset", "user.email"]);
    repository.git(&["config", "user.useConfigOnly", "true"]);
    refused(&repository, &MESSAGE, "no-identity").await;
    repository.introduce();
    repository.git(&["switch", "-q", "--detach"]);
    refused(&repository, &MESSAGE, "detached").await;
    repository.git(&["update-ref", "refs/other/main", "main"]);
    repository.git(&["symbolic-ref", "HEAD", "refs/other/main"]);
    refused(&repository, &MESSAGE, "detached").await;
    repository.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    published(&repository, &MESSAGE).await;
}

#[tokio::test]
async fn a_bare_repository_and_a_plain_folder_have_no_draft() {
    let repository = Repository::new();
    let bare = Repository::unborn();
    fs::remove_dir_all(bare.folder()).expect("the container");
    let from = repository.folder();
    let from = from.to_str().expect("a path in text");
    git_in(bare.place.path().to_owned(), &["clone", "-q", "--bare", from, "container"]);
    let told = bare.tidegate(&["publish", "-m", "x"]).await;
    assert!(
        told.code == Some(2) && told.err.contains("this repository is bare") && told.err.contains("clone it"),
        "{told:?}"
    );
    assert_eq!(bare.tidegate(&["versions"]).await.code, Some(0));

    fs::remove_dir_all(repository.folder().join(".git")).expect("the repository");
    for command in [&["publish", "-m", "x"][..], &["versions"], &["diff"]] {
        let told = repository.tidegate(command).await;
        assert!(told.code == Some(2) && told.err.contains(" init\n") && told.err.contains("make one"), "{told:?}");
        let json = repository.tidegate(&[command, &["--format", "json"]].concat()).await;
        assert_eq!((json.code, &json.json()["code"]), (Some(2), &json!("no-repository")), "{json:?}");
    }
}

#[tokio::test]
async fn conflicts_are_named() {
    let repository = Repository::new();
    repository.git(&["switch", "-q", "-c", "other"]);
    repository.edit("rules/shop.yaml", "an order", "one order");
    published(&repository, &MESSAGE).await;
    repository.git(&["switch", "-q", "main"]);
    repository.edit("rules/shop.yaml", "an order", "two orders");
    published(&repository, &MESSAGE).await;
    let merge =
        std::process::Command::new("git").current_dir(repository.folder()).args(["merge", "-q", "other"]).output();
    assert!(!merge.expect("git").status.success());
    refused(&repository, &MESSAGE, "underway").await;
    fs::remove_file(repository.folder().join(".git/MERGE_HEAD")).expect("git's note");
    let told = refused(&repository, &MESSAGE, "conflicts").await;
    assert!(told.err.contains("rules/shop.yaml"), "{told:?}");
}

/// A version that git's own index does not know of would be undone by the next commit by hand.
#[tokio::test]
async fn an_index_in_other_hands_is_waited_for_and_then_told_of() {
    let repository = Repository::new();
    repository.edit("rules/shop.yaml", "an order", "one order");
    repository.hook("commit-msg", "touch .git/index.lock");
    let told = refused(&repository, &MESSAGE, "locked").await;
    assert!(told.err.contains("/.git/index.lock; nothing was changed"), "{told:?}");
    fs::remove_file(repository.folder().join(".git/index.lock")).expect("the lock");
    // Held for a moment, it is waited for.
    repository.hook("commit-msg", "touch .git/index.lock; (sleep 1; rm .git/index.lock) > /dev/null 2>&1 &");
    published(&repository, &MESSAGE).await;
    assert_eq!(repository.git(&["status", "--porcelain"]), "");
}

#[tokio::test]
async fn hooks_and_signing_are_the_users() {
    let repository = Repository::new();
    repository.edit("rules/shop.yaml", "an order", "one order");
    repository.hook("pre-commit", "echo 'ask Grace first' >&2; exit 1");
    let told = refused(&repository, &MESSAGE, "hook").await;
    assert!(told.err.contains("the hook pre-commit refused it:\nask Grace first"), "{told:?}");
    repository.hook("pre-commit", "git diff --cached --name-only -- 'rules/*.yaml' > .git/seen");
    repository.hook("commit-msg", "grep -q SHOP- \"$1\" || { echo 'no ticket' >&2; exit 1; }");
    refused(&repository, &MESSAGE, "hook").await;
    repository.hook("prepare-commit-msg", "echo \"Ticket: SHOP-1 $2\" >> \"$1\"");
    repository.hook("post-commit", "git rev-parse HEAD > .git/after");
    let signer = repository.folder().join(".git/signer");
    repository
        .hook("../signer", "cat > /dev/null; echo '-----BEGIN PGP SIGNATURE-----'; echo '[GNUPG:] SIG_CREATED ' >&2");
    repository.git(&["config", "gpg.program", signer.to_str().expect("a path in text")]);
    repository.git(&["config", "commit.gpgSign", "yes"]);
    published(&repository, &MESSAGE).await;
    assert_eq!(repository.read(".git/seen"), "rules/shop.yaml\n");
    assert_eq!(repository.read(".git/after").trim_end(), repository.head());
    let commit = repository.git(&["cat-file", "commit", "HEAD"]);
    assert!(
        commit.contains("gpgsig -----BEGIN") && commit.ends_with("Ask for more\nTicket: SHOP-1 message"),
        "{commit}"
    );
}

#[tokio::test]
async fn what_is_committed_is_what_was_checked() {
    let repository = Repository::new();
    repository.edit("rules/shop.yaml", "an order", "one order");
    // Somebody saves a broken file right after the check.
    repository.hook("pre-commit", "echo 'tags: [' > rules/shop.yaml");
    published(&repository, &MESSAGE).await;
    assert_eq!(repository.committed("HEAD", "rules/shop.yaml"), RULES.replace("an order", "one order").trim_end());
    assert_eq!(repository.git(&["status", "--porcelain"]), " M rules/shop.yaml");

    // A hook that changes what is committed has it checked and told again.
    repository.git(&["checkout", "-q", "rules"]);
    repository.edit("rules/shop.yaml", "one order", "two orders");
    repository.hook("pre-commit", "sed -i 's/Order: { event/Ordre: { event/' rules/shop.yaml; git add rules/shop.yaml");
    let head = repository.head();
    let broken = repository.tidegate(&["publish", "-m", "x"]).await;
    assert!(broken.code == Some(1) && broken.out.contains("unknown-trigger"), "{broken:?}");
    assert_eq!(repository.head(), head);
    repository.place.write("rules/shop.yaml", &RULES.replace("an order", "two orders"));
    repository.hook("pre-commit", "sed -i 's/two orders/2 orders/' rules/shop.yaml; git add rules/shop.yaml");
    let ran = published(&repository, &MESSAGE).await;
    assert!(ran.out.contains("parameter line \"one order\" -> \"2 orders\""), "{ran:?}");
    assert_eq!(repository.git(&["status", "--porcelain"]), "");

    // Nor does a hook put anything else into a version.
    repository.edit("rules/shop.yaml", "2 orders", "2.5 orders");
    repository.place.write("README.md", "beside it");
    repository.hook("pre-commit", "git add README.md");
    let told = refused(&repository, &MESSAGE, "hook").await;
    assert!(told.err.contains("it adds README.md to the commit"), "{told:?}");
    repository.edit("rules/shop.yaml", "2.5 orders", "2 orders");

    // Somebody commits meanwhile: that commit is not undone by a tree that knows nothing of it.
    repository.edit("rules/shop.yaml", "2 orders", "3 orders");
    repository.hook("pre-commit", "unset GIT_INDEX_FILE; git commit -q --no-verify --allow-empty -m theirs");
    let moved = repository.tidegate(&["publish", "-m", "x", "--format", "json"]).await;
    assert_eq!((moved.code, &moved.json()["code"]), (Some(2), &json!("moved")), "{moved:?}");
    assert_eq!(repository.git(&["log", "-1", "--format=%s"]), "theirs");
}

#[tokio::test]
async fn rolling_back_is_a_new_version_with_the_old_files() {
    let repository = Repository::new();
    let first = repository.head();
    repository.place.write("README.md", "beside it");
    repository.git(&["add", "README.md"]);
    repository.git(&["commit", "-q", "-m", "Say what it is"]);
    repository.edit("rules/shop.yaml", "an order", "one order");
    repository.place.write("tags/more.test.yaml", CASES);
    published(&repository, &["-m", "Second version"]).await;
    let second = repository.head();

    let looked = repository.tidegate(&["publish", "--rollback", &first, "--dry-run"]).await;
    assert_eq!((looked.code, repository.head()), (Some(0), second.clone()), "{looked:?}");
    let ran = published(&repository, &["--rollback", &first]).await;
    assert!(ran.out.contains("parameter line \"one order\" -> \"an order\""), "{ran:?}");
    assert_eq!(repository.read("rules/shop.yaml"), RULES);
    assert!(!repository.folder().join("tags/more.test.yaml").exists());
    assert_eq!(repository.git(&["status", "--porcelain"]), "");
    assert_eq!(repository.git(&["log", "-1", "--format=%s %P"]), format!("Roll back to \"First version\" {second}"));
    assert_eq!(repository.read("README.md"), "beside it");

    let nothing = repository.tidegate(&["publish", "--rollback", &first]).await;
    assert!(nothing.code == Some(1) && nothing.out.contains("nothing to publish"), "{nothing:?}");
    // A file that git knows nothing of would be overwritten.
    repository.place.write(".git/info/exclude", "more.test.yaml\n");
    // Git has removed the folder with its last file.
    fs::create_dir_all(repository.folder().join("tags")).expect("a folder");
    repository.place.write("tags/more.test.yaml", "mine");
    refused(&repository, &["--rollback", &second], "in-the-way").await;
    assert_eq!(repository.read("tags/more.test.yaml"), "mine");
}

/// Whatever is in the way of the old files, no byte of it is lost, and the advice leads on.
#[tokio::test]
async fn a_rollback_loses_nothing_of_the_draft() {
    let repository = Repository::new();
    let first = repository.head();
    repository.edit("rules/shop.yaml", "an order", "one order");
    repository.git(&["mv", "rules/shop.test.yaml", "rules/cases.test.yaml"]);
    published(&repository, &MESSAGE).await;
    let state = || (repository.head(), repository.git(&["status", "--porcelain", "--untracked-files=all"]));
    let before = state();

    // An edit between the check and the writing: by a hook, as that runs then.
    repository.hook("commit-msg", "echo '# mine' >> rules/shop.yaml");
    let told = repository.tidegate(&["publish", "--rollback", &first, "--format", "json"]).await;
    let json = told.json();
    assert_eq!((told.code, &json["code"]), (Some(2), &json!("in-the-way")), "{json}");
    let says = |field: &str, words: &str| json[field].as_str().is_some_and(|text| text.contains(words));
    assert!(says("reason", "cannot take the files") && says("help", "edited meanwhile, perhaps by a hook"), "{json}");
    assert!(repository.read("rules/shop.yaml").ends_with("# mine\n"));
    assert_eq!(state(), (before.0.clone(), " M rules/shop.yaml".to_owned()));
    let told = refused(&repository, &["--rollback", &first], "draft").await;
    assert!(told.err.contains("git stash push --include-untracked -- rules\n"), "{told:?}");
    repository.git(&["stash", "push", "-q", "--include-untracked", "--", "rules"]);
    repository.hook("commit-msg", "echo mine > rules/shop.test.yaml");
    let told = repository.tidegate(&["publish", "--rollback", &first]).await;
    assert!(told.code == Some(2) && told.err.contains("rules/shop.test.yaml"), "{told:?}");
    assert_eq!(repository.read("rules/shop.test.yaml"), "mine\n");
    fs::remove_file(repository.folder().join("rules/shop.test.yaml")).expect("a file");

    // A branch that does not move takes everything back.
    repository.hook("commit-msg", "");
    repository.hook("reference-transaction", "[ \"$1\" != prepared ]");
    let told = refused(&repository, &["--rollback", &first], "hook").await;
    assert!(told.err.contains("the hook reference-transaction refused it"), "{told:?}");
    repository.hook("reference-transaction", "[ \"$1\" != prepared ] || { echo '# mine' >> rules/shop.yaml; exit 1; }");
    let told = repository.tidegate(&["publish", "--rollback", &first]).await;
    assert!(told.code == Some(2) && told.err.contains("staged already, and could not be put back"), "{told:?}");
    assert!(repository.read("rules/shop.yaml").ends_with("# mine\n"), "not even then");
    repository.git(&["restore", "--staged", "--worktree", "rules", "."]);
    fs::remove_file(repository.folder().join(".git/hooks/reference-transaction")).expect("the hook");

    // A folder of ignored files where a file goes; a file that was merely touched is no edit.
    repository.place.write(".git/info/exclude", "mine\n");
    fs::create_dir_all(repository.folder().join("rules/shop.test.yaml/mine")).expect("a folder");
    repository.place.write("rules/shop.test.yaml/mine/file", "mine");
    let told = refused(&repository, &["--rollback", &first], "in-the-way").await;
    assert!(told.err.contains("rules/shop.test.yaml/mine/file") && told.err.contains("out of rules/"), "{told:?}");
    fs::remove_dir_all(repository.folder().join("rules/shop.test.yaml")).expect("the folder");
    let touched = repository.read("rules/shop.yaml");
    fs::remove_file(repository.folder().join("rules/shop.yaml")).expect("a file");
    repository.place.write("rules/shop.yaml", &touched);
    published(&repository, &["--rollback", &first]).await;
    assert_eq!(repository.read("rules/shop.yaml"), RULES);
}

#[tokio::test]
async fn what_is_rolled_back_to_is_named_without_doubt() {
    let repository = Repository::new();
    let first = repository.head();
    let nothing = repository.tidegate(&["publish", "--rollback", "HEAD"]).await;
    assert!(nothing.code == Some(1) && nothing.out.contains("nothing to publish"), "{nothing:?}");
    for unknown in ["v9", "", "HEAD~9", "HEAD^{tree}", "^HEAD", "HEAD@{99}", "--all", "0000000"] {
        let told = refused(&repository, &[&format!("--rollback={unknown}")], "no-such-commit").await;
        assert!(told.err.contains("tidegate versions lists those that are"), "{told:?}");
    }
    // Of two thousand commits, two begin with the same four digits.
    let commits: String = (0..2000)
        .map(|second| format!("commit refs/tests/{second}\ncommitter A <a@b> {second} +0000\ndata 1\nx\n"))
        .collect();
    repository.place.write(".git/commits", &commits);
    let import = std::process::Command::new("git")
        .current_dir(repository.folder())
        .args(["fast-import", "--quiet"])
        .stdin(fs::File::open(repository.folder().join(".git/commits")).expect("commits"))
        .status();
    assert!(import.expect("git").success());
    let listed = repository.git(&["for-each-ref", "--format=%(objectname:short=4)", "--sort=objectname", "refs/tests"]);
    let short = listed.lines().find(|name| name.len() > 4).expect("two alike").get(..4).expect("digits");
    let told = refused(&repository, &["--rollback", short], "ambiguous").await;
    assert!(told.err.contains("begin with") && told.err.contains("write more"), "{told:?}");

    // Before the container was moved into a folder, and before there was one.
    repository.git(&["checkout", "-q", "--orphan", "empty"]);
    repository.git(&["rm", "-q", "-r", "-f", "."]);
    repository.git(&["commit", "-q", "--allow-empty", "-m", "Nothing"]);
    let empty = repository.head();
    repository.git(&["switch", "-q", "main"]);
    repository.git(&["rm", "-q", "-r", "rules"]);
    fs::create_dir_all(repository.folder().join("shop/rules")).expect("a folder");
    repository.place.write("shop/rules/shop.yaml", RULES);
    repository.git(&["add", "shop"]);
    repository.git(&["commit", "-q", "-m", "Move it"]);
    let told = repository.tidegate_in("shop", &["publish", "--rollback", &empty]).await;
    assert!(
        told.code == Some(2) && told.err.contains("no rules files in shop/rules/\n  tidegate versions lists"),
        "{told:?}"
    );
    let told = repository.tidegate_in("shop", &["publish", "--rollback", &first]).await;
    assert_eq!(told.code, Some(2), "{told:?}");
    let (_, advice) = told.err.split_once("top folder: ").expect("what to do");
    let (command, _) = advice.split_once("; then").expect("a command");
    let ran = std::process::Command::new("sh").current_dir(repository.folder()).args(["-c", command]).status();
    assert!(ran.expect("a shell").success(), "{command}");
    let ran = repository.tidegate_in("shop", &["publish", "-m", "As it was"]).await;
    assert!(ran.code == Some(0) && ran.out.contains("new rules/shop.test.yaml"), "{ran:?}");
}

#[tokio::test]
async fn a_broken_version_is_not_rolled_back_to() {
    let repository = Repository::new();
    repository.place.write("rules/shop.yaml", "tags: { Log: { template: lgo } }");
    repository.git(&["commit", "-q", "-a", "-m", "Broken"]);
    repository.place.write("rules/shop.yaml", RULES);
    published(&repository, &["-m", "Mended"]).await;
    let ran = repository.tidegate(&["publish", "--rollback", "HEAD~1"]).await;
    assert!(ran.code == Some(1) && ran.out.contains("unknown-template"), "{ran:?}");
    assert!(
        ran.out.ends_with("not published: HEAD~1 does not pass today; tidegate versions lists others\n"),
        "{ran:?}"
    );
    assert_eq!(repository.read("rules/shop.yaml"), RULES);
}

#[tokio::test]
async fn a_container_in_a_subfolder_leaves_the_rest_alone() {
    let repository = Repository::new();
    repository.git(&["rm", "-q", "-r", "--cached", "."]);
    repository.git(&["commit", "-q", "--allow-empty", "-m", "Nothing"]);
    fs::create_dir_all(repository.folder().join("shop/rules")).expect("a folder");
    repository.place.write("shop/rules/shop.yaml", RULES);
    let ran = repository.tidegate_in("shop", &["publish", "-m", "x"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(repository.git(&["ls-files"]), "shop/rules/shop.yaml");
    assert_eq!(repository.git(&["status", "--porcelain"]), "?? rules/");
}

#[tokio::test]
async fn versions_tell_who_published_what_and_whether_it_is_good() {
    let repository = Repository::new();
    repository.place.write("rules/shop.yaml", "tags: { Log: { template: lgo } }");
    repository.git(&["commit", "-q", "-a", "-m", "Broken\n\nby hand"]);
    repository.place.write("README.md", "no version");
    repository.git(&["add", "README.md"]);
    repository.git(&["commit", "-q", "-m", "Say what it is"]);
    repository.place.write("rules/shop.yaml", &RULES.replace("ad_storage", "analytics_storage"));

    let text = repository.tidegate(&["versions"]).await;
    let lines: Vec<_> = text.out.lines().collect();
    assert_eq!((text.code, lines.len()), (Some(0), 2), "{text:?}");
    assert!(lines[0].contains("Ada") && lines[0].ends_with("  3 errors  Broken"), "{text:?}");
    assert!(lines[1].ends_with("  First version"), "{text:?}");
    let json = repository.tidegate(&["versions", "--limit", "1", "--format", "json"]).await.json();
    assert_eq!(json["versions"].as_array().map(Vec::len), Some(1));
    let newest = &json["versions"][0];
    assert_eq!((&newest["body"], &newest["author"]["email"]), (&json!("by hand"), &json!("ada@example.com")));
    assert_eq!(newest["commit"], repository.git(&["rev-parse", "HEAD~1"]));

    let words = repository.tidegate(&["diff", "HEAD~2"]).await;
    assert_eq!((words.code, &*words.out), (Some(0), "tag \"Log orders\": consent ad_storage -> analytics_storage\n"));
    let words = repository.tidegate(&["diff", "HEAD~2", "HEAD"]).await;
    assert!(words.out.contains("tag \"Log\" added") && words.out.contains("tag \"Log orders\" removed"), "{words:?}");
    let words = repository.tidegate(&["diff", "HEAD", "HEAD~1", "--format", "json"]).await;
    assert_eq!(words.json(), json!({ "changes": [], "findings": [] }));
    assert_eq!(repository.tidegate(&["diff", "v9"]).await.code, Some(2));
}

#[tokio::test]
async fn a_branch_elsewhere_gets_versions_in_order_or_not_at_all() {
    let hub = Repository::unborn();
    let bare = hub.place.path().join("hub.git");
    let bare = bare.to_str().expect("a path in text");
    git_in(hub.place.path().to_owned(), &["init", "-q", "--bare", "-b", "main", bare]);
    let ada = Repository::clone_of(bare);
    fs::create_dir_all(ada.folder().join("rules")).expect("a folder");
    ada.place.write("rules/shop.yaml", RULES);
    let ran = published(&ada, &["-m", "First version", "--push"]).await;
    assert!(ran.out.contains("pushed"), "{ran:?}");
    let grace = Repository::clone_of(bare);
    ada.edit("rules/shop.yaml", "an order", "one order");
    published(&ada, &["-m", "Second version", "--push"]).await;
    assert_eq!(git_in(bare.into(), &["rev-parse", "main"]), ada.head());

    grace.edit("rules/shop.yaml", "event: purchase", "event: [purchase, refund]");
    let ran = grace.tidegate(&["publish", "-m", "Third version", "--push"]).await;
    assert!(ran.code == Some(2) && ran.err.contains("origin/main has 1 commit that is not here"), "{ran:?}");
    // That is known now, and holds without asking again.
    refused(&grace, &["-m", "Third version"], "behind").await;
    grace.git(&["commit", "-q", "-a", "-m", "By hand"]);
    let ran = refused(&grace, &["-m", "x"], "behind").await;
    assert!(ran.err.contains("have diverged: 1 commit here, 1 commit there"), "{ran:?}");
    grace.git(&["pull", "-q", "--rebase"]);
    let ran = grace.tidegate(&["publish", "--push"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("nothing new to publish\npushed"), "{ran:?}");

    // A remote that refuses leaves the version here.
    fs::write(format!("{bare}/hooks/pre-receive"), "#!/bin/sh\necho 'closed on Fridays' >&2\nexit 1\n")
        .expect("a hook");
    fs::set_permissions(format!("{bare}/hooks/pre-receive"), fs::Permissions::from_mode(0o755)).expect("a mode");
    grace.edit("rules/shop.yaml", "refund", "return");
    let ran = grace.tidegate(&["publish", "-m", "Fourth version", "--push"]).await;
    assert!(ran.code == Some(1) && ran.out.contains("not pushed") && ran.out.contains("closed on Fridays"), "{ran:?}");
    assert_eq!(grace.git(&["log", "-1", "--format=%s"]), "Fourth version");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_held_against_kept_hits_and_versions_count_them() {
    let repository = Repository::new();
    // What is live is a commit that touches no rules; its hits are those of the version before it.
    repository.place.write("README.md", "beside it");
    repository.git(&["add", "README.md"]);
    repository.git(&["commit", "-q", "-m", "Say what it is"]);
    let mut shop = Shop::spawn(repository.place, &[]).await;
    for number in 0..3 {
        shop.accept(&purchase(&format!("kept-{number}"))).await;
    }
    shop.stop().await;

    let consent = |text: &str| text.replace("ad_storage", "analytics_storage");
    shop.place.write("rules/shop.yaml", &consent(RULES));
    shop.place.write("rules/shop.test.yaml", &consent(CASES));
    let looked = shop.tidegate(&["publish", "--dry-run"]).await;
    assert_eq!(looked.code, Some(0), "{looked:?}");
    let words = "\"Log orders\" fired 3 -> 0, 3 newly blocked by consent\n";
    assert!(looked.out.contains(words), "{looked:?}");
    let json = shop.tidegate(&["publish", "-m", "x", "--format", "json"]).await.json();
    assert_eq!((&json["outcome"], &json["impact"]["events"]), (&json!("published"), &json!(3)));

    let versions = shop.tidegate(&["versions"]).await;
    let lines: Vec<_> = versions.out.lines().collect();
    assert!(lines[0].contains("  fine  "), "{versions:?}");
    assert!(lines[0].ends_with("  0 hits  x") && lines[1].ends_with("  3 hits  First version"), "{versions:?}");

    // Beside a broken HEAD there is nothing to hold it against.
    shop.place.write("rules/shop.yaml", &RULES.replace("log,", "lgo,"));
    shop.place.commit();
    let head = shop.place.git(&["rev-parse", "HEAD"])[..12].to_owned();
    shop.place.write("rules/shop.yaml", RULES);
    shop.place.write("rules/shop.test.yaml", CASES);
    let looked = shop.tidegate(&["publish", "--dry-run"]).await;
    let words = format!("what is committed (HEAD, {head}) is broken: 1 error");
    assert!(looked.out.contains(&format!("\nimpact: not told, as {words} at rules/shop.yaml:4:")), "{looked:?}");
    let json = shop.tidegate(&["publish", "--dry-run", "--format", "json"]).await.json();
    assert!(json["impact"].is_null(), "{json}");
    assert!(json["impact_reason"].as_str().is_some_and(|reason| reason.contains(&words)), "{json}");
    let impact = shop.tidegate(&["impact"]).await;
    assert!(impact.code == Some(2) && impact.err.contains(&format!("tidegate: {words}")), "{impact:?}");
    shop.close().await;
}
