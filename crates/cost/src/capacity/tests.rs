use stats::random::Random;

use super::*;

fn uniform(random: &mut Random) -> f64 {
    ((random.bits() >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0
}

fn exponential(mean: f64, random: &mut Random) -> f64 {
    -mean * uniform(random).ln()
}

/// A row of docs/reference/tco.md: `scripts/capacity` reads it.
fn figure(goal: &str, what: &str, found: &str, target: &str, runs: u64) {
    println!("figure\t{goal}\t{what}\t{found}\t{target}\t{runs}");
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
    Machine { curve: Curve::new(points).unwrap(), reading: Reading::Free, most_active, memory: None }
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
        figure(
            "A-3",
            &format!("M/M/{servers} at {share}: Erlang's mean wait inside the 99 % interval of {n_jobs} jobs"),
            &format!("{inside} of {n_seeds} seeds"),
            ">= 97 %",
            n_seeds,
        );
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
            figure(
                "A-4",
                &format!(
                    "processor sharing at {share}, {} answers: mean time against the birth-death chain",
                    ["exponential", "log-normal"][idx]
                ),
                &format!("{:+.2} %", (mean / exact - 1.0) * 100.0),
                "1 %",
                n_jobs as u64,
            );
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
    figure(
        "A-5",
        "a full memory: requests a second against M / (b (s m + m²))",
        &format!("{:+.2} %", (rate / bound - 1.0) * 100.0),
        "3 %",
        20_000,
    );
    assert!((rate / bound - 1.0).abs() < 0.03, "{rate}, {bound}");
    // Little below the bound nobody waits for long, little above it the line grows without end.
    let waits = |share: f64| {
        let arrivals = poisson(60_000, bound * share, &mut Random::new(4), |random| exponential(answer, random));
        let arrivals: Vec<Arrival> = arrivals.iter().map(|arrival| Arrival { input: prompt, ..*arrival }).collect();
        let served = replay(&arrivals, &machine, (1, Router::RoundRobin));
        let of = |part: &[Served]| part.iter().map(|served| served.began_s).sum::<f64>() / part.len() as f64;
        [of(&served[20_000..40_000]), of(&served[40_000..])]
    };
    let (below, above) = (waits(0.93), waits(1.07));
    assert!(below[1] < 3.0 && above[0] > 30.0 && above[1] > above[0] * 1.4, "{below:?} {above:?}");
}

/// Goal A-8, on bursts that are like a public trace of code completion: a fleet for random arrivals at the same mean does not keep the objective.
#[test]
fn a_fleet_for_the_mean_is_too_small_for_bursts() {
    let machine = machine(&[(1.0, 0.020), (8.0, 0.024), (32.0, 0.038), (64.0, 0.048)], 64);
    let pattern = bursts::Pattern::matched(2.57, [(1.0, 13.0), (60.0, 161.0)]).unwrap();
    let arrivals = bursts::made_up(pattern, (2_048.0, 200.0), 14_400.0, 8);
    let objective = Objective { share: 0.95, first_s: None, done_s: Some(20.0) };
    let recorded = needed(&arrivals, &machine, objective, 64).unwrap();
    let averaged = needed(&at_random(&arrivals, 1), &machine, objective, 64).unwrap();
    figure(
        "A-8",
        "bursts made up to be like it: replicas, and for random arrivals",
        &format!("{recorded} and {averaged}"),
        "more",
        1,
    );
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
    let machine =
        Machine { reading: Reading::Stalls { tokens_per_second: 100.0 }, ..machine(&[(1.0, 0.1), (3.0, 0.1)], 2) };
    let request = |at_s: f64| Arrival { at_s, input: 100.0, output: 10.0 };
    let served = replay(&[request(0.0), request(1.5)], &machine, (1, Router::RoundRobin));
    // A second to read and one to write; the other's reading falls into it, and holds both up.
    let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found}, {expected}");
    near(served[0].first_s, 1.1);
    near(served[0].done_s, 3.0);
    near(served[1].done_s, 2.0);
}

/// A piece of 50 tokens takes half a second between two tokens: while the second prompt is read the first request gets a token every 0.6 s.
#[test]
fn a_prompt_that_is_read_in_pieces_slows_the_others_down() {
    let reading = Reading::Chunked { tokens_per_second: 100.0, chunk: 50.0 };
    let machine = Machine { reading, ..machine(&[(1.0, 0.1), (3.0, 0.1)], 2) };
    let request = |at_s: f64, output: f64| Arrival { at_s, input: 100.0, output };
    let served = replay(&[request(0.0, 10.0), request(1.2, 10.0)], &machine, (1, Router::RoundRobin));
    let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found}, {expected}");
    // Alone two pieces of half a second each, then a token every 0.1 s; from 1.2 s on, with two written, two pieces more.
    near(served[0].first_s, 1.1);
    near(served[0].done_s, 1.2 + 2.0 * 0.6 + 6.0 * 0.1);
    near(served[1].first_s, 1.2 + 0.1);
    near(served[1].done_s, 1.2 + 10.0 * 0.1);
}

