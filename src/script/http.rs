//! `http::…` in a script: describes a request to any host that the tag may call. Secrets come from the tag's parameters,
//! where no script can change them; a script hands on what it cannot read.

use std::sync::Arc;

use ::http::{HeaderName, HeaderValue as WireValue};
use rhai::{Dynamic, Engine, ImmutableString, Map, Module, NativeCallContext};
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

use super::{
    api::{CallRequest, EventHandle, ParamsHandle, Request, Returned},
    cage::{self, Fallible},
    parameters::{Param, Params},
    secret::Secret,
    value::{to_json, type_name},
};
use crate::{
    call::{
        Account, CallEvent, SecretName,
        http::{Header, HeaderValue, HttpRequest, Method},
    },
    consent::{ConsentState, ConsentType},
    digest::hex,
    event::to_text,
    privacy::personal,
};

const PARTS: [&str; 7] = ["method", "url", "headers", "json", "form", "text", "idempotency_key"];

/// The fields of a tag that may hold secrets for a request.
const HEADERS: &str = "headers";
const BEARER: &str = "bearer_token";

const MAX_URL: usize = 8 * 1024;
const MAX_HEADERS: usize = 50;

/// Headers that the connection decides about, and those that would let a script speak for somebody else.
const NOT_A_SCRIPTS: [&str; 9] =
    ["connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

pub fn register(engine: &mut Engine) {
    let mut module = Module::new();
    module.set_native_fn(
        "request",
        |context: NativeCallContext<'_>, params: ParamsHandle, event: EventHandle, parts: Map| {
            cage::native(&context, || Ok(Returned::new(&context, request(&params.0, &event, parts)?)))
        },
    );
    module.set_native_fn("event", |context: NativeCallContext<'_>, event: EventHandle| {
        cage::native(&context, || whole_event(&event))
    });
    engine.register_static_module("http", module.into());
}

/// `http::event(event)`: the event's data as a map, with its name, id and time.
fn whole_event(EventHandle(event, consent): &EventHandle) -> Fallible<Dynamic> {
    let mut data = event.data.clone();
    if !consent.is_granted(ConsentType::AdUserData) && personal::take_out(&mut data) > 0 {
        cage::note("user_data", "left out with all that is about a person: ad_user_data is not granted");
    }
    for (key, text) in [("event_name", &event.name), ("event_id", &event.id.text)] {
        if may_leave(text, consent) {
            data.insert(key.to_owned(), (&**text).into());
        } else {
            cage::note(key, "left out: it looks like a person's, and ad_user_data is not granted");
        }
    }
    data.insert("event_time".to_owned(), event.time.0.into());
    super::value::to_dynamic(&Value::Object(data))
}

/// Whether an event's own name or id may go out.
fn may_leave(text: &str, consent: &ConsentState) -> bool {
    consent.is_granted(ConsentType::AdUserData) || !personal::looks_personal(text)
}

/// `http::request(params, event, #{ … })`: one call.
fn request(params: &Params, event: &EventHandle, mut parts: Map) -> Fallible<Request> {
    if parts.keys().any(|name| !PARTS.contains(&name.as_str())) {
        return Err(format!("a request has no such part; its parts are {}", PARTS.join(", ")).into());
    }
    let url = url_of(&text_of(&mut parts, "url")?.ok_or("http::request needs a url")?)?;
    let (body, kind) = body_of(&mut parts)?;
    let method = match text_of(&mut parts, "method")? {
        None if body.is_some() => Method::Post,
        None => Method::Get,
        Some(name) => Method::from_name(&name).ok_or_else(|| {
            let names = Method::ALL.map(Method::name).join(", ");
            format!("this is no method; they are {names}")
        })?,
    };
    if body.is_some() && method == Method::Get {
        return Err("a GET request has no body; leave out json, form and text, or name another method".into());
    }
    let mut headers = headers_of(&mut parts, params)?;
    let has = |headers: &[Header], name: &str| headers.iter().any(|header| header.name.eq_ignore_ascii_case(name));
    if let Some(Param::Secret(secret)) = params.get(BEARER) {
        headers.push(Header { name: "authorization".into(), value: HeaderValue::Bearer(secret.clone()) });
    }
    if let Some(kind) = kind.filter(|_| !has(&headers, "content-type")) {
        headers.push(Header { name: "content-type".into(), value: HeaderValue::Text(kind.into()) });
    }
    let wants_key = match parts.remove("idempotency_key").unwrap_or(Dynamic::TRUE).as_bool() {
        Ok(wants) => wants && method != Method::Get,
        Err(_) => return Err("http::request: idempotency_key is true or false".into()),
    };
    let id = &event.0.id.text;
    let is_free = may_leave(id, &event.1);
    if wants_key && is_free && !has(&headers, "idempotency-key") && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        let key = format!("{id}-{}", short_hash(method, &url));
        headers.push(Header { name: "idempotency-key".into(), value: HeaderValue::Text(key.into()) });
    }
    if headers.len() > MAX_HEADERS {
        return Err(format!("a request has at most {MAX_HEADERS} headers").into());
    }
    let request = HttpRequest { method, url: url.as_str().into(), headers, body };
    let account = Account::Http { origin: url.origin().ascii_serialization().into(), secrets: request.secrets() };
    let body = serde_json::to_string(&request).map_err(|error| error.to_string())?;
    Ok(Request::Call(CallRequest {
        account: Arc::new(account),
        event: CallEvent { id: Arc::clone(id), name: Arc::clone(&event.0.name), time: event.0.time },
        body: body.into(),
    }))
}

/// Tells requests to different places apart that are made of the same event.
fn short_hash(method: Method, url: &Url) -> String {
    hex(&Sha256::digest(format!("{} {url}", method.name()))[..4])
}

