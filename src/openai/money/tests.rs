use proptest::prelude::*;
use serde_json::json;

use super::*;

fn currency(code: &str) -> Currency {
    Currency::parse(code).unwrap()
}

/// Minor units and precision of an amount.
fn read(value: &Value, code: &str) -> Result<(i64, Precision), MoneyError> {
    from_regular_units(value, currency(code)).map(|(amount, precision)| (amount.minor, precision))
}

/// Every currency that does not have two decimals, and two that others often get wrong.
const EXPONENTS: [(u16, &[&str]); 4] = [
    (
        0,
        &[
            "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF",
            "XOF", "XPF",
        ],
    ),
    (2, &["MGA", "IDR"]),
    (3, &["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"]),
    (4, &["CLF", "UYW"]),
];

#[test]
fn every_currency_has_its_iso_exponent() {
    for first in 'A'..='Z' {
        for second in 'A'..='Z' {
            for third in 'A'..='Z' {
                let code = String::from_iter([first, second, third]);
                let Ok(currency) = Currency::parse(&code) else { continue };
                let listed = EXPONENTS.iter().find(|(_, codes)| codes.contains(&code.as_str()));
                assert_eq!(currency.exponent(), listed.map_or(2, |(exponent, _)| *exponent), "{code}");
                assert_eq!(currency.code(), code);
            }
        }
    }
    for (exponent, codes) in EXPONENTS {
        for code in codes {
            assert_eq!(read(&json!(7), code), Ok((7 * 10_i64.pow(exponent.into()), Precision::Exact)), "{code}");
        }
    }
}

#[test]
fn currencies_are_trimmed_and_upper_cased() {
    for code in ["EUR", "eur", " Eur ", "eUR\n"] {
        assert_eq!(Currency::parse(code).map(Currency::code), Ok("EUR"), "{code:?}");
    }
    for code in ["", "EU", "EURO", "E R", "€", "ÉUR", "ß!", "AAA", "978"] {
        assert_eq!(Currency::parse(code), Err(MoneyError::UnknownCurrency), "{code:?}");
    }
    for code in ["XAU", "XDR", "XXX", "XTS"] {
        assert_eq!(Currency::parse(code), Err(MoneyError::NoMinorUnit), "{code}");
    }
}

#[test]
fn amounts_that_are_exact() {
    for (value, code, expected) in [
        (json!(129.99), "USD", 12999),
        (json!("129.99"), "USD", 12999),
        (json!(" 129.99\t"), "USD", 12999),
        (json!("+129.99"), "USD", 12999),
        (json!(1000), "JPY", 1000),
        (json!("1000.00"), "JPY", 1000),
        (json!(1000.0), "JPY", 1000),
        (json!("1.234"), "KWD", 1234),
        (json!(0.1), "KWD", 100),
        (json!("1.2345"), "CLF", 12345),
        (json!(12), "MGA", 1200),
        (json!(50000), "IDR", 5_000_000),
        (json!(0), "EUR", 0),
        (json!(-0.0), "EUR", 0),
        (json!("-0.00"), "EUR", 0),
        (json!("0e999999999999999999999"), "EUR", 0),
        (json!("000012.50"), "EUR", 1250),
        (json!(".5"), "EUR", 50),
        (json!("1.5e2"), "EUR", 15000),
        (json!("15E+1"), "EUR", 15000),
        (json!("1999e-2"), "EUR", 1999),
        (json!(1e3), "EUR", 100_000),
        (json!(1.5e-1), "EUR", 15),
        (json!(1e16), "EUR", 1_000_000_000_000_000_000),
        (json!("49,99"), "EUR", 4999),
        (json!("49,9"), "EUR", 4990),
        (json!("0,5"), "EUR", 50),
        (json!("1,234.56"), "USD", 123_456),
        (json!("1.234,56"), "EUR", 123_456),
        (json!("1,234,567"), "USD", 123_456_700),
        (json!("1.234.567"), "EUR", 123_456_700),
        (json!("12,345,678.9"), "USD", 1_234_567_890),
        (json!("1.234.567,8"), "EUR", 123_456_780),
        (json!("1,234.000"), "USD", 123_400),
        (json!("92233720368547758.07"), "EUR", i64::MAX),
        (json!(i64::MAX), "JPY", i64::MAX),
    ] {
        assert_eq!(read(&value, code), Ok((expected, Precision::Exact)), "{value} {code}");
    }
}

