//! Money: takes an amount as a page wrote it and a currency code, gives whole minor units (12999 for 129.99 USD). Works
//! on the decimal text throughout: no amount ever passes through floating-point arithmetic.
//!
//! What counts as an amount, with digits only, an optional sign in front and spaces around it:
//!
//! | text | read as |
//! |---|---|
//! | `1234`, `1234.5`, `.5`, `1.5e2` | what they say: a single point is always the decimal sign |
//! | `49,99`, `49,9` | 49.99 and 49.9: one comma before one or two digits is the decimal sign |
//! | `1,234.56`, `1.234,56`, `1,234,567`, `1.234.567` | one sign groups by threes; the other one, once, is the decimal sign |
//! | `1,234` | an error: 1234 in one country, 1.234 in another |
//!
//! All else is an error: negative amounts (the API documents none), currency signs, spaces or apostrophes between digits,
//! other groupings. A wrong guess would report a wrong order, and reading such text as 0 would report an order of nothing.

use std::{borrow::Cow, fmt};

use serde_json::Value;

/// A currency of ISO 4217 that has a minor unit. `XAU`, `XDR` or `XXX` have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency {
    code: iso_currency::Currency,
    exponent: u16,
}

impl Currency {
    /// The currency of an ISO 4217 code, in either case, with or without spaces around it.
    ///
    /// # Errors
    /// [`MoneyError::UnknownCurrency`] or [`MoneyError::NoMinorUnit`].
    pub fn parse(code: &str) -> Result<Self, MoneyError> {
        let mut upper = [0; 3];
        let code = code.trim().as_bytes();
        if code.len() != upper.len() {
            return Err(MoneyError::UnknownCurrency);
        }
        upper.copy_from_slice(code);
        upper.make_ascii_uppercase();
        let known = std::str::from_utf8(&upper).ok().and_then(iso_currency::Currency::from_code);
        let code = known.ok_or(MoneyError::UnknownCurrency)?;
        let exponent = code.exponent().ok_or(MoneyError::NoMinorUnit)?;
        Ok(Self { code, exponent })
    }

    /// The three upper-case letters.
    pub fn code(self) -> &'static str {
        self.code.code()
    }

    /// How many decimals an amount has: 2 for EUR, 0 for JPY, 3 for KWD.
    pub fn exponent(self) -> u16 {
        self.exponent
    }
}

/// An amount and its currency, which the API takes only together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// In the currency's minor unit; never negative.
    pub minor: i64,
    pub currency: Currency,
}

/// Whether an amount had more decimals than its currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    Exact,
    /// Digits other than 0 were cut off, rounding half away from zero.
    Rounded,
}

/// Why a value is not an amount of money. Names its form, never the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyError {
    Empty,
    NotTextOrNumber,
    NotANumber,
    AmbiguousComma,
    Negative,
    TooLarge,
    NotMinorUnits,
    UnknownCurrency,
    NoMinorUnit,
}

impl fmt::Display for MoneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an empty text is not an amount",
            Self::NotTextOrNumber => "an amount must be a number or text",
            Self::NotANumber => "not an amount: write digits with a decimal point, without currency signs or spaces",
            Self::AmbiguousComma => {
                "one comma before three digits may group or be a decimal sign: write a decimal point"
            }
            Self::Negative => "a negative amount: OpenAI documents none",
            Self::TooLarge => "an amount larger than any order",
            Self::NotMinorUnits => "an amount in minor units must be a whole number",
            Self::UnknownCurrency => "not a currency code of ISO 4217",
            Self::NoMinorUnit => "a currency code without a minor unit",
        })
    }
}

impl std::error::Error for MoneyError {}

/// An amount in regular units (129.99), as a JSON number or as text, in the currency's minor units.
///
/// # Errors
/// The value is no amount by the rules of this module, is negative or does not fit.
pub fn from_regular_units(value: &Value, currency: Currency) -> Result<(Amount, Precision), MoneyError> {
    if let Some(whole) = value.as_u64() {
        let minor = whole.checked_mul(10_u64.pow(currency.exponent.into())).and_then(|minor| minor.try_into().ok());
        return Ok((Amount { minor: minor.ok_or(MoneyError::TooLarge)?, currency }, Precision::Exact));
    }
    let (minor, precision) = Decimal::scan(&amount_text(value)?)?.to_minor_units(currency.exponent)?;
    Ok((Amount { minor, currency }, precision))
}

/// An amount that is already in minor units (12999): a whole JSON number, or text of digits alone.
///
/// # Errors
/// The value is not a whole number, is negative or does not fit. `129.00` as text is refused too: whoever writes
/// decimals means regular units.
pub fn from_minor_units(value: &Value) -> Result<i64, MoneyError> {
    let text = amount_text(value)?;
    let decimal = Decimal::scan(&text)?;
    if value.is_string() && !decimal.is_plain_integer() {
        return Err(MoneyError::NotMinorUnits);
    }
    match decimal.to_minor_units(0)? {
        (minor, Precision::Exact) => Ok(minor),
        (_, Precision::Rounded) => Err(MoneyError::NotMinorUnits),
    }
}

/// The text of an amount: of a number the shortest one that reads back as the same number.
fn amount_text(value: &Value) -> Result<Cow<'_, str>, MoneyError> {
    match value {
        Value::String(text) => Ok(Cow::Borrowed(text)),
        Value::Number(number) => Ok(Cow::Owned(number.to_string())),
        _ => Err(MoneyError::NotTextOrNumber),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Positive,
    Negative,
}

/// An amount's text, taken apart: the digits of `mantissa` as one whole number, times ten to the power of `scale`.
struct Decimal<'a> {
    sign: Sign,
    /// Digits, and separators to be skipped.
    mantissa: &'a str,
    scale: i64,
}

