//! The loader: from files to a compiled container, with everything that is wrong reported at once.
//!
//! Takes a map of paths to bytes, so that a folder, a git tree and the embedded library are the same to it; gives a
//! [`Container`] and the diagnostics. How names keep their places is [`yaml`](super::yaml)'s; what each item means is
//! compiled by the part of its name below.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde::Deserialize;

use super::{
    Container, ContainerSettings, Parts,
    diagnostic::{Diagnostic, Diagnostics, Place, Severity, Sources, did_you_mean, quoted},
    model::{ConsentRule, SECTIONS, SettingsRule, StatusRule, TagRule, TriggerRule, VariableRule},
    yaml::{self, Key, Node, Placed, Value, decode::Context, decode::decode},
};
use crate::consent::{ConsentStatus, ConsentType, Statement};

mod conditions;
mod parameters;
mod tags;
mod templates;
mod triggers;
mod values;
mod variables;

#[cfg(test)]
mod tests;

pub use values::plain;

/// What a container's files are read with.
#[derive(Clone, Copy)]
pub struct LoadOptions<'a> {
    /// Names the version in traces, such as a commit.
    pub version: &'a str,
    /// The environment variables that the container may read, with their values.
    pub environment: &'a BTreeMap<String, String>,
    /// How grave an absent environment variable is: an error where hits would be lost by it.
    pub absent_environment: Severity,
    /// Templates that come with the program; files of the container's own shadow them.
    pub library: &'a Sources,
    /// Rules of another file in place of the container's own, for the test of a template.
    pub inline: Option<(&'a Arc<str>, &'a Node)>,
    /// How many threads will run scripts at the same time.
    pub seats: usize,
}

/// A container, if it is good enough to go live, and what there is to say about it.
#[derive(Debug)]
pub struct Loaded {
    pub container: Option<Container>,
    pub diagnostics: Diagnostics,
    /// The files that diagnostics speak of, the library's included.
    pub sources: Sources,
}

/// An item of a rules file: a tag, a trigger, a variable.
pub(super) struct Item<T> {
    pub name: Arc<str>,
    pub place: Place,
    pub rule: T,
}

/// Every item of every rules file, before any of them is compiled.
#[derive(Default)]
struct Rules {
    variables: Vec<Item<VariableRule>>,
    triggers: Vec<Item<TriggerRule>>,
    tags: Vec<Item<TagRule>>,
    consent: Vec<ConsentRule>,
    settings: Vec<SettingsRule>,
}

/// Names of one kind and where each stands among its kind; for references to them.
pub(super) struct Names {
    kind: &'static str,
    index: HashMap<Arc<str>, usize>,
}

/// Reads and compiles a container.
pub fn load(files: &Sources, options: LoadOptions<'_>) -> Loaded {
    let mut diagnostics = Diagnostics::default();
    let mut sources = options.library.clone();
    sources.extend(files.iter().map(|(path, bytes)| (Arc::clone(path), bytes.clone())));

    let mut rules = Rules::default();
    if let Some((path, root)) = options.inline {
        rules.read(path, root, &mut diagnostics);
    }
    for (path, bytes) in files.iter().filter(|(path, _)| options.inline.is_none() && is_rules_file(path)) {
        if let Some(root) = yaml::parse(path, bytes, &mut diagnostics) {
            rules.read(path, &root, &mut diagnostics);
        }
    }
    let (templates, scripts) = templates::compile(&sources, options.seats, &mut diagnostics);
    let (variables, variable_names) = variables::compile(rules.variables, &options, &mut diagnostics);
    let (triggers, trigger_names) = triggers::compile(rules.triggers, &variable_names, &mut diagnostics);
    let known = tags::Known { templates: &templates, triggers: &trigger_names, variables: &variable_names };
    let tags = tags::compile(rules.tags, &known, &mut diagnostics);
    let consent_default = consent_default(&rules.consent, &mut diagnostics);
    let settings = settings(&rules.settings, &mut diagnostics);

    let container = (!diagnostics.has_errors()).then(|| {
        let version = options.version.into();
        Container::assemble(Parts { version, tags, triggers, variables, consent_default, settings, scripts })
    });
    Loaded { container, diagnostics, sources }
}

/// A file of test cases, under `rules/` or `tags/`.
pub fn is_test_file(path: &str) -> bool {
    path.ends_with(".test.yaml")
}

/// `rules/*.yaml`, but not the test cases that lie beside them.
pub fn is_rules_file(path: &str) -> bool {
    let name = path.strip_prefix("rules/").filter(|name| !name.contains('/'));
    name.is_some_and(|name| name.ends_with(".yaml") && !is_test_file(name))
}

impl Rules {
    fn read(&mut self, file: &Arc<str>, root: &Node, diagnostics: &mut Diagnostics) {
        let Value::Map(sections) = &root.value else {
            let problem = Diagnostic::error("bad-file", "a rules file must be a mapping").at(root.span.place(file));
            diagnostics.push(problem.found(root.describe()).help(format!("its keys are {}", SECTIONS.join(", "))));
            return;
        };
        for (key, section) in sections {
            match &*key.name {
                "variables" => read_items(&mut self.variables, "variable", file, section, diagnostics),
                "triggers" => read_items(&mut self.triggers, "trigger", file, section, diagnostics),
                "tags" => read_items(&mut self.tags, "tag", file, section, diagnostics),
                "consent" => self.consent.extend(read_one(file, key, section, diagnostics)),
                "settings" => self.settings.extend(read_one(file, key, section, diagnostics)),
                other => {
                    let message = format!("a rules file has no key {}", quoted(other));
                    let problem = Diagnostic::error("unknown-key", message).at(key.span.place(file));
                    let keys = || format!("its keys are {}", SECTIONS.join(", "));
                    diagnostics.push(problem.help(did_you_mean(other, SECTIONS).unwrap_or_else(keys)));
                }
            }
        }
    }
}

