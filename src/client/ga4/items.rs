//! Items: `pr1`, `pr2`, …, each a text such as `idSKU-1~nmKettle~pr129.99~qt1~k0colour~v0red`: two characters name a key,
//! the rest is its value, and custom keys come as pairs. A `~` within a value is written twice.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::{client::parameters::number, privacy::Fate};

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
        match digits(wire).unwrap_or_default().parse() {
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

/// Whether a parameter is an item by its name, be its number one that is read or not.
pub fn is_item(wire: &str) -> bool {
    digits(wire).is_some()
}

fn digits(wire: &str) -> Option<&str> {
    wire.strip_prefix("pr").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// An item with what becomes of its values, each told by its key in event data and its text; a custom key goes with its
/// value. `None` if all stays.
pub fn rewrite(text: &str, judge: impl Fn(&str, &str) -> Fate) -> Option<String> {
    let tokens = tokens(text);
    let read: Vec<Token<'_>> = tokens.iter().map(|token| Token::read(token)).collect();
    let keys: BTreeMap<u64, &str> = read.iter().filter_map(Token::custom_key).collect();
    let fate = |token: &Token<'_>| match token {
        Token::Known(key, value) => judge(key, value),
        Token::Key(_, key) => judge(key, ""),
        Token::Value(position, value) => judge(keys.get(position).copied().unwrap_or_default(), value),
        Token::Unknown(text) => judge("", text),
    };
    let fates: Vec<Fate> = read.iter().map(fate).collect();
    if fates.iter().all(|fate| matches!(fate, Fate::Stays)) {
        return None;
    }
    let goes = |(token, fate): (&Token<'_>, &Fate)| token.position().filter(|_| matches!(fate, Fate::Goes));
    let gone: BTreeSet<u64> = read.iter().zip(&fates).filter_map(goes).collect();
    let kept = tokens.iter().zip(&read).zip(fates).filter_map(|((whole, token), fate)| match fate {
        _ if token.position().is_some_and(|position| gone.contains(&position)) => None,
        Fate::Stays => Some(whole.replace('~', "~~")),
        Fate::Becomes(value) => Some(format!("{}{}", token.code(whole), value.replace('~', "~~"))),
        Fate::Goes => None,
    });
    Some(kept.collect::<Vec<_>>().join("~"))
}

fn item(text: &str) -> Value {
    let mut item = Map::new();
    let mut custom: BTreeMap<u64, (Option<String>, Option<String>)> = BTreeMap::new();
    for token in tokens(text) {
        match Token::read(&token) {
            Token::Known(key, value) => {
                let value = if NUMBERS.contains(&key) { number(value) } else { value.into() };
                item.insert(key.to_owned(), value);
            }
            Token::Key(position, key) => custom.entry(position).or_default().0 = Some(key.to_owned()),
            Token::Value(position, value) => custom.entry(position).or_default().1 = Some(value.to_owned()),
            Token::Unknown(_) => {}
        }
    }
    for (key, value) in custom.into_values() {
        if let (Some(key), Some(value)) = (key, value) {
            item.entry(key).or_insert_with(|| value.into());
        }
    }
    Value::Object(item)
}

/// A part of an item.
enum Token<'t> {
    /// A key of the protocol's, by its name in event data, and its value.
    Known(&'static str, &'t str),
    Key(u64, &'t str),
    Value(u64, &'t str),
    Unknown(&'t str),
}

impl<'t> Token<'t> {
    fn read(token: &'t str) -> Self {
        let known = token.split_at_checked(2).and_then(|(code, value)| {
            let (_, key) = KEYS.iter().find(|(own, _)| *own == code)?;
            Some(Self::Known(key, value))
        });
        let key = || numbered(token, 'k').map(|(position, key)| Self::Key(position, key));
        let value = || numbered(token, 'v').map(|(position, value)| Self::Value(position, value));
        known.or_else(key).or_else(value).unwrap_or(Self::Unknown(token))
    }

    fn custom_key(&self) -> Option<(u64, &'t str)> {
        if let Self::Key(position, key) = self { Some((*position, key)) } else { None }
    }

    /// Of a custom pair.
    fn position(&self) -> Option<u64> {
        match self {
            Self::Key(position, _) | Self::Value(position, _) => Some(*position),
            Self::Known(..) | Self::Unknown(_) => None,
        }
    }

    /// What stands before the value in the whole of it.
    fn code<'w>(&self, whole: &'w str) -> &'w str {
        let (Self::Known(_, text) | Self::Key(_, text) | Self::Value(_, text) | Self::Unknown(text)) = self;
        whole.strip_suffix(text).unwrap_or_default()
    }
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
    fn an_item_is_rewritten_by_its_values() {
        let without = |text: &str| {
            rewrite(text, |key, value| match (key, value) {
                ("email", _) | (_, "ada") => Fate::Goes,
                ("link", "/?a~") => Fate::Becomes("/~".to_owned()),
                _ => Fate::Stays,
            })
        };
        for (text, kept) in [
            ("idA~~B~k0email~v0x~pr5", "idA~~B~pr5"),
            ("v0x~nmada~k0email~k1link~v1/?a~~~xx", "k1link~v1/~~~xx"),
            ("k0a~v0b~v0ada~qt1", "qt1"),
            ("k0email~k0b~v0c~qt1", "qt1"),
            ("ada~q", "q"),
            ("ada", ""),
        ] {
            assert_eq!(without(text).as_deref(), Some(kept), "{text}");
        }
        assert_eq!(without("idA~~B~k0colour~v0red~k1~é~"), None);
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
