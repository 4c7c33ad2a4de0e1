//! The draft as a commit would have it: takes a container's folder; gives its files as git would store them, and findings
//! where a commit would hold something else than what lies there, or nothing at all.
//!
//! Git itself says what it would store, filters and all, in an index and a folder of objects that are thrown away: the
//! repository may be read-only, and nothing in it changes. Where there is none, files are given as they lie.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use anyhow::bail;
use tempfile::TempDir;

use super::{
    Command, Commit, GitError, Kind, Repository, Tree,
    tree::{self, start_of, submodule},
};
use crate::container::{
    diagnostic::{Diagnostic, Sources},
    folder,
    yaml::MAX_FILE_BYTES,
};

/// A container's files before they are committed, and what is wrong with them before anybody reads them.
#[derive(Debug)]
pub struct Draft {
    pub files: Sources,
    pub findings: Vec<Diagnostic>,
}

/// A file of the working tree that no commit will hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Within the container.
    pub path: String,
    /// What says so, such as `*.rhai in .gitignore:3`; empty where git does not tell.
    pub rule: String,
}

/// Where git may write.
struct Aside<'r> {
    repository: &'r Repository,
    /// The same with objects of its own.
    writing: Repository,
    folder: TempDir,
}

/// What git's own index has of the container.
struct Entry<'a> {
    /// `<mode> <object> <stage>TAB<path>`.
    line: &'a str,
    path: &'a str,
    object: &'a str,
    /// A file in conflict has several entries.
    is_settled: bool,
    notice: Notice,
}

/// Whether git looks at what lies there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Notice {
    Taken,
    /// It was told to take the file for unchanged, or that the file need not be there.
    Declined,
}

impl Draft {
    /// Reads the draft of a container.
    ///
    /// # Errors
    /// There is no container, or a file cannot be read.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let repository = match Repository::find(folder) {
            Ok(Some(repository)) if repository.kind() == Kind::Bare => {
                bail!("{} is a bare repository, which has no draft; work in a clone of it", folder.display())
            }
            Ok(Some(repository)) => repository,
            Ok(None) => return Self::as_it_lies(folder, Vec::new()),
            Err(error) => return Self::as_it_lies(folder, vec![unseen(&error)]),
        };
        match repository.draft() {
            Ok(Tree { files, findings }) => Ok(Self { files, findings }),
            Err(GitError::NoRules { .. }) => {
                let ignored = repository.ignored().unwrap_or_default();
                Self::as_it_lies(folder, vec![no_rules(&ignored)])
            }
            Err(error) => Self::as_it_lies(folder, vec![unseen(&error)]),
        }
    }

    fn as_it_lies(folder: &Path, mut findings: Vec<Diagnostic>) -> anyhow::Result<Self> {
        let files = folder::read(folder)?;
        findings.extend(folder::oddities(&files, findings.as_slice()));
        Ok(Self { files, findings })
    }
}

