//! Outcomes in words, for people: takes an accepted event or a refused request, gives a line such as
//! `accepted order_created 129.90 EUR, 2 items, user: email b5fc85e5…, phone af9e136c…`. Hashes are shortened, other
//! personal values left out.

use std::{fmt, sync::Arc};

use serde_json::Value;

use super::{
    ledger::{Accepted, Fate, Named, Refused},
    user::{FIELDS, Field, is_sha256},
};

/// Currencies by the digits after the decimal point (ISO 4217); every other has two.
const MINOR_DIGITS: [(usize, &str); 3] = [
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF UYW"),
];

/// What an observer is told. Its `Display` is a line for people.
#[derive(Clone, Debug)]
pub enum Notice {
    Accepted(Arc<Accepted>),
    Refused(Arc<Refused>),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted(accepted) => {
                let fate = match accepted.fate {
                    Fate::Stored => "accepted",
                    Fate::Duplicate => "duplicate",
                    Fate::Validated => "validated",
                };
                write!(f, "{fate} {}", accepted.summary())?;
                accepted.warnings.iter().try_for_each(|warning| write!(f, "; warning: {warning}"))
            }
            Self::Refused(refused) => refused.fmt(f),
        }
    }
}

/// `refused order_created (400): data.currency: …`.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused ")?;
        match self.events.as_slice() {
            [] => f.write_str("a request")?,
            [event] if !event.name.is_empty() => f.write_str(&event.name)?,
            [_] => f.write_str("an event")?,
            events => write!(f, "a batch of {}", events.len())?,
        }
        write!(f, " ({}): {}", self.status.as_u16(), self.words)
    }
}

impl Accepted {
    /// The event in one line, such as `order_created 129.90 EUR, 2 items, user: email b5fc85e5…, IP address`.
    pub fn summary(&self) -> String {
        let data = &self.event["data"];
        let mut parts = vec![headline(&self.event)];
        match data["contents"].as_array().map(Vec::len) {
            None | Some(0) => {}
            Some(1) => parts.push("1 item".to_owned()),
            Some(items) => parts.push(format!("{items} items")),
        }
        if let Some(plan) = data["plan_id"].as_str() {
            parts.push(format!("plan {plan}"));
        }
        if self.event.get("oppref").is_some() {
            parts.push("click reference".to_owned());
        }
        if self.event["opt_out"] == Value::Bool(true) {
            parts.push("opted out of personalization".to_owned());
        }
        let known: Vec<String> =
            FIELDS.iter().filter_map(|field| describe(field, self.event["user"].get(field.name)?)).collect();
        if !known.is_empty() {
            parts.push(format!("user: {}", known.join(", ")));
        }
        parts.join(", ")
    }
}

/// The name, and the amount if there is one.
fn headline(event: &Value) -> String {
    let Named { name, .. } = Named::read(event);
    let name = if event["type"] == "custom" { format!("{name} (custom)") } else { name };
    let data = &event["data"];
    match (data["amount"].as_i64(), data["currency"].as_str()) {
        (Some(amount), Some(currency)) => format!("{name} {} {currency}", in_units(amount, currency)),
        _ => name,
    }
}

/// An amount of minor units in units, exactly: 12999 USD is `129.99`, 1000 JPY is `1000`.
fn in_units(amount: i64, currency: &str) -> String {
    let digits = minor_digits(currency);
    let sign = if amount < 0 { "-" } else { "" };
    let minor = format!("{:0>width$}", amount.unsigned_abs(), width = digits + 1);
    match minor.split_at_checked(minor.len() - digits) {
        Some((units, fraction)) if !fraction.is_empty() => format!("{sign}{units}.{fraction}"),
        _ => format!("{sign}{minor}"),
    }
}

pub(super) fn minor_digits(currency: &str) -> usize {
    let listed = MINOR_DIGITS.iter().find(|(_, codes)| codes.split(' ').any(|code| code == currency));
    listed.map_or(2, |(digits, _)| *digits)
}

/// `email b5fc85e5… (+1)`: what is known of the user, without the value unless it is a hash.
fn describe(field: &Field, value: &Value) -> Option<String> {
    let values: Vec<&str> = match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    };
    let (first, others) = values.split_first()?;
    let shown = match first.get(..8) {
        Some(start) if is_sha256(first) => format!("{} {start}…", field.label),
        _ => field.label.to_owned(),
    };
    Some(if others.is_empty() { shown } else { format!("{shown} (+{})", others.len()) })
}
