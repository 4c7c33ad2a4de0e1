//! The click reference: takes a page's address and the `__oppref` cookie, gives the opaque `oppref` exactly as it
//! stands there. `OpenAI` asks integrators to pass it on unchanged: it is never decoded, trimmed, parsed or made up.

use serde_json::{Map, Value};

use super::present;

/// The first-party cookie that keeps it.
pub const COOKIE: &str = "__oppref";

/// A click reference and where it stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oppref<'a> {
    pub value: &'a str,
    pub found: FoundIn,
}

/// Where a click reference stood. Only a new one, from the page's address, is written to the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundIn {
    PageLocation,
    Cookie,
    /// A key of the event, for what a server or a point of sale reports about an earlier click.
    EventData,
}

impl FoundIn {
    pub fn name(self) -> &'static str {
        match self {
            Self::PageLocation => "page_location",
            Self::Cookie => "cookie",
            Self::EventData => "event data",
        }
    }
}

/// The event's click reference: from `page_location`, else from the cookie, else from the event's own keys `__oppref`
/// and `oppref`, or `__oppref` in its `common_cookie`. `taken_out` is what `page_location` brought and no longer has,
/// `cookie` the raw value, as the browser sent it.
pub fn find<'a>(
    event: &'a Map<String, Value>,
    taken_out: Option<&'a str>,
    cookie: Option<&'a str>,
) -> Option<Oppref<'a>> {
    let text = |map: &'a Map<String, Value>, key| present(map, key).and_then(Value::as_str).filter(|v| !v.is_empty());
    let from_url = || text(event, "page_location").and_then(in_url);
    let from_event = || {
        let common_cookie = || present(event, "common_cookie").and_then(Value::as_object);
        text(event, COOKIE)
            .or_else(|| text(event, "oppref"))
            .or_else(|| common_cookie().and_then(|cookies| text(cookies, COOKIE)))
    };
    let found_in = |found| move |value| Oppref { value, found };
    (taken_out.or_else(from_url).map(found_in(FoundIn::PageLocation)))
        .or_else(|| cookie.filter(|value| !value.is_empty()).map(found_in(FoundIn::Cookie)))
        .or_else(|| from_event().map(found_in(FoundIn::EventData)))
}

/// The first non-empty `oppref` in an address's query, as it stands there. The address may be malformed otherwise.
pub fn in_url(url: &str) -> Option<&str> {
    let before_fragment = url.split_once('#').map_or(url, |(before, _)| before);
    let (_, query) = before_fragment.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix("oppref=").filter(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_value_is_what_stands_in_the_query() {
        for (url, expected) in [
            ("https://shop.example/?oppref=gAAAA_-x", Some("gAAAA_-x")),
            ("https://shop.example/?a=1&oppref=gA%3D%3D&b=2", Some("gA%3D%3D")),
            ("https://shop.example/?oppref=a+b%20c==", Some("a+b%20c==")),
            ("https://shop.example/?oppref=x#oppref=y", Some("x")),
            ("https://shop.example/?oppref=&oppref=b&oppref=c", Some("b")),
            ("https://shop.example/?oppref=a?b/c;d", Some("a?b/c;d")),
            ("/p?oppref=x", Some("x")),
            ("://%%%?&&oppref=x", Some("x")),
            ("?oppref=x", Some("x")),
            ("https://shop.example/?oppref", None),
            ("https://shop.example/?oppref=", None),
            ("https://shop.example/?xoppref=1", None),
            ("https://shop.example/?x_oppref=1&my-oppref=2", None),
            ("https://shop.example/?OPPREF=1", None),
            ("https://shop.example/?a=b?oppref=1", None),
            ("https://shop.example/?next=/p%3Foppref=1", None),
            ("https://shop.example/#?oppref=1", None),
            ("https://shop.example/#/route?oppref=1", None),
            ("https://shop.example/oppref=1", None),
            ("", None),
        ] {
            assert_eq!(in_url(url), expected, "{url}");
        }
    }

    #[test]
    fn the_address_goes_before_the_cookie_and_the_cookie_before_the_event() {
        let with_all = json!({"page_location": "https://shop.example/?oppref=url", "oppref": "key"});
        let without_click = json!({"page_location": "https://shop.example/", "oppref": "key"});
        let in_common_cookie = json!({"page_location": 7, "__oppref": "", "common_cookie": {"__oppref": "common"}});
        for (event, cookie, expected) in [
            (&with_all, Some("cookie"), Some(("url", FoundIn::PageLocation))),
            (&without_click, Some("cookie"), Some(("cookie", FoundIn::Cookie))),
            (&without_click, Some(""), Some(("key", FoundIn::EventData))),
            (&without_click, None, Some(("key", FoundIn::EventData))),
            (&in_common_cookie, None, Some(("common", FoundIn::EventData))),
            (&json!({"common_cookie": "x", "oppref": 5}), None, None),
        ] {
            let found = find(event.as_object().unwrap(), None, cookie);
            assert_eq!(found.map(|oppref| (oppref.value, oppref.found)), expected, "{event}");
        }
    }

    proptest! {
        #[test]
        fn any_value_comes_back_byte_for_byte(value in "[^&#]{1,40}", before in "([a-z]{1,5}=[a-z0-9%+]{0,5}&){0,3}", after in "([&#].{0,20})?") {
            let url = format!("https://shop.example/p?{before}oppref={value}{after}");
            prop_assert_eq!(in_url(&url), Some(value.as_str()));
        }

        #[test]
        fn never_panics(url in ".*") {
            in_url(&url);
        }
    }
}
