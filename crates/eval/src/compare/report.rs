//! A whole run, compared: every candidate with the baseline, by every metric and within every slice, and case by case.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use stats::multiplicity::holm;

use super::aa::{self, Noise};
use super::confusion::{self, ConfusionMatrix};
use super::money::{self, SpeedAndCost};
use super::pooled;
use super::rag::{self, Rag};
use super::ranked::{self, Ranking};
use super::{ALPHA, Comparison, Pair, Question, Verdict, compare};
use crate::case::{Answer, Case};
use crate::encode::EncoderReport;
use crate::entail::EntailmentReport;
use crate::judge::standing::{JudgeReport, reports};
use crate::metric::rag::Outcome;
use crate::metric::{Range, Unscored, code};
use crate::results::{Record, Results, Scores, Yardstick};

/// Slices with fewer cases are not compared on their own.
const SMALLEST_SLICE: usize = 5;

/// Everything there is to say of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The run.
    pub run: String,
    /// When it was planned, Unix microseconds.
    pub at_us: u64,
    /// The dataset and its version.
    pub dataset: String,
    /// Its version.
    pub version: String,
    /// How many cases are asked.
    pub n_cases: u64,
    /// How often each.
    pub repeats: u64,
    /// Whether every answer is there; a run that is not whole has no verdict.
    pub whole: bool,
    /// Whether any answer is made up.
    pub simulated: bool,
    /// Cases whose right answer is what a target answered in recorded traffic, by the target: on these a score is agreement with it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub answered_by: BTreeMap<String, u64>,
    /// The metric that decides.
    pub primary: String,
    /// The margin.
    pub margin: f64,
    /// The chance of a wrong verdict of any candidate, which is shared among them.
    pub alpha: f64,
    /// What the metrics are, by their names.
    pub definitions: BTreeMap<String, Definition>,
    /// The targets, the baseline first.
    pub targets: Vec<TargetSummary>,
    /// Each other target beside the baseline.
    pub candidates: Vec<CandidateReport>,
    /// Case by case.
    pub cases: Vec<CaseRow>,
    /// Who judged, and what came of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub judges: Vec<JudgeReport>,
    /// All targets in order, where there are two candidates or more.
    pub ranking: Option<Ranking>,
    /// What retrieval and what the model lost, where a metric asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rag: Option<Rag>,
    /// What made the vectors, and what came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder: Option<EncoderReport>,
    /// Who said what documents entail, and what came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entailment: Option<EntailmentReport>,
    /// Which class was said for which, by metrics of classes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<ConfusionMatrix>,
}

/// What a metric is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Definition {
    /// The id of the definition.
    pub id: String,
    /// In a sentence.
    pub definition: String,
}

/// A target by itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetSummary {
    /// Its name.
    pub name: String,
    /// The model.
    pub model: String,
    /// The provider.
    pub provider: String,
    /// Whether its answers are made up.
    pub simulated: bool,
    /// Answers there are.
    pub n_answered: u64,
    /// Of these, failed for good: worth the worst there is.
    pub n_failed: u64,
    /// Of these, not asked because the case may not go there: worth nothing that is counted.
    pub n_withheld: u64,
    /// Failures by kind.
    pub failures: BTreeMap<String, u64>,
    /// Of these, taken over from earlier calls.
    pub n_reused: u64,
    /// The number of each metric: the mean over the cases that have one, or what the metric computes over all of them.
    pub means: BTreeMap<String, Option<f64>>,
    /// Cases without a number, by metric and reason.
    pub unscored: BTreeMap<String, BTreeMap<Unscored, u64>>,
    /// Of cases asked more than once, the part whose answers are not all worth the same: the target's own noise.
    pub noise: Option<f64>,
    /// What its answers took and cost.
    pub speed_and_cost: SpeedAndCost,
    /// How often its answers came out how, by metrics that say it in a word.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub outcomes: BTreeMap<String, BTreeMap<String, u64>>,
}

