//! Items: `pr1`, `pr2`, …, each a text such as `idSKU-1~nmKettle~pr129.99~qt1~k0colour~v0red`: two characters name a key,
//! the rest is its value, and custom keys come as pairs. A `~` within a value is written twice.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::client::parameters::number;

/// GA4 takes 200 items an event.
const MAX_ITEMS: u32 = 200;

/// Item keys by their two characters on the wire.
const KEYS: [(&str, &str); 22] = [
    ("af", "affiliation"),
    ("br", "item_brand"),
    ("c2", "item_category2"),
    ("c3", "item_category3"),
    ("c4", "item_category4"),
    ("c5", "item_category5"),
    ("ca", "item_category"),
    ("cn", "creative_name"),
    ("cp", "coupon"),
    ("cs", "creative_slot"),
    ("ds", "discount"),
    ("id", "item_id"),
    ("li", "item_list_id"),
    ("ln", "item_list_name"),
    ("lo", "location_id"),
    ("lp", "index"),
    ("nm", "item_name"),
    ("pi", "promotion_id"),
    ("pn", "promotion_name"),
    ("pr", "price"),
    ("qt", "quantity"),
    ("va", "item_variant"),
];

const NUMBERS: [&str; 4] = ["discount", "index", "price", "quantity"];

/// The items read so far, by their number.
#[derive(Default)]
pub struct Items(BTreeMap<u32, Value>);

impl Items {
    /// Takes a parameter if it is an item.
    pub fn take(&mut self, wire: &str, value: &str) -> bool {
        let Some(digits) = wire.strip_prefix("pr").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        else {
            return false;
        };
        match digits.parse() {
            Ok(position @ 1..=MAX_ITEMS) => {
                self.0.insert(position, item(value));
                true
            }
            _ => false,
        }
    }

    pub fn finish(self) -> Option<Value> {
        (!self.0.is_empty()).then(|| Value::Array(self.0.into_values().collect()))
    }
}

fn item(text: &str) -> Value {
    let mut item = Map::new();
    let mut custom: BTreeMap<u64, (Option<String>, Option<String>)> = BTreeMap::new();
    for token in tokens(text) {
        let Some((code, value)) = token.split_at_checked(2) else { continue };
        if let Some((_, key)) = KEYS.iter().find(|(own, _)| *own == code) {
            let value = if NUMBERS.contains(key) { number(value) } else { value.into() };
            item.insert((*key).to_owned(), value);
        } else if let Some((position, value)) = numbered(&token, 'k') {
            custom.entry(position).or_default().0 = Some(value.to_owned());
        } else if let Some((position, value)) = numbered(&token, 'v') {
            custom.entry(position).or_default().1 = Some(value.to_owned());
        }
    }
    for (key, value) in custom.into_values() {
        if let (Some(key), Some(value)) = (key, value) {
            item.entry(key).or_insert_with(|| value.into());
        }
    }
    Value::Object(item)
}

/// `k12colour`: a letter, a number, the rest.
fn numbered(token: &str, letter: char) -> Option<(u64, &str)> {
    let rest = token.strip_prefix(letter)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (position, value) = rest.split_at_checked(digits)?;
    Some((position.parse().ok()?, value))
}

/// The parts between single `~`; a double one is part of the value.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '~' && characters.next_if_eq(&'~').is_none() {
            tokens.push(String::new());
        } else if let Some(token) = tokens.last_mut() {
            token.push(character);
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_all_keys_and_custom_pairs() {
        let text = "idSKU-1~nmKettle~brAcme~cA~caKitchen~c2Tea~va1 l~pr129.990~qt2~ds0~cpSPRING~afShop~lp1~liL1~lnList~\
                    loPlace~piP1~pnPromo~cnBanner~csTop~k0colour~v0red~k12size~v12XL~k3lonely~xx?";
        assert_eq!(
            item(text),
            json!({
                "item_id": "SKU-1", "item_name": "Kettle", "item_brand": "Acme", "item_category": "Kitchen",
                "item_category2": "Tea", "item_variant": "1 l", "price": 129.99, "quantity": 2, "discount": 0,
                "coupon": "SPRING", "affiliation": "Shop", "index": 1, "item_list_id": "L1", "item_list_name": "List",
                "location_id": "Place", "promotion_id": "P1", "promotion_name": "Promo", "creative_name": "Banner",
                "creative_slot": "Top", "colour": "red", "size": "XL"
            })
        );
    }

    #[test]
    fn a_double_tilde_is_one_in_the_value() {
        assert_eq!(item("nmA~~B~idx~~"), json!({"item_name": "A~B", "item_id": "x~"}));
    }

    #[test]
    fn a_price_that_is_no_number_stays_text() {
        assert_eq!(item("pr1,234.56~qtmany"), json!({"price": "1,234.56", "quantity": "many"}));
    }

    #[test]
    fn what_is_no_item_is_left_to_others() {
        let mut items = Items::default();
        for wire in ["pr", "pr0", "pr201", "prx", "pr1x", "p1"] {
            assert!(!items.take(wire, "idx"), "{wire}");
        }
        assert!(items.take("pr2", "idb") && items.take("pr10", "idc") && items.take("pr1", "ida"));
        assert_eq!(items.finish(), Some(json!([{"item_id": "a"}, {"item_id": "b"}, {"item_id": "c"}])));
    }
}
