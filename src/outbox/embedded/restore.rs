//! The queues as the file has them, when it is opened.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use anyhow::Context as _;
use rusqlite::Connection;

use super::{
    file::call_id,
    queue::{Queue, Span},
    queues::Queues,
};
use crate::{call::Account, time::Timestamp};

/// Counts what is pending and dead; reads no bodies. Removes accounts that have neither.
pub(super) fn queues(conn: &Connection, bound: usize) -> anyhow::Result<Queues> {
    conn.execute(
        "DELETE FROM accounts
         WHERE id NOT IN (SELECT account FROM calls) AND id NOT IN (SELECT account FROM dead_letters)",
        [],
    )?;
    let (mut pending, dead) = (pending(conn)?, dead(conn)?);
    let mut queues = Queues::new(bound);
    for (row, account) in accounts(conn)? {
        let (pending, dead) = (pending.remove(&row), dead.get(&row).copied().unwrap_or(0));
        queues.add(row, &account, |account, arrival| Queue::restored(account, arrival, pending, dead));
    }
    Ok(queues)
}

/// One scan, instead of an index that every accepted call would pay for.
fn pending(conn: &Connection) -> rusqlite::Result<HashMap<i64, Span>> {
    let mut spans: HashMap<i64, Span> = HashMap::new();
    let mut select = conn.prepare("SELECT id, account, accepted FROM calls ORDER BY id")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let id = call_id(row.get(0)?);
        match spans.entry(row.get(1)?) {
            Entry::Occupied(mut span) => {
                span.get_mut().last = id;
                span.get_mut().count += 1;
            }
            Entry::Vacant(place) => {
                place.insert(Span { first: id, accepted: Timestamp(row.get(2)?), last: id, count: 1 });
            }
        }
    }
    Ok(spans)
}

fn dead(conn: &Connection) -> rusqlite::Result<HashMap<i64, u64>> {
    let mut select = conn.prepare("SELECT account, count(*) FROM dead_letters GROUP BY account")?;
    let counts = select.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
    counts.collect()
}

fn accounts(conn: &Connection) -> anyhow::Result<Vec<(i64, Arc<Account>)>> {
    let mut select = conn.prepare("SELECT id, account FROM accounts")?;
    let mut rows = select.query([])?;
    let mut accounts = Vec::new();
    while let Some(row) = rows.next()? {
        let text = row.get_ref(1)?.as_str()?;
        let account: Account = serde_json::from_str(text).with_context(|| format!("`{text}` is not an account"))?;
        accounts.push((row.get(0)?, Arc::new(account)));
    }
    Ok(accounts)
}
