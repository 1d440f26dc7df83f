use rollout::Arm;
use rollout::assign::{ASSIGN, arm, position};

/// G10: 0 of a million units move back, and every share is met to 0.1 points.
#[test]
fn a_ramp_of_a_million_units_moves_nobody_back() {
    let shares = [0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 1.0];
    let holdback = 0.02;
    let n_units = 1_000_000_u32;
    let mut on_candidate = [0_u32; 10];
    let mut moved_back = 0_u32;
    for unit in 0..n_units {
        let position = position("rollout-7", ASSIGN, &unit.to_be_bytes());
        let mut before = Arm::Baseline;
        for (share, n) in shares.iter().zip(&mut on_candidate) {
            let now = arm(position, *share, holdback);
            moved_back += u32::from(before == Arm::Candidate && now == Arm::Baseline);
            *n += u32::from(now == Arm::Candidate);
            before = now;
        }
    }
    let worst = shares
        .iter()
        .zip(on_candidate)
        .map(|(share, n)| (f64::from(n) / f64::from(n_units) - share.min(1.0 - holdback)).abs())
        .fold(0.0, f64::max);
    let found = format!("{moved_back} moved back, worst share error {:.3} points", worst * 100.0);
    crate::support::figure("G10", "a ramp of ten shares over 10^6 units", &found, "0, ≤ 0.1 points", 1);
    assert_eq!(moved_back, 0);
    assert!(worst <= 0.001, "{worst}");
}
