//! The hit that `tidegate trace` follows: takes what the command line names (a file, standard input, an address, a request
//! as browsers copy it); gives the hit, and the client that claims it, or what the server would refuse it with.

use std::{
    fs,
    io::{self, Read, Write},
    net::IpAddr,
    path::Path,
};

use anyhow::{Context as _, bail, ensure};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use clap::Args;
use url::Url;

use super::{curl, fetch};
use crate::{
    app,
    client::{Client, MAX_BODY},
    client_address::bare_host,
    collect,
    error::Refusal,
    hit::{Hit, Through},
    privacy::Detail,
    time::Timestamp,
    write_keys,
};

#[derive(Args, Debug)]
pub(super) struct Request {
    /// A file, - for standard input, or the text itself in quotes: the body of POST /hit (in a file or piped in); a hit's
    /// address, whole or from its path on, such as "/g/collect?v=2&tid=G-TEST&en=page_view"; or a request as browsers copy
    /// it, as cURL (bash, or POSIX) or as fetch
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

/// A request as somebody copied it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Copied {
    pub url: String,
    pub method: Option<String>,
    /// In order, as `NAME: VALUE`.
    pub headers: Vec<String>,
    pub body: Option<String>,
}

/// What becomes of a request before the container has a say.
pub(super) enum Arrival {
    Hit(Client, Box<Hit>),
    Refused(Refusal),
}

/// What can be followed.
pub(super) const FORMS: &str =
    "a hit is the JSON body of POST /hit, an address, or a request copied as cURL (bash or POSIX) or as fetch";

/// More is not read: no body may be so large, however it is quoted.
const MAX_READ: usize = 16 * MAX_BODY;

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
    /// What the request comes to; pages of which origins may send beside those of the tagging host's own site, `listed`
    /// says.
    ///
    /// # Errors
    /// There is no such file, it is no request, or no client claims it.
    pub fn read(&self, listed: impl Fn(&str) -> bool) -> anyhow::Result<Arrival> {
        let mut asked = self.asked()?;
        // Replaces what the request itself has of these names.
        asked.headers.extend(headers(&self.headers)?);
        let client = claiming(&asked.path).with_context(|| {
            let paths = Client::ALL.map(Client::path).join(", ");
            format!("no client claims hits of {}; there are {paths}", asked.path)
        })?;
        let host = self.host.clone().or(asked.host.take()).map(|host| host.to_ascii_lowercase());
        if let Err(refusal) = asked.is_fit(client, host.as_deref(), listed) {
            return Ok(Arrival::Refused(refusal));
        }
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
            host: host.unwrap_or_else(|| "localhost".to_owned()).into(),
            body: asked.body.into(),
        };
        Ok(Arrival::Hit(client, Box::new(hit)))
    }

    fn asked(&self) -> anyhow::Result<Asked> {
        if let Some(asked) = Asked::by_text(&self.hit) {
            return asked;
        }
        let is_body = self.hit.trim_start().starts_with(['{', '[']);
        let mut body = Vec::new();
        ensure!(!self.hit.trim().is_empty(), "no hit was named; {FORMS}");
        if let Some(remedy) = elsewhere(&self.hit) {
            bail!(remedy);
        } else if self.hit == "-" {
            io::stdin().lock().take(MAX_READ as u64).read_to_end(&mut body).context("cannot read standard input")?;
        } else if is_body {
            body.extend_from_slice(self.hit.as_bytes());
        } else {
            let file = fs::File::open(&self.hit).with_context(|| format!("cannot read {}", self.hit))?;
            file.take(MAX_READ as u64).read_to_end(&mut body).with_context(|| format!("cannot read {}", self.hit))?;
        }
        // Editors of Windows put a mark before a text.
        let body = body.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(&body).to_vec();
        let Ok(text) = std::str::from_utf8(&body) else {
            ensure!(!self.curl, "the curl command is not UTF-8 text");
            return Asked::body(body);
        };
        ensure!(!text.trim().is_empty(), "there is nothing in it; {FORMS}");
        if self.curl {
            return Asked::copied(curl::read(text)?);
        }
        if let Some(remedy) = elsewhere(text) {
            bail!(remedy);
        }
        match Asked::by_text(text) {
            Some(asked) => asked,
            None => Asked::body(body),
        }
    }
}

