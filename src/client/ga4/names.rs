//! What a parameter on the wire is called in event data. Names are those of Google's server containers
//! (developers.google.com/tag-platform/tag-manager/server-side/common-event-data).

use serde_json::{Map, Value};
use url::Url;

use super::hints::{Hint, HintKind};
use crate::client::parameters::{nest, number};

/// How a parameter's value is read.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    /// A number; what is none stays text.
    Number,
    /// `1` is true, anything else false.
    Flag,
}

use Kind::{Flag, Number, Text};

/// Parameters with a name of their own (beside client hints), by their name on the wire. Keys with a dot are nested.
const NAMES: [(&str, &str, Kind); 45] = [
    ("_et", "engagement_time_msec", Number),
    ("_p", "x-ga-page_id", Number),
    ("_s", "x-ga-request_count", Number),
    ("cid", "client_id", Text),
    ("cu", "currency", Text),
    ("de", "page_encoding", Text),
    ("dh", "page_hostname", Text),
    ("did", "x-ga-did", Text),
    ("dl", "page_location", Text),
    ("dma", "x-ga-dma", Flag),
    ("dma_cps", "x-ga-dma_cps", Text),
    ("dr", "page_referrer", Text),
    ("dt", "page_title", Text),
    ("ecid", "x-ga-ecid", Text),
    ("edid", "x-ga-edid", Text),
    ("em", "x-ga-em", Text),
    ("gcd", "x-ga-gcd", Text),
    ("gcs", "x-ga-gcs", Text),
    ("gcu", "x-ga-gcu", Text),
    ("gdid", "x-ga-gdid", Text),
    ("gdpr", "gdpr", Text),
    ("gdpr_consent", "gdpr_consent", Text),
    ("gtm", "x-ga-gtm_version", Text),
    ("li", "item_list_id", Text),
    ("ln", "item_list_name", Text),
    ("lo", "location_id", Text),
    ("lps", "x-ga-lps", Flag),
    ("npa", "x-ga-npa", Text),
    ("pi", "promotion_id", Text),
    ("pn", "promotion_name", Text),
    ("sct", "ga_session_number", Number),
    ("sid", "ga_session_id", Text),
    ("sr", "screen_resolution", Text),
    ("tfd", "x-ga-tfd", Number),
    ("tid", "x-ga-measurement_id", Text),
    ("tt", "traffic_type", Text),
    ("uid", "user_id", Text),
    ("ul", "language", Text),
    ("us_privacy", "x-ga-us_privacy", Text),
    ("v", "x-ga-protocol_version", Text),
    ("vp", "viewport_size", Text),
    ("_fv", "x-ga-system_properties.fv", Text),
    ("_nsi", "x-ga-system_properties.nsi", Text),
    ("_ss", "x-ga-system_properties.ss", Text),
    ("_c", "x-ga-system_properties.c", Text),
];

/// On an event that names a promotion, these two tell of its creative; otherwise of the campaign.
const PROMOTION: [(&str, &str); 2] = [("cn", "creative_name"), ("cs", "creative_slot")];

const CAMPAIGN: [(&str, &str); 9] = [
    ("cc", "campaign_content"),
    ("ccf", "campaign_creative_format"),
    ("ci", "campaign_id"),
    ("ck", "campaign_term"),
    ("cm", "campaign_medium"),
    ("cmt", "campaign_marketing_tactic"),
    ("cn", "campaign"),
    ("cs", "campaign_source"),
    ("ct", "campaign_term"),
];

/// Puts a parameter under its event data name. One without a name there is kept as `x-ga-mp2-<name>`, never refused.
pub fn put(data: &mut Map<String, Value>, wire: &str, value: &str, promotes: bool) {
    if let Some((_, key, kind)) = NAMES.iter().find(|(own, ..)| *own == wire) {
        let value = match kind {
            Text => value.into(),
            Number => number(value),
            Flag => Value::Bool(value == "1"),
        };
        return nest(data, key, value);
    }
    if let Some(hint) = Hint::of_wire(wire) {
        let value = match hint.kind {
            HintKind::Text => value.into(),
            HintKind::Flag => Value::Bool(value == "1"),
        };
        return nest(data, hint.path, value);
    }
    let of_promotion = PROMOTION.iter().filter(|_| promotes);
    match of_promotion.chain(&CAMPAIGN).find(|(own, _)| *own == wire) {
        Some((_, key)) => nest(data, key, value.into()),
        None => {
            data.insert(format!("x-ga-mp2-{wire}"), value.into());
        }
    }
}

/// The key of event data, or the path to it, that a parameter has for itself.
pub fn key_of(wire: &str) -> Option<&'static str> {
    let named = NAMES.iter().find(|(own, ..)| *own == wire).map(|(_, key, _)| *key);
    named.or_else(|| Hint::of_wire(wire).map(|hint| hint.path))
}

/// Sets one key of a mapping such as `user_properties`.
pub fn property(data: &mut Map<String, Value>, mapping: &str, key: &str, value: Value) {
    let mapping = data.entry(mapping).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(mapping) = mapping {
        mapping.insert(key.to_owned(), value);
    }
}

/// What follows from other keys: the page's host and path.
pub fn derive(data: &mut Map<String, Value>) {
    let Some(page) = data.get("page_location").and_then(Value::as_str).and_then(|page| Url::parse(page).ok()) else {
        return;
    };
    if let Some(host) = page.host_str() {
        data.entry("page_hostname").or_insert_with(|| host.into());
        data.entry("page_path").or_insert_with(|| page.path().into());
    }
}
