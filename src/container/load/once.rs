//! What is about the container as a whole may stand in any file, but in one of them alone. Takes every place where it is
//! given; gives the first, and reports the others.

use crate::container::{
    diagnostic::{Diagnostic, Diagnostics, Place},
    yaml::Placed,
};

/// `owner` is the section, and `what` the key in it.
pub(super) fn single<'r, T>(
    owner: &str,
    given: impl Iterator<Item = &'r Placed<T>>,
    what: &str,
    diagnostics: &mut Diagnostics,
) -> Option<&'r Placed<T>> {
    let mut first: Option<&Placed<T>> = None;
    for value in given {
        match first {
            None => first = Some(value),
            Some(first) => diagnostics.push(given_twice(owner, what, &value.place, &first.place)),
        }
    }
    first
}

pub(super) fn given_twice(owner: &str, what: &str, place: &Place, first: &Place) -> Diagnostic {
    let problem = Diagnostic::error("duplicate-name", format!("{what} is given twice")).at(place.clone()).of(owner);
    problem.help(format!("the first is at {}:{}", first.file, first.line))
}
