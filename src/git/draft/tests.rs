use std::{
    ffi::OsStr,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
};

use super::*;
use crate::git::tests::Sandbox;

const RULES: &str = "triggers:\n  Order: { event: purchase }\n";
const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 1\n";

fn draft(sandbox: &Sandbox) -> Draft {
    Draft::read(sandbox.path()).unwrap()
}

fn said(findings: &[Diagnostic]) -> Vec<String> {
    let mut said: Vec<_> = findings.iter().map(|finding| format!("{}: {}", finding.code, finding.message)).collect();
    said.sort();
    said
}

fn codes(findings: &[Diagnostic]) -> Vec<&str> {
    let mut codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    codes.sort_unstable();
    codes
}

/// Reads the draft, commits it, and finds the commit to be what the draft was said to be.
#[track_caller]
fn assert_as_committed(sandbox: &Sandbox, expected: &[&str]) {
    let Draft { files, findings } = draft(sandbox);
    assert_eq!(codes(&findings), expected);
    let committed = sandbox.repository().commit(&sandbox.commit()).unwrap().unwrap();
    let tree = sandbox.repository().tree(&committed).unwrap();
    assert_eq!((said(&findings), &files), (said(&tree.findings), &tree.files));
    let again = draft(sandbox);
    assert_eq!((said(&again.findings), &again.files), (said(&findings), &files), "once it is committed");
}

