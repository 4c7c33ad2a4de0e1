//! What keeps `tidegate publish` from its work, on real repositories in real states: each time it says what is the matter,
//! that nothing was changed, and what to do next; and what it says is what helps.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _, process::Command};

use serde_json::json;

use crate::{
    harness::run,
    publish::{MESSAGE, published, refused},
    repository::{CASES, RULES, Repository, git_in},
};

/// Git, which may fail: a conflict is what is wanted.
fn try_git(repository: &Repository, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.current_dir(repository.folder()).args(arguments);
    git.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_EDITOR", ":")]);
    git.env("GIT_SEQUENCE_EDITOR", "sed -i 1s/pick/edit/").output().expect("git");
}

/// Two branches that changed the same line; `other` has two commits.
fn with_two_branches() -> Repository {
    let repository = Repository::new();
    repository.git(&["switch", "-q", "-c", "other"]);
    for text in ["one order", "this order"] {
        repository.place.write("rules/shop.yaml", &RULES.replace("an order", text));
        repository.git(&["commit", "-q", "-a", "-m", text]);
    }
    repository.git(&["switch", "-q", "main"]);
    repository.edit("rules/shop.yaml", "an order", "two orders");
    repository.git(&["commit", "-q", "-a", "-m", "two orders"]);
    repository
}

#[tokio::test]
async fn what_git_is_in_the_middle_of_comes_with_its_own_way_out() {
    let repository = with_two_branches();
    let head = repository.head();
    let patch = repository.git(&["format-patch", "-1", "other~1", "--stdout"]);
    repository.place.write(".git/patch", &format!("{patch}\n"));
    for (begin, words, way_out, end) in [
        (&["rebase", "other"][..], "a rebase is not finished", "git rebase --continue", &["rebase", "--abort"][..]),
        (&["rebase", "-i", "HEAD~1"], "a rebase is not finished", "git rebase --abort", &["rebase", "--abort"]),
        (&["rebase", "--apply", "other"], "a rebase is not finished", "git rebase --abort", &["rebase", "--abort"]),
        (&["am", "-q", ".git/patch"], "a git am", "git am --abort", &["am", "--abort"]),
        (&["merge", "-q", "other"], "a merge is not finished", "git merge --abort", &["merge", "--abort"]),
        (&["cherry-pick", "other~2..other"], "a cherry-pick", "git cherry-pick --abort", &["cherry-pick", "--abort"]),
        (&["revert", "--no-edit", "other"], "a revert", "git revert --abort", &["revert", "--abort"]),
        (&["bisect", "start", "HEAD", "HEAD~1"], "a bisect", "git bisect reset", &["bisect", "reset"]),
    ] {
        try_git(&repository, begin);
        let told = refused(&repository, &MESSAGE, "underway").await;
        assert!(told.err.contains(words) && told.err.contains(way_out), "{begin:?}: {told:?}");
        refused(&repository, &["--rollback", "HEAD~1"], "underway").await;
        try_git(&repository, end);
        let looked = repository.tidegate(&["publish"]).await;
        assert!(looked.out.contains("nothing to publish"), "after {end:?}: {looked:?}");
        assert_eq!(repository.head(), head);
    }
    // Between two commits there is only a list of what is to come.
    try_git(&repository, &["revert", "--no-edit", "other", "HEAD~1"]);
    repository.git(&["checkout", "-q", "HEAD", "--", "."]);
    repository.git(&["commit", "-q", "--allow-empty", "-m", "Resolved"]);
    let told = refused(&repository, &MESSAGE, "underway").await;
    assert!(told.err.contains("git revert --continue"), "{told:?}");
}

