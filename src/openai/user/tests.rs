use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const ADA: &str = "b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72";
const PHONE: &str = "af9e136cc1c34ac87999ef8bd28b3d15c08a75b9ae1c2018b39c0f37c23296bd";
const OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The object as it is sent, null for none, and the notes.
fn built(event: &Value, visitor: &Visitor<'_>, options: &UserOptions<'_>) -> (Value, Vec<String>) {
    let mut notes = Notes::new();
    let user = User::build(event.as_object().unwrap(), visitor, options, &mut notes);
    (serde_json::to_value(user).unwrap(), notes.iter().map(ToString::to_string).collect())
}

fn from_event(event: &Value) -> (Value, Vec<String>) {
    built(event, &Visitor::default(), &UserOptions::default())
}

/// What becomes of one value of a user's address.
fn from_address(key: &str, value: &Value) -> (Value, Vec<String>) {
    from_event(&json!({"user_data": {"address": {key: value}}}))
}

fn hex(text: &str) -> String {
    Digest::of(text).to_string()
}

fn everything() -> Value {
    json!({
        "user_id": " CUST-00042 ", "android_advertising_id": "38400000-8cf0-11bd-b23e-10b96e40000d",
        "user_data": {
            "email_address": " Ada@Example.com ", "phone_number": "+40 746 123 456",
            "address": [{
                "first_name": "Ada", "last_name": "O'Neill", "city": " București ", "region": "B", "country": "ro",
                "postal_code": 10101, "street": "Main St 1",
            }],
        },
    })
}

fn visitor() -> Visitor<'static> {
    let ip_address = Some("192.0.2.7".parse().unwrap());
    Visitor { ip_address, user_agent: Some("Mozilla/5.0"), obref: Some("0b7e") }
}

#[test]
fn the_schema_of_september_2026_has_lists() {
    let (user, notes) = built(&everything(), &visitor(), &UserOptions::default());
    let expected = json!({
        "emails_sha256": [ADA],
        "phone_numbers_sha256": [PHONE],
        "external_ids_sha256": ["382211e688c29ae2dcce0b401999831aec27161d9bc0ffd092545a828a18bbc8"],
        "first_names_sha256": [hex("ada")],
        "last_names_sha256": ["fa0fd24b2d0175a5c48e1b82f4d707a8a95f5279c4abdc43fa2f19d8e30eb47d"],
        "countries": ["RO"],
        "cities": ["București"],
        "regions": ["B"],
        "postal_codes": ["10101"],
        "obref": "0b7e",
        "ip_address": "192.0.2.7",
        "user_agent": "Mozilla/5.0",
        "android_advertising_id": "38400000-8cf0-11bd-b23e-10b96e40000d",
    });
    assert_eq!(user.to_string(), expected.to_string());
    assert!(notes.is_empty(), "{notes:?}");
}

#[test]
fn the_schema_of_june_2026_has_scalars_and_fewer_fields() {
    let options = UserOptions { schema: UserSchema::Scalars, ..UserOptions::default() };
    let (user, notes) = built(&everything(), &visitor(), &options);
    let expected = json!({
        "email_sha256": ADA,
        "external_id_sha256": "382211e688c29ae2dcce0b401999831aec27161d9bc0ffd092545a828a18bbc8",
        "country": "RO",
        "city": "București",
        "zip_code": "10101",
        "ip_address": "192.0.2.7",
        "user_agent": "Mozilla/5.0",
    });
    assert_eq!(user.to_string(), expected.to_string());
    let left_out = ["phone", "first_name", "last_name", "region", "obref", "android_advertising_id"];
    let note = |field| format!("user.{field}: not part of the user schema of June 2026: left out");
    assert_eq!(notes, left_out.map(note));

    let two = json!({"email": ["no", "ada@example.com", "ADA@example.com", "b@example.com"]});
    let (user, notes) = built(&two, &Visitor::default(), &options);
    assert_eq!(user, json!({"email_sha256": ADA}));
    assert_eq!(
        notes,
        ["user.email: not an e-mail address: left out", "user.email: more values than the API uses: kept the first 1"]
    );
}

