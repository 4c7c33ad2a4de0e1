//! One account's task: does what its [`Queue`] decides. Takes calls from the outbox, gives settlements back, and keeps
//! the account's [`Status`], log lines and observer up to date.

use std::{future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};

use crate::{
    call::Account,
    delivery::{
        Attempt, Course, Handle, Shared,
        answer::{Answer, Verdict},
        queue::{Action, Arrivals, Batch, Queue},
        status::{Counts, LastAnswer, State, Status},
    },
    outbox::{BoxFuture, CallId, Outbox, Settlement},
    time::Timestamp,
};

/// How often a store whose leases run out is told that they are still worked on.
const EXTEND_EVERY: Duration = Duration::from_secs(10);

pub struct AccountTask {
    account: Arc<Account>,
    shared: Arc<Shared>,
    queue: Queue,
    requests: JoinSet<Landed>,
    extend_at: Timestamp,
    status: watch::Sender<Status>,
    resume: Arc<Notify>,
    course: CourseWatch,
}

/// A request that is over.
struct Landed {
    batch: Arc<Batch>,
    answer: Answer,
    sent: Timestamp,
}

impl AccountTask {
    pub fn new(account: Arc<Account>, shared: Arc<Shared>, course: watch::Receiver<Course>) -> (Self, Handle) {
        let resume = Arc::new(Notify::new());
        let queue = Queue::new(shared.destinations.limits(&account));
        let (status, readable) = watch::channel(Status {
            account: Arc::clone(&account),
            state: queue.state(),
            last: None,
            counts: Counts::default(),
        });
        let handle = Handle { status: readable, resume: Arc::clone(&resume) };
        let extend_at = Timestamp::default();
        let requests = JoinSet::new();
        let course = CourseWatch::Following(course);
        (Self { account, shared, queue, requests, extend_at, status, resume, course }, handle)
    }

