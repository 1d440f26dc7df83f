//! `off_peak_pricing`: prices that stand instead of all others while a window is open. Windows are in UTC, weekdays by a calendar
//! that may be another.

use super::{Rates, set};
use crate::date::minute_of_day;
use crate::decimal::Decimal;
use crate::json::Json;
use crate::meter::Meter;
use crate::row::{Hours, Window};

/// The hours and their prices; `None` when rows cannot say them.
pub(super) fn read(value: &Json) -> Option<(Hours, Rates)> {
    let mut windows = Vec::new();
    let mut rates = Rates::new();
    let mut offset_min = 0;
    for (key, value) in value.members() {
        let meter = match key.as_str() {
            "hours_utc" => {
                windows.extend(spans(value, &[])?);
                continue;
            }
            "windows" => {
                for rule in value.as_array()? {
                    let days = rule.get("weekdays").map_or(Some(Vec::new()), weekdays)?;
                    windows.extend(spans(rule.get("hours_utc")?, &days)?);
                }
                continue;
            }
            "weekday_timezone" => {
                offset_min = offset_of(value.as_str()?)?;
                continue;
            }
            "input_cost_per_token" => Meter::Input,
            "output_cost_per_token" => Meter::Output,
            "output_cost_per_reasoning_token" => Meter::Reasoning,
            "cache_read_input_token_cost" => Meter::Cached,
            "cache_creation_input_token_cost" => Meter::CacheWrite,
            _ => return None,
        };
        set(&mut rates, meter, Decimal::parse(value.as_number()?)?.times(1_000_000)?);
    }
    // On the weekdays' clock, a window is open at other hours.
    let local = |minute: u16| (minute + offset_min) % (24 * 60);
    for window in &mut windows {
        (window.from, window.to) = (local(window.from), local(window.to));
    }
    let hours = Hours { offset_min: i16::try_from(offset_min).ok()?, windows };
    (!hours.windows.is_empty() && !rates.is_empty()).then_some((hours, rates))
}

/// Minutes that a zone without summer time is ahead of UTC.
fn offset_of(zone: &str) -> Option<u16> {
    match zone {
        "UTC" | "Etc/UTC" => Some(0),
        "Asia/Shanghai" | "Asia/Singapore" => Some(8 * 60),
        "Asia/Tokyo" => Some(9 * 60),
        _ => None,
    }
}

/// `"16:30-00:30"`, or a list of such.
fn spans(value: &Json, days: &[u8]) -> Option<Vec<Window>> {
    let texts: Vec<&str> = match value {
        Json::String(text) => vec![text],
        _ => value.as_array()?.iter().map(Json::as_str).collect::<Option<_>>()?,
    };
    let window = |text: &str| {
        let (from, to) = text.split_once('-')?;
        Some(Window { from: minute_of_day(from.trim())?, to: minute_of_day(to.trim())?, days: days.to_vec() })
    };
    texts.into_iter().map(window).collect()
}

fn weekdays(value: &Json) -> Option<Vec<u8>> {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let day = |value: &Json| match value {
        Json::Number(text) => text.parse().ok().filter(|day| (1..=7).contains(day)),
        Json::String(text) => {
            let idx = NAMES.iter().position(|name| text.trim().to_ascii_lowercase().starts_with(name))?;
            u8::try_from(idx + 1).ok()
        }
        _ => None,
    };
    value.as_array()?.iter().map(day).collect()
}
