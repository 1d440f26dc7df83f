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

/// `P(Z <= z)` of a standard normal variable. Checked by hand: 1.959964 is 0.975.
#[must_use]
pub fn normal_cdf(z: f64) -> f64 {
    if z < 0.0 { normal_tail(-z) } else { 1.0 - normal_tail(z) }
}

/// `P(Z > z)`, to a relative error of about 1e-14 also far out. Checked by hand: 5 is 2.866516e-7.
///
/// The power series of the lower half below 2 (Abramowitz and Stegun 26.2.11), the continued fraction above (26.2.14).
#[must_use]
pub fn normal_tail(z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - normal_tail(-z);
    }
    let density = (-0.5 * z * z).exp() / (2.0 * PI).sqrt();
    if z < 2.0 {
        let (mut term, mut sum, mut odd) = (z, z, 1.0);
        while term > sum * 1e-17 {
            odd += 2.0;
            term *= z * z / odd;
            sum += term;
        }
        0.5 - density * sum
    } else {
        let fraction = (1..=200).rev().fold(z, |below, k| z + f64::from(k) / below);
        density / fraction
    }
}

/// The `z` below which a standard normal variable lies with probability `p`; infinite at 0 and 1. Checked by hand: 0.975 is 1.959964.
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    if p > 0.5 {
        return -normal_quantile(1.0 - p);
    }
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let (mut above, mut below) = (0.0, 40.0);
    for _ in 0..90 {
        let middle = f64::midpoint(above, below);
        if normal_tail(middle) > p { above = middle } else { below = middle }
    }
    -f64::midpoint(above, below)
}

/// `P(T > t)` of Student's t with `df` degrees of freedom (Abramowitz and Stegun 26.7.1). Checked by hand: 2.228139 at 10 is 0.025.
#[must_use]
pub fn student_tail(t: f64, df: f64) -> f64 {
    if t < 0.0 {
        return 1.0 - student_tail(-t, df);
    }
    if t == 0.0 {
        return 0.5;
    }
    0.5 * ln_beta_upper(t * t / (df + t * t), 0.5, 0.5 * df).exp()
}

/// The `t` below which Student's t with `df` degrees of freedom lies with probability `p`, which is within (0, 1). Checked by hand: 0.975 at 10 is 2.228139.
#[must_use]
pub fn student_quantile(p: f64, df: f64) -> f64 {
    if p < 0.5 {
        return -student_quantile(1.0 - p, df);
    }
    let (mut below, mut above) = (0.0, 2.0);
    while above < 1e300 && student_tail(above, df) > 1.0 - p {
        (below, above) = (above, above * 2.0);
    }
    for _ in 0..60 {
        let middle = f64::midpoint(below, above);
        if student_tail(middle, df) > 1.0 - p { below = middle } else { above = middle }
    }
    f64::midpoint(below, above)
}

/// `P(X <= k)` of `n` fair coins (Abramowitz and Stegun 26.5.24). Checked by hand: 2 of 10 is 56 / 1024.
#[must_use]
pub fn fair_coins_cdf(k: u64, n: u64) -> f64 {
    if k >= n { 1.0 } else { ln_beta_upper(0.5, k as f64 + 1.0, (n - k) as f64).exp() }
}

/// `P(X = k)` of `n` fair coins.
#[must_use]
pub fn fair_coins_pmf(k: u64, n: u64) -> f64 {
    if k > n {
        return 0.0;
    }
    let (k, n) = (k as f64, n as f64);
    (ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0) - n * 2_f64.ln()).exp()
}

/// Riemann's zeta, `Σ n^(-s)` for `s > 1`: twenty terms and the rest by Euler and Maclaurin (DLMF 25.2.9). Checked by hand: 2 is π²/6.
#[must_use]
pub fn zeta(s: f64) -> f64 {
    const N: f64 = 20.0;
    let terms: f64 = (1..20).map(|n| f64::from(n).powf(-s)).sum();
    let corrections = s / (12.0 * N) - s * (s + 1.0) * (s + 2.0) / (720.0 * N.powi(3))
        + s * (s + 1.0) * (s + 2.0) * (s + 3.0) * (s + 4.0) / (30_240.0 * N.powi(5));
    terms + N.powf(-s) * (N / (s - 1.0) + 0.5 + corrections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeta_by_hand() {
        assert!((zeta(2.0) - PI * PI / 6.0).abs() < 1e-12);
        assert!((zeta(4.0) - PI.powi(4) / 90.0).abs() < 1e-12);
    }

    #[test]
    fn tails_by_hand() {
        for (actual, expected) in [
            (normal_cdf(1.959963984540054), 0.975),
            (normal_tail(5.0) / 2.866515718791939e-7, 1.0),
            (normal_tail(1.9999999) / normal_tail(2.0), 1.0 + 0.5399096651318806e-8 / 2.275013194817921e-2),
            (normal_quantile(0.975), 1.959963984540054),
            (normal_quantile(0.025), -1.959963984540054),
            (student_tail(2.2281388519649385, 10.0), 0.025),
            (fair_coins_cdf(2, 10), 56.0 / 1024.0),
            (fair_coins_pmf(2, 10), 45.0 / 1024.0),
        ] {
            assert!((actual - expected).abs() < 1e-12, "{actual} instead of {expected}");
        }
    }

    #[test]
    fn students_quantiles_by_hand() {
        // Of one degree of freedom it is the tangent of an angle.
        for (p, df, expected) in
            [(0.975, 10.0, 2.2281388519649385), (0.25, 1.0, -1.0), (0.9995, 1.0, 636.619249), (0.5, 3.0, 0.0)]
        {
            let actual = student_quantile(p, df);
            assert!((actual - expected).abs() < 1e-6, "{actual} instead of {expected}");
        }
    }

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
