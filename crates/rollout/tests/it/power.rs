//! G3, G4, G5, G6: how soon harm is found.

use rollout::{Arm, BreachCause, Policy};

use crate::support::{Random, at_share, figure, grouped, medium, point, quantile, request, size};

/// Total requests until the breach, with the candidate bad from the start.
fn requests_until_breach(policy: &Policy, random: &mut Random, share: f64, rates: (f64, f64)) -> u64 {
    let mut evidence = at_share(policy, share);
    (1..).find(|_| request(random, &mut evidence, rates.0, rates.1).1.is_some()).unwrap()
}

fn check_median(goal: &str, share: f64, rates: (f64, f64), at_most: u64, n_runs: usize) {
    let (policy, mut random) = (medium(), Random::new(3));
    let mut totals: Vec<u64> = (0..n_runs).map(|_| requests_until_breach(&policy, &mut random, share, rates)).collect();
    let (median, p95) = (quantile(&mut totals, 0.5), quantile(&mut totals, 0.95));
    figure(
        goal,
        &format!("{} % to {} % errors at a share of {}", rates.0 * 100.0, rates.1 * 100.0, share),
        &format!("median {}, p95 {} requests", grouped(median), grouped(p95)),
        &format!("median ≤ {}", grouped(at_most)),
        n_runs,
    );
    assert!(median <= at_most, "{median}");
}

#[test]
fn doubled_errors_are_found_at_ten_percent() {
    check_median("G3", 0.1, (0.01, 0.02), 25_000, size(500, 10_000));
}

#[test]
fn doubled_errors_are_found_at_fifty_percent() {
    check_median("G3", 0.5, (0.01, 0.02), 10_000, size(500, 10_000));
}

#[test]
fn fivefold_errors_are_found_at_ten_percent() {
    check_median("G4", 0.1, (0.01, 0.05), 2_500, size(1000, 20_000));
}

/// Candidate requests from the beginning of an outage to the breach, after `n_clean` candidate requests at `base` errors.
fn outage(policy: &Policy, random: &mut Random, share: f64, n_clean: u64, base: f64) -> u64 {
    let mut evidence = at_share(policy, share);
    let mut seen = 0;
    while seen < n_clean {
        let (arm, breach) = request(random, &mut evidence, base, base);
        seen += u64::from(arm == Arm::Candidate);
        if breach.is_some() {
            (evidence, seen) = (at_share(policy, share), 0);
        }
    }
    let mut failed = 0;
    loop {
        let (arm, breach) = request(random, &mut evidence, base, 1.0);
        failed += u64::from(arm == Arm::Candidate);
        if breach.is_some() {
            return failed;
        }
    }
}

fn check_outage(share: f64, n_clean: u64, base: f64, at_most: u64) {
    // The long past is walked at a high share, where fewer requests make as many of the candidate's.
    let n_runs = size(if n_clean > 1000 { 20 } else { 400 }, if n_clean > 100_000 { 500 } else { 10_000 });
    let (policy, mut random) = (medium(), Random::new(5));
    let mut totals: Vec<u64> = (0..n_runs).map(|_| outage(&policy, &mut random, share, n_clean, base)).collect();
    let (median, p95, most) = (quantile(&mut totals, 0.5), quantile(&mut totals, 0.95), quantile(&mut totals, 1.0));
    figure(
        "G5",
        &format!(
            "outage at a share of {share} after {} clean candidate requests, {} % errors",
            grouped(n_clean),
            base * 100.0
        ),
        &format!("p95 {p95}, most {most} candidate requests (median {median})"),
        &format!("p95 ≤ {at_most}"),
        n_runs,
    );
    assert!(p95 <= at_most, "{p95}");
}

#[test]
fn an_outage_from_the_start_is_found_within_eight_candidate_requests_at_small_shares() {
    check_outage(0.05, 0, 0.01, 8);
    check_outage(0.1, 0, 0.01, 8);
}

