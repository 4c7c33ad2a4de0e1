//! Broken containers and what `tidegate check` says about each: `tests/cases/diagnostics/<name>/` holds the container,
//! `check.snap` beside its folders the report. Adding a case is adding a folder.

use std::{
    fs, panic,
    path::{Path, PathBuf},
};

use tidegate::{
    case,
    container::{
        diagnostic::{self, Colour, Severity},
        folder,
        load::{self, LoadOptions},
    },
};

/// What `check` prints for the container in a folder.
fn report(folder: &Path) -> String {
    let options = LoadOptions {
        version: "test",
        environment: &[("OPENAI_PIXEL_ID".to_owned(), "PIXEL".to_owned())].into(),
        absent_environment: Severity::Warning,
        library: &folder::library(),
        inline: None,
        seats: 1,
    };
    let mut loaded = load::load(&folder::read(folder).unwrap(), options);
    let is_live = loaded.container.is_some();
    assert_eq!(is_live, !loaded.diagnostics.has_errors(), "{}", folder.display());
    for (path, bytes) in loaded.sources.iter().filter(|(path, _)| load::is_test_file(path)) {
        case::check_file(path, bytes, &mut loaded.diagnostics);
    }
    let text = diagnostic::text(&loaded.diagnostics, &loaded.sources, Colour::Off);
    format!("{text}\n{}", loaded.diagnostics.summary())
}

#[test]
fn every_broken_container_is_told_what_is_wrong() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/diagnostics");
    let mut containers: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    containers.sort();
    assert!(containers.len() >= 60, "found only {}", containers.len());
    // Not insta's glob!, which would take in the failures of tests that run at the same time.
    let differs = |container: &PathBuf| {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(container);
        settings.set_omit_expression(true);
        settings.set_prepend_module_to_snapshot(false);
        let compare = || settings.bind(|| insta::assert_snapshot!("check", report(container)));
        panic::catch_unwind(panic::AssertUnwindSafe(compare)).is_err()
    };
    let different: Vec<_> = containers.iter().filter(|container| differs(container)).collect();
    assert!(different.is_empty(), "{different:#?}");
}
