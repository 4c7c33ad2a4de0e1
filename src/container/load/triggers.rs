//! From trigger rules to triggers.

use std::sync::Arc;

use super::{
    Item, Items, Names, Reading, conditions,
    values::{self, PatternOptions},
};
use crate::{
    container::{
        diagnostic::{Diagnostic, Diagnostics, quoted},
        model::TriggerRule,
    },
    trigger::{EventMatch, Trigger},
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
            let pattern = values::pattern(pattern, &pattern.place, PatternOptions::default(), owner, diagnostics)?;
            Some(EventMatch::Pattern(pattern))
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
