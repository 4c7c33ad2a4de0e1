//! From `tags/<name>.rhai` and `tags/<name>.yaml` to templates. A file of the container's own shadows the library's.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{asks, consent_type, cookies, fields, hosts};
use crate::{
    call::Account,
    consent::ConsentTypes,
    container::{
        Template,
        diagnostic::{Diagnostic, Diagnostics, Place, Sources, closest, quoted},
        model::{FieldRule, ManifestRule},
        yaml::{self, PlacedMap, decode::Context, decode::decode},
    },
    script::{Asks, Workshop, reference as scripting},
};

/// The destination of calls to any host; a manifest permits it host by host.
const HTTP: &str = "http";

/// A template with what only the loader needs of its manifest.
pub(super) struct Known {
    pub template: Arc<Template>,
    pub fields: PlacedMap<FieldRule>,
    /// What a tag of this template needs, unless it says why not.
    pub consent: ConsentTypes,
    /// Whose hands its data comes into.
    pub vendors: Vec<Box<str>>,
    pub cookies: cookies::CookieRules,
    pub hosts: Option<hosts::HostRules>,
}

/// The templates by name; `None` for one that is broken, which has been told.
pub(super) type Templates = BTreeMap<Box<str>, Option<Known>>;

/// Compiles every template, used or not.
pub(super) fn compile(
    files: &Sources,
    library: &Sources,
    seats: usize,
    diagnostics: &mut Diagnostics,
) -> (Templates, Workshop) {
    let mut workshop = Workshop::new(seats);
    let sources = Layers { files, library };
    let names: BTreeSet<Box<str>> = files.keys().chain(library.keys()).filter_map(template_of).collect();
    let mut templates = Templates::new();
    for name in names {
        let known = template(&name, &sources, &mut workshop, diagnostics);
        templates.insert(name, known);
    }
    note_shadows(files, library, diagnostics);
    (templates, workshop)
}

/// The container's own files over the library's.
struct Layers<'a> {
    files: &'a Sources,
    library: &'a Sources,
}

impl Layers<'_> {
    fn get(&self, path: &str) -> Option<(&Arc<str>, &Vec<u8>)> {
        self.files.get_key_value(path).or_else(|| self.library.get_key_value(path))
    }
}

/// The name of the template whose script or manifest a file is.
fn template_of(path: &Arc<str>) -> Option<Box<str>> {
    let file = path.strip_prefix("tags/")?;
    let name = file.strip_suffix(".rhai").or_else(|| file.strip_suffix(".yaml"))?;
    (!name.contains('/') && !name.ends_with(".test")).then(|| name.into())
}

/// A copy of the library's file is no shadow: the library's own repository is a container too.
fn note_shadows(files: &Sources, library: &Sources, diagnostics: &mut Diagnostics) {
    for (path, _) in files.iter().filter(|(path, bytes)| library.get(*path).is_some_and(|own| own != *bytes)) {
        let message = format!("{path} takes the place of the file of this name that comes with Tidegate");
        diagnostics.push(Diagnostic::note("shadowed-template", message).at(Place::new(path, 1, 1, 0)));
    }
}

fn template(name: &str, sources: &Layers<'_>, workshop: &mut Workshop, diagnostics: &mut Diagnostics) -> Option<Known> {
    let owner = format!("template {}", quoted(name));
    let (script_file, manifest_file) = (format!("tags/{name}.rhai"), format!("tags/{name}.yaml"));
    let script = sources.get(&script_file);
    let manifest = sources.get(&manifest_file);
    let (Some((script_file, script)), Some((manifest_file, manifest))) = (script, manifest) else {
        let (there, absent) =
            if script.is_some() { (script_file, manifest_file) } else { (manifest_file, script_file) };
        let problem = Diagnostic::error("half-template", format!("{owner} has {there}, but no {absent}")).of(owner);
        let place = Place::new(&there.into(), 1, 1, 0);
        diagnostics.push(problem.at(place).help("a template is a script and a manifest of the same name".to_owned()));
        return None;
    };
    let asks = std::str::from_utf8(script).map(|text| Asks::of(without_mark(text)));
    let script_context = Context { file: script_file, owner: &owner, name: None };
    let script = compile_script(script_file, script, &owner, workshop, diagnostics);
    let root = yaml::parse(manifest_file, manifest, diagnostics)?;
    let context = Context { file: manifest_file, owner: &owner, name: None };
    let rule: ManifestRule = decode(&root, &context, diagnostics)?;
    check(&rule, &owner, diagnostics);
    let cookies = cookies::rules(&rule, &context, diagnostics);
    let consent = rule.consent.iter().filter_map(|kind| consent_type(kind, &owner, diagnostics)).collect();
    let destinations = || rule.permissions.destinations.iter().map(|destination| destination.value.clone());
    let vendors = rule.vendors.clone().unwrap_or_else(|| destinations().collect());
    let hosts = hosts::rules(&rule, &context, diagnostics);
    // Whoever names hosts may call them.
    let to_hosts = rule.permissions.hosts.as_ref().map(|_| HTTP.into());
    let destinations = destinations().chain(to_hosts).collect();
    let template = Template { name: name.into(), script: script?, destinations };
    // Of a script that does not compile nobody knows what it asks for.
    if let Ok(asks) = asks {
        let manifest =
            asks::Manifest { destinations: &template.destinations, hosts: hosts.as_ref(), cookies: &cookies };
        asks::report_unpermitted(&asks, &manifest, &script_context, diagnostics);
    }
    Some(Known { template: Arc::new(template), fields: rule.fields, consent, vendors, cookies, hosts })
}

