//! What an encoder comes to over a whole run, for reports.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Encoder, texts};
use crate::results::Results;
use crate::run::Answered;

/// What became of the items that an encoder is asked.
#[derive(Debug)]
pub(crate) struct Encoding {
    encoder: Encoder,
    pub(super) n_items: u64,
    pub(super) spent_nanos: u64,
    n_asked: u64,
    n_failed: u64,
    n_withheld: u64,
    n_reused: u64,
    n_calls: u64,
    n_unpriced: u64,
    simulated: bool,
    failures: BTreeMap<String, u64>,
}

/// The encoder of a run, by itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EncoderReport {
    /// Its id.
    pub id: String,
    /// The target, where it is one.
    pub target: Option<String>,
    /// Whether its vectors are made up.
    pub simulated: bool,
    /// Whether it has been asked everything.
    pub whole: bool,
    /// Cases that have texts.
    pub n_items: u64,
    /// Of these, asked.
    pub n_asked: u64,
    /// Of these, without vectors because the calls failed: their answers are unscored.
    pub n_failed: u64,
    /// Of these, not asked because the case may not go there.
    pub n_withheld: u64,
    /// Of these, taken over from earlier calls.
    pub n_reused: u64,
    /// Failures by kind.
    pub failures: BTreeMap<String, u64>,
    /// Calls that were made for this run, those that were made again included.
    pub n_calls: u64,
    /// What these cost, in dollars, apart from what the answers cost.
    pub cost: f64,
    /// Items whose cost is not known.
    pub n_unpriced: u64,
}

impl Encoding {
    pub(super) fn new(encoder: &Encoder, results: &Results) -> Encoding {
        let n_items = (0..results.cases.len()).filter(|idx| !texts(results, *idx).all.is_empty()).count();
        Encoding {
            simulated: encoder.planned().simulated,
            encoder: encoder.clone(),
            n_items: n_items as u64,
            spent_nanos: 0,
            n_asked: 0,
            n_failed: 0,
            n_withheld: 0,
            n_reused: 0,
            n_calls: 0,
            n_unpriced: 0,
            failures: BTreeMap::new(),
        }
    }

    pub(super) fn count(&mut self, answered: &Answered, reused: bool) {
        self.n_asked += 1;
        self.n_withheld += u64::from(answered.withheld.is_some());
        self.n_reused += u64::from(reused);
        self.n_calls += if reused { 0 } else { u64::from(answered.attempts) };
        self.n_unpriced += u64::from(answered.cost_nanos.is_none());
        self.simulated |= answered.simulated;
        if let Some(failure) = &answered.failure {
            self.n_failed += 1;
            let kind = failure.split([':', ' ']).next().unwrap_or_default();
            *self.failures.entry(kind.to_owned()).or_default() += 1;
        }
    }

    /// For a report.
    pub(crate) fn report(&self, results: &Results) -> EncoderReport {
        let target = match &self.encoder {
            Encoder::Target(target) => Some(target.name.clone()),
            Encoder::Here(_) => None,
        };
        EncoderReport {
            id: self.encoder.id(),
            target,
            simulated: self.simulated,
            whole: results.is_whole() && self.n_asked == self.n_items,
            n_items: self.n_items,
            n_asked: self.n_asked,
            n_failed: self.n_failed,
            n_withheld: self.n_withheld,
            n_reused: self.n_reused,
            failures: self.failures.clone(),
            n_calls: self.n_calls,
            cost: self.spent_nanos as f64 * 1e-9,
            n_unpriced: self.n_unpriced,
        }
    }
}

impl EncoderReport {
    /// What it comes to, in a line.
    #[must_use]
    pub fn line(&self) -> String {
        let by = self.target.as_ref().map_or_else(|| "this process".to_owned(), |name| format!("`{name}`"));
        let kinds: Vec<String> = self.failures.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
        let withheld = match self.n_withheld {
            0 => String::new(),
            n => format!(", {n} not asked because the cases may not leave the house"),
        };
        let unpriced =
            if self.n_unpriced > 0 { format!(", {} of unknown cost", self.n_unpriced) } else { String::new() };
        format!(
            "encoder {} by {by}: {} of {} cases asked, {} without vectors{kinds}{withheld}; {} calls, {} reused, {:.6} dollars{unpriced}",
            self.id, self.n_asked, self.n_items, self.n_failed, self.n_calls, self.n_reused, self.cost
        )
    }
}
