//! The process's environment: takes names, gives the variables that are there. Nothing else reads it, but for `clap` where
//! a flag names its variable.

use std::{collections::BTreeMap, env, ffi::OsString};

use crate::container::load::is_always_readable;

/// A variable of the process's environment, such as a secret.
#[expect(clippy::disallowed_methods, reason = "the environment is read in this file")]
pub fn variable(name: &str) -> Option<OsString> {
    env::var_os(name)
}

/// The names of the environment variables that begin like this.
#[expect(clippy::disallowed_methods, reason = "the environment is read in this file")]
pub fn variables_starting(start: &str) -> impl Iterator<Item = OsString> {
    env::vars_os().map(|(name, _)| name).filter(move |name| name.as_encoded_bytes().starts_with(start.as_bytes()))
}

/// The environment variables that a container may read: those that are always allowed, and the operator's own. One
/// that is not UTF-8 counts as absent.
#[expect(clippy::disallowed_methods, reason = "the environment is read in this file")]
pub fn readable_environment(allowed: &[String]) -> BTreeMap<String, String> {
    let may = |name: &str| is_always_readable(name) || allowed.iter().any(|own| own == name);
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    env::vars_os().filter_map(text).filter(|(name, value)| may(name) && !value.is_empty()).collect()
}
