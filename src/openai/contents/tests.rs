use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Maps items as an event of this currency has them: contents as sent in an event without an amount, total, notes.
fn mapped(items: &Value, currency: Option<&str>, options: &ItemOptions<'_>) -> (Value, Total, Vec<String>) {
    let (contents, total, notes) = written(items, currency, options);
    (serde_json::from_str(&contents).unwrap(), total, notes)
}

/// The same with the contents as text, which shows the order of their keys.
fn written(items: &Value, currency: Option<&str>, options: &ItemOptions<'_>) -> (String, Total, Vec<String>) {
    let mut notes = Notes::new();
    let currency = currency.map(|code| Currency::parse(code).unwrap());
    let Contents { list, total } = map(items.as_array().unwrap(), currency, options, &mut notes);
    let list: Vec<_> = list.iter().map(|content| WithinEvent { content, event_currency: None }).collect();
    (serde_json::to_string(&list).unwrap(), total, notes.iter().map(ToString::to_string).collect())
}

fn sum(minor: i64, code: &str) -> Total {
    Total::Sum(Amount { minor, currency: Currency::parse(code).unwrap() })
}

#[test]
fn an_item_keeps_the_documented_fields_in_order() {
    let items = json!([{
        "variant_dict": {"colour": "red", "size": 42, "none": null}, "item_group_id": "G", "price": "129.99",
        "quantity": "2", "content_type": "product", "item_name": " Kettle ", "item_id": 4711, "item_brand": "Acme",
        "discount": 5, "index": 0,
    }]);
    let (contents, total, notes) = written(&items, Some("EUR"), &ItemOptions::default());
    assert_eq!(
        contents,
        r#"[{"id":"4711","name":"Kettle","content_type":"product","quantity":2,"amount":12999,"currency":"EUR","group_id":"G","variant_dict":{"colour":"red","size":"42"}}]"#
    );
    assert_eq!(total, sum(25998, "EUR"));
    assert!(notes.is_empty(), "{notes:?}");
}

#[test]
fn an_item_names_its_currency_only_where_the_event_does_not() {
    let currency = Currency::parse("EUR").unwrap();
    let content = Content { amount: Some(Amount { minor: 5, currency }), ..Content::default() };
    for (event_currency, expected) in [
        (Some("EUR"), json!({"amount": 5})),
        (Some("USD"), json!({"amount": 5, "currency": "EUR"})),
        (None, json!({"amount": 5, "currency": "EUR"})),
    ] {
        let event_currency = event_currency.map(|code| Currency::parse(code).unwrap());
        let within = WithinEvent { content: &content, event_currency };
        assert_eq!(serde_json::to_value(within).unwrap(), expected);
    }
}

#[test]
fn ids_come_from_the_key_that_the_tag_names() {
    let items = json!([{"item_id": "A", "id": "B", "sku": "C", "name": "N"}, {"id": "B", "name": "N"}]);
    let ids = |id_key| {
        let (contents, ..) = mapped(&items, None, &ItemOptions { id_key, ..ItemOptions::default() });
        [contents[0]["id"].clone(), contents[1]["id"].clone()]
    };
    assert_eq!(ids("item_id"), ["A", "B"]);
    assert_eq!(ids("sku"), [json!("C"), json!(null)]);
    assert_eq!(ids("id"), ["B", "B"]);
    let (contents, ..) = mapped(&json!([{"id": 12.0}, {"id": 1.5}]), None, &ItemOptions::default());
    assert_eq!(contents, json!([{"id": "12"}, {"id": "1.5"}]));
}

#[test]
fn a_content_type_of_the_tag_fills_in() {
    let items = json!([{"id": "A"}, {"id": "B", "content_type": "plan"}, {"content_type": "page"}]);
    let options = ItemOptions { content_type: Some("product"), ..ItemOptions::default() };
    let (contents, _, notes) = mapped(&items, None, &options);
    assert_eq!(contents, json!([{"id": "A", "content_type": "product"}, {"id": "B", "content_type": "plan"}]));
    assert_eq!(notes, ["items[2]: an item with neither id, name, price, group nor variant: left out"]);
}

