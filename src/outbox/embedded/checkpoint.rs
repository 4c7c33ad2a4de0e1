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
    course: Mutex<Course>,
    bell: Condvar,
    /// Held during a checkpoint: SQLite lets only one run at a time and would call the other busy.
    running: Mutex<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Course {
    /// So many pages of the log are in the file since the last checkpoint.
    Idle {
        copied: usize,
    },
    Asked,
    Running,
    Stop,
}

impl Checkpointer {
    pub fn start(conn: Connection) -> std::io::Result<Self> {
        let inner = Arc::new(Inner {
            course: Mutex::new(Course::Idle { copied: 0 }),
            bell: Condvar::new(),
            running: Mutex::new(()),
        });
        let worker = Arc::clone(&inner);
        let thread = thread::Builder::new().name("outbox-checkpoint".into()).spawn(move || worker.run(&conn))?;
        Ok(Self { inner, thread })
    }

    pub fn bell(&self) -> CheckpointBell {
        CheckpointBell(Arc::clone(&self.inner))
    }

    /// Ends the thread and closes its connection.
    pub fn stop(self) {
        self.inner.ask(Course::Stop);
        if self.thread.join().is_err() {
            tracing::error!("the outbox's checkpoint thread had panicked");
        }
    }
}

impl CheckpointBell {
    /// Asks for a checkpoint beside the writer, soon.
    pub fn ring(&self) {
        self.0.ask(Course::Asked);
    }

    /// How many pages of the log the checkpoint that was asked for has copied; `None` while it is under way.
    pub fn copied(&self) -> Option<usize> {
        match *lock(&self.0.course) {
            Course::Idle { copied } => Some(copied),
            Course::Asked | Course::Running | Course::Stop => None,
        }
    }

    /// Copies the rest on the writer's own connection. If no reader is in the way, the whole log is in the file then, and
    /// the next commit begins it anew.
    pub fn finish(&self, conn: &Connection) -> rusqlite::Result<()> {
        let _alone = lock(&self.0.running);
        conn.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::PASSIVE).map(|_| ())
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
    fn ask(&self, what: Course) {
        let mut course = lock(&self.course);
        if *course != Course::Stop {
            *course = what;
        }
        drop(course);
        self.bell.notify_one();
    }

    fn run(&self, conn: &Connection) {
        loop {
            let course = lock(&self.course);
            let is_idle = |course: &mut Course| matches!(course, Course::Idle { .. });
            let mut course = self.bell.wait_while(course, is_idle).unwrap_or_else(PoisonError::into_inner);
            if *course == Course::Stop {
                return;
            }
            *course = Course::Running;
            drop(course);
            let copied = self.checkpoint(conn);
            let mut course = lock(&self.course);
            // Asked again meanwhile, it runs again.
            if *course == Course::Running {
                *course = Course::Idle { copied };
            }
        }
    }

    /// Gives how many pages of the log are in the file.
    fn checkpoint(&self, conn: &Connection) -> usize {
        let _alone = lock(&self.running);
        match conn.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::PASSIVE) {
            Ok((_, copied)) => usize::try_from(copied).unwrap_or(0),
            Err(error) => {
                if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) {
                    tracing::warn!(%error, "cannot copy the outbox's write-ahead log back into its file");
                }
                0
            }
        }
    }
}
