//! Reports of made-up rows: what is decided, and that nothing of a bundle can be changed unseen.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::area::{Area, Standing};
use crate::bundle::bundle;
use crate::canonical::{Real, sha256};
use crate::decision::Decision;
use crate::live::{Approvals, Standings};
use crate::report::{Engine, MoveReport, report};
use crate::rows::{Asked, Call, CasePair, FiledRow, RolloutRow, Rows, Run, RunHead, Upload};
use crate::settings::{Move, RecordedLoad, Scorecard, Settings, TargetFacts, Worksheet};
use crate::verify::verify;
use crate::{html, markdown, tar};

mod advice;
mod counted;

const DAY_US: u64 = 86_400_000_000;
pub(crate) const NOW_US: u64 = 20_000 * DAY_US;

/// Knows no worksheets; of a rollout, what its state says in a word.
pub(crate) struct Plain;

impl Engine for Plain {
    fn study(&self, _file: &str, text: &str) -> Result<cost::tco::Study, String> {
        Err(format!("no worksheet: {text}"))
    }

    fn standings(&self, row: &RolloutRow, _at_us: u64) -> Result<Standings, String> {
        Ok(Standings {
            label: row.state_json.trim_end_matches(" after").to_owned(),
            status: row.state_json.trim_end_matches(" after").to_owned(),
            reason: "so it is".to_owned(),
            share: match row.state_json.as_str() {
                "completed" | "completed after" => 0.98,
                "resumed live" => 0.25,
                _ => 0.0,
            },
            taken_back: row.state_json.starts_with("rolled_back"),
            taken_back_before: [
                "resumed",
                "resumed live",
                "aborted after",
                "rolled_back after",
                "paused after",
                "completed after",
            ]
            .contains(&row.state_json.as_str())
            .then(|| "slower by 300 ms (sure)".to_owned()),
            gates: Vec::new(),
            missing: Vec::new(),
            next: (row.state_json != "last").then(|| "canary 25 %".to_owned()),
            approvals: (row.state_json == "awaiting_approval").then_some(Approvals {
                have: 0,
                need: 2,
                author_may: false,
            }),
        })
    }
}

fn target(name: &str, class: &str) -> TargetFacts {
    TargetFacts {
        name: name.to_owned(),
        provider: format!("{name}-provider"),
        class: class.to_owned(),
        external: class != "self_hosted",
        region: None,
        model: format!("{name}-model"),
        fingerprint: format!("{name}-1"),
        simulated: false,
    }
}

fn asked(target: &TargetFacts) -> Asked {
    Asked {
        name: target.name.clone(),
        provider: target.provider.clone(),
        model: target.model.clone(),
        fingerprint: target.fingerprint.clone(),
    }
}

/// Cases of which the baseline gets 90 % and the candidate `right` of 100 right.
fn cases(n: usize, right: usize) -> Vec<CasePair> {
    let worth = |right: bool| Some(f64::from(u8::from(right)));
    (0..n)
        .map(|idx| CasePair {
            case: format!("c{idx}"),
            cluster: None,
            slices: BTreeMap::from([("language".to_owned(), if idx % 4 == 0 { "de" } else { "en" }.to_owned())]),
            baseline: worth(idx % 100 < 90),
            candidate: worth(idx % 100 < right),
        })
        .collect()
}

fn run(cases: Vec<CasePair>) -> Run {
    let head = RunHead {
        run: "parity".to_owned(),
        at_us: NOW_US - DAY_US,
        dataset: "d".to_owned(),
        version: "v".to_owned(),
        primary: "icontains".to_owned(),
        definition: "says what is expected".to_owned(),
        margin: Real(0.05),
        range: (Real(0.0), Real(1.0)),
        n_candidates: 1,
        whole: true,
        held: None,
        simulated: false,
        answered_by: BTreeMap::new(),
        baseline: asked(&target("gpt", "vendor")),
        candidate: asked(&target("own", "self_hosted")),
    };
    Run { head, cases }
}

fn calls(n: u64, of: &TargetFacts, ms: u64) -> Vec<Call> {
    (0..n)
        .map(|idx| Call {
            route: "chat".to_owned(),
            at_us: NOW_US - DAY_US + idx * 100_000,
            target: of.name.clone(),
            model: of.model.clone(),
            is_shadow: of.name == "own",
            streamed: true,
            first_token_us: Some(50_000),
            duration_us: Some((ms + idx % 40) * 1000),
            input_tokens: Some(10),
            output_tokens: Some(20),
            cost_nanos: Some(1_000),
            failure: None,
            simulated: false,
        })
        .collect()
}