#[test]
fn an_outage_from_the_start_is_found_within_six_candidate_requests_at_large_shares() {
    check_outage(0.5, 0, 0.01, 6);
    check_outage(0.9, 0, 0.01, 6);
    check_outage(0.98, 0, 0.01, 6);
}

#[test]
fn an_outage_after_a_clean_past_is_found_within_eight_candidate_requests() {
    for base in [0.0, 0.01, 0.03] {
        check_outage(0.1, 500, base, 8);
        check_outage(0.5, 500, base, 8);
        check_outage(0.5, 10_000, base, 8);
    }
}

/// No rule promises less than 8: seven bad ones in a row come among 200 000 at a rate of exactly the limit with probability 1.5e-4, and a
/// false alarm may come with 1e-4.
#[test]
fn an_outage_after_a_very_long_past_is_found_within_eight_candidate_requests() {
    for base in [0.0, 0.01, 0.03] {
        check_outage(0.9, 200_000, base, 8);
    }
}

#[test]
fn the_breaker_says_what_it_was() {
    let (policy, mut random) = (medium(), Random::new(7));
    let mut evidence = at_share(&policy, 0.9);
    let breach =
        std::iter::repeat_with(|| request(&mut random, &mut evidence, 0.0, 1.0).1).find_map(|breach| breach).unwrap();
    assert_eq!((breach.cause, breach.bad_candidate), (BreachCause::Absolute, 5));
    assert_eq!(breach.share, 0.9);
}

/// G6: a regression that begins in mid-epoch is found in at most twice the bad events one from the start takes.
#[test]
fn a_regression_in_mid_epoch_takes_at_most_twice_as_long() {
    let (policy, mut random) = (medium(), Random::new(11));
    let n_runs = size(200, 3000);
    let mut delay = |clean_events: u64| {
        let mut delays: Vec<u64> = (0..n_runs)
            .map(|_| {
                let mut evidence = at_share(&policy, 0.5);
                let mut seen = 0;
                while seen < clean_events {
                    let (arm, breach) = request(&mut random, &mut evidence, 0.02, 0.02);
                    seen = evidence.arm(Arm::Candidate).tally(rollout::Metric::Error).bad
                        + evidence.arm(Arm::Baseline).tally(rollout::Metric::Error).bad;
                    if breach.is_some() {
                        evidence = at_share(&policy, 0.5);
                    }
                    assert!(matches!(arm, Arm::Candidate | Arm::Baseline));
                }
                (1..).find(|_| request(&mut random, &mut evidence, 0.02, 0.04).1.is_some()).unwrap()
            })
            .collect();
        quantile(&mut delays, 0.5)
    };
    let (from_start, after_500, after_2000) = (delay(0), delay(500), delay(2000));
    let worst = after_500.max(after_2000) as f64 / from_start as f64;
    figure(
        "G6",
        "doubled errors at a share of 0.5, from the start and after 500 or 2 000 bad events",
        &format!(
            "{} and {} or {} requests: {worst:.2} times",
            grouped(from_start),
            grouped(after_500),
            grouped(after_2000)
        ),
        "≤ 2 times",
        n_runs,
    );
    assert!(after_500 <= 2 * from_start && after_2000 <= 2 * from_start, "{from_start} {after_500} {after_2000}");
}

/// The plot of delays: every effect takes longer the smaller it is, and none is out of reach.
#[test]
fn delays_by_effect_and_share() {
    let (policy, mut random) = (medium(), Random::new(13));
    for share in [0.05, 0.1, 0.5, 0.9] {
        let mut longest = u64::MAX;
        for ratio in [1.5, 2.0, 3.0, 5.0, 10.0] {
            let n_runs = size(20, 400);
            let mut totals: Vec<u64> =
                (0..n_runs).map(|_| requests_until_breach(&policy, &mut random, share, (0.01, 0.01 * ratio))).collect();
            let median = quantile(&mut totals, 0.5);
            point("delay", &format!("share {share}"), ratio, median as f64);
            assert!(median < longest, "{median} requests for {ratio} times the errors at a share of {share}");
            longest = median;
        }
    }
}
