//! What one answer to one case is worth, by the field's exact definitions.
//!
//! A [`Metric`] is a definition with an id. The id names whose definition it is and of which version, settings included, and goes
//! wherever a number of it goes: two tools' "F1" are two numbers. A metric reads a [`Case`] and an [`Answer`] and gives a
//! [`Score`]: a value, or the reason why there is none. What has no value is counted ([`Summary`]), never left out of the count.
//!
//! Everything here is pure: no clock, no socket, no file. What needs a model (an embedding, an entailment) takes what the model
//! said as an argument of the case or the answer.
//!
//! Formulas, sources and the parity figures against the reference implementations: `docs/metrics.md`.

pub mod bleu;
pub mod calls;
mod case;
pub mod chrf;
pub mod citations;
pub mod classes;
pub mod code;
pub mod json;
pub mod path;
pub mod porter;
mod python;
pub mod rag;
pub mod ranking;
mod refusal;
mod registry;
pub mod rouge;
pub mod spans;
mod spent;
pub mod squad;
mod text;
pub mod vectors;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use case::{Answer, Call, Case, Document, Judged, Tool, Vectors};
pub use citations::Needs;
pub use registry::{NAMES, UnknownMetric, named, of_suite};

/// One definition, ready to be applied.
#[derive(Clone)]
pub struct Metric {
    /// Stable name of the definition with its settings, as `rouge_l@rouge-score-0.1.2`.
    pub id: String,
    /// The definition in a sentence.
    pub definition: &'static str,
    /// Which way is better.
    pub direction: Direction,
    /// The values it can take.
    pub range: Range,
    /// How the scores of many cases become one number.
    pub pool: Pool,
    /// What a model has to say of an answer before it has a value.
    pub needs: Needs,
    /// Of a metric of classes, its labels where they are given; `None` for any other metric.
    pub classes: Option<Option<Vec<String>>>,
    measure: Arc<Measure>,
}

type Measure = dyn Fn(&Case, &Answer) -> Score + Send + Sync;

/// Computes the number of many cases from their scores, all of which have a value.
pub type Whole = dyn Fn(&[&Score]) -> Option<f64> + Send + Sync;

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// A larger value is a better answer.
    HigherIsBetter,
    /// A smaller value is a better answer.
    LowerIsBetter,
}

/// The values a metric can take, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// The smallest.
    pub low: f64,
    /// The largest; infinite where there is no bound.
    pub high: f64,
}

impl Range {
    /// From 0 to 1.
    pub const UNIT: Range = Range { low: 0.0, high: 1.0 };
    /// From 0 to 100, as the field prints BLEU and chrF.
    pub const PERCENT: Range = Range { low: 0.0, high: 100.0 };
    /// From -1 to 1, as a cosine.
    pub const SIGNED_UNIT: Range = Range { low: -1.0, high: 1.0 };
}

/// How the scores of many cases become one number.
#[derive(Clone)]
pub enum Pool {
    /// The mean of the values of the cases that have one.
    Mean,
    /// Computed from the [`Basis`] of the scores, as a corpus BLEU or a macro F1; `None` when there is nothing to compute from.
    Whole(Arc<Whole>),
}

/// What came of applying a metric to one answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The value or why there is none.
    #[serde(flatten)]
    pub measured: Measured,
    /// What happened, in a word of the metric's own closed list, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Cow<'static, str>>,
    /// What a report shows of it, where there is more to say: the end of what a program wrote, say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What a number over many cases is computed from.
    #[serde(default, skip_serializing_if = "Basis::is_none")]
    pub basis: Basis,
}

/// A value, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// The value, finite and within the metric's range.
    Value(f64),
    /// There is none.
    Unscored(Unscored),
}

/// What a number over many cases is computed from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The value says it all.
    #[default]
    None,
    /// Counts that are added up, in an order the metric knows.
    Counts(Vec<f64>),
    /// The class that was right and the one that was said.
    Classes {
        /// The right one.
        expected: String,
        /// The one that was said; [`classes::UNPARSEABLE`] when the answer names none.
        predicted: String,
    },
}

impl Basis {
    fn is_none(&self) -> bool {
        *self == Basis::None
    }
}

