//! Runs `tests/cases/*.yaml`, and the cases that lie beside the library's templates and the demo container. Adding a
//! case is adding a file: its name says what it shows, its format is that of every `*.test.yaml`.

use std::{fs, path::Path, sync::Arc};

use tidegate::{
    case::{Bench, Setting},
    container::{
        diagnostic::{self, Colour, Diagnostics, Sources},
        folder,
    },
};

/// Runs files of cases and panics with everything that differed.
fn run<'f>(files: &Sources, cases: impl Iterator<Item = (&'f Arc<str>, &'f Vec<u8>)>) -> usize {
    let library = folder::library();
    let setting = Setting { files, library: &library };
    let (mut passed, mut failures) = (0, String::new());
    for (path, bytes) in cases {
        let mut diagnostics = Diagnostics::default();
        let results = Bench::new(setting, "").run_file(path, bytes, &mut diagnostics);
        if diagnostics.has_errors() {
            let sources = Sources::from([(Arc::clone(path), bytes.clone())]);
            failures += &diagnostic::text(&diagnostics, &sources, Colour::Off);
        }
        for result in results {
            if result.differences.is_empty() {
                passed += 1;
                continue;
            }
            failures += &format!("{path}:{}: {}\n", result.place.line, result.name);
            for difference in &result.differences {
                failures += &format!("    {difference}\n");
            }
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
    passed
}

#[test]
fn every_case_file_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files = Sources::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let name = path.file_name().unwrap().to_str().unwrap();
            files.insert(format!("tests/cases/{name}").into(), fs::read(&path).unwrap());
        }
    }
    let passed = run(&Sources::new(), files.iter());
    assert!(files.len() >= 60 && passed >= files.len(), "{passed} cases in {} files", files.len());
}

#[test]
fn the_repository_is_a_working_container() {
    let files = folder::read(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let cases = files.iter().filter(|(path, _)| path.ends_with(".test.yaml"));
    assert!(run(&files, cases) > 0);
}
