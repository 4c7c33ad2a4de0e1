//! Cookies: reading those that a hit brought, and writing first-party ones that a permitted tag asked for.
//!
//! The domain is the registrable domain of the host that the browser asked for, never of the page's address; a page of
//! another site gets no cookie. Values are written as they are or not at all.

use std::{fmt, net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};

/// The longest value that is written, in bytes.
pub const MAX_VALUE: usize = 2048;

/// A cookie as a script asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetCookie {
    pub name: Box<str>,
    /// Written as it is; empty on an expiry.
    pub value: Box<str>,
    /// How long it lives; `None` until the browser closes, zero expires it now.
    pub max_age: Option<Duration>,
    pub same_site: SameSite,
    pub http_only: HttpOnly,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SameSite {
    #[default]
    Lax,
    Strict,
    None,
}

/// Whether the page's scripts may read the cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HttpOnly {
    #[default]
    Off,
    On,
}

/// Why a cookie is not written. The words go to the trace; they never quote the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CookieRefusal {
    NotFirstParty,
    BadName,
    BadValue,
    TooLong,
}

impl fmt::Display for CookieRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFirstParty => "not first-party: the page is of another site than the tagging host",
            Self::BadName => "the name is empty or holds characters that no cookie name may hold",
            Self::BadValue => "the value holds characters that no cookie value may hold; it is never altered",
            Self::TooLong => "the value is longer than 2 KB; it is never cut",
        })
    }
}

/// Whether a browser could send this cookie. It sends more than a server may write.
pub fn can_be_sent(name: &str, value: &str) -> bool {
    let stays = |c: char| !c.is_control() && c != ';';
    !name.is_empty() && name.chars().all(|c| stays(c) && c != '=' && !c.is_whitespace()) && value.chars().all(stays)
}

impl SetCookie {
    /// The `Set-Cookie` header for an answer to `host`, or why there is none. `page_host` is the host of the page that
    /// sent the hit, if it said.
    pub fn header(&self, host: &str, page_host: Option<&str>) -> Result<String, CookieRefusal> {
        if page_host.is_some_and(|page| site(page) != site(host)) {
            return Err(CookieRefusal::NotFirstParty);
        }
        if self.name.is_empty() || !self.name.bytes().all(is_token_byte) {
            return Err(CookieRefusal::BadName);
        }
        if self.value.len() > MAX_VALUE {
            return Err(CookieRefusal::TooLong);
        }
        if !self.value.bytes().all(is_cookie_octet) {
            return Err(CookieRefusal::BadValue);
        }
        let mut header = format!("{}={}; Path=/", self.name, self.value);
        if let Some(domain) = registrable_domain(host) {
            header.push_str("; Domain=");
            header.push_str(domain);
        }
        if let Some(max_age) = self.max_age {
            header.push_str(&format!("; Max-Age={}", max_age.as_secs()));
        }
        header.push_str(match self.same_site {
            SameSite::Lax => "; SameSite=Lax",
            SameSite::Strict => "; SameSite=Strict",
            SameSite::None => "; SameSite=None",
        });
        if self.http_only == HttpOnly::On {
            header.push_str("; HttpOnly");
        }
        if !is_loopback(host) {
            header.push_str("; Secure");
        }
        Ok(header)
    }

    /// The cookie that makes a browser forget `name`.
    pub fn expiry(name: &str) -> Self {
        Self {
            name: name.into(),
            value: "".into(),
            max_age: Some(Duration::ZERO),
            same_site: SameSite::Lax,
            http_only: HttpOnly::Off,
        }
    }
}

/// The registrable domain of a host by the public suffix list, its private section included; `None` for an address,
/// a single label or a public suffix, whose cookies are host-only.
pub fn registrable_domain(host: &str) -> Option<&str> {
    if host.parse::<IpAddr>().is_ok() || host.starts_with('[') {
        return None;
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let domain = psl::domain(host.as_bytes())?;
    // The list's wildcard rule makes a domain of any two labels; `localhost` and friends are kept host-only.
    domain.suffix().is_known().then(|| std::str::from_utf8(domain.as_bytes()).ok()).flatten()
}

/// What two hosts must share to be one site: the registrable domain, else the host itself.
pub fn site(host: &str) -> &str {
    registrable_domain(host).unwrap_or(host)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// RFC 6265, `cookie-octet`.
fn is_cookie_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

/// RFC 9110, `tchar`.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The value of the first cookie of this name in a `Cookie` header, as it stands there. Browsers send raw UTF-8 in
/// cookies that pages set; only the one that is asked for need be text.
pub fn find<'h>(header: &'h [u8], name: &str) -> Option<&'h str> {
    let pairs = header.split(|byte| *byte == b';').filter_map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        Some((pair.get(..equals)?.trim_ascii(), pair.get(equals + 1..)?.trim_ascii()))
    });
    let found = pairs.into_iter().find(|(key, _)| *key == name.as_bytes());
    found.and_then(|(_, value)| std::str::from_utf8(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn click_id(value: &str) -> SetCookie {
        SetCookie {
            name: "__oppref".into(),
            value: value.into(),
            max_age: Some(Duration::from_secs(30 * 86_400)),
            same_site: SameSite::Lax,
            http_only: HttpOnly::Off,
        }
    }

    #[test]
    fn the_domain_is_the_registrable_one_of_the_asked_host() {
        let header = click_id("gAAA=").header("t.shop.example.co.uk", Some("www.shop.example.co.uk"));
        assert_eq!(
            header.as_deref(),
            Ok("__oppref=gAAA=; Path=/; Domain=example.co.uk; Max-Age=2592000; SameSite=Lax; Secure")
        );
        for (host, domain) in [
            ("tags.example.com", Some("example.com")),
            ("shop.github.io", Some("shop.github.io")),
            ("github.io", None),
            ("com", None),
            ("localhost", None),
            ("127.0.0.1", None),
            ("[::1]", None),
            ("shop.localhost", None),
        ] {
            assert_eq!(registrable_domain(host), domain, "{host}");
        }
    }

    #[test]
    fn loopback_needs_no_secure_and_no_domain() {
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            assert_eq!(
                click_id("x").header(host, Some(host)).as_deref(),
                Ok("__oppref=x; Path=/; Max-Age=2592000; SameSite=Lax")
            );
        }
    }

    #[test]
    fn a_foreign_page_and_a_value_that_would_need_altering_are_refused() {
        assert_eq!(click_id("x").header("t.example.com", Some("evil.test")), Err(CookieRefusal::NotFirstParty));
        for bad in ["a b", "a;b", "a\"b", "a\\b", "a,b", "a\r\nb", "ä"] {
            assert_eq!(click_id(bad).header("t.example.com", None), Err(CookieRefusal::BadValue), "{bad:?}");
        }
        assert_eq!(click_id(&"x".repeat(2049)).header("t.example.com", None), Err(CookieRefusal::TooLong));
        let bad_name = SetCookie { name: "a=b".into(), ..click_id("x") };
        assert_eq!(bad_name.header("t.example.com", None), Err(CookieRefusal::BadName));
    }

    #[test]
    fn cookies_are_found_as_they_stand() {
        let header = b"a=1; name=\xff; __oppref=gAAA==; b=; __oppref=second";
        assert_eq!(find(header, "__oppref"), Some("gAAA=="));
        assert_eq!(find(header, "b"), Some(""));
        assert_eq!(find(header, "oppref"), None);
        assert_eq!(find(header, "name"), None);
        assert_eq!(find(b"", "a"), None);
    }
}
