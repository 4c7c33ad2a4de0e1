//! The site script, `GET /t.js`. Takes a request's headers; gives the script, compressed if the browser can read that, or
//! 304 if it has it already. It is made of `web/t.js` by `scripts/web`, and the same for everybody.

use std::sync::LazyLock;

use axum::{
    Router,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use sha2::{Digest, Sha256};

use crate::digest::hex;

/// Where it is served.
pub const PATH: &str = "/t.js";

const PLAIN: &[u8] = include_bytes!("../web/dist/t.js");
const GZIP: &[u8] = include_bytes!("../web/dist/t.js.gz");

/// Long enough to spare most page views the question, short enough for a change to arrive the same day.
const CACHE: &str = "public, max-age=3600, stale-while-revalidate=86400";

/// The script in one encoding.
struct Representation {
    body: &'static [u8],
    encoding: Option<HeaderValue>,
    /// Strong: of these bytes, so each encoding has its own.
    tag: HeaderValue,
}

impl Representation {
    fn new(body: &'static [u8], encoding: Option<&'static str>) -> Self {
        let tag = format!("\"{}\"", hex(&Sha256::digest(body)[..12]));
        let tag = HeaderValue::try_from(tag).unwrap_or_else(|_| HeaderValue::from_static("\"\""));
        Self { body, encoding: encoding.map(HeaderValue::from_static), tag }
    }
}

static AS_IT_IS: LazyLock<Representation> = LazyLock::new(|| Representation::new(PLAIN, None));
static COMPRESSED: LazyLock<Representation> = LazyLock::new(|| Representation::new(GZIP, Some("gzip")));

pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route(PATH, get(script))
}

async fn script(headers: HeaderMap) -> Response {
    let representation: &Representation = if takes_gzip(&headers) { &COMPRESSED } else { &AS_IT_IS };
    let mut response = if has(&headers, &representation.tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = representation.body.into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
        if let Some(encoding) = &representation.encoding {
            response.headers_mut().insert(header::CONTENT_ENCODING, encoding.clone());
        }
        response
    };
    let answers = response.headers_mut();
    answers.insert(header::ETAG, representation.tag.clone());
    answers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHE));
    answers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    answers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // It holds nothing of anybody's, so that any page may load it, also with `crossorigin` and `integrity`.
    answers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    response
}

/// The values of a header that is a list, wherever it was split.
fn list(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Whether the browser reads gzip: it says so by name, else by `*`, and a weight of zero says no.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let mut any = false;
    for coding in list(headers, header::ACCEPT_ENCODING) {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = parameters.trim().strip_prefix("q=").map_or(Ok(1.0), |weight| weight.trim().parse::<f32>());
        let takes = weight.is_ok_and(|weight| weight > 0.0);
        match name.trim() {
            name if name.eq_ignore_ascii_case("gzip") => return takes,
            "*" => any = takes,
            _ => {}
        }
    }
    any
}

/// Whether the browser has these bytes. `If-None-Match` compares weakly (RFC 9110, section 13.1.2).
fn has(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    list(headers, header::IF_NONE_MATCH)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == tag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(pairs: &[(header::HeaderName, &str)]) -> Response {
        let pairs = pairs.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value")));
        script(pairs.collect()).await
    }

    fn header(response: &Response, name: header::HeaderName) -> Option<&str> {
        Some(response.headers().get(name)?.to_str().expect("text"))
    }

    #[test]
    fn it_is_small() {
        assert!(GZIP.len() < 3 * 1024, "{} bytes", GZIP.len());
    }

    #[tokio::test]
    async fn gzip_goes_to_who_reads_it() {
        let compressed = ["gzip", "br, GZIP;q=0.1", "*", "deflate;q=0, *;q=0.5", "gzip, *;q=0"];
        let plain = ["", "br", "gzip;q=0", "gzip;q=0.0, *", "*;q=0", "gzip;q=x"];
        for (accepted, encoding) in compressed
            .map(|accepted| (accepted, Some("gzip")))
            .into_iter()
            .chain(plain.map(|accepted| (accepted, None)))
        {
            let response = asked(&[(header::ACCEPT_ENCODING, accepted)]).await;
            assert_eq!(header(&response, header::CONTENT_ENCODING), encoding, "{accepted:?}");
            assert_eq!(header(&response, header::VARY), Some("Accept-Encoding"), "{accepted:?}");
        }
        assert_eq!(header(&asked(&[]).await, header::CONTENT_ENCODING), None);
    }

    #[tokio::test]
    async fn who_has_it_gets_no_second_copy() {
        for accepted in ["gzip", "identity"] {
            let first = asked(&[(header::ACCEPT_ENCODING, accepted)]).await;
            let tag = header(&first, header::ETAG).expect("a tag").to_owned();
            assert!(tag.starts_with('"'), "a strong tag: {tag}");
            for known in [tag.clone(), format!("W/{tag}"), format!("\"other\" , {tag}"), "*".to_owned()] {
                let again = asked(&[(header::ACCEPT_ENCODING, accepted), (header::IF_NONE_MATCH, &known)]).await;
                assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
                assert_eq!(header(&again, header::ETAG), Some(&*tag));
                assert_eq!(header(&again, header::CACHE_CONTROL), Some(CACHE));
            }
            // The other encoding's bytes are others.
            let other = if accepted == "gzip" { "identity" } else { "gzip" };
            let again = asked(&[(header::ACCEPT_ENCODING, other), (header::IF_NONE_MATCH, &tag)]).await;
            assert_eq!(again.status(), StatusCode::OK);
        }
    }
}
