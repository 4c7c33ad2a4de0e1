//! What people see of the store: pages of calls, and single ones. Takes queries as they came, valid or not.

use anyhow::{Context as _, bail};
use rusqlite::{Connection, Row, params};

use super::{
    file::{call_id, rowid},
    group, read,
};
use crate::{
    call::CallEvent,
    outbox::{CallId, CallState, Cursor, Death, ListQuery, Page, StoredCall},
    time::Timestamp,
};

/// The most calls on a page, whatever the query asks for.
const PAGE_CALLS: usize = 1_000;

/// How many rows one statement looks at: a long one would keep the write-ahead log from starting over.
const ROWS_AT_ONCE: usize = 5_000;

/// How many rows a page may look at before it is given as it is, when few of them are asked for.
const PAGE_ROWS: usize = 200_000;

const PENDING: &str =
    "SELECT calls.id, accounts.account, accepted, attempts, hit, tag, event_id, event_name, event_time,
    version, NULL, NULL, NULL, NULL, name, body FROM calls CROSS JOIN accounts ON accounts.id = calls.account";

const DEAD: &str =
    "SELECT dead_letters.id, accounts.account, accepted, attempts, hit, tag, event_id, event_name, event_time,
    version, died, reason, status, words, name, body
    FROM dead_letters CROSS JOIN accounts ON accounts.id = dead_letters.account";

/// One page of calls, without bodies.
///
/// # Errors
/// If the cursor is none that a page of the same list gave, or the file cannot be read.
pub(super) fn list(conn: &Connection, query: &ListQuery) -> anyhow::Result<Page> {
    let mut after = match &query.after {
        Some(cursor) => decode(cursor, query.state)?,
        None => 0,
    };
    let (columns, id) = match query.state {
        CallState::Pending => (PENDING, "calls.id"),
        CallState::Dead => (DEAD, "dead_letters.id"),
    };
    let mut select = conn.prepare_cached(&format!("{columns} WHERE {id} > ?1 ORDER BY {id} LIMIT ?2"))?;
    let limit = query.limit.min(PAGE_CALLS);
    let mut calls = Vec::new();
    for _ in 0..PAGE_ROWS / ROWS_AT_ONCE {
        let mut rows = select.query(params![after, ROWS_AT_ONCE.cast_signed()])?;
        let mut looked_at = 0;
        while let Some(row) = rows.next()? {
            looked_at += 1;
            if is_asked_for(row, query)? {
                if calls.len() == limit {
                    return Ok(Page { calls, next: Some(encode(after, query.state)) });
                }
                calls.push(stored_call(row)?);
            }
            after = row.get(0)?;
        }
        if looked_at < ROWS_AT_ONCE {
            return Ok(Page { calls, next: None });
        }
    }
    Ok(Page { calls, next: Some(encode(after, query.state)) })
}

/// One call with its body, pending or dead.
pub(super) fn show(conn: &Connection, id: CallId) -> anyhow::Result<Option<StoredCall>> {
    // One statement sees one state of the file: a call that dies meanwhile is found in one place or the other.
    let mut select =
        conn.prepare_cached(&format!("{PENDING} WHERE calls.id = ?1 UNION ALL {DEAD} WHERE dead_letters.id = ?1"))?;
    let mut rows = select.query([rowid(id)])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(StoredCall { body: row.get(15)?, ..stored_call(row)? }))
}

fn is_asked_for(row: &Row<'_>, query: &ListQuery) -> anyhow::Result<bool> {
    let (account, tag) = (row.get_ref(14)?.as_str()?, row.get_ref(5)?.as_str()?);
    Ok(query.filter.is_met(account, tag, Timestamp(row.get(2)?)))
}

/// Everything of a row but its body.
fn stored_call(row: &Row<'_>) -> anyhow::Result<StoredCall> {
    let account = row.get_ref(1)?.as_str()?;
    Ok(StoredCall {
        id: call_id(row.get(0)?),
        account: serde_json::from_str(account).with_context(|| format!("`{account}` is not an account"))?,
        hit: read::hit_id(row.get_ref(4)?.as_str()?)?,
        tag: row.get(5)?,
        event: CallEvent { id: row.get(6)?, name: row.get(7)?, time: Timestamp(row.get(8)?) },
        version: row.get(9)?,
        accepted: Timestamp(row.get(2)?),
        attempts: row.get(3)?,
        death: death(row)?,
        body: None,
    })
}

fn death(row: &Row<'_>) -> anyhow::Result<Option<Death>> {
    let Some(died) = row.get(10)? else { return Ok(None) };
    Ok(Some(Death {
        reason: group::reason(row.get_ref(11)?.as_str()?)?,
        status: row.get(12)?,
        words: row.get(13)?,
        at: Timestamp(died),
    }))
}

/// A cursor names the list and the last id that was looked at: what is added or removed meanwhile moves nothing.
fn encode(after: i64, state: CallState) -> Cursor {
    Cursor(format!("{}{after}", prefix(state)))
}

fn decode(Cursor(text): &Cursor, state: CallState) -> anyhow::Result<i64> {
    match text.strip_prefix(prefix(state)).map(str::parse) {
        Some(Ok(after)) if after >= 0 => Ok(after),
        _ => bail!("`{}` is not a place in this list", text.chars().take(40).collect::<String>().escape_debug()),
    }
}

fn prefix(state: CallState) -> char {
    match state {
        CallState::Pending => 'p',
        CallState::Dead => 'd',
    }
}