#[test]
fn nothing_known_is_no_object() {
    for event in [
        json!({}),
        json!({"user_data": {}}),
        json!({"user_data": {"email": "", "address": []}, "user_id": null}),
        json!({"user_data": {"email": [], "address": {"city": " "}}, "user_agent": ""}),
    ] {
        assert_eq!(from_event(&event), (Value::Null, vec![]), "{event}");
    }
    let blank = Visitor { user_agent: Some(" "), obref: Some(""), ..Visitor::default() };
    assert_eq!(built(&json!({}), &blank, &UserOptions::default()), (Value::Null, vec![]));
}

#[test]
fn emails_are_found_under_every_usual_key_and_listed_once() {
    for event in [
        json!({"email": "ada@example.com"}),
        json!({"email_address": "ADA@EXAMPLE.COM"}),
        json!({"user_data": {"email": "\tada@example.com\n"}}),
        json!({"user_data": {"email_address": ["ada@example.com", "Ada@example.com"]}}),
        json!({"user_data": {"sha256_email_address": ADA}}),
        json!({"user_data": {"sha256_email_address": ADA.to_uppercase(), "email_address": "ada@example.com"}}),
    ] {
        assert_eq!(from_event(&event), (json!({"emails_sha256": [ADA]}), vec![]), "{event}");
    }
}

#[test]
fn what_is_no_email_is_left_out() {
    for text in
        ["ada", "ada@", "@example.com", "ada@@example.com", "a@b@c", "ada @example.com", "ada@exam\u{a0}ple.com"]
    {
        let expected = (Value::Null, vec!["user.email: not an e-mail address: left out".to_owned()]);
        assert_eq!(from_event(&json!({"user_data": {"email": text}})), expected, "{text}");
    }
    let plain_as_hashed = json!({"user_data": {"sha256_email_address": "ada@example.com"}});
    let note = "user.email: neither 64 hex digits nor 32 bytes of base64: left out";
    assert_eq!(from_event(&plain_as_hashed), (Value::Null, vec![note.to_owned()]));
    let of_nothing = json!({"user_data": {"sha256_email_address": OF_NOTHING}});
    assert_eq!(from_event(&of_nothing).1, ["user.email: the digest of empty text: left out"]);
}

#[test]
fn emails_keep_dots_and_plus_signs_and_fold_all_alphabets() {
    let (user, _) = from_event(&json!({"email": ["A.d.a+News@Example.com", "ÄÖ@EXAMPLE.com"]}));
    assert_eq!(user, json!({"emails_sha256": [hex("a.d.a+news@example.com"), hex("äö@example.com")]}));
}

#[test]
fn a_list_holds_three_values() {
    let event = json!({"email": ["a@x.de", "b@x.de", "a@x.de", "c@x.de", "c@x.de"]});
    let three = json!({"emails_sha256": [hex("a@x.de"), hex("b@x.de"), hex("c@x.de")]});
    assert_eq!(from_event(&event), (three.clone(), vec![]));
    let event = json!({"email": ["a@x.de", "b@x.de", "c@x.de"], "email_address": ["d@x.de", "e@x.de"]});
    let note = "user.email: more values than the API uses: kept the first 3";
    assert_eq!(from_event(&event), (three, vec![note.to_owned()]));
}

#[test]
fn work_and_notes_are_bounded() {
    let many = vec![json!("nope"); 100];
    let (_, notes) = from_event(&json!({"email": many}));
    assert_eq!((notes[0].as_str(), notes.len()), ("user.email: a list too long: only the first 10 were read", 11));
    let addresses = vec![json!({"country": many}); 100];
    let (_, notes) = from_event(&json!({"user_data": {"address": addresses}}));
    assert_eq!(notes.len(), 1 + 10 * 11);
}

