//! Our SQLite files: whose a file is, and which version of its schema it has. Takes a path and the kind of file; gives a
//! connection to it, or says why the file cannot be used.

use std::{fs, io::ErrorKind, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

use anyhow::{Context as _, bail};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

/// How long a connection waits for another process, such as a person's `sqlite3`, that holds the file's lock.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A kind of file.
pub struct Kind {
    /// What it is to people, such as `outbox`.
    pub name: &'static str,
    /// Stands in the file's header, and tells it from any other SQLite file, also to `file(1)`.
    pub application_id: i32,
    /// What brings the schema from each version to the next; `user_version` counts those that were applied.
    pub migrations: &'static [&'static str],
}

/// Opens a file for reading and writing, readable by its owner alone; creates it empty if it is missing. With it comes the
/// schema's version; `None` if the file is empty.
///
/// # Errors
/// It is another kind of file, or was written by a newer version, or cannot be read. It is not changed then.
pub fn open(path: &Path, kind: &Kind) -> anyhow::Result<(Connection, Option<usize>)> {
    create_private(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(PATIENCE)?;
    let version = identify(&conn, kind)?;
    Ok((conn, version))
}

/// Brings a schema up to date, from the version that [`open`] gave.
///
/// # Errors
/// The file cannot be written. It has the version that it had before.
pub fn migrate(conn: &mut Connection, kind: &Kind, from: Option<usize>) -> anyhow::Result<()> {
    let from = from.unwrap_or(0);
    let missing = kind.migrations.get(from..).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (sql, version) in missing.iter().zip(from + 1..) {
        transaction.execute_batch(sql).with_context(|| format!("bringing its schema to version {version}"))?;
    }
    transaction.pragma_update(None, "application_id", kind.application_id)?;
    transaction.pragma_update(None, "user_version", i64::try_from(kind.migrations.len())?)?;
    transaction.commit()?;
    Ok(())
}

/// SQLite gives its side files the same mode.
fn create_private(path: &Path) -> anyhow::Result<()> {
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn identify(conn: &Connection, kind: &Kind) -> anyhow::Result<Option<usize>> {
    let application: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if (application, version, tables) == (0, 0, 0) {
        return Ok(None);
    }
    if application != kind.application_id {
        bail!("it is an SQLite file, but not a Tidegate {} (application_id {application})", kind.name);
    }
    let known = kind.migrations.len();
    match usize::try_from(version) {
        Ok(version) if (1..=known).contains(&version) => Ok(Some(version)),
        _ => bail!(
            "it was written by a newer Tidegate (schema {version}; this one knows up to {known}): use that one, or move \
             the file away"
        ),
    }
}
