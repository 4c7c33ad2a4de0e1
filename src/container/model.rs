//! The model: what people write in `rules/*.yaml` and `tags/*.yaml`, item by item, before it means anything. Each
//! doc comment explains the key to its users.

use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::diagnostic::quoted;
use super::schema;
use super::yaml::{Node, OneOrMany, Placed, PlacedMap, Scalar, ScalarOr};

pub mod variables;

/// Of a compiled pattern.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// The keys of a file under `rules/`.
pub const SECTIONS: [&str; 6] = ["variables", "triggers", "tags", "transformations", "consent", "settings"];

/// A trigger: which events, and what must hold of them.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct TriggerRule {
    /// An event's name, a list of names, or `"*"` for all events.
    pub event: Option<OneOrMany<Placed<Box<str>>>>,
    /// A pattern that is found in the event's name, in place of `event`.
    pub event_matches: Option<Placed<Box<str>>>,
    /// Conditions that must all hold.
    #[serde(default)]
    pub when: Vec<Placed<ConditionRule>>,
    /// Of the events for which they hold, those of a share of the visitors.
    pub sample: Option<SampleRule>,
}

/// A share of the visitors, always the same ones.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SampleRule {
    /// From 0 to 100, with four decimals at most.
    pub percent: Placed<f64>,
    /// What tells visitors apart, such as `"{{Client id}}"`.
    pub by: Node,
    /// Triggers of the same salt choose the same visitors; the trigger's name if left out.
    pub salt: Option<Box<str>>,
}

/// A test of one value, or `any`/`all` of several conditions. Texts to compare with may hold `{{Variable}}`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ConditionRule {
    /// The variable whose value is tested.
    pub variable: Option<Placed<Box<str>>>,
    /// The event data that is tested, by its dotted path.
    pub event_data: Option<Placed<Box<str>>>,
    pub equals: Option<Placed<Scalar>>,
    /// Equal to one of these.
    #[serde(rename = "in")]
    pub one_of: Option<Vec<Placed<Scalar>>>,
    pub contains: Option<Placed<Scalar>>,
    pub starts_with: Option<Placed<Scalar>>,
    pub ends_with: Option<Placed<Scalar>>,
    /// A pattern that is found anywhere in the text.
    pub matches: Option<Placed<Box<str>>>,
    pub less_than: Option<Placed<Scalar>>,
    pub less_or_equal: Option<Placed<Scalar>>,
    pub greater_than: Option<Placed<Scalar>>,
    pub greater_or_equal: Option<Placed<Scalar>>,
    /// `true`: there is a value; `false`: there is none.
    pub defined: Option<bool>,
    /// Turns the test around.
    #[serde(default)]
    pub not: bool,
    /// Compare without regard to case.
    #[serde(default)]
    pub ignore_case: bool,
    /// At least one of these holds.
    pub any: Option<Vec<Placed<ConditionRule>>>,
    /// All of these hold.
    pub all: Option<Vec<Placed<ConditionRule>>>,
}

/// A tag: a template put to use.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct TagRule {
    /// The template's name, such as `openai_conversion`.
    pub template: Placed<Box<str>>,
    /// Triggers, any of which makes the tag fire.
    pub triggers: Option<OneOrMany<Placed<Box<str>>>>,
    /// Triggers, any of which keeps the tag from firing.
    pub exceptions: Option<OneOrMany<Placed<Box<str>>>>,
    /// The Consent Mode types that must be granted, or `none`.
    pub consent: Option<OneOrMany<Placed<Box<str>>>>,
    /// Why the tag may run without consent; needed with `consent: none`.
    pub consent_reason: Option<Placed<Box<str>>>,
    /// What happens where consent is missing and the visitor has not answered yet.
    #[serde(default)]
    pub when_denied: WhenDeniedRule,
    /// Higher fires first.
    #[serde(default)]
    pub priority: i64,
    /// A paused tag never fires.
    #[serde(default)]
    pub paused: bool,
    /// The span of time in which the tag may fire.
    pub active: Option<Placed<PeriodRule>>,
    /// The tag that runs before this one.
    pub setup: Option<ScalarOr<Placed<Box<str>>, StepRule>>,
    /// The tag that runs after this one.
    pub cleanup: Option<ScalarOr<Placed<Box<str>>, StepRule>>,
    /// The template's fields. Texts may hold `{{Variable}}`.
    #[serde(default)]
    pub parameters: PlacedMap<Node>,
}

