//! What many simulated rollouts say together.

use serde::{Deserialize, Serialize};
use stats::interval::wilson;

use super::{Ending, Fate};

/// Two-sided 95 %.
const NORMAL_95: f64 = 1.959_964;

/// A fraction of runs, with its Wilson interval at 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proportion {
    /// Runs it happened in.
    pub n: u64,
    /// Runs it could have happened in.
    pub of: u64,
    /// The fraction.
    pub fraction: f64,
    /// Lower and upper end of the interval.
    pub interval: (f64, f64),
}

/// The middle and the upper end of a measure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delay {
    /// Runs it was measured in.
    pub n: u64,
    /// The median.
    pub median: f64,
    /// Its interval at 95 %, by the order of the values: whatever their distribution is.
    pub median_interval: (f64, f64),
    /// The 95th percentile.
    pub p95: f64,
    /// Its interval at 95 %.
    pub p95_interval: (f64, f64),
}

/// Many runs in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How many.
    pub runs: u64,
    /// Whether the candidate was made worse.
    pub is_worse: bool,
    /// Thrown back by a guard; a false one unless the candidate was worse.
    pub rolled_back: Proportion,
    /// Completed.
    pub completed: Proportion,
    /// Stopped where only people could go on.
    pub waiting: Proportion,
    /// Ended by the end of the simulated time.
    pub undecided: Proportion,
    /// Promoted at least once while the candidate was worse.
    pub promoted_while_worse: Option<Proportion>,
    /// Got to full although the candidate was worse.
    pub full_while_worse: Option<Proportion>,
    /// Requests from the first of a worse candidate to the rollback.
    pub detection: Option<Delay>,
    /// The candidate's among these.
    pub detection_candidate: Option<Delay>,
    /// Days from the start to full.
    pub days_to_full: Option<Delay>,
    /// Requests from the start to the end.
    pub requests: Option<Delay>,
    /// How many of the rollbacks happened on each step.
    pub rollbacks_by_step: Vec<u64>,
    /// Ended because people said no.
    pub refused: Proportion,
    /// Stopped by the guard of costs, and requests until then; a false alarm unless the candidate was dear.
    pub dear: Proportion,
    /// Requests from the first of a dear candidate until then.
    pub dear_after: Option<Delay>,
}

/// Adds up.
#[must_use]
pub fn summary(fates: &[Fate], n_steps: usize, is_worse: bool) -> Summary {
    let ended = |ending: Ending| proportion(fates, |fate| fate.ending == ending);
    let worse = |happened: fn(&Fate) -> bool| is_worse.then(|| proportion(fates, happened));
    let found = || fates.iter().filter(|fate| fate.ending == Ending::RolledBack);
    let mut rollbacks_by_step = vec![0; n_steps];
    for fate in found() {
        if let Some(n) = rollbacks_by_step.get_mut(fate.step_idx) {
            *n += 1;
        }
    }
    Summary {
        runs: fates.len() as u64,
        is_worse,
        rolled_back: ended(Ending::RolledBack),
        completed: ended(Ending::Completed),
        waiting: ended(Ending::Waiting),
        undecided: ended(Ending::Undecided),
        promoted_while_worse: worse(|fate| fate.promoted_while_worse),
        full_while_worse: worse(|fate| fate.days_to_full.is_some() && fate.after_effect.is_some()),
        detection: delay(found().filter_map(|fate| fate.after_effect.map(|n| n as f64))),
        detection_candidate: delay(found().filter_map(|fate| fate.candidate_after_effect.map(|n| n as f64))),
        days_to_full: delay(fates.iter().filter_map(|fate| fate.days_to_full)),
        requests: delay(fates.iter().map(|fate| fate.requests as f64)),
        rollbacks_by_step,
        refused: ended(Ending::Refused),
        dear: proportion(fates, |fate| fate.dear),
        dear_after: delay(fates.iter().filter(|fate| fate.dear).filter_map(|fate| fate.after_effect.map(|n| n as f64))),
    }
}

fn proportion(fates: &[Fate], happened: impl Fn(&Fate) -> bool) -> Proportion {
    let (n, of) = (fates.iter().filter(|fate| happened(fate)).count() as u64, fates.len() as u64);
    let fraction = if of == 0 { 0.0 } else { n as f64 / of as f64 };
    Proportion { n, of, fraction, interval: wilson(n, of, NORMAL_95).unwrap_or((0.0, 1.0)) }
}

/// Nearest-rank quantiles, and intervals between the ranks that the number of values below a quantile (binomial, by its normal
/// approximation) leaves open. With few values an end is the smallest or the largest of them.
fn delay(values: impl Iterator<Item = f64>) -> Option<Delay> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let of_rank = |rank: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
        let rank = rank.clamp(1.0, n.max(1.0)) as usize;
        values.get(rank - 1).copied()
    };
    let at = |quantile: f64| of_rank((quantile * n).ceil());
    let around = |quantile: f64| {
        let spread = NORMAL_95 * (n * quantile * (1.0 - quantile)).sqrt();
        of_rank((quantile * n - spread).floor()).zip(of_rank((quantile * n + spread).ceil() + 1.0))
    };
    Some(Delay {
        n: values.len() as u64,
        median: at(0.5)?,
        median_interval: around(0.5)?,
        p95: at(0.95)?,
        p95_interval: around(0.95)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_have_intervals_that_narrow_with_the_number_of_values() {
        let of = |n: u32| delay((1..=n).map(f64::from)).unwrap();
        let hundred = of(100);
        // 50 ± 9.8 and 95 ± 4.27 ranks.
        assert_eq!((hundred.median, hundred.median_interval), (50.0, (40.0, 61.0)));
        assert_eq!((hundred.p95, hundred.p95_interval), (95.0, (90.0, 100.0)));
        let many = of(10_000);
        assert_eq!(many.median_interval, (4902.0, 5099.0));
        assert_eq!(of(1).p95_interval, (1.0, 1.0));
        assert_eq!(delay(std::iter::empty()), None);
    }
}