/// No request is lost or served twice, and as many tokens are written as were asked for, whatever happens.
#[test]
fn every_request_ends_once_whatever_happens_to_the_fleet() {
    let patterns =
        [bursts::Pattern::Random { rate: 8.0 }, bursts::Pattern::Bursts { rates: [2.0, 40.0], lasts_s: [60.0, 20.0] }];
    let scaler = fleet::Autoscaler { least: 1, most: 6, outstanding: 20.0, every_s: 5.0, down_after_s: 60.0 };
    let sizes = [
        fleet::Size::Constant(2),
        fleet::Size::Scheduled(vec![(0.0, 1), (200.0, 4), (500.0, 0), (600.0, 2)]),
        fleet::Size::Automatic(scaler),
    ];
    let vendor = fleet::Vendor { patience_s: 3.0, first_s: 0.4, done_s: 5.0 };
    for (idx, (pattern, size)) in patterns.iter().flat_map(|p| sizes.iter().map(move |s| (p, s))).enumerate() {
        for (vendor, most) in [(None, 0), (Some(vendor), 2)] {
            let arrivals = bursts::made_up(*pattern, (300.0, 200.0), 900.0, idx as u64);
            let machine = Machine {
                reading: Reading::Chunked { tokens_per_second: 8_000.0, chunk: 512.0 },
                memory: Some(30_000.0),
                ..machine(&[(1.0, 0.02), (32.0, 0.038), (64.0, 0.048)], 64)
            };
            let fleet = Fleet {
                router: Router::LeastOutstanding,
                size: size.clone(),
                cold_start_s: 45.0,
                fails_every_s: Some(300.0),
                retries: (most > 0).then_some(fleet::Retries { wrong: 0.05, most, after_s: 0.5 }),
                vendor,
                seed: 9,
            };
            let played = play(&arrivals, &machine, &fleet);
            let asked_again = played.served.iter().filter(|served| !arrivals.contains(&served.arrival)).count();
            assert_eq!(played.served.len(), arrivals.len() + asked_again, "{fleet:?}");
            let is_timely = |served: &Served| served.began_s >= -1e-9 && served.first_s <= served.done_s + 1e-9;
            assert!(played.served.iter().all(is_timely), "{fleet:?}");
            assert!(played.failures > 0 && played.replica_s > 0.0 && played.replica_s <= 6.0 * 900.0, "{played:?}");
            assert_eq!(
                played.ended(End::Lost) > 0,
                vendor.is_none(),
                "what a failure takes is lost where nobody stands in"
            );
            assert_eq!(play(&arrivals, &machine, &fleet), played, "the same seed plays the same");
        }
    }
}

#[test]
fn a_replica_that_is_wanted_more_is_paid_from_its_start_and_used_after() {
    let quiet = fleet::Fleet::constant(1, Router::LeastOutstanding);
    let machine = machine(&[(1.0, 1.0), (2.0, 1.0)], 1);
    let request = |at_s: f64| Arrival { at_s, input: 0.0, output: 5.0 };
    let arrivals = [0.0, 100.0, 100.0, 200.0].map(request);
    let size = fleet::Size::Scheduled(vec![(0.0, 1), (100.0, 2), (150.0, 1)]);
    let fleet = fleet::Fleet { size, cold_start_s: 30.0, ..quiet };
    let played = play(&arrivals, &machine, &fleet);
    assert!(played.served.iter().all(|served| served.done_s == 5.0), "both at once at 100 s: {played:?}");
    // One for 200 s; the other from 70 s, thirty before it is needed, to 150 s.
    assert!((played.replica_s - 280.0).abs() < 1e-9, "{}", played.replica_s);
    assert_eq!((played.most, played.cold_starts), (2, 1));
}

