//! What a run is to do, decided before its first call.

use serde::{Deserialize, Serialize};

use super::score::Spec;
use crate::case::{Case, canonical, digest};
use crate::encode::Encoder;
use crate::entail::Entailer;
use crate::judge::Judge;

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The dataset's name.
    pub dataset: String,
    /// Its version.
    pub version: String,
    /// How many of its cases: the first so many.
    pub n_cases: u64,
    /// Who answers; the first one is the baseline.
    pub targets: Vec<PlannedTarget>,
    /// How often each case is asked.
    pub repeats: u64,
    /// Sent as `seed` with every request: this number and the repeat's added up. No `seed` is sent where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// What answers are measured by.
    pub metrics: Vec<Spec>,
    /// The name of the metric that decides.
    pub primary: String,
    /// How much worse the candidate may be in it, in the metric's own unit.
    pub margin: f64,
    /// Whether answers of earlier runs are taken over where everything they depend on is the same.
    pub reuse: bool,
    /// Whether answers are streamed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    /// Who judges the answers once all are there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judges: Vec<Judge>,
    /// The run whose answers are judged, where this is what a judge is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge_of: Option<String>,
    /// What makes vectors of the texts once all answers are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<Encoder>,
    /// The run whose texts are encoded, where this is what an encoder is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder_of: Option<String>,
    /// Who says what documents entail once all answers are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entailment: Option<Entailer>,
}

/// A target as a plan names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTarget {
    /// Its name in the config.
    pub name: String,
    /// Hash of everything that makes its answers.
    pub fingerprint: String,
    /// The provider's name.
    pub provider: String,
    /// The model as the provider calls it.
    pub model: String,
    /// Whether its answers are made up.
    pub simulated: bool,
}

/// One answer that the run wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Its number, from 0.
    pub number: u64,
    /// Which case.
    pub case_idx: usize,
    /// Which target.
    pub target_idx: usize,
    /// Which time, from 0.
    pub repeat: u64,
}

/// Items in a block that a worker claims.
const BLOCK: u64 = 64;

impl Plan {
    /// The plan of a run beside this one, in which one target is asked about it, once each: it measures and decides nothing itself. Whoever makes it says
    /// whose run it is.
    #[must_use]
    pub(crate) fn beside(&self, target: PlannedTarget, cases: &[Case]) -> Plan {
        let lines: Vec<String> = cases.iter().map(Case::canonical).collect();
        let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
        Plan {
            dataset: self.dataset.clone(),
            version: digest(&lines),
            n_cases: cases.len() as u64,
            targets: vec![target],
            repeats: 1,
            seed: None,
            metrics: Vec::new(),
            primary: String::new(),
            margin: 0.0,
            reuse: self.reuse,
            stream: false,
            judges: Vec::new(),
            judge_of: None,
            encoder: None,
            encoder_of: None,
            entailment: None,
        }
    }

    /// How many answers it wants.
    #[must_use]
    pub fn n_items(&self) -> u64 {
        self.n_cases.saturating_mul(self.targets.len() as u64).saturating_mul(self.repeats)
    }

    /// Items that are claimed together.
    #[must_use]
    pub fn block(&self) -> u64 {
        BLOCK
    }

    /// The item of this number. All answers to a case are next to each other, so that pairs are made close in time.
    #[must_use]
    pub fn item(&self, number: u64) -> Item {
        let n_targets = (self.targets.len() as u64).max(1);
        let (pair, repeat) = (number / self.repeats.max(1), number % self.repeats.max(1));
        let whole = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Item { number, case_idx: whole(pair / n_targets), target_idx: whole(pair % n_targets), repeat }
    }

    /// Whether this target is the first one under another name: same provider, model, prompt and parameters, which its fingerprint is made of.
    #[must_use]
    pub fn is_same_as_baseline(&self, target_idx: usize) -> bool {
        target_idx > 0 && self.is_same(0, target_idx)
    }