#[test]
fn more_decimals_than_the_currency_has_are_rounded_half_away_from_zero() {
    for (value, code, expected) in [
        (json!("33.333"), "EUR", 3333),
        (json!("33.335"), "EUR", 3334),
        (json!(1.005), "EUR", 101),
        (json!("129.90000000000001"), "EUR", 12990),
        (json!("0.30000000000000004"), "EUR", 30),
        (json!(0.1 + 0.2), "EUR", 30),
        (json!("0.005"), "EUR", 1),
        (json!("0.00499999999999999999999999999"), "EUR", 0),
        (json!("9.995"), "EUR", 1000),
        (json!("0.5"), "JPY", 1),
        (json!("1234.49"), "JPY", 1234),
        (json!("1,234.567"), "USD", 123_457),
        (json!("1e-5"), "EUR", 0),
        (json!("9e-3"), "EUR", 1),
        (json!("9e-4"), "EUR", 0),
        (json!("1e-999999999999"), "EUR", 0),
        (json!("92233720368547758.069"), "EUR", i64::MAX),
    ] {
        assert_eq!(read(&value, code), Ok((expected, Precision::Rounded)), "{value} {code}");
    }
}

#[test]
fn texts_that_are_no_amounts() {
    use MoneyError::*;
    for (text, expected) in [
        ("", Empty),
        ("  ", Empty),
        ("1,234", AmbiguousComma),
        ("0,500", AmbiguousComma),
        ("-1,234", AmbiguousComma),
        ("-5", Negative),
        ("-0.001", Negative),
        ("-1e-9", Negative),
        ("€5", NotANumber),
        ("5 EUR", NotANumber),
        ("$129.99", NotANumber),
        ("1 234,56", NotANumber),
        ("1'234.56", NotANumber),
        ("1_234", NotANumber),
        ("- 5", NotANumber),
        ("--5", NotANumber),
        ("+-5", NotANumber),
        ("-", NotANumber),
        ("−5", NotANumber),
        ("٣", NotANumber),
        ("0x10", NotANumber),
        ("NaN", NotANumber),
        ("Infinity", NotANumber),
        ("free", NotANumber),
        (".", NotANumber),
        (",", NotANumber),
        ("12.", NotANumber),
        ("12,", NotANumber),
        (",50", NotANumber),
        ("1,2345", NotANumber),
        ("12,34,567.89", NotANumber),
        ("1234,567.89", NotANumber),
        ("0,123.45", NotANumber),
        ("1,23.45", NotANumber),
        (",123.45", NotANumber),
        ("1,234.", NotANumber),
        ("1.234,567.89", NotANumber),
        ("1,234.567,89", NotANumber),
        ("1,234.567.890", NotANumber),
        ("1..5", NotANumber),
        ("1.5.5", NotANumber),
        ("1,,234", NotANumber),
        ("1e", NotANumber),
        ("e5", NotANumber),
        ("1e5.0", NotANumber),
        ("1e+-5", NotANumber),
        ("1e5e5", NotANumber),
        ("49,9e1", NotANumber),
        ("1.234.567e2", NotANumber),
        ("92233720368547758.08", TooLarge),
        ("92233720368547758.075", TooLarge),
        ("99999999999999999999999999", TooLarge),
        ("1e400", TooLarge),
        ("1e99999999999999999999999", TooLarge),
    ] {
        assert_eq!(read(&json!(text), "EUR"), Err(expected), "{text:?}");
    }
    for value in [json!(true), json!([5]), json!({"value": 5}), json!(null)] {
        assert_eq!(read(&value, "EUR"), Err(NotTextOrNumber), "{value}");
    }
    assert_eq!(read(&json!(-5), "EUR"), Err(Negative));
    assert_eq!(read(&json!(-0.01), "EUR"), Err(Negative));
    assert_eq!(read(&json!(u64::MAX), "EUR"), Err(TooLarge));
    assert_eq!(read(&json!(1e300), "EUR"), Err(TooLarge));
}

