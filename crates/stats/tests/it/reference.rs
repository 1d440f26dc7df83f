use serde::Deserialize;
use stats::relative::truncated_beta_log_e;
use stats::{
    AbsoluteGuard, EmpiricalBernstein, LatencySketch, PairedDifference, RelativeGuard, UnpairedDifference,
    UnpairedScores, absolute, multiplicity, quantile, sample_ratio,
};

#[derive(Deserialize)]
struct Reference {
    relative: Vec<Relative>,
    absolute: Vec<Absolute>,
    truncated_beta: Vec<TruncatedBeta>,
    empirical_bernstein: Vec<Bernstein>,
    unpaired: Vec<Unpaired>,
    sample_ratio: Vec<SampleRatio>,
    unpaired_scores: Vec<Scores>,
    paired: Vec<Paired>,
    certificate: Vec<Certificate>,
    higher_quantile: Vec<HigherQuantile>,
    familywise: Vec<Familywise>,
}

#[derive(Deserialize)]
struct Scores {
    share: f64,
    centre: f64,
    candidate: Vec<f64>,
    baseline: Vec<f64>,
    margin: f64,
    log_e: f64,
}

#[derive(Deserialize)]
struct Paired {
    n: u64,
    worse: u64,
    better: u64,
    margin: f64,
    log_e: f64,
}

#[derive(Deserialize)]
struct Certificate {
    limit: f64,
    good: u64,
    bad: u64,
    log_e: f64,
}

#[derive(Deserialize)]
struct HigherQuantile {
    quantile: f64,
    high: Vec<f64>,
    low: Vec<f64>,
    log_e: f64,
}

#[derive(Deserialize)]
struct Familywise {
    log_e: Vec<f64>,
    adjusted: Vec<f64>,
}

#[derive(Deserialize)]
struct Relative {
    share: f64,
    ratio: f64,
    start_weight: f64,
    events: Vec<u8>,
    log_e: f64,
}

#[derive(Deserialize)]
struct Absolute {
    limit: f64,
    start_weight: f64,
    events: Vec<u8>,
    log_e: f64,
}

#[derive(Deserialize)]
struct TruncatedBeta {
    share: f64,
    k1: u64,
    k0: u64,
    log_e: f64,
}

#[derive(Deserialize)]
struct Bernstein {
    scale: f64,
    values: Vec<f64>,
    centres: Vec<f64>,
    null: f64,
    log_e: f64,
    lower_bound_05: f64,
}

#[derive(Deserialize)]
struct Unpaired {
    share: f64,
    centre: f64,
    candidate: (u64, u64),
    baseline: (u64, u64),
    margin: f64,
    log_e: f64,
}

#[derive(Deserialize)]
struct SampleRatio {
    counts: Vec<u64>,
    weights: Vec<f64>,
    log_e: f64,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("../reference/reference.json")).unwrap()
}

#[track_caller]
fn check(actual: f64, expected: f64) {
    assert!((actual - expected).abs() <= 1e-6, "{actual} instead of {expected}");
}

#[test]
fn relative_guards_with_restarts() {
    for case in reference().relative {
        let mut guard = RelativeGuard::new(case.share, case.ratio, case.start_weight);
        case.events.iter().for_each(|event| guard.observe_bad(*event == 1));
        check(guard.log_e(), case.log_e);
    }
}

#[test]
fn absolute_guards_with_restarts() {
    for case in reference().absolute {
        let mut guard = AbsoluteGuard::new(case.limit, case.start_weight);
        for event in case.events {
            if event == 1 {
                guard.observe_bad();
            } else {
                guard.observe_good();
            }
        }
        check(guard.log_e(), case.log_e);
    }
}

#[test]
fn truncated_beta_closed_form() {
    for case in reference().truncated_beta {
        check(truncated_beta_log_e(case.share, case.k1, case.k0), case.log_e);
    }
}

#[test]
fn empirical_bernstein_and_its_bound() {
    for case in reference().empirical_bernstein {
        let mut bound = EmpiricalBernstein::new(case.scale);
        case.values.iter().zip(&case.centres).for_each(|(value, centre)| bound.observe(*value, *centre));
        check(bound.log_e(case.null), case.log_e);
        check(bound.lower_bound(0.05).unwrap(), case.lower_bound_05);
    }
}

#[test]
fn unpaired_differences_from_four_counts() {
    for case in reference().unpaired {
        let mut difference = UnpairedDifference::new(case.share, case.centre);
        difference.add(true, case.candidate.0, case.candidate.1);
        difference.add(false, case.baseline.0, case.baseline.1);
        check(difference.log_e(case.margin), case.log_e);
    }
}

#[test]
fn sample_ratios() {
    for case in reference().sample_ratio {
        check(sample_ratio::log_bayes_factor(&case.counts, &case.weights), case.log_e);
    }
}

#[test]
fn unpaired_scores_from_histograms() {
    for case in reference().unpaired_scores {
        let mut scores = UnpairedScores::new(case.share, case.centre);
        case.candidate.iter().for_each(|score| scores.observe(true, *score));
        case.baseline.iter().for_each(|score| scores.observe(false, *score));
        check(scores.log_e(case.margin), case.log_e);
    }
}

#[test]
fn paired_differences_from_three_counts() {
    for case in reference().paired {
        check(PairedDifference::from_counts(case.n, case.worse, case.better).log_e(case.margin), case.log_e);
    }
}

#[test]
fn certificates_from_two_counts() {
    for case in reference().certificate {
        check(absolute::certificate_log_e(case.limit, case.good, case.bad), case.log_e);
    }
}

#[test]
fn higher_quantiles_by_trying_every_value() {
    for case in reference().higher_quantile {
        let buckets = |values: &[f64]| -> Vec<(f64, f64, u64)> { values.iter().map(|v| (*v, *v, 1)).collect() };
        check(quantile::higher_log_e(case.quantile, &buckets(&case.high), &buckets(&case.low)), case.log_e);
    }
}

#[test]
fn familywise_e_values_over_every_set() {
    for case in reference().familywise {
        let adjusted = multiplicity::familywise_log_e(&case.log_e);
        adjusted.iter().zip(&case.adjusted).for_each(|(actual, expected)| check(*actual, *expected));
    }
}

#[test]
fn guards_and_sketches_come_back_from_json_bit_for_bit() {
    let mut relative = RelativeGuard::new(0.1, 1.25, 0.75);
    let mut absolute = AbsoluteGuard::new(0.05, 0.4);
    let mut sketch = LatencySketch::new();
    for idx in 0..5000_u64 {
        relative.observe_bad(idx % 7 == 0);
        if idx % 41 == 0 {
            absolute.observe_bad()
        } else {
            absolute.observe_good()
        }
        sketch.record_us(idx * idx);
    }
    let relative_again: RelativeGuard = serde_json::from_str(&serde_json::to_string(&relative).unwrap()).unwrap();
    let absolute_again: AbsoluteGuard = serde_json::from_str(&serde_json::to_string(&absolute).unwrap()).unwrap();
    let sketch_again: LatencySketch = serde_json::from_str(&serde_json::to_string(&sketch).unwrap()).unwrap();
    assert_eq!((relative_again, absolute_again), (relative, absolute));
    assert_eq!((sketch_again.quantiles(), sketch_again), (sketch.quantiles(), sketch));
}