#[test]
fn links_nested_repositories_and_pointers_are_told_of_as_their_commit_is() {
    let sandbox = Sandbox::new();
    sandbox.write("rules/shop.yaml", RULES);
    sandbox.write("elsewhere.yaml", RULES);
    symlink("../elsewhere.yaml", sandbox.path().join("rules/link.yaml")).unwrap();
    symlink("nowhere", sandbox.path().join("tags")).unwrap();
    sandbox.write("rules/pointer.yaml", POINTER);
    sandbox.write("rules/nested/x", "");
    let nested = sandbox.path().join("rules/nested");
    let nested = |arguments: &[&str]| sandbox.git(&[&["-C", nested.to_str().unwrap()], arguments].concat());
    nested(&["init", "-q"]);
    let expected = ["lfs-pointer", "submodule", "symbolic-link", "symbolic-link"];
    assert_eq!(codes(&draft(&sandbox).findings), expected, "before the nested one has a commit");
    nested(&["-c", "user.name=A", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"]);
    assert_as_committed(&sandbox, &expected);
}

#[test]
fn what_a_filter_makes_of_a_file_is_what_counts() {
    let sandbox = Sandbox::new();
    sandbox.write("rules/shop.yaml", RULES.replace('\n', "\r\n"));
    sandbox.write("rules/large.yaml", RULES);
    sandbox.write(".gitattributes", "*.yaml text eol=crlf\nrules/large.yaml filter=lfs\n");
    sandbox.git(&["config", "filter.lfs.clean", &format!("printf '{}'", POINTER.replace('\n', "\\n"))]);
    assert_as_committed(&sandbox, &["lfs-pointer"]);
    assert_eq!(draft(&sandbox).files["rules/shop.yaml"], RULES.as_bytes(), "with the line ends of a commit");

    sandbox.git(&["config", "filter.lfs.clean", "false"]);
    sandbox.git(&["config", "filter.lfs.required", "true"]);
    sandbox.write("rules/large.yaml", "triggers: {}\n");
    let Draft { files, findings } = draft(&sandbox);
    assert_eq!((codes(&findings), files.len()), (vec!["unseen-by-git"], 2));
    assert!(findings[0].message.contains("clean filter 'lfs' failed"), "{}", findings[0].message);
}

#[test]
fn folders_that_lead_elsewhere_are_told_of_once() {
    for part in ["rules", "tags"] {
        let sandbox = Sandbox::new();
        sandbox.write("rules/shop.yaml", RULES);
        sandbox.write("tags/own.yaml", "description: x\n");
        sandbox.commit();
        fs::rename(sandbox.path().join(part), sandbox.path().join("elsewhere")).unwrap();
        symlink("elsewhere", sandbox.path().join(part)).unwrap();
        assert_as_committed(&sandbox, &["symbolic-link"]);
    }
}

#[test]
fn names_are_told_of_that_other_disks_cannot_hold() {
    let sandbox = Sandbox::new();
    sandbox.write("rules/shop.yaml", RULES);
    sandbox.write("rules/Shop.yaml", "\u{FEFF}tags: {}\r\n");
    sandbox.write("tags/only_here.txt", "");
    fs::write(sandbox.path().join(OsStr::from_bytes(b"rules/caf\xE9.yaml")), "tags: {}\n").unwrap();
    let Draft { findings, .. } = draft(&sandbox);
    assert_eq!(codes(&findings), ["bad-file-name", "names-alike"]);
    let committed = sandbox.repository().commit(&sandbox.commit()).unwrap().unwrap();
    let tree = sandbox.repository().tree(&committed).unwrap();
    assert_eq!(said(&findings), said(&tree.findings));
    assert_eq!(said(&draft(&sandbox).findings), said(&findings), "once it is committed");
    fs::remove_dir_all(sandbox.path().join(".git")).unwrap();
    assert_eq!(said(&draft(&sandbox).findings), said(&findings), "without git");
}

#[test]
fn ignored_files_are_left_out_and_named_with_the_pattern() {
    let sandbox = Sandbox::new();
    sandbox.write("shop/rules/shop.yaml", RULES);
    sandbox.write("shop/rules/forced.yaml", "tags: {}\n");
    sandbox.write("shop/rules/local.yaml", "tags: {}\n");
    sandbox.write("shop/rules/local.txt", "");
    sandbox.write("shop/tags/own.rhai", "");
    sandbox.write(".gitignore", "# ours\n*.rhai\n");
    sandbox.write("shop/rules/.gitignore", "local.*\nforced.yaml\n");
    sandbox.git(&["add", "--force", "shop/rules/forced.yaml"]);
    let Draft { files, findings } = Draft::read(&sandbox.path().join("shop")).unwrap();
    assert_eq!(files.keys().map(|path| &**path).collect::<Vec<_>>(), ["rules/forced.yaml", "rules/shop.yaml"]);
    let told = findings.iter().map(|finding| (&*finding.message, finding.help.as_deref().unwrap_or_default()));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            (
                "git is told to ignore rules/local.yaml, so no commit holds it",
                "local.* in shop/rules/.gitignore:1 says so: change that, git add --force the file, or delete it"
            ),
            (
                "git is told to ignore tags/own.rhai, so no commit holds it",
                "*.rhai in .gitignore:2 says so: change that, git add --force the file, or delete it"
            ),
        ]
    );
}

#[test]
fn a_commit_without_rules_is_told_of_before_it_is_made() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path().join("rules")).unwrap();
    let message = |sandbox: &Sandbox| {
        let Draft { findings, .. } = draft(sandbox);
        assert_eq!(findings.len(), 1, "{findings:#?}");
        (findings[0].severity.name(), findings[0].message.clone())
    };
    let nothing = ("error", "a commit would have no rules: no file in rules/ is read".to_owned());
    assert_eq!(message(&sandbox), nothing);
    sandbox.write("rules/README.md", "");
    assert_eq!(message(&sandbox), nothing);
    sandbox.write("rules/shop.test.yaml", "cases: {}\n");
    assert_eq!(message(&sandbox), ("warning", "there is no rules/*.yaml, so no tag ever fires".to_owned()));
    sandbox.write("rules/shop.yaml", RULES);
    sandbox.write(".gitignore", "/rules/\n");
    let words = "a commit would have no rules: git is told to ignore all that lies in rules/".to_owned();
    assert_eq!(message(&sandbox), ("error", words));
    assert_eq!(draft(&sandbox).files.len(), 2, "what lies there is checked all the same");
}

