//! Where rates and times lie: intervals that hold however often anybody looks (T7), and whether the candidate's p95 and p99 are the higher ones
//! (T6). For people to read; nothing is decided by it. Gates on latency count late answers.
//!
//! Each statement has its own chance of an error, [`ALPHA`]; of twenty that are shown one may be wrong.

use serde::{Deserialize, Serialize};
use stats::LatencySketch;
use stats::quantile::{interval, slower_log_e};

use crate::assign::Arm;
use crate::evidence::Evidence;
use crate::metric::Metric;
use crate::policy::Stage;

/// The chance that an interval ever misses, or that an arm is ever called slower that is not.
pub const ALPHA: f64 = 0.05;
/// Rates are known best after about so many units.
const TUNED_FOR: u64 = 1000;
/// The largest logarithm of an e-value that is shown.
const LARGEST_LOG_E: f64 = 690.0;

/// What is known of both arms, whenever one looks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bands {
    /// Rates of bad units, of what gates ask about; where units are served.
    pub rates: Vec<RateBands>,
    /// Quantiles of times.
    pub times: Vec<TimeBands>,
}

/// One metric's bad rate by unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateBands {
    /// Of what.
    pub metric: Metric,
    /// The baseline's, where any unit was judged.
    pub baseline: Option<RateBand>,
    /// The candidate's.
    pub candidate: Option<RateBand>,
}

/// Where an arm's rate lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateBand {
    /// Units judged.
    pub n: u64,
    /// `bad / n`.
    pub rate: f64,
    /// It is at least this.
    pub low: f64,
    /// It is at most this.
    pub high: f64,
}

/// Which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timed {
    /// To the first token.
    FirstToken,
    /// To the end.
    Total,
}

impl Timed {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Timed::FirstToken => "time to first token",
            Timed::Total => "time to the end",
        }
    }
}

/// One quantile of one time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimeBands {
    /// Of which time.
    pub of: Timed,
    /// 0.95 or 0.99.
    pub quantile: f64,
    /// The baseline's, where any answer was timed.
    pub baseline: Option<TimeBand>,
    /// The candidate's. In shadow these are the copies.
    pub candidate: Option<TimeBand>,
    /// Which arm is slower, where both were timed.
    pub slower: Option<Slower>,
}

/// Where an arm's quantile lies, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeBand {
    /// Answers timed.
    pub n: u64,
    /// The quantile of those seen.
    pub us: u64,
    /// It is at least this.
    pub low_us: u64,
    /// It is at most this; `None` where too few were seen to say.
    pub high_us: Option<u64>,
}

/// Whose quantile is the higher one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slower {
    /// Proven at [`ALPHA`]; `None` where either may be.
    pub arm: Option<Arm>,
    /// The e-value against "the candidate's is at most the baseline's".
    pub candidate_e_value: f64,
    /// The e-value against "the baseline's is at most the candidate's".
    pub baseline_e_value: f64,
    /// The e-value that proves either.
    pub threshold: f64,
}

impl Bands {
    /// Read off the evidence.
    #[must_use]
    pub fn of(evidence: &Evidence) -> Self {
        let arms = [Arm::Baseline, Arm::Candidate].map(|arm| evidence.arm(arm));
        let times = |of: Timed| {
            let sketches = arms.map(|arm| match of {
                Timed::FirstToken => &arm.time_to_first_token,
                Timed::Total => &arm.duration,
            });
            let is_timed = sketches.iter().any(|sketch| sketch.n() > 0);
            [0.95, 0.99].into_iter().filter(move |_| is_timed).map(move |quantile| time(of, quantile, sketches))
        };
        let times = [Timed::FirstToken, Timed::Total].into_iter().flat_map(times).collect();
        Self { rates: rates(evidence), times }
    }
}

/// In shadow a unit is a pair, whose difference is what is known: the gate has it.
fn rates(evidence: &Evidence) -> Vec<RateBands> {
    let served = evidence.gates().iter().filter(|_| evidence.stage() != Stage::Shadow);
    let band = |(n, bad): (u64, u64)| {
        let (low, high) = stats::sequence::rate(bad, n, ALPHA, TUNED_FOR)?;
        Some(RateBand { n, rate: bad as f64 / n as f64, low, high })
    };
    let bands = served.map(|gate| RateBands {
        metric: gate.metric,
        baseline: band(gate.unpaired.baseline()),
        candidate: band(gate.unpaired.candidate()),
    });
    bands.filter(|bands| bands.baseline.is_some() || bands.candidate.is_some()).collect()
}

