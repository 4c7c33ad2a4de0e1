//! Reads `src/` and holds it to the rules of the house (docs/ARCHITECTURE.md) that the compiler does not know: the core
//! is pure, nothing runs ungated, files stay readable.

use std::{collections::BTreeSet, fmt::Display};

use self::source::{Path, Source};

mod source;

/// Crates that do something, or that speak of doing it, which is for edges.
const EDGE_CRATES: [&str; 13] = [
    "askama",
    "axum",
    "clap",
    "governor",
    "hyper",
    "hyper_util",
    "prometheus_client",
    "rand",
    "reqwest",
    "rusqlite",
    "rustix",
    "tokio",
    "tracing",
];

/// Parts of the standard library that reach out of the process.
const EDGE_STD: [&str; 4] = ["env", "fs", "process", "thread"];

/// Types by which a process reaches out, wherever they were imported from.
const EDGE_TYPES: [&str; 8] =
    ["Instant", "SystemTime", "TcpListener", "TcpStream", "ToSocketAddrs", "UdpSocket", "UnixListener", "UnixStream"];

/// Files under a core module that are edges: they read what the core is then given.
const EDGE_FILES: [&str; 1] = ["src/container/folder.rs"];

/// The core file that asks for the time, once, so that every edge does it in the same way.
const CLOCK: &str = "src/time.rs";

const GATE: &str = "src/consent/gate.rs";

const MAX_LINES: usize = 500;
const MAX_MEDIAN_LINES: usize = 160;

/// The modules of the crate, as `src/lib.rs` sorts them.
struct Modules {
    core: BTreeSet<String>,
    edges: BTreeSet<String>,
}

impl Modules {
    fn of(sources: &[Source]) -> Self {
        let lib = sources.iter().find(|source| source.path == "src/lib.rs").expect("a library");
        let (_, listed) = lib.text.split_once("// The core.").expect("a list of the core's modules");
        let (core, edges) = listed.split_once("// The edges.").expect("a list of the edges");
        let names = |list: &str| {
            let names = list.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
            names.map(str::to_owned).collect()
        };
        Self { core: names(core), edges: names(edges) }
    }

    fn is_core(&self, source: &Source) -> bool {
        let is_listed = source.module.first().is_some_and(|top| self.core.contains(top));
        is_listed && !source.is_test() && !EDGE_FILES.contains(&&*source.path)
    }

    /// Whether a path from the crate's root leads to an edge.
    fn leads_to_an_edge(&self, path: &[String]) -> bool {
        path.first().is_some_and(|top| self.edges.contains(top))
            || EDGE_FILES.iter().any(|file| path.starts_with(&source::module_of(file)))
    }

    /// Whether a path in a core file names something that only edges may.
    fn is_forbidden(&self, path: &Path, source: &Source) -> bool {
        let segments: Vec<&str> = path.segments.iter().map(String::as_str).collect();
        EDGE_CRATES.iter().any(|name| path.names_crate(name))
            || matches!(segments.as_slice(), ["std", part, ..] if EDGE_STD.contains(part))
            || segments.iter().any(|segment| EDGE_TYPES.contains(segment))
            || segments.windows(2).any(|pair| pair == ["Timestamp", "now"])
            || source.resolve(path).is_some_and(|path| self.leads_to_an_edge(&path))
    }
}

