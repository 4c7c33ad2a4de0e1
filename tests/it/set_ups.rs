//! The set-ups that OpenAI Ads is measured with: `tests/containers/<name>/` holds each as a container with its cases.
//! Here their cases pass, and their hits go over HTTP to the strict stand-in.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tidegate::{
    case::{Bench, Setting},
    container::{diagnostic::Diagnostics, folder},
};

use crate::harness::{HOST, KEY, Left, PIXEL, Place, Shop, all_granted};

const SET_UPS: [&str; 4] = ["all_pages", "dual", "pixel_and_server", "server_only"];

fn set_up(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/containers").join(name)
}

async fn open(name: &str) -> Shop {
    let place = Place::empty();
    let rules = fs::read_to_string(set_up(name).join("rules/openai.yaml")).expect("the rules of the set-up");
    place.write("rules/openai.yaml", &rules);
    Shop::open_at(place).await
}

/// An event of the shop's pages, with everything granted.
fn event(name: &str, id: &str, with: Value) -> Value {
    let mut event = json!({
        "event": name,
        "event_id": id,
        "page_location": "https://www.example.com/",
        "consent": all_granted(),
    });
    let (Some(event_keys), Value::Object(with)) = (event.as_object_mut(), with) else { panic!("no mapping") };
    event_keys.extend(with);
    event
}

/// Sends a hit with these cookies; gives the `Set-Cookie` headers of its answer.
async fn visit(shop: &Shop, hit: &Value, cookie: Option<&str>) -> Vec<String> {
    let request = shop.post(hit);
    let request = cookie.map_or_else(|| shop.post(hit), |cookie| request.header("cookie", cookie));
    let answer = request.header("user-agent", "Firefox/150").send().await.expect("an answer");
    assert_eq!(answer.status(), 204, "{hit}");
    let values = answer.headers().get_all("set-cookie").iter();
    values.map(|value| value.to_str().expect("text").to_owned()).collect()
}

/// What the pixel in the page reports, as far as the stand-in is concerned: the same pixel, name and id.
async fn pixel_reports(shop: &Shop, event: Value) {
    let url = format!("{}/v1/events?pid={PIXEL}", shop.standin.url());
    let body = json!({"events": [event]}).to_string();
    let request = shop.http.post(url).header("authorization", format!("Bearer {KEY}"));
    let answer = request.header("content-type", "application/json").body(body).send().await.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.status());
}

fn of_pixel(kind: &str, id: &str, timestamp_ms: u64, data: Value) -> Value {
    json!({
        "id": id,
        "type": kind,
        "timestamp_ms": timestamp_ms,
        "action_source": "web",
        "source_url": "https://www.example.com/",
        "data": data,
    })
}

fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    now.as_millis().try_into().expect("64 bits are enough")
}

