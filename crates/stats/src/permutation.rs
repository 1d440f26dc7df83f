//! Sign flips: is the mean of paired differences 0, without assuming a shape?
//!
//! If both arms are alike, each difference is as likely as its negative. Units are flipped whole: differences of one conversation are not
//! independent. Sources: Fisher (1935), section 21; Phipson and Smyth, "Permutation p-values should never be zero" (2010).

use crate::random::Random;

/// Up to so many differences that are not 0, every choice of signs is tried.
const MOST_EXACT: u32 = 16;

/// How likely sums as far out as the observed one are, if signs are even.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignFlips {
    /// For a sum at least as high.
    pub p_higher: f64,
    /// For a sum at least as low.
    pub p_lower: f64,
}

impl SignFlips {
    /// For either: twice the smaller, at most 1.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        (2.0 * self.p_higher.min(self.p_lower)).min(1.0)
    }
}

/// Of the differences' sums, one per unit. Exact up to 16 that are not 0; above, `n_flips` draws, with the observed one counted among them.
#[must_use]
pub fn sign_flips(sums: &[f64], n_flips: u32, seed: u64) -> SignFlips {
    let sizes: Vec<f64> = sums.iter().copied().filter(|sum| *sum != 0.0).collect();
    let observed: f64 = sizes.iter().sum();
    // Sums of the same numbers in another order differ by rounding only.
    let slack = 1e-12 * sizes.iter().map(|size| size.abs()).sum::<f64>();
    let (mut n_higher, mut n_lower) = (0_u32, 0_u32);
    let mut see = |sum: f64| {
        n_higher += u32::from(sum >= observed - slack);
        n_lower += u32::from(sum <= observed + slack);
    };
    let n_sizes = u32::try_from(sizes.len()).unwrap_or(u32::MAX);
    let n_seen = if n_sizes <= MOST_EXACT {
        for signs in 0..1_u64 << n_sizes {
            see(signed_sum(&sizes, signs));
        }
        1_u32 << n_sizes
    } else {
        let mut random = Random::new(seed);
        see(observed);
        for _ in 0..n_flips {
            see(sizes.chunks(64).map(|chunk| signed_sum(chunk, random.bits())).sum());
        }
        n_flips.saturating_add(1)
    };
    let part = |n: u32| f64::from(n) / f64::from(n_seen);
    SignFlips { p_higher: part(n_higher), p_lower: part(n_lower) }
}

fn signed_sum(sizes: &[f64], signs: u64) -> f64 {
    sizes.iter().enumerate().map(|(idx, size)| if signs >> idx & 1 == 1 { -size } else { *size }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_of_three_by_hand() {
        let flips = sign_flips(&[1.0, 2.0, 0.0, 4.0], 10, 1);
        assert_eq!(flips, SignFlips { p_higher: 1.0 / 8.0, p_lower: 1.0 });
        assert!((flips.p_value() - 0.25).abs() < 1e-12);
        assert_eq!(sign_flips(&[], 10, 1).p_value(), 1.0);
    }

    #[test]
    fn drawn_signs_come_near_the_binomial_tail() {
        // Differences of one size: as many as 65 of 100 above is 0.00175882 of fair coins.
        let sums: Vec<f64> = (0..100).map(|idx| if idx < 65 { 1.0 } else { -1.0 }).collect();
        let flips = sign_flips(&sums, 100_000, 3);
        assert!((flips.p_higher - 0.001_759).abs() < 0.000_6, "{flips:?}");
        assert_eq!(flips, sign_flips(&sums, 100_000, 3));
    }
}
