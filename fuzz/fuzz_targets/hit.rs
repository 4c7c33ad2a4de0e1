//! `POST /hit`: any body is refused or decided, and what is decided can be stored and answered.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../pipeline.rs"]
mod pipeline;

fuzz_target!(|body: &[u8]| pipeline::hit(body));
