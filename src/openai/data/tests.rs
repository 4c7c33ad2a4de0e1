use serde_json::json;

use super::*;

const SHAPES: [Shape; 4] = [Shape::Contents, Shape::CustomerAction, Shape::PlanEnrollment, Shape::Custom];

/// The data, and the notes; or the error.
fn built(shape: Shape, event: &Value, options: &DataOptions<'_>) -> Result<(Value, Vec<String>), String> {
    let (data, notes) = written(shape, event, options)?;
    Ok((serde_json::from_str(&data).unwrap(), notes))
}

/// The same with the data as text, which shows the order of its keys.
fn written(shape: Shape, event: &Value, options: &DataOptions<'_>) -> Result<(String, Vec<String>), String> {
    let mut notes = Notes::new();
    let data =
        Data::build(shape, event.as_object().unwrap(), options, &mut notes).map_err(|error| error.to_string())?;
    Ok((serde_json::to_string(&data).unwrap(), notes.iter().map(ToString::to_string).collect()))
}

fn from_event(shape: Shape, event: &Value) -> (Value, Vec<String>) {
    built(shape, event, &DataOptions::default()).unwrap()
}

#[test]
fn a_purchase() {
    let event = json!({
        "value": 139.98, "currency": "eur", "transaction_id": "T-1", "tax": 3,
        "items": [
            {"item_id": "SKU-1", "item_name": "Kettle", "price": 59.99, "quantity": 2},
            {"item_id": "SKU-2", "item_name": "Cup", "price": 10, "currency": "USD"},
        ],
    });
    let (data, notes) = written(Shape::Contents, &event, &DataOptions::default()).unwrap();
    assert_eq!(
        data,
        concat!(
            r#"{"type":"contents","amount":13998,"currency":"EUR","contents":["#,
            r#"{"id":"SKU-1","name":"Kettle","quantity":2,"amount":5999},"#,
            r#"{"id":"SKU-2","name":"Cup","amount":1000,"currency":"USD"}]}"#
        )
    );
    assert!(notes.is_empty(), "{notes:?}");
}

#[test]
fn an_event_about_nothing_has_its_type_alone() {
    for shape in SHAPES {
        assert_eq!(from_event(shape, &json!({})), (json!({"type": shape.name()}), vec![]));
        let blanks = json!({"value": null, "currency": null, "items": null, "plan_id": "", "ecommerce": null});
        assert_eq!(from_event(shape, &blanks), (json!({"type": shape.name()}), vec![]));
    }
}

#[test]
fn ecommerce_stands_in_for_the_event() {
    let event = json!({"ecommerce": {"value": 5, "currency": "EUR", "items": [{"id": "A"}]}});
    let expected = json!({"type": "contents", "amount": 500, "currency": "EUR", "contents": [{"id": "A"}]});
    assert_eq!(from_event(Shape::Contents, &event), (expected, vec![]));
    let event = json!({"value": 7, "ecommerce": {"value": 5, "currency": "EUR"}});
    assert_eq!(from_event(Shape::Contents, &event).0["amount"], 700);
}

#[test]
fn a_bad_amount_of_the_event_is_an_error() {
    for (event, expected) in [
        (json!({"value": "1,234", "currency": "EUR"}), "value: one comma before three digits may group"),
        (json!({"value": "€5", "currency": "EUR"}), "value: not an amount"),
        (json!({"value": -5, "currency": "EUR"}), "value: a negative amount"),
        (json!({"value": [5], "currency": "EUR"}), "value: an amount must be a number or text"),
        (json!({"value": 5, "currency": "EURO"}), "currency: not a currency code"),
        (json!({"value": 5, "currency": 978}), "currency: not a currency code"),
        (json!({"value": 5, "currency": "XAU"}), "currency: a currency code without a minor unit"),
    ] {
        for shape in SHAPES {
            let error = built(shape, &event, &DataOptions::default()).unwrap_err();
            assert!(error.starts_with(expected), "{event}: {error}");
        }
    }
}

