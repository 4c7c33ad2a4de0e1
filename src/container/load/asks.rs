//! What a script asks for in so many words, held against its manifest: a call that could never be made is told of before
//! there is an event.

use std::sync::Arc;

use super::{
    cookies::{self, CookieRules},
    hosts::{self, HostRules, Unknown},
};
use crate::{
    container::{
        Host, Hosts,
        diagnostic::{Diagnostic, Diagnostics, Place, did_you_mean, quoted},
        yaml::decode::Context,
    },
    script::{Asks, Literal},
};

/// What a manifest permits.
pub(super) struct Manifest<'a> {
    pub destinations: &'a [Box<str>],
    pub hosts: Option<&'a HostRules>,
    pub cookies: &'a CookieRules,
}

/// `context` is the script's.
pub(super) fn report_unpermitted(
    asks: &Asks,
    manifest: &Manifest<'_>,
    context: &Context<'_>,
    diagnostics: &mut Diagnostics,
) {
    let owner = context.owner;
    let mut report = |code, message: String, literal: &Literal, help: String| {
        let problem = Diagnostic::error(code, message).at(place(literal, context.file)).of(owner);
        diagnostics.push(problem.help(help));
    };
    let is_permitted = |wanted: &str| manifest.destinations.iter().any(|own| **own == *wanted);
    for (destination, call) in asks.calls.iter().filter(|(destination, _)| !is_permitted(destination)) {
        let message = format!("{owner} calls {}, and its manifest permits no calls to {destination}", call.text);
        let add = if *destination == "http" { "hosts: [api.example.com]" } else { "destinations: [openai]" };
        report("unpermitted-call", message, call, format!("write permissions: {{ {add} }} in the manifest"));
    }
    // Which hosts a field names is known of each tag alone.
    if let Some(HostRules::Listed(permitted)) = manifest.hosts {
        for address in &asks.addresses {
            match hosts::origin(&address.text, !address.goes_on) {
                Ok(origin) if !permitted.iter().any(|own| own.covers(&origin)) => {
                    let message = format!("{owner} does not permit calls to {origin}");
                    report("unpermitted-host", message, address, remedy(&origin, permitted));
                }
                Err(Unknown::NotAnAddress) if !address.goes_on => {
                    let message = format!("{} is no absolute address", quoted(&address.text));
                    report(
                        "bad-address",
                        message,
                        address,
                        "write one such as https://api.example.com/path".to_owned(),
                    );
                }
                Ok(_) | Err(Unknown::NotAnAddress | Unknown::Unfixed) => {}
            }
        }
    }
    if let Some(permitted) = manifest.cookies.listed() {
        for cookie in asks.cookies.iter().filter(|cookie| permitted.iter().all(|own| **own != *cookie.text)) {
            let message = format!("{owner} may not set or expire the cookie {}", quoted(&cookie.text));
            report("unpermitted-cookie", message, cookie, cookies::remedy(&cookie.text, permitted));
        }
    }
}

fn remedy(origin: &str, permitted: &[Host]) -> String {
    let (scheme, host) = origin.split_once("://").unwrap_or(("", origin));
    let by_https = format!("https://{host}");
    if scheme == "http" && permitted.iter().any(|own| own.covers(&by_https)) {
        return format!("hosts of a manifest are called by https: write {by_https}");
    }
    let names: Vec<_> = permitted.iter().map(ToString::to_string).collect();
    let list = || format!("its manifest permits {}; add it there, to permissions.hosts", Hosts(permitted));
    did_you_mean(host, names.iter().map(String::as_str)).unwrap_or_else(list)
}

fn place(literal: &Literal, file: &Arc<str>) -> Place {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Place::new(file, number(literal.line), number(literal.column), number(literal.length))
}
