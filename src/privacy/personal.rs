//! What event data tells of a person, by its keys and by what its values look like, at any depth: takes a mapping, and takes
//! out what is about somebody, or lists it. For what leaves where `ad_user_data` is not granted, and for what is not to be
//! read in a log: strict, because what is missing can be asked for again, and what has left cannot.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::{
    Fate,
    email::holds_email,
    ip_address, is_page,
    query::{self, StripQuery, letters},
    user_agent,
};
use crate::{digest::Digest, openai::user::UserField};

/// Keys about a person, beside the parameters that `strip_query: default` names and the keys of which OpenAI's tags make
/// the user. Compared by letters and digits alone, without regard to case; `*` at an end stands for any text.
const KEYS: [&str; 72] = [
    "*customername",
    "*recipientname",
    "*contactname",
    "*buyername",
    "*billingname",
    "*shippingname",
    "*guestname",
    "*passengername",
    "vorname",
    "nachname",
    "*telefon*",
    "*telnr",
    "*anschrift",
    "strasse",
    "em",
    "*phone*",
    "*middlename",
    "*maidenname",
    "*givenname",
    "*familyname",
    "forename",
    "*nickname",
    "*birth*",
    "age",
    "gender",
    "sex",
    "*address*",
    "city",
    "zip",
    "*latitude",
    "*longitude",
    "lat",
    "lng",
    "lon",
    "*geolocation*",
    "userlocation",
    "passport*",
    "taxid",
    "*socialsecurity*",
    "bic",
    "*accountnumber",
    "*customerno",
    "*customernumber",
    "*customerid",
    "*memberid",
    "*membernumber",
    "loyaltyid",
    "uid",
    "*userid",
    "*clientid",
    "*visitorid",
    "*deviceid",
    "*instanceid",
    "*advertisingid",
    "idfa",
    "idfv",
    "gaid",
    "aaid",
    "*externalid",
    "*personid",
    "*contactid",
    "*subscriberid",
    "*crmid",
    "ip",
    "uip",
    "xgamp2uip",
    "*useragent",
    "cookie*",
    "commoncookie",
    "xgaem",
    "xgaecid",
    "*hashed*",
];

/// Keys that are about a person whatever they hold.
const WHOLE: [&str; 6] = ["userdata", "userproperties", "clienthints", "user", "customer", "visitor"];

/// Keys that are about a person where they hold more than one value: the price of a delivery is nobody's.
const RECORDS: [&str; 19] = [
    "billing*",
    "shipping*",
    "delivery*",
    "invoice*",
    "contact*",
    "person*",
    "profile",
    "account",
    "buyer",
    "payer",
    "recipient",
    "subscriber",
    "lead",
    "guest*",
    "member",
    "passenger*",
    "travel*",
    "owner",
    "client",
];

/// Keys of what leads back to a person's click.
const CLICKS: [&str; 3] = ["oppref", "*clid", "clickid"];

/// How many digits a phone number has, behind its plus (E.164).
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

static ADDRESSES: LazyLock<StripQuery> = LazyLock::new(|| {
    let mut strip = StripQuery::default();
    strip.add_default();
    strip
});

/// Takes out of a mapping what is about a person; gives how many values went or were cut.
pub fn take_out(data: &mut Map<String, Value>) -> usize {
    let mut count = 0;
    data.retain(|key, value| {
        let goes = is_personal_key(key, value) || looks_personal(key) || !stays(key, value, &mut count);
        count += usize::from(goes);
        !goes
    });
    count
}

/// What becomes of one text that stands under a key.
pub fn fate(key: &str, text: &str) -> Fate {
    if is_personal_key(key, &Value::Null) || looks_personal(key) {
        Fate::Goes
    } else {
        judge(key, text, looks_personal)
    }
}

/// What becomes of a text under a key that a protocol needs, whatever it is called, and where codes look like digests.
pub fn fate_of_needed(key: &str, text: &str) -> Fate {
    judge(key, text, holds_contact)
}

/// How many texts may lie within one another: a form in JSON in a text, say. Whoever nests more is at pains to hide
/// something, and each level would be gone through anew for every sign that may begin one.
const MAX_WITHIN: usize = 4;

/// Lists what a body that was sent tells of persons and their clicks: each text by itself, also of JSON and of forms within a
/// text. Of texts that nobody asks for, which are nearly all, nothing more is found out.
pub fn told_in(body: &Value, is_asked_for: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut search = Search { is_asked_for, told: Vec::new() };
    search.value("", body, &mut Way::default());
    search.told
}

struct Search<'s> {
    is_asked_for: &'s dyn Fn(&str) -> bool,
    told: Vec<String>,
}

/// What a value stands under, and within how many texts.
#[derive(Default)]
struct Way<'v> {
    keys: Vec<(&'v str, &'v Value)>,
    texts: usize,
}

impl Way<'_> {
    fn is_personal(&self) -> bool {
        let is_click = |key: &str| CLICKS.iter().any(|pattern| fits(pattern, &letters(key)));
        self.keys.iter().any(|(key, value)| is_personal_key(key, value) || is_click(key))
    }
}

