//! Exact fractions. A worksheet is computed with these and rounded once, where a figure is shown; a chain of sums and quotients in binary
//! fractions would round at each.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Mul, Neg, Sub};

use super::natural::Natural;

/// A fraction in lowest terms, of any size and either sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exact {
    negative: bool,
    numerator: Natural,
    denominator: Natural,
}

/// Most places behind the point, and before it, that are read.
const MOST_PLACES: i32 = 30;

impl Exact {
    /// A whole number.
    #[must_use]
    pub fn of(value: u64) -> Exact {
        Exact { negative: false, numerator: Natural::of(value), denominator: Natural::of(1) }
    }

    /// Reads `-0.03`, `1_200_000`, `2.5e-6`; `None` for anything else, and for more than 30 places either side of the point.
    #[must_use]
    pub fn parse(text: &str) -> Option<Exact> {
        let text = text.replace('_', "");
        let (negative, text) = text.strip_prefix('-').map_or((false, text.as_str()), |rest| (true, rest));
        let (digits, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].strip_prefix('+').unwrap_or(&text[at + 1..]).parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, places) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let n_places = i32::try_from(places.len()).ok()?.checked_sub(exponent)?;
        let in_range = whole.len() <= 30 && (-MOST_PLACES..=MOST_PLACES).contains(&n_places);
        if (whole.is_empty() && places.is_empty()) || !is_number(whole) || !is_number(places) || !in_range {
            return None;
        }
        let ten = Natural::of(10);
        let read = |number: Natural, digit: u8| number.times(&ten).plus(&Natural::of(u64::from(digit - b'0')));
        let mantissa = whole.bytes().chain(places.bytes()).fold(Natural::of(0), read);
        let power = Natural::power_of_ten(n_places.unsigned_abs());
        Some(if n_places > 0 {
            Exact::lowest(negative, mantissa, power)
        } else {
            Exact::lowest(negative, mantissa.times(&power), Natural::of(1))
        })
    }

    /// `denominator` is not 0.
    fn lowest(negative: bool, numerator: Natural, denominator: Natural) -> Exact {
        let divisor = numerator.greatest_common_divisor(&denominator);
        let (numerator, denominator) = (numerator.divided(&divisor).0, denominator.divided(&divisor).0);
        Exact { negative: negative && !numerator.is_zero(), numerator, denominator }
    }

    /// Whether it is 0.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.numerator.is_zero()
    }

    /// Whether it is below 0.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// This over `other`; `None` where that is 0.
    #[must_use]
    pub fn over(&self, other: &Exact) -> Option<Exact> {
        (!other.is_zero()).then(|| {
            let numerator = self.numerator.times(&other.denominator);
            Exact::lowest(self.negative != other.negative, numerator, self.denominator.times(&other.numerator))
        })
    }

    /// This to a whole power.
    #[must_use]
    pub fn power(&self, exponent: u32) -> Exact {
        (0..exponent).fold(Exact::of(1), |power, _| &power * self)
    }

    /// The smallest whole number that is not below.
    #[must_use]
    pub fn ceiling(&self) -> Exact {
        let (whole, rest) = self.numerator.divided(&self.denominator);
        let up = !rest.is_zero() && !self.negative;
        let numerator = if up { whole.plus(&Natural::of(1)) } else { whole };
        Exact::lowest(self.negative, numerator, Natural::of(1))
    }

    /// As a double: at most two units in the last place off.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        let (up, down) = (self.numerator.bits(), self.denominator.bits());
        // A quotient of 64 bits or a few more, and the power of two it lacks.
        let shift = (down + 64).saturating_sub(up);
        let (quotient, _) = self.numerator.shifted_up(shift).divided(&self.denominator);
        let size = quotient.to_f64() * 2_f64.powi(-i32::try_from(shift).unwrap_or(i32::MAX));
        if self.negative { -size } else { size }
    }

    /// Rounded to so many places, half away from 0; without zeros at the end beyond `least` places.
    #[must_use]
    pub fn rounded(&self, places: u32, least: usize) -> String {
        let doubled =
            self.numerator.times(&Natural::power_of_ten(places)).times(&Natural::of(2)).plus(&self.denominator);
        let (units, _) = doubled.divided(&self.denominator.times(&Natural::of(2)));
        let places = places as usize;
        let digits = format!("{:0>width$}", units.digits(), width = places + 1);
        let (whole, behind) = digits.split_at(digits.len() - places);
        let kept = behind.trim_end_matches('0').len().max(least.min(places));
        let sign = if self.negative && !units.is_zero() { "-" } else { "" };
        if kept == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{}", &behind[..kept]) }
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rounded(12, 0))
    }
}

