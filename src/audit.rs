//! The audit log in `admin.db`: what people did that concerns somebody's data. Takes who does what and to which value; keeps
//! a fingerprint in place of the value, so that the log itself holds nothing personal.
//!
//! An entry is written before the deed and completed after it: a deed that broke off shows as one without an end. Entries
//! are never changed otherwise, nor deleted.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use rand::RngExt as _;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    digest::hex,
    outbox::Forgotten,
    sqlite::{self, Kind},
    time::Timestamp,
};

const NAME: &str = "admin.db";

const KIND: Kind = Kind {
    name: "admin database",
    // `TDAD`
    application_id: 0x5444_4144,
    migrations: &["
-- Times are milliseconds since 1970-01-01T00:00:00Z.

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,                   -- such as: alice (uid 1000)
    deed TEXT NOT NULL,
    subject TEXT NOT NULL,               -- what kind of value it was about
    fingerprint TEXT NOT NULL,
    outcome TEXT                         -- as JSON; NULL until the end
);

-- What fingerprints are made with, so that they cannot be compared with those of other installations.
CREATE TABLE fingerprint_key (key BLOB NOT NULL);
"],
};

/// The audit log of a data folder. Opened for each use, which is rare.
#[derive(Clone, Debug)]
pub struct Audit {
    path: PathBuf,
}

/// Who does something: a user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    uid: u32,
    name: Option<String>,
}

impl Actor {
    /// The user with this id, and the name that `/etc/passwd` has for it.
    pub fn user(uid: u32) -> Self {
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let name = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (name, _, id) = (fields.next()?, fields.next()?, fields.next()?);
            (id.parse() == Ok(uid)).then(|| name.to_owned())
        });
        Self { uid, name }
    }

    /// The user that this process runs as.
    pub fn of_this_process() -> Self {
        Self::user(rustix::process::getuid().as_raw())
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} (uid {})", self.uid),
            None => write!(f, "uid {}", self.uid),
        }
    }
}

/// One deed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub id: i64,
    pub at: Timestamp,
    pub who: String,
    pub deed: String,
    /// Of what kind the value was, such as `email`.
    pub subject: String,
    /// The same for the same value, and no way back to it.
    pub fingerprint: String,
    pub outcome: Outcome,
}

/// How a deed ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It has not ended yet, or the process ended before it did.
    Open,
    Forgotten(Forgotten),
    Failed {
        words: String,
    },
}

/// An entry that waits for its end.
#[derive(Debug)]
pub struct Begun {
    pub id: i64,
    pub fingerprint: String,
}

impl Audit {
    /// The log of a data folder; the folder is left as it is until there is something to write.
    pub fn of(folder: &Path) -> Self {
        Self { path: folder.join(NAME) }
    }

    /// Writes down that a deed begins.
    ///
    /// # Errors
    /// The log cannot be written: then the deed must not be done.
    pub fn begin(&self, at: Timestamp, who: &Actor, deed: &str, subject: &str, value: &str) -> anyhow::Result<Begun> {
        let conn = self.open()?;
        let fingerprint = fingerprint(&conn, subject, value)?;
        conn.execute(
            "INSERT INTO audit (at, who, deed, subject, fingerprint) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![at.0, who.to_string(), deed, subject, fingerprint],
        )?;
        Ok(Begun { id: conn.last_insert_rowid(), fingerprint })
    }

    /// Writes down how a deed ended.
    ///
    /// # Errors
    /// The log cannot be written; the entry stays open.
    pub fn end(&self, id: i64, outcome: &Outcome) -> anyhow::Result<()> {
        let conn = self.open()?;
        let outcome = serde_json::to_string(outcome)?;
        conn.execute("UPDATE audit SET outcome = ?2 WHERE id = ?1 AND outcome IS NULL", params![id, outcome])?;
        Ok(())
    }

