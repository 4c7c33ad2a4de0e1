//! From `tags/<name>.rhai` and `tags/<name>.yaml` to templates. A file of the container's own shadows the library's.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::consent_type;
use crate::{
    consent::ConsentTypes,
    container::{
        Template,
        diagnostic::{Diagnostic, Diagnostics, Place, Sources, closest, quoted},
        model::{FieldKind, FieldRule, ManifestRule},
        yaml::{self, PlacedMap, decode::Context, decode::decode},
    },
    script::Workshop,
};

/// Destinations that a manifest may permit.
const DESTINATIONS: [&str; 1] = ["openai"];

/// A template with what only the loader needs of its manifest.
pub(super) struct Known {
    pub template: Arc<Template>,
    pub fields: PlacedMap<FieldRule>,
    /// What a tag of this template should say it needs.
    pub consent: ConsentTypes,
}

/// Compiles every template, used or not.
pub(super) fn compile(
    sources: &Sources,
    seats: usize,
    diagnostics: &mut Diagnostics,
) -> (BTreeMap<Box<str>, Known>, Workshop) {
    let mut workshop = Workshop::new(seats);
    let mut templates = BTreeMap::new();
    for name in names(sources) {
        if let Some(known) = template(&name, sources, &mut workshop, diagnostics) {
            templates.insert(name, known);
        }
    }
    (templates, workshop)
}

/// Every name that has a script or a manifest.
fn names(sources: &Sources) -> BTreeSet<Box<str>> {
    let name = |path: &Arc<str>| {
        let file = path.strip_prefix("tags/")?;
        let name = file.strip_suffix(".rhai").or_else(|| file.strip_suffix(".yaml"))?;
        (!name.contains('/') && !name.ends_with(".test")).then(|| name.into())
    };
    sources.keys().filter_map(name).collect()
}

fn template(name: &str, sources: &Sources, workshop: &mut Workshop, diagnostics: &mut Diagnostics) -> Option<Known> {
    let owner = format!("template {}", quoted(name));
    let (script_file, manifest_file) = (format!("tags/{name}.rhai"), format!("tags/{name}.yaml"));
    let script = sources.get_key_value(script_file.as_str());
    let manifest = sources.get_key_value(manifest_file.as_str());
    let (Some((script_file, script)), Some((manifest_file, manifest))) = (script, manifest) else {
        let (there, absent) =
            if script.is_some() { (script_file, manifest_file) } else { (manifest_file, script_file) };
        let problem = Diagnostic::error("half-template", format!("{owner} has {there}, but no {absent}")).of(owner);
        let place = Place::new(&there.into(), 1, 1, 0);
        diagnostics.push(problem.at(place).help("a template is a script and a manifest of the same name".to_owned()));
        return None;
    };
    let script = compile_script(script_file, script, &owner, workshop, diagnostics);
    let root = yaml::parse(manifest_file, manifest, diagnostics)?;
    let context = Context { file: manifest_file, owner: &owner, name: None };
    let rule: ManifestRule = decode(&root, &context, diagnostics)?;
    check(&rule, &owner, diagnostics);
    let consent = rule.consent.iter().filter_map(|kind| consent_type(kind, &owner, diagnostics)).collect();
    let template = Template {
        name: name.into(),
        script: script?,
        destinations: rule.permissions.destinations.iter().map(|destination| destination.value.clone()).collect(),
        cookies: rule.permissions.cookies,
        expire_when_refused: rule.expire_when_refused,
    };
    Some(Known { template: Arc::new(template), fields: rule.fields, consent })
}

fn compile_script(
    file: &Arc<str>,
    bytes: &[u8],
    owner: &str,
    workshop: &mut Workshop,
    diagnostics: &mut Diagnostics,
) -> Option<crate::script::ScriptIndex> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        diagnostics.push(Diagnostic::error("not-text", format!("{file} is not UTF-8 text")).of(owner));
        return None;
    };
    match workshop.add(file, text) {
        Ok(script) => Some(script),
        Err(error) => {
            let problem = Diagnostic::error("bad-script", &*error.message).of(owner);
            // The compiler names the character where it stopped, not how far the fault reaches.
            let number = |value: Option<usize>| value.and_then(|value| u32::try_from(value).ok()).unwrap_or(1);
            diagnostics.push(problem.at(Place::new(file, number(error.line), number(error.column), 1)));
            None
        }
    }
}

fn check(rule: &ManifestRule, owner: &str, diagnostics: &mut Diagnostics) {
    for destination in &rule.permissions.destinations {
        if !DESTINATIONS.contains(&&*destination.value) {
            let message = format!("there is no destination {}", quoted(destination));
            let help = format!("the destinations are {}", DESTINATIONS.join(", "));
            let problem = Diagnostic::error("unknown-destination", message).at(destination.place.clone());
            diagnostics.push(problem.of(owner).help(help));
        }
    }
    for (name, field) in &rule.fields {
        if (field.kind == FieldKind::Choice) == field.options.is_empty() {
            let message = format!("the field {} has options, or is a choice, but not both", quoted(name));
            let help = "type: choice goes with options: […]".to_owned();
            diagnostics.push(Diagnostic::error("bad-field", message).at(name.place.clone()).of(owner).help(help));
        }
    }
}

/// The template of this name; reports a name that nothing bears.
pub(super) fn find<'t>(
    templates: &'t BTreeMap<Box<str>, Known>,
    name: &yaml::Placed<Box<str>>,
    owner: &str,
    diagnostics: &mut Diagnostics,
) -> Option<&'t Known> {
    let found = templates.get(&name.value);
    if found.is_none() {
        let message = format!("there is no template {}", quoted(name));
        let meant =
            closest(name, templates.keys().map(|name| &**name)).map(|name| format!("did you mean {}?", quoted(name)));
        let help = meant.unwrap_or_else(|| format!("a template is a pair tags/{0}.rhai and tags/{0}.yaml", name.value));
        diagnostics.push(Diagnostic::error("unknown-template", message).at(name.place.clone()).of(owner).help(help));
    }
    found
}
