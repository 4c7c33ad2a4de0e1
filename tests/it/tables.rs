//! The tables of names in the documents, held against the code: what an operator looks up is there, and nothing else.

use std::{collections::BTreeSet, fs, path::Path};

use axum::http::StatusCode;
use regex::Regex;
use tidegate::live::Wish;

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file of the repository")
}

/// What a pattern's group finds in a function, from its head to the end of its block.
fn in_function(path: &str, head: &str, pattern: &str) -> BTreeSet<String> {
    let text = file(path);
    let start = text.find(head).unwrap_or_else(|| panic!("{path} has no {head:?}"));
    let line = text[..start].rfind('\n').map_or(0, |end| end + 1);
    let end = format!("\n{}}}\n", " ".repeat(start - line));
    let block = &text[start..start + text[start..].find(&end).expect("the end of the function")];
    let found = captures(pattern, block);
    assert!(!found.is_empty(), "{path}: {head:?} names nothing");
    found
}

fn captures(pattern: &str, text: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).expect("a pattern");
    pattern.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// The names in a row of a document's table after these words.
fn in_row(path: &str, row: &str, after: &str) -> BTreeSet<String> {
    let text = file(path);
    let row = text.lines().find(|line| line.starts_with(&format!("| `{row}`"))).expect("a row");
    captures("`([a-z_]+)`", row.split_once(after).expect("a list of names").1)
}

#[test]
fn the_outcomes_of_hits_are_these() {
    let mut outcomes = in_function("src/error.rs", "pub fn outcome(", r#"=> "([a-z_]+)""#);
    outcomes.insert(tidegate::metrics::ACCEPTED.to_owned());
    assert_eq!(in_row("docs/operations.md", "tidegate_hits_total", "`outcome`:"), outcomes);
}

#[test]
fn the_outcomes_of_tags_and_of_kept_hits_are_these() {
    let tags = in_function("src/metrics.rs", "fn outcome(", r#"Some\("([a-z_]+)"\)"#);
    assert_eq!(in_row("docs/operations.md", "tidegate_tags_total", "`outcome`:"), tags);
    let kept = in_function("src/history/counts.rs", "pub fn outcomes(", r#"\("([a-z_]+)","#);
    assert_eq!(in_row("docs/operations.md", "tidegate_kept_hits_total", "`outcome`:"), kept);
    let sources: BTreeSet<String> = Wish::ALL.map(|wish| wish.name().to_owned()).into();
    assert_eq!(in_row("docs/operations.md", "tidegate_container_degraded", "wishes for:"), sources);
}

#[test]
fn the_metrics_are_these() {
    let shown = file("tests/it/snapshots/it__operations__metrics.snap");
    let metrics: BTreeSet<String> =
        shown.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(whole_name).collect();
    let text = file("docs/operations.md");
    let table = text.split_once("## Metrics").and_then(|(_, rest)| rest.split_once("## Alerts")).expect("a section").0;
    let names = table.lines().filter_map(|row| row.strip_prefix("| `tidegate_")).map(|row| row.split('|').next());
    let told = names.flatten().flat_map(|names| captures("(?:^|`)([a-z_]+)`", names));
    let told: BTreeSet<String> =
        told.map(|name| format!("tidegate_{}", name.trim_start_matches("tidegate_"))).collect();
    assert_eq!(told, metrics);
}

/// A metric's name as a query has it: `OpenMetrics` leaves the ending to the kind.
fn whole_name(declared: &str) -> String {
    match declared.split_once(' ') {
        Some((name, "counter")) => format!("{name}_total"),
        Some((name, "info")) => format!("{name}_info"),
        Some((name, _)) => name.to_owned(),
        None => panic!("{declared}"),
    }
}

#[test]
fn the_statuses_of_hits_are_these() {
    let statuses = in_function("src/error.rs", "fn status(", "StatusCode::([A-Z_]+)");
    let named = |name: &String| {
        let is = |status: &StatusCode| {
            status.canonical_reason().is_some_and(|reason| reason.to_uppercase().replace(' ', "_") == *name)
        };
        let status = (400..600).filter_map(|code| StatusCode::from_u16(code).ok()).find(is);
        status.unwrap_or_else(|| panic!("{name} is no status")).as_u16()
    };
    // Two that are decided before a request is one: its address, or its head, is too long.
    let known: BTreeSet<u16> = statuses.iter().map(named).chain([414, 431]).collect();
    let text = file("docs/configuration.md");
    let (_, table) = text.split_once("| status | because |").expect("the table");
    let table = table.split_once("\n\n").expect("its end").0;
    let told = table.lines().filter_map(|row| row.strip_prefix("| ")?.split_once(" |"));
    let told: BTreeSet<u16> =
        told.flat_map(|(codes, _)| codes.split(", ").map(|code| code.parse().expect("a status"))).collect();
    assert_eq!(told, known);
}
