//! How far the answers of pairs are apart, and how much of that is the candidate's.
//!
//! The baseline does not answer the same request twice in the same words, so that a distance between candidate and baseline says
//! little by itself. Of a fraction of pairs the baseline is asked again, and the *excess* is what the candidate is further away than
//! the baseline is from itself, on the same request: `D(P,C) - D(P,P')`, between -1 and 1. Its bounds hold whenever one looks
//! (Howard et al. 2021, empirical Bernstein with the centre 0). A distance is for triage: it says where to look and harms nobody.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stats::sketch::Quantiles;
use stats::{EmpiricalBernstein, LatencySketch};

use crate::asked::Asked;

/// In which respect two answers are compared. Every distance is from 0, the same, to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// Whether it came to an answer: 0 where both did or both failed in the same way, else 1.
    Outcome,
    /// Why the model stopped: 0 for the same class of reason, else 1.
    Finish,
    /// Whether the model declined: 0 where both did or neither did, else 1.
    Refusal,
    /// Answers that are JSON, field by field: the fraction of all fields that differ.
    Json,
    /// Calls of tools, name by name and argument by argument: the fraction of all fields that differ.
    ToolCalls,
    /// The meaning of the texts: half of 1 less the cosine of their embeddings.
    Meaning,
    /// What the checks of the rollout say of both: 0 where they say the same, else 1.
    Judged,
}

impl Comparison {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Outcome, Self::Finish, Self::Refusal, Self::Json, Self::ToolCalls, Self::Meaning, Self::Judged];

    /// The word used in the record and on pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outcome => "outcome",
            Self::Finish => "finish",
            Self::Refusal => "refusal",
            Self::Json => "json",
            Self::ToolCalls => "tool_calls",
            Self::Meaning => "meaning",
            Self::Judged => "judged",
        }
    }
}

impl std::fmt::Display for Comparison {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far the answers of one pair are apart. Distances are in millionths: whole numbers are the same wherever they are read again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The chance with which the request was drawn: the pair counts for as many requests as its inverse.
    pub probability: f64,
    /// The copy was not the same request: its distances are not counted.
    pub altered: bool,
    /// The copy was made later: its times are not counted.
    pub deferred: bool,
    /// The request holds results of tools.
    pub teacher_forced: bool,
    /// Kind, candidate against baseline, baseline against itself.
    pub distances: Vec<(Comparison, u32, Option<u32>)>,
    /// Gaps between the pieces of the candidate's stream, microseconds.
    pub inter_token_us: Vec<u64>,
    /// The same of the baseline's second answer, which was asked for on the same side.
    pub duplicate_inter_token_us: Vec<u64>,
    /// Why the rollout's checks say nothing of it, where it was drawn for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_judged: Option<Cow<'static, str>>,
    /// What came of asking a model that judges, where one was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
}

/// One kind of distance over all pairs. Sums: they add across replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Distances {
    n: u64,
    weight: f64,
    weighted: f64,
    n_excess: u64,
    noise: f64,
    excess: f64,
    excess_squares: f64,
}

/// All comparisons of one epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparisons {
    /// Pairs compared.
    pub n: u64,
    /// Pairs whose copy was not the same request.
    pub altered: u64,
    /// Pairs whose copy was made later.
    pub deferred: u64,
    /// Pairs whose request holds results of tools.
    pub teacher_forced: u64,
    /// Gaps between the pieces of the candidate's streams.
    pub inter_token: LatencySketch,
    /// Gaps between the pieces of the baseline's second answers.
    pub duplicate_inter_token: LatencySketch,
    distances: BTreeMap<Comparison, Distances>,
    /// Pairs that were drawn to be judged and were not, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub not_judged: BTreeMap<String, u64>,
    /// What came of asking a model that judges.
    #[serde(default, skip_serializing_if = "Asked::is_nothing")]
    pub asked: Asked,
}

/// One kind of distance, to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DistanceView {
    /// In which respect.
    pub kind: Comparison,
    /// Pairs compared in it.
    pub n: u64,
    /// How far candidate and baseline are apart, on average over all requests that could have been drawn.
    pub mean: f64,
    /// Pairs whose baseline answered twice.
    pub n_noise: u64,
    /// How far the baseline is from itself on average.
    pub noise: Option<f64>,
    /// What the candidate is further away than the baseline from itself, on average over those pairs.
    pub excess: Option<f64>,
    /// The excess is between these, whenever one looks.
    pub excess_bounds: Option<(f64, f64)>,
}

