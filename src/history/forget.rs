//! Forgetting kept events: takes texts, deletes every event in which one of them left a pseudonym. The texts themselves are
//! not there to be found.

use std::{collections::BTreeSet, path::Path};

use anyhow::Context as _;
use rusqlite::{Connection, TransactionBehavior, params};

use super::file;
use crate::kept::DayKey;

pub(super) fn forget(path: &Path, texts: &BTreeSet<String>) -> anyhow::Result<u64> {
    // Whatever is in a broken file cannot be looked for.
    file::remove(&file::aside(path)).context("cannot remove the history that was set aside")?;
    let Some(mut conn) = file::open_for_forgetting(path)? else { return Ok(0) };
    let forgotten = delete(&mut conn, texts).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(forgotten)
}

fn delete(conn: &mut Connection, texts: &BTreeSet<String>) -> rusqlite::Result<u64> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut select = transaction.prepare("SELECT day, key FROM keys")?;
    let keys = select.query_map([], |row| Ok((row.get::<_, i64>(0)?, DayKey(row.get(1)?))))?;
    let keys = keys.collect::<rusqlite::Result<Vec<_>>>()?;
    drop(select);
    let mut forgotten = 0;
    for (day, key) in keys {
        for text in texts {
            let pseudonym = key.pseudonym(text);
            let delete = "DELETE FROM kept WHERE day = ?1 AND (event_id = ?2 OR instr(event, ?2) > 0)";
            forgotten += transaction.execute(delete, params![day, pseudonym])?;
        }
    }
    transaction.commit()?;
    // So that the old pages are nowhere: not in the log either. A reader may be in the way, and then the log is copied a
    // little later.
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(forgotten as u64)
}