#[test]
fn quantities_are_whole_numbers() {
    for (quantity, expected, total) in [
        (json!(3), json!(3), sum(300, "EUR")),
        (json!(2.0), json!(2), sum(200, "EUR")),
        (json!(" 2 "), json!(2), sum(200, "EUR")),
        (json!(0), json!(0), sum(0, "EUR")),
        (json!(null), json!(null), sum(100, "EUR")),
        (json!(""), json!(null), sum(100, "EUR")),
    ] {
        let items = json!([{"id": "A", "price": 1, "quantity": quantity}]);
        let (contents, found, notes) = mapped(&items, Some("EUR"), &ItemOptions::default());
        assert_eq!((&contents[0]["quantity"], found), (&expected, total), "{quantity}");
        assert!(notes.is_empty(), "{notes:?}");
    }
    for quantity in
        [json!(2.5), json!("2.5"), json!(-1), json!("+2"), json!("two"), json!([1]), json!(true), json!(1e30)]
    {
        let items = json!([{"id": "A", "price": 1, "quantity": quantity}]);
        let (contents, total, notes) = mapped(&items, Some("EUR"), &ItemOptions::default());
        assert_eq!(contents, json!([{"id": "A", "amount": 100, "currency": "EUR"}]), "{quantity}");
        assert_eq!(total, Total::Unusable);
        assert_eq!(notes, ["items[0].quantity: not a whole number from 0 up: left out"]);
    }
}

#[test]
fn prices_that_cannot_be_used_cost_the_item_its_amount_only() {
    for (item, note) in [
        (json!({"id": "A", "price": "1,234"}), "items[0].price: one comma before three digits may group"),
        (json!({"id": "A", "price": -1}), "items[0].price: a negative amount"),
        (json!({"id": "A", "price": true}), "items[0].price: an amount must be a number or text"),
        (json!({"id": "A", "price": 1, "currency": "EURO"}), "items[0].currency: not a currency code of ISO 4217"),
        (json!({"id": "A", "price": 1, "currency": 978}), "items[0].currency: not a currency code of ISO 4217"),
    ] {
        let (contents, total, notes) = mapped(&json!([item]), Some("EUR"), &ItemOptions::default());
        assert_eq!((contents, total), (json!([{"id": "A"}]), Total::Unusable), "{item}");
        assert!(notes.len() == 1 && notes[0].starts_with(note), "{notes:?}");
    }
    let (contents, total, notes) = mapped(&json!([{"id": "A", "price": 1}]), None, &ItemOptions::default());
    assert_eq!((contents, total), (json!([{"id": "A"}]), Total::Unusable));
    assert_eq!(notes, ["items[0].price: an amount without a currency: left out"]);
}

#[test]
fn totals() {
    for (items, expected) in [
        (json!([]), Total::NoPrice),
        (json!([{"id": "A"}, {"id": "B", "quantity": 2}]), Total::NoPrice),
        (json!([{"id": "A", "price": 1.5, "quantity": 2}, {"id": "B"}, {"id": "C", "price": "2"}]), sum(500, "EUR")),
        (json!([{"price": 1, "currency": "EUR"}, {"price": 1}]), sum(200, "EUR")),
        (json!([{"price": 1, "currency": "USD"}, {"price": 1}]), Total::Unusable),
        (json!([{"price": 1}, {"price": "x"}, {"price": 1}]), Total::Unusable),
        (json!([{"price": 1, "quantity": u64::MAX}]), Total::Unusable),
        (json!([{"price": 9e16}, {"price": 9e16}]), Total::Unusable),
    ] {
        assert_eq!(mapped(&items, Some("EUR"), &ItemOptions::default()).1, expected, "{items}");
    }
}

#[test]
fn rounded_prices_are_summed_as_they_are_sent() {
    let items = json!([{"id": "A", "price": 33.333, "quantity": 3}]);
    let (contents, total, notes) = mapped(&items, Some("EUR"), &ItemOptions::default());
    assert_eq!((&contents[0]["amount"], total), (&json!(3333), sum(9999, "EUR")));
    assert_eq!(notes, ["items[0].price: more decimals than the currency has: rounded half away from zero"]);
}

