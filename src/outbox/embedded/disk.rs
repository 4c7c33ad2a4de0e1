//! How much room the disk has. Takes the data folder and the reserve; says whether hits may still be written.

use std::{
    io,
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

pub(super) struct Disk {
    pub dir: PathBuf,
    pub reserve: u64,
    pub free: FreeSpace,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    Enough,
    /// Less than the reserve is free; the words say how much.
    BelowReserve {
        words: String,
    },
}

impl Disk {
    pub fn room(&self) -> Room {
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
