//! Axeptio's cookies, which speak of vendors and not of categories: `axeptio_cookies` is JSON with a boolean for each,
//! `axeptio_authorized_vendors` and `axeptio_all_vendors` are lists. Takes those that are there and which types a vendor
//! stands for; gives what they say of these types.

use serde_json::{Map, Value};

use super::{Answered, ConsentStatus, Statement, Told, Unreadable, decoded, status};
use crate::consent::ConsentTypes;

/// The cookies, as they stand in the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cookies<'h> {
    pub choices: Option<&'h [u8]>,
    pub authorized: Option<&'h [u8]>,
    pub all: Option<&'h [u8]>,
}

/// Which types a vendor stands for, by its name at Axeptio. Empty unless the container says so: names are the site's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vendors(pub Vec<(Box<str>, ConsentTypes)>);

impl Cookies<'_> {
    /// Whether any cookie is there that says something of a vendor.
    pub fn are_there(&self) -> bool {
        self.choices.is_some() || self.authorized.is_some()
    }
}

pub fn decode(cookies: &Cookies<'_>, vendors: &Vendors) -> Result<Told, Unreadable> {
    let choices = cookies.choices.map(choices).transpose()?;
    let authorized = cookies.authorized.map(decoded).transpose()?;
    let all = cookies.all.map(decoded).transpose()?;
    let mut said = Statement::default();
    for (vendor, types) in &vendors.0 {
        let chosen = choices.as_ref().and_then(|choices| choices.get(&**vendor)?.as_bool());
        let chosen = chosen.map_or(ConsentStatus::Unknown, status);
        let listed = match (&authorized, &all) {
            (Some(authorized), _) if is_in(authorized, vendor) => ConsentStatus::Granted,
            (Some(_), Some(all)) if is_in(all, vendor) => ConsentStatus::Denied,
            _ => ConsentStatus::Unknown,
        };
        for kind in types.iter() {
            said.set(kind, said.get(kind).strictest(chosen).strictest(listed));
        }
    }
    let answered = match choices.as_ref().and_then(|choices| choices.get("$$completed")?.as_bool()) {
        Some(true) => Answered::Yes,
        Some(false) => Answered::No,
        None => Answered::NotSaid,
    };
    Ok(Told { said, answered })
}

fn choices(raw: &[u8]) -> Result<Map<String, Value>, Unreadable> {
    serde_json::from_str(&decoded(raw)?).map_err(|_| Unreadable::WrongForm)
}

/// Whether a list such as `,a,b,` names a vendor.
fn is_in(list: &str, vendor: &str) -> bool {
    list.split(',').any(|name| name.trim() == vendor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::consent::ConsentType;
    use ConsentStatus::{Denied, Granted, Unknown};

    fn vendors() -> Vendors {
        let ads = ConsentTypes::of(&[ConsentType::AdStorage, ConsentType::AdUserData]);
        Vendors(vec![("Ads".into(), ads), ("Stats".into(), ConsentTypes::of(&[ConsentType::AnalyticsStorage]))])
    }

    fn of_choices(raw: &[u8]) -> Result<Told, Unreadable> {
        decode(&Cookies { choices: Some(raw), ..Cookies::default() }, &vendors())
    }

    #[test]
    fn vendors_become_types_where_the_container_maps_them() {
        for raw in [
            &br#"{"$$token":"t","$$completed":true,"Ads":false,"Stats":true,"Other":true}"#[..],
            b"{%22$$token%22:%22t%22%2C%22$$completed%22:true%2C%22Ads%22:false%2C%22Stats%22:true}",
        ] {
            let told = of_choices(raw).expect("choices");
            assert_eq!(told.said.get(ConsentType::AdStorage), Denied);
            assert_eq!(told.said.get(ConsentType::AdUserData), Denied);
            assert_eq!(told.said.get(ConsentType::AnalyticsStorage), Granted);
            assert_eq!(told.said.get(ConsentType::AdPersonalization), Unknown);
            assert_eq!(told.answered, Answered::Yes);
        }
        let cookies = Cookies { choices: Some(br#"{"Ads":true}"#), ..Cookies::default() };
        let told = decode(&cookies, &Vendors::default()).expect("choices");
        assert_eq!(told, Told::default(), "a vendor that is not mapped says nothing of a type");
    }

    #[test]
    fn a_banner_that_is_open_is_no_answer() {
        let told = of_choices(br#"{"$$completed":false}"#).expect("choices");
        assert_eq!(told, Told { said: Statement::default(), answered: Answered::No });
    }

    #[test]
    fn lists_grant_whom_they_authorise_and_deny_whom_they_asked_about() {
        let lists = |authorized: &'static [u8], all: Option<&'static [u8]>| {
            decode(&Cookies { authorized: Some(authorized), all, ..Cookies::default() }, &vendors())
                .expect("lists")
                .said
        };
        let said = lists(b",Stats,Other,", Some(b"%2CAds%2CStats%2COther%2C"));
        assert_eq!(said.get(ConsentType::AdStorage), Denied);
        assert_eq!(said.get(ConsentType::AnalyticsStorage), Granted);
        assert_eq!(lists(b"%2C%2C", None).get(ConsentType::AdStorage), Unknown, "nobody says that it was asked about");
        assert_eq!(lists(b",Adsense,", Some(b",Adsense,")).get(ConsentType::AdStorage), Unknown);
    }

    #[test]
    fn what_is_no_mapping_says_nothing() {
        for raw in [&b""[..], b"null", b"[]", b"true", b"{", b"{Ads:true}"] {
            assert_eq!(of_choices(raw), Err(Unreadable::WrongForm));
        }
        assert_eq!(of_choices(b"\xff"), Err(Unreadable::NotText));
        assert_eq!(of_choices(br#"{"Ads":"true","Stats":1}"#).map(|told| told.said), Ok(Statement::default()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(a in prop::collection::vec(any::<u8>(), 0..60), b in prop::collection::vec(any::<u8>(), 0..20)) {
            let _ = decode(&Cookies { choices: Some(&a), authorized: Some(&b), all: Some(&b) }, &vendors());
            let _ = decode(&Cookies { choices: None, authorized: Some(&b), all: Some(&a) }, &vendors());
        }
    }
}
