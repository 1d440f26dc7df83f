//! What a report is asked: of which moves from a baseline to a candidate, and what each of the five areas demands.

use serde::{Deserialize, Serialize};

use crate::canonical::Real;

/// Everything but the evidence that a report depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The version that made it.
    pub version: String,
    /// When, Unix microseconds: evidence ages until then.
    pub at_us: u64,
    /// Hash of the config.
    pub config_hash: String,
    /// Decides what bootstraps and studies of costs draw.
    pub seed: u64,
    /// Draws of studies of costs.
    pub draws: u32,
    /// What the areas demand.
    pub scorecard: Scorecard,
    /// What might move.
    pub moves: Vec<Move>,
    /// Studies of costs, in the order of their files.
    pub worksheets: Vec<Worksheet>,
    /// What is to be known of the rows: what was cut, what was not there.
    pub notes: Vec<String>,
    /// Workloads or routes that files of business outcomes are of, in their order; `None` where nobody said.
    #[serde(default)]
    pub outcomes_of: Vec<Option<String>>,
    /// Whether a running gateway answered that it serves another config than the one that was read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unserved: bool,
    /// Demands of the command line instead of the config's.
    #[serde(default)]
    pub set: Vec<Demanded>,
}

/// A demand of the command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demanded {
    /// As it was written: `throughput.required=false`.
    pub text: String,
    /// Whether less is demanded with it than before.
    pub is_looser: bool,
}

/// What the five areas demand. Everything in it is a default that the config can change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scorecard {
    /// Evidence that is older says nothing, in days.
    pub max_age_days: u32,
    /// Task quality.
    pub quality: QualityDemand,
    /// Latency.
    pub latency: LatencyDemand,
    /// Throughput.
    pub throughput: ThroughputDemand,
    /// Safety.
    pub safety: SafetyDemand,
    /// What a successful task costs.
    pub tco: TcoDemand,
}

/// How much of the baseline's quality is to be kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QualityDemand {
    /// Whether nothing moves without it.
    pub required: bool,
    /// The share: 0.9 is "90 % parity".
    pub parity: Real,
}

/// How fast answers are to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatencyDemand {
    /// Whether nothing moves without it.
    pub required: bool,
    /// 19 in 20 are to be faster, milliseconds.
    pub p95_ms: u64,
    /// What is meant.
    pub of: LatencyOf,
}

/// Which time is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatencyOf {
    /// From the request to the last byte.
    Total,
    /// From the request to the first token.
    FirstToken,
}

impl LatencyOf {
    /// The word in the config.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            LatencyOf::Total => "total",
            LatencyOf::FirstToken => "first_token",
        }
    }

    pub(crate) const fn words(self) -> &'static str {
        match self {
            LatencyOf::Total => "whole answer",
            LatencyOf::FirstToken => "first token",
        }
    }
}

/// How much load is to be held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThroughputDemand {
    /// Whether nothing moves without it.
    pub required: bool,
    /// Beyond the target load, as a share of it.
    pub headroom: Real,
}

/// What is to be shown of safety.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SafetyDemand {
    /// Whether nothing moves without it.
    pub required: bool,
    /// Names of results filed for a rollout that speak of safety.
    pub filed: Vec<String>,
}

/// What is to be saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TcoDemand {
    /// Whether nothing moves without it.
    pub required: bool,
    /// As a share of what a successful task costs at the baseline.
    pub saving: Real,
    /// How sure of it.
    pub certainty: Real,
}

impl Scorecard {
    /// Whether anything of it asks for less than `before`; other names of safety suites, and the first token instead of the whole answer, do.
    #[must_use]
    pub fn is_looser_than(&self, before: &Scorecard) -> bool {
        let required = |card: &Scorecard| {
            let Scorecard { quality, latency, throughput, safety, tco, .. } = card;
            [quality.required, latency.required, throughput.required, safety.required, tco.required]
        };
        let least = |card: &Scorecard| {
            [card.quality.parity.0, card.throughput.headroom.0, card.tco.saving.0, card.tco.certainty.0]
        };
        let most = |card: &Scorecard| [u64::from(card.max_age_days), card.latency.p95_ms];
        required(before).iter().zip(required(self)).any(|(was, is)| *was && !is)
            || least(before).iter().zip(least(self)).any(|(was, is)| is < *was)
            || most(before).iter().zip(most(self)).any(|(was, is)| is > *was)
            || (before.latency.of, self.latency.of) == (LatencyOf::Total, LatencyOf::FirstToken)
            || before.safety.filed != self.safety.filed
    }
}

