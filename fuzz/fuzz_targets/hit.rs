//! `POST /hit`: any body is refused or decided, and what is decided can be stored and answered.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| tidegate_fuzz::hit(body));
