//! `gcs` and `gcd`: any text is read or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::consent::{gcd, gcs};

fuzz_target!(|text: &str| {
    let _ = gcs::decode(text);
    let _ = gcd::decode(text);
});
