//! Replaces a file: takes its path, what was read of it and its new text; leaves either the old file or the new one, whole,
//! whenever the process is killed.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process,
};

use anyhow::{Context as _, ensure};

/// Writes a file beside the old one and puts it in its place. A link stays one; its target is replaced.
///
/// # Errors
/// The file cannot be written, is protected from writing, or is not any more what was read. It stays as it is.
pub(super) fn replace(path: &Path, read: &[u8], text: &str) -> anyhow::Result<()> {
    let path = path.canonicalize()?;
    let permissions = fs::metadata(&path)?.permissions();
    ensure!(!permissions.readonly(), "the file is read-only");
    // A file that somebody else owns may be protected all the same, and renaming would not ask.
    File::options().write(true).open(&path)?;
    ensure!(fs::read(&path)? == read, "it was changed while its cases ran; run this again");
    let name = path.file_name().context("it has no name")?.to_string_lossy();
    // No name under which a container's files are looked for.
    let beside = path.with_file_name(format!(".{name}.{}.new", process::id()));
    let written = write(&beside, text, permissions).and_then(|()| fs::rename(&beside, &path));
    if written.is_err() {
        // What is wrong has been found; what is left of the try is in nobody's way.
        let _ = fs::remove_file(&beside);
    }
    Ok(written?)
}

fn write(path: &Path, text: &str, permissions: fs::Permissions) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.set_permissions(permissions)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.test.yaml"), folder.path().join("b.test.yaml"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        replace(&link, b"old", "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());

        let changed = replace(&file, b"old", "newer").unwrap_err().to_string();
        assert!(changed.contains("was changed while its cases ran"), "{changed}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o440)).unwrap();
        let protected = replace(&file, b"new", "newer").unwrap_err().to_string();
        assert_eq!(protected, "the file is read-only");
        assert!(replace(&folder.path().join("absent"), b"", "x").is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside it");
    }
}
