//! What people ask of the store: to replay calls, to discard them, to forget them. Run by the writer, each in a transaction
//! of its own. Takes ids as they came, valid or not; gives the calls that were changed.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use super::{
    Shared,
    file::rowid,
    group,
    intake::{Changed, Order, Place},
    lock,
    queue::{Queue, Span, Withdrawal},
    read,
};
use crate::{
    outbox::{CallId, Settlement},
    time::Timestamp,
};

/// Changes the calls with these ids.
pub(super) fn change(
    shared: &Shared,
    conn: &mut Connection,
    order: Order,
    mut ids: Vec<CallId>,
) -> anyhow::Result<Vec<Changed>> {
    ids.sort_unstable();
    ids.dedup();
    // A read that is under way could bring back into memory what is changed here: wait for it, and let none begin.
    let _no_reads = lock(&shared.reads);
    match order {
        Order::Replay => replay(shared, conn, &ids),
        Order::Discard | Order::Forget => delete(shared, conn, order, &ids),
    }
}

fn replay(shared: &Shared, conn: &mut Connection, ids: &[CallId]) -> anyhow::Result<Vec<Changed>> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut revived = Vec::new();
    for &id in ids {
        revived.extend(revive(&transaction, id)?);
    }
    transaction.commit()?;

    let mut queues = shared.queues();
    for &(id, account, accepted) in &revived {
        queues.change(account, |queue| queue.replay(id, accepted));
    }
    drop(queues);
    shared.ring(revived.iter().map(|(_, account, _)| *account));
    Ok(revived.into_iter().map(|(id, ..)| Changed { id, from: Place::Dead }).collect())
}

/// Moves a dead letter that still has its body to the pending calls; gives its account and when it was accepted.
fn revive(transaction: &Transaction<'_>, id: CallId) -> rusqlite::Result<Option<(CallId, i64, Timestamp)>> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO calls (id, account, accepted, attempts, hit, tag, event_id, event_name, event_time, version, body)
         SELECT id, account, accepted, 0, hit, tag, event_id, event_name, event_time, version, body
         FROM dead_letters WHERE id = ?1 AND body IS NOT NULL
         RETURNING account, accepted",
    )?;
    let revived = insert.query_row([rowid(id)], |row| Ok((id, row.get(0)?, Timestamp(row.get(1)?)))).optional()?;
    if revived.is_some() {
        transaction.prepare_cached("DELETE FROM dead_letters WHERE id = ?1")?.execute([rowid(id)])?;
    }
    Ok(revived)
}

/// Deletes calls wherever they are; leased ones only if that is the order.
fn delete(shared: &Shared, conn: &mut Connection, order: Order, ids: &[CallId]) -> anyhow::Result<Vec<Changed>> {
    let pending = find_pending(conn, ids)?;
    let mut withdrawn = Withdrawn::default();
    {
        let mut queues = shared.queues();
        for &(id, account) in &pending {
            match queues.change(account, |queue| queue.withdraw(id)) {
                Some(Withdrawal::Held) => withdrawn.held.push((id, account)),
                Some(Withdrawal::InTail) => withdrawn.in_tail.push((id, account)),
                Some(Withdrawal::Leased) if order == Order::Forget => withdrawn.leased.push((id, account)),
                Some(Withdrawal::Leased) | None => {}
            }
        }
    }
    let deleted = delete_rows(conn, ids, &withdrawn);
    let end = if deleted.is_ok() { Settlement::Delivered } else { Settlement::PutBack };
    let mut queues = shared.queues();
    for &(id, account) in &withdrawn.held {
        queues.change(account, |queue| queue.settle(id, &end));
    }
    let dead = deleted?;
    for &(id, account) in &withdrawn.leased {
        queues.recall(id, account);
    }
    for &(_, account) in &dead {
        queues.change(account, |queue| queue.forget_dead(1));
    }
    drop(queues);
    shorten_tails(shared, conn, &withdrawn.in_tail);
    let Withdrawn { held, in_tail, leased } = withdrawn;
    let places = [(held, Place::Pending), (in_tail, Place::Pending), (leased, Place::Leased), (dead, Place::Dead)];
    let changed =
        places.into_iter().flat_map(|(calls, from)| calls.into_iter().map(move |(id, _)| Changed { id, from }));
    Ok(changed.collect())
}

/// Pending calls that are about to be deleted, each with its account. Deliveries cannot lease them meanwhile.
#[derive(Default)]
struct Withdrawn {
    held: Vec<(CallId, i64)>,
    in_tail: Vec<(CallId, i64)>,
    /// These they have already.
    leased: Vec<(CallId, i64)>,
}

fn find_pending(conn: &Connection, ids: &[CallId]) -> rusqlite::Result<Vec<(CallId, i64)>> {
    let mut select = conn.prepare_cached("SELECT account FROM calls WHERE id = ?1")?;
    let mut find = |id: &CallId| select.query_row([rowid(*id)], |row| Ok((*id, row.get(0)?))).optional();
    ids.iter().filter_map(|id| find(id).transpose()).collect()
}

/// Deletes the withdrawn calls, and those of `ids` that are dead letters; gives the latter, each with its account.
fn delete_rows(conn: &mut Connection, ids: &[CallId], withdrawn: &Withdrawn) -> rusqlite::Result<Vec<(CallId, i64)>> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let pending = withdrawn.held.iter().chain(&withdrawn.in_tail).chain(&withdrawn.leased);
    group::delete(&transaction, pending.map(|(id, _)| rowid(*id)).collect())?;
    let mut dead = Vec::new();
    for &id in ids {
        let mut delete = transaction.prepare_cached("DELETE FROM dead_letters WHERE id = ?1 RETURNING account")?;
        dead.extend(delete.query_row([rowid(id)], |row| Ok((id, row.get(0)?))).optional()?);
    }
    transaction.commit()?;
    Ok(dead)
}

/// Takes calls that were deleted out of the tails; where a tail has lost its first call, the file tells the next.
fn shorten_tails(shared: &Shared, conn: &Connection, deleted: &[(CallId, i64)]) {
    let mut by_account: BTreeMap<i64, u64> = BTreeMap::new();
    for (_, account) in deleted {
        *by_account.entry(*account).or_default() += 1;
    }
    for (account, count) in by_account {
        let Some(tail) = shared.queues().change(account, Queue::whole_tail).flatten() else { continue };
        let first = read::first(conn, account, tail).unwrap_or_else(|error| {
            tracing::warn!(error = format!("{error:#}"), "cannot find the oldest call that is left of a tail");
            Some((tail.first, tail.accepted))
        });
        let count = tail.count.saturating_sub(count).max(1);
        let shortened = first.map(|(first, accepted)| Span { first, accepted, count, ..tail });
        shared.queues().change(account, |queue| queue.set_tail(shortened));
    }
}

/// Drops the bodies of some dead letters whose events happened before `limit`; gives how many. The rest stays for
/// people to look at.
pub(super) fn drop_bodies(conn: &Connection, limit: Timestamp, at_most: usize) -> rusqlite::Result<usize> {
    let mut update = conn.prepare_cached(
        "UPDATE dead_letters SET body = NULL WHERE id IN
         (SELECT id FROM dead_letters WHERE body IS NOT NULL AND event_time < ?1 LIMIT ?2)",
    )?;
    update.execute((limit.0, i64::try_from(at_most).unwrap_or(i64::MAX)))
}
