//! What policies found, by route and check.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use wire::record::{Arm, CheckRecord};

/// One thread's numbers. Locked: only requests of routes with a policy are counted here, and only a reader locks it too.
#[derive(Debug, Default)]
pub(crate) struct Verdicts(Mutex<BTreeMap<VerdictKey, VerdictTotal>>);

/// What verdicts are counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct VerdictKey {
    /// The route.
    pub route: String,
    /// The check.
    pub check: String,
    /// `before` or `after`.
    pub phase: &'static str,
    /// Whose answer: `baseline`, `candidate`, or nothing outside of a rollout and before a call.
    pub arm: &'static str,
    /// Whether it is the answer to a copy.
    pub shadow: bool,
    /// The verdict.
    pub verdict: &'static str,
}

/// How often, and for how long.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct VerdictTotal {
    /// How often.
    pub n: u64,
    /// How often because the check could not be made.
    pub failed: u64,
    /// Microseconds the checks took together.
    pub latency_us: u64,
}

impl Verdicts {
    pub(crate) fn count(&self, route: &str, shadow: bool, checks: &[CheckRecord]) {
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for check in checks {
            let arm = match check.arm {
                Some(Arm::Baseline) => "baseline",
                Some(Arm::Candidate) => "candidate",
                None => "",
            };
            let (route, name) = (route.to_owned(), check.name.clone());
            let key = VerdictKey {
                route,
                check: name,
                phase: check.phase.as_str(),
                arm,
                shadow,
                verdict: check.verdict.as_str(),
            };
            let total = totals.entry(key).or_default();
            total.n += 1;
            total.failed += u64::from(check.failed);
            total.latency_us += check.latency_us;
        }
    }

    pub(crate) fn add_to(&self, all: &mut BTreeMap<VerdictKey, VerdictTotal>) {
        for (key, one) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let total = all.entry(key.clone()).or_default();
            total.n += one.n;
            total.failed += one.failed;
            total.latency_us += one.latency_us;
        }
    }
}
