//! Where rates and times lie, whenever one looks.

use rollout::Arm;
use rollout::bands::{RateBand, Slower, TimeBand, TimeBands, Timed};
use rollout::explain::Explanation;

use super::{ms, number, rate};
use crate::out::table;

/// What the section is called.
pub(super) const TITLE: &str =
    "where it lies: each at 95 %, however often one looks (for people: moves no guard and no gate)";

/// A row for every rate and every quantile.
pub(super) fn lines(facts: &Explanation) -> String {
    let dash = || "-".to_owned();
    let of_rate = |band: Option<RateBand>| match band {
        Some(band) => [rate(band.rate), format!("{} to {}", rate(band.low), rate(band.high))],
        None => [dash(), dash()],
    };
    let rates = facts.bands.rates.iter().map(|one| {
        let ([baseline, within], [candidate, candidate_within]) = (of_rate(one.baseline), of_rate(one.candidate));
        vec![one.metric.rate_name().to_owned(), baseline, within, candidate, candidate_within, String::new()]
    });
    let of_time = |band: Option<TimeBand>| match band {
        Some(band) => {
            let high = band.high_us.map_or_else(|| "?".to_owned(), ms);
            [ms(band.us), format!("{} to {high}", ms(band.low_us))]
        }
        None => [dash(), dash()],
    };
    let times = facts.bands.times.iter().map(|one| {
        let ([baseline, within], [candidate, candidate_within]) = (of_time(one.baseline), of_time(one.candidate));
        vec![name(one), baseline, within, candidate, candidate_within, one.slower.map_or_else(String::new, reads)]
    });
    let rows: Vec<Vec<String>> = rates.chain(times).collect();
    if rows.is_empty() {
        return String::new();
    }
    table(&["what", "baseline", "within", "candidate", "within", "reads"], &rows)
}

fn name(one: &TimeBands) -> String {
    let of = match one.of {
        Timed::FirstToken => "ttft",
        Timed::Total => "total",
    };
    format!("{of} p{:.0} ms", one.quantile * 100.0)
}

fn reads(slower: Slower) -> String {
    let threshold = number(slower.threshold);
    match slower.arm {
        Some(Arm::Candidate) => {
            format!("the candidate is slower (e-value {}, proven at {threshold})", number(slower.candidate_e_value))
        }
        Some(Arm::Baseline) => {
            format!("the candidate is faster (e-value {}, proven at {threshold})", number(slower.baseline_e_value))
        }
        None => "either may be slower".to_owned(),
    }
}
