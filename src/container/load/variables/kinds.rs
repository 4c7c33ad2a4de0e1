//! From the keys of a variable rule to its kind: where the value comes from.

use super::{
    Cx, Item, VariableRule,
    environment::{self, Without},
    expression, tables,
};
use crate::{
    call::SecretName,
    container::{
        diagnostic::{Diagnostic, quoted},
        load::values::plain,
        model::variables::{
            BuiltInRule, CookieRule, PointInTimeRule, RandomRule, TimeFormRule, TimestampRule, UrlPartRule, UrlRule,
        },
        yaml::{Node, Placed, ScalarOr, Value},
    },
    variable::{
        Decoding, VariableKind,
        address::{Address, AddressPart},
        built_in::{BuiltIn, PointInTime, RandomNumber, TimeForm, TimeOf},
    },
};

/// The keys of all kinds.
pub(super) const NAMES: [&str; 16] = [
    "constant",
    "event_data",
    "page_query",
    "request_query",
    "url",
    "cookie",
    "header",
    "built_in",
    "environment",
    "secret",
    "lookup_table",
    "regex_table",
    "first_of",
    "random",
    "timestamp",
    "expression",
];

const PAGE: &str = "page_location";

/// Every kind that the rule names, with its key. There should be one.
pub(super) fn all(item: &Item<VariableRule>, cx: &mut Cx<'_>) -> Vec<(&'static str, VariableKind)> {
    let rule = &item.rule;
    let without = if rule.default.is_some() { Without::Default } else { Without::Nothing };
    // In the order of the names.
    let found: [Option<VariableKind>; NAMES.len()] = [
        rule.constant.as_ref().map(|node| constant(node, cx)),
        rule.event_data.as_ref().map(|path| VariableKind::EventData { path: event_path(path, cx) }),
        rule.page_query.as_ref().map(|name| page_query(name, cx)),
        rule.request_query.as_ref().map(|name| VariableKind::RequestQuery { name: named(name, cx) }),
        rule.url.as_ref().map(|rule| url(rule, item, cx)),
        rule.cookie.as_ref().map(|rule| cookie(rule, cx)),
        rule.header.as_ref().map(|name| header(name, cx)),
        rule.built_in.map(|built_in| VariableKind::BuiltIn(self::built_in(built_in))),
        rule.environment.as_ref().map(|rule| VariableKind::Constant(environment::read(rule, without, cx))),
        rule.secret.as_ref().map(|name| secret(name, cx)),
        rule.lookup_table.as_ref().map(|rule| VariableKind::LookupTable(tables::lookup(rule, cx))),
        rule.regex_table.as_ref().map(|rule| VariableKind::RegexTable(tables::regex(rule, cx))),
        rule.first_of.as_ref().map(|nodes| first_of(nodes, item, cx)),
        rule.random.as_ref().map(|rule| random(rule, item, cx)),
        rule.timestamp.as_ref().map(|rule| VariableKind::Timestamp(timestamp(rule))),
        rule.expression
            .as_ref()
            .map(|text| expression::compile(text, cx).map_or_else(nothing, VariableKind::Expression)),
    ];
    NAMES.into_iter().zip(found).filter_map(|(name, kind)| Some((name, kind?))).collect()
}

fn nothing() -> VariableKind {
    VariableKind::Constant(serde_json::Value::Null)
}

fn constant(node: &Node, cx: &mut Cx<'_>) -> VariableKind {
    match &node.value {
        Value::Text(text) if text.contains("{{") => VariableKind::Text(cx.template(node)),
        _ => {
            if let Some(inner) = reference_within(node) {
                let message = format!("{} has the text {} as it stands", cx.at.owner, quoted(inner.1));
                let problem = Diagnostic::warning("reference-in-constant", message).at(inner.0.span.place(cx.at.file));
                let help = "a constant that is a text looks variables up, a list or mapping does not".to_owned();
                cx.report(problem.help(help));
            }
            VariableKind::Constant(plain(node))
        }
    }
}

/// The first text within a list or mapping that looks like a reference.
fn reference_within(node: &Node) -> Option<(&Node, &str)> {
    match &node.value {
        Value::Text(text) => text.contains("{{").then_some((node, &**text)),
        Value::List(items) => items.iter().find_map(reference_within),
        Value::Map(entries) => entries.iter().find_map(|(_, node)| reference_within(node)),
        _ => None,
    }
}