/// A span of time, by instants such as `2026-12-01T00:00:00Z`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PeriodRule {
    pub from: Option<Placed<Box<str>>>,
    /// The first instant that is no longer part of it.
    pub to: Option<Placed<Box<str>>>,
}

/// A tag that runs before or after another.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct StepRule {
    pub tag: Placed<Box<str>>,
    /// The later of the two does not run if the earlier failed.
    #[serde(default)]
    pub stop_on_failure: bool,
}

/// A transformation: what some tags see of an event in place of what the site sent. It has one of `allow`, `exclude` and
/// `augment`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct TransformationRule {
    /// The event data that the tags see, by dotted paths; nothing else.
    pub allow: Option<OneOrMany<Placed<Box<str>>>>,
    /// The event data that they do not see.
    pub exclude: Option<OneOrMany<Placed<Box<str>>>>,
    /// Event data that they see beside it, or in its place. Texts may hold `{{Variable}}`.
    pub augment: Option<PlacedMap<Node>>,
    /// The tags that it affects; all if left out.
    pub tags: Option<OneOrMany<Placed<Box<str>>>>,
    /// It affects all tags but these.
    pub all_tags_except: Option<OneOrMany<Placed<Box<str>>>>,
    /// Conditions that must all hold.
    #[serde(default)]
    pub when: Vec<Placed<ConditionRule>>,
    /// Higher applies first.
    #[serde(default)]
    pub priority: i64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhenDeniedRule {
    /// The tag does not fire for this event.
    #[default]
    Skip,
    /// The page is told to send the event again once consent is given.
    Hold,
}

