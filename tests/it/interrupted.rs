//! Publishing that is killed, kept waiting, or done twice at once: no version half made, no litter, and nobody left
//! wondering what it waits for.

use std::{
    fs::{self, File},
    io::Read as _,
    process::Stdio,
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;

use crate::{
    harness::{environment, program},
    publish::{MESSAGE, published, refused},
    repository::{RULES, Repository},
};

/// For a hook: ends the program that had git run it.
const KILL: &str = "kill -9 $(cut -d ' ' -f 4 /proc/$PPID/stat)";

/// For a hook: waits until the file that it makes is taken away, but not for ever, lest it outlive a test that failed.
const WAITS: &str = "touch .git/wait; for _ in $(seq 600); do [ -e .git/wait ] || break; sleep 0.1; done";

#[tokio::test]
async fn a_publish_that_is_killed_leaves_a_draft_or_a_version() {
    let repository = Repository::new();
    let signer = repository.folder().join(".git/signer");
    repository.git(&["config", "gpg.program", signer.to_str().expect("a path in text")]);
    let first = repository.head();
    for (number, instant) in
        ["pre-commit", "commit-msg", "signer", "prepared", "committed", "post-commit"].iter().enumerate()
    {
        let hook = match *instant {
            "signer" => {
                repository.git(&["config", "commit.gpgSign", "true"]);
                "../signer"
            }
            "prepared" | "committed" => "reference-transaction",
            name => name,
        };
        // Git ends one that dies before the branch has moved, too.
        repository.hook(
            hook,
            &match *instant {
                "prepared" => format!("[ \"$1\" != prepared ] || {{ {KILL}; exit 1; }}"),
                "committed" => format!("[ \"$1\" != committed ] || {KILL}"),
                _ => KILL.to_owned(),
            },
        );
        let text = format!("order {number}");
        repository.place.write("rules/shop.yaml", &RULES.replace("an order", &text));
        let killed = repository.tidegate(&["publish", "-m", &text]).await;
        assert_eq!(killed.code, None, "{instant}: {killed:?}");
        fs::remove_file(repository.folder().join(".git/hooks").join(hook)).expect("the hook");
        repository.git(&["config", "commit.gpgSign", "false"]);

        // The file is there, and either still a draft or a version; the next publish finishes it and clears away.
        assert_eq!(repository.read("rules/shop.yaml"), RULES.replace("an order", &text), "{instant}");
        let ran = repository.tidegate(&["publish", "-m", &text]).await;
        let is_version = matches!(*instant, "committed" | "post-commit");
        assert_eq!(ran.code, Some(i32::from(is_version)), "{instant}: {ran:?}");
        assert_eq!(repository.git(&["status", "--porcelain"]), "", "{instant}");
        assert_eq!(repository.git(&["log", "-1", "--format=%s"]), text, "{instant}");
        assert!(!repository.folder().join(".git/tidegate").exists(), "{instant}");
    }
    // Nor does a rollback that is killed undo itself with the next version.
    repository.hook("reference-transaction", &format!("[ \"$1\" != prepared ] || {{ {KILL}; exit 1; }}"));
    let killed = repository.tidegate(&["publish", "--rollback", &first]).await;
    assert_eq!(killed.code, None, "{killed:?}");
    fs::remove_file(repository.folder().join(".git/hooks/reference-transaction")).expect("the hook");
    assert_eq!(repository.read("rules/shop.yaml"), RULES);
    published(&repository, &MESSAGE).await;
    assert_eq!(repository.committed("HEAD", "rules/shop.yaml"), RULES.trim_end());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_make_one_version() {
    let repository = Repository::new();
    let head = repository.head();
    for number in 0..3 {
        repository.place.write("rules/shop.yaml", &RULES.replace("an order", &format!("order {number}")));
        let (one, other) = tokio::join!(
            repository.tidegate(&["publish", "-m", "one"]),
            repository.tidegate(&["publish", "-m", "other"])
        );
        let late = if one.code == Some(0) { &other } else { &one };
        assert!(one.code == Some(0) || other.code == Some(0), "{one:?} {other:?}");
        let is_told = late.out.contains("nothing to publish") || late.err.contains("another tidegate publish");
        assert!(late.code != Some(0) && is_told, "{one:?} {other:?}");
        assert_eq!(repository.git(&["status", "--porcelain"]), "");
    }
    assert_eq!(repository.git(&["rev-list", "--count", &format!("{head}..HEAD")]), "3");
}

/// A hook that takes its time is waited for, and named on a terminal. Whoever comes meanwhile is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_hook_is_waited_for_by_name() {
    let repository = Repository::new();
    repository.edit("rules/shop.yaml", "an order", "one order");
    repository.hook("pre-commit", WAITS);
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).expect("a terminal");
    unlockpt(&terminal).expect("a terminal");
    let other_end = ptsname(&terminal, Vec::new()).expect("its name");
    let other_end = File::options().write(true).open(other_end.to_str().expect("text")).expect("a terminal");
    let mut command = program(&repository.folder());
    command.args(["publish", "-m", "x"]).envs(environment()).stdin(Stdio::null()).stderr(other_end);
    let child = command.spawn().expect("the program starts");
    drop(command);

    let mut terminal = File::from(terminal);
    let said = tokio::task::spawn_blocking(move || {
        let (mut said, mut part) = (String::new(), [0; 256]);
        while !said.contains('\n') {
            let count = terminal.read(&mut part).expect("something is said");
            said += str::from_utf8(&part[..count]).expect("text");
        }
        (said, terminal)
    });
    let (said, _terminal) = said.await.expect("something is said");
    assert_eq!(said.trim_end(), "tidegate: running the hook pre-commit … (Ctrl-C ends it)");
    let told = refused(&repository, &MESSAGE, "busy").await;
    assert!(told.err.contains("wait until it has ended"), "{told:?}");
    fs::remove_file(repository.folder().join(".git/wait")).expect("the hook waits");
    let output = child.wait_with_output().await.expect("an end");
    assert!(output.status.success(), "{output:?}");

    // What a hook leaves running in the background is not waited for.
    repository.edit("rules/shop.yaml", "one order", "two orders");
    repository.hook("pre-commit", &format!("{WAITS} &"));
    let ran = repository.tidegate(&["publish", "-m", "x", "--format", "json"]).await;
    assert_eq!((ran.code, &ran.json()["outcome"]), (Some(0), &json!("published")), "{ran:?}");
    fs::remove_file(repository.folder().join(".git/wait")).expect("it still runs");
}