#[test]
fn right_answers_of_the_baseline_itself_make_quality_an_agreement_with_it() {
    let mut rows = rows();
    assert!(!format!("{:?}", report(&rows, &Plain)).contains("agreement, not correctness"));
    rows.runs[0].head.answered_by = BTreeMap::from([("gpt".to_owned(), 300), ("other".to_owned(), 7)]);
    let found = report(&rows, &Plain);
    let because = &found.moves[0].areas.iter().find(|found| found.area == Area::Quality).unwrap().because;
    let n = rows.runs[0].cases.len();
    assert!(
        because.ends_with(&format!(
            "; agreement, not correctness: 300 of {n} right answers are the baseline's own, of the record"
        )),
        "{because}"
    );
}

/// Everything speaks for the candidate but what nobody measured here: only quality, latency and safety are required.
pub(crate) fn rows() -> Rows {
    let (gpt, own) = (target("gpt", "vendor"), target("own", "self_hosted"));
    let mut scorecard = Scorecard::default();
    scorecard.throughput.required = false;
    scorecard.tco.required = false;
    let mv = Move {
        workload: "support".to_owned(),
        risk: Some("medium".to_owned()),
        route: "chat".to_owned(),
        rollout: Some("to-own".to_owned()),
        fingerprint: None,
        down: None,
        switched: false,
        set_back: false,
        baseline: gpt.clone(),
        candidate: Some(own.clone()),
        fallback: Vec::new(),
        target_load: None,
        // A week of it, with ten requests a second in the busiest minute.
        recorded: Some(RecordedLoad {
            requests: 1200,
            first_us: NOW_US - 8 * DAY_US,
            last_us: NOW_US - DAY_US,
            peak_per_minute: 600,
        }),
    };
    let filed = FiledRow {
        rollout: "to-own".to_owned(),
        kind: "suite".to_owned(),
        name: "safety".to_owned(),
        passed: true,
        at_us: NOW_US - DAY_US,
        digest: "d".to_owned(),
        n: 300,
        actor: "ana".to_owned(),
        note: "by the book".to_owned(),
        fingerprint: None,
    };
    let mut all = calls(600, &gpt, 400);
    all.extend(calls(600, &own, 300));
    Rows {
        settings: Settings {
            version: "0".to_owned(),
            at_us: NOW_US,
            config_hash: "c".to_owned(),
            seed: 1,
            draws: 100,
            scorecard,
            moves: vec![mv],
            worksheets: Vec::new(),
            notes: Vec::new(),
            unserved: false,
            outcomes_of: Vec::new(),
            set: Vec::new(),
        },
        runs: vec![run(cases(600, 89))],
        calls: all,
        rollouts: Vec::new(),
        filed: vec![filed],
        worksheets: Vec::new(),
        probes: Vec::new(),
        matrices: Vec::new(),
        outcomes: Vec::new(),
        benches: Vec::new(),
    }
}

fn only(rows: &Rows) -> MoveReport {
    report(rows, &Plain).moves.remove(0)
}

#[track_caller]
fn check(rows: &Rows, decision: Decision, rule: &str) {
    let found = only(rows);
    assert_eq!((found.decision, found.rule), (decision, rule), "{:#?}", found.reasons);
}

#[test]
fn what_is_proven_in_all_that_is_required_switches() {
    let rows = rows();
    check(&rows, Decision::Switch, "A1");
    let found = only(&rows);
    assert_eq!(found.quality_delta.value, Some(-0.01));
    assert!(found.latency_delta.high.unwrap() < 0.0, "{:?}", found.latency_delta);
    assert_eq!([found.sovereignty[0].class, found.sovereignty[1].class], [Some(1), Some(4)]);
}

#[test]
fn without_evaluations_there_is_not_enough_evidence() {
    let mut rows = rows();
    rows.runs.clear();
    check(&rows, Decision::NotEnoughEvidence, "U1");
    let found = only(&rows);
    assert!(found.next.contains("`crossfade eval run --target gpt --target own --dataset NAME`"), "{}", found.next);
    assert_eq!(found.areas[0].standing, Standing::NotRun);
}

#[test]
fn evidence_that_is_old_or_of_another_model_is_not_counted_and_said() {
    let mut old = rows();
    old.runs[0].head.at_us = NOW_US - 91 * DAY_US;
    check(&old, Decision::NotEnoughEvidence, "U1");
    assert!(report(&old, &Plain).stale[0].why.contains("91 days old"));
    let mut other = rows();
    other.runs[0].head.candidate.model = "before".to_owned();
    check(&other, Decision::NotEnoughEvidence, "U1");
    assert!(report(&other, &Plain).stale[0].why.contains("was the model before then"));
    let mut prompt = rows();
    prompt.runs[0].head.candidate.fingerprint = "own-0".to_owned();
    check(&prompt, Decision::NotEnoughEvidence, "U1");
    assert!(report(&prompt, &Plain).stale[0].why.contains("prompt or the parameters"));
}

