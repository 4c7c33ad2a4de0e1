//! Holds the decoders against a folder of samples with expectations, and prints how many agree, kind by kind:
//! `scripts/check-samples DIR`. Samples are other people's data and are not in this repository; what is learnt from them
//! becomes a case of our own.
//!
//! It ends with 1 where a kind agrees less than it should, and with 2 where a file cannot be read. A file that is not
//! there is passed over. A new kind of sample is a module and its line in `main`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program prints for a person to read")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::Value;

mod consent;
mod ga4;

/// How many differences of a kind are told.
const TOLD: usize = 10;

/// What came of the samples of one kind.
pub struct Tally {
    pub kind: &'static str,
    /// The share that must agree, in per cent.
    pub least: usize,
    agreed: usize,
    differences: Vec<String>,
}

impl Tally {
    /// A kind of which every sample must agree.
    pub fn strict(kind: &'static str) -> Self {
        Self { kind, least: 100, agreed: 0, differences: Vec::new() }
    }

    /// Counts one expectation; `what` names it where it is not met.
    pub fn count(&mut self, what: impl FnOnce() -> String, agrees: bool) {
        if agrees {
            self.agreed += 1;
        } else {
            self.differences.push(what());
        }
    }

    fn total(&self) -> usize {
        self.agreed + self.differences.len()
    }

    fn is_enough(&self) -> bool {
        self.total() > 0 && 100 * self.agreed >= self.least * self.total()
    }

    fn print(&self) {
        let verdict = if self.is_enough() { "" } else { ": too few" };
        let (agreed, total, least) = (self.agreed, self.total(), self.least);
        println!("{:<28} {agreed:>5} of {total:>5} agree, at least {least} % must{verdict}", self.kind);
        for difference in self.differences.iter().take(TOLD) {
            println!("    {difference}");
        }
        if let Some(more @ 1..) = self.differences.len().checked_sub(TOLD) {
            println!("    and {more} more");
        }
    }
}

/// A file of samples; `None` if it is not there.
fn read(folder: &Path, name: &str) -> Result<Option<Value>, String> {
    let Some(text) = text(folder, name)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| format!("{name}: {error}"))
}

/// A file with one sample a line.
fn read_lines(folder: &Path, name: &str) -> Result<Option<Vec<Value>>, String> {
    let Some(text) = text(folder, name)? else { return Ok(None) };
    let samples = text.lines().filter(|line| !line.is_empty()).map(serde_json::from_str);
    samples.collect::<Result<_, _>>().map(Some).map_err(|error| format!("{name}: {error}"))
}

fn text(folder: &Path, name: &str) -> Result<Option<String>, String> {
    let path = folder.join(name);
    if !path.exists() {
        println!("{name}: not there");
        return Ok(None);
    }
    fs::read_to_string(&path).map(Some).map_err(|error| format!("{}: {error}", path.display()))
}

fn check(folder: &Path) -> Result<Vec<Tally>, String> {
    let mut tallies = Vec::new();
    if let Some(samples) = read(folder, "gcs_gcd.json")? {
        tallies.extend(consent::google(&samples));
    }
    if let Some(samples) = read(folder, "tcf.json")? {
        tallies.extend(consent::tcf(&samples));
    }
    if let Some(samples) = read(folder, "cmp_cookies.json")? {
        tallies.extend(consent::cookies(&samples));
    }
    if let Some(samples) = read_lines(folder, "ga4-requests.jsonl")? {
        tallies.extend(ga4::requests(&samples));
    }
    Ok(tallies)
}

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("say which folder: check_samples DIR");
        return ExitCode::from(2);
    };
    match check(&folder) {
        Ok(tallies) => {
            tallies.iter().for_each(Tally::print);
            if tallies.iter().all(Tally::is_enough) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::from(2)
        }
    }
}
