//! What was accepted lately and is still in the file: takes a time, shows the calls accepted since, without their bodies.

use std::{collections::HashMap, sync::Arc};

use anyhow::Context as _;
use rusqlite::{Connection, Row, params};

use super::read;
use crate::{
    call::{Account, CallEvent},
    deduplication::PastCall,
    time::Timestamp,
};

/// From the end back to the first row that is older: ids ascend with time, so no index is needed. A replayed dead letter
/// and a clock that was set back break that rule, and cost some calls their place here, nothing more.
const RECENT: &str = "
SELECT id, account, hit, tag, event_id, event_name, event_time, accepted FROM calls
WHERE accepted >= ?1 AND id > coalesce((SELECT id FROM calls WHERE accepted < ?1 ORDER BY id DESC LIMIT 1), 0)
UNION ALL
SELECT id, account, hit, tag, event_id, event_name, event_time, accepted FROM dead_letters
WHERE accepted >= ?1 AND id > coalesce((SELECT id FROM dead_letters WHERE accepted < ?1 ORDER BY id DESC LIMIT 1), 0)
ORDER BY id";

/// Shows pending and dead calls in the order of their ids.
pub(super) fn show(
    conn: &Connection,
    accounts: &HashMap<i64, Arc<Account>>,
    since: Timestamp,
    mut see: impl FnMut(PastCall),
) -> anyhow::Result<()> {
    let mut select = conn.prepare(RECENT)?;
    let mut rows = select.query(params![since.0])?;
    while let Some(row) = rows.next()? {
        see(past_call(row, 0, accounts)?);
    }
    Ok(())
}

/// A call of which a row has what [`RECENT`] selects, from this column on.
pub(super) fn past_call(row: &Row<'_>, from: usize, accounts: &HashMap<i64, Arc<Account>>) -> anyhow::Result<PastCall> {
    let account = accounts.get(&row.get(from + 1)?).context("a call has no account")?;
    Ok(PastCall {
        hit: read::hit_id(row.get_ref(from + 2)?.as_str()?)?,
        tag: row.get(from + 3)?,
        account: Arc::clone(account),
        event: CallEvent { id: row.get(from + 4)?, name: row.get(from + 5)?, time: Timestamp(row.get(from + 6)?) },
        accepted: Timestamp(row.get(from + 7)?),
    })
}