impl<'a> Decimal<'a> {
    fn scan(text: &'a str) -> Result<Self, MoneyError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(MoneyError::Empty);
        }
        let (sign, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (Sign::Negative, rest),
            None => (Sign::Positive, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, _)) if is_formatted(mantissa) => return Err(MoneyError::NotANumber),
            Some((mantissa, exponent)) => (mantissa, power_of_ten(exponent)?),
            None => (unsigned, 0),
        };
        let fraction_digits = i64::try_from(count_fraction_digits(mantissa)?).map_err(|_| MoneyError::TooLarge)?;
        Ok(Self { sign, mantissa, scale: exponent - fraction_digits })
    }

    /// Whether the text was digits and nothing else, so that nothing about it was interpreted.
    fn is_plain_integer(&self) -> bool {
        self.scale == 0 && self.mantissa.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// The amount times ten to the power of `exponent`, as a whole number.
    fn to_minor_units(&self, exponent: u16) -> Result<(i64, Precision), MoneyError> {
        let digits = || self.mantissa.bytes().filter(u8::is_ascii_digit).map(|byte| u64::from(byte - b'0'));
        let digit_count = i64::try_from(digits().count()).map_err(|_| MoneyError::TooLarge)?;
        // How many of the digits make up the whole number; beyond the last digit, zeros follow.
        let kept = digit_count + self.scale + i64::from(exponent);

        let mut units: u64 = 0;
        let mut round_up = 0;
        let mut precision = Precision::Exact;
        for (index, digit) in (0..).zip(digits()) {
            if index < kept {
                units = shift_in(units, digit)?;
                continue;
            }
            if index == kept && digit >= 5 {
                round_up = 1;
            }
            if digit != 0 {
                precision = Precision::Rounded;
            }
        }
        if self.sign == Sign::Negative && (units > 0 || precision == Precision::Rounded) {
            return Err(MoneyError::Negative);
        }
        // Ends after twenty steps at most: zero stays zero, and all else grows too large.
        for _ in digit_count..kept {
            if units == 0 {
                break;
            }
            units = shift_in(units, 0)?;
        }
        let units = i64::try_from(units + round_up).map_err(|_| MoneyError::TooLarge)?;
        Ok((units, precision))
    }
}

/// Appends a digit. Stays below half of what `u64` holds, so that rounding up cannot overflow.
fn shift_in(units: u64, digit: u64) -> Result<u64, MoneyError> {
    let shifted = units.checked_mul(10).and_then(|tens| tens.checked_add(digit));
    shifted.filter(|&units| units <= i64::MAX as u64).ok_or(MoneyError::TooLarge)
}

/// The `2` of `1.5e2`. Powers that no amount has are cut off where they decide nothing any more.
fn power_of_ten(text: &str) -> Result<i64, MoneyError> {
    const LIMIT: i64 = 1_000_000_000;
    let (sign, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(MoneyError::NotANumber);
    }
    Ok(sign * digits.iter().fold(0, |power, digit| (power * 10 + i64::from(digit - b'0')).min(LIMIT)))
}

/// Whether a mantissa is written for people, which a power of ten is not.
fn is_formatted(mantissa: &str) -> bool {
    mantissa.contains(',') || mantissa.matches('.').count() > 1
}

/// How many digits stand after the decimal sign of an unsigned amount, by the table at the top of this file.
fn count_fraction_digits(mantissa: &str) -> Result<usize, MoneyError> {
    let (mut points, mut commas) = (0, 0);
    for byte in mantissa.bytes() {
        match byte {
            b'0'..=b'9' => {}
            b'.' => points += 1,
            b',' => commas += 1,
            _ => return Err(MoneyError::NotANumber),
        }
    }
    let decimal_sign = match (points, commas) {
        (0, 0) if mantissa.is_empty() => return Err(MoneyError::NotANumber),
        (0, 0) => return Ok(0),
        (1, 0) => '.',
        (0, 1) => return after_single_comma(mantissa),
        (0, _) => return check_groups(mantissa, ',').map(|()| 0),
        (_, 0) => return check_groups(mantissa, '.').map(|()| 0),
        (1, _) if mantissa.rfind('.') > mantissa.rfind(',') => '.',
        (_, 1) if mantissa.rfind(',') > mantissa.rfind('.') => ',',
        _ => return Err(MoneyError::NotANumber),
    };
    let (whole, fraction) = mantissa.split_once(decimal_sign).ok_or(MoneyError::NotANumber)?;
    if fraction.is_empty() {
        return Err(MoneyError::NotANumber);
    }
    if points + commas > 1 {
        check_groups(whole, if decimal_sign == '.' { ',' } else { '.' })?;
    }
    Ok(fraction.len())
}

fn after_single_comma(mantissa: &str) -> Result<usize, MoneyError> {
    match mantissa.split_once(',') {
        Some((whole, fraction)) if !whole.is_empty() => match fraction.len() {
            digits @ 1..=2 => Ok(digits),
            3 => Err(MoneyError::AmbiguousComma),
            _ => Err(MoneyError::NotANumber),
        },
        _ => Err(MoneyError::NotANumber),
    }
}

/// Whether the whole part is grouped by threes, as in `1,234,567`; a first group cannot begin with 0.
fn check_groups(whole: &str, separator: char) -> Result<(), MoneyError> {
    let mut groups = whole.split(separator);
    let first = groups.next().unwrap_or_default();
    let first_fits = (1..=3).contains(&first.len()) && !first.starts_with('0');
    if first_fits && groups.all(|group| group.len() == 3) { Ok(()) } else { Err(MoneyError::NotANumber) }
}

#[cfg(test)]
mod tests;
