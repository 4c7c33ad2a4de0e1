use std::{fs, os::unix::fs::symlink, path::Path, process, sync::Arc, time::Duration};

use tempfile::TempDir;

use super::*;
use crate::container::yaml::MAX_FILE_BYTES;

/// A repository of its own, which knows nothing of the machine's settings.
pub(crate) struct Sandbox(TempDir);

impl Sandbox {
    pub(crate) fn new() -> Self {
        let sandbox = Self(tempfile::tempdir().unwrap());
        sandbox.git(&["init", "-q", "-b", "main"]);
        sandbox.git(&["config", "user.name", "Ada"]);
        sandbox.git(&["config", "user.email", "ada@example.com"]);
        sandbox.git(&["config", "commit.gpgSign", "false"]);
        sandbox
    }

    /// A copy with a working tree, which follows nothing by itself.
    pub(crate) fn cloned(&self) -> Self {
        let clone = Self::new();
        clone.git(&["pull", "-q", self.path().to_str().unwrap(), "main"]);
        clone
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let mut git = process::Command::new("git");
        git.current_dir(self.path()).args(arguments);
        git.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("LC_ALL", "C")]);
        let output = git.output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    pub(crate) fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Commits everything; gives the commit's name.
    pub(crate) fn commit(&self) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "x"]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub(crate) fn repository(&self) -> Repository {
        Repository::find(self.path()).unwrap().unwrap()
    }

    fn tree(&self) -> Tree {
        let repository = self.repository();
        repository.tree(&repository.head().unwrap()).unwrap()
    }
}

fn names(tree: &Tree) -> Vec<&str> {
    tree.files.keys().map(|path| &**path).collect()
}

fn codes(tree: &Tree) -> Vec<(&str, &str)> {
    tree.findings.iter().map(|finding| (finding.code, &*finding.place.as_ref().unwrap().file)).collect()
}

#[test]
fn a_commits_files_are_read_and_not_those_that_lie_there() {
    let sandbox = Sandbox::new();
    sandbox.write("rules/shop.yaml", "triggers: {}\n");
    sandbox.write("rules/deep/not_read.yaml", "no");
    sandbox.write("rules/.hidden.yaml", "no");
    sandbox.write("rules/notes.txt", "no");
    sandbox.write("tags/own ünit.rhai", "\n\0 blob 3\n");
    sandbox.write("README.md", "no");
    let name = sandbox.commit();
    sandbox.write("rules/shop.yaml", "edited");
    sandbox.write("rules/new.yaml", "new");

    let repository = sandbox.repository();
    let head = repository.head().unwrap();
    assert_eq!((head.name(), head.short()), (&*name, &name[..12]));
    assert_eq!(repository.commit(head.short()).unwrap(), Some(head.clone()));
    assert_eq!(repository.commit("no-such-branch").unwrap(), None);
    assert_eq!(repository.commit("--all").unwrap(), None);
    let tree = repository.tree(&head).unwrap();
    let told_of = "rules/deep/not_read.yaml";
    assert_eq!(names(&tree), [told_of, "rules/shop.yaml", "tags/own ünit.rhai"]);
    assert_eq!(tree.files["rules/shop.yaml"], b"triggers: {}\n");
    assert_eq!(tree.files["tags/own ünit.rhai"], b"\n\0 blob 3\n");
    assert!(tree.findings.is_empty(), "{:?}", tree.findings);
}

#[test]
fn a_container_may_be_a_subfolder_and_a_repository_bare() {
    let sandbox = Sandbox::new();
    // Its name is no pattern.
    sandbox.write("shops/[a]*/rules/shop.yaml", "a");
    sandbox.write("shops/a/rules/other.yaml", "no");
    sandbox.commit();
    let folder = sandbox.path().join("shops/[a]*");
    let repository = Repository::find(&folder).unwrap().unwrap();
    assert_eq!((repository.prefix(), repository.kind()), ("shops/[a]*/", Kind::WorkingTree));
    assert_eq!(repository.root(), sandbox.path().canonicalize().unwrap());
    fs::remove_dir_all(&folder).unwrap();
    let head = repository.head().unwrap();
    assert_eq!(names(&repository.tree(&head).unwrap()), ["rules/shop.yaml"], "also once the folder is gone");

    let shop = Sandbox::new();
    shop.write("rules/shop.yaml", "a");
    shop.commit();
    let elsewhere = tempfile::tempdir().unwrap();
    let bare = elsewhere.path().join("shop.git");
    shop.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    let repository = Repository::find(&bare).unwrap().unwrap();
    assert_eq!(repository.kind(), Kind::Bare);
    assert_eq!(names(&repository.tree(&repository.head().unwrap()).unwrap()), ["rules/shop.yaml"]);
}

