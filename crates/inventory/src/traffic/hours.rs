//! When requests come: by the hour of the week.

use std::collections::BTreeMap;

use serde::Serialize;

/// Hours of a week.
pub const HOURS: usize = 168;
/// 1970-01-01 was a Thursday: 72 hours after a Monday began.
const FIRST_HOUR: u64 = 72;
const HOUR_US: u64 = 3_600_000_000;

/// What came in each hour of the record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hours(BTreeMap<u64, Sum>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    requests: u64,
    input: u64,
    output: u64,
}

/// The 168 hours of a week, in UTC; the first is Monday's from midnight. An hour of the week that the record has several of is a mean of them; one it
/// has none of is 0 in all but `recorded`, which says so.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Week {
    /// What the first of the hours is.
    pub from: &'static str,
    /// How many such hours lie between the first and the last request on record, these two included.
    pub recorded: Vec<u32>,
    /// Requests in such an hour.
    pub requests: Vec<f64>,
    /// Requests in the busiest such hour.
    pub most: Vec<u64>,
    /// Tokens of prompts in such an hour, where they were counted.
    pub input_tokens: Vec<f64>,
    /// Tokens of answers in such an hour, where they were counted.
    pub output_tokens: Vec<f64>,
}

impl Hours {
    pub(super) fn add(&mut self, at_us: u64, tokens: Option<(u64, u64)>) {
        let (input, output) = tokens.unwrap_or_default();
        let sum = self.0.entry(at_us / HOUR_US).or_default();
        *sum = Sum { requests: sum.requests + 1, input: sum.input + input, output: sum.output + output };
    }

    /// The week, of a record that has these two moments first and last.
    pub(super) fn week(&self, (first_us, last_us): (u64, u64)) -> Week {
        let mut recorded = vec![0_u32; HOURS];
        for hour in first_us / HOUR_US..=last_us / HOUR_US {
            recorded[of_week(hour)] += 1;
        }
        let mut sums = vec![Sum::default(); HOURS];
        let mut most = vec![0_u64; HOURS];
        for (hour, sum) in &self.0 {
            let cell = of_week(*hour);
            let all = &mut sums[cell];
            *all = Sum {
                requests: all.requests + sum.requests,
                input: all.input + sum.input,
                output: all.output + sum.output,
            };
            most[cell] = most[cell].max(sum.requests);
        }
        let mean = |of: fn(&Sum) -> u64| -> Vec<f64> {
            let cells = sums.iter().zip(&recorded);
            cells.map(|(sum, n)| if *n == 0 { 0.0 } else { of(sum) as f64 / f64::from(*n) }).collect()
        };
        Week {
            from: "Monday 00:00 UTC",
            requests: mean(|sum| sum.requests),
            input_tokens: mean(|sum| sum.input),
            output_tokens: mean(|sum| sum.output),
            recorded,
            most,
        }
    }
}

fn of_week(hour: u64) -> usize {
    usize::try_from((hour + FIRST_HOUR) % HOURS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23 00:00 UTC, a Monday.
    const MONDAY: u64 = 1_795_392_000_000_000;

    #[test]
    fn hours_are_counted_from_monday_and_averaged_over_those_on_record() {
        let mut hours = Hours::default();
        for (hour, n) in [(0, 4), (1, 2), (168, 10)] {
            (0..n).for_each(|_| hours.add(MONDAY + hour * HOUR_US + 5, Some((100, 10))));
        }
        let week = hours.week((MONDAY, MONDAY + 168 * HOUR_US + 5));
        assert_eq!((week.recorded[0], week.recorded[1], week.recorded[167]), (2, 1, 1));
        assert_eq!((week.requests[0], week.requests[1], week.requests[2]), (7.0, 2.0, 0.0));
        assert_eq!((week.most[0], week.input_tokens[0], week.output_tokens[1]), (10, 700.0, 20.0));
        assert_eq!(week.recorded.iter().sum::<u32>(), 169);
    }

    #[test]
    fn an_hour_that_is_not_on_record_says_so() {
        let mut hours = Hours::default();
        hours.add(MONDAY, None);
        let week = hours.week((MONDAY, MONDAY));
        assert_eq!((week.recorded[0], week.recorded[1], week.requests[0], week.input_tokens[0]), (1, 0, 1.0, 0.0));
    }
}
