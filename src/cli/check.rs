//! `tidegate check`: everything that is wrong with the container, in one run.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::{Context, Exit, Format, line, report};
use crate::{
    case,
    container::{
        Container, SecretUse,
        diagnostic::{Diagnostic, Diagnostics, Severity, Sources, quoted},
        folder,
        load::{self, LoadOptions, Loaded},
        schema::{self, FileKind},
    },
    delivery::secrets::Secrets,
    environment::{self, readable_environment},
    git::Draft,
};

/// Find everything that is wrong with the container
#[derive(Args, Debug)]
pub struct Check {
    /// Treat warnings as errors
    #[arg(long, value_name = "KIND")]
    deny: Option<Deny>,
    /// Further environment variables that the container may read
    #[arg(long, env = "TIDEGATE_ALLOW_ENV", value_name = "NAME", value_delimiter = ',')]
    allow_env: Vec<String>,
    /// Folder with one file for each secret, named like the secret
    #[arg(long, env = "TIDEGATE_SECRETS", value_name = "FOLDER")]
    secrets: Option<PathBuf>,
    /// Do not look whether the secrets are there that tags need: for CI, which has none
    #[arg(long, env = "TIDEGATE_NO_SECRETS")]
    no_secrets: bool,
    /// Print the JSON Schema of a kind of file instead, for editors; no container is needed
    #[arg(long, value_name = "KIND")]
    schema: Option<Kind>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Deny {
    Warnings,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// rules/*.yaml
    Rules,
    /// tags/*.yaml, the manifest of a template
    Template,
    /// *.test.yaml
    Test,
}

impl Check {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<Exit> {
        if let Some(kind) = self.schema {
            let kind = match kind {
                Kind::Rules => FileKind::Rules,
                Kind::Template => FileKind::Template,
                Kind::Test => FileKind::Test,
            };
            io::stdout().lock().write_all(schema::text(kind).as_bytes())?;
            return Ok(Exit::Fine);
        }
        let Draft { files, findings } = Draft::read(&context.folder)?;
        let loaded = load_files(&files, &folder::digest(&files), &self.allow_env);
        let Loaded { container, mut diagnostics, sources, secrets: used } = loaded;
        diagnostics.extend(findings);
        if !self.no_secrets {
            diagnostics.extend(absent(used, self.secrets)?);
        }
        check_cases(&sources, &mut diagnostics);
        let fails_by_warnings = self.deny.is_some() && diagnostics.warnings() > 0;
        let mut out = io::stdout().lock();
        match context.format {
            // What makes the step fail is marked as such.
            Format::Github if fails_by_warnings => {
                report(&mut out, context, &diagnostics.map(Diagnostic::grave), &sources)?;
            }
            Format::Github | Format::Json => report(&mut out, context, &diagnostics, &sources)?,
            Format::Text => {
                report(&mut out, context, &diagnostics, &sources)?;
                if !diagnostics.is_empty() {
                    line(&mut out, format_args!(""))?;
                }
                let size = container.filter(|_| !diagnostics.has_errors()).as_ref().map(size);
                line(&mut out, format_args!("{}{}", diagnostics.summary(), size.unwrap_or_default()))?;
                if fails_by_warnings && !diagnostics.has_errors() {
                    line(&mut out, format_args!("this fails because of --deny warnings"))?;
                }
            }
        }
        Ok(if diagnostics.has_errors() || fails_by_warnings { Exit::FoundWrong } else { Exit::Fine })
    }
}

/// What a container holds, as the end of a sentence.
fn size(container: &Container) -> String {
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (tags, triggers) = (counted(container.tags.len(), "tag"), counted(container.triggers.len(), "trigger"));
    let variables = counted(container.variables.len(), "variable");
    let cookies = match container.cookies() {
        names if names.is_empty() => "no cookie".to_owned(),
        names if names.len() == 1 => format!("cookie {}", names.into_iter().collect::<String>()),
        names => format!("cookies {}", names.into_iter().collect::<Vec<_>>().join(" ")),
    };
    format!("; {tags}, {triggers}, {variables}, {cookies}")
}

/// The secrets that cannot be had here, each of them once.
fn absent(used: Vec<SecretUse>, folder: Option<PathBuf>) -> anyhow::Result<Vec<Diagnostic>> {
    let secrets = Secrets::new(Box::new(environment::variable), folder, Vec::new());
    let runtime = tokio::runtime::Builder::new_current_thread().build().context("cannot read secrets")?;
    let mut known = BTreeSet::new();
    let used = used.into_iter().filter(|one| known.insert(one.name.0.clone()));
    let absent = used.filter_map(|SecretUse { name, tag, place }| {
        let error = runtime.block_on(secrets.is_there(&name)).err()?;
        let help = format!("set it as for the server: export {name}=…; with --no-secrets nobody looks, as in CI");
        let problem = Diagnostic::warning("absent-secret", error.to_string());
        Some(problem.at(place).of(format!("tag {}", quoted(&tag))).help(help))
    });
    Ok(absent.collect())
}

/// Loads the container of the command line, for looking at and not for serving.
pub(super) fn load(context: &Context, allow_env: &[String]) -> anyhow::Result<Loaded> {
    let files = folder::read(&context.folder)?;
    Ok(load_files(&files, &folder::digest(&files), allow_env))
}

/// The same of files that were read elsewhere.
pub(super) fn load_files(files: &Sources, version: &str, allow_env: &[String]) -> Loaded {
    let options = LoadOptions {
        version,
        environment: &readable_environment(allow_env),
        absent_environment: Severity::Warning,
        library: &folder::library(),
        inline: None,
        seats: 1,
    };
    load::load(files, options)
}

/// Test cases that cannot be read are findings too; whether they pass is `tidegate test`'s to say.
fn check_cases(sources: &Sources, diagnostics: &mut Diagnostics) {
    for (path, bytes) in sources.iter().filter(|(path, _)| load::is_test_file(path)) {
        case::check_file(path, bytes, diagnostics);
    }
}
