//! The same questions answered by scipy, statsmodels, ssrm-test and confseq (`tests/reference/libraries.py`).

use serde::Deserialize;
use stats::beta_mixture::{Alternative, Prior};
use stats::bootstrap::Bootstrap;
use stats::equivalence::{self, Equivalence, Moments};
use stats::sequence::{self, EmpiricalBernsteinSequence};
use stats::{beta_mixture, betting, interval, mcnemar, multiplicity, quantile, sample_ratio, special};

#[derive(Deserialize)]
struct Libraries {
    mcnemar: Vec<McNemar>,
    equivalence: Vec<EquivalenceCase>,
    multiplicity: Vec<Multiplicity>,
    wilson: Vec<Wilson>,
    bootstrap: Vec<BootstrapCase>,
    special: Vec<Special>,
    sample_ratio: Vec<SampleRatio>,
    beta_mixture: Vec<BetaMixture>,
    rate: Vec<Rate>,
    two_sided_quantiles: Vec<TwoSidedQuantiles>,
    bounded: Vec<Bounded>,
}

#[derive(Deserialize)]
struct McNemar {
    first: u64,
    second: u64,
    exact: f64,
    mid_p: f64,
    worse: f64,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum EquivalenceCase {
    Rates { n: u64, worse: u64, better: u64, margin: f64, below: f64, above: f64 },
    Paired { values: Vec<f64>, margin: f64, below: f64, above: f64 },
    Groups { values: Vec<f64>, baseline: Vec<f64>, margin: f64, below: f64, above: f64 },
}

#[derive(Deserialize)]
struct Multiplicity {
    p: Vec<f64>,
    holm: Vec<f64>,
    benjamini_hochberg: Vec<f64>,
}

#[derive(Deserialize)]
struct Wilson {
    bad: u64,
    n: u64,
    z: f64,
    low: f64,
    high: f64,
}

#[derive(Deserialize)]
struct BootstrapCase {
    values: Vec<f64>,
    distribution: Vec<f64>,
    percentile: (f64, f64),
    bias_corrected: (f64, f64),
}

#[derive(Deserialize)]
struct Special {
    of: String,
    x: Vec<f64>,
    value: f64,
}

#[derive(Deserialize)]
struct SampleRatio {
    counts: Vec<u64>,
    weights: Vec<f64>,
    log_e: f64,
}

#[derive(Deserialize)]
struct BetaMixture {
    null: f64,
    tuned: f64,
    hits: f64,
    misses: f64,
    higher: f64,
    either: f64,
}

#[derive(Deserialize)]
struct Rate {
    bad: u64,
    n: u64,
    tuned: u64,
    low: f64,
    high: f64,
}

#[derive(Deserialize)]
struct TwoSidedQuantiles {
    quantile: f64,
    first: Vec<f64>,
    second: Vec<f64>,
    tuned: f64,
    p: f64,
}

#[derive(Deserialize)]
struct Bounded {
    scores: Vec<f64>,
    low: f64,
    high: f64,
    single_bet: f64,
}

fn libraries() -> Libraries {
    serde_json::from_str(include_str!("../reference/libraries.json")).unwrap()
}

#[track_caller]
fn check(actual: f64, expected: f64) {
    assert!((actual - expected).abs() <= 1e-6, "{actual} instead of {expected}");
}

/// Within a millionth of itself, for numbers far below one.
#[track_caller]
fn check_relative(actual: f64, expected: f64) {
    assert!((actual - expected).abs() <= 1e-6 * expected.abs().max(1e-300), "{actual} instead of {expected}");
}

#[test]
fn mcnemar_as_statsmodels_has_it() {
    for case in libraries().mcnemar {
        check(mcnemar::exact(case.first, case.second), case.exact);
        check(mcnemar::mid_p(case.first, case.second), case.mid_p);
        check(mcnemar::worse(case.first, case.second), case.worse);
    }
}

#[test]
fn equivalence_as_statsmodels_and_a_searched_likelihood_have_it() {
    for case in libraries().equivalence {
        let (test, below, above): (Equivalence, f64, f64) = match case {
            EquivalenceCase::Rates { n, worse, better, margin, below, above } => {
                (equivalence::paired_rates(n, worse, better, margin).unwrap(), below, above)
            }
            EquivalenceCase::Paired { values, margin, below, above } => {
                (equivalence::paired_means(Moments::of(&values), margin).unwrap(), below, above)
            }
            EquivalenceCase::Groups { values, baseline, margin, below, above } => {
                let (candidate, baseline) = (Moments::of(&values), Moments::of(&baseline));
                (equivalence::group_means(candidate, baseline, margin).unwrap(), below, above)
            }
        };
        check(test.p_below_margin, below);
        check(test.p_above_minus_margin, above);
        check(test.p_value(), below.max(above));
    }
}

#[test]
fn adjusted_p_values_as_statsmodels_has_them() {
    for case in libraries().multiplicity {
        multiplicity::holm(&case.p).iter().zip(&case.holm).for_each(|(actual, expected)| check(*actual, *expected));
        let adjusted = multiplicity::benjamini_hochberg(&case.p);
        adjusted.iter().zip(&case.benjamini_hochberg).for_each(|(actual, expected)| check(*actual, *expected));
    }
}

#[test]
fn wilson_as_statsmodels_has_it() {
    for case in libraries().wilson {
        let (low, high) = interval::wilson(case.bad, case.n, case.z).unwrap();
        check(low, case.low);
        check(high, case.high);
    }
}

#[test]
fn bootstrap_intervals_as_scipy_has_them_of_the_same_draws() {
    for case in libraries().bootstrap {
        let (n, sum) = (case.values.len() as f64, case.values.iter().sum::<f64>());
        let without_each = case.values.iter().map(|value| (sum - value) / (n - 1.0)).collect();
        let bootstrap = Bootstrap::from_parts(sum / n, case.distribution, without_each);
        for (actual, expected) in [
            (bootstrap.percentile(0.05).unwrap(), case.percentile),
            (bootstrap.bias_corrected(0.05).unwrap(), case.bias_corrected),
        ] {
            check(actual.0, expected.0);
            check(actual.1, expected.1);
        }
    }
}

#[test]
fn special_functions_as_scipy_has_them() {
    for case in libraries().special {
        let actual = match case.of.as_str() {
            "normal_tail" => special::normal_tail(case.x[0]),
            "normal_quantile" => special::normal_quantile(case.x[0]),
            "student_tail" => special::student_tail(case.x[0], case.x[1]),
            other => panic!("no function {other}"),
        };
        if case.value == 0.0 { check(actual, 0.0) } else { check_relative(actual, case.value) }
    }
}

#[test]
fn sample_ratios_as_ssrm_test_has_them() {
    for case in libraries().sample_ratio {
        check(sample_ratio::log_bayes_factor(&case.counts, &case.weights), case.log_e);
    }
}

#[test]
fn beta_mixtures_as_confseq_has_them() {
    for case in libraries().beta_mixture {
        for (alternative, expected) in [(Alternative::Higher, case.higher), (Alternative::Either, case.either)] {
            let prior = Prior::tuned(case.null, case.tuned, 0.05, alternative);
            check(beta_mixture::log_e(prior, case.null, case.hits, case.misses, alternative), expected);
        }
    }
}

#[test]
fn intervals_of_a_rate_as_confseq_has_them() {
    for case in libraries().rate {
        let (low, high) = sequence::rate(case.bad, case.n, 0.05, case.tuned).unwrap();
        check(low, case.low);
        check(high, case.high);
    }
}

#[test]
fn unequal_quantiles_as_confseq_has_them() {
    for mut case in libraries().two_sided_quantiles {
        case.first.sort_unstable_by(f64::total_cmp);
        case.second.sort_unstable_by(f64::total_cmp);
        let log_e = quantile::unequal_log_e(case.quantile, &case.first, &case.second, case.tuned);
        check_relative(log_e, -case.p.ln());
    }
}

#[test]
fn bounded_means_as_confseq_has_them() {
    for case in libraries().bounded {
        let mut sequence = EmpiricalBernsteinSequence::new(0.05);
        case.scores.iter().for_each(|score| sequence.observe(*score));
        let (low, high) = sequence.interval().unwrap();
        check(low, case.low);
        check(high, case.high);
        check(case.scores.iter().map(|score| betting::log_factor(0.3, score - 0.5)).sum(), case.single_bet);
    }
}
