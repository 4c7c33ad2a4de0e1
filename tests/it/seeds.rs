//! The seeds of the fuzz targets in `fuzz/`, run as they are: whatever once broke a decoder is kept there.

use std::{fs, path::Path};

use http::HeaderValue;
use tidegate::{
    consent::{
        ConsentSettings, gather, gcd, gcs,
        tcf::{self, VendorId},
    },
    hit::Hit,
    time::Timestamp,
};

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
            headers: [(http::header::COOKIE, value)].into_iter().collect(),
            host: "tags.example.com".into(),
            ..Hit::silent(Timestamp(0))
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

/// The same numbers in every run: what fails once fails again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound.max(1) as u64).unwrap()
    }

    fn mutate(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        const ODD: [&[u8]; 12] =
            [b"&", b"=", b"%", b"#", b"\n", b"\0", b"\xff", b"~", b"\"", b"{", b"ep.user_data.a=", b"sst.x=1&"];
        let at = self.below(input.len() + 1);
        match self.below(5) {
            0 => drop(input.splice(at..at, ODD[self.below(ODD.len())].iter().copied())),
            1 => drop(input.drain(at..(at + self.below(9)).min(input.len()))),
            2 if at < input.len() => input[at] = u8::try_from(self.below(256)).unwrap(),
            3 => drop(input.splice(at.., other[self.below(other.len() + 1)..].iter().copied())),
            _ => input.extend_from_within(at..(at + self.below(40)).min(input.len())),
        }
        input.truncate(4_000);
    }
}

/// Hands a target what is like its seeds: not the coverage of `cargo fuzz`, but a little of it in every run.
fn each_mutation(target: &str, decode: impl Fn(&[u8])) {
    let seeds = std::cell::RefCell::new(Vec::new());
    each_seed(target, |seed| seeds.borrow_mut().push(seed.to_vec()));
    let mut seeds = seeds.into_inner();
    seeds.sort();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..500 {
        let (mut input, other) = (seeds[dice.below(seeds.len())].clone(), &seeds[dice.below(seeds.len())]);
        for _ in 0..=dice.below(6) {
            dice.mutate(&mut input, other);
        }
        decode(&input);
    }
}

#[test]
fn what_is_like_a_seed_is_refused_or_decided_too() {
    each_mutation("hit", pipeline::hit);
    each_mutation("ga4", pipeline::ga4);
}