impl Repository {
    /// The container as a commit of the working tree would have it.
    ///
    /// # Errors
    /// [`GitError::NoRules`] where it would have none; git fails, or cannot take a file.
    pub fn draft(&self) -> Result<Tree, GitError> {
        let aside = Aside::new(self)?;
        let listed = self.reader("ls-files").args(["-v", "--stage", "-z", "--"]).args(self.parts()).run()?.bytes()?;
        let listed = String::from_utf8_lossy(&listed);
        // Files that need not be there, and are not: what was committed stands.
        let (kept, known): (Vec<_>, Vec<_>) =
            self.entries(&listed).partition(|entry| entry.notice == Notice::Declined && self.is_absent(entry.path));
        aside.take(&known)?;
        let others = ["--others", "--exclude-standard", "-z", "--"];
        let others = aside.writer("ls-files").args(others).args(self.parts()).run()?.bytes()?;
        let others = String::from_utf8_lossy(&others);
        // The file `rules` of the newest commit may be a folder by now.
        let is_there = |entry: &&Entry<'_>| !self.is_absent(entry.path) && !self.is_folder_now(entry);
        let lying = known.iter().filter(is_there).chain(&kept).map(|entry| entry.path);
        if !lying.chain(others.split_terminator('\0')).any(|path| tree::is_of_rules(self.within(path))) {
            return Err(GitError::NoRules { commit: aside.tree()?, folder: self.prefix().to_owned() });
        }
        let others = others.split_terminator('\0').filter(|path| self.matters(path));
        let (nested, others): (Vec<_>, Vec<_>) = others.partition(|path| path.ends_with('/'));
        let (unnamed, others): (Vec<_>, Vec<_>) = others.into_iter().partition(|path| is_no_text(path));
        let known: Vec<_> = known.into_iter().filter(|entry| self.matters(entry.path)).collect();
        let wanted: BTreeSet<&str> = known.iter().map(|entry| entry.path).chain(others).collect();
        let (large, wanted): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|path| self.is_too_large(path));
        aside.add(&wanted)?;
        aside.take(&kept)?;
        let (mut tree, _) = tree::read_all(&aside.writing, &aside.tree()?)?;
        // One byte more than the limit is enough for the loader to say that the file is too large.
        let large = large.into_iter().map(|path| (self.within(path).into(), vec![b' '; MAX_FILE_BYTES + 1]));
        tree.files.extend(large);
        tree.findings.extend(nested.iter().map(|path| submodule(self.within(path).trim_end_matches('/'))));
        let unnamed = unnamed.iter().map(|path| self.within(path)).filter(|path| folder::is_read(path));
        tree.findings.extend(unnamed.map(folder::bad_name));
        let mut tree = tree.with_oddities();
        tree.findings.extend(aside.unnoticed(&known)?);
        tree.findings.extend(self.ignored()?.iter().map(Ignored::finding));
        Ok(tree)
    }

    /// What git's index has of the container, without what lies behind a link now.
    fn entries<'l>(&self, listed: &'l str) -> impl Iterator<Item = Entry<'l>> {
        let links = self.parts().map(|part| (self.root().join(&part).is_symlink(), format!("{part}/")));
        let is_behind_link =
            move |path: &str| links.iter().any(|(is_link, part)| *is_link && path.starts_with(part.as_str()));
        let entries = listed.split_terminator('\0').filter_map(Entry::read);
        let entries = entries.filter(move |entry| !is_behind_link(entry.path) && !is_no_text(entry.path));
        // What no container reads may be in conflict with itself; no tree could be made of that.
        entries.filter(|entry| entry.is_settled || self.matters(entry.path))
    }

    /// Files of the working tree that a container would read and git is told to ignore.
    ///
    /// # Errors
    /// Git fails.
    pub fn ignored(&self) -> Result<Vec<Ignored>, GitError> {
        let list = ["--others", "--ignored", "--exclude-standard", "-z", "--"];
        let list = self.reader("ls-files").args(list).args(self.parts()).run()?.bytes()?;
        let list = String::from_utf8_lossy(&list);
        let paths: Vec<_> = list.split_terminator('\0').filter(|path| folder::is_read(self.within(path))).collect();
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let input: String = paths.iter().flat_map(|path| [path, "\0"]).collect();
        // It knows no literal paths, and these begin with a folder's name, not with a colon.
        let why = self.writer_with(&["--no-optional-locks", "--no-literal-pathspecs"], "check-ignore");
        let why = why.args(["--verbose", "-z", "--stdin"]).input(input.into_bytes()).run()?;
        let why = String::from_utf8_lossy(&why.output);
        let fields: Vec<_> = why.split_terminator('\0').collect();
        let rules: BTreeMap<&str, String> = fields
            .chunks_exact(4)
            .filter_map(|fields| match fields {
                [file, line, pattern, path] => Some((*path, format!("{pattern} in {file}:{line}"))),
                _ => None,
            })
            .collect();
        let ignored = |path: &&str| Ignored {
            path: self.within(path).to_owned(),
            rule: rules.get(path).cloned().unwrap_or_default(),
        };
        Ok(paths.iter().map(ignored).collect())
    }

    /// Whether a path of the repository is, or hides, what a container would read.
    fn matters(&self, path: &str) -> bool {
        let within = self.within(path);
        path.ends_with('/') || folder::is_given(within) || matches!(within, "rules" | "tags")
    }

    fn is_absent(&self, path: &str) -> bool {
        self.root().join(path).symlink_metadata().is_err()
    }

    fn is_folder_now(&self, entry: &Entry<'_>) -> bool {
        let is_submodule = entry.line.starts_with("160000");
        !is_submodule && self.root().join(entry.path).symlink_metadata().is_ok_and(|facts| facts.is_dir())
    }

    fn is_too_large(&self, path: &str) -> bool {
        let facts = self.root().join(path).symlink_metadata();
        // Of a file in place of a folder there is more to say than its size.
        folder::is_given(self.within(path))
            && facts.is_ok_and(|facts| facts.is_file() && facts.len() > MAX_FILE_BYTES as u64)
    }
}

impl<'r> Aside<'r> {
    fn new(repository: &'r Repository) -> Result<Self, GitError> {
        let failed = |error: io::Error| GitError::Io { what: "add", error };
        let folder = tempfile::Builder::new().prefix("tidegate-draft-").tempdir().map_err(failed)?;
        let objects = folder.path().join("objects");
        fs::create_dir_all(objects.join("info")).map_err(failed)?;
        // A list of folders in a file, because one in the environment is divided by colons.
        let own = repository.own_path("objects")?;
        fs::write(objects.join("info/alternates"), format!("{}\n", own.display())).map_err(failed)?;
        let writing = Repository { objects: Some(objects), ..repository.clone() };
        Ok(Self { repository, writing, folder })
    }

