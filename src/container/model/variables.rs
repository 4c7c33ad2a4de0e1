//! What people write under `variables`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::container::yaml::{Node, Placed, PlacedMap, ScalarOr, SpannedText};

/// A variable: one of the kinds below, and what is made of its value.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct VariableRule {
    /// Always this value. A text may hold `{{Variable}}`.
    pub constant: Option<Node>,
    /// The event's data at a dotted path, such as `user_data.email_address` or `items.0.item_id`.
    pub event_data: Option<Placed<Box<str>>>,
    /// A parameter of the page's address (`page_location`), percent-decoded.
    pub page_query: Option<Placed<Box<str>>>,
    /// A parameter of the request's own query, percent-decoded.
    pub request_query: Option<Placed<Box<str>>>,
    /// A part of an address, the page's unless it says which.
    pub url: Option<ScalarOr<UrlPartRule, UrlRule>>,
    /// A cookie of the request.
    pub cookie: Option<ScalarOr<Placed<Box<str>>, CookieRule>>,
    /// A header of the request.
    pub header: Option<Placed<Box<str>>>,
    /// What the request, the event and the container are.
    pub built_in: Option<BuiltInRule>,
    /// An environment variable that the operator lets containers read.
    pub environment: Option<ScalarOr<Placed<Box<str>>, EnvironmentRule>>,
    /// The name of a secret, for fields that take one.
    pub secret: Option<Placed<Box<str>>>,
    /// The row whose text the input is.
    pub lookup_table: Option<LookupTableRule>,
    /// The first row whose pattern matches the input.
    pub regex_table: Option<RegexTableRule>,
    /// The first of these that has a value other than an empty text.
    pub first_of: Option<Vec<Node>>,
    /// A whole number, another one for every event.
    pub random: Option<RandomRule>,
    /// When the event happened, or when it was received.
    pub timestamp: Option<ScalarOr<PointInTimeRule, TimestampRule>>,
    /// What a Rhai expression computes.
    pub expression: Option<SpannedText>,
    /// The value where nothing was found; for every kind.
    pub default: Option<Node>,
    /// What is made of the value in the end; for every kind.
    pub format: Option<FormatRule>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UrlPartRule {
    Protocol,
    Host,
    HostWithoutWww,
    Port,
    Path,
    Query,
    Fragment,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct UrlRule {
    pub part: Option<UrlPartRule>,
    /// In place of `part`: a parameter of the query, percent-decoded.
    pub parameter: Option<Placed<Box<str>>>,
    /// Which address, by its path in the event's data; `page_location` if left out.
    pub event_data: Option<Placed<Box<str>>>,
    /// In place of `event_data`: a text, such as `"{{Landing page}}"`.
    pub input: Option<Node>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct CookieRule {
    pub name: Placed<Box<str>>,
    /// Resolve percent-escapes.
    #[serde(default)]
    pub decode: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BuiltInRule {
    ClientAddress,
    ClientName,
    ContainerVersion,
    EventId,
    EventName,
    QueryString,
    RequestHost,
    RequestMethod,
    RequestPath,
    UndefinedValue,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct EnvironmentRule {
    pub name: Placed<Box<str>>,
    /// What its text is read as.
    #[serde(rename = "type", default)]
    pub kind: EnvironmentKind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EnvironmentKind {
    #[default]
    Text,
    Number,
    Boolean,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct LookupTableRule {
    /// The text that is looked up, such as `"{{Country}}"`.
    pub input: Node,
    /// From an input to its value.
    pub rows: PlacedMap<Node>,
    /// The value where the input is in no row; nothing if left out.
    pub default: Option<Node>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct RandomRule {
    /// The least number; 0 if left out.
    pub min: Option<i64>,
    /// The greatest number; 2147483647 if left out.
    pub max: Option<i64>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PointInTimeRule {
    Event,
    Received,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct TimestampRule {
    pub of: PointInTimeRule,
    #[serde(rename = "as", default)]
    pub form: TimeFormRule,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TimeFormRule {
    #[default]
    Milliseconds,
    Seconds,
    Iso,
}

/// GTM's "Format Value", in its order.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct FormatRule {
    /// `lower` or `upper`, for texts.
    pub case: Option<CaseRule>,
    /// In place of null.
    pub when_null: Option<Node>,
    /// In place of nothing.
    pub when_undefined: Option<Node>,
    /// In place of true.
    pub when_true: Option<Node>,
    /// In place of false.
    pub when_false: Option<Node>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CaseRule {
    Lower,
    Upper,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct RegexTableRule {
    /// The text that is looked up, such as `"{{Page path}}"`.
    pub input: Node,
    /// Tried from the top.
    pub rows: Vec<RegexRowRule>,
    /// The value where no row matches; nothing if left out.
    pub default: Option<Node>,
    /// Compare without regard to case.
    #[serde(default = "yes")]
    pub ignore_case: bool,
    /// The pattern must match the whole input.
    #[serde(default = "yes")]
    pub full_match: bool,
    /// `$1`, `$&` and `$$` in an output stand for what the pattern captured.
    #[serde(default = "yes")]
    pub capture_groups: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct RegexRowRule {
    pub pattern: Placed<Box<str>>,
    pub output: Node,
}

fn yes() -> bool {
    true
}
