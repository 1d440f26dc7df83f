//! A model as the judge of answers, and how far its word is to be trusted.
//!
//! A judge by **rubric** grades one answer by each criterion of a list; a **pairwise** judge says which of two answers is better, and is asked in both
//! orders. What a judge is asked ([`Rules::question`], [`Rules::pair_question`]) and how its word is read ([`Rules::score`],
//! [`Rules::preference`]) are pure and know nothing of runs: whoever has a case and an answer can use them. A verdict is the whole answer or it is none;
//! what cannot be read is [`NoVerdict`] and counted, never a zero.
//!
//! The questions about a pair of live answers ([`live`]) are the same, asked while the pairs come.
//!
//! In a run, the questions to a judge are a run of their own ([`questions`]), so that its calls are on record, taken over, retried, capped and resumed as any
//! other call is. A judge decides nothing until it agrees with people ([`trust`]).

pub mod length;
pub mod live;
pub mod pairs;
pub(crate) mod prompt;
pub mod questions;
pub(crate) mod reviewed;
pub mod said;
pub mod standing;
pub mod trust;
mod verdict;

use serde::{Deserialize, Serialize};

pub use verdict::NoVerdict;
pub(crate) use verdict::whole;

use crate::case::digest;
use crate::metric::Range;
use crate::run::PlannedTarget;

/// What the questions are called: another wording is another judge.
const PROMPTS: &str = "crossfade-2";

/// Of the questions a judge was asked, this part may lack a verdict that can be read before nothing is decided by the others.
pub const MOST_UNREAD: f64 = 0.01;

/// The normal quantile of 95 % intervals.
const Z: f64 = 1.959_964;

/// A judge of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judge {
    /// Its name: the name of the metric where it grades.
    pub name: String,
    /// Who judges.
    pub target: PlannedTarget,
    /// What it is asked.
    pub rules: Rules,
    /// When its word may decide.
    pub floor: Floor,
}

/// What a judge is asked, apart from who it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// What kind of word it gives.
    pub kind: Kind,
    /// What it goes by; at least one.
    pub criteria: Vec<Criterion>,
    /// Sent as `seed`; decides which order of a pair is asked first, too.
    pub seed: u64,
    /// Sent as `temperature`; not sent where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// How often each question is asked, with the next seed each time: a grade is the mean, a preference what most say, and how often all
    /// say the same is the judge's agreement with itself.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub repeats: u64,
}

const fn once() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_once(repeats: &u64) -> bool {
    *repeats == 1
}

/// What kind of word a judge gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A grade for one answer.
    Rubric(Scale),
    /// Which of two answers is better.
    Pairwise,
}

/// The grades there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// `pass` is worth 1 and `fail` 0.
    PassFail,
    /// Whole numbers from the first to the second; the second is best.
    Points(u32, u32),
}

/// One thing a judge goes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Criterion {
    /// Its name.
    pub name: String,
    /// What it asks of an answer.
    pub text: String,
}

/// How well a judge has to agree with people before its word may decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// Cohen's kappa, at least.
    pub kappa: f64,
    /// On at least so many pairs that people judged.
    pub labelled: u64,
    /// Runs beside this one whose pairs count, where the same judge was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<String>,
    /// Panels of live pairs that people judged and the same judge judged while they came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub panels: Vec<String>,
}

impl Default for Floor {
    fn default() -> Floor {
        Floor { kappa: 0.6, labelled: 50, runs: Vec::new(), panels: Vec::new() }
    }
}

impl Scale {
    /// The values a grade is worth.
    #[must_use]
    pub fn range(self) -> Range {
        match self {
            Scale::PassFail => Range::UNIT,
            Scale::Points(low, high) => Range { low: f64::from(low), high: f64::from(high) },
        }
    }
}

impl Rules {
    /// The kind in a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Rubric(_) => "rubric",
            Kind::Pairwise => "pairwise",
        }
    }

    /// Everything that is asked, in a few letters: the wording, the criteria, the scale, seed and temperature.
    #[must_use]
    pub fn mark(&self) -> String {
        // Strings and numbers always serialise.
        let text = serde_json::to_value(self).map(|value| crate::case::canonical(&value)).unwrap_or_default();
        digest(&[PROMPTS.as_bytes(), prompt::wording().as_bytes(), text.as_bytes()])[..8].to_owned()
    }
}

impl Judge {
    /// The id of the definition: the kind, the wording, what is asked and who is asked. Another model, prompt or scale is another definition.
    #[must_use]
    pub fn id(&self) -> String {
        let who = digest(&[self.target.fingerprint.as_bytes(), self.target.model.as_bytes()]);
        format!("judge.{}@{PROMPTS}:{}-{}", self.rules.kind(), self.rules.mark(), &who[..8])
    }

    /// The definition in a sentence.
    #[must_use]
    pub fn definition(&self) -> String {
        let names: Vec<&str> = self.rules.criteria.iter().map(|criterion| criterion.name.as_str()).collect();
        match self.rules.kind {
            Kind::Rubric(scale) => {
                let Range { low, high } = scale.range();
                format!(
                    "the mean of the grades ({low} to {high}) that the model `{}` gives for {}",
                    self.target.model,
                    names.join(", ")
                )
            }
            Kind::Pairwise => format!(
                "the model `{}` prefers it by {}, asked in both orders; half where the orders disagree",
                self.target.model,
                names.join(", ")
            ),
        }
    }

    /// The scale; `None` for a pairwise judge.
    #[must_use]
    pub fn scale(&self) -> Option<Scale> {
        match self.rules.kind {
            Kind::Rubric(scale) => Some(scale),
            Kind::Pairwise => None,
        }
    }
}
