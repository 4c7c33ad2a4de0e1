//! What the writer does now and then: drops the bodies of old dead letters, gives free pages back to the disk.
//! Takes the clock and the writer's connection. A chore that fails is tried again later and harms nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{checkpoint::CheckpointBell, commands, intake::Scrubbed};
use crate::time::Timestamp;

/// Tells the time on the wall clock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How often the bodies of old dead letters are dropped.
const DROP_EVERY: Duration = Duration::from_hours(1);

/// How soon after it failed.
const DROP_AGAIN: Duration = Duration::from_mins(1);

/// How many bodies are dropped between two groups.
const DROP_AT_ONCE: usize = 1_000;

/// How often free pages are looked at.
const VACUUM_EVERY: Duration = Duration::from_secs(1);

/// Free pages that are kept for the calls to come, while there is room on the disk: 64 MiB.
const KEEP_PAGES: i64 = 8_192;

/// Pages given back between two groups: some milliseconds.
const VACUUM_PAGES: i64 = 500;

pub(super) struct Chores {
    clock: Clock,
    /// How long after its event a dead letter keeps its body.
    body_age: Duration,
    drop_at: Timestamp,
    vacuum_at: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    Ample,
    Scarce,
}

/// Whether the file has become smaller.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shrunk {
    No,
    Yes,
}

impl Chores {
    pub fn new(clock: Clock, body_age: Duration) -> Self {
        Self { clock, body_age, drop_at: Timestamp::default(), vacuum_at: Instant::now() }
    }

    /// How long the writer may sleep.
    pub fn patience(&self, usual: Duration) -> Duration {
        if self.is_drop_due((self.clock)()) { Duration::ZERO } else { usual }
    }

    /// Does what is due.
    pub fn run(&mut self, conn: &Connection, space: Space) -> Shrunk {
        self.drop_bodies(conn);
        self.vacuum(conn, space)
    }

    fn is_drop_due(&self, now: Timestamp) -> bool {
        // Also if the clock was set back meanwhile.
        now >= self.drop_at || self.drop_at.since(now) > DROP_EVERY
    }

    fn drop_bodies(&mut self, conn: &Connection) {
        let now = (self.clock)();
        if !self.is_drop_due(now) {
            return;
        }
        match commands::drop_bodies(conn, now.minus(self.body_age), DROP_AT_ONCE) {
            // There may be more: stays due, after the next group.
            Ok(DROP_AT_ONCE..) => {}
            Ok(_) => self.drop_at = now.plus(DROP_EVERY),
            Err(error) => {
                tracing::warn!(%error, "cannot drop the bodies of old dead letters");
                self.drop_at = now.plus(DROP_AGAIN);
            }
        }
    }

    /// Lets the file shrink after a backlog. Without it, a backlog that filled the disk up to the reserve would keep
    /// hits out even after it was delivered.
    fn vacuum(&mut self, conn: &Connection, space: Space) -> Shrunk {
        let now = Instant::now();
        if now < self.vacuum_at && space == Space::Ample {
            return Shrunk::No;
        }
        self.vacuum_at = now + VACUUM_EVERY;
        let keep = match space {
            Space::Ample => KEEP_PAGES,
            Space::Scarce => 0,
        };
        let freed = free_pages(conn, keep).unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot give free pages back to the disk");
            0
        });
        if freed > 0 { Shrunk::Yes } else { Shrunk::No }
    }
}

/// Gives free pages back, which may still hold what was deleted; with the last of them, empties the write-ahead log. What
/// was deleted from pages that are in use was overwritten at once (`secure_delete`).
pub(super) fn scrub(conn: &Connection, bell: &CheckpointBell) -> rusqlite::Result<Scrubbed> {
    free_pages(conn, 0)?;
    if free_pages(conn, 0)? > 0 {
        return Ok(Scrubbed::InPart);
    }
    bell.truncate(conn)?;
    Ok(Scrubbed::Wholly)
}

/// Gives some of the file's free pages back, but keeps some; says how many went.
fn free_pages(conn: &Connection, keep: i64) -> rusqlite::Result<i64> {
    let free: i64 = conn.prepare_cached("PRAGMA freelist_count")?.query_row([], |row| row.get(0))?;
    let surplus = (free - keep).clamp(0, VACUUM_PAGES);
    if surplus > 0 {
        let mut vacuum = conn.prepare(&format!("PRAGMA incremental_vacuum({surplus})"))?;
        let mut pages = vacuum.query([])?;
        // Each step frees a page.
        while pages.next()?.is_some() {}
    }
    Ok(surplus)
}
