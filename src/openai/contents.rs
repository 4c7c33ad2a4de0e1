//! Contents: takes the items of an event, named as in GA4, gives the API's `contents` and what they add up to. A bad
//! field costs the item that field, with a note, never the event.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

use super::{
    Note, Notes, Reason,
    money::{self, Amount, Currency, MoneyError, Precision},
    scalar_text,
};

/// How many items of an event are read. The API documents no limit; a body of nothing but items has far more.
pub const MAX_ITEMS: usize = 1000;

/// How many entries of an item's `variant_dict` are read.
const MAX_VARIANTS: usize = 50;

/// One entry of `contents`. The API takes no other keys than these.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    pub id: Option<Box<str>>,
    pub name: Option<Box<str>>,
    pub content_type: Option<Box<str>>,
    pub quantity: Option<u64>,
    /// The price of one unit.
    pub amount: Option<Amount>,
    pub group_id: Option<Box<str>>,
    /// `variant_dict`: what tells this variant from others, such as colour and size.
    pub variants: Vec<(Box<str>, Box<str>)>,
}

impl Content {
    /// Whether the entry says nothing about which thing it was, or what it cost.
    fn is_unknown(&self) -> bool {
        self.id.is_none()
            && self.name.is_none()
            && self.amount.is_none()
            && self.group_id.is_none()
            && self.variants.is_empty()
    }
}

/// A [`Content`] as it stands in an event: it names its currency only where the event names none or another one.
pub(super) struct WithinEvent<'a> {
    pub content: &'a Content,
    pub event_currency: Option<Currency>,
}

impl Serialize for WithinEvent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Content { id, name, content_type, quantity, amount, group_id, variants } = self.content;
        let mut map = serializer.serialize_map(None)?;
        for (key, text) in [("id", id), ("name", name), ("content_type", content_type)] {
            if let Some(text) = text {
                map.serialize_entry(key, text)?;
            }
        }
        if let Some(quantity) = quantity {
            map.serialize_entry("quantity", quantity)?;
        }
        if let Some(Amount { minor, currency }) = amount {
            map.serialize_entry("amount", minor)?;
            if self.event_currency != Some(*currency) {
                map.serialize_entry("currency", currency.code())?;
            }
        }
        if let Some(group_id) = group_id {
            map.serialize_entry("group_id", group_id)?;
        }
        if !variants.is_empty() {
            map.serialize_entry("variant_dict", &AsMap(variants))?;
        }
        map.end()
    }
}

/// Pairs, as a JSON object.
struct AsMap<'a>(&'a [(Box<str>, Box<str>)]);

impl Serialize for AsMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// How to read items.
#[derive(Clone, Copy, Debug)]
pub struct ItemOptions<'a> {
    /// The key that holds an item's id. With the usual `item_id`, `id` will do as well.
    pub id_key: &'a str,
    /// The `content_type` of items that have none of their own; such as `product`, `plan` or `page`.
    pub content_type: Option<&'a str>,
    pub prices: Prices,
}

impl Default for ItemOptions<'_> {
    fn default() -> Self {
        Self { id_key: "item_id", content_type: None, prices: Prices::Price }
    }
}

/// Which keys of an item hold its price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prices {
    /// `price`, in regular units.
    Price,
    /// `price`; without it `amount`, in minor units, for items that a tag's author wrote in the API's own form.
    PriceOrMinorAmount,
}

/// Items as contents.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    pub list: Vec<Content>,
    pub total: Total,
}

/// What the items cost together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Total {
    /// No item has a price.
    #[default]
    NoPrice,
    /// Quantity times price over all items that have a price. No quantity counts as 1, a quantity of 0 as 0.
    Sum(Amount),
    /// A price or quantity is bad or missing its currency, currencies differ, or there are too many items or the sum is
    /// too large.
    Unusable,
}

