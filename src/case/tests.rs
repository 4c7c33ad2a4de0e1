//! What a failing case says. That cases can pass, `tests/cases` shows.

use super::*;
use crate::container::folder;

fn run(text: &str, filter: &str) -> (Vec<CaseResult>, Diagnostics) {
    let (files, library) = (Sources::new(), folder::library());
    let setting = Setting { files: &files, library: &library };
    let mut diagnostics = Diagnostics::default();
    let results = Bench::new(setting, filter).run_file(&"a.test.yaml".into(), text.as_bytes(), &mut diagnostics);
    (results, diagnostics)
}

const FAILING: &str = include_str!("../../tests/cases/failing/failing.yaml");

#[test]
fn a_failing_case_says_what_differed() {
    let (results, diagnostics) = run(FAILING, "");
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let lines = results.iter().map(|result| {
        assert!(!result.differences.is_empty(), "{} passed", result.name);
        assert!(diagnostic(result).is_some());
        format!("{}: {}\n  {}\n", result.place.line, result.name, result.differences.join("\n  "))
    });
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../tests/cases/failing");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("failing", lines.collect::<String>()));
}

#[test]
fn a_filter_takes_cases_by_their_name() {
    let names = |filter| run(FAILING, filter).0.into_iter().map(|result| result.name).collect::<Vec<_>>();
    assert_eq!(names("calls"), ["count of calls".into(), "calls".into(), "exact calls".into()]);
    assert!(names("no case of this name").is_empty());
}

#[test]
fn nothing_runs_in_a_broken_file_or_a_broken_container() {
    let good = "cases: { a: { event: { event: e }, expect: { fired: [] } } }";
    assert_eq!(run(good, "").0.len(), 1);
    for broken in ["container: { tags: { A: { } } }\n", "defaults: { now: soon }\n", "case: {}\n", "[\n"] {
        let (results, diagnostics) = run(&format!("{broken}{good}"), "");
        assert!(results.is_empty() && diagnostics.has_errors(), "{broken}");
    }
}