impl Default for Scorecard {
    fn default() -> Scorecard {
        Scorecard {
            max_age_days: 90,
            quality: QualityDemand { required: true, parity: Real(0.9) },
            latency: LatencyDemand { required: true, p95_ms: 2500, of: LatencyOf::Total },
            throughput: ThroughputDemand { required: true, headroom: Real(0.2) },
            safety: SafetyDemand { required: true, filed: vec!["safety".to_owned(), "redteam".to_owned()] },
            tco: TcoDemand { required: true, saving: Real(0.2), certainty: Real(0.8) },
        }
    }
}

/// A route whose requests might go to another target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Move {
    /// The workload of the route; the route's name where it has none.
    pub workload: String,
    /// The workload's risk.
    pub risk: Option<String>,
    /// The route.
    pub route: String,
    /// The rollout between the two, if the config has one; where it is done, the one that it was done by.
    pub rollout: Option<String>,
    /// Hash of what the evidence of that rollout is about, as the config has it now; `None` where the config has no such rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// That the candidate takes no calls now, where a gateway ran when this was made and said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<Down>,
    /// Whether it is done: the rollout completed, is out of the config, and the route asks the candidate itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub switched: bool,
    /// Whether it was done and is undone: the rollout completed, is out of the config, and the route asks the baseline again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub set_back: bool,
    /// Who answers today.
    pub baseline: TargetFacts,
    /// Who might.
    pub candidate: Option<TargetFacts>,
    /// Who stands in.
    pub fallback: Vec<TargetFacts>,
    /// Requests a second at the peak, where somebody said so; else it is that of the record.
    pub target_load: Option<Real>,
    /// What came in within the age of evidence; `None` where nothing is on record.
    #[serde(default)]
    pub recorded: Option<RecordedLoad>,
}

/// A candidate that takes no calls: its breaker is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Down {
    /// Since when, Unix microseconds.
    pub since_us: u64,
    /// The kind of the last failure before that: `http_500`.
    pub kind: String,
}

/// What came in on a route, as the store counted all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedLoad {
    /// Requests.
    pub requests: u64,
    /// When the first came, Unix microseconds.
    pub first_us: u64,
    /// When the last came.
    pub last_us: u64,
    /// Requests of the busiest minute: of any 60 seconds in a row.
    pub peak_per_minute: u64,
}

/// What the config says of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFacts {
    /// Its name.
    pub name: String,
    /// Its provider's name.
    pub provider: String,
    /// What kind of service that is.
    pub class: String,
    /// Whether what is sent there leaves the house.
    pub external: bool,
    /// Where that is, as the config says.
    pub region: Option<String>,
    /// Its model.
    pub model: String,
    /// Hash of everything that makes its answers.
    pub fingerprint: String,
    /// Whether its answers are made up.
    pub simulated: bool,
}

/// A study of costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worksheet {
    /// Where it came from.
    pub source: String,
    /// The workload or route it is of; `None` where its sides say it.
    pub of: Option<String>,
}

impl Settings {
    /// The file in a bundle of a worksheet.
    pub(crate) fn worksheet_file(idx: usize) -> String {
        format!("rows/tco-{:03}.yaml", idx + 1)
    }

    /// Whether evidence of `at_us` is too old; how old in days.
    pub(crate) fn too_old(&self, at_us: u64) -> Option<u64> {
        let days = self.at_us.saturating_sub(at_us) / 86_400_000_000;
        (days > u64::from(self.scorecard.max_age_days)).then_some(days)
    }
}
