//! The schema of `outbox.db`, version by version.

/// What brings the schema from each version to the next; `user_version` counts those that were applied.
pub(super) const MIGRATIONS: &[&str] = &[VERSION_1];

const VERSION_1: &str = "
-- Times are milliseconds since 1970-01-01T00:00:00Z. Delivered calls are deleted: what is here is still to be done.

CREATE TABLE accounts (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL UNIQUE,        -- as JSON
    name TEXT NOT NULL                   -- the same for people
);

-- Calls that wait for their delivery. AUTOINCREMENT: an id is never used again, not even after the table was emptied.
CREATE TABLE calls (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES accounts (id),
    accepted INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    hit TEXT NOT NULL,
    tag TEXT NOT NULL,
    event_id TEXT NOT NULL,
    event_name TEXT NOT NULL,
    event_time INTEGER NOT NULL,
    version TEXT NOT NULL,
    body TEXT NOT NULL                   -- last, so that the rest is read without it
);

-- Calls that were given up on. A call keeps its id.
CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts (id),
    accepted INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    hit TEXT NOT NULL,
    tag TEXT NOT NULL,
    event_id TEXT NOT NULL,
    event_name TEXT NOT NULL,
    event_time INTEGER NOT NULL,
    version TEXT NOT NULL,
    died INTEGER NOT NULL,
    reason TEXT NOT NULL,
    status INTEGER,                      -- the destination's last HTTP status, if it answered
    words TEXT NOT NULL,
    body TEXT                            -- NULL once it is too old to be delivered
);

CREATE INDEX dead_letters_with_body ON dead_letters (event_time) WHERE body IS NOT NULL;

-- Written and emptied to find out whether a failed disk takes writes again.
CREATE TABLE probe (filler BLOB NOT NULL);
";
