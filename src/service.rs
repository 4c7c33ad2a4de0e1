//! Everything that runs while Tidegate serves: put together in one place, and taken apart in the right order.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use axum::Router;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    admin::{
        self,
        webhook::{self, Webhook},
    },
    app::App,
    audit::Audit,
    call::SecretName,
    collect::Collect,
    container::{Container, SecretUse, diagnostic::Place},
    control,
    data_folder::{DataFolder, OpenError},
    delivery::{
        Delivery, Destinations, Surroundings,
        client::{ClientOptions, client},
        guard::Guard,
        http::Http,
        openai::OpenAi,
        secrets::{Binding, Environment, Secrets},
    },
    desk::{Desk, Keeper},
    history::{self, History},
    logging::DeliveryLog,
    metrics::Metrics,
    outbox::{
        Outbox,
        embedded::{Embedded, Options},
    },
    server,
    settings::Settings,
    write_keys::{self, WriteKeys},
};

/// How long deliveries in flight may take once the server is told to stop.
const DELIVERY_TIME: Duration = Duration::from_secs(10);
/// How often the rate limiter forgets quiet addresses.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// Connections to the admin need no more.
const ADMIN_CONNECTIONS: usize = 100;

/// A running server.
pub struct Service {
    pub app: Arc<App>,
    /// Where sites send hits; the port is the real one where 0 was asked for.
    pub sites: SocketAddr,
    pub admin: SocketAddr,
    delivery: Arc<Delivery>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    drain: Duration,
    _folder: DataFolder,
}

impl Service {
    /// Opens the data folder, starts deliveries and listens. Needs a tokio runtime.
    ///
    /// # Errors
    /// The data folder is in use or unusable, an address is taken, or a setting cannot be met; nothing runs then.
    pub async fn start(settings: &Settings, container: Container, environment: Environment) -> anyhow::Result<Self> {
        anyhow::ensure!(
            settings.admin.ip().is_loopback(),
            "the admin has no sign-in yet, so --admin must be a loopback address, not {}; reach it through a tunnel",
            settings.admin.ip()
        );
        let folder = open_folder(settings)?;
        let sites = listen(settings.listen, "--listen").await?;
        let admin = listen(settings.admin, "--admin").await?;
        let socket = control::bind(&folder)?;
        let secrets = Arc::new(secrets(settings, environment)?);
        let destinations = destinations(settings, Arc::clone(&secrets))?;
        tell_absent(&container, &secrets).await;
        let write_keys = WriteKeys::open(settings.write_keys.clone(), Arc::clone(&secrets)).await?;
        if let Some(secret) = &settings.webhook_secret {
            webhook::ensure(&secrets, secret).await?;
        }
        let options = Options { reserve_bytes: settings.disk_reserve, ..Options::default() };
        let outbox: Arc<dyn Outbox> = Arc::new(Embedded::open(folder.path(), options)?);
        let surroundings = Surroundings { observer: Some(Arc::new(DeliveryLog)), ..Surroundings::default() };
        let delivery = Arc::new(Delivery::start(Arc::clone(&outbox), destinations, surroundings));
        let metrics = Metrics::default();
        metrics.watch_deliveries(Arc::clone(&outbox), Arc::clone(&delivery));
        let options = history::Options { keep: settings.keep_hits, max_bytes: settings.history_bytes };
        let history = Arc::new(History::open(folder.path(), options).context("cannot start the history")?);
        metrics.watch_history(Arc::clone(&history));
        let app = Arc::new(App::open(container, Arc::clone(&outbox), Arc::clone(&history), metrics).await?);

        let (stop, stopping) = watch::channel(false);
        let desk = Desk::new(outbox, Some(Arc::clone(&delivery)), Audit::of(folder.path()), Keeper::Server(history));
        let (proxies, limit) = (settings.trusted_proxies.clone(), settings.rate_limit);
        let collect = Arc::new(Collect::new(Arc::clone(&app), proxies, limit, write_keys));
        let (sites_address, admin_address) = (sites.local_addr()?, admin.local_addr()?);
        let webhook = settings.webhook_secret.clone().map(|secret| Webhook::new(Arc::clone(&app), secrets, secret));
        let tasks = vec![
            serve(
                sites,
                settings.site_paths.clone().over(Arc::clone(&collect).routes()),
                settings.max_connections,
                &stopping,
            ),
            serve(admin, admin::routes(Arc::clone(&app), admin_address, webhook), ADMIN_CONNECTIONS, &stopping),
            tokio::spawn(socket.serve(desk, Arc::clone(&app), stopping.clone())),
            tokio::spawn(tidy(collect, stopping)),
        ];
        Ok(Self {
            app,
            sites: sites_address,
            admin: admin_address,
            delivery,
            stop,
            tasks,
            drain: settings.drain,
            _folder: folder,
        })
    }

