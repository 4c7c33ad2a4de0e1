//! Samples of consent signals: `gcs`, `gcd`, TCF strings, cookies of consent managers.

use serde_json::Value;
use tidegate::consent::{
    Answered, ConsentStatus, ConsentType, ConsentTypes, Statement,
    cmp::{AllCookies, Told, axeptio, complianz, cookiebot, cookieyes, onetrust},
    gcd, gcs,
    tcf::{self, Holds, VendorId},
};

use super::Tally;

fn list(samples: &Value, key: &str) -> Vec<Value> {
    samples[key].as_array().cloned().unwrap_or_default()
}

/// `granted`, `denied` or null.
fn status(expected: &Value) -> ConsentStatus {
    expected.as_str().and_then(ConsentStatus::from_word).unwrap_or_default()
}

pub fn google(samples: &Value) -> Vec<Tally> {
    let (mut short, mut known, mut seen) =
        (Tally::strict("gcs"), Tally::strict("gcd, known"), Tally::strict("gcd, seen in the wild"));
    for sample in list(samples, "gcs") {
        let text = sample["gcs"].as_str().unwrap_or_default();
        let said = gcs::decode(text).unwrap_or_default();
        let agrees = ["ad_storage", "analytics_storage"].into_iter().all(|name| meets(&said, name, &sample[name]));
        short.count(|| format!("{text:?}: {said:?}, expected {sample}"), agrees);
    }
    for sample in list(samples, "gcd_known") {
        let text = sample["gcd"].as_str().unwrap_or_default();
        known.count(|| format!("{text:?}: expected {}", sample["expected"]), gcd_meets(text, &sample["expected"]));
    }
    for sample in list(samples, "gcd_observed_in_the_wild") {
        let text = sample["gcd"].as_str().unwrap_or_default();
        let expected = &sample["bit_decoding"];
        seen.count(|| format!("{text:?}: expected {expected}"), gcd_meets(text, expected));
    }
    vec![short, known, seen]
}

fn meets(said: &Statement, name: &str, expected: &Value) -> bool {
    ConsentType::from_name(name).is_some_and(|kind| said.get(kind) == status(expected))
}

/// Whether a `gcd` says what is expected of each setting that the sample speaks of; null throughout if it is unreadable.
fn gcd_meets(text: &str, expected: &Value) -> bool {
    let gcd = gcd::decode(text).unwrap_or_default();
    expected.as_object().is_none_or(|types| {
        types.iter().all(|(name, settings)| {
            let settings = settings.as_object().cloned().unwrap_or_default();
            settings.iter().all(|(setting, expected)| match setting.as_str() {
                "default" => meets(&gcd.default, name, expected),
                "update" => meets(&gcd.update, name, expected),
                "implicit" => meets(&gcd.implicit, name, expected),
                // Google's own conclusion: the first of the three that says something.
                _ => [gcd.update, gcd.default, gcd.implicit]
                    .iter()
                    .find(|said| !meets(said, name, &Value::Null))
                    .map_or(expected.is_null(), |said| meets(said, name, expected)),
            })
        })
    })
}

pub fn tcf(samples: &Value) -> Vec<Tally> {
    let (mut purposes, mut vendors, mut disclosed) = (
        Tally::strict("TCF, purposes"),
        Tally::strict("TCF, vendors with consent"),
        Tally::strict("TCF, disclosed vendors"),
    );
    for sample in list(samples, "strings") {
        let text = sample["tcString"].as_str().unwrap_or_default();
        let decoded = &sample["decoded"];
        let numbers = |key: &str| list(decoded, key).iter().filter_map(Value::as_u64).collect::<Vec<_>>();
        let Ok(string) = tcf::decode(text) else {
            purposes.count(|| format!("{text}: unreadable"), false);
            continue;
        };
        let found: Vec<_> = (1..=24).filter(|number| string.purpose(*number)).map(u64::from).collect();
        let expected = numbers("purposeConsents");
        purposes.count(|| format!("{text}: {found:?}, expected {expected:?}"), found == expected);

        let ids = |holds: &dyn Fn(VendorId) -> bool| {
            (1..=u16::MAX).filter(|id| holds(VendorId(*id))).map(u64::from).collect::<Vec<_>>()
        };
        let found = ids(&|id| string.consents(id) == Holds::Yes);
        let expected = numbers("vendorConsents");
        vendors.count(|| format!("{text}: {found:?}, expected {expected:?}"), found == expected);

        if decoded.get("vendorsDisclosed").is_some() {
            let found = ids(&|id| string.disclosed(id) == Some(Holds::Yes));
            let expected = numbers("vendorsDisclosed");
            disclosed.count(|| format!("{text}: {found:?}, expected {expected:?}"), found == expected);
        }
    }
    vec![purposes, vendors, disclosed]
}

