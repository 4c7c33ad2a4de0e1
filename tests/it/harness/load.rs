//! Hits that come while something else happens: several senders, each of which sends one after the other.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use serde_json::Value;
use tokio::{sync::Notify, task::JoinSet};

use super::{HOST, PATIENCE, Shop};

/// Senders at work.
pub struct Load {
    sent: Arc<Mutex<Sent>>,
    more: Arc<Notify>,
    stop: Arc<AtomicBool>,
    senders: JoinSet<()>,
}

/// The names of the hits that were sent.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    pub acknowledged: Vec<String>,
    /// Those at which the connection broke: whether they are durable is not known. A sender ends by it.
    pub unanswered: Vec<String>,
}

impl Load {
    /// Sends what `hit` makes of names that begin so, until it is told to end or the server is gone. Every answer must be
    /// a 204.
    pub fn start(shop: &Shop, senders: usize, beginning: &str, hit: fn(&str) -> Value) -> Self {
        let mut load =
            Self { sent: Arc::default(), more: Arc::default(), stop: Arc::default(), senders: JoinSet::new() };
        for sender in 0..senders {
            let (sent, more, stop) = (Arc::clone(&load.sent), Arc::clone(&load.more), Arc::clone(&load.stop));
            let (http, url) = (shop.http.clone(), format!("http://{}/hit", shop.sites()));
            let beginning = format!("{beginning}-{sender}");
            load.senders.spawn(async move {
                for nth in 0.. {
                    let name = format!("{beginning}-{nth}");
                    let answer = http.post(&url).header("host", HOST).body(hit(&name).to_string()).send().await;
                    let Ok(answer) = answer else {
                        sent.lock().expect("no panic").unanswered.push(name);
                        return;
                    };
                    assert_eq!(answer.status(), 204, "{name}");
                    sent.lock().expect("no panic").acknowledged.push(name);
                    more.notify_one();
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        load
    }

    /// Waits until so many hits were acknowledged.
    pub async fn acknowledged_at_least(&self, hits: usize) {
        let enough = async {
            while self.sent.lock().expect("no panic").acknowledged.len() < hits {
                self.more.notified().await;
            }
        };
        tokio::time::timeout(PATIENCE, enough).await.expect("hits are answered");
    }

    /// Lets every sender finish the hit that it is at.
    pub async fn end(mut self) -> Sent {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(sender) = self.senders.join_next().await {
            sender.expect("a sender ends by itself");
        }
        self.sent.lock().expect("no panic").clone()
    }

    /// The same with a server that stays: every hit was acknowledged. Gives how many.
    pub async fn end_unbroken(self) -> usize {
        let sent = self.end().await;
        assert!(sent.unanswered.is_empty(), "without an answer: {:?}", sent.unanswered);
        sent.acknowledged.len()
    }
}
