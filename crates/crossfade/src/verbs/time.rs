//! Times as they are typed and shown. Always UTC: a page read at 3 a.m. is compared with logs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use govern::limits::civil;

use crate::config::{parse_age, parse_duration};

/// Now, in Unix microseconds.
pub(crate) fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

/// The moment `text` ago, in Unix microseconds.
pub(crate) fn ago(text: &str) -> Result<u64, String> {
    let duration = parse_duration(text).ok_or("expected a duration such as `15m`, `24h` or `7d`")?;
    Ok(now_us().saturating_sub(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
}

/// The moment `text` from now, in Unix microseconds.
pub(crate) fn from_now(text: &str) -> Result<u64, String> {
    seconds(text).map(|seconds| now_us().saturating_add(seconds.saturating_mul(1_000_000)))
}

/// How long something is kept.
pub(crate) fn age(text: &str) -> Result<Duration, String> {
    parse_age(text).ok_or("expected an age such as `24h` or `30d`".into())
}

/// A duration in whole seconds.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    parse_duration(text).map(|duration| duration.as_secs()).ok_or("expected a duration such as `24h` or `90d`".into())
}

/// Unix microseconds as `2026-11-20 17:40:14`.
pub(crate) fn us_to_text(us: u64) -> String {
    let (days, seconds) = (us / 1_000_000 / 86_400, us / 1_000_000 % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_in_utc() {
        assert_eq!(us_to_text(0), "1970-01-01 00:00:00");
        assert_eq!(us_to_text(1_709_210_096_000_000), "2024-02-29 12:34:56");
        assert_eq!(us_to_text(20_412 * 86_400_000_000), "2025-11-20 00:00:00");
    }
}
