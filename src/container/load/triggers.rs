//! From trigger rules to triggers.

use std::sync::Arc;

use super::{
    Item, Items, Names, Reading, conditions,
    values::{self, At, PatternOptions},
};
use crate::{
    container::{
        diagnostic::{Diagnostic, Diagnostics, quoted},
        model::{SampleRule, TriggerRule},
    },
    trigger::{
        EventMatch, Trigger,
        sample::{Percent, Sample},
    },
    variable::ValueTemplate,
};

pub(super) fn compile(
    items: Items<TriggerRule>,
    variables: &Names,
    diagnostics: &mut Diagnostics,
) -> (Vec<Trigger>, Names) {
    let (items, names) = items.into_parts("trigger");
    let compile_one = |item: &Item<TriggerRule>| {
        let owner = format!("trigger {}", quoted(&item.name));
        Trigger {
            name: Arc::clone(&item.name),
            events: events(item, &owner, diagnostics).unwrap_or(EventMatch::Names(Vec::new())),
            conditions: conditions::compile(&item.rule.when, &owner, item.reading, variables, diagnostics),
            sample: item.rule.sample.as_ref().and_then(|rule| sample(rule, item, &owner, variables, diagnostics)),
        }
    };
    (items.iter().map(compile_one).collect(), names)
}

fn events(item: &Item<TriggerRule>, owner: &str, diagnostics: &mut Diagnostics) -> Option<EventMatch> {
    match (&item.rule.event, &item.rule.event_matches) {
        (Some(names), None) => {
            let names = names.as_slice();
            if names.is_empty() {
                let problem = Diagnostic::error("trigger-event", format!("{owner} looks at no events at all"));
                let help = "name at least one event, or say event: \"*\" for all of them".to_owned();
                diagnostics.push(problem.at(item.place.clone()).of(owner).help(help));
            }
            if names.iter().any(|name| &*name.value == "*") {
                return Some(EventMatch::All);
            }
            Some(EventMatch::Names(names.iter().map(|name| (&*name.value).into()).collect()))
        }
        (None, Some(pattern)) => {
            let compiled = values::pattern(pattern, &pattern.place, PatternOptions::default(), owner, diagnostics)?;
            // GTM's way to say every event. No name is empty.
            let is_any = matches!(&*pattern.value, ".*" | ".+" | "^.*$" | "^.+$");
            Some(if is_any { EventMatch::All } else { EventMatch::Pattern(compiled) })
        }
        (Some(_), Some(both)) => {
            let problem = Diagnostic::error("trigger-event", format!("{owner} has both event and event_matches"));
            diagnostics.push(problem.at(both.place.clone()).of(owner).help("keep one of them".to_owned()));
            None
        }
        (None, None) if item.reading == Reading::Flawed => None,
        (None, None) => {
            let problem = Diagnostic::error("trigger-event", format!("{owner} does not say which events it looks at"));
            let help = "add event: NAME, a list of names, or event: \"*\" for all events".to_owned();
            diagnostics.push(problem.at(item.place.clone()).of(owner).help(help));
            None
        }
    }
}

fn sample(
    rule: &SampleRule,
    item: &Item<TriggerRule>,
    owner: &str,
    variables: &Names,
    diagnostics: &mut Diagnostics,
) -> Option<Sample> {
    let share = Percent::new(rule.percent.value);
    if share.is_none() {
        let problem = Diagnostic::error("bad-sample", "a percentage is from 0 to 100, with four decimals at most");
        diagnostics.push(problem.at(rule.percent.place.clone()).of(owner).found(rule.percent.value.to_string()));
    }
    let errors_before = diagnostics.errors_told();
    let at = At { file: &item.place.file, owner };
    let key = values::template(&rule.by, variables, at, diagnostics);
    if matches!(key, ValueTemplate::Fixed(_)) && diagnostics.errors_told() == errors_before {
        let message = "a sample by what is the same for everybody takes all or nobody";
        let problem = Diagnostic::error("bad-sample", message).at(rule.by.span.place(at.file)).of(owner);
        let help = "say by: \"{{Variable}}\", of a variable that tells visitors apart".to_owned();
        diagnostics.push(problem.found(rule.by.describe()).help(help));
    }
    let salt = rule.salt.clone().unwrap_or_else(|| item.name.as_ref().into());
    Some(Sample { share: share?, key, salt })
}