fn time(of: Timed, quantile: f64, [baseline, candidate]: [&LatencySketch; 2]) -> TimeBands {
    let band = |sketch: &LatencySketch| {
        let seen = sketch.quantiles()?;
        let us = if quantile > 0.98 { seen.p99_us } else { seen.p95_us };
        let (low_us, high_us) = interval(quantile, sketch, ALPHA);
        Some(TimeBand { n: seen.n, us, low_us, high_us })
    };
    let slower = (baseline.n() > 0 && candidate.n() > 0).then(|| {
        let [of_candidate, of_baseline] =
            [(candidate, baseline), (baseline, candidate)].map(|(slow, fast)| slower_log_e(quantile, slow, fast, 1.0));
        let enough = -ALPHA.ln();
        let arm = match (of_candidate >= enough, of_baseline >= enough) {
            (true, false) => Some(Arm::Candidate),
            (false, true) => Some(Arm::Baseline),
            _ => None,
        };
        let [candidate_e_value, baseline_e_value] =
            [of_candidate, of_baseline].map(|log_e| log_e.min(LARGEST_LOG_E).exp());
        Slower { arm, candidate_e_value, baseline_e_value, threshold: 1.0 / ALPHA }
    });
    TimeBands { of, quantile, baseline: band(baseline), candidate: band(candidate), slower }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::evidence::{Carry, Outcome};
    use crate::metric::MetricSet;
    use crate::policy::{Policy, Risk};

    /// `n` units at a share of one half, the candidate's answers taking so many times as long.
    fn served(n: u64, times: u64) -> Evidence {
        let mut policy = Policy::template(Risk::Medium);
        policy.warm_up = std::time::Duration::ZERO;
        let step_idx = policy.steps.iter().position(|step| step.share == 0.5).unwrap();
        let mut evidence = Evidence::new(&policy, 1, step_idx, &Carry::none(), Timestamp(0));
        for unit in 0..n {
            let arm = if unit % 2 == 0 { Arm::Candidate } else { Arm::Baseline };
            let times = if arm == Arm::Candidate { times } else { 10 };
            let bad = if unit % 100 < 2 { MetricSet::of(&[Metric::Error]) } else { MetricSet::EMPTY };
            evidence.observe(&Outcome {
                unit,
                arm,
                admitted_at: Timestamp(1),
                at: Timestamp(1),
                observed: MetricSet::of(&[Metric::Error, Metric::Format]),
                bad,
                time_to_first_token_us: Some((1000 + unit * 37 % 1000) * times),
                duration_us: Some((9000 + unit * 37 % 1000) * times),
            });
        }
        evidence
    }

    #[test]
    fn a_candidate_whose_tail_is_longer_is_called_slower_and_an_equal_one_is_not() {
        for (times, expected) in [(13, Some(Arm::Candidate)), (10, None), (7, Some(Arm::Baseline))] {
            let bands = Bands::of(&served(8000, times));
            let read: Vec<_> = bands.times.iter().map(|time| (time.of, time.quantile)).collect();
            assert_eq!(
                read,
                [(Timed::FirstToken, 0.95), (Timed::FirstToken, 0.99), (Timed::Total, 0.95), (Timed::Total, 0.99)]
            );
            for time in &bands.times {
                assert_eq!(time.slower.unwrap().arm, expected, "{time:?}");
            }
        }
    }

    #[test]
    fn every_band_holds_what_was_seen_and_narrows() {
        let [few, many] = [400, 8000].map(|n| Bands::of(&served(n, 10)));
        for (few, many) in few.times.iter().zip(&many.times) {
            let (few, many) = (few.baseline.unwrap(), many.baseline.unwrap());
            assert!(many.low_us <= many.us && Some(many.us) <= many.high_us, "{many:?}");
            assert!(
                few.low_us <= many.low_us && few.high_us.is_none_or(|high| many.high_us.unwrap() <= high),
                "{few:?}"
            );
        }
        for (few, many) in few.rates.iter().zip(&many.rates) {
            let (few, many) = (few.candidate.unwrap(), many.candidate.unwrap());
            assert!(many.low <= many.rate && many.rate <= many.high, "{many:?}");
            assert!(many.high - many.low < few.high - few.low, "{few:?} {many:?}");
        }
        assert_eq!((few.rates.len(), many.rates.len()), (2, 2), "of what gates ask about and anybody observed");
    }

    #[test]
    fn nothing_seen_has_no_bands() {
        assert_eq!(Bands::of(&served(0, 10)), Bands::default());
    }
}