#[test]
fn worse_answers_stay_and_few_cases_ask_for_more() {
    let mut worse = rows();
    worse.runs = vec![run(cases(600, 60))];
    check(&worse, Decision::Stay, "Q1");
    let mut few = rows();
    few.runs = vec![run(cases(40, 85))];
    check(&few, Decision::NotEnoughEvidence, "U1");
    assert!(only(&few).questions[0].contains("more evaluation cases"), "{:?}", only(&few).questions);
}

#[test]
fn answers_that_are_all_wrong_on_both_sides_settle_nothing_and_ask_for_other_cases() {
    let mut rows = rows();
    rows.runs[0].cases.iter_mut().for_each(|case| (case.baseline, case.candidate) = (Some(0.0), Some(0.0)));
    let found = only(&rows);
    let quality = found.areas.iter().find(|found| found.area == Area::Quality).unwrap();
    assert_eq!(quality.standing, Standing::Undecided);
    assert!(quality.because.starts_with("the baseline gets nothing right by this metric"), "{}", quality.because);
    let settle = quality.settle.as_deref().unwrap();
    assert!(settle.contains("`crossfade eval report parity -o answers.html`"), "{settle}");
    assert!(!settle.contains("more evaluation cases"), "{settle}");
}

#[test]
fn parts_that_are_proven_move_by_themselves() {
    let mut rows = rows();
    let mut cases = cases(2000, 90);
    // German answers are all wrong at the candidate.
    cases.iter_mut().filter(|case| case.slices["language"] == "de").for_each(|case| case.candidate = Some(0.0));
    rows.runs = vec![run(cases)];
    check(&rows, Decision::Hybridize, "H1");
    let found = only(&rows);
    let slices = |parts: &[crate::quality::Part]| parts.iter().map(|part| part.slice.clone()).collect::<Vec<_>>();
    assert_eq!(
        (slices(&found.good_parts), slices(&found.worse_parts)),
        (vec!["language=en".into()], vec!["language=de".into()])
    );
    assert_eq!(found.sovereignty[1].class, Some(3));
}

#[test]
fn a_slow_candidate_a_failed_safety_suite_and_a_rollback_stay() {
    let mut slow = rows();
    slow.calls.retain(|call| call.target == "gpt");
    slow.calls.extend(calls(600, &target("own", "self_hosted"), 3_000));
    check(&slow, Decision::Stay, "L1");
    let mut unsafe_ = rows();
    unsafe_.filed[0].passed = false;
    check(&unsafe_, Decision::Stay, "S1");
    let mut back = rows();
    back.rollouts.push(RolloutRow {
        name: "to-own".to_owned(),
        route: "chat".to_owned(),
        fingerprint: "f".to_owned(),
        fingerprint_now: Some("f".to_owned()),
        simulated: false,
        state_json: "rolled_back".to_owned(),
        policy_json: String::new(),
        evidence_json: None,
    });
    check(&back, Decision::Stay, "S2");
    assert!(only(&back).next.starts_with("Leave the route where it is"));
    // Where users have answers of what failed, that is the first thing to say.
    unsafe_.rollouts.push(RolloutRow { state_json: "completed".to_owned(), ..back.rollouts[0].clone() });
    let live = only(&unsafe_);
    assert!(live.verdict.contains("98.0 % of users' requests are on it today"), "{}", live.verdict);
    assert!(live.next.starts_with("`crossfade rollout abort to-own --reason TEXT`"), "{}", live.next);
    // Of another candidate it says nothing.
    back.rollouts[0].fingerprint_now = Some("g".to_owned());
    // Nor does a pass that was filed for that one; a failure stays one.
    check(&back, Decision::NotEnoughEvidence, "U1");
    assert_eq!(only(&back).areas[3].standing, Standing::NotRun);
    assert!(report(&back, &Plain).stale.iter().any(|one| one.what == "filed suite `safety`"));
    // Nor one that was filed for another candidate, before the rollout was started anew with this one.
    (back.rollouts[0].fingerprint, back.rollouts[0].state_json) = ("g".to_owned(), "shadow".to_owned());
    assert_eq!(only(&back).areas[3].standing, Standing::Pass, "it was not written down what it was filed for");
    back.filed[0].fingerprint = Some("f".to_owned());
    assert_eq!(only(&back).areas[3].standing, Standing::NotRun);
    back.filed[0].fingerprint = Some("g".to_owned());
    assert_eq!(only(&back).areas[3].standing, Standing::Pass);
    back.filed[0].passed = false;
    check(&back, Decision::Stay, "S1");
    back.settings.scorecard.safety.required = false;
    check(&back, Decision::Switch, "A1");
}

