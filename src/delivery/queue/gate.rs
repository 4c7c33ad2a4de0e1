//! Whether an account may send: open, shut by an outage (the breaker), or shut by a pause. A shut gate lets one trial
//! through at a time, when its rest is over.

use std::time::Duration;

use crate::{
    delivery::{
        queue::{BatchId, Limits},
        status::{Pause, State},
    },
    time::Timestamp,
};

/// From this many failures in a row on, a trial is a single call.
const BREAKER: u32 = 3;

/// The ladder's first step and its last. `OpenAI` documents no rate limits.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// Full jitter may come out as nothing; a destination that fails at once is not asked again at once.
const SHORTEST_BACKOFF: Duration = Duration::from_millis(20);

/// The most that a `Retry-After` is heeded. It outranks [`LONGEST_BACKOFF`]: a destination that says when to come back
/// is not probed before.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(10 * 60);

/// How often a paused account tries one call.
const PROBE_EVERY: Duration = Duration::from_secs(60);

/// How many of the oldest calls an outage's trial is chosen from. Few, because they are leased at every trial.
const OUTAGE_WINDOW: usize = 16;

/// How many at least a pause's is chosen from, where batches are small.
const PAUSE_WINDOW: usize = 100;

#[derive(Debug)]
pub enum Gate {
    Open,
    Shut(Shut),
}

#[derive(Debug)]
pub struct Shut {
    pub since: Timestamp,
    pub cause: Cause,
    pub rest: Rest,
    /// The trial in flight.
    pub trial: Option<BatchId>,
}

#[derive(Debug)]
pub enum Cause {
    /// The destination fails in a way that may pass. Counts the failures in a row.
    Outage { failures: u32 },
    /// A person is needed.
    Pause(Pause),
}

/// What a trial consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialSize {
    One,
    Batch,
}

/// A span in which nothing is tried.
#[derive(Clone, Copy, Debug)]
pub struct Rest {
    from: Timestamp,
    pub until: Timestamp,
}

impl Rest {
    pub fn lasting(now: Timestamp, span: Duration) -> Self {
        Self { from: now, until: now.plus(span) }
    }

    /// Also over when the clock was set back to before it began: else a wrong clock could keep an account shut for as
    /// long as it had been wrong.
    pub fn is_over(self, now: Timestamp) -> bool {
        now >= self.until || now < self.from
    }

    /// As long as it was, or longer.
    fn at_least(self, now: Timestamp, span: Duration) -> Self {
        Self { until: self.until.max(now.plus(span)), ..self }
    }
}

impl Gate {
    pub fn outage(now: Timestamp, retry_after: Option<Duration>, random: f64) -> Self {
        let rest = Rest::lasting(now, backoff(1, retry_after, random));
        Self::Shut(Shut { since: now, cause: Cause::Outage { failures: 1 }, rest, trial: None })
    }

    pub fn pause(now: Timestamp, pause: Pause) -> Self {
        let rest = Rest::lasting(now, PROBE_EVERY);
        Self::Shut(Shut { since: now, cause: Cause::Pause(pause), rest, trial: None })
    }

    pub fn is_paused(&self) -> bool {
        matches!(self, Self::Shut(Shut { cause: Cause::Pause(_), .. }))
    }

    pub fn state(&self) -> State {
        match self {
            Self::Open => State::Flowing,
            Self::Shut(Shut { since, cause, rest, .. }) => match cause {
                Cause::Outage { failures } => State::Retrying { since: *since, until: rest.until, failures: *failures },
                Cause::Pause(pause) => State::Paused { since: *since, probe_at: rest.until, pause: pause.clone() },
            },
        }
    }
}

impl Shut {
    pub fn trial_size(&self) -> TrialSize {
        match self.cause {
            Cause::Outage { failures } if failures < BREAKER => TrialSize::Batch,
            Cause::Outage { .. } | Cause::Pause(_) => TrialSize::One,
        }
    }

    /// How many calls to lease for a trial. A single call is chosen from several, so that no one call decides. A paused
    /// account looks at a whole batch's worth, or at a hundred: many calls may be at fault, and it looks once a minute.
    pub fn window(&self, limits: &Limits) -> usize {
        match self.cause {
            Cause::Outage { failures } if failures >= BREAKER => OUTAGE_WINDOW,
            Cause::Outage { .. } => limits.max_calls,
            Cause::Pause(_) => limits.max_calls.max(PAUSE_WINDOW),
        }
    }

    /// A trial failed in a way that may pass.
    pub fn trial_failed(&mut self, now: Timestamp, retry_after: Option<Duration>, random: f64) {
        self.rest = match &mut self.cause {
            Cause::Outage { failures } => {
                *failures = failures.saturating_add(1);
                Rest::lasting(now, backoff(*failures, retry_after, random))
            }
            Cause::Pause(_) => {
                let rest = Rest::lasting(now, PROBE_EVERY);
                retry_after.map_or(rest, |span| rest.at_least(now, span.min(LONGEST_RETRY_AFTER)))
            }
        };
    }

    /// A trial showed that a person is still needed, perhaps for another reason.
    pub fn trial_barred(&mut self, now: Timestamp, pause: Pause) {
        self.cause = Cause::Pause(pause);
        self.rest = Rest::lasting(now, PROBE_EVERY);
    }

    /// An answer to an earlier request asked for more time.
    pub fn extend(&mut self, now: Timestamp, retry_after: Duration) {
        self.rest = self.rest.at_least(now, retry_after.min(LONGEST_RETRY_AFTER));
    }
}

/// Exponential with full jitter: a random share of 1, 2, 4, 5, 5, … seconds, or what the destination asked for if that
/// is longer. `random` lies in `0..1`.
fn backoff(failures: u32, retry_after: Option<Duration>, random: f64) -> Duration {
    let step = FIRST_BACKOFF.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(LONGEST_BACKOFF);
    let jittered = step.mul_f64(random.clamp(0.0, 1.0)).max(SHORTEST_BACKOFF);
    retry_after.map_or(jittered, |asked| jittered.max(asked.min(LONGEST_RETRY_AFTER)))
}
