//! How far an input may be off, and draws from it.

use stats::random::Random;

use super::exact::Exact;

/// A distribution of what an input may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spread {
    /// A rate of which so many of so many were seen: Beta(seen + 1/2, rest + 1/2), Jeffreys' prior.
    Seen {
        /// Cases with the outcome.
        successes: u64,
        /// All cases.
        of: u64,
    },
    /// From low to high, the value the likeliest, falling off in straight lines.
    Triangular {
        /// The least.
        low: Exact,
        /// The most.
        high: Exact,
    },
    /// From low to high, falling off smoothly: the PERT distribution, a beta with weight 4 on the value.
    Pert {
        /// The least.
        low: Exact,
        /// The most.
        high: Exact,
    },
}

impl Spread {
    /// Made ready to draw around `value`.
    pub(super) fn sampler(&self, value: f64) -> Sampler {
        match self {
            Spread::Seen { successes, of } => {
                let failures = of.saturating_sub(*successes);
                Sampler::Beta { a: *successes as f64 + 0.5, b: failures as f64 + 0.5, low: 0.0, width: 1.0 }
            }
            Spread::Triangular { low, high } => {
                let (low, high) = (low.to_f64(), high.to_f64());
                Sampler::Triangular { low, mode: value.clamp(low, high), high }
            }
            Spread::Pert { low, high } => {
                let (low, width) = (low.to_f64(), high.to_f64() - low.to_f64());
                let at = if width > 0.0 { ((value - low) / width).clamp(0.0, 1.0) } else { 0.5 };
                Sampler::Beta { a: 1.0 + 4.0 * at, b: 1.0 + 4.0 * (1.0 - at), low, width }
            }
        }
    }

    /// In words, for exports.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Spread::Seen { successes, of } => format!("{successes} of {of}"),
            Spread::Triangular { low, high } => format!("triangular {low} to {high}"),
            Spread::Pert { low, high } => format!("PERT {low} to {high}"),
        }
    }
}

/// A distribution ready to be drawn from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sampler {
    Beta { a: f64, b: f64, low: f64, width: f64 },
    Triangular { low: f64, mode: f64, high: f64 },
}

impl Sampler {
    pub(super) fn draw(self, random: &mut Random) -> f64 {
        match self {
            Sampler::Beta { a, b, low, width } => low + width * beta(a, b, random),
            Sampler::Triangular { low, mode, high } => {
                let width = high - low;
                if width <= 0.0 {
                    return mode;
                }
                let (at, below) = (random.uniform(), (mode - low) / width);
                if at < below {
                    low + (at * width * (mode - low)).sqrt()
                } else {
                    high - ((1.0 - at) * width * (high - mode)).sqrt()
                }
            }
        }
    }
}

/// A draw of Beta(a, b).
pub(super) fn beta(a: f64, b: f64, random: &mut Random) -> f64 {
    let (x, y) = (random.gamma(a), random.gamma(b));
    x / (x + y)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spread: &Spread, value: f64, (mean, variance): (f64, f64)) {
        let sampler = spread.sampler(value);
        let mut random = Random::new(11);
        let draws: Vec<f64> = (0..200_000).map(|_| sampler.draw(&mut random)).collect();
        let found = draws.iter().sum::<f64>() / draws.len() as f64;
        let spread_of = draws.iter().map(|draw| (draw - found).powi(2)).sum::<f64>() / draws.len() as f64;
        // Five standard errors of the mean; the variance to 3 %.
        assert!(
            (found - mean).abs() < 5.0 * (variance / draws.len() as f64).sqrt(),
            "{spread:?}: mean {found}, {mean}"
        );
        assert!((spread_of / variance - 1.0).abs() < 0.03, "{spread:?}: variance {spread_of}, {variance}");
    }

    #[test]
    fn draws_have_the_moments_of_their_distribution() {
        let of = |text| Exact::parse(text).unwrap();
        let beta = |a: f64, b: f64| (a / (a + b), a * b / ((a + b).powi(2) * (a + b + 1.0)));
        check(&Spread::Seen { successes: 450, of: 500 }, 0.9, beta(450.5, 50.5));
        check(&Spread::Seen { successes: 0, of: 3 }, 0.0, beta(0.5, 3.5));
        let (low, mode, high) = (2.0, 3.0, 4.5);
        let moments = (
            (low + mode + high) / 3.0,
            (low * low + mode * mode + high * high - low * mode - low * high - mode * high) / 18.0,
        );
        check(&Spread::Triangular { low: of("2"), high: of("4.5") }, 3.0, moments);
        let (mean, variance) = beta(1.0 + 1.6, 1.0 + 2.4);
        check(&Spread::Pert { low: of("2"), high: of("4.5") }, 3.0, (2.0 + 2.5 * mean, 6.25 * variance));
    }
}