/// An address that means what it looks like: `http` or `https`, no user name, no way up in its path.
///
/// # Errors
/// What it is not.
pub fn address(text: &str) -> Result<Url, String> {
    if text.len() > MAX_URL {
        return Err(format!("the url is longer than {MAX_URL} bytes"));
    }
    let url = Url::parse(text).map_err(|_| "the url is no absolute address, such as https://api.example.com/path")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("the url must begin with https:// or http:// and a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the url must not hold a user name or password; use a header with a secret".to_owned());
    }
    let path = text.split(['?', '#']).next().unwrap_or_default();
    if path.split(['/', '\\']).any(is_dots) {
        return Err("the url must not hold . or .. as a part of its path".to_owned());
    }
    Ok(url)
}

/// The same for a script.
pub(super) fn url_of(text: &str) -> Fallible<Url> {
    address(text).map_err(Into::into)
}

/// `.` and `..`, also where they are percent-encoded, which does not hide them from the address's reader.
fn is_dots(segment: &str) -> bool {
    matches!(&*segment.to_ascii_lowercase().replace("%2e", "."), "." | "..")
}

/// The body and its media type: at most one of `json`, `form` and `text`.
fn body_of(parts: &mut Map) -> Fallible<(Option<Box<str>>, Option<&'static str>)> {
    let mut given = ["json", "form", "text"].into_iter().filter(|part| parts.get(*part).is_some_and(|p| !p.is_unit()));
    let Some(part) = given.next() else { return Ok((None, None)) };
    if given.next().is_some() {
        return Err("a request has one of json, form and text".into());
    }
    let value = parts.remove(part).unwrap_or_default();
    match part {
        "json" => Ok((Some(to_json(&value)?.to_string().into()), Some("application/json"))),
        "text" => {
            let text = value.into_immutable_string().map_err(|found| format!("text is a text, not {found}"))?;
            Ok((Some(text.as_str().into()), Some("text/plain;charset=UTF-8")))
        }
        _ => {
            let Value::Object(fields) = to_json(&value)? else {
                return Err("form is a map of names to values".into());
            };
            let mut form = form_urlencoded::Serializer::new(String::new());
            for (name, value) in &fields {
                if let Some(text) = to_text(value) {
                    form.append_pair(name, &text);
                }
            }
            Ok((Some(form.finish().into()), Some("application/x-www-form-urlencoded")))
        }
    }
}

/// Headers as the script gave them; a secret among them is looked up in the tag's own `headers`, by the header's name.
fn headers_of(parts: &mut Map, params: &Params) -> Fallible<Vec<Header>> {
    let given = match parts.remove(HEADERS) {
        None => return Ok(Vec::new()),
        Some(given) if given.is_unit() => return Ok(Vec::new()),
        Some(given) => given.try_cast::<Map>().ok_or("headers is a map of names to texts")?,
    };
    let mut headers = Vec::new();
    for (name, value) in given {
        let Ok(parsed) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err("a header has a name that no header can have".into());
        };
        if NOT_A_SCRIPTS.contains(&parsed.as_str()) {
            return Err(format!("the header {parsed} is the connection's own").into());
        }
        let value = if value.is::<Secret>() {
            HeaderValue::Secret(secret_header(params, &name)?)
        } else if value.is_unit() {
            continue;
        } else {
            let kind = type_name(&value);
            let json = to_json(&value)?;
            let text = to_text(&json).filter(|_| !json.is_array() && !json.is_object());
            let text = text.ok_or_else(|| format!("the header {parsed} takes a text, not {kind}"))?;
            if WireValue::from_str(&text).is_err() {
                return Err(format!("the header {parsed} cannot have this value").into());
            }
            HeaderValue::Text(text.into())
        };
        headers.push(Header { name: parsed.as_str().into(), value });
    }
    Ok(headers)
}

fn secret_header(params: &Params, name: &str) -> Fallible<SecretName> {
    let Some(Param::Map(own)) = params.get(HEADERS) else {
        return Err("a secret header must stand in the tag's own field headers".into());
    };
    match own.iter().find(|(own, _)| **own == *name) {
        Some((_, Param::Secret(secret))) => Ok(secret.clone()),
        _ => Err("a secret header must stand under its own name in the tag's field headers".into()),
    }
}

pub(super) fn text_of(parts: &mut Map, name: &str) -> Fallible<Option<ImmutableString>> {
    match parts.remove(name) {
        None => Ok(None),
        Some(value) if value.is_unit() => Ok(None),
        Some(value) => {
            value.into_immutable_string().map(Some).map_err(|found| format!("{name} is a text, not {found}").into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_mean_what_they_look_like() {
        for (text, origin) in [
            ("https://api.example.com/a?b=c", "https://api.example.com"),
            ("http://API.example.com:8080", "http://api.example.com:8080"),
            ("https://api.example.com:443/x", "https://api.example.com"),
            ("https://münchen.example/", "https://xn--mnchen-3ya.example"),
            ("http://0x7f.1/", "http://127.0.0.1"),
        ] {
            assert_eq!(url_of(text).unwrap().origin().ascii_serialization(), origin, "{text}");
        }
        for text in [
            "",
            "/path",
            "ftp://a.example/",
            "file:///etc/passwd",
            "https://user@a.example/",
            "https://a.example@evil.example/",
            "https://a.example/b/../c",
            "https://a.example/b/%2E%2e/c",
            "https://a.example\\..\\b",
            "javascript:alert(1)",
        ] {
            assert!(url_of(text).is_err(), "{text}");
        }
        assert!(url_of("https://a.example/?next=../b").is_ok(), "a query leads nowhere");
    }
}