    /// A command that works on the index here.
    fn writer(&self, command: &'static str) -> Command {
        // The other half of a split index would lie in the repository.
        let writer = self.writing.writer_with(&["-c", "core.splitIndex=false"], command);
        writer.env("GIT_INDEX_FILE", self.folder.path().join("index"))
    }

    /// Puts entries into the index.
    fn take(&self, entries: &[Entry<'_>]) -> Result<(), GitError> {
        let input: String = entries.iter().flat_map(|entry| [entry.line, "\0"]).collect();
        self.writer("update-index").args(["-z", "--index-info"]).input(input.into_bytes()).run()?.bytes().map(drop)
    }

    /// Brings the index to what lies under these paths.
    fn add(&self, paths: &[&str]) -> Result<(), GitError> {
        if paths.is_empty() {
            return Ok(());
        }
        let input: String = paths.iter().flat_map(|path| [path, "\0"]).collect();
        // By force, as git may know of files in a folder that it is told to ignore.
        let options = ["--all", "--force", "--sparse", "--pathspec-from-file=-", "--pathspec-file-nul"];
        self.writer("add").args(options).input(input.into_bytes()).run()?.bytes().map(drop)
    }

    /// What is in the index, as a tree.
    fn tree(&self) -> Result<Commit, GitError> {
        self.writer("write-tree").args(["--missing-ok"]).run()?.object()
    }

    /// Says of files that git was told not to look at, and that have changed all the same.
    fn unnoticed(&self, known: &[Entry<'_>]) -> Result<Vec<Diagnostic>, GitError> {
        let declined: Vec<_> = known.iter().filter(|entry| entry.notice == Notice::Declined).collect();
        if declined.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.writer("ls-files").args(["-v", "--stage", "-z"]).run()?.bytes()?;
        let now = String::from_utf8_lossy(&now);
        let now: BTreeMap<_, _> =
            now.split_terminator('\0').filter_map(Entry::read).map(|entry| (entry.path, entry.object)).collect();
        let changed = declined.into_iter().filter(|entry| now.get(entry.path) != Some(&entry.object));
        Ok(changed.map(|entry| unnoticed(self.repository.within(entry.path))).collect())
    }
}

impl<'a> Entry<'a> {
    /// Reads `<tag> <mode> <object> <stage>TAB<path>`.
    fn read(line: &'a str) -> Option<Self> {
        let (tag, line) = line.split_once(' ')?;
        let (what, path) = line.split_once('\t')?;
        let mut what = what.split(' ').skip(1);
        let (object, stage) = (what.next()?, what.next()?);
        let is_declined = tag.starts_with(|tag: char| tag.is_ascii_lowercase() || tag == 'S');
        let notice = if is_declined { Notice::Declined } else { Notice::Taken };
        Some(Self { line, path, object, is_settled: stage == "0", notice })
    }
}

impl Ignored {
    fn finding(&self) -> Diagnostic {
        let Self { path, rule } = self;
        let told = if rule.is_empty() { String::new() } else { format!("{rule} says so: ") };
        Diagnostic::warning("git-ignored", format!("git is told to ignore {path}, so no commit holds it"))
            .at(start_of(path))
            .help(format!("{told}change that, git add --force the file, or delete it"))
    }
}

/// Whether a file's name was not UTF-8: nobody can ask git for it by what is left of it.
fn is_no_text(path: &str) -> bool {
    path.contains(char::REPLACEMENT_CHARACTER)
}

fn unnoticed(path: &str) -> Diagnostic {
    Diagnostic::warning("unnoticed-change", format!("{path} has changed, and git is told not to notice"))
        .at(start_of(path))
        .help(format!("git update-index --no-assume-unchanged --no-skip-worktree {path}"))
}

/// What a server would say of a commit of this draft, while there is none.
fn no_rules(ignored: &[Ignored]) -> Diagnostic {
    let problem = |why: &str| Diagnostic::error("no-rules", format!("a commit would have no rules: {why}"));
    match ignored.iter().find(|file| file.path.starts_with("rules/")) {
        Some(Ignored { rule, .. }) => problem("git is told to ignore all that lies in rules/")
            .help(format!("{rule} says so: change that, or git add --force rules/")),
        None => problem("no file in rules/ is read").help("write a file such as rules/tags.yaml".to_owned()),
    }
}

/// Git could not say what it would store.
fn unseen(error: &GitError) -> Diagnostic {
    Diagnostic::warning("unseen-by-git", format!("git does not say what a commit would hold: {error}"))
        .help("until it does, files are taken as they lie, which need not be what a commit has of them".to_owned())
}

#[cfg(test)]
mod tests;
