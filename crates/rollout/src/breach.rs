//! Why a candidate is thrown back.

use serde::{Deserialize, Serialize};

use crate::metric::Metric;

/// What kind of proof it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreachCause {
    /// Worse than the baseline.
    Relative,
    /// Above the absolute limit.
    Absolute,
    /// Its circuit breaker opened.
    BreakerOpen,
    /// Decisions can no longer be written down.
    ControlPlaneLost,
    /// Dearer than the baseline.
    Cost,
    /// Units are not split as the share says: the evidence is not valid.
    SampleRatio,
}

impl BreachCause {
    /// The word used in config, records and pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Relative => "relative",
            Self::Absolute => "absolute",
            Self::BreakerOpen => "breaker_open",
            Self::ControlPlaneLost => "control_plane_lost",
            Self::Cost => "cost",
            Self::SampleRatio => "sample_ratio",
        }
    }
}

/// What a guard does when it has its proof.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The share goes to 0 at once.
    #[default]
    Rollback,
    /// The share stays, nothing is promoted any more, and a person looks at it.
    Pause,
}

/// What an alarm was about: a person who lets the rollout go on after it has seen it, and it is not raised again in the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// What kind of proof it was.
    pub cause: BreachCause,
    /// The metric, if it is of one.
    pub metric: Option<Metric>,
}

/// The proof that stops a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Breach {
    /// What kind of proof it was.
    pub cause: BreachCause,
    /// The metric that contributed most.
    pub metric: Option<Metric>,
    /// The e-value reached; 0 where none applies.
    pub e_value: f64,
    /// The e-value that was enough.
    pub threshold: f64,
    /// Bad events of the candidate that were counted, first per unit.
    pub bad_candidate: u64,
    /// Bad events of the baseline that were counted, first per unit.
    pub bad_baseline: u64,
    /// Requests or pairs the candidate answered in this epoch.
    pub n_candidate: u64,
    /// Requests or pairs the baseline answered in this epoch.
    pub n_baseline: u64,
    /// The candidate's share while it was counted.
    pub share: f64,
}

impl Breach {
    /// The candidate's circuit breaker opened: a trigger by itself.
    #[must_use]
    pub fn breaker_opened() -> Self {
        Self::without_numbers(BreachCause::BreakerOpen)
    }

    /// The store could not be written for too long.
    #[must_use]
    pub fn control_plane_lost() -> Self {
        Self::without_numbers(BreachCause::ControlPlaneLost)
    }

    /// What it is about.
    #[must_use]
    pub fn alarm(&self) -> Alarm {
        Alarm { cause: self.cause, metric: self.metric }
    }

    /// One sentence for an audit row.
    #[must_use]
    pub fn words(&self) -> String {
        let metric = self.metric.map_or("", Metric::rate_name);
        match self.cause {
            BreachCause::Relative => format!(
                "{metric} of the candidate is higher: seen by {} units in {} requests, against {} in {} on the baseline{} (all \
                 relative guards together: e-value {}, {} needed)",
                self.bad_candidate,
                self.n_candidate,
                self.bad_baseline,
                self.n_baseline,
                // Of copies, and of what came in after it went back, there is none.
                if self.share > 0.0 { format!(", at a share of {}", percent(self.share)) } else { String::new() },
                rounded(self.e_value),
                rounded(self.threshold),
            ),
            BreachCause::Absolute => format!(
                "{metric} of the candidate is above its limit: seen by {} units in {} requests, close together (the guard of that limit: e-value {}, {} \
                 needed)",
                self.bad_candidate,
                self.n_candidate,
                rounded(self.e_value),
                rounded(self.threshold),
            ),
            BreachCause::BreakerOpen => "the candidate's circuit breaker opened".to_owned(),
            BreachCause::ControlPlaneLost => "decisions could not be written down for too long".to_owned(),
            BreachCause::Cost => format!(
                "the candidate costs more per request than the baseline by more than is allowed, over {} priced units against {} (e-value \
                 {}, {} needed)",
                self.n_candidate,
                self.n_baseline,
                rounded(self.e_value),
                rounded(self.threshold),
            ),
            BreachCause::SampleRatio => format!(
                "units are not split as the share of {} says: {} on the candidate, {} on the baseline (e-value {}, {} needed); the \
                 evidence is not valid",
                percent(self.share),
                self.n_candidate,
                self.n_baseline,
                rounded(self.e_value),
                rounded(self.threshold),
            ),
        }
    }

    pub(crate) fn without_numbers(cause: BreachCause) -> Self {
        Self {
            cause,
            metric: None,
            e_value: 0.0,
            threshold: 0.0,
            bad_candidate: 0,
            bad_baseline: 0,
            n_candidate: 0,
            n_baseline: 0,
            share: 0.0,
        }
    }
}

/// A fraction as a percentage, without noise digits.
pub(crate) fn percent(fraction: f64) -> String {
    let text = format!("{:.2}", fraction * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A number for a sentence: two digits below 100, none above.
pub(crate) fn rounded(value: f64) -> String {
    if value.abs() < 100.0 {
        format!("{value:.2}")
    } else if value.abs() < 1e7 {
        format!("{value:.0}")
    } else {
        format!("{value:.1e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_what_was_seen() {
        let breach = Breach {
            metric: Some(Metric::Error),
            e_value: 1234.5,
            threshold: 1000.0,
            bad_candidate: 12,
            bad_baseline: 30,
            n_candidate: 480,
            n_baseline: 4500,
            share: 0.1,
            ..Breach::without_numbers(BreachCause::Relative)
        };
        assert_eq!(
            breach.words(),
            "error rate of the candidate is higher: seen by 12 units in 480 requests, against 30 in 4500 on the baseline, at a \
             share of 10 % (all relative guards together: e-value 1234, 1000 needed)"
        );
        assert_eq!(percent(0.0125), "1.25 %");
        assert_eq!(rounded(0.5), "0.50");
    }
}
