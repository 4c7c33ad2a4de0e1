//! Normalisation: takes one trimmed value of a user, gives the text that the API documents for its field, to be hashed
//! or to be sent, or the reason why it cannot be.

use std::{borrow::Cow, net::IpAddr};

use uuid::Uuid;

use super::{Reason, UserField};

const MAX_PLACE: usize = 128;
const MAX_POSTCODE: usize = 32;

/// The text whose digest is sent.
pub(super) fn before_hashing(field: UserField, text: &str) -> Result<Cow<'_, str>, Reason> {
    match field {
        UserField::Email => email(text),
        UserField::Phone => phone(text).map(Cow::Owned),
        UserField::FirstName | UserField::LastName => name(text).map(Cow::Owned),
        // An external id is trimmed, and keeps its case.
        _ => Ok(Cow::Borrowed(text)),
    }
}

/// The text of a field that is sent as it is.
pub(super) fn plain(field: UserField, text: &str) -> Result<Box<str>, Reason> {
    match field {
        UserField::Country => country(text),
        UserField::City | UserField::Region => place(text),
        UserField::PostalCode => postcode(text),
        UserField::IpAddress => ip_address(text),
        UserField::AndroidAdvertisingId => advertising_id(text),
        _ => Ok(text.into()),
    }
}

/// Lower-case. No folding of dots or plus signs: the address as its owner writes it is what others hash, too.
fn email(text: &str) -> Result<Cow<'_, str>, Reason> {
    let parts = text.split_once('@').filter(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !text.contains(char::is_whitespace)
    });
    if parts.is_none() {
        return Err(Reason::NotAnEmail);
    }
    let is_lower = text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    Ok(if is_lower { Cow::Borrowed(text) } else { Cow::Owned(text.to_lowercase()) })
}

/// The 8 to 15 digits of an international number, without `+` and leading zeros.
fn phone(text: &str) -> Result<String, Reason> {
    let mut digits: String =
        text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '(' | ')' | '.' | '-')).collect();
    let number = digits.strip_prefix('+').unwrap_or(&digits).trim_start_matches('0');
    if !(8..=15).contains(&number.len()) || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Reason::NotAPhone);
    }
    digits.drain(..digits.len() - number.len());
    Ok(digits)
}

/// Lower-case letters without spaces and ASCII punctuation; accents stay.
fn name(text: &str) -> Result<String, Reason> {
    let mut name = text.to_lowercase();
    name.retain(|c| !c.is_whitespace() && !c.is_ascii_punctuation());
    if name.is_empty() { Err(Reason::Empty) } else { Ok(name) }
}

fn country(text: &str) -> Result<Box<str>, Reason> {
    let code = text.to_ascii_uppercase();
    let is_known = code.len() == 2 && code.parse::<iso_currency::Country>().is_ok();
    if is_known { Ok(code.into()) } else { Err(Reason::NotACountry) }
}

fn place(text: &str) -> Result<Box<str>, Reason> {
    if text.chars().count() > MAX_PLACE { Err(Reason::TooLong(MAX_PLACE)) } else { Ok(text.into()) }
}

fn postcode(text: &str) -> Result<Box<str>, Reason> {
    let fits = text.len() <= MAX_POSTCODE && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-'));
    if fits { Ok(text.into()) } else { Err(Reason::NotAPostcode) }
}

/// A mapped address (`::ffff:192.0.2.1`) is the IPv4 address that the visitor has.
fn ip_address(text: &str) -> Result<Box<str>, Reason> {
    let address: IpAddr = text.parse().map_err(|_| Reason::NotAnIpAddress)?;
    Ok(address.to_canonical().to_string().into())
}

/// A UUID with its hyphens. Zeros stand for a user who has opted out.
fn advertising_id(text: &str) -> Result<Box<str>, Reason> {
    let is_good = text.len() == 36 && Uuid::try_parse(text).is_ok_and(|id| !id.is_nil());
    if is_good { Ok(text.into()) } else { Err(Reason::NotAnAdvertisingId) }
}