/// A candidate beside the baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CandidateReport {
    /// The candidate.
    pub candidate: String,
    /// What the same target's own noise is, where the candidate is the baseline under another name (an A/A): then there is no verdict.
    pub noise: Option<Noise>,
    /// By the metric that decides.
    pub primary: Comparison,
    /// By the others; they decide nothing.
    pub others: BTreeMap<String, Comparison>,
    /// By the metric that decides, within slices; they decide nothing.
    pub slices: Vec<SliceRow>,
}

/// Within a slice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SliceRow {
    /// The dimension.
    pub slice: String,
    /// The value.
    pub value: String,
    /// The comparison.
    pub comparison: Comparison,
    /// `p_different`, adjusted for how many slices are looked at (Holm).
    pub p_adjusted: Option<f64>,
    /// Whether the candidate is worse here beyond chance.
    pub worse: bool,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseRow {
    /// Its id.
    pub id: String,
    /// What was asked.
    pub question: String,
    /// Right answers.
    pub expected: Vec<String>,
    /// Where it belongs.
    pub slices: BTreeMap<String, String>,
    /// The exchange it was made of.
    pub exchange: Option<String>,
    /// What each target said, in the order of the targets.
    pub sides: Vec<Side>,
    /// Of each candidate, how much better it is than the baseline; below 0 where it is worse.
    pub gains: Vec<Option<f64>>,
}

/// What a target said to a case, of the first repeat.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// The text.
    pub text: String,
    /// The calls of tools.
    pub tool_calls: Vec<String>,
    /// Why there is no answer.
    pub failure: Option<String>,
    /// What it is worth by each metric, over all repeats.
    pub worth: BTreeMap<String, Option<f64>>,
    /// What a metric has to say of it beside a number, by its name: the outcome, and what a program wrote.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<String, String>,
    /// How long the answer took.
    pub latency_ms: f64,
    /// How long the first content of a streamed answer took.
    pub time_to_first_token_ms: Option<f64>,
    /// The longest gap between two events with content of a streamed answer.
    pub longest_gap_ms: Option<f64>,
    /// What its calls cost, in dollars.
    pub cost: Option<f64>,
    /// How an answer made of retrieved documents came out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// How it came out by each metric that says it in a word.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub outcomes: BTreeMap<String, String>,
}

/// Compares a run. `seed` decides what the bootstraps draw: the same run gives the same report.
#[must_use]
pub fn report(results: &Results, seed: u64) -> Report {
    let (mut report, table) = compared(results, seed);
    let cases = results.cases.iter().enumerate();
    report.cases = cases.map(|(case_idx, case)| case_row(results, &table, (case_idx, case))).collect();
    report
}

/// The same without its cases, whose texts are the larger part of it.
#[must_use]
pub fn summary_report(results: &Results, seed: u64) -> Report {
    compared(results, seed).0
}