#[tokio::test]
async fn what_git_refuses_comes_with_its_words_and_a_next_step() {
    let repository = Repository::new();
    let git = repository.folder().join(".git");
    repository.edit("rules/shop.yaml", "an order", "one order");

    // Signing.
    repository.git(&["config", "commit.gpgSign", "true"]);
    repository.git(&["config", "gpg.format", "ssh"]);
    repository.git(&["config", "user.signingKey", "/no/such/key"]);
    let told = refused(&repository, &MESSAGE, "unsigned").await;
    assert!(told.err.contains("/no/such/key") && told.err.contains("git config commit.gpgSign false"), "{told:?}");
    repository.git(&["config", "commit.gpgSign", "false"]);

    // What git does with files on their way in.
    repository.git(&["config", "core.autocrlf", "true"]);
    repository.git(&["config", "core.safecrlf", "true"]);
    let told = refused(&repository, &MESSAGE, "not-taken").await;
    assert!(
        told.err.contains("LF would be replaced") && told.err.contains("git config core.safecrlf warn"),
        "{told:?}"
    );
    repository.git(&["config", "--unset", "core.autocrlf"]);
    fs::write(git.join("info/attributes"), "*.yaml filter=lfs\n").expect("attributes");
    repository.git(&["config", "filter.lfs.required", "true"]);
    for how in ["clean", "process"] {
        repository.git(&["config", &format!("filter.lfs.{how}"), "no-git-lfs-here"]);
        // Git itself cannot say how things stand now.
        let told = repository.tidegate(&["publish", "-m", "x"]).await;
        assert_eq!(told.code, Some(2), "{told:?}");
        assert!(told.err.contains("no-git-lfs-here") && told.err.contains("install what .gitattributes"), "{told:?}");
    }
    fs::remove_file(git.join("info/attributes")).expect("attributes");

    // Hooks; what they say steers no terminal, and programs get it, too.
    for name in ["pre-commit", "prepare-commit-msg", "commit-msg", "reference-transaction"] {
        repository.hook(name, "printf 'ask \\033[2JGrace\\nfirst\\n' >&2; exit 1");
        let told = refused(&repository, &MESSAGE, "hook").await;
        assert!(told.err.contains(&format!("the hook {name} refused it:\nask \u{FFFD}[2JGrace\nfirst")), "{told:?}");
        assert!(told.err.ends_with("nothing was committed\n"), "{told:?}");
        fs::remove_file(git.join("hooks").join(name)).expect("the hook");
    }

    // What another git holds, or one that was killed.
    for lock in ["refs/heads/main.lock", "HEAD.lock"] {
        fs::write(git.join(lock), "").expect("a lock");
        let told = refused(&repository, &MESSAGE, "locked").await;
        assert!(told.err.contains(&format!("rm {}; nothing", git.join(lock).display())), "{told:?}");
        fs::remove_file(git.join(lock)).expect("a lock");
    }
    published(&repository, &MESSAGE).await;
}

/// Git would not see that these files are otherwise: a version would leave out half of the container, a rollback lose edits.
#[tokio::test]
async fn files_that_git_is_told_to_look_away_from_are_named() {
    let repository = Repository::new();
    for flag in ["skip-worktree", "assume-unchanged"] {
        repository.git(&["update-index", &format!("--{flag}"), "rules/shop.yaml"]);
        repository.edit("rules/shop.yaml", "an order", "my order");
        let told = refused(&repository, &MESSAGE, "hidden").await;
        assert!(told.err.contains("look away from rules/shop.yaml"), "{told:?}");
        refused(&repository, &["--rollback", "HEAD"], "hidden").await;
        repository.git(&["update-index", &format!("--no-{flag}"), "rules/shop.yaml"]);
        repository.edit("rules/shop.yaml", "my order", "an order");
    }
    let _ = fs::create_dir(repository.folder().join("tags"));
    repository.place.write("tags/shop.test.yaml", CASES);
    published(&repository, &MESSAGE).await;
    repository.git(&["sparse-checkout", "set", "rules"]);
    repository.edit("rules/shop.yaml", "an order", "one order");
    let told = refused(&repository, &MESSAGE, "sparse").await;
    assert!(told.err.contains("tags/shop.test.yaml need not be here"), "{told:?}");
    repository.git(&["sparse-checkout", "disable"]);
    published(&repository, &MESSAGE).await;
    assert_eq!(repository.committed("HEAD", "tags/shop.test.yaml"), CASES.trim_end());
}

