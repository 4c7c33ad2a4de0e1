//! What is written to `history.db`: takes the writer's connection; keeps the newest thousand events of a day, the keys of
//! their days, and the counts by version, within the file's limit.

use std::time::Duration;

use rand::RngExt as _;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::{KeepHits, Options, file, tally::Count};
use crate::{
    kept::{DayKey, Kept},
    time::Timestamp,
};

/// So many events are kept, and no longer than this.
const MAX_KEPT: i64 = 1_000;
pub(super) const AGE: Duration = Duration::from_hours(24);
/// How long it is told which versions decided.
const SERVED_AGE: Duration = Duration::from_hours(24 * 400);
/// An event that takes more is none that a thousand others are like.
const MAX_EVENT_BYTES: usize = 16 * 1024;

pub(super) const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;

/// An event to be kept.
pub(super) struct Row {
    pub kept: Kept,
    /// How many hits it stands for.
    pub hits: u64,
    /// A pseudonym.
    pub event_id: Option<Box<str>>,
}

pub(super) struct Store {
    conn: Connection,
    max_bytes: u64,
}

impl Store {
    pub fn open(path: &std::path::Path, options: Options) -> anyhow::Result<Self> {
        let conn = file::open_writer(path, options.max_bytes)?;
        // Says at once whether the file can be read at all.
        conn.query_row("SELECT count(*) FROM kept", [], |row| row.get::<_, i64>(0))?;
        let store = Self { conn, max_bytes: options.max_bytes };
        if options.keep == KeepHits::Off {
            store.conn.execute_batch("DELETE FROM kept; DELETE FROM keys;")?;
            store.shrink()?;
            store.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
        Ok(store)
    }

    /// The key of a day, made when it is first asked for.
    pub fn key(&self, day: i64) -> rusqlite::Result<DayKey> {
        let select = || self.conn.query_row("SELECT key FROM keys WHERE day = ?1", [day], |row| row.get(0)).optional();
        if let Some(key) = select()? {
            return Ok(DayKey(key));
        }
        let key = random_key();
        self.conn.execute("INSERT INTO keys (day, key) VALUES (?1, ?2)", params![day, key])?;
        Ok(DayKey(key))
    }

    /// Writes events and counts, all or none; gives how many of the events.
    pub fn write(&mut self, rows: &[Row], counts: &[Count], now: Timestamp) -> rusqlite::Result<usize> {
        let transaction = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut written = 0;
        for row in rows {
            written += usize::from(keep(&transaction, row)?);
        }
        for count in counts {
            count_served(&transaction, count, now)?;
        }
        transaction.commit()?;
        Ok(written)
    }

    /// Deletes what is too old or too much.
    pub fn trim(&self, now: Timestamp) -> rusqlite::Result<()> {
        let conn = &self.conn;
        conn.execute("DELETE FROM kept WHERE at < ?1", [now.minus(AGE).0])?;
        conn.execute(
            "DELETE FROM kept WHERE id <= (SELECT id FROM kept ORDER BY id DESC LIMIT 1 OFFSET ?1)",
            [MAX_KEPT],
        )?;
        conn.execute("DELETE FROM served WHERE hour < ?1", [now.minus(SERVED_AGE).0])?;
        while self.used_bytes()? > file::of_file(self.max_bytes) / 8 * 7 {
            let oldest = "DELETE FROM kept WHERE id IN (SELECT id FROM kept ORDER BY id LIMIT \
                          (SELECT 1 + count(*) / 8 FROM kept))";
            if conn.execute(oldest, [])? > 0 {
                continue;
            }
            let oldest = "DELETE FROM served WHERE (version, hour) IN (SELECT version, hour FROM served ORDER BY hour \
                          LIMIT (SELECT 1 + count(*) / 8 FROM served))";
            if conn.execute(oldest, [])? == 0 {
                break;
            }
        }
        let today = now.0.div_euclid(DAY);
        conn.execute("DELETE FROM keys WHERE day <> ?1 AND day NOT IN (SELECT day FROM kept)", [today])?;
        self.shrink()
    }

    /// Deletes the older half, of a file that is full.
    pub fn make_room(&self) -> rusqlite::Result<()> {
        let half = "DELETE FROM kept WHERE id IN (SELECT id FROM kept ORDER BY id LIMIT (SELECT (1 + count(*)) / 2 FROM kept))";
        self.conn.execute(half, [])?;
        self.shrink()
    }

    fn used_bytes(&self) -> rusqlite::Result<u64> {
        let number =
            |name| self.conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0).map(i64::cast_unsigned));
        Ok(number("page_count")?.saturating_sub(number("freelist_count")?) * file::PAGE_BYTES)
    }

    /// Gives free pages back to the disk.
    fn shrink(&self) -> rusqlite::Result<()> {
        let mut vacuum = self.conn.prepare_cached("PRAGMA incremental_vacuum")?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    }
}

/// Whether the event was small enough.
fn keep(transaction: &Transaction<'_>, row: &Row) -> rusqlite::Result<bool> {
    let Ok(event) = serde_json::to_string(&row.kept) else { return Ok(false) };
    if event.len() > MAX_EVENT_BYTES {
        return Ok(false);
    }
    let at = row.kept.at.0;
    transaction
        .prepare_cached("INSERT INTO kept (at, day, hits, event_id, event) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![at, at.div_euclid(DAY), row.hits.cast_signed(), row.event_id, event])?;
    Ok(true)
}

fn count_served(transaction: &Transaction<'_>, count: &Count, now: Timestamp) -> rusqlite::Result<()> {
    let Count { version, hits, events } = count;
    transaction
        .prepare_cached(
            "INSERT INTO served (version, hour, first, last, hits, events) VALUES (?1, ?2, ?3, ?3, ?4, ?5) \
             ON CONFLICT (version, hour) DO UPDATE SET last = max(last, ?3), hits = hits + ?4, events = events + ?5",
        )?
        .execute(params![&**version, now.0.div_euclid(HOUR) * HOUR, now.0, hits.cast_signed(), events.cast_signed()])?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a day's key is drawn here and nowhere else")]
fn random_key() -> [u8; 32] {
    rand::rng().random()
}
