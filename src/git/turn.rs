//! Who publishes in a working tree, one at a time: takes the repository, gives a folder in git's own for the time being.
//! What a publish that was killed has left there goes away with the next one.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process, thread,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};

use super::{GitError, Hindered, Kind, Obstacle, Repository};

/// How often somebody else's work is looked at before it is told of.
const LOOKS: u32 = 25;
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// Held while a version is made; the folder is gone when dropped.
#[derive(Debug)]
pub struct Turn {
    folder: PathBuf,
    /// The lock ends with the process, however that ends.
    _lock: File,
}

impl Turn {
    /// # Errors
    /// There is no working tree, somebody else is at work, or the folder cannot be written.
    pub fn take(repository: &Repository) -> Result<Self, Hindered> {
        if repository.kind() == Kind::Bare {
            return Err(Obstacle::Bare.into());
        }
        let folder = repository.own_path("tidegate")?;
        let lock = patiently(|| {
            let unwritable = |error| GitError::Unwritable { place: folder.clone(), error };
            lock(&folder).map_err(unwritable)?.ok_or_else(|| Obstacle::Busy.into())
        })?;
        let turn = Self { folder, _lock: lock };
        // Whoever made these is gone.
        turn.clear();
        Ok(turn)
    }

    /// A file of this publish, by which a hook that outlives its own is in nobody's way.
    pub(super) fn file(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", process::id()))
    }

    fn clear(&self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name() != "lock") {
            // The next one tries again.
            let _ = fs::remove_file(entry.path());
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.clear();
        let _ = fs::remove_file(self.folder.join("lock"));
        let _ = fs::remove_dir(&self.folder);
    }
}

/// `None` where somebody else has it.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    fs::create_dir_all(folder)?;
    let path = folder.join("lock");
    let lock = match File::options().create(true).truncate(false).write(true).open(&path) {
        // Its owner has just taken the folder away.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        lock => lock?,
    };
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    // Or has taken it away between these two lines: then the next one locks another file.
    let is_there = fs::metadata(&path).is_ok_and(|there| lock.metadata().is_ok_and(|here| here.ino() == there.ino()));
    Ok(is_there.then_some(lock))
}

/// Tries again while somebody else has it in their hands, for a moment as a rule.
#[expect(clippy::disallowed_methods, reason = "whoever holds it tells nobody of the end")]
pub(super) fn patiently<T>(mut attempt: impl FnMut() -> Result<T, Hindered>) -> Result<T, Hindered> {
    for _ in 1..LOOKS {
        match attempt() {
            Err(Hindered::Obstacle(Obstacle::Busy | Obstacle::Locked { .. })) => thread::sleep(BETWEEN_LOOKS),
            ended => return ended,
        }
    }
    attempt()
}