/// All comparisons of one epoch, to be shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ComparisonsView {
    /// Pairs compared.
    pub n: u64,
    /// Pairs whose copy was not the same request, not counted below.
    pub altered: u64,
    /// Pairs whose copy was made later, whose times are not counted.
    pub deferred: u64,
    /// Pairs whose request holds results of tools: the shadow is teacher-forced there and sees one step.
    pub teacher_forced: u64,
    /// Kind by kind.
    pub distances: Vec<DistanceView>,
    /// Gaps between the pieces of the candidate's streams.
    pub inter_token: Option<Quantiles>,
    /// The same of the baseline's second answers.
    pub duplicate_inter_token: Option<Quantiles>,
    /// Pairs that were drawn to be judged and were not, by reason.
    #[serde(default)]
    pub not_judged: BTreeMap<String, u64>,
    /// What came of asking a model that judges, and whether its word may decide.
    #[serde(default, skip_serializing_if = "Asked::is_nothing")]
    pub asked: Asked,
}

/// A distance from 0 to 1 in millionths.
#[must_use]
pub fn millionths(distance: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to a million")]
    let millionths = (distance.clamp(0.0, 1.0) * 1e6).round() as u32;
    millionths
}

fn fraction(millionths: u32) -> f64 {
    f64::from(millionths) / 1e6
}

impl Comparisons {
    /// Counts one pair.
    pub fn observe(&mut self, compared: &Compared) {
        self.n += 1;
        self.altered += u64::from(compared.altered);
        self.deferred += u64::from(compared.deferred);
        self.teacher_forced += u64::from(compared.teacher_forced);
        if !compared.deferred {
            compared.inter_token_us.iter().for_each(|gap| self.inter_token.record_us(*gap));
            compared.duplicate_inter_token_us.iter().for_each(|gap| self.duplicate_inter_token.record_us(*gap));
        }
        if let Some(reason) = &compared.not_judged {
            if let Some(n) = self.not_judged.get_mut(&**reason) {
                *n += 1;
            } else {
                self.not_judged.insert(reason.to_string(), 1);
            }
        }
        if let Some(asked) = &compared.asked {
            self.asked.add(asked);
        }
        if compared.altered {
            return;
        }
        for (kind, distance, noise) in &compared.distances {
            let (distance, noise) = (fraction(*distance), noise.map(fraction));
            self.distances.entry(*kind).or_default().observe(distance, noise, compared.probability);
        }
    }

    /// One kind of distance, if any pair was compared in it.
    #[must_use]
    pub fn of(&self, kind: Comparison) -> Option<&Distances> {
        self.distances.get(&kind)
    }

    /// What is shown, with bounds that fail with a chance of at most `alpha` for each kind.
    #[must_use]
    pub fn view(&self, alpha: f64) -> ComparisonsView {
        ComparisonsView {
            n: self.n,
            altered: self.altered,
            deferred: self.deferred,
            teacher_forced: self.teacher_forced,
            distances: self.distances.iter().filter_map(|(kind, distances)| distances.view(*kind, alpha)).collect(),
            inter_token: self.inter_token.quantiles(),
            duplicate_inter_token: self.duplicate_inter_token.quantiles(),
            not_judged: self.not_judged.clone(),
            asked: self.asked,
        }
    }
}

impl Distances {
    fn observe(&mut self, distance: f64, noise: Option<f64>, probability: f64) {
        // A pair stands for all requests like it that were not drawn (Horvitz and Thompson 1952).
        let weight = if probability > 0.0 { probability.min(1.0).recip() } else { 1.0 };
        self.n += 1;
        self.weight += weight;
        self.weighted += weight * distance;
        if let Some(noise) = noise {
            let excess = distance - noise;
            self.n_excess += 1;
            self.noise += noise;
            self.excess += excess;
            self.excess_squares += excess * excess;
        }
    }

