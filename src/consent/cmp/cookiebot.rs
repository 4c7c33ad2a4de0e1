//! Cookiebot's `CookieConsent`: an object as JavaScript writes it, keys bare and texts in single quotes. Takes the
//! cookie's bytes; gives what its categories say.
//!
//! The whole value may be `-1`, where the visitor's region needs no consent, or `0`, where everything was declined.

use super::{Answered, ConsentStatus, ConsentType, Statement, Told, Unreadable, decoded, status};

/// Categories, and the types they stand for by Cookiebot's own mapping.
const CATEGORIES: [(&str, &[ConsentType]); 4] = [
    ("necessary", &[ConsentType::SecurityStorage]),
    ("preferences", &[ConsentType::FunctionalityStorage, ConsentType::PersonalizationStorage]),
    ("statistics", &[ConsentType::AnalyticsStorage]),
    ("marketing", &ConsentType::AD),
];

/// The stamp of a consent that nobody gave: the region needs none.
const OUTSIDE: &str = "-1";

pub fn decode(raw: &[u8]) -> Result<Told, Unreadable> {
    let text = decoded(raw)?;
    let text = text.trim();
    match text {
        OUTSIDE => {
            return Ok(Told { said: Statement::of(&ConsentType::ALL, ConsentStatus::Granted), answered: Answered::No });
        }
        "0" => {
            let mut said = Statement::of(&ConsentType::ALL, ConsentStatus::Denied);
            said.set(ConsentType::SecurityStorage, ConsentStatus::Granted);
            return Ok(Told { said, answered: Answered::Yes });
        }
        _ => {}
    }
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).ok_or(Unreadable::WrongForm)?;
    let (mut said, mut stamp, mut method) = (Statement::default(), None, None);
    for (key, value) in Entries(inner) {
        match (key, value) {
            ("stamp", stamped) => stamp = Some(stamped),
            ("method", words) => method = Some(words),
            (category, "true" | "false") => {
                if let Some((_, types)) = CATEGORIES.iter().find(|(name, _)| *name == category) {
                    said.set_all(types, status(value == "true"));
                }
            }
            _ => {}
        }
    }
    if said == Statement::default() {
        return Err(Unreadable::WrongForm);
    }
    let answered = match (stamp, method) {
        (Some(OUTSIDE), _) | (_, Some("implied")) => Answered::No,
        (Some(_), _) | (None, Some(_)) => Answered::Yes,
        (None, None) => Answered::NotSaid,
    };
    Ok(Told { said, answered })
}

/// `key:value` pairs between commas. A comma within quotes belongs to the value.
struct Entries<'t>(&'t str);

impl<'t> Iterator for Entries<'t> {
    type Item = (&'t str, &'t str);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, rest) = self.0.split_once(':')?;
        let rest = rest.trim_start();
        let (value, rest) = match rest.chars().next() {
            Some(quote @ ('\'' | '"')) => rest[1..].split_once(quote)?,
            _ => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        self.0 = rest.split_once(',').map_or("", |(_, rest)| rest);
        Some((key.trim().trim_matches(['\'', '"']), value.trim()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use ConsentStatus::{Denied, Granted, Unknown};

    fn told(raw: &str) -> Told {
        decode(raw.as_bytes()).expect(raw)
    }

    #[test]
    fn categories_become_types() {
        let told = told(
            "{stamp:%27a%2Cb==%27%2Cnecessary:true%2Cpreferences:false%2Cstatistics:true%2Cmarketing:false%2Cmethod:%27explicit%27%2Cver:1%2Cutc:1687287902728%2Cregion:%27de%27}",
        );
        for (kind, status) in [
            (ConsentType::AdStorage, Denied),
            (ConsentType::AdUserData, Denied),
            (ConsentType::AdPersonalization, Denied),
            (ConsentType::AnalyticsStorage, Granted),
            (ConsentType::FunctionalityStorage, Denied),
            (ConsentType::PersonalizationStorage, Denied),
            (ConsentType::SecurityStorage, Granted),
        ] {
            assert_eq!(told.said.get(kind), status, "{kind}");
        }
        assert_eq!(told.answered, Answered::Yes);
    }

    #[test]
    fn an_answer_is_told_from_a_region_that_needs_none() {
        for (raw, answered) in [
            ("{stamp:'s==',marketing:true,method:'explicit'}", Answered::Yes),
            ("{stamp:'s==',marketing:true}", Answered::Yes),
            ("{stamp:'-1',marketing:true,method:'implied'}", Answered::No),
            ("{stamp:'s==',marketing:true,method:'implied'}", Answered::No),
            ("{stamp:'-1',marketing:true}", Answered::No),
            ("{marketing:true}", Answered::NotSaid),
        ] {
            let told = told(raw);
            assert_eq!(told.answered, answered, "{raw}");
            assert_eq!(told.said.get(ConsentType::AdStorage), Granted, "{raw}");
            assert_eq!(told.said.get(ConsentType::AnalyticsStorage), Unknown, "{raw}: not named");
        }
    }

    #[test]
    fn whole_values_mean_all_or_nothing() {
        assert_eq!(told("-1"), Told { said: Statement::of(&ConsentType::ALL, Granted), answered: Answered::No });
        let declined = told("0");
        assert_eq!(declined.answered, Answered::Yes);
        assert_eq!(declined.said.get(ConsentType::AnalyticsStorage), Denied);
        assert_eq!(declined.said.get(ConsentType::SecurityStorage), Granted);
    }

    #[test]
    fn a_category_named_within_a_text_is_none() {
        let told = told("{stamp:'x,marketing:true',marketing:false}");
        assert_eq!(told.said.get(ConsentType::AdStorage), Denied);
    }

    #[test]
    fn what_is_no_such_object_says_nothing() {
        for raw in ["", "true", "{}", "{marketing}", "{marketing:1}", "{stamp:'x'", "{stamp:'x}", "[]", "1"] {
            assert_eq!(decode(raw.as_bytes()), Err(Unreadable::WrongForm), "{raw}");
        }
        assert_eq!(decode(b"{\xff}"), Err(Unreadable::NotText));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(raw in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&raw);
        }

        #[test]
        fn anything_like_an_object_is_read_or_refused(raw in "\\{([a-z]{0,9}:?['\",]?(true|false|%2C|é)?,?){0,8}\\}?") {
            let _ = decode(raw.as_bytes());
        }
    }
}
