//! Results as JUnit XML, in the part of it that CI systems read: takes results and findings; gives the file. GitLab shows
//! `classname`, `name`, `file`, `time` and the text of a `failure` or `error`; GitHub's reporters read the same.

use std::{borrow::Cow, fmt::Write, time::Duration};

use super::FileResults;
use crate::{
    case::CaseResult,
    container::diagnostic::{Diagnostic, Diagnostics, Severity},
};

/// A suite is a file of cases; what keeps files from being run stands in a suite of its own.
pub(super) fn xml(results: &[FileResults], diagnostics: &Diagnostics) -> String {
    let errors: Vec<_> = diagnostics.iter().filter(|found| found.severity == Severity::Error).collect();
    let mut suites = String::new();
    let (mut tests, mut failures, mut took) = (errors.len(), 0, Duration::ZERO);
    for FileResults { path, cases, took: file_took } in results.iter().filter(|file| !file.cases.is_empty()) {
        let failed = cases.iter().filter(|case| !case.differences.is_empty()).count();
        let body: String = cases.iter().map(|case| test_case(path, case)).collect();
        suites += &suite(path, [cases.len(), failed, 0], *file_took, &body);
        tests += cases.len();
        failures += failed;
        took += *file_took;
    }
    if !errors.is_empty() {
        let body: String = errors.iter().map(|error| test_error(error)).collect();
        suites += &suite("container", [errors.len(), 0, errors.len()], Duration::ZERO, &body);
    }
    let counts = counts([tests, failures, errors.len()], took);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"tidegate\"{counts}>\n{suites}</testsuites>\n"
    )
}

fn suite(name: &str, of: [usize; 3], took: Duration, body: &str) -> String {
    format!("  <testsuite name=\"{}\"{}>\n{body}  </testsuite>\n", escaped(name), counts(of, took))
}

fn counts([tests, failures, errors]: [usize; 3], took: Duration) -> String {
    let time = took.as_secs_f64();
    format!(" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"0\" time=\"{time:.3}\"")
}

fn test_case(path: &str, case: &CaseResult) -> String {
    let open = test("    ", path, &case.name, path, case.place.line);
    if case.differences.is_empty() {
        return format!("{open}/>\n");
    }
    outcome(&open, "failure", "case-failed", &case.differences.join("\n"))
}

fn test_error(error: &Diagnostic) -> String {
    let (file, line) = error.place.as_ref().map_or(("", 1), |place| (&*place.file, place.line));
    let open = test("    ", "container", &error.message, file, line);
    let mut told = match &error.place {
        Some(place) => format!("{}:{}: {}", place.file, place.line, error.message),
        None => error.message.clone(),
    };
    if let Some(help) = &error.help {
        // Writing to a String cannot fail.
        let _ = write!(told, "\nhelp: {help}");
    }
    outcome(&open, "error", error.code, &told)
}

fn test(indent: &str, class: &str, name: &str, file: &str, line: u32) -> String {
    let (class, name, file) = (escaped(class), escaped(name), escaped(file));
    format!("{indent}<testcase classname=\"{class}\" name=\"{name}\" file=\"{file}\" line=\"{line}\"")
}

fn outcome(open: &str, element: &str, kind: &str, told: &str) -> String {
    let first = escaped(told.lines().next().unwrap_or_default());
    let told = escaped(told);
    format!("{open}>\n      <{element} type=\"{kind}\" message=\"{first}\">{told}</{element}>\n    </testcase>\n")
}

/// Text as it may stand in an attribute or between tags. What XML 1.0 has no place for becomes U+FFFD.
fn escaped(text: &str) -> Cow<'_, str> {
    let needs = |c: char| matches!(c, '&' | '<' | '>' | '"' | '\'') || !is_allowed(c);
    if !text.contains(needs) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            c if is_allowed(c) => escaped.push(c),
            _ => escaped.push(char::REPLACEMENT_CHARACTER),
        }
    }
    Cow::Owned(escaped)
}

/// Section 2.2 of XML 1.0.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn whatever_stands_in_names_and_differences_is_text() {
        let file = r#"cases:
  "a < b & \"c\" \u0007 'd'":
    event: { event: "<x>" }
    expect: { fired: ["]]> & co"] }
  a good one:
    event: { event: e }
    expect: { fired: [] }
"#;
        let (files, library) = Default::default();
        let setting = crate::case::Setting { files: &files, library: &library };
        let mut diagnostics = Diagnostics::default();
        let path = Arc::from("rules/a.test.yaml");
        let cases = crate::case::Bench::new(setting, "").run_file(&path, file.as_bytes(), &mut diagnostics);
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        diagnostics.push(Diagnostic::error("unknown-key", "there is no key \"a&b\"").help("write <c>".to_owned()));
        let results = [FileResults { path, cases, took: Duration::from_millis(1500) }];
        insta::assert_snapshot!(xml(&results, &diagnostics));
    }
}
