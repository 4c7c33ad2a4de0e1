//! The file `outbox.db`: whose it is, its schema, and how a connection to it is set up.
//! Takes a path, gives connections that are ready for use, or says why the file cannot be used.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::schema::MIGRATIONS;
use crate::outbox::CallId;

const NAME: &str = "outbox.db";

/// `TDOB` in the file's header: tells our outbox from any other SQLite file, also to `file(1)`.
const APPLICATION_ID: i32 = 0x5444_4f42;

/// How long a connection waits for another process, such as a person's `sqlite3`, that holds the file's lock.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

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
    create_private(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(PATIENCE)?;
    let version = identify(&conn)?;
    if version == 0 {
        // Both only before the first table. The latter lets the file shrink again after a backlog.
        conn.pragma_update(None, "page_size", i64::try_from(PAGE_BYTES)?)?;
        conn.pragma_update(None, "auto_vacuum", "incremental")?;
    }
    configure_writer(&conn, max_bytes)?;
    migrate(&mut conn, version)?;
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

/// Bodies hold personal data: nobody but the owner reads them. SQLite gives its side files the same mode.
fn create_private(path: &Path) -> anyhow::Result<()> {
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The schema's version; zero if the file is empty.
fn identify(conn: &Connection) -> anyhow::Result<usize> {
    let application: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if (application, version, tables) == (0, 0, 0) {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        bail!("it is an SQLite file, but not a Tidegate outbox (application_id {application})");
    }
    match usize::try_from(version) {
        Ok(known) if (1..=MIGRATIONS.len()).contains(&known) => Ok(known),
        _ => bail!(
            "it was written by a newer Tidegate (schema {version}; this one knows up to {}): use that one, or move the \
             file away",
            MIGRATIONS.len()
        ),
    }
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
    // Accounts are looked up before their calls are written; a check for each row would only cost time.
    conn.pragma_update(None, "foreign_keys", false)?;
    let pages = (max_bytes / PAGE_BYTES as u64).clamp(1, u64::from(u32::MAX - 1));
    conn.pragma_update_and_check(None, "max_page_count", pages.cast_signed(), |_| Ok(()))?;
    Ok(())
}

fn migrate(conn: &mut Connection, from: usize) -> anyhow::Result<()> {
    let missing = MIGRATIONS.get(from..).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (sql, version) in missing.iter().zip(from + 1..) {
        transaction.execute_batch(sql).with_context(|| format!("bringing its schema to version {version}"))?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", i64::try_from(MIGRATIONS.len())?)?;
    transaction.commit()?;
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
