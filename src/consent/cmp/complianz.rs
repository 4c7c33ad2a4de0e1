//! Complianz' `cmplz_…` cookies: one for each category, `allow` or `deny`, and a list of the Consent Mode types that are
//! granted. Takes those that are there; gives what they say, the strictest of both where they differ.

use super::{Answered, ConsentStatus, ConsentType, Statement, Told, Unreadable, decoded, status};

/// The cookies, as they stand in the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cookies<'h> {
    pub functional: Option<&'h [u8]>,
    pub preferences: Option<&'h [u8]>,
    pub statistics: Option<&'h [u8]>,
    pub marketing: Option<&'h [u8]>,
    pub consent_mode: Option<&'h [u8]>,
    pub banner_status: Option<&'h [u8]>,
}

impl Cookies<'_> {
    /// Whether any cookie is there that says something of a type.
    pub fn are_there(&self) -> bool {
        let said = [self.functional, self.preferences, self.statistics, self.marketing, self.consent_mode];
        said.iter().any(Option::is_some)
    }
}

pub fn decode(cookies: &Cookies<'_>) -> Result<Told, Unreadable> {
    let mut said = Statement::default();
    // Complianz' own mapping.
    let categories: [(Option<&[u8]>, &[ConsentType]); 4] = [
        (cookies.functional, &[ConsentType::FunctionalityStorage, ConsentType::SecurityStorage]),
        (cookies.preferences, &[ConsentType::PersonalizationStorage]),
        (cookies.statistics, &[ConsentType::AnalyticsStorage]),
        (cookies.marketing, &ConsentType::AD),
    ];
    for (value, types) in categories {
        match value {
            Some(b"allow") => said.set_all(types, status(true)),
            Some(b"deny") => said.set_all(types, status(false)),
            _ => {}
        }
    }
    if let Some(raw) = cookies.consent_mode {
        let granted = decoded(raw)?;
        let is_granted = |kind: ConsentType| granted.split(',').any(|name| name.trim() == kind.name());
        for kind in ConsentType::ALL {
            said.set(kind, said.get(kind).strictest(status(is_granted(kind))));
        }
    }
    if ConsentType::ALL.into_iter().all(|kind| said.get(kind) == ConsentStatus::Unknown) {
        return Err(Unreadable::WrongForm);
    }
    let answered = match cookies.banner_status {
        Some(b"dismissed") => Answered::Yes,
        Some(_) => Answered::No,
        None => Answered::NotSaid,
    };
    Ok(Told { said, answered })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use ConsentStatus::{Denied, Granted, Unknown};

    #[test]
    fn categories_become_types() {
        let cookies = Cookies {
            functional: Some(b"allow"),
            statistics: Some(b"deny"),
            marketing: Some(b"allow"),
            banner_status: Some(b"dismissed"),
            ..Cookies::default()
        };
        let told = decode(&cookies).expect("categories");
        for (kind, status) in [
            (ConsentType::AdStorage, Granted),
            (ConsentType::AdUserData, Granted),
            (ConsentType::AdPersonalization, Granted),
            (ConsentType::AnalyticsStorage, Denied),
            (ConsentType::FunctionalityStorage, Granted),
            (ConsentType::PersonalizationStorage, Unknown),
            (ConsentType::SecurityStorage, Granted),
        ] {
            assert_eq!(told.said.get(kind), status, "{kind}");
        }
        assert_eq!(told.answered, Answered::Yes);
    }

    #[test]
    fn the_list_grants_what_it_names_and_denies_the_rest() {
        let cookies = Cookies { consent_mode: Some(b"analytics_storage%2Cad_storage"), ..Cookies::default() };
        let told = decode(&cookies).expect("a list");
        assert_eq!(told.said.get(ConsentType::AdStorage), Granted);
        assert_eq!(told.said.get(ConsentType::AdUserData), Denied);
        assert_eq!(told.answered, Answered::NotSaid);
        let differs = Cookies { marketing: Some(b"deny"), banner_status: Some(b"show"), ..cookies };
        let told = decode(&differs).expect("both");
        assert_eq!(told.said.get(ConsentType::AdStorage), Denied, "the strictest of both");
        assert_eq!(told.said.get(ConsentType::AnalyticsStorage), Granted);
        assert_eq!(told.answered, Answered::No);
    }

    #[test]
    fn other_values_say_nothing() {
        for value in [&b""[..], b"yes", b"Allow", b"\xff"] {
            let cookies = Cookies { marketing: Some(value), ..Cookies::default() };
            assert_eq!(decode(&cookies), Err(Unreadable::WrongForm));
            assert!(cookies.are_there());
        }
        assert!(!Cookies { banner_status: Some(b"dismissed"), ..Cookies::default() }.are_there());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(a in prop::collection::vec(any::<u8>(), 0..40), b in prop::collection::vec(any::<u8>(), 0..9)) {
            let _ = decode(&Cookies { consent_mode: Some(&a), marketing: Some(&b), ..Cookies::default() });
        }
    }
}
