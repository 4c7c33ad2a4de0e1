//! Misbehaviour on request: takes what a test or a demo asks for, gives each arriving request its turn of it.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http::StatusCode;
use tokio::sync::watch;

/// One way to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Answer this status, whatever was sent; nothing is judged or stored.
    Status {
        status: StatusCode,
        /// The `Retry-After` header, as it shall stand there: seconds, a date, or nonsense.
        retry_after: Option<String>,
        words: String,
    },
    /// Judge head and root as usual, then refuse every event with status 400 and these words.
    RefuseEvents { words: String },
    /// Wait, then behave. A request that is given up meanwhile leaves nothing behind.
    Slow(Duration),
    /// As [`Failure::Slow`], until [`clear_failures`](super::Standin::clear_failures) or the end.
    Hold,
    /// Read the request and close the connection.
    HangUp,
    /// Judge and store as usual, then close the connection without the answer.
    LoseAnswer,
    /// Answer with a body that is not JSON, as a proxy in between might. A 2xx judges and stores as usual first.
    Garbage(StatusCode),
}

impl Failure {
    /// Answers a status, without `Retry-After`.
    pub fn status(status: StatusCode) -> Self {
        let words = status.canonical_reason().unwrap_or("Failure").to_owned();
        Self::Status { status, retry_after: None, words }
    }

    /// Answers a status with a `Retry-After` header.
    pub fn retry_after(status: StatusCode, retry_after: impl Into<String>) -> Self {
        let words = status.canonical_reason().unwrap_or("Failure").to_owned();
        Self::Status { status, retry_after: Some(retry_after.into()), words }
    }
}

/// How long a failure lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// For so many requests.
    Requests(usize),
    UntilCleared,
}

/// Whose requests fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Everyone,
    Pixel(String),
}

/// The failures still to come, oldest first.
pub(super) struct Plan {
    steps: Mutex<VecDeque<Step>>,
    cleared: watch::Sender<()>,
}

struct Step {
    whose: Whose,
    failure: Failure,
    lasting: Lasting,
}

/// Resolves when the plan is cleared after it was handed out.
pub(super) struct Release(watch::Receiver<()>);

impl Default for Plan {
    fn default() -> Self {
        Self { steps: Mutex::default(), cleared: watch::Sender::new(()) }
    }
}

impl Plan {
    pub(super) fn add(&self, whose: Whose, failure: Failure, lasting: Lasting) {
        if lasting != Lasting::Requests(0) {
            self.steps().push_back(Step { whose, failure, lasting });
        }
    }

    /// The turn of a request of this pixel: how it fails, if it does.
    pub(super) fn take(&self, pixel_id: &str) -> Option<(Failure, Release)> {
        let mut steps = self.steps();
        // Subscribed under the lock, so that no clearing can fall between the failure and its release.
        let release = Release(self.cleared.subscribe());
        let concerns = |step: &Step| match &step.whose {
            Whose::Everyone => true,
            Whose::Pixel(id) => id == pixel_id,
        };
        let index = steps.iter().position(concerns)?;
        let step = steps.get_mut(index)?;
        let failure = step.failure.clone();
        match &mut step.lasting {
            Lasting::UntilCleared => {}
            Lasting::Requests(left) if *left > 1 => *left -= 1,
            Lasting::Requests(_) => {
                steps.remove(index);
            }
        }
        Some((failure, release))
    }

    pub(super) fn clear(&self) {
        let mut steps = self.steps();
        steps.clear();
        self.cleared.send_replace(());
    }

    fn steps(&self) -> std::sync::MutexGuard<'_, VecDeque<Step>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Release {
    pub(super) async fn wait(mut self) {
        // An error means that the stand-in is gone, which releases too.
        self.0.changed().await.ok();
    }
}