fn compared(results: &Results, seed: u64) -> (Report, Table) {
    let plan = &results.plan;
    let yardsticks = results.yardsticks();
    // An A/A decides nothing and takes no part of the chance of a wrong verdict.
    let n_candidates = (1..plan.targets.len()).filter(|idx| !plan.is_same_as_baseline(*idx)).count().max(1);
    let question = Question { margin: plan.margin, alpha: ALPHA / n_candidates as f64, seed, range: Range::UNIT };
    let table = Table::of(results, yardsticks);
    let judges = reports(results, seed);
    let encoder = results.encoding.as_ref().map(|encoding| encoding.report(results));
    let entailment = results.entailing.as_ref().map(|entailing| entailing.report(results, &table.yardsticks));
    let held = held(results, &judges, entailment.as_ref());
    let candidates = (1..plan.targets.len()).map(|target_idx| {
        let mut candidate = candidate(results, &table, target_idx, question);
        if let Some(because) = held.as_ref().filter(|_| !plan.is_same_as_baseline(target_idx)) {
            candidate.primary.verdict = Verdict::Undecided;
            candidate.primary.because = Some(because.clone());
            candidate.primary.is_empty = false;
        }
        candidate
    });
    let definitions = table.yardsticks.iter().map(|yardstick| {
        let definition = Definition { id: yardstick.id.clone(), definition: yardstick.definition.clone() };
        (yardstick.name.clone(), definition)
    });
    let targets: Vec<TargetSummary> =
        (0..plan.targets.len()).map(|target_idx| summary(results, &table, target_idx, seed)).collect();
    // The baseline once more is noise: it is no target of its own.
    let others: Vec<usize> = (0..targets.len()).filter(|idx| *idx == 0 || !plan.is_same_as_baseline(*idx)).collect();
    let summaries: Vec<&TargetSummary> = others.iter().map(|idx| &targets[*idx]).collect();
    let ranking = ranked::rank(&table.rows(&others, &results.cases), &summaries, seed);
    let report = Report {
        run: results.row.run.clone(),
        at_us: results.row.at_us,
        dataset: plan.dataset.clone(),
        version: plan.version.clone(),
        n_cases: plan.n_cases,
        repeats: plan.repeats,
        whole: results.is_whole(),
        simulated: results.is_simulated()
            || judges.iter().any(|judge| judge.simulated)
            || encoder.as_ref().is_some_and(|encoder| encoder.simulated)
            || entailment.as_ref().is_some_and(|entailment| entailment.simulated),
        answered_by: results.answered_by(),
        primary: plan.primary.clone(),
        margin: plan.margin,
        alpha: ALPHA,
        definitions: definitions.collect(),
        targets,
        candidates: candidates.collect(),
        cases: Vec::new(),
        judges,
        ranking,
        rag: rag::rag(results, seed),
        encoder,
        entailment,
        confusion: confusion::of(results, &table.yardsticks),
    };
    (report, table)
}

/// Why there is no verdict for any candidate, where a judge is to decide that may not.
fn held(results: &Results, judges: &[JudgeReport], entailment: Option<&EntailmentReport>) -> Option<String> {
    if results.is_whole()
        && let Some(why) = entailment.and_then(|entailment| entailment.holds_back(&results.plan.primary))
    {
        return Some(why);
    }
    let judge = judges.iter().find(|judge| judge.name == results.plan.primary)?;
    match judge {
        _ if !results.is_whole() => None,
        JudgeReport { whole: false, n_questions, n_asked, name, .. } => {
            Some(format!("the judge `{name}` was asked {n_asked} of {n_questions} questions"))
        }
        JudgeReport { withheld: Some(why), name, .. } => Some(format!("the judge `{name}` decides nothing: {why}")),
        JudgeReport { trust, name, .. } if !trust.trusted => {
            Some(format!("the judge `{name}` is not trusted: {}", trust.why))
        }
        _ => None,
    }
}

/// What every answer is worth by every metric: computed once.
struct Table {
    yardsticks: Vec<Yardstick>,
    primary_idx: usize,
    /// By metric, case and target.
    worth: Vec<Vec<Vec<Result<f64, Unscored>>>>,
}

impl Table {
    fn of(results: &Results, yardsticks: Vec<Yardstick>) -> Table {
        let n_targets = results.plan.targets.len();
        let of_case = |yardstick: &Yardstick, case_idx| {
            (0..n_targets).map(|target_idx| results.worth(yardstick, case_idx, target_idx)).collect()
        };
        let worth = yardsticks
            .iter()
            .map(|yardstick| (0..results.cases.len()).map(|case_idx| of_case(yardstick, case_idx)).collect())
            .collect();
        let primary_idx = yardsticks.iter().position(|yardstick| yardstick.name == results.plan.primary).unwrap_or(0);
        Table { yardsticks, primary_idx, worth }
    }

    /// What the cases are worth at these targets by the metric that decides; cases that lack a number are left out.
    fn rows(&self, targets: &[usize], cases: &[Case]) -> Vec<ranked::Row> {
        let yardstick = &self.yardsticks[self.primary_idx];
        let turned = |of: &Vec<Result<f64, Unscored>>| {
            targets.iter().map(|idx| of[*idx].ok().map(|value| yardstick.gain(0.0, value))).collect::<Option<Vec<_>>>()
        };
        let rows = cases.iter().zip(&self.worth[self.primary_idx]);
        rows.filter_map(|(case, of)| Some(ranked::Row { cluster: case.cluster.clone(), worth: turned(of)? })).collect()
    }

