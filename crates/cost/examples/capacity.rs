//! How fast the capacity simulator is: `capacity requests` plays 4 million requests through four replicas, `capacity week` sizes the 168 hours of a
//! week of some three million requests for three machines. Prints what was done; `scripts/bench-capacity` counts what it took.

use std::io::Write;

use cost::capacity::bursts::{Pattern, made_up};
use cost::capacity::week::{Asked, week};
use cost::capacity::{Curve, Machine, Objective, Reading, Router, replay};

/// Milliseconds for a token of each, by how many are at work: a 32B model in FP8 on a 141 GB card, an 8B model on an 80 GB one, and the first at half
/// the speed. The first two are modelled, not measured: AIConfigurator 0.12, 1155 tokens in and 211 out.
const CURVES: [&[(f64, f64)]; 3] = [
    &[(1.0, 20.5), (8.0, 23.7), (32.0, 37.8), (64.0, 48.3), (128.0, 76.9), (256.0, 114.4)],
    &[(1.0, 6.4), (8.0, 7.8), (32.0, 12.1), (64.0, 17.6), (128.0, 28.3), (256.0, 47.3)],
    &[(1.0, 41.0), (8.0, 47.4), (32.0, 75.6), (64.0, 96.6), (128.0, 153.8), (256.0, 228.8)],
];

fn machine(points: &[(f64, f64)]) -> Option<Machine> {
    let points: Vec<(f64, f64)> = points.iter().map(|(n, ms)| (*n, ms / 1000.0)).collect();
    let reading = Reading::Stalls { tokens_per_second: 20_000.0 };
    Some(Machine { curve: Curve::new(&points)?, reading, most_active: 256, memory: Some(400_000.0) })
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let task = std::env::args().nth(1).unwrap_or_default();
    let machines: Vec<Machine> = CURVES.iter().filter_map(|points| machine(points)).collect();
    if task == "requests" {
        let arrivals = made_up(Pattern::Random { rate: 20.0 }, (1155.0, 211.0), 200_000.0, 1);
        let served = replay(&arrivals, &machines[0], (4, Router::LeastOutstanding));
        return writeln!(out, "{} requests", served.len());
    }
    // Calm and bursts by turns; the mean is five a second, for which the first machine needs several replicas.
    let pattern = Pattern::Bursts { rates: [2.0, 14.0], lasts_s: [900.0, 300.0] };
    let arrivals = made_up(pattern, (1155.0, 211.0), 604_800.0, 2);
    let objective = Objective { share: 0.95, first_s: Some(2.5), done_s: None };
    let asked = Asked { objective, headroom: 0.2, spare: 1, least: 2, most: 64 };
    for machine in &machines {
        let week = week(&arrivals, 0.0, machine, &asked);
        writeln!(
            out,
            "{} requests, {} hours, peak {:?}, paid {:?}",
            arrivals.len(),
            week.n_recorded(),
            week.peak(),
            week.paid(180.0)
        )?;
    }
    Ok(())
}
