//! The history's thread: takes hits and counts from the handlers; writes them, a batch at a time, and trims the file. Sees to
//! it that a file which is broken is set aside, and that one which cannot be written is tried again.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant, SystemTime},
};

use rusqlite::ErrorCode;
use tokio::sync::oneshot;

use super::{
    Options, Picked,
    counts::Shared,
    file,
    store::{AGE, DAY, Row, Store},
    tally::Count,
};
use crate::{
    kept::{Detail, Kept},
    time::Timestamp,
};

/// How often counts are written where no hit is.
const TICK: Duration = Duration::from_secs(1);
/// How often the file is trimmed, and tried again where it failed.
const TRIM_EVERY: Duration = Duration::from_mins(1);
/// Hits that are written at once.
const BATCH: usize = 64;
/// Further events of a hit are like these.
const MAX_EVENTS: usize = 20;

pub(super) enum Message {
    Keep(Waiting),
    /// Answered when everything before is written.
    Flush(oneshot::Sender<()>),
    Close,
}

/// A hit that waits to be kept.
pub(super) struct Waiting {
    pub picked: Picked,
    pub bytes: usize,
    /// How many hits had been seen by then, this one among them.
    pub seen: u64,
}

pub(super) struct Writer {
    path: PathBuf,
    options: Options,
    receiver: Receiver<Message>,
    shared: Arc<Shared>,
    store: Option<Store>,
    trim_at: Instant,
    /// Whether the last write failed, so that it is said once.
    fails: bool,
    /// What was counted and could not be written yet.
    counts: Vec<Count>,
    /// How many hits had been seen when the last one was kept.
    seen: u64,
}

impl Writer {
    pub fn new(path: PathBuf, options: Options, receiver: Receiver<Message>, shared: Arc<Shared>) -> Self {
        let (store, fails, counts, seen) = (None, false, Vec::new(), 0);
        Self { path, options, receiver, shared, store, trim_at: Instant::now(), fails, counts, seen }
    }

    pub fn run(mut self) {
        loop {
            let mut batch = Vec::new();
            let mut flushed = Vec::new();
            let mut is_last = false;
            let mut next = self.receiver.recv_timeout(TICK);
            loop {
                match next {
                    Ok(Message::Keep(waiting)) => {
                        self.shared.queued_bytes.fetch_sub(waiting.bytes, Ordering::Relaxed);
                        batch.push(waiting);
                    }
                    Ok(Message::Flush(done)) => flushed.push(done),
                    Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => is_last = true,
                    Err(RecvTimeoutError::Timeout) => {}
                }
                if is_last || batch.len() >= BATCH {
                    break;
                }
                let Ok(more) = self.receiver.try_recv() else { break };
                next = Ok(more);
            }
            self.work(&batch, is_last);
            for done in flushed {
                // Whoever does not wait any more need not know.
                let _ = done.send(());
            }
            if is_last {
                return;
            }
        }
    }

    fn work(&mut self, batch: &[Waiting], is_last: bool) {
        let is_due = Instant::now() >= self.trim_at;
        if self.store.is_none() && (is_due || is_last) {
            self.open();
        }
        self.counts.extend(self.shared.tallies.take());
        if !(batch.is_empty() && self.counts.is_empty()) {
            self.write(batch);
        }
        if is_due || is_last {
            self.trim_at = Instant::now() + TRIM_EVERY;
            self.tidy();
        }
        self.shared.counts.bytes.store(file::bytes(&self.path), Ordering::Relaxed);
    }

    fn open(&mut self) {
        let opened = Store::open(&self.path, self.options).or_else(|error| {
            let aside = file::aside(&self.path);
            tracing::error!(
                target: "tidegate::history",
                "history.db cannot be used and is begun anew; it is set aside as {} for a day: {error:#}", aside.display()
            );
            file::set_aside(&self.path)?;
            Store::open(&self.path, self.options)
        });
        match opened {
            Ok(store) => self.store = Some(store),
            Err(error) => self.say(&format!("{error:#}")),
        }
    }

    fn write(&mut self, batch: &[Waiting]) {
        let counts = &self.shared.counts;
        let hits = batch.len() as u64;
        let Some(store) = &mut self.store else {
            counts.failed.fetch_add(hits, Ordering::Relaxed);
            return;
        };
        let now = Timestamp::now();
        let written = rows(store, batch, &mut self.seen).and_then(|rows| {
            let told = rows.iter().filter(|row| row.hits > 0).count();
            let written = match store.write(&rows, &self.counts, now) {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                    store.make_room()?;
                    store.write(&rows, &self.counts, now)
                }
                written => written,
            }?;
            Ok((batch.len() - told + rows.len() - written) as u64)
        });
        match written {
            Ok(withheld) => {
                let withheld = withheld.min(hits);
                counts.withheld.fetch_add(withheld, Ordering::Relaxed);
                counts.kept.fetch_add(hits - withheld, Ordering::Relaxed);
                self.counts.clear();
                self.fails = false;
            }
            Err(error) => {
                counts.failed.fetch_add(hits, Ordering::Relaxed);
                self.fail(&error);
            }
        }
    }

    fn tidy(&mut self) {
        if let Some(store) = &self.store
            && let Err(error) = store.trim(Timestamp::now())
        {
            self.fail(&error);
        }
        // A broken file has what the whole one had, and goes when that would be gone.
        let aside = file::aside(&self.path);
        let changed = std::fs::metadata(&aside).and_then(|data| data.modified());
        if changed.is_ok_and(|changed: SystemTime| changed.elapsed().is_ok_and(|age| age > AGE))
            && let Err(error) = file::remove(&aside)
        {
            tracing::warn!(target: "tidegate::history", "{} cannot be removed: {error}", aside.display());
        }
    }

    fn fail(&mut self, error: &rusqlite::Error) {
        let code = error.sqlite_error_code();
        if matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) {
            self.store = None;
            // Opening finds the fault too, and sets the file aside.
            self.trim_at = Instant::now();
        }
        self.say(&error.to_string());
    }

    /// Once, until it is better.
    fn say(&mut self, error: &str) {
        if !std::mem::replace(&mut self.fails, true) {
            tracing::warn!(target: "tidegate::history", "history.db cannot be written, hits are not kept: {error}");
        }
    }
}

/// What is kept of a batch. Each hit stands for itself and those that came after the last one that was kept.
fn rows(store: &Store, batch: &[Waiting], last: &mut u64) -> rusqlite::Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for Waiting { picked, seen: so_far, .. } in batch {
        let mut hits = so_far.saturating_sub(*last).max(1);
        for seen in picked.events.iter().take(MAX_EVENTS) {
            let key = store.key(seen.hit().received.0.div_euclid(DAY))?;
            let Some(kept) = Kept::of(&picked.container, seen, &key) else { continue };
            // Of a visitor who granted nothing not even a pseudonym of the event's id is kept.
            let may_tell = kept.detail == Detail::Pseudonyms;
            let event_id = may_tell.then(|| key.pseudonym(&seen.event().id.text));
            rows.push(Row { kept, hits: std::mem::take(&mut hits), event_id });
            *last = *so_far.max(last);
        }
    }
    Ok(rows)
}
