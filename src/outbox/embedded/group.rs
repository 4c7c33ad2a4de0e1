//! One group commit: settlements and hits in one transaction.
//! Takes what the writer took from its queue; all of it is in the file afterwards, or nothing.

use std::{collections::HashMap, sync::Arc};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::{
    file::{call_id, rowid},
    intake::{Accept, Settle},
};
use crate::{
    call::{Account, Call},
    outbox::{CallId, Death, DeathReason, Record, Settlement},
};

/// Writes a group. `accounts` holds the row id of the account of each call of `accepts`, in order; the ids that the
/// calls got are left in `ids`, in the same order.
pub(super) fn write(
    conn: &mut Connection,
    settles: &[Settle],
    accepts: &[Accept],
    accounts: &[i64],
    ids: &mut Vec<CallId>,
) -> rusqlite::Result<()> {
    ids.clear();
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // First, so that the calls find the pages that they free.
    settle(&transaction, settles)?;
    insert(&transaction, accepts, accounts, ids)?;
    transaction.commit()
}

/// The row id of an account, which gets one if it has none.
pub(super) fn account_row(conn: &Connection, account: &Account) -> rusqlite::Result<i64> {
    let json = serde_json::to_string(account).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO accounts (account, name) VALUES (?1, ?2)
         ON CONFLICT (account) DO UPDATE SET name = excluded.name RETURNING id",
    )?;
    insert.query_row(params![json, account.to_string()], |row| row.get(0))
}

fn insert(
    transaction: &Transaction<'_>,
    accepts: &[Accept],
    accounts: &[i64],
    ids: &mut Vec<CallId>,
) -> rusqlite::Result<()> {
    if accepts.is_empty() {
        return Ok(());
    }
    let mut insert = transaction.prepare_cached(
        "INSERT INTO calls (account, accepted, hit, tag, event_id, event_name, event_time, version, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let mut buffer = uuid::Uuid::encode_buffer();
    for ((record, call), account) in calls(accepts).zip(accounts) {
        let hit: &str = record.hit.0.simple().encode_lower(&mut buffer);
        let id = insert.insert(params![
            account,
            record.accepted.0,
            hit,
            &*call.tag,
            &*call.event.id,
            &*call.event.name,
            call.event.time.0,
            &*record.version,
            &*call.body,
        ])?;
        ids.push(call_id(id));
    }
    Ok(())
}

/// Every call of a group, with the record it belongs to.
pub(super) fn calls(accepts: &[Accept]) -> impl Iterator<Item = (&Record, &Call)> {
    accepts.iter().flat_map(|accept| accept.record.calls.iter().map(|call| (&accept.record, call)))
}

fn settle(transaction: &Transaction<'_>, settles: &[Settle]) -> rusqlite::Result<()> {
    let mut delivered = Vec::new();
    for settled in settles.iter().flat_map(|settle| &settle.settled) {
        match &settled.settlement {
            Settlement::Delivered => delivered.push(rowid(settled.id)),
            Settlement::PutBack => {}
            Settlement::Retry { .. } => {
                transaction
                    .prepare_cached("UPDATE calls SET attempts = attempts + 1 WHERE id = ?1")?
                    .execute([rowid(settled.id)])?;
            }
            Settlement::Dead(death) => bury(transaction, rowid(settled.id), death)?,
        }
    }
    delete(transaction, delivered)
}

/// Deletes calls. Leases take an account's calls in order, so ids mostly come in runs: one statement deletes a run.
pub(super) fn delete(transaction: &Transaction<'_>, mut ids: Vec<i64>) -> rusqlite::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    ids.sort_unstable();
    let mut delete = transaction.prepare_cached("DELETE FROM calls WHERE id BETWEEN ?1 AND ?2")?;
    for run in ids.chunk_by(|before, after| after - before <= 1) {
        if let (Some(first), Some(last)) = (run.first(), run.last()) {
            delete.execute([first, last])?;
        }
    }
    Ok(())
}

/// Moves a call to the dead letters.
fn bury(transaction: &Transaction<'_>, id: i64, death: &Death) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO dead_letters (id, account, accepted, attempts, hit, tag, event_id, event_name, event_time, version,
                                   died, reason, status, words, body)
         SELECT id, account, accepted, attempts, hit, tag, event_id, event_name, event_time, version, ?2, ?3, ?4, ?5, body
         FROM calls WHERE id = ?1",
    )?;
    insert.execute(params![id, death.at.0, reason_text(death.reason), death.status, death.words])?;
    transaction.prepare_cached("DELETE FROM calls WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// A reason as the file has it; [`reason`] reads it back.
fn reason_text(reason: DeathReason) -> &'static str {
    match reason {
        DeathReason::Refused => "refused",
        DeathReason::TooOld => "too_old",
        DeathReason::TooLarge => "too_large",
    }
}

pub(super) fn reason(text: &str) -> anyhow::Result<DeathReason> {
    [DeathReason::Refused, DeathReason::TooOld, DeathReason::TooLarge]
        .into_iter()
        .find(|reason| reason_text(*reason) == text)
        .ok_or_else(|| anyhow::anyhow!("`{text}` is not a reason for giving a call up"))
}

/// Account row ids by account. Most calls of a group share a few accounts, and those are shared pointers: the account
/// of the call before is tried first, without hashing.
pub(super) struct AccountRows {
    rows: HashMap<Arc<Account>, i64>,
    last: Option<(Arc<Account>, i64)>,
}

impl AccountRows {
    pub fn new(rows: HashMap<Arc<Account>, i64>) -> Self {
        Self { rows, last: None }
    }

    pub fn get(&mut self, account: &Arc<Account>) -> Option<i64> {
        if let Some((last, row)) = &self.last
            && Arc::ptr_eq(last, account)
        {
            return Some(*row);
        }
        let row = *self.rows.get(account)?;
        self.last = Some((Arc::clone(account), row));
        Some(row)
    }

    pub fn insert(&mut self, account: Arc<Account>, row: i64) {
        self.rows.insert(account, row);
    }
}