#[test]
fn changes_that_git_was_told_not_to_notice_are_noticed() {
    let sandbox = Sandbox::new();
    for name in ["assumed", "skipped", "same", "absent", "deleted"] {
        sandbox.write(&format!("rules/{name}.yaml"), "tags: {}\n");
    }
    sandbox.commit();
    sandbox.git(&["update-index", "--assume-unchanged", "rules/assumed.yaml", "rules/same.yaml"]);
    sandbox.git(&["update-index", "--skip-worktree", "rules/skipped.yaml", "rules/absent.yaml"]);
    sandbox.write("rules/assumed.yaml", RULES);
    sandbox.write("rules/skipped.yaml", "triggers: {}\n");
    for name in ["absent", "deleted"] {
        fs::remove_file(sandbox.path().join(format!("rules/{name}.yaml"))).unwrap();
    }
    let Draft { files, findings } = draft(&sandbox);
    let places: Vec<_> = findings.iter().map(|finding| &*finding.place.as_ref().unwrap().file).collect();
    assert_eq!(
        (codes(&findings), places),
        (vec!["unnoticed-change"; 2], vec!["rules/assumed.yaml", "rules/skipped.yaml"])
    );
    assert_eq!(files["rules/assumed.yaml"], RULES.as_bytes());
    let names: Vec<_> = files.keys().map(|path| &**path).collect();
    assert_eq!(names, ["rules/absent.yaml", "rules/assumed.yaml", "rules/same.yaml", "rules/skipped.yaml"]);
}

#[test]
fn reading_a_draft_leaves_nothing_in_the_repository() {
    let sandbox = Sandbox::new();
    sandbox.write("rules/shop.yaml", RULES);
    sandbox.commit();
    sandbox.git(&["config", "core.splitIndex", "true"]);
    sandbox.write("rules/shop.yaml", "triggers: {}\n");
    sandbox.write("rules/huge.yaml", vec![b'#'; MAX_FILE_BYTES + 9]);
    let state = || {
        let mut files: Vec<_> =
            fs::read_dir(sandbox.path().join(".git")).unwrap().map(|it| it.unwrap().path()).collect();
        files.sort();
        (files, sandbox.git(&["count-objects", "-v"]), fs::read(sandbox.path().join(".git/index")).unwrap())
    };
    let before = state();
    let Draft { files, findings } = draft(&sandbox);
    assert_eq!(files["rules/huge.yaml"].len(), MAX_FILE_BYTES + 1, "enough to say that it is too large");
    assert_eq!((state() == before, codes(&findings)), (true, vec![]));
}

#[test]
fn a_conflict_is_read_as_it_lies_and_elsewhere_disturbs_nobody() {
    let sandbox = Sandbox::new();
    sandbox.write("rules/shop.yaml", "tags: {}\n");
    sandbox.write("rules/notes.txt", "one\n");
    sandbox.commit();
    sandbox.git(&["checkout", "-q", "-b", "other"]);
    sandbox.write("rules/shop.yaml", "triggers: {}\n");
    sandbox.write("rules/notes.txt", "two\n");
    sandbox.commit();
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.write("rules/shop.yaml", "variables: {}\n");
    sandbox.write("rules/notes.txt", "three\n");
    sandbox.commit();
    let merge = ["-C", sandbox.path().to_str().unwrap(), "merge", "-q", "other"];
    assert!(!std::process::Command::new("git").args(merge).output().unwrap().status.success());
    let Draft { files, findings } = draft(&sandbox);
    assert!(files["rules/shop.yaml"].starts_with(b"<<<<<<< HEAD"), "{files:?}");
    assert_eq!(codes(&findings), Vec::<&str>::new());
}

#[test]
fn a_bare_repository_has_no_draft() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "-q", "--bare", "hub.git"]);
    let refusal = Draft::read(&sandbox.path().join("hub.git")).unwrap_err().to_string();
    assert!(refusal.ends_with("hub.git is a bare repository, which has no draft; work in a clone of it"), "{refusal}");
}
