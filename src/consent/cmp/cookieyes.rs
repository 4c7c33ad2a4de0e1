//! CookieYes' `cookieyes-consent`: `key:value` pairs between commas. Takes the cookie's bytes; gives what its categories
//! say.
//!
//! `consent:no` may stand beside categories that say yes, where a region's law is to opt out: the categories count.

use super::{Answered, ConsentType, Statement, Told, Unreadable, decoded, status};

/// Categories and the types they stand for; `performance` and `other` stand for none.
const CATEGORIES: [(&str, &[ConsentType]); 4] = [
    ("necessary", &[ConsentType::SecurityStorage]),
    ("functional", &[ConsentType::FunctionalityStorage, ConsentType::PersonalizationStorage]),
    ("analytics", &[ConsentType::AnalyticsStorage]),
    ("advertisement", &ConsentType::AD),
];

pub fn decode(raw: &[u8]) -> Result<Told, Unreadable> {
    let text = decoded(raw)?;
    let (mut said, mut answered) = (Statement::default(), Answered::NotSaid);
    for (key, value) in text.split(',').filter_map(|pair| pair.split_once(':')) {
        let (key, value) = (key.trim(), value.trim());
        if key == "action" {
            // Empty or `no`: the banner was shown, or need not be, and nothing was chosen.
            answered = if value == "yes" { Answered::Yes } else { Answered::No };
        }
        if let (Some((_, types)), "yes" | "no") = (CATEGORIES.iter().find(|(name, _)| *name == key), value) {
            said.set_all(types, status(value == "yes"));
        }
    }
    if said == Statement::default() {
        return Err(Unreadable::WrongForm);
    }
    Ok(Told { said, answered })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::consent::ConsentStatus::{Denied, Granted, Unknown};

    fn told(raw: &str) -> Told {
        decode(raw.as_bytes()).expect(raw)
    }

    #[test]
    fn categories_become_types_whatever_the_summary_says() {
        let told = told(
            "consentid:a:b,consent:no,action:yes,necessary:yes,functional:no,analytics:yes,performance:no,advertisement:yes",
        );
        for (kind, status) in [
            (ConsentType::AdStorage, Granted),
            (ConsentType::AdUserData, Granted),
            (ConsentType::AdPersonalization, Granted),
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
    fn an_action_is_an_answer() {
        for (raw, answered) in [
            ("action:yes,advertisement:no", Answered::Yes),
            ("action:no,advertisement:no", Answered::No),
            ("action:,advertisement:no", Answered::No),
            ("advertisement:no", Answered::NotSaid),
        ] {
            assert_eq!(told(raw).answered, answered, "{raw}");
            assert_eq!(told(raw).said.get(ConsentType::AdStorage), Denied, "{raw}");
            assert_eq!(told(raw).said.get(ConsentType::AnalyticsStorage), Unknown, "{raw}");
        }
    }

    #[test]
    fn encoded_or_not() {
        assert_eq!(told("action%3Ayes%2Canalytics%3Ayes"), told("action:yes,analytics:yes"));
    }

    #[test]
    fn what_names_no_category_says_nothing() {
        for raw in
            ["", "consent:yes", "advertisement", "advertisement:true", "{\"analytics\":\"yes\"}", "Analytics:yes"]
        {
            assert_eq!(decode(raw.as_bytes()), Err(Unreadable::WrongForm), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(raw in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&raw);
        }
    }
}