fn assert_none<F: Display>(faults: impl IntoIterator<Item = F>) {
    let faults: Vec<_> = faults.into_iter().map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_module_is_either_core_or_edge() {
    let sources = source::read(&["src"]);
    let Modules { core, edges } = Modules::of(&sources);
    assert_none(sources.iter().filter_map(|source| {
        let top = source.module.first()?;
        let homes = usize::from(core.contains(top)) + usize::from(edges.contains(top));
        (homes != 1).then(|| format!("{}: src/lib.rs lists {top} in {homes} of its two lists", source.path))
    }));
}

#[test]
fn the_architecture_names_every_room() {
    let Modules { core, edges } = Modules::of(&source::read(&["src"]));
    let document = include_str!("../../docs/ARCHITECTURE.md");
    let (_, table) = document.split_once("## The rooms").expect("a table of rooms");
    let table = table.split("\n## ").next().unwrap_or_default();
    let rooms: BTreeSet<_> = table.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next()).collect();
    let named: BTreeSet<_> = rooms.iter().flat_map(|room| room.split('`').skip(1).step_by(2)).collect();
    assert_none(core.union(&edges).filter(|room| !named.contains(room.as_str())));
    let known = |name: &&&str| match name.split_once('/') {
        Some(("web", _)) => true,
        Some((room, part)) => std::path::Path::new(&format!("src/{room}/{part}.rs")).exists(),
        None => core.contains(**name) || edges.contains(**name),
    };
    assert_none(named.iter().filter(|name| !known(name)));
}

#[test]
fn the_core_mentions_no_edge_and_no_clock() {
    let sources = source::read(&["src"]);
    let modules = Modules::of(&sources);
    let mut faults = Vec::new();
    let mut clocks = 0;
    for source in sources.iter().filter(|source| modules.is_core(source)) {
        for path in source.paths().iter().filter(|path| modules.is_forbidden(path, source)) {
            if source.path == CLOCK && path.segments == ["std", "time", "SystemTime", "now"] {
                clocks += 1;
            } else {
                faults.push(format!("{}:{}: {path}", source.path, path.line));
            }
        }
    }
    assert_none(faults);
    assert_eq!(clocks, 1, "{CLOCK} asks for the time once");
}

#[test]
fn only_the_gate_makes_a_permission() {
    for source in source::read(&["src"]) {
        let made = source.literals("Permitted");
        let expected = usize::from(source.path == GATE);
        assert_eq!(made.len(), expected, "{}, lines {made:?}: a Permitted is made by the gate alone", source.path);
    }
}

#[test]
fn one_file_runs_programs_and_that_is_git() {
    let is_command = |path: &Path| path.segments.windows(2).any(|pair| pair == ["process", "Command"]);
    let runs = |source: &&Source| !source.is_test() && source.paths().iter().any(is_command);
    let sources = source::read(&["src"]);
    let runners: Vec<_> = sources.iter().filter(runs).map(|source| &*source.path).collect();
    assert_eq!(runners, ["src/git/command.rs"]);
}

#[test]
fn files_are_short() {
    let sources = source::read(&["src"]);
    let mut sources: Vec<_> = sources.iter().filter(|source| !source.is_test()).collect();
    sources.sort_by_key(|source| source.lines);
    let long = sources.iter().filter(|source| source.lines > MAX_LINES);
    assert_none(long.map(|source| format!("{}: {} lines before its tests", source.path, source.lines)));
    let median = sources[sources.len() / 2].lines;
    assert!(median <= MAX_MEDIAN_LINES, "half of the files have more than {median} lines");
}

#[test]
fn every_module_says_what_it_is_for() {
    let sources = source::read(&["src"]);
    let silent = sources.iter().filter(|source| !source.is_test() && !source.text.starts_with("//! "));
    assert_none(silent.map(|source| format!("{}: begins without //!", source.path)));
}

#[test]
fn nothing_is_left_unfinished() {
    let sources = source::read(&["benches", "src", "tests"]);
    assert_none(sources.iter().flat_map(|source| {
        // In two halves, so that this file passes its own test.
        let words = [concat!("TO", "DO"), concat!("FIX", "ME")];
        let lines = source.text.lines().enumerate();
        let noted = lines.filter(move |(_, line)| words.iter().any(|word| line.contains(word)));
        let noted = noted.map(|(index, line)| (index + 1, line.trim().to_owned()));
        let macros = ["dbg", "todo", "unimplemented"].into_iter();
        let called =
            macros.flat_map(|name| source.macro_calls(name).into_iter().map(move |line| (line, format!("{name}!"))));
        noted.chain(called).map(|(line, what)| format!("{}:{line}: {what}", source.path)).collect::<Vec<_>>()
    }));
}