    /// How many targets before this one are the same.
    #[must_use]
    pub fn n_same_before(&self, target_idx: usize) -> usize {
        (0..target_idx).filter(|other| self.is_same(*other, target_idx)).count()
    }

    fn is_same(&self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.targets[one], &self.targets[other]);
        one.fingerprint == other.fingerprint && one.provider == other.provider && one.model == other.model
    }

    /// The plan in a few letters: the same plan always has the same.
    #[must_use]
    pub fn mark(&self) -> String {
        // Strings, numbers and lists always serialise.
        let text = serde_json::to_value(self).map(|value| canonical(&value)).unwrap_or_default();
        digest(&[text.as_bytes()])[..8].to_owned()
    }

    /// What another plan has different, in words; nothing when they are the same.
    #[must_use]
    pub fn differences(&self, other: &Plan) -> Vec<&'static str> {
        let mut different = Vec::new();
        let mut note = |is_same: bool, what| {
            if !is_same {
                different.push(what);
            }
        };
        note(self.dataset == other.dataset, "the dataset");
        note(self.version == other.version, "the dataset's version");
        note(self.n_cases == other.n_cases, "the number of cases");
        note(self.targets == other.targets, "the targets, or what they are made of");
        note(self.repeats == other.repeats, "the repeats");
        note(self.seed == other.seed, "the seed");
        note(self.metrics == other.metrics, "the metrics");
        note(
            self.primary == other.primary && self.margin.to_bits() == other.margin.to_bits(),
            "the metric that decides, or its margin",
        );
        note(self.reuse == other.reuse, "whether answers are reused");
        note(self.stream == other.stream, "whether answers are streamed");
        note(self.judges == other.judges && self.judge_of == other.judge_of, "the judges");
        note(self.encoder == other.encoder && self.encoder_of == other.encoder_of, "the encoder");
        note(self.entailment == other.entailment, "who says what is entailed");
        different
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let target = |name: &str| PlannedTarget {
            name: name.to_owned(),
            fingerprint: format!("f-{name}"),
            provider: "p".to_owned(),
            model: "m".to_owned(),
            simulated: false,
        };
        Plan {
            dataset: "d".to_owned(),
            version: "v".to_owned(),
            n_cases: 3,
            targets: vec![target("a"), target("b")],
            repeats: 2,
            seed: None,
            metrics: Vec::new(),
            primary: "contains".to_owned(),
            margin: 0.05,
            reuse: true,
            stream: false,
            judges: Vec::new(),
            judge_of: None,
            encoder: None,
            encoder_of: None,
            entailment: None,
        }
    }

    #[test]
    fn every_number_is_one_case_one_target_and_one_repeat() {
        let plan = plan();
        let items: Vec<Item> = (0..plan.n_items()).map(|number| plan.item(number)).collect();
        let parts: Vec<(usize, usize, u64)> =
            items.iter().map(|item| (item.case_idx, item.target_idx, item.repeat)).collect();
        assert_eq!(&parts[..5], [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0)]);
        let different: std::collections::BTreeSet<_> = parts.iter().collect();
        assert_eq!(different.len(), 12);
    }

    #[test]
    fn a_change_of_a_plan_changes_its_mark_and_is_named() {
        let (one, mut other) = (plan(), plan());
        assert_eq!(one.mark(), other.mark());
        other.targets[1].fingerprint = "g".to_owned();
        assert_ne!(one.mark(), other.mark());
        assert_eq!(one.differences(&other), ["the targets, or what they are made of"]);
    }

    #[test]
    fn a_target_under_another_name_is_the_same() {
        let mut plan = plan();
        assert!(!plan.is_same_as_baseline(1) && !plan.is_same_as_baseline(0));
        plan.targets[1].fingerprint = plan.targets[0].fingerprint.clone();
        assert!(plan.is_same_as_baseline(1) && !plan.is_same_as_baseline(0));
        assert_eq!((plan.n_same_before(0), plan.n_same_before(1)), (0, 1));
    }
}
