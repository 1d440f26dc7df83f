//! What a judge of entailment comes to over a whole run, for reports.

use std::collections::BTreeMap;

use serde::Serialize;

use super::said::{Entailing, Said};
use super::{Kind, PROMPTS};
use crate::judge::NoVerdict;
use crate::judge::standing::withheld;
use crate::judge::trust::Trust;
use crate::results::{Results, Yardstick};

/// The judge of entailment of a run, by itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntailmentReport {
    /// Its id, which is part of those of the metrics.
    pub id: String,
    /// The version of the questions.
    pub prompts: &'static str,
    /// The target that is asked.
    pub target: String,
    /// Its model.
    pub model: String,
    /// Whether its word is made up.
    pub simulated: bool,
    /// Whether it has been asked everything.
    pub whole: bool,
    /// Questions there are, each once.
    pub n_questions: u64,
    /// Of these, asked.
    pub n_asked: u64,
    /// Of these, not asked because the case may not go there.
    pub n_withheld: u64,
    /// Of these, taken over from earlier calls.
    pub n_reused: u64,
    /// Calls that were made for this run, those that were made again included.
    pub n_calls: u64,
    /// What these cost, in dollars, apart from what the answers cost.
    pub cost: f64,
    /// Questions whose cost is not known.
    pub n_unpriced: u64,
    /// By the kind of question; those that nothing asks are left out.
    pub kinds: Vec<KindReport>,
}

/// One kind of question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindReport {
    /// Which.
    pub kind: Kind,
    /// What is measured by it.
    pub metrics: Vec<String>,
    /// Questions there are.
    pub n_questions: u64,
    /// Of these, asked; those that may not go there are not counted.
    pub n_asked: u64,
    /// Of these, without a word that can be read, by reason.
    pub unscored: BTreeMap<NoVerdict, u64>,
    /// Why nothing may be decided by it, where too many of the words cannot be read.
    pub withheld: Option<String>,
    /// Whether it agrees with people.
    pub trust: Trust,
}

impl Entailing {
    /// For a report on what is measured by these.
    pub(crate) fn report(&self, results: &Results, yardsticks: &[Yardstick]) -> EntailmentReport {
        let asked = || self.said.iter().flatten();
        let kinds = Kind::ALL.into_iter().filter(|kind| kind.is_of(results.needs()));
        EntailmentReport {
            id: self.entailer.id(),
            prompts: PROMPTS,
            target: self.entailer.target.name.clone(),
            model: self.entailer.target.model.clone(),
            simulated: self.entailer.target.simulated || asked().any(|said| said.simulated),
            whole: results.is_whole() && self.said.iter().all(Option::is_some),
            n_questions: self.said.len() as u64,
            n_asked: asked().count() as u64,
            n_withheld: asked().filter(|said| said.is_withheld).count() as u64,
            n_reused: asked().filter(|said| said.reused).count() as u64,
            n_calls: asked().filter(|said| !said.reused).map(|said| u64::from(said.attempts)).sum(),
            cost: self.spent_nanos as f64 * 1e-9,
            n_unpriced: asked().filter(|said| said.is_unpriced).count() as u64,
            kinds: kinds.map(|kind| self.kind(kind, yardsticks)).collect(),
        }
    }

    fn kind(&self, kind: Kind, yardsticks: &[Yardstick]) -> KindReport {
        let of_kind = || self.kinds.iter().zip(&self.said).filter(move |(of, _)| **of == kind);
        let asked = || of_kind().filter_map(|(_, said)| said.as_ref()).filter(|said| !said.is_withheld);
        let mut unscored: BTreeMap<NoVerdict, u64> = BTreeMap::new();
        for why in asked().filter_map(|Said { word, .. }| word.as_ref().err()) {
            *unscored.entry(*why).or_default() += 1;
        }
        let n_asked = asked().count() as u64;
        let labels = self.labels.get(&kind).cloned().unwrap_or_default();
        let mut trust = labels.trust_in(&self.entailer.floor, "such questions");
        if trust.n_labelled == 0 && trust.n_unscored == 0 {
            trust.why = format!("untested, no verdict of people: {}", trust.why);
        }
        let is_by = |yardstick: &&Yardstick| kind.is_of(yardstick.needs);
        KindReport {
            kind,
            metrics: yardsticks.iter().filter(is_by).map(|yardstick| yardstick.name.clone()).collect(),
            n_questions: of_kind().count() as u64,
            n_asked,
            withheld: withheld(unscored.values().sum(), n_asked),
            unscored,
            trust,
        }
    }
}

impl EntailmentReport {
    /// The kinds of questions that a metric of this name goes by.
    fn of_metric<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r KindReport> {
        self.kinds.iter().filter(move |of| of.metrics.iter().any(|metric| metric == name))
    }

    /// Whether it is withheld, where this metric goes by it, and whether it is not trusted.
    #[must_use]
    pub fn doubt(&self, metric: &str) -> Option<&'static str> {
        match () {
            () if self.of_metric(metric).any(|of| of.withheld.is_some()) => Some("judge withheld"),
            () if self.of_metric(metric).any(|of| !of.trust.trusted) => Some("judge not trusted"),
            () => None,
        }
    }

    /// Why nothing is decided by this metric; `None` where it may, or does not go by it.
    pub(crate) fn holds_back(&self, metric: &str) -> Option<String> {
        let mut of_metric = self.of_metric(metric).peekable();
        of_metric.peek()?;
        if !self.whole {
            return Some(format!("of entailment {} of {} questions were asked", self.n_asked, self.n_questions));
        }
        of_metric.find_map(|KindReport { kind, withheld, trust, .. }| match withheld {
            Some(why) => Some(format!("the judge of {} decides nothing: {why}", kind.as_str())),
            None if !trust.trusted => Some(format!("the judge of {} is not trusted: {}", kind.as_str(), trust.why)),
            None => None,
        })
    }
}
