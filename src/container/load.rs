//! The loader: from files to a compiled container, with everything that is wrong reported at once.
//!
//! Takes a map of paths to bytes, so that a folder, a git tree and the embedded library are the same to it; gives a
//! [`Container`] and the diagnostics. How names keep their places is [`yaml`]'s; what each item means is
//! compiled by the part of its name below.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;

use super::{
    Container, Parts, SecretUse,
    diagnostic::{Diagnostic, Diagnostics, Place, Severity, Sources, did_you_mean, quoted},
    model::{ConsentRule, SECTIONS, SettingsRule, TagRule, TransformationRule, TriggerRule, variables::VariableRule},
    yaml::{self, Key, Node, Placed, Value, decode::Context, decode::decode},
};
use crate::consent::ConsentType;

mod asks;
mod conditions;
mod consent;
mod cookies;
mod fields;
mod hosts;
mod items;
mod known;
mod once;
mod parameters;
mod sequences;
mod settings;
mod tags;
mod templates;
mod transformations;
mod triggers;
mod unread;
mod values;
mod variables;

#[cfg(test)]
mod tests;

use items::{Item, Items, Names, Reading};
pub use unread::remedy;
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
    /// What its tags need, good or not.
    pub secrets: Vec<SecretUse>,
}

/// Every item of every rules file, before any of them is compiled.
#[derive(Default)]
struct Rules {
    variables: Items<VariableRule>,
    triggers: Items<TriggerRule>,
    tags: Items<TagRule>,
    transformations: Items<TransformationRule>,
    consent: Vec<ConsentRule>,
    settings: Vec<SettingsRule>,
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
        let errors_before = diagnostics.errors_told();
        match yaml::parse(path, bytes, &mut diagnostics) {
            Some(root) => rules.read(path, &root, &mut diagnostics),
            None if diagnostics.errors_told() > errors_before => rules.lack_anything(),
            None => {}
        }
    }
    for (path, help) in files.keys().filter_map(|path| Some((path, remedy(path)?))) {
        let problem = Diagnostic::warning("ignored-file", format!("{path} is not read"));
        diagnostics.push(problem.at(Place::new(path, 1, 1, 0)).help(help));
    }
    let (templates, mut scripts) = templates::compile(files, options.library, options.seats, &mut diagnostics);
    let known = variables::Known { options, sources: &sources, scripts: &mut scripts };
    let (variables, variable_names) = variables::compile(rules.variables, known, &mut diagnostics);
    let (triggers, trigger_names) = triggers::compile(rules.triggers, &variable_names, &mut diagnostics);
    let (consent, vendors) = consent::compile(&rules.consent, &templates, &variable_names, &mut diagnostics);
    let scope = parameters::Scope { names: &variable_names, variables: &variables };
    let known = tags::Known { templates: &templates, triggers: &trigger_names, variables: scope, vendors: &vendors };
    let (tags, tag_names) = rules.tags.into_parts("tag");
    let names = transformations::Known { tags: &tag_names, variables: &variable_names };
    let transformations = transformations::compile(rules.transformations, tags.len(), names, &mut diagnostics);
    let tags::Compiled { tags, secrets } =
        tags::compile(&tags, &tag_names, transformations.of_tags, &known, &mut diagnostics);
    let transformations = transformations.list;
    let settings = settings::compile(&rules.settings, &mut diagnostics);

    variable_names.note_unused(&mut diagnostics);
    trigger_names.note_unused(&mut diagnostics);
    let container = (!diagnostics.has_errors()).then(|| {
        let (version, secrets) = (options.version.into(), secrets.clone());
        let rules = Parts { version, tags, triggers, variables, transformations, consent, settings, scripts, secrets };
        Container::assemble(rules)
    });
    Loaded { container, diagnostics, sources, secrets }
}

/// Whether containers may read this environment variable without the operator's doing.
pub fn is_always_readable(variable: &str) -> bool {
    variable == "OPENAI_PIXEL_ID" || variable.starts_with("TIDEGATE_VAR_")
}

/// A file of test cases, under `rules/` or `tags/`.
pub fn is_test_file(path: &str) -> bool {
    let name = ["rules/", "tags/"].iter().find_map(|part| path.strip_prefix(part));
    name.is_some_and(|name| name.ends_with(".test.yaml") && !name.contains('/'))
}

/// `rules/*.yaml`, but not the test cases that lie beside them.
pub fn is_rules_file(path: &str) -> bool {
    let name = path.strip_prefix("rules/").filter(|name| !name.contains('/'));
    name.is_some_and(|name| name.ends_with(".yaml") && !is_test_file(path))
}

impl Rules {
    /// Notes that items of any name may stand in what could not be read.
    fn lack_anything(&mut self) {
        self.variables.lack_anything();
        self.triggers.lack_anything();
        self.tags.lack_anything();
        self.transformations.lack_anything();
    }

    fn read(&mut self, file: &Arc<str>, root: &Node, diagnostics: &mut Diagnostics) {
        let Value::Map(sections) = &root.value else {
            let problem = Diagnostic::error("bad-file", "a rules file must be a mapping").at(root.span.place(file));
            diagnostics.push(problem.found(root.describe()).help(format!("its keys are {}", SECTIONS.join(", "))));
            self.lack_anything();
            return;
        };
        for (key, section) in sections {
            match &*key.name {
                "variables" => self.variables.read("variable", file, section, diagnostics),
                "triggers" => self.triggers.read("trigger", file, section, diagnostics),
                "tags" => self.tags.read("tag", file, section, diagnostics),
                "transformations" => self.transformations.read("transformation", file, section, diagnostics),
                "consent" => self.consent.extend(read_one(file, key, section, diagnostics)),
                "settings" => self.settings.extend(read_one(file, key, section, diagnostics)),
                other => {
                    let message = format!("a rules file has no key {}", quoted(other));
                    let problem = Diagnostic::error("unknown-key", message).at(key.span.place(file));
                    let keys = || format!("its keys are {}", SECTIONS.join(", "));
                    diagnostics.push(problem.help(did_you_mean(other, SECTIONS).unwrap_or_else(keys)));
                    self.lack_anything();
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
