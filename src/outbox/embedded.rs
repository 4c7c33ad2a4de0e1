//! The embedded outbox: one SQLite file, one writer thread, group commit.
//!
//! Takes hits' calls from any thread, gives them to deliveries, forgets them when they are delivered. The path of a call:
//!
//! 1. `intake` queues the hit, within a bound of bytes, and wakes the writer if it sleeps.
//! 2. `writer` takes everything queued, hits and settlements, has `group` write it in one commit, and answers.
//! 3. `queues` holds what is pending, a `queue` for each account. A call's body goes there straight from the commit;
//!    what does not fit into memory is read back later by `read`.
//! 4. A delivery leases calls from memory and settles them, by way of the same writer.
//! 5. `people` reads lists and single calls for the admin; the writer runs its `commands`. `forget` passes over everything.
//!
//! The file decides: memory is changed only after the commit, and is built anew from the file when it is opened.
//! The locks, in the order in which they may be taken: `reads`, then `queues`; all others are taken alone.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context as _;
use rusqlite::{Connection, MAIN_DB, wal::CheckpointMode};
use tokio::sync::{Notify, oneshot};

use self::{
    checkpoint::Checkpointer,
    chores::Chores,
    disk::{Disk, Identity},
    forget::Passes,
    intake::{Accept, Command, Intake, Order, Scrubbed, Settle, closed},
    queues::{Lease, Queues},
    read::Limits,
    writer::Writer,
};
use crate::{
    call::Account,
    outbox::{
        AcceptError, AccountState, BoxFuture, CallId, Forgotten, Leased, ListQuery, Outbox, Page, Record, See,
        Settlement, StoreError, StoredCall, sought::Sought,
    },
    time::Timestamp,
};

mod checkpoint;
mod chores;
mod commands;
mod disk;
mod file;
mod forget;
mod group;
mod intake;
mod log;
mod people;
mod queue;
mod queues;
mod read;
mod recent;
mod restore;
mod schema;
mod writer;

#[cfg(test)]
mod tests;

pub use self::{chores::Clock, disk::FreeSpace};

/// What a call costs in memory beside its body, about: counted against the bounds, so that many small calls are bounded too.
const CALL_OVERHEAD: usize = 256;

/// How many ids the writer takes from a person's command between two groups.
const COMMAND_IDS: usize = 1_000;

/// How often, and how soon again, the files are scrubbed while a reader keeps the write-ahead log from being emptied.
const SCRUB_ATTEMPTS: usize = 50;
const SCRUB_PAUSE: Duration = Duration::from_millis(100);

/// How an embedded outbox behaves.
#[derive(Clone)]
pub struct Options {
    /// Bytes of hits that may wait for the writer; beyond it they are refused as [`AcceptError::Busy`].
    pub queue_bytes: usize,
    /// Bytes of free disk below which hits are refused as [`AcceptError::DiskFull`], so that deliveries can still be
    /// settled.
    pub reserve_bytes: u64,
    /// Bytes of pending bodies kept in memory over all accounts, leased ones not counted; the rest is read from the file
    /// when its turn comes. A read may go beyond the bound by what one lease of each account takes.
    pub read_ahead_bytes: usize,
    /// The file never grows beyond this; hits are then refused as [`AcceptError::DiskFull`].
    pub max_file_bytes: u64,
    /// How long after its event a dead letter keeps its body.
    pub dead_body_age: Duration,
    /// Tells the time, to judge that age.
    pub clock: Clock,
    /// Tells how much disk is free.
    pub free_space: FreeSpace,
}

impl Default for Options {
    /// 32 MiB of waiting hits, 64 MiB of disk in reserve, 64 MiB read ahead, no limit to the file, seven days, the wall
    /// clock, `statvfs`.
    fn default() -> Self {
        Self {
            queue_bytes: 32 << 20,
            reserve_bytes: 64 << 20,
            read_ahead_bytes: 64 << 20,
            max_file_bytes: u64::MAX,
            dead_body_age: Duration::from_hours(7 * 24),
            clock: Arc::new(Timestamp::now),
            free_space: Arc::new(disk::statvfs),
        }
    }
}

/// The outbox in `outbox.db`. Dropping it closes it, as [`Outbox::close`] does, and waits for that.
pub struct Embedded {
    shared: Arc<Shared>,
    /// `None` once closed.
    threads: Arc<Mutex<Option<Threads>>>,
}

/// What all threads share.
struct Shared {
    intake: Intake,
    queues: Mutex<Queues>,
    /// Rings when an account appears.
    appeared: Arc<Notify>,
    /// The connection for leases that must read. Whoever holds it knows that no read is under way.
    reads: Mutex<Option<Connection>>,
    /// The connection for lists and single calls, and for passes.
    looks: Mutex<Option<Connection>>,
    passes: Passes,
}

struct Threads {
    writer: JoinHandle<Connection>,
    checkpointer: Checkpointer,
}

