//! What latencies are allowed, and whether enough requests kept to it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use stats::interval::wilson;

use crate::clock::millis;
use crate::definition;
use crate::sample::Sample;

/// The normal quantile of a two-sided 95 % interval.
const Z: f64 = 1.959_964;

/// What is allowed to a request, in milliseconds, and the share that must keep to all of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slo {
    /// `ttft.intended` at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<f64>,
    /// `e2e.intended` at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e2e_ms: Option<f64>,
    /// `tpot` at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpot_ms: Option<f64>,
    /// `gap.max` at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_max_ms: Option<f64>,
    /// The share of all requests, failures included, that must keep to it.
    pub share: f64,
}

impl Slo {
    /// Whether one request kept to all of it. A failure did not; what a request does not have (`tpot` of one token) it keeps. `None` where that cannot be seen:
    /// of several tokens that came in one chunk nobody knows how far they were apart.
    #[must_use]
    pub fn kept(&self, sample: &Sample) -> Option<bool> {
        let within =
            |value: Option<f64>, limit: Option<f64>| limit.is_none_or(|limit| value.is_none_or(|ms| ms <= limit));
        let ms = |time: Option<Duration>| time.map(millis);
        let is_met = sample.is_good()
            && within(ms(sample.ttft_intended()), self.ttft_ms)
            && within(ms(sample.e2e_intended()), self.e2e_ms)
            && within(sample.tpot_ms(), self.tpot_ms)
            && within(ms(sample.longest_gap), self.gap_max_ms);
        let is_asked = self.tpot_ms.is_some() || self.gap_max_ms.is_some();
        let is_unseen = sample.n_chunks == 1 && sample.output.is_some_and(|(n, _)| n > 1);
        if is_met && is_asked && is_unseen { None } else { Some(is_met) }
    }

    /// Whether one request is seen to have kept to all of it.
    #[must_use]
    pub fn is_met(&self, sample: &Sample) -> bool {
        self.kept(sample) == Some(true)
    }

    /// Judges so many of so many.
    #[must_use]
    pub fn judge(&self, attained: &Attained) -> Verdict {
        let Some((low, _)) = attained.interval() else { return Verdict::Undecided };
        // What was not seen is no pass, and it is no failure.
        let most = wilson(attained.n_met + attained.n_unseen, attained.n, Z).map_or(1.0, |(_, high)| high);
        if low >= self.share {
            Verdict::Pass
        } else if most < self.share {
            Verdict::Fail
        } else {
            Verdict::Undecided
        }
    }

    /// What `attained` in `seconds` shows, against what it is held, and where that is neither how long the same load has to last to show it, as it looks.
    #[must_use]
    pub fn standing(&self, attained: &Attained, seconds: f64) -> Option<String> {
        let (low, high) = attained.interval()?;
        let Attained { n_met, n, .. } = *attained;
        let asked = (self.share * 1e4).round() / 1e2;
        let seen = format!(
            "{n_met} of {n} kept to it, {:.1} to {:.1} % (95 % interval), held against {asked} %",
            100.0 * low,
            100.0 * high
        );
        Some(match self.judge(attained) {
            Verdict::Pass => format!("{seen}: the interval is at or above it"),
            Verdict::Fail => format!("{seen}: the interval is below it"),
            Verdict::Undecided => {
                let longer = match self.needed(attained) {
                    Some((needed, verdict)) => {
                        let seconds = (seconds * needed as f64 / n as f64 * 1.1).ceil();
                        format!(
                            "{needed} requests of which the same share keeps to it show a {}: about `--duration {seconds:.0}s` at this load",
                            verdict.as_str()
                        )
                    }
                    None => {
                        "the share is so near to what is asked for that no duration tells them apart: try another load"
                            .to_owned()
                    }
                };
                format!("{seen}, which lies in it; {longer}")
            }
        })
    }

    /// The fewest requests of the same share that show something, and what.
    fn needed(&self, attained: &Attained) -> Option<(u64, Verdict)> {
        let share = attained.share()?;
        let of = |n: u64| {
            let n_met = crate::clock::whole((share * n as f64).round());
            self.judge(&Attained { n_met, n_unseen: 0, n })
        };
        let is_shown = |n: u64| of(n) != Verdict::Undecided;
        let mut upper = attained.n.max(1);
        while !is_shown(upper) {
            upper = upper.checked_mul(2).filter(|n| *n < 1 << 24)?;
        }
        let mut lower = attained.n;
        while upper - lower > 1 {
            let middle = lower.midpoint(upper);
            if is_shown(middle) { upper = middle } else { lower = middle }
        }
        Some((upper, of(upper)))
    }

    /// The fewest requests of which this share can be shown: all of them good.
    #[must_use]
    pub fn fewest(&self) -> u64 {
        // The lower bound of n of n is n / (n + z²).
        crate::clock::whole((self.share * Z * Z / (1.0 - self.share).max(1e-9)).ceil())
    }

    /// Its limits in milliseconds, each with the id of what it limits.
    fn limits(&self) -> impl Iterator<Item = (&'static str, f64)> {
        [
            (definition::TTFT_INTENDED, self.ttft_ms),
            (definition::E2E_INTENDED, self.e2e_ms),
            (definition::TPOT, self.tpot_ms),
            (definition::GAP_MAX, self.gap_max_ms),
        ]
        .into_iter()
        .filter_map(|(id, limit)| Some((id, limit?)))
    }

