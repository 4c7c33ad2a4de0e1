//! Broken containers and what `tidegate check` says about each: `tests/cases/diagnostics/<name>/` holds the container,
//! `check.snap` beside its folders the report. Adding a case is adding a folder.

use std::path::Path;

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
    insta::glob!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/diagnostics"), "?*", |folder| {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(folder);
        settings.remove_snapshot_suffix();
        settings.remove_input_file();
        settings.set_omit_expression(true);
        settings.set_prepend_module_to_snapshot(false);
        settings.bind(|| insta::assert_snapshot!("check", report(folder)));
    });
}
