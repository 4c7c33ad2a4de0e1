//! The `data` object of an event: takes the shape that the event's type demands, event data and the tag's options,
//! gives the object with its amount, contents and plan, holding only what that shape allows.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

use super::{
    Invalid, Note, Notes, Reason, Source,
    contents::{self, Content, ItemOptions, Prices, Total, WithinEvent},
    event_type::Shape,
    money::{self, Amount, Currency, MoneyError, Precision},
    present, scalar_text,
};

/// The `data` of one event.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    shape: Shape,
    amount: Option<Amount>,
    contents: Vec<Content>,
    plan_id: Option<Box<str>>,
    extra: Vec<(Box<str>, Value)>,
}

/// What a tag says about `data`; by default everything comes from the event.
#[derive(Clone, Copy, Debug, Default)]
pub struct DataOptions<'a> {
    pub amount: AmountSource<'a>,
    pub currency: Source<'a>,
    /// A list of items in place of the event's, with GA4's or the API's own keys; there `amount` counts in minor units.
    pub contents: Source<'a>,
    pub items: ItemOptions<'a>,
    pub plan_id: Source<'a>,
    /// Further keys, which only custom events may have: texts, numbers and booleans.
    pub extra: Option<&'a Map<String, Value>>,
}

/// Where the amount comes from. A value that a tag names here may be missing: then the event has no amount.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum AmountSource<'a> {
    /// The event's `value`; without one, what its items cost together.
    #[default]
    Event,
    Off,
    /// This value, such as 129.99.
    RegularUnits(&'a Value),
    /// This value, such as 12999.
    MinorUnits(&'a Value),
}

impl Data {
    /// Builds the data of an event of this shape. Reads `value`, `currency`, `items` and `plan_id`; the first three also
    /// under `ecommerce`. An event without a currency takes that of its items, if they agree.
    ///
    /// # Errors
    /// The event's own amount, or its currency, is given and cannot be read: rather no event than a wrong or an empty order.
    pub fn build(
        shape: Shape,
        event: &Map<String, Value>,
        options: &DataOptions<'_>,
        notes: &mut Notes,
    ) -> Result<Self, Invalid> {
        let mut builder = Builder { shape, event, ecommerce: None, options, notes };
        builder.ecommerce = present(event, "ecommerce").and_then(Value::as_object);

        let items = builder.items();
        let given = builder.given_amount();
        let currency = builder.currency(items, given)?;
        let contents = builder.contents(items, currency);
        let amount = match given {
            Some(given) => builder.amount(given, currency)?,
            None => builder.total(contents.total),
        };
        if currency.is_some() && amount.is_none() && contents.list.iter().all(|content| content.amount.is_none()) {
            builder.note("currency", Reason::NoAmount);
        }
        Ok(Self { shape, amount, contents: contents.list, plan_id: builder.plan_id(), extra: builder.extra() })
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    pub fn amount(&self) -> Option<Amount> {
        self.amount
    }

    pub fn contents(&self) -> &[Content] {
        &self.contents
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", self.shape.name())?;
        if let Some(Amount { minor, currency }) = self.amount {
            map.serialize_entry("amount", &minor)?;
            map.serialize_entry("currency", currency.code())?;
        }
        if !self.contents.is_empty() {
            map.serialize_entry("contents", &ContentList(self))?;
        }
        if let Some(plan_id) = &self.plan_id {
            map.serialize_entry("plan_id", plan_id)?;
        }
        for (key, value) in &self.extra {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

struct ContentList<'a>(&'a Data);

impl Serialize for ContentList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event_currency = self.0.amount.map(|amount| amount.currency);
        serializer.collect_seq(self.0.contents.iter().map(|content| WithinEvent { content, event_currency }))
    }
}

/// The amount as it was written, not read yet.
#[derive(Clone, Copy)]
struct GivenAmount<'a> {
    field: &'static str,
    value: &'a Value,
    units: Units,
}

#[derive(Clone, Copy)]
enum Units {
    Regular,
    Minor,
}

struct Builder<'a, 'n> {
    shape: Shape,
    event: &'a Map<String, Value>,
    ecommerce: Option<&'a Map<String, Value>>,
    options: &'a DataOptions<'a>,
    notes: &'n mut Notes,
}

impl<'a> Builder<'a, '_> {
    fn note(&mut self, field: &'static str, reason: Reason) {
        self.notes.push(Note::new(field, reason));
    }

    /// A key of the event, or of its `ecommerce` object.
    fn read(&self, key: &str) -> Option<&'a Value> {
        present(self.event, key).or_else(|| present(self.ecommerce?, key))
    }

    fn items(&mut self) -> &'a [Value] {
        let (field, value) = match self.options.contents {
            Source::Event => ("items", self.read("items")),
            Source::Off => return &[],
            Source::Value(value) => ("contents", Some(value).filter(|value| !value.is_null())),
        };
        match value {
            None => &[],
            Some(Value::Array(items)) if items.is_empty() || self.shape.takes_contents() => items,
            Some(Value::Array(_)) => {
                self.note(field, Reason::NotPartOf(self.shape.name()));
                &[]
            }
            Some(_) => {
                self.note(field, Reason::NotAList);
                &[]
            }
        }
    }

    /// The amount that the event or the tag states, if there is any text or value in it.
    fn given_amount(&mut self) -> Option<GivenAmount<'a>> {
        let (field, value, units) = match self.options.amount {
            AmountSource::Event => ("value", self.read("value")?, Units::Regular),
            AmountSource::Off => return None,
            AmountSource::RegularUnits(value) => ("amount", value, Units::Regular),
            AmountSource::MinorUnits(value) => ("amount", value, Units::Minor),
        };
        if value.is_null() || is_blank(value) {
            self.note(field, Reason::Empty);
            return None;
        }
        Some(GivenAmount { field, value, units })
    }

    fn currency(&mut self, items: &[Value], given: Option<GivenAmount<'_>>) -> Result<Option<Currency>, Invalid> {
        let code = match self.options.currency {
            Source::Event => self.read("currency").filter(|code| !is_blank(code)),
            Source::Off => return Ok(None),
            Source::Value(value) if value.is_null() || is_blank(value) => return Ok(None),
            Source::Value(value) => Some(value),
        };
        let Some(code) = code else {
            return Ok(contents::common_currency(items).unwrap_or_else(|reason| {
                self.note("currency", reason);
                None
            }));
        };
        let parsed = code.as_str().ok_or(MoneyError::UnknownCurrency).and_then(Currency::parse);
        match parsed.map_err(Reason::Money) {
            Ok(currency) => Ok(Some(currency)),
            Err(reason) if given.is_some() => Err(Invalid::new("currency", reason)),
            Err(reason) => {
                self.note("currency", reason);
                Ok(None)
            }
        }
    }

    fn contents(&mut self, items: &[Value], currency: Option<Currency>) -> contents::Contents {
        let mut options = self.options.items;
        if matches!(self.options.contents, Source::Value(_)) {
            options.prices = Prices::PriceOrMinorAmount;
        }
        contents::map(items, currency, &options, self.notes)
    }

    fn amount(&mut self, given: GivenAmount<'_>, currency: Option<Currency>) -> Result<Option<Amount>, Invalid> {
        let GivenAmount { field, value, units } = given;
        let Some(currency) = currency else {
            self.note(field, Reason::NoCurrency);
            return Ok(None);
        };
        let read = match units {
            Units::Regular => money::from_regular_units(value, currency),
            Units::Minor => money::from_minor_units(value).map(|minor| (Amount { minor, currency }, Precision::Exact)),
        };
        let (amount, precision) = read.map_err(|error| Invalid::new(field, Reason::Money(error)))?;
        if precision == Precision::Rounded {
            self.note(field, Reason::Rounded);
        }
        Ok(Some(amount))
    }

    /// The items' total in place of a value that the event does not state. One that the tag names has no such stand-in.
    fn total(&mut self, total: Total) -> Option<Amount> {
        match (self.options.amount, total) {
            (AmountSource::Event, Total::Sum(amount)) => {
                self.note("value", Reason::Summed);
                Some(amount)
            }
            (AmountSource::Event, Total::Unusable) => {
                self.note("value", Reason::NotSummed);
                None
            }
            _ => None,
        }
    }

    fn plan_id(&mut self) -> Option<Box<str>> {
        let value = match self.options.plan_id {
            Source::Event => present(self.event, "plan_id")?,
            Source::Off => return None,
            Source::Value(value) => Some(value).filter(|value| !value.is_null())?,
        };
        let plan_id = match scalar_text(value) {
            Ok(text) => text?,
            Err(reason) => {
                self.note("plan_id", reason);
                return None;
            }
        };
        if !self.shape.takes_plan_id() {
            self.note("plan_id", Reason::NotPartOf(self.shape.name()));
            return None;
        }
        Some(plan_id.into())
    }

    fn extra(&mut self) -> Vec<(Box<str>, Value)> {
        let Some(extra) = self.options.extra.filter(|extra| !extra.is_empty()) else { return Vec::new() };
        if !self.shape.takes_extra_keys() {
            self.note("extra", Reason::NotPartOf(self.shape.name()));
            return Vec::new();
        }
        let mut kept = Vec::with_capacity(extra.len());
        for (key, value) in extra {
            let reason = match (key.as_str(), value) {
                (_, Value::Null) => continue,
                ("type" | "amount" | "currency" | "contents" | "plan_id", _) => Reason::ReservedName,
                (_, Value::Array(_) | Value::Object(_)) => Reason::NotAScalar,
                _ => {
                    kept.push((key.as_str().into(), value.clone()));
                    continue;
                }
            };
            self.notes.push(Note::new(format!("extra.{key}"), reason));
        }
        kept
    }
}

fn is_blank(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim().is_empty())
}

#[cfg(test)]
mod tests;
