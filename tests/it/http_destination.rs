//! Calls to any host: sent as they were asked for, with secrets by the operator's leave, and never to where they must
//! not go. One host that is down holds up no other.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, http::Uri};
use serde_json::{Value, json};
use tidegate::settings::Stated;
use tokio::{net::TcpListener, sync::watch};

use crate::harness::{Left, PATIENCE, Place, Shop};

/// A receiver of requests. Answers with the statuses it was given, then with 200.
struct Receiver {
    address: SocketAddr,
    taken: watch::Receiver<Vec<Taken>>,
}

#[derive(Clone, Debug)]
struct Taken {
    line: String,
    headers: HeaderMap,
    body: String,
}

struct Shared {
    answers: Mutex<VecDeque<StatusCode>>,
    taken: watch::Sender<Vec<Taken>>,
}

impl Receiver {
    async fn start(answers: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, taken) = watch::channel(Vec::new());
        let answers = answers.iter().map(|status| StatusCode::from_u16(*status).expect("a status")).collect();
        let shared = Arc::new(Shared { answers: Mutex::new(answers), taken: sender });
        let routes = Router::new().fallback(take).with_state(shared);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, taken }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn wait_for(&mut self, count: usize) -> Vec<Taken> {
        let taken = tokio::time::timeout(PATIENCE, self.taken.wait_for(|taken| taken.len() >= count)).await;
        taken.expect("requests come").expect("the receiver runs").clone()
    }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    method: axum::http::Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let body = String::from_utf8(body.to_vec()).expect("text");
    let answer = shared.answers.lock().expect("no panic").pop_front().unwrap_or(StatusCode::OK);
    shared.taken.send_modify(|taken| taken.push(Taken { line: format!("{method} {uri}"), headers, body }));
    answer
}

/// A container with a tag for each of these addresses, firing on `lead`.
fn place(urls: &[&str]) -> Place {
    let place = Place::own_rules();
    let mut rules = "triggers:\n  Lead: { event: lead }\ntags:\n".to_owned();
    for (number, url) in urls.iter().enumerate() {
        rules += &format!(
            "  Lead {number}:\n    template: http_request\n    triggers: Lead\n    consent: [ad_storage, ad_user_data]\n    \
             parameters: {{ url: \"{url}/leads/{{{{Id}}}}\", body: json, json: {{ id: \"{{{{Id}}}}\" }}, \
             bearer_token: {{ secret: CRM_TOKEN }} }}\n"
        );
    }
    rules += "variables:\n  Id: { event_data: event_id }\n";
    place.write("rules/leads.yaml", &rules);
    place
}

fn lead(id: &str) -> Value {
    json!({
        "event": "lead", "event_id": id, "page_location": "https://www.example.com/",
        "consent": { "ad_storage": "granted", "ad_user_data": "granted" },
    })
}