#[tokio::test]
async fn ignored_files_are_named_where_they_matter() {
    let repository = Repository::unborn();
    repository.place.write(".gitignore", "# mine\nrules/\n");
    let told = refused(&repository, &MESSAGE, "ignored").await;
    assert!(told.err.contains("all of rules/, by rules/ in .gitignore:2: rules/shop"), "{told:?}");
    assert!(told.err.contains("git add --force"), "{told:?}");
    repository.git(&["add", "--force", "rules/shop.yaml"]);
    let checked = repository.tidegate(&["check"]).await;
    assert!(!checked.out.contains("unseen-by-git"), "{checked:?}");
    published(&repository, &MESSAGE).await;
    assert_eq!(repository.git(&["ls-files"]), "rules/shop.yaml");
    // And the other way round.
    repository.git(&["add", "--force", "rules/shop.test.yaml"]);
    repository.git(&["commit", "-q", "-m", "By hand"]);
    repository.git(&["rm", "-q", "--cached", "rules/shop.test.yaml"]);
    let ran = published(&repository, &MESSAGE).await;
    assert!(ran.out.contains("deleted rules/shop.test.yaml"), "{ran:?}");

    repository.place.write(".gitignore", "own.*\n");
    repository.place.write("tags/own.yaml", "description: mine\nconsent: none\n");
    repository.place.write("tags/own.rhai", "[]\n");
    repository.edit("rules/shop.yaml", "template: log", "template: own");
    let told = repository.tidegate(&["publish", "-m", "x"]).await;
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.out.contains("left out, because git is told to ignore it: tags/own.rhai"), "{told:?}");
    fs::remove_dir_all(repository.folder().join("rules")).expect("the rules");
    refused(&repository, &MESSAGE, "no-rules").await;
}

#[tokio::test]
async fn a_folder_that_is_not_there_and_a_machine_without_git() {
    let repository = Repository::new();
    for command in [&["publish", "-m", "x"][..], &["versions"], &["diff"]] {
        let told = repository.tidegate(&[command, &["-C", "gone"]].concat()).await;
        assert!(told.code == Some(2) && told.err.contains("there is no folder gone\n  name"), "{told:?}");
        let arguments = [command, &["-C", "gone", "--format", "json"]].concat();
        assert_eq!(repository.tidegate(&arguments).await.json()["code"], json!("no-folder"));

        let told = run(&repository.place, command, &[("PATH", "/nowhere")], "").await;
        assert!(told.code == Some(2) && told.err.contains("the program git was not found"), "{told:?}");
        assert!(told.err.contains("install it") && !told.err.contains("--draft"), "{told:?}");
    }
    let told = run(&repository.place, &["serve"], &[("PATH", "/nowhere")], "").await;
    assert!(told.err.contains("install it") && told.err.contains("--draft"), "{told:?}");
}

#[tokio::test]
async fn what_users_set_up_is_used() {
    let repository = Repository::new();
    // A key of ssh, as people have it by now.
    let key = repository.place.path().join("key");
    let key = key.to_str().expect("a path in text");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", key]).status();
    assert!(made.expect("ssh-keygen").success());
    for (name, value) in [("commit.gpgSign", "true"), ("gpg.format", "ssh"), ("user.signingKey", key)] {
        repository.git(&["config", name, value]);
    }
    repository.hook("../../our hooks/pre-commit", "git diff --cached --name-only -z > .git/seen");
    repository.git(&["config", "core.hooksPath", "our hooks"]);
    repository.place.write("rules/läden.yaml", "variables: { Shop: { constant: kettles } }\n");
    let ran = published(&repository, &MESSAGE).await;
    assert!(ran.out.contains("new rules/läden.yaml"), "{ran:?}");
    assert_eq!(repository.read(".git/seen"), "rules/läden.yaml\0");
    assert!(repository.git(&["cat-file", "commit", "HEAD"]).contains("gpgsig -----BEGIN SSH SIGNATURE-----"));
    published(&repository, &["--rollback", "HEAD~1"]).await;
    assert!(!repository.folder().join("rules/läden.yaml").exists());
    assert_eq!(repository.git(&["status", "--porcelain"]), "?? \"our hooks/\"");
}

