//! From consent rules to settings: defaults, regions, which signals are read and how.

use std::{collections::BTreeMap, sync::Arc};

use http::HeaderName;

use super::{
    Names,
    conditions::wanted,
    consent_type,
    once::{given_twice, single},
    templates::Templates,
};
use crate::{
    consent::{
        ConsentSettings, ConsentSource, ConsentStatus, ConsentTypes, RegionalDefault, Statement,
        region::{Region, Scope},
        settings::{Recipients, RegionHeaders, Unset, VariableSource},
        tcf::VendorId,
    },
    container::{
        diagnostic::{Diagnostic, Diagnostics, Place, did_you_mean, quoted},
        model::{ConsentRule, StatusRule, TypesRule, UnsetRule, VariableSourceRule},
        yaml::Placed,
    },
    trigger::condition::Case,
    variable::VariableIndex,
};

const OWNER: &str = "consent";

/// The TCF's number of every vendor that has one, by the name that templates use.
pub(super) type VendorIds = BTreeMap<Arc<str>, VendorId>;

pub(super) fn compile(
    rules: &[ConsentRule],
    templates: &Templates,
    variables: &Names,
    diagnostics: &mut Diagnostics,
) -> (ConsentSettings, VendorIds) {
    let vendor_ids = vendors(rules, templates, diagnostics);
    let mut settings = ConsentSettings {
        default: defaults(rules.iter().flat_map(|rule| &rule.defaults), diagnostics),
        regions: regions(rules, diagnostics),
        region_headers: region_headers(rules, diagnostics),
        vendors: vendor_ids.values().copied().collect(),
        ..ConsentSettings::default()
    };
    settings.vendors.sort_unstable();
    settings.vendors.dedup();
    read_sources(rules, &mut settings, diagnostics);
    if let Some(unset) =
        single(OWNER, rules.iter().filter_map(|rule| rule.gcd.unset.as_ref()), "gcd.unset", diagnostics)
    {
        settings.unset = match unset.value {
            UnsetRule::Deny => Unset::Deny,
            UnsetRule::Allow => Unset::Allow,
        };
    }
    for (id, types) in rules.iter().flat_map(|rule| &rule.onetrust.groups) {
        settings.onetrust.set(id, types_of(types, diagnostics));
    }
    for (name, types) in rules.iter().flat_map(|rule| &rule.axeptio.vendors) {
        settings.axeptio.0.push((name.as_ref().into(), types_of(types, diagnostics)));
    }
    let sources = rules.iter().flat_map(|rule| &rule.variables);
    settings.variables = sources.filter_map(|rule| variable_source(rule, variables, diagnostics)).collect();
    if !settings.variables.is_empty() {
        settings.read = settings.read.with(ConsentSource::Variable);
    }
    (settings, vendor_ids)
}

fn defaults<'r>(
    entries: impl Iterator<Item = &'r (Placed<Arc<str>>, StatusRule)>,
    diagnostics: &mut Diagnostics,
) -> Statement {
    let mut statement = Statement::default();
    let mut places = BTreeMap::new();
    for (name, status) in entries {
        let Some(kind) = consent_type(name, OWNER, diagnostics) else { continue };
        let status = match status {
            StatusRule::Granted => ConsentStatus::Granted,
            StatusRule::Denied => ConsentStatus::Denied,
        };
        if let Some(first) = places.insert(kind, &name.place) {
            diagnostics.push(given_twice(OWNER, &format!("the default of {kind}"), &name.place, first));
        }
        statement.set(kind, status);
    }
    statement
}

