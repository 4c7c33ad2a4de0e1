//! What a parameter tells of a person: takes its name on the wire and its value; gives what becomes of it where
//! `ad_user_data` is not granted. Keys are judged where a site chooses them. The protocol's own are known to mean what they
//! mean: its ids (`cid`, `sid`, `uid`) are what `analytics_storage` is about, unless one holds what is about a person.

use super::{items, names};
use crate::privacy::{Fate, personal};

/// What Google's tags make of a user's e-mail address and phone number.
const OF_USER: [&str; 2] = ["em", "ecid"];
/// The site's own id of a visitor: no hashed e-mail address is to pass for one.
const VISITOR: &str = "uid";

pub fn fate(wire: &str, value: &str) -> Fate {
    match wire.split_once('.') {
        Some(("ep" | "epn" | "up" | "upn", key)) => return personal::fate(key, value),
        _ if OF_USER.contains(&wire) => return Fate::Goes,
        _ if wire == VISITOR => return personal::fate("", value),
        _ => {}
    }
    if items::is_item(wire) {
        return match items::rewrite(value, personal::fate) {
            None => Fate::Stays,
            Some(kept) if kept.is_empty() => Fate::Goes,
            Some(kept) => Fate::Becomes(kept),
        };
    }
    match names::key_of(wire) {
        Some(key) => personal::fate_of_needed(key, value),
        // Nobody knows what it is but the site, or Google's newest tag.
        None if wire == "en" => personal::fate_of_needed("", value),
        None => personal::fate(wire, value),
    }
}
