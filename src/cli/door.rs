//! The way to a desk for commands that look after a data folder: through the server that holds it, or straight to the
//! store where no server runs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::ensure;
use clap::Args;

use crate::{
    audit::{Actor, Audit, Entry},
    control,
    data_folder::{DataFolder, OpenError},
    desk::{AccountReport, Desk, ForgetReport, ForgetWish, Keeper, Selection},
    outbox::{
        CallId, ListQuery, Outbox, Page, StoredCall,
        embedded::{Embedded, Options},
    },
};

#[derive(Args, Debug)]
pub(super) struct Data {
    /// Folder for the outbox and other state
    #[arg(long, env = "TIDEGATE_DATA", default_value = ".tidegate", value_name = "FOLDER")]
    data: PathBuf,
}

impl Data {
    /// # Errors
    /// There is no such folder, or its store cannot be opened.
    pub fn door(&self) -> anyhow::Result<Door> {
        Door::open(&self.data)
    }
}

/// The way to a desk: through the server that holds the folder, or straight to the store.
pub(super) enum Door {
    Server(control::Client),
    Store {
        desk: Desk,
        /// The folder's lock, held for as long as the store is open.
        _folder: DataFolder,
    },
}

impl Door {
    fn open(data: &Path) -> anyhow::Result<Self> {
        ensure!(data.is_dir(), "{} is no data folder; name the server's with --data", data.display());
        match DataFolder::open(data) {
            Err(OpenError::Locked) => Ok(Self::Server(control::Client::new(data)?)),
            Err(OpenError::Other(error)) => Err(error),
            Ok(folder) => {
                let store = Embedded::open(data, Options::default())?;
                let outbox: Arc<dyn Outbox> = Arc::new(store);
                Ok(Self::Store {
                    desk: Desk::new(outbox, None, Audit::of(data), Keeper::Folder(data.to_owned())),
                    _folder: folder,
                })
            }
        }
    }

    pub async fn accounts(&self) -> anyhow::Result<Vec<AccountReport>> {
        match self {
            Self::Server(client) => client.accounts().await,
            Self::Store { desk, .. } => Ok(desk.accounts()),
        }
    }

    pub async fn list(&self, query: &ListQuery) -> anyhow::Result<Page> {
        match self {
            Self::Server(client) => client.list(query).await,
            Self::Store { desk, .. } => Ok(desk.list(query).await?),
        }
    }

    pub async fn show(&self, id: CallId) -> anyhow::Result<Option<StoredCall>> {
        match self {
            Self::Server(client) => client.show(id).await,
            Self::Store { desk, .. } => Ok(desk.show(id).await?),
        }
    }

    pub async fn retry(&self, selection: &Selection) -> anyhow::Result<usize> {
        match self {
            Self::Server(client) => client.retry(selection).await,
            Self::Store { desk, .. } => Ok(desk.retry(selection).await?),
        }
    }

    pub async fn discard(&self, selection: &Selection) -> anyhow::Result<usize> {
        match self {
            Self::Server(client) => client.discard(selection).await,
            Self::Store { desk, .. } => Ok(desk.discard(selection).await?),
        }
    }
    pub async fn forget(&self, wish: &ForgetWish) -> anyhow::Result<ForgetReport> {
        match self {
            Self::Server(client) => client.forget(wish).await,
            Self::Store { desk, .. } => desk.forget(wish, Actor::of_this_process()).await,
        }
    }

    pub async fn audit(&self, limit: usize) -> anyhow::Result<Vec<Entry>> {
        match self {
            Self::Server(client) => client.audit(limit).await,
            Self::Store { desk, .. } => desk.audit(limit).await,
        }
    }
}
