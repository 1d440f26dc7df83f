//! Arrivals that are made up, for who has no record of their own: at random times, or in bursts. What is sized from these is sized for these, and
//! whoever reads the answer is told so.

use stats::random::Random;

use super::Arrival;

/// How made-up requests come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pattern {
    /// At random: a Poisson process.
    Random {
        /// Requests a second.
        rate: f64,
    },
    /// Calm and bursts by turns, each for an exponentially distributed time: a Markov-modulated Poisson process of two states.
    Bursts {
        /// Requests a second while calm, and in a burst.
        rates: [f64; 2],
        /// Mean seconds of a calm, and of a burst.
        lasts_s: [f64; 2],
    },
}

impl Pattern {
    /// Requests a second in the long run.
    #[must_use]
    pub fn mean_rate(&self) -> f64 {
        match self {
            Pattern::Random { rate } => *rate,
            Pattern::Bursts { rates, lasts_s } => {
                (rates[0] * lasts_s[0] + rates[1] * lasts_s[1]) / (lasts_s[0] + lasts_s[1])
            }
        }
    }

    /// Variance of the number of requests in a window of `window_s` over its mean; 1 for random times. Fischer and Meier-Hellstern, "The
    /// Markov-modulated Poisson process cookbook" (1993): `1 + 2 v / (m s) (1 - (1 - e^(-s t)) / (s t))`, with `m` the mean rate, `v` the variance
    /// of the rate and `s` the sum of the two rates of change. Value checked by hand: rates 1 and 11, each for 10 s, in windows of 10 s: 24.65.
    #[must_use]
    pub fn dispersion(&self, window_s: f64) -> f64 {
        match self {
            Pattern::Random { .. } => 1.0,
            Pattern::Bursts { rates, lasts_s } => {
                let [calm, burst] = lasts_s.map(|s| 1.0 / s);
                let sum = calm + burst;
                let gap = rates[0] - rates[1];
                let variance = calm * burst * gap * gap / (sum * sum);
                1.0 + 2.0 * variance / (self.mean_rate() * sum)
                    * (1.0 - (1.0 - (-sum * window_s).exp()) / (sum * window_s))
            }
        }
    }
}

impl Pattern {
    /// Bursts between which nothing comes, with this mean rate and these dispersions in windows of two lengths, the shorter first: what a record that was
    /// counted in seconds and in minutes is like. `None` where no such process has them: both are above 1, and the longer window has the greater, but
    /// not by more than the windows' ratio.
    #[must_use]
    pub fn matched(rate: f64, [(short_s, short), (long_s, long)]: [(f64, f64); 2]) -> Option<Pattern> {
        // The dispersion less 1 is `2 v / (m s)` times this.
        let grown = |x: f64| 1.0 - (1.0 - (-x).exp()) / x;
        let wanted = (long - 1.0) / (short - 1.0);
        let is_possible = rate > 0.0 && short > 1.0 && 0.0 < short_s && short_s < long_s;
        if !is_possible || !(1.0..long_s / short_s).contains(&wanted) || wanted <= 1.0 {
            return None;
        }
        // The ratio falls as the sum of the rates of change rises.
        let (mut low, mut high) = (1e-9 / long_s, 1e6 / short_s);
        for _ in 0..200 {
            let middle = (low * high).sqrt();
            if grown(middle * long_s) / grown(middle * short_s) > wanted { low = middle } else { high = middle }
        }
        let sum = (low * high).sqrt();
        let variance = (short - 1.0) / grown(sum * short_s) * rate * sum / 2.0;
        let calm = variance / (variance + rate * rate);
        let lasts_s = [1.0 / (sum * (1.0 - calm)), 1.0 / (sum * calm)];
        Some(Pattern::Bursts { rates: [0.0, rate / (1.0 - calm)], lasts_s })
    }
}

/// Requests for `seconds`, whose tokens are exponentially distributed around these means (of prompt and answer), at least one each.
#[must_use]
pub fn made_up(pattern: Pattern, (input, output): (f64, f64), seconds: f64, seed: u64) -> Vec<Arrival> {
    let mut random = Random::new(seed);
    let mut arrivals = Vec::new();
    let (mut at_s, mut is_burst, mut turns_s) = (0.0, false, f64::INFINITY);
    if let Pattern::Bursts { lasts_s, .. } = pattern {
        turns_s = lasts_s[0] * random.exponential();
    }
    loop {
        let rate = match pattern {
            Pattern::Random { rate } => rate,
            Pattern::Bursts { rates, .. } => rates[usize::from(is_burst)],
        };
        let next_s = if rate > 0.0 { at_s + 1.0 / rate * random.exponential() } else { f64::INFINITY };
        // Times between are without memory: a draw that the turn cuts off is drawn anew.
        if next_s.min(turns_s) > seconds {
            return arrivals;
        }
        if let (Pattern::Bursts { lasts_s, .. }, true) = (pattern, turns_s < next_s) {
            (at_s, is_burst) = (turns_s, !is_burst);
            turns_s += lasts_s[usize::from(is_burst)] * random.exponential();
            continue;
        }
        at_s = next_s;
        let mut tokens = |mean: f64| (mean * random.exponential()).max(1.0);
        arrivals.push(Arrival { at_s, input: tokens(input), output: tokens(output) });
    }
}

