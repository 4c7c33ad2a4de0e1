//! Where a container's files come from: a folder, or the program itself. An edge of the loader, which takes only maps.

use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use rust_embed::Embed;
use sha2::{Digest, Sha256};

use super::{
    diagnostic::{Diagnostic, Place, Sources},
    load::{self, is_rules_file},
    yaml::MAX_FILE_BYTES,
};
use crate::digest::hex;

/// The library of tag templates that comes with the program.
#[derive(Embed)]
#[folder = "tags/"]
#[include = "*.rhai"]
#[include = "*.yaml"]
#[exclude = "*.test.yaml"]
struct Library;

/// The demo container, for `serve --demo` outside a container.
#[derive(Embed)]
#[folder = "rules/"]
#[include = "*.yaml"]
#[exclude = "*.test.yaml"]
struct Demo;

/// The embedded templates, as `tags/<name>.{rhai,yaml}`.
pub fn library() -> Sources {
    embedded::<Library>("tags/")
}

/// The embedded demo container, as `rules/<name>.yaml`.
pub fn demo() -> Sources {
    embedded::<Demo>("rules/")
}

fn embedded<E: Embed>(prefix: &str) -> Sources {
    let file = |name: std::borrow::Cow<'static, str>| {
        let bytes = E::get(&name)?.data.into_owned();
        Some((format!("{prefix}{name}").into(), bytes))
    };
    E::iter().filter_map(file).collect()
}

/// Whether a folder looks like a container: it has `rules/`.
pub fn is_container(folder: &Path) -> bool {
    folder.join("rules").is_dir()
}

/// Reads every file of `rules/` and `tags/` that a container may hold, test cases included, and those that look like it.
///
/// # Errors
/// There is no `rules/` folder, or a file cannot be read.
pub fn read(folder: &Path) -> anyhow::Result<Sources> {
    if !is_container(folder) {
        let place = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        anyhow::ensure!(!folder.join("rules").is_file(), "{} is no container: {RULES_FILE}", place.display());
        bail!("{} is no container: it has no folder rules/; name one with -C FOLDER", place.display());
    }
    let root = folder.canonicalize().with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = Sources::new();
    for part in ["rules", "tags"] {
        let part_folder = folder.join(part);
        if part_folder.is_dir() {
            read_into(&mut files, &part_folder, part, &root)?;
        }
    }
    Ok(files)
}

/// A container is a file tree that others may have written: a link out of it would read, and `check` would print, any
/// file of this machine.
fn ensure_own_file(path: &Path, root: &Path) -> anyhow::Result<()> {
    let real = path.canonicalize().with_context(|| format!("cannot read {}", path.display()))?;
    anyhow::ensure!(real.starts_with(root), "{} is a link out of the container; copy the file", path.display());
    anyhow::ensure!(real.is_file(), "{} is no file", path.display());
    Ok(())
}

/// Whether a container reads this file: a direct child of `rules/` or `tags/` that is no hidden one.
pub fn is_read(path: &str) -> bool {
    let is_named = |part: &str, ending: &str| {
        let name = path.strip_prefix(part).and_then(|name| name.strip_suffix(ending));
        name.is_some_and(|name| !name.starts_with('.') && !name.contains('/'))
    };
    is_named("rules/", ".yaml") || is_named("tags/", ".yaml") || is_named("tags/", ".rhai")
}

/// Whether the loader is given this file: one that is read, or one that it says of that it is not.
pub fn is_given(path: &str) -> bool {
    is_read(path) || load::remedy(path).is_some()
}

/// Says what stands where the rules should lie.
pub const RULES_FILE: &str = "rules is a file, not a folder";

