//! The file `outbox.db`: whose it is, its schema, and how a connection to it is set up.
//! Takes a path, gives connections that are ready for use, or says why the file cannot be used.

use std::path::{Path, PathBuf};

use anyhow::bail;
use rusqlite::{Connection, OpenFlags};

use super::schema::MIGRATIONS;
use crate::{
    outbox::CallId,
    sqlite::{self, Kind, PATIENCE},
};

pub(super) const NAME: &str = "outbox.db";

const KIND: Kind = Kind {
    name: "outbox",
    // `TDOB`
    application_id: 0x5444_4f42,
    migrations: MIGRATIONS,
};

/// Page cache of the writer, in KiB: room for the pages of the calls that are written and soon deleted again.
const WRITER_CACHE_KIB: i64 = 16 * 1024;

/// Bytes of a page. Twice SQLite's usual size: six calls of a kilobyte fit instead of three, so a group takes a third
/// fewer system calls, while no more bytes are written.
pub(super) const PAGE_BYTES: usize = 8 * 1024;

/// The file's place in the data folder.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// Opens the file for its one writer; creates it, or brings an older schema up to date.
///
/// # Errors
/// If it is not an outbox, or one written by a newer version, or cannot be read and written. Such a file is left as it is.
pub(super) fn open_writer(path: &Path, max_bytes: u64) -> anyhow::Result<Connection> {
    let (mut conn, version) = sqlite::open(path, &KIND)?;
    if version.is_none() {
        // Both only before the first table. The latter lets the file shrink again after a backlog.
        conn.pragma_update(None, "page_size", i64::try_from(PAGE_BYTES)?)?;
        conn.pragma_update(None, "auto_vacuum", "incremental")?;
    }
    configure_writer(&conn, max_bytes)?;
    sqlite::migrate(&mut conn, &KIND, version)?;
    Ok(conn)
}

/// Opens the file for reading, beside the writer.
pub(super) fn open_reader(path: &Path) -> anyhow::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(PATIENCE)?;
    Ok(conn)
}

/// Opens the file for copying the write-ahead log back into it, beside the writer.
pub(super) fn open_checkpointer(path: &Path) -> anyhow::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    // A checkpoint syncs the file before it lets go of the log; NORMAL is enough for that, but say what is meant.
    conn.pragma_update(None, "synchronous", "full")?;
    Ok(conn)
}

fn configure_writer(conn: &Connection, max_bytes: u64) -> anyhow::Result<()> {
    let mode: String = conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        bail!("its file system does not support SQLite's write-ahead log (journal_mode stays {mode})");
    }
    // FULL syncs the log at every commit: durable when the commit returns. NORMAL would sync only now and then.
    conn.pragma_update(None, "synchronous", "full")?;
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    conn.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    // What is deleted is overwritten where the page is written anyway; the rest is what `scrub` is for.
    conn.pragma_update_and_check(None, "secure_delete", "fast", |_| Ok(()))?;
    // Accounts are looked up before their calls are written; a check for each row would only cost time.
    conn.pragma_update(None, "foreign_keys", false)?;
    let pages = (max_bytes / PAGE_BYTES as u64).clamp(1, u64::from(u32::MAX - 1));
    conn.pragma_update_and_check(None, "max_page_count", pages.cast_signed(), |_| Ok(()))?;
    Ok(())
}

/// A call's id as SQLite's row id. One to one, so an id that no row can have simply finds none.
pub(super) fn rowid(id: CallId) -> i64 {
    id.0.cast_signed()
}

/// The other way round.
pub(super) fn call_id(rowid: i64) -> CallId {
    CallId(rowid.cast_unsigned())
}
