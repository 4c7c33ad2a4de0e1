//! A call of `fetch`, as browsers copy it ("Copy as fetch"): takes its text, gives the request. What browsers write there
//! is JSON, and only that is read.

use anyhow::{Context as _, bail, ensure};
use serde_json::{Map, Value};

use super::request::Copied;

/// Whether a text is such a call.
pub(super) fn is_call(text: &str) -> bool {
    inner(text).is_some()
}

/// What follows the opening bracket.
fn inner(text: &str) -> Option<&str> {
    let text = text.trim_start();
    text.strip_prefix("await").map_or(text, str::trim_start).strip_prefix("fetch")?.trim_start().strip_prefix('(')
}

/// Reads a call.
///
/// # Errors
/// It is none, or was written by hand.
pub(super) fn read(call: &str) -> anyhow::Result<Copied> {
    const BY_HAND: &str = "the call of fetch is not as a browser copies it, with everything in double quotes";
    let rest = inner(call).context("this is no call of fetch")?;
    let (url, rest) = value(rest).context(BY_HAND)?;
    let Value::String(url) = url else { bail!(BY_HAND) };
    let (options, rest) = match rest.trim_start().strip_prefix(',') {
        Some(rest) => value(rest).context(BY_HAND)?,
        None => (Value::Object(Map::new()), rest),
    };
    let rest = rest.trim();
    ensure!(
        rest == ")" || rest == ");",
        "after the call of fetch stands something else; pass one call as it was copied"
    );
    let text = |key: &str| options.get(key).and_then(Value::as_str).map(str::to_owned);
    let headers = options.get("headers").and_then(Value::as_object).into_iter().flatten();
    let mut headers: Vec<_> =
        headers.filter_map(|(name, value)| Some(format!("{name}: {}", value.as_str()?))).collect();
    headers.extend(text("referrer").map(|page| format!("Referer: {page}")));
    Ok(Copied { url, method: text("method"), headers, body: text("body") })
}

/// The JSON value at the beginning of a text, and what follows it.
fn value(text: &str) -> serde_json::Result<(Value, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = values.next().unwrap_or(Ok(Value::Null))?;
    Ok((value, text.get(values.byte_offset()..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chrome's "Copy as fetch".
    const CHROME: &str = r#"fetch("https://t.example.com/hit", {
  "headers": {
    "accept": "*/*",
    "content-type": "text/plain;charset=UTF-8",
    "sec-ch-ua": "\"Chromium\";v=\"150\""
  },
  "referrer": "https://www.example.com/thanks",
  "body": "{\"event\":\"purchase\",\"value\":5}",
  "method": "POST",
  "mode": "cors",
  "credentials": "include"
});"#;

    /// Firefox's "Copy as Fetch" of a request without a body.
    const FIREFOX: &str = r#"await fetch("https://t.example.com/g/collect?v=2&en=page_view", {
    "credentials": "include",
    "headers": { "User-Agent": "Mozilla/5.0 Firefox/150.0" },
    "method": "GET",
    "body": null,
    "mode": "cors"
});
"#;

    #[test]
    fn what_browsers_copy_is_read() {
        let chrome = read(CHROME).unwrap();
        assert_eq!((chrome.url.as_str(), chrome.method.as_deref()), ("https://t.example.com/hit", Some("POST")));
        assert_eq!(chrome.body.as_deref(), Some(r#"{"event":"purchase","value":5}"#));
        assert_eq!(chrome.headers[2], r#"sec-ch-ua: "Chromium";v="150""#);
        assert_eq!(chrome.headers[3], "Referer: https://www.example.com/thanks");
        let firefox = read(FIREFOX).unwrap();
        assert_eq!((firefox.method.as_deref(), firefox.body), (Some("GET"), None));
        assert_eq!(firefox.headers, ["User-Agent: Mozilla/5.0 Firefox/150.0"]);
        assert_eq!(read(r#"fetch("/hit")"#).unwrap().url, "/hit");
    }

    #[test]
    fn what_is_written_by_hand_is_refused() {
        for (call, reason) in [
            ("fetch('/hit')", "not as a browser copies it"),
            ("fetch(url)", "not as a browser copies it"),
            ("fetch(\"/hit\", { method: \"POST\" })", "not as a browser copies it"),
            ("fetch(7)", "not as a browser copies it"),
            ("fetch(\"/hit\") ;\nfetch(\"/hit\");", "something else"),
            ("fetch(\"/hit\"", "something else"),
            ("fetch(", "not as a browser copies it"),
            ("fetched(\"/hit\")", "no call of fetch"),
        ] {
            let error = read(call).unwrap_err().to_string();
            assert!(error.contains(reason), "{call}: {error}");
        }
    }
}
