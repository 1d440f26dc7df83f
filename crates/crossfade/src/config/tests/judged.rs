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
    assert!(judging.judge.needs_baseline());
    let metrics: Vec<&str> = judging.judge.metrics().iter().map(|metric| metric.split('@').next().unwrap()).collect();
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
    check("judged: { sample: 0.5 }", "checks");
    check("judged: { checks: non_empty, per_minute: 3 }", "per_minute");
    check(
        "judged: { checks: [{ metric: exact_match, against: baseline }] }",
        "write `noise_duplicate: 0.2` beside `judged`",
    );
}
