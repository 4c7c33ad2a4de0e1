//! What people write in a `*.test.yaml`.

use std::{collections::BTreeMap, net::IpAddr};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    container::{
        diagnostic::quoted,
        schema::RulesFile,
        yaml::{Node, OneOrMany, Placed, PlacedMap},
    },
    time::Timestamp,
};

/// A file of test cases, before the cases themselves are read.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct FileRule {
    /// Rules that the cases run in, in place of the container's own; for the test of a template.
    #[schemars(with = "Option<RulesFile>")]
    pub container: Option<Node>,
    /// What holds for every case that says nothing else.
    #[serde(default)]
    pub defaults: Defaults,
    /// The cases by name; a name says what should happen.
    #[schemars(with = "PlacedMap<CaseRule>")]
    pub cases: PlacedMap<Node>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Defaults {
    /// The server's clock, such as `2026-11-23T12:00:00Z`.
    pub now: Option<Now>,
    /// Environment variables that the container reads.
    pub environment: BTreeMap<String, String>,
    pub request: RequestRule,
    /// Keys that every event has unless it brings its own.
    pub event: Option<Node>,
    pub consent: Option<Node>,
}

/// One case.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct CaseRule {
    pub now: Option<Now>,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    #[serde(default)]
    pub request: RequestRule,
    /// The body of `POST /hit`: one event, or `events`. Without this and `body`, the hit is a `GET` of `request.url`.
    pub event: Option<Node>,
    /// The body as raw text, in place of `event`; it is sent as it stands, without the defaults.
    pub body: Option<Placed<String>>,
    /// Short for `consent` in the event.
    pub consent: Option<Placed<Node>>,
    /// What should come of it; `tidegate test --update` writes it.
    pub expect: Option<Expect>,
}

/// An instant as people write it, such as `2026-11-23T12:00:00Z`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct Now(#[schemars(with = "String")] pub Timestamp);

impl TryFrom<String> for Now {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.parse::<jiff::Timestamp>() {
            Ok(instant) => Ok(Self(Timestamp(instant.as_millisecond()))),
            Err(_) => Err(format!("{} is no time in UTC, such as 2026-11-23T12:00:00Z", quoted(&text))),
        }
    }
}

/// What the browser sends beside the event.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RequestRule {
    /// Path and query, such as `/g/collect?v=2&tid=G-TEST&en=page_view`; `/hit` if it is left out.
    pub url: Option<String>,
    /// The tagging host that was asked for.
    pub host: Option<String>,
    /// The visitor's address.
    pub address: Option<IpAddr>,
    pub headers: BTreeMap<String, String>,
    pub cookies: BTreeMap<String, String>,
    /// Whether a server sent it that showed a write key; what is told here besides is the server's.
    pub write_key: Option<WriteKeyRule>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WriteKeyRule {
    /// None was shown.
    None,
    Valid,
}

impl RequestRule {
    /// This request, with `under` where it is silent.
    #[must_use]
    pub fn over(&self, under: &Self) -> Self {
        let mut request = under.clone();
        request.url = self.url.clone().or(request.url);
        request.host = self.host.clone().or(request.host);
        request.address = self.address.or(request.address);
        request.headers.extend(self.headers.clone());
        request.cookies.extend(self.cookies.clone());
        request.write_key = self.write_key.or(request.write_key);
        request
    }
}

/// What should come of a case. What is not named is not looked at.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Expect {
    /// The tags that ran, all of them, in any order.
    pub fired: Option<Vec<String>>,
    /// Tags that did not run, each with words of the reason.
    pub not_fired: BTreeMap<String, String>,
    /// The calls, all of them, in order.
    pub calls: Option<Vec<ExpectedCall>>,
    /// The `Set-Cookie` headers, all of them, in order.
    pub cookies: Option<Vec<String>>,
    /// For a tag, words that stand among its notes; an empty list means that it has none.
    pub notes: BTreeMap<String, OneOrMany<String>>,
    /// Words that stand among what was noted of an event, by its client or by expressions; an empty list means that there
    /// is nothing.
    pub event_notes: Option<OneOrMany<String>>,
    /// What is known of consent types, by name: words of the answer, such as `granted` or `denied (update in gcd)`.
    pub consent: BTreeMap<String, String>,
    /// Words of whether the visitor has answered, and who says so.
    pub answered: Option<String>,
    /// The events that are held, by event id, and the types they need.
    pub held: Option<BTreeMap<String, Vec<String>>>,
    /// Why no tag was looked at: `bot`.
    pub ignored: Option<Ignored>,
    /// The field for which the hit is refused; empty for the body as a whole.
    pub refused: Option<String>,
    /// With `refused`, words of the reason.
    pub refused_because: Option<String>,
}

impl Expect {
    /// Whether anything is expected.
    pub fn is_of_anything(&self) -> bool {
        self.is_of_accepted() || self.refused.is_some() || self.refused_because.is_some()
    }

    /// Whether something is expected of a hit that is accepted.
    pub fn is_of_accepted(&self) -> bool {
        self.fired.is_some()
            || !self.not_fired.is_empty()
            || self.calls.is_some()
            || self.cookies.is_some()
            || !self.notes.is_empty()
            || self.event_notes.is_some()
            || self.held.is_some()
            // No words stand in every answer.
            || self.consent.values().chain(&self.answered).any(|words| !words.is_empty())
            || self.ignored.is_some()
    }
}

/// Why an event is not decided.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ignored {
    Bot,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct ExpectedCall {
    pub tag: Option<String>,
    /// The account as it is shown, or its beginning, such as `openai:PIXEL`.
    pub account: Option<String>,
    /// The body: the keys named here must have these values, and `null` means that a key is absent.
    pub body: Option<Node>,
    /// The whole body.
    pub exact_body: Option<Node>,
}
