//! `tidegate trace`: one hit through the pipeline, and why each tag fires or does not; sends nothing.

use std::{
    cell::{Cell, RefCell},
    io::{self, IsTerminal, Write},
    sync::Arc,
};

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};
use uuid::Uuid;

use self::{
    request::{Arrival, Request},
    text::Tone,
};
use super::{Context, Exit, Format, check, report, wants_colour};
use crate::{
    app::{self, monotonic_clock},
    client::Client,
    consent::{ConsentStatus, ConsentType, Evidence, Statement},
    container::{Container, diagnostic::did_you_mean, load::Loaded},
    error::Refusal,
    git::Repository,
    hit::Hit,
    pipeline::{self, Processed, Surroundings},
    trace::{Attention, TOLD_TO_PEOPLE, TagTrace, TagVerdict, closeup::Closeup},
    variable::Moment,
};

mod beside;
mod curl;
mod fetch;
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

/// What was decided about a hit, by one version of the container, and what there is to see of it.
struct Followed {
    hit: Arc<Hit>,
    processed: Processed,
    /// One for each event that was decided.
    closeups: Vec<Option<Closeup>>,
}

impl Trace {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<Exit> {
        let stated = stated(&self.consent)?;
        let container = usable(context, check::load(context, &self.allow_env)?, "the container")?;
        let listed = |origin: &str| container.settings.origins.iter().any(|listed| **listed == *origin);
        let (client, hit) = match self.request.read(listed)? {
            Arrival::Hit(client, hit) => (client, Arc::new(*hit)),
            Arrival::Refused(refusal) => return refused(context, &refusal),
        };
        let first_id = app::random_id();
        let follow = |container: &Container| follow(container, client, &hit, stated, first_id);
        let followed = follow(&container);
        let against = self.against.as_deref().map(|revision| self.earlier(context, revision)).transpose()?;
        let against = against.map(|(label, container)| (label, follow(&container)));
        let mut out = io::stdout().lock();
        match (context.format, &against) {
            (Format::Json, None) => json_line(&mut out, &as_json(&followed))?,
            (Format::Json, Some((_, earlier))) => {
                json_line(&mut out, &json!({ "against": as_json(earlier), "now": as_json(&followed) }))?;
            }
            (Format::Text | Format::Github, None) => {
                for line in text::lines(&followed)? {
                    write_line(&mut out, line.tone, &line.text)?;
                }
            }
            (Format::Text | Format::Github, Some((label, earlier))) => {
                let width = terminal_size::terminal_size_of(io::stdout()).map_or(WIDTH, |(width, _)| width.0.into());
                let now = match context.folder.to_str() {
                    Some(".") => "the draft: the files in this folder".to_owned(),
                    _ => format!("the draft: the files in {}", context.folder.display()),
                };
                for row in beside::heading(label, &now, width) {
                    write_line(&mut out, row.tone, &row.text)?;
                }
                for row in beside::rows(&text::lines(earlier)?, &text::lines(&followed)?, width) {
                    write_line(&mut out, row.tone, &row.text)?;
                }
            }
        }
        let Followed { processed: Processed { result, trace }, .. } = &followed;
        let failed = |tag: &TagTrace| matches!(tag.verdict, TagVerdict::Failed { .. });
        let any_failed = trace.events.iter().flat_map(|event| &event.tags).any(failed);
        Ok(if result.is_err() || any_failed { Exit::FoundWrong } else { Exit::Fine })
    }

    /// The container as a commit has it, with what names it to people.
    fn earlier(&self, context: &Context, revision: &str) -> anyhow::Result<(String, Container)> {
        let repository = Repository::find(&context.folder)?;
        let repository = repository
            .with_context(|| format!("--against needs a git repository; {} is in none", context.folder.display()))?;
        let commit = repository.named(revision)?;
        let label = format!("{} {}", commit.short(), repository.subject(&commit)?);
        let tree = repository.tree(&commit)?;
        let loaded = check::load_files(&tree.files, commit.short(), &self.allow_env);
        Ok((label, usable(context, loaded, &format!("the container of {commit}"))?))
    }
}

/// What the server refuses before it reads a hit, in its own words.
fn refused(context: &Context, refusal: &Refusal) -> anyhow::Result<Exit> {
    let mut out = io::stdout().lock();
    if context.format == Format::Json {
        let (status, message) = (refusal.status().as_u16(), refusal.message());
        json_line(&mut out, &json!({ "refused": { "status": status, "message": message } }))?;
    } else {
        let line = text::refused(refusal);
        write_line(&mut out, line.tone, &line.text)?;
    }
    Ok(Exit::FoundWrong)
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
        let before = stated.get(kind);
        anyhow::ensure!(
            before == ConsentStatus::Unknown || before == status,
            "--consent: {name} cannot be both granted and denied"
        );
        stated.set(kind, status);
    }
    Ok(stated)
}

/// Two containers that process a hit mint the same ids, so that these do not differ.
fn follow(container: &Container, client: Client, hit: &Arc<Hit>, stated: Statement, first_id: Uuid) -> Followed {
    let minted = Cell::new(first_id.as_u128());
    let new_id = || Uuid::from_u128(minted.replace(minted.get().wrapping_add(1)));
    let given = RefCell::new(Vec::new());
    let look = |moment: &Moment<'_>, _: &Evidence| given.borrow_mut().push(moment.given.clone());
    let surroundings = Surroundings {
        clock: monotonic_clock,
        new_id: &new_id,
        recent: None,
        told: TOLD_TO_PEOPLE,
        look: Some(&look),
        stated,
    };
    let processed = pipeline::process(container, client, hit, surroundings);
    // Afterwards: scripts have their time to themselves.
    let mut given = given.into_inner().into_iter();
    let closeups = processed.trace.events.iter().map(|event| match event.attention {
        Attention::Bot => None,
        Attention::Full => given.next().map(|given| Closeup::of(container, &given)),
    });
    let closeups = closeups.collect();
    Followed { hit: Arc::clone(hit), processed, closeups }
}

/// The trace and its close-ups, with what the server would have done.
fn as_json(followed: &Followed) -> Value {
    let Followed { processed, closeups, .. } = followed;
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
    json!({ "trace": processed.trace, "closeups": closeups, "calls": calls, "cookies": cookies })
}

fn json_line(out: &mut impl Write, value: &Value) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)?;
    Ok(())
}

/// In colour where that is wanted.
fn write_line(out: &mut (impl Write + IsTerminal), tone: Tone, text: &str) -> io::Result<()> {
    match tone.code().filter(|_| !text.is_empty() && wants_colour(out)) {
        Some(code) => writeln!(out, "\u{1b}[{code}m{text}\u{1b}[0m"),
        None => writeln!(out, "{text}"),
    }
}
