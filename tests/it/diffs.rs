//! Two versions of a container and what differs in words: `tests/cases/diff/<name>/` holds both, `words.snap` beside
//! them what is told. Adding a case is adding a folder.

use std::{fs, panic, path::Path};

use tidegate::container::{
    diff,
    folder::{self, library},
};

#[test]
fn every_change_of_meaning_is_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/diff");
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 20, "found only {}", cases.len());
    let differs = |case: &Path| {
        let read = |side: &str| folder::read(&case.join(side)).unwrap();
        let (before, after) = (read("before"), read("after"));
        for same in [&before, &after] {
            assert_eq!(diff::compare(same, same, &library()), [], "{}", case.display());
        }
        let changes = diff::compare(&before, &after, &library());
        let there_and_back = diff::compare(&after, &before, &library());
        assert_eq!(changes.is_empty(), there_and_back.is_empty(), "{}", case.display());
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(case);
        settings.set_omit_expression(true);
        settings.set_prepend_module_to_snapshot(false);
        let compare = || settings.bind(|| insta::assert_snapshot!("words", diff::text(&changes)));
        panic::catch_unwind(panic::AssertUnwindSafe(compare)).is_err()
    };
    let different: Vec<_> = cases.iter().filter(|case| differs(case)).collect();
    assert!(different.is_empty(), "{different:#?}");
}