impl Total {
    fn add(self, price: Amount, quantity: u64) -> Self {
        let so_far = match self {
            Self::NoPrice => Amount { minor: 0, currency: price.currency },
            Self::Sum(sum) if sum.currency == price.currency => sum,
            Self::Sum(_) | Self::Unusable => return Self::Unusable,
        };
        let cost = i64::try_from(quantity).ok().and_then(|quantity| price.minor.checked_mul(quantity));
        match cost.and_then(|cost| so_far.minor.checked_add(cost)) {
            Some(minor) => Self::Sum(Amount { minor, ..so_far }),
            None => Self::Unusable,
        }
    }
}

/// Maps the items of an event. `currency` is the event's, for items that name none.
pub fn map(items: &[Value], currency: Option<Currency>, options: &ItemOptions<'_>, notes: &mut Notes) -> Contents {
    let (items, unread) = items.split_at_checked(MAX_ITEMS).unwrap_or((items, &[]));
    let mut contents = Contents { list: Vec::with_capacity(items.len()), total: Total::default() };
    if !unread.is_empty() {
        notes.push(Note::new("items", Reason::TooLongAList(MAX_ITEMS)));
        contents.total = Total::Unusable;
    }
    for (index, item) in items.iter().enumerate() {
        let mut mapper = ItemMapper { index, notes };
        let Some(item) = item.as_object() else {
            mapper.note("", Reason::NotAnObject);
            continue;
        };
        let fields = ItemFields::of(item, options);
        let content = mapper.content(&fields, currency, options, &mut contents.total);
        if content.is_unknown() {
            mapper.note("", Reason::NothingKnown);
        } else {
            contents.list.push(content);
        }
    }
    contents
}

/// The currency that the items name, for an event that names none.
///
/// # Errors
/// Two items name different ones.
pub fn common_currency(items: &[Value]) -> Result<Option<Currency>, Reason> {
    let mut common = None;
    for item in items.iter().take(MAX_ITEMS) {
        let Some(code) = item.get("currency").and_then(Value::as_str) else { continue };
        // A bad code is remarked upon where the item itself is mapped.
        let Ok(currency) = Currency::parse(code) else { continue };
        if common.is_some_and(|earlier| earlier != currency) {
            return Err(Reason::MixedCurrencies);
        }
        common = Some(currency);
    }
    Ok(common)
}

/// The fields of an item, found in one pass over its keys.
#[derive(Default)]
struct ItemFields<'a> {
    id: Option<&'a Value>,
    name: Option<&'a Value>,
    content_type: Option<&'a Value>,
    quantity: Option<&'a Value>,
    price: Option<&'a Value>,
    minor_amount: Option<&'a Value>,
    currency: Option<&'a Value>,
    group_id: Option<&'a Value>,
    variants: Option<&'a Value>,
}

impl<'a> ItemFields<'a> {
    fn of(item: &'a Map<String, Value>, options: &ItemOptions<'_>) -> Self {
        let mut fields = Self::default();
        for (key, value) in item {
            if value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty()) {
                continue;
            }
            let value = Some(value);
            match key.as_str() {
                key if key == options.id_key => fields.id = value,
                "id" if options.id_key == "item_id" => fields.id = fields.id.or(value),
                "item_name" => fields.name = value,
                "name" => fields.name = fields.name.or(value),
                "content_type" => fields.content_type = value,
                "quantity" => fields.quantity = value,
                "price" => fields.price = value,
                "amount" => fields.minor_amount = value,
                "currency" => fields.currency = value,
                "group_id" => fields.group_id = value,
                "item_group_id" => fields.group_id = fields.group_id.or(value),
                "variant_dict" => fields.variants = value,
                _ => {}
            }
        }
        fields
    }
}

/// Maps one item; knows its place in the list, to name it in notes.
struct ItemMapper<'n> {
    index: usize,
    notes: &'n mut Notes,
}

