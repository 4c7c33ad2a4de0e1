//! GA4's protocol: any query string and body is refused or decided, and what is relayed of it reads as it did.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| tidegate_fuzz::ga4(bytes));