#[test]
fn their_cases_pass() {
    let library = folder::library();
    let mut folders: Vec<_> = fs::read_dir(set_up("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    folders.sort();
    assert_eq!(folders, SET_UPS);
    for name in SET_UPS {
        let files = folder::read(&set_up(name)).unwrap();
        let setting = Setting { files: &files, library: &library };
        let mut passed = 0;
        for (path, bytes) in files.iter().filter(|(path, _)| path.ends_with(".test.yaml")) {
            let mut diagnostics = Diagnostics::default();
            for result in Bench::new(setting, "").run_file(path, bytes, &mut diagnostics) {
                assert!(result.differences.is_empty(), "{name}: {}: {:?}", result.name, result.differences);
                passed += 1;
            }
            assert!(!diagnostics.has_errors(), "{name}: {diagnostics:?}");
        }
        assert!(passed > 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pixel_and_server_report_under_one_id_counts_once() {
    let shop = open("pixel_and_server").await;
    let data = json!({"type": "contents", "amount": 12999, "currency": "EUR"});
    pixel_reports(&shop, of_pixel("order_created", "order-1", now(), data)).await;
    let order = |id| event("purchase", id, json!({"value": 129.99, "currency": "EUR"}));
    assert_eq!(visit(&shop, &order("order-1"), Some("__oppref=gAAAA; __obref=2b3c1a5e")).await, [""; 0]);
    // A purchase that the pixel was kept from reporting arrives by the server alone.
    assert_eq!(visit(&shop, &order("order-2"), None).await, [""; 0]);
    shop.wait_for(2).await;
    assert_eq!(shop.stored_ids(), ["order-1", "order-2"]);
    let duplicate = shop.standin.duplicates()[0].event.clone();
    assert_eq!((&duplicate["id"], &duplicate["oppref"]), (&json!("order-1"), &json!("gAAAA")));
    assert_eq!(duplicate["user"]["obref"], "2b3c1a5e");
    shop.close_leaving(Left { duplicates: 1, ..Left::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_both_sides_standard_and_custom_events_count_once() {
    let shop = open("dual").await;
    let mut quiz = of_pixel("custom", "q-1", now(), json!({"type": "custom"}));
    quiz["custom_event_name"] = "quiz_done".into();
    pixel_reports(&shop, quiz).await;
    pixel_reports(&shop, of_pixel("page_viewed", "p-1", now(), json!({"type": "contents"}))).await;
    let hit = json!({"events": [
        event("page_view", "p-1", json!({"page_location": "https://www.example.com/?oppref=gAAAA"})),
        event("scroll", "s-1", json!({})),
        event("quiz_done", "q-1", json!({})),
        // The same id under another name is another event.
        event("generate_lead", "q-1", json!({})),
    ]});
    let cookies = visit(&shop, &hit, None).await;
    assert_eq!(cookies, ["__oppref=gAAAA; Path=/; Domain=example.com; Max-Age=2592000; SameSite=Lax; Secure"]);
    shop.wait_for(3).await;
    let stored = shop.stored();
    let types: Vec<_> = stored.iter().map(|event| event["type"].as_str().expect("a type")).collect();
    assert_eq!(types, ["custom", "page_viewed", "lead_created"]);
    let mut duplicates: Vec<_> = shop.standin.duplicates().iter().map(|one| one.event["id"].clone()).collect();
    duplicates.sort_by_key(ToString::to_string);
    assert_eq!(duplicates, ["p-1", "q-1"]);
    // GA4's own tag, with the id as a parameter of the event, is a hit as good as any.
    pixel_reports(&shop, of_pixel("items_added", "cart-1", now(), json!({"type": "contents"}))).await;
    let query = "v=2&tid=G-1&cid=1.2&_p=3&gcs=G111&gcd=13r3r3r3r5l1&en=add_to_cart&ep.event_id=cart-1&cu=EUR&pr1=idSKU-1~pr9.99~qt1";
    for query in [query.to_owned(), query.replace("cart-1", "cart-2")] {
        let page = "dl=https%3A%2F%2Fwww.example.com%2F%3Foppref%3DgAAAA";
        let answer = shop.get(&format!("/g/collect?{query}&{page}")).header("host", HOST).send().await;
        assert!(answer.expect("an answer").status().is_success());
    }
    shop.wait_for(5).await;
    let stored = shop.stored();
    let carts: Vec<_> = stored.iter().filter(|event| event["type"] == "items_added").collect();
    assert_eq!(carts.iter().map(|event| &event["id"]).collect::<Vec<_>>(), ["cart-1", "cart-2"]);
    assert_eq!((&carts[1]["data"]["amount"], &carts[1]["oppref"]), (&json!(999), &json!("gAAAA")));
    shop.close_leaving(Left { duplicates: 3, ..Left::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_reports_every_page_and_names_the_click_of_the_first() {
    let shop = open("all_pages").await;
    let landing =
        event("page_view", "p-1", json!({"page_location": "https://www.example.com/?oppref=gA%3D%3D&x=1#top"}));
    let cookies = visit(&shop, &landing, None).await;
    assert_eq!(cookies, ["__oppref=gA%3D%3D; Path=/; Domain=example.com; Max-Age=2592000; SameSite=Lax; Secure"]);
    let second = event("page_view", "p-2", json!({"page_location": "https://www.example.com/lamps"}));
    assert_eq!(visit(&shop, &second, Some("__oppref=gA%3D%3D")).await, [""; 0]);
    let order = event("purchase", "o-1", json!({"value": "49,99", "currency": "EUR"}));
    visit(&shop, &order, Some("__oppref=gA%3D%3D")).await;
    // A page that is loaded twice by accident tells of itself once.
    visit(&shop, &second, Some("__oppref=gA%3D%3D")).await;
    shop.wait_for(3).await;
    let mut stored = shop.stored();
    stored.sort_by_key(|event| event["id"].to_string());
    for (event, (id, kind)) in
        stored.iter().zip([("o-1", "order_created"), ("p-1", "page_viewed"), ("p-2", "page_viewed")])
    {
        assert_eq!((&event["id"], &event["type"], &event["oppref"]), (&json!(id), &json!(kind), &json!("gA%3D%3D")));
    }
    assert_eq!(stored[0]["data"]["amount"], 4999);
    assert_eq!(stored[2]["source_url"], "https://www.example.com/lamps");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_and_a_cookie_tag_keep_the_click_for_a_purchase_days_later() {
    let shop = open("server_only").await;
    let landing = event("page_view", "p-1", json!({"page_location": "https://www.example.com/?oppref=gA%3D%3D#top"}));
    let cookies = visit(&shop, &landing, None).await;
    assert_eq!(cookies, ["__oppref=gA%3D%3D; Path=/; Domain=example.com; Max-Age=2592000; SameSite=Lax; Secure"]);
    let mut order = event("purchase", "", json!({"transaction_id": "T-1", "value": 20, "currency": "EUR"}));
    order["event_id"] = Value::Null;
    assert_eq!(visit(&shop, &order, Some("__oppref=gA%3D%3D")).await, [""; 0]);
    shop.wait_for(1).await;
    let stored = shop.stored();
    assert_eq!((&stored[0]["id"], &stored[0]["oppref"]), (&json!("T-1"), &json!("gA%3D%3D")));
    // A refusal makes the browser forget the click, and reports nothing.
    let mut refusal = event("page_view", "p-3", json!({"consent_answered": true}));
    refusal["consent"] = json!({"ad_storage": "denied"});
    let cookies = visit(&shop, &refusal, Some("__oppref=gA%3D%3D")).await;
    assert_eq!(cookies, ["__oppref=; Path=/; Domain=example.com; Max-Age=0; SameSite=Lax; Secure"]);
    shop.close().await;
}
