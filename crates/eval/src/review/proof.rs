//! What people's verdicts prove of a candidate: that it is not preferred less often than the baseline by the margin or more, or that it is.
//!
//! The unit is the case, what its verdicts are worth is averaged within it, and what is tested is how far wins exceed losses: the tests are
//! those of a comparison, `compare`. Its alpha holds for one look: nothing is proven before the last verdict of a planned review is there, and
//! of one that was not planned only when every case of the run has a verdict. A pair that somebody left open holds nothing up where its case has one,
//! and one that was withdrawn never does; but of cases that nobody judges there may be few, as of those without two answers to show.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use store::{BlindAssignedRow, BlindPairRow};

use super::assigned::{Assignment, CHANCE};
use super::{Sight, worths};
use crate::compare::{ALPHA, Interval, Pair, Question, Verdict, prefer};
use crate::metric::Range;
use crate::results::Results;

/// How much below one half a win rate may be where no plan says so.
pub const MARGIN: f64 = 0.05;
/// Of the cases of a run, this part may lack an answer to show or have been withdrawn: a candidate that does not answer is not judged by the rest.
const MOST_MISSING: f64 = 0.05;

/// What is proven, and by what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// Whether the pairs were said before the first was shown.
    pub planned: bool,
    /// Cases that are to be judged.
    pub n_asked: u64,
    /// Verdicts on them that are still to come, at least.
    pub n_open: u64,
    /// Cases that are judged.
    pub n: u64,
    /// Cases that nobody judges any more: every pair of them was withdrawn.
    #[serde(default)]
    pub n_withdrawn: u64,
    /// Wins and half of the ties over these, averaged by case.
    pub win_rate: Option<f64>,
    /// Its interval, at 1 - 2 alpha.
    pub interval: Option<Interval>,
    /// How it was made.
    pub method: String,
    /// How much below one half the win rate may be.
    pub margin: f64,
    /// `pass` when it is proven to be above one half less the margin, `fail` when it is proven to be below.
    pub verdict: Verdict,
    /// Why nothing is proven, where that is not for want of cases.
    pub because: Option<String>,
}

/// What the verdicts on a candidate prove.
#[must_use]
pub fn proof(
    results: &Results,
    (target_idx, shown): (usize, &[BlindPairRow]),
    (plan, assigned): (Option<&Assignment>, &[BlindAssignedRow]),
    seed: u64,
) -> Proof {
    let candidate = &results.plan.targets[target_idx].name;
    let sight = Sight::of(results, target_idx);
    let mine = || assigned.iter().filter(|one| one.candidate == *candidate && one.why == CHANCE);
    let asked: BTreeSet<u64> = match plan {
        Some(_) => mine().map(|one| one.case_idx).collect(),
        None => (0..results.cases.len()).filter(|idx| sight.telling(*idx).is_some()).map(|idx| idx as u64).collect(),
    };
    let places: BTreeSet<(u64, &str)> = mine().map(|one| (one.case_idx, one.reviewer.as_str())).collect();
    let counts = |pair: &&BlindPairRow| {
        asked.contains(&pair.case_idx) && (plan.is_none() || places.contains(&(pair.case_idx, pair.reviewer.as_str())))
    };
    let rows: Vec<&BlindPairRow> = shown.iter().filter(|pair| pair.candidate == *candidate).filter(counts).collect();
    let mut by_case: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for (case_idx, worth) in worths(&rows) {
        by_case.entry(case_idx).or_default().push(worth);
    }
    let n_closed = rows.iter().filter(|pair| !pair.is_open()).count();
    let gone = withdrawn(&rows, plan.map(|_| &places));
    let n_open = match plan {
        Some(_) => places.len() - n_closed.min(places.len()),
        // One for each case without any: a pair of it that is open will be that one.
        None => asked.len().saturating_sub(by_case.len() + gone),
    };
    let pair = |(case_idx, verdicts): (&u64, &Vec<f64>)| {
        let case = usize::try_from(*case_idx).ok().and_then(|case_idx| results.cases.get(case_idx));
        let worth = verdicts.iter().sum::<f64>() / verdicts.len() as f64;
        Pair { cluster: case.and_then(|case| case.cluster.clone()), baseline: 1.0 - worth, candidate: worth }
    };
    let pairs: Vec<Pair> = by_case.iter().map(pair).collect();
    let margin = plan.map_or(MARGIN, |plan| plan.margin);
    // As in a comparison, each of several candidates gets its part.
    let alpha = ALPHA / (results.plan.targets.len().saturating_sub(1)).max(1) as f64;
    // Wins less losses move twice as far as a win rate.
    let compared = prefer(&pairs, 0, Question { margin: 2.0 * margin, alpha, seed, range: Range::UNIT });
    let rate = |difference: f64| (0.5 + difference / 2.0).clamp(0.0, 1.0);
    let without = (0..results.cases.len()).filter(|case_idx| sight.telling(*case_idx).is_none()).count();
    let part = |n: usize, of: usize| n as f64 / of.max(1) as f64;
    let too_many = part(without, results.cases.len()) + part(gone, asked.len()) > MOST_MISSING;
    let reason = if n_open > 0 {
        let holds_up = |pair: &&BlindPairRow| plan.is_some() || !by_case.contains_key(&pair.case_idx);
        Some(still_to_come(n_open, rows.iter().copied().filter(holds_up)))
    } else if too_many {
        let most = 100.0 * MOST_MISSING;
        let without = format!("{without} of {} cases have not two answers to show", results.cases.len());
        let gone = format!("the pairs of {gone} of {} were withdrawn", asked.len());
        Some(format!(
            "{without} and {gone}; together more than {most} % of the cases, and the rest says nothing of these"
        ))
    } else {
        None
    };
    Proof {
        planned: plan.is_some(),
        n_asked: asked.len() as u64,
        n_open: n_open as u64,
        n: pairs.len() as u64,
        n_withdrawn: gone as u64,
        win_rate: compared.difference.map(rate),
        interval: compared.interval.map(|ends| Interval { low: rate(ends.low), high: rate(ends.high), ..ends }),
        method: compared.method.to_owned(),
        margin,
        verdict: if reason.is_some() { Verdict::Undecided } else { compared.verdict },
        because: reason.or(compared.because),
    }
}

