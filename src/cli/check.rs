//! `tidegate check`: everything that is wrong with the container, in one run.

use std::io::{self, Write};

use clap::{Args, ValueEnum};

use super::{Context, Exit, Format, line, report};
use crate::{
    case,
    container::{
        Container,
        diagnostic::{Diagnostic, Diagnostics, Severity, Sources},
        folder,
        load::{self, LoadOptions, Loaded},
        schema::{self, FileKind},
    },
    git::Draft,
    settings::readable_environment,
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
        let Draft { files, findings, .. } = Draft::read(&context.folder)?;
        let loaded = load_files(&files, &folder::digest(&files), &self.allow_env);
        let Loaded { container, mut diagnostics, sources } = loaded;
        diagnostics.extend(findings);
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
