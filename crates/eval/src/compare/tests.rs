//! Comparisons by hand, and simulated evaluations with a known truth.

use stats::random::Random;
use store::EvalRunRow;

use super::*;
use crate::case::Case;
use crate::results::{Record, Results};
use crate::run::{Answered, Plan, PlannedTarget, Scorer, Spec};

const QUESTION: Question = Question { margin: 0.05, alpha: ALPHA, seed: 1, range: Range::UNIT };

fn pair(baseline: f64, candidate: f64) -> Pair {
    Pair { cluster: None, baseline, candidate }
}

/// A whole run of two targets on these cases, without a failure but where nothing is said.
pub(crate) fn results_of(
    cases: &[Case],
    metrics: &[Spec],
    said: impl Fn(usize, usize) -> Option<crate::case::Answer>,
) -> Results {
    let target = |name: &str| PlannedTarget {
        name: name.to_owned(),
        fingerprint: name.to_owned(),
        provider: "p".to_owned(),
        model: "m".to_owned(),
        simulated: false,
    };
    let plan = Plan {
        dataset: "d".to_owned(),
        version: "v".to_owned(),
        n_cases: cases.len() as u64,
        targets: vec![target("a"), target("b")],
        repeats: 1,
        seed: None,
        metrics: metrics.to_vec(),
        primary: metrics[0].label().to_owned(),
        margin: 0.05,
        reuse: true,
        stream: false,
        judges: Vec::new(),
        judge_of: None,
        encoder: None,
        encoder_of: None,
        entailment: None,
    };
    let scorer = Scorer::of(metrics).unwrap();
    let records = (0..plan.n_items()).map(|number| {
        let item = plan.item(number);
        let answer = said(item.case_idx, item.target_idx);
        let scores = answer.iter().flat_map(|answer| scorer.score(&cases[item.case_idx], answer)).collect();
        let failure = answer.is_none().then(|| "http_server_error: 500".to_owned());
        Record { item, reused: false, answered: Answered { answer, failure, ..Answered::default() }, scores }
    });
    let records = records.collect();
    let row = EvalRunRow {
        run: "r".to_owned(),
        at_us: 0,
        n_items: plan.n_items(),
        plan: serde_json::Value::Null,
        n_answered: plan.n_items(),
        n_failed: 0,
        n_reused: 0,
        spent_nanos: 0,
    };
    Results { row, plan, cases: cases.to_vec(), scorer, records, judged: Vec::new(), encoding: None, entailing: None }
}

/// So many pairs of each kind.
fn pairs(both_right: usize, lost: usize, won: usize, both_wrong: usize) -> Vec<Pair> {
    let kinds = [(both_right, (1.0, 1.0)), (lost, (1.0, 0.0)), (won, (0.0, 1.0)), (both_wrong, (0.0, 0.0))];
    kinds.into_iter().flat_map(|(n, (baseline, candidate))| vec![pair(baseline, candidate); n]).collect()
}

#[test]
fn equals_on_many_cases_pass_and_on_few_are_undecided_with_the_cases_they_still_need() {
    let many = compare(&pairs(850, 50, 50, 50), 0, QUESTION);
    assert_eq!((many.verdict, many.n), (Verdict::Pass, 1000));
    let interval = many.interval.unwrap();
    assert!(interval.low > -0.05 && interval.low < 0.0 && interval.high > 0.0, "{interval:?}");
    let few = compare(&pairs(85, 5, 5, 5), 0, QUESTION);
    assert_eq!(few.verdict, Verdict::Undecided);
    // 10 % discordant, 5 points, 5 % and 80 %: 248; one case more is assumed to disagree.
    let needed = few.needed.unwrap();
    // That, and a little for the luck of so few cases.
    assert!((248..400).contains(&needed), "{needed}");
    assert_eq!(few.still_needed, Some(needed - 100));
}