#[tokio::test]
async fn worktrees_submodules_and_subfolders_are_repositories_like_any() {
    let repository = Repository::new();
    let main = repository.head();
    // Another working tree of the same repository, beside a dirty one.
    let linked = Repository::unborn();
    fs::remove_dir_all(linked.folder()).expect("the container");
    let place = linked.folder();
    let place = place.to_str().expect("a path in text");
    repository.git(&["worktree", "add", "-q", "-b", "next", place]);
    repository.edit("rules/shop.yaml", "an order", "half an edit");
    linked.edit("rules/shop.yaml", "an order", "one order");
    let ran = linked.tidegate(&["publish", "-m", "x"]).await;
    assert!(ran.code == Some(0) && ran.out.contains("on next\n"), "{ran:?}");
    assert_eq!((linked.git(&["status", "--porcelain"]), repository.head()), (String::new(), main.clone()));
    try_git(&linked, &["rebase", "-i", "HEAD~1"]);
    refused(&linked, &MESSAGE, "underway").await;
    let looked = repository.tidegate(&["publish", "--dry-run"]).await;
    assert_eq!(looked.code, Some(0), "the other's rebase is not ours: {looked:?}");

    // The container as a submodule of something larger, which is on no branch as a rule.
    let large = Repository::new();
    let from = repository.folder();
    let from = from.to_str().expect("a path in text");
    large.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", from, "container"]);
    large.git(&["commit", "-q", "-m", "With it"]);
    let inner = large.folder().join("container");
    for (name, value) in [("user.name", "Ada"), ("user.email", "ada@example.com")] {
        git_in(inner.clone(), &["config", name, value]);
    }
    git_in(inner.clone(), &["switch", "-q", "--detach"]);
    fs::write(inner.join("rules/more.yaml"), "variables: { Shop: { constant: 1 } }\n").expect("a file");
    let told = large.tidegate_in("container", &["publish", "-m", "x"]).await;
    assert!(told.code == Some(2) && told.err.contains("git switch to a branch"), "{told:?}");
    git_in(inner.clone(), &["switch", "-q", "main"]);
    let told = large.tidegate_in("container", &["publish", "-m", "x"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(large.git(&["status", "--porcelain"]), " M container");

    // A subfolder beside files that are dirty, in every way a file can be.
    let whole = Repository::new();
    whole.place.write("README.md", "one\n");
    whole.git(&["add", "README.md"]);
    whole.git(&["commit", "-q", "-m", "Say what it is"]);
    whole.place.write("README.md", "two\n");
    fs::create_dir_all(whole.folder().join("shop/rules")).expect("a folder");
    whole.place.write("shop/rules/shop.yaml", RULES);
    let ran = whole.tidegate_in("shop", &["publish", "-m", "x"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    whole.place.write("shop/rules/shop.yaml", &RULES.replace("an order", "one order"));
    let ran = whole.tidegate_in("shop", &["publish", "-m", "y"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = whole.tidegate_in("shop", &["publish", "--rollback", "HEAD~1"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        (whole.git(&["status", "--porcelain"]), whole.read("README.md")),
        (" M README.md".into(), "two\n".into())
    );
}

/// Names that no container reads, and things that are no files, are git's to keep or to refuse, in words that fit.
#[tokio::test]
async fn odd_files_are_committed_or_refused_as_what_they_are() {
    let repository = Repository::new();
    for name in [&b"b\xe4d.txt"[..], b"*.txt", b":(glob)x", b"-f", b"two\nlines.txt"] {
        let path = repository.folder().join("rules").join(OsStr::from_bytes(name));
        fs::write(path, "for people\n").expect("a file");
    }
    // Git keeps no empty folder, and a file of that name is one.
    let _ = fs::remove_dir(repository.folder().join("tags"));
    repository.place.write("tags", "no folder\n");
    published(&repository, &MESSAGE).await;
    assert_eq!(repository.git(&["status", "--porcelain"]), "");
    published(&repository, &["--rollback", "HEAD~1"]).await;
    assert_eq!(fs::read_dir(repository.folder().join("rules")).expect("a folder").count(), 2);

    let place = repository.folder().join("rules");
    git_in(place.clone(), &["init", "-q", "nested"]);
    fs::write(place.join("nested/file"), "theirs").expect("a file");
    let told = refused(&repository, &MESSAGE, "not-taken").await;
    assert!(told.err.contains("remove its .git"), "{told:?}");
    fs::remove_dir_all(place.join("nested")).expect("the folder");
    fs::rename(&place, repository.folder().join("elsewhere")).expect("the rules");
    std::os::unix::fs::symlink("elsewhere", &place).expect("a link");
    let told = repository.tidegate(&["publish", "-m", "x"]).await;
    assert!(told.code == Some(1) && told.out.contains("rules is a symbolic link"), "{told:?}");
}
