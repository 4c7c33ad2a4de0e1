//! The hosts that a template's calls may go to. A manifest lists them, or says in which field a tag names them: an
//! address, whose scheme and host stand in the rules, so that no visitor ever chooses where a call goes.

use serde_json::Value;
use url::Url;

use super::known;
use crate::{
    container::{
        Host, Parameter,
        diagnostic::{Diagnostic, Diagnostics, did_you_mean, quoted},
        model::{FieldKind, FromRule, ManifestRule},
        yaml::{self, Placed, decode::Context, decode::decode},
    },
    event,
    variable::{Piece, ValueTemplate, Variable},
};

/// What a manifest says about hosts.
pub(super) enum HostRules {
    Listed(Vec<Host>),
    /// In this field of the tag.
    From(Box<str>),
}

/// Why nobody can tell before an event is there where an address leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// A variable stands in its scheme, host or port, or directly behind them.
    Unfixed,
    /// It is no absolute http or https address.
    NotAnAddress,
}

/// Reads a manifest's key `permissions.hosts`; `None` if it is not there.
pub(super) fn rules(rule: &ManifestRule, context: &Context<'_>, diagnostics: &mut Diagnostics) -> Option<HostRules> {
    let node = rule.permissions.hosts.as_ref()?;
    if matches!(node.value, yaml::Value::Map(_)) {
        let from: FromRule = decode(node, context, diagnostics)?;
        let field = rule.fields.get(&from.from.value);
        if field.is_some_and(|field| field.kind == FieldKind::Url) {
            return Some(HostRules::From(from.from.value));
        }
        let (message, help) = match field {
            None => {
                let message = format!("{} has no field {}", context.owner, quoted(&from.from));
                (message, did_you_mean(&from.from, rule.fields.names().map(AsRef::as_ref)))
            }
            Some(_) => {
                let message = format!("the field {} cannot name a host", quoted(&from.from));
                (message, Some("it must be of type url".to_owned()))
            }
        };
        let problem = Diagnostic::error("unfixed-host", message).at(from.from.place.clone()).of(context.owner);
        diagnostics.push(problem.help(help));
        return None;
    }
    let names: Vec<Placed<Box<str>>> = decode(node, context, diagnostics)?;
    let host = |name: &Placed<Box<str>>| {
        let host = Host::listed(name);
        if host.is_none() {
            let problem = Diagnostic::error("bad-host", format!("{} is no host", quoted(name)));
            let help = "write a name in lower case, such as api.example.com or *.example.com; calls go to it by https";
            diagnostics.push(problem.at(name.place.clone()).of(context.owner).help(help.to_owned()));
        }
        host
    };
    Some(HostRules::Listed(names.iter().filter_map(host).collect()))
}

impl HostRules {
    /// The hosts of a tag with these parameters.
    pub(super) fn of(&self, parameters: &[(Box<str>, Parameter)], variables: &[Variable]) -> Vec<Host> {
        match self {
            Self::Listed(hosts) => hosts.clone(),
            Self::From(field) => match parameters.iter().find(|(name, _)| name == field) {
                Some((_, Parameter::Address(address))) => {
                    origins(address, variables).unwrap_or_default().into_iter().map(Host::Origin).collect()
                }
                _ => Vec::new(),
            },
        }
    }
}

/// Every origin that an address can lead to, such as `https://api.example.com`. What it says beyond that may depend on
/// an event. A variable without a value gives none.
pub(super) fn origins(address: &ValueTemplate, variables: &[Variable]) -> Result<Vec<Box<str>>, Unknown> {
    let pieces = match address {
        ValueTemplate::Fixed(value) => vec![Piece::Text(event::to_text(value).unwrap_or_default().into())],
        ValueTemplate::Variable(index) => vec![Piece::Variable(*index)],
        ValueTemplate::Text(pieces) => pieces.clone(),
    };
    let mut known = 0;
    while known < pieces.len() && begin(&pieces, known + 1, variables).is_some() {
        known += 1;
    }
    let begins = begin(&pieces, known, variables).unwrap_or_default();
    if known == 0 {
        return Err(Unknown::Unfixed);
    }
    let is_whole = known == pieces.len();
    let texts = begins.iter().filter_map(event::to_text).filter(|text| !text.is_empty());
    texts.map(|text| origin(&text, is_whole)).collect()
}

/// What the first pieces of an address can be.
fn begin(pieces: &[Piece], count: usize, variables: &[Variable]) -> Option<Vec<Value>> {
    known::values(&ValueTemplate::Text(pieces.get(..count)?.to_vec()), variables)
}

/// The origin of an address, or of the beginning of one.
pub(super) fn origin(text: &str, is_whole: bool) -> Result<Box<str>, Unknown> {
    let ends_its_host = text.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?', '#']));
    if !is_whole && !ends_its_host {
        return Err(Unknown::Unfixed);
    }
    let url = Url::parse(text).map_err(|_| Unknown::NotAnAddress)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !url.username().is_empty() {
        return Err(Unknown::NotAnAddress);
    }
    Ok(url.origin().ascii_serialization().into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        trace::Sensitivity,
        variable::{VariableIndex, VariableKind},
    };

    #[test]
    fn the_host_stands_in_the_rules_and_the_rest_may_not() {
        let variable =
            |kind| Variable { name: "v".into(), kind, default: None, format: None, sensitivity: Sensitivity::Public };
        let variables = [
            variable(VariableKind::Constant(json!("https://api.example.com"))),
            variable(VariableKind::EventData { path: "value".into() }),
        ];
        let text = |text: &str| Piece::Text(text.into());
        let one = |index| Piece::Variable(VariableIndex(index));
        let of = |pieces: Vec<Piece>| origins(&ValueTemplate::Text(pieces), &variables);
        let api = Ok(vec!["https://api.example.com".into()]);
        assert_eq!(of(vec![text("https://api.example.com/a/"), one(1)]), api);
        assert_eq!(of(vec![text("https://api.example.com?a="), one(1), text("&b=1")]), api);
        assert_eq!(of(vec![one(0), text("/a/"), one(1)]), api);
        assert_eq!(of(vec![one(0)]), api);
        assert_eq!(
            origins(&ValueTemplate::Fixed(json!("http://h:8080")), &variables),
            Ok(vec!["http://h:8080".into()])
        );
        for pieces in [
            vec![one(1)],
            vec![text("https://"), one(1), text("/")],
            vec![text("https://api.example.com"), one(1)],
            vec![one(0), one(1)],
            vec![text("https://api.example.com:"), one(1), text("/")],
            vec![text("https://a@"), one(1), text("/")],
        ] {
            assert_eq!(of(pieces.clone()), Err(Unknown::Unfixed), "{pieces:?}");
        }
        for text in ["/path", "ftp://a.example/", "https://u@a.example/", "https:///"] {
            assert_eq!(origins(&ValueTemplate::Fixed(json!(text)), &variables), Err(Unknown::NotAnAddress), "{text}");
        }
    }
}
