//! `tests/cases/update/*.yaml`: files of failing cases, each with the snapshot of what `--update` makes of it.

use std::{fs, path::Path};

use super::*;
use crate::{
    case::Setting,
    container::{diagnostic::Sources, folder},
};

/// What an update makes of a file, and which cases fail after it.
fn updated(bytes: &[u8]) -> (String, String) {
    let (files, library) = (Sources::new(), folder::library());
    let mut bench = Bench::new(Setting { files: &files, library: &library }, "");
    let mut diagnostics = Diagnostics::default();
    let updated = update(&mut bench, &"a.test.yaml".into(), bytes, &mut diagnostics);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let text = updated.text.unwrap_or_else(|| String::from_utf8(bytes.to_vec()).unwrap());
    let failing: Vec<_> = updated.results.iter().filter(|case| !case.differences.is_empty()).collect();
    assert!(failing.iter().all(|case| !updated.changed.contains(&case.name)), "{failing:?}");
    (text, failing.iter().map(|case| format!("{}: {}\n", case.name, case.differences.join("; "))).collect())
}

#[test]
fn expectations_are_written_anew() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/update");
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|kind| kind == "yaml")).collect();
    files.sort();
    assert_eq!(files.len(), 5);
    for path in files {
        let bytes = fs::read(&path).unwrap();
        let (text, failing) = updated(&bytes);
        assert_eq!(updated(text.as_bytes()), (text.clone(), failing.clone()), "a second update changes nothing");
        let windows = String::from_utf8(bytes).unwrap().replace('\n', "\r\n");
        let (of_windows, _) = updated(windows.as_bytes());
        assert_eq!(of_windows, text.replace('\n', "\r\n"), "line breaks of Windows stay");
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(&folder);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let name = path.file_stem().unwrap().to_str().unwrap();
        let still = if failing.is_empty() { String::new() } else { format!("\n# Still failing:\n{failing}") };
        settings.bind(|| insta::assert_snapshot!(name, format!("{text}{still}")));
    }
}