#[test]
fn what_nobody_measured_is_not_run_and_never_a_pass() {
    let mut rows = rows();
    rows.settings.scorecard = Scorecard::default();
    check(&rows, Decision::NotEnoughEvidence, "U1");
    let standings: Vec<Standing> = only(&rows).areas.iter().map(|found| found.standing).collect();
    use Standing::{NotRun, Pass};
    assert_eq!(standings, [Pass, Pass, NotRun, Pass, NotRun]);
    rows.filed[0].n = 0;
    let safety = only(&rows).areas[3].clone();
    assert_eq!(safety.standing, Standing::Undecided);
    assert!(safety.because.ends_with("a pass of 0 cases shows nothing"), "{}", safety.because);
    assert!(safety.settle.is_some_and(|settle| settle.contains("--outcome PASS_OR_FAIL --digest SHA256 --cases N")));
    rows.filed[0].passed = false;
    assert_eq!(only(&rows).areas[3].standing, Standing::Fail, "a failure is one, of however many");
    rows.filed.clear();
    assert_eq!(only(&rows).areas[3].standing, NotRun);
    // Copies at a trickle prove nothing of the peak.
    rows.settings.moves[0].target_load = Some(Real(50.0));
    let latency = &only(&rows).areas[1];
    assert_eq!(latency.standing, Standing::Undecided);
    let bench = "`crossfade bench run --target own --rate 50 --duration 60s --slo e2e=2500ms`";
    assert_eq!(latency.settle.as_deref(), Some(bench));
}

/// A level of a benchmark at so many a second: its P95, and how many of a thousand requests had no whole answer, by what was wrong with them.
fn level(per_s: f64, (value, low, high): (f64, f64, f64), errors: &[(&str, u64)]) -> Value {
    let n_failed: u64 = errors.iter().map(|(_, n)| n).sum();
    let n_beyond: u64 = errors.iter().filter(|(word, _)| *word == "timeout").map(|(_, n)| n).sum();
    let quantile = |by: f64| json!({ "value": value * by, "low": low * by, "high": high * by });
    let p95 = if n_beyond > 50 { json!({ "value": null, "low": null, "high": null }) } else { quantile(1.0) };
    json!({
        "target": "own", "load": { "kind": "rate", "per_s": per_s }, "n_requests": 1000, "n_good": 1000 - n_failed,
        "errors": errors.iter().map(|(word, n)| ((*word).to_owned(), *n)).collect::<BTreeMap<String, u64>>(),
        "latency": { "e2e.intended": { "n": 1000 - n_failed, "n_beyond": n_beyond, "p95": p95, "p99": quantile(1.2), "p99.9": quantile(1.5) } }
    })
}

/// A benchmark as `crossfade bench` keeps it, as far as a report reads it.
fn document(name: &str, levels: Vec<Value>, (sustained, failed): (f64, f64)) -> Upload {
    let tried = |load: f64, verdict: &str| json!({ "load": load, "verdict": verdict, "is_invalid": false });
    let text = json!({
        "format": "crossfade.bench/1", "name": name, "at_us": NOW_US - DAY_US, "verdict": "valid", "partial": false, "why": [],
        "simulated": false, "plan": { "timeout_s": 120.0 }, "slo": { "e2e_ms": 2500.0, "share": 0.95 },
        "targets": [{ "name": "own", "model": "own-model", "fingerprint": "own-1" }], "levels": levels,
        "found": [{ "target": "own", "over": "rate", "sustained": sustained, "failed": failed, "is_client_bound": false,
            "tried": [tried(sustained, "pass"), tried(failed, "fail")] }]
    });
    Upload { source: name.to_owned(), text: text.to_string() }
}

fn bench(p95: (f64, f64, f64), sustained: f64, failed: f64) -> Upload {
    document("peak", vec![level(50.0, p95, &[])], (sustained, failed))
}

const FAST: (f64, f64, f64) = (900.0, 800.0, 1000.0);
const SLOW: (f64, f64, f64) = (2600.0, 2550.0, 2700.0);

/// A peak of 50 requests a second, and everything but latency and throughput proven.
fn benched(benches: Vec<Upload>) -> Rows {
    let mut rows = rows();
    rows.settings.moves[0].target_load = Some(Real(50.0));
    rows.settings.scorecard.throughput.required = true;
    rows.benches = benches;
    rows
}

