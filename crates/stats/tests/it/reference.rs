use serde::Deserialize;
use stats::relative::truncated_beta_log_e;
use stats::{AbsoluteGuard, EmpiricalBernstein, LatencySketch, RelativeGuard, UnpairedDifference, sample_ratio};

#[derive(Deserialize)]
struct Reference {
    relative: Vec<Relative>,
    absolute: Vec<Absolute>,
    truncated_beta: Vec<TruncatedBeta>,
    empirical_bernstein: Vec<Bernstein>,
    unpaired: Vec<Unpaired>,
    sample_ratio: Vec<SampleRatio>,
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
fn guards_and_sketches_come_back_from_json_bit_for_bit() {
    let mut relative = RelativeGuard::new(0.1, 1.25, 0.75);
    let mut absolute = AbsoluteGuard::new(0.05, 0.5);
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
