//! Network addresses, cut short as Google Analytics cut them: takes one, or a text that is one; gives the network that it
//! lies in. Of IPv4 the last of four bytes goes, of IPv6 all after the first 48 bits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const V4: u32 = 0xffff_ff00;
const V6: u128 = u128::MAX << 80;
/// An address of 6to4 holds one of IPv4 in its first 48 bits (RFC 3056).
const SIX_TO_FOUR: u128 = u128::MAX << 88;

/// The longest text that is an address, with brackets and a port.
const MAX_TEXT: usize = 56;

/// An IPv4 address that is written as one of IPv6 is one of IPv4.
pub fn truncated(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & V4)),
        IpAddr::V6(address) => {
            let mask = if address.segments()[0] == 0x2002 { SIX_TO_FOUR } else { V6 };
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

/// A text that is an address and nothing else, cut short; a port goes too. `None` if it is none.
pub fn truncated_text(text: &str) -> Option<String> {
    parse(text).map(|address| truncated(address).to_string())
}

/// Whether one of the texts between commas is an address, as in `X-Forwarded-For` and its like.
pub fn holds_one(text: &str) -> bool {
    text.split(',').any(|part| parse(part).is_some())
}

fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    if text.len() > MAX_TEXT || !text.contains(['.', ':']) {
        return None;
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    // A zone names an interface of the machine that wrote the address.
    let bare = bare.split('%').next().unwrap_or(bare);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_keep_their_network() {
        for (text, cut) in [
            ("203.0.113.7", "203.0.113.0"),
            (" 203.0.113.7:443 ", "203.0.113.0"),
            ("::ffff:203.0.113.7", "203.0.113.0"),
            ("2001:db8:1234:5678:9abc:def0:1234:5678", "2001:db8:1234::"),
            ("[2001:db8:1234:5678::1]:443", "2001:db8:1234::"),
            ("[2001:db8:1234:5678::1]", "2001:db8:1234::"),
            ("fe80:1:2:3::1%eth0", "fe80:1:2::"),
            // 203.0.113.7 by 6to4.
            ("2002:cb00:7107:1::1", "2002:cb00:7100::"),
            ("::1", "::"),
        ] {
            assert_eq!(truncated_text(text).as_deref(), Some(cut), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_addresses() {
        for text in ["", "1", "10.5", "v1.2.3.4", "1.2.3", "1.2.3.4.5", "a:b", "12:30", "203.0.113.7 or so", "::g"] {
            assert_eq!(truncated_text(text), None, "{text}");
        }
        assert!(holds_one("unknown, 203.0.113.7:80") && !holds_one("en-US,en;q=0.5"));
    }

    proptest! {
        #[test]
        fn what_is_cut_short_stays_so(bits: u128, v4: u32) {
            for address in [IpAddr::V6(bits.into()), IpAddr::V4(v4.into())] {
                prop_assert_eq!(truncated(truncated(address)), truncated(address));
            }
        }

        #[test]
        fn never_panics(text in ".*") {
            truncated_text(&text);
        }
    }
}
