//! What looks like an e-mail address: takes any text, and finds one in it however it is spelt: percent-encoded, more than
//! once too, in wide letters, with signs in it that nobody sees, in base64.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::digest::base64_bytes;

/// How often a text may be percent-encoded. Who encodes it more often is at pains to hide something.
const MAX_DECODED: usize = 12;
/// The shortest text in base64 that holds an address, and the longest that is looked into.
const BASE64: std::ops::RangeInclusive<usize> = 11..=8192;

/// Whether something in a text looks like an e-mail address.
pub fn holds_email(text: &str) -> bool {
    if is_spelt_out(text) {
        return true;
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_');
    let tokens = text.split(|c| !is_part(c)).filter(|token| BASE64.contains(&token.len()));
    tokens.filter_map(base64_bytes).any(|bytes| std::str::from_utf8(&bytes).is_ok_and(is_spelt_out))
}

fn is_spelt_out(text: &str) -> bool {
    let mut text = folded(text);
    for _ in 0..MAX_DECODED {
        if text.match_indices('@').any(|(at, _)| is_email_around(&text, at)) {
            return true;
        }
        if !text.contains('%') {
            return false;
        }
        let plain = text.replace("%u0040", "@");
        let next = folded(&percent_decode_str(&plain).decode_utf8_lossy()).into_owned();
        if next == *text {
            return false;
        }
        text = Cow::Owned(next);
    }
    true
}

/// A text without the signs that nobody sees, and wide letters as usual ones.
pub fn folded(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let is_unseen = |c: &char| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    let usual = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => u8::try_from(u32::from(c) - 0xfee0).map_or(c, char::from),
        '\u{fe6b}' => '@',
        '\u{3002}' | '\u{ff61}' | '\u{fe52}' => '.',
        c => c,
    };
    Cow::Owned(text.chars().filter(|c| !is_unseen(c)).map(usual).collect())
}

/// Something before the at sign, and after it a name of at least two parts, whose last has letters alone, or a network
/// address in brackets.
fn is_email_around(text: &str, at: usize) -> bool {
    let has_user = text[..at].ends_with(|c: char| c.is_alphanumeric() || "._-+%'\"!#$&*=^`{|}~".contains(c));
    let rest = &text[at + 1..];
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '-' && c != '.').unwrap_or(rest.len());
    let host = rest[..end].trim_end_matches(['.', '-']);
    let is_last = |last: &str| last.chars().count() >= 2 && last.chars().all(char::is_alphabetic);
    let has_host = |(name, last): (&str, &str)| !name.is_empty() && (is_last(last) || last.starts_with("xn--"));
    has_user && (host.rsplit_once('.').is_some_and(has_host) || rest.starts_with('['))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_however_they_are_spelt() {
        for text in [
            "ada@example.com",
            "<ada+x@example.co.uk>",
            "ada%40example.com",
            "ada%2540example.com",
            "ada%252525252540example.com",
            "ada%u0040example.com",
            "ada＠example。com",
            "%61da%EF%BC%A0example.com",
            "a\u{200b}da@exam\u{ad}ple.com",
            "ada@[203.0.113.7]",
            "ada@münchen.example",
            "ada@xn--e1afmkfd.xn--p1ai",
            "YWRhQGV4YW1wbGUuY29t",
            "u=YWRhQGV4YW1wbGUuY29t;x",
            "eyJhbGciOiJub25lIn0.eyJlbWFpbCI6ImFkYUBleGFtcGxlLmNvbSJ9.c2ln",
        ] {
            assert!(holds_email(text), "{text}");
        }
        for text in [
            "",
            "@",
            "kettle @home",
            "npm/@scope/pkg@1.2.3/x.js",
            "@52.37,4.89,12z",
            "https://social.example/@ada.lovelace",
            "100% of 5%",
            "%E0%A4%A%zz",
            "gAAAAABnYWRhQGV4YW1w",
            "ada at example.com",
        ] {
            assert!(!holds_email(text), "{text}");
        }
    }
}
