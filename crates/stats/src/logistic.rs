//! Logistic regression on one variable, for what a preference would be were two answers equally long.
//!
//! Of points `(x, y)` with `y` from 0 to 1 (a tie is one half) it maximises
//! `Σ y ln p + (1 - y) ln(1 - p) - penalty · slope² / 2` with `p = 1 / (1 + exp(-(intercept + slope · x)))`, by Newton's method with halved steps. The
//! penalty is on the slope alone: scikit-learn's `LogisticRegression(C=1/penalty)`. Without one, a variable that tells all outcomes apart has no finite slope.

use crate::eprocess::count;

/// The fitted line of log odds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogOdds {
    /// At `x = 0`.
    pub intercept: f64,
    /// For each unit of `x`.
    pub slope: f64,
}

impl LogOdds {
    /// The probability at `x`.
    #[must_use]
    pub fn at(self, x: f64) -> f64 {
        1.0 / (1.0 + (-(self.intercept + self.slope * x)).exp())
    }
}

/// Fits the line. `penalty` above 0.
///
/// `None` where no finite line fits best: no points, or outcomes that are all 0 or all 1.
#[must_use]
pub fn fit(points: &[(f64, f64)], penalty: f64) -> Option<LogOdds> {
    let mean = points.iter().map(|(_, y)| y).sum::<f64>() / count(points.len() as u64);
    if !(mean > 0.0 && mean < 1.0) {
        return None;
    }
    let mut line = LogOdds { intercept: (mean / (1.0 - mean)).ln(), slope: 0.0 };
    let mut value = objective(points, penalty, line);
    for _ in 0..200 {
        let step = newton(points, penalty, line)?;
        let mut part = 1.0;
        loop {
            let next = LogOdds { intercept: line.intercept + part * step.0, slope: line.slope + part * step.1 };
            let next_value = objective(points, penalty, next);
            if next_value >= value {
                (line, value) = (next, next_value);
                break;
            }
            part *= 0.5;
            if part < 1e-12 {
                return Some(line);
            }
        }
        if step.0.abs().max(step.1.abs()) < 1e-11 {
            break;
        }
    }
    Some(line)
}

fn objective(points: &[(f64, f64)], penalty: f64, line: LogOdds) -> f64 {
    // y z - ln(1 + e^z), without an overflow.
    let of_point = |(x, y): &(f64, f64)| {
        let odds = line.intercept + line.slope * x;
        y * odds - odds.max(0.0) - (-odds.abs()).exp().ln_1p()
    };
    points.iter().map(of_point).sum::<f64>() - 0.5 * penalty * line.slope * line.slope
}

/// The step to the top of the parabola at this line.
fn newton(points: &[(f64, f64)], penalty: f64, line: LogOdds) -> Option<(f64, f64)> {
    let (mut up, mut up_x, mut curve, mut curve_x, mut curve_xx) = (0.0, -penalty * line.slope, 0.0, 0.0, penalty);
    for (x, y) in points {
        let p = line.at(*x);
        let weight = p * (1.0 - p);
        up += y - p;
        up_x += (y - p) * x;
        curve += weight;
        curve_x += weight * x;
        curve_xx += weight * x * x;
    }
    let determinant = curve * curve_xx - curve_x * curve_x;
    let step = ((curve_xx * up - curve_x * up_x) / determinant, (curve * up_x - curve_x * up) / determinant);
    (step.0.is_finite() && step.1.is_finite()).then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(points: &[(f64, f64)], penalty: f64, intercept: f64, slope: f64) {
        let line = fit(points, penalty).unwrap();
        assert!((line.intercept - intercept).abs() < 1e-6 && (line.slope - slope).abs() < 1e-6, "{line:?}");
    }

    #[test]
    fn without_a_slope_to_find_it_is_the_odds_of_the_mean() {
        // Three of four at x = 0: ln 3.
        check(&[(0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (0.0, 0.0)], 1.0, 3.0_f64.ln(), 0.0);
    }

    #[test]
    fn two_groups_have_the_odds_of_each_where_the_penalty_is_nearly_nothing() {
        // 1 of 4 at -1 and 3 of 4 at 1: log odds ∓ ln 3, so 0 and ln 3.
        let group = |x: f64, right: usize| (0..4).map(move |idx| (x, f64::from(u8::from(idx < right))));
        let points: Vec<(f64, f64)> = group(-1.0, 1).chain(group(1.0, 3)).collect();
        check(&points, 1e-12, 0.0, 3.0_f64.ln());
    }

    #[test]
    fn wins_losses_and_ties_fit_as_scikit_learn_fits_them() {
        // LogisticRegression(C=1) of scikit-learn 1.7 on each tie as half a win and half a loss.
        let differences: Vec<i32> = (0..40).map(|idx| (idx * 37) % 101 - 50).collect();
        let mean = f64::from(differences.iter().sum::<i32>()) / 40.0;
        let deviation = (differences.iter().map(|d| (f64::from(*d) - mean).powi(2)).sum::<f64>() / 40.0).sqrt();
        let points: Vec<(f64, f64)> = (0..40)
            .zip(&differences)
            .map(|(idx, d)| {
                let y = f64::from((idx * idx + idx / 3 + i32::from(*d > 0)) % 3) / 2.0;
                ((f64::from(*d) / deviation).tanh(), y)
            })
            .collect();
        check(&points, 1.0, 0.304_850_654_7, 0.185_737_264_1);
    }

    #[test]
    fn what_tells_all_apart_still_has_a_line_and_what_never_differs_has_none() {
        let points: Vec<(f64, f64)> = (0..40).map(|idx| if idx % 2 == 0 { (-1.0, 0.0) } else { (1.0, 1.0) }).collect();
        let line = fit(&points, 1.0).unwrap();
        assert!(line.intercept.abs() < 1e-9 && line.slope > 2.0 && line.slope.is_finite(), "{line:?}");
        assert_eq!(fit(&[(0.5, 1.0), (0.2, 1.0)], 1.0), None);
        assert_eq!(fit(&[], 1.0), None);
    }
}