#[test]
fn benchmarks_decide_latency_at_the_target_load_and_throughput() {
    check(&benched(Vec::new()), Decision::NotEnoughEvidence, "U1");
    check(&benched(vec![bench(FAST, 64.0, 70.0)]), Decision::Switch, "A1");
    let low = benched(vec![bench(FAST, 30.0, 32.0)]);
    check(&low, Decision::Hybridize, "H2");
    assert!(only(&low).areas[2].because.contains("50.0 % of that"), "{}", only(&low).areas[2].because);
    check(&benched(vec![bench(SLOW, 64.0, 70.0)]), Decision::Stay, "L1");
    let changed = |from: &str, to: &str| {
        let mut rows = benched(vec![bench(FAST, 64.0, 70.0)]);
        let text = rows.benches[0].text.replace(from, to);
        assert_ne!(text, rows.benches[0].text, "{from}");
        rows.benches[0].text = text;
        rows
    };
    let invalid = changed("\"valid\"", "\"invalid\"");
    check(&invalid, Decision::NotEnoughEvidence, "U1");
    assert!(report(&invalid, &Plain).stale[0].why.contains("no evidence"));
    check(&changed("own-model", "before"), Decision::NotEnoughEvidence, "U1");
    let elsewhere = changed("own-1", "own-0");
    check(&elsewhere, Decision::NotEnoughEvidence, "U1");
    assert!(report(&elsewhere, &Plain).stale[0].why.contains("the address, the prompt or the parameters"));
    // A search shows the peak to be missed only where a probe shows so, and held only within an objective like the scorecard's.
    check(&changed("\"verdict\":\"fail\"", "\"verdict\":\"undecided\""), Decision::Switch, "A1");
    let mut unshown = benched(vec![bench(FAST, 30.0, 32.0)]);
    unshown.benches[0].text = unshown.benches[0].text.replace("\"verdict\":\"fail\"", "\"verdict\":\"undecided\"");
    check(&unshown, Decision::NotEnoughEvidence, "U1");
    for (from, to) in [("\"e2e_ms\":2500.0", "\"e2e_ms\":60000.0"), ("\"share\":0.95", "\"share\":0.5")] {
        let lax = changed(from, to);
        check(&lax, Decision::NotEnoughEvidence, "U1");
        assert!(only(&lax).questions[0].contains("--slo e2e=2500ms --share 0.95"), "{:?}", only(&lax).questions);
    }
}

fn check_levels(levels: Vec<Value>, expected: Standing, words: &str) {
    let shown = format!("{levels:#?}");
    let latency = &only(&benched(vec![document("peak", levels, (64.0, 70.0))])).areas[1];
    assert_eq!(latency.standing, expected, "{}: {shown}", latency.because);
    assert!(latency.because.contains(words), "{}", latency.because);
}

#[test]
fn a_level_above_the_target_load_shows_nothing_too_slow_and_one_below_it_nothing_fast() {
    check_levels(vec![level(40.0, FAST, &[]), level(80.0, SLOW, &[])], Standing::Undecided, "80.00 req/s");
    check_levels(vec![level(40.0, FAST, &[]), level(80.0, FAST, &[])], Standing::Pass, "80.00 req/s");
    check_levels(vec![level(40.0, SLOW, &[])], Standing::Fail, "40.00 req/s");
    check_levels(vec![level(40.0, FAST, &[])], Standing::Undecided, "not shown at the target load");
    check_levels(vec![level(50.0, SLOW, &[]), level(80.0, FAST, &[])], Standing::Fail, "50.00 req/s");
    // In turns with another target it was asked for half of the time.
    let mut in_turns = level(50.0, FAST, &[]);
    in_turns["duty"] = json!(0.5);
    check_levels(vec![in_turns], Standing::Undecided, "not shown at the target load");
    // Without a target load nobody knows what a level shows.
    let mut rows = benched(vec![document("peak", vec![level(80.0, SLOW, &[])], (64.0, 70.0))]);
    (rows.settings.moves[0].target_load, rows.settings.moves[0].recorded) = (None, None);
    assert_eq!(only(&rows).areas[1].standing, Standing::Undecided);
}

#[test]
fn requests_without_an_answer_are_later_than_all_in_a_benchmark() {
    check_levels(vec![level(50.0, FAST, &[("http_5xx", 10)])], Standing::Pass, "10 of 1000 requests");
    // The 95th percentile of all is beyond the 99.9th of those that came, or is not known.
    check_levels(vec![level(50.0, FAST, &[("http_429", 45)])], Standing::Pass, "45 of 1000");
    check_levels(vec![level(50.0, FAST, &[("unfinished", 100)])], Standing::Undecided, "100 of 1000");
    check_levels(vec![level(50.0, FAST, &[("http_5xx", 300)])], Standing::Fail, "300 of 1000");
    check_levels(vec![level(50.0, FAST, &[("timeout", 300)])], Standing::Fail, "300 of 1000");
    let old = document("old", vec![level(50.0, FAST, &[])], (64.0, 70.0));
    let new = document("new", vec![level(51.0, FAST, &[("timeout", 300)])], (64.0, 70.0));
    let latency = &only(&benched(vec![old, new])).areas[1];
    assert_eq!(latency.standing, Standing::Undecided, "the newest of about the same load counts: {}", latency.because);
}

