//! What an evaluation asks of a fixed sample, as scipy, statsmodels, krippendorff and confseq answer (`tests/reference/comparisons.py`).

use serde::Deserialize;
use stats::agreement::{self, Scale, Weights};
use stats::equivalence::{self, Moments};
use stats::sample_size::{Errors, NonInferiority, non_inferior_means};
use stats::sequence::NormalMixture;
use stats::{bands, bootstrap, drift, multiplicity, permutation};

#[derive(Deserialize)]
struct Comparisons {
    tango_interval: Vec<TangoInterval>,
    bounded_means: Vec<BoundedMeans>,
    clustered_error: Vec<Clustered>,
    sign_flips: Vec<SignFlips>,
    hochberg: Vec<Hochberg>,
    pairs_for_means: Vec<PairsForMeans>,
    cohen: Vec<Cohen>,
    fleiss: Vec<Fleiss>,
    krippendorff: Vec<Krippendorff>,
    smirnov: Vec<Smirnov>,
    smirnov_of_many: Vec<SmirnovOfMany>,
    discrepancy: Vec<Discrepancy>,
    stability: Vec<Stability>,
    bands: Vec<Bands>,
    normal_mixture: Vec<Mixture>,
}

#[derive(Deserialize)]
struct TangoInterval {
    n: u64,
    worse: u64,
    better: u64,
    low: f64,
    high: f64,
}

#[derive(Deserialize)]
struct BoundedMeans {
    values: Vec<f64>,
    margin: f64,
    below: f64,
    above: f64,
}

#[derive(Deserialize)]
struct Clustered {
    cluster: Vec<u64>,
    values: Vec<f64>,
    mean: f64,
    error: f64,
}

#[derive(Deserialize)]
struct SignFlips {
    sums: Vec<f64>,
    higher: f64,
    lower: f64,
    both: f64,
}

#[derive(Deserialize)]
struct Hochberg {
    p: Vec<f64>,
    adjusted: Vec<f64>,
}

#[derive(Deserialize)]
struct PairsForMeans {
    effect: f64,
    alpha: f64,
    power: f64,
    pairs: f64,
}

#[derive(Deserialize)]
struct Cohen {
    table: Vec<Vec<u64>>,
    weights: String,
    kappa: f64,
    error: f64,
}

#[derive(Deserialize)]
struct Fleiss {
    ratings: Vec<Vec<u64>>,
    kappa: f64,
}

#[derive(Deserialize)]
struct Krippendorff {
    items: Vec<Vec<f64>>,
    scale: String,
    alpha: f64,
}

#[derive(Deserialize)]
struct Smirnov {
    first: Vec<f64>,
    second: Vec<f64>,
    statistic: f64,
    p: f64,
}

#[derive(Deserialize)]
struct SmirnovOfMany {
    n: u32,
    m: u32,
    power: f64,
    statistic: f64,
    p: f64,
}

#[derive(Deserialize)]
struct Discrepancy {
    first: Vec<Vec<f32>>,
    second: Vec<Vec<f32>>,
    bandwidth: f64,
    statistic: f64,
    p: f64,
    median: f64,
}

#[derive(Deserialize)]
struct Stability {
    reference: Vec<u64>,
    current: Vec<u64>,
    index: f64,
}

#[derive(Deserialize)]
struct Bands {
    n: u64,
    tuned: u64,
    quantile: f64,
    stitched: f64,
    margin: f64,
}

#[derive(Deserialize)]
struct Mixture {
    sum: f64,
    variance: f64,
    tuned: f64,
    is_one_sided: bool,
    log_e: f64,
    bound: f64,
}

fn comparisons() -> Comparisons {
    serde_json::from_str(include_str!("../reference/comparisons.json")).unwrap()
}

#[track_caller]
fn check(actual: f64, expected: f64) {
    check_within(actual, expected, 1e-6);
}

#[track_caller]
fn check_within(actual: f64, expected: f64, tolerance: f64) {
    assert!((actual - expected).abs() <= tolerance, "{actual} instead of {expected}");
}

#[test]
fn intervals_of_a_difference_of_rates_end_where_a_searched_likelihood_rejects() {
    for case in comparisons().tango_interval {
        let (low, high) = equivalence::paired_rates_interval(case.n, case.worse, case.better, 0.05).unwrap();
        check(low, case.low);
        check(high, case.high);
    }
}

#[test]
fn bounded_differences_as_confseq_bets_on_them() {
    for case in comparisons().bounded_means {
        let test = equivalence::bounded_means(&case.values, case.margin, 0.05).unwrap();
        check(test.p_below_margin, case.below);
        check(test.p_above_minus_margin, case.above);
    }
}

