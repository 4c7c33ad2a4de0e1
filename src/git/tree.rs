//! Reads a container out of a commit: takes the commit, gives the files that a folder would have given, and findings
//! where something else than a file stands.

use std::{collections::BTreeMap, sync::Arc};

use super::{Commit, GitError, Repository};
use crate::container::{
    diagnostic::{Diagnostic, Place, Sources},
    folder,
    yaml::MAX_FILE_BYTES,
};

/// No container comes near it; it bounds memory.
const MAX_BYTES: u64 = 64 << 20;

/// What stands in place of a file that git-lfs keeps elsewhere.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// A container's files in a commit, and what is wrong with them before anybody reads them.
#[derive(Debug, Default)]
pub struct Tree {
    pub files: Sources,
    pub findings: Vec<Diagnostic>,
}

/// What stands under a path.
struct Entry<'a> {
    mode: &'a str,
    object: &'a str,
    /// `None` for what is no file.
    size: Option<u64>,
    /// Within the container.
    path: &'a str,
}

impl Tree {
    pub(super) fn with_oddities(mut self) -> Self {
        let oddities = folder::oddities(&self.files, &self.findings);
        self.findings.extend(oddities);
        self
    }
}

/// Whether there is anything in `rules/` that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    There,
    Nowhere,
}

/// Whether a container would read this of `rules/`, or stumble over it: over something else of that name, or over a
/// repository within, whose path ends as a folder's.
pub(super) fn is_of_rules(path: &str) -> bool {
    path == "rules" || path.starts_with("rules/") && (folder::is_read(path) || path.ends_with('/'))
}

pub(super) fn read(repository: &Repository, commit: &Commit) -> Result<Tree, GitError> {
    match read_all(repository, commit)? {
        (tree, Rules::There) => Ok(tree.with_oddities()),
        (_, Rules::Nowhere) => {
            Err(GitError::NoRules { commit: commit.clone(), folder: repository.prefix().to_owned() })
        }
    }
}

/// The same of a tree that need not be a container.
pub(super) fn read_all(repository: &Repository, commit: &Commit) -> Result<(Tree, Rules), GitError> {
    let prefix = repository.prefix();
    let list = repository.reader("ls-tree").args(["-r", "-z", "-l", "--full-tree", commit.name(), "--"]);
    let list = list.args(repository.parts()).run()?.bytes()?;
    let list = String::from_utf8_lossy(&list);
    let mut tree = Tree::default();
    let mut wanted = BTreeMap::new();
    let mut bytes = 0;
    let mut rules = Rules::Nowhere;
    for line in list.split_terminator('\0') {
        let entry = Entry::read(line, prefix).ok_or_else(|| GitError::unreadable("ls-tree"))?;
        if is_of_rules(entry.path) {
            rules = Rules::There;
        }
        match entry.size {
            _ if entry.mode == "120000" => tree.findings.extend(entry.unless_ignored(symbolic_link)),
            _ if entry.mode == "160000" => tree.findings.push(submodule(entry.path)),
            _ if entry.path == "rules" => tree.findings.push(rules_file()),
            _ if !folder::is_given(entry.path) => {}
            // One byte more than the limit is enough for the loader to say that the file is too large.
            Some(size) if size > MAX_FILE_BYTES as u64 => {
                tree.files.insert(entry.path.into(), vec![b' '; MAX_FILE_BYTES + 1]);
            }
            Some(size) => {
                bytes += size;
                wanted.insert(entry.path, entry.object);
            }
            None => return Err(GitError::unreadable("ls-tree")),
        }
    }
    if bytes > MAX_BYTES {
        return Err(GitError::TooLarge { commit: commit.clone(), limit: MAX_BYTES });
    }
    read_objects(repository, &wanted, &mut tree)?;
    Ok((tree, rules))
}

fn read_objects(repository: &Repository, wanted: &BTreeMap<&str, &str>, tree: &mut Tree) -> Result<(), GitError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let input: String = wanted.values().flat_map(|object| [object, "\n"]).collect();
    let output = repository.reader("cat-file").args(["--batch"]).input(input.into_bytes()).run()?.bytes()?;
    let mut rest = output.as_slice();
    for (path, object) in wanted {
        let (content, further) = next_object(rest, object).ok_or_else(|| GitError::unreadable("cat-file"))?;
        rest = further;
        let path = Arc::from(*path);
        if content.starts_with(LFS_POINTER) && folder::is_read(&path) {
            tree.findings.push(lfs_pointer(&path));
            continue;
        }
        tree.files.insert(path, content.to_vec());
    }
    Ok(())
}

/// Takes `<object> blob <size>`, the content and a line break off what `cat-file --batch` wrote.
fn next_object<'a>(output: &'a [u8], object: &str) -> Option<(&'a [u8], &'a [u8])> {
    let end = output.iter().position(|&byte| byte == b'\n')?;
    let (head, rest) = output.split_at_checked(end)?;
    let size = std::str::from_utf8(head).ok()?.strip_prefix(object)?.strip_prefix(" blob ")?;
    let (content, rest) = rest.get(1..)?.split_at_checked(size.parse().ok()?)?;
    Some((content, rest.strip_prefix(b"\n")?))
}

impl<'a> Entry<'a> {
    /// Reads `<mode> <type> <object> <size>TAB<path>`.
    fn read(line: &'a str, prefix: &str) -> Option<Self> {
        let (what, path) = line.split_once('\t')?;
        let mut what = what.split_ascii_whitespace();
        let (mode, _, object, size) = (what.next()?, what.next()?, what.next()?, what.next()?);
        Some(Self { mode, object, size: size.parse().ok(), path: path.strip_prefix(prefix)? })
    }

    /// A link matters where it stands for a file or for one of the two folders.
    fn unless_ignored(&self, finding: fn(&str) -> Diagnostic) -> Option<Diagnostic> {
        let matters = folder::is_read(self.path) || matches!(self.path, "rules" | "tags");
        matters.then(|| finding(self.path))
    }
}

pub(super) fn start_of(path: &str) -> Place {
    Place::new(&path.into(), 1, 1, 0)
}

fn symbolic_link(path: &str) -> Diagnostic {
    let help = if path.contains('/') { "commit the file itself" } else { "commit the folder itself" };
    Diagnostic::error("symbolic-link", format!("{path} is a symbolic link, which a commit cannot follow"))
        .at(start_of(path))
        .help(help.to_owned())
}

fn rules_file() -> Diagnostic {
    let problem = Diagnostic::error("rules-file", folder::RULES_FILE).at(start_of("rules"));
    problem.help("make it a folder, with files such as rules/tags.yaml".to_owned())
}

pub(super) fn submodule(path: &str) -> Diagnostic {
    Diagnostic::error("submodule", format!("{path} is a submodule, whose files are not part of the commit"))
        .at(start_of(path))
        .help("commit the files themselves".to_owned())
}

fn lfs_pointer(path: &Arc<str>) -> Diagnostic {
    Diagnostic::error("lfs-pointer", format!("{path} is kept by git-lfs; the commit holds but a pointer to it"))
        .at(start_of(path))
        .help("take it out of .gitattributes, then git add --renormalize it: containers are small texts".to_owned())
}
