//! The seeds of the fuzz targets in `fuzz/`, run as they are: whatever once broke a decoder is kept there.

use std::{fs, path::Path};

use http::HeaderValue;
use tidegate::{
    consent::{
        ConsentSettings, gather, gcd, gcs,
        tcf::{self, VendorId},
    },
    hit::{Hit, HitId, Through},
    time::Timestamp,
};
use uuid::Uuid;

#[path = "../../fuzz/src/lib.rs"]
mod pipeline;

/// Hands every seed of a target to its decoder.
fn each_seed(target: &str, decode: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut seeds = 0;
    for entry in fs::read_dir(folder).unwrap() {
        decode(&fs::read(entry.unwrap().path()).unwrap());
        seeds += 1;
    }
    assert!(seeds >= 8, "{target} has only {seeds} seeds");
}

#[test]
fn seeds_of_gcs_and_gcd_are_read_or_refused() {
    each_seed("google", |seed| {
        let text = String::from_utf8_lossy(seed);
        let _ = (gcs::decode(&text), gcd::decode(&text));
    });
}

#[test]
fn seeds_of_tcf_strings_are_read_or_refused() {
    each_seed("tcf", |seed| {
        let text = String::from_utf8_lossy(seed);
        let Ok(string) = tcf::decode(&text) else { return };
        [0, 1, 755, 1234, u16::MAX].into_iter().for_each(|id| {
            string.for_vendor(VendorId(id));
        });
    });
}

#[test]
fn seeds_of_cookies_are_read_or_refused() {
    each_seed("cookies", |seed| {
        let Ok(value) = HeaderValue::from_bytes(seed) else { return };
        let hit = Hit {
            id: HitId(Uuid::nil()),
            received: Timestamp(0),
            method: http::Method::POST,
            path: "/hit".into(),
            query: "".into(),
            headers: [(http::header::COOKIE, value)].into_iter().collect(),
            through: Through::Strangers,
            address: None,
            detail: tidegate::privacy::Detail::default(),
            host: "tags.example.com".into(),
            body: bytes::Bytes::new(),
        };
        gather::of_hit(&hit, &ConsentSettings::default());
    });
}

#[test]
fn seeds_of_hits_are_refused_or_decided() {
    each_seed("hit", pipeline::hit);
}

#[test]
fn seeds_of_ga4_are_refused_or_decided() {
    each_seed("ga4", pipeline::ga4);
}