    /// The smallest of its limits, with the id of what it limits.
    #[must_use]
    pub fn smallest(&self) -> Option<(&'static str, f64)> {
        self.limits().min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// It in words.
    #[must_use]
    pub fn words(&self) -> String {
        let parts: Vec<String> = self.limits().map(|(id, limit)| format!("{id} <= {limit} ms")).collect();
        let limits = if parts.is_empty() { "a whole answer".to_owned() } else { parts.join(" and ") };
        format!("{limits} for {} % of requests", (self.share * 1e4).round() / 1e2)
    }
}

/// What the evidence says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The objective is met: shown.
    Pass,
    /// It is not met: shown.
    Fail,
    /// Neither is shown.
    Undecided,
}

impl Verdict {
    /// The word in results.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Undecided => "undecided",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_none(n: &u64) -> bool {
    *n == 0
}

/// So many of so many met the objective.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attained {
    /// Requests that met it.
    pub n_met: u64,
    /// Requests of which that cannot be seen; they are not among those that met it.
    #[serde(default, skip_serializing_if = "is_none")]
    pub n_unseen: u64,
    /// All requests.
    pub n: u64,
}

impl Attained {
    /// Counts them.
    pub fn of<'s>(slo: &Slo, samples: impl Iterator<Item = &'s Sample>) -> Attained {
        samples.fold(Attained::default(), |so_far, sample| Attained {
            n_met: so_far.n_met + u64::from(slo.is_met(sample)),
            n_unseen: so_far.n_unseen + u64::from(slo.kept(sample).is_none()),
            n: so_far.n + 1,
        })
    }

    /// The share; `None` of none.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        (self.n > 0).then(|| self.n_met as f64 / self.n as f64)
    }

    /// Wilson's 95 % interval of it; `None` of none.
    #[must_use]
    pub fn interval(&self) -> Option<(f64, f64)> {
        wilson(self.n_met, self.n, Z)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Outcome, TokenSource};

    const SLO: Slo = Slo { ttft_ms: Some(100.0), e2e_ms: None, tpot_ms: None, gap_max_ms: None, share: 0.95 };

    fn check(n_met: u64, n: u64, expected: Verdict) {
        assert_eq!(SLO.judge(&Attained { n_met, n, n_unseen: 0 }), expected, "{n_met} of {n}");
    }

    #[test]
    fn a_share_is_shown_or_it_is_undecided() {
        check(0, 0, Verdict::Undecided);
        check(72, 72, Verdict::Undecided);
        check(73, 73, Verdict::Pass);
        check(950, 1000, Verdict::Undecided);
        check(970, 1000, Verdict::Pass);
        check(930, 1000, Verdict::Fail);
        assert_eq!(SLO.fewest(), 73);
    }

    #[test]
    fn what_is_undecided_says_its_interval_and_how_long_would_tell() {
        let said = SLO.standing(&Attained { n_met: 41, n: 41, n_unseen: 0 }, 20.0).unwrap();
        assert!(said.starts_with("41 of 41 kept to it, 91.4 to 100.0 % (95 % interval), held against 95 %"), "{said}");
        assert!(
            said.contains("73 requests") && said.contains("show a pass") && said.contains("--duration 40s"),
            "{said}"
        );
        let worse = SLO.standing(&Attained { n_met: 36, n: 40, n_unseen: 0 }, 10.0).unwrap();
        assert!(worse.contains("show a fail"), "{worse}");
        let near = SLO.standing(&Attained { n_met: 950, n: 1000, n_unseen: 0 }, 10.0).unwrap();
        assert!(near.contains("no duration tells them apart"), "{near}");
        let held = SLO.standing(&Attained { n_met: 970, n: 1000, n_unseen: 0 }, 10.0).unwrap();
        assert!(held.ends_with("the interval is at or above it"), "{held}");
    }

    #[test]
    fn a_failure_met_nothing_however_early_it_came() {
        let ms = Duration::from_millis;
        let mut sample = Sample::begun(0, 0, (ms(0), ms(0)));
        sample.first = Some(ms(99));
        sample.outcome = Outcome::Truncated;
        assert!(!SLO.is_met(&sample));
        sample.outcome = Outcome::Good;
        assert!(SLO.is_met(&sample));
        // Counted from when it was due, not from when it was sent.
        (sample.started, sample.sent, sample.first) = (ms(50), Some(ms(50)), Some(ms(101)));
        assert!(!SLO.is_met(&sample));
        assert_eq!(SLO.words(), "ttft.intended <= 100 ms for 95 % of requests");
    }
    #[test]
    fn tokens_of_one_chunk_are_no_proof_of_their_pace() {
        let ms = Duration::from_millis;
        let slo = Slo { tpot_ms: Some(20.0), ..SLO };
        let mut sample = Sample::begun(0, 0, (ms(0), ms(0)));
        (sample.outcome, sample.n_chunks) = (Outcome::Good, 1);
        (sample.first, sample.last) = (Some(ms(50)), Some(ms(50)));
        sample.output = Some((8, TokenSource::Usage));
        assert_eq!((slo.kept(&sample), SLO.kept(&sample)), (None, Some(true)), "only where the pace is asked for");
        let all = Attained::of(&slo, [sample; 200].iter());
        assert_eq!((all.n_met, all.n_unseen, slo.judge(&all)), (0, 200, Verdict::Undecided));
        // One token has no pace, and one that was late has failed whatever its pace was.
        sample.output = Some((1, TokenSource::Usage));
        assert_eq!(slo.kept(&sample), Some(true));
        (sample.output, sample.first) = (Some((8, TokenSource::Usage)), Some(ms(101)));
        assert_eq!(slo.kept(&sample), Some(false));
    }
}
