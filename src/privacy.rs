//! Privacy switches: what a container withholds of its visitors. Takes a hit and its events as they arrived; gives them
//! as everything behind sees them. Done once, before anything decides by an event, so that whatever leaves by a script, a
//! variable or the trace has been through here. A container without switches changes and copies nothing.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Map, Value};

use self::{bots::BotList, query::StripQuery};
use crate::{
    client::{
        Client,
        ga4::hints::{self, Hint, Told},
    },
    event::Event,
    hit::Hit,
    openai::oppref,
    trace::Note,
};

pub mod bots;
pub mod email;
pub mod ip_address;
pub mod personal;
pub mod query;
mod user_agent;

/// A container's switches.
#[derive(Clone, Debug, Default)]
pub struct Privacy {
    pub detail: Detail,
    pub queries: Queries,
    pub bots: Bots,
}

/// How exactly a hit tells who sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    pub ip_address: AddressDetail,
    pub user_agent: AgentDetail,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressDetail {
    #[default]
    Whole,
    /// The network alone.
    Truncated,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AgentDetail {
    #[default]
    Whole,
    /// The browser's family and major version; nothing of browsers that are not known.
    Reduced,
    Dropped,
}

/// What addresses of pages keep of their queries.
#[derive(Clone, Debug, Default)]
pub enum Queries {
    #[default]
    Whole,
    Stripped(Arc<StripQuery>),
}

#[derive(Clone, Debug, Default)]
pub enum Bots {
    /// Bots are visitors like others.
    #[default]
    Welcome,
    Ignored(Arc<BotList>),
}

/// What becomes of a text.
pub enum Fate {
    Stays,
    Becomes(String),
    Goes,
}

/// Headers that are client hints, all of which begin so; these alone are told everybody. What browsers tell everybody stays
/// where the agent is reduced.
const HINT_HEADERS: &str = "sec-ch-ua";
const OPEN_HINT_HEADERS: [&str; 3] = ["sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform"];

/// What is an address of a page, even if it does not look like one: keys of events, parameters of GA4's protocol, a header.
const PAGES: [&str; 5] = ["page_location", "page_referrer", "dl", "dr", "referer"];
/// How the names of keys end that hold such addresses: `link_url`, `landingPageUrl`.
const PAGES_END: [&str; 8] = ["url", "Url", "URL", "uri", "href", "location", "referrer", "referer"];

/// Whether a key or parameter of this name holds an address of a page, whatever it looks like.
fn is_page(name: &str) -> bool {
    PAGES.contains(&name) || PAGES_END.iter().any(|end| name.ends_with(end))
}

/// Headers that speak of the server, or that are read one by one.
const EXEMPT_HEADERS: [&str; 4] = ["host", "x-forwarded-host", "cookie", "authorization"];

impl Privacy {
    /// Whether a hit with this agent is left alone.
    pub fn ignores(&self, agent: Option<&str>) -> bool {
        match &self.bots {
            Bots::Welcome => false,
            Bots::Ignored(list) => agent.is_some_and(|agent| list.knows(agent)),
        }
    }

    fn changes_nothing(&self) -> bool {
        self.detail == Detail::default() && matches!(self.queries, Queries::Whole)
    }

    /// A hit without what is withheld of it. Its events have been read: what is left of the body is for whoever passes on
    /// requests of GA4's protocol.
    pub fn of_hit(&self, hit: &Arc<Hit>, client: Client) -> Arc<Hit> {
        if self.changes_nothing() {
            return Arc::clone(hit);
        }
        let mut hit = Hit::clone(hit);
        hit.detail = self.detail;
        if self.detail.ip_address == AddressDetail::Truncated {
            hit.address = hit.address.map(ip_address::truncated);
        }
        hit.headers = self.headers(&hit.headers);
        if let Cow::Owned(query) = self.request_query(&hit.query) {
            hit.query = query.into();
        }
        hit.body = match client {
            Client::Ga4 => self.lines(&hit.body),
            Client::DataLayer | Client::Measurement | Client::Pixel => Bytes::new(),
        };
        Arc::new(hit)
    }

    /// Takes out of an event what is withheld. A click reference that goes with its page's address is kept apart.
    pub fn of_event(&self, event: &mut Event, notes: &mut Vec<Note>) {
        if self.changes_nothing() {
            return;
        }
        let click = event.text("page_location").and_then(oppref::in_url).map(Box::<str>::from);
        let before = ["page_location", "page_referrer"].map(|key| event.text(key).map(str::to_owned));
        if self.detail.user_agent != AgentDetail::Whole {
            self.keep_open_hints(&mut event.data);
        }
        self.map(&mut event.data);
        for (key, before) in ["page_location", "page_referrer"].into_iter().zip(before) {
            if before.as_deref() != event.text(key) {
                notes.push(Note::new(key, "cut: what the container's strip_query names was taken out"));
            }
        }
        if click.as_deref() != event.text("page_location").and_then(oppref::in_url) {
            event.click = click;
        }
    }

    /// What the agent is told by, under keys of its own.
    fn keep_open_hints(&self, data: &mut Map<String, Value>) {
        if let Some(Value::String(agent)) = data.remove("user_agent")
            && let Some(reduced) = self.agent(&agent)
        {
            data.insert("user_agent".to_owned(), reduced.into());
        }
        match data.get_mut(hints::KEY) {
            Some(Value::Object(hints)) if self.detail.user_agent == AgentDetail::Reduced => {
                hints.retain(|key, _| Hint::of_key(key).is_some_and(|hint| hint.told == Told::Everybody));
            }
            _ => {
                data.remove(hints::KEY);
            }
        }
    }

    fn map(&self, map: &mut Map<String, Value>) {
        map.retain(|key, value| self.stays(key, value));
    }

    /// Changes a value of an event; whether anything is left of it.
    fn stays(&self, key: &str, value: &mut Value) -> bool {
        match value {
            Value::String(text) => match self.judge(key, text) {
                Fate::Stays => {}
                Fate::Becomes(other) => *text = other,
                Fate::Goes => return false,
            },
            Value::Array(items) => items.iter_mut().for_each(|item| {
                if !self.stays(key, item) {
                    // The others keep their positions.
                    *item = Value::Null;
                }
            }),
            Value::Object(map) => self.map(map),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        true
    }

    /// A text by what it is, under whatever name: most names are the site's own.
    fn judge(&self, name: &str, text: &str) -> Fate {
        if self.detail.ip_address == AddressDetail::Truncated
            && let Some(truncated) = ip_address::truncated_text(text)
        {
            return Fate::Becomes(truncated);
        }
        if self.detail.user_agent != AgentDetail::Whole && text.starts_with(user_agent::BEGINNING) {
            return self.agent(text).map_or(Fate::Goes, Fate::Becomes);
        }
        match &self.queries {
            Queries::Stripped(strip) if is_page(name) || query::is_address(text) => {
                strip.strip(text).map_or(Fate::Stays, Fate::Becomes)
            }
            Queries::Stripped(_) | Queries::Whole => Fate::Stays,
        }
    }

    fn agent(&self, agent: &str) -> Option<String> {
        match self.detail.user_agent {
            AgentDetail::Whole => Some(agent.to_owned()),
            AgentDetail::Reduced => user_agent::reduced(agent),
            AgentDetail::Dropped => None,
        }
    }

    fn headers(&self, headers: &HeaderMap) -> HeaderMap {
        let kept = headers.iter().filter_map(|(name, value)| Some((name.clone(), self.header(name, value)?)));
        let mut all = HeaderMap::with_capacity(headers.len());
        for (name, value) in kept {
            all.append(name, value);
        }
        all
    }

    /// A header as it stays, if it does.
    fn header(&self, name: &HeaderName, value: &HeaderValue) -> Option<HeaderValue> {
        if EXEMPT_HEADERS.contains(&name.as_str()) {
            return Some(value.clone());
        }
        let text = String::from_utf8_lossy(value.as_bytes());
        if self.detail.ip_address == AddressDetail::Truncated
            && (name == header::FORWARDED || ip_address::holds_one(&text))
        {
            return None;
        }
        let is_told = match self.detail.user_agent {
            AgentDetail::Whole => true,
            AgentDetail::Reduced => OPEN_HINT_HEADERS.contains(&name.as_str()),
            AgentDetail::Dropped => false,
        };
        if name.as_str().starts_with(HINT_HEADERS) && !is_told {
            return None;
        }
        let fate = if name == header::USER_AGENT && self.detail.user_agent != AgentDetail::Whole {
            self.agent(&text).map_or(Fate::Goes, Fate::Becomes)
        } else {
            self.judge(name.as_str(), &text)
        };
        match fate {
            Fate::Stays => Some(value.clone()),
            Fate::Becomes(other) => HeaderValue::try_from(other).ok(),
            Fate::Goes => None,
        }
    }

    /// The parameters of a request are keys of an event, which none is taken for; their values are judged as all others.
    fn request_query<'q>(&self, query: &'q str) -> Cow<'q, str> {
        query::rewrite(query, |name, value| {
            if name == "user_agent" || name == "ep.user_agent" {
                return match self.detail.user_agent {
                    AgentDetail::Whole => Fate::Stays,
                    _ => self.agent(value).map_or(Fate::Goes, Fate::Becomes),
                };
            }
            if self.withholds_hint(name) { Fate::Goes } else { self.judge(name, value) }
        })
    }

    fn withholds_hint(&self, name: &str) -> bool {
        let hint = Hint::of_wire(name).or_else(|| Hint::of_path(name));
        match self.detail.user_agent {
            AgentDetail::Whole => false,
            AgentDetail::Reduced => hint.is_some_and(|hint| hint.told == Told::IfAsked),
            AgentDetail::Dropped => hint.is_some(),
        }
    }

    /// The body of a batch, a query a line; as many lines as before.
    fn lines(&self, body: &Bytes) -> Bytes {
        let mut all = Vec::with_capacity(body.len());
        for (position, raw) in body.split(|byte| *byte == b'\n').enumerate() {
            if position > 0 {
                all.push(b'\n');
            }
            let (bare, end) = raw.strip_suffix(b"\r").map_or((raw, ""), |bare| (bare, "\r"));
            match self.request_query(&String::from_utf8_lossy(bare)) {
                Cow::Borrowed(_) => all.extend_from_slice(bare),
                // An empty line is no event's.
                Cow::Owned(kept) if kept.is_empty() => all.push(b'&'),
                Cow::Owned(kept) => all.extend_from_slice(kept.as_bytes()),
            }
            all.extend_from_slice(end.as_bytes());
        }
        all.into()
    }
}

#[cfg(test)]
mod tests;
