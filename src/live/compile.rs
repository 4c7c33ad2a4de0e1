//! From a version's files to a container: the check that every version has to pass.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _, Write as _},
    thread,
};

use super::origin::Version;
use crate::container::{
    Container,
    diagnostic::{self, Colour, Severity, Sources},
    load::{self, LoadOptions, Loaded},
};

/// What containers are compiled with, the same for every version.
pub struct Compiler {
    environment: BTreeMap<String, String>,
    library: Sources,
}

impl Compiler {
    /// `environment` is what a container may read.
    pub fn new(environment: BTreeMap<String, String>, library: Sources) -> Self {
        Self { environment, library }
    }

    /// What is wrong with it, warnings included, goes to standard error as `check` would write it.
    ///
    /// # Errors
    /// The version is broken: how many errors it has, and the first one.
    pub fn compile(&self, version: &Version) -> Result<Container, String> {
        let options = LoadOptions {
            version: &version.name,
            environment: &self.environment,
            absent_environment: Severity::Error,
            library: &self.library,
            inline: None,
            seats: thread::available_parallelism().map_or(1, usize::from),
        };
        let Loaded { container, mut diagnostics, sources, .. } = load::load(&version.files, options);
        diagnostics.extend(version.findings.iter().cloned());
        // Where there are but notes, `check` tells them.
        if diagnostics.has_errors() || diagnostics.warnings() > 0 {
            let mut out = io::stderr().lock();
            let colour = if out.is_terminal() { Colour::On } else { Colour::Off };
            // A container is no worse for nobody reading what is said about it.
            let _ = out.write_all(diagnostic::text(&diagnostics, &sources, colour).as_bytes());
        }
        container.filter(|_| !diagnostics.has_errors()).ok_or_else(|| diagnostics.reason())
    }
}
