//! Commands as browsers copy them.

use proptest::prelude::*;

use super::*;

/// Chrome, "Copy as cURL (bash)", of GA4's tag with a body of two events.
const CHROME: &str = r#"curl 'https://t.example.com/g/collect?v=2&tid=G-TEST123&gcs=G111' \
  -H 'accept: */*' \
  -H 'content-type: text/plain;charset=UTF-8' \
  -b '_ga=GA1.1.11.22; note=it'\''s' \
  -H 'user-agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/150.0' \
  --data-raw $'en=page_view\r\nen=scroll&ep.note=it\'s\u0021' \
  --compressed ;"#;

/// Firefox, "Copy as cURL (POSIX)".
const FIREFOX: &str = r#"curl 'https://t.example.com/hit' --compressed -X POST -H 'User-Agent: Mozilla/5.0 Firefox/150.0' -H 'Origin: https://www.example.com' -H 'Cookie: a=b' --data-raw '{"event":"purchase","value":5}'"#;

/// Safari, "Copy as cURL".
const SAFARI: &str = r#"curl 'https://t.example.com/hit' \
-X 'POST' \
-H 'Content-Type: text/plain;charset=UTF-8' \
-H 'Cookie: a=b' \
-H 'User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/26.0 Safari/605.1.15' \
--data-binary '{"event":"purchase","note":"it'\''s ^ fine"}'"#;

#[test]
fn what_browsers_copy_is_read() {
    let safari = read(SAFARI).unwrap();
    assert_eq!(safari.body.as_deref(), Some(r#"{"event":"purchase","note":"it's ^ fine"}"#));
    assert_eq!((safari.method.as_deref(), safari.headers.len()), (Some("POST"), 3));
    let chrome = read(CHROME).unwrap();
    assert_eq!(chrome.url, "https://t.example.com/g/collect?v=2&tid=G-TEST123&gcs=G111");
    assert_eq!(chrome.body.as_deref(), Some("en=page_view\r\nen=scroll&ep.note=it's!"));
    assert_eq!(chrome.headers[2], "Cookie: _ga=GA1.1.11.22; note=it's");
    assert_eq!((chrome.headers.len(), chrome.method), (4, None));
    let firefox = read(FIREFOX).unwrap();
    assert_eq!(firefox.method.as_deref(), Some("POST"));
    assert_eq!(firefox.body.as_deref(), Some(r#"{"event":"purchase","value":5}"#));
}

#[test]
fn quotes_and_escapes_are_the_shells() {
    for (command, body) in [
        (r"curl u -d a\ b", "a b"),
        (r#"curl u -d "a \"b\" \$c \d""#, r#"a "b" $c \d"#),
        (r"curl u -d 'a\b'", r"a\b"),
        (r"curl u -d $'\x41\102\u00e9\U0001F600\ud83d\ude00\q'", "AB\u{e9}\u{1F600}\u{1F600}\\q"),
        (r"curl u -d $'\xc3\xa9'", "\u{e9}"),
        ("curl u -d 'two\nlines'", "two\nlines"),
        ("curl u \\\r\n -da", "a"),
        ("curl u -d a -d b", "a&b"),
        ("curl u --data-raw @a", "@a"),
        ("curl u -d ''", ""),
    ] {
        assert_eq!(read(command).unwrap().body.as_deref(), Some(body), "{command}");
    }
    let all = read("curl -sS -XPUT --max-time 5 -o x -A 'B 1' -e http://r/ --url u --json {}").unwrap();
    assert_eq!((all.url.as_str(), all.method.as_deref()), ("u", Some("PUT")));
    assert_eq!(all.headers, ["User-Agent: B 1", "Referer: http://r/", "Content-Type: application/json"]);
}

#[test]
fn what_cannot_be_followed_is_refused_with_a_reason() {
    for (command, reason) in [
        ("wget u", "does not begin with curl"),
        ("curl", "names no address"),
        ("curl a b", "names two addresses"),
        ("curl 'a", "never closed"),
        ("curl a -d @file", "takes a file"),
        ("curl a -b jar.txt", "takes a file"),
        ("curl a -F x=y", "-F of curl is not followed"),
        ("curl a --get", "--get of curl is not followed"),
        ("curl a -H", "is followed by nothing"),
        ("curl a | sh", "an unquoted | is the shell's"),
        ("curl $(x)", "an unquoted $ is the shell's"),
        ("curl ^\"https://a^\"", "copy it as cURL (bash)"),
        ("curl ^\"https://a^\" ^\r\n  -H ^\"a: b^\"", "copy it as cURL (bash)"),
        ("curl \"https://a\" ^\n  -H \"a: b\" ^\n  --compressed", "copy it as cURL (bash)"),
        (r"curl a -d $'\xff'", "no UTF-8"),
        ("curl a\\", "ends in the middle"),
    ] {
        let error = read(command).unwrap_err().to_string();
        assert!(error.contains(reason), "{command}: {error}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "curl [ -~é\\\\'\"$\n]{0,60}") {
        let _ = read(&text);
    }

    #[test]
    fn whatever_is_quoted_arrives(body in "[^\u{0}]{0,40}") {
        let quoted = body.replace('\'', r"'\''");
        prop_assert_eq!(read(&format!("curl u --data-raw '{quoted}'")).unwrap().body, Some(body));
    }
}
