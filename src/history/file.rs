//! The file `history.db`: its schema, how connections to it are set up, and where it goes when it is broken.
//! Takes a path; gives connections that are ready for use, or says why the file cannot be used.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use percent_encoding::{AsciiSet, CONTROLS};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::sqlite::{self, Kind, PATIENCE};

const KIND: Kind = Kind {
    name: "history",
    // `TDHI`
    application_id: 0x5444_4849,
    migrations: &["
-- Times are milliseconds since 1970-01-01T00:00:00Z. Nothing here can be needed: the oldest goes when there is no room.

-- Events that were kept; nothing in them says whose they were.
CREATE TABLE kept (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,                 -- the minute in which the hit arrived
    day INTEGER NOT NULL,                -- whose key made the pseudonyms; days since 1970-01-01
    hits INTEGER NOT NULL,               -- how many hits it stands for; 0 for further events of a hit
    event_id TEXT,                       -- a pseudonym, so that the event can be forgotten
    event TEXT NOT NULL                  -- as JSON
);
CREATE INDEX kept_at ON kept (at);

-- What the pseudonyms of a day are made with; goes with the last of them.
CREATE TABLE keys (
    day INTEGER PRIMARY KEY,
    key BLOB NOT NULL
);

-- How many hits which version decided, by the hour.
CREATE TABLE served (
    version TEXT NOT NULL,
    hour INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    hits INTEGER NOT NULL,
    events INTEGER NOT NULL,
    PRIMARY KEY (version, hour)
) WITHOUT ROWID;
"],
};

/// What would end the path of a `file:` address, or be an escape in it.
const SAFE: &AsciiSet = &CONTROLS.add(b'?').add(b'#').add(b'%');

pub(super) const PAGE_BYTES: u64 = 4096;

/// The file's place in the data folder.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join("history.db")
}

/// Where a broken file goes.
pub(super) fn aside(path: &Path) -> PathBuf {
    with_ending(path, ".broken")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// Opens the file for its one writer; creates it, or brings an older schema up to date.
pub(super) fn open_writer(path: &Path, max_bytes: u64) -> anyhow::Result<Connection> {
    let (mut conn, version) = sqlite::open(path, &KIND)?;
    if version.is_none() {
        // Only before the first table: lets the file shrink.
        conn.pragma_update(None, "page_size", i64::try_from(PAGE_BYTES)?)?;
        conn.pragma_update(None, "auto_vacuum", "incremental")?;
    }
    let mode: String = conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    ensure!(mode == "wal", "its file system does not support SQLite's write-ahead log");
    conn.pragma_update(None, "synchronous", "normal")?;
    // What is forgotten, and the keys of past days, are overwritten.
    conn.pragma_update_and_check(None, "secure_delete", "on", |_| Ok(()))?;
    let pages = |bytes: u64| i64::try_from(bytes / PAGE_BYTES).unwrap_or(i64::MAX).max(16);
    conn.pragma_update_and_check(None, "max_page_count", pages(of_file(max_bytes)), |_| Ok(()))?;
    // The log is copied back when it is so long, and then cut.
    conn.pragma_update_and_check(None, "wal_autocheckpoint", pages(max_bytes / 8).min(1000), |_| Ok(()))?;
    conn.pragma_update_and_check(None, "journal_size_limit", i64::try_from(max_bytes / 8).unwrap_or(i64::MAX), |_| {
        Ok(())
    })?;
    sqlite::migrate(&mut conn, &KIND, version)?;
    Ok(conn)
}

/// How much of the limit the file itself may take; the rest is for its log.
pub(super) fn of_file(max_bytes: u64) -> u64 {
    max_bytes / 2
}

/// What to do about a file that cannot be read.
pub(super) const REMEDY: &str = "a server that starts sets a broken history aside and begins it anew";

/// Opens the file for reading, beside its writer. `None` if there is none.
pub(super) fn open_reader(path: &Path) -> anyhow::Result<Option<Connection>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        Ok(_) => {}
    }
    let open = || {
        let conn = connect(path)?;
        let application: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if application == 0 && version == 0 {
            // Just being made.
            return Ok(None);
        }
        ensure!(application == KIND.application_id, "it is an SQLite file, but not a Tidegate history");
        let own = KIND.migrations.len();
        ensure!(
            version == i64::try_from(own)?,
            "another version of Tidegate wrote it (schema {version}; this one reads {own}): use the one that serves"
        );
        anyhow::Ok(Some(conn))
    };
    open().map_err(|error| {
        let code = error.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
        let is_broken = matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase));
        let remedy = if is_broken { format!("; {REMEDY}") } else { String::new() };
        error.context(format!("cannot read {}{remedy}", path.display()))
    })
}

/// A connection that can be read from. In a folder where nothing can be written, SQLite has no place for what it shares
/// with others; without a log there is nothing to share.
fn connect(path: &Path) -> anyhow::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = |flags, path: &Path| {
        let conn = Connection::open_with_flags(path, flags)?;
        conn.busy_timeout(PATIENCE)?;
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
        Ok(conn)
    };
    let opened: rusqlite::Result<_> = open(flags, path);
    match opened {
        Err(error) if matches!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen)) => {
            let log = fs::metadata(with_ending(path, "-wal")).map_or(0, |log| log.len());
            ensure!(
                log == 0,
                "its folder cannot be written, which reading it beside a server takes: use the server's user"
            );
            let escaped = percent_encoding::utf8_percent_encode(&path.to_string_lossy(), SAFE).to_string();
            Ok(open(flags | OpenFlags::SQLITE_OPEN_URI, Path::new(&format!("file:{escaped}?immutable=1")))?)
        }
        opened => Ok(opened?),
    }
}

/// Opens the file for forgetting, beside its writer. `None` if there is none.
pub(super) fn open_for_forgetting(path: &Path) -> anyhow::Result<Option<Connection>> {
    if open_reader(path)?.is_none() {
        return Ok(None);
    }
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(PATIENCE)?;
    conn.pragma_update_and_check(None, "secure_delete", "on", |_| Ok(()))?;
    Ok(Some(conn))
}

/// Moves a broken file away, over the one before, so that a new one can be begun.
pub(super) fn set_aside(path: &Path) -> std::io::Result<()> {
    for ending in ["-wal", "-shm"] {
        remove(&with_ending(path, ending))?;
    }
    match fs::rename(path, aside(path)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

pub(super) fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// How large the file and its log are.
pub(super) fn bytes(path: &Path) -> u64 {
    let length = |path: &Path| fs::metadata(path).map_or(0, |data| data.len());
    length(path) + length(&with_ending(path, "-wal"))
}