/// Variance over mean of the number of arrivals in windows of `window_s`; `None` of fewer than two windows.
#[must_use]
pub fn dispersion(arrivals: &[Arrival], window_s: f64) -> Option<f64> {
    let (first, last) = (arrivals.first()?, arrivals.last()?);
    let span_s = last.at_s - first.at_s;
    let mut counts: Vec<f64> = Vec::new();
    let mut until_s = first.at_s + window_s;
    let mut idx = 0;
    // Whole windows only.
    while until_s <= first.at_s + span_s {
        let begun = idx;
        while arrivals.get(idx).is_some_and(|arrival| arrival.at_s < until_s) {
            idx += 1;
        }
        counts.push((idx - begun) as f64);
        until_s += window_s;
    }
    let n = counts.len() as f64;
    let mean = counts.iter().sum::<f64>() / n;
    (counts.len() > 1 && mean > 0.0)
        .then(|| counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / (n - 1.0) / mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_have_the_rate_and_the_dispersion_of_their_process() {
        let pattern = Pattern::Bursts { rates: [1.0, 11.0], lasts_s: [10.0, 10.0] };
        assert!((pattern.mean_rate() - 6.0).abs() < 1e-12);
        // The variance of the rate is 25, the sum of the rates of change 0.2: 1 + 2 * 25 / (6 * 0.2) * (1 - (1 - e^-2) / 2).
        let by_hand = 1.0 + 50.0 / 1.2 * (1.0 - (1.0 - (-2.0_f64).exp()) / 2.0);
        assert!((pattern.dispersion(10.0) - by_hand).abs() < 1e-9);
        let arrivals = made_up(pattern, (100.0, 50.0), 200_000.0, 3);
        let rate = arrivals.len() as f64 / 200_000.0;
        assert!((rate / 6.0 - 1.0).abs() < 0.02, "{rate}");
        let found = dispersion(&arrivals, 10.0).unwrap();
        assert!((found / by_hand - 1.0).abs() < 0.05, "{found}, {by_hand}");
        let input = arrivals.iter().map(|arrival| arrival.input).sum::<f64>() / arrivals.len() as f64;
        assert!((input / 100.0 - 1.0).abs() < 0.02, "{input}");
    }

    /// A public trace of code completion: 2.57 requests a second, with a dispersion of 13 in seconds and of 161 in minutes.
    #[test]
    fn bursts_are_matched_to_the_dispersion_of_a_record() {
        let pattern = Pattern::matched(2.57, [(1.0, 13.0), (60.0, 161.0)]).unwrap();
        assert!((pattern.mean_rate() - 2.57).abs() < 1e-9, "{pattern:?}");
        for (window_s, wanted) in [(1.0, 13.0), (60.0, 161.0)] {
            assert!((pattern.dispersion(window_s) / wanted - 1.0).abs() < 1e-6, "{pattern:?}");
            let arrivals = made_up(pattern, (1.0, 1.0), 400_000.0, 11);
            let found = dispersion(&arrivals, window_s).unwrap();
            assert!((found / wanted - 1.0).abs() < 0.05, "{found}, {wanted}");
        }
        for (short, long) in [(1.0, 2.0), (2.0, 1.5), (2.0, 70.0), (2.0, f64::NAN)] {
            assert_eq!(Pattern::matched(2.0, [(1.0, short), (60.0, long)]), None, "{short}, {long}");
        }
        assert_eq!(Pattern::matched(0.0, [(1.0, 13.0), (60.0, 161.0)]), None);
    }

    #[test]
    fn random_times_have_a_dispersion_of_one() {
        let pattern = Pattern::Random { rate: 5.0 };
        let arrivals = made_up(pattern, (100.0, 50.0), 100_000.0, 4);
        let found = dispersion(&arrivals, 10.0).unwrap();
        assert!((found - pattern.dispersion(10.0)).abs() < 0.05, "{found}");
        assert_eq!(dispersion(&arrivals[..1], 10.0), None);
        assert!(made_up(Pattern::Random { rate: 0.0 }, (1.0, 1.0), 10.0, 1).is_empty());
    }
}