#[test]
fn what_is_fast_under_more_load_or_for_nineteen_in_twenty_of_all_requests_is_fast_at_the_target_load() {
    let open = (2400.0, 2300.0, 2600.0);
    check_levels(vec![level(50.0, open, &[]), level(80.0, open, &[])], Standing::Undecided, "50.00 req/s");
    check_levels(vec![level(50.0, open, &[]), level(80.0, FAST, &[])], Standing::Pass, "80.00 req/s");
    // Few answers have no bound for a quantile above the 95th; how many requests were in time says enough.
    let mut counted = level(50.0, open, &[("http_5xx", 3)]);
    counted["latency"]["e2e.intended"]["p99"]["high"] = Value::Null;
    counted["goodput"] = json!({ "attained": { "n_met": 997, "n": 1000 }, "interval": [0.991, 0.999] });
    check_levels(vec![counted.clone()], Standing::Pass, "3 of 1000 requests");
    let mut rows = benched(vec![document("peak", vec![counted.clone()], (64.0, 70.0))]);
    let label = |rows: &Rows| only(rows).areas[1].figures[0].label.clone();
    assert!(label(&rows).contains("at most the P99 of whole answers"), "{}", label(&rows));
    // Counted within a longer limit it says nothing.
    rows.benches[0].text = rows.benches[0].text.replace("\"e2e_ms\":2500.0", "\"e2e_ms\":4000.0");
    assert_eq!(only(&rows).areas[1].standing, Standing::Undecided);
    counted["goodput"]["interval"] = json!([0.94, 0.999]);
    check_levels(vec![counted], Standing::Undecided, "50.00 req/s");
}

#[test]
fn recorded_calls_show_the_peak_only_in_minutes_of_it_and_failed_ones_are_later_than_all() {
    let latency = |rows: &Rows| only(rows).areas[1].clone();
    assert_eq!(latency(&rows()).standing, Standing::Pass);
    // The busy minute is slow; an idle week makes the P95 of all fast.
    let mut peak = rows();
    peak.calls.retain(|call| call.target == "gpt");
    peak.calls.extend(calls(600, &target("own", "self_hosted"), 4_000));
    let mut idle = calls(60_000, &target("own", "self_hosted"), 200);
    idle.iter_mut().enumerate().for_each(|(idx, call)| call.at_us = NOW_US - 6 * DAY_US + idx as u64 * 1_000_000);
    peak.calls.extend(idle);
    let found = latency(&peak);
    assert_eq!(found.standing, Standing::Fail, "{}", found.because);
    assert!(found.because.contains("in minutes of the target load"), "{}", found.because);
    let mut failing = rows();
    let own = failing.calls.iter_mut().filter(|call| call.target == "own");
    own.step_by(5).for_each(|call| call.failure = Some("timeout_total".to_owned()));
    let found = latency(&failing);
    assert_eq!(found.standing, Standing::Fail, "{}", found.because);
    assert!(found.because.contains("120 of 600"), "{}", found.because);
    // What failed before is over where the newest calls are answered; speed is then shown by a benchmark.
    failing.calls.extend(
        calls(100, &target("own", "self_hosted"), 300).into_iter().map(|call| Call { at_us: NOW_US - 1, ..call }),
    );
    let found = latency(&failing);
    assert_eq!(found.standing, Standing::Undecided, "{}", found.because);
    assert!(
        found.because.contains("120 of 700 calls on record failed") && found.because.contains("that outage is over")
    );
    // A caller that goes away, or asks for what nobody has, says nothing of the candidate.
    let mut gone = rows();
    let own = gone.calls.iter_mut().filter(|call| call.target == "own");
    own.step_by(5).for_each(|call| call.failure = Some("client_gone".to_owned()));
    assert_eq!(latency(&gone).standing, Standing::Pass);
    // What calls show to be slow, a benchmark does not undo.
    let mut slow = benched(vec![bench(FAST, 64.0, 70.0)]);
    slow.calls.retain(|call| call.target == "gpt");
    slow.calls.extend(calls(600, &target("own", "self_hosted"), 3_000));
    check(&slow, Decision::Stay, "L1");
}

#[test]
fn an_hour_of_record_has_seen_no_peak_and_no_demand_at_all_is_no_proof() {
    let mut short = benched(vec![document("peak", vec![level(50.0, FAST, &[])], (64.0, 70.0))]);
    short.settings.moves[0].target_load = None;
    check(&short, Decision::Switch, "A1");
    short.settings.moves[0].recorded =
        short.settings.moves[0].recorded.map(|all| RecordedLoad { first_us: all.last_us - 3_600_000_000, ..all });
    check(&short, Decision::NotEnoughEvidence, "U1");
    let found = only(&short);
    assert!(found.questions[..2].iter().all(|asks| asks.contains("report.target_load")), "{:?}", found.questions);
    let mut nothing = rows();
    let card = &mut nothing.settings.scorecard;
    (card.quality.required, card.latency.required, card.safety.required) = (false, false, false);
    check(&nothing, Decision::NotEnoughEvidence, "U1");
}

