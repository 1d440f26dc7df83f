/// All chance of one call, drawn at once: every call uses up the same draws, whatever the knobs say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws {
    /// Identifies the answer.
    pub(crate) id: u64,
    // Uniform in 0..1, compared with a rate.
    pub(crate) limited: f64,
    pub(crate) error: f64,
    pub(crate) hang: f64,
    pub(crate) stall: f64,
    pub(crate) cut: f64,
    pub(crate) cut_at: f64,
    pub(crate) refusal: f64,
    pub(crate) malformed: f64,
    pub(crate) quality: f64,
    pub(crate) wrong: f64,
    // Standard normal.
    pub(crate) first_token: f64,
    pub(crate) per_token: f64,
    pub(crate) n_tokens: f64,
    // Uniform again: what came later stands last, so that the same calls draw the same.
    pub(crate) citation: f64,
    pub(crate) unfounded: f64,
}

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = SplitMix64(seed);
        Self {
            id: random.next(),
            limited: random.uniform(),
            error: random.uniform(),
            hang: random.uniform(),
            stall: random.uniform(),
            cut: random.uniform(),
            cut_at: random.uniform(),
            refusal: random.uniform(),
            malformed: random.uniform(),
            quality: random.uniform(),
            wrong: random.uniform(),
            first_token: random.normal(),
            per_token: random.normal(),
            n_tokens: random.normal(),
            citation: random.uniform(),
            unfounded: random.uniform(),
        }
    }
}

/// Steele, Lea and Flood 2014: a counter and a mixing function. From state 0 the first output is `e220a8397b1dcdaf`.
pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In 0..1, with 53 bits.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Standard normal by Box and Muller 1958.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gives_its_published_first_value() {
        assert_eq!(SplitMix64(0).next(), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn normal_draws_have_mean_zero_and_variance_one() {
        let mut random = SplitMix64(7);
        let draws: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
