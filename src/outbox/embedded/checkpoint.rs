//! Keeps the write-ahead log short: copies it back into the file, beside the writer rather than in its way.
//! Takes a word from the writer when the log has grown; a thread and a connection of its own do the work.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, MAIN_DB, wal::CheckpointMode};

use super::lock;
use crate::sqlite::PATIENCE;

/// How long the writer waits for readers, such as a person's `sqlite3`, before it lets the log grow on.
const READERS_PATIENCE: Duration = Duration::from_millis(20);

pub(super) struct Checkpointer {
    inner: Arc<Inner>,
    thread: JoinHandle<()>,
}

/// The writer's end.
#[derive(Clone)]
pub(super) struct CheckpointBell(Arc<Inner>);

struct Inner {
    asked: Mutex<Asked>,
    bell: Condvar,
    /// Held during a checkpoint: SQLite lets only one run at a time and would call the other busy.
    running: Mutex<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Checkpoint,
    Stop,
}

impl Checkpointer {
    pub fn start(conn: Connection) -> std::io::Result<Self> {
        let inner =
            Arc::new(Inner { asked: Mutex::new(Asked::Nothing), bell: Condvar::new(), running: Mutex::new(()) });
        let worker = Arc::clone(&inner);
        let thread = thread::Builder::new().name("outbox-checkpoint".into()).spawn(move || worker.run(&conn))?;
        Ok(Self { inner, thread })
    }

    pub fn bell(&self) -> CheckpointBell {
        CheckpointBell(Arc::clone(&self.inner))
    }

    /// Ends the thread and closes its connection.
    pub fn stop(self) {
        self.inner.ask(Asked::Stop);
        if self.thread.join().is_err() {
            tracing::error!("the outbox's checkpoint thread had panicked");
        }
    }
}

impl CheckpointBell {
    /// Asks for a checkpoint beside the writer, soon.
    pub fn ring(&self) {
        self.0.ask(Asked::Checkpoint);
    }

    /// Checkpoints on the writer's own connection and empties the log: what a checkpoint beside a busy writer never
    /// gets to, as there is always one more commit.
    pub fn truncate(&self, conn: &Connection) -> rusqlite::Result<()> {
        let _alone = lock(&self.0.running);
        conn.busy_timeout(READERS_PATIENCE)?;
        let truncated = conn.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::TRUNCATE);
        conn.busy_timeout(PATIENCE)?;
        truncated.map(|_| ())
    }
}

impl Inner {
    fn ask(&self, what: Asked) {
        let mut asked = lock(&self.asked);
        if *asked != Asked::Stop {
            *asked = what;
        }
        drop(asked);
        self.bell.notify_one();
    }

    fn run(&self, conn: &Connection) {
        loop {
            let asked = lock(&self.asked);
            let mut asked =
                self.bell.wait_while(asked, |asked| *asked == Asked::Nothing).unwrap_or_else(PoisonError::into_inner);
            if *asked == Asked::Stop {
                return;
            }
            *asked = Asked::Nothing;
            drop(asked);
            let _alone = lock(&self.running);
            match conn.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::PASSIVE) {
                Ok(_) => {}
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
                Err(error) => tracing::warn!(%error, "cannot copy the outbox's write-ahead log back into its file"),
            }
        }
    }
}
