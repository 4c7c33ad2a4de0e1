//! TCF strings: any text is read or refused, and any vendor is in it or not.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::consent::tcf::{self, VendorId};

fuzz_target!(|text: &str| {
    if let Ok(string) = tcf::decode(text) {
        string.in_general();
        for id in [0, 1, 755, 1234, u16::MAX] {
            string.for_vendor(VendorId(id));
        }
    }
});
