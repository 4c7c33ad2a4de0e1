//! A hit: one HTTP request from a site, as it arrived. Nothing is parsed yet but what every client needs.

use std::{fmt, net::IpAddr};

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{cookie, privacy::Detail, time::Timestamp};

/// One id from the hit to the last attempt at delivery. A version 7 UUID, so ids sort by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HitId(pub Uuid);

impl fmt::Display for HitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

/// One HTTP request from a site: bytes, headers, address, time.
#[derive(Clone, Debug)]
pub struct Hit {
    pub id: HitId,
    pub received: Timestamp,
    pub method: Method,
    pub path: Box<str>,
    /// The query string, as it came, without `?`; empty if there was none.
    pub query: Box<str>,
    pub headers: HeaderMap,
    /// Who handed it over.
    pub through: Through,
    /// The visitor's address: the peer's, or the one a trusted proxy named.
    pub address: Option<IpAddr>,
    /// How much of the address and the user agent is left.
    pub detail: Detail,
    /// The host the visitor's browser asked for, without port; the forwarded one if a trusted proxy named it.
    pub host: Box<str>,
    pub body: Bytes,
}

/// Who handed a hit over, and so whether what proxies add to a request can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    TrustedProxy,
    /// A server that showed a write key: what its events say of a visitor is believed.
    ServerWithKey,
    /// The visitor, or somebody whom the operator did not name.
    Strangers,
}

impl Hit {
    /// A hit that says nothing: `POST /hit` of a stranger, without headers and body. For whoever needs one and has no
    /// request, with what is known put in its place.
    pub fn silent(received: Timestamp) -> Self {
        Self {
            id: HitId(Uuid::nil()),
            received,
            method: Method::POST,
            path: "/hit".into(),
            query: "".into(),
            headers: HeaderMap::new(),
            through: Through::Strangers,
            address: None,
            detail: Detail::default(),
            host: "".into(),
            body: Bytes::new(),
        }
    }

    /// A header's value as text; `None` if it is absent or not UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.headers.get(name)?.as_bytes()).ok()
    }

    /// A cookie's value as it stands in the request, the first of this name; `None` if it is absent or not UTF-8. What
    /// other cookies hold does not matter.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let headers = self.headers.get_all(http::header::COOKIE).iter();
        headers.filter_map(|header| cookie::find(header.as_bytes(), name)).next()
    }
}
