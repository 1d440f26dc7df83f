//! Error rates by simulation of what no rollout test simulates: quantiles of latency, rankings, intervals under peeking. Small here; at full
//! size with `CROSSFADE_SLOW_TESTS`. Each prints rows of the table in docs/statistics.md.

use stats::bootstrap::{Bootstrap, mean_of};
use stats::random::Random;
use stats::{AbsoluteGuard, LatencySketch, PairedScores, bands, quantile, ranking, sequence};

fn size(quick: u32, full: u32) -> u32 {
    if std::env::var_os("CROSSFADE_SLOW_TESTS").is_some() { full } else { quick }
}

fn figure(of: &str, what: &str, found: &str, target: &str, n_runs: u32) {
    let thread = std::thread::current();
    println!("\nfigure\t{of}\t{what}\t{found}\t{target}\t{n_runs}\t{}", thread.name().unwrap_or(""));
}

fn fraction(random: &mut Random) -> f64 {
    (random.bits() >> 11) as f64 / (1_u64 << 53) as f64
}

/// At most this many of `n_runs` where each happens with probability `rate`, but for two standard errors of luck.
fn allowed(n_runs: u32, rate: f64) -> f64 {
    let n = f64::from(n_runs);
    n * rate + 2.0 * (n * rate * (1.0 - rate)).sqrt()
}

/// Latencies around 400 ms, lognormal with sigma 0.6; the slow arm's are `factor` times as long.
fn latency_us(random: &mut Random, factor: f64) -> u64 {
    // Box and Muller.
    let radius = (-2.0 * fraction(random).max(1e-12).ln()).sqrt();
    let normal = radius * (std::f64::consts::TAU * fraction(random)).cos();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and far below 2^53")]
    let latency_us = (400_000.0 * factor * (0.6 * normal).exp()) as u64;
    latency_us
}

/// Requests of both arms until the candidate's p95 is proven higher at 1 %, looking every 500.
fn until_slower(random: &mut Random, share: f64, factor: f64, most: u32) -> Option<u32> {
    let (mut candidate, mut baseline) = (LatencySketch::new(), LatencySketch::new());
    (1..=most).find(|request| {
        if fraction(random) < share {
            candidate.record_us(latency_us(random, factor));
        } else {
            baseline.record_us(latency_us(random, 1.0));
        }
        request.is_multiple_of(500) && quantile::slower_log_e(0.95, &candidate, &baseline, 1.0) >= 100_f64.ln()
    })
}

#[test]
fn a_p95_that_is_the_same_is_rarely_called_higher_and_one_that_is_higher_is_found() {
    let n_runs = size(20, 1000);
    let mut random = Random::new(3);
    for share in [0.1, 0.5] {
        let n_false = (0..n_runs).filter(|_| until_slower(&mut random, share, 1.0, 20_000).is_some()).count();
        let mut found: Vec<u32> =
            (0..n_runs / 4).map(|_| until_slower(&mut random, share, 1.25, 60_000).unwrap_or(u32::MAX)).collect();
        found.sort_unstable();
        let median = found[found.len() / 2];
        figure(
            "T6",
            &format!("p95 of equal arms at a share of {share}, 40 looks: called higher at 1 %"),
            &format!(
                "{:.1} %; one 25 % higher found within a median of {median}",
                100.0 * n_false as f64 / f64::from(n_runs)
            ),
            "≤ 1 %",
            n_runs,
        );
        assert!(n_false as f64 <= allowed(n_runs, 0.01), "{n_false}");
        assert!(median < 60_000, "not found");
    }
}

/// A candidate whose rate is exactly the breaker's limit, 20 000 requests, every event looked at. Runs of bad events come and go.
#[test]
fn a_rate_at_the_limit_opens_the_breaker_as_rarely_as_it_says() {
    let n_runs = size(300, 10_000);
    let mut random = Random::new(13);
    let ever = |random: &mut Random, alpha: f64| {
        let mut guard = AbsoluteGuard::new(0.05, 0.4);
        (0..20_000).any(|_| {
            if fraction(random) < 0.05 {
                guard.observe_bad();
                guard.log_e() >= -alpha.ln()
            } else {
                guard.observe_good();
                false
            }
        })
    };
    let n_false = (0..n_runs).filter(|_| ever(&mut random, 0.01)).count();
    let found = format!("{:.2} %", 100.0 * n_false as f64 / f64::from(n_runs));
    figure(
        "T2",
        "a rate of exactly the limit, 20 000 requests, every event looked at: breaker open at 1 %",
        &found,
        "≤ 1 %",
        n_runs,
    );
    assert!(n_false as f64 <= allowed(n_runs, 0.01), "{n_false}");
}

