//! The write queue: what waits for the writer's next group, bounded by bytes.
//! Takes hits, settlements and people's commands from any thread, gives them to the one writer, all at once.

use std::{
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{CALL_OVERHEAD, lock};
use crate::outbox::{AcceptError, CallId, Record, Settlement, StoreError};

/// So many hits are a group worth its commit, which costs six pages and a sync beside the hits' own pages: a third less
/// for each hit than in a group of ten, and what a group of a hundred would save beyond that is little.
const GROUP: usize = 32;

/// How long a busy writer waits for that many.
const GATHERING_TIME: Duration = Duration::from_micros(500);

/// After a group of so many hits more are expected to come; after a smaller one a hit is not kept waiting.
const BUSY_GROUP: usize = 8;

/// A hit's calls on their way to the disk.
pub(super) struct Accept {
    pub record: Record,
    pub answer: oneshot::Sender<Result<(), AcceptError>>,
}

/// Leases that ended.
pub(super) struct Settle {
    pub settled: Vec<Settled>,
    pub answer: oneshot::Sender<Result<(), StoreError>>,
}

pub(super) struct Settled {
    pub id: CallId,
    /// The account's row id.
    pub account: i64,
    pub settlement: Settlement,
}

/// What a person asked for. Whatever was queued before is written before.
pub(super) enum Command {
    Change { order: Order, ids: Vec<CallId>, answer: oneshot::Sender<Result<Vec<Changed>, StoreError>> },
    Scrub { answer: oneshot::Sender<Result<Scrubbed, StoreError>> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Replay,
    /// Not what is leased.
    Discard,
    /// What is leased, too.
    Forget,
}

/// A call that a command changed, and where it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Changed {
    pub id: CallId,
    pub from: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Pending,
    Leased,
    Dead,
}

/// How far the files are free of what was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scrubbed {
    /// There is more to do.
    InPart,
    Wholly,
}

/// What the writer takes at once.
#[derive(Default)]
pub(super) struct Batch {
    pub accepts: Vec<Accept>,
    pub settles: Vec<Settle>,
    pub commands: Vec<Command>,
    /// What the accepts weigh against the bound.
    bytes: usize,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.accepts.is_empty() && self.settles.is_empty() && self.commands.is_empty()
    }
}

/// Why the writer woke up.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wake {
    Work,
    /// Nothing came in time.
    Tick,
    /// Closed, and nothing is left.
    Closed,
}

pub(super) struct Intake {
    waiting: Mutex<Waiting>,
    work: Condvar,
    bound: usize,
}

struct Waiting {
    batch: Batch,
    /// Of every hit that has no answer yet, those being written included.
    bytes: usize,
    door: Door,
    writer: Writer,
    /// How many hits the writer took last.
    last_group: usize,
}

enum Door {
    Open,
    /// The disk takes no more hits for now; settlements and commands still pass.
    Refusing(AcceptError),
    Closed,
}

#[derive(PartialEq, Eq)]
enum Writer {
    Busy,
    /// Waits for anything.
    Asleep,
    /// Waits for a group that is worth its commit.
    Gathering,
}

impl Intake {
    pub fn new(bound: usize) -> Self {
        let waiting =
            Waiting { batch: Batch::default(), bytes: 0, door: Door::Open, writer: Writer::Busy, last_group: 0 };
        Self { waiting: Mutex::new(waiting), work: Condvar::new(), bound }
    }

    pub fn accept(&self, accept: Accept) -> Result<(), AcceptError> {
        let bytes = weight(&accept.record);
        let mut waiting = self.lock();
        waiting.door.admits_hits()?;
        if waiting.bytes.saturating_add(bytes) > self.bound {
            return Err(AcceptError::Busy);
        }
        waiting.bytes += bytes;
        waiting.batch.bytes += bytes;
        waiting.batch.accepts.push(accept);
        self.wake(waiting);
        Ok(())
    }

    pub fn settle(&self, settle: Settle) -> Result<(), StoreError> {
        let mut waiting = self.lock();
        waiting.door.is_not_closed()?;
        waiting.batch.settles.push(settle);
        self.wake(waiting);
        Ok(())
    }

    pub fn command(&self, command: Command) -> Result<(), StoreError> {
        let mut waiting = self.lock();
        waiting.door.is_not_closed()?;
        waiting.batch.commands.push(command);
        self.wake(waiting);
        Ok(())
    }

    /// Whether hits are let in; a full queue is not a reason here, as it empties within milliseconds.
    pub fn admits_hits(&self) -> Result<(), AcceptError> {
        self.lock().door.admits_hits()
    }

    pub fn is_not_closed(&self) -> Result<(), StoreError> {
        self.lock().door.is_not_closed()
    }

    /// Turns hits away from now on, with this answer.
    pub fn refuse_hits(&self, error: AcceptError) {
        let mut waiting = self.lock();
        if !matches!(waiting.door, Door::Closed) {
            waiting.door = Door::Refusing(error);
        }
    }