fn regions(rules: &[ConsentRule], diagnostics: &mut Diagnostics) -> Vec<RegionalDefault> {
    let mut regions = Vec::new();
    for rule in rules.iter().flat_map(|rule| &rule.regions) {
        let said = defaults(rule.defaults.iter(), diagnostics);
        if said.is_silent() || rule.region.as_slice().is_empty() {
            let problem = Diagnostic::error("empty-region", "a region's defaults say nothing").at(rule.place.clone());
            let help = "write region: [ES, US-CA] and defaults: { ad_storage: denied }".to_owned();
            diagnostics.push(problem.of(OWNER).help(help));
        }
        for code in rule.region.as_slice() {
            regions
                .extend(region(code, diagnostics).map(|region| RegionalDefault { scope: Scope::Region(region), said }));
        }
    }
    let first = rules.iter().flat_map(|rule| &rule.regions).next();
    if let Some(first) = first.filter(|_| rules.iter().all(|rule| rule.region_header.is_none())) {
        let message = "nothing says where a visitor is, so what these regions deny counts for everybody";
        let help =
            "add region_header: the header in which your proxy names the country, such as cf-ipcountry".to_owned();
        diagnostics.push(Diagnostic::warning("unknown-region", message).at(first.place.clone()).of(OWNER).help(help));
    }
    regions
}

fn region(code: &Placed<Box<str>>, diagnostics: &mut Diagnostics) -> Option<Region> {
    let parsed = Region::parse(code);
    let help = match code.to_ascii_uppercase().as_str() {
        "UK" => "write GB".to_owned(),
        "EU" | "EEA" => "list its countries: [AT, BE, BG, …]".to_owned(),
        _ if parsed.is_none() => "a region is a code of ISO 3166, such as ES, or US-CA".to_owned(),
        _ => return parsed,
    };
    let problem = Diagnostic::error("bad-region", format!("{} is no region", quoted(code))).at(code.place.clone());
    diagnostics.push(problem.of(OWNER).help(help));
    None
}

fn region_headers(rules: &[ConsentRule], diagnostics: &mut Diagnostics) -> RegionHeaders {
    let country =
        single(OWNER, rules.iter().filter_map(|rule| rule.region_header.as_ref()), "region_header", diagnostics);
    let subdivision = single(
        OWNER,
        rules.iter().filter_map(|rule| rule.subdivision_header.as_ref()),
        "subdivision_header",
        diagnostics,
    );
    let mut name = |header: &Placed<Box<str>>| {
        let name = HeaderName::try_from(&*header.value).ok();
        if name.is_none() {
            let problem = Diagnostic::error("bad-header", "that is no name of a header").at(header.place.clone());
            diagnostics.push(problem.of(OWNER).found(quoted(header)).help("such as cf-ipcountry".to_owned()));
        }
        name
    };
    match (country.map(&mut name), subdivision.map(|header| (name(header), header))) {
        (Some(country), subdivision) => {
            let subdivision = subdivision.and_then(|(name, _)| name);
            country.map_or(RegionHeaders::None, |country| RegionHeaders::Named { country, subdivision })
        }
        (None, Some((_, header))) => {
            let message = "there is a header for subdivisions, and none for countries";
            let problem = Diagnostic::error("absent-header", message).at(header.place.clone()).of(OWNER);
            diagnostics.push(problem.help("add region_header: the header that names the country".to_owned()));
            RegionHeaders::None
        }
        (None, None) => RegionHeaders::None,
    }
}

fn read_sources(rules: &[ConsentRule], settings: &mut ConsentSettings, diagnostics: &mut Diagnostics) {
    let stated = rules.iter().filter_map(|rule| rule.sources.as_ref());
    let Some(names) = single(OWNER, stated, "sources", diagnostics) else { return };
    for (_, source) in ConsentSource::OPTIONAL {
        settings.read = settings.read.without(source);
    }
    for name in &names.value {
        let known = ConsentSource::OPTIONAL.map(|(name, _)| name);
        if let Some((_, source)) = ConsentSource::OPTIONAL.into_iter().find(|(known, _)| **known == *name.value) {
            settings.read = settings.read.with(source);
            continue;
        }
        let message = format!("there is no consent source {}", quoted(name));
        let problem = Diagnostic::error("unknown-consent-source", message).at(name.place.clone()).of(OWNER);
        let list = || format!("the sources are {}", known.join(", "));
        diagnostics.push(problem.help(did_you_mean(name, known).unwrap_or_else(list)));
    }
}