    /// How far candidate and baseline are apart on average, each pair weighted with the inverse of its chance (Hájek 1971); `None`
    /// before any.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.weighted / self.weight)
    }

    /// Pairs whose baseline answered twice.
    #[must_use]
    pub fn n_excess(&self) -> u64 {
        self.n_excess
    }

    /// The excess on average over those pairs; `None` before any.
    #[must_use]
    pub fn excess(&self) -> Option<f64> {
        (self.n_excess > 0).then(|| self.excess / self.n_excess as f64)
    }

    /// The running average of the excess is between these at all times, but for a chance of `alpha`.
    #[must_use]
    pub fn excess_bounds(&self, alpha: f64) -> Option<(f64, f64)> {
        let one_sided = |sum: f64| {
            EmpiricalBernstein::from_totals(1.0, self.n_excess, sum, self.excess_squares).lower_bound(alpha / 2.0)
        };
        let (low, high) = (one_sided(self.excess)?, -one_sided(-self.excess)?);
        Some((low.max(-1.0), high.min(1.0)))
    }

    fn view(&self, kind: Comparison, alpha: f64) -> Option<DistanceView> {
        Some(DistanceView {
            kind,
            n: self.n,
            mean: self.mean()?,
            n_noise: self.n_excess,
            noise: (self.n_excess > 0).then(|| self.noise / self.n_excess as f64),
            excess: self.excess(),
            excess_bounds: self.excess_bounds(alpha),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(distance: f64, noise: Option<f64>, probability: f64) -> Compared {
        let distances = vec![(Comparison::Json, millionths(distance), noise.map(millionths))];
        Compared { probability, distances, ..Compared::default() }
    }

    #[test]
    fn a_mean_weighs_each_pair_with_the_inverse_of_its_chance() {
        let mut comparisons = Comparisons::default();
        comparisons.observe(&pair(1.0, None, 1.0));
        comparisons.observe(&pair(0.0, None, 0.25));
        let mean = comparisons.of(Comparison::Json).unwrap().mean().unwrap();
        assert!((mean - 0.2).abs() < 1e-12, "1 of 5 requests, by hand: {mean}");
    }

    #[test]
    fn sampling_by_stratum_leaves_the_mean_where_it_is() {
        // One request in ten is long and differs; long ones are drawn for certain, short ones at 0.1.
        let mut comparisons = Comparisons::default();
        (0..100).for_each(|_| comparisons.observe(&pair(1.0, None, 1.0)));
        (0..90).for_each(|_| comparisons.observe(&pair(0.0, None, 0.1)));
        let mean = comparisons.of(Comparison::Json).unwrap().mean().unwrap();
        assert!((mean - 0.1).abs() < 1e-12, "{mean}");
    }

    #[test]
    fn what_the_baseline_does_to_itself_is_no_excess() {
        let mut comparisons = Comparisons::default();
        for idx in 0..600 {
            let (theirs, own) = if idx % 2 == 0 { (0.3, 0.2) } else { (0.2, 0.3) };
            comparisons.observe(&pair(theirs, Some(own), 1.0));
        }
        let distances = comparisons.of(Comparison::Json).unwrap();
        assert!(distances.excess().unwrap().abs() < 1e-12);
        let (low, high) = distances.excess_bounds(0.05).unwrap();
        assert!(low < 0.0 && high > 0.0 && high < 0.025 && low > -0.025, "{low} {high}");
    }

    #[test]
    fn a_candidate_that_differs_more_is_seen_to() {
        let mut comparisons = Comparisons::default();
        for idx in 0..400 {
            comparisons.observe(&pair(if idx % 2 == 0 { 0.8 } else { 0.2 }, Some(0.1), 1.0));
        }
        let (low, high) = comparisons.of(Comparison::Json).unwrap().excess_bounds(0.05).unwrap();
        assert!(low > 0.0 && low < 0.4 && high > 0.4, "{low} {high}");
    }

    #[test]
    fn bounds_hold_at_all_times_for_random_noise() {
        // A/A: both distances are drawn from the same law. Peeked at after every pair, 0 may be left out in 5 % of runs.
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / (1_u64 << 31) as f64
        };
        let runs = 200;
        let wrong = (0..runs)
            .filter(|_| {
                let mut comparisons = Comparisons::default();
                (0..300).any(|_| {
                    comparisons.observe(&pair(random().powi(3), Some(random().powi(3)), 1.0));
                    let bounds = comparisons.of(Comparison::Json).and_then(|seen| seen.excess_bounds(0.05));
                    bounds.is_some_and(|(low, high)| low > 0.0 || high < 0.0)
                })
            })
            .count();
        assert!(wrong <= runs / 20, "{wrong} of {runs}");
    }

    #[test]
    fn altered_copies_and_late_ones_are_told_apart() {
        let mut comparisons = Comparisons::default();
        comparisons.observe(&Compared { altered: true, ..pair(1.0, None, 1.0) });
        comparisons.observe(&Compared { deferred: true, inter_token_us: vec![9], ..pair(0.5, None, 1.0) });
        comparisons.observe(&Compared { inter_token_us: vec![1000, 2000], ..pair(0.5, None, 1.0) });
        let view = comparisons.view(0.05);
        assert_eq!((view.n, view.altered, view.deferred), (3, 1, 1));
        assert_eq!((view.distances[0].n, view.distances[0].mean), (2, 0.5));
        assert_eq!(view.inter_token.unwrap().n, 2, "a copy made later says nothing of times");
    }
}