impl Search<'_> {
    fn value<'v>(&mut self, key: &'v str, value: &'v Value, way: &mut Way<'v>) {
        way.keys.push((key, value));
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => {
                let text = number.to_string();
                if (self.is_asked_for)(&text) && way.is_personal() {
                    self.told.push(text);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.value(key, item, way)),
            Value::Object(map) => map.iter().for_each(|(key, value)| self.value(key, value, way)),
            Value::String(text) => {
                if (self.is_asked_for)(text) && (way.is_personal() || looks_personal(text)) {
                    self.told.push(text.clone());
                }
                if way.texts < MAX_WITHIN {
                    self.within(text, way.texts + 1);
                }
            }
        }
        way.keys.pop();
    }

    /// The JSON or the form that a text is.
    fn within(&mut self, text: &str, texts: usize) {
        if let Some(inner) = record(text) {
            self.value("", &inner, &mut Way { keys: Vec::new(), texts });
        } else if text.contains('=') {
            let query = text.split_once('?').map_or(text, |(_, query)| query);
            for (key, value) in form_urlencoded::parse(query.as_bytes()) {
                self.value(&key, &Value::from(value), &mut Way { keys: Vec::new(), texts });
            }
        }
    }
}

/// Whether a text looks as if it were about somebody: an e-mail address or a phone number with its plus anywhere in it, or
/// nothing but a network address, a browser's user agent or a digest.
pub fn looks_personal(text: &str) -> bool {
    let whole = text.trim();
    holds_contact(text)
        || whole.starts_with(user_agent::BEGINNING)
        || ip_address::truncated_text(whole).is_some()
        || Digest::read(whole).is_some()
}

fn holds_contact(text: &str) -> bool {
    holds_email(text) || holds_phone(text)
}

/// A plus and the digits of a phone number, however they are set apart.
fn holds_phone(text: &str) -> bool {
    text.match_indices('+').any(|(plus, _)| {
        let apart = |c: &char| matches!(c, ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}');
        let number = text[plus + 1..].chars().take_while(|c| c.is_ascii_digit() || apart(c));
        // In a text that is encoded for an address, a plus is a space.
        let is_within = text[..plus].ends_with(|c: char| c.is_alphanumeric());
        !is_within && PHONE_DIGITS.contains(&number.filter(char::is_ascii_digit).count())
    })
}

/// Whether a key says so; each step of one with dots.
fn is_personal_key(key: &str, value: &Value) -> bool {
    if UserField::is_read_from(key) {
        return true;
    }
    let holds_more = key.contains('.') || matches!(value, Value::Array(_) | Value::Object(_));
    key.split('.').map(letters).chain([letters(key)]).any(|name| {
        let is_one = |pattern: &str| fits(pattern, &name);
        query::DEFAULT.iter().chain(&KEYS).chain(&WHOLE).any(|pattern| is_one(pattern))
            || holds_more && RECORDS.iter().any(|pattern| is_one(pattern))
    })
}

/// `pattern` has letters and digits alone between its stars.
fn fits(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (None, None) => name == pattern,
        (Some(end), None) => name.ends_with(end),
        (None, Some(start)) => name.starts_with(start),
        (Some(middle), Some(_)) => name.contains(middle.trim_end_matches('*')),
    }
}