/// What is odd about the files as such, whoever read them, and whatever is `known` of them already.
pub fn oddities(files: &Sources, known: &[Diagnostic]) -> Vec<Diagnostic> {
    let start = |path: &Arc<str>| Place::new(path, 1, 1, 0);
    let mut odd = Vec::new();
    for path in files.keys().filter(|path| is_read(path) && path.contains(char::REPLACEMENT_CHARACTER)) {
        odd.push(bad_name(path));
    }
    let mut by_letters: BTreeMap<String, &Arc<str>> = BTreeMap::new();
    for path in files.keys() {
        if let Some(other) = by_letters.insert(path.to_lowercase(), path) {
            let message = format!("the names {other} and {path} differ in capital letters alone");
            let help = "rename one: the disks of macOS and Windows hold but one of them";
            odd.push(Diagnostic::warning("names-alike", message).at(start(path)).help(help.to_owned()));
        }
    }
    if known.is_empty() && !files.keys().any(|path| is_rules_file(path)) {
        let problem = Diagnostic::warning("no-rules", "there is no rules/*.yaml, so no tag ever fires");
        odd.push(problem.help("write one, such as rules/tags.yaml".to_owned()));
    }
    odd
}

/// Says that a name is no text; `path` is as much of it as is.
pub fn bad_name(path: &str) -> Diagnostic {
    let problem = Diagnostic::error("bad-file-name", format!("the name of the file {path} is not UTF-8"));
    problem.at(Place::new(&path.into(), 1, 1, 0)).help("rename it".to_owned())
}

fn read_into(files: &mut Sources, folder: &Path, prefix: &str, root: &Path) -> anyhow::Result<()> {
    let list = || format!("cannot list {}", folder.display());
    for entry in fs::read_dir(folder).with_context(list)? {
        let entry = entry.with_context(list)?;
        let (path, kind): (PathBuf, _) = (entry.path(), entry.file_type().with_context(list)?);
        // A name that is no text is told of, rather than passed over.
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let inner = format!("{prefix}/{name}");
        if !is_read(&inner) {
            // Of files that are not read the loader tells. They need not be readable, and links to them are left alone.
            if kind.is_dir() && !name.starts_with('.') && fs::read_dir(&path).is_ok() {
                read_into(files, &path, &inner, root)?;
            } else if kind.is_file() && is_given(&inner) {
                files.insert(inner.into(), first_bytes(&path).unwrap_or_default());
            }
            continue;
        }
        ensure_own_file(&path, root)?;
        let read = || format!("cannot read {}", path.display());
        let size = fs::metadata(&path).with_context(read)?.len();
        // One byte more than the limit is enough for the loader to say that the file is too large.
        if size > MAX_FILE_BYTES as u64 {
            files.insert(inner.into(), vec![b' '; MAX_FILE_BYTES + 1]);
            continue;
        }
        files.insert(inner.into(), fs::read(&path).with_context(read)?);
    }
    Ok(())
}

/// Enough of a file to be told by.
fn first_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(1_000).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What changes when one of the files that [`read`] reads changes, without reading them.
///
/// # Errors
/// The folder cannot be listed.
pub fn fingerprint(folder: &Path) -> anyhow::Result<u64> {
    let mut files = Vec::new();
    for part in ["rules", "tags"].into_iter().filter(|part| folder.join(part).is_dir()) {
        let part_folder = folder.join(part);
        let list = || format!("cannot list {}", part_folder.display());
        for entry in fs::read_dir(&part_folder).with_context(list)? {
            let name = entry.with_context(list)?.file_name();
            // A file that is gone by now has changed.
            let facts = fs::metadata(part_folder.join(&name)).ok().map(|facts| (facts.len(), facts.modified().ok()));
            files.push((part, name, facts));
        }
    }
    files.sort();
    let mut hash = DefaultHasher::new();
    files.hash(&mut hash);
    Ok(hash.finish())
}

/// A version for files that no git commit names: the first twelve digits of their digest.
pub fn digest(files: &Sources) -> String {
    let mut hash = Sha256::new();
    for (path, bytes) in files {
        hash.update((path.len() as u64).to_le_bytes());
        hash.update(path.as_bytes());
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    format!("folder-{}", hex(&hash.finalize()[..6]))
}

/// The files as the loader takes them, for callers that hold texts.
pub fn sources<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Sources {
    files.into_iter().map(|(path, text)| (Arc::from(path), text.as_bytes().to_vec())).collect()
}