impl Embedded {
    /// Opens `outbox.db` in a folder that exists and that no other process uses; creates it if it is missing.
    /// Everything pending is due at once. It looks at every pending call once, so it takes longer the more is pending.
    ///
    /// # Errors
    /// If the file is not an outbox, was written by a newer version, or cannot be read and written. It is not changed then.
    pub fn open(dir: &Path, options: Options) -> anyhow::Result<Self> {
        let path = file::path(dir);
        Self::open_file(dir, &path, options).with_context(|| format!("cannot open the outbox {}", path.display()))
    }

    fn open_file(dir: &Path, path: &Path, options: Options) -> anyhow::Result<Self> {
        let conn = file::open_writer(path, options.max_file_bytes)?;
        let shared = Arc::new(Shared {
            intake: Intake::new(options.queue_bytes),
            queues: Mutex::new(restore::queues(&conn, options.read_ahead_bytes)?),
            appeared: Arc::new(Notify::new()),
            reads: Mutex::new(Some(file::open_reader(path)?)),
            looks: Mutex::new(Some(file::open_reader(path)?)),
            passes: Passes::default(),
        });
        let checkpointer = Checkpointer::start(file::open_checkpointer(path)?)?;
        let identity = Identity::of(dir.join(file::NAME)).context("cannot look at the outbox's file")?;
        let disk =
            Disk { dir: dir.to_owned(), file: identity, reserve: options.reserve_bytes, free: options.free_space };
        let chores = Chores::new(options.clock, options.dead_body_age);
        let writer = Writer::new(Arc::clone(&shared), conn, disk, chores, checkpointer.bell())?;
        let writer = thread::Builder::new().name("outbox-writer".into()).spawn(move || writer.run())?;
        Ok(Self { shared, threads: Arc::new(Mutex::new(Some(Threads { writer, checkpointer }))) })
    }

    async fn change(&self, order: Order, ids: &[CallId]) -> Result<usize, StoreError> {
        let mut changed = 0;
        for ids in ids.chunks(COMMAND_IDS) {
            let (answer, done) = oneshot::channel();
            self.shared.intake.command(Command::Change { order, ids: ids.to_vec(), answer })?;
            changed += done.await.unwrap_or_else(|_| Err(closed()))?.len();
        }
        Ok(changed)
    }

    /// Runs a query for people on a thread that may wait for the disk.
    async fn look<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.look(query)).await
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        close(&self.shared, &self.threads);
    }
}

impl Outbox for Embedded {
    fn accept(&self, record: Record) -> BoxFuture<'_, Result<(), AcceptError>> {
        Box::pin(async move {
            if record.calls.is_empty() {
                return Ok(());
            }
            let (answer, done) = oneshot::channel();
            self.shared.intake.accept(Accept { record, answer })?;
            done.await.unwrap_or(Err(AcceptError::Closed))
        })
    }

    fn arrival<'a>(&'a self, account: &'a Arc<Account>) -> BoxFuture<'a, ()> {
        // Rings from here on are heard, not only from the first poll.
        Box::pin(self.shared.queues().arrival(account).notified_owned())
    }

    fn accounts(&self) -> Vec<AccountState> {
        self.shared.queues().states()
    }

    fn new_account(&self) -> BoxFuture<'_, ()> {
        Box::pin(Arc::clone(&self.shared.appeared).notified_owned())
    }

    fn lease<'a>(
        &'a self,
        account: &'a Arc<Account>,
        max_calls: usize,
        max_bytes: usize,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<Leased>, StoreError>> {
        Box::pin(async move {
            self.shared.intake.is_not_closed()?;
            if max_calls == 0 {
                return Ok(Vec::new());
            }
            // A single call may be larger, so no lease is too small for any.
            let max_bytes = max_bytes.max(1);
            loop {
                let lease = self.shared.queues().lease(account, max_calls, max_bytes, now);
                let row = match lease {
                    Lease::Calls(calls) => return Ok(calls),
                    Lease::ReadFirst(row) => row,
                };
                let shared = Arc::clone(&self.shared);
                blocking(move || shared.read(row, max_calls, max_bytes)).await?;
                // What was read may be less than asked for, or gone to another lease by now.
                let calls = self.shared.queues().take(row, max_calls, max_bytes);
                if !calls.is_empty() {
                    return Ok(calls);
                }
            }
        })
    }

    /// Leases of this store do not run out.
    fn extend<'a>(&'a self, _: &'a [CallId]) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }

    fn settle(&self, settlements: Vec<(CallId, Settlement)>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.shared.intake.is_not_closed()?;
            let settled = self.shared.queues().end_leases(settlements);
            if settled.is_empty() {
                return Ok(());
            }
            let (answer, done) = oneshot::channel();
            self.shared.intake.settle(Settle { settled, answer })?;
            done.await.unwrap_or_else(|_| Err(closed()))
        })
    }

    fn list<'a>(&'a self, query: &'a ListQuery) -> BoxFuture<'a, Result<Page, StoreError>> {
        let query = query.clone();
        Box::pin(self.look(move |conn| people::list(conn, &query)))
    }

    fn show(&self, id: CallId) -> BoxFuture<'_, Result<Option<StoredCall>, StoreError>> {
        Box::pin(self.look(move |conn| people::show(conn, id)))
    }

    fn accepted_since(&self, since: Timestamp, see: See) -> BoxFuture<'_, Result<(), StoreError>> {
        let accounts = self.shared.queues().rows().into_iter().map(|(account, row)| (row, account)).collect();
        Box::pin(self.look(move |conn| recent::show(conn, &accounts, since, see)))
    }

    fn replay<'a>(&'a self, ids: &'a [CallId]) -> BoxFuture<'a, Result<usize, StoreError>> {
        Box::pin(self.change(Order::Replay, ids))
    }

    fn discard<'a>(&'a self, ids: &'a [CallId]) -> BoxFuture<'a, Result<usize, StoreError>> {
        Box::pin(self.change(Order::Discard, ids))
    }

    fn cancel<'a>(&'a self, sought: &'a Sought, see: See) -> BoxFuture<'a, Result<Forgotten, StoreError>> {
        Box::pin(forget::forget(&self.shared, sought.clone(), see))
    }

    fn scrub(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async {
            let mut attempts = 0;
            loop {
                let (answer, done) = oneshot::channel();
                self.shared.intake.command(Command::Scrub { answer })?;
                match done.await.unwrap_or_else(|_| Err(closed())) {
                    Ok(Scrubbed::Wholly) => return Ok(()),
                    Ok(Scrubbed::InPart) => {}
                    // The writer cannot wait for a reader to go away, but we can.
                    Err(_) if attempts < SCRUB_ATTEMPTS => {
                        attempts += 1;
                        tokio::time::sleep(SCRUB_PAUSE).await;
                    }
                    Err(StoreError(error)) => {
                        return Err(StoreError(error.context("the files still hold it; does someone read them?")));
                    }
                }
            }
        })
    }

    /// A write queue that is full at the moment is not reported: it empties within milliseconds.
    fn writable(&self) -> Result<(), AcceptError> {
        self.shared.intake.admits_hits()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        let (shared, threads) = (Arc::clone(&self.shared), Arc::clone(&self.threads));
        Box::pin(async move {
            let closing = blocking(move || {
                close(&shared, &threads);
                Ok(())
            });
            if let Err(error) = closing.await {
                tracing::error!(%error, "the outbox was not closed in order");
            }
        })
    }
}

