//! Which addresses calls may go to: those of the public internet, and what the operator exempted. Names are judged by
//! every address that they resolve to, at the moment of connecting, so that a name cannot be looked at under one address
//! and called under another.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use ipnet::Ipv6Net;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// IPv4 that is not the public internet's, or that nobody has a service at: first address, prefix length (IANA's
/// special-purpose registry, and 168.63.129.16, the host behind virtual machines at Azure).
const CLOSED_V4: [(Ipv4Addr, u8); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// Of IPv6 only what is handed out is open, `2000::/3`, less these.
const CLOSED_V6: [&str; 3] = ["2001::/23", "2001:db8::/32", "3fff::/20"];
const OPEN_V6: &str = "2000::/3";

/// Whether an address belongs to the public internet. One that carries an IPv4 address (mapped, NAT64, 6to4) is judged
/// by that.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(carried) => is_public_v4(carried),
            None => within(address, OPEN_V6) && !CLOSED_V6.iter().any(|network| within(address, network)),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    !CLOSED_V4.iter().any(|(first, length)| (bits ^ first.to_bits()) >> (32 - u32::from(*length)) == 0)
}

fn within(address: Ipv6Addr, network: &str) -> bool {
    network.parse::<Ipv6Net>().is_ok_and(|network| network.contains(&address))
}

fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = address.octets();
    let ipv4 =
        |from: usize| octets.get(from..from + 4).and_then(|four| <[u8; 4]>::try_from(four).ok()).map(Ipv4Addr::from);
    match address.segments() {
        // ::ffff:0:0/96 and the translated ::ffff:0:0:0/96; the compatible ::/96 is closed with the rest of ::/8.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => ipv4(12),
        // NAT64, 64:ff9b::/96; the local 64:ff9b:1::/48 is closed.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => ipv4(12),
        // 6to4, 2002::/16.
        [0x2002, ..] => ipv4(2),
        _ => None,
    }
}

/// A host, and a port unless all are meant, that the operator lets calls go to wherever it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exempt {
    host: Box<str>,
    port: Option<u16>,
}

impl FromStr for Exempt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("{text:?} is no HOST or HOST:PORT");
        let has_port = text.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
        let url = Url::parse(&format!("http://{text}/")).map_err(|_| fault())?;
        let host = url.host_str().filter(|_| url.username().is_empty() && url.path() == "/").ok_or_else(fault)?;
        let port = if has_port { Some(url.port_or_known_default().ok_or_else(fault)?) } else { None };
        Ok(Self { host: host.into(), port })
    }
}

impl<'de> serde::Deserialize<'de> for Exempt {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What may be called.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    exempt: Arc<BTreeSet<Exempt>>,
}

/// Why a call does not go out.
#[derive(Debug)]
pub struct Closed {
    host: String,
    address: IpAddr,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, address } = self;
        write!(f, "{host} is at {address}, which is not an address of the public internet; ")?;
        f.write_str("if it is meant to be called, say --allow-private-hosts")
    }
}

impl std::error::Error for Closed {}

impl Guard {
    pub fn new(exempt: impl IntoIterator<Item = Exempt>) -> Self {
        Self { exempt: Arc::new(exempt.into_iter().collect()) }
    }

    /// Whether the operator exempted where this address leads.
    pub fn exempts(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        let is = |port| self.exempt.contains(&Exempt { host: host.into(), port });
        is(None) || is(url.port_or_known_default())
    }

    /// Judges an address whose host is written as a number, which nobody looks up.
    ///
    /// # Errors
    /// If it is not a public one.
    pub fn judge_literal(url: &Url) -> Result<(), Closed> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        if is_public(address) { Ok(()) } else { Err(Closed { host: "the host".to_owned(), address }) }
    }
}

/// Looks names up, and gives nothing of a name that has an address which is not public.
pub struct PublicNames;

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(judged(name.as_str(), found)?)
        })
    }
}

fn judged(name: &str, found: Vec<SocketAddr>) -> Result<Addrs, Closed> {
    match found.iter().find(|found| !is_public(found.ip())) {
        Some(closed) => Err(Closed { host: name.to_owned(), address: closed.ip() }),
        None => Ok(Box::new(found.into_iter())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_public_internet_is_open() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "2002:7f00:1::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn every_spelling_of_a_number_is_judged() {
        for text in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://[::1]/",
            "http://[::ffff:7f00:1]/",
            "http://１２７.0.0.1/",
        ] {
            assert!(Guard::judge_literal(&Url::parse(text).unwrap()).is_err(), "{text}");
        }
        for text in ["http://8.8.8.8/", "https://api.example.com/", "http://localhost/"] {
            assert!(Guard::judge_literal(&Url::parse(text).unwrap()).is_ok(), "{text}");
        }
    }

    #[tokio::test]
    async fn names_are_judged_by_what_they_resolve_to() {
        let error = PublicNames.resolve("localhost".parse().unwrap()).await.err().expect("loopback is closed");
        assert!(error.to_string().starts_with("localhost is at "), "{error}");
        let mixed = ["8.8.8.8:0", "10.0.0.1:0"].map(|address| address.parse().unwrap());
        assert!(judged("mixed.example", mixed.to_vec()).is_err(), "one closed address closes the name");
        assert!(judged("open.example", vec![mixed[0]]).is_ok());
    }

    #[test]
    fn exemptions_name_a_host_and_perhaps_a_port() {
        let guard =
            Guard::new(["localhost", "127.0.0.1:8080", "[::1]:80", "Crm.internal"].map(|text| text.parse().unwrap()));
        for text in [
            "http://localhost/",
            "https://localhost:9/",
            "http://127.0.0.1:8080/x",
            "http://[::1]/",
            "https://crm.internal/",
        ] {
            assert!(guard.exempts(&Url::parse(text).unwrap()), "{text}");
        }
        for text in ["http://127.0.0.1/", "http://127.0.0.1:8081/", "http://[::1]:81/", "https://a.crm.internal/"] {
            assert!(!guard.exempts(&Url::parse(text).unwrap()), "{text}");
        }
        for text in ["", "a b", "http://a/", "a/b", "u@a", "a:99999"] {
            assert!(text.parse::<Exempt>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_address_that_carries_another_is_judged_by_it(bits: u32) {
            let carried = Ipv4Addr::from_bits(bits);
            let mapped = IpAddr::V6(carried.to_ipv6_mapped());
            let [a, b, c, d] = carried.octets();
            let tail = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
            let nat64 = IpAddr::V6(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, tail[0], tail[1]));
            let six_to_four = IpAddr::V6(Ipv6Addr::new(0x2002, tail[0], tail[1], 0, 0, 0, 0, 1));
            for address in [mapped, nat64, six_to_four] {
                prop_assert_eq!(is_public(address), is_public(IpAddr::V4(carried)));
            }
        }
    }
}
