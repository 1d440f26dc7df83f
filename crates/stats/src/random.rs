//! Reproducible random numbers for resampling and simulation: the seed is an argument, and the same seed gives the same numbers everywhere.

/// `SplitMix64` (Steele, Lea and Flood 2014): good enough for a bootstrap, not for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A stream of numbers that the seed decides.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A whole number below `n`, each as likely to within `n / 2^64`; 0 for none.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from((u128::from(self.bits()) * n as u128) >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_first_numbers_of_a_seed() {
        let mut random = Random::new(1_234_567);
        assert_eq!([random.bits(), random.bits()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn every_place_is_drawn_about_as_often() {
        let mut random = Random::new(7);
        let mut drawn = [0_u32; 6];
        (0..60_000).for_each(|_| drawn[random.below(6)] += 1);
        assert!(drawn.iter().all(|n| n.abs_diff(10_000) < 500), "{drawn:?}");
        assert_eq!(random.below(0), 0);
    }
}