impl ItemMapper<'_> {
    fn note(&mut self, suffix: &str, reason: Reason) {
        self.notes.push(Note::new(format!("items[{}]{suffix}", self.index), reason));
    }

    fn content(
        &mut self,
        fields: &ItemFields<'_>,
        event_currency: Option<Currency>,
        options: &ItemOptions<'_>,
        total: &mut Total,
    ) -> Content {
        let quantity = self.quantity(fields.quantity);
        let price = self.price(fields, event_currency, options.prices);
        *total = match (price, quantity) {
            (Price::None, _) => *total,
            (Price::Good(price), Quantity::Good(quantity)) => total.add(price, quantity),
            (Price::Good(price), Quantity::None) => total.add(price, 1),
            (Price::Bad, _) | (Price::Good(_), Quantity::Bad) => Total::Unusable,
        };
        let content_type = self.text(".content_type", fields.content_type);
        Content {
            id: self.text(".id", fields.id),
            name: self.text(".name", fields.name),
            content_type: content_type.or_else(|| options.content_type.map(Into::into)),
            quantity: if let Quantity::Good(quantity) = quantity { Some(quantity) } else { None },
            amount: if let Price::Good(price) = price { Some(price) } else { None },
            group_id: self.text(".group_id", fields.group_id),
            variants: self.variants(fields.variants),
        }
    }

    fn text(&mut self, suffix: &str, value: Option<&Value>) -> Option<Box<str>> {
        match scalar_text(value?) {
            Ok(text) => text.map(Into::into),
            Err(reason) => {
                self.note(suffix, reason);
                None
            }
        }
    }

    fn quantity(&mut self, value: Option<&Value>) -> Quantity {
        let Some(value) = value else { return Quantity::None };
        let text = scalar_text(value).ok().flatten().unwrap_or_default();
        // Parsing alone would let a plus sign through.
        if text.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(quantity) = text.parse()
        {
            return Quantity::Good(quantity);
        }
        self.note(".quantity", Reason::NotAQuantity);
        Quantity::Bad
    }

    fn price(&mut self, fields: &ItemFields<'_>, event_currency: Option<Currency>, prices: Prices) -> Price {
        let (suffix, value) = match (prices, fields.price, fields.minor_amount) {
            (_, Some(price), _) => (".price", price),
            (Prices::PriceOrMinorAmount, None, Some(amount)) => (".amount", amount),
            (Prices::PriceOrMinorAmount | Prices::Price, None, _) => return Price::None,
        };
        let currency = match fields.currency.map(parse_currency) {
            Some(Ok(currency)) => Some(currency),
            Some(Err(error)) => {
                self.note(".currency", Reason::Money(error));
                return Price::Bad;
            }
            None => event_currency,
        };
        let Some(currency) = currency else {
            self.note(suffix, Reason::NoCurrency);
            return Price::Bad;
        };
        let amount = if suffix == ".price" {
            money::from_regular_units(value, currency)
        } else {
            money::from_minor_units(value).map(|minor| (Amount { minor, currency }, Precision::Exact))
        };
        match amount {
            Ok((amount, precision)) => {
                if precision == Precision::Rounded {
                    self.note(suffix, Reason::Rounded);
                }
                Price::Good(amount)
            }
            Err(error) => {
                self.note(suffix, Reason::Money(error));
                Price::Bad
            }
        }
    }

    fn variants(&mut self, value: Option<&Value>) -> Vec<(Box<str>, Box<str>)> {
        let Some(value) = value else { return Vec::new() };
        let Some(variants) = value.as_object() else {
            self.note(".variant_dict", Reason::NotAnObject);
            return Vec::new();
        };
        if variants.len() > MAX_VARIANTS {
            self.note(".variant_dict", Reason::TooLongAList(MAX_VARIANTS));
        }
        let present = variants.iter().take(MAX_VARIANTS).filter(|(_, value)| !value.is_null());
        present
            .filter_map(|(key, value)| Some((key.as_str().into(), self.text(".variant_dict", Some(value))?)))
            .collect()
    }
}

fn parse_currency(value: &Value) -> Result<Currency, MoneyError> {
    Currency::parse(value.as_str().unwrap_or_default())
}

#[derive(Clone, Copy)]
enum Quantity {
    None,
    Good(u64),
    Bad,
}

#[derive(Clone, Copy)]
enum Price {
    None,
    Good(Amount),
    Bad,
}

#[cfg(test)]
mod tests;
