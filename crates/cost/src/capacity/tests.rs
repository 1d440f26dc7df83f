use stats::random::Random;

use super::*;

fn uniform(random: &mut Random) -> f64 {
    ((random.bits() >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0
}

fn exponential(mean: f64, random: &mut Random) -> f64 {
    -mean * uniform(random).ln()
}

/// Poisson arrivals of `rate`, tokens as drawn.
fn poisson(n: usize, rate: f64, random: &mut Random, tokens: impl Fn(&mut Random) -> f64) -> Vec<Arrival> {
    let mut at_s = 0.0;
    let next = |_| {
        at_s += exponential(1.0 / rate, random);
        Arrival { at_s, input: 0.0, output: tokens(random) }
    };
    (0..n).map(next).collect()
}

fn machine(points: &[(f64, f64)], most_active: usize) -> Machine {
    Machine { curve: Curve::new(points).unwrap(), reads: None, most_active, memory: None }
}

/// Erlang's C: the chance of waiting with `servers` and an offered load.
fn erlang_c(servers: usize, load: f64) -> f64 {
    let blocked = (1..=servers).fold(1.0, |blocked, n| load * blocked / (n as f64 + load * blocked));
    blocked / (1.0 - load / servers as f64 * (1.0 - blocked))
}

/// The mean of batches and its standard error; the first tenth warms up.
fn batches(values: &[f64]) -> (f64, f64) {
    let values = &values[values.len() / 10..];
    let means: Vec<f64> =
        values.chunks_exact(values.len() / 30).map(|batch| batch.iter().sum::<f64>() / batch.len() as f64).collect();
    let mean = means.iter().sum::<f64>() / means.len() as f64;
    let variance = means.iter().map(|batch| (batch - mean).powi(2)).sum::<f64>() / (means.len() - 1) as f64;
    (mean, (variance / means.len() as f64).sqrt())
}

/// Goal A-3. A token a second whatever the company, tokens exponential: M/M/c. The exact wait is inside its 99 % interval as often as it should.
#[test]
fn waiting_is_that_of_erlangs_formula_where_speed_does_not_depend_on_company() {
    let slow = std::env::var_os("CROSSFADE_SLOW_TESTS").is_some();
    let (n_seeds, n_jobs) = if slow { (100, 400_000) } else { (20, 30_000) };
    for (servers, share) in [(1, 0.7), (4, 0.8), (16, 0.9), (64, 0.9)] {
        let load = share * servers as f64;
        let exact = erlang_c(servers, load) / (servers as f64 - load);
        let inside = (0..n_seeds).filter(|seed| {
            let arrivals = poisson(n_jobs, load, &mut Random::new(*seed), |random| exponential(1.0, random));
            let served = replay(&arrivals, &machine(&[(1.0, 1.0)], servers).constant(), (1, Router::RoundRobin));
            let waits: Vec<f64> = served.iter().map(|served| served.began_s).collect();
            let (mean, error) = batches(&waits);
            // Student's t of 29 degrees of freedom.
            (mean - exact).abs() <= 2.756 * error
        });
        let inside = inside.count() as u64;
        assert!(inside * 100 >= n_seeds * if slow { 97 } else { 85 }, "{servers} servers: {inside} of {n_seeds}");
    }
}

impl Machine {
    /// The same speed for however many.
    fn constant(self) -> Machine {
        let most = self.most_active as f64;
        let curve = Curve::new(&[(1.0, 1.0), (most + 1.0, 1.0)]).unwrap();
        Machine { curve, ..self }
    }
}

/// Goal A-4. Mean time of the birth-death chain, for two distributions of lengths with the same mean.
#[test]
fn times_are_those_of_state_dependent_processor_sharing() {
    let slow = std::env::var_os("CROSSFADE_SLOW_TESTS").is_some();
    let (n_jobs, most) = if slow { (1_000_000, 0.01) } else { (200_000, 0.025) };
    let machine = machine(&[(1.0, 0.020), (8.0, 0.024), (32.0, 0.038), (64.0, 0.048), (256.0, 0.114)], 256);
    let mean_tokens = 200.0;
    let rate_of = |n: usize| n as f64 / machine.curve.at(n as f64) / mean_tokens;
    for share in [0.5, 0.7, 0.85] {
        let rate = share * rate_of(256);
        // p_n relative to p_0; beyond the limit the line grows and the rate does not.
        let (mut term, mut sum, mut weighted) = (1.0, 1.0, 0.0);
        for n in 1..5_000 {
            term *= rate / rate_of(n.min(256));
            sum += term;
            weighted += n as f64 * term;
        }
        let exact = weighted / sum / rate;
        let sizes: [fn(&mut Random) -> f64; 2] = [
            |random| exponential(200.0, random),
            // Log-normal with a squared coefficient of variation of 2.
            |random| {
                200.0
                    * (3.0_f64.ln().sqrt() * stats::special::normal_quantile(uniform(random)) - 3.0_f64.ln() / 2.0)
                        .exp()
            },
        ];
        for (idx, size) in sizes.into_iter().enumerate() {
            let arrivals = poisson(n_jobs, rate, &mut Random::new(17 + idx as u64), size);
            let served = replay(&arrivals, &machine, (1, Router::RoundRobin));
            let mean = served.iter().map(|served| served.done_s).sum::<f64>() / served.len() as f64;
            assert!((mean / exact - 1.0).abs() < most, "at {share}, sizes {idx}: {mean}, {exact}");
        }
    }
}

/// Goal A-5. With a memory of `M` tokens, prompts of `s`, answers exponential with mean `m` and `b` seconds a token, no more than
/// `M / (b (s m + m²))` requests a second can be done.
#[test]
fn a_full_memory_serves_what_the_bound_says() {
    let (memory, prompt, answer, speed) = (40_000.0, 100.0, 200.0, 0.025);
    let machine = Machine {
        memory: Some(memory),
        curve: Curve::new(&[(1.0, speed), (10_001.0, speed)]).unwrap(),
        ..machine(&[(1.0, 1.0)], 10_000)
    };
    let bound = memory / (speed * (prompt * answer + answer * answer));
    let mut random = Random::new(3);
    let arrivals: Vec<Arrival> =
        (0..20_000).map(|_| Arrival { at_s: 0.0, input: prompt, output: exponential(answer, &mut random) }).collect();
    let served = replay(&arrivals, &machine, (1, Router::RoundRobin));
    assert_eq!(served.len(), arrivals.len(), "everything is done in the end");
    let last = served.iter().map(|served| served.done_s).fold(0.0, f64::max);
    let rate = served.len() as f64 / last;
    assert!((rate / bound - 1.0).abs() < 0.03, "{rate}, {bound}");
}

/// Goal A-8, on synthetic bursts: a minute in eight has eight times the load of the others. A fleet for random arrivals at the same mean
/// does not keep the objective.
#[test]
fn a_fleet_for_the_mean_is_too_small_for_bursts() {
    let machine = machine(&[(1.0, 0.020), (8.0, 0.024), (32.0, 0.038), (64.0, 0.048)], 64);
    let mut random = Random::new(8);
    let (mut arrivals, mut at_s) = (Vec::new(), 0.0_f64);
    while at_s < 3_600.0 {
        let is_burst = (at_s / 60.0).floor().rem_euclid(8.0) < 1.0;
        at_s += exponential(if is_burst { 1.0 / 24.0 } else { 1.0 / 3.0 }, &mut random);
        arrivals.push(Arrival { at_s, input: 0.0, output: exponential(200.0, &mut random) });
    }
    let objective = Objective { share: 0.95, first_s: None, done_s: Some(25.0) };
    let recorded = needed(&arrivals, &machine, objective, 64).unwrap();
    let averaged = needed(&at_random(&arrivals, 1), &machine, objective, 64).unwrap();
    assert!(recorded > averaged, "{recorded}, {averaged}");
    let kept = |replicas| objective.is_kept(&replay(&arrivals, &machine, (replicas, Router::LeastOutstanding)));
    assert!(kept(recorded) && !kept(averaged) && !kept(recorded - 1));
    assert_eq!(needed(&arrivals, &machine, Objective { done_s: Some(0.1), ..objective }, 8), None);
}

#[test]
fn curves_are_straight_between_points_and_keep_their_throughput_beyond() {
    let curve = Curve::new(&[(1.0, 0.02), (9.0, 0.04)]).unwrap();
    assert_eq!([0.5, 1.0, 5.0, 9.0, 18.0].map(|n| curve.at(n)), [0.02, 0.02, 0.03, 0.04, 0.08]);
    for points in [&[][..], &[(1.0, 0.0)], &[(2.0, 0.1), (1.0, 0.2)], &[(1.0, 0.2), (2.0, 0.1)]] {
        assert_eq!(Curve::new(points), None, "{points:?}");
    }
}

#[test]
fn a_prompt_that_is_read_stops_the_others() {
    let machine = Machine { reads: Some(100.0), ..machine(&[(1.0, 0.1), (3.0, 0.1)], 2) };
    let request = |at_s: f64| Arrival { at_s, input: 100.0, output: 10.0 };
    let served = replay(&[request(0.0), request(1.5)], &machine, (1, Router::RoundRobin));
    // A second to read and one to write; the other's reading falls into it, and holds both up.
    let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found}, {expected}");
    near(served[0].first_s, 1.1);
    near(served[0].done_s, 3.0);
    near(served[1].done_s, 2.0);
}
