//! The site script in a real Chromium: a shop of two pages with a consent banner, real host names over TLS, a reverse
//! proxy, the server, and the strict stand-in.

use http::header;
use serde_json::{Value, json};
use tidegate::{settings::Stated, time::Timestamp};

use self::{
    chromium::Chromium,
    front::{Front, SHOP, TAGGING},
};
use crate::harness::{Place, Shop};

mod chromium;
mod front;

/// Everything waits for an answer, and nothing but what the tests name is sent.
const RULES: &str = r#"
triggers:
  Every event: { event: "*" }
  Page view: { event: page_view }
  Sign-up: { event: sign_up }
  Purchase: { event: purchase }
tags:
  Click id: { template: openai_cookie, triggers: Every event, consent: ad_storage, when_denied: hold, priority: 10 }
  Page view: &tag
    template: openai_pageview
    triggers: Page view
    consent: ad_storage
    when_denied: hold
    parameters: &account { pixel_id: px-shop, api_key: { secret: OPENAI_CONVERSIONS_API_KEY } }
  Sign-up: { <<: *tag, template: openai_conversion, triggers: Sign-up, parameters: { <<: *account, event: registration_completed } }
  Purchase: { <<: *tag, template: openai_conversion, triggers: Purchase, parameters: { <<: *account, event: order_created } }
"#;

const SCRIPT: &str = "https://t.example.com/t.js";
const LANDING: &str = "https://shop.example.com/?oppref=gAAAAclick&email=ada%40example.com";
const CHECKOUT: &str = "https://shop.example.com/checkout";
const ORDER: &str = "gtag('event', 'purchase', {transaction_id: 'T-1', value: 129.99, currency: 'EUR', user_data: {email_address: 'ada@example.com'}})";

/// A visitor, the shop, and everything behind it.
struct World {
    shop: Shop,
    front: Front,
    browser: Chromium,
}

impl World {
    /// A shop of two pages whose script has these options.
    async fn open(options: &str) -> Self {
        let world = Self::without_pages(Stated::default(), "").await;
        world.front.page("/", page("Kettles", SCRIPT, options));
        world.front.page("/checkout", page("Checkout", SCRIPT, options));
        world
    }

    async fn without_pages(stated: Stated, prefix: &'static str) -> Self {
        let networks = Some(vec!["127.0.0.0/8".parse().expect("a network")]);
        let shop = Shop::open_with(Place::with_rules(RULES), Stated { trusted_proxies: networks, ..stated }).await;
        let front = Front::start(shop.sites(), shop.http.clone(), prefix).await;
        let browser = Chromium::open(shop.http.clone(), &[SHOP, TAGGING], front.port).await;
        Self { shop, front, browser }
    }

    async fn close(self) {
        self.browser.close().await;
        self.shop.close().await;
    }

    /// Clicks on a button of the banner, or on a link.
    async fn click(&self, id: &str) {
        self.browser.run(&format!("document.getElementById('{id}').click()")).await;
    }

    /// What arrived at the stand-in: type and page, in order of their times.
    fn arrived(&self) -> Vec<(String, String)> {
        let mut stored = self.shop.stored();
        stored.sort_by_key(|event| event["timestamp_ms"].as_i64());
        let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
        stored.iter().map(|event| (text(event, "type"), text(event, "source_url"))).collect()
    }

    async fn assert_no_cookie(&self) {
        assert_eq!(self.browser.cookies().await, Vec::<Value>::new());
    }

    /// The click's cookie is there as it should be.
    async fn assert_click_cookie(&self) {
        self.browser.wait("document.cookie").await;
        let cookies = self.browser.cookies().await;
        let [cookie] = cookies.as_slice() else { panic!("not one cookie: {cookies:#?}") };
        let found = json!([
            cookie["name"],
            cookie["value"],
            cookie["domain"],
            cookie["path"],
            cookie["secure"],
            cookie["httpOnly"],
            cookie["sameSite"]
        ]);
        assert_eq!(found, json!(["__oppref", "gAAAAclick", ".example.com", "/", true, false, "Lax"]));
        let days = (cookie["expires"].as_f64().expect("a time") - Timestamp::now().0 as f64 / 1000.0) / 86_400.0;
        assert!((29.9..30.1).contains(&days), "{days}");
    }
}