#[test]
fn minor_units_are_whole_numbers() {
    for (value, expected) in
        [(json!(12999), 12999), (json!("12999"), 12999), (json!(" 0 "), 0), (json!(12999.0), 12999)]
    {
        assert_eq!(from_minor_units(&value), Ok(expected), "{value}");
    }
    for (value, expected) in [
        (json!("129.00"), MoneyError::NotMinorUnits),
        (json!("1e3"), MoneyError::NotMinorUnits),
        (json!("1,234,567"), MoneyError::NotMinorUnits),
        (json!(129.5), MoneyError::NotMinorUnits),
        (json!(-1), MoneyError::Negative),
        (json!("12999 USD"), MoneyError::NotANumber),
        (json!(""), MoneyError::Empty),
        (json!(u64::MAX), MoneyError::TooLarge),
        (json!(false), MoneyError::NotTextOrNumber),
    ] {
        assert_eq!(from_minor_units(&value), Err(expected), "{value}");
    }
}

/// Rounds by school arithmetic on the digits: cut the fraction, and add one in the last place if need be.
fn by_hand(whole: &str, fraction: &str, exponent: usize) -> (String, Precision) {
    let (kept, cut) = fraction.split_at(exponent.min(fraction.len()));
    let padding = "0".repeat(exponent - kept.len());
    let mut digits: Vec<u8> = format!("0{whole}{kept}{padding}").into_bytes();
    if cut.bytes().next().is_some_and(|digit| digit >= b'5') {
        for digit in digits.iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                break;
            }
            *digit = b'0';
        }
    }
    let text = String::from_utf8(digits).unwrap();
    let precision = if cut.bytes().all(|digit| digit == b'0') { Precision::Exact } else { Precision::Rounded };
    (text, precision)
}

fn any_exponent() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("JPY"), Just("EUR"), Just("KWD"), Just("CLF")]
}

proptest! {
    #[test]
    fn agrees_with_arithmetic_on_the_digits(whole in "[0-9]{1,14}", fraction in "[0-9]{1,30}", code in any_exponent()) {
        let (expected, precision) = by_hand(&whole, &fraction, currency(code).exponent().into());
        let expected = (expected.parse().unwrap(), precision);
        prop_assert_eq!(read(&json!(format!("{whole}.{fraction}")), code), Ok(expected));
        let shifted = format!("{whole}{fraction}e-{}", fraction.len());
        prop_assert_eq!(read(&json!(shifted), code), Ok(expected));
    }

    #[test]
    fn whole_minor_units_come_back(minor in 0..=i64::MAX, code in any_exponent()) {
        let exponent = usize::from(currency(code).exponent());
        let digits = format!("{minor:0>width$}", width = exponent + 1);
        let (whole, fraction) = digits.split_at(digits.len() - exponent);
        let text = if exponent == 0 { whole.to_owned() } else { format!("{whole}.{fraction}") };
        prop_assert_eq!(read(&json!(text), code), Ok((minor, Precision::Exact)));
        prop_assert_eq!(from_minor_units(&json!(minor)), Ok(minor));
    }

    #[test]
    fn a_json_number_of_cents_is_exact(cents in 0..10_000_000_000_i64) {
        let number: Value = serde_json::from_str(&format!("{}.{:02}", cents / 100, cents % 100)).unwrap();
        prop_assert_eq!(read(&number, "EUR"), Ok((cents, Precision::Exact)));
    }

    #[test]
    fn never_panics(text in "[0-9.,eE+ -]{0,12}|.*", float: f64, code in any_exponent()) {
        let _ = read(&json!(text), code);
        let _ = read(&json!(float), code);
        let _ = from_minor_units(&json!(text));
        let _ = Currency::parse(&text);
    }
}
