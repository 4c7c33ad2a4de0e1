//! The body of a call to any HTTP host: one whole request, as JSON text, with secrets by their names alone.

use serde::{Deserialize, Serialize};

use super::SecretName;

/// A request that the delivery sends as it stands here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpRequest {
    pub method: Method,
    pub url: Box<str>,
    /// In this order; a name may come more than once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// Text that was encoded already; its kind is among the headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub name: Box<str>,
    pub value: HeaderValue,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderValue {
    Text(Box<str>),
    /// The value of a secret, resolved when the request is sent.
    Secret(SecretName),
    /// The same, behind `Bearer `.
    Bearer(SecretName),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub const ALL: [Self; 5] = [Self::Get, Self::Post, Self::Put, Self::Patch, Self::Delete];

    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// In any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name().eq_ignore_ascii_case(name))
    }
}

impl HttpRequest {
    /// The secrets that its headers need, each once, in their order by name.
    pub fn secrets(&self) -> Vec<SecretName> {
        let mut names: Vec<_> = self
            .headers
            .iter()
            .filter_map(|header| match &header.value {
                HeaderValue::Text(_) => None,
                HeaderValue::Secret(name) | HeaderValue::Bearer(name) => Some(name.clone()),
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }
}
