//! Hosts that a tag's calls may go to.

use std::fmt;

use url::Url;

/// A host, or all under a domain, of any scheme and port; or one origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// `https://api.example.com:8443`: what a tag's own address names.
    Origin(Box<str>),
    /// `api.example.com`: https, on its usual port.
    Name(Box<str>),
    /// `*.example.com`: the same, for every host under it.
    Under(Box<str>),
}

impl Host {
    /// Reads what a manifest lists: a host's name, alone or behind `*.`.
    pub fn listed(text: &str) -> Option<Self> {
        let (name, under) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
        let is_label = |label: &str| {
            !label.is_empty() && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        };
        let is_name = name.split('.').all(is_label) && (!under || name.contains('.'));
        is_name.then(|| if under { Self::Under(name.into()) } else { Self::Name(name.into()) })
    }

    /// Whether calls to this origin, such as `https://api.example.com`, are among them.
    pub fn covers(&self, origin: &str) -> bool {
        match (self, origin.strip_prefix("https://")) {
            (Self::Origin(own), _) => **own == *origin,
            (Self::Name(own), Some(host)) => **own == *host,
            (Self::Under(domain), Some(host)) => {
                host.strip_suffix(&**domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (Self::Name(_) | Self::Under(_), None) => false,
        }
    }

    /// The origin, if what is sent there can be read on its way to another machine.
    pub fn in_the_clear(&self) -> Option<&str> {
        let Self::Origin(origin) = self else { return None };
        let url = Url::parse(origin).ok().filter(|url| url.scheme() == "http")?;
        let is_here = match url.host()? {
            url::Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            url::Host::Ipv4(address) => address.is_loopback(),
            url::Host::Ipv6(address) => address.is_loopback(),
        };
        (!is_here).then_some(origin)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Origin(text) | Self::Name(text) => f.write_str(text),
            Self::Under(domain) => write!(f, "*.{domain}"),
        }
    }
}

/// Hosts as part of a sentence.
pub struct Hosts<'a>(pub &'a [Host]);

impl fmt::Display for Hosts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (position, host) in self.0.iter().enumerate() {
            let lead = if position == 0 { "" } else { ", " };
            write!(f, "{lead}{host}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_cover_themselves_and_what_is_under_a_star() {
        let host = |text| Host::listed(text).unwrap();
        assert!(host("api.example.com").covers("https://api.example.com"));
        assert!(host("*.example.com").covers("https://api.example.com"));
        assert!(host("*.example.com").covers("https://a.b.example.com"));
        assert!(Host::Origin("http://127.0.0.1:8080".into()).covers("http://127.0.0.1:8080"));
        for (listed, origin) in [
            ("api.example.com", "http://api.example.com"),
            ("api.example.com", "https://api.example.com:8443"),
            ("api.example.com", "https://evil-api.example.com"),
            ("*.example.com", "https://example.com"),
            ("*.example.com", "https://evilexample.com"),
            ("*.example.com", "https://.example.com"),
            ("*.example.com", "https://example.com.evil.test"),
        ] {
            assert!(!host(listed).covers(origin), "{listed} {origin}");
        }
    }

    #[test]
    fn what_is_no_host_is_not_read() {
        for text in
            ["", "*", "*.", "*.com", "API.example.com", "https://a.example", "a.example/", "a..b", "a b", "a.example:1"]
        {
            assert_eq!(Host::listed(text), None, "{text}");
        }
    }
}
