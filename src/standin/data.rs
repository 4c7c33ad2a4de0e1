//! The `data` object: its shape follows from the event's type. Takes it with its shape, gives warnings or the first
//! fault: money and content items included.

use serde_json::{Map, Value};

use super::finding::{Finding, Place, filled_text, integer, list, no_others, object, required, text};

/// What `data` may hold, and what its `type` must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Contents,
    CustomerAction,
    PlanEnrollment,
    Custom,
}

/// Every standard event with its shape.
const STANDARD_EVENTS: [(&str, Shape); 12] = [
    ("page_viewed", Shape::Contents),
    ("contents_viewed", Shape::Contents),
    ("items_added", Shape::Contents),
    ("checkout_started", Shape::Contents),
    ("order_created", Shape::Contents),
    ("lead_created", Shape::CustomerAction),
    ("registration_completed", Shape::CustomerAction),
    ("appointment_scheduled", Shape::CustomerAction),
    ("subscription_created", Shape::PlanEnrollment),
    ("trial_started", Shape::PlanEnrollment),
    ("app_installed", Shape::CustomerAction),
    ("app_opened", Shape::CustomerAction),
];

const ITEM_FIELDS: [&str; 8] =
    ["id", "name", "content_type", "quantity", "amount", "currency", "group_id", "variant_dict"];

/// The shape of a standard event's data; `None` for every other name.
pub(super) fn shape_of(event_type: &str) -> Option<Shape> {
    STANDARD_EVENTS.iter().find(|(name, _)| *name == event_type).map(|(_, shape)| *shape)
}

impl Shape {
    /// What `data.type` must say.
    fn name(self) -> &'static str {
        match self {
            Self::Contents => "contents",
            Self::CustomerAction => "customer_action",
            Self::PlanEnrollment => "plan_enrollment",
            Self::Custom => "custom",
        }
    }

    /// The fields that data of this shape may have; a custom event may have others beside them.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Contents => &["type", "amount", "currency", "contents"],
            Self::CustomerAction => &["type", "amount", "currency"],
            Self::PlanEnrollment | Self::Custom => &["type", "amount", "currency", "contents", "plan_id"],
        }
    }
}

/// The first fault of an event's data; what does not refuse it is added to `warnings`.
pub(super) fn check(data: &Value, shape: Shape, warnings: &mut Vec<Finding>) -> Result<(), Finding> {
    let root = Place::Event;
    let place = root.field("data");
    let data = object(data, &place)?;
    let type_place = place.field("type");
    if text(required(data, "type", &place)?, &type_place)? != shape.name() {
        return Err(type_place.finding(format!("must be {} for this event", shape.name())));
    }
    if shape != Shape::Custom {
        no_others(data, shape.fields(), &place)?;
    }
    let currency = check_money(data, &place, None, warnings)?;
    if let Some(plan) = data.get("plan_id") {
        filled_text(plan, &place.field("plan_id"))?;
    }
    if let Some(contents) = data.get("contents") {
        check_contents(contents, &place.field("contents"), currency, warnings)?;
    }
    Ok(())
}

/// `amount` and `currency` of an event or an item; `inherited` is the currency that an item may rely on. Gives the
/// currency that holds.
fn check_money<'v>(
    object: &'v Map<String, Value>,
    place: &Place<'_>,
    inherited: Option<&'v str>,
    warnings: &mut Vec<Finding>,
) -> Result<Option<&'v str>, Finding> {
    let currency_place = place.field("currency");
    let own = object.get("currency").map(|currency| check_currency(currency, &currency_place)).transpose()?;
    let currency = own.or(inherited);
    if let Some(amount) = object.get("amount") {
        let amount_place = place.field("amount");
        if integer(amount, &amount_place)? < 0 {
            warnings.push(amount_place.finding("is negative"));
        }
        if currency.is_none() {
            return Err(currency_place.finding("is required with an amount"));
        }
    }
    Ok(currency)
}

/// Three capitals that ISO 4217 knows and gives a minor unit; without one (gold, say) an integer amount means nothing.
fn check_currency<'v>(value: &'v Value, place: &Place<'_>) -> Result<&'v str, Finding> {
    let code = text(value, place)?;
    if code.len() != 3 || !code.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(place.finding("must be three upper-case letters"));
    }
    match iso_currency::Currency::from_code(code).and_then(iso_currency::Currency::exponent) {
        Some(_) => Ok(code),
        None => Err(place.finding("is not an ISO 4217 currency")),
    }
}

fn check_contents(
    contents: &Value,
    place: &Place<'_>,
    currency: Option<&str>,
    warnings: &mut Vec<Finding>,
) -> Result<(), Finding> {
    let contents = list(contents, place)?;
    if contents.is_empty() {
        warnings.push(place.finding("is empty"));
    }
    contents.iter().enumerate().try_for_each(|(index, item)| check_item(item, &place.item(index), currency, warnings))
}

fn check_item(
    item: &Value,
    place: &Place<'_>,
    currency: Option<&str>,
    warnings: &mut Vec<Finding>,
) -> Result<(), Finding> {
    let item = object(item, place)?;
    no_others(item, &ITEM_FIELDS, place)?;
    if item.is_empty() {
        warnings.push(place.finding("is empty"));
    }
    for name in ["id", "name", "group_id"] {
        let Some(value) = item.get(name) else { continue };
        if text(value, &place.field(name))?.trim().is_empty() {
            warnings.push(place.field(name).finding("is empty"));
        }
    }
    if let Some(content_type) = item.get("content_type") {
        filled_text(content_type, &place.field("content_type"))?;
    }
    if let Some(quantity) = item.get("quantity")
        && integer(quantity, &place.field("quantity"))? < 1
    {
        warnings.push(place.field("quantity").finding("is less than 1"));
    }
    check_money(item, place, currency, warnings)?;
    if let Some(variants) = item.get("variant_dict") {
        let variants_place = place.field("variant_dict");
        for (name, value) in object(variants, &variants_place)? {
            text(value, &variants_place.field(name))?;
        }
    }
    Ok(())
}