/// Why an answer has no value. Every one of them is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unscored {
    /// There is no answer to score: the call failed, and the runner decided that this is not a bad answer but none.
    NoAnswer,
    /// The case names no reference, label, value or expected call.
    NoReference,
    /// The case has no schema, and neither have the metric's settings.
    NoSchema,
    /// The case has no documents, or none that is relevant.
    NoContext,
    /// What only a model can say (a vector, a claim, an entailment) was not supplied.
    NoJudgement,
    /// The answer makes no claim that could be supported or not.
    NoClaims,
    /// The case contradicts itself or cannot be read.
    MalformedCase,
    /// The schema or the answer goes beyond what is validated; see the room `schema`.
    NotValidated,
    /// The texts are so long that the definition would take too many steps.
    TooLong,
    /// A vector is all zeros or not finite, or two vectors differ in length.
    BadVector,
    /// Nothing is known of it: a call without a price, a provider that does not say why it ended.
    NotKnown,
    /// It was not asked: the case may not go to this target.
    Withheld,
    /// The judge said nothing that can be read as a verdict.
    NoVerdict,
    /// It is code, and there is nothing in which it may be run.
    NoSandbox,
    /// It is code, and a program that the suite runs on it is not there.
    NoTool,
}

impl Unscored {
    /// Every reason.
    pub const ALL: [Unscored; 15] = [
        Unscored::NoAnswer,
        Unscored::NoReference,
        Unscored::NoSchema,
        Unscored::NoContext,
        Unscored::NoJudgement,
        Unscored::NoClaims,
        Unscored::MalformedCase,
        Unscored::NotValidated,
        Unscored::TooLong,
        Unscored::BadVector,
        Unscored::NotKnown,
        Unscored::Withheld,
        Unscored::NoVerdict,
        Unscored::NoSandbox,
        Unscored::NoTool,
    ];

    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Unscored::NoAnswer => "no_answer",
            Unscored::NoReference => "no_reference",
            Unscored::NoSchema => "no_schema",
            Unscored::NoContext => "no_context",
            Unscored::NoJudgement => "no_judgement",
            Unscored::NoClaims => "no_claims",
            Unscored::MalformedCase => "malformed_case",
            Unscored::NotValidated => "not_validated",
            Unscored::TooLong => "too_long",
            Unscored::BadVector => "bad_vector",
            Unscored::NotKnown => "not_known",
            Unscored::Withheld => "withheld",
            Unscored::NoVerdict => "no_verdict",
            Unscored::NoSandbox => "no_sandbox",
            Unscored::NoTool => "no_tool",
        }
    }
}

impl Metric {
    /// A metric of this definition. Whoever makes one gives it an id that no other definition has.
    pub fn new(
        id: impl Into<String>,
        definition: &'static str,
        measure: impl Fn(&Case, &Answer) -> Score + Send + Sync + 'static,
    ) -> Metric {
        Metric {
            id: id.into(),
            definition,
            direction: Direction::HigherIsBetter,
            range: Range::UNIT,
            pool: Pool::Mean,
            needs: Needs::default(),
            classes: None,
            measure: Arc::new(measure),
        }
    }

    /// The same with another range.
    #[must_use]
    pub fn within(self, range: Range) -> Metric {
        Metric { range, ..self }
    }

    /// The same, which needs a model's word.
    #[must_use]
    pub fn needing(self, needs: Needs) -> Metric {
        Metric { needs, ..self }
    }

    /// The same, where less is better.
    #[must_use]
    pub fn lower_is_better(self) -> Metric {
        Metric { direction: Direction::LowerIsBetter, ..self }
    }

    /// The same, whose number over many cases is not the mean.
    #[must_use]
    pub fn pooled(self, whole: impl Fn(&[&Score]) -> Option<f64> + Send + Sync + 'static) -> Metric {
        Metric { pool: Pool::Whole(Arc::new(whole)), ..self }
    }

    /// 1 where the value [reaches](Metric::reaches) the threshold, else 0; the mean of it over cases is the part that does.
    #[must_use]
    pub fn at(self, threshold: f64) -> Metric {
        let id = format!("{}:threshold={threshold}", self.id);
        let definition = "1 when the value of the metric named before the threshold reaches it, else 0";
        let needs = self.needs;
        let reached = Metric::new(id, definition, move |case, answer| {
            let score = self.score(case, answer);
            match score.measured {
                Measured::Value(value) => {
                    Score { outcome: score.outcome, detail: score.detail, ..Score::is(self.reaches(value, threshold)) }
                }
                Measured::Unscored(_) => score,
            }
        });
        reached.needing(needs)
    }

    /// Whether a value is at or above a threshold; where less is better and nothing bounds it (times, costs, edits), at or below it.
    #[must_use]
    pub fn reaches(&self, value: f64, threshold: f64) -> bool {
        if self.is_spent() { value <= threshold } else { value >= threshold }
    }

