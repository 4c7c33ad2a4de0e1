//! The `user` object: which fields it may have, by version, and which of its values `OpenAI` would use. Takes the
//! object, gives warnings (values that would be dropped without a word) or the first structural fault.

use std::net::IpAddr;

use serde_json::Value;

use super::finding::{Finding, Place, list, object, text};

/// Which version of the `user` object is accepted. No version accepts both kinds in one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserSchemas {
    /// September 2026: plural lists, such as `emails_sha256`.
    #[default]
    Lists,
    /// June 2026: scalars, such as `email_sha256`, and `obref`, which came in July.
    Scalars,
    /// One or the other, event by event.
    Either,
}

/// The version of the `user` object that a field belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    June,
    September,
    Both,
}

/// Whether a field holds one value or a list of them.
#[derive(Clone, Copy)]
enum Arity {
    One,
    List,
}

/// What a value must be to be used.
#[derive(Clone, Copy)]
enum Format {
    Sha256,
    Country,
    PlaceName,
    PostalCode,
    Opaque,
    Address,
    AndroidId,
}

/// A field of `user`.
pub(super) struct Field {
    pub(super) name: &'static str,
    /// What people call it.
    pub(super) label: &'static str,
    version: Version,
    arity: Arity,
    format: Format,
}

const fn list_of(name: &'static str, label: &'static str, format: Format) -> Field {
    Field { name, label, version: Version::September, arity: Arity::List, format }
}

const fn one(name: &'static str, label: &'static str, version: Version, format: Format) -> Field {
    Field { name, label, version, arity: Arity::One, format }
}

pub(super) const FIELDS: [Field; 18] = [
    list_of("emails_sha256", "email", Format::Sha256),
    one("email_sha256", "email", Version::June, Format::Sha256),
    list_of("phone_numbers_sha256", "phone", Format::Sha256),
    list_of("external_ids_sha256", "external id", Format::Sha256),
    one("external_id_sha256", "external id", Version::June, Format::Sha256),
    list_of("first_names_sha256", "first name", Format::Sha256),
    list_of("last_names_sha256", "last name", Format::Sha256),
    list_of("countries", "country", Format::Country),
    one("country", "country", Version::June, Format::Country),
    list_of("cities", "city", Format::PlaceName),
    one("city", "city", Version::June, Format::PlaceName),
    list_of("regions", "region", Format::PlaceName),
    list_of("postal_codes", "postcode", Format::PostalCode),
    one("zip_code", "postcode", Version::June, Format::PostalCode),
    one("obref", "browser reference", Version::Both, Format::Opaque),
    one("ip_address", "IP address", Version::Both, Format::Address),
    one("user_agent", "user agent", Version::Both, Format::Opaque),
    one("android_advertising_id", "Android id", Version::September, Format::AndroidId),
];

/// Of a list, so many valid and different values are used.
const USED_VALUES: usize = 3;

/// What SHA-256 makes of nothing: a sign that an empty value was hashed.
const SHA256_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// ISO 3166-1 alpha-2.
const COUNTRIES: &str = "\
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW \
    BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI \
    FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN \
    IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME \
    MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF \
    PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV \
    SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE \
    YT ZA ZM ZW";

/// The first structural fault of a `user` object; values that would be dropped are added to `warnings`.
pub(super) fn check(user: &Value, schemas: UserSchemas, warnings: &mut Vec<Finding>) -> Result<(), Finding> {
    let root = Place::Event;
    let place = root.field("user");
    let user = object(user, &place)?;
    if user.is_empty() {
        return Err(place.finding("must not be empty: leave it out"));
    }
    let mut version = match schemas {
        UserSchemas::Lists => Version::September,
        UserSchemas::Scalars => Version::June,
        UserSchemas::Either => Version::Both,
    };
    for (name, value) in user {
        let place = place.field(name);
        let Some(field) = FIELDS.iter().find(|field| field.name == name) else {
            return Err(place.finding("unknown field"));
        };
        version = agree(version, field.version).map_err(|words| place.finding(words))?;
        match field.arity {
            Arity::One => warnings.extend(unusable(text(value, &place)?, field.format).map(|why| place.finding(why))),
            Arity::List => check_list(value, field.format, &place, warnings)?,
        }
    }
    Ok(())
}

/// The version that holds once a field was seen, or the reason why it may not stand beside the fields before it.
fn agree(expected: Version, field: Version) -> Result<Version, &'static str> {
    match (expected, field) {
        (version, Version::Both) | (Version::Both, version) => Ok(version),
        (Version::June, Version::June) | (Version::September, Version::September) => Ok(expected),
        (Version::June, Version::September) => {
            Err("belongs to the schema of September 2026, where the scalars of June 2026 are expected")
        }
        (Version::September, Version::June) => {
            Err("belongs to the schema of June 2026, where the lists of September 2026 are expected")
        }
    }
}

fn check_list(value: &Value, format: Format, place: &Place<'_>, warnings: &mut Vec<Finding>) -> Result<(), Finding> {
    let values = list(value, place)?;
    if values.is_empty() {
        return Err(place.finding("must not be empty: leave it out"));
    }
    let mut used: Vec<&str> = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let place = place.item(index);
        let value = text(value, &place)?;
        if let Some(reason) = unusable(value, format) {
            warnings.push(place.finding(reason));
        } else if used.contains(&value) {
            warnings.push(place.finding("repeats an earlier value"));
        } else if used.len() == USED_VALUES {
            warnings.push(place.finding("is ignored: only the first 3 values are used"));
        } else {
            used.push(value);
        }
    }
    Ok(())
}

/// Why a value would be dropped or altered.
fn unusable(value: &str, format: Format) -> Option<&'static str> {
    match format {
        Format::Sha256 if !is_sha256(value) => Some("is dropped: not 64 lower-case hexadecimal digits"),
        Format::Sha256 if value == SHA256_OF_NOTHING => Some("is useless: the hash of an empty value"),
        Format::Country if !is_country(value) => Some("is dropped: not an upper-case ISO 3166-1 code of two letters"),
        Format::PlaceName if value.trim().is_empty() => Some("is dropped: empty"),
        Format::PlaceName if is_sha256(value) => Some("is useless: hashed, but sent as it is"),
        Format::PlaceName if value.trim().chars().count() > 128 => Some("is cut: longer than 128 characters"),
        Format::PostalCode if !is_postal_code(value) => {
            Some("is dropped: not 1 to 32 letters, digits, spaces or hyphens")
        }
        Format::Opaque if value.trim().is_empty() => Some("is dropped: empty"),
        Format::Address if value.parse::<IpAddr>().is_err() => Some("is dropped: not an IPv4 or IPv6 address"),
        Format::AndroidId if !is_uuid(value) => Some("is dropped: not a UUID"),
        Format::AndroidId if value.bytes().all(|b| b"0-".contains(&b)) => Some("is dropped: all zeros"),
        _ => None,
    }
}

pub(super) fn is_sha256(value: &str) -> bool {
    value.len() == 64 && value.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_country(value: &str) -> bool {
    COUNTRIES.split(' ').any(|code| code == value)
}

fn is_postal_code(value: &str) -> bool {
    value.len() <= 32
        && value.contains(|c: char| c.is_ascii_alphanumeric())
        && value.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ' || c == '-')
}

/// With hyphens: the form in which Android gives it.
fn is_uuid(value: &str) -> bool {
    value.len() == 36 && uuid::Uuid::try_parse(value).is_ok()
}