/// The client that claims hits of a path, which may stand behind a path of the site, as with --path-prefix.
fn claiming(path: &str) -> Option<Client> {
    Client::ALL.into_iter().find(|client| path.ends_with(client.path()))
}

/// Whether a text is an address rather than a file: it has a scheme, or clients claim its path, with or without a host
/// before it, and there is no such file.
fn is_address(text: &str) -> bool {
    if text.contains(char::is_whitespace) {
        return false;
    }
    let has_scheme = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
    has_scheme || claiming(text.split('?').next().unwrap_or_default()).is_some() && !Path::new(text).exists()
}

/// What to do with a text that is a request in a form that is not read here.
fn elsewhere(text: &str) -> Option<&'static str> {
    const HEAD: usize = 2_000;
    let text = text.trim_start_matches(['\u{FEFF}', ' ', '\n', '\r', '\t']);
    let head: String = text.chars().take(HEAD).filter(|c| !c.is_whitespace()).collect();
    let first = text.lines().next().unwrap_or_default().trim_end();
    if head.starts_with('{') {
        let is_har = head.starts_with("{\"log\":{");
        return is_har.then_some("this is a HAR file, of many requests: copy one of them, as cURL (bash) or as fetch");
    }
    if head.contains("Invoke-WebRequest") || head.contains("Invoke-RestMethod") {
        return Some("this is for PowerShell, which is not read here: copy it as cURL (bash) or as fetch");
    }
    if first.rsplit_once(" HTTP/").is_some_and(|(_, version)| version.len() <= 3) {
        return Some("this is the head of a request, which is not read here: copy it as cURL (bash) or as fetch");
    }
    None
}

impl Asked {
    /// A text that is a request by itself; `None` if it is none of these.
    fn by_text(text: &str) -> Option<anyhow::Result<Self>> {
        let line = text.trim();
        if curl::is_command(text) {
            Some(curl::read(text).and_then(Self::copied))
        } else if fetch::is_call(text) {
            Some(fetch::read(text).and_then(Self::copied).inspect(Self::miss_cookies))
        } else if is_address(line) {
            Some(Self::get(line))
        } else {
            None
        }
    }

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

    /// The body of `POST /hit`.
    fn body(body: Vec<u8>) -> anyhow::Result<Self> {
        Ok(Self { body, ..Self::get(Client::DataLayer.path())? }.posted())
    }

    fn posted(self) -> Self {
        Self { method: Method::POST, ..self }
    }

    fn copied(copied: Copied) -> anyhow::Result<Self> {
        let mut asked = Self::get(&copied.url)?;
        if let Some(body) = copied.body {
            asked = Self { body: body.into_bytes(), ..asked }.posted();
        }
        if let Some(method) = copied.method {
            asked.method = Method::from_bytes(method.as_bytes()).with_context(|| format!("{method:?} is no method"))?;
        }
        // `-H 'Name:'` takes a header out, and curl takes `-H 'Name;'` for one without a value.
        let has_value = |header: &&String| match header.split_once(':') {
            Some((_, value)) => !value.trim().is_empty(),
            None => !header.ends_with(';'),
        };
        asked.headers = headers(copied.headers.iter().filter(has_value))?;
        if let Some(host) = asked.headers.remove(header::HOST) {
            let host = host.to_str().context("the header Host is no text")?;
            asked.host = Some(bare_host(host).into());
        }
        Ok(asked)
    }

    /// Browsers leave cookies out of what they copy as fetch.
    fn miss_cookies(&self) {
        if !self.headers.contains_key(header::COOKIE) {
            let note = "a request copied as fetch has no cookies, nor what they say of consent; copied as cURL it has";
            // Whoever does not read this sees it under Request.
            let _ = writeln!(io::stderr(), "note: {note}");
        }
    }

    /// What the server looks at before it reads a hit, in its order. Which site's own pages send to a host that nobody
    /// named, nobody can say.
    fn is_fit(&self, client: Client, host: Option<&str>, listed: impl Fn(&str) -> bool) -> Result<(), Refusal> {
        if let Some(host) = host {
            collect::origin(&self.headers, host, listed)?;
        }
        collect::takes_method(client, &self.method)?;
        collect::takes_media(client, &self.headers)?;
        if self.body.len() > MAX_BODY { Err(Refusal::TooLarge { limit: MAX_BODY }) } else { Ok(()) }
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