/// Changes a value by what it looks like; whether anything is left of it.
fn stays(key: &str, value: &mut Value, count: &mut usize) -> bool {
    match value {
        Value::String(text) => match judge(key, text, looks_personal) {
            Fate::Stays => {}
            Fate::Becomes(other) => {
                *text = other;
                *count += 1;
            }
            Fate::Goes => return false,
        },
        Value::Array(items) => items.iter_mut().for_each(|item| {
            if !stays(key, item, count) {
                // The others keep their positions.
                *item = Value::Null;
                *count += 1;
            }
        }),
        Value::Object(map) => *count += take_out(map),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    true
}

fn judge(key: &str, text: &str, is_personal: impl Fn(&str) -> bool) -> Fate {
    let is_address = is_page(key) || query::is_address(text);
    match is_address.then(|| ADDRESSES.strip(text)).flatten() {
        Some(stripped) if is_personal(&stripped) => Fate::Goes,
        Some(stripped) => Fate::Becomes(stripped),
        None if is_personal(text) || is_record(text) => Fate::Goes,
        None => Fate::Stays,
    }
}

/// A text that is JSON, such as a record that a page has put into one, and of which something would go.
fn is_record(text: &str) -> bool {
    record(text).is_some_and(|mut value| {
        let mut count = 0;
        !stays("", &mut value, &mut count) || count > 0
    })
}

fn record(text: &str) -> Option<Value> {
    if text.trim_start().starts_with(['{', '[']) { serde_json::from_str(text).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn left(data: Value) -> Value {
        let Value::Object(mut data) = data else { panic!("an object") };
        take_out(&mut data);
        Value::Object(data)
    }

    #[test]
    fn keys_about_a_person_go_at_any_depth() {
        for data in [
            json!({"customer": {"email": "x", "name": "Ada"}}),
            json!({"customer.email": "x"}),
            json!({"order": {"billing": {"phone": "0151 1234"}}, "billing.phone": "0151 1234"}),
            json!({"order": {"contact_phone": 15_112_345_678_u64, "customerEmail": "x", "E-Mail": "x"}}),
            json!({"x-ga-mp2-_uip": "x", "x-ga-em": "tv.1~em.x", "x-ga-ecid": "1", "_uip": 1}),
            json!({"leads": [{"firstName": "Ada", "date_of_birth": "1815-12-10", "zip": "12345"}]}),
            json!({"shipping_address": {"line1": "x"}, "passengers": [{"title": "Dr", "name": "Ada"}]}),
            json!({"ｅｍａｉｌ": "x", "e\u{200b}mail": "x", "hashedEmail": "x", "sha256_email_address": "x"}),
            json!({"customerName": "Ada", "order": {"recipient_name": "Ada"}, "Telefon": "0151", "tel_nr": "0151"}),
            json!({"user": "ada", "user_data": 1, "userId": "7", "client_id": "1.2", "device": {"advertising_id": "x"}}),
        ] {
            let told = left(data.clone());
            let is_empty = |value: &Value| match value {
                Value::Object(map) => map.is_empty(),
                Value::Array(items) => items.iter().all(|item| *item == json!({})),
                _ => false,
            };
            assert!(told.as_object().unwrap().values().all(is_empty), "{data} leaves {told}");
        }
    }

    #[test]
    fn values_that_look_like_a_person_go_under_any_key() {
        for text in [
            "ada@example.com",
            "Write to ada@example.com, please",
            "ada%40example.com",
            "ada＠example.com",
            "a\u{200b}da@exam\u{ad}ple.com",
            "+49 151 1234-5678",
            "tel:+4915112345678",
            "call (+49) 151 1234567",
            "203.0.113.7",
            "[2001:db8::7]:443",
            "Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0",
            "b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72",
            "tfyF5VdV-eDQMKEKtEKbaylEhV-aDWAHf-gyvsvEHXI",
            r#"{"phone": "0151 1234"}"#,
            r#"[["+4915112345678"]]"#,
        ] {
            assert_eq!(left(json!({"a": text, "b": [{"c": text}], text: 1})), json!({"b": [{}]}), "{text}");
        }
        assert_eq!(left(json!({"a": ["x", "ada@example.com"]})), json!({"a": ["x", null]}));
    }

    #[test]
    fn addresses_are_cut() {
        let address = "https://shop.example/u/ada@example.com?email=x&sku=1&oppref=gAAA#q=ada@example.com";
        assert_eq!(
            left(json!({"page_location": address, "links": [address]})),
            json!({
                "page_location": "https://shop.example/u/(redacted)?sku=1&oppref=gAAA",
                "links": ["https://shop.example/u/(redacted)?sku=1&oppref=gAAA"],
            })
        );
    }

    #[test]
    fn what_is_about_nobody_stays() {
        let data = json!({
            "transaction_id": "T-1001", "value": 129.99, "currency": "EUR", "coupon": "SPRING", "shipping": 4.9,
            "items": [{"item_id": "SKU-1", "item_name": "Kettle", "price": 129.99, "quantity": 1, "index": 0}],
            "page_location": "https://shop.example/p?sku=1&utm_source=mail", "page_title": "Thanks!",
            "language": "de", "screen_resolution": "1920x1080", "method": "email", "delivery": "express",
            "ga_session_number": 3, "search_term": "kettle @home", "velocity": 3, "message": "+1 for this", "v": "1.2.3",
            "page_path": "/thanks", "plan": "{not JSON", "sizes": "[1, 2]", "campaign": "spring", "is_member": true,
        });
        assert_eq!(left(data.clone()), data);
    }

    #[test]
    fn a_text_of_many_forms_is_gone_through_so_far() {
        let nested = format!("{}ada@example.com", "a=".repeat(100_000));
        let told = told_in(&json!({"body": nested, "tel": "0152"}), &|_| true);
        assert_eq!(told.len(), 1 + MAX_WITHIN + 1, "the text, a form for each level, and the number");
    }

    proptest! {
        #[test]
        fn no_email_stays_whatever_holds_it(user in "[a-z0-9.+_-]{1,8}", host in "[a-z]{1,8}", key in "[a-z_.]{1,9}", around in "[ ,;:<>/?&=#\"{}()]{0,4}") {
            let text = format!("{around}{}{around}", format_args!("{user}x@{host}.example"));
            let told = left(json!({key.clone(): text.clone(), "a": [{key: [text.clone()]}], "page_location": text})).to_string();
            prop_assert!(!told.contains("@"), "{told}");
        }

        #[test]
        fn any_text_is_judged(text in ".*", key in ".*") {
            left(json!({key: text}));
        }
    }
}