#[test]
fn a_candidate_that_is_worse_by_more_than_the_margin_fails() {
    let worse = compare(&pairs(300, 120, 10, 70), 0, QUESTION);
    assert_eq!(worse.verdict, Verdict::Fail);
    assert!(worse.p_different.unwrap() < 1e-9 && worse.interval.unwrap().high < -0.05);
    assert_eq!(worse.flips, Some(Flips { both_right: 300, lost: 120, won: 10, both_wrong: 70 }));
    let parity = worse.parity.unwrap();
    assert!((parity.share - 310.0 / 420.0).abs() < 1e-12 && (parity.kept.unwrap() - 300.0 / 420.0).abs() < 1e-12);
    let interval = parity.interval.unwrap();
    assert!(interval.low < parity.share && parity.share < interval.high, "{interval:?}");
}

#[test]
fn a_share_that_no_case_changes_is_as_sure_as_its_number_of_cases() {
    let all_right = compare(&pairs(40, 0, 0, 0), 0, QUESTION).parity.unwrap();
    let low = all_right.interval.unwrap().low;
    // With 5 % none of 40 cases is lost where 7.2 % are: 1 - 0.05^(1/40).
    assert!((all_right.share - 1.0).abs() < 1e-12 && (low - 0.9278).abs() < 4e-3, "{low}");
    assert!(all_right.kept_interval.unwrap().low < 1.0);
}

#[test]
fn nothing_passes_for_want_of_numbers() {
    let missing = compare(&pairs(900, 0, 0, 0), 100, QUESTION);
    assert_eq!(
        (missing.verdict, missing.because.as_deref()),
        (Verdict::Undecided, Some("100 of 1000 cases have no number"))
    );
    let none = compare(&[], 0, QUESTION);
    assert_eq!((none.verdict, none.interval, none.difference), (Verdict::Undecided, None, None));
    let one = compare(&pairs(1, 0, 0, 0), 0, QUESTION);
    assert_eq!(one.verdict, Verdict::Undecided);
}

#[test]
fn where_the_baseline_is_within_the_margin_of_nothing_there_is_no_pass() {
    let none = compare(&pairs(0, 0, 0, 400), 0, QUESTION);
    let because = none.because.clone().unwrap();
    assert!(none.is_empty && none.needed.is_none() && none.still_needed.is_none(), "{none:?}");
    assert_eq!(none.verdict, Verdict::Undecided);
    assert!(because.starts_with("the baseline gets nothing right by this metric, so that"), "{because}");
    // 20 of 400 are the margin: a candidate that loses all of them would not be worse by more than it.
    let nearly = compare(&pairs(20, 0, 0, 380), 0, QUESTION);
    assert!(nearly.is_empty && nearly.verdict == Verdict::Undecided, "{nearly:?}");
    assert!(nearly.because.unwrap().starts_with("the baseline's mean is 0.0500, within the margin of nothing right"));
    // One that is proven better than them has more than nothing.
    let better = compare(&pairs(20, 0, 40, 340), 0, QUESTION);
    assert!(!better.is_empty && better.verdict == Verdict::Pass, "{better:?}");
    let above = compare(&pairs(24, 0, 0, 376), 0, QUESTION);
    assert!(!above.is_empty && above.verdict == Verdict::Pass, "{above:?}");
    // A candidate that is right everywhere shows that the metric can be met, and nothing of a baseline it does not fit.
    assert_eq!(compare(&pairs(0, 0, 400, 0), 0, QUESTION).verdict, Verdict::Undecided);
    // The worst of a scale from 1 to 5 is 1; milliseconds have no worst.
    let scale = Question { range: Range { low: 1.0, high: 5.0 }, ..QUESTION };
    assert!(compare(&vec![pair(1.0, 1.0); 4000], 0, scale).is_empty);
    let endless = Question { range: Range { low: f64::NEG_INFINITY, high: 0.0 }, ..QUESTION };
    assert!(!compare(&pairs(0, 0, 0, 400), 0, endless).is_empty);
    // Preferences: who is never preferred has lost.
    assert_eq!(prefer(&pairs(0, 0, 400, 0), 0, QUESTION).verdict, Verdict::Pass);
}

#[test]
fn values_that_never_differ_are_equal_only_when_there_are_enough() {
    let same = |n: usize| compare(&vec![pair(0.5, 0.5); n], 0, QUESTION);
    assert_eq!((same(20).verdict, same(400).verdict), (Verdict::Undecided, Verdict::Pass));
    let interval = same(400).interval.unwrap();
    assert!(interval.low < 0.0 && interval.low > -0.05 && interval.high > 0.0, "{interval:?}");
}

