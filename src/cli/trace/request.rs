//! The hit that `tidegate trace` follows: takes what the command line names (a file, standard input, an address, a curl
//! command); gives the hit, and the client that claims it.

use std::{
    fs,
    io::{self, Read},
    net::IpAddr,
    path::Path,
};

use anyhow::Context as _;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use clap::Args;
use url::Url;

use super::curl::{self, Curl};
use crate::{
    app,
    client::Client,
    hit::{Hit, Through},
    privacy::Detail,
    time::Timestamp,
    write_keys,
};

#[derive(Args, Debug)]
pub(super) struct Request {
    /// A file with the body of POST /hit or with a copied curl command, - for standard input; or a hit's address, whole or
    /// from its path on, such as "/g/collect?v=2&tid=G-TEST&en=page_view"; or a curl command, in quotes
    hit: String,
    /// What is read is a curl command, although it does not begin with curl and a space
    #[arg(long)]
    curl: bool,
    /// A header of the request, as NAME: VALUE; may be repeated. With Authorization: Bearer, any key is taken for a right
    /// write key
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The tagging host that was asked for; that of the address, else localhost
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The visitor's address
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    address: IpAddr,
}

/// What was asked, before it is a hit.
struct Asked {
    method: Method,
    /// As a browser would have it; the host is absent where only a path was named.
    host: Option<String>,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Request {
    /// # Errors
    /// There is no such file, it is no request, or no client claims it.
    pub fn read(&self) -> anyhow::Result<(Client, Hit)> {
        let mut asked = self.asked()?;
        // Replaces what the request itself has of these names.
        asked.headers.extend(headers(&self.headers)?);
        let claims = |client: &Client| {
            // Behind a path of the site, as with --path-prefix.
            asked.path.ends_with(client.path())
        };
        let client = Client::ALL.into_iter().find(claims).with_context(|| {
            let paths = Client::ALL.map(Client::path).join(", ");
            format!("no client claims hits of {}; there are {paths}", asked.path)
        })?;
        let host = self.host.clone().or(asked.host).unwrap_or_else(|| "localhost".to_owned());
        // No key is at hand here to compare with, and nothing is sent.
        let through = match write_keys::bearer(&asked.headers) {
            Some(_) => Through::ServerWithKey,
            None => Through::TrustedProxy,
        };
        asked.headers.remove(header::AUTHORIZATION);
        let received = Timestamp::now();
        let hit = Hit {
            id: app::hit_id(received),
            received,
            method: asked.method,
            path: client.path().into(),
            query: asked.query.into(),
            headers: asked.headers,
            through,
            address: Some(self.address),
            detail: Detail::default(),
            host: host.to_ascii_lowercase().into(),
            body: asked.body.into(),
        };
        Ok((client, hit))
    }

    fn asked(&self) -> anyhow::Result<Asked> {
        if is_address(&self.hit) {
            return Asked::get(&self.hit);
        }
        if curl::is_command(&self.hit) {
            return Asked::by_curl(curl::read(&self.hit)?);
        }
        let mut body = Vec::new();
        if self.hit == "-" {
            io::stdin().lock().read_to_end(&mut body).context("cannot read standard input")?;
        } else {
            body = fs::read(&self.hit).with_context(|| format!("cannot read {}", self.hit))?;
        }
        match std::str::from_utf8(&body) {
            Ok(text) if self.curl || curl::is_command(text) => Asked::by_curl(curl::read(text)?),
            Err(_) if self.curl => anyhow::bail!("the curl command is not UTF-8 text"),
            Ok(_) | Err(_) => Ok(Asked { body, ..Asked::get(Client::DataLayer.path())? }.posted()),
        }
    }
}

/// Whether an argument is an address rather than a file: it has a scheme, or it is a path that clients claim and no file.
fn is_address(text: &str) -> bool {
    let has_scheme = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
    let path = text.split('?').next().unwrap_or_default();
    let is_claimed = text.starts_with('/') && Client::ALL.iter().any(|client| path.ends_with(client.path()));
    has_scheme || is_claimed && !Path::new(text).exists()
}

impl Asked {
    fn get(address: &str) -> anyhow::Result<Self> {
        let (host, path, query) = if address.starts_with('/') {
            let (path, query) = address.split_once('?').unwrap_or((address, ""));
            (None, path.to_owned(), query.split('#').next().unwrap_or_default().to_owned())
        } else {
            // curl takes an address without a scheme too.
            let address = if address.contains("://") { address.to_owned() } else { format!("https://{address}") };
            let url = Url::parse(&address).with_context(|| format!("{address} is no address"))?;
            let query = url.query().unwrap_or_default().to_owned();
            (url.host_str().map(str::to_owned), url.path().to_owned(), query)
        };
        Ok(Self { method: Method::GET, host, path, query, headers: HeaderMap::new(), body: Vec::new() })
    }

    fn posted(self) -> Self {
        Self { method: Method::POST, ..self }
    }

    fn by_curl(curl: Curl) -> anyhow::Result<Self> {
        let mut asked = Self::get(&curl.url)?;
        if let Some(body) = curl.body {
            asked = Self { body: body.into_bytes(), ..asked }.posted();
        }
        if let Some(method) = curl.method {
            asked.method = Method::from_bytes(method.as_bytes()).with_context(|| format!("{method:?} is no method"))?;
        }
        // `-H 'Name:'` takes a header out, and curl takes `-H 'Name;'` for one without a value.
        let has_value = |header: &&String| match header.split_once(':') {
            Some((_, value)) => !value.trim().is_empty(),
            None => !header.ends_with(';'),
        };
        asked.headers = headers(curl.headers.iter().filter(has_value))?;
        if let Some(host) = asked.headers.remove(header::HOST) {
            let host = host.to_str().context("the header Host is no text")?;
            asked.host = Some(host.rsplit_once(':').map_or(host, |(host, _)| host).to_owned());
        }
        Ok(asked)
    }
}

fn headers<'h>(lines: impl IntoIterator<Item = &'h String>) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').with_context(|| format!("{line:?} is not NAME: VALUE"))?;
        let name = HeaderName::try_from(name.trim()).with_context(|| format!("{name:?} is no header name"))?;
        headers.append(name, HeaderValue::try_from(value.trim()).context("a header cannot have this value")?);
    }
    Ok(headers)
}
