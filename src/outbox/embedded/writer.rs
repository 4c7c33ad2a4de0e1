//! The writer: the one thread that changes the file. Takes everything the write queue holds, makes it durable in one
//! commit, passes it on to the queues in memory, and only then answers. Between groups it does the store's chores and
//! watches over the disk.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use rusqlite::{Connection, ErrorCode};

use super::{
    Shared,
    checkpoint::CheckpointBell,
    chores::{self, Chores, Shrunk, Space},
    commands,
    disk::{Disk, Room},
    group::{self, AccountRows},
    intake::{Accept, Batch, Command, Settle, Wake, closed},
    log::{Log, Step},
    queue::Queue,
    ring,
};
use crate::{
    call::Call,
    hit::HitId,
    outbox::{AcceptError, CallId, Leased, Record, Settlement, StoreError},
    time::Timestamp,
};

/// How often an idle writer looks after the disk and its chores.
const TICK: Duration = Duration::from_secs(1);

/// How often it looks whether a disk that took no writes has recovered.
const RECHECK: Duration = Duration::from_millis(250);

/// What a probe writes: more than a small group, so that a disk with room for a page or two does not count as recovered.
const PROBE_BYTES: i32 = 256 * 1024;

pub(super) struct Writer {
    shared: Arc<Shared>,
    conn: Connection,
    disk: Disk,
    chores: Chores,
    bell: CheckpointBell,
    accounts: AccountRows,
    batch: Batch,
    /// Settlements that are not in the file yet; those of a group that failed stay here until they are.
    settles: Vec<Settle>,
    trouble: Trouble,
    log: Log,
    /// The write-ahead log's length, kept up to date by SQLite at every commit.
    log_pages: Arc<AtomicUsize>,
    /// Reused from group to group: the account of each call, and the id it got.
    rows: Vec<i64>,
    ids: Vec<CallId>,
}

/// What keeps hits from being written.
enum Trouble {
    None,
    /// The disk has less room than the reserve. Everything else is still written.
    BelowReserve(AcceptError),
    /// The last write failed. Nothing is written before a probe succeeds.
    Failed {
        error: AcceptError,
        probe_at: Instant,
    },
}

