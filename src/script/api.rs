//! What a tag script may read and call: its parameters, the event, the request, consent, and functions that describe
//! what it wants. None of them does anything: calls and cookies are values that the script returns.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use rhai::{Dynamic, Engine, ImmutableString, Map, NativeCallContext, Position, Scope};

use super::{
    Given,
    cage::{self, Fallible},
    ga4, http, openai,
    parameters::Params,
    value::{to_dynamic, to_json},
};
use crate::{
    call::{Account, Call, CallEvent, relay::Relay},
    client::Client,
    consent::{ConsentState, ConsentType},
    cookie::{HttpOnly, SameSite, SetCookie},
    digest::Digest,
    event::{self, Event},
    hit::Hit,
    trace::Level,
    variable::address,
};

/// `params` in a script: the tag's parameters, by the template's field names. Passing it on costs nothing. Natives find
/// the consent of the event beside them, which no script can replace.
#[derive(Clone)]
pub struct ParamsHandle(pub Arc<Params>, pub ConsentState);

/// `event` in a script.
#[derive(Clone)]
pub struct EventHandle(pub Arc<Event>, pub ConsentState);

/// `request` in a script, and which part of it is the event's.
#[derive(Clone)]
pub struct RequestHandle(pub Arc<Hit>, pub Part);

/// Who read an event out of a hit, and which of the hit's events it is.
#[derive(Clone, Copy)]
pub struct Part {
    pub client: Client,
    pub position: usize,
}

impl RequestHandle {
    pub fn new(given: &Given) -> Self {
        Self(Arc::clone(&given.hit), Part { client: given.client, position: given.position })
    }
}

/// `consent` in a script.
#[derive(Clone)]
pub struct ConsentHandle(pub ConsentState);

/// What a script returns, alone or in a list. Behind a pointer, because scripts may copy it at will.
#[derive(Clone)]
pub struct Returned {
    pub request: Arc<Request>,
    /// Where the script asked for it.
    pub at: Position,
}

/// What a script asks for.
#[derive(Clone)]
pub enum Request {
    Call(CallRequest),
    /// The hit itself, whose body is made when all of its events are decided.
    Relay(CallRequest, Relay),
    Cookie(SetCookie),
    Skip(ImmutableString),
}

/// A call before it is known whose it is.
#[derive(Clone)]
pub struct CallRequest {
    pub account: Arc<Account>,
    pub event: CallEvent,
    pub body: Box<str>,
}

impl CallRequest {
    pub fn by(self, tag: &Arc<str>) -> Call {
        Call { tag: Arc::clone(tag), account: self.account, event: self.event, body: self.body }
    }
}

impl Returned {
    pub fn new(context: &NativeCallContext<'_>, request: Request) -> Self {
        Self { request: Arc::new(request), at: context.call_position() }
    }
}

/// The names that every script knows.
pub const NAMES: [&str; 4] = ["params", "event", "request", "consent"];

/// The values of those names, in the same order.
pub fn values(params: Arc<Params>, given: &Given) -> Scope<'static> {
    let [params_name, event, request, consent] = NAMES;
    let mut scope = Scope::new();
    scope
        .push(params_name, ParamsHandle(params, given.consent))
        .push(event, EventHandle(Arc::clone(&given.event), given.consent))
        .push(request, RequestHandle::new(given))
        .push(consent, ConsentHandle(given.consent));
    scope
}

pub fn register(engine: &mut Engine) {
    register_event(engine);
    register_request(engine);
    register_consent(engine);
    register_results(engine);
    http::register(engine);
    ga4::register(engine);
    openai::register(engine);
}

fn register_event(engine: &mut Engine) {
    engine
        .register_type_with_name::<ParamsHandle>("Params")
        .register_indexer_get(|params: &mut ParamsHandle, name: &str| params.read(name))
        .register_type_with_name::<EventHandle>("Event")
        .register_indexer_get(|event: &mut EventHandle, path: &str| event.read(path));
}

/// Makes a getter of every property that a script reads. They are read without them too, by the indexer, but only after
/// the engine looked for a getter and made an error of its absence.
pub fn register_properties(engine: &mut Engine, script: &str) {
    for name in properties(script) {
        let own = name.to_owned();
        engine.register_get(name, move |params: &mut ParamsHandle| params.read(&own));
        let own = name.to_owned();
        engine.register_get(name, move |event: &mut EventHandle| event.read(&own));
    }
}

/// What stands after a dot and is not called. May find more than there is, in texts and comments, which does no harm.
fn properties(script: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let property = |rest: &'_ str| rest.find(|c| !is_name(c)).unwrap_or(rest.len());
    script
        .split('.')
        .skip(1)
        .map(|rest| rest.split_at(property(rest)))
        .filter(|(name, after)| name.starts_with(|c: char| !c.is_ascii_digit()) && !after.starts_with('('))
        .map(|(name, _)| name)
        .collect()
}

impl ParamsHandle {
    fn read(&self, name: &str) -> Fallible<Dynamic> {
        cage::look()?;
        self.0.to_dynamic(name)
    }
}

impl EventHandle {
    fn read(&self, path: &str) -> Fallible<Dynamic> {
        cage::look()?;
        match path {
            "event_name" => Ok((&*self.0.name).into()),
            "event_id" => Ok((&*self.0.id.text).into()),
            _ => self.0.get(path).map_or(Ok(Dynamic::UNIT), |value| to_dynamic(&value)),
        }
    }
}

