//! What no file of cases can hold: a hit that came through no trusted proxy, cookies that are no text.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn hit(headers: &[(&'static str, &[u8])], through: Through) -> Hit {
    let pair = |(name, value): &(&'static str, &[u8])| (name.parse().unwrap(), HeaderValue::from_bytes(value).unwrap());
    Hit {
        headers: headers.iter().map(pair).collect(),
        through,
        host: "tags.example.com".into(),
        ..Hit::silent(crate::time::Timestamp(0))
    }
}

fn with_region_header() -> ConsentSettings {
    let country = "cf-ipcountry".parse().unwrap();
    let subdivision = Some("cf-region-code".parse().unwrap());
    ConsentSettings { region_headers: RegionHeaders::Named { country, subdivision }, ..ConsentSettings::default() }
}

#[test]
fn only_a_trusted_proxy_knows_where_a_visitor_is() {
    let settings = with_region_header();
    let known = |code| Whereabouts::Known(Region::parse(code).unwrap());
    for (headers, through, expected) in [
        (&[("cf-ipcountry", &b"de"[..])][..], Through::TrustedProxy, known("DE")),
        (&[("cf-ipcountry", b"DE")], Through::Strangers, Whereabouts::NotTrusted),
        (&[("cf-ipcountry", b"US"), ("cf-region-code", b"CA")], Through::TrustedProxy, known("US-CA")),
        (&[("cf-ipcountry", b"US-CA")], Through::TrustedProxy, known("US-CA")),
        (&[("cf-ipcountry", b"US"), ("cf-region-code", b"California")], Through::TrustedProxy, known("US")),
        (&[("cf-region-code", b"CA")], Through::TrustedProxy, Whereabouts::NotReceived),
        (&[("cf-ipcountry", b"XX")], Through::TrustedProxy, Whereabouts::NotARegion),
        (&[("cf-ipcountry", b"\xff")], Through::TrustedProxy, Whereabouts::NotReceived),
        (&[], Through::Strangers, Whereabouts::NotReceived),
    ] {
        let hit = hit(headers, through);
        assert_eq!(whereabouts(&hit, &settings.region_headers), expected, "{headers:?}");
        assert_eq!(whereabouts(&hit, &RegionHeaders::None), Whereabouts::NotAsked);
    }
}

#[test]
fn a_header_without_a_cookie_of_a_cmp_leaves_nothing() {
    let hit = hit(&[("cookie", b"a=1; _ga=GA1.1.2.3; b=\xff")], Through::Strangers);
    let found = of_hit(&hit, &ConsentSettings::default());
    assert!(found.signals.is_empty() && found.answered.is_empty() && found.tcf.is_empty());
}

proptest! {
    #[test]
    fn any_cookies_are_read_or_refused(
        names in prop::collection::vec(
            prop::sample::select(vec![
                "CookieConsent", "OptanonConsent", "OptanonAlertBoxClosed", "cookieyes-consent", "cmplz_marketing",
                "cmplz_consent_mode", "axeptio_cookies", "axeptio_authorized_vendors", "euconsent-v2",
            ]),
            0..4,
        ),
        value in prop::collection::vec(0x20_u8..=0xff, 0..60).prop_map(|mut value| {
            value.retain(|byte| *byte != 0x7f);
            value
        }),
    ) {
        let mut header = Vec::new();
        for name in names {
            header.extend_from_slice(name.as_bytes());
            header.push(b'=');
            header.extend_from_slice(&value);
            header.extend_from_slice(b"; ");
        }
        of_hit(&hit(&[("cookie", &header), ("sec-gpc", &value)], Through::Strangers), &ConsentSettings::default());
    }
}
