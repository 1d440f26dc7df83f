//! What the gates of one epoch have counted, and what it proves.

use serde::{Deserialize, Serialize};
use stats::{PairedDifference, UnpairedDifference};

use crate::metric::Metric;
use crate::policy::{CertificatePolicy, GatePolicy, Stage};

/// Is the candidate's bad rate not higher by the margin?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GateEvidence {
    pub(crate) metric: Metric,
    pub(crate) margin: f64,
    pub(crate) paired: PairedDifference,
    pub(crate) unpaired: UnpairedDifference,
    #[serde(default)]
    pub(crate) alpha: Option<f64>,
}

impl GateEvidence {
    pub(crate) fn new(policy: &GatePolicy, share: f64, rate: f64) -> Self {
        Self {
            metric: policy.metric,
            margin: policy.margin,
            paired: PairedDifference::default(),
            unpaired: UnpairedDifference::new(share, rate),
            alpha: policy.alpha,
        }
    }

    /// `ln E`, pairs or units counted, the estimate and its upper bound, for the stage the evidence belongs to.
    pub(crate) fn reading(&self, stage: Stage, alpha: f64) -> GateReading {
        if stage == Stage::Shadow {
            GateReading {
                log_e: self.paired.log_e(self.margin),
                n: self.n(stage),
                estimate: self.paired.estimate(),
                upper_bound: self.paired.upper_bound(alpha),
            }
        } else {
            GateReading {
                log_e: self.unpaired.log_e(self.margin),
                n: self.n(stage),
                estimate: self.unpaired.estimate(),
                upper_bound: self.unpaired.upper_bound(alpha),
            }
        }
    }

    /// Pairs or units counted.
    pub(crate) fn n(&self, stage: Stage) -> u64 {
        if stage == Stage::Shadow { self.paired.n() } else { self.unpaired.candidate().0 + self.unpaired.baseline().0 }
    }

    /// `ln E` alone.
    pub(crate) fn log_e(&self, stage: Stage) -> f64 {
        if stage == Stage::Shadow { self.paired.log_e(self.margin) } else { self.unpaired.log_e(self.margin) }
    }
}

/// What a gate says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct GateReading {
    pub(crate) log_e: f64,
    pub(crate) n: u64,
    pub(crate) estimate: Option<f64>,
    pub(crate) upper_bound: Option<f64>,
}

/// Is the candidate's bad rate below the limit? By the first outcome of each unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CertificateEvidence {
    pub(crate) metric: Metric,
    pub(crate) limit: f64,
    pub(crate) alpha: Option<f64>,
    pub(crate) n_good: u64,
    pub(crate) n_bad: u64,
}

impl CertificateEvidence {
    pub(crate) fn new(policy: &CertificatePolicy) -> Self {
        let CertificatePolicy { metric, limit, alpha } = *policy;
        Self { metric, limit, alpha, n_good: 0, n_bad: 0 }
    }

    pub(crate) fn count(&mut self, bad: bool) {
        if bad {
            self.n_bad += 1;
        } else {
            self.n_good += 1;
        }
    }

    pub(crate) fn log_e(&self) -> f64 {
        stats::absolute::certificate_log_e(self.limit, self.n_good, self.n_bad)
    }

    pub(crate) fn n(&self) -> u64 {
        self.n_good + self.n_bad
    }
}
