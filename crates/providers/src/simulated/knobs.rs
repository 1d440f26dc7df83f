use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Everything about a simulated provider that can be turned. Rates are probabilities in 0..1; a rate of 0 never happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs {
    /// Milliseconds from the call to the first token.
    pub time_to_first_token: Distribution,
    /// Milliseconds per output token after the first.
    pub time_per_output_token: Distribution,
    /// As many calls in flight beside one's own double the latency.
    pub capacity: f64,
    /// Length of an answer in tokens (here: words); the request's `max_tokens` cuts it.
    pub output_tokens: Distribution,
    /// How many tokens a chunk of a stream carries.
    pub tokens_per_chunk: u32,
    /// Calls answered with `error_status`.
    pub error_rate: f64,
    /// The status of these errors.
    pub error_status: u16,
    /// Calls answered with 429 and `retry-after: 1`.
    pub rate_limited_rate: f64,
    /// Calls never answered, not even with a head.
    pub hang_rate: f64,
    /// Streams that fall silent after some content.
    pub stall_rate: f64,
    /// Answers cut in the middle.
    pub cut_rate: f64,
    /// Chats refused politely.
    pub refusal_rate: f64,
    /// JSON answers (where the request asks for JSON) that are not well-formed.
    pub malformed_json_rate: f64,
    /// Probability of answering a known question correctly.
    pub quality: f64,
    /// Length of an embedding when the request does not say.
    pub embedding_dimensions: u32,
    /// Answers from numbered passages that cite another passage than the one they quote.
    pub wrong_citation_rate: f64,
    /// Questions that the numbered passages do not answer and that are answered from them all the same.
    pub unfounded_rate: f64,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            time_to_first_token: Distribution { median: 20.0, sigma: 0.3 },
            time_per_output_token: Distribution { median: 1.0, sigma: 0.2 },
            capacity: 64.0,
            output_tokens: Distribution { median: 24.0, sigma: 0.3 },
            tokens_per_chunk: 4,
            error_rate: 0.0,
            error_status: 500,
            rate_limited_rate: 0.0,
            hang_rate: 0.0,
            stall_rate: 0.0,
            cut_rate: 0.0,
            refusal_rate: 0.0,
            malformed_json_rate: 0.0,
            quality: 0.95,
            embedding_dimensions: 256,
            wrong_citation_rate: 0.0,
            unfounded_rate: 0.0,
        }
    }
}

/// A log-normal distribution: `median · exp(sigma · z)`. With sigma 0 it is a constant; with 0.3, 98 % of the draws are
/// between 0.5 and 2 times the median.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// The middle value.
    pub median: f64,
    /// The spread.
    #[serde(default)]
    pub sigma: f64,
}

impl Distribution {
    /// The value at a standard normal draw, which is held within ± 4.
    pub fn value(self, z: f64) -> f64 {
        self.median * (self.sigma * z.clamp(-4.0, 4.0)).exp()
    }

    /// The value as a duration, taken as milliseconds.
    pub(crate) fn sample(self, z: f64) -> Duration {
        Duration::try_from_secs_f64(self.value(z) / 1000.0).unwrap_or(Duration::ZERO)
    }
}

/// A knob that is turned too far.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{knob}` must be {must_be}")]
pub struct KnobError {
    /// Which one.
    pub knob: &'static str,
    /// What it may be.
    pub must_be: &'static str,
}

impl Knobs {
    /// Checks every knob; the first wrong one is reported.
    pub fn validate(&self) -> Result<(), KnobError> {
        let rates = [
            ("error_rate", self.error_rate),
            ("rate_limited_rate", self.rate_limited_rate),
            ("hang_rate", self.hang_rate),
            ("stall_rate", self.stall_rate),
            ("cut_rate", self.cut_rate),
            ("refusal_rate", self.refusal_rate),
            ("malformed_json_rate", self.malformed_json_rate),
            ("quality", self.quality),
            ("wrong_citation_rate", self.wrong_citation_rate),
            ("unfounded_rate", self.unfounded_rate),
        ];
        let distributions = [
            ("time_to_first_token", self.time_to_first_token),
            ("time_per_output_token", self.time_per_output_token),
            ("output_tokens", self.output_tokens),
        ];
        let refuse = |knob, must_be| Err(KnobError { knob, must_be });
        if let Some((knob, _)) = rates.into_iter().find(|(_, rate)| !(0.0..=1.0).contains(rate)) {
            return refuse(knob, "between 0 and 1; for 5 % write 0.05");
        }
        let possible = |d: &Distribution| (0.0..=3.6e6).contains(&d.median) && (0.0..=3.0).contains(&d.sigma);
        if let Some((knob, _)) = distributions.iter().find(|(_, distribution)| !possible(distribution)) {
            return refuse(knob, "a median between 0 and 3600000 and a sigma between 0 and 3");
        }
        if !(self.capacity.is_finite() && self.capacity > 0.0) {
            return refuse("capacity", "more than 0");
        }
        if self.tokens_per_chunk == 0 {
            return refuse("tokens_per_chunk", "at least 1");
        }
        if !(400..=599).contains(&self.error_status) {
            return refuse("error_status", "between 400 and 599");
        }
        if !(1..=8192).contains(&self.embedding_dimensions) {
            return refuse("embedding_dimensions", "between 1 and 8192");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: fn(&mut Knobs), expected: &str) {
        let mut knobs = Knobs::default();
        change(&mut knobs);
        assert_eq!(knobs.validate().map_or_else(|error| error.to_string(), |()| "ok".to_owned()), expected);
    }

    #[test]
    fn a_knob_turned_too_far_is_named() {
        check(|_| (), "ok");
        check(|knobs| knobs.error_rate = 5.0, "`error_rate` must be between 0 and 1; for 5 % write 0.05");
        check(|knobs| knobs.quality = f64::NAN, "`quality` must be between 0 and 1; for 5 % write 0.05");
        check(|knobs| knobs.capacity = 0.0, "`capacity` must be more than 0");
        check(|knobs| knobs.tokens_per_chunk = 0, "`tokens_per_chunk` must be at least 1");
    }

    #[test]
    fn knobs_that_are_not_named_keep_their_default_and_unknown_ones_are_errors() {
        let knobs: Knobs = serde_json::from_str(r#"{"error_rate":0.5}"#).unwrap();
        assert_eq!(knobs, Knobs { error_rate: 0.5, ..Knobs::default() });
        assert!(serde_json::from_str::<Knobs>(r#"{"eror_rate":0.5}"#).is_err());
    }
}