/// As with YAML, a mark of the byte order is no part of the text.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{FEFF}').unwrap_or(text)
}

fn compile_script(
    file: &Arc<str>,
    bytes: &[u8],
    owner: &str,
    workshop: &mut Workshop,
    diagnostics: &mut Diagnostics,
) -> Option<crate::script::ScriptIndex> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        let problem = Diagnostic::error("not-text", "the script is not UTF-8 text").of(owner);
        diagnostics.push(problem.at(Place::new(file, 1, 1, 0)).help("save the file as UTF-8".to_owned()));
        return None;
    };
    match workshop.add(file, without_mark(text)) {
        Ok(script) => Some(script),
        Err(error) => {
            let problem = Diagnostic::error("bad-script", &*error.message).of(owner);
            // The compiler names the character where it stopped, not how far the fault reaches.
            let known = error.message.starts_with("there is no variable");
            let help = known.then(|| "a script is given params, event, request and consent".to_owned());
            let number = |value: Option<usize>| value.and_then(|value| u32::try_from(value).ok()).unwrap_or(1);
            diagnostics.push(problem.at(Place::new(file, number(error.line), number(error.column), 1)).help(help));
            None
        }
    }
}

fn check(rule: &ManifestRule, owner: &str, diagnostics: &mut Diagnostics) {
    for destination in &rule.permissions.destinations {
        if &*destination.value == HTTP {
            let problem = Diagnostic::error("absent-hosts", format!("{owner} does not say which hosts it calls"));
            let help = "write permissions: { hosts: [api.example.com] } in place of the destination".to_owned();
            diagnostics.push(problem.at(destination.place.clone()).of(owner).help(help));
        } else if !Account::DESTINATIONS.contains(&&*destination.value) {
            let message = format!("there is no destination {}", quoted(destination));
            let help = format!("the destinations are {}", Account::DESTINATIONS.join(", "));
            let problem = Diagnostic::error("unknown-destination", message).at(destination.place.clone());
            diagnostics.push(problem.of(owner).help(help));
        }
    }
    fields::check(&rule.fields, owner, diagnostics);
    report_other_scripting(rule, owner, diagnostics);
    report_unbounded_accounts(rule, owner, diagnostics);
}

fn report_other_scripting(rule: &ManifestRule, owner: &str, diagnostics: &mut Diagnostics) {
    let Some(version) = rule.scripting.as_ref().filter(|version| !(1..=scripting::VERSION).contains(&version.value))
    else {
        return;
    };
    let message = format!("{owner} is written for version {} of scripting", version.value);
    let help = match version.value {
        ..1 => format!("versions begin with 1; this Tidegate knows up to {}", scripting::VERSION),
        _ => format!("this Tidegate knows up to {}: use a newer one", scripting::VERSION),
    };
    diagnostics.push(Diagnostic::error("other-scripting", message).at(version.place.clone()).of(owner).help(help));
}

/// Each account has a queue, a task and a breaker. An event that chose the account could make any number of them.
fn report_unbounded_accounts(rule: &ManifestRule, owner: &str, diagnostics: &mut Diagnostics) {
    const NAMES_ACCOUNT: &str = "pixel_id";
    let calls_openai = rule.permissions.destinations.iter().any(|destination| &*destination.value == "openai");
    let (Some(field), Some(place)) = (rule.fields.get(NAMES_ACCOUNT), rule.fields.place(NAMES_ACCOUNT)) else { return };
    if calls_openai && !field.fixed {
        let message = format!("the field {} names the account of {owner}, and is not fixed", quoted(NAMES_ACCOUNT));
        let problem = Diagnostic::error("unbounded-accounts", message).at(place.clone()).of(owner);
        diagnostics.push(problem.help("add fixed: true, so that no event can make accounts without end".to_owned()));
    }
}

/// The template of this name; reports a name that nothing bears.
pub(super) fn find<'t>(
    templates: &'t Templates,
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
    found?.as_ref()
}