#[test]
fn amount_and_currency_come_together_or_not_at_all() {
    for (event, note) in [
        (json!({"value": 5}), "value: an amount without a currency: left out"),
        (json!({"value": 5, "currency": " "}), "value: an amount without a currency: left out"),
        (json!({"currency": "EUR"}), "currency: a currency without an amount: left out"),
        (json!({"currency": "EURO"}), "currency: not a currency code of ISO 4217"),
    ] {
        for shape in SHAPES {
            assert_eq!(from_event(shape, &event), (json!({"type": shape.name()}), vec![note.to_owned()]), "{event}");
        }
    }
    let zero = from_event(Shape::Contents, &json!({"value": 0, "currency": "EUR"}));
    assert_eq!(zero, (json!({"type": "contents", "amount": 0, "currency": "EUR"}), vec![]));
}

#[test]
fn without_a_value_the_items_are_summed() {
    let event = json!({"currency": "EUR", "items": [{"id": "A", "price": 2, "quantity": 3}, {"id": "B"}]});
    let (data, notes) = from_event(Shape::Contents, &event);
    assert_eq!((&data["amount"], &data["contents"][0]["amount"]), (&json!(600), &json!(200)));
    assert_eq!(notes, ["value: no value given: summed from the items"]);

    let blank = json!({"value": "", "currency": "EUR", "items": [{"id": "A", "price": 2}]});
    let (data, notes) = from_event(Shape::Contents, &blank);
    assert_eq!(data["amount"], 200);
    assert_eq!(notes, ["value: empty", "value: no value given: summed from the items"]);

    let bad_price = json!({"currency": "EUR", "items": [{"id": "A", "price": 2}, {"id": "B", "price": "two"}]});
    let (data, notes) = from_event(Shape::Contents, &bad_price);
    let expected = json!([{"id": "A", "amount": 200, "currency": "EUR"}, {"id": "B"}]);
    assert_eq!(data, json!({"type": "contents", "contents": expected}));
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[1].starts_with("value: no value given, and not every"), "{notes:?}");
}

#[test]
fn items_without_prices_do_not_fail_the_event() {
    let event = json!({"items": [{"item_id": "A"}, {"item_id": "B"}]});
    let expected = json!({"type": "contents", "contents": [{"id": "A"}, {"id": "B"}]});
    assert_eq!(from_event(Shape::Contents, &event), (expected, vec![]));
}

#[test]
fn an_event_without_a_currency_takes_that_of_its_items() {
    let event = json!({"value": 5, "items": [{"id": "A", "currency": "jpy"}, {"id": "B", "price": 3}]});
    let (data, notes) = from_event(Shape::Contents, &event);
    let expected = json!([{"id": "A"}, {"id": "B", "amount": 3}]);
    assert_eq!(data, json!({"type": "contents", "amount": 5, "currency": "JPY", "contents": expected}));
    assert!(notes.is_empty(), "{notes:?}");

    let mixed = json!({"value": 5, "items": [{"id": "A", "currency": "JPY"}, {"id": "B", "currency": "EUR"}]});
    let (data, notes) = from_event(Shape::Contents, &mixed);
    assert_eq!(data["amount"], Value::Null);
    assert_eq!(
        notes,
        [
            "currency: the items disagree about the currency: none chosen",
            "value: an amount without a currency: left out"
        ]
    );
}

#[test]
fn each_shape_takes_only_what_is_documented_for_it() {
    let extra = json!({"colour": "red"});
    let options = DataOptions { extra: extra.as_object(), ..DataOptions::default() };
    let event = json!({"plan_id": "pro", "items": [{"id": "A"}]});
    let contents = json!([{"id": "A"}]);
    for (shape, expected, left_out) in [
        (Shape::Contents, json!({"type": "contents", "contents": contents}), &["plan_id", "extra"][..]),
        (Shape::CustomerAction, json!({"type": "customer_action"}), &["items", "plan_id", "extra"]),
        (Shape::PlanEnrollment, json!({"type": "plan_enrollment", "contents": contents, "plan_id": "pro"}), &["extra"]),
        (Shape::Custom, json!({"type": "custom", "contents": contents, "plan_id": "pro", "colour": "red"}), &[]),
    ] {
        let (data, notes) = built(shape, &event, &options).unwrap();
        assert_eq!(data, expected);
        let notes_expected = left_out.iter().map(|field| format!("{field}: not part of {}: left out", shape.name()));
        assert_eq!(notes, Vec::from_iter(notes_expected));
    }
}

