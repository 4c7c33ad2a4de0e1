//! `tidegate test`: runs every `*.test.yaml` of the container.

use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::{Context, Exit, Format, from_here, line, lines, report};
use crate::{
    case::{
        self, Bench, CaseResult, Setting,
        coverage::Coverage,
        update::{self, Updated},
    },
    container::{
        diagnostic::{Diagnostics, Sources},
        folder, load,
    },
    git::Draft,
};

mod junit;
mod replace;

/// Run the container's test cases: an event in, which tags fire, and exactly which calls and cookies
#[derive(Args, Debug)]
pub struct Test {
    /// Only cases whose name contains this
    #[arg(long, default_value = "", value_name = "WORDS", hide_default_value = true)]
    filter: String,
    /// Change what failing cases expect into what came of them, in their files; nothing else of a file changes
    #[arg(long)]
    update: bool,
    /// Also write the results as JUnit XML, which CI systems show
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Also say which tags, triggers, transformations, outcomes of conditions and answers about consent no case exercises;
    /// that does not change how it exits
    #[arg(long)]
    coverage: bool,
}

/// The cases of one file and how they ended.
struct FileResults {
    path: Arc<str>,
    cases: Vec<CaseResult>,
    took: Duration,
}

impl Test {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<Exit> {
        let Draft { files, findings } = self.files(context)?;
        let library = folder::library();
        let setting = Setting { files: &files, library: &library };
        let mut sources = library.clone();
        sources.extend(files.iter().map(|(path, bytes)| (Arc::clone(path), bytes.clone())));
        let mut diagnostics = Diagnostics::default();
        // That there are no rules is no fault where templates are tested.
        diagnostics.extend(findings.into_iter().filter(|finding| finding.code != "no-rules"));
        let mut bench = Bench::new(setting, &self.filter);
        if self.coverage {
            bench.watch(&mut diagnostics);
        }
        let mut results = Vec::new();
        for (path, bytes) in files.iter().filter(|(path, _)| load::is_test_file(path)) {
            let begun = Instant::now();
            let cases = if self.update {
                let updated = update::update(&mut bench, path, bytes, &mut diagnostics);
                write_updated(context, path, bytes, &updated)?;
                sources.extend(updated.text.map(|text| (Arc::clone(path), text.into_bytes())));
                updated.results
            } else {
                bench.run_file(path, bytes, &mut diagnostics)
            };
            results.push(FileResults { path: Arc::clone(path), cases, took: begun.elapsed() });
        }
        bench.finish(&mut diagnostics);
        let coverage = bench.coverage();
        if let Some(path) = &self.junit {
            let text = junit::xml(&results, &diagnostics);
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let failed = results.iter().flat_map(|file| &file.cases).any(|case| !case.differences.is_empty());
        let mut out = io::stdout().lock();
        match context.format {
            Format::Text => {
                text(&mut out, context, &results, &diagnostics, &sources)?;
                if let Some(coverage) = coverage {
                    lines(&mut out, &format!("\n{coverage}"))?;
                }
                let advice = if self.update {
                    "\nwhat still fails cannot be mended by another expectation; see each case"
                } else {
                    "\nif this is as it should be now: tidegate test --update, then look at the change"
                };
                if failed {
                    writeln!(out, "{advice}")?;
                }
            }
            Format::Json => json(&mut out, &results, &diagnostics, coverage.as_ref())?,
            Format::Github => {
                diagnostics.extend(results.iter().flat_map(|file| &file.cases).filter_map(case::diagnostic));
                report(&mut out, context, &diagnostics, &sources)?;
            }
        }
        Ok(if failed || diagnostics.has_errors() { Exit::FoundWrong } else { Exit::Fine })
    }
}

impl Test {
    /// What a commit would hold; where files are written, as they lie.
    fn files(&self, context: &Context) -> anyhow::Result<Draft> {
        if !self.update {
            return Draft::read(&context.folder);
        }
        Ok(Draft { files: folder::read(&context.folder)?, findings: Vec::new() })
    }
}

/// Writes a file whose expectations changed, and says so.
fn write_updated(context: &Context, path: &str, read: &[u8], updated: &Updated) -> anyhow::Result<()> {
    let Some(text) = &updated.text else { return Ok(()) };
    replace::replace(&context.folder.join(path), read, text).with_context(|| format!("cannot write {path}"))?;
    let mut err = io::stderr().lock();
    for name in &updated.changed {
        line(&mut err, format_args!("updated {path}: {name}"))?;
    }
    Ok(())
}

fn text(
    out: &mut (impl Write + IsTerminal),
    context: &Context,
    results: &[FileResults],
    diagnostics: &Diagnostics,
    sources: &Sources,
) -> anyhow::Result<()> {
    report(out, context, diagnostics, sources)?;
    let base = from_here(&context.folder);
    let (mut passed, mut failed) = (0, 0);
    for FileResults { path, cases, .. } in results {
        for case in cases {
            if case.differences.is_empty() {
                passed += 1;
                continue;
            }
            failed += 1;
            line(out, format_args!("FAILED {base}{path}:{}: {}", case.place.line, case.name))?;
            for difference in &case.differences {
                line(out, format_args!("    {difference}"))?;
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

fn json(
    out: &mut impl Write,
    results: &[FileResults],
    diagnostics: &Diagnostics,
    coverage: Option<&Coverage>,
) -> anyhow::Result<()> {
    let cases: Vec<_> = results
        .iter()
        .flat_map(|file| file.cases.iter().map(move |case| (&file.path, case)))
        .map(|(path, case)| {
            json!({ "file": path, "line": case.place.line, "name": case.name, "differences": case.differences })
        })
        .collect();
    let mut answer = json!({ "cases": cases, "diagnostics": diagnostics });
    if let Some(coverage) = coverage {
        answer["coverage"] = serde_json::to_value(coverage)?;
    }
    serde_json::to_writer_pretty(&mut *out, &answer)?;
    writeln!(out)?;
    Ok(())
}