#[test]
fn what_is_no_file_is_found() {
    let sandbox = Sandbox::new();
    sandbox.write("rules/shop.yaml", "a");
    sandbox.write("rules/huge.yaml", vec![b'#'; MAX_FILE_BYTES + 5]);
    sandbox.write("rules/lfs.yaml", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n");
    symlink("/etc/passwd", sandbox.path().join("rules/link.yaml")).unwrap();
    symlink("/etc/passwd", sandbox.path().join("rules/link.txt")).unwrap();
    symlink("rules", sandbox.path().join("tags")).unwrap();
    sandbox.commit();
    let head = sandbox.git(&["rev-parse", "HEAD"]);
    sandbox.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},rules/module")]);
    sandbox.git(&["commit", "-q", "-m", "x"]);

    let tree = sandbox.tree();
    assert_eq!(names(&tree), ["rules/huge.yaml", "rules/shop.yaml"]);
    assert_eq!(tree.files["rules/huge.yaml"].len(), MAX_FILE_BYTES + 1, "the loader says that it is too large");
    let expected = [
        ("symbolic-link", "rules/link.yaml"),
        ("submodule", "rules/module"),
        ("symbolic-link", "tags"),
        ("lfs-pointer", "rules/lfs.yaml"),
    ];
    assert_eq!(codes(&tree), expected);
}

#[test]
fn what_cannot_be_read_says_what_to_do() {
    let plain = tempfile::tempdir().unwrap();
    assert!(Repository::find(plain.path()).unwrap().is_none());
    let damaged = Sandbox::new();
    fs::write(damaged.path().join(".git/HEAD"), "").unwrap();
    let error = Repository::find(damaged.path()).unwrap_err().to_string();
    assert!(error.contains("git sees no repository in") && error.contains("git fsck"), "{error}");

    let sandbox = Sandbox::new();
    let words = sandbox.repository().head().unwrap_err().to_string();
    assert!(words.contains("names no commit; commit rules/ and tags/ first"), "{words}");
    sandbox.write("README.md", "no rules");
    sandbox.commit();
    let repository = sandbox.repository();
    let words = repository.tree(&repository.head().unwrap()).unwrap_err().to_string();
    assert!(words.contains("has no rules files in rules/; commit them"), "{words}");
    sandbox.git(&["symbolic-ref", "HEAD", "refs/heads/gone"]);
    assert!(matches!(repository.head(), Err(GitError::NoCommit { .. })));
    let absent = Commit::new(&"1".repeat(40)).unwrap();
    assert!(matches!(repository.tree(&absent), Err(GitError::Failed { what: "ls-tree", .. })));
    assert_eq!(Commit::new("HEAD"), None);
}

#[test]
fn a_folder_of_somebody_else_comes_with_gits_remedy() {
    let errors = "fatal: detected dubious ownership in repository at '/srv/it's here'\nTo add an exception for this \
                  directory, call:\n\n\tgit config --global --add safe.directory '/srv/it'\\''s here'\n";
    let words = GitError::dubious(errors).unwrap().to_string();
    assert!(words.contains("belongs to another user"), "{words}");
    assert!(words.ends_with(r"git config --global --add safe.directory '/srv/it'\''s here'"), "{words}");
    assert!(GitError::dubious("fatal: something else").is_none());
}

#[test]
fn git_is_ended_with_all_that_it_started() {
    let sandbox = Sandbox::new();
    let marker = sandbox.path().join("still-here");
    let script = format!("!sleep 20; touch {}", marker.display());
    sandbox.git(&["config", "alias.hang", &script]);
    let hang = Command::reader(sandbox.path(), "hang").patience(Duration::from_millis(200));
    let error = hang.run().unwrap_err();
    assert!(matches!(error, GitError::TimedOut { what: "hang", .. }), "{error}");
    assert!(!marker.exists());
}

#[test]
fn git_sees_neither_our_input_nor_variables_that_lead_elsewhere() {
    let sandbox = Sandbox::new();
    sandbox.git(&["config", "alias.tell", "!cat; env | grep ^GIT_"]);
    let text =
        Command::writer(sandbox.path(), &[], "tell").env("GIT_AUTHOR_NAME", "Ada").run().unwrap().text().unwrap();
    assert!(text.contains("GIT_TERMINAL_PROMPT=0") && text.contains("GIT_AUTHOR_NAME=Ada"), "{text}");
    assert!(!text.contains("GIT_INDEX_FILE") && !text.contains("GIT_OBJECT_DIRECTORY"), "{text}");
    let read = Command::reader(sandbox.path(), "tell").input(b"from us".to_vec()).run().unwrap().text().unwrap();
    assert!(read.starts_with("from us"), "{read}");
}

#[test]
fn passwords_in_addresses_are_not_repeated() {
    for (said, expected) in [
        (
            "unable to access 'https://ada:hunter2@git.example.com/shop.git/'",
            "unable to access 'https://…@git.example.com/shop.git/'",
        ),
        ("https://token@h/a and ssh://git@h:22/b@c", "https://…@h/a and ssh://…@h:22/b@c"),
        ("https://a:p@ss@h", "https://…@h"),
        ("git@github.com:shop/tags.git", "git@github.com:shop/tags.git"),
        ("https://git.example.com", "https://git.example.com"),
    ] {
        assert_eq!(redacted(said), expected);
    }
    let error = GitError::failed("fetch", "fatal: https://a:b@h/x gone\nerror: really\n\n");
    assert_eq!(error.to_string(), "git fetch: https://…@h/x gone; really");
}

#[test]
fn a_large_container_is_read_in_one_go() {
    let sandbox = Sandbox::new();
    for number in 0..300 {
        sandbox.write(&format!("rules/{number:03}.yaml"), format!("# {number}\n").repeat(1_000));
    }
    sandbox.commit();
    let tree = sandbox.tree();
    assert_eq!(tree.files.len(), 300);
    assert_eq!(tree.files[&Arc::from("rules/299.yaml")], "# 299\n".repeat(1_000).as_bytes());
}
