//! What is wrong with test cases beside their form: takes a decoded file, reports cases that cannot run and cases that
//! could not fail.

use std::sync::Arc;

use super::{
    Silence,
    model::{CaseRule, Expect, FileRule},
};
use crate::container::{
    diagnostic::{Diagnostic, Diagnostics, Place},
    yaml::{Node, Placed, Value, decode::Context},
};

/// A file without cases shows nothing.
pub(super) fn has_cases(file: &Arc<str>, root: &Node, rules: &FileRule, diagnostics: &mut Diagnostics) {
    if rules.cases.is_empty() {
        let key = root.entries().iter().find(|(key, _)| &*key.name == "cases");
        let place = key.map_or(root.span, |(key, _)| key.span).place(file);
        diagnostics.push(no_cases(place));
    }
}

pub(super) fn no_cases(place: Place) -> Diagnostic {
    let problem = Diagnostic::error("no-cases", "there are no cases in this file").at(place);
    problem.help("add one under cases, or delete the file".to_owned())
}

/// Reports what is wrong with one case.
pub(super) fn case(
    name: &Placed<Arc<str>>,
    case: &CaseRule,
    silence: Silence,
    at: &Context<'_>,
    diagnostics: &mut Diagnostics,
) {
    diagnostics.extend(input(name, case, at));
    match (&case.expect, silence) {
        (Some(expect), Silence::Request) if !expect.is_of_anything() => {}
        (None, Silence::Request) => {}
        (Some(expect), _) => diagnostics.extend(expectation(name, expect, at)),
        (None, Silence::Mistake) => diagnostics.extend(expectation(name, &Expect::default(), at)),
    }
}

/// A case has one hit, told as an event or as raw text.
fn input(name: &Placed<Arc<str>>, case: &CaseRule, at: &Context<'_>) -> Option<Diagnostic> {
    let problem = |message: &str| Diagnostic::error("case-input", format!("{} {message}", at.owner)).of(at.owner);
    Some(match (&case.event, &case.body, &case.consent) {
        (None, None, _) if case.request.url.is_some() => return None,
        (None, None, _) => {
            let help = "add event: { event: NAME, … }, body: with raw text, or request: { url: … }".to_owned();
            problem("has neither event, body nor url").at(name.place.clone()).help(help)
        }
        (Some(_), Some(body), _) => {
            problem("has both event and body").at(body.place.clone()).help("keep one of them".to_owned())
        }
        (None, Some(_), Some(consent)) => {
            let help = "write consent into the body, which is sent as it stands".to_owned();
            problem("has both body and consent").at(consent.place.clone()).help(help)
        }
        (Some(event), None, _) if !matches!(event.value, Value::Map(_)) => {
            let help = "write event: { event: NAME, … }; body: takes raw text".to_owned();
            problem("has an event that is no mapping").at(event.span.place(at.file)).found(event.describe()).help(help)
        }
        (Some(_), None, _) | (None, Some(_), None) => return None,
    })
}

/// A case that expects nothing would pass whatever happens.
fn expectation(name: &Placed<Arc<str>>, expect: &Expect, at: &Context<'_>) -> Option<Diagnostic> {
    let (message, help) = match (&expect.refused, &expect.refused_because, expect.is_of_accepted()) {
        (None, None, false) => (
            "expects nothing, so it would pass whatever happens",
            "name under expect what should come of it, such as fired or calls; tidegate test --update writes what comes of it now",
        ),
        (None, Some(_), _) => (
            "gives the reason of a refusal that it does not expect",
            "add refused: FIELD, or refused: \"\" for the body as a whole",
        ),
        (Some(_), _, true) => (
            "expects a refused hit to have effects",
            "nothing of a refused hit is accepted: keep refused and refused_because alone",
        ),
        (Some(_), _, false) | (None, None, true) => return None,
    };
    let problem = Diagnostic::error("case-expectation", format!("{} {message}", at.owner)).of(at.owner);
    Some(problem.at(name.place.clone()).help(help.to_owned()))
}
