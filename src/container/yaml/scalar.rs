//! What a plain scalar means: the core schema of YAML 1.2 (section 10.3.2), which is also what is *not* a boolean.

use super::Value;

/// A scalar without quotes: null, boolean, number or text.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ if is_number(text) => Value::Number(text.into()),
        _ => Value::Text(text.into()),
    }
}

/// `12`, `-1.10`, `.5`, `1e3`, `0x1F`, `0o17`. Infinity and not-a-number stay text: neither JSON nor money knows them.
fn is_number(text: &str) -> bool {
    if let Some(hex) = text.strip_prefix("0x") {
        return !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return !octal.is_empty() && octal.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let well_formed = match unsigned(mantissa).split_once('.') {
        None => digits(unsigned(mantissa)),
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
    };
    well_formed && exponent.is_none_or(|exponent| digits(unsigned(exponent)))
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A whole number of any base; `None` if it is not whole or does not fit.
pub(super) fn whole(text: &str) -> Option<i128> {
    if let Some(hex) = text.strip_prefix("0x") {
        return i128::from_str_radix(hex, 16).ok();
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return i128::from_str_radix(octal, 8).ok();
    }
    text.parse().ok()
}

/// A finite number of any form.
pub(super) fn float(text: &str) -> Option<f64> {
    let parsed = if text.starts_with("0x") || text.starts_with("0o") {
        whole(text).map(|whole| whole as f64)
    } else {
        text.parse().ok()
    };
    parsed.filter(|number: &f64| number.is_finite())
}