/// Cases that nobody judges any more: a pair of them was withdrawn, none is judged or open, and by the plan nobody is to be shown another.
fn withdrawn(rows: &[&BlindPairRow], places: Option<&BTreeSet<(u64, &str)>>) -> usize {
    let gone: BTreeSet<u64> = rows.iter().filter(|pair| pair.is_withdrawn()).map(|pair| pair.case_idx).collect();
    let is_left = |case_idx: u64| {
        let mut own = rows.iter().filter(|pair| pair.case_idx == case_idx);
        let n_shown = own.clone().count();
        let n_places = places.map_or(0, |places| places.iter().filter(|(idx, _)| *idx == case_idx).count());
        own.any(|pair| !pair.is_withdrawn()) || n_places > n_shown
    };
    gone.into_iter().filter(|case_idx| !is_left(*case_idx)).count()
}

/// How many verdicts are missing, and who was shown a pair and has not judged it.
fn still_to_come<'p>(n_open: usize, rows: impl Iterator<Item = &'p BlindPairRow>) -> String {
    let mut text = format!(
        "{n_open} verdict{} still to come, and nothing is proven before the last",
        if n_open == 1 { " is" } else { "s are" }
    );
    let open: Vec<&str> = rows.filter(|pair| pair.is_open()).map(|pair| pair.reviewer.as_str()).collect();
    let who: Vec<&str> = open.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    if !open.is_empty() {
        let are = if open.len() == 1 { "pair is" } else { "pairs are" };
        text += &format!("; {} {are} open with {}", open.len(), who.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::case::{Answer, Case};
    use crate::compare::tests::results_of;
    use crate::run::Spec;

    fn shown(case_idx: u64, reviewer: &str, choice: Option<&str>) -> BlindPairRow {
        BlindPairRow {
            token: format!("{reviewer}{case_idx}"),
            run: "r".to_owned(),
            candidate: "b".to_owned(),
            case_idx,
            reviewer: reviewer.to_owned(),
            shown_at_us: 0,
            candidate_first: true,
            judged_at_us: None,
            choice: choice.map(str::to_owned),
            took_us: None,
        }
    }

    fn check(shown: &[BlindPairRow], n_open: u64, because: Option<&str>) {
        let cases: Vec<Case> = (0..3).map(|idx| Case::asking(format!("c{idx}"), "Q?", ["yes".into()])).collect();
        let metric = [Spec { name: "exact_match".to_owned(), settings: Value::Null }];
        let results = results_of(&cases, &metric, |_, _| Some(Answer { text: "yes".to_owned(), ..Answer::default() }));
        let proof = proof(&results, (1, shown), (None, &[]), 1);
        assert_eq!((proof.n_asked, proof.n_open), (3, n_open));
        let still = proof.because.filter(|words| words.contains("to come"));
        assert_eq!(still.as_deref(), because);
    }

    #[test]
    fn a_pair_that_was_left_open_holds_nothing_up_where_its_case_is_judged() {
        let judged = |n: u64| (0..n).map(|idx| shown(idx, "bo", Some("tie")));
        check(&judged(3).chain([shown(0, "cy", None)]).collect::<Vec<_>>(), 0, None);
        check(
            &judged(2).chain([shown(0, "cy", None), shown(2, "cy", None)]).collect::<Vec<_>>(),
            1,
            Some("1 verdict is still to come, and nothing is proven before the last; 1 pair is open with cy"),
        );
    }

    #[test]
    fn a_pair_that_was_withdrawn_holds_nothing_up_and_its_case_counts_as_missing() {
        let judged = |n: u64| (0..n).map(|idx| shown(idx, "bo", Some("tie")));
        // Somebody else judged the case.
        check(&judged(3).chain([shown(0, "cy", Some("withdrawn"))]).collect::<Vec<_>>(), 0, None);
        // Nobody else does, and one case of three is more than may be missing.
        let alone: Vec<_> = judged(2).chain([shown(2, "cy", Some("withdrawn"))]).collect();
        check(&alone, 0, None);
        // Somebody else is about to.
        let open: Vec<_> = alone.into_iter().chain([shown(2, "di", None)]).collect();
        check(
            &open,
            1,
            Some("1 verdict is still to come, and nothing is proven before the last; 1 pair is open with di"),
        );
    }

    #[test]
    fn by_a_plan_a_withdrawn_place_is_asked_for_no_more_and_few_cases_may_go() {
        let cases: Vec<Case> = (0..60).map(|idx| Case::asking(format!("c{idx}"), "Q?", ["yes".into()])).collect();
        let metric = [Spec { name: "exact_match".to_owned(), settings: Value::Null }];
        let results = results_of(&cases, &metric, |_, _| Some(Answer { text: "yes".to_owned(), ..Answer::default() }));
        let reviewers = ["bo".to_owned(), "cy".to_owned()];
        let plan = Assignment { reviewers: reviewers.to_vec(), pairs: 60, overlap: 0.0, telling: 0.0, margin: 0.05 };
        let place = |(case_idx, reviewer): (u64, &str)| BlindAssignedRow {
            candidate: "b".to_owned(),
            case_idx,
            reviewer: reviewer.to_owned(),
            why: CHANCE.to_owned(),
        };
        // Case 0 is for both.
        let places: Vec<_> = (0..60).map(|idx| (idx, "bo")).chain([(0, "cy")]).map(place).collect();
        let check = |n_gone: u64, expected: (u64, u64, u64), because: &str| {
            let choice = |idx: u64| if idx < n_gone { "withdrawn" } else { "tie" };
            let rows: Vec<_> = (0..60).map(|idx| shown(idx, "bo", Some(choice(idx)))).collect();
            let early = proof(&results, (1, &rows), (Some(&plan), &places), 1);
            assert_eq!((early.n_open, early.verdict), (1, Verdict::Undecided), "case 0 waits for cy: {early:?}");
            let rows: Vec<_> = rows.into_iter().chain([shown(0, "cy", Some("withdrawn"))]).collect();
            let proof = proof(&results, (1, &rows), (Some(&plan), &places), 1);
            assert_eq!((proof.n_open, proof.n, proof.n_withdrawn), expected);
            assert!(proof.because.clone().unwrap_or_default().contains(because), "{proof:?}");
            assert_eq!(proof.verdict == Verdict::Pass, because.is_empty(), "{proof:?}");
        };
        check(0, (0, 60, 0), "");
        check(3, (0, 57, 3), "");
        check(4, (0, 56, 4), "the pairs of 4 of 60 were withdrawn; together more than 5 %");
    }

    #[test]
    fn an_open_pair_stands_for_a_case_that_is_not_judged_and_is_not_counted_beside_it() {
        let open: Vec<_> = (0..3).map(|idx| shown(idx, "bo", None)).chain([shown(0, "cy", None)]).collect();
        check(
            &open,
            3,
            Some("3 verdicts are still to come, and nothing is proven before the last; 4 pairs are open with bo, cy"),
        );
    }
}
