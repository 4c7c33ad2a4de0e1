//! How much room the disk has. Takes the data folder and the reserve; says whether hits may still be written.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Tells how many bytes a process without privileges may still write where a folder lies.
pub type FreeSpace = Arc<dyn Fn(&Path) -> io::Result<u64> + Send + Sync>;

/// What `statvfs(3)` says. One system call that reads no disk: cheap enough for every group.
pub(super) fn statvfs(dir: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(dir)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Which file is open, so that it can be told from one that takes its place.
pub(super) struct Identity {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Identity {
    pub fn of(path: PathBuf) -> io::Result<Self> {
        let file = fs::metadata(&path)?;
        Ok(Self { path, device: file.dev(), inode: file.ino() })
    }

    /// Whether the path still leads to the file. One that was deleted or replaced can be written for as long as it is
    /// open, and is gone at the next start.
    fn is_in_place(&self) -> bool {
        fs::metadata(&self.path)
            .is_ok_and(|file| file.dev() == self.device && file.ino() == self.inode && file.len() > 0)
    }
}

pub(super) struct Disk {
    pub dir: PathBuf,
    pub file: Identity,
    pub reserve: u64,
    pub free: FreeSpace,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    Enough,
    /// Less than the reserve is free, or the file is not where it was; the words say which.
    BelowReserve {
        words: String,
    },
}

impl Disk {
    pub fn room(&self) -> Room {
        if !self.file.is_in_place() {
            let words = format!("{} was deleted, emptied or replaced; restart the server", self.file.path.display());
            return Room::BelowReserve { words };
        }
        match (self.free)(&self.dir) {
            Ok(free) if free < self.reserve => Room::BelowReserve {
                words: format!("{} MiB are free, {} MiB are kept in reserve", free >> 20, self.reserve >> 20),
            },
            Ok(_) => Room::Enough,
            Err(error) => {
                // Not knowing is no reason to refuse: a full disk still shows when the group is written.
                tracing::warn!(%error, "cannot tell how much disk is free");
                Room::Enough
            }
        }
    }
}