fn page(title: &str, script: &str, options: &str) -> String {
    page_with(title, script, options, "", "")
}

fn page_with(title: &str, script: &str, options: &str, content: &str, nonce: &str) -> String {
    let parts =
        [("{title}", title), ("{script}", script), ("{options}", options), ("{content}", content), ("{nonce}", nonce)];
    parts.iter().fold(include_str!("browser/shop.html").to_owned(), |html, (name, value)| html.replace(name, value))
}

/// The names of events, in order.
fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().expect("a name")).collect()
}

fn arrival(kind: &str, page: &str) -> (String, String) {
    (kind.to_owned(), page.to_owned())
}

/// What was sent before the visitor agreed holds nothing but names, times and paths, nor does anything around it.
fn assert_bare(front: &Front) {
    for hit in front.hits() {
        for event in hit.events() {
            let keys: Vec<_> = event.as_object().expect("an event").keys().map(String::as_str).collect();
            assert_eq!(keys, ["consent_withheld", "event", "event_id", "event_time", "page_location"], "{event}");
            assert!(["https://shop.example.com/", CHECKOUT].contains(&event["page_location"].as_str().expect("text")));
        }
        let sent = format!("{} {} {:?}", hit.path, hit.body, hit.headers);
        for private in ["oppref", "gAAAA", "ada@", "T-1", "\"value\""] {
            assert!(!sent.contains(private), "{private} in {sent}");
        }
        assert_eq!((hit.header("cookie"), hit.answer.get(header::SET_COOKIE)), ("", None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_on_the_second_page_sends_what_was_held_on_the_first() {
    let world = World::open("data-session-hold=on").await;
    world.browser.go(LANDING).await;
    world.front.wait_for(1).await;
    world.browser.run(ORDER).await;
    world.front.wait_for(2).await;
    let landed = world.front.events();
    assert_eq!(names(&landed), ["page_view", "purchase"]);
    world.click("checkout").await;
    world.front.wait_for(3).await;
    assert_bare(&world.front);
    world.assert_no_cookie().await;
    assert_eq!(world.shop.stored(), Vec::<Value>::new());

    world.click("accept").await;
    world.shop.wait_for(3).await;
    let landing = "https://shop.example.com/";
    let expected =
        [arrival("page_viewed", landing), arrival("order_created", landing), arrival("page_viewed", CHECKOUT)];
    assert_eq!(world.arrived(), expected);
    let order = world.shop.stored().into_iter().find(|event| event["type"] == "order_created").expect("an order");
    assert_eq!(
        (&order["id"], &order["data"]["amount"], &order["oppref"]),
        (&json!("T-1"), &json!(12_999), &json!("gAAAAclick"))
    );
    let drift = order["timestamp_ms"].as_i64().expect("a time") - landed[1]["event_time"].as_i64().expect("a time");
    assert!(drift.abs() < 1_000, "the order keeps its time, give or take what the hit's way took: {drift}");
    world.assert_click_cookie().await;
    world.browser.wait("!sessionStorage.length").await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_store_only_the_events_of_the_page_wait() {
    let world = World::open("").await;
    world.browser.go(LANDING).await;
    world.front.wait_for(1).await;
    world.click("checkout").await;
    world.front.wait_for(2).await;
    world.browser.run(ORDER).await;
    world.front.wait_for(3).await;
    assert_bare(&world.front);
    assert_eq!(world.browser.eval("sessionStorage.length").await, 0);

    world.click("accept").await;
    world.shop.wait_for(2).await;
    assert_eq!(world.arrived(), [arrival("page_viewed", CHECKOUT), arrival("order_created", CHECKOUT)]);
    // The landing is gone, and its click with it.
    world.assert_no_cookie().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_drops_everything() {
    let world = World::open("data-session-hold=on").await;
    world.browser.go(LANDING).await;
    world.front.wait_for(1).await;
    world.browser.run(ORDER).await;
    world.front.wait_for(2).await;
    world.click("checkout").await;
    world.front.wait_for(3).await;
    assert_bare(&world.front);
    assert_eq!(world.browser.eval("sessionStorage.length").await, 1);
    world.click("refuse").await;
    world.browser.wait("!sessionStorage.length").await;

    // What comes after is as bare, and nothing of before comes with it.
    world.browser.run("gtag('event', 'sign_up', {user_data: {email_address: 'ada@example.com'}})").await;
    world.front.wait_for(4).await;
    let last = world.front.hits().pop().expect("a hit");
    assert_eq!(names(&last.events()), ["sign_up"]);
    assert_eq!(last.json()["consent"]["ad_storage"], "denied");
    assert_eq!(last.json()["consent_answered"], true);
    assert!(!last.body.contains("ada"), "{}", last.body);
    world.assert_no_cookie().await;
    assert_eq!(world.shop.stored(), Vec::<Value>::new());
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_on_landing_sends_what_the_page_held() {
    let world = World::open("").await;
    world.browser.go(LANDING).await;
    world.front.wait_for(1).await;
    world.click("accept").await;
    world.shop.wait_for(1).await;
    world.assert_click_cookie().await;
    // From now on every event goes at once and whole, with the cookie.
    world.click("checkout").await;
    world.shop.wait_for(2).await;
    world.browser.run(ORDER).await;
    world.shop.wait_for(3).await;
    let stored = world.shop.stored();
    assert_eq!(
        world.arrived(),
        [
            arrival("page_viewed", "https://shop.example.com/"),
            arrival("page_viewed", CHECKOUT),
            arrival("order_created", CHECKOUT),
        ]
    );
    assert!(stored.iter().all(|event| event["oppref"] == "gAAAAclick"), "{stored:#?}");
    world.front.wait_for(4).await;
    let order = world.front.events().pop().expect("an event");
    assert_eq!(
        (&order["page_location"], &order["page_title"], &order["page_referrer"], &order["language"]),
        (&json!(CHECKOUT), &json!("Checkout"), &json!(LANDING), &json!("en-GB"))
    );
    assert!(order["screen_resolution"].as_str().is_some_and(|size| size.contains('x')), "{order}");
    assert_eq!(order["consent_then"], Value::Null);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_only_the_server_knows_of_brings_the_whole_event() {
    let world = World::open("").await;
    // Neither an answer here nor a word to the script: a consent manager's cookie, from an earlier visit.
    let choice = "{stamp:'x',necessary:true,preferences:false,statistics:false,marketing:true,method:'explicit',ver:1}";
    let said = format!(
        "<script>document.cookie = 'CookieConsent=' + encodeURIComponent(\"{choice}\") + '; domain=example.com; secure'</script>"
    );
    let html = page_with("Kettles", SCRIPT, "", &said, "");
    world.front.page("/", html.replace("gtag(\"consent\", \"default\", all(\"denied\"));", ""));
    world.browser.go(LANDING).await;
    world.shop.wait_for(1).await;
    world.browser.run(ORDER).await;
    world.shop.wait_for(2).await;
    let landing = "https://shop.example.com/";
    assert_eq!(world.arrived(), [arrival("page_viewed", landing), arrival("order_created", landing)]);
    assert!(world.shop.stored().iter().all(|event| event["oppref"] == "gAAAAclick"));
    world.front.wait_for(3).await;
    let withheld: Vec<_> = world.front.events().iter().map(|event| event["consent_withheld"].clone()).collect();
    assert_eq!(withheld, [json!(true), json!(false), Value::Null], "the order goes at once");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_page_of_many_views() {
    let world = World::without_pages(Stated::default(), "").await;
    world.front.page("/", page("Kettles", SCRIPT, "data-history=on"));
    world.browser.go(LANDING).await;
    world.front.wait_for(1).await;
    world.browser.run("document.title = 'Red'; history.pushState({}, '', '/kettles/red')").await;
    world.front.wait_for(2).await;
    // Neither the same address again nor a place within the page is another view.
    world.browser.run("history.replaceState({}, '', '/kettles/red'); location.hash = 'reviews'").await;
    world.browser.run("history.back()").await;
    world.browser.wait("!location.hash").await;
    world.browser.run("gtag('event', 'sign_up')").await;
    world.front.wait_for(3).await;
    world.browser.run("history.pushState({}, '', '/kettles/blue')").await;
    world.front.wait_for(4).await;
    assert_eq!(names(&world.front.events()), ["page_view", "page_view", "sign_up", "page_view"]);
    world.click("accept").await;
    world.shop.wait_for(4).await;
    let pages: Vec<_> = world.arrived().into_iter().map(|(_, page)| page).collect();
    let at = |path: &str| format!("https://shop.example.com/{path}");
    assert_eq!(pages, [at(""), at("kettles/red"), at("kettles/red"), at("kettles/blue")]);
    world.front.wait_for(8).await;
    let resent = world.front.events().into_iter().filter(|event| !event["consent_then"].is_null());
    let seen: Vec<_> = resent.map(|event| (event["page_title"].clone(), event["page_referrer"].clone())).collect();
    assert_eq!(seen[1], (json!("Red"), json!(LANDING)));
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_policy_and_trusted_types_are_kept() {
    let stated = Stated {
        path_prefix: Some(vec!["/stats".to_owned()]),
        script_path: Some(vec!["/kettle.js".to_owned()]),
        hit_path: Some(vec!["/boil".to_owned()]),
        ..Stated::default()
    };
    let world = World::without_pages(stated, "/stats/").await;
    // Also from a path of the site itself, by other names: without any cookie of another host.
    let policy = "default-src 'none'; script-src 'nonce-n0nce'; style-src 'nonce-n0nce'; connect-src 'self'; \
                  img-src data:; require-trusted-types-for 'script'; trusted-types 'none'";
    let options = "data-endpoint=/stats/boil data-share-event-id=on data-history=on data-tcf=on data-usercentrics=on";
    let content = "<script nonce=n0nce>window.broken = []; addEventListener('error', e => broken.push(e.message)); \
                   addEventListener('securitypolicyviolation', e => broken.push(e.violatedDirective))</script>";
    let html = page_with("Kettles", "/stats/kettle.js", options, content, " nonce=n0nce");
    world.front.page_with("/", &[(header::CONTENT_SECURITY_POLICY, policy)], html);
    world.browser.go(LANDING).await;
    world.front.wait_for(1).await;
    world.click("accept").await;
    world.shop.wait_for(1).await;
    world.assert_click_cookie().await;
    assert_eq!(world.browser.eval("broken").await, json!([]));
    world.front.wait_for(2).await;
    let hits = world.front.hits();
    assert!(hits.iter().all(|hit| hit.path == "/stats/boil" && hit.host == SHOP), "{hits:#?}");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_the_network_is_away() {
    let world = World::open("").await;
    world.browser.go(LANDING).await;
    world.front.wait_for(1).await;
    world.click("accept").await;
    world.shop.wait_for(1).await;
    world.front.cut();
    for order in 1..=5 {
        world
            .browser
            .run(&format!("gtag('event', 'purchase', {{event_id: 'o-{order}', value: 1, currency: 'EUR'}})"))
            .await;
    }
    world.front.mend_after(3).await;
    world.shop.wait_for(6).await;
    let mut orders = world.shop.stored_ids();
    orders.retain(|id| id.starts_with("o-"));
    orders.sort();
    assert_eq!(orders, ["o-1", "o-2", "o-3", "o-4", "o-5"]);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_right_before_the_page_goes_away() {
    let world = World::open("").await;
    world.browser.go(LANDING).await;
    world.front.wait_for(1).await;
    world.click("accept").await;
    world.shop.wait_for(1).await;
    world.browser.run(&format!("addEventListener('pagehide', () => {ORDER}); location.href = '/checkout'")).await;
    world.shop.wait_for(3).await;
    assert_eq!(world.shop.stored().iter().filter(|event| event["type"] == "order_created").count(), 1);
    world.front.wait_for(4).await;
    let hits = world.front.hits();
    let order = hits.iter().find(|hit| hit.body.contains("T-1") && hit.body.contains("purchase")).expect("a hit");
    // A beacon cannot ask for JSON.
    assert_eq!((order.header("accept"), order.header("content-type")), ("*/*", "text/plain;charset=UTF-8"));
    assert_eq!(order.status, 204);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn much_goes_in_pieces_and_what_is_too_large_does_not_stop_the_rest() {
    let world = World::open("").await;
    world.browser.go(LANDING).await;
    world.front.wait_for(1).await;
    world.click("accept").await;
    world.shop.wait_for(1).await;
    let orders = "for (let i = 0; i < 30; i++) gtag('event', 'purchase', {event_id: 'o-' + i, value: 1, currency: 'EUR', note: 'ä'.repeat(3000)})";
    world.browser.run(orders).await;
    world.shop.wait_for(31).await;
    world.front.wait_for(32).await;
    let hits = world.front.hits();
    assert!(
        hits.iter().all(|hit| hit.body.len() <= 60_000),
        "{:?}",
        hits.iter().map(|hit| hit.body.len()).collect::<Vec<_>>()
    );
    assert!(hits.len() < 10, "{} hits", hits.len());

    // A proxy that lets less through, and an event that is too large even alone.
    world.front.limit_bodies(20_000);
    world.browser.run(&orders.replace("'o-'", "'p-'").replace("i < 30", "i < 8")).await;
    world
        .browser
        .run("gtag('event', 'purchase', {event_id: 'huge', value: 1, currency: 'EUR', note: 'x'.repeat(70000)})")
        .await;
    world.browser.run("gtag('event', 'purchase', {event_id: 'last', value: 1, currency: 'EUR'})").await;
    world.shop.wait_for(40).await;
    let ids = world.shop.stored_ids();
    assert!(ids.contains(&"last".to_owned()) && ids.contains(&"p-7".to_owned()) && !ids.contains(&"huge".to_owned()));
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_viewed_once_and_when_it_is_seen() {
    let world = World::open("").await;
    let rules = r#"<script type="speculationrules">{"prerender": [{"urls": ["/checkout"], "eagerness": "immediate"}]}</script>"#;
    let tell = r#"<script>addEventListener("load", () => fetch("https://t.example.com/healthz", { mode: "no-cors" }))</script>"#;
    world.front.page("/", page_with("Kettles", SCRIPT, "", rules, ""));
    world.front.page("/checkout", page_with("Checkout", SCRIPT, "", tell, ""));
    let own = "<script>dataLayer.push({event: 'page_view', shelf: 7})</script>";
    world.front.page("/own", page_with("Own", SCRIPT, "", own, ""));
    world.browser.go(LANDING).await;
    world.front.wait_for(1).await;
    // The checkout is loaded ahead of time, script and all, and says nothing.
    let is_loaded = |front: &Front| front.others().iter().any(|request| request.path == "/healthz");
    world.front.wait("a page loaded ahead of time", is_loaded).await;
    world.browser.run("gtag('event', 'sign_up')").await;
    world.front.wait_for(2).await;
    assert_eq!(names(&world.front.events()), ["page_view", "sign_up"]);
    world.click("checkout").await;
    world.front.wait_for(3).await;
    assert_eq!(world.front.events()[2]["page_location"], CHECKOUT);
    assert_eq!(world.browser.eval("performance.getEntriesByType('navigation')[0].activationStart > 0").await, true);
    // A page that sends its own view sends one.
    world.browser.go("https://shop.example.com/own").await;
    world.browser.run("gtag('event', 'sign_up')").await;
    world.front.wait_for(5).await;
    assert_eq!(names(&world.front.events())[3..], ["page_view", "sign_up"]);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_keeps_its_own_rules() {
    let world = World::without_pages(Stated::default(), "").await;
    world.front.page("/", format!("<!doctype html><body><script>{}</script>", include_str!("browser/unit.js")));
    world.front.page("/blank", "<!doctype html><title>Blank</title>");
    world.browser.go("https://shop.example.com/").await;
    let failed = world.browser.eval("runCases()").await;
    assert_eq!(failed, json!([]), "{failed:#}");
    world.close().await;
}