#[test]
fn left_over_items_give_a_customer_action_neither_amount_nor_currency() {
    let event = json!({"items": [{"id": "A", "price": 5, "currency": "EUR"}]});
    let (data, notes) = from_event(Shape::CustomerAction, &event);
    assert_eq!(data, json!({"type": "customer_action"}));
    assert_eq!(notes, ["items: not part of customer_action: left out"]);
}

#[test]
fn a_tag_may_replace_or_switch_off_every_part() {
    let event = json!({"value": 10, "currency": "EUR", "items": [{"id": "A", "price": 1}], "plan_id": "pro"});
    let (minor, regular, yen) = (json!("12999"), json!("3,50"), json!("JPY"));
    let (items, plan, null) = (json!([{"id": "B", "amount": 5}]), json!(7), json!(null));
    let default = DataOptions::default;
    let off = DataOptions {
        amount: AmountSource::Off,
        currency: Source::Off,
        contents: Source::Off,
        plan_id: Source::Off,
        ..default()
    };
    let nothing = DataOptions {
        amount: AmountSource::RegularUnits(&null),
        contents: Source::Value(&null),
        plan_id: Source::Value(&null),
        ..default()
    };
    for (options, amount, currency, contents, plan_id) in [
        (default(), json!(1000), json!("EUR"), json!([{"id": "A", "amount": 100}]), json!("pro")),
        (off, json!(null), json!(null), json!(null), json!(null)),
        (nothing, json!(null), json!(null), json!(null), json!(null)),
        (
            DataOptions { amount: AmountSource::MinorUnits(&minor), ..default() },
            json!(12999),
            json!("EUR"),
            json!([{"id": "A", "amount": 100}]),
            json!("pro"),
        ),
        (
            DataOptions { amount: AmountSource::RegularUnits(&regular), ..default() },
            json!(350),
            json!("EUR"),
            json!([{"id": "A", "amount": 100}]),
            json!("pro"),
        ),
        (
            DataOptions { currency: Source::Value(&yen), plan_id: Source::Value(&plan), ..default() },
            json!(10),
            json!("JPY"),
            json!([{"id": "A", "amount": 1}]),
            json!("7"),
        ),
        (
            DataOptions { contents: Source::Value(&items), ..default() },
            json!(1000),
            json!("EUR"),
            json!([{"id": "B", "amount": 5}]),
            json!("pro"),
        ),
    ] {
        let (data, notes) = built(Shape::Custom, &event, &options).unwrap();
        assert_eq!(
            [&data["amount"], &data["currency"], &data["contents"], &data["plan_id"]],
            [&amount, &currency, &contents, &plan_id],
            "{options:?}: {notes:?}"
        );
    }
}

#[test]
fn an_amount_that_the_tag_names_and_that_is_missing_is_not_made_up() {
    let event = json!({"value": 10, "currency": "EUR", "items": [{"id": "A", "price": 1}]});
    let blank = json!(" ");
    let options = DataOptions { amount: AmountSource::RegularUnits(&blank), ..DataOptions::default() };
    let (data, notes) = built(Shape::Contents, &event, &options).unwrap();
    let contents = json!([{"id": "A", "amount": 100, "currency": "EUR"}]);
    assert_eq!(data, json!({"type": "contents", "contents": contents}));
    assert_eq!(notes, ["amount: empty"]);
}

#[test]
fn extra_keys_are_scalars_of_other_names() {
    let extra = json!({"colour": "red", "size": 42, "gift": true, "amount": 1, "list": [], "map": {}, "none": null});
    let options = DataOptions { extra: extra.as_object(), ..DataOptions::default() };
    let (data, notes) = built(Shape::Custom, &json!({}), &options).unwrap();
    assert_eq!(data, json!({"type": "custom", "colour": "red", "size": 42, "gift": true}));
    assert_eq!(
        notes,
        [
            "extra.amount: the name of a field that the tag sets by other means: left out",
            "extra.list: neither text, number nor boolean",
            "extra.map: neither text, number nor boolean",
        ]
    );
}

#[test]
fn values_of_the_wrong_kind() {
    let event = json!({"items": {"id": "A"}, "plan_id": ["pro"], "ecommerce": "x"});
    let (data, notes) = from_event(Shape::PlanEnrollment, &event);
    assert_eq!(data, json!({"type": "plan_enrollment"}));
    assert_eq!(notes, ["items: not a list", "plan_id: neither text nor a number"]);
}
