//! How often something took how long, as rows of bars: for looking, not for reading.

const BARS: usize = 12;
const WIDEST: usize = 48;
/// Below so many values bars say less than the values.
const LEAST: usize = 20;

/// A heading and a row for each of twelve equal ranges up to the 99th percentile; what is above is in the last row.
pub(super) fn text(what: &str, values: impl Iterator<Item = f64>) -> String {
    let mut values: Vec<f64> = values.collect();
    if values.len() < LEAST {
        return String::new();
    }
    values.sort_by(f64::total_cmp);
    let most = values[(values.len() * 99).div_ceil(100).max(1) - 1];
    let width = (most / BARS as f64).max(f64::MIN_POSITIVE);
    let mut counts = [0_usize; BARS];
    for value in &values {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
        let bar = (value / width) as usize;
        counts[bar.min(BARS - 1)] += 1;
    }
    let highest = counts.iter().copied().max().unwrap_or(1).max(1);
    let number = |value: f64| if most < 20.0 { format!("{value:.1}") } else { format!("{value:.0}") };
    let wide = number(most).len();
    let row = |(idx, n): (usize, &usize)| {
        let from = number(width * idx as f64);
        let bar = "#".repeat((n * WIDEST).div_ceil(highest));
        format!("{from:>wide$}  {bar:<WIDEST$}  {n}\n")
    };
    let rows: String = counts.iter().enumerate().map(row).collect();
    format!("\n{what}, from\n{rows}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_a_bar_and_the_widest_bar_is_the_fullest() {
        let text = text("requests", (0..1000).map(|n| f64::from(n % 100)));
        let counts: Vec<usize> = text.lines().filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
        assert_eq!((counts.len(), counts.iter().sum::<usize>()), (BARS, 1000), "{text}");
        let widest = text.lines().map(|line| line.matches('#').count()).max();
        assert_eq!(widest, Some(WIDEST));
    }

    #[test]
    fn a_handful_of_values_and_values_of_nothing_are_no_picture() {
        assert_eq!(text("requests", (0..5).map(f64::from)), "");
        assert!(text("requests", (0..50).map(|_| 0.0)).contains("  50\n"));
    }
}