    /// Delivers until told to stop and all answers are settled.
    pub async fn run(mut self) {
        let (shared, account) = (Arc::clone(&self.shared), Arc::clone(&self.account));
        let mut bell = Bell { outbox: &*shared.outbox, account: &account, next: None };
        loop {
            // A store that answers without delay, or rings without need, must not starve the other tasks.
            tokio::task::coop::consume_budget().await;
            self.publish_state();
            match self.queue.next(self.now()) {
                Action::Settle(settlements) => self.settle(settlements).await,
                Action::Replay(ids) => self.replay(ids).await,
                Action::Lease { max_calls, max_bytes } => {
                    bell.listen();
                    self.lease(max_calls, max_bytes).await;
                }
                Action::Send(batch) => self.send(batch),
                Action::Wait { until, arrivals } => self.wait(until, arrivals, &mut bell).await,
                Action::Done => return,
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.shared.surroundings.clock.now()
    }

    async fn lease(&mut self, max_calls: usize, max_bytes: usize) {
        match self.shared.outbox.lease(&self.account, max_calls, max_bytes, self.now()).await {
            Ok(calls) => self.queue.leased(calls, self.now()),
            Err(error) => {
                tracing::error!(account = %self.account, %error, "the outbox gives no calls");
                self.queue.store_failed(self.now());
            }
        }
    }

    async fn settle(&mut self, settlements: Vec<(CallId, Settlement)>) {
        let mut counts = Counts::default();
        for (_, settlement) in &settlements {
            match settlement {
                Settlement::Delivered => counts.delivered += 1,
                Settlement::Retry { .. } => counts.retried += 1,
                Settlement::Dead(_) => counts.dead += 1,
                Settlement::PutBack => {}
            }
        }
        if let Err(error) = self.shared.outbox.settle(settlements).await {
            tracing::error!(account = %self.account, %error, "the outbox cannot settle; it goes on trying");
        }
        self.count(counts);
    }

    async fn replay(&mut self, ids: Vec<CallId>) {
        match self.shared.outbox.replay(&ids).await {
            Ok(revived) => self.count(Counts { revived: to_count(revived), ..Counts::default() }),
            Err(error) => {
                tracing::error!(account = %self.account, %error, "the outbox does not take dead letters back");
                self.queue.not_replayed(ids, self.now());
            }
        }
    }

    fn send(&mut self, batch: Arc<Batch>) {
        let (shared, account, sent) = (Arc::clone(&self.shared), Arc::clone(&self.account), self.now());
        if self.requests.is_empty() {
            self.extend_at = sent.plus(EXTEND_EVERY);
        }
        self.requests.spawn(async move {
            // A batch without an answer would take a place in the queue for good.
            let attempt = AssertUnwindSafe(shared.destinations.send(&account, &batch.calls, sent)).catch_unwind();
            let answer = attempt.await.unwrap_or_else(|_| Answer::Unreachable { words: "a fault in Tidegate".into() });
            Landed { batch, answer, sent }
        });
    }

    async fn wait(&mut self, until: Option<Timestamp>, arrivals: Arrivals, bell: &mut Bell<'_>) {
        let clock = Arc::clone(&self.shared.surroundings.clock);
        let woken = async {
            match until {
                Some(until) => clock.sleep_until(until).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            Some(landed) = self.requests.join_next(), if !self.requests.is_empty() => {
                // Nothing aborts a request but the end of this task, and a panic was caught.
                if let Ok(landed) = landed {
                    self.landed(&landed);
                }
            }
            () = bell.rung(), if arrivals == Arrivals::Heed => self.queue.arrived(),
            () = woken => {}
            () = self.resume.notified() => self.queue.resume(clock.now()),
            () = self.course.stopping() => self.queue.stop(),
            () = clock.sleep_until(self.extend_at), if !self.requests.is_empty() => {
                self.extend_at = clock.now().plus(EXTEND_EVERY);
                self.shared.outbox.extend(&self.queue.leases()).await;
            }
        }
    }

    fn landed(&mut self, Landed { batch, answer, sent }: &Landed) {
        let now = self.now();
        let before = self.queue.state();
        self.queue.answered(batch.id, answer, now, (self.shared.surroundings.random)());
        let attempt =
            Attempt { account: &self.account, calls: &batch.calls, answer, sent: *sent, took: now.since(*sent) };
        log(&attempt, &before, &self.queue.state());
        if let Some(observer) = &self.shared.surroundings.observer {
            observer.attempted(&attempt);
        }
        self.status.send_modify(|status| {
            let (words, calls) = (answer.words().to_owned(), batch.calls.len());
            status.last = Some(LastAnswer { at: now, status: answer.status(), words, calls });
            status.counts.attempts += 1;
        });
    }

    fn count(&self, new: Counts) {
        self.status.send_modify(|Status { counts, .. }| {
            counts.delivered += new.delivered;
            counts.retried += new.retried;
            counts.dead += new.dead;
            counts.revived += new.revived;
            counts.attempts += new.attempts;
        });
    }

    fn publish_state(&self) {
        let state = self.queue.state();
        self.status.send_if_modified(|status| {
            let changed = status.state != state;
            status.state = state;
            changed
        });
    }
}

fn to_count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// One line an attempt; loud only when something changes for the account. Neither bodies nor keys: the words are
/// masked where they are read.
fn log(attempt: &Attempt<'_>, before: &State, after: &State) {
    let Attempt { account, calls, answer, took, .. } = *attempt;
    let (status, words, took_ms) = (answer.status(), answer.words(), took.as_millis());
    let hit = match calls {
        [call] => Some(tracing::field::display(call.hit)),
        _ => None,
    };
    let calls = calls.len();
    match (before, after) {
        (State::Flowing, State::Retrying { until, .. }) => {
            tracing::warn!(%account, status, calls, hit.id = hit, words, %until, "a destination fails; retrying");
        }
        (State::Flowing | State::Retrying { .. }, State::Paused { pause, .. }) => {
            let reason = pause.reason;
            tracing::error!(%account, status, calls, hit.id = hit, words, %reason, "an account is paused");
        }
        (State::Paused { pause: old, .. }, State::Paused { pause: new, .. }) if old.reason != new.reason => {
            let reason = new.reason;
            tracing::warn!(%account, status, calls, hit.id = hit, words, %reason, "an account stays paused");
        }
        (State::Retrying { .. } | State::Paused { .. }, State::Flowing) => {
            tracing::info!(%account, status, calls, hit.id = hit, "an account flows again");
        }
        _ if answer.verdict() == Verdict::Accepted => {
            tracing::debug!(%account, status, calls, hit.id = hit, took_ms, "delivered");
        }
        _ => tracing::debug!(%account, status, calls, hit.id = hit, took_ms, "not delivered"),
    }
}

/// The outbox's bell for one account. Kept ringing across leases: a call that arrives between an empty lease and the
/// wait after it is not missed.
struct Bell<'a> {
    outbox: &'a dyn Outbox,
    account: &'a Arc<Account>,
    next: Option<BoxFuture<'a, ()>>,
}

impl Bell<'_> {
    /// Makes sure that arrivals from now on are noticed. An arrival before is not news to a lease that follows.
    fn listen(&mut self) {
        // The first may have rung already, and the second may find that remembered.
        for _ in 0..3 {
            let next = self.next.get_or_insert_with(|| self.outbox.arrival(self.account));
            if next.now_or_never().is_none() {
                return;
            }
            self.next = None;
        }
    }

    /// Resolves when a call arrived since [`Bell::listen`].
    async fn rung(&mut self) {
        self.next.get_or_insert_with(|| self.outbox.arrival(self.account)).await;
        self.next = None;
    }
}

/// Tells once that the delivery stops.
enum CourseWatch {
    Following(watch::Receiver<Course>),
    Told,
}

impl CourseWatch {
    async fn stopping(&mut self) {
        match self {
            Self::Following(course) => {
                // A delivery that was dropped stops too.
                let _ = course.wait_for(|course| *course == Course::Stopping).await;
                *self = Self::Told;
            }
            Self::Told => future::pending().await,
        }
    }
}