/// A path in the event's data. What no event has is worth a word: paths are dotted, also into lists.
fn event_path(path: &Placed<Box<str>>, cx: &mut Cx<'_>) -> Box<str> {
    let dotted = path.replace('[', ".").replace(']', "");
    if path.split('.').any(str::is_empty) {
        let problem = Diagnostic::error("bad-path", "a path has no empty steps").at(path.place.clone());
        cx.report(problem.found(quoted(path)).help("such as value, or items.0.item_id".to_owned()));
    } else if dotted != *path.value {
        let problem = Diagnostic::error("bad-path", "a path has no brackets").at(path.place.clone());
        cx.report(problem.found(quoted(path)).help(format!("steps are divided by dots: {dotted}")));
    }
    path.value.clone()
}

fn page_query(name: &Placed<Box<str>>, cx: &mut Cx<'_>) -> VariableKind {
    VariableKind::Url { address: Address::EventData(PAGE.into()), part: AddressPart::Parameter(named(name, cx)) }
}

/// A name that something may bear.
fn named(name: &Placed<Box<str>>, cx: &mut Cx<'_>) -> Box<str> {
    if name.is_empty() {
        cx.report(Diagnostic::error("empty-name", "the name is empty").at(name.place.clone()));
    }
    name.value.clone()
}

fn url(rule: &ScalarOr<UrlPartRule, UrlRule>, item: &Item<VariableRule>, cx: &mut Cx<'_>) -> VariableKind {
    let rule = match rule {
        ScalarOr::Scalar(part) => {
            return VariableKind::Url { address: Address::EventData(PAGE.into()), part: address_part(*part) };
        }
        ScalarOr::Collection(rule) => rule,
    };
    let problem =
        |message: &str, help: &str| Diagnostic::error("bad-url", message).at(item.place.clone()).help(help.to_owned());
    let part = match (rule.part, &rule.parameter) {
        (Some(part), None) => address_part(part),
        (None, Some(name)) => AddressPart::Parameter(named(name, cx)),
        (Some(_), Some(_)) => {
            cx.report(problem("url has both part and parameter", "keep one of them"));
            return nothing();
        }
        (None, None) => {
            let help = "add part: host, path, …, or parameter: NAME for a parameter of its query";
            cx.report(problem("url does not say which part of the address", help));
            return nothing();
        }
    };
    let address = match (&rule.event_data, &rule.input) {
        (None, None) => Address::EventData(PAGE.into()),
        (Some(path), None) => Address::EventData(event_path(path, cx)),
        (None, Some(input)) => Address::Text(cx.template(input)),
        (Some(_), Some(_)) => {
            cx.report(problem("url has both event_data and input", "keep one of them"));
            return nothing();
        }
    };
    VariableKind::Url { address, part }
}

fn address_part(part: UrlPartRule) -> AddressPart {
    match part {
        UrlPartRule::Protocol => AddressPart::Protocol,
        UrlPartRule::Host => AddressPart::Host,
        UrlPartRule::HostWithoutWww => AddressPart::HostWithoutWww,
        UrlPartRule::Port => AddressPart::Port,
        UrlPartRule::Path => AddressPart::Path,
        UrlPartRule::Query => AddressPart::Query,
        UrlPartRule::Fragment => AddressPart::Fragment,
    }
}

fn cookie(rule: &ScalarOr<Placed<Box<str>>, CookieRule>, cx: &mut Cx<'_>) -> VariableKind {
    let (name, decoding) = match rule {
        ScalarOr::Scalar(name) => (name, Decoding::AsItStands),
        ScalarOr::Collection(rule) if rule.decode => (&rule.name, Decoding::Percent),
        ScalarOr::Collection(rule) => (&rule.name, Decoding::AsItStands),
    };
    let is_impossible = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '=' | ';' | ',');
    if name.contains(is_impossible) {
        let problem = Diagnostic::error("bad-cookie-name", "no cookie has such a name").at(name.place.clone());
        cx.report(problem.found(quoted(name)).help("a name has no spaces, =, ; or comma".to_owned()));
    }
    VariableKind::Cookie { name: named(name, cx), decoding }
}