#[test]
fn cluster_robust_errors_as_statsmodels_has_them() {
    for case in comparisons().clustered_error {
        let clusters = bootstrap::by_cluster(case.cluster.iter().zip(case.values));
        let moments = Moments::clustered(&clusters);
        check(moments.mean, case.mean);
        check((moments.variance / moments.n as f64).sqrt(), case.error);
    }
}

#[test]
fn sign_flips_as_scipy_counts_them() {
    for case in comparisons().sign_flips {
        let flips = permutation::sign_flips(&case.sums, 0, 0);
        check(flips.p_higher, case.higher);
        check(flips.p_lower, case.lower);
        check(flips.p_value(), case.both);
    }
}

#[test]
fn hochberg_as_statsmodels_has_it() {
    for case in comparisons().hochberg {
        let adjusted = multiplicity::hochberg(&case.p);
        adjusted.iter().zip(case.adjusted).for_each(|(actual, expected)| check(*actual, expected));
    }
}

#[test]
fn pairs_for_a_mean_as_the_noncentral_distribution_needs_them_but_for_one() {
    for case in comparisons().pairs_for_means {
        let errors = Errors { alpha: case.alpha, power: case.power };
        let ask = NonInferiority { margin: case.effect, difference: 0.0 };
        check_within(non_inferior_means(1.0, ask, errors).unwrap() as f64, case.pairs, 1.0);
    }
}

#[test]
fn kappa_and_its_error_as_statsmodels_has_them() {
    for case in comparisons().cohen {
        let weights = match case.weights.as_str() {
            "same" => Weights::Same,
            "linear" => Weights::Linear,
            "quadratic" => Weights::Quadratic,
            other => panic!("no weights {other}"),
        };
        let agreement = agreement::cohen(&case.table, weights).unwrap();
        check(agreement.estimate, case.kappa);
        check(agreement.standard_error, case.error);
    }
    for case in comparisons().fleiss {
        check(agreement::fleiss(&case.ratings).unwrap(), case.kappa);
    }
}

#[test]
fn alpha_as_krippendorff_has_it() {
    for case in comparisons().krippendorff {
        let scale = match case.scale.as_str() {
            "nominal" => Scale::Nominal,
            "ordinal" => Scale::Ordinal,
            "interval" => Scale::Interval,
            other => panic!("no scale {other}"),
        };
        check(agreement::krippendorff(&case.items, scale).unwrap(), case.alpha);
    }
}

#[test]
fn smirnov_as_scipy_counts_it() {
    for case in comparisons().smirnov {
        let test = drift::kolmogorov_smirnov(&case.first, &case.second).unwrap();
        check(test.statistic, case.statistic);
        check(test.p_value, case.p);
    }
    for case in comparisons().smirnov_of_many {
        let first: Vec<f64> = (0..case.n).map(|idx| f64::from(idx) / f64::from(case.n)).collect();
        let second: Vec<f64> =
            (0..case.m).map(|idx| ((f64::from(idx) + 0.5) / f64::from(case.m)).powf(case.power)).collect();
        let test = drift::kolmogorov_smirnov(&first, &second).unwrap();
        check(test.statistic, case.statistic);
        check(test.p_value, case.p);
    }
}

#[test]
fn kernel_distances_as_numpy_has_them_and_p_values_as_all_permutations_give_them() {
    for case in comparisons().discrepancy {
        let first: Vec<&[f32]> = case.first.iter().map(Vec::as_slice).collect();
        let second: Vec<&[f32]> = case.second.iter().map(Vec::as_slice).collect();
        let test = drift::mean_discrepancy(&first, &second, case.bandwidth, 20_000, 7).unwrap();
        check(test.statistic, case.statistic);
        check_within(test.p_value, case.p, 0.012);
        check(drift::median_bandwidth(&first, &second).unwrap(), case.median);
    }
}

#[test]
fn stability_as_numpy_has_it() {
    for case in comparisons().stability {
        check(drift::population_stability(&case.reference, &case.current, 1e-4).unwrap(), case.index);
    }
}

#[test]
fn bands_and_mixtures_as_confseq_has_them() {
    for case in comparisons().bands {
        check_within(
            bands::double_stitching(case.quantile, case.n, 0.05, case.tuned),
            case.stitched,
            1e-6 * case.stitched,
        );
        check(bands::distribution_margin(case.n, 0.05, 10, 0.85), case.margin);
    }
    for case in comparisons().normal_mixture {
        let mixture = NormalMixture::tuned(case.tuned, 0.05, case.is_one_sided);
        check(mixture.log_e(case.sum, case.variance), case.log_e);
        check_within(mixture.bound(case.variance, 0.05), case.bound, 1e-6 * case.bound);
    }
}
