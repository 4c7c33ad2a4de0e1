//! The desk where people look after deliveries: what waits, what died, what is to be done about it, and what is to be
//! forgotten. The same for the command line, with or without a running server, and later for the admin.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    audit::{Actor, Audit, Begun, Entry, Outcome},
    delivery::{Delivery, status::State},
    digest::Digest,
    history::{self, History},
    outbox::{
        CallFilter, CallId, CallState, Forgotten, ListQuery, Outbox, Page, StoreError, StoredCall,
        sought::{NotSought, Sought},
    },
    time::Timestamp,
};

/// How many dead letters are taken in hand at a time.
const CHUNK: usize = 500;

/// An outbox, and the deliveries out of it if they run.
#[derive(Clone)]
pub struct Desk {
    outbox: Arc<dyn Outbox>,
    delivery: Option<Arc<Delivery>>,
    audit: Audit,
    keeper: Keeper,
}

/// Who keeps hits.
#[derive(Clone)]
pub enum Keeper {
    Server(Arc<History>),
    /// Nobody at the moment; what was kept is in this data folder.
    Folder(PathBuf),
}

impl Keeper {
    async fn forget(&self, texts: BTreeSet<String>) -> anyhow::Result<u64> {
        match self {
            Self::Server(history) => history.forget(texts).await,
            Self::Folder(folder) => history::forget(folder, texts).await,
        }
    }
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
    /// All of these; a filter that says nothing means every dead letter.
    Matching(CallFilter),
}

/// Whose data is to be forgotten.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForgetWish {
    EventId(String),
    Email(String),
    Oppref(String),
}

impl ForgetWish {
    pub fn sought(&self) -> Result<Sought, NotSought> {
        match self {
            Self::EventId(id) => Sought::event_id(id),
            Self::Email(address) => Sought::email(address),
            Self::Oppref(value) => Sought::text(value),
        }
    }

    /// The texts by which kept hits are looked for. They hold neither e-mail addresses nor click references as such, but a
    /// site may have sent one under any name.
    fn texts(&self) -> BTreeSet<String> {
        match self {
            Self::EventId(text) | Self::Oppref(text) => BTreeSet::from([text.clone()]),
            Self::Email(address) => {
                let given = address.trim();
                let texts = [given.to_owned(), given.to_lowercase()];
                let digests = texts.iter().map(|text| Digest::of(text).to_string()).collect::<Vec<_>>();
                texts.into_iter().chain(digests).collect()
            }
        }
    }

    /// What kind of value it names, and the value: an address in the form in which it is hashed.
    fn subject(&self) -> (&'static str, String) {
        match self {
            Self::EventId(id) => ("event_id", id.clone()),
            Self::Email(address) => ("email", address.trim().to_lowercase()),
            Self::Oppref(value) => ("oppref", value.clone()),
        }
    }
}

/// What was forgotten, and where that is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ForgetReport {
    #[serde(flatten)]
    pub forgotten: Forgotten,
    /// How many kept hits.
    pub kept: u64,
    pub audit_entry: i64,
    pub fingerprint: String,
}

impl Desk {
    pub fn new(outbox: Arc<dyn Outbox>, delivery: Option<Arc<Delivery>>, audit: Audit, keeper: Keeper) -> Self {
        Self { outbox, delivery, audit, keeper }
    }

    /// Forgets every call that holds a value, from the files too, and writes down that it was done.
    ///
    /// # Errors
    /// The value is none that can be looked for; or the audit log cannot be written, and nothing was forgotten; or the store
    /// failed, and some calls may have been forgotten.
    pub async fn forget(&self, wish: &ForgetWish, who: Actor) -> anyhow::Result<ForgetReport> {
        let sought = wish.sought()?;
        let (subject, value) = wish.subject();
        let begun = self.auditing(move |audit| audit.begin(Timestamp::now(), &who, "forget", subject, &value)).await?;
        let Begun { id, fingerprint } = begun;
        let forgotten = async {
            let forgotten = self.outbox.forget(&sought).await?;
            self.outbox.scrub().await?;
            let kept = self.keeper.forget(wish.texts()).await?;
            anyhow::Ok((forgotten, kept))
        };
        let forgotten = forgotten.await;
        let outcome = match &forgotten {
            Ok((forgotten, _)) => Outcome::Forgotten(*forgotten),
            Err(error) => Outcome::Failed { words: error.to_string() },
        };
        match &outcome {
            Outcome::Failed { words } => {
                tracing::error!(target: "tidegate::audit", entry = id, subject, fingerprint, words, "calls could not be forgotten");
            }
            _ => tracing::warn!(
                target: "tidegate::audit",
                entry = id,
                subject,
                fingerprint,
                outcome = serde_json::to_string(&outcome).unwrap_or_default(),
                "calls were forgotten by hand"
            ),
        }
        self.auditing(move |audit| audit.end(id, &outcome)).await?;
        let (forgotten, kept) = forgotten?;
        Ok(ForgetReport { forgotten, kept, audit_entry: id, fingerprint })
    }

    /// The last entries of the audit log, oldest first.
    pub async fn audit(&self, limit: usize) -> anyhow::Result<Vec<Entry>> {
        self.auditing(move |audit| audit.last(limit)).await
    }

    /// Uses the audit log on a thread that may wait for the disk.
    async fn auditing<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Audit) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let audit = self.audit.clone();
        tokio::task::spawn_blocking(move || work(&audit)).await?
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

    /// Puts dead letters back to be delivered. Where an account is named, or all are meant, also tells paused accounts that
    /// they may try again.
    /// Returns how many were put back.
    pub async fn retry(&self, selection: &Selection) -> Result<usize, StoreError> {
        let mut replayed = 0;
        for ids in self.chosen(selection).await? {
            replayed += self.outbox.replay(&ids).await?;
        }
        if let Some(delivery) = &self.delivery {
            for known in self.outbox.accounts() {
                let meant = match selection {
                    // What was put back is due at once; an account that is paused is meant by its name.
                    Selection::Ids(_) => false,
                    Selection::Matching(CallFilter { account: Some(account), .. }) => {
                        known.account.to_string() == *account
                    }
                    Selection::Matching(filter) => *filter == CallFilter::default(),
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
        let filter = match selection {
            Selection::Ids(ids) => return Ok(ids.chunks(CHUNK).map(<[CallId]>::to_vec).collect()),
            Selection::Matching(filter) => filter.clone(),
        };
        let mut query = ListQuery { state: CallState::Dead, filter, after: None, limit: CHUNK };
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