/// Cookies are read one by one, credentials not at all, by scripts as by variables.
fn header(name: &Placed<Box<str>>, cx: &mut Cx<'_>) -> VariableKind {
    let lower = name.to_ascii_lowercase();
    let problem = match lower.as_str() {
        "cookie" => Some(("cookies are not read as a header", "read each by its name: cookie: NAME")),
        "authorization" | "proxy-authorization" => Some(("credentials are not read", "no variable holds them")),
        _ if http::HeaderName::try_from(&*name.value).is_err() => {
            Some(("that is no name of a header", "such as Accept-Language"))
        }
        _ => None,
    };
    if let Some((message, help)) = problem {
        let problem = Diagnostic::error("bad-header", message).at(name.place.clone());
        cx.report(problem.found(quoted(name)).help(help.to_owned()));
    }
    VariableKind::Header { name: lower.into() }
}

fn built_in(rule: BuiltInRule) -> BuiltIn {
    match rule {
        BuiltInRule::ClientAddress => BuiltIn::ClientAddress,
        BuiltInRule::ClientName => BuiltIn::ClientName,
        BuiltInRule::ContainerVersion => BuiltIn::ContainerVersion,
        BuiltInRule::EventId => BuiltIn::EventId,
        BuiltInRule::EventName => BuiltIn::EventName,
        BuiltInRule::QueryString => BuiltIn::QueryString,
        BuiltInRule::RequestHost => BuiltIn::RequestHost,
        BuiltInRule::RequestMethod => BuiltIn::RequestMethod,
        BuiltInRule::RequestPath => BuiltIn::RequestPath,
        BuiltInRule::UndefinedValue => BuiltIn::UndefinedValue,
    }
}

fn secret(name: &Placed<Box<str>>, cx: &mut Cx<'_>) -> VariableKind {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        // Whatever was written in place of a name may be the secret itself.
        let problem = Diagnostic::error("bad-secret-name", "only letters, digits and _ name a secret");
        let help = "write its name; the value itself stays in the environment or in a file".to_owned();
        cx.report(problem.at(name.place.clone()).help(help));
    }
    VariableKind::Secret(SecretName(name.value.clone()))
}

fn first_of(nodes: &[Node], item: &Item<VariableRule>, cx: &mut Cx<'_>) -> VariableKind {
    if nodes.is_empty() {
        let problem = Diagnostic::error("empty-list", "first_of has nothing to choose from").at(item.place.clone());
        cx.report(problem.help("name values in it, such as \"{{Name}}\"".to_owned()));
    }
    VariableKind::FirstOf(nodes.iter().map(|node| cx.template(node)).collect())
}

fn random(rule: &RandomRule, item: &Item<VariableRule>, cx: &mut Cx<'_>) -> VariableKind {
    /// GTM's own.
    const MAX: i64 = i32::MAX as i64;
    let (min, max) = (rule.min.unwrap_or(0), rule.max.unwrap_or(MAX));
    if min > max {
        let message = format!("no number is at least {min} and at most {max}");
        let help = match rule.max {
            Some(_) => "min is the lower bound, max the upper one",
            None => "max is 2147483647 if it is left out",
        };
        cx.report(Diagnostic::error("empty-range", message).at(item.place.clone()).help(help.to_owned()));
    }
    VariableKind::Random(RandomNumber { name: (&*item.name).into(), min, max })
}

fn timestamp(rule: &ScalarOr<PointInTimeRule, TimestampRule>) -> TimeOf {
    let (point, form) = match rule {
        ScalarOr::Scalar(point) => (*point, TimeFormRule::Milliseconds),
        ScalarOr::Collection(rule) => (rule.of, rule.form),
    };
    TimeOf {
        point: match point {
            PointInTimeRule::Event => PointInTime::Event,
            PointInTimeRule::Received => PointInTime::Received,
        },
        form: match form {
            TimeFormRule::Milliseconds => TimeForm::Milliseconds,
            TimeFormRule::Seconds => TimeForm::Seconds,
            TimeFormRule::Iso => TimeForm::Iso,
        },
    }
}