fn vendors(rules: &[ConsentRule], templates: &Templates, diagnostics: &mut Diagnostics) -> VendorIds {
    let mut ids = VendorIds::new();
    let known = || templates.values().flatten().flat_map(|template| &template.vendors).map(|name| &**name);
    let is_complete = templates.values().all(Option::is_some);
    for (name, number) in rules.iter().flat_map(|rule| &rule.tcf.vendors) {
        if !known().any(|vendor| *vendor == *name.value) && is_complete {
            let message = format!("no template sends to a vendor {}", quoted(name));
            let problem = Diagnostic::error("unknown-vendor", message).at(name.place.clone()).of(OWNER);
            let mut names: Vec<_> = known().collect();
            names.sort_unstable();
            names.dedup();
            let list = || format!("the vendors of templates are {}", names.join(", "));
            diagnostics.push(problem.help(did_you_mean(name, known()).unwrap_or_else(list)));
        }
        match u16::try_from(number.value) {
            Ok(number @ 1..) => {
                ids.insert(Arc::clone(name), VendorId(number));
            }
            _ => {
                let message = format!("{} is no vendor's number in the TCF", number.value);
                let help = "take it from the Global Vendor List: a whole number from 1".to_owned();
                let problem = Diagnostic::error("bad-vendor", message).at(number.place.clone());
                diagnostics.push(problem.of(OWNER).help(help));
            }
        }
    }
    ids
}

fn types_of(types: &TypesRule, diagnostics: &mut Diagnostics) -> ConsentTypes {
    types.as_slice().iter().filter_map(|kind| consent_type(kind, OWNER, diagnostics)).collect()
}

fn variable_source(
    rule: &Placed<VariableSourceRule>,
    variables: &Names,
    diagnostics: &mut Diagnostics,
) -> Option<VariableSource> {
    let index = variables.find(&rule.from, &rule.from.place, OWNER, diagnostics);
    let types = types_of(&rule.types, diagnostics);
    let mut problem = |message: String, place: &Place, help: &str| {
        let problem = Diagnostic::error("consent-variable", message).at(place.clone()).of(OWNER);
        diagnostics.push(problem.help(help.to_owned()));
    };
    let name = quoted(&rule.from);
    if rule.types.as_slice().is_empty() {
        problem(
            format!("the consent variable {name} is about no types"),
            &rule.from.place,
            "add types: [ad_storage, …]",
        );
    }
    let granted = rule.granted_when.as_ref().map_or(&[][..], |values| values.as_slice());
    let denied = rule.denied_when.as_ref().map_or(&[][..], |values| values.as_slice());
    if granted.is_empty() && denied.is_empty() {
        let help = "add granted_when and denied_when, each a value or a list of them";
        problem(format!("the consent variable {name} says nothing"), &rule.from.place, help);
    }
    if let Some(both) = granted.iter().find(|value| denied.contains(value)) {
        problem(format!("the value {both} of {name} both grants and denies"), &rule.from.place, "keep one of them");
    }
    let compiled = |values: &[_]| values.iter().map(|value| wanted(value, Case::Sensitive)).collect();
    Some(VariableSource {
        name: Arc::from(&*rule.from.value),
        variable: VariableIndex(index?),
        types,
        granted_when: compiled(granted),
        denied_when: compiled(denied),
    })
}

/// Whether all of a template's vendors have a number, and which.
pub(super) fn recipients(vendors: &[Box<str>], ids: &VendorIds) -> Recipients {
    let known: Option<Box<[VendorId]>> = vendors.iter().map(|name| ids.get(&**name).copied()).collect();
    match known {
        Some(known) if !known.is_empty() => Recipients::Vendors(known),
        _ => Recipients::Unregistered,
    }
}
