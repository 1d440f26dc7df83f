//! What looking again and again does to rules that were made for one look: the plot of false rollbacks.

use stats::RelativeGuard;

use crate::support::{Random, figure, percent, point, size};

const RATE: f64 = 0.008;
const LOOK_EVERY: u64 = 100;
/// One check a minute at ten requests per second, half of them the candidate's.
const CHECK_EVERY: u64 = 300;
const CHECKS_TO_FAIL: u64 = 10;

/// Requests until each rule rolls a candidate back that is as good as the baseline, if it does within `most`.
fn first_alarms(random: &mut Random, most: u64) -> [Option<u64>; 3] {
    let mut guard = RelativeGuard::new(0.5, 1.0, 0.7);
    let mut alarms = [None; 3];
    let (mut n, mut bad) = ([0_u64; 2], [0_u64; 2]);
    let (mut in_check, mut bad_in_check, mut n_failed) = (0, 0, 0);
    for request in 1..=most {
        let is_candidate = random.chance(0.5);
        let is_bad = random.chance(RATE);
        n[usize::from(is_candidate)] += 1;
        bad[usize::from(is_candidate)] += u64::from(is_bad);
        if request.is_multiple_of(LOOK_EVERY) && z_score(n, bad) > 1.6449 {
            alarms[0].get_or_insert(request);
        }
        if is_candidate {
            in_check += 1;
            bad_in_check += u64::from(is_bad);
            if in_check == CHECK_EVERY {
                n_failed += u64::from(bad_in_check * 100 > in_check);
                (in_check, bad_in_check) = (0, 0);
                if n_failed >= CHECKS_TO_FAIL {
                    alarms[1].get_or_insert(request);
                }
            }
        }
        if is_bad {
            guard.observe_bad(is_candidate);
            if guard.log_e() >= 100_f64.ln() {
                alarms[2].get_or_insert(request);
            }
        }
    }
    alarms
}

/// Two rates, pooled.
fn z_score(n: [u64; 2], bad: [u64; 2]) -> f64 {
    let [base, candidate] = [n[0] as f64, n[1] as f64];
    let pooled = (bad[0] + bad[1]) as f64 / (base + candidate);
    let deviation = (pooled * (1.0 - pooled) * (base.recip() + candidate.recip())).sqrt();
    (bad[1] as f64 / candidate - bad[0] as f64 / base) / deviation
}

#[test]
fn rules_made_for_one_look_roll_equals_back() {
    let (n_runs, most) = (size(100, 2000), 100_000);
    let mut random = Random::new(43);
    let alarms: Vec<[Option<u64>; 3]> = (0..n_runs).map(|_| first_alarms(&mut random, most)).collect();
    let part = |rule: usize, by: u64| {
        let n_alarms = alarms.iter().filter(|first| first[rule].is_some_and(|first| first <= by)).count();
        percent(n_alarms, n_runs)
    };
    let rules =
        ["z-test at 5 %, every 100 requests", "ten failed checks of a 1 % limit", "relative guard at 1 %, every event"];
    for (rule, name) in rules.iter().enumerate() {
        for by in (0..=20).map(|step| most * step / 20) {
            point("peeking", name, by as f64, part(rule, by));
        }
    }
    figure(
        "§4",
        "equals at 0.8 % errors within 100 000 requests: rolled back by the three rules of the plot",
        &format!("{:.0} %, {:.0} %, {:.2} %", part(0, most), part(1, most), part(2, most)),
        "the last ≤ 1 %",
        n_runs,
    );
    assert!(part(0, most) > 20.0 && part(1, most) > 50.0, "{} {}", part(0, most), part(1, most));
    assert!(part(2, most) <= 1.0 + 200.0 * (0.01 / n_runs as f64).sqrt(), "{}", part(2, most));
}
