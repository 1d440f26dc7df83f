//! How many replicas each hour of the week needs: every recorded hour is sized by itself, with what came shortly before still at work, and an hour
//! of the week needs what the worst such hour on record needed. What a fleet costs that follows these hours is counted with its cold starts.

use super::fleet::{Fleet, play};
use super::{Arrival, Machine, Objective, Router, fewest};

/// Hours of a week.
pub const HOURS: usize = 168;
const HOUR_S: f64 = 3_600.0;
const WEEK_S: f64 = 604_800.0;
/// The first of January 1970 was a Thursday, three days after a Monday.
const MONDAY_S: f64 = 3.0 * 86_400.0;
/// Seconds before an hour that are played with it: what was begun then is still at work.
const BEFORE_S: f64 = 300.0;

/// What is asked of every hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Asked {
    /// What has to be kept.
    pub objective: Objective,
    /// Arrivals come as much faster as this share says: 0.2 is a fifth more in the same time.
    pub headroom: f64,
    /// Replicas that stand in, beyond what the load needs.
    pub spare: usize,
    /// Never fewer, those that stand in included.
    pub least: usize,
    /// Most that are tried.
    pub most: usize,
}

/// An hour of the week.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Hour {
    /// How many such hours are on record, whole ones.
    pub recorded: u32,
    /// Requests of the busiest of them.
    pub requests: usize,
    /// Replicas, with those that stand in; `None` where no such hour is on record, or even the most do not hold it.
    pub replicas: Option<usize>,
    /// Whether even the most did not hold it.
    pub is_beyond: bool,
}

/// The hours of a week, from Monday 00:00 UTC on.
#[derive(Debug, Clone, PartialEq)]
pub struct Week(pub Vec<Hour>);

impl Week {
    /// Replicas at the busiest hour; `None` where one is beyond the most, or none is on record.
    #[must_use]
    pub fn peak(&self) -> Option<usize> {
        if self.0.iter().any(|hour| hour.is_beyond) {
            return None;
        }
        self.0.iter().filter_map(|hour| hour.replicas).max()
    }

    /// Hours of the week that are on record.
    #[must_use]
    pub fn n_recorded(&self) -> usize {
        self.0.iter().filter(|hour| hour.recorded > 0).count()
    }

    /// Replicas of every hour, those of an hour that is not on record as those of the busiest: nobody knows that it is quieter.
    #[must_use]
    pub fn filled(&self) -> Option<Vec<usize>> {
        let peak = self.peak()?;
        Some(self.0.iter().map(|hour| hour.replicas.unwrap_or(peak)).collect())
    }

    /// Mean replicas that are paid for, around the clock: each hour's, and those that an hour needs more than the one before from their start on,
    /// `cold_start_s` before it.
    #[must_use]
    pub fn paid(&self, cold_start_s: f64) -> Option<f64> {
        let replicas = self.filled()?;
        let n = replicas.len();
        let early =
            |idx: usize| replicas[idx].saturating_sub(replicas[(idx + n - 1) % n]) as f64 * cold_start_s / HOUR_S;
        Some((0..n).map(|idx| replicas[idx] as f64 + early(idx)).sum::<f64>() / n as f64)
    }
}

/// Which hour of the week a moment is in, from Unix seconds.
#[must_use]
pub fn hour_of_week(unix_s: f64) -> usize {
    let hour = ((unix_s + MONDAY_S).rem_euclid(WEEK_S) / HOUR_S).floor();
    (0..HOURS).rev().find(|idx| *idx as f64 <= hour).unwrap_or(0)
}

/// Sizes every hour on record. Arrivals are in order, and their times are Unix seconds less `epoch_s`. An hour that the record begins or ends in is
/// sized as far as it goes and does not count as a whole one.
#[must_use]
pub fn week(arrivals: &[Arrival], epoch_s: f64, machine: &Machine, asked: &Asked) -> Week {
    let mut hours = vec![Hour::default(); HOURS];
    let (Some(first), Some(last)) = (arrivals.first(), arrivals.last()) else { return Week(hours) };
    let mut start_s = ((first.at_s + epoch_s) / HOUR_S).floor() * HOUR_S - epoch_s;
    let mut guess = 1;
    while start_s <= last.at_s {
        let end_s = start_s + HOUR_S;
        let at = |moment_s: f64| arrivals.partition_point(|arrival| arrival.at_s < moment_s);
        let (before, from, to) = (at(start_s - BEFORE_S), at(start_s), at(end_s));
        // A moment in the middle: the start itself may be off by what doubles cannot hold.
        let hour = &mut hours[hour_of_week(start_s + epoch_s + HOUR_S / 2.0)];
        let is_whole = start_s >= first.at_s - 60.0 && end_s <= last.at_s + 60.0;
        hour.recorded += u32::from(is_whole || to > from);
        hour.requests = hour.requests.max(to - from);
        let needs = if from == to { Some(0) } else { needs(&arrivals[before..to], start_s, machine, (asked, guess)) };
        match needs {
            Some(n) => {
                guess = n.max(1);
                let n = (n + asked.spare).max(asked.least);
                hour.replicas = Some(hour.replicas.map_or(n, |before| before.max(n)));
            }
            None => hour.is_beyond = true,
        }
        start_s = end_s;
    }
    hours.iter_mut().filter(|hour| hour.is_beyond).for_each(|hour| hour.replicas = None);
    Week(hours)
}

