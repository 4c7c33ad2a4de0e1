//! The desk where people look after deliveries: what waits, what died, and what is to be done about it. The same for
//! the command line, with or without a running server, and later for the admin.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    delivery::{Delivery, status::State},
    outbox::{CallId, CallState, ListQuery, Outbox, Page, StoreError, StoredCall},
    time::Timestamp,
};

/// How many dead letters are taken in hand at a time.
const CHUNK: usize = 500;

/// An outbox, and the deliveries out of it if they run.
#[derive(Clone)]
pub struct Desk {
    outbox: Arc<dyn Outbox>,
    delivery: Option<Arc<Delivery>>,
}

/// One account's standing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountReport {
    pub account: String,
    pub pending: u64,
    pub dead: u64,
    /// When the oldest pending call was accepted.
    pub oldest: Option<Timestamp>,
    /// In words, such as `flowing` or `paused since …`.
    pub state: String,
}

/// Which dead letters are meant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    Ids(Vec<CallId>),
    /// All of this account, by its shown name.
    Account(String),
    All,
}

impl Desk {
    pub fn new(outbox: Arc<dyn Outbox>, delivery: Option<Arc<Delivery>>) -> Self {
        Self { outbox, delivery }
    }

    pub fn accounts(&self) -> Vec<AccountReport> {
        let statuses = self.delivery.as_ref().map(|delivery| delivery.statuses());
        let state = |account| match &statuses {
            None => "no server is running".to_owned(),
            Some(statuses) => {
                let status = statuses.iter().find(|status| status.account == account);
                status.map_or_else(|| "starting".to_owned(), |status| words(&status.state))
            }
        };
        let report = |known: crate::outbox::AccountState| AccountReport {
            account: known.account.to_string(),
            pending: known.pending,
            dead: known.dead,
            oldest: known.oldest,
            state: state(known.account),
        };
        self.outbox.accounts().into_iter().map(report).collect()
    }

    pub async fn list(&self, query: &ListQuery) -> Result<Page, StoreError> {
        self.outbox.list(query).await
    }

    pub async fn show(&self, id: CallId) -> Result<Option<StoredCall>, StoreError> {
        self.outbox.show(id).await
    }

    /// Puts dead letters back to be delivered; by account or all, also tells paused accounts that they may try again.
    /// Returns how many were put back.
    pub async fn retry(&self, selection: &Selection) -> Result<usize, StoreError> {
        let mut replayed = 0;
        for ids in self.chosen(selection).await? {
            replayed += self.outbox.replay(&ids).await?;
        }
        if let Some(delivery) = &self.delivery {
            for known in self.outbox.accounts() {
                let meant = match selection {
                    Selection::Account(account) => known.account.to_string() == *account,
                    Selection::All => true,
                    // What was put back is due at once; an account that is paused is meant by its name.
                    Selection::Ids(_) => false,
                };
                if meant {
                    delivery.resume(&known.account);
                }
            }
        }
        Ok(replayed)
    }

    /// Forgets dead letters for good; by their ids, pending calls too. Returns how many.
    pub async fn discard(&self, selection: &Selection) -> Result<usize, StoreError> {
        let mut discarded = 0;
        for ids in self.chosen(selection).await? {
            discarded += self.outbox.discard(&ids).await?;
        }
        tracing::warn!(target: "tidegate::desk", calls = discarded, "calls were discarded by hand");
        Ok(discarded)
    }

    /// The ids that a selection means, in chunks.
    async fn chosen(&self, selection: &Selection) -> Result<Vec<Vec<CallId>>, StoreError> {
        let account = match selection {
            Selection::Ids(ids) => return Ok(ids.chunks(CHUNK).map(<[CallId]>::to_vec).collect()),
            Selection::Account(account) => Some(account.clone()),
            Selection::All => None,
        };
        let mut query = ListQuery { state: CallState::Dead, account, after: None, limit: CHUNK };
        let mut chunks = Vec::new();
        loop {
            let page = self.outbox.list(&query).await?;
            chunks.push(page.calls.iter().map(|call| call.id).collect());
            query.after = page.next;
            if query.after.is_none() {
                return Ok(chunks);
            }
        }
    }
}

/// An account's state as a person reads it.
fn words(state: &State) -> String {
    match state {
        State::Flowing => "flowing".to_owned(),
        State::Retrying { since, until, failures } => {
            format!("retrying since {since} ({failures} failures), next at {until}")
        }
        State::Paused { since, probe_at, pause } => {
            let status = pause.status.map(|status| format!("{status}: ")).unwrap_or_default();
            format!("PAUSED since {since}: {} ({status}{}), next trial at {probe_at}", pause.reason, pause.words)
        }
    }
}
