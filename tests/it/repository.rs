//! A container in a git repository, for tests: real git, no settings of the machine's.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use crate::harness::{Place, Ran, environment, program, tidegate};

/// A container of one tag and one case, with Ada as git's user.
pub struct Repository {
    pub place: Place,
}

pub const RULES: &str = "triggers:
  Order: { event: purchase }
tags:
  Log orders: { template: log, triggers: Order, consent: ad_storage, parameters: { line: an order } }
";

pub const CASES: &str = "cases:
  an order is logged:
    event: { event: purchase, event_id: e-1 }
    consent: { ad_storage: granted }
    expect: { fired: [Log orders] }
";

impl Repository {
    /// Nothing committed yet.
    pub fn unborn() -> Self {
        let repository = Self { place: Place::empty() };
        repository.git(&["init", "-q", "-b", "main"]);
        repository.introduce();
        repository.place.write("rules/shop.yaml", RULES);
        repository.place.write("rules/shop.test.yaml", CASES);
        repository
    }

    /// With a first version.
    pub fn new() -> Self {
        let repository = Self::unborn();
        repository.git(&["add", "--all"]);
        repository.git(&["commit", "-q", "-m", "First version"]);
        repository
    }

    /// One whose first version a bare repository has, too, and that repository's address.
    pub fn with_hub(write: impl FnOnce(&Self)) -> (Self, String) {
        let repository = Self { place: Place::empty() };
        let hub = repository.place.path().join("hub.git");
        let hub = hub.to_str().expect("a path in text").to_owned();
        git_in(repository.place.path().to_owned(), &["init", "-q", "--bare", "-b", "main", &hub]);
        repository.git(&["init", "-q", "-b", "main"]);
        repository.introduce();
        repository.git(&["remote", "add", "origin", &hub]);
        write(&repository);
        repository.git(&["add", "--all"]);
        repository.git(&["commit", "-q", "-m", "First version"]);
        repository.git(&["push", "-q", "--set-upstream", "origin", "main"]);
        (repository, hub)
    }

    /// Another's copy of a bare repository.
    pub fn clone_of(remote: &str) -> Self {
        let repository = Self { place: Place::empty() };
        fs::remove_dir_all(repository.folder()).expect("the empty container");
        let parent = repository.place.path().to_owned();
        git_in(parent, &["clone", "-q", remote, "container"]);
        repository.introduce();
        repository
    }

    pub fn introduce(&self) {
        self.git(&["config", "user.name", "Ada"]);
        self.git(&["config", "user.email", "ada@example.com"]);
    }

    pub fn folder(&self) -> PathBuf {
        self.place.container()
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.folder().join(path)).expect("a file of the container")
    }

    /// Replaces a text in a file of the container.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path}: {text}");
        self.place.write(path, &text.replace(from, to));
    }

    /// What git says; it must do what it is asked to.
    pub fn git(&self, arguments: &[&str]) -> String {
        self.place.git(arguments)
    }

    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// A file as a commit has it.
    pub fn committed(&self, commit: &str, path: &str) -> String {
        self.git(&["show", &format!("{commit}:{path}")])
    }

    pub fn hook(&self, name: &str, script: &str) {
        let path = self.folder().join(".git/hooks").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder of hooks");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a hook");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a hook that can be run");
    }

    /// Runs a command on a container in a subfolder.
    pub async fn tidegate_in(&self, folder: &str, arguments: &[&str]) -> Ran {
        let mut command = program(&self.folder().join(folder));
        let output = command.args(arguments).envs(environment()).output().await.expect("the program runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    pub async fn tidegate(&self, arguments: &[&str]) -> Ran {
        tidegate(&self.place, arguments).await
    }
}

pub fn git_in(folder: PathBuf, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    git.current_dir(folder).args(arguments);
    git.env_remove("GIT_DIR").env_remove("GIT_INDEX_FILE");
    git.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("LC_ALL", "C")]);
    let output = git.output().expect("git");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}