/// Four candidates that score alike, 1 000 requests, 20 looks: is any ever called better than another?
#[test]
fn equal_candidates_are_rarely_ranked() {
    let n_runs = size(40, 1000);
    let mut random = Random::new(5);
    let n_ranked = (0..n_runs)
        .filter(|_| {
            let mut pairs = vec![vec![PairedScores::default(); 4]; 4];
            (1..=1000).any(|request| {
                let scores: Vec<f64> = (0..4).map(|_| (fraction(&mut random) * 3.0).floor() / 2.0).collect();
                for (i, row) in pairs.iter_mut().enumerate() {
                    for (j, pair) in row.iter_mut().enumerate() {
                        pair.observe(scores[j], scores[i]);
                    }
                }
                request % 50 == 0
                    && ranking::rank(&[0.0; 4], |i, j| pairs[i][j].log_e(0.0), 0.05)
                        .iter()
                        .any(|standing| (standing.best_rank, standing.worst_rank) != (1, 4))
            })
        })
        .count();
    let found = format!("{:.1} %", 100.0 * n_ranked as f64 / f64::from(n_runs));
    figure("many", "four equal candidates, every pair, 20 looks: any called better at 5 %", &found, "≤ 5 %", n_runs);
    assert!(n_ranked as f64 <= allowed(n_runs, 0.05), "{n_ranked}");
}

/// Looking after every trial up to 2 000: does the interval ever leave out the rate?
#[test]
fn an_interval_for_a_rate_holds_at_all_times_at_once() {
    let n_runs = size(100, 2000);
    let mut random = Random::new(7);
    let n_missed = (0..n_runs)
        .filter(|_| {
            let mut bad = 0;
            (1..=2000_u64).any(|n| {
                bad += u64::from(fraction(&mut random) < 0.03);
                let (low, high) = if n % 10 == 0 { sequence::rate(bad, n, 0.05, 1000).unwrap() } else { (0.0, 1.0) };
                !(low..=high).contains(&0.03)
            })
        })
        .count();
    let found = format!("{:.1} %", 100.0 * n_missed as f64 / f64::from(n_runs));
    figure("T7", "interval of a rate of 3 %, 200 looks up to 2 000 trials: ever wrong at 5 %", &found, "≤ 5 %", n_runs);
    assert!(n_missed as f64 <= allowed(n_runs, 0.05), "{n_missed}");
}

/// Four quantiles of uniform values at twenty looks: do the bands ever leave out any of them?
#[test]
fn bands_for_all_quantiles_hold_at_all_times_at_once() {
    let (n_runs, quantiles) = (size(60, 1000), [0.1, 0.5, 0.9, 0.99]);
    let mut random = Random::new(19);
    let n_missed = (0..n_runs)
        .filter(|_| {
            let mut sketch = LatencySketch::new();
            (1..=10_000_u64).any(|n| {
                sketch.record_us(1 + random.below(1_000_000) as u64);
                n % 500 == 0
                    && bands::of(&sketch, &quantiles, 0.05, 1000).iter().any(|band| {
                        let truth = band.quantile * 1e6;
                        truth < band.low_us as f64 || band.high_us.is_some_and(|high| truth > high as f64)
                    })
            })
        })
        .count();
    let found = format!("{:.1} %", 100.0 * n_missed as f64 / f64::from(n_runs));
    figure(
        "T7",
        "bands for four quantiles together, 20 looks up to 10 000 values: ever wrong at 5 %",
        &found,
        "≤ 5 %",
        n_runs,
    );
    assert!(n_missed as f64 <= allowed(n_runs, 0.05), "{n_missed}");
}

/// Heavy units: the bootstrap that draws units covers, the one that draws their requests does not.
#[test]
fn drawing_whole_units_covers_the_mean_and_drawing_requests_does_not() {
    let n_runs = size(60, 1000);
    let mut random = Random::new(11);
    let (mut by_unit, mut by_request) = (0, 0);
    for run in 0..n_runs {
        let units: Vec<(u64, f64)> = (0..80)
            .map(|_| {
                let n = 1 + random.below(20) as u64;
                let rate = fraction(&mut random);
                (n, (0..n).filter(|_| fraction(&mut random) < rate).count() as f64)
            })
            .collect();
        let requests: Vec<(u64, f64)> = units
            .iter()
            .flat_map(|(n, bad)| (0..*n).map(move |request| (1, if (request as f64) < *bad { 1.0 } else { 0.0 })))
            .collect();
        let holds = |units: &[(u64, f64)]| {
            let bootstrap = Bootstrap::new(units.len(), 400, u64::from(run), |drawn| mean_of(units, drawn));
            let (low, high) = bootstrap.percentile(0.05).unwrap();
            u32::from((low..=high).contains(&0.5))
        };
        by_unit += holds(&units);
        by_request += holds(&requests);
    }
    let part = |n: u32| 100.0 * f64::from(n) / f64::from(n_runs);
    let found = format!("{:.0} %; drawing requests {:.0} %", part(by_unit), part(by_request));
    figure("fixed", "bootstrap of 80 unlike units: the 95 % interval holds the mean", &found, "≥ 90 %", n_runs);
    assert!(part(by_unit) >= 85.0 && by_request < by_unit, "{by_unit} {by_request} of {n_runs}");
}
