//! Parts of addresses. Takes an address as it was sent, which need not be well-formed; gives the part, or nothing where
//! the address has none.
//!
//! Host, port and protocol are those that a browser would see (WHATWG URL): lower-case, in Punycode, without user name.
//! They are missing from an address that begins with no protocol, because nothing says what it is relative to. Query,
//! fragment and parameters are cut from the text as it stands, whatever stands before them.

use serde_json::Value;
use url::Url;

use super::{Moment, ValueTemplate};
use crate::event;

/// Which address is read.
#[derive(Debug)]
pub enum Address {
    /// The event's data at a dotted path, such as `page_location`.
    EventData(Box<str>),
    Text(ValueTemplate),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressPart {
    /// Without its colon.
    Protocol,
    Host,
    /// The host without `www.`, `www2.` and the like at its beginning.
    HostWithoutWww,
    /// The protocol's own where the address names none.
    Port,
    /// From its first slash, percent-escapes as they stand.
    Path,
    /// Between `?` and `#`, as it stands.
    Query,
    /// After `#`, as it stands.
    Fragment,
    /// A parameter of the query, percent-decoded, the first of its name.
    Parameter(Box<str>),
}

impl Address {
    pub(super) fn read(&self, moment: &Moment<'_>, part: impl FnOnce(&str) -> Option<Value>) -> Option<Value> {
        match self {
            Self::EventData(path) => part(moment.find(path)?.as_str()?),
            Self::Text(template) => part(&event::to_text(&moment.fill(template))?),
        }
    }
}

impl AddressPart {
    pub fn of(&self, address: &str) -> Option<Value> {
        match self {
            Self::Protocol => Some(Url::parse(address).ok()?.scheme().into()),
            Self::Host => Some(Url::parse(address).ok()?.host_str()?.into()),
            Self::HostWithoutWww => Some(without_www(Url::parse(address).ok()?.host_str()?).into()),
            Self::Port => Url::parse(address).ok()?.port_or_known_default().map(Value::from),
            Self::Path => path(address),
            Self::Query => query(address).map(Value::from),
            Self::Fragment => address.split_once('#').map(|(_, fragment)| fragment.into()),
            Self::Parameter(name) => parameter(query(address)?, name).map(Value::from),
        }
    }
}

/// GTM's "Strip 'www.'".
fn without_www(host: &str) -> &str {
    let rest = host.strip_prefix("www").map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    rest.and_then(|rest| rest.strip_prefix('.')).filter(|rest| !rest.is_empty()).unwrap_or(host)
}

/// An address without a protocol has a path if it begins with one slash.
fn path(address: &str) -> Option<Value> {
    if let Ok(url) = Url::parse(address) {
        return url.path().starts_with('/').then(|| url.path().into());
    }
    let is_path = address.starts_with('/') && !address.starts_with("//");
    let end = address.find(['?', '#']).unwrap_or(address.len());
    is_path.then(|| address[..end].into())
}

fn query(address: &str) -> Option<&str> {
    let (_, query) = address.split('#').next()?.split_once('?')?;
    Some(query)
}

/// The first value of a parameter in a query, percent-decoded: `+` is a space, what is no escape stays, and bytes that
/// are no UTF-8 become replacement characters.
pub fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests;
