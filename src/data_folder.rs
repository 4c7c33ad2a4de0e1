//! The `--data` folder: created, locked by one server at a time, ignored by git.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};

/// A data folder that this process holds the lock of, until it is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

/// Why a data folder could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another process holds the lock.
    Locked,
    Other(anyhow::Error),
}

impl DataFolder {
    /// Creates the folder if need be (readable by its owner alone) and takes its lock.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::prepare(path).map_err(OpenError::Other)?;
        let lock = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .with_context(|| format!("cannot open {}", path.join("lock").display()))
            .map_err(OpenError::Other)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::Locked),
            Err(error) => Err(OpenError::Other(
                anyhow::Error::from(io::Error::from(error)).context(format!("cannot lock {}", path.display())),
            )),
        }
    }

    fn prepare(path: &Path) -> anyhow::Result<()> {
        if path.exists() && !path.is_dir() {
            bail!("{} is not a folder", path.display());
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot create the data folder {}", path.display()))?;
        let ignore = path.join(".gitignore");
        if !ignore.exists() {
            fs::write(&ignore, "*\n").with_context(|| format!("cannot write to the data folder {}", path.display()))?;
        }
        Ok(())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the command line finds the server of a data folder.
    pub fn socket(path: &Path) -> PathBuf {
        path.join("control.sock")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_its_owners_alone_ignores_itself_and_has_one_server() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let folder = DataFolder::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_to_string(path.join(".gitignore")).unwrap(), "*\n");
        assert!(matches!(DataFolder::open(&path), Err(OpenError::Locked)));
        drop(folder);
        assert!(DataFolder::open(&path).is_ok());
    }
}
