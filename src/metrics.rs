//! Metrics: names, help texts and labels in one place. Labels come from the container and from code, never from what a
//! visitor sent, so that their number is bounded.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text::encode},
    metrics::{
        MetricType,
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
        info::Info,
    },
    registry::Registry,
};

use crate::{
    call::Account,
    client::Client,
    delivery::{
        Delivery,
        status::{State, Status},
    },
    error::Refusal,
    history::History,
    live::{Standing, Wish},
    outbox::{AcceptError, AccountState, Outbox},
    trace::{Attention, SuppressedCall, TagVerdict, Trace},
};

/// The outcome of a hit that was accepted; the others are [`Refusal::outcome`]'s.
pub const ACCEPTED: &str = "accepted";

/// Every metric of the process.
pub struct Metrics {
    registry: Mutex<Registry>,
    hits: Family<HitLabels, Counter>,
    hit_seconds: Histogram,
    events: Counter,
    bots: Counter,
    tags: Family<TagLabels, Counter>,
    suppressed: Family<DestinationLabels, Counter>,
    container: Family<ContainerLabels, Gauge>,
    reload_failures: Counter,
    degraded: Family<WishLabels, Gauge>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct HitLabels {
    client: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TagLabels {
    tag: Arc<str>,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DestinationLabels {
    destination: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WishLabels {
    source: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ContainerLabels {
    version: Arc<str>,
}

/// Seconds from the request's head to the answer; most hits take a millisecond or two.
const HIT_BUCKETS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0];

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("tidegate");
        let metrics = Self {
            hits: Family::default(),
            hit_seconds: Histogram::new(HIT_BUCKETS),
            events: Counter::default(),
            bots: Counter::default(),
            tags: Family::default(),
            suppressed: Family::default(),
            container: Family::default(),
            reload_failures: Counter::default(),
            degraded: Family::default(),
            registry: Mutex::default(),
        };
        registry.register(
            "hits",
            "Hits, by the client that claimed them and how they were answered",
            metrics.hits.clone(),
        );
        registry.register("hit_seconds", "From a hit's head to its answer", metrics.hit_seconds.clone());
        registry.register("bot_events", "Those of bots, which the container ignores", metrics.bots.clone());
        registry.register("events", "Events that hits brought", metrics.events.clone());
        registry.register("tags", "What became of tags that a trigger looked at", metrics.tags.clone());
        registry.register(
            "calls_suppressed",
            "Calls that were accepted just before, and not again",
            metrics.suppressed.clone(),
        );
        registry.register("container", "The version of the container that is live: 1", metrics.container.clone());
        registry.register(
            "reload_failures",
            "Containers that were refused; the last good one stayed",
            metrics.reload_failures.clone(),
        );
        registry.register(
            "container_degraded",
            "Whether what is live is not what this source wishes for: 1 or 0",
            metrics.degraded.clone(),
        );
        metrics.standing(&Standing::new());
        // From the start, so that the first one is seen as a change.
        for client in Client::ALL {
            for outcome in [ACCEPTED, Refusal::Busy.outcome(), Refusal::NotDurable(AcceptError::Closed).outcome()] {
                metrics.hits.get_or_create(&HitLabels { client: client.name(), outcome }).inc_by(0);
            }
        }
        for destination in Account::DESTINATIONS {
            metrics.suppressed.get_or_create(&DestinationLabels { destination }).inc_by(0);
        }
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program", build);
        *metrics.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = registry;
        metrics
    }
}

impl Metrics {
    /// A hit was answered.
    pub fn answered(&self, client: &'static str, outcome: &'static str, took: Duration) {
        self.hits.get_or_create(&HitLabels { client, outcome }).inc();
        self.hit_seconds.observe(took.as_secs_f64());
    }

    /// A hit was decided.
    pub fn traced(&self, trace: &Trace) {
        self.events.inc_by(trace.events.len() as u64);
        self.bots.inc_by(trace.events.iter().filter(|event| event.attention == Attention::Bot).count() as u64);
        for tag in trace.events.iter().flat_map(|event| &event.tags) {
            let Some(outcome) = outcome(&tag.verdict) else { continue };
            if let TagVerdict::Ran { suppressed, .. } = &tag.verdict {
                for SuppressedCall { destination, .. } in suppressed {
                    self.suppressed.get_or_create(&DestinationLabels { destination }).inc();
                }
            }
            self.tags.get_or_create(&TagLabels { tag: Arc::clone(&tag.tag), outcome }).inc();
        }
    }

    /// Another container is live.
    pub fn container(&self, version: &Arc<str>) {
        self.container.clear();
        self.container.get_or_create(&ContainerLabels { version: Arc::clone(version) }).set(1);
    }

    pub fn reload_failed(&self) {
        self.reload_failures.inc();
    }

    /// What is live falls short of what should be.
    pub fn standing(&self, standing: &Standing) {
        for wish in Wish::ALL {
            let falls_short = i64::from(standing.contains_key(&wish));
            self.degraded.get_or_create(&WishLabels { source: wish.name() }).set(falls_short);
        }
    }

    /// Shows the outbox and the deliveries out of it at every scrape.
    pub fn watch_deliveries(&self, outbox: Arc<dyn Outbox>, delivery: Arc<Delivery>) {
        let mut registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        registry.register_collector(Box::new(Deliveries { outbox, delivery }));
    }

    /// Shows what the history keeps at every scrape.
    pub fn watch_history(&self, history: Arc<History>) {
        let mut registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        registry.register_collector(Box::new(Kept { history }));
    }

    /// Everything, in `OpenMetrics` text.
    pub fn text(&self) -> String {
        let registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut text = String::new();
        // Writing into a `String` cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

/// What became of a tag, by the outcome's name; of tags that no trigger chose, nothing is counted.
fn outcome(verdict: &TagVerdict) -> Option<&'static str> {
    match verdict {
        TagVerdict::NotTriggered { .. } | TagVerdict::SampledOut { .. } => None,
        TagVerdict::Excepted { .. } => Some("excepted"),
        TagVerdict::Paused => Some("paused"),
        TagVerdict::Inactive { .. } => Some("inactive"),
        TagVerdict::SetupFailed { .. } => Some("setup_failed"),
        TagVerdict::NoCleanup { .. } => Some("no_cleanup"),
        TagVerdict::Held { .. } => Some("held"),
        TagVerdict::Blocked { .. } => Some("blocked"),
        TagVerdict::Awaited => Some("awaited"),
        TagVerdict::Settled { .. } => Some("settled"),
        TagVerdict::Skipped { .. } => Some("skipped"),
        TagVerdict::Failed { .. } => Some("failed"),
        TagVerdict::Ran { .. } => Some("ran"),
    }
}

/// The outbox and its deliveries, read at every scrape.
struct Deliveries {
    outbox: Arc<dyn Outbox>,
    delivery: Arc<Delivery>,
}

impl std::fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Deliveries")
    }
}

impl Collector for Deliveries {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let accounts = self.outbox.accounts();
        let by_store = |account: &AccountState| account.account.to_string();
        let now = crate::time::Timestamp::now();
        let age = |account: &AccountState| account.oldest.map_or(0, |oldest| now.since(oldest).as_secs());
        gauges(&mut encoder, "outbox_pending", "Calls accepted and not yet settled.", &accounts, by_store, |a| {
            a.pending
        })?;
        gauges(&mut encoder, "outbox_dead", "Dead letters.", &accounts, by_store, |a| a.dead)?;
        gauges(&mut encoder, "outbox_oldest_seconds", "Age of the oldest pending call.", &accounts, by_store, age)?;
        let writable = ConstGauge::new(i64::from(self.outbox.writable().is_ok()));
        let help = "Whether hits can be made durable: 1 or 0.";
        writable.encode(encoder.encode_descriptor("outbox_writable", help, None, MetricType::Gauge)?)?;