impl Neg for &Exact {
    type Output = Exact;
    fn neg(self) -> Exact {
        Exact { negative: !self.negative && !self.is_zero(), ..self.clone() }
    }
}

impl Add for &Exact {
    type Output = Exact;
    fn add(self, other: &Exact) -> Exact {
        let (one, two) = (self.numerator.times(&other.denominator), other.numerator.times(&self.denominator));
        let denominator = self.denominator.times(&other.denominator);
        let (negative, numerator) = match (self.negative == other.negative, one.cmp(&two)) {
            (true, _) => (self.negative, one.plus(&two)),
            (false, Ordering::Less) => (other.negative, two.minus(&one)),
            (false, _) => (self.negative, one.minus(&two)),
        };
        Exact::lowest(negative, numerator, denominator)
    }
}

impl Sub for &Exact {
    type Output = Exact;
    fn sub(self, other: &Exact) -> Exact {
        self + &-other
    }
}

impl Mul for &Exact {
    type Output = Exact;
    fn mul(self, other: &Exact) -> Exact {
        let numerator = self.numerator.times(&other.numerator);
        Exact::lowest(self.negative != other.negative, numerator, self.denominator.times(&other.denominator))
    }
}

impl PartialOrd for Exact {
    fn partial_cmp(&self, other: &Exact) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Exact {
    fn cmp(&self, other: &Exact) -> Ordering {
        let difference = self - other;
        match (difference.is_zero(), difference.negative) {
            (true, _) => Ordering::Equal,
            (false, true) => Ordering::Less,
            (false, false) => Ordering::Greater,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Exact {
        Exact::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn what_is_written_is_what_is_kept() {
        for (text, shown) in
            [("1_200_000", "1200000"), ("-0.030", "-0.03"), ("2.5e-6", "0.0000025"), ("1e3", "1000"), (".5", "0.5")]
        {
            assert_eq!(of(text).to_string(), shown);
        }
        for text in ["", "-", "1,5", "0x1", "NaN", "1e99", "1 ", "--1"] {
            assert_eq!(Exact::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_figure_is_rounded_once_half_away_from_nothing() {
        let third = of("1").over(&of("3")).unwrap();
        assert_eq!((&(&third + &third) + &third).to_string(), "1");
        assert_eq!(third.rounded(4, 2), "0.3333");
        assert_eq!(of("2.5").rounded(0, 0), "3");
        assert_eq!(of("-2.5").rounded(0, 0), "-3");
        assert_eq!(of("150596.7").rounded(9, 2), "150596.70");
        assert_eq!(of("-0.0004").rounded(2, 2), "0.00");
    }

    #[test]
    fn powers_of_interest_stay_exact() {
        let monthly = of("0.1").over(&of("12")).unwrap();
        let factor = (&of("1") + &monthly).power(36);
        assert_eq!(factor.rounded(12, 0), "1.348181842419");
        assert_eq!(of("2.1").ceiling(), of("3"));
        assert_eq!(of("-2.1").ceiling(), of("-2"));
        assert_eq!(of("2").ceiling(), of("2"));
    }

    proptest! {
        #[test]
        fn doubles_agree(a in any::<i64>(), b in 1_u32..) {
            let exact = of(&a.to_string()).over(&of(&b.to_string())).unwrap();
            let near = a as f64 / f64::from(b);
            prop_assert!((exact.to_f64() - near).abs() <= near.abs() * 4e-16, "{} {near}", exact.to_f64());
        }
    }
}
