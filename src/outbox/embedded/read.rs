//! Reads pending calls back from the file, for leases whose bodies are not in memory.
//! Takes a connection and what is lacking; gives calls in the order of their ids.

use anyhow::Context as _;
use bytes::Bytes;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::{
    CALL_OVERHEAD,
    file::{call_id, rowid},
    queue::{Reading, Shortage, Span},
};
use crate::{
    call::CallEvent,
    hit::HitId,
    outbox::{CallId, Leased},
    time::Timestamp,
};

/// How many rows one statement looks at: a long one would keep the write-ahead log from starting over.
const ROWS_AT_ONCE: i64 = 5_000;

/// How much to read.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// What the lease takes at most.
    pub calls: usize,
    pub bytes: usize,
    /// How many bytes may stay in memory for later leases.
    pub ahead: usize,
}

/// Reads what a lease lacks.
pub(super) fn read(conn: &Connection, account: i64, shortage: &Shortage, limits: Limits) -> anyhow::Result<Reading> {
    let mut reading = Reading::default();
    let mut bytes = read_unread(conn, &shortage.unread, limits, &mut reading)?;
    let Some(tail) = shortage.tail else { return Ok(reading) };
    let Reading { calls, from_tail, .. } = &mut reading;
    let rest = scan(conn, account, tail, |row, id, accepted| {
        let lease_is_full = calls.len() >= limits.calls || bytes >= limits.bytes;
        if lease_is_full && bytes + calls.len() * CALL_OVERHEAD >= limits.ahead {
            return Ok(Seen::Enough);
        }
        let call = leased(row, id, accepted)?;
        bytes += call.body.len();
        *from_tail += 1;
        calls.push(call);
        Ok(Seen::Taken)
    })?;
    Ok(Reading { rest, ..reading })
}

/// The first call of a span that the file still has, and when it was accepted.
pub(super) fn first(conn: &Connection, account: i64, span: Span) -> anyhow::Result<Option<(CallId, Timestamp)>> {
    scan(conn, account, span, |_, _, _| Ok(Seen::Enough))
}

/// Reads single calls up to the lease's size; gives the size of their bodies.
fn read_unread(conn: &Connection, ids: &[CallId], limits: Limits, reading: &mut Reading) -> anyhow::Result<usize> {
    let mut bytes = 0;
    let mut select = conn.prepare_cached(
        "SELECT id, account, accepted, attempts, hit, tag, event_id, event_name, event_time, body
         FROM calls WHERE id = ?1",
    )?;
    for &id in ids {
        if bytes >= limits.bytes && !reading.calls.is_empty() {
            break;
        }
        let mut rows = select.query([rowid(id)])?;
        match rows.next()? {
            Some(row) => {
                let call = leased(row, id, Timestamp(row.get(2)?))?;
                bytes += call.body.len();
                reading.calls.push(call);
            }
            None => reading.missing.push(id),
        }
    }
    Ok(bytes)
}

/// What a scan does after a row.
enum Seen {
    Taken,
    /// Stops at this row, which was not taken.
    Enough,
}

/// Walks over an account's calls in a span; gives the one it stopped at, or `None` at the end.
fn scan(
    conn: &Connection,
    account: i64,
    span: Span,
    mut see: impl FnMut(&Row<'_>, CallId, Timestamp) -> anyhow::Result<Seen>,
) -> anyhow::Result<Option<(CallId, Timestamp)>> {
    let mut select = conn.prepare_cached(
        "SELECT id, account, accepted, attempts, hit, tag, event_id, event_name, event_time, body
         FROM calls WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3",
    )?;
    let mut from = rowid(span.first);
    loop {
        let mut rows = select.query(params![from, rowid(span.last), ROWS_AT_ONCE])?;
        let mut looked_at = 0;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            looked_at += 1;
            from = id + 1;
            if row.get::<_, i64>(1)? != account {
                continue;
            }
            let accepted = Timestamp(row.get(2)?);
            if let Seen::Enough = see(row, call_id(id), accepted)? {
                return Ok(Some((call_id(id), accepted)));
            }
        }
        if looked_at < ROWS_AT_ONCE {
            return Ok(None);
        }
    }
}

fn leased(row: &Row<'_>, id: CallId, accepted: Timestamp) -> anyhow::Result<Leased> {
    Ok(Leased {
        id,
        hit: hit_id(row.get_ref(4)?.as_str()?)?,
        tag: row.get(5)?,
        event: CallEvent { id: row.get(6)?, name: row.get(7)?, time: Timestamp(row.get(8)?) },
        attempts: row.get(3)?,
        accepted,
        body: Bytes::copy_from_slice(row.get_ref(9)?.as_str()?.as_bytes()),
    })
}

pub(super) fn hit_id(text: &str) -> anyhow::Result<HitId> {
    Ok(HitId(Uuid::try_parse(text).with_context(|| format!("`{text}` is not a hit's id"))?))
}