#[test]
fn phones_of_many_countries() {
    for (text, digits) in [
        ("+40 746 123 456", "40746123456"),
        ("+00 44 (0)20 7946 0958", "4402079460958"),
        ("+49 170 1234567", "491701234567"),
        ("+1 (212) 555-0123", "12125550123"),
        ("+33.1.23.45.67.89", "33123456789"),
        ("0039 06 1234 5678", "390612345678"),
        ("+34 912-345-678", "34912345678"),
        ("+48 22\u{a0}123\u{a0}45\u{a0}67", "48221234567"),
        ("+91 98765 43210", "919876543210"),
        ("+81-3-1234-5678", "81312345678"),
        ("+55 (11) 91234-5678", "5511912345678"),
        ("+43 1 23456789012", "43123456789012"),
        ("  +41 44 123 45 67  ", "41441234567"),
        ("12345678", "12345678"),
    ] {
        let expected = json!({"phone_numbers_sha256": [hex(digits)]});
        assert_eq!(from_event(&json!({"user_data": {"phone_number": text}})), (expected, vec![]), "{text}");
    }
    assert_eq!(from_event(&json!({"phone": 40_746_123_456_i64})).0, json!({"phone_numbers_sha256": [PHONE]}));
}

#[test]
fn what_is_no_phone_is_left_out() {
    for text in
        ["1234567", "1234567890123456", "+", "000", "++40746123456", "40/746123456", "40746123456 ext 5", "٤٠٧٤٦١٢٣٤٥٦"]
    {
        let expected = (Value::Null, vec!["user.phone: not 8 to 15 digits once cleaned: left out".to_owned()]);
        assert_eq!(from_event(&json!({"phone": text})), expected, "{text}");
    }
}

#[test]
fn a_hashed_phone_is_left_out_unless_hashed_by_openais_rules() {
    let openai = UserOptions { phone_hash: PhoneHash::OpenAi, ..UserOptions::default() };
    for event in [
        json!({"user_data": {"sha256_phone_number": PHONE}}),
        json!({"user_data": {"sha256_phone_number": PHONE.to_uppercase()}}),
        json!({"user_data": {"phone_number": PHONE}}),
    ] {
        let note = "user.phone: a phone hashed by other rules than OpenAI's cannot match: left out";
        assert_eq!(from_event(&event), (Value::Null, vec![note.to_owned()]), "{event}");
        let expected = (json!({"phone_numbers_sha256": [PHONE]}), vec![]);
        assert_eq!(built(&event, &Visitor::default(), &openai), expected, "{event}");
    }
}

#[test]
fn digests_in_any_spelling_become_lower_case_hex() {
    let bytes = [0xfb; 32];
    let lower = "fb".repeat(32);
    for spelling in
        [&lower, &lower.to_uppercase(), &BASE64_STANDARD.encode(bytes), &BASE64_URL_SAFE_NO_PAD.encode(bytes)]
    {
        for (event, key) in [
            (json!({"email": spelling}), "emails_sha256"),
            (json!({"user_data": {"sha256_email_address": [spelling]}}), "emails_sha256"),
            (json!({"user_data": {"address": {"sha256_first_name": spelling}}}), "first_names_sha256"),
            (json!({"user_data": {"address": {"last_name": spelling}}}), "last_names_sha256"),
        ] {
            assert_eq!(from_event(&event), (json!({key: [lower]}), vec![]), "{event}");
        }
    }
}

#[test]
fn external_ids_keep_their_case() {
    let base64_id = BASE64_URL_SAFE_NO_PAD.encode([7; 32]);
    for (value, expected) in [
        (json!("CUST-00042"), hex("CUST-00042")),
        (json!(" cust-00042\n"), hex("cust-00042")),
        (json!("a b"), hex("a b")),
        (json!(42), hex("42")),
        (json!(ADA.to_uppercase()), ADA.to_owned()),
        (json!(base64_id), hex(&base64_id)),
    ] {
        assert_eq!(from_event(&json!({"user_id": value})), (json!({"external_ids_sha256": [expected]}), vec![]));
    }
}

