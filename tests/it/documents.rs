//! The documents' own snippets: every container in `docs/*.md` loads without a finding, and its cases pass.
//!
//! A snippet whose first line is a comment with a path (`# rules/a.yaml`, `// tags/a.rhai`) is that file; another one
//! that is YAML and has a section of rules is a file of rules. All of one document make one container.

use std::{collections::BTreeMap, fs, path::Path};

use tidegate::{
    case::{Bench, Setting},
    container::{
        diagnostic::{self, Colour, Severity, Sources},
        folder,
        load::{self, LoadOptions},
        model::SECTIONS,
    },
};

/// The fenced blocks of a document, with their languages.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let parts: Vec<_> = text.split("```").collect();
    let fenced = parts.iter().skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).collect()
}

fn path_in(block: &str) -> Option<&str> {
    let first = block.lines().next()?;
    let path = first.strip_prefix("# ").or_else(|| first.strip_prefix("// "))?;
    let is_file = ["rules/", "tags/"].iter().any(|folder| path.starts_with(folder)) && !path.contains(' ');
    is_file.then_some(path)
}

/// The container of a document.
fn container(text: &str) -> Sources {
    let mut files = Sources::new();
    for (number, (language, block)) in blocks(text).into_iter().enumerate() {
        let is_rules = |line: &str| SECTIONS.iter().any(|section| line.starts_with(&format!("{section}:")));
        let path = match (path_in(block), language) {
            (Some(path), _) => path.to_owned(),
            (None, "yaml") if block.lines().any(is_rules) => format!("rules/snippet_{number}.yaml"),
            _ => continue,
        };
        assert!(files.insert(path.as_str().into(), block.as_bytes().to_vec()).is_none(), "{path} stands there twice");
    }
    files
}

fn hold(document: &str, at_least: usize) {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
    let files = container(&text);
    assert!(files.len() >= at_least, "{document}: only {} snippets", files.len());
    let library = folder::library();
    let environment = BTreeMap::from([("OPENAI_PIXEL_ID".to_owned(), "PIXEL".to_owned())]);
    let options = LoadOptions {
        version: "test",
        environment: &environment,
        absent_environment: Severity::Error,
        library: &library,
        inline: None,
        seats: 1,
    };
    let mut diagnostics = load::load(&files, options).diagnostics;
    let setting = Setting { files: &files, library: &library };
    for (path, bytes) in files.iter().filter(|(path, _)| load::is_test_file(path)) {
        for result in Bench::new(setting, "").run_file(path, bytes, &mut diagnostics) {
            assert!(result.differences.is_empty(), "{document}: {}: {:?}", result.name, result.differences);
        }
    }
    let told = diagnostic::text(&diagnostics, &files, Colour::Off);
    assert_eq!(diagnostics.summary(), "no problems", "{document}:\n{told}");
}

#[test]
fn the_walk_through_openai_ads_is_a_working_container() {
    hold("docs/openai.md", 6);
}

#[test]
fn the_configuration_is_a_working_container() {
    hold("docs/configuration.md", 8);
}

/// What proves a promise must be there under the name that newcomers read.
#[test]
fn what_proves_the_promises_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let section =
        text.split("\n## ").find(|section| section.starts_with("What proves the promises")).expect("a section");
    let (_, list) = section.split_once("\n- ").expect("a list");
    let names: Vec<_> = list.split('`').skip(1).step_by(2).filter(|name| name.contains(['/', '.', ':'])).collect();
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        let Some((module, test)) = name.rsplit_once("::") else {
            assert!(root.join("tests/cases").join(name).exists() || root.join(name).is_file(), "there is no {name}");
            continue;
        };
        let module = module.replace("::", "/");
        let files = [format!("tests/it/{module}.rs"), format!("src/{module}/tests.rs"), format!("src/{module}.rs")];
        let holds =
            |file: &String| fs::read_to_string(root.join(file)).is_ok_and(|text| text.contains(&format!("fn {test}(")));
        assert!(files.iter().any(holds), "there is no test {name}");
    }
}
