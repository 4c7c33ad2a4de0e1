//! Whose visit an event is of. A browser speaks for its own visitor: its request says everything. A server speaks for
//! others, of another visitor with every event: its own address, user agent and cookies are nobody's. Takes a hit and an
//! event; gives the hit as the visitor's browser might have sent it, as far as the server told.

use std::{fmt::Write as _, net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Map, Value};

use crate::{
    client::Client,
    cookie,
    event::Event,
    hit::{Hit, Through},
    privacy::{Privacy, ip_address},
    trace::Note,
};

/// Who sent a hit.
#[derive(Debug)]
pub enum Sender {
    /// The browser of the one visitor whom all events are of.
    Browser(Visit),
    /// With what is left of its hit once nothing tells of the server.
    Server(Box<Hit>),
}

/// What is known of a visitor beside an event.
#[derive(Debug)]
pub struct Visit {
    pub hit: Arc<Hit>,
    pub visitor: Visitor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visitor {
    /// As far as anybody knows.
    Person,
    /// A bot, where the container ignores those.
    Bot,
}

impl Sender {
    /// Whoever shows a write key is a server, and so is whoever speaks the Measurement Protocol.
    pub fn of(hit: &Arc<Hit>, client: Client, privacy: &Privacy) -> Self {
        if hit.through != Through::ServerWithKey && client != Client::Measurement {
            return Self::Browser(Visit::new(hit, client, privacy));
        }
        let mut bare = Hit::clone(hit);
        bare.address = None;
        bare.headers = others(&hit.headers);
        // Nor does its country say where the visitor is.
        bare.through = Through::ServerWithKey;
        Self::Server(Box::new(bare))
    }
}

impl Visit {
    /// Everything behind sees what the container's switches leave of the hit.
    pub fn new(hit: &Arc<Hit>, client: Client, privacy: &Privacy) -> Self {
        let visitor = if privacy.ignores(hit.header("user-agent")) { Visitor::Bot } else { Visitor::Person };
        Self { hit: privacy.of_hit(hit, client), visitor }
    }

    /// The visit that one event of a server tells of.
    pub fn told(server: &Hit, client: Client, event: &mut Event, notes: &mut Vec<Note>, privacy: &Privacy) -> Self {
        Self::new(&hit_of(server, event, notes), client, privacy)
    }
}

/// The headers that tell nothing of the server, nor of the proxies before it.
fn others(headers: &HeaderMap) -> HeaderMap {
    const OWN: [HeaderName; 3] = [header::USER_AGENT, header::COOKIE, header::FORWARDED];
    let is_own = |name: &HeaderName, value: &HeaderValue| {
        OWN.contains(name) || name.as_str().starts_with("sec-ch-") || value.to_str().is_ok_and(ip_address::holds_one)
    };
    let all = headers.iter().filter(|(name, value)| !is_own(name, value));
    all.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The hit of an event's visitor, who is told by `ip_override`, `user_agent` and `cookies`. The first two stay in the event
/// as well; of none of them anything is left there that is not good.
fn hit_of(server: &Hit, event: &mut Event, notes: &mut Vec<Note>) -> Arc<Hit> {
    let mut hit = server.clone();
    let stated = |data: &Map<String, Value>, key: &str| data.get(key).filter(|value| !value.is_null()).cloned();
    if let Some(value) = stated(&event.data, "ip_override") {
        let address = value.as_str().and_then(|text| text.trim().parse::<IpAddr>().ok());
        match address {
            Some(address) => hit.address = Some(address.to_canonical()),
            None => leave_out("ip_override", "not an IP address", event, notes),
        }
    }
    if let Some(value) = stated(&event.data, "user_agent") {
        match value.as_str().and_then(|text| HeaderValue::from_str(text).ok()) {
            Some(agent) => {
                hit.headers.insert(header::USER_AGENT, agent);
            }
            None => leave_out("user_agent", "not a user agent", event, notes),
        }
    }
    match event.data.remove("cookies") {
        None | Some(Value::Null) => {}
        Some(Value::Object(cookies)) => {
            let told = cookie_header(&cookies, notes);
            if let Some(told) = told.and_then(|told| HeaderValue::try_from(told).ok()) {
                hit.headers.insert(header::COOKIE, told);
            }
        }
        Some(_) => notes.push(Note::new("cookies", "left out: not a mapping of names to texts")),
    }
    Arc::new(hit)
}

fn leave_out(key: &str, why: &str, event: &mut Event, notes: &mut Vec<Note>) {
    event.data.remove(key);
    notes.push(Note::new(key, format!("left out: {why}")));
}

/// Cookies as a browser sends them.
fn cookie_header(cookies: &Map<String, Value>, notes: &mut Vec<Note>) -> Option<String> {
    let mut told = String::new();
    let mut left_out = 0_usize;
    for (name, value) in cookies {
        match value.as_str() {
            Some(value) if cookie::can_be_sent(name, value) => {
                let separator = if told.is_empty() { "" } else { "; " };
                // A text takes everything.
                let _ = write!(told, "{separator}{name}={value}");
            }
            _ => left_out += 1,
        }
    }
    if left_out > 0 {
        let text = format!("{left_out} of them left out: no browser could send such a name or value");
        notes.push(Note::new("cookies", text));
    }
    (!told.is_empty()).then_some(told)
}