#[test]
fn names_lose_spaces_and_punctuation_and_keep_accents() {
    for (text, expected) in [
        ("Ștefănescu", "ștefănescu"),
        ("O'Neill", "oneill"),
        ("Jean-Luc", "jeanluc"),
        (" van der  Berg ", "vanderberg"),
        ("ÅSA", "åsa"),
        ("Ōé-Müller", "ōémüller"),
        ("李 小龍", "李小龍"),
        ("ΓΙΏΡΓΟΣ", "γιώργος"),
        ("d’Arc", "d’arc"),
    ] {
        let expected = json!({"first_names_sha256": [hex(expected)]});
        assert_eq!(from_address("first_name", &json!(text)), (expected, vec![]), "{text}");
    }
    assert_eq!(from_address("last_name", &json!("-.-")), (Value::Null, vec!["user.last_name: empty".to_owned()]));
    let note = "user.last_name: neither 64 hex digits nor 32 bytes of base64: left out";
    assert_eq!(from_address("sha256_last_name", &json!(&ADA[1..])).1, [note]);
}

#[test]
fn addresses_are_sent_as_they_are_within_limits() {
    let (long, too_long) = ("ă".repeat(128), "ă".repeat(129));
    for (key, value, expected) in [
        ("country", json!("de"), json!({"countries": ["DE"]})),
        ("country", json!(" Fr "), json!({"countries": ["FR"]})),
        ("city", json!(" New York "), json!({"cities": ["New York"]})),
        ("city", json!(long), json!({"cities": [long]})),
        ("region", json!(["BY", "BW"]), json!({"regions": ["BY", "BW"]})),
        ("postal_code", json!("SW1A 1AA"), json!({"postal_codes": ["SW1A 1AA"]})),
        ("postal_code", json!("00-950"), json!({"postal_codes": ["00-950"]})),
        ("postal_code", json!(80331), json!({"postal_codes": ["80331"]})),
    ] {
        assert_eq!(from_address(key, &value), (expected, vec![]), "{key} {value}");
    }
    for (key, value, note) in [
        ("country", json!("Germany"), "user.country: not an ISO 3166-1 alpha-2 code: left out"),
        ("country", json!("DEU"), "user.country: not an ISO 3166-1 alpha-2 code: left out"),
        ("country", json!("ZZ"), "user.country: not an ISO 3166-1 alpha-2 code: left out"),
        ("country", json!(49), "user.country: not an ISO 3166-1 alpha-2 code: left out"),
        ("city", json!(too_long), "user.city: more than 128 characters: left out"),
        ("city", json!({"name": "x"}), "user.city: neither text nor a number"),
        ("region", json!(true), "user.region: neither text nor a number"),
        (
            "postal_code",
            json!("80331/2"),
            "user.postal_code: not 1 to 32 letters, digits, spaces and hyphens: left out",
        ),
        (
            "postal_code",
            json!("1".repeat(33)),
            "user.postal_code: not 1 to 32 letters, digits, spaces and hyphens: left out",
        ),
    ] {
        assert_eq!(from_address(key, &value), (Value::Null, vec![note.to_owned()]), "{key} {value}");
    }
}

#[test]
fn every_country_of_the_standard_is_known() {
    let codes = ('A'..='Z').flat_map(|first| ('A'..='Z').map(move |second| format!("{first}{second}")));
    let known = codes.filter(|code| from_address("country", &json!(code)).1.is_empty());
    assert_eq!(known.count(), 249);
}

#[test]
fn several_addresses_are_gathered() {
    let event =
        json!({"user_data": {"address": [{"city": "Roma"}, "x", {"city": "Roma", "country": "IT"}, {"city": "Bari"}]}});
    let (user, notes) = from_event(&event);
    assert_eq!(user, json!({"countries": ["IT"], "cities": ["Roma", "Bari"]}));
    assert_eq!(notes, ["user_data.address: not an object"]);
    assert_eq!(from_event(&json!({"user_data": "ada"})), (Value::Null, vec!["user_data: not an object".to_owned()]));
}