/// What the samples' categories are called, and a type that each stands for.
const CATEGORIES: [(&str, &str, ConsentType); 12] = [
    ("cookiebot", "necessary", ConsentType::SecurityStorage),
    ("cookiebot", "preferences", ConsentType::FunctionalityStorage),
    ("cookiebot", "statistics", ConsentType::AnalyticsStorage),
    ("cookiebot", "marketing", ConsentType::AdStorage),
    ("cookieyes", "necessary", ConsentType::SecurityStorage),
    ("cookieyes", "functional", ConsentType::FunctionalityStorage),
    ("cookieyes", "analytics", ConsentType::AnalyticsStorage),
    ("cookieyes", "advertisement", ConsentType::AdUserData),
    ("complianz", "functional", ConsentType::FunctionalityStorage),
    ("complianz", "preferences", ConsentType::PersonalizationStorage),
    ("complianz", "statistics", ConsentType::AnalyticsStorage),
    ("complianz", "marketing", ConsentType::AdPersonalization),
];

pub fn cookies(samples: &Value) -> Vec<Tally> {
    let (mut categories, mut answers) = (Tally::strict("cookies, categories"), Tally::strict("cookies, answered"));
    for sample in list(samples, "cases") {
        let (cmp, raw) = (sample["cmp"].as_str().unwrap_or_default(), sample["raw"].as_str().unwrap_or_default());
        for (category, allowed) in sample["categories"].as_object().into_iter().flatten() {
            let Some((kind, told)) = category_told(cmp, category, &sample) else { continue };
            let expected = if allowed == true { ConsentStatus::Granted } else { ConsentStatus::Denied };
            let agrees = told.is_some_and(|told| told.said.get(kind) == expected);
            categories.count(|| format!("{cmp}, {category} in {raw}: expected {expected:?}"), agrees);
        }
        // What the visitor decided, or what was only implied.
        if let Some(decided) = sample.get("decided").or(sample.get("explicit")).and_then(Value::as_bool) {
            let told = decode(cmp, &sample, &onetrust::Groups::default(), &axeptio::Vendors::default());
            let agrees = told.is_some_and(|told| (told.answered == Answered::Yes) == decided);
            answers.count(|| format!("{cmp}, {raw}: expected {decided}"), agrees);
        }
    }
    vec![categories, answers]
}

/// What was decoded, and the type by which to tell a category; groups and vendors of a site's own are mapped one by one.
/// `None` for a category that stands for no type.
fn category_told(cmp: &str, category: &str, sample: &Value) -> Option<(ConsentType, Option<Told>)> {
    let (mut groups, mut vendors) = (onetrust::Groups::default(), axeptio::Vendors::default());
    let kind = match cmp {
        "onetrust" | "axeptio" => {
            let types = ConsentTypes::of(&[ConsentType::PersonalizationStorage]);
            ["C0001", "C0002", "C0003", "C0004"].into_iter().for_each(|id| groups.set(id, ConsentTypes::NONE));
            groups.set(category, types);
            vendors.0.push((category.into(), types));
            ConsentType::PersonalizationStorage
        }
        _ => CATEGORIES.iter().find(|(own, name, _)| *own == cmp && *name == category)?.2,
    };
    Some((kind, decode(cmp, sample, &groups, &vendors)))
}

fn decode(cmp: &str, sample: &Value, groups: &onetrust::Groups, vendors: &axeptio::Vendors) -> Option<Told> {
    let (name, raw) = (sample["cookie"].as_str()?, sample["raw"].as_str()?);
    // Complianz' samples are whole headers, because it has many cookies.
    let header = if name.contains('*') { raw.to_owned() } else { format!("{name}={raw}") };
    let mut cookies = AllCookies::default();
    cookies.scan(header.as_bytes());
    let cookies = cookies.first;
    let told = match cmp {
        "cookiebot" => cookiebot::decode(cookies.cookiebot?),
        "onetrust" => onetrust::decode(cookies.onetrust?, cookies.onetrust_closed, groups),
        "cookieyes" => cookieyes::decode(cookies.cookieyes?),
        "complianz" => complianz::decode(&cookies.complianz),
        "axeptio" => axeptio::decode(&cookies.axeptio, vendors),
        _ => return None,
    };
    told.ok()
}
