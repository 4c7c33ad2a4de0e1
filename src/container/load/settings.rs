//! From settings rules to settings: origins that may send, and what is withheld of visitors.

use std::sync::Arc;

use super::once::single;
use crate::{
    container::{
        ContainerSettings,
        diagnostic::{Diagnostic, Diagnostics, quoted},
        model::{AddressRule, AgentRule, BotsRule, SettingsRule},
        yaml::{OneOrMany, Placed},
    },
    privacy::{AddressDetail, AgentDetail, Bots, Privacy, Queries, bots::BotList, query::StripQuery},
};

const OWNER: &str = "settings";

/// The list of parameters that comes with the program.
const DEFAULT_LIST: &str = "default";

pub(super) fn compile(rules: &[SettingsRule], diagnostics: &mut Diagnostics) -> ContainerSettings {
    let origins = rules.iter().flat_map(|rule| &rule.origins);
    ContainerSettings {
        origins: origins.filter_map(|origin| proper_origin(origin, diagnostics)).collect(),
        privacy: privacy(rules, diagnostics),
    }
}

fn proper_origin(origin: &Placed<Box<str>>, diagnostics: &mut Diagnostics) -> Option<Box<str>> {
    let parsed = url::Url::parse(origin).map(|url| url.origin());
    let proper = parsed.ok().filter(url::Origin::is_tuple).map(|parsed| parsed.ascii_serialization());
    if proper.as_deref() == Some(&origin.value) && !origin.contains('*') {
        return Some(origin.value.clone());
    }
    let help = match proper {
        _ if origin.contains('*') => "there are no wildcards: name each origin".to_owned(),
        Some(proper) => format!("write {proper}"),
        None => "an origin is a scheme, a host and perhaps a port, such as https://shop.example".to_owned(),
    };
    let problem = Diagnostic::error("bad-origin", format!("{} is no origin", quoted(origin)));
    diagnostics.push(problem.at(origin.place.clone()).of(OWNER).help(help));
    None
}

fn privacy(rules: &[SettingsRule], diagnostics: &mut Diagnostics) -> Privacy {
    let mut privacy = Privacy::default();
    let all = || rules.iter().map(|rule| &rule.privacy);
    if let Some(rule) =
        single(OWNER, all().filter_map(|rule| rule.ip_address.as_ref()), "privacy.ip_address", diagnostics)
    {
        privacy.detail.ip_address = match rule.value {
            AddressRule::Keep => AddressDetail::Whole,
            AddressRule::Truncate => AddressDetail::Truncated,
        };
    }
    if let Some(rule) =
        single(OWNER, all().filter_map(|rule| rule.user_agent.as_ref()), "privacy.user_agent", diagnostics)
    {
        privacy.detail.user_agent = match rule.value {
            AgentRule::Keep => AgentDetail::Whole,
            AgentRule::Reduce => AgentDetail::Reduced,
            AgentRule::Drop => AgentDetail::Dropped,
        };
    }
    if let Some(rule) =
        single(OWNER, all().filter_map(|rule| rule.strip_query.as_ref()), "privacy.strip_query", diagnostics)
    {
        privacy.queries = queries(rule, diagnostics);
    }
    if let Some(rule) = single(OWNER, all().filter_map(|rule| rule.bots.as_ref()), "privacy.bots", diagnostics) {
        privacy.bots = match rule.value {
            BotsRule::Keep => Bots::Welcome,
            BotsRule::Ignore => bots(rule, diagnostics),
        };
    }
    privacy
}

fn queries(rule: &Placed<OneOrMany<Placed<Box<str>>>>, diagnostics: &mut Diagnostics) -> Queries {
    let mut strip = StripQuery::default();
    for name in rule.as_slice() {
        if *name.value == *DEFAULT_LIST {
            strip.add_default();
        } else if strip.add(name).is_none() {
            let message = format!("{} is no name of a parameter", quoted(name));
            let help = "write its name alone, such as ref; a * at its beginning or end stands for any text".to_owned();
            diagnostics
                .push(Diagnostic::error("bad-parameter-name", message).at(name.place.clone()).of(OWNER).help(help));
        }
    }
    if rule.as_slice().is_empty() {
        let problem = Diagnostic::error("empty-list", "strip_query names nothing").at(rule.place.clone()).of(OWNER);
        diagnostics
            .push(problem.help("write default, or names of parameters; leave it out to keep them all".to_owned()));
    }
    Queries::Stripped(Arc::new(strip))
}

fn bots(rule: &Placed<BotsRule>, diagnostics: &mut Diagnostics) -> Bots {
    match BotList::compile() {
        Ok(list) => Bots::Ignored(Arc::new(list)),
        Err(error) => {
            let message = format!("the program's list of bots cannot be read: {error}");
            diagnostics.push(Diagnostic::error("bot-list", message).at(rule.place.clone()).of(OWNER));
            Bots::Welcome
        }
    }
}
