//! The few special functions the tests need.

use std::f64::consts::PI;

/// `ln Gamma(x)` for `x > 0`: the recurrence up to 10, then Stirling's series (Abramowitz and Stegun 6.1.40), relative error
/// below 1e-14. Checked by hand: `ln Gamma(5) = ln 24 = 3.178054`.
#[must_use]
pub fn ln_gamma(x: f64) -> f64 {
    let mut x = x;
    let mut shift = 0.0;
    while x < 10.0 {
        shift -= x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = inverse
        * (1.0 / 12.0
            + square
                * (-1.0 / 360.0
                    + square
                        * (1.0 / 1260.0
                            + square * (-1.0 / 1680.0 + square * (1.0 / 1188.0 - square * 691.0 / 360_360.0)))));
    shift + (x - 0.5) * x.ln() - x + 0.5 * (2.0 * PI).ln() + series
}

/// `ln B(a, b)` for positive `a`, `b`.
#[must_use]
pub fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// `ln(1 - I_x(a, b))`, the log upper tail of a Beta(a, b), for x within (0, 1).
#[must_use]
pub fn ln_beta_upper(x: f64, a: f64, b: f64) -> f64 {
    let log_front = a * x.ln() + b * (-x).ln_1p() - ln_beta(a, b);
    if x < (a + 1.0) / (a + b + 2.0) {
        let lower = (log_front + (continued_fraction(x, a, b) / a).ln()).exp();
        (-lower).ln_1p()
    } else {
        log_front + (continued_fraction(1.0 - x, b, a) / b).ln()
    }
}

/// The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method.
fn continued_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let keep_off_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / keep_off_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for step in 1..10_000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / keep_off_zero(1.0 + even * d);
        c = keep_off_zero(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / keep_off_zero(1.0 + odd * d);
        c = keep_off_zero(1.0 + odd / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_gamma_of_small_and_large_numbers() {
        assert!((ln_gamma(5.0) - 24_f64.ln()).abs() < 1e-13);
        assert!((ln_gamma(0.5) - PI.sqrt().ln()).abs() < 1e-13);
        assert!((ln_gamma(1e6) / 12_815_504.569_147_611 - 1.0).abs() < 1e-14);
    }

    #[test]
    fn upper_tail_of_a_uniform_and_of_a_power() {
        assert!((ln_beta_upper(0.3, 1.0, 1.0) - 0.7_f64.ln()).abs() < 1e-14);
        assert!((ln_beta_upper(0.9, 81.0, 1.0) - (1.0 - 0.9_f64.powi(81)).ln()).abs() < 1e-14);
    }
}
