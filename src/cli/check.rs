//! `tidegate check`: everything that is wrong with the container, in one run.

use std::io::{self, Write};

use clap::{Args, ValueEnum};

use super::{Context, Exit, Format, report};
use crate::{
    case,
    container::{
        diagnostic::{Diagnostics, Severity},
        folder,
        load::{self, LoadOptions, Loaded},
    },
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
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Deny {
    Warnings,
}

impl Check {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<Exit> {
        let Loaded { container, mut diagnostics, sources } = load(context, &self.allow_env)?;
        check_cases(&sources, &mut diagnostics);
        let mut out = io::stdout().lock();
        report(&mut out, context.format, &diagnostics, &sources)?;
        if context.format == Format::Text {
            let counts = container.map_or(String::new(), |container| {
                let (tags, triggers) = (container.tags.len(), container.triggers.len());
                format!("; {tags} tags, {triggers} triggers, {} variables", container.variables.len())
            });
            writeln!(out, "{}{counts}", diagnostics.summary())?;
        }
        let denied = self.deny.is_some() && diagnostics.warnings() > 0;
        Ok(if diagnostics.has_errors() || denied { Exit::FoundWrong } else { Exit::Fine })
    }
}

/// Loads the container of the command line, for looking at and not for serving.
pub(super) fn load(context: &Context, allow_env: &[String]) -> anyhow::Result<Loaded> {
    let files = folder::read(&context.folder)?;
    let version = folder::digest(&files);
    let options = LoadOptions {
        version: &version,
        environment: &readable_environment(allow_env),
        absent_environment: Severity::Warning,
        library: &folder::library(),
        inline: None,
        seats: 1,
    };
    Ok(load::load(&files, options))
}

/// Test cases that cannot be read are findings too; whether they pass is `tidegate test`'s to say.
fn check_cases(sources: &crate::container::diagnostic::Sources, diagnostics: &mut Diagnostics) {
    for (path, bytes) in sources.iter().filter(|(path, _)| load::is_test_file(path)) {
        case::check_file(path, bytes, diagnostics);
    }
}
