//! `tidegate impact`: what the container in the folder would have meant for the hits that a server keeps, beside the one
//! that is live. Always dry.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use anyhow::bail;
use clap::Args;

use super::{Context, Exit, Format, check, lines, report};
use crate::{
    container::{
        Container,
        diagnostic::{Severity, Sources},
        folder,
        load::{self, LoadOptions, Loaded},
    },
    environment::readable_environment,
    git::Repository,
    history,
};

/// Hold the container against kept hits: what would fire that did not, and the other way round; sends nothing
///
/// Compares the container in the folder with the commit that is live, tag by tag.
#[derive(Args, Debug)]
pub struct Impact {
    /// Compare with this commit [default: HEAD]
    #[arg(long, value_name = "COMMIT", conflicts_with = "against_folder")]
    against: Option<String>,
    /// Compare with the container in this folder, where there is no git
    #[arg(long, value_name = "FOLDER")]
    against_folder: Option<PathBuf>,
    /// Folder with the server's state, which keeps the hits
    #[arg(long, env = "TIDEGATE_DATA", default_value = ".tidegate", value_name = "FOLDER")]
    data: PathBuf,
    /// Further environment variables that the container may read
    #[arg(long, env = "TIDEGATE_ALLOW_ENV", value_name = "NAME", value_delimiter = ',')]
    allow_env: Vec<String>,
}

impl Impact {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<Exit> {
        let new = good(context, "the container", check::load(context, &self.allow_env)?)?;
        let (which, files) = self.before(context)?;
        let old = good(context, &which, self.load(files))?;
        anyhow::ensure!(self.data.is_dir(), "{} is no data folder; name the server's with --data", self.data.display());
        let impact = history::impact(&self.data, &old, &new)?;
        let mut out = io::stdout().lock();
        match context.format {
            Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&impact)?)?,
            Format::Text | Format::Github => lines(&mut out, &impact.to_string())?,
        }
        Ok(Exit::Fine)
    }

    /// The container that it is compared with: what it is called, and its files.
    fn before(&self, context: &Context) -> anyhow::Result<(String, Sources)> {
        if let Some(folder) = &self.against_folder {
            return Ok((format!("the container in {}", folder.display()), folder::read(folder)?));
        }
        let Some(repository) = Repository::find(&context.folder)? else {
            bail!("{} lies in no git repository; name a folder with --against-folder", context.folder.display());
        };
        let (commit, which) = match &self.against {
            None => (repository.head()?, "what is committed (HEAD, "),
            Some(revision) => (repository.named(revision)?, "what it is compared with ("),
        };
        Ok((format!("{which}{commit})"), repository.tree(&commit)?.files))
    }

    fn load(&self, files: Sources) -> Loaded {
        let options = LoadOptions {
            version: "before",
            environment: &readable_environment(&self.allow_env),
            absent_environment: Severity::Warning,
            library: &folder::library(),
            inline: None,
            seats: 1,
        };
        load::load(&files, options)
    }
}

/// A container that passed its check.
fn good(context: &Context, which: &str, loaded: Loaded) -> anyhow::Result<Container> {
    let Loaded { container, diagnostics, sources, .. } = loaded;
    let Some(container) = container else {
        report(&mut io::stderr().lock(), context, &diagnostics, &sources)?;
        bail!("{which} is broken: {}", diagnostics.summary());
    };
    Ok(container)
}
