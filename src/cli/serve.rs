//! `tidegate serve`: checks the container, then serves.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Context, Exit};
use crate::{
    container::folder,
    demo,
    environment::{self, readable_environment},
    live::{self, Compiler, Home, Order, Origin, Start},
    logging::{self, LogFormat},
    script::STACK,
    service::Service,
    settings::{Settings, Stated},
};

/// Check the container, then serve sites and the admin
#[derive(Args, Debug)]
pub struct Serve {
    #[command(flatten)]
    stated: Stated,
    /// File with settings: YAML, keys named like the flags with _ for -
    #[arg(long, env = "TIDEGATE_SETTINGS", value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Serve the working tree as it lies, not what is committed
    #[arg(long, env = "TIDEGATE_DRAFT")]
    draft: bool,
    /// Run with a stand-in for OpenAI inside the process and a few sample hits; no account needed, and no secret is sent
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
        let mut readable = readable_environment(&settings.allow_env);
        if self.demo {
            demo::container_environment(&mut readable);
        }
        let compiler = Compiler::new(readable, folder::library());
        let origin = origin(&context.folder, self.demo, self.draft, settings.follow.is_some())?;
        let start = Home::new(origin, compiler, &settings.data, settings.follow.clone()).start()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().thread_stack_size(STACK).enable_all().build();
        let runtime = runtime.context("cannot start threads")?;
        runtime.block_on(serve(settings, start, self.demo))?;
        Ok(Exit::Fine)
    }
}

/// Where the container comes from. The demo is for trying things out, so it serves files as they lie.
fn origin(folder: &Path, is_demo: bool, is_draft: bool, follows: bool) -> anyhow::Result<Origin> {
    let origin = if is_demo && !folder::is_container(folder) {
        Origin::Program
    } else if is_demo || is_draft {
        Origin::Folder(folder.to_owned())
    } else {
        Origin::live(folder)?
    };
    anyhow::ensure!(
        !follows || matches!(origin, Origin::Commits(_)),
        "--remote needs a repository to fetch into: git clone it, name the clone with -C, and serve it without --draft and \
         --demo"
    );
    Ok(origin)
}

async fn serve(mut settings: Settings, start: Start, demo: bool) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let standin = if demo {
        let standin = demo::start_standin().await?;
        settings.openai_url = standin.url().parse().context("the stand-in's address")?;
        settings.keys = demo::KEYS;
        Some(standin)
    } else {
        None
    };
    let Start { container, home } = start;
    let version = Arc::clone(&container.version);
    let place = home.place();
    let service = Service::start(&settings, container, Box::new(environment::variable)).await?;
    tracing::info!(
        hits = format!("http://{}/hit", service.sites),
        metrics = format!("http://{}/metrics", service.admin),
        "container {version} is live: {place}"
    );
    live::watch(Arc::clone(&service.app), home).context("cannot start a thread")?;
    if demo {
        demo::send_samples(service.sites).await?;
        tracing::info!(target: "tidegate::demo", "this is a demo: conversions go to the stand-in, not to OpenAI; state is under {}", settings.data.display());
    }
    while let Asked::Reload = signals.next().await {
        service.app.live.order(Order::Reload);
    }
    service.app.live.order(Order::Stop);
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
