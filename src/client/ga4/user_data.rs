//! What a page says of its user: `ep.user_data.…`, and `em`, the hashed form that Google's tags send for enhanced
//! conversions: `tv.1~em.<digest>~pn.<digest>~fn0.<digest>~ct0.<city>`. Digests are base64 of 32 bytes, or hex.

use serde_json::{Map, Value};

use crate::{client::reading, digest::Digest};

/// The parts of `em` that are about the person.
const OF_USER: [(&str, &str); 2] = [("em", "sha256_email_address"), ("pn", "sha256_phone_number")];

/// The parts of `em` that are about an address; a digit behind them counts the addresses.
const OF_ADDRESS: [(&str, &str, Form); 7] = [
    ("fn", "sha256_first_name", Form::Digest),
    ("ln", "sha256_last_name", Form::Digest),
    ("sa", "sha256_street", Form::Digest),
    ("ct", "city", Form::Plain),
    ("rg", "region", Form::Plain),
    ("pc", "postal_code", Form::Plain),
    ("co", "country", Form::Plain),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Digest,
    /// As it is; a digest of it is no use to anybody, and left out.
    Plain,
}

/// Brings `user_data` to its usual names, and adds what `em` says where the event says nothing.
pub fn add(data: &mut Map<String, Value>, em: &str) {
    let mut user = match data.remove("user_data") {
        Some(Value::Object(mut user)) => {
            reading::rename_user_data(&mut user);
            user
        }
        None => Map::new(),
        Some(other) => {
            data.insert("user_data".to_owned(), other);
            return;
        }
    };
    let mut address = Map::new();
    for part in em.split('~') {
        let Some((code, value)) = part.split_once('.') else { continue };
        if let Some((_, key)) = OF_USER.iter().find(|(own, _)| *own == code) {
            if let Some(digest) = Digest::read(value).and_then(told) {
                user.entry(*key).or_insert_with(|| digest.into());
            }
            continue;
        }
        // Of several addresses, the first.
        let code = code.strip_suffix('0').unwrap_or(code);
        let Some((_, key, form)) = OF_ADDRESS.iter().find(|(own, ..)| *own == code) else { continue };
        let value = match (form, Digest::read(value)) {
            (Form::Digest, digest) => digest.and_then(told),
            (Form::Plain, None) if !value.is_empty() => Some(value.to_owned()),
            (Form::Plain, _) => None,
        };
        if let Some(value) = value {
            address.entry(*key).or_insert_with(|| value.into());
        }
    }
    if !address.is_empty() {
        user.entry("address").or_insert_with(|| address.into());
    }
    if !user.is_empty() {
        data.insert("user_data".to_owned(), user.into());
    }
}

/// In hex, unless it says nothing.
fn told(digest: Digest) -> Option<String> {
    (!digest.is_of_nothing()).then(|| digest.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ADA: &str = "b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72";

    fn added(data: Value, em: &str) -> Value {
        let Value::Object(mut data) = data else { unreachable!("an object literal") };
        add(&mut data, em);
        Value::Object(data)
    }

    #[test]
    fn digests_become_hex_whatever_their_form() {
        let base64 = ["tfyF5VdV-eDQMKEKtEKbaylEhV-aDWAHf-gyvsvEHXI", "tfyF5VdV+eDQMKEKtEKbaylEhV+aDWAHf+gyvsvEHXI="];
        for form in [ADA.to_owned(), ADA.to_uppercase()].into_iter().chain(base64.map(str::to_owned)) {
            let expected = json!({"user_data": {"sha256_email_address": ADA}});
            assert_eq!(added(json!({}), &format!("tv.1~em.{form}")), expected, "{form}");
        }
        for other in ["", "tv.1", "ada@example.com", "tfyF5VdV", &ADA[1..]] {
            assert_eq!(added(json!({}), &format!("tv.1~em.{other}")), json!({}), "{other}");
        }
    }

    #[test]
    fn the_digest_of_nothing_says_nothing() {
        let hex = Digest::of("").to_string();
        for nothing in [&*hex, "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"] {
            assert_eq!(
                added(json!({}), &format!("tv.1~em.{nothing}~fn0.{nothing}~ct0.{nothing}")),
                json!({}),
                "{nothing}"
            );
        }
    }

    #[test]
    fn em_fills_in_what_the_event_does_not_say() {
        let em = format!("tv.1~em.{ADA}~fn0.{ADA}~ct0.London~co0.GB~pc0.{ADA}~ec0.x");
        assert_eq!(
            added(json!({}), &em),
            json!({"user_data": {
                "sha256_email_address": ADA,
                "address": {"sha256_first_name": ADA, "city": "London", "country": "GB"}
            }})
        );
        let stated = json!({"user_data": {"sha256_email_address": "own", "address": {"city": "Paris"}}});
        assert_eq!(added(stated.clone(), &em), stated);
    }

    #[test]
    fn an_empty_em_adds_nothing() {
        for em in ["", "tv.1", "tv.1~em.", "~~~", "em", "em.x~pn.y"] {
            assert_eq!(added(json!({"value": 1}), em), json!({"value": 1}), "{em}");
        }
    }

    #[test]
    fn user_data_gets_its_usual_names() {
        assert_eq!(
            added(json!({"user_data": {"email": "ada@example.com"}}), ""),
            json!({"user_data": {"email_address": "ada@example.com"}})
        );
    }
}