/// Replicas for what comes from `start_s` on; what came before is at work and does not count.
fn needs(arrivals: &[Arrival], start_s: f64, machine: &Machine, (asked, guess): (&Asked, usize)) -> Option<usize> {
    let faster = 1.0 + asked.headroom;
    let first_s = arrivals.first()?.at_s;
    let time = |at_s: f64| (at_s - first_s) / faster;
    let played: Vec<Arrival> =
        arrivals.iter().map(|arrival| Arrival { at_s: time(arrival.at_s), ..*arrival }).collect();
    let start_s = time(start_s);
    fewest(asked.most, guess, |replicas| {
        let mut served = play(&played, machine, &Fleet::constant(replicas, Router::LeastOutstanding)).served;
        served.retain(|served| served.arrival.at_s >= start_s);
        asked.objective.is_kept(&served)
    })
}

#[cfg(test)]
mod tests {
    use super::super::bursts::{Pattern, made_up};
    use super::super::{Curve, Reading};
    use super::*;

    fn machine() -> Machine {
        Machine {
            curve: Curve::new(&[(1.0, 0.020), (8.0, 0.024), (32.0, 0.038), (64.0, 0.048)]).unwrap(),
            reading: Reading::Free,
            most_active: 64,
            memory: None,
        }
    }

    fn asked() -> Asked {
        let objective = Objective { share: 0.95, first_s: None, done_s: Some(20.0) };
        Asked { objective, headroom: 0.0, spare: 1, least: 2, most: 32 }
    }

    /// 2026-11-23 00:00 UTC, a Monday.
    const MONDAY: f64 = 1_795_392_000.0;

    #[test]
    fn hours_are_counted_from_monday() {
        assert_eq!(hour_of_week(MONDAY), 0);
        assert_eq!(hour_of_week(MONDAY + 3_599.0), 0);
        assert_eq!(hour_of_week(MONDAY + 25.0 * 3_600.0), 25);
        assert_eq!(hour_of_week(MONDAY - 1.0), 167);
        assert_eq!(hour_of_week(0.0), 72, "1970 began on a Thursday");
    }

    #[test]
    fn a_busy_hour_needs_more_and_one_off_the_record_what_the_busiest_needs() {
        let busy = made_up(Pattern::Random { rate: 20.0 }, (1.0, 200.0), 3_600.0, 1);
        let calm = made_up(Pattern::Random { rate: 1.0 }, (1.0, 200.0), 7_190.0, 2);
        let after = busy.iter().map(|arrival| Arrival { at_s: arrival.at_s + 7_200.0, ..*arrival });
        let arrivals: Vec<Arrival> = calm.iter().copied().chain(after).collect();
        let week = week(&arrivals, MONDAY, &machine(), &asked());
        let replicas: Vec<Option<usize>> = week.0.iter().take(4).map(|hour| hour.replicas).collect();
        assert_eq!(replicas[..2], [Some(2), Some(2)], "one, and one to stand in");
        assert!(replicas[2] > Some(4) && replicas[3].is_none(), "{replicas:?}");
        assert_eq!((week.n_recorded(), week.0[2].recorded, week.0[2].requests), (3, 1, busy.len()));
        assert_eq!(week.peak(), replicas[2]);
        let peak = replicas[2].unwrap();
        // Two quiet hours, all others as the busiest; the third is ready in time, half an hour before.
        let mean = (2.0 * 2.0 + 166.0 * peak as f64 + (peak - 2) as f64 * 0.5) / 168.0;
        assert!((week.paid(1_800.0).unwrap() - mean).abs() < 1e-9);
        let few = self::week(&arrivals, MONDAY, &machine(), &Asked { most: 2, ..asked() });
        assert!(few.0[2].is_beyond && few.peak().is_none() && few.paid(0.0).is_none());
    }

    #[test]
    fn headroom_is_more_in_the_same_time() {
        let arrivals = made_up(Pattern::Random { rate: 20.0 }, (1.0, 200.0), 3_600.0, 1);
        let of = |headroom: f64| week(&arrivals, MONDAY, &machine(), &Asked { headroom, ..asked() }).peak().unwrap();
        assert!(of(0.5) > of(0.0), "{} {}", of(0.5), of(0.0));
    }
}