#[test]
fn what_a_failed_replica_worked_on_begins_anew_and_who_waits_too_long_goes_to_the_vendor() {
    let machine = machine(&[(1.0, 1.0), (2.0, 1.0)], 1);
    let arrivals: Vec<Arrival> =
        (0..200).map(|n| Arrival { at_s: f64::from(n) * 10.0, input: 0.0, output: 5.0 }).collect();
    let mut fleet = fleet::Fleet {
        fails_every_s: Some(100.0),
        cold_start_s: 2.0,
        retries: Some(fleet::Retries { wrong: 0.0, most: 3, after_s: 0.0 }),
        ..fleet::Fleet::constant(1, Router::LeastOutstanding)
    };
    let played = play(&arrivals, &machine, &fleet);
    assert_eq!((played.served.len(), played.ended(End::Answered)), (200, 200));
    let again: Vec<&Served> = played.served.iter().filter(|served| served.tries > 0).collect();
    // A failure every 102 s or so, and half of the time somebody is at work.
    assert!(
        (5..=20).contains(&again.len()) && (14..=28).contains(&played.failures),
        "{} {}",
        again.len(),
        played.failures
    );
    assert!(again.iter().all(|served| served.done_s >= 7.0), "the work, and a cold start");
    fleet.vendor = Some(fleet::Vendor { patience_s: 1.0, first_s: 0.5, done_s: 3.0 });
    let played = play(&arrivals, &machine, &fleet);
    let at_vendor: Vec<&Served> = played.served.iter().filter(|served| served.end == End::AtVendor).collect();
    assert!(!at_vendor.is_empty() && at_vendor.iter().all(|served| served.began_s >= 1.0 - 1e-9));
}

/// Retries are load: with so many wrong answers, each tried again at most once, half as many requests more come.
#[test]
fn answers_that_are_not_taken_come_again() {
    let arrivals = bursts::made_up(bursts::Pattern::Random { rate: 5.0 }, (1.0, 100.0), 4_000.0, 6);
    let machine = machine(&[(1.0, 0.02), (64.0, 0.05)], 64);
    let retries = Some(fleet::Retries { wrong: 0.5, most: 1, after_s: 0.0 });
    let played = play(&arrivals, &machine, &fleet::Fleet { retries, ..fleet::Fleet::constant(2, Router::RoundRobin) });
    let share = played.retries as f64 / arrivals.len() as f64;
    assert!((share - 0.5).abs() < 0.02, "{share}");
    assert_eq!(played.served.len() as u64, arrivals.len() as u64 + played.retries);
}

#[test]
fn the_autoscaler_follows_the_load_and_a_cold_start_makes_it_late() {
    let burst = bursts::made_up(bursts::Pattern::Random { rate: 30.0 }, (1.0, 200.0), 600.0, 2);
    let calm = bursts::made_up(bursts::Pattern::Random { rate: 0.5 }, (1.0, 200.0), 3_600.0, 3);
    let shifted = burst.iter().map(|arrival| Arrival { at_s: arrival.at_s + 1_200.0, ..*arrival });
    let mut arrivals: Vec<Arrival> = calm.into_iter().chain(shifted).collect();
    arrivals.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    let machine = machine(&[(1.0, 0.02), (32.0, 0.038), (64.0, 0.048)], 64);
    let scaler = fleet::Autoscaler { least: 1, most: 12, outstanding: 40.0, every_s: 10.0, down_after_s: 120.0 };
    let with = |cold_start_s: f64| {
        let size = fleet::Size::Automatic(scaler);
        play(
            &arrivals,
            &machine,
            &fleet::Fleet { size, cold_start_s, ..fleet::Fleet::constant(1, Router::LeastOutstanding) },
        )
    };
    let objective = Objective { share: 0.95, first_s: None, done_s: Some(20.0) };
    let (quick, slow) = (with(1.0), with(300.0));
    assert!(objective.kept(&quick.served) > objective.kept(&slow.served) + 0.05);
    assert!(
        quick.most > 2 && quick.replica_s < quick.most as f64 * 3_600.0 / 2.0,
        "{} {}",
        quick.most,
        quick.replica_s
    );
}

#[test]
fn more_replicas_are_never_worse_but_for_chance() {
    let arrivals = bursts::made_up(bursts::Pattern::Random { rate: 20.0 }, (1.0, 200.0), 1_000.0, 5);
    let machine = machine(&[(1.0, 0.02), (32.0, 0.038), (64.0, 0.048)], 64);
    let mean = |replicas: usize| {
        let served = replay(&arrivals, &machine, (replicas, Router::LeastOutstanding));
        served.iter().map(|served| served.done_s).sum::<f64>() / served.len() as f64
    };
    let means: Vec<f64> = (1..6).map(mean).collect();
    assert!(means.windows(2).all(|pair| pair[1] <= pair[0] * 1.01), "{means:?}");
}
