//! Signals by which a visitor or a site opts out: the header `Sec-GPC`, `npa` and `us_privacy`. Each takes its value and
//! gives what it denies. None of them can grant.
//!
//! Which types an opt-out from sale or sharing means is our own rule: all that ads need.

use serde_json::Value;

use super::{ConsentStatus, ConsentType, Statement, Unreadable};

/// `Sec-GPC: 1`; there is no other value, and its absence says nothing. Of several values, put together by a proxy, one is
/// enough.
pub fn sec_gpc(value: &str) -> Result<Statement, Unreadable> {
    if value.split(',').any(|value| value.trim() == "1") {
        Ok(Statement::of(&ConsentType::AD, ConsentStatus::Denied))
    } else {
        Err(Unreadable::WrongForm)
    }
}

/// `npa`: 1 asks for ads that are not personalised.
pub fn npa(value: &Value) -> Result<Statement, Unreadable> {
    match flag(value)? {
        true => Ok(Statement::of(&[ConsentType::AdPersonalization], ConsentStatus::Denied)),
        false => Ok(Statement::default()),
    }
}

/// `us_privacy`, such as `1YNN`: a version, then whether notice was given, whether the visitor opted out of sale, and
/// whether a contract of the advertising industry applies.
pub fn us_privacy(text: &str) -> Result<Statement, Unreadable> {
    let [b'1', notice, opted_out, contract] = *text.trim().as_bytes() else { return Err(Unreadable::WrongForm) };
    if [notice, opted_out, contract].iter().any(|character| !b"YyNn-".contains(character)) {
        return Err(Unreadable::WrongForm);
    }
    match opted_out {
        b'Y' | b'y' => Ok(Statement::of(&ConsentType::AD, ConsentStatus::Denied)),
        _ => Ok(Statement::default()),
    }
}

/// 0 or 1, however it is written.
pub fn flag(value: &Value) -> Result<bool, Unreadable> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::Number(number) if number.as_u64() == Some(1) => Ok(true),
        Value::Number(number) if number.as_u64() == Some(0) => Ok(false),
        Value::String(text) => match text.as_str() {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err(Unreadable::WrongForm),
        },
        _ => Err(Unreadable::WrongForm),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn opting_out_of_sale_denies_what_ads_need() {
        let all = Statement::of(&ConsentType::AD, ConsentStatus::Denied);
        for value in ["1", " 1", "1, 1", "0,1"] {
            assert_eq!(sec_gpc(value), Ok(all), "{value}");
        }
        for value in ["", "0", "true", "11"] {
            assert_eq!(sec_gpc(value), Err(Unreadable::WrongForm), "{value}");
        }
        for text in ["1YYN", "1NYY", "1-Y-", "1yyn", " 1YYN "] {
            assert_eq!(us_privacy(text), Ok(all), "{text}");
        }
        for text in ["1YNN", "1---", "1yn-"] {
            assert_eq!(us_privacy(text), Ok(Statement::default()), "{text}");
        }
        for text in ["", "1YY", "1YYNN", "2YYN", "1YXN", "1é-"] {
            assert_eq!(us_privacy(text), Err(Unreadable::WrongForm), "{text}");
        }
    }

    #[test]
    fn npa_denies_personal_ads_alone() {
        for value in [json!("1"), json!(1), json!(true)] {
            assert_eq!(
                npa(&value),
                Ok(Statement::of(&[ConsentType::AdPersonalization], ConsentStatus::Denied)),
                "{value}"
            );
        }
        for value in [json!("0"), json!(0), json!(false)] {
            assert_eq!(npa(&value), Ok(Statement::default()), "{value}");
        }
        for value in [json!(""), json!(2), json!(null), json!([1]), json!("yes")] {
            assert_eq!(npa(&value), Err(Unreadable::WrongForm), "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "1?.*") {
            let _ = (us_privacy(&text), sec_gpc(&text));
        }
    }
}