fn register_request(engine: &mut Engine) {
    engine
        .register_type_with_name::<RequestHandle>("Request")
        .register_get("ip", |request: &mut RequestHandle| {
            request.0.address.map_or(Dynamic::UNIT, |address: IpAddr| address.to_string().into())
        })
        .register_get("user_agent", |request: &mut RequestHandle| text(request.0.header("user-agent")))
        .register_get("host", |request: &mut RequestHandle| text(Some(&request.0.host)))
        .register_get("method", |request: &mut RequestHandle| text(Some(request.0.method.as_str())))
        .register_get("client", |request: &mut RequestHandle| text(Some(request.1.client.name())))
        .register_get("path", |request: &mut RequestHandle| text(Some(&request.0.path)))
        .register_fn("header", |request: &mut RequestHandle, name: &str| match name.to_ascii_lowercase().as_str() {
            // Cookies are read one by one, and credentials not at all.
            "cookie" | "authorization" | "proxy-authorization" => Dynamic::UNIT,
            name => text(request.0.header(name)),
        })
        .register_fn("cookie", |request: &mut RequestHandle, name: &str| text(request.0.cookie(name)))
        .register_fn("query", |request: &mut RequestHandle, name: &str| {
            address::parameter(&request.0.query, name).map_or(Dynamic::UNIT, Dynamic::from)
        });
}

fn register_consent(engine: &mut Engine) {
    engine
        .register_type_with_name::<ConsentHandle>("Consent")
        .register_fn("granted", |consent: &mut ConsentHandle, kind: &str| {
            consent_type(kind).map(|kind| consent.0.is_granted(kind))
        })
        .register_fn("status", |consent: &mut ConsentHandle, kind: &str| {
            consent_type(kind).map(|kind| Dynamic::from(consent.0.status(kind).word()))
        });
}

// Errors list what would be right and never quote what was given: that may be a visitor's.

fn consent_type(name: &str) -> Fallible<ConsentType> {
    let types = || ConsentType::ALL.map(ConsentType::name).join(", ");
    ConsentType::from_name(name).ok_or_else(|| format!("this is no Consent Mode type; they are {}", types()).into())
}

fn register_results(engine: &mut Engine) {
    engine
        .register_type_with_name::<Returned>("Returned")
        .register_fn("skip", |context: NativeCallContext<'_>, reason: ImmutableString| {
            Returned::new(&context, Request::Skip(reason))
        })
        .register_fn("log", |line: &str| cage::log(Level::Debug, line))
        .register_fn("log", |level: &str, line: &str| level_of(level).map(|level| cage::log(level, line)))
        .register_fn("text", |value: Dynamic| {
            let value = to_json(&value)?;
            Fallible::Ok(event::to_text(&value).unwrap_or_default().into_owned())
        })
        .register_fn("sha256", |value: &str| {
            cage::look()?;
            Fallible::Ok(Digest::of(value).to_string())
        })
        .register_fn("set_cookie", |context: NativeCallContext<'_>, name: &str, value: &str, options: Map| {
            cookie_of(name, value, &options).map(|cookie| Returned::new(&context, Request::Cookie(cookie)))
        })
        .register_fn("expire_cookie", |context: NativeCallContext<'_>, name: &str| {
            Returned::new(&context, Request::Cookie(SetCookie::expiry(name)))
        });
}

fn level_of(name: &str) -> Fallible<Level> {
    let levels = || Level::ALL.map(Level::name).join(", ");
    Level::from_name(name).ok_or_else(|| format!("this is no level; they are {}", levels()).into())
}

/// `#{ days: 30, same_site: "lax", http_only: false }`; `seconds` in place of `days` for shorter lives.
fn cookie_of(name: &str, value: &str, options: &Map) -> Fallible<SetCookie> {
    let mut cookie = SetCookie {
        name: name.into(),
        value: value.into(),
        max_age: None,
        same_site: SameSite::Lax,
        http_only: HttpOnly::Off,
    };
    for (option, value) in options {
        match (option.as_str(), value) {
            ("days", days) => cookie.max_age = Some(Duration::from_secs(whole("days", days)?.saturating_mul(86_400))),
            ("seconds", seconds) => cookie.max_age = Some(Duration::from_secs(whole("seconds", seconds)?)),
            ("same_site", value) => {
                cookie.same_site = match value.clone().into_immutable_string().as_deref() {
                    Ok("lax") => SameSite::Lax,
                    Ok("strict") => SameSite::Strict,
                    Ok("none") => SameSite::None,
                    _ => return Err("set_cookie: same_site is \"lax\", \"strict\" or \"none\"".into()),
                }
            }
            ("http_only", value) => {
                cookie.http_only = match value.as_bool() {
                    Ok(true) => HttpOnly::On,
                    Ok(false) => HttpOnly::Off,
                    Err(_) => return Err("set_cookie: http_only is true or false".into()),
                }
            }
            _ => return Err("set_cookie has no such option; it has days, seconds, same_site and http_only".into()),
        }
    }
    Ok(cookie)
}

fn whole(option: &str, value: &Dynamic) -> Fallible<u64> {
    let number = value.as_int().ok().and_then(|number| u64::try_from(number).ok());
    number.ok_or_else(|| format!("set_cookie: {option} is a whole number, zero or more").into())
}

fn text(value: Option<&str>) -> Dynamic {
    value.map_or(Dynamic::UNIT, Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_found_and_methods_are_not() {
        let script = "event.event_id; event?.value.fraction(1.5); params . nothing; a.b.c_2 //.\n event.granted(1)..";
        assert_eq!(properties(script).into_iter().collect::<Vec<_>>(), ["b", "c_2", "event_id", "value"]);
    }
}
