//! Addresses of every form.

use proptest::prelude::*;

use super::*;

const PARTS: [AddressPart; 7] = [
    AddressPart::Protocol,
    AddressPart::Host,
    AddressPart::HostWithoutWww,
    AddressPart::Port,
    AddressPart::Path,
    AddressPart::Query,
    AddressPart::Fragment,
];

/// Every part of an address, `-` where there is none, divided by spaces.
fn parts(address: &str) -> String {
    let shown = PARTS.iter().map(|part| match part.of(address) {
        None => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "''".to_owned(),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn parts_are_those_that_a_browser_sees() {
    for (address, expected) in [
        ("https://www.Shop.example.com/a/b?c=d#e", "https www.shop.example.com shop.example.com 443 /a/b c=d e"),
        ("http://www2.a.test:8080", "http www2.a.test a.test 8080 / - -"),
        ("https://ada:secret@a.test/?#", "https a.test a.test 443 / '' ''"),
        ("https://[2001:DB8::1]:8443/x", "https [2001:db8::1] [2001:db8::1] 8443 /x - -"),
        ("https://192.0.2.1/", "https 192.0.2.1 192.0.2.1 443 / - -"),
        ("https://bücher.example/é é", "https xn--bcher-kva.example xn--bcher-kva.example 443 /%C3%A9%20%C3%A9 - -"),
        ("https://a.test/caf%C3%A9/%2F", "https a.test a.test 443 /caf%C3%A9/%2F - -"),
        ("https://a.test/x?y#z?1#2", "https a.test a.test 443 /x y z?1#2"),
        ("https://a.test?b=/c", "https a.test a.test 443 / b=/c -"),
        ("https://wwwxyz.test", "https wwwxyz.test wwwxyz.test 443 / - -"),
        ("https://www.", "https www. www. 443 / - -"),
        ("android-app://com.example.app/x", "android-app com.example.app com.example.app - /x - -"),
        ("mailto:ada@example.com", "mailto - - - - - -"),
        ("about:blank", "about - - - - - -"),
        ("file:///etc/x", "file - - - /etc/x - -"),
    ] {
        assert_eq!(parts(address), expected, "{address}");
    }
}

#[test]
fn what_is_no_whole_address_has_the_parts_that_it_shows() {
    for (address, expected) in [
        ("/a/b?c=d#e", "- - - - /a/b c=d e"),
        ("//a.test/x?y", "- - - - - y -"),
        ("a.test/x?y#z", "- - - - - y z"),
        ("?c=d", "- - - - - c=d -"),
        ("#e", "- - - - - - e"),
        ("https://", "- - - - - - -"),
        ("https://a b/c", "- - - - - - -"),
        ("https://a.test:99999/x?y", "- - - - - y -"),
        ("", "- - - - - - -"),
        ("words", "- - - - - - -"),
    ] {
        assert_eq!(parts(address), expected, "{address}");
    }
}

fn parameter_of(address: &str, name: &str) -> Option<Value> {
    AddressPart::Parameter(name.into()).of(address)
}

#[test]
fn parameters_are_decoded_and_the_fragment_is_not_theirs() {
    let address = "https://a.test/p?x=1&utm_source=chat%20gpt&x=2#x=3";
    assert_eq!(parameter_of(address, "x"), Some("1".into()));
    assert_eq!(parameter_of(address, "utm_source"), Some("chat gpt".into()));
    assert_eq!(parameter_of(address, "y"), None);
    assert_eq!(parameter_of("https://a.test/p#?x=1", "x"), None);
    assert_eq!(parameter_of("/relative?x=%zz", "x"), Some("%zz".into()));
    assert_eq!(parameter_of("?x=%ff+1", "x"), Some("\u{fffd} 1".into()));
    assert_eq!(parameter_of("?x", "x"), Some("".into()));
}

proptest! {
    #[test]
    fn any_text_has_a_part_or_not(address in "(https?:|//|/|\\?|#|@|:|\\[|\\]|%|www\\.|é|\\PC){0,40}", name in ".{0,5}") {
        for part in PARTS.into_iter().chain([AddressPart::Parameter(name.into())]) {
            part.of(&address);
        }
    }

    #[test]
    fn an_encoded_value_comes_back(value in ".{0,20}") {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("a", "1").append_pair("x", &value).finish();
        prop_assert_eq!(parameter_of(&format!("https://a.test/?{query}#x=2"), "x"), Some(value.into()));
    }

    #[test]
    fn what_an_address_is_made_of_comes_back(
        host in "[a-z]{1,8}\\.(test|example)", port in 1024_u16.., path in "(/[a-z0-9]{0,5}){1,4}",
        query in "[a-z=&]{0,9}", fragment in "[a-z]{0,5}",
    ) {
        let address = format!("https://{host}:{port}{path}?{query}#{fragment}");
        prop_assert_eq!(parts(&address).replace("''", ""), format!("https {host} {host} {port} {path} {query} {fragment}"));
    }
}