    /// The last so many entries, oldest first.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn last(&self, limit: usize) -> anyhow::Result<Vec<Entry>> {
        if !self.path.exists() {
            return Ok(Vec::new());
        }
        let conn = self.open()?;
        let mut select = conn
            .prepare("SELECT id, at, who, deed, subject, fingerprint, outcome FROM audit ORDER BY id DESC LIMIT ?1")?;
        let mut rows = select.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            let outcome = match row.get_ref(6)?.as_str_or_null()? {
                Some(text) => serde_json::from_str(text).context("an entry's outcome cannot be read")?,
                None => Outcome::Open,
            };
            entries.push(Entry {
                id: row.get(0)?,
                at: Timestamp(row.get(1)?),
                who: row.get(2)?,
                deed: row.get(3)?,
                subject: row.get(4)?,
                fingerprint: row.get(5)?,
                outcome,
            });
        }
        entries.reverse();
        Ok(entries)
    }

    fn open(&self) -> anyhow::Result<Connection> {
        let open = || {
            let (mut conn, version) = sqlite::open(&self.path, &KIND)?;
            // Durable when a commit returns.
            conn.pragma_update(None, "synchronous", "full")?;
            sqlite::migrate(&mut conn, &KIND, version)?;
            anyhow::Ok(conn)
        };
        open().with_context(|| format!("cannot open the audit log {}", self.path.display()))
    }
}

/// Half a SHA-256 digest of a value, keyed: a plain one would be the very thing that is sent of an e-mail address.
fn fingerprint(conn: &Connection, subject: &str, value: &str) -> anyhow::Result<String> {
    let key: Option<Vec<u8>> = conn.query_row("SELECT key FROM fingerprint_key", [], |row| row.get(0)).optional()?;
    let key = match key {
        Some(key) => key,
        None => {
            let key = new_key();
            conn.execute("INSERT INTO fingerprint_key (key) VALUES (?1)", [&key[..]])?;
            key.to_vec()
        }
    };
    let digest = Sha256::new().chain_update(key).chain_update(subject).chain_update([0]).chain_update(value).finalize();
    Ok(hex(&digest[..16]))
}

#[expect(clippy::disallowed_methods, reason = "the key of fingerprints is made here, once for each data folder")]
fn new_key() -> [u8; 32] {
    rand::rng().random()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn begin(audit: &Audit, value: &str) -> Begun {
        audit.begin(NOW, &Actor::user(0), "forget", "email", value).unwrap()
    }

    #[test]
    fn an_entry_is_there_before_the_deed_and_completed_once() {
        let dir = TempDir::new().unwrap();
        let audit = Audit::of(dir.path());
        assert_eq!(audit.last(10).unwrap(), []);
        assert!(!dir.path().join(NAME).exists(), "looking makes no file");
        let first = begin(&audit, "ada@example.com");
        assert_eq!(audit.last(10).unwrap()[0].outcome, Outcome::Open);
        let forgotten = Outcome::Forgotten(Forgotten { pending: 3, dead: 2, in_flight: 1 });
        audit.end(first.id, &forgotten).unwrap();
        audit.end(first.id, &Outcome::Failed { words: "no".into() }).unwrap();
        let second = begin(&audit, "bob@example.com");

        let entries = audit.last(10).unwrap();
        assert_eq!(entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [first.id, second.id]);
        let expected = Entry {
            id: first.id,
            at: NOW,
            who: "root (uid 0)".into(),
            deed: "forget".into(),
            subject: "email".into(),
            fingerprint: first.fingerprint,
            outcome: forgotten,
        };
        assert_eq!(entries[0], expected);
        assert_eq!(audit.last(1).unwrap()[0].id, second.id);
        let json = serde_json::to_string(&expected).unwrap();
        assert_eq!(serde_json::from_str::<Entry>(&json).unwrap(), expected);
    }

    #[test]
    fn the_log_holds_fingerprints_that_lead_nowhere() {
        let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let audit = Audit::of(dir.path());
        let [first, again] = [0, 1].map(|_| begin(&audit, "ada@example.com").fingerprint);
        assert_eq!((first.len(), &first), (32, &again));
        assert_ne!(begin(&audit, "bob@example.com").fingerprint, first);
        assert_ne!(begin(&Audit::of(other.path()), "ada@example.com").fingerprint, first);
        let bytes = fs::read(dir.path().join(NAME)).unwrap();
        for text in ["ada@example.com", "b5fc85e55755f9e0d030a10ab4429b6b"] {
            assert!(memchr::memmem::find(&bytes, text.as_bytes()).is_none(), "{text}");
        }
        assert_eq!(fs::metadata(dir.path().join(NAME)).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_log_that_cannot_be_written_stops_the_deed() {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join(NAME), "no database, but a text of some length").unwrap();
        let error = Audit::of(dir.path()).begin(NOW, &Actor::user(0), "forget", "email", "x").unwrap_err();
        assert!(format!("{error:#}").contains("cannot open the audit log"), "{error:#}");
    }

    #[test]
    fn a_user_without_a_name_is_told_by_its_id() {
        assert_eq!(Actor::user(4_000_000_001).to_string(), "uid 4000000001");
    }
}
