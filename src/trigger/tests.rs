//! What cases do not reach: the index by name, and numbers at the edges of what can be written.

use proptest::prelude::*;

use super::*;

fn trigger(name: &str, events: EventMatch) -> Trigger {
    Trigger { name: name.into(), events, conditions: Vec::new() }
}

fn names(names: &[&str]) -> EventMatch {
    EventMatch::Names(names.iter().map(|name| (*name).into()).collect())
}

#[test]
fn an_event_meets_only_the_triggers_that_may_match_it() {
    let triggers = [
        trigger("one", names(&["purchase"])),
        trigger("all", EventMatch::All),
        trigger("two", names(&["sign_up", "purchase"])),
        trigger("pattern", EventMatch::Pattern(Regex::new("^view_").unwrap())),
        trigger("none", names(&[])),
    ];
    let index = TriggerIndexByName::new(&triggers);
    let met = |event: &str| {
        let mut met: Vec<_> = index.candidates(event).map(|found| &*triggers[found.0].name).collect();
        met.sort_unstable();
        met
    };
    assert_eq!(met("purchase"), ["all", "one", "pattern", "two"]);
    assert_eq!(met("sign_up"), ["all", "pattern", "two"]);
    assert_eq!(met("scroll"), ["all", "pattern"]);
}

#[test]
fn numbers_are_equal_however_they_are_written() {
    for (text, expected) in [
        ("10", Some(Number::Whole(10))),
        (" 10.000 ", Some(Number::Whole(10))),
        ("1e1", Some(Number::Whole(10))),
        ("+10", Some(Number::Whole(10))),
        ("-0", Some(Number::Whole(0))),
        ("-0.0", Some(Number::Whole(0))),
        ("0.5", Some(Number::Fraction(0.5))),
        ("18446744073709551616", Some(Number::Whole(1 << 64))),
        ("1e300", Some(Number::Fraction(1e300))),
        ("1e999", None),
        ("NaN", None),
        ("infinity", None),
        ("0x10", None),
        ("1_000", None),
        ("1,5", None),
        ("", None),
        (" ", None),
    ] {
        assert_eq!(Number::parse(text), expected, "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_number_or_not(text in "\\PC{0,20}|[-+0-9.e]{0,12}") {
        if let Some(Number::Fraction(float)) = Number::parse(&text) {
            prop_assert!(float.is_finite());
        }
    }

    #[test]
    fn every_whole_number_is_exact(number: i64) {
        prop_assert_eq!(Number::parse(&number.to_string()), Some(Number::Whole(number.into())));
    }
}