/// The server's settings: these hosts may be called although they are this machine, and get the key.
fn stated(receivers: &[&Receiver]) -> Stated {
    Stated {
        allow_private_hosts: Some(receivers.iter().map(|to| to.address.to_string().parse().expect("a host")).collect()),
        bind_secret: Some(receivers.iter().map(|to| format!("CRM_TOKEN={}/", to.url())).collect()),
        ..Stated::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_arrives_as_it_was_asked_for_and_again_until_it_is_taken() {
    let mut crm = Receiver::start(&[503, 429]).await;
    let shop = Shop::open_with_environment(place(&[&crm.url()]), stated(&[&crm]), &[("CRM_TOKEN", "t-1")]).await;
    shop.accept(&lead("a b")).await;
    let taken = crm.wait_for(3).await;
    for request in &taken {
        assert_eq!(request.line, "POST /leads/a%20b");
        assert_eq!(request.headers["authorization"], "Bearer t-1");
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.headers.get("idempotency-key"), None, "an id with a space is no header");
        assert_eq!(request.body, r#"{"id":"a b"}"#);
    }
    shop.accept(&lead("l-2")).await;
    let key = crm.wait_for(4).await[3].headers["idempotency-key"].clone();
    assert!(key.to_str().expect("text").starts_with("l-2-"), "{key:?}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_down_holds_up_no_other() {
    let dead = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let dead_address = dead.local_addr().expect("an address");
    let hanging = format!("http://{dead_address}");
    let mut crm = Receiver::start(&[]).await;
    let mut settings = stated(&[&crm]);
    settings.allow_private_hosts.as_mut().expect("a list").push(dead_address.to_string().parse().expect("a host"));
    settings.bind_secret.as_mut().expect("a list").push(format!("CRM_TOKEN={hanging}"));
    let shop = Shop::open_with_environment(place(&[&hanging, &crm.url()]), settings, &[("CRM_TOKEN", "t")]).await;
    for number in 0..50 {
        shop.accept(&lead(&format!("l-{number}"))).await;
        shop.accept(&crate::harness::purchase(&format!("p-{number}"))).await;
    }
    assert_eq!(crm.wait_for(50).await.len(), 50);
    shop.wait_for(50).await;
    let waiting = shop.service().app.outbox.accounts();
    let of_dead = waiting.iter().find(|state| state.account.to_string().contains(&hanging)).expect("its account");
    assert_eq!(of_dead.pending, 50, "nothing of it is lost");
    drop(dead);
    shop.close_leaving(Left { pending: 50, ..Left::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_and_its_network_are_not_called() {
    let mut crm = Receiver::start(&[]).await;
    let port = crm.address.port();
    let by_name = format!("http://localhost:{port}");
    let by_other_spelling = format!("http://2130706433:{port}");
    let urls = [crm.url(), by_name, by_other_spelling];
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let bindings = [&crm.url(), urls[1]].map(|url| format!("CRM_TOKEN={url}"));
    let settings = Stated { bind_secret: Some(bindings.to_vec()), ..Stated::default() };
    let shop = Shop::open_with_environment(place(&urls), settings, &[("CRM_TOKEN", "t")]).await;
    shop.accept(&lead("l-1")).await;
    let dead = shop.wait_for_dead(3).await;
    for letter in &dead {
        assert!(letter.contains("is not an address of the public internet"), "{letter}");
    }
    assert!(crm.taken.borrow_and_update().is_empty(), "nothing was sent");
    shop.close_leaving(Left { dead: 3, ..Left::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_host_refuses_is_a_dead_letter_and_a_key_it_refuses_pauses_the_account() {
    let mut crm = Receiver::start(&[404, 302, 200, 401]).await;
    let shop = Shop::open_with_environment(place(&[&crm.url()]), stated(&[&crm]), &[("CRM_TOKEN", "t")]).await;
    for (number, id) in ["gone", "moved", "fine", "barred"].into_iter().enumerate() {
        shop.accept(&lead(id)).await;
        crm.wait_for(number + 1).await;
    }
    let dead = shop.wait_for_dead(2).await;
    assert!(dead.iter().any(|words| words.contains("a redirect, which is not followed")), "{dead:?}");
    shop.wait_for_pause().await;
    shop.close_leaving(Left { dead: 2, pending: 1, ..Left::default() }).await;
}

/// A container that relays GA4's hits to this receiver.
fn relaying(to: &Receiver) -> Place {
    let place = Place::own_rules();
    let tag = format!(
        "triggers:\n  Any: {{ event: \"*\" }}\ntags:\n  GA4:\n    template: ga4_relay\n    triggers: Any\n    \
         consent: analytics_storage\n    parameters: {{ endpoint: \"{}/g/collect\" }}\n",
        to.url()
    );
    place.write("rules/relay.yaml", &tag);
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_ga4_reaches_google_as_it_came_and_again_until_it_is_taken() {
    let mut google = Receiver::start(&[503, 204]).await;
    let shop = Shop::open_with(relaying(&google), stated(&[&google])).await;
    let query = "v=2&tid=G-1&cid=1.2&_p=3&gcs=G111&gcd=13r3r3r3r5l1&npa=0&dma=1&dma_cps=syphamo&uafvl=A%3B1%7CB%253B2&uap=macOS\
                 &dl=https%3a%2f%2Fwww.example.com%2F%3Fq%3da+b%27&dt=K%C3%A4se";
    let lines =
        ["en=page_view&_s=1&_ee=1", "en=scroll&_s=2&epn.percent_scrolled=90", "en=add_to_cart&_s=3&pr1=idA~nmB%7E~C"];
    let url = format!("http://{}/g/collect?{query}&sst.rnd=1.2&_uip=192.0.2.1&richsstsse", shop.sites());
    let request = shop.http.post(url).header("host", crate::harness::HOST).header("origin", "https://www.example.com");
    let request = request.header("user-agent", "Mozilla/5.0 (Test)").header("cookie", "_ga=GA1.1.1.2");
    let request = request.header("content-type", "text/plain;charset=UTF-8").body(lines.join("\r\n"));
    assert_eq!(request.send().await.expect("an answer").status(), 204);
    for taken in google.wait_for(2).await {
        assert_eq!(taken.line, format!("POST /g/collect?{query}&_uip=127.0.0.1"));
        assert_eq!(taken.body, lines.join("\n"));
        assert_eq!(taken.headers["user-agent"], "Mozilla/5.0 (Test)");
        assert_eq!(taken.headers["content-type"], "text/plain;charset=UTF-8");
        for name in ["cookie", "origin", "referer", "idempotency-key"] {
            assert_eq!(taken.headers.get(name), None, "{name}");
        }
    }
    // One order, told of to two properties.
    for property in ["G-1", "G-2"] {
        let query = format!("v=2&tid={property}&cid=1.2&gcs=G111&gcd=13r3r3r3r5l1&en=purchase&ep.transaction_id=T-1");
        let answer = shop.get(&format!("/g/collect?{query}")).header("host", crate::harness::HOST).send().await;
        assert_eq!(answer.expect("an answer").status(), 204);
    }
    let taken = google.wait_for(4).await;
    for property in ["tid=G-1", "tid=G-2"] {
        assert!(
            taken[2..].iter().any(|taken| taken.line.starts_with("GET ") && taken.line.contains(property)),
            "{taken:?}"
        );
    }
    shop.close().await;
}