#[test]
fn a_scale_on_which_all_is_its_worst_has_no_two_outcomes_and_differences_as_far_apart_as_its_ends() {
    let on = |low: f64, high: f64| {
        compare(&vec![pair(1.0, 1.0); 200], 0, Question { range: Range { low, high }, ..QUESTION })
    };
    let (rubric, rate) = (on(1.0, 5.0), on(0.0, 1.0));
    assert_eq!(rate.flips.unwrap().both_right, 200);
    assert_eq!((rubric.flips, rubric.parity.unwrap().kept), (None, None));
    let unit = compare(&vec![pair(0.5, 0.5); 200], 0, QUESTION).interval.unwrap();
    let wide = rubric.interval.unwrap();
    assert!(
        (wide.high - 4.0 * unit.high).abs() < 1e-6 && (wide.low - 4.0 * unit.low).abs() < 1e-6,
        "{wide:?} {unit:?}"
    );
    // As many cases that are alike prove a margin four times as wide.
    let (narrow, same) = (Question { range: Range { low: 1.0, high: 5.0 }, ..QUESTION }, vec![pair(3.0, 3.0); 200]);
    let verdict = |question| compare(&same, 0, question).verdict;
    assert_eq!((verdict(narrow), verdict(Question { margin: 0.2, ..narrow })), (Verdict::Undecided, Verdict::Pass));
    // Less is better: 0 is the right outcome and not the wrong one.
    let refusals =
        compare(&[pair(0.0, 0.0), pair(0.0, -1.0)], 0, Question { range: Range { low: -1.0, high: 0.0 }, ..QUESTION });
    assert_eq!(refusals.flips, Some(Flips { both_right: 1, lost: 1, won: 0, both_wrong: 0 }));
    let unbounded = on(0.0, f64::INFINITY);
    assert_eq!((unbounded.verdict, unbounded.interval), (Verdict::Undecided, None));
    assert!(unbounded.because.is_some_and(|why| why.contains("no bounds")));
}

#[test]
fn a_pass_holds_with_the_cases_without_a_number_at_their_worst() {
    let nearly = pairs(380, 0, 0, 0);
    assert_eq!(compare(&nearly, 0, QUESTION).verdict, Verdict::Pass);
    assert_eq!(compare(&nearly, 3, QUESTION).verdict, Verdict::Pass, "three more losses are within the margin");
    let missing = compare(&nearly, 19, QUESTION);
    assert_eq!(missing.verdict, Verdict::Undecided);
    assert_eq!(
        missing.because.as_deref(),
        Some("it would be a pass, but 19 cases have no number, and with these at their worst it is not proven")
    );
    let worse = compare(&pairs(300, 45, 10, 45), 19, QUESTION);
    assert_eq!(worse.verdict, Verdict::Undecided, "{:?}", worse.because);
    assert_eq!(compare(&pairs(300, 120, 10, 70), 19, QUESTION).verdict, Verdict::Fail);
}

/// One word more in one of twenty answers that are otherwise alike proved, by Student's t, that no answer in twenty is lost.
#[test]
fn what_twenty_cases_have_not_shown_may_be_there() {
    let mut twenty = vec![pair(1.0, 1.0); 20];
    twenty[7].candidate = 0.98;
    let found = compare(&twenty, 0, QUESTION);
    assert_eq!(found.verdict, Verdict::Undecided);
    assert!(found.interval.unwrap().low < -0.1, "{:?}", found.interval);
    assert!((59..120).contains(&found.needed.unwrap()), "{:?}", found.needed);
}

