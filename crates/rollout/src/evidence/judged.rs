//! What checks or a judge say of both answers of a pair. It comes after the pair itself, which was counted when both answers had ended:
//! this counts neither the pair nor its coverage again, and one more metric of it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Evidence;
use crate::Timestamp;
use crate::assign::Arm;
use crate::breach::Breach;
use crate::metric::{Metric, MetricSet};
use crate::policy::Stage;
use crate::seen::Marks;

/// What the same definition said of both answers to one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgedPair {
    /// The unit's position on the interval, or any other hash of its key.
    pub unit: u64,
    /// When the request was admitted; one admitted before the epoch began is ignored.
    pub admitted_at: Timestamp,
    /// When this became known.
    pub at: Timestamp,
    /// The baseline's answer was found wanting.
    pub baseline_bad: bool,
    /// The candidate's answer was.
    pub candidate_bad: bool,
    /// What kind of request it is.
    pub stratum: Cow<'static, str>,
}

impl Evidence {
    /// Counts what was said of a pair. Of a unit the first pair counts for the gate, and the first of which only one side was bad for the
    /// guard. Returns the breach if this completes the first one of the epoch.
    pub fn observe_judged(&mut self, pair: &JudgedPair) -> Option<Breach> {
        if pair.admitted_at < self.started || self.stage != Stage::Shadow {
            return None;
        }
        self.last_at = self.last_at.max(pair.at);
        let judged = MetricSet::of(&[Metric::Judged]);
        let of = |bad: bool| if bad { judged } else { MetricSet::EMPTY };
        let bad @ [baseline_bad, candidate_bad] = [of(pair.baseline_bad), of(pair.candidate_bad)];
        // The baseline's answer is judged here alone: what was counted with its request does not say what it is worth.
        self.arms[Arm::Baseline.idx()].count(judged, baseline_bad, None, None);
        self.arms[Arm::Candidate.idx()].count(judged, candidate_bad, None, None);
        let discordant = baseline_bad.xor(candidate_bad).and(self.guards.watched());
        let new = self.mark(pair.unit, Marks::bad(discordant).and_gates(judged));
        self.weigh(new, bad, &pair.stratum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asked::Asked;
    use crate::comparison::Compared;
    use crate::evidence::Carry;
    use crate::explain::Verdict;
    use crate::policy::{GatePolicy, Policy, Risk};

    fn pair(unit: u64, baseline_bad: bool, candidate_bad: bool) -> JudgedPair {
        let (admitted_at, at) = (Timestamp(1_000 + unit), Timestamp(2_000 + unit));
        JudgedPair { unit, admitted_at, at, baseline_bad, candidate_bad, stratum: "0k/-/whole".into() }
    }

    fn shadow() -> (Policy, Evidence) {
        let mut policy = Policy::template(Risk::Medium);
        policy.gates = vec![GatePolicy { metric: Metric::Judged, margin: 0.05, alpha: None }];
        let evidence = Evidence::new(&policy, 1, 0, &Carry::none(), Timestamp(1_000));
        (policy, evidence)
    }

    fn verdict(policy: &Policy, evidence: &Evidence) -> Verdict {
        crate::explain::gates(policy, evidence)[0].verdict
    }

    #[test]
    fn good_pairs_move_the_gate_from_undecided_to_pass_and_are_no_pairs_of_their_own() {
        let (policy, mut evidence) = shadow();
        assert_eq!(verdict(&policy, &evidence), Verdict::Undecided);
        for unit in 0..400 {
            assert_eq!(evidence.observe_judged(&pair(unit, false, false)), None);
        }
        assert_eq!(verdict(&policy, &evidence), Verdict::Pass);
        assert_eq!((evidence.n_pairs(), evidence.coverage().complete), (0, 0), "the pair itself is counted elsewhere");
        assert_eq!([Arm::Baseline, Arm::Candidate].map(|arm| evidence.arm(arm).tally(Metric::Judged).n), [400, 400]);
    }

    #[test]
    fn a_gate_that_has_passed_is_withheld_while_too_many_verdicts_cannot_be_read() {
        let (policy, mut evidence) = shadow();
        let asked = |questions, unread| Compared {
            asked: Some(Asked { pairs: 1, questions, unread, ..Asked::default() }),
            ..Compared::default()
        };
        for unit in 0..400 {
            evidence.observe_comparison(&asked(2, u64::from(unit < 9)));
            evidence.observe_judged(&pair(unit, false, false));
        }
        assert_eq!(verdict(&policy, &evidence), Verdict::Undecided, "9 of 800");
        let missing = crate::explain::gates(&policy, &evidence)[0].missing.clone();
        assert!(missing.contains("9 of 800 questions to the judge have no verdict"), "{missing}");
        evidence.observe_comparison(&asked(100, 0));
        assert_eq!(verdict(&policy, &evidence), Verdict::Pass, "9 of 900");
        let untrusted = Asked { pairs: 1, untrusted: 1, ..Asked::default() };
        evidence.observe_comparison(&Compared { asked: Some(untrusted), ..Compared::default() });
        let missing = crate::explain::gates(&policy, &evidence)[0].missing.clone();
        assert!(missing.contains("decides nothing"), "{missing}");
    }

    #[test]
    fn losses_that_only_the_candidate_has_are_a_breach_and_those_of_both_are_none() {
        let (_, mut evidence) = shadow();
        assert!((0..200).all(|unit| evidence.observe_judged(&pair(unit, true, true)).is_none()));
        let breach = (200..300).find_map(|unit| evidence.observe_judged(&pair(unit, false, true))).unwrap();
        assert_eq!((breach.metric, breach.bad_baseline), (Some(Metric::Judged), 0));
        let (_, mut evidence) = shadow();
        let turns = (0..400).map(|unit| pair(unit, unit % 2 == 0, unit % 2 == 1));
        assert!(turns.into_iter().all(|pair| evidence.observe_judged(&pair).is_none()), "as often the baseline's");
    }

    #[test]
    fn a_unit_counts_once_and_what_came_before_the_epoch_does_not() {
        let (_, mut evidence) = shadow();
        for _ in 0..5 {
            evidence.observe_judged(&pair(7, false, true));
        }
        evidence.observe_judged(&JudgedPair { admitted_at: Timestamp(999), ..pair(8, false, true) });
        assert_eq!(evidence.gates()[0].paired.n(), 1);
        assert_eq!(evidence.arm(Arm::Candidate).tally(Metric::Judged).n, 5, "every answer is in the rates");
    }

    #[test]
    fn nothing_is_asked_of_judges_once_callers_are_served() {
        let (policy, _) = shadow();
        let mut evidence = Evidence::new(&policy, 2, 1, &Carry::none(), Timestamp(1_000));
        assert!(evidence.gates().is_empty());
        assert_eq!(evidence.observe_judged(&pair(1, false, true)), None);
        assert_eq!(evidence.arm(Arm::Candidate).tally(Metric::Judged).n, 0);
    }
}
