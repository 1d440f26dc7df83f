//! What the page says of the shadow: coverage, and how far the answers of pairs are apart.

use operations::rollouts::RolloutView;
use rollout::comparison::DistanceView;
use rollout::{Asked, Coverage, StratumCoverage};

use super::{latency, rate};
use crate::out::table;
use crate::verbs::NOISE_UNKNOWN;

/// Strata in the table, those with the poorest coverage first.
const MOST_STRATA: usize = 12;

/// What became of the copies, in all and by stratum.
pub(super) fn coverage(view: &RolloutView) -> String {
    let facts = &view.explanation;
    let coverage = &facts.coverage;
    let mut text = String::new();
    let list = |dropped: &std::collections::BTreeMap<String, u64>| {
        let reasons = dropped.iter().map(|(reason, n)| format!("{reason} {n}"));
        let reasons: Vec<String> = reasons.collect();
        if reasons.is_empty() { "none".to_owned() } else { reasons.join(", ") }
    };
    if coverage.offered > 0 || facts.coverage_fraction.is_some() {
        let fraction = facts.coverage_fraction.map_or_else(|| "-".to_owned(), rate);
        let (offered, complete) = (coverage.offered, coverage.complete);
        text += &format!(
            "this epoch: {offered} copies taken, {complete} pairs complete ({fraction} coverage), dropped: {}\n",
            list(&coverage.dropped)
        );
    }
    let total: u64 = facts.key_sources.iter().map(|(_, n)| n).sum();
    if total > 0 {
        #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
        let part = |n: u64| rate(n as f64 / total as f64);
        let sources = facts.key_sources.iter().map(|(source, n)| format!("{source} {}", part(*n)));
        text += &format!("units keyed by: {}\n", sources.collect::<Vec<_>>().join(", "));
    }
    text + &strata(coverage)
}

/// One row for each stratum, the poorest first.
fn strata(coverage: &Coverage) -> String {
    let mut strata: Vec<(&String, &StratumCoverage)> = coverage.strata.iter().collect();
    if strata.is_empty() {
        return String::new();
    }
    let poor = |stratum: &StratumCoverage| stratum.fraction().unwrap_or(1.0);
    strata.sort_by(|(_, one), (_, other)| poor(one).total_cmp(&poor(other)).then(other.sampled.cmp(&one.sampled)));
    let row = |(name, stratum): &(&String, &StratumCoverage)| {
        vec![
            (*name).clone(),
            stratum.sampled.to_string(),
            stratum.complete.to_string(),
            stratum.fraction().map_or_else(|| "-".to_owned(), rate),
            stratum.worst().map_or_else(|| "-".to_owned(), |(reason, n)| format!("{reason} {n}")),
        ]
    };
    let rows: Vec<Vec<String>> = strata.iter().take(MOST_STRATA).map(row).collect();
    let more = match strata.len().saturating_sub(MOST_STRATA) {
        0 => String::new(),
        n => format!("and {n} more; --format json has them all\n"),
    };
    table(&["stratum (size/task/answer)", "drawn", "pairs", "coverage", "most lost to"], &rows) + &more
}

/// Kind by kind, with what of it is the candidate's; and gaps between the pieces of streams.
pub(super) fn comparisons(view: &RolloutView) -> String {
    let comparisons = &view.explanation.comparisons;
    if comparisons.n == 0 {
        return String::new();
    }
    let fraction = |value: f64| format!("{value:.3}");
    let row = |distance: &DistanceView| {
        let bounds = distance.excess_bounds.map(|(low, high)| format!("{low:+.3} to {high:+.3}"));
        let reading = match distance.excess_bounds {
            Some((low, _)) if low > 0.0 => "differs more than the baseline from itself",
            Some((_, high)) if high < 0.0 => "differs less than the baseline from itself",
            Some(_) => "as much as the baseline from itself, as far as is known",
            None => NOISE_UNKNOWN,
        };
        vec![
            distance.kind.to_string(),
            distance.n.to_string(),
            fraction(distance.mean),
            distance.noise.map_or_else(|| "not measured".to_owned(), fraction),
            distance.n_noise.to_string(),
            distance.excess.map_or_else(|| "-".to_owned(), |excess| format!("{excess:+.3}")),
            bounds.unwrap_or_else(|| "-".to_owned()),
            reading.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = comparisons.distances.iter().map(row).collect();
    let headings = ["in", "pairs", "distance", "noise", "asked twice", "excess", "bounds, always valid", "reads"];
    let mut text = table(&headings, &rows);
    if comparisons.inter_token.is_some() {
        text += &format!("gaps between pieces, candidate, p50/p95/p99 ms: {}\n", latency(comparisons.inter_token));
    }
    if comparisons.duplicate_inter_token.is_some() {
        let gaps = latency(comparisons.duplicate_inter_token);
        text += &format!("gaps between pieces, baseline asked twice, p50/p95/p99 ms: {gaps}\n");
    }
    if !comparisons.not_judged.is_empty() {
        let reasons = comparisons.not_judged.iter().map(|(reason, n)| format!("{reason} {n}"));
        text += &format!("drawn to be judged and not judged: {}\n", reasons.collect::<Vec<_>>().join(", "));
    }
    text += &asked(&comparisons.asked);
    if comparisons.altered > 0 {
        let n = comparisons.altered;
        text += &format!("{n} copies had tools of their provider taken out and are in no distance above\n");
    }
    if comparisons.deferred > 0 {
        text += &format!("{} copies were made later: quality counts, latency does not\n", comparisons.deferred);
    }
    if comparisons.teacher_forced > 0 {
        text += &format!(
            "{} of {} pairs hold results of tools: the shadow is teacher-forced there, it is given the baseline's steps and judged on \
             the next one; whole trajectories are judged in canary, by the outcomes of units\n",
            comparisons.teacher_forced, comparisons.n
        );
    }
    text
}

/// How it went with the model that judges.
fn asked(asked: &Asked) -> String {
    if asked.is_nothing() {
        return String::new();
    }
    let part = |part: Option<f64>| part.map_or_else(|| "not measured".to_owned(), rate);
    let Asked { pairs, questions, unread, repeated, both_orders, .. } = *asked;
    let mut text = format!(
        "judge: asked about {pairs} pairs, {unread} of {questions} answers without a verdict; orders disagree on {} of {both_orders} pairs; \
         the same when asked again {} of {repeated} questions\n",
        part(asked.flip_rate()),
        part(asked.self_agreement())
    );
    if asked.is_withheld() {
        text += "judge: more than 1 % without a verdict: what it judged proves nothing\n";
    }
    if asked.untrusted > 0 {
        text += &format!(
            "judge: its word on {} pairs decides nothing, because it has not been shown to agree with people (`agreement`)\n",
            asked.untrusted
        );
    }
    text
}