#[test]
fn the_latency_delta_is_that_of_both_in_turns_where_there_is_one() {
    let in_turns = |good: u64, model: &str| {
        let level = |name: &str| {
            format!(
                r#"{{"target":"{name}","load":{{"kind":"rate","per_s":5.0}},"n_requests":100,"n_good":{good},"latency":{{}}}}"#
            )
        };
        let text = format!(
            r#"{{"format":"crossfade.bench/1","name":"turns","at_us":{},"verdict":"valid","partial":false,"why":[],"simulated":false,
            "targets":[{{"name":"gpt","model":"{model}"}},{{"name":"own","model":"own-model"}}],"levels":[{},{}],"found":[],
            "deltas":[{{"baseline":"gpt","candidate":"own","metric":"e2e.intended","quantile":"p95","baseline_ms":400.0,"candidate_ms":330.0,
            "delta_ms":-70.0,"interval_ms":[-90.0,-50.0],"n_blocks":100}}]}}"#,
            NOW_US - DAY_US,
            level("gpt"),
            level("own")
        );
        let mut rows = rows();
        rows.benches = vec![Upload { source: "turns".to_owned(), text }];
        only(&rows).latency_delta
    };
    let found = in_turns(100, "gpt-model");
    assert_eq!((found.value, found.low, found.high), (Some(-70.0), Some(-90.0), Some(-50.0)));
    assert_eq!(
        (found.rows, found.label.contains("in turns at 5.00 req/s")),
        (vec!["rows/bench-001.json".to_owned()], true)
    );
    // Of a baseline that is another now, and of a run that lost answers, it says nothing.
    for (good, model) in [(100, "gpt-before"), (90, "gpt-model")] {
        assert_eq!(in_turns(good, model).rows, ["rows/calls.csv"], "{good} {model}");
    }
}

/// So many workloads with what page one says of them.
fn pages_of(n: usize) -> String {
    let mut rows = rows();
    let one = rows.settings.moves.remove(0);
    rows.settings.moves = (0..n).map(|idx| Move { workload: format!("w{idx:03}"), ..one.clone() }).collect();
    html(&report(&rows, &Plain))
}

#[test]
fn page_one_stands_alone_and_the_rest_is_cut_to_its_sheets() {
    let page = pages_of(1);
    let first = page.split("class=\"detail").next().unwrap();
    for words in [
        "Switch from <code>gpt</code> to <code>own</code>: every check that is required passes (",
        "Do next.",
        "mean score ≥ 90.0 % of the baseline's",
        "P95 &lt; 2500 ms at 10.00 req/s",
        "To settle:",
        "-1.0 pp",
        "If you do nothing:",
        "from 1 (pure API) to 5",
    ] {
        assert!(first.contains(words), "{words}");
    }
    // Sheets are begun by these: page one, workloads, the last page.
    let sheets = |page: &str| {
        1 + page.matches("class=\"sheet").count()
            + page.matches("class=\"detail sheet").count()
            + page.matches("detail page").count()
    };
    let expected = [(0, 2), (1, 3), (2, 4), (4, 6), (5, 5), (8, 6), (9, 3)];
    for (n, expected) in expected {
        assert_eq!(sheets(&pages_of(n).replace(crate::html::STYLE, "")), expected, "{n}");
    }
    let many = pages_of(200);
    assert_eq!(many.matches("class=\"brief\"").count(), 31);
    assert!(many.contains("… and 169 more, in") && many.contains("(200 of 200 workloads · "));
}

#[test]
fn a_simulated_answer_is_in_the_headline() {
    let mut rows = rows();
    assert!(!report(&rows, &Plain).headline.contains("SIMULATED"));
    rows.runs[0].head.simulated = true;
    let found = report(&rows, &Plain);
    assert!(found.headline.starts_with("SIMULATED"), "{}", found.headline);
    assert!(html(&found).contains("made up") && markdown(&found).contains("SIMULATED"));
}

#[test]
fn names_of_users_make_no_tags_and_no_cells() {
    let mut rows = rows();
    rows.settings.moves[0].workload = "<script>alert(1)</script>|x".to_owned();
    let found = report(&rows, &Plain);
    assert!(!html(&found).contains("<script") && html(&found).contains("&lt;script"));
    assert!(!markdown(&found).contains("<script") && markdown(&found).contains("\\|x"));
}

/// Rows with something in every file.
fn full() -> Rows {
    let mut rows = rows();
    rows.runs = vec![run(cases(60, 50))];
    rows.calls.truncate(40);
    rows.settings.worksheets.push(Worksheet { source: "tco.yaml".to_owned(), of: None });
    rows.worksheets.push("not one\n".to_owned());
    rows.outcomes.push(Upload { source: "o.csv".to_owned(), text: "arm,csat\nbaseline,1\ncandidate,2\n".to_owned() });
    rows.probes.push(Upload { source: "p.json".to_owned(), text: "{\"subject\":\"own\",\"rows\":[]}".to_owned() });
    rows
}