        let statuses = self.delivery.statuses();
        let by_status = |status: &Status| status.account.to_string();
        let paused = |status: &Status| u64::from(matches!(status.state, State::Paused { .. }));
        let retrying = |status: &Status| u64::from(matches!(status.state, State::Retrying { .. }));
        gauges(
            &mut encoder,
            "account_paused",
            "Whether an account waits for a person: 1 or 0.",
            &statuses,
            by_status,
            paused,
        )?;
        gauges(
            &mut encoder,
            "account_retrying",
            "Whether a destination fails: 1 or 0.",
            &statuses,
            by_status,
            retrying,
        )?;
        counters(&mut encoder, "deliveries_delivered", "Calls that the destination has.", &statuses, |s| {
            s.counts.delivered
        })?;
        counters(&mut encoder, "deliveries_retried", "Calls put back after a failed attempt.", &statuses, |s| {
            s.counts.retried
        })?;
        counters(&mut encoder, "deliveries_dead", "Calls given up on.", &statuses, |s| s.counts.dead)?;
        counters(&mut encoder, "deliveries_revived", "Dead letters taken back.", &statuses, |s| s.counts.revived)?;
        counters(&mut encoder, "deliveries_attempts", "Requests to the destination.", &statuses, |s| s.counts.attempts)
    }
}

/// The history, read at every scrape.
struct Kept {
    history: Arc<History>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept")
    }
}

impl Collector for Kept {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let counts = self.history.counts();
        let help = "Hits, by whether something of them is kept for a day, and if not, why.";
        let mut family = encoder.encode_descriptor("kept_hits", help, None, MetricType::Counter)?;
        for (outcome, hits) in counts.outcomes() {
            ConstCounter::new(hits).encode(family.encode_family(&[("outcome", outcome)])?)?;
        }
        let bytes = ConstGauge::new(i64::try_from(counts.bytes()).unwrap_or(i64::MAX));
        bytes.encode(encoder.encode_descriptor(
            "history_bytes",
            "Size of history.db with its log.",
            None,
            MetricType::Gauge,
        )?)
    }
}

fn gauges<T>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    items: &[T],
    account: impl Fn(&T) -> String,
    value: impl Fn(&T) -> u64,
) -> Result<(), std::fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for item in items {
        let gauge = ConstGauge::new(i64::try_from(value(item)).unwrap_or(i64::MAX));
        gauge.encode(family.encode_family(&[("account", account(item))])?)?;
    }
    Ok(())
}

fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    statuses: &[Status],
    value: impl Fn(&Status) -> u64,
) -> Result<(), std::fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for status in statuses {
        let counter = ConstCounter::new(value(status));
        counter.encode(family.encode_family(&[("account", status.account.to_string())])?)?;
    }
    Ok(())
}
