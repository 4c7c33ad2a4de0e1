//! From tag rules to tags.

use std::sync::Arc;

use super::{
    Item, Names, Reading, consent, consent_type, parameters,
    sequences::{self, Sequence},
    templates,
};
use crate::{
    call::SecretName,
    client::{Client, Keeping},
    consent::{
        ConsentType, ConsentTypes,
        gate::{ConsentNeed, WhenDenied},
    },
    container::{
        Activity, Host, Period, SecretUse, Serves, Tag,
        diagnostic::{Diagnostic, Diagnostics, Place, quoted},
        model::{PeriodRule, TagRule, WhenDeniedRule},
        yaml::Placed,
    },
    script::Parameters,
    time::Timestamp,
    transformation::TransformationIndex,
    trigger::TriggerIndex,
};

/// What tags refer to.
pub(super) struct Known<'a> {
    pub templates: &'a templates::Templates,
    pub triggers: &'a Names,
    pub variables: parameters::Scope<'a>,
    pub vendors: &'a consent::VendorIds,
}

/// The tags that are good, and the secrets that those need which are not paused.
pub(super) struct Compiled {
    pub tags: Vec<Tag>,
    pub secrets: Vec<SecretUse>,
}

/// `transformations` has those that affect each tag, in the order of the items.
pub(super) fn compile(
    items: &[Item<TagRule>],
    names: &Names,
    transformations: Vec<Vec<TransformationIndex>>,
    known: &Known<'_>,
    diagnostics: &mut Diagnostics,
) -> Compiled {
    note_holds(items, diagnostics);
    let sequences = sequences::compile(items, names, diagnostics);
    let parts = items.iter().zip(sequences).zip(transformations);
    let mut secrets = Vec::new();
    let tags = parts.filter_map(|((item, sequence), transformations)| {
        Some(Tag { transformations, ..tag(item, sequence, known, &mut secrets, diagnostics)? })
    });
    Compiled { tags: tags.collect(), secrets }
}

/// Says once where `when_denied: hold` is obeyed, because it cannot be everywhere.
fn note_holds(items: &[Item<TagRule>], diagnostics: &mut Diagnostics) {
    let mut holding = items.iter().filter(|item| matches!(item.rule.when_denied, WhenDeniedRule::Hold));
    let Some(first) = holding.next() else { return };
    let others = match holding.count() {
        0 => "holds".to_owned(),
        1 => "and 1 other hold".to_owned(),
        more => format!("and {more} others hold"),
    };
    let deaf = Client::ALL.into_iter().filter(|client| client.keeping() == Keeping::Nobody);
    let deaf = deaf.map(Client::path).collect::<Vec<_>>().join(", ");
    let message = format!("tag {} {others} events for consent, but skip those of {deaf}", quoted(&first.name));
    let help = "whoever sends those does not read the answer, and so cannot send an event again".to_owned();
    diagnostics.push(Diagnostic::note("not-held", message).at(first.place.clone()).help(help));
}

/// `None` goes with at least one error.
fn tag(
    item: &Item<TagRule>,
    sequence: Sequence,
    known: &Known<'_>,
    secrets: &mut Vec<SecretUse>,
    diagnostics: &mut Diagnostics,
) -> Option<Tag> {
    let owner = format!("tag {}", quoted(&item.name));
    let rule = &item.rule;
    let template = templates::find(known.templates, &rule.template, &owner, diagnostics);
    let named = rule.triggers.as_ref().map_or(&[][..], |triggers| triggers.as_slice());
    let triggers = triggers_of(named, &owner, known.triggers, diagnostics);
    let exceptions = rule.exceptions.as_ref().map_or(&[][..], |exceptions| exceptions.as_slice());
    let exceptions = triggers_of(exceptions, &owner, known.triggers, diagnostics);
    let may_be_misspelt = rule.triggers.is_none() && item.reading == Reading::Flawed;
    if named.is_empty() && sequence.serves == Serves::Itself && !rule.paused && !may_be_misspelt {
        let problem = Diagnostic::error("absent-trigger", format!("{owner} has no triggers, so it never fires"));
        let help = "name a trigger, make it the set-up or clean-up of another tag, or say paused: true".to_owned();
        diagnostics.push(problem.at(item.place.clone()).of(&*owner).help(help));
    }
    let period = rule.active.as_ref().map_or(Period::default(), |rule| period(rule, item.reading, &owner, diagnostics));
    let needed = template.map_or(ConsentTypes::NONE, |template| template.consent);
    let need = need(item, needed, &owner, diagnostics);
    let parameters::Compiled { parameters, secrets: own } = template.map(|template| {
        let name = format!("template {}", quoted(&template.template.name));
        let subject = parameters::Subject { name: &name, place: &item.place, owner: &owner };
        parameters::compile(&rule.parameters, &template.fields, &subject, known.variables, diagnostics)
    })?;
    let hosts = template?.hosts.as_ref().map(|hosts| hosts.of(&parameters, known.variables.variables));
    let hosts = hosts.unwrap_or_default();
    warn_of_open_secrets(&hosts, &own, &owner, diagnostics);
    if !rule.paused {
        let used = |(name, place)| SecretUse { name, tag: Arc::clone(&item.name), place };
        secrets.extend(own.into_iter().map(used));
    }
    let cookies = template?.cookies.of(&parameters, known.variables.variables);
    Some(Tag {
        name: Arc::clone(&item.name),
        recipients: consent::recipients(&template?.vendors, known.vendors),
        template: Arc::clone(&template?.template),
        parameters: Parameters::new(parameters),
        hosts,
        cookies: cookies.may_set,
        expire_when_refused: cookies.expire_when_refused,
        triggers,
        exceptions,
        consent: need?,
        when_denied: match rule.when_denied {
            WhenDeniedRule::Skip => WhenDenied::Skip,
            WhenDeniedRule::Hold => WhenDenied::Hold,
        },
        priority: rule.priority,
        activity: if rule.paused { Activity::Paused } else { Activity::Active(period) },
        setup: sequence.setup,
        cleanup: sequence.cleanup,
        serves: sequence.serves,
        transformations: Vec::new(),
    })
}