#[test]
fn the_same_rows_make_the_same_bundle_and_it_verifies() {
    let (one, other) = (bundle(&full(), &Plain).unwrap(), bundle(&full(), &Plain).unwrap());
    assert_eq!(one.archive, other.archive);
    assert_eq!(verify(Ok(&one.archive), &Plain).unwrap().0, []);
    assert_eq!(verify(Err(one.files.clone()), &Plain).unwrap().0, []);
    assert_eq!(Rows::read(&one.files).unwrap(), full());
}

#[test]
fn any_byte_that_is_changed_is_found_in_the_archive_and_in_every_file() {
    let made = bundle(&full(), &Plain).unwrap();
    let names: Vec<&String> = made.files.keys().filter(|name| !made.files[*name].is_empty()).collect();
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let flip = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1..=255_u8);
    runner
        .run(&flip, |(file, at, mask)| {
            let mut archive = made.archive.clone();
            let place = at.index(archive.len());
            archive[place] ^= mask;
            let found = verify(Ok(&archive), &Plain);
            prop_assert!(found.is_err() || !found.unwrap().0.is_empty(), "byte {place} of the archive");
            let mut files = made.files.clone();
            let name = names[file.index(names.len())];
            let bytes = files.get_mut(name).unwrap();
            let place = at.index(bytes.len());
            bytes[place] ^= mask;
            prop_assert!(!verify(Err(files), &Plain).unwrap().0.is_empty(), "byte {place} of {name}");
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_row_that_is_changed_with_its_hash_no_longer_makes_the_figures() {
    let made = bundle(&full(), &Plain).unwrap();
    let mut files = made.files.clone();
    let name = "rows/eval-001.csv".to_owned();
    let text = String::from_utf8(files[&name].clone()).unwrap().replacen(",1.0,0.0\n", ",1.0,1.0\n", 1);
    assert_ne!(text.as_bytes(), files[&name]);
    let (before, after) = (sha256(&files[&name]), sha256(text.as_bytes()));
    files.insert(name, text.into_bytes());
    let manifest = String::from_utf8(files["manifest.json"].clone()).unwrap().replace(&before, &after);
    files.insert("manifest.json".to_owned(), manifest.into_bytes());
    let (wrong, _) = verify(Ok(&tar::write(&files).unwrap()), &Plain).unwrap();
    let figures: Vec<&str> = wrong.iter().filter_map(|one| one.figure.as_deref()).collect();
    assert!(figures.contains(&"m1.quality.delta.value"), "{wrong:#?}");
    assert!(wrong.iter().any(|one| one.what.contains("the rows come to")), "{wrong:#?}");
}

#[test]
fn a_file_too_many_or_too_few_is_named_and_what_is_no_bundle_is_refused() {
    let made = bundle(&full(), &Plain).unwrap();
    let mut more = made.files.clone();
    more.insert("rows/extra.csv".to_owned(), b"x".to_vec());
    assert!(verify(Err(more), &Plain).unwrap().0.iter().any(|one| one.file == "rows/extra.csv"));
    for gone in ["rows/calls.csv", "rules.json", "manifest.json"] {
        let mut fewer = made.files.clone();
        fewer.remove(gone);
        assert!(verify(Err(fewer), &Plain).unwrap().0.iter().any(|one| one.file == gone), "{gone}");
    }
    assert!(verify(Ok(b"no archive"), &Plain).is_err());
    assert!(verify(Err(BTreeMap::new()), &Plain).is_err());
    // Other directories have a manifest too, and a report without its rows is no bundle.
    let of = |name: &str, text: &[u8]| verify(Err(BTreeMap::from([(name.to_owned(), text.to_vec())])), &Plain);
    assert!(of("manifest.json", b"{\"format\":\"another/1\",\"files\":{}}").is_err());
    assert!(of("report.json", &made.files["report.json"]).is_err());
    assert!(of("manifest.json", &made.files["manifest.json"]).is_ok_and(|(wrong, _)| !wrong.is_empty()));
}

#[test]
fn a_difference_is_told_once() {
    let made = bundle(&full(), &Plain).unwrap();
    for name in ["report.md", "report.json", "manifest.json"] {
        let mut files = made.files.clone();
        let text = String::from_utf8(files[name].clone()).unwrap();
        let changed = match name {
            "report.json" => {
                text.replacen("SIMULATED", "SIMULATEd", 1).replacen("\"simulated\": false", "\"simulated\": true", 1)
            }
            _ => format!("x{text}"),
        };
        assert_ne!(changed, text, "{name}");
        files.insert(name.to_owned(), changed.into_bytes());
        let (wrong, _) = verify(Err(files), &Plain).unwrap();
        assert_eq!(wrong.len(), 1, "{name}: {wrong:#?}");
        assert_eq!(wrong[0].file, name);
    }
    let mut fewer = made.files;
    fewer.remove("manifest.json");
    assert_eq!(verify(Err(fewer), &Plain).unwrap().0.len(), 1);
}
