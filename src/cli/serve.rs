//! `tidegate serve`: checks the container, then serves.

use std::{collections::BTreeMap, io, path::PathBuf, thread, time::Duration};

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Context, Exit, Format, report};
use crate::{
    container::{
        Container,
        diagnostic::{Severity, Sources},
        folder,
        load::{self, LoadOptions},
    },
    delivery::secrets::Environment,
    demo,
    logging::{self, LogFormat},
    script::STACK,
    service::Service,
    settings::{self, Settings, Stated, readable_environment},
    standin::Standin,
};

/// Check the container, then serve sites and the admin
#[derive(Args, Debug)]
pub struct Serve {
    #[command(flatten)]
    stated: Stated,
    /// File with settings: YAML, keys named like the flags with _ for -
    #[arg(long, env = "TIDEGATE_SETTINGS", value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Run with a stand-in for OpenAI inside the process and a few sample hits; no account needed
    #[arg(long, env = "TIDEGATE_DEMO")]
    demo: bool,
}

impl Serve {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<Exit> {
        let file = self.settings.as_deref().map(Stated::from_file).transpose()?.unwrap_or_default();
        let mut settings = self.stated.over(file)?;
        if self.demo {
            settings.log.push_str(",tidegate::hit=debug");
            settings.data = settings.data.join("demo");
            // Whoever runs the demo wants to read along, even through a pipe.
            if settings.log_format == LogFormat::Auto {
                settings.log_format = LogFormat::Text;
            }
        }
        logging::start(&settings.log, settings.log_format)?;
        let home = Home { folder: context.folder.clone(), demo: self.demo, allow_env: settings.allow_env.clone() };
        let container = home.load()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().thread_stack_size(STACK).enable_all().build();
        let runtime = runtime.context("cannot start threads")?;
        runtime.block_on(serve(settings, container, home))?;
        Ok(Exit::Fine)
    }
}

/// Where the container comes from, at the start and at every reload.
struct Home {
    folder: PathBuf,
    demo: bool,
    allow_env: Vec<String>,
}

impl Home {
    /// Reads and compiles the container; what is wrong with it goes to standard error.
    fn load(&self) -> anyhow::Result<Container> {
        let files: Sources =
            if self.demo && !folder::is_container(&self.folder) { folder::demo() } else { folder::read(&self.folder)? };
        let mut environment: BTreeMap<_, _> = readable_environment(&self.allow_env);
        if self.demo {
            demo::container_environment(&mut environment);
        }
        let options = LoadOptions {
            version: &folder::digest(&files),
            environment: &environment,
            absent_environment: Severity::Error,
            library: &folder::library(),
            inline: None,
            seats: thread::available_parallelism().map_or(1, usize::from),
        };
        let loaded = load::load(&files, options);
        // Where there are but notes, `check` tells them.
        if loaded.diagnostics.has_errors() || loaded.diagnostics.warnings() > 0 {
            // A container is no worse for nobody reading what is said about it.
            let _ = report(&mut io::stderr().lock(), Format::Text, &loaded.diagnostics, &loaded.sources);
        }
        loaded.container.with_context(|| format!("the container is broken: {}", loaded.diagnostics.summary()))
    }
}

async fn serve(mut settings: Settings, container: Container, home: Home) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let (standin, environment): (Option<Standin>, Environment) = if home.demo {
        let standin = demo::start_standin().await?;
        settings.openai_url = standin.url().parse().context("the stand-in's address")?;
        // A file would go before the environment, and a real key must not travel to a stand-in.
        settings.secrets = None;
        (Some(standin), demo::secrets_environment())
    } else {
        (None, Box::new(settings::variable))
    };
    let version = std::sync::Arc::clone(&container.version);
    let service = Service::start(&settings, container, environment).await?;
    tracing::info!(
        hits = format!("http://{}/hit", service.sites),
        metrics = format!("http://{}/metrics", service.admin),
        "container {version} is live"
    );
    if home.demo {
        demo::send_samples(service.sites).await?;
        tracing::info!(target: "tidegate::demo", "this is a demo: conversions go to the stand-in, not to OpenAI; state is under {}", settings.data.display());
    }
    while let Asked::Reload = signals.next().await {
        reload(&service, &home);
    }
    tracing::info!("stopping; a second signal stops at once");
    tokio::select! {
        () = service.stop() => tracing::info!("stopped; nothing accepted was lost"),
        () = signals.stop_again() => {
            tracing::warn!("stopped at once; what was in flight is due again at the next start");
            leave();
        }
    }
    if let Some(standin) = standin {
        standin.stop().await;
    }
    Ok(())
}

/// Ends the process. Returning would wait for the outbox's threads, and so for a disk that may hang.
#[expect(clippy::exit, reason = "whoever signals twice does not want to wait for anything")]
fn leave() -> ! {
    std::process::exit(Exit::Fine as i32)
}

/// Puts the container of the moment in place; a broken one changes nothing.
fn reload(service: &Service, home: &Home) {
    match tokio::task::block_in_place(|| home.load()) {
        Ok(container) => {
            let version = std::sync::Arc::clone(&container.version);
            service.app.replace_container(container);
            tracing::info!("container {version} is live");
        }
        Err(error) => {
            service.app.metrics.reload_failed();
            tracing::error!("the container was not reloaded, the last good one stays: {error:#}");
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

enum Asked {
    Reload,
    Stop,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }

    /// Resolves on a second signal. One that comes right after the first is its echo: `timeout` and terminals signal a
    /// process and then its whole group.
    async fn stop_again(&mut self) {
        let echo = tokio::time::sleep(Duration::from_millis(300));
        tokio::pin!(echo);
        loop {
            tokio::select! {
                () = &mut echo => break,
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
        }
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