    /// Lets hits in again.
    pub fn admit_hits(&self) {
        let mut waiting = self.lock();
        if !matches!(waiting.door, Door::Closed) {
            waiting.door = Door::Open;
        }
    }

    /// Takes nothing more; what is queued is still written.
    pub fn close(&self) {
        let mut waiting = self.lock();
        waiting.door = Door::Closed;
        self.wake(waiting);
    }

    /// For a writer that is gone: closes, and lets go of what is queued, so that nobody waits for it.
    pub fn abandon(&self) {
        let mut waiting = self.lock();
        waiting.door = Door::Closed;
        waiting.batch = Batch::default();
    }

    /// Makes room for what a batch's hits weighed: before they are answered, so that whoever has an answer finds room.
    pub fn release(&self, batch: &mut Batch) {
        let bytes = mem::take(&mut batch.bytes);
        let mut waiting = self.lock();
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
    }

    /// Waits until there is work, and swaps it for the batch that was done.
    pub fn next(&self, batch: &mut Batch, patience: Duration) -> Wake {
        let mut waiting = self.lock();
        if waiting.batch.is_empty() && !matches!(waiting.door, Door::Closed) {
            waiting = self.wait(waiting, Writer::Asleep, patience);
        }
        if waiting.last_group >= BUSY_GROUP && !waiting.is_group() {
            waiting = self.wait(waiting, Writer::Gathering, GATHERING_TIME);
        }
        waiting.last_group = waiting.batch.accepts.len();
        match (waiting.batch.is_empty(), &waiting.door) {
            (false, _) => {
                mem::swap(batch, &mut waiting.batch);
                Wake::Work
            }
            (true, Door::Closed) => Wake::Closed,
            (true, _) => Wake::Tick,
        }
    }

    /// Waits as `writer` until it is woken.
    fn wait<'a>(
        &self,
        mut waiting: MutexGuard<'a, Waiting>,
        writer: Writer,
        patience: Duration,
    ) -> MutexGuard<'a, Waiting> {
        waiting.writer = writer;
        let idle = |waiting: &mut Waiting| waiting.writer != Writer::Busy;
        let slept = self.work.wait_timeout_while(waiting, patience, idle);
        waiting = slept.unwrap_or_else(PoisonError::into_inner).0;
        waiting.writer = Writer::Busy;
        waiting
    }

    /// A writer at work looks into the queue by itself before it sleeps: only a waiting one costs a system call.
    fn wake(&self, mut waiting: MutexGuard<'_, Waiting>) {
        let is_due = match waiting.writer {
            Writer::Busy => false,
            Writer::Asleep => true,
            Writer::Gathering => waiting.is_group(),
        };
        if is_due {
            waiting.writer = Writer::Busy;
            drop(waiting);
            self.work.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }
}

impl Waiting {
    /// Whether what waits is worth a commit, or must not wait.
    fn is_group(&self) -> bool {
        self.batch.accepts.len() >= GROUP || !self.batch.commands.is_empty() || matches!(self.door, Door::Closed)
    }
}

impl Door {
    fn admits_hits(&self) -> Result<(), AcceptError> {
        match self {
            Self::Open => Ok(()),
            Self::Refusing(error) => Err(error.clone()),
            Self::Closed => Err(AcceptError::Closed),
        }
    }

    fn is_not_closed(&self) -> Result<(), StoreError> {
        match self {
            Self::Open | Self::Refusing(_) => Ok(()),
            Self::Closed => Err(closed()),
        }
    }
}

/// What a caller hears after the end.
pub(super) fn closed() -> StoreError {
    StoreError(anyhow::anyhow!("the outbox is closed"))
}

fn weight(record: &Record) -> usize {
    let of_call = |call: &crate::call::Call| {
        CALL_OVERHEAD + call.body.len() + call.tag.len() + call.event.id.len() + call.event.name.len()
    };
    record.calls.iter().map(of_call).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{hit::HitId, time::Timestamp};

    const FOREVER: Duration = Duration::from_hours(1);

    fn put(intake: &Intake, hits: usize) {
        for _ in 0..hits {
            let record = Record {
                hit: HitId(uuid::Uuid::nil()),
                accepted: Timestamp(0),
                version: "v".into(),
                calls: Vec::new(),
            };
            intake.accept(Accept { record, answer: oneshot::channel().0 }).unwrap();
        }
    }

    #[test]
    fn a_busy_writer_gathers_a_group_but_waits_for_none() {
        let intake = Intake::new(usize::MAX);
        let take = || {
            let mut batch = Batch::default();
            let wake = intake.next(&mut batch, FOREVER);
            (wake, batch.accepts.len())
        };
        put(&intake, BUSY_GROUP);
        assert_eq!(take(), (Wake::Work, BUSY_GROUP));
        put(&intake, 1);
        assert_eq!(take(), (Wake::Work, 1), "nothing more came");
        put(&intake, GROUP + 1);
        assert_eq!(take(), (Wake::Work, GROUP + 1));
        put(&intake, 1);
        intake.close();
        assert_eq!(take(), (Wake::Work, 1));
        assert_eq!(take(), (Wake::Closed, 0));
    }
}
