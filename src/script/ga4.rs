//! `ga4::…` in a script: describes the way of a GA4 hit to Google Analytics, as it came.

use std::{net::IpAddr, sync::Arc};

use ::http::HeaderValue as WireValue;
use rhai::{Engine, Map, Module, NativeCallContext};

use super::{
    api::{CallRequest, EventHandle, Request, RequestHandle, Returned},
    cage::{self, Fallible},
    http::{text_of, url_of},
};
use crate::{
    call::{
        Account, CallEvent,
        http::{Header, HeaderValue, Method},
        relay::{Relay, Shared},
    },
    client::{
        Client,
        ga4::onward::{Onward, Passing, onward},
    },
    consent::ConsentType,
};

const PARTS: [&str; 3] = ["url", "ip", "user_agent"];

/// Google's own bound lies at 16 KB. Three times as much, if every byte had to be percent-encoded, can still be sent.
const MAX_QUERY: usize = 20 * 1024;

pub fn register(engine: &mut Engine) {
    let mut module = Module::new();
    module.set_native_fn(
        "relay",
        |context: NativeCallContext<'_>, event: EventHandle, request: RequestHandle, parts: Map| {
            cage::native(&context, || Ok(Returned::new(&context, relay(&event, &request, parts)?)))
        },
    );
    engine.register_static_module("ga4", module.into());
}

/// `ga4::relay(event, request, #{ … })`: this event's part of a request that the hit's other events join.
fn relay(event: &EventHandle, request: &RequestHandle, mut parts: Map) -> Fallible<Request> {
    let EventHandle(event, consent) = event;
    let RequestHandle(hit, part) = request;
    if part.client != Client::Ga4 {
        return Err("only hits of GA4's protocol can be relayed; ask for request.client first".into());
    }
    if parts.keys().any(|name| !PARTS.contains(&name.as_str())) {
        return Err(format!("a relay has no such part; its parts are {}", PARTS.join(", ")).into());
    }
    let url = url_of(&text_of(&mut parts, "url")?.ok_or("ga4::relay needs a url")?)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the url of a relay has no query: it is the hit's".into());
    }
    let ip = text_of(&mut parts, "ip")?;
    let ip = ip.map(|ip| ip.parse::<IpAddr>().map_err(|_| "ip is no network address")).transpose()?;
    let agent = text_of(&mut parts, "user_agent")?.filter(|agent| WireValue::from_str(agent).is_ok());
    // Client hints tell more than a user agent that was reduced.
    let is_whole = agent.as_deref().is_some_and(|agent| hit.header("user-agent") == Some(agent));
    let hints = if is_whole { Passing::Passed } else { Passing::Withheld };
    let person = if consent.is_granted(ConsentType::AdUserData) { Passing::Passed } else { Passing::Withheld };
    let Onward { shared, line, withheld } = onward(event, hit, part.position, hints, person);
    if withheld > 0 {
        cage::note("user_data", "left out with all that is about a person: ad_user_data is not granted");
    }
    if shared.iter().map(Shared::length).sum::<usize>() > MAX_QUERY {
        return Err(format!("the hit's query string is longer than {} KB", MAX_QUERY >> 10).into());
    }
    let mut headers: Vec<_> = agent.map(|agent| header("user-agent", &agent)).into_iter().collect();
    if line.is_some() {
        headers.push(header("content-type", "text/plain;charset=UTF-8"));
    }
    let is_post = line.is_some() || hit.method != ::http::Method::GET;
    let call = CallRequest {
        account: Arc::new(Account::Http { origin: url.origin().ascii_serialization().into(), secrets: Vec::new() }),
        event: CallEvent { id: Arc::clone(&event.id.text), name: Arc::clone(&event.name), time: event.time },
        body: Box::default(),
    };
    let relay = Relay {
        method: if is_post { Method::Post } else { Method::Get },
        url: url.as_str().into(),
        headers,
        shared,
        added: ip.map(|ip| format!("_uip={ip}").into()).into_iter().collect(),
        lines: line.into_iter().collect(),
    };
    Ok(Request::Relay(call, relay))
}

fn header(name: &str, value: &str) -> Header {
    Header { name: name.into(), value: HeaderValue::Text(value.into()) }
}