    /// Pairs of the cases that `belongs`, and how many have no number.
    fn pairs(
        &self,
        (metric_idx, target_idx): (usize, usize),
        cases: &[Case],
        belongs: impl Fn(&Case) -> bool,
    ) -> (Vec<Pair>, u64) {
        let yardstick = &self.yardsticks[metric_idx];
        let (mut pairs, mut n_missing) = (Vec::new(), 0);
        for (case, worth) in cases.iter().zip(&self.worth[metric_idx]).filter(|(case, _)| belongs(case)) {
            match (worth[0], worth[target_idx]) {
                (Ok(baseline), Ok(candidate)) => {
                    let turned = |value: f64| yardstick.gain(0.0, value);
                    pairs.push(Pair {
                        cluster: case.cluster.clone(),
                        baseline: turned(baseline),
                        candidate: turned(candidate),
                    });
                }
                _ => n_missing += 1,
            }
        }
        (pairs, n_missing)
    }
}

fn candidate(results: &Results, table: &Table, target_idx: usize, question: Question) -> CandidateReport {
    let compared = |metric_idx: usize, belongs: &dyn Fn(&Case) -> bool| {
        let (pairs, n_missing) = table.pairs((metric_idx, target_idx), &results.cases, belongs);
        compare(&pairs, n_missing, Question { range: table.yardsticks[metric_idx].gains(), ..question })
    };
    let mut primary = compared(table.primary_idx, &|_| true);
    if !results.is_whole() {
        primary.verdict = Verdict::Undecided;
        let missing = results.plan.n_items() - results.records.len() as u64;
        primary.because = Some(format!("the run is not whole: {missing} answers are missing"));
        primary.is_empty = false;
    }
    let noise = results.plan.is_same_as_baseline(target_idx).then(|| {
        let noise = aa::noise(&compared_pairs(table, target_idx, results), &primary, question.margin);
        aa::refuse(&mut primary, &noise);
        noise
    });
    let others = (0..table.yardsticks.len()).filter(|metric_idx| *metric_idx != table.primary_idx);
    let others = others.map(|metric_idx| {
        let whole = pooled::compare(results, &table.yardsticks[metric_idx], (target_idx, question));
        let mut comparison = whole.unwrap_or_else(|| compared(metric_idx, &|_| true));
        // The margin is one of the metric that decides.
        comparison.verdict = Verdict::Undecided;
        comparison.because = Some("this metric does not decide".to_owned());
        comparison.parity = comparison.parity.filter(|_| noise.is_none());
        (table.yardsticks[metric_idx].name.clone(), comparison)
    });
    let others = others.collect();
    let named: BTreeSet<(&String, &String)> = results.cases.iter().flat_map(|case| &case.slices).collect();
    let mut slices = Vec::new();
    for (slice, value) in named {
        let belongs = |case: &Case| case.slices.get(slice) == Some(value);
        if results.cases.iter().filter(|case| belongs(case)).count() >= SMALLEST_SLICE {
            let mut comparison = compared(table.primary_idx, &belongs);
            if let Some(noise) = &noise {
                aa::refuse(&mut comparison, noise);
            }
            slices.push(SliceRow {
                slice: slice.clone(),
                value: value.clone(),
                comparison,
                p_adjusted: None,
                worse: false,
            });
        }
    }
    let tested: Vec<usize> = (0..slices.len()).filter(|idx| slices[*idx].comparison.p_different.is_some()).collect();
    let p_values: Vec<f64> = tested.iter().filter_map(|idx| slices[*idx].comparison.p_different).collect();
    for (idx, p_adjusted) in tested.into_iter().zip(holm(&p_values)) {
        let row = &mut slices[idx];
        row.p_adjusted = Some(p_adjusted);
        row.worse = p_adjusted <= ALPHA && row.comparison.difference.is_some_and(|difference| difference < 0.0);
    }
    CandidateReport { candidate: results.plan.targets[target_idx].name.clone(), noise, primary, others, slices }
}

