//! OneTrust's `OptanonConsent`: a query string whose `groups` has a 0 or 1 for each group of cookies. Takes its bytes, the
//! second cookie `OptanonAlertBoxClosed`, and which types a group stands for; gives what the groups say.
//!
//! A group that is absent is unknown, not denied: sites define groups of their own, and leave out what they do not need.

use super::{Answered, ConsentStatus, ConsentType, Statement, Told, Unreadable, decoded, decoded_again, status};
use crate::consent::ConsentTypes;

/// Which types a group stands for, by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups(Vec<(Box<str>, ConsentTypes)>);

/// OneTrust's own groups. C0005, social media, is not mapped: sites put different things into it.
impl Default for Groups {
    fn default() -> Self {
        let mut groups = Self(Vec::new());
        groups.set("C0001", ConsentTypes::of(&[ConsentType::SecurityStorage]));
        groups.set("C0002", ConsentTypes::of(&[ConsentType::AnalyticsStorage]));
        groups
            .set("C0003", ConsentTypes::of(&[ConsentType::FunctionalityStorage, ConsentType::PersonalizationStorage]));
        groups.set("C0004", ConsentTypes::of(&ConsentType::AD));
        groups
    }
}

impl Groups {
    /// Says what a group stands for, in place of what was said of it before.
    pub fn set(&mut self, id: &str, types: ConsentTypes) {
        self.0.retain(|(known, _)| **known != *id);
        self.0.push((id.into(), types));
    }

    fn types(&self, id: &str) -> ConsentTypes {
        self.0.iter().find(|(known, _)| **known == *id).map_or(ConsentTypes::NONE, |(_, types)| *types)
    }
}

pub fn decode(raw: &[u8], closed: Option<&[u8]>, groups: &Groups) -> Result<Told, Unreadable> {
    // Some sites encode the whole once more. It is split before its parts are decoded: a landing page may hold anything.
    let whole = if raw.contains(&b'=') { String::from_utf8_lossy(raw) } else { decoded(raw)? };
    let field = |name: &str| {
        whole.split('&').find_map(|part| part.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
    };
    let listed = decoded_again(field("groups").ok_or(Unreadable::WrongForm)?)?;
    let listed = decoded_again(&listed)?;
    let mut said = Statement::default();
    for (id, flag) in listed.split(',').filter_map(|group| group.split_once(':')) {
        let Some(status) = flag_status(flag.trim()) else { continue };
        for kind in groups.types(id.trim()).iter() {
            said.set(kind, said.get(kind).strictest(status));
        }
    }
    let answered = match (field("AwaitingReconsent"), closed) {
        (Some("true"), _) | (_, None | Some(b"")) => Answered::No,
        (_, Some(_)) => Answered::Yes,
    };
    Ok(Told { said, answered })
}

fn flag_status(flag: &str) -> Option<ConsentStatus> {
    match flag {
        "1" => Some(status(true)),
        "0" => Some(status(false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use ConsentStatus::{Denied, Granted, Unknown};

    fn told(raw: &str) -> Told {
        decode(raw.as_bytes(), Some(b"2026-01-01T12:00:00.000Z"), &Groups::default()).expect(raw)
    }

    #[test]
    fn groups_become_types_and_an_absent_one_is_unknown() {
        let told = told(
            "isGpcEnabled=0&datestamp=Wed+May+01&version=202403.2.0&groups=C0001%3A1%2CC0002%3A0%2CC0004%3A1%2CC0042%3A0&AwaitingReconsent=false",
        );
        for (kind, status) in [
            (ConsentType::AdStorage, Granted),
            (ConsentType::AdUserData, Granted),
            (ConsentType::AdPersonalization, Granted),
            (ConsentType::AnalyticsStorage, Denied),
            (ConsentType::FunctionalityStorage, Unknown),
            (ConsentType::PersonalizationStorage, Unknown),
            (ConsentType::SecurityStorage, Granted),
        ] {
            assert_eq!(told.said.get(kind), status, "{kind}");
        }
        assert_eq!(told.answered, Answered::Yes);
    }

    #[test]
    fn encoded_once_or_twice_or_not_at_all() {
        let plain = told("version=1&groups=C0004:1,C0002:0");
        assert_eq!(told("version=1&groups=C0004%3A1%2CC0002%3A0"), plain);
        assert_eq!(told("version=1&groups=C0004%253A1%252CC0002%253A0"), plain);
        assert_eq!(told("version%3D1%26groups%3DC0004%253A1%252CC0002%253A0"), plain);
    }

    #[test]
    fn a_landing_page_cannot_speak_for_the_visitor() {
        let raw = "landingPath=https%3A%2F%2Fa.test%2F%3Fx%26groups%3DC0004%3A1&groups=C0004%3A0";
        assert_eq!(told(raw).said.get(ConsentType::AdStorage), Denied);
        assert_eq!(decode(b"landingPath=%26groups%3DC0004%3A1", None, &Groups::default()), Err(Unreadable::WrongForm));
    }

    #[test]
    fn the_visitor_has_answered_once_the_box_is_closed() {
        let answered = |raw: &str, closed: Option<&[u8]>| {
            decode(raw.as_bytes(), closed, &Groups::default()).map(|told| told.answered)
        };
        assert_eq!(answered("groups=C0004%3A0", None), Ok(Answered::No));
        assert_eq!(answered("groups=C0004%3A0", Some(b"")), Ok(Answered::No));
        assert_eq!(answered("groups=C0004%3A0", Some(b"2026")), Ok(Answered::Yes));
        assert_eq!(answered("groups=C0004%3A0&AwaitingReconsent=true", Some(b"2026")), Ok(Answered::No));
    }

    #[test]
    fn a_site_maps_groups_of_its_own() {
        let mut groups = Groups::default();
        groups.set("STACK42", ConsentTypes::of(&[ConsentType::AdUserData]));
        groups.set("C0003", ConsentTypes::NONE);
        let told = decode(b"groups=C0003:1,C0004:1,STACK42:0", None, &groups).expect("a list of groups");
        assert_eq!(told.said.get(ConsentType::AdStorage), Granted);
        assert_eq!(told.said.get(ConsentType::AdUserData), Denied, "the strictest of its groups");
        assert_eq!(told.said.get(ConsentType::FunctionalityStorage), Unknown, "mapped to nothing");
    }

    #[test]
    fn what_has_no_groups_says_nothing() {
        for raw in ["", "groups", "version=1", "C0004:1"] {
            assert_eq!(decode(raw.as_bytes(), None, &Groups::default()), Err(Unreadable::WrongForm), "{raw}");
        }
        for raw in ["groups=", "groups=C0004", "groups=C0004:", "groups=C0004:2", "groups=C0004:true"] {
            assert_eq!(told(raw).said, Statement::default(), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(raw in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&raw, None, &Groups::default());
        }

        #[test]
        fn anything_like_groups_is_read_or_refused(raw in "(groups=|%)?(C000[1-5]|%3A|:|,|%2C|%25|[01&=é]){0,20}") {
            let _ = decode(raw.as_bytes(), None, &Groups::default());
        }
    }
}