impl Shared {
    /// Asks the file on behalf of people.
    fn look<T>(&self, query: impl FnOnce(&Connection) -> anyhow::Result<T>) -> anyhow::Result<T> {
        query(lock(&self.looks).as_ref().ok_or(closed().0)?)
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        lock(&self.queues)
    }

    /// Reads what a lease of this size lacks from the file.
    fn read(&self, row: i64, max_calls: usize, max_bytes: usize) -> anyhow::Result<()> {
        let reads = lock(&self.reads);
        let conn = reads.as_ref().ok_or(closed().0)?;
        let Some((shortage, ahead)) = self.queues().begin_read(row, max_calls, max_bytes) else { return Ok(()) };
        let limits = Limits { calls: max_calls, bytes: max_bytes, ahead };
        let reading = read::read(conn, row, &shortage, limits).context("cannot read pending calls back")?;
        self.queues().end_read(row, &shortage, reading);
        Ok(())
    }

    /// Wakes whoever waits for these accounts, given by row id.
    fn ring(&self, rows: impl Iterator<Item = i64>) {
        let mut rows: Vec<i64> = rows.collect();
        rows.sort_unstable();
        rows.dedup();
        let arrivals: Vec<_> = {
            let queues = self.queues();
            rows.iter().filter_map(|row| queues.arrival_of(*row)).collect()
        };
        arrivals.iter().for_each(|arrival| ring(arrival));
    }
}

/// Wakes all who wait, and the next who comes: it may be one who has just found nothing and is about to wait.
fn ring(bell: &Notify) {
    bell.notify_waiters();
    bell.notify_one();
}

/// Drains, checkpoints and closes. A second call waits for the first.
fn close(shared: &Shared, threads: &Mutex<Option<Threads>>) {
    shared.intake.close();
    let mut threads = lock(threads);
    let Some(Threads { writer, checkpointer }) = threads.take() else { return };
    let conn = writer.join();
    checkpointer.stop();
    // The last connection to close removes the log, which a reader may not do.
    lock(&shared.reads).take();
    lock(&shared.looks).take();
    match conn {
        Ok(conn) => close_file(conn),
        Err(_) => tracing::error!("the outbox's writer thread had panicked"),
    }
    // Deliveries that wait for calls learn of the end by leasing.
    let arrivals = shared.queues().all_arrivals();
    arrivals.iter().for_each(|arrival| ring(arrival));
    ring(&shared.appeared);
}

fn close_file(conn: Connection) {
    let checkpointed = conn.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::TRUNCATE);
    if let Err(error) = checkpointed.and_then(|_| conn.close().map_err(|(_, error)| error)) {
        tracing::warn!(%error, "the outbox's write-ahead log stays beside its file, to be read at the next start");
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(StoreError),
        Err(error) => Err(StoreError(error.into())),
    }
}

/// Locks; a panic in another thread must not spread to those that only share its data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
