//! Passes over all calls in search of those that are to be forgotten. Takes wishes from any task; gives each the number of
//! calls that were forgotten for it.
//!
//! Anybody can ask for one, by withdrawing consent, so what they cost is bounded whatever comes. There is one pass at a
//! time, for all who wait: a call is read once for all of them. The next rests for four times as long as the one before
//! took, so that passes take a fifth of one processor at most. Wishes that would wait beyond a bound of bytes are turned
//! away. Where little waits, which is nearly always, a pass takes less than a millisecond.
//!
//! A call keeps its id when it dies or is replayed. So the calls are looked at in the order of their ids, pending and dead
//! ones by one statement, which sees one state of the file: none slips from one place to the other unseen.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rusqlite::{Connection, params};
use tokio::sync::oneshot;

use super::{
    COMMAND_IDS, Shared, blocking,
    file::call_id,
    intake::{Changed, Command, Order, Place, closed},
    lock,
    recent::past_call,
};
use crate::{
    call::Account,
    deduplication::PastCall,
    outbox::{
        CallId, Forgotten, See, StoreError,
        sought::{Looked, Search, Sought},
    },
};

/// Bytes of wishes that may wait for the next pass.
const WAITING_BYTES: usize = 1 << 20;

/// How many times as long as a pass took the next one rests.
const REST: u32 = 4;

/// How many calls one statement reads: a long one would keep the write-ahead log from starting over.
const CALLS_AT_ONCE: i64 = 1_000;

#[derive(Default)]
pub(super) struct Passes {
    waiting: Mutex<Waiting>,
    /// Held during a pass. Until when the next one rests.
    pub turn: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Waiting {
    wishes: Vec<Wish>,
    bytes: usize,
}

struct Wish {
    sought: Sought,
    see: See,
    answer: oneshot::Sender<Result<Forgotten, StoreError>>,
}

impl Passes {
    fn ask(&self, wish: Wish) -> Result<(), StoreError> {
        let bytes = wish.sought.weight() + size_of::<Wish>();
        let mut waiting = lock(&self.waiting);
        if waiting.bytes + bytes > WAITING_BYTES {
            return Err(StoreError(anyhow::anyhow!("too many wait for calls to be forgotten; try again later")));
        }
        waiting.bytes += bytes;
        waiting.wishes.push(wish);
        Ok(())
    }

