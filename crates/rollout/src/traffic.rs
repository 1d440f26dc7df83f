//! The traffic a plan is made for: how many requests come in which hour of the week, how they fall into units, and how often they are
//! bad already.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::metric::Metric;

/// Hours of a week.
pub const HOURS: usize = 7 * 24;
/// 1970-01-01 was a Thursday: 72 hours after a Monday began.
const FIRST_HOUR: u64 = 72;
const HOUR_US: u64 = 3_600_000_000;
/// A plan does not look further ahead than ten years.
const MOST_WEEKS: f64 = 520.0;

/// What comes in on a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// Requests in each hour of a week in UTC; the first hour is Monday's from midnight. 168 of them.
    pub per_hour: Vec<f64>,
    /// The most requests in a minute.
    pub peak_per_minute: f64,
    /// Requests of a unit, on average; at least 1.
    pub requests_per_unit: f64,
    /// The baseline's bad rates.
    pub rates: BTreeMap<Metric, f64>,
    /// How long the baseline takes for an answer, on average.
    pub mean_duration: Option<Duration>,
    /// Tokens of a request and its answer, on average, where they are known.
    #[serde(default)]
    pub tokens_per_request: Option<f64>,
    /// Sigma of the logarithms of what requests cost, where that is known.
    #[serde(default)]
    pub cost_spread: Option<f64>,
    /// The fraction of answers that anything is known of, by metric; what is not here is known of all answers, or of none if it has to be told by
    /// somebody.
    #[serde(default)]
    pub observed: BTreeMap<Metric, f64>,
}

impl Traffic {
    /// As many in every hour.
    #[must_use]
    pub fn even(requests_per_day: f64, requests_per_unit: f64, rates: BTreeMap<Metric, f64>) -> Self {
        let per_hour = (requests_per_day / 24.0).max(0.0);
        Self {
            per_hour: vec![per_hour; HOURS],
            peak_per_minute: per_hour / 60.0,
            requests_per_unit: requests_per_unit.max(1.0),
            rates,
            mean_duration: None,
            tokens_per_request: None,
            cost_spread: None,
            observed: BTreeMap::new(),
        }
    }

    /// The fraction of answers of which it is known whether they were bad.
    #[must_use]
    pub fn observed(&self, metric: Metric) -> f64 {
        let of_all = if metric.is_signal() { 0.0 } else { 1.0 };
        self.observed.get(&metric).copied().unwrap_or(of_all).clamp(0.0, 1.0)
    }

    /// The baseline's bad rate; 0 where nothing is known.
    #[must_use]
    pub fn rate(&self, metric: Metric) -> f64 {
        self.rates.get(&metric).copied().unwrap_or(0.0).clamp(0.0, 1.0)
    }

    /// Requests in a week.
    #[must_use]
    pub fn per_week(&self) -> f64 {
        self.per_hour.iter().sum()
    }

    /// Requests in a day, on average.
    #[must_use]
    pub fn per_day(&self) -> f64 {
        self.per_week() / 7.0
    }

    /// How long it takes from `from` until `requests` have come; `None` for longer than ten years.
    #[must_use]
    pub fn time_for(&self, requests: f64, from: Timestamp) -> Option<Duration> {
        let per_week = self.per_week();
        if requests <= 0.0 {
            return Some(Duration::ZERO);
        }
        if per_week <= 0.0 || requests / per_week > MOST_WEEKS {
            return None;
        }
        let weeks = (requests / per_week).floor();
        let mut left = requests - weeks * per_week;
        let mut hours = weeks * HOURS as f64;
        let started = from.0 % HOUR_US;
        // The hour that has begun is not whole any more.
        let mut share_left = 1.0 - started as f64 / HOUR_US as f64;
        for hour in 0..=HOURS {
            let come = self.per_hour[hour_of_week(from, hour)] * share_left;
            if come >= left && come > 0.0 {
                hours += share_left * left / come;
                break;
            }
            left -= come;
            hours += share_left;
            share_left = 1.0;
        }
        Some(Duration::from_secs_f64(hours * 3600.0))
    }

    /// How many requests come within `time` from `from`.
    #[must_use]
    pub fn requests_in(&self, time: Duration, from: Timestamp) -> f64 {
        let hours = time.as_secs_f64() / 3600.0;
        let weeks = (hours / HOURS as f64).floor();
        let mut left = hours - weeks * HOURS as f64;
        let mut requests = weeks * self.per_week();
        let mut share_left = 1.0 - (from.0 % HOUR_US) as f64 / HOUR_US as f64;
        for hour in 0..=HOURS {
            let part = left.min(share_left);
            requests += self.per_hour[hour_of_week(from, hour)] * part;
            left -= part;
            share_left = 1.0;
            if left <= 0.0 {
                break;
            }
        }
        requests
    }
}

/// The hour of the week that is `later` hours after the one of `at`.
#[must_use]
pub fn hour_of_week(at: Timestamp, later: usize) -> usize {
    let hours = at.0 / HOUR_US + FIRST_HOUR + later as u64;
    usize::try_from(hours % HOURS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday 1970-01-05, midnight.
    const MONDAY: Timestamp = Timestamp(4 * 24 * HOUR_US);

    fn workdays(per_hour: f64) -> Traffic {
        let per_hour = (0..HOURS).map(|hour| if hour < 5 * 24 { per_hour } else { 0.0 }).collect();
        Traffic { per_hour, ..Traffic::even(0.0, 1.0, BTreeMap::new()) }
    }

    #[test]
    fn a_week_begins_on_monday() {
        assert_eq!(hour_of_week(Timestamp(0), 0), 72);
        assert_eq!(hour_of_week(MONDAY, 0), 0);
        assert_eq!(hour_of_week(MONDAY, HOURS + 3), 3);
    }

    #[test]
    fn what_comes_on_workdays_takes_the_weekend_longer() {
        let traffic = workdays(100.0);
        let days = |requests: f64, from: Timestamp| traffic.time_for(requests, from).unwrap().as_secs_f64() / 86_400.0;
        assert!((days(2400.0, MONDAY) - 1.0).abs() < 1e-9);
        let friday_noon = Timestamp(MONDAY.0 + (4 * 24 + 12) * HOUR_US);
        assert!((days(2400.0, friday_noon) - 3.0).abs() < 1e-9, "half on Friday, half on Monday");
        assert!((days(12_000.0 * 3.0 + 1200.0, MONDAY) - 21.5).abs() < 1e-9);
        assert_eq!(workdays(0.0).time_for(1.0, MONDAY), None);
    }

    #[test]
    fn requests_and_time_are_each_others_inverse() {
        let traffic = workdays(37.0);
        for (minutes, offset) in [(7_u64, 13_u64), (600, 59), (100_000, 30), (3, 0)] {
            let from = Timestamp(MONDAY.0 + offset * 60_000_000);
            let requests = traffic.requests_in(Duration::from_secs(minutes * 60), from);
            let time = traffic.time_for(requests, from).unwrap();
            assert!((time.as_secs_f64() - minutes as f64 * 60.0).abs() < 1.0 || minutes > 5 * 24 * 60, "{minutes}");
            assert!((traffic.requests_in(time, from) - requests).abs() < 1e-6);
        }
    }
}
