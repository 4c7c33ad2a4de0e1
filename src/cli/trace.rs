//! `tidegate trace`: one hit through the pipeline, decided by decided; sends nothing.

use std::{
    cell::Cell,
    io::{self, IsTerminal, Write},
    sync::Arc,
};

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};
use uuid::Uuid;

use self::{request::Request, text::Tone};
use super::{Context, Exit, Format, check, report};
use crate::{
    app::{self, monotonic_clock},
    client::Client,
    consent::{ConsentStatus, ConsentType, Statement},
    container::{Container, diagnostic::did_you_mean, load::Loaded},
    git::Repository,
    hit::Hit,
    pipeline::{self, Processed, Surroundings},
    trace::{TOLD_TO_PEOPLE, TagTrace, TagVerdict},
};

mod beside;
mod curl;
mod request;
mod text;

/// Follow one hit through the container and say what every stage decided; sends nothing
#[derive(Args, Debug)]
pub struct Trace {
    #[command(flatten)]
    request: Request,
    /// Take this as said about consent, whatever the hit says: a type and granted or denied; may be repeated
    #[arg(long, value_name = "TYPE=STATE", value_delimiter = ',')]
    consent: Vec<String>,
    /// Set the trace beside that of another version of the container, a commit; what differs is marked
    #[arg(long, value_name = "COMMIT")]
    against: Option<String>,
    /// Further environment variables that the container may read
    #[arg(long, env = "TIDEGATE_ALLOW_ENV", value_name = "NAME", value_delimiter = ',')]
    allow_env: Vec<String>,
}

/// How wide two traces side by side are where nobody says how much room there is.
const WIDTH: usize = 160;

impl Trace {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<Exit> {
        let stated = stated(&self.consent)?;
        let (client, hit) = self.request.read()?;
        let hit = Arc::new(hit);
        let container = usable(context, check::load(context, &self.allow_env)?, "the container")?;
        let first_id = app::random_id();
        let process = |container: &Container| process(container, client, &hit, stated, first_id);
        let processed = process(&container);
        let earlier = match &self.against {
            None => None,
            Some(revision) => Some(process(&self.earlier(context, revision)?)),
        };
        let mut out = io::stdout().lock();
        match (context.format, &earlier) {
            (Format::Json, None) => json_line(&mut out, &as_json(&processed))?,
            (Format::Json, Some(earlier)) => {
                json_line(&mut out, &json!({ "against": as_json(earlier), "now": as_json(&processed) }))?;
            }
            (Format::Text | Format::Github, None) => {
                for line in text::lines(&processed)? {
                    write_line(&mut out, line.tone, &line.text)?;
                }
            }
            (Format::Text | Format::Github, Some(earlier)) => {
                let width = terminal_size::terminal_size_of(io::stdout()).map_or(WIDTH, |(width, _)| width.0.into());
                for row in beside::rows(&text::lines(earlier)?, &text::lines(&processed)?, width) {
                    write_line(&mut out, row.tone, &row.text)?;
                }
            }
        }
        let failed = |tag: &TagTrace| matches!(tag.verdict, TagVerdict::Failed { .. });
        let any_failed = processed.trace.events.iter().flat_map(|event| &event.tags).any(failed);
        Ok(if processed.result.is_err() || any_failed { Exit::FoundWrong } else { Exit::Fine })
    }

    /// The container as a commit has it.
    fn earlier(&self, context: &Context, revision: &str) -> anyhow::Result<Container> {
        let repository = Repository::find(&context.folder)?;
        let repository = repository
            .with_context(|| format!("--against needs a git repository; {} is in none", context.folder.display()))?;
        let commit = repository.named(revision)?;
        let tree = repository.tree(&commit)?;
        let loaded = check::load_files(&tree.files, commit.short(), &self.allow_env);
        usable(context, loaded, &format!("the container of {commit}"))
    }
}

fn usable(context: &Context, loaded: Loaded, which: &str) -> anyhow::Result<Container> {
    let Some(container) = loaded.container else {
        report(&mut io::stderr().lock(), context, &loaded.diagnostics, &loaded.sources)?;
        anyhow::bail!("{which} is broken: {}", loaded.diagnostics.summary());
    };
    Ok(container)
}

/// What `--consent` says.
fn stated(words: &[String]) -> anyhow::Result<Statement> {
    let mut stated = Statement::default();
    for word in words {
        let (name, state) =
            word.split_once('=').with_context(|| format!("--consent {word:?} is not TYPE=granted or TYPE=denied"))?;
        let kind = ConsentType::from_name(name).with_context(|| {
            let names = ConsentType::ALL.map(ConsentType::name);
            let help = did_you_mean(name, names).unwrap_or_else(|| format!("there are {}", names.join(", ")));
            format!("--consent: {name:?} is no Consent Mode type; {help}")
        })?;
        let status = match state {
            "granted" => ConsentStatus::Granted,
            "denied" => ConsentStatus::Denied,
            other => anyhow::bail!("--consent: {name} can be granted or denied, not {other:?}"),
        };
        stated.set(kind, status);
    }
    Ok(stated)
}

/// Two containers that process a hit mint the same ids, so that these do not differ.
fn process(container: &Container, client: Client, hit: &Arc<Hit>, stated: Statement, first_id: Uuid) -> Processed {
    let minted = Cell::new(first_id.as_u128());
    let new_id = || Uuid::from_u128(minted.replace(minted.get().wrapping_add(1)));
    let surroundings = Surroundings {
        clock: monotonic_clock,
        new_id: &new_id,
        recent: None,
        told: TOLD_TO_PEOPLE,
        look: None,
        stated,
    };
    pipeline::process(container, client, hit, surroundings)
}

/// The trace, with what the server would have done.
fn as_json(processed: &Processed) -> Value {
    let (calls, cookies) = match &processed.result {
        Ok(decided) => (decided.calls.as_slice(), decided.cookies.as_slice()),
        Err(_) => (&[][..], &[][..]),
    };
    let calls: Vec<_> = calls
        .iter()
        .map(|call| {
            let body: Value = serde_json::from_str(&call.body).unwrap_or(Value::Null);
            json!({ "tag": call.tag, "account": call.account, "event": call.event, "body": body })
        })
        .collect();
    json!({ "trace": processed.trace, "calls": calls, "cookies": cookies })
}

fn json_line(out: &mut impl Write, value: &Value) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)?;
    Ok(())
}

/// In colour only on a terminal.
fn write_line(out: &mut (impl Write + IsTerminal), tone: Tone, text: &str) -> io::Result<()> {
    match tone.code().filter(|_| !text.is_empty() && out.is_terminal()) {
        Some(code) => writeln!(out, "\u{1b}[{code}m{text}\u{1b}[0m"),
        None => writeln!(out, "{text}"),
    }
}
