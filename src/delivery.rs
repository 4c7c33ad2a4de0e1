//! Delivery: the edge that brings calls from the [outbox](crate::outbox) to their destinations.
//!
//! Every account has a task of its own with its own [`queue`]: a dead destination slows nobody else. The queue decides,
//! the account task does: it leases, sends, settles and waits. What a destination is like stays behind
//! [`Destinations`]; the answers of all of them come back as an [`Answer`].
//!
//! After a crash nothing is remembered here: what was leased is due again, and counters and pauses start afresh.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::{
    sync::{Notify, watch},
    task::{JoinHandle, JoinSet},
};

use crate::{
    call::Account,
    outbox::{Leased, Outbox},
    time::Timestamp,
};

use account::AccountTask;
use answer::Answer;
use clock::{Clock, SystemClock};
use http::Http;
use openai::OpenAi;
use queue::Limits;
use status::Status;

mod account;
pub mod answer;
pub mod client;
pub mod clock;
pub mod guard;
pub mod http;
pub mod openai;
pub mod queue;
mod response;
pub mod secrets;
pub mod status;
#[cfg(test)]
mod tests;

/// The running delivery.
pub struct Delivery {
    accounts: Arc<Accounts>,
    course: watch::Sender<Course>,
    overseer: Mutex<Option<JoinHandle<()>>>,
    clock: Arc<dyn Clock>,
}

/// Every destination that calls can go to.
pub struct Destinations {
    pub openai: OpenAi,
    pub http: Http,
}

impl Destinations {
    fn limits(&self, account: &Account) -> Limits {
        match account {
            Account::OpenAi { .. } => openai::LIMITS,
            Account::Http { .. } => http::LIMITS,
        }
    }

    async fn send(&self, account: &Account, calls: &[Leased], now: Timestamp) -> Answer {
        match account {
            // The schema shaped the bodies when they were made.
            Account::OpenAi { pixel_id, key, validate_only, schema: _ } => {
                self.openai.send(pixel_id, key, *validate_only, calls, now).await
            }
            Account::Http { origin, secrets: _ } => match calls {
                [call] => self.http.send(origin, call, now).await,
                _ => Answer::Refused { status: None, words: "http takes one call at a time".to_owned() },
            },
        }
    }
}

/// What the delivery takes from the world besides the outbox and the destinations.
pub struct Surroundings {
    pub clock: Arc<dyn Clock>,
    /// Spreads retries: each call gives a number in `0..1`.
    pub random: fn() -> f64,
    pub observer: Option<Arc<dyn Observer>>,
}

impl Default for Surroundings {
    #[expect(clippy::disallowed_methods, reason = "the world itself, where nobody hands in another")]
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), random: rand::random, observer: None }
    }
}

/// Is told of every attempt, on the account's task: it must not block.
pub trait Observer: Send + Sync + 'static {
    fn attempted(&self, attempt: &Attempt<'_>);
}

/// One attempt at a batch, once its answer is there.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    pub account: &'a Account,
    /// Its bodies hold personal values.
    pub calls: &'a [Leased],
    pub answer: &'a Answer,
    pub sent: Timestamp,
    pub took: Duration,
}

/// Whether an account was there to be resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// Its next trial is due now. One that flows is left as it is.
    Told,
    UnknownAccount,
}

/// How the delivery came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Every answer came and is settled.
    Settled,
    /// Some were still missing. Those calls are due at once at the next start, and may then arrive twice.
    CutShort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Running,
    Stopping,
}

/// The accounts that have a task.
type Accounts = Mutex<BTreeMap<Arc<Account>, Handle>>;

struct Handle {
    status: watch::Receiver<Status>,
    resume: Arc<Notify>,
}

/// What every account's task needs.
struct Shared {
    outbox: Arc<dyn Outbox>,
    destinations: Destinations,
    surroundings: Surroundings,
}

impl Delivery {
    /// Starts to deliver for every account that the outbox has, and for each that appears. Needs a tokio runtime.
    pub fn start(outbox: Arc<dyn Outbox>, destinations: Destinations, surroundings: Surroundings) -> Self {
        let accounts = Arc::new(Accounts::default());
        let (course, following) = watch::channel(Course::Running);
        let clock = Arc::clone(&surroundings.clock);
        let shared = Arc::new(Shared { outbox, destinations, surroundings });
        let overseer = tokio::spawn(oversee(shared, Arc::clone(&accounts), following));
        Self { accounts, course, overseer: Mutex::new(Some(overseer)), clock }
    }

    /// Every account as it stands.
    pub fn statuses(&self) -> Vec<Status> {
        lock(&self.accounts).values().map(|handle| handle.status.borrow().clone()).collect()
    }

    /// One account's status and its changes; `None` while it has no task.
    pub fn watch(&self, account: &Account) -> Option<watch::Receiver<Status>> {
        lock(&self.accounts).get(account).map(|handle| handle.status.clone())
    }

    /// A person says that what paused an account, or made it fail, is mended: tries one call at once.
    pub fn resume(&self, account: &Account) -> Resumed {
        match lock(&self.accounts).get(account) {
            Some(handle) => {
                handle.resume.notify_one();
                Resumed::Told
            }
            None => Resumed::UnknownAccount,
        }
    }

    /// Leases nothing more and puts back what was not sent; requests in flight get up to `limit` to be answered and
    /// settled. Asked again, it has nothing left to wait for.
    pub async fn stop(&self, limit: Duration) -> Stopped {
        self.course.send_replace(Course::Stopping);
        let Some(mut overseer) = lock(&self.overseer).take() else { return Stopped::Settled };
        let deadline = self.clock.now().plus(limit);
        loop {
            tokio::select! {
                _ = &mut overseer => return Stopped::Settled,
                () = self.clock.sleep_until(deadline) => if self.clock.now() >= deadline {
                    overseer.abort();
                    return Stopped::CutShort;
                },
            }
        }
    }
}

/// Gives every account a task, and waits for them all in the end.
async fn oversee(shared: Arc<Shared>, accounts: Arc<Accounts>, mut course: watch::Receiver<Course>) {
    let mut tasks = JoinSet::new();
    while *course.borrow_and_update() == Course::Running {
        let mut appeared = shared.outbox.new_account();
        // Polled before the list is read, so that an account that appears in between is not missed.
        let already = (&mut appeared).now_or_never();
        for known in shared.outbox.accounts() {
            lock(&accounts).entry(Arc::clone(&known.account)).or_insert_with(|| {
                let (task, handle) = AccountTask::new(known.account, Arc::clone(&shared), course.clone());
                tasks.spawn(task.run());
                handle
            });
        }
        if already.is_some() {
            tokio::task::yield_now().await;
            continue;
        }
        tokio::select! {
            () = appeared => {}
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => report(ended),
            changed = course.changed() => if changed.is_err() { break },
        }
    }
    while let Some(ended) = tasks.join_next().await {
        report(ended);
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an account's delivery broke off; its calls wait for the next start");
    }
}

/// A task that panicked while it held the lock left nothing half done behind it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
