//! The reference of scripting: `docs/scripting.md` is what the code makes of it, and every example in it ends as it says.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use tidegate::{
    client::Client,
    container::{
        diagnostic::{Severity, Sources},
        load::{self, LoadOptions},
    },
    hit::Hit,
    pipeline::{self, Surroundings},
    script::reference::{self, EVENT, Example, MANIFEST, PARAMETERS, SECTIONS},
    time::Timestamp,
};
use uuid::Uuid;

#[test]
fn the_committed_reference_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scripting.md");
    let text = reference::markdown();
    if fs::read_to_string(&path).is_ok_and(|committed| committed == text) {
        return;
    }
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        return fs::write(&path, text).unwrap();
    }
    panic!("docs/scripting.md is out of date: run the tests with INSTA_UPDATE=always, and read the difference");
}

/// The verdict and the first note of each script, run as the script of a tag of its own for the reference's event.
fn run(scripts: &[String]) -> Vec<(String, String)> {
    let mut files = Sources::new();
    let mut add = |path: String, text: &str| files.insert(path.into(), text.as_bytes().to_vec());
    let parameters: String = PARAMETERS.lines().map(|line| format!("      {line}\n")).collect();
    let mut rules = "triggers:\n  All: { event: \"*\" }\ntags:\n".to_owned();
    for (number, script) in scripts.iter().enumerate() {
        add(format!("tags/example_{number}.rhai"), script);
        add(format!("tags/example_{number}.yaml"), MANIFEST);
        rules += &format!(
            "  Example {number}:\n    template: example_{number}\n    triggers: All\n    consent: ad_storage\n    parameters:\n{parameters}"
        );
    }
    add("rules/a.yaml".to_owned(), &rules);
    let options = LoadOptions {
        version: "test",
        environment: &BTreeMap::new(),
        absent_environment: Severity::Error,
        library: &Sources::new(),
        inline: None,
        seats: 1,
    };
    let loaded = load::load(&files, options);
    let container = loaded.container.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    let headers = [("user-agent", "Mozilla/5.0"), ("accept-language", "en"), ("cookie", "newsletter=monthly")];
    let hit = Hit {
        query: "v=2".into(),
        headers: headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect(),
        address: "203.0.113.7".parse().ok(),
        host: "tags.example.com".into(),
        body: EVENT.into(),
        ..Hit::silent(Timestamp(1_767_268_800_000))
    };
    let surroundings = Surroundings {
        clock: || Duration::ZERO,
        new_id: &|| Uuid::nil(),
        recent: None,
        told: 10,
        look: None,
        stated: Default::default(),
    };
    let processed = pipeline::process(&container, Client::DataLayer, &Arc::new(hit), surroundings);
    let tags = &processed.trace.events[0].tags;
    let of = |number| {
        let name = format!("Example {number}");
        let tag = tags.iter().find(|tag| *tag.tag == *name).unwrap_or_else(|| panic!("{name} left no trace"));
        (tag.verdict.to_string(), tag.notes.first().map(ToString::to_string).unwrap_or_default())
    };
    (0..scripts.len()).map(of).collect()
}

#[test]
fn every_example_ends_as_it_says() {
    let examples: Vec<_> =
        SECTIONS.iter().flat_map(|section| section.entries).flat_map(|entry| entry.examples).collect();
    let script = |example: &&Example| match example {
        Example::Value(expression, _) => format!("skip(text({expression}))"),
        Example::Script(script, _) | Example::Note(script, _) => (*script).to_owned(),
    };
    // A trace holds so many tags, and no more.
    let mut ends = Vec::new();
    for some in examples.chunks(20) {
        ends.extend(run(&some.iter().map(script).collect::<Vec<_>>()));
    }
    for (example, (verdict, note)) in examples.iter().zip(ends) {
        match example {
            Example::Value(expression, value) => assert_eq!(verdict, format!("skipped: {value}"), "{expression}"),
            Example::Script(script, end) => assert!(verdict.starts_with(end), "{script}: {verdict}"),
            Example::Note(script, line) => assert_eq!(note, *line, "{script}: {verdict}"),
        }
    }
    assert!(examples.len() > 30, "only {}", examples.len());
}