/// A secret that goes to another machine without encryption is one for everybody on the way.
fn warn_of_open_secrets(hosts: &[Host], secrets: &[(SecretName, Place)], owner: &str, diagnostics: &mut Diagnostics) {
    let open = hosts.iter().filter_map(Host::in_the_clear).next();
    for (name, place) in secrets {
        let Some(origin) = open else { return };
        let problem =
            Diagnostic::warning("open-secret", format!("the secret {name} goes to {origin} without encryption"));
        diagnostics.push(problem.at(place.clone()).of(owner).help("write https:// in its address".to_owned()));
    }
}

fn period(rule: &Placed<PeriodRule>, reading: Reading, owner: &str, diagnostics: &mut Diagnostics) -> Period {
    let mut instant = |text: &Option<Placed<Box<str>>>| {
        let text = text.as_ref()?;
        let instant = text.parse::<jiff::Timestamp>().ok();
        if instant.is_none() {
            let problem = Diagnostic::error("bad-time", format!("{} is no instant", quoted(text)));
            let help = "write a date, a time and its offset, such as 2026-12-01T00:00:00Z or 2026-12-01T01:00:00+01:00";
            diagnostics.push(problem.at(text.place.clone()).of(owner).help(help.to_owned()));
        }
        Some(Timestamp(instant?.as_millisecond()))
    };
    let period = Period { from: instant(&rule.from), to: instant(&rule.to) };
    let (message, help) = match (period.from, period.to, &rule.from, &rule.to) {
        (Some(from), Some(to), ..) if from >= to => {
            ("its period ends before it begins, so the tag never fires", "from comes before to")
        }
        (.., None, None) if reading == Reading::Sound => {
            ("its period has neither beginning nor end", "add from, or to, or both, or delete it")
        }
        _ => return period,
    };
    let problem = Diagnostic::error("bad-period", message).at(rule.place.clone()).of(owner);
    diagnostics.push(problem.help(help.to_owned()));
    period
}

fn triggers_of(
    names: &[Placed<Box<str>>],
    owner: &str,
    triggers: &Names,
    diagnostics: &mut Diagnostics,
) -> Vec<TriggerIndex> {
    names.iter().filter_map(|name| triggers.find(name, &name.place, owner, diagnostics)).map(TriggerIndex).collect()
}

/// What the tag says of consent. Silence is an error: no tag runs ungated by omission.
fn need(item: &Item<TagRule>, needed: ConsentTypes, owner: &str, diagnostics: &mut Diagnostics) -> Option<ConsentNeed> {
    let list = |types: ConsentTypes| types.iter().map(ConsentType::name).collect::<Vec<_>>().join(", ");
    let Some(stated) = item.rule.consent.as_ref().map(|consent| consent.as_slice()) else {
        if item.reading == Reading::Flawed {
            return None;
        }
        let message = format!("{owner} does not say which consent it needs");
        let types = if needed.is_empty() { "ad_storage".to_owned() } else { list(needed) };
        let help = format!("add consent: [{types}], or consent: none with a consent_reason");
        let problem = Diagnostic::error("absent-consent", message).at(item.place.clone());
        diagnostics.push(problem.of(owner).help(help));
        return None;
    };
    if let [single] = stated
        && &*single.value == "none"
    {
        return match &item.rule.consent_reason {
            Some(reason) if !reason.trim().is_empty() => Some(ConsentNeed::None { reason: reason.trim().into() }),
            _ => {
                let problem =
                    Diagnostic::error("absent-reason", format!("{owner} says consent: none without a reason"));
                let help = "add consent_reason: why this tag may run for people who refused".to_owned();
                diagnostics.push(problem.at(single.place.clone()).of(owner).help(help));
                None
            }
        };
    }
    if let Some(none) = stated.iter().find(|kind| &*kind.value == "none") {
        let problem = Diagnostic::error("none-among-types", format!("{owner} says none beside other consent types"));
        let help = "keep the types, or say consent: none with a consent_reason".to_owned();
        diagnostics.push(problem.at(none.place.clone()).of(owner).help(help));
        return None;
    }
    let types: Option<Vec<_>> = stated.iter().map(|kind| consent_type(kind, owner, diagnostics)).collect();
    let types: ConsentTypes = types?.into_iter().collect();
    if types.is_empty() {
        let problem = Diagnostic::error("absent-consent", format!("{owner} needs no consent type at all"));
        let help = "name the types, or say consent: none with a consent_reason".to_owned();
        diagnostics.push(problem.at(item.place.clone()).of(owner).help(help));
        return None;
    }
    let short = needed.without(types);
    let reason = item.rule.consent_reason.as_ref().filter(|reason| !reason.trim().is_empty());
    if let (false, None, Some(first)) = (short.is_empty(), reason, stated.first()) {
        let message = format!("{owner} does not ask for {}, which its template needs", list(short));
        let problem = Diagnostic::error("short-consent", message).at(first.place.clone());
        let help = format!("add {} to its consent, or a consent_reason: why it may run without", list(short));
        diagnostics.push(problem.of(owner).help(help));
        return None;
    }
    Some(ConsentNeed::Types(types))
}
