//! Reading `history.db` beside the server: what is kept, and which versions decided.

use std::{collections::HashMap, path::Path, sync::Arc};

use anyhow::Context as _;
use rusqlite::Connection;
use serde::Serialize;

use super::{file, store::AGE};
use crate::{
    container::Container,
    kept::{
        DayKey,
        impact::{self, Impact, Remembered, Sample},
    },
    time::Timestamp,
};

/// What a version decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Served {
    pub version: Box<str>,
    /// When its first and its last hit came, to the second.
    pub first: Timestamp,
    pub last: Timestamp,
    pub hits: u64,
    pub events: u64,
}

pub(super) fn impact(path: &Path, old: &Container, new: &Container, now: Timestamp) -> anyhow::Result<Impact> {
    let Some(conn) = file::open_reader(path)? else { return Ok(impact::impact(&[], old, new)) };
    let Memory { events, sample, unreadable } =
        remembered(&conn, now).with_context(|| format!("cannot read {}; {}", path.display(), file::REMEDY))?;
    Ok(Impact { sample: Some(sample), unreadable, ..impact::impact(&events, old, new) })
}

/// What is kept of the last day.
struct Memory {
    events: Vec<Remembered>,
    sample: Sample,
    /// Written in a form of another version's.
    unreadable: u64,
}

fn remembered(conn: &Connection, now: Timestamp) -> anyhow::Result<Memory> {
    // One moment for both tables.
    let transaction = conn.unchecked_transaction()?;
    let mut keys = HashMap::new();
    let mut select = transaction.prepare("SELECT day, key FROM keys")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        keys.insert(row.get::<_, i64>(0)?, Arc::new(DayKey(row.get(1)?)));
    }
    let mut select = transaction.prepare("SELECT day, hits, event FROM kept WHERE at >= ?1 ORDER BY id")?;
    let mut rows = select.query([now.minus(AGE).0])?;
    let mut memory = Memory { events: Vec::new(), sample: Sample { kept: 0, of: 0 }, unreadable: 0 };
    while let Some(row) = rows.next()? {
        let hits = row.get::<_, i64>(1)?.cast_unsigned();
        memory.sample.kept += u64::from(hits > 0);
        memory.sample.of += hits;
        match serde_json::from_str(row.get_ref(2)?.as_str()?) {
            Ok(kept) => memory.events.push(Remembered { kept, key: keys.get(&row.get(0)?).cloned() }),
            Err(_) => memory.unreadable += 1,
        }
    }
    Ok(memory)
}

pub(super) fn versions_served(path: &Path) -> anyhow::Result<Vec<Served>> {
    let Some(conn) = file::open_reader(path)? else { return Ok(Vec::new()) };
    let read = || {
        let mut select = conn.prepare(
            "SELECT version, min(first), max(last), sum(hits), sum(events) FROM served GROUP BY version \
             ORDER BY max(last) DESC, version",
        )?;
        let rows = select.query_map([], |row| {
            Ok(Served {
                version: row.get::<_, String>(0)?.into(),
                first: Timestamp(row.get(1)?),
                last: Timestamp(row.get(2)?),
                hits: row.get::<_, i64>(3)?.cast_unsigned(),
                events: row.get::<_, i64>(4)?.cast_unsigned(),
            })
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    read().with_context(|| format!("cannot read {}", path.display()))
}
