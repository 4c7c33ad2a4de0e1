//! What a tag script may read and call: its parameters, the event, the request, consent, and functions that describe
//! what it wants. None of them does anything: calls and cookies are values that the script returns.

use std::{net::IpAddr, sync::Arc, time::Duration};

use rhai::{Dynamic, Engine, EvalAltResult, ImmutableString, Map, Scope};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    Given, cage, openai,
    value::{to_dynamic, to_json},
};
use crate::{
    call::{Account, Call, CallEvent, SecretName},
    consent::{ConsentState, ConsentType},
    cookie::{HttpOnly, SameSite, SetCookie},
    event::Event,
    hit::Hit,
    variable::query_parameter,
};

type Fallible<T> = Result<T, Box<EvalAltResult>>;

/// `params` in a script: the tag's parameters, by the template's field names. Passing it on costs nothing.
#[derive(Clone)]
pub struct ParamsHandle(pub Arc<Map>);

/// `event` in a script.
#[derive(Clone)]
pub struct EventHandle(pub Arc<Event>);

/// `request` in a script.
#[derive(Clone)]
pub struct RequestHandle(pub Arc<Hit>);

/// `consent` in a script.
#[derive(Clone)]
pub struct ConsentHandle(pub ConsentState);

/// Structured data made by a native function. Scripts read and set its keys as if it were a map; passing it on costs
/// nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Data(pub Value);

/// What a script returns, alone or in a list.
#[derive(Clone)]
pub enum Returned {
    Call(CallRequest),
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

/// The names that every script knows, for the compiler.
pub fn names() -> Scope<'static> {
    let mut scope = Scope::new();
    for name in ["params", "event", "request", "consent"] {
        scope.push_dynamic(name, Dynamic::UNIT);
    }
    scope
}

/// Gives a script its values.
pub fn fill(scope: &mut Scope<'_>, params: Map, given: &Given) {
    scope.push("params", ParamsHandle(Arc::new(params)));
    scope.push("event", EventHandle(Arc::clone(&given.event)));
    scope.push("request", RequestHandle(Arc::clone(&given.hit)));
    scope.push("consent", ConsentHandle(given.consent));
}

pub fn register(engine: &mut Engine) {
    register_event(engine);
    register_request(engine);
    register_consent(engine);
    register_results(engine);
    engine
        .register_type_with_name::<SecretName>("Secret")
        .register_type_with_name::<Data>("Data")
        .register_indexer_get(|data: &mut Data, key: &str| data.0.get(key).map_or(Dynamic::UNIT, to_dynamic))
        .register_indexer_set(set_data);
    openai::register(engine);
}

fn set_data(data: &mut Data, key: &str, value: Dynamic) -> Fallible<()> {
    let value = to_json(&value).map_err(|kind| format!("a value of type {kind} cannot be sent as {key:?}"))?;
    match &mut data.0 {
        Value::Object(map) if value.is_null() => {
            map.remove(key);
        }
        Value::Object(map) => {
            map.insert(key.to_owned(), value);
        }
        _ => return Err(format!("{key:?} can only be set on a map").into()),
    }
    Ok(())
}

fn register_event(engine: &mut Engine) {
    engine
        .register_type_with_name::<ParamsHandle>("Params")
        .register_indexer_get(|params: &mut ParamsHandle, name: &str| params.0.get(name).cloned().unwrap_or_default())
        .register_type_with_name::<EventHandle>("Event")
        .register_indexer_get(|event: &mut EventHandle, path: &str| {
            event.0.get(path).map_or(Dynamic::UNIT, |value| to_dynamic(&value))
        });
}

fn register_request(engine: &mut Engine) {
    engine
        .register_type_with_name::<RequestHandle>("Request")
        .register_get("ip", |request: &mut RequestHandle| {
            request.0.address.map_or(Dynamic::UNIT, |address: IpAddr| address.to_string().into())
        })
        .register_get("user_agent", |request: &mut RequestHandle| text(request.0.header("user-agent")))
        .register_get("host", |request: &mut RequestHandle| text(Some(&request.0.host)))
        .register_fn("header", |request: &mut RequestHandle, name: &str| match name.to_ascii_lowercase().as_str() {
            // Cookies are read one by one, and credentials not at all.
            "cookie" | "authorization" => Dynamic::UNIT,
            name => text(request.0.header(name)),
        })
        .register_fn("cookie", |request: &mut RequestHandle, name: &str| text(request.0.cookie(name)))
        .register_fn("query", |request: &mut RequestHandle, name: &str| {
            query_parameter(&format!("?{}", request.0.query), name).map_or(Dynamic::UNIT, Dynamic::from)
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

fn consent_type(name: &str) -> Fallible<ConsentType> {
    ConsentType::from_name(name).ok_or_else(|| format!("{name:?} is no Consent Mode type").into())
}

fn register_results(engine: &mut Engine) {
    engine
        .register_type_with_name::<Returned>("Returned")
        .register_fn("skip", |reason: ImmutableString| Returned::Skip(reason))
        .register_fn("log", |line: &str| cage::note("", line))
        .register_fn("sha256", |value: &str| hex(&Sha256::digest(value.as_bytes())))
        .register_fn("set_cookie", |name: &str, value: &str, options: Map| {
            cookie_of(name, value, &options).map(Returned::Cookie)
        })
        .register_fn("expire_cookie", |name: &str| Returned::Cookie(SetCookie::expiry(name)));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
            ("days", days) => cookie.max_age = Some(Duration::from_secs(whole(option, days)?.saturating_mul(86_400))),
            ("seconds", seconds) => cookie.max_age = Some(Duration::from_secs(whole(option, seconds)?)),
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
            (other, _) => return Err(format!("set_cookie knows no option {other:?}").into()),
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
