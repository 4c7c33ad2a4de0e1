//! Metrics: names, help texts and labels in one place. Labels come from the container and from code, never from what a
//! visitor sent, so that their number is bounded.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};

use crate::trace::{TagVerdict, Trace};

/// Every metric of the process.
pub struct Metrics {
    registry: Mutex<Registry>,
    hits: Family<HitLabels, Counter>,
    hit_seconds: Histogram,
    events: Counter,
    tags: Family<TagLabels, Counter>,
    container: Family<ContainerLabels, Gauge>,
    reload_failures: Counter,
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
            tags: Family::default(),
            container: Family::default(),
            reload_failures: Counter::default(),
            registry: Mutex::default(),
        };
        registry.register("hits", "Hits, by the client that claimed them and how they were answered", metrics.hits.clone());
        registry.register("hit_seconds", "From a hit's head to its answer", metrics.hit_seconds.clone());
        registry.register("events", "Events that hits brought", metrics.events.clone());
        registry.register("tags", "What became of tags that a trigger looked at", metrics.tags.clone());
        registry.register("container", "The version of the container that is live: 1", metrics.container.clone());
        registry.register("reload_failures", "Containers that were refused; the last good one stayed", metrics.reload_failures.clone());
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
        for tag in trace.events.iter().flat_map(|event| &event.tags) {
            let outcome = match &tag.verdict {
                TagVerdict::NotTriggered { .. } => continue,
                TagVerdict::Excepted { .. } => "excepted",
                TagVerdict::Paused => "paused",
                TagVerdict::Held { .. } => "held",
                TagVerdict::Blocked { .. } => "blocked",
                TagVerdict::Skipped { .. } => "skipped",
                TagVerdict::Failed { .. } => "failed",
                TagVerdict::Ran { .. } => "ran",
            };
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

    /// Lets another part of the process add metrics of its own.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
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