fn compared_pairs(table: &Table, target_idx: usize, results: &Results) -> Vec<Pair> {
    table.pairs((table.primary_idx, target_idx), &results.cases, |_| true).0
}

fn summary(results: &Results, table: &Table, target_idx: usize, seed: u64) -> TargetSummary {
    let target = &results.plan.targets[target_idx];
    let records: Vec<_> = results.records.iter().filter(|record| record.item.target_idx == target_idx).collect();
    let mut failures = BTreeMap::new();
    for failure in records.iter().filter_map(|record| record.answered.failure.as_deref()) {
        let kind = failure.split(':').next().unwrap_or(failure);
        *failures.entry(kind.to_owned()).or_default() += 1;
    }
    let (mut means, mut unscored) = (BTreeMap::new(), BTreeMap::<String, BTreeMap<Unscored, u64>>::new());
    let mut worth = None;
    for (metric_idx, (yardstick, cases)) in table.yardsticks.iter().zip(&table.worth).enumerate() {
        let values: Vec<f64> = cases.iter().filter_map(|worth| worth[target_idx].ok()).collect();
        let sum: f64 = values.iter().sum();
        if pooled::is_whole(results, yardstick) {
            let (number, reasons) = pooled::number(results, yardstick, target_idx);
            means.insert(yardstick.name.clone(), number);
            if !reasons.is_empty() {
                unscored.insert(yardstick.name.clone(), reasons);
            }
        } else {
            means.insert(yardstick.name.clone(), (!values.is_empty()).then(|| sum / values.len() as f64));
            for why in cases.iter().filter_map(|worth| worth[target_idx].err()) {
                *unscored.entry(yardstick.name.clone()).or_default().entry(why).or_default() += 1;
            }
        }
        // Grades from 1 to 5 do not add up to tasks that succeeded.
        let is_graded =
            yardstick.range != Range::UNIT && results.plan.judges.iter().any(|judge| judge.name == yardstick.name);
        if metric_idx == table.primary_idx && !is_graded {
            let repeats = results.plan.repeats as f64;
            worth = Some(cases.iter().map(|worth| worth[target_idx].unwrap_or(0.0) * repeats).collect::<Vec<f64>>());
        }
    }
    TargetSummary {
        name: target.name.clone(),
        model: target.model.clone(),
        provider: target.provider.clone(),
        simulated: records.iter().any(|record| record.answered.simulated),
        n_answered: records.len() as u64,
        n_failed: failures.values().sum(),
        failures,
        n_withheld: records.iter().filter(|record| record.answered.withheld.is_some()).count() as u64,
        n_reused: records.iter().filter(|record| record.reused).count() as u64,
        means,
        unscored,
        noise: noise(results, &table.yardsticks[table.primary_idx], target_idx),
        speed_and_cost: money::of(results, target_idx, worth.as_deref(), seed),
        outcomes: outcomes(&table.yardsticks, &records),
    }
}

/// Of cases asked more than once, the part whose answers are not all worth the same.
fn noise(results: &Results, yardstick: &Yardstick, target_idx: usize) -> Option<f64> {
    if results.plan.repeats < 2 || results.cases.is_empty() {
        return None;
    }
    let differs = |case_idx: &usize| {
        let mut values = results.of(*case_idx, target_idx).map(|record| {
            record.scores.get(&yardstick.id).and_then(crate::results::Scored::as_value).map(f64::to_bits)
        });
        let first = values.next();
        values.any(|value| Some(value) != first)
    };
    let n_different = (0..results.cases.len()).filter(differs).count();
    Some(n_different as f64 / results.cases.len() as f64)
}

/// What an answer says: its text, or the ids of documents in its order.
fn said(case: &Case, answer: &Answer) -> String {
    if let Some(ranking) = &answer.ranking {
        let ids = ranking.iter().filter_map(|idx| Some(case.documents.get(*idx)?.id.as_str()));
        return ids.collect::<Vec<_>>().join("\n");
    }
    answer.refusal.clone().unwrap_or_else(|| answer.text.clone())
}

