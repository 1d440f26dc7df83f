//! Random numbers that are the same on every machine: xoshiro256++ (Blackman and Vigna), seeded by splitmix64.

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Chance([u64; 4]);

impl Chance {
    /// The stream of one run among many: neighbouring seeds and runs give unrelated streams.
    #[must_use]
    pub fn of(seed: u64, run: u64) -> Self {
        let mut state = mixed(seed) ^ run.wrapping_mul(0xd134_2543_de82_ef95);
        Self([(); 4].map(|()| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mixed(state)
        }))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.0;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// Uniform in `[0, 1)`.
    pub fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with this probability.
    pub fn one_in(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.fraction() < probability
    }

    /// Uniform below `n`; 0 for 0.
    pub fn below(&mut self, n: usize) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "below n")]
        let below = ((u128::from(self.bits()) * n as u128) >> 64) as usize;
        below
    }

    /// Standard normal, by Box and Muller.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.fraction()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.fraction()).cos()
    }

    /// Lognormal with mean 1.
    pub fn lognormal(&mut self, sigma: f64) -> f64 {
        (sigma * self.normal() - 0.5 * sigma * sigma).exp()
    }
}

fn mixed(state: u64) -> u64 {
    let mut mixed = state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_what_they_are_called() {
        let mut chance = Chance::of(1, 0);
        let mean = |value: &mut dyn FnMut() -> f64| (0..100_000).map(|_| value()).sum::<f64>() / 1e5;
        assert!((mean(&mut || chance.fraction()) - 0.5).abs() < 0.01);
        assert!(mean(&mut || chance.normal()).abs() < 0.02);
        assert!((mean(&mut || chance.lognormal(1.0)) - 1.0).abs() < 0.03);
        assert!((mean(&mut || f64::from(u8::from(chance.one_in(0.2)))) - 0.2).abs() < 0.01);
    }

    #[test]
    fn runs_and_seeds_have_streams_of_their_own_and_the_same_one_again() {
        let first = |seed, run| Chance::of(seed, run).bits();
        assert_eq!(first(7, 3), first(7, 3));
        let mut all: Vec<u64> = (0..50).flat_map(|seed| (0..50).map(move |run| first(seed, run))).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 2500);
    }
}