    fn take(&self) -> Vec<Wish> {
        mem::take(&mut *lock(&self.waiting)).wishes
    }
}

/// Forgets what is sought, of all that was accepted before.
pub(super) async fn forget(shared: &Arc<Shared>, sought: Sought, see: See) -> Result<Forgotten, StoreError> {
    let (answer, done) = oneshot::channel();
    shared.passes.ask(Wish { sought, see, answer })?;
    // A task of its own: whoever asked may go away while others wait for the same pass.
    tokio::spawn(take_turn(Arc::clone(shared)));
    done.await.unwrap_or_else(|_| Err(closed()))
}

async fn take_turn(shared: Arc<Shared>) {
    let mut rest_until = shared.passes.turn.lock().await;
    if let Some(until) = *rest_until {
        tokio::time::sleep_until(until.into()).await;
    }
    let wishes = shared.passes.take();
    if wishes.is_empty() {
        return;
    }
    let (started, passing) = (Instant::now(), Arc::clone(&shared));
    let (mut sought, mut sees, mut answers) = (Vec::new(), Vec::new(), Vec::new());
    for wish in wishes {
        sought.push(wish.sought);
        sees.push(wish.see);
        answers.push(wish.answer);
    }
    let counts = blocking(move || pass(&passing, &sought, &mut sees)).await;
    *rest_until = Some(Instant::now() + started.elapsed().saturating_mul(REST).min(Duration::from_mins(1)));
    for (nth, answer) in answers.into_iter().enumerate() {
        let count = match &counts {
            Ok(counts) => Ok(counts.get(nth).copied().unwrap_or_default()),
            Err(error) => Err(StoreError(anyhow::anyhow!("{error}"))),
        };
        let _ = answer.send(count);
    }
}

/// Reads every call, and forgets what is sought; gives the counts for each, and shows what will not arrive.
fn pass(shared: &Shared, sought: &[Sought], sees: &mut [See]) -> anyhow::Result<Vec<Forgotten>> {
    let search = Search::new(sought);
    let mut counts = vec![Forgotten::default(); sought.len()];
    // What was accepted so far is in the file after this.
    change(shared, Vec::new())?;
    let (mut after, last) = (0, shared.look(last_id)?);
    let accounts = shared.queues().rows().into_iter().map(|(account, row)| (row, account)).collect();
    loop {
        let Matches { calls, read_up_to } = shared.look(|conn| find(conn, &search, &accounts, after, last))?;
        let ids: Vec<CallId> = calls.keys().copied().collect();
        for ids in ids.chunks(COMMAND_IDS) {
            for Changed { id, from } in change(shared, ids.to_vec())? {
                let Some((wishes, call)) = calls.get(&id) else { continue };
                for nth in wishes {
                    let Some(count) = counts.get_mut(*nth) else { continue };
                    if let Some(see) = sees.get_mut(*nth).filter(|_| from != Place::Leased) {
                        see(call.clone());
                    }
                    match from {
                        Place::Pending => count.pending += 1,
                        Place::Leased => count.in_flight += 1,
                        Place::Dead => count.dead += 1,
                    }
                }
            }
        }
        match read_up_to {
            Some(id) => after = id,
            None => return Ok(counts),
        }
    }
}

/// Has the writer forget calls, and waits for that.
fn change(shared: &Shared, ids: Vec<CallId>) -> anyhow::Result<Vec<Changed>> {
    let (answer, done) = oneshot::channel();
    shared.intake.command(Command::Change { order: Order::Forget, ids, answer })?;
    Ok(done.blocking_recv().unwrap_or_else(|_| Err(closed()))?)
}

/// The highest id that was ever given to a call.
fn last_id(conn: &Connection) -> anyhow::Result<i64> {
    let select = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'calls'), 0)";
    Ok(conn.query_row(select, [], |row| row.get(0))?)
}

/// What was found among some calls.
struct Matches {
    /// Each call that is sought, and by which wishes.
    calls: BTreeMap<CallId, (Vec<usize>, PastCall)>,
    /// Where to go on; `None` at the end.
    read_up_to: Option<i64>,
}

fn find(
    conn: &Connection,
    search: &Search<'_>,
    accounts: &HashMap<i64, Arc<Account>>,
    after: i64,
    last: i64,
) -> anyhow::Result<Matches> {
    let mut select = conn.prepare_cached(
        "SELECT id, event_id, body, NULL, id, account, hit, tag, event_id, event_name, event_time, accepted
         FROM calls WHERE id > ?1 AND id <= ?2
         UNION ALL
         SELECT id, event_id, body, words, id, account, hit, tag, event_id, event_name, event_time, accepted
         FROM dead_letters WHERE id > ?1 AND id <= ?2
         ORDER BY id LIMIT ?3",
    )?;
    let mut rows = select.query(params![after, last, CALLS_AT_ONCE])?;
    let (mut calls, mut read, mut up_to) = (BTreeMap::new(), 0, after);
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        (read, up_to) = (read + 1, id);
        let event_id = row.get_ref(1)?.as_str()?;
        let looked =
            Looked { event_id, body: row.get_ref(2)?.as_str_or_null()?, words: row.get_ref(3)?.as_str_or_null()? };
        let wishes = search.found(looked);
        if !wishes.is_empty() {
            calls.insert(call_id(id), (wishes, past_call(row, 4, accounts)?));
        }
    }
    Ok(Matches { calls, read_up_to: (read == CALLS_AT_ONCE).then_some(up_to) })
}