    /// Whether less is better and nothing bounds it, so that nothing holds without a threshold.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.direction == Direction::LowerIsBetter && !self.range.high.is_finite()
    }

    /// Scores one answer to one case.
    #[must_use]
    pub fn score(&self, case: &Case, answer: &Answer) -> Score {
        (self.measure)(case, answer)
    }

    /// One number over many cases, with the count of those that have none.
    #[must_use]
    pub fn summarise<'s>(&self, scores: impl IntoIterator<Item = &'s Score>) -> Summary {
        let mut summary = Summary { metric: self.id.clone(), ..Summary::default() };
        let mut scored = Vec::new();
        let mut sum = 0.0;
        for score in scores {
            match score.measured {
                Measured::Value(value) => {
                    sum += value;
                    scored.push(score);
                }
                Measured::Unscored(why) => *summary.unscored.entry(why).or_default() += 1,
            }
            if let Some(outcome) = &score.outcome {
                *summary.outcomes.entry(outcome.to_string()).or_default() += 1;
            }
        }
        summary.n_scored = scored.len() as u64;
        summary.value = match &self.pool {
            _ if scored.is_empty() => None,
            Pool::Mean => Some(sum / scored.len() as f64),
            Pool::Whole(whole) => whole(&scored),
        };
        summary
    }
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metric").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Score {
    /// A score that says it all in its value.
    #[must_use]
    pub fn value(value: f64) -> Score {
        Score { measured: Measured::Value(value), outcome: None, detail: None, basis: Basis::None }
    }

    /// 1 for yes and 0 for no.
    #[must_use]
    pub fn is(yes: bool) -> Score {
        Score::value(f64::from(u8::from(yes)))
    }

    /// No value, and why.
    #[must_use]
    pub fn unscored(why: Unscored) -> Score {
        Score { measured: Measured::Unscored(why), outcome: None, detail: None, basis: Basis::None }
    }

    /// The same with a word for what happened.
    #[must_use]
    pub fn with_outcome(self, outcome: &'static str) -> Score {
        Score { outcome: Some(Cow::Borrowed(outcome)), ..self }
    }

    /// The same with what a report shows of it.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Score {
        Score { detail: Some(detail.into()), ..self }
    }

    /// The same with what a number over many cases is computed from.
    #[must_use]
    pub fn with_basis(self, basis: Basis) -> Score {
        Score { basis, ..self }
    }

    /// The value, if there is one.
    #[must_use]
    pub fn as_value(&self) -> Option<f64> {
        match self.measured {
            Measured::Value(value) => Some(value),
            Measured::Unscored(_) => None,
        }
    }
}

/// One number over many cases.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// The id of the definition.
    pub metric: String,
    /// The number; `None` when no case was scored.
    pub value: Option<f64>,
    /// How many cases it is made of.
    pub n_scored: u64,
    /// How many have no value, by reason.
    pub unscored: BTreeMap<Unscored, u64>,
    /// How often each outcome came up, for metrics that name one.
    pub outcomes: BTreeMap<String, u64>,
}

impl Summary {
    /// How many cases have no value.
    #[must_use]
    pub fn n_unscored(&self) -> u64 {
        self.unscored.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_value_is_counted_and_never_part_of_the_mean() {
        let metric = named("exact_match", &serde_json::Value::Null).unwrap();
        let scores = [Score::value(1.0), Score::unscored(Unscored::NoReference), Score::value(0.0)];
        let summary = metric.summarise(&scores);
        assert_eq!((summary.value, summary.n_scored, summary.n_unscored()), (Some(0.5), 2, 1));
        assert_eq!(metric.summarise(&scores[1..2]).value, None);
    }

    #[test]
    fn a_score_is_kept_and_read_again() {
        let scores = [
            Score::value(0.25).with_basis(Basis::Counts(vec![1.0, 4.0])),
            Score::unscored(Unscored::NoSchema),
            Score::value(0.0).with_outcome("abstained"),
            Score::is(true).with_basis(Basis::Classes { expected: "a".into(), predicted: "b".into() }),
        ];
        for score in scores {
            let text = serde_json::to_string(&score).unwrap();
            assert_eq!(serde_json::from_str::<Score>(&text).unwrap(), score, "{text}");
        }
    }

    #[test]
    fn every_reason_has_the_word_it_is_stored_under() {
        for why in Unscored::ALL {
            assert_eq!(serde_json::to_value(why).unwrap(), why.as_str());
        }
    }
}
