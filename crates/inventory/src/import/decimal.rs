//! Exact decimals, as prices are.

/// The price of a million of what costs `price` each. Exact: the point is moved, nothing is computed.
pub(super) fn millions(price: &str) -> Option<String> {
    let (mantissa, exponent) = price.trim().split_once(['e', 'E']).unwrap_or((price.trim(), "0"));
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{part}");
    let is_plain = !digits.is_empty() && digits.len() <= 60 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain || !(-60..=60).contains(&exponent) {
        return None;
    }
    let point = i32::try_from(whole.len()).ok()? + exponent + 6;
    let zeros = usize::try_from(-point).unwrap_or(0);
    let padded = format!("{}{digits}", "0".repeat(zeros));
    let point = usize::try_from(point).unwrap_or(0);
    let padded = format!("{padded}{}", "0".repeat(point.saturating_sub(padded.len())));
    let (whole, part) = padded.split_at(point);
    let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    let text = if part.is_empty() { whole.to_owned() } else { format!("{whole}.{part}") };
    is_price(&text).then_some(text)
}

/// Whether a decimal without an exponent is one that a config takes for a price: under a billion, 19 digits, 30 places.
pub(super) fn is_price(text: &str) -> bool {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let all = format!("{whole}{part}");
    let is_number = !all.is_empty() && all.bytes().all(|byte| byte.is_ascii_digit());
    let n_digits = all.trim_start_matches('0').trim_end_matches('0').len();
    is_number && whole.trim_start_matches('0').len() <= 9 && part.len() <= 30 && n_digits <= 19
}

#[cfg(test)]
mod tests {
    use super::{is_price, millions};

    #[track_caller]
    fn check(price: &str, expected: Option<&str>) {
        assert_eq!(millions(price).as_deref(), expected, "{price}");
    }

    #[test]
    fn a_price_of_one_is_a_price_of_a_million() {
        check("0.00000015", Some("0.15"));
        check("1.5e-7", Some("0.15"));
        check("0.0000050", Some("5"));
        check("3E-06", Some("3"));
        check("0", Some("0"));
        check("2", Some("2000000"));
        check("1.25e-10", Some("0.000125"));
    }

    #[test]
    fn what_is_no_price_is_none() {
        for text in
            ["", "-1", "free", "1e999", "0x1", ".", "1.2.3", "1000", "99999999999", "1.2345678901234567891e-4", "1e-37"]
        {
            check(text, None);
        }
        for (text, is_one) in
            [("0.15", true), ("999999999", true), ("1000000000", false), (".", false), ("1.2.3", false), ("5.", true)]
        {
            assert_eq!(is_price(text), is_one, "{text}");
        }
    }
}