#[test]
fn cases_of_one_document_count_less_than_cases_of_many() {
    let clustered = |per_cluster: usize| -> Vec<Pair> {
        let alike = |idx: usize| {
            let cluster = Some(format!("document {}", idx / per_cluster));
            // One document in twenty is lost, and one is won.
            let (baseline, candidate) = match (idx / per_cluster) % 20 {
                0 => (1.0, 0.0),
                1 => (0.0, 1.0),
                _ => (1.0, 1.0),
            };
            Pair { cluster, baseline, candidate }
        };
        (0..400).map(alike).collect()
    };
    let (alone, together) = (compare(&clustered(1), 0, QUESTION), compare(&clustered(10), 0, QUESTION));
    assert_eq!(
        (alone.n_clusters, together.n_clusters, alone.difference, together.difference),
        (400, 40, Some(0.0), Some(0.0))
    );
    let width = |comparison: &Comparison| comparison.interval.map(|interval| interval.high - interval.low).unwrap();
    assert!(width(&together) > 2.0 * width(&alone), "{} {}", width(&together), width(&alone));
    assert_eq!((alone.verdict, together.verdict), (Verdict::Pass, Verdict::Undecided));
    assert!(together.needed > alone.needed);
}

#[test]
fn the_same_pairs_give_the_same_comparison() {
    let values: Vec<Pair> = (0..60_u32).map(|idx| pair(f64::from(idx % 7) / 7.0, f64::from(idx % 5) / 5.0)).collect();
    assert_eq!(compare(&values, 0, QUESTION), compare(&values, 0, QUESTION));
}

/// What a simulated pair of answers is like.
#[derive(Clone, Copy)]
struct World {
    /// How much worse the candidate is.
    loss: f64,
    /// The part of cases that disagree.
    discordant: f64,
    /// Cases in a cluster, all alike in nothing but that they are drawn together half of the time.
    per_cluster: usize,
    /// Whether outcomes are graded instead of 0 and 1.
    graded: bool,
}

fn chance(random: &mut Random) -> f64 {
    (random.bits() >> 11) as f64 / (1_u64 << 53) as f64
}

fn simulated(world: World, n: usize, random: &mut Random) -> Vec<Pair> {
    let mut shared = 0.0;
    let one = |idx: usize| {
        if idx.is_multiple_of(world.per_cluster) {
            shared = chance(random);
        }
        let own = chance(random);
        let drawn = if world.per_cluster > 1 && chance(random) < 0.5 { shared } else { own };
        let p_lost = f64::midpoint(world.discordant, world.loss);
        let (baseline, candidate) = if drawn < p_lost {
            (1.0, 0.0)
        } else if drawn < world.discordant {
            (0.0, 1.0)
        } else if world.graded {
            // Good answers differ a little, either way as likely, so that differences keep their mean.
            (1.0 - 0.2 * chance(random), 1.0 - 0.2 * chance(random))
        } else {
            (1.0, 1.0)
        };
        let cluster = (world.per_cluster > 1).then(|| (idx / world.per_cluster).to_string());
        Pair { cluster, baseline, candidate }
    };
    (0..n).map(one).collect()
}

/// How often each verdict comes up.
fn verdicts(world: World, n: usize, n_evaluations: u64, question: Question) -> (f64, f64) {
    let (mut n_pass, mut n_fail) = (0.0, 0.0);
    for evaluation in 0..n_evaluations {
        let mut random = Random::new(1000 + evaluation);
        match decide(&simulated(world, n, &mut random), 0, question).verdict {
            Verdict::Pass => n_pass += 1.0,
            Verdict::Fail => n_fail += 1.0,
            Verdict::Undecided => {}
        }
    }
    (n_pass / n_evaluations as f64, n_fail / n_evaluations as f64)
}

/// A part of so many simulations with its Wilson interval at 95 %, as the statistics page has it.
fn figure(what: &str, part: f64, n: u64) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of the count")]
    let hits = (part * n as f64).round() as u64;
    let (low, high) = interval::wilson(hits, n, 1.96).unwrap();
    println!("\nevaluation\t{what}\t{:.1} % ({:.1} to {:.1})\t{n}", 100.0 * part, 100.0 * low, 100.0 * high);
}

fn is_slow() -> bool {
    std::env::var_os("CROSSFADE_SLOW_TESTS").is_some()
}

