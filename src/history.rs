//! The history in `history.db`: what has been, for looking back. Takes hits that were accepted; keeps some of them for a day
//! as [`kept`](crate::kept) tells, and counts all of them by the version that decided. Read by whoever holds a change
//! against real hits, beside a running server.
//!
//! Nothing waits for it. Hits reach its thread through a bounded channel that drops what it cannot take; a file that is
//! broken is set aside and begun anew; a full disk costs history and nothing else.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
};

use clap::ValueEnum;
use serde::Deserialize;
use tokio::sync::oneshot;

use crate::{
    container::Container,
    kept::{Seen, impact::Impact},
    time::Timestamp,
};

mod counts;
mod file;
mod forget;
mod read;
mod sampling;
mod store;
mod tally;
mod writer;

pub use counts::Counts;
pub use read::Served;

use counts::Shared;
use sampling::Sampling;
use tally::Tallies;
use writer::{Message, Waiting, Writer};

/// How many hits may wait for the thread, and how many bytes they may have brought.
const QUEUE: usize = 256;
const QUEUE_BYTES: usize = 4 << 20;

/// Whether hits are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeepHits {
    /// Their shapes and pseudonyms, for a day
    #[default]
    On,
    /// None; those that were kept are deleted at the start
    Off,
}

#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub keep: KeepHits,
    /// The file and its log take no more.
    pub max_bytes: u64,
}

/// A hit that was accepted and is to be kept: each of its events as rules saw it, and what its visitor allowed.
pub struct Picked {
    pub container: Arc<Container>,
    pub events: Vec<Seen>,
}

/// The way to the history's thread, for those who have no time.
pub struct History {
    keep: KeepHits,
    shared: Arc<Shared>,
    sender: SyncSender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
    path: PathBuf,
}

impl History {
    /// Starts the history of a data folder. Whatever is wrong with the file is said in the log, and is no reason not to
    /// serve.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn open(folder: &Path, options: Options) -> std::io::Result<Self> {
        let path = file::path(folder);
        let shared = Arc::new(Shared {
            sampling: Sampling::default(),
            tallies: Tallies::default(),
            queued_bytes: AtomicUsize::new(0),
            counts: Counts::default(),
        });
        let (sender, receiver) = sync_channel(QUEUE);
        let writer = Writer::new(path.clone(), options, receiver, Arc::clone(&shared));
        let thread = thread::Builder::new().name("history".into()).spawn(move || writer.run())?;
        Ok(Self { keep: options.keep, shared, sender, thread: Mutex::new(Some(thread)), path })
    }

    /// Whether a hit that arrives now is to be kept, should it be accepted.
    pub fn picks(&self, now: Timestamp) -> bool {
        self.keep == KeepHits::On && self.shared.sampling.picks(now)
    }

    /// A hit was accepted.
    pub fn served(&self, version: &Arc<str>, events: usize) {
        self.shared.tallies.count(version, events);
        if self.keep == KeepHits::On {
            self.shared.counts.seen.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Hands a hit over to be kept, unless the thread has too much to do.
    pub fn keep(&self, picked: Picked) {
        let counts = &self.shared.counts;
        counts.picked.fetch_add(1, Ordering::Relaxed);
        let bytes = picked.events.first().map_or(0, |seen| seen.hit().body.len() + seen.hit().query.len());
        let queued = self.shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let sent = if queued + bytes > QUEUE_BYTES {
            Err(())
        } else {
            self.sender
                .try_send(Message::Keep(Waiting { picked, bytes, seen: counts.seen.load(Ordering::Relaxed) }))
                .map_err(|error| match error {
                    TrySendError::Full(_) | TrySendError::Disconnected(_) => (),
                })
        };
        if sent.is_err() {
            self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// Resolves once everything that was handed over before is written.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.send(Message::Flush(done)).await {
            // Without an answer the thread is gone, and with it whatever it had.
            let _ = wait.await;
        }
    }

    /// Forgets kept events in which one of these texts left a pseudonym. Returns how many.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub async fn forget(&self, texts: BTreeSet<String>) -> anyhow::Result<u64> {
        self.flush().await;
        forget_in(self.path.clone(), texts).await
    }

    /// Writes what waits, and ends.
    pub async fn close(&self) {
        self.send(Message::Close).await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!(target: "tidegate::history", "the thread of the history broke off");
        }
    }

    /// Also where the channel is full: a thread may wait for it.
    async fn send(&self, message: Message) -> bool {
        let sender = self.sender.clone();
        tokio::task::spawn_blocking(move || sender.send(message).is_ok()).await.unwrap_or(false)
    }
}

/// Forgets kept events of a data folder that no server uses. See [`History::forget`].
///
/// # Errors
/// The file cannot be read or written.
pub async fn forget(folder: &Path, texts: BTreeSet<String>) -> anyhow::Result<u64> {
    forget_in(file::path(folder), texts).await
}

async fn forget_in(path: PathBuf, texts: BTreeSet<String>) -> anyhow::Result<u64> {
    tokio::task::spawn_blocking(move || forget::forget(&path, &texts)).await?
}

/// What the change from one container to another would have meant for the hits that a data folder keeps. Reads
/// `history.db` beside the server that may use it, and changes nothing; without a file, or without hits in it, the
/// impact says so. `println!("{impact}")` writes it for people, and it serialises for programs.
///
/// # Errors
/// The file cannot be read.
pub fn impact(folder: &Path, old: &Container, new: &Container) -> anyhow::Result<Impact> {
    read::impact(&file::path(folder), old, new, Timestamp::now())
}

/// Which versions decided the hits of a data folder, the last one first: since when and until when, and how many hits
/// and events. Reads `history.db` beside the server that may use it, and changes nothing. The last second may be missing.
/// Nothing where there is no file; versions older than 400 days, or beyond the file's limit, are gone.
///
/// # Errors
/// The file cannot be read.
pub fn versions_served(folder: &Path) -> anyhow::Result<Vec<Served>> {
    read::versions_served(&file::path(folder))
}

#[cfg(test)]
mod tests;