/// Reads a section that is about the container as a whole.
fn read_one<T: for<'de> Deserialize<'de>>(
    file: &Arc<str>,
    key: &Key,
    section: &Node,
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    let place = key.span.place(file);
    decode(section, &Context { file, owner: &key.name, name: Some(&place) }, diagnostics)
}

/// Reads a section of named items; a name that another file gave already is an error.
fn read_items<T: for<'de> Deserialize<'de>>(
    items: &mut Vec<Item<T>>,
    kind: &str,
    file: &Arc<str>,
    section: &Node,
    diagnostics: &mut Diagnostics,
) {
    let entries = match &section.value {
        Value::Map(entries) => entries.as_slice(),
        Value::Null => &[],
        _ => {
            let message = format!("expected a mapping from names to {kind}s, found {}", section.describe());
            diagnostics.push(Diagnostic::error("wrong-type", message).at(section.span.place(file)));
            return;
        }
    };
    for (key, node) in entries {
        let owner = format!("{kind} {}", quoted(&key.name));
        let place = key.span.place(file);
        if let Some(first) = items.iter().find(|item| *item.name == *key.name) {
            let problem = Diagnostic::error("duplicate-name", format!("there is another {owner}")).at(place);
            let first = format!("the first is at {}:{}", first.place.file, first.place.line);
            diagnostics.push(problem.of(owner).help(first));
            continue;
        }
        if let Some(rule) = decode(node, &Context { file, owner: &owner, name: Some(&place) }, diagnostics) {
            items.push(Item { name: (&*key.name).into(), place, rule });
        }
    }
}

impl Names {
    pub fn of<T>(kind: &'static str, items: &[Item<T>]) -> Self {
        let index = items.iter().enumerate().map(|(position, item)| (Arc::clone(&item.name), position)).collect();
        Self { kind, index }
    }

    /// Where the item of this name stands; reports a name that nothing bears.
    pub fn find(&self, name: &str, place: &Place, owner: &str, diagnostics: &mut Diagnostics) -> Option<usize> {
        let found = self.index.get(name).copied();
        if found.is_none() {
            let message = format!("there is no {} {}", self.kind, quoted(name));
            let code = match self.kind {
                "variable" => "unknown-variable",
                _ => "unknown-trigger",
            };
            let help = did_you_mean(name, self.index.keys().map(AsRef::as_ref));
            diagnostics.push(Diagnostic::error(code, message).at(place.clone()).of(owner).help(help));
        }
        found
    }
}

fn consent_default(rules: &[ConsentRule], diagnostics: &mut Diagnostics) -> Statement {
    let mut statement = Statement::default();
    for (name, status) in rules.iter().flat_map(|rule| &rule.defaults) {
        let Some(kind) = consent_type(name, "consent", diagnostics) else { continue };
        let status = match status {
            StatusRule::Granted => ConsentStatus::Granted,
            StatusRule::Denied => ConsentStatus::Denied,
        };
        if statement.get(kind) != ConsentStatus::Unknown {
            let message = format!("the default of {kind} is given twice");
            diagnostics.push(Diagnostic::error("duplicate-name", message).at(name.place.clone()).of("consent"));
        }
        statement.set(kind, status);
    }
    statement
}

/// A Consent Mode type by its name; reports a name that is none.
fn consent_type(name: &Placed<impl AsRef<str>>, owner: &str, diagnostics: &mut Diagnostics) -> Option<ConsentType> {
    let text = name.value.as_ref();
    let kind = ConsentType::from_name(text);
    if kind.is_none() {
        let known = ConsentType::ALL.map(ConsentType::name);
        let message = format!("{} is no Consent Mode type", quoted(text));
        let help = did_you_mean(text, known).unwrap_or_else(|| format!("the types are {}", known.join(", ")));
        diagnostics
            .push(Diagnostic::error("unknown-consent-type", message).at(name.place.clone()).of(owner).help(help));
    }
    kind
}

fn settings(rules: &[SettingsRule], diagnostics: &mut Diagnostics) -> ContainerSettings {
    let mut settings = ContainerSettings::default();
    for origin in rules.iter().flat_map(|rule| &rule.origins) {
        match url::Url::parse(origin).map(|url| url.origin()) {
            Ok(parsed) if parsed.is_tuple() && parsed.ascii_serialization() == *origin.value => {
                settings.origins.push(origin.value.clone());
            }
            _ => {
                let message = format!("{} is no origin", quoted(origin));
                let help = "an origin is a scheme, a host and perhaps a port, such as https://shop.example".to_owned();
                let problem = Diagnostic::error("bad-origin", message).at(origin.place.clone());
                diagnostics.push(problem.of("settings").help(help));
            }
        }
    }
    settings
}