/// At exactly the margin no more than one in twenty may pass, and no more may fail. Three standard errors of the simulation are granted.
#[test]
fn at_the_margin_one_in_twenty_passes_at_most() {
    // Of total losses only, and few cases: what a sample has not shown may be there.
    let rare = World { loss: 0.05, discordant: 0.05, per_cluster: 1, graded: true };
    for (n, world) in [
        (300, World { loss: 0.05, discordant: 0.10, per_cluster: 1, graded: false }),
        (1000, World { loss: 0.05, discordant: 0.20, per_cluster: 1, graded: false }),
        (300, World { loss: 0.05, discordant: 0.15, per_cluster: 5, graded: false }),
        (20, rare),
        (60, rare),
        (100, rare),
        (300, rare),
        (300, World { discordant: 0.20, ..rare }),
        (60, World { per_cluster: 5, ..rare }),
        (300, World { per_cluster: 5, ..rare }),
    ] {
        let World { discordant, per_cluster, graded, .. } = world;
        let n_evaluations = if is_slow() {
            4000
        } else if graded {
            100
        } else {
            400
        };
        let three_errors = 3.0 * (0.05_f64 * 0.95 / n_evaluations as f64).sqrt();
        let (passed, failed) = verdicts(world, n, n_evaluations, QUESTION);
        let values = if graded { ", graded" } else { "" };
        let about = format!("{n} cases{values}, {discordant} apart, clusters of {per_cluster}, worse by the margin");
        figure(&format!("{about}: pass"), passed, n_evaluations);
        figure(&format!("{about}: fail"), failed, n_evaluations);
        assert!(
            passed <= 0.05 + three_errors && failed <= 0.05 + three_errors,
            "{n}: {passed} passed, {failed} failed"
        );
    }
}

/// Equals on as many cases as the plan for 80 % says pass about four times in five.
#[test]
fn as_many_cases_as_planned_decide_four_times_in_five() {
    let n_evaluations = if is_slow() { 4000 } else { 400 };
    let world = World { loss: 0.0, discordant: 0.10, per_cluster: 1, graded: false };
    let (passed, failed) = verdicts(world, 248, n_evaluations, QUESTION);
    figure("248 cases, 0.1 apart, equals, planned for 80 %: pass", passed, n_evaluations);
    assert!((0.74..0.87).contains(&passed) && failed < 0.01, "{passed} passed, {failed} failed");
}

/// A pilot of 200 says how many cases decide; that many, asked anew, decide rightly at least 78 times in a hundred.
#[test]
fn the_number_that_a_pilot_says_decides() {
    let worlds = [(0.0, Verdict::Pass), (0.02, Verdict::Pass), (0.10, Verdict::Fail), (0.15, Verdict::Fail)];
    let worlds = worlds.into_iter().map(|(loss, expected)| (loss, expected, 0.20, 1, false));
    let more = [
        (0.0, Verdict::Pass, 0.10, 1, false),
        (0.0, Verdict::Pass, 0.30, 1, false),
        (0.0, Verdict::Pass, 0.05, 1, true),
        (0.01, Verdict::Pass, 0.10, 1, true),
        (0.15, Verdict::Fail, 0.20, 1, true),
        (0.0, Verdict::Pass, 0.10, 5, false),
        (0.0, Verdict::Pass, 0.10, 5, true),
    ];
    for (loss, expected, discordant, per_cluster, graded) in worlds.chain(more) {
        let world = World { loss, discordant, per_cluster, graded };
        let n_studies = if is_slow() {
            2000
        } else if graded || per_cluster > 1 {
            40
        } else {
            100
        };
        let mut n_right = 0.0;
        for study in 0..n_studies {
            let mut random = Random::new(77_000 + study);
            let pilot = decide(&simulated(world, 200, &mut random), 0, QUESTION);
            let n = pilot.needed.unwrap_or(200).min(20_000);
            let study = decide(&simulated(world, usize::try_from(n).unwrap(), &mut random), 0, QUESTION);
            n_right += f64::from(u8::from(study.verdict == expected));
        }
        let right = n_right / n_studies as f64;
        let values = if graded { ", graded" } else { "" };
        figure(
            &format!(
                "pilot of 200{values}, then as many as it says, {discordant} apart, clusters of {per_cluster}, worse by {loss}: decisive and right"
            ),
            right,
            n_studies,
        );
        let granted = 3.0 * (0.78_f64 * 0.22 / n_studies as f64).sqrt();
        assert!(right >= 0.78 - granted, "{loss}: {right}");
    }
}
