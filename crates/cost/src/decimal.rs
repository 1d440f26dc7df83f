//! Exact decimals. A price is what somebody wrote down, digit for digit.

use std::fmt;

/// A number that is not negative: `mantissa / 10^scale`, without trailing zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    mantissa: u64,
    scale: u8,
}

/// Most places behind the point. Data sets that went through binary fractions have prices per token with 24.
const MAX_SCALE: i32 = 30;

/// Largest number: a billion of whatever it counts.
const MAX_WHOLE: u64 = 1_000_000_000;

impl Decimal {
    /// Nothing.
    pub const ZERO: Decimal = Decimal { mantissa: 0, scale: 0 };
    /// One.
    pub const ONE: Decimal = Decimal { mantissa: 1, scale: 0 };

    /// Reads `2.50`, `0.000000150`, `1.5e-07`. `None` for anything negative, with more than 19 digits, more than 30 places or
    /// over a billion.
    #[must_use]
    pub fn parse(text: &str) -> Option<Decimal> {
        let (digits, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].strip_prefix('+').unwrap_or(&text[at + 1..]).parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, places) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && places.is_empty()) || !is_number(whole) || !is_number(places) {
            return None;
        }
        let all = format!("{whole}{places}");
        let significant = all.trim_start_matches('0').trim_end_matches('0');
        if significant.is_empty() {
            return Some(Decimal::ZERO);
        }
        let n_trailing = all.len() - all.trim_end_matches('0').len();
        let scale =
            i32::try_from(places.len()).ok()?.checked_sub(exponent)?.checked_sub(i32::try_from(n_trailing).ok()?)?;
        let mut mantissa = significant.parse::<u64>().ok()?;
        if !(-9..=MAX_SCALE).contains(&scale) {
            return None;
        }
        for _ in scale..0 {
            mantissa = mantissa.checked_mul(10)?;
        }
        let decimal = Decimal { mantissa, scale: u8::try_from(scale.max(0)).ok()? };
        (decimal <= Decimal { mantissa: MAX_WHOLE, scale: 0 }).then_some(decimal)
    }

    /// Digits and places: the number is `mantissa / 10^scale`.
    #[must_use]
    pub const fn parts(self) -> (u64, u32) {
        (self.mantissa, self.scale as u32)
    }

    /// Whether it is 0.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// This times `factor`, exactly; `None` when it has too many digits. Turns a price per token into one per million.
    #[must_use]
    pub fn times(self, factor: u64) -> Option<Decimal> {
        let (mut mantissa, mut scale) = (u128::from(self.mantissa) * u128::from(factor), self.scale);
        while scale > 0 && mantissa.is_multiple_of(10) {
            mantissa /= 10;
            scale -= 1;
        }
        Some(Decimal { mantissa: u64::try_from(mantissa).ok()?, scale })
    }

    /// This divided by a power of ten, exactly; `None` when it has too many places.
    #[must_use]
    pub fn divided(self, power_of_ten: u64) -> Option<Decimal> {
        let places = u8::try_from(power_of_ten.checked_ilog10()?).ok()?;
        let scale = self.scale.checked_add(places).filter(|scale| i32::from(*scale) <= MAX_SCALE)?;
        if self.is_zero() { Some(self) } else { Decimal { mantissa: self.mantissa, scale }.times(1) }
    }

    fn compare_as(self) -> (u128, u128) {
        let power = 10u128.pow(u32::from(self.scale));
        (
            u128::from(self.mantissa) / power,
            (u128::from(self.mantissa) % power) * 10u128.pow(30 - u32::from(self.scale)),
        )
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> std::cmp::Ordering {
        self.compare_as().cmp(&other.compare_as())
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::from(self.scale);
        let digits = format!("{:0>width$}", self.mantissa, width = scale + 1);
        let (whole, places) = digits.split_at(digits.len() - scale);
        if places.is_empty() { f.write_str(whole) } else { write!(f, "{whole}.{places}") }
    }
}

/// Integer nano-dollars as dollars, at least two places: `0.00245`, `1.50`.
#[must_use]
pub fn dollars(nanos: u64) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    let n_zeros = text.len() - text.trim_end_matches('0').len();
    text[..text.len() - n_zeros.min(7)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(Decimal::parse(text).map(|decimal| decimal.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn what_is_written_is_what_is_kept() {
        for (text, expected) in [
            ("2.50", "2.5"),
            ("0", "0"),
            ("0.000", "0"),
            ("1.5e-07", "0.00000015"),
            ("1E3", "1000"),
            ("1000000000", "1000000000"),
            ("0.049999999999999996", "0.049999999999999996"),
            (".5", "0.5"),
        ] {
            check(text, Some(expected));
        }
        for text in ["", "-1", "1,5", "1e", "NaN", "1e10", "123456789012345678901", "1e-31", "1 "] {
            check(text, None);
        }
    }

    #[test]
    fn a_price_per_token_becomes_one_per_million() {
        let per_token = Decimal::parse("1.0000000000000001e-07").unwrap();
        assert_eq!(per_token.times(1_000_000).unwrap().to_string(), "0.10000000000000001");
    }

    #[test]
    fn order_is_that_of_numbers() {
        let of = |text| Decimal::parse(text).unwrap();
        assert!(of("0.5") < of("0.51") && of("2") < of("10") && of("1e-30") > Decimal::ZERO);
    }

    #[test]
    fn nanos_are_shown_as_dollars() {
        assert_eq!([0, 2_450_000, 1_500_000_000, 1].map(dollars), ["0.00", "0.00245", "1.50", "0.000000001"]);
    }
}
