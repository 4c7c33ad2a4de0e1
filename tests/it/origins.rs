//! Who may send: origins, their preflights and answers, and what proxies forward.

use reqwest::{Method, Response};
use serde_json::json;
use tidegate::settings::Stated;

use crate::harness::{Place, Shop, purchase};

fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    Some(answer.headers().get(name)?.to_str().expect("text"))
}

/// A shop whose container lets one further site send.
async fn shop() -> Shop {
    let place = Place::own_rules();
    place.write("rules/settings.yaml", "settings: { origins: [\"https://partner.test\"] }\n");
    Shop::open_at(place).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_are_turned_away_before_anything_is_read() {
    let shop = shop().await;
    let strangers = [
        "https://evil.test",
        "https://example.com.evil.test",
        "https://evilexample.com",
        "https://partner.test.evil.test",
        "https://sub.partner.test",
        "http://partner.test",
        "https://partner.test:8443",
        "null",
        "",
        "https://",
        "file://",
        "example.com",
    ];
    for origin in strangers {
        // Not even the body is looked at: this one would be answered 400.
        for method in [Method::POST, Method::OPTIONS] {
            let request = shop.http.request(method, format!("http://{}/hit", shop.sites()));
            let request = request.header("host", "t.example.com").header("origin", origin).body("{");
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status(), 403, "{origin}");
            assert_eq!(header(&answer, "access-control-allow-origin"), None, "{origin}");
            assert_eq!(header(&answer, "access-control-allow-credentials"), None, "{origin}");
        }
        let answer = shop.post(&purchase("foreign")).header("origin", origin).send().await.expect("an answer");
        assert_eq!(answer.status(), 403, "{origin}");
        assert_eq!(header(&answer, "set-cookie"), None);
    }
    shop.accept(&purchase("own")).await;
    shop.wait_for(1).await;
    assert_eq!(shop.stored_ids(), ["own"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn own_pages_and_listed_sites_are_answered_by_name() {
    let shop = shop().await;
    let welcome =
        ["https://www.example.com", "https://example.com", "http://shop.example.com:8080", "https://partner.test"];
    for (nth, origin) in welcome.into_iter().enumerate() {
        let hit = shop.post(&purchase(&format!("o-{nth}"))).header("origin", origin);
        let answer = hit.send().await.expect("an answer");
        assert_eq!(answer.status(), 204, "{origin}");
        assert_eq!(header(&answer, "access-control-allow-origin"), Some(origin));
        assert_eq!(header(&answer, "access-control-allow-credentials"), Some("true"));
        assert_eq!(header(&answer, "access-control-expose-headers"), Some("Retry-After"));
        assert_eq!(header(&answer, "vary"), Some("Origin"));
        assert_eq!(header(&answer, "cache-control"), Some("no-store"));
    }
    // A page that may send may also read why a hit was refused.
    let bad = shop.post_text("{").header("origin", "https://partner.test").send().await.expect("an answer");
    assert_eq!(
        (bad.status().as_u16(), header(&bad, "access-control-allow-origin")),
        (400, Some("https://partner.test"))
    );
    shop.wait_for(4).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_allows_what_a_page_needs() {
    let shop = shop().await;
    let request = shop.http.request(Method::OPTIONS, format!("http://{}/hit", shop.sites()));
    let request = request
        .header("host", "t.example.com")
        .header("origin", "https://www.example.com")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 204);
    assert_eq!(header(&answer, "access-control-allow-origin"), Some("https://www.example.com"));
    assert_eq!(header(&answer, "access-control-allow-credentials"), Some("true"));
    assert_eq!(header(&answer, "access-control-allow-methods"), Some("POST, OPTIONS"));
    assert_eq!(header(&answer, "access-control-allow-headers"), Some("content-type, accept"));
    assert_eq!(header(&answer, "vary"), Some("Origin"));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_without_an_origin_is_let_in_and_told_nothing_of_origins() {
    let shop = shop().await;
    let answer = shop.post(&purchase("server")).send().await.expect("an answer");
    assert_eq!(answer.status(), 204);
    assert_eq!(header(&answer, "access-control-allow-origin"), None);
    assert_eq!(header(&answer, "cache-control"), Some("no-store"));
    shop.wait_for(1).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarded_headers_count_from_trusted_proxies_alone() {
    let cases = [
        // (trusted, the visitor's address, the cookie's domain)
        ("127.0.0.0/8", "203.0.113.9", "; Domain=example.com"),
        ("10.0.0.0/8", "127.0.0.1", ""),
    ];
    for (trusted, address, domain) in cases {
        let networks = vec![trusted.parse().expect("a network")];
        let stated = Stated { trusted_proxies: Some(networks), ..Stated::default() };
        let shop = Shop::open_with(Place::own_rules(), stated).await;
        let mut hit = purchase("forwarded");
        let page = if domain.is_empty() { "http://localhost/thanks" } else { "https://www.example.com/thanks" };
        hit["page_location"] = json!(format!("{page}?oppref=gAAAABclick"));
        let request = shop
            .http
            .post(format!("http://{}/hit", shop.sites()))
            .body(hit.to_string())
            .header("host", "localhost")
            .header("x-forwarded-for", "198.51.100.66, 203.0.113.9")
            .header("x-forwarded-host", "t.example.com")
            .header("x-forwarded-proto", "https");
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 204);
        let cookie = header(&answer, "set-cookie").expect("a cookie").to_owned();
        assert!(cookie.starts_with(&format!("__oppref=gAAAABclick; Path=/{domain}; Max-Age=")), "{cookie}");
        shop.wait_for(1).await;
        assert_eq!(shop.stored()[0]["user"]["ip_address"], address);
        shop.close().await;
    }
}