/// What the container says about consent.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConsentRule {
    /// What holds where no signal spoke: `granted` or `denied`, by type.
    pub defaults: PlacedMap<StatusRule>,
    /// The same for some regions.
    pub regions: Vec<Placed<RegionRule>>,
    /// The header in which a trusted proxy names the visitor's country, or a region with its country.
    pub region_header: Option<Placed<Box<str>>>,
    /// The header in which it names the subdivision.
    pub subdivision_header: Option<Placed<Box<str>>>,
    /// The signals that are read beside those that can only deny; all of them if left out.
    pub sources: Option<Placed<Vec<Placed<Box<str>>>>>,
    pub gcd: GcdRule,
    pub tcf: TcfRule,
    pub onetrust: OneTrustRule,
    pub axeptio: AxeptioRule,
    /// Variables that tell about consent.
    pub variables: Vec<Placed<VariableSourceRule>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct RegionRule {
    /// One code of ISO 3166-2, such as `ES` or `US-CA`, or several.
    pub region: OneOrMany<Placed<Box<str>>>,
    pub defaults: PlacedMap<StatusRule>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GcdRule {
    /// What it means that a site set nothing and Google would assume a grant.
    pub unset: Option<Placed<UnsetRule>>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UnsetRule {
    /// It counts for nothing.
    Deny,
    /// It is a grant.
    Allow,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TcfRule {
    /// Numbers in the Global Vendor List, by the names that templates use.
    pub vendors: PlacedMap<Placed<i64>>,
}

/// One consent type, or several.
pub type TypesRule = OneOrMany<Placed<Box<str>>>;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OneTrustRule {
    /// The types that a group of cookies stands for, by its id.
    pub groups: PlacedMap<TypesRule>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AxeptioRule {
    /// The types that a vendor stands for, by its name at Axeptio.
    pub vendors: PlacedMap<TypesRule>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct VariableSourceRule {
    /// The variable's name.
    pub from: Placed<Box<str>>,
    /// The types that its value is about.
    pub types: TypesRule,
    /// The value, or the values, that grant them.
    pub granted_when: Option<OneOrMany<Scalar>>,
    /// The value, or the values, that deny them.
    pub denied_when: Option<OneOrMany<Scalar>>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StatusRule {
    Granted,
    Denied,
}

/// The container's settings.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SettingsRule {
    /// Further origins whose pages may send hits, such as `https://shop.example`.
    pub origins: Vec<Placed<Box<str>>>,
    pub privacy: PrivacyRule,
}

/// What is withheld of visitors, from every tag.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PrivacyRule {
    /// Whether addresses of visitors are cut short.
    pub ip_address: Option<Placed<AddressRule>>,
    /// What is left of user agents.
    pub user_agent: Option<Placed<AgentRule>>,
    /// Parameters that addresses of pages lose: names, `default`, or a list.
    pub strip_query: Option<Placed<OneOrMany<Placed<Box<str>>>>>,
    /// What becomes of hits by bots.
    pub bots: Option<Placed<BotsRule>>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AddressRule {
    /// The address as it is.
    Keep,
    /// Its network: the last byte of IPv4 is 0, and all but the first 48 bits of IPv6.
    Truncate,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AgentRule {
    /// The user agent as it is.
    Keep,
    /// The browser's family and major version.
    Reduce,
    /// Nothing.
    Drop,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BotsRule {
    /// They are visitors like others.
    Keep,
    /// No tag runs for them.
    Ignore,
}

/// A template's manifest, `tags/<name>.yaml`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ManifestRule {
    /// What the template does, in one sentence.
    pub description: String,
    /// The version of scripting that the script is written for.
    pub scripting: Option<Placed<i64>>,
    /// The parameters that a tag may set.
    #[serde(default)]
    pub fields: PlacedMap<FieldRule>,
    /// The Consent Mode types that the template's calls need.
    #[serde(default)]
    pub consent: Vec<Placed<Box<str>>>,
    /// Whose hands its data comes into, for the TCF; the destinations of its calls if left out.
    pub vendors: Option<Vec<Box<str>>>,
    /// What the script may ask for.
    #[serde(default)]
    pub permissions: PermissionsRule,
    /// Cookies that are expired where the visitor refuses what the tag needs: a list of names, or `when` with a field.
    #[schemars(with = "Option<schema::NamesOr<WhenRule>>")]
    pub expire_when_refused: Option<Node>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PermissionsRule {
    /// Destinations that calls may go to, such as `openai`.
    pub destinations: Vec<Placed<Box<str>>>,
    /// Hosts that calls may go to by `http::request`: a list such as `[api.example.com, "*.example.org"]`, or `from` with
    /// a field of type `url`.
    #[schemars(with = "Option<schema::NamesOr<FromRule>>")]
    pub hosts: Option<Node>,
    /// Cookies that may be set: a list of names, or `from` with a field.
    #[schemars(with = "Option<schema::NamesOr<FromRule>>")]
    pub cookies: Option<Node>,
}

/// The cookies that a tag names in a field.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct FromRule {
    /// A fixed text, or a list whose elements have a fixed text `name`.
    pub from: Placed<Box<str>>,
}

/// All cookies that a tag may set, if it says so in a field.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WhenRule {
    /// A fixed boolean.
    pub when: Placed<Box<str>>,
}

/// A field of a template.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct FieldRule {
    #[serde(rename = "type")]
    pub kind: FieldKind,
    /// What it is for, in one sentence.
    pub description: String,
    /// A tag that does not set it is an error.
    #[serde(default)]
    pub required: bool,
    /// The value where a tag does not set it.
    pub default: Option<Node>,
    /// For `choice`: the values it may have.
    #[serde(default)]
    pub options: Vec<Box<str>>,
    /// For `map`: the keys it may have; any if left out.
    #[serde(default)]
    pub keys: Vec<Box<str>>,
    /// For `list`: the fields that each of its elements has, as a mapping; anything if left out.
    #[serde(default)]
    pub items: PlacedMap<FieldRule>,
    /// For `text`: what a value must match, looked at where it is known before there is an event.
    pub pattern: Option<Pattern>,
    /// Its value stands in the rules; no event can choose it.
    #[serde(default)]
    pub fixed: bool,
    /// Fields that cannot be set beside it.
    #[serde(default)]
    pub excludes: Vec<Box<str>>,
}

/// A pattern of a manifest.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct Pattern(#[schemars(with = "String")] Regex);

impl Pattern {
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let pattern = RegexBuilder::new(&text).size_limit(MAX_PATTERN_BYTES).build();
        pattern.map(Self).map_err(|_| format!("{} is no pattern", quoted(&text)))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FieldKind {
    Text,
    /// A text for people: what it holds of variables about a person is withheld.
    Line,
    Number,
    /// A whole number, zero or more.
    Whole,
    Boolean,
    /// One of `options`.
    Choice,
    /// An address whose scheme and host stand in the rules; variables come after them, percent-encoded.
    Url,
    /// The name of a secret, as `{ secret: NAME }`.
    Secret,
    List,
    Map,
    /// Anything.
    Any,
}