impl Writer {
    pub fn new(
        shared: Arc<Shared>,
        mut conn: Connection,
        disk: Disk,
        chores: Chores,
        bell: CheckpointBell,
    ) -> rusqlite::Result<Self> {
        let pages = Arc::new(AtomicUsize::new(0));
        let hook_pages = Arc::clone(&pages);
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, count| {
            hook_pages.store(usize::try_from(count).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        let accounts = AccountRows::new(shared.queues().rows());
        Ok(Self {
            shared,
            conn,
            disk,
            chores,
            bell,
            accounts,
            batch: Batch::default(),
            settles: Vec::new(),
            trouble: Trouble::None,
            log: Log::default(),
            log_pages: pages,
            rows: Vec::new(),
            ids: Vec::new(),
        })
    }

    /// Works until the queue is closed and empty; gives the connection back, to be closed last.
    pub fn run(mut self) -> Connection {
        let shared = Arc::clone(&self.shared);
        let _leaving = Leaving(&shared);
        loop {
            let patience = match self.trouble {
                Trouble::None => self.chores.patience(TICK),
                Trouble::BelowReserve(_) | Trouble::Failed { .. } => RECHECK,
            };
            if shared.intake.next(&mut self.batch, patience) == Wake::Closed {
                break;
            }
            self.do_chores();
            self.look_at_disk();
            self.write_group();
            self.run_commands();
            self.tend_log();
        }
        self.write_last();
        self.conn
    }

    fn do_chores(&mut self) {
        let space = match self.trouble {
            Trouble::None => Space::Ample,
            Trouble::BelowReserve(_) => Space::Scarce,
            Trouble::Failed { .. } => return,
        };
        if self.chores.run(&self.conn, space) == Shrunk::Yes {
            // The file itself becomes shorter only when the log is copied into it.
            self.bell.ring();
        }
    }

    /// Finds out whether hits may be written, and opens or closes the door to them.
    fn look_at_disk(&mut self) {
        if let Trouble::Failed { probe_at, .. } = self.trouble {
            if Instant::now() < probe_at {
                return;
            }
            if let Err(error) = self.probe() {
                self.fail(&error);
                return;
            }
            tracing::info!("the outbox can be written again");
            self.trouble = Trouble::None;
            self.shared.intake.admit_hits();
        }
        match (self.disk.room(), &self.trouble) {
            (Room::Enough, Trouble::BelowReserve(_)) => {
                tracing::info!("the disk is well again: hits are accepted");
                self.trouble = Trouble::None;
                self.shared.intake.admit_hits();
            }
            (Room::Enough, _) => {}
            (Room::BelowReserve { words }, before) => {
                if matches!(before, Trouble::None) {
                    tracing::error!(words, "hits are refused until the disk is well again");
                }
                let error = AcceptError::DiskFull { words };
                self.shared.intake.refuse_hits(error.clone());
                self.trouble = Trouble::BelowReserve(error);
            }
        }
    }

    /// Writes the settlements that wait, then as much as a group has and away again: works if a group would.
    fn probe(&mut self) -> rusqlite::Result<()> {
        self.write_settles()?;
        self.conn.execute("INSERT INTO probe (filler) VALUES (zeroblob(?1))", [PROBE_BYTES])?;
        self.conn.execute("DELETE FROM probe", [])?;
        Ok(())
    }

    /// Makes the batch durable in one commit, then answers.
    fn write_group(&mut self) {
        self.settles.append(&mut self.batch.settles);
        let accepts = mem::take(&mut self.batch.accepts);
        let written = match &self.trouble {
            Trouble::None if !accepts.is_empty() => return self.write_accepts(accepts),
            Trouble::None => self.write_settles(),
            Trouble::BelowReserve(error) => {
                let error = error.clone();
                self.refuse(accepts, &error);
                self.write_settles()
            }
            Trouble::Failed { error, .. } => {
                let error = error.clone();
                return self.refuse(accepts, &error);
            }
        };
        if let Err(error) = written {
            self.fail(&error);
        }
    }

    fn write_accepts(&mut self, mut accepts: Vec<Accept>) {
        let written = self
            .find_accounts(&accepts)
            .and_then(|()| group::write(&mut self.conn, &self.settles, &accepts, &self.rows, &mut self.ids));
        match written {
            Ok(()) => {
                self.finish_accepts(&mut accepts);
                // Empty by now; its memory serves the next group.
                self.batch.accepts = accepts;
                self.finish_settles();
            }
            Err(error) => {
                // The settlements stay: the next probe begins with them.
                let error = self.fail(&error);
                self.refuse(accepts, &error);
            }
        }
    }

    /// Looks the account of each call up, and gives those a row that have none. A row that remains without calls, as
    /// the group failed, does no harm: opening the file removes it.
    fn find_accounts(&mut self, accepts: &[Accept]) -> rusqlite::Result<()> {
        self.rows.clear();
        for (_, call) in group::calls(accepts) {
            let row = match self.accounts.get(&call.account) {
                Some(row) => row,
                None => {
                    let row = group::account_row(&self.conn, &call.account)?;
                    self.accounts.insert(Arc::clone(&call.account), row);
                    self.shared.queues().add(row, &call.account, Queue::new);
                    ring(&self.shared.appeared);
                    row
                }
            };
            self.rows.push(row);
        }
        Ok(())
    }

    fn write_settles(&mut self) -> rusqlite::Result<()> {
        if !self.settles.is_empty() {
            group::write(&mut self.conn, &self.settles, &[], &[], &mut self.ids)?;
            self.finish_settles();
        }
        Ok(())
    }

    /// Passes calls that are durable now on to the queues, answers their hits, and rings for their accounts.
    fn finish_accepts(&mut self, accepts: &mut Vec<Accept>) {
        let mut queues = self.shared.queues();
        let mut places = self.rows.iter().zip(&self.ids);
        for Record { hit, accepted, calls, .. } in accepts.iter_mut().map(|accept| &mut accept.record) {
            for (call, (row, id)) in calls.drain(..).zip(&mut places) {
                queues.accepted(*row, leased(*id, *hit, *accepted, call));
            }
        }
        drop(queues);
        self.shared.intake.release(&mut self.batch);
        for accept in accepts.drain(..) {
            // Whoever has gone away since does not need the answer.
            let _ = accept.answer.send(Ok(()));
        }
        self.shared.ring(self.rows.iter().copied());
    }

    fn refuse(&mut self, accepts: Vec<Accept>, error: &AcceptError) {
        self.shared.intake.release(&mut self.batch);
        for accept in accepts {
            let _ = accept.answer.send(Err(error.clone()));
        }
    }

    fn finish_settles(&mut self) {
        let mut queues = self.shared.queues();
        for settle in &self.settles {
            queues.settled(&settle.settled);
        }
        drop(queues);
        let settled = self.settles.iter().flat_map(|settle| &settle.settled);
        let back =
            settled.filter(|settled| matches!(settled.settlement, Settlement::Retry { .. } | Settlement::PutBack));
        self.shared.ring(back.map(|settled| settled.account));
        for settle in self.settles.drain(..) {
            let _ = settle.answer.send(Ok(()));
        }
    }

    fn run_commands(&mut self) {
        for command in self.batch.commands.drain(..) {
            // Whoever has gone away since does not need the answer.
            match command {
                Command::Change { order, ids, answer } => {
                    let changed = commands::change(&self.shared, &mut self.conn, order, ids);
                    let _ = answer.send(changed.map_err(StoreError));
                }
                Command::Scrub { answer } => {
                    let scrubbed = chores::scrub(&self.conn, &self.bell);
                    let _ = answer.send(scrubbed.map_err(|error| StoreError(error.into())));
                }
            }
        }
    }

    /// Stops writing until a probe succeeds; gives what hits are told.
    fn fail(&mut self, error: &rusqlite::Error) -> AcceptError {
        let words = error.to_string();
        if matches!(self.trouble, Trouble::Failed { .. }) {
            tracing::debug!(words, "the outbox still cannot be written");
        } else {
            tracing::error!(words, "the outbox cannot be written: hits are refused until it can");
        }
        let error = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => AcceptError::DiskFull { words },
            _ => AcceptError::Store { words },
        };
        self.shared.intake.refuse_hits(error.clone());
        self.trouble = Trouble::Failed { error: error.clone(), probe_at: Instant::now() + RECHECK };
        error
    }

    /// Has the log copied into the file beside the writer as it grows, so that it can begin anew.
    fn tend_log(&mut self) {
        let done = match self.log.step(self.log_pages.load(Ordering::Relaxed), self.bell.copied()) {
            Step::Nothing => Ok(()),
            Step::Copy => {
                self.bell.ring();
                Ok(())
            }
            Step::Finish => self.bell.finish(&self.conn),
            Step::Truncate => self.bell.truncate(&self.conn).inspect(|()| self.log_pages.store(0, Ordering::Relaxed)),
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the outbox's write-ahead log cannot begin anew: does someone read it?");
        }
    }

    /// One last attempt for what could not be written so far.
    fn write_last(&mut self) {
        if let Err(error) = self.write_settles() {
            let calls: usize = self.settles.iter().map(|settle| settle.settled.len()).sum();
            tracing::error!(%error, calls, "settlements are lost: these calls will be attempted once more");
        }
        for settle in self.settles.drain(..) {
            let _ = settle.answer.send(Err(closed()));
        }
    }
}

/// Closes the queue when the writer ends, even in a panic: nobody may wait for it then.
struct Leaving<'a>(&'a Shared);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.intake.abandon();
    }
}

/// A call as a delivery gets it. Moves its parts: nothing is copied.
fn leased(id: CallId, hit: HitId, accepted: Timestamp, call: Call) -> Leased {
    let body = Bytes::from(call.body.into_boxed_bytes());
    Leased { id, hit, tag: call.tag, event: call.event, attempts: 0, accepted, body }
}
