//! The cookies of consent managers (CMPs): takes a hit's `Cookie` headers; gives the cookies that are there, and a decoder
//! for each CMP gives what its own say.
//!
//! A decoder takes what the CMP's own fields say of its categories; which Consent Mode types a category stands for is
//! the CMP's own mapping where it has one, else the usual one.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::{Answered, ConsentStatus, ConsentType, Statement, Unreadable};

pub mod axeptio;
pub mod complianz;
pub mod cookiebot;
pub mod cookieyes;
pub mod onetrust;

/// What a CMP's cookies say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub said: Statement,
    pub answered: Answered,
}

/// Of cookies of one name, how many readings are made. A browser sends two where a site keeps its manager's cookie on two
/// domains; who sends more makes them up.
const MAX_AGAIN: usize = 8;

/// The cookies of CMPs in a request, as they stand there.
#[derive(Debug, Default)]
pub struct AllCookies<'h> {
    /// The first of each name.
    pub first: Cookies<'h>,
    /// Those that come again with another value, by name.
    again: Vec<(&'h [u8], &'h [u8])>,
}

/// One cookie of each name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cookies<'h> {
    /// Whether there is any of them.
    pub any: bool,
    pub cookiebot: Option<&'h [u8]>,
    pub onetrust: Option<&'h [u8]>,
    /// `OptanonAlertBoxClosed`.
    pub onetrust_closed: Option<&'h [u8]>,
    pub cookieyes: Option<&'h [u8]>,
    pub complianz: complianz::Cookies<'h>,
    pub axeptio: axeptio::Cookies<'h>,
    /// `euconsent-v2`, where CMPs of the TCF keep its string.
    pub tcf: Option<&'h [u8]>,
}

impl<'h> AllCookies<'h> {
    /// Takes in what a `Cookie` header holds. Looks at each cookie's name once, and at no value.
    pub fn scan(&mut self, header: &'h [u8]) {
        for pair in header.split(|byte| *byte == b';') {
            let Some(equals) = pair.iter().position(|byte| *byte == b'=') else { continue };
            let (name, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
            let Some(place) = self.first.place(name) else { continue };
            let own = *place.get_or_insert(value);
            self.first.any = true;
            if own != value && self.again.len() < MAX_AGAIN && !self.again.contains(&(name, value)) {
                self.again.push((name, value));
            }
        }
    }

    /// The cookies with one that comes again in the place of the first of its name, for each of those.
    pub fn again(&self) -> impl Iterator<Item = Cookies<'h>> {
        self.again.iter().map(|(name, value)| {
            let mut cookies = self.first;
            if let Some(place) = cookies.place(name) {
                *place = Some(*value);
            }
            cookies
        })
    }
}

impl<'h> Cookies<'h> {
    fn place(&mut self, name: &[u8]) -> Option<&mut Option<&'h [u8]>> {
        Some(match name {
            b"CookieConsent" => &mut self.cookiebot,
            b"OptanonConsent" => &mut self.onetrust,
            b"OptanonAlertBoxClosed" => &mut self.onetrust_closed,
            b"cookieyes-consent" => &mut self.cookieyes,
            b"cmplz_functional" => &mut self.complianz.functional,
            b"cmplz_preferences" => &mut self.complianz.preferences,
            b"cmplz_statistics" => &mut self.complianz.statistics,
            b"cmplz_marketing" => &mut self.complianz.marketing,
            b"cmplz_consent_mode" => &mut self.complianz.consent_mode,
            b"cmplz_banner-status" => &mut self.complianz.banner_status,
            b"axeptio_cookies" => &mut self.axeptio.choices,
            b"axeptio_authorized_vendors" => &mut self.axeptio.authorized,
            b"axeptio_all_vendors" => &mut self.axeptio.all,
            b"euconsent-v2" => &mut self.tcf,
            _ => return None,
        })
    }
}

/// A cookie's text, percent-decoded once. Sequences that are none stay as they are.
fn decoded(raw: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    percent_decode(raw).decode_utf8().map_err(|_| Unreadable::NotText)
}

/// The same of what has been decoded already.
fn decoded_again(text: &str) -> Result<Cow<'_, str>, Unreadable> {
    decoded(text.as_bytes())
}

/// `granted` for a category that was allowed, `denied` for one that was not.
fn status(allowed: bool) -> ConsentStatus {
    if allowed { ConsentStatus::Granted } else { ConsentStatus::Denied }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_by_their_whole_names_and_each_value_once() {
        let mut cookies = AllCookies::default();
        cookies.scan(b"a=1; CookieConsent = x ;OptanonConsent=y;xCookieConsent=n; CookieConsent=second; cmplz_; =; b");
        cookies.scan(b"euconsent-v2=C; CookieConsent=third; cmplz_statistics-anonymous=allow");
        let again: Vec<_> = cookies.again().map(|cookies| (cookies.cookiebot, cookies.onetrust)).collect();
        let y = Some(&b"y"[..]);
        assert_eq!(again, [(Some(&b"second"[..]), y), (Some(&b"third"[..]), y)]);
        let cookies = cookies.first;
        assert_eq!(cookies.cookiebot, Some(&b"x"[..]));
        assert_eq!(cookies.onetrust, Some(&b"y"[..]));
        assert_eq!(cookies.tcf, Some(&b"C"[..]));
        assert_eq!(cookies.complianz.statistics, None);
        assert_eq!(cookies.onetrust_closed, None);
    }
}