    /// Stops without losing anything: not ready, drain, no more connections, requests finished, deliveries settled,
    /// outbox closed.
    pub async fn stop(self) {
        self.app.drain();
        tokio::time::sleep(self.drain).await;
        self.stop.send_replace(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(target: "tidegate::service", "a task broke off: {error}");
            }
        }
        self.delivery.stop(DELIVERY_TIME).await;
        self.app.outbox.close().await;
        self.app.history.close().await;
    }
}

fn open_folder(settings: &Settings) -> anyhow::Result<DataFolder> {
    DataFolder::open(&settings.data).map_err(|error| match error {
        OpenError::Locked => anyhow::anyhow!(
            "another server uses the data folder {}; stop it, or name another folder with --data",
            settings.data.display()
        ),
        OpenError::Other(error) => error,
    })
}

async fn listen(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("cannot listen on {address}; choose another address with {flag}"))
}

/// What the operator binds to destinations, what the webhook is signed with, and what servers show.
fn secrets(settings: &Settings, environment: Environment) -> anyhow::Result<Secrets> {
    let binding = |text: &String| {
        let (secret, destination) =
            text.split_once('=').with_context(|| format!("--bind-secret takes NAME=DESTINATION, not {text:?}"))?;
        anyhow::Ok(Binding { secret: SecretName(secret.into()), destination: bound_to(destination).into() })
    };
    let mut bindings = settings.bind_secret.iter().map(binding).collect::<anyhow::Result<Vec<_>>>()?;
    let webhook = |secret: &SecretName| Binding { secret: secret.clone(), destination: webhook::DESTINATION.into() };
    bindings.extend(settings.webhook_secret.as_ref().map(webhook));
    let key = |secret: &SecretName| Binding { secret: secret.clone(), destination: write_keys::DESTINATION.into() };
    bindings.extend(settings.write_keys.iter().map(key));
    Ok(Secrets::new(environment, settings.secrets.clone(), bindings).with_keys(settings.keys))
}

/// Says at once what an account would only say with its first call. A secret may be put there at any time, so the server
/// starts all the same.
async fn tell_absent(container: &Container, secrets: &Secrets) {
    let mut known = BTreeSet::new();
    for SecretUse { name, tag, place } in container.secrets.iter().filter(|one| known.insert(&*one.name.0)) {
        if let Err(error) = secrets.is_there(name).await {
            let Place { file, line, column, .. } = place;
            tracing::warn!(target: "tidegate::service", "tag {tag:?} needs a secret ({file}:{line}:{column}): {error}");
        }
    }
}

fn destinations(settings: &Settings, secrets: Arc<Secrets>) -> anyhow::Result<Destinations> {
    let guard = Guard::new(settings.allow_private_hosts.iter().cloned());
    Ok(Destinations {
        openai: OpenAi::new(&settings.openai_url, client(&ClientOptions::default())?, Arc::clone(&secrets))?,
        http: Http::new(guard, secrets)?,
    })
}

/// A host's address as accounts have it: `https://API.example.com/` is `https://api.example.com`.
fn bound_to(destination: &str) -> String {
    match url::Url::parse(destination) {
        Ok(url) if url.has_host() => url.origin().ascii_serialization(),
        _ => destination.to_owned(),
    }
}

fn serve(listener: TcpListener, routes: Router, connections: usize, stop: &watch::Receiver<bool>) -> JoinHandle<()> {
    tokio::spawn(server::serve(listener, routes, connections, stop.clone()))
}

async fn tidy(collect: Arc<Collect>, mut stop: watch::Receiver<bool>) {
    while tokio::time::timeout(TIDY_EVERY, stop.wait_for(|stop| *stop)).await.is_err() {
        collect.tidy();
    }
}
