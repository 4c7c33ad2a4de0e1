use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::event::lookup;

const KEY: DayKey = DayKey([7; 32]);

fn shape(data: &Value, detail: Detail) -> Map<String, Value> {
    of(data.as_object().expect("a map"), detail, &KEY)
}

#[test]
fn a_path_leads_to_what_is_known() {
    let data = json!({
        "value": 5, "plan": "pro", "email": "ada@example.com", "user_data": {"a": 1}, "nothing": null,
        "list": [1, 2, 3, 4, 5, 6, 7], "price": [1, 2], "map": {"value": 1, "x": "y"}, "numbers": {"value": 1},
    });
    let shape = shape(&data, Detail::Pseudonyms);
    let known =
        ["value", "absent", "nothing", "price", "price.1", "price.5", "numbers", "map.value", "map.absent", "value.x"];
    for path in known.into_iter().chain(["plan.length", "price.x", "email.x"]) {
        assert_eq!(reach(&shape, path), Reach::Known, "{path}");
    }
    for path in ["plan", "email", "user_data", "list.0", "map.x"] {
        assert!(matches!(reach(&shape, path), Reach::Marked(_)), "{path}");
    }
    for path in ["user_data.a", "list", "list.5", "list.6", "list.7", "map"] {
        assert_eq!(reach(&shape, path), Reach::Unknown, "{path}");
    }
}

#[test]
fn names_that_are_no_words_do_not_stay() {
    for name in ["purchase", "view_item", "Form sent", "a.b:c-d", "step12345", "look_at_page", "at.example", "gtm.js"] {
        assert!(is_plain_name(name), "{name}");
    }
    for name in ["", "ada@example.com", "call 0746123456", "größe", "a/b", &"x".repeat(65), "$"].into_iter().chain([
        "ada_at_example.com",
        "ada-AT-example.co.uk",
        "ada at example dot com",
        "e:ada.b_at_x.org",
    ]) {
        assert!(!is_plain_name(name), "{name}");
    }
    let shape = shape(&json!({"ada@example.com": 1, "$": "text", "value": 2}), Detail::Pseudonyms);
    assert_eq!(Value::Object(shape.clone()), json!({"$": "2 more", "value": 2}));
    assert_eq!(reach(&shape, "ada@example.com"), Reach::Unknown);
    assert_eq!(reach(&shape, "absent"), Reach::Unknown);
}

#[test]
fn a_day_has_pseudonyms_of_its_own() {
    let data = json!({"plan": "pro"});
    let of_day = |key| of(data.as_object().expect("a map"), Detail::Pseudonyms, &DayKey(key));
    assert_eq!(of_day([1; 32]), of_day([1; 32]));
    assert_ne!(of_day([1; 32]), of_day([2; 32]));
}

fn any_value() -> impl Strategy<Value = Value> {
    let name =
        prop::sample::select(&["value", "plan", "email", "user_data", "items", "currency", "a", "$", "x y@z"][..]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9_i64..9).prop_map(Value::from),
        "[a-z]{0,3}|EUR|12\\.5|secret-[a-z]{5}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..6)
                .prop_map(|map| map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    /// What is said to be known is what the event had, down to nothing.
    #[test]
    fn what_is_known_is_true(
        value in any_value(),
        path in "(value|plan|email|user_data|items|currency|a|\\$|[0-7])(\\.(value|plan|user_data|a|[0-7])){0,4}",
        shape_alone: bool,
    ) {
        let data = json!({"a": value.clone(), "items": value, "value": 1});
        let detail = if shape_alone { Detail::Shape } else { Detail::Pseudonyms };
        let shape = shape(&data, detail);
        if reach(&shape, &path) == Reach::Known {
            prop_assert_eq!(lookup(&shape, &path), lookup(data.as_object().expect("a map"), &path));
        }
    }

    #[test]
    fn no_text_stays(value in any_value()) {
        for detail in [Detail::Shape, Detail::Pseudonyms] {
            let text = Value::Object(shape(&json!({"a": value.clone()}), detail)).to_string();
            prop_assert!(!text.contains("secret-"), "{text}");
        }
    }

    /// Pseudonyms compare as the values themselves would.
    #[test]
    fn equal_is_what_was_equal(text in "[aAbB1.0e]{1,4}", wanted in "[aAbB1.0e]{1,4}", ignored: bool, as_number: bool) {
        let case = if ignored { Case::Ignored } else { Case::Sensitive };
        let number = if as_number { Number::parse(&wanted) } else { None };
        let wanted = Wanted { text: case.fold(wanted.as_str().into()).into(), number };
        let shape = shape(&json!({"plan": text.clone()}), Detail::Pseudonyms);
        let Reach::Marked(mark) = reach(&shape, "plan") else { return Err(TestCaseError::fail("no mark")) };
        let expected = wanted.equals(&case.fold(text.as_str().into()));
        prop_assert_eq!(is(mark, &wanted, case, &KEY), Some(expected));
    }
}
