//! The embedded outbox: one SQLite file, one writer thread, group commit.