/// How an answer came out by each metric that says it in a word.
fn words(yardsticks: &[Yardstick], scores: &Scores) -> BTreeMap<String, String> {
    let word = |yardstick: &Yardstick| Some((yardstick.name.clone(), scores.get(&yardstick.id)?.outcome()?.to_owned()));
    yardsticks.iter().filter_map(word).collect()
}

/// How often answers came out how, by metrics that say it in a word.
fn outcomes(yardsticks: &[Yardstick], records: &[&Record]) -> BTreeMap<String, BTreeMap<String, u64>> {
    let counted = yardsticks.iter().map(|yardstick| {
        let mut counts = BTreeMap::new();
        let scores = records.iter().filter_map(|record| record.scores.get(&yardstick.id));
        for outcome in scores.filter_map(|score| score.outcome()) {
            *counts.entry(outcome.to_owned()).or_default() += 1;
        }
        (yardstick.name.clone(), counts)
    });
    counted.filter(|(_, counts)| !counts.is_empty()).collect()
}

/// What metrics have to say of an answer beside their numbers: outcomes of those that say more, and what that is.
fn notes(yardsticks: &[Yardstick], scores: &Scores) -> BTreeMap<String, String> {
    let said = |yardstick: &Yardstick| {
        let score = scores.get(&yardstick.id)?;
        let runs_code = code::NAMES.iter().any(|name| yardstick.id.starts_with(name));
        if score.detail().is_none() && !runs_code {
            return None;
        }
        let words: Vec<&str> = [score.outcome(), score.detail()].into_iter().flatten().collect();
        (!words.is_empty()).then(|| (yardstick.name.clone(), words.join("\n")))
    };
    yardsticks.iter().filter_map(said).collect()
}

fn case_row(results: &Results, table: &Table, (case_idx, case): (usize, &Case)) -> CaseRow {
    let side = |target_idx: usize| {
        let first = results.of(case_idx, target_idx).next();
        let answered = first.map(|record| &record.answered);
        let answer = answered.and_then(|answered| answered.answer.as_ref());
        let worth = table.yardsticks.iter().zip(&table.worth);
        let pace = answered.and_then(|answered| answered.pace);
        Side {
            text: answer.map(|answer| said(case, answer)).unwrap_or_default(),
            tool_calls: answer
                .map(|answer| {
                    answer.tool_calls.iter().map(|call| format!("{}({})", call.name, call.arguments)).collect()
                })
                .unwrap_or_default(),
            failure: answered.and_then(|answered| answered.failure.clone()),
            worth: worth.map(|(yardstick, cases)| (yardstick.name.clone(), cases[case_idx][target_idx].ok())).collect(),
            notes: first.map(|record| notes(&table.yardsticks, &record.scores)).unwrap_or_default(),
            latency_ms: answered.map_or(0.0, |answered| answered.latency_us as f64 / 1000.0),
            time_to_first_token_ms: pace.map(|pace| pace.time_to_first_token_us as f64 / 1000.0),
            longest_gap_ms: pace.filter(|pace| pace.n_gaps > 0).map(|pace| pace.longest_gap_us as f64 / 1000.0),
            cost: answered.and_then(|answered| answered.cost_nanos).map(|nanos| nanos as f64 * 1e-9),
            outcome: rag::outcome_of(results, first),
            outcomes: first.map(|record| words(&table.yardsticks, &record.scores)).unwrap_or_default(),
        }
    };
    let worth = &table.worth[table.primary_idx][case_idx];
    let yardstick = &table.yardsticks[table.primary_idx];
    let gain = |target_idx: usize| Some(yardstick.gain(worth[0].ok()?, worth[target_idx].ok()?));
    CaseRow {
        id: case.id.clone(),
        question: case.question(),
        expected: case
            .expected
            .iter()
            .map(|answer| answer.as_str().map_or_else(|| answer.to_string(), str::to_owned))
            .collect(),
        slices: case.slices.clone(),
        exchange: case.source.as_ref().map(|source| source.exchange.clone()),
        sides: (0..results.plan.targets.len()).map(side).collect(),
        gains: (1..results.plan.targets.len()).map(gain).collect(),
    }
}
