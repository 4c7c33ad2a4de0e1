//! How long a typical purchase takes from event data to the JSON of a Conversions API event: two items, an e-mail, a
//! phone number, a name and an address. `cargo bench --bench openai` prints nanoseconds for each step.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a benchmark prints, and ends where its input is wrong")]

use std::{hint::black_box, time::Instant};

use serde_json::{Map, Value, json};
use tidegate::{
    openai::{
        Notes,
        data::{Data, DataOptions},
        event::{Event, OptOut},
        event_type::{ActionSource, EventType, Unmapped},
        oppref,
        source_url::SourceUrl,
        user::{User, UserOptions, Visitor},
    },
    time::Timestamp,
};

const ROUNDS: u32 = 200_000;

fn purchase() -> Map<String, Value> {
    let event = json!({
        "event_name": "purchase", "event_id": "T-10001", "client_id": "123.456", "page_title": "Thank you",
        "page_location": "https://shop.example/checkout/done?order=10001&oppref=gAAAAABo_opaque_token_of_some_length",
        "page_referrer": "https://shop.example/checkout", "language": "en-gb", "screen_resolution": "1920x1080",
        "transaction_id": "10001", "value": 139.98, "currency": "EUR", "tax": 22.35, "shipping": 4.9, "user_id": "CUST-00042",
        "items": [
            {"item_id": "SKU-1", "item_name": "Kettle", "price": 59.99, "quantity": 2, "item_brand": "Acme"},
            {"item_id": "SKU-2", "item_name": "Cup", "price": 20, "quantity": 1, "item_brand": "Acme"},
        ],
        "user_data": {
            "email_address": "Ada@Example.com", "phone_number": "+40 746 123 456",
            "address": {
                "first_name": "Ada", "last_name": "Ștefănescu", "city": "București", "region": "B", "country": "RO",
                "postal_code": "010101",
            },
        },
    });
    serde_json::from_value(event).expect("an object")
}

fn time(step: &str, mut run: impl FnMut()) {
    (0..ROUNDS / 10).for_each(|_| run());
    let start = Instant::now();
    (0..ROUNDS).for_each(|_| run());
    println!("{step:<12} {:>6} ns", start.elapsed().as_nanos() / u128::from(ROUNDS));
}

fn main() {
    let event = purchase();
    let page = event.get("page_location").and_then(Value::as_str).expect("a page");
    let visitor = Visitor {
        ip_address: "192.0.2.7".parse().ok(),
        user_agent: Some(
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36",
        ),
        obref: Some("0b7e5f0a-6c1f-4a62-9d1e-6f3f8c5b2a10"),
    };
    let mut notes = Notes::new();
    let event_type = EventType::inherit("purchase", Unmapped::Skip, &mut notes).expect("a standard event");
    let data = || Data::build(event_type.shape(), &event, &DataOptions::default(), &mut Notes::new()).expect("data");
    let user = || User::build(&event, &visitor, &UserOptions::default(), &mut Notes::new());
    let source_url = || SourceUrl::from_page(page, &mut Notes::new());
    let json = |data: &Data, user: Option<&User>, source_url: Option<&SourceUrl>| {
        let event = Event {
            id: "10001",
            event_type: &event_type,
            time: Timestamp(1_795_000_000_123),
            data,
            action_source: ActionSource::Web,
            source_url,
            oppref: oppref::find(&event, None, None).map(|oppref| oppref.value),
            opt_out: OptOut::No,
            user,
        };
        event.to_json(&mut Notes::new()).expect("an event")
    };

    let (a_data, a_user, a_page) = (data(), user(), source_url());
    println!("{}", json(&a_data, a_user.as_ref(), a_page.as_ref()));
    time("data", || drop(black_box(data())));
    time("user", || drop(black_box(user())));
    time("source_url", || drop(black_box(source_url())));
    time("event", || drop(black_box(json(&a_data, a_user.as_ref(), a_page.as_ref()))));
    time("all of it", || drop(black_box(json(&data(), user().as_ref(), source_url().as_ref()))));
}
