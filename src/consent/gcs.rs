//! `gcs`, Google's older consent signal: takes its text, such as `G110`; gives what it says of two types.
//!
//! `G`, a version digit, then `ad_storage` and `analytics_storage`: `1` granted, `0` denied, `-` not set.

use super::{ConsentStatus, ConsentType, Statement, Unreadable};

pub fn decode(text: &str) -> Result<Statement, Unreadable> {
    let [b'G', version, ad, analytics] = *text.as_bytes() else { return Err(Unreadable::WrongForm) };
    if !version.is_ascii_digit() {
        return Err(Unreadable::WrongForm);
    }
    let mut said = Statement::default();
    said.set(ConsentType::AdStorage, status(ad)?);
    said.set(ConsentType::AnalyticsStorage, status(analytics)?);
    Ok(said)
}

fn status(character: u8) -> Result<ConsentStatus, Unreadable> {
    match character {
        b'1' => Ok(ConsentStatus::Granted),
        b'0' => Ok(ConsentStatus::Denied),
        b'-' => Ok(ConsentStatus::Unknown),
        _ => Err(Unreadable::WrongForm),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use ConsentStatus::{Denied, Granted, Unknown};

    #[test]
    fn positions_are_advertising_and_analytics() {
        for (text, ad, analytics) in [
            ("G111", Granted, Granted),
            ("G110", Granted, Denied),
            ("G101", Denied, Granted),
            ("G100", Denied, Denied),
            ("G1--", Unknown, Unknown),
            ("G1-0", Unknown, Denied),
            ("G01-", Granted, Unknown),
        ] {
            let said = decode(text).expect(text);
            assert_eq!(said.get(ConsentType::AdStorage), ad, "{text}");
            assert_eq!(said.get(ConsentType::AnalyticsStorage), analytics, "{text}");
            assert_eq!(said.get(ConsentType::AdUserData), Unknown, "gcs says nothing of other types");
        }
    }

    #[test]
    fn what_has_another_form_says_nothing() {
        for text in ["", "G", "G1", "G11", "G1111", "g111", "111", "G121", "G1 1", "Gé1", "GG11", "💩"] {
            assert_eq!(decode(text), Err(Unreadable::WrongForm), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = decode(&text);
        }
    }
}
