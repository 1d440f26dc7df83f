//! Cohorts of rollouts, as they are written.

use expect_test::expect;
use rollout::{Policy, Risk};

use super::{check, edited, right};

const AT: &str = "unit: conversation";

#[test]
fn a_cohort_is_a_rollout_of_its_own_over_what_the_rollout_says() {
    let cohorts = "unit: conversation
    cohorts:
      - { name: banks, when: { tenant: [\"bank-*\"] }, arm: baseline }
      - { name: eu, when: { geography: eu, task: [summary, tagging] }, stages: { canary: { shares: [0.2] } }, policy: { stale_after: 1h } }";
    let config = right(&edited(AT, cohorts));
    let names: Vec<&str> = config.snapshot.rollouts.keys().map(String::as_str).collect();
    assert_eq!(names, ["support-to-qwen", "support-to-qwen@eu"]);
    let [rest, eu] = [names[0], names[1]].map(|name| &config.snapshot.rollouts[name]);
    let shares = |policy: &Policy| policy.steps.iter().map(|step| step.share).collect::<Vec<_>>();
    assert_eq!(shares(&eu.policy)[1], 0.2);
    assert_eq!(shares(&rest.policy), shares(&right(super::RIGHT).snapshot.rollouts["support-to-qwen"].policy));
    let whole = Policy::template(Risk::Medium).alpha_harm;
    assert_eq!((eu.policy.alpha_harm, rest.policy.alpha_harm), (whole / 2.0, whole / 2.0), "the budget is divided");
    let route = &config.snapshot.routes[&rest.route];
    let shown: Vec<String> = route.cohorts.iter().map(|cohort| format!("{}: {}", cohort.name, cohort.when)).collect();
    assert_eq!(shown, ["banks: tenant is bank-*", "eu: geography is eu, task is summary or tagging"]);
    assert!(route.cohorts[0].slot.is_none() && route.cohorts[1].slot.is_some());
    let other = right(&edited(AT, &cohorts.replace("bank-*", "bank-1")));
    for name in names {
        let fingerprints = [&config, &other].map(|config| &config.snapshot.rollouts[name].fingerprint);
        assert_ne!(fingerprints[0], fingerprints[1], "who is taken out before changes who is in {name}");
    }
}

#[test]
fn cohorts_that_make_no_sense() {
    let cohorts = "unit: conversation
    cohorts:
      - { name: a b, when: { tenant: shop } }
      - { name: eu, when: { geography: eu } }
      - { name: eu, when: { geography: eu, task: summary } }
      - { name: all, when: {} }
      - { name: us, when: { geography: us }, arm: candidate }";
    check(
        AT,
        cohorts,
        expect![[r#"
        crossfade.yaml:24:17: `rollouts.support-to-qwen.cohorts[0].name`: a cohort's name has letters, digits, `-`, `_` and `.`
         24 |       - { name: a b, when: { tenant: shop } }
            |                 ^^^

        crossfade.yaml:26:17: `rollouts.support-to-qwen.cohorts[2].name`: the rollout has a cohort `eu` already
         26 |       - { name: eu, when: { geography: eu, task: summary } }
            |                 ^^

        crossfade.yaml:27:28: `rollouts.support-to-qwen.cohorts[3].when`: a rule without a condition takes every request
         27 |       - { name: all, when: {} }
            |                            ^
           hint: give it one, or make its choice the route's own target

        crossfade.yaml:28:51: `rollouts.support-to-qwen.cohorts[4].arm`: expected one of `baseline`, found `candidate`
         28 |       - { name: us, when: { geography: us }, arm: candidate }
            |                                                   ^^^^^^^^^

        4 errors in crossfade.yaml
    "#]],
    );
}
