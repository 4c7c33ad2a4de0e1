//! `tidegate test`: runs every `*.test.yaml` of the container.

use std::{
    io::{self, IsTerminal, Write},
    sync::Arc,
};

use clap::Args;
use serde_json::json;

use super::{Context, Exit, Format, report};
use crate::{
    case::{self, CaseResult, Setting},
    container::{
        diagnostic::{Diagnostics, Sources},
        folder, load,
    },
};

/// Run the container's test cases: an event in, which tags fire, and exactly which calls and cookies
#[derive(Args, Debug)]
pub struct Test {
    /// Only cases whose name contains this
    #[arg(long, default_value = "", value_name = "WORDS", hide_default_value = true)]
    filter: String,
}

impl Test {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<Exit> {
        let files = folder::read(&context.folder)?;
        let library = folder::library();
        let setting = Setting { files: &files, library: &library };
        let mut diagnostics = Diagnostics::default();
        let mut results = Vec::new();
        for (path, bytes) in files.iter().filter(|(path, _)| load::is_test_file(path)) {
            let cases = case::run_file(path, bytes, setting, &self.filter, &mut diagnostics);
            results.push((Arc::clone(path), cases));
        }
        let mut sources = library.clone();
        sources.extend(files.iter().map(|(path, bytes)| (Arc::clone(path), bytes.clone())));
        let mut out = io::stdout().lock();
        match context.format {
            Format::Text => text(&mut out, &results, &diagnostics, &sources)?,
            Format::Json => json(&mut out, &results, &diagnostics)?,
            Format::Github => {
                diagnostics.extend(results.iter().flat_map(|(_, cases)| cases).filter_map(case::diagnostic));
                report(&mut out, Format::Github, &diagnostics, &sources)?;
            }
        }
        let failed = results.iter().flat_map(|(_, cases)| cases).any(|case| !case.differences.is_empty());
        Ok(if failed || diagnostics.has_errors() { Exit::FoundWrong } else { Exit::Fine })
    }
}

type Results = [(Arc<str>, Vec<CaseResult>)];

fn text(
    out: &mut (impl Write + IsTerminal),
    results: &Results,
    diagnostics: &Diagnostics,
    sources: &Sources,
) -> anyhow::Result<()> {
    report(out, Format::Text, diagnostics, sources)?;
    let (mut passed, mut failed) = (0, 0);
    for (path, cases) in results {
        for case in cases {
            if case.differences.is_empty() {
                passed += 1;
                continue;
            }
            failed += 1;
            writeln!(out, "FAILED {path}:{}: {}", case.place.line, case.name)?;
            for difference in &case.differences {
                writeln!(out, "    {difference}")?;
            }
        }
    }
    if passed + failed == 0 && diagnostics.is_empty() {
        writeln!(out, "no test cases; put them in *.test.yaml files under rules/ and tags/")?;
        return Ok(());
    }
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(())
}

fn json(out: &mut impl Write, results: &Results, diagnostics: &Diagnostics) -> anyhow::Result<()> {
    let cases: Vec<_> = results
        .iter()
        .flat_map(|(path, cases)| cases.iter().map(move |case| (path, case)))
        .map(|(path, case)| {
            json!({ "file": path, "line": case.place.line, "name": case.name, "differences": case.differences })
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &json!({ "cases": cases, "diagnostics": diagnostics }))?;
    writeln!(out)?;
    Ok(())
}
