//! A model's word on what the documents entail, for the metrics that need one: whether the documents that a statement cites entail it, which claims of an
//! answer the documents support, and whether an answer abstains.
//!
//! What is asked is a run of its own beside the run it is about, as what a judge is asked is: each question is on record, charged, capped, retried, taken
//! over from earlier runs and asked once though the run is killed. A question that comes up twice, of two targets that say the same, say, is asked once. The
//! word is the whole answer or there is none ([`NoVerdict`](crate::judge::NoVerdict)); what cannot be read leaves its answer without a number and is counted.
//!
//! A question holds a statement, or an answer, and documents, and nothing else: not what was asked, which may hold all documents in a prompt, and not
//! which documents the others are. People who say the same of statements and answers (`verdicts` of a case) say how far the model is to be trusted.

pub(crate) mod labels;
mod prompt;
mod questions;
mod said;
mod standing;

use serde::{Deserialize, Serialize};

pub use questions::cases;
pub(crate) use said::{Entailing, score};
pub use standing::{EntailmentReport, KindReport};

use crate::case::{Case, canonical, digest};
use crate::judge::Floor;
use crate::judge::questions::run_name as judge_run_name;
use crate::metric::Needs;
use crate::results::Results;
use crate::run::{Plan, PlannedTarget};

/// What the questions are called: another wording is another judge.
const PROMPTS: &str = "crossfade-1";

/// What no judge of a run that asks for entailment may be called.
pub const NAME: &str = "entailment";

/// Who says what is entailed in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entailer {
    /// Who is asked.
    pub target: PlannedTarget,
    /// Sent as `seed`.
    pub seed: u64,
    /// Sent as `temperature`; not sent where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// When its word may decide.
    pub floor: Floor,
}

/// The kinds of questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Do these documents entail this statement?
    Entailment,
    /// What does this answer claim, and which of it do the documents support?
    Claims,
    /// Does this answer abstain?
    Abstention,
}

impl Kind {
    /// Every one.
    pub const ALL: [Kind; 3] = [Kind::Entailment, Kind::Claims, Kind::Abstention];

    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Entailment => "entailment",
            Kind::Claims => "claims",
            Kind::Abstention => "abstention",
        }
    }

    /// Whether what needs this asks a question of this kind.
    #[must_use]
    pub const fn is_of(self, needs: Needs) -> bool {
        match self {
            Kind::Entailment => needs.entailed,
            Kind::Claims => needs.claims,
            Kind::Abstention => needs.abstained,
        }
    }
}

impl Entailer {
    /// Names the wording and who is asked, in the ids of what is measured by it: numbers of two judges are two numbers.
    #[must_use]
    pub fn id(&self) -> String {
        let knobs = canonical(&serde_json::json!([self.seed, self.temperature]));
        let mark = digest(&[PROMPTS.as_bytes(), prompt::wording().as_bytes(), knobs.as_bytes()]);
        let who = digest(&[self.target.fingerprint.as_bytes(), self.target.model.as_bytes()]);
        format!("entailment@{PROMPTS}:{}-{}", &mark[..8], &who[..8])
    }
}

/// The name of the run that holds what is said of a run.
#[must_use]
pub fn run_name(run: &str) -> String {
    judge_run_name(run, NAME)
}

/// The plan of that run.
#[must_use]
pub fn plan(results: &Results, entailer: &Entailer, cases: &[Case]) -> Plan {
    Plan { judge_of: Some(results.row.run.clone()), ..results.plan.beside(entailer.target.clone(), cases) }
}

#[cfg(test)]
mod tests;
