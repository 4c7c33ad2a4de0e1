//! The cookies of consent managers: any `Cookie` header is read or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::consent::cmp::{AllCookies, Cookies, axeptio, complianz, cookiebot, cookieyes, onetrust};

fuzz_target!(|header: &[u8]| {
    let mut cookies = AllCookies::default();
    cookies.scan(header);
    decode(&cookies.first);
    cookies.again().for_each(|cookies| decode(&cookies));
});

fn decode(cookies: &Cookies<'_>) {
    if let Some(raw) = cookies.cookiebot {
        let _ = cookiebot::decode(raw);
    }
    if let Some(raw) = cookies.onetrust {
        let _ = onetrust::decode(raw, cookies.onetrust_closed, &onetrust::Groups::default());
    }
    if let Some(raw) = cookies.cookieyes {
        let _ = cookieyes::decode(raw);
    }
    let _ = complianz::decode(&cookies.complianz);
    let _ = axeptio::decode(&cookies.axeptio, &axeptio::Vendors::default());
}
