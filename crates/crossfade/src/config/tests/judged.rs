//! The checks that judge pairs, as they are written.

use super::{edited, errors, right};

/// The right config, which judges so.
fn with(judged: &str) -> String {
    edited("shadow: { sample: 1.0 }", &format!("shadow: {{ sample: 1.0, {judged} }}"))
}

fn fingerprint(judged: &str) -> String {
    right(&with(judged)).snapshot.rollouts["support-to-qwen"].fingerprint.clone()
}

#[test]
fn checks_are_read_with_their_defaults_and_are_part_of_what_the_evidence_is_about() {
    let config = right(&with(
        "noise_duplicate: 0.1, judged: { checks: [non_empty, { metric: squad_f1, against: baseline, threshold: 0.8 }] }",
    ));
    let judging = config.snapshot.rollouts["support-to-qwen"].shadow.judged.clone().unwrap();
    assert_eq!((judging.sample, judging.per_second, judging.max_text), (1.0, None, 8 << 10));
    let judge = judging.judge.unwrap();
    assert!(judge.needs_baseline());
    let metrics: Vec<&str> = judge.metrics().iter().map(|metric| metric.split('@').next().unwrap()).collect();
    assert_eq!(metrics, ["non_empty", "squad_f1"]);
    let of = |check: &str| fingerprint(&format!("judged: {{ checks: {check} }}"));
    assert_eq!(of("non_empty"), of("[non_empty]"));
    assert_ne!(of("non_empty"), of("json_valid"));
    assert_ne!(of("non_empty"), fingerprint("noise_duplicate: 0"));
    assert_eq!(
        of("non_empty"),
        fingerprint("judged: { checks: non_empty, sample: 0.5, per_second: 2, max_text: 1KiB }")
    );
}

#[track_caller]
fn check(judged: &str, expected: &str) {
    let told = errors(&with(judged));
    assert!(told.contains(expected), "{told}");
}

#[test]
fn checks_that_cannot_be_made_are_mistakes_with_their_place() {
    check(
        "judged: { checks: [non_empty, squad-f1] }",
        "`rollouts.support-to-qwen.stages.shadow.judged.checks[1]`: there is no metric `squad-f1`; the nearest is `squad_f1`",
    );
    check(
        "judged: { checks: [{ metric: squad_f1, threshold: 0.5 }] }",
        "`squad_f1` is held against the baseline's answer: write `against: baseline`",
    );
    check(
        "judged: { checks: [{ metric: exact_match, against: candidate }] }",
        "`against` is `baseline`, or is not written",
    );
    check("judged: { checks: [{ metric: non_empty, treshold: 1 }] }", "unknown field `treshold`");
    check("judged: { checks: [{ value: x }] }", "a check names its `metric`");
    check("judged: { sample: 0.5 }", "`checks` and `judge` are missing");
    check("judged: { checks: non_empty, per_minute: 3 }", "per_minute");
    check(
        "judged: { checks: [{ metric: exact_match, against: baseline }] }",
        "write `noise_duplicate: 0.2` beside `judged`",
    );
}

/// The right config, with a judge of this kind.
fn by_model(judge: &str) -> String {
    with(&format!("judged: {{ judge: {{ target: gpt, criteria: helps, {judge} }} }}"))
}

#[test]
fn a_model_judges_within_its_budget_and_is_part_of_what_the_evidence_is_about() {
    let of = |judge: &str| right(&by_model(judge)).snapshot.rollouts["support-to-qwen"].clone();
    let plain = of("kind: pairwise");
    let judging = plain.shadow.judged.clone().unwrap();
    let model = judging.model.unwrap();
    assert!(judging.judge.is_none() && !model.judge.decides_untested());
    assert_eq!((model.target.as_str(), model.budget.in_flight, model.calls_per_day), ("gpt", Some(8), None));
    assert_eq!(model.timeout.as_secs(), 30);
    assert!(model.judge.definition().starts_with("judge.pairwise@crossfade-2:"), "{}", model.judge.definition());
    let bounded = of(
        "kind: pairwise, timeout: 5s, agreement: false, budget: { usd_per_day: 2, calls_per_day: 100, in_flight: 2, per_second: 3 }",
    );
    let model = bounded.shadow.judged.clone().unwrap().model.unwrap();
    assert!(model.judge.decides_untested());
    assert_eq!((model.budget.nanos_per_day, model.calls_per_day), (Some(2_000_000_000), Some(100)));
    assert_eq!((model.budget.in_flight, model.budget.per_second), (Some(2), Some(3.0)));
    assert_eq!(plain.fingerprint, bounded.fingerprint, "what it may use is no other definition");
    assert_ne!(plain.fingerprint, of("kind: pairwise, repeats: 3").fingerprint);
    let [four, three] = [4, 3].map(|from| of(&format!("kind: rubric, threshold: {from}")).fingerprint.clone());
    assert_ne!(four, three);
}

#[test]
fn a_model_that_cannot_judge_is_a_mistake_with_its_place() {
    let check = |judge: &str, expected: &str| {
        let told = errors(&by_model(judge));
        assert!(told.contains(expected), "{told}");
    };
    check("kind: rubric", "from which grade on an answer is good");
    check("kind: rubric, scale: 1-5, threshold: 6", "a number from 1 to 5");
    check("kind: pairwise, threshold: 4", "a pairwise judge gives no grade");
    check("kind: pairwise, agreement: true", "`false`");
    check("kind: pairwise, budget: { usd: 1 }", "usd");
    let told = errors(&with("judged: { judge: { target: nobody, kind: pairwise, criteria: x } }"));
    assert!(told.contains("there is no target `nobody`"), "{told}");
}

#[test]
fn a_judge_outside_the_house_of_an_internal_route_is_a_mistake_with_its_place() {
    let internal = by_model("kind: pairwise").replace("risk: medium }", "risk: medium, residency: internal }");
    let told = errors(&internal);
    let expected = "`rollouts.support-to-qwen.stages.shadow.judged.judge.target`: `gpt` is outside the house";
    assert!(told.contains(expected), "{told}");
}
