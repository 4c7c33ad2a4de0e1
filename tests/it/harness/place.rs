//! A folder with a container in it, as files or as a git repository, and room for a server's data.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use tempfile::TempDir;
use tidegate::container::{
    Container,
    diagnostic::Severity,
    folder,
    load::{LoadOptions, load},
};

use super::PIXEL;

/// A folder with a container in it and room for data; gone when dropped.
pub struct Place {
    folder: TempDir,
}

impl Place {
    /// The repository's own rules, which is what the documentation tells people to start from.
    pub fn own_rules() -> Self {
        let place = Self::empty();
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
        for entry in fs::read_dir(rules).expect("the repository's rules") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
            if name.ends_with(".yaml") && !name.ends_with(".test.yaml") {
                place.write(&format!("rules/{name}"), &fs::read_to_string(&path).expect("a rules file"));
            }
        }
        place
    }

    pub fn with_rules(rules: &str) -> Self {
        let place = Self::empty();
        place.write("rules/all.yaml", rules);
        place
    }

    pub fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("tidegate-it-").tempdir().expect("a temporary folder");
        fs::create_dir_all(folder.path().join("container/rules")).expect("a folder for rules");
        fs::create_dir_all(folder.path().join("container/tags")).expect("a folder for tags");
        Self { folder }
    }

    /// Writes a file of the container.
    pub fn write(&self, path: &str, text: &str) {
        fs::write(self.container().join(path), text).expect("a file of the container");
    }

    /// Makes a git repository of the container, which knows nothing of this machine's settings, and commits it.
    pub fn into_repository(self) -> Self {
        self.git(&["init", "-q", "-b", "main"]);
        for (key, value) in [("user.name", "Ada"), ("user.email", "ada@example.com"), ("commit.gpgSign", "false")] {
            self.git(&["config", key, value]);
        }
        self.commit();
        self
    }

    /// Commits everything in the container; gives the version's name.
    pub fn commit(&self) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "A change"]);
        self.git(&["rev-parse", "HEAD"]).chars().take(12).collect()
    }

    /// Runs git in the container; gives what it writes.
    pub fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.current_dir(self.container()).args(arguments).stdin(Stdio::null());
        git.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("LC_ALL", "C")]);
        let output = git.output().expect("git is installed");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn container(&self) -> PathBuf {
        self.folder.path().join("container")
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn load(&self) -> Container {
        let files = folder::read(&self.container()).expect("a container");
        let environment = BTreeMap::from([("OPENAI_PIXEL_ID".to_owned(), PIXEL.to_owned())]);
        let options = LoadOptions {
            version: &folder::digest(&files),
            environment: &environment,
            absent_environment: Severity::Error,
            library: &folder::library(),
            inline: None,
            seats: thread::available_parallelism().map_or(1, usize::from),
        };
        let loaded = load(&files, options);
        loaded.container.unwrap_or_else(|| panic!("the test's container is broken: {:?}", loaded.diagnostics))
    }
}