#[test]
fn the_request_fills_in_what_the_event_does_not_say() {
    let event = json!({"ip_override": "2001:DB8::1", "user_agent": "App/1", "__obref": "event"});
    let (user, _) = built(&event, &visitor(), &UserOptions::default());
    assert_eq!(user, json!({"obref": "0b7e", "ip_address": "2001:db8::1", "user_agent": "App/1"}));
    let (user, _) = from_event(&json!({"common_cookie": {"__obref": "common"}, "obref": "event"}));
    assert_eq!(user, json!({"obref": "common"}));
    for (text, expected) in [("::ffff:192.0.2.1", Some("192.0.2.1")), ("192.0.2.300", None), ("fe80::1%eth0", None)] {
        let (user, notes) = from_event(&json!({"ip_override": text}));
        assert_eq!(user["ip_address"].as_str(), expected, "{text}");
        assert_eq!(notes.is_empty(), expected.is_some());
    }
    let (user, notes) = built(&json!({"ip_override": "unknown"}), &visitor(), &UserOptions::default());
    assert_eq!((&user["ip_address"], notes.len()), (&json!("192.0.2.7"), 1));
}

#[test]
fn advertising_ids_of_zeros_are_ignored() {
    for text in ["00000000-0000-0000-0000-000000000000", "384000008cf011bdb23e10b96e40000d", "x"] {
        let note = "user.android_advertising_id: not an Android advertising id, or one of zeros: left out";
        assert_eq!(from_event(&json!({"android_advertising_id": text})), (Value::Null, vec![note.to_owned()]));
    }
}

#[test]
fn every_field_can_be_switched_off_or_replaced() {
    for field in UserField::ALL {
        assert_eq!(UserField::from_name(field.name()), Some(field));
        let key = field.key(UserSchema::Lists).unwrap();
        let mut options = UserOptions::default();
        options.fields.set(field, Source::Off);
        let (user, notes) = built(&everything(), &visitor(), &options);
        assert_eq!((user.get(key), user.as_object().unwrap().len()), (None, 12), "{key}");
        assert!(notes.is_empty(), "{notes:?}");

        let null = Value::Null;
        options.fields.set(field, Source::Value(&null));
        assert_eq!(built(&everything(), &visitor(), &options).0.get(key), None, "{key}");
    }
    let (email, ip) = (json!(["b@example.com", ADA]), json!("203.0.113.9"));
    let mut options = UserOptions::default();
    options.fields.set(UserField::Email, Source::Value(&email));
    options.fields.set(UserField::IpAddress, Source::Value(&ip));
    let (user, _) = built(&everything(), &visitor(), &options);
    assert_eq!(user["emails_sha256"], json!([hex("b@example.com"), ADA]));
    assert_eq!(user["ip_address"], "203.0.113.9");
}

#[test]
fn debugging_shows_no_personal_value() {
    let user = User::build(everything().as_object().unwrap(), &visitor(), &UserOptions::default(), &mut Notes::new());
    let shown = format!("{user:?}");
    assert!(shown.contains("Email") && !shown.contains("192.0.2.7") && !shown.contains(ADA), "{shown}");
}

proptest! {
    #[test]
    fn hashing_what_is_hashed_changes_nothing(local in "[a-zA-Z0-9.+_-]{1,20}", domain in "[a-zA-Z0-9-]{1,20}\\.[a-z]{2,5}") {
        let (once, _) = from_event(&json!({"email": format!("{local}@{domain}")}));
        let (twice, _) = from_event(&json!({"email": once["emails_sha256"][0]}));
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn never_panics_and_notes_never_repeat_a_value(text in "[^a-z\\s]{6,40}") {
        let address = json!({"first_name": text, "last_name": text, "city": text, "country": text, "postal_code": text});
        let event = json!({"user_id": text, "ip_override": text, "android_advertising_id": text,
            "user_data": {"email": text, "phone_number": text, "sha256_email_address": text, "address": address}});
        let (_, notes) = from_event(&event);
        for note in notes {
            prop_assert!(!note.contains(text.trim()), "{}", note);
        }
    }
}
