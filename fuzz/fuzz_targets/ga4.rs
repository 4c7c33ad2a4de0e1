//! GA4's protocol: any query string and body is refused or decided, and what is relayed of it reads as it did.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../pipeline.rs"]
mod pipeline;

fuzz_target!(|bytes: &[u8]| pipeline::ga4(bytes));