#[test]
fn minor_amounts_count_only_in_items_that_a_tag_gives() {
    let items = json!([{"id": "A", "amount": 12999}, {"id": "B", "amount": 1, "price": 5}, {"id": "C", "amount": 1.5}]);
    let (contents, ..) = mapped(&items, Some("EUR"), &ItemOptions::default());
    assert_eq!(contents, json!([{"id": "A"}, {"id": "B", "amount": 500, "currency": "EUR"}, {"id": "C"}]));
    let options = ItemOptions { prices: Prices::PriceOrMinorAmount, ..ItemOptions::default() };
    let (contents, _, notes) = mapped(&items, Some("EUR"), &options);
    assert_eq!([&contents[0]["amount"], &contents[1]["amount"]], [12999, 500]);
    assert_eq!(notes, ["items[2].amount: an amount in minor units must be a whole number"]);
}

#[test]
fn fields_of_the_wrong_kind_are_left_out() {
    let items = json!([
        "A", null, [],
        {"item_id": ["A"], "item_name": {"a": 1}, "variant_dict": "red", "group_id": "G"},
        {"id": "B", "variant_dict": {"size": [1], "colour": "red"}},
    ]);
    let (contents, _, notes) = mapped(&items, None, &ItemOptions::default());
    assert_eq!(contents, json!([{"group_id": "G"}, {"id": "B", "variant_dict": {"colour": "red"}}]));
    assert_eq!(
        notes,
        [
            "items[0]: not an object",
            "items[1]: not an object",
            "items[2]: not an object",
            "items[3].id: neither text nor a number",
            "items[3].name: neither text nor a number",
            "items[3].variant_dict: not an object",
            "items[4].variant_dict: neither text nor a number",
        ]
    );
}

#[test]
fn work_and_notes_are_bounded() {
    let items = vec![json!({"id": "A", "price": 1}); MAX_ITEMS + 1];
    let (contents, total, notes) = mapped(&json!(items), Some("EUR"), &ItemOptions::default());
    assert_eq!((contents.as_array().unwrap().len(), total), (MAX_ITEMS, Total::Unusable));
    assert_eq!(notes, ["items: a list too long: only the first 1000 were read"]);
    let (_, total, notes) = mapped(&json!(items[1..]), Some("EUR"), &ItemOptions::default());
    assert_eq!((total, notes.len()), (sum(100_000, "EUR"), 0));

    let variants: Map<String, Value> = (0..=MAX_VARIANTS).map(|n| (n.to_string(), json!([]))).collect();
    let (_, _, notes) = mapped(&json!([{"id": "A", "variant_dict": variants}]), None, &ItemOptions::default());
    assert_eq!(notes.len(), 1 + MAX_VARIANTS);
}

#[test]
fn the_currency_of_the_items() {
    let common = |items: Value| common_currency(items.as_array().unwrap()).map(|found| found.map(Currency::code));
    assert_eq!(common(json!([{}, {"currency": "eur"}, {"currency": "EUR"}, {"currency": "?"}, 5])), Ok(Some("EUR")));
    assert_eq!(common(json!([{"price": 1}])), Ok(None));
    assert_eq!(common(json!([{"currency": "USD"}, {"currency": "EUR"}])), Err(Reason::MixedCurrencies));
}

proptest! {
    #[test]
    fn never_panics_and_never_sums_bad_prices(price in "[0-9.,e-]{0,8}", quantity in "[0-9.-]{0,20}") {
        let items = json!([{"id": "A", "price": price, "quantity": quantity}, {"id": "B", "price": 1}]);
        let (contents, total, _) = mapped(&items, Some("EUR"), &ItemOptions::default());
        let is_good = price.is_empty() || !contents[0]["amount"].is_null();
        prop_assert!(is_good || total == Total::Unusable);
    }
}
