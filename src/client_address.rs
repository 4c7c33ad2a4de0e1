//! Who asked, and for which host, where proxies may stand between: only what a trusted proxy forwarded is believed.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};
use ipnet::IpNet;

use crate::hit::Through;

/// The visitor as the request shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub address: IpAddr,
    /// Lower-case, without port; empty if the request named none.
    pub host: Box<str>,
    pub through: Through,
}

impl Caller {
    /// Reads the caller from a request; `X-Forwarded-*` only where the peer is a trusted proxy, from the right, so that
    /// what a visitor wrote into the header is never believed.
    pub fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address.to_canonical()));
        let own_host = text(headers, header::HOST.as_str());
        if !is_trusted(peer) {
            let host = bare_host(own_host.unwrap_or_default());
            return Self { address: peer.to_canonical(), host, through: Through::Strangers };
        }
        let hops = headers.get_all("x-forwarded-for").iter().map(|value| value.to_str().unwrap_or_default());
        let hops: Vec<&str> = hops.flat_map(|value| value.split(',')).collect();
        // What cannot be read was not written by a proxy, and neither was anything to its left.
        let mut address = peer;
        for hop in hops.iter().rev().map_while(|hop| hop_address(hop.trim())) {
            address = hop;
            if !is_trusted(hop) {
                break;
            }
        }
        let forwarded = headers.get_all("x-forwarded-host").iter().next_back().and_then(|hosts| hosts.to_str().ok());
        let forwarded = forwarded.and_then(|hosts| hosts.rsplit(',').next()).map(str::trim);
        let host = forwarded.filter(|host| !host.is_empty()).or(own_host).unwrap_or_default();
        Self { address: address.to_canonical(), host: bare_host(host), through: Through::TrustedProxy }
    }
}

/// An entry of `X-Forwarded-For`: an address; some proxies write the port as well.
fn hop_address(hop: &str) -> Option<IpAddr> {
    hop.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// A host without port and in lower case. An IPv6 address keeps its brackets; without any, its colons name no port.
pub fn bare_host(host: &str) -> Box<str> {
    let names_no_port = host.ends_with(']') || !host.starts_with('[') && host.matches(':').count() > 1;
    let name = if names_no_port { host } else { host.rsplit_once(':').map_or(host, |(name, _)| name) };
    name.to_ascii_lowercase().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    fn caller(peer: &str, pairs: &[(&'static str, &str)], trusted: &[&str]) -> (String, String) {
        let trusted: Vec<IpNet> = trusted.iter().map(|text| text.parse().expect("a network")).collect();
        let caller = Caller::of(peer.parse().expect("an address"), &headers(pairs), &trusted);
        (caller.address.to_string(), caller.host.to_string())
    }

    #[test]
    fn forwarded_headers_of_strangers_are_not_believed() {
        let pairs = [("host", "T.Example.com:8443"), ("x-forwarded-for", "1.2.3.4"), ("x-forwarded-host", "evil.test")];
        assert_eq!(caller("198.51.100.7", &pairs, &[]), ("198.51.100.7".into(), "t.example.com".into()));
        assert_eq!(caller("198.51.100.7", &pairs, &["10.0.0.0/8"]), ("198.51.100.7".into(), "t.example.com".into()));
    }

    #[test]
    fn only_a_peer_whom_the_operator_named_is_a_trusted_proxy() {
        let through = |peer: &str, trusted: &[&str]| {
            let trusted: Vec<IpNet> = trusted.iter().map(|text| text.parse().expect("a network")).collect();
            // A visitor may say that a trusted proxy stood in between.
            let headers = headers(&[("host", "a"), ("x-forwarded-for", "203.0.113.9, 10.0.0.1")]);
            Caller::of(peer.parse().expect("an address"), &headers, &trusted).through
        };
        assert_eq!(through("10.0.0.1", &["10.0.0.0/8"]), Through::TrustedProxy);
        assert_eq!(through("198.51.100.7", &["10.0.0.0/8"]), Through::Strangers);
        assert_eq!(through("10.0.0.1", &[]), Through::Strangers);
    }

    #[test]
    fn the_last_hop_that_is_no_proxy_is_the_visitor() {
        let pairs = [
            ("host", "inner"),
            ("x-forwarded-for", "6.6.6.6, 203.0.113.9, 10.1.1.1"),
            ("x-forwarded-host", "t.example.com"),
        ];
        assert_eq!(caller("10.0.0.1", &pairs, &["10.0.0.0/8"]), ("203.0.113.9".into(), "t.example.com".into()));
        let with_port = [("host", "a"), ("x-forwarded-for", "6.6.6.6, 203.0.113.9:443, 10.1.1.1")];
        assert_eq!(caller("10.0.0.1", &with_port, &["10.0.0.0/8"]), ("203.0.113.9".into(), "a".into()));
        let unreadable = [("host", "a"), ("x-forwarded-for", "6.6.6.6, unknown, 10.1.1.1")];
        assert_eq!(caller("10.0.0.1", &unreadable, &["10.0.0.0/8"]), ("10.1.1.1".into(), "a".into()));
        assert_eq!(caller("10.0.0.1", &[("host", "a")], &["10.0.0.0/8"]), ("10.0.0.1".into(), "a".into()));
    }

    #[test]
    fn hosts_lose_their_port_and_addresses_stay_whole() {
        for (host, bare) in [
            ("a.test:80", "a.test"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
            ("127.0.0.1:9", "127.0.0.1"),
            ("", ""),
        ] {
            assert_eq!(&*bare_host(host), bare);
        }
    }
}
