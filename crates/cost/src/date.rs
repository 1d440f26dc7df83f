//! Days and moments, without a clock: both come from outside.

use std::fmt;

const DAY_S: i64 = 86_400;

/// A moment, in whole seconds since the Unix epoch. Prices change by the day or by the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct When(pub i64);

impl When {
    /// The second a moment in Unix microseconds falls in.
    #[must_use]
    pub fn from_us(us: u64) -> When {
        When(i64::try_from(us / 1_000_000).unwrap_or(i64::MAX))
    }

    /// Its date in UTC.
    #[must_use]
    pub const fn date(self) -> Date {
        Date(self.0.div_euclid(DAY_S))
    }

    /// Minute of the day and weekday (1 Monday to 7 Sunday) where clocks are `offset_min` ahead of UTC.
    #[must_use]
    pub fn local(self, offset_min: i16) -> (u16, u8) {
        let seconds = self.0.saturating_add(i64::from(offset_min) * 60);
        let minute = u16::try_from(seconds.rem_euclid(DAY_S) / 60).unwrap_or(0);
        // 1 January 1970 was a Thursday, the fourth day.
        let weekday = u8::try_from((seconds.div_euclid(DAY_S) + 3).rem_euclid(7) + 1).unwrap_or(1);
        (minute, weekday)
    }
}

/// A day in UTC, counted from 1 January 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub i64);

impl Date {
    /// Reads `2026-11-25`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Date> {
        let mut parts = text.split('-');
        let mut part = |n_digits: usize| {
            let part = parts.next().filter(|part| part.len() == n_digits)?;
            part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<i64>().ok())?
        };
        let (year, month, day) = (part(4)?, part(2)?, part(2)?);
        let date = Date(days(year, month, day));
        // A day that is not in its month comes back as another.
        (parts.next().is_none() && date.parts() == (year, month, day)).then_some(date)
    }

    /// Year, month and day. Algorithm: civil from days, Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"; valid
    /// for every date a price can have.
    fn parts(self) -> (i64, i64, i64) {
        let shifted = self.0 + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        (year_of_era + era * 400 + i64::from(month <= 2), month, day)
    }
}

/// Days from 1 January 1970; same source.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.parts();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// Minute of the day of `16:30`; seconds are allowed when they are 0.
#[must_use]
pub fn minute_of_day(text: &str) -> Option<u16> {
    let mut parts = text.split(':');
    let mut number = |below: u16| {
        let part = parts.next().filter(|part| part.len() == 2)?;
        part.parse::<u16>().ok().filter(|n| *n < below)
    };
    let (hours, minutes) = (number(24)?, number(60)?);
    match (parts.next(), parts.next()) {
        (None | Some("00"), None) => Some(hours * 60 + minutes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_shown() {
        for (text, day) in [("1970-01-01", 0), ("2000-02-29", 11_016), ("2026-11-25", 20_782), ("1969-12-31", -1)] {
            let date = Date::parse(text).unwrap();
            assert_eq!((date.0, date.to_string().as_str()), (day, text));
        }
        for text in ["2026-02-29", "2026-13-01", "26-01-01", "2026-1-1", "2026-01-01T00", "", "2026-01"] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }

    #[test]
    fn local_time_crosses_midnight_and_weekdays() {
        // Wednesday 25 November 2026, 23:30 UTC.
        let when = When(20_782 * DAY_S + 23 * 3_600 + 30 * 60);
        assert_eq!(when.date().to_string(), "2026-11-25");
        assert_eq!(when.local(0), (23 * 60 + 30, 3));
        assert_eq!(when.local(8 * 60), (7 * 60 + 30, 4));
        assert_eq!(When(-1).local(0), (23 * 60 + 59, 3));
    }

    #[test]
    fn minutes_are_read() {
        assert_eq!(minute_of_day("16:30"), Some(990));
        assert_eq!(minute_of_day("16:30:00"), Some(990));
        for text in ["24:00", "16:60", "16", "1:30", "16:30:10", "16:30:00:00"] {
            assert_eq!(minute_of_day(text), None, "{text}");
        }
    }
}
