//! `stages.shadow` of a rollout, but for its sample and what it takes to leave it: budgets, noise, comparison, copies made later.

use std::collections::BTreeMap;

use gateway::shadow::{Meaning, ShadowBudget, ShadowSettings, Window};

use super::judged;
use crate::config::reader::{Item, Section};
use crate::config::targets::Targets;
use crate::config::value;

/// What is looked at of a text when nobody says.
const MAX_TEXT: usize = 8 << 10;

/// Reads it from the section that also has the sample.
pub(super) fn read(section: &Section<'_>, targets: &Targets) -> ShadowSettings {
    let noise_duplicate = section.get("noise_duplicate").and_then(|item| item.share()).map_or(0.0, |share| share.value);
    ShadowSettings {
        budget: budget(section),
        noise_duplicate,
        task_samples: task_samples(section),
        deferred: section.get("deferred").and_then(|item| window(&item)),
        ignore: ignore(section),
        meaning: section.get("meaning").and_then(|item| meaning(&item, targets)),
        judged: section.get("judged").and_then(|item| judged::read(&item, noise_duplicate, targets)),
    }
}

/// `task_samples: { legal: 1.0 }`.
fn task_samples(section: &Section<'_>) -> BTreeMap<String, f64> {
    let named = section.get("task_samples").map(|item| item.named()).unwrap_or_default();
    named.into_iter().filter_map(|(task, item)| Some((task.value, item.share()?.value))).collect()
}

/// `budget: { usd_per_day: 20, tokens_per_day: 5_000_000, per_second: 20, in_flight: 32, max_bytes: 64MiB }`.
fn budget(section: &Section<'_>) -> ShadowBudget {
    let section = section.section("budget");
    let budget = ShadowBudget {
        nanos_per_day: dollars(&section),
        tokens_per_day: section.get("tokens_per_day").and_then(|item| item.count(1, u64::MAX)),
        per_second: section.get("per_second").and_then(|item| item.number(0.001, 1e9)),
        in_flight: section
            .get("in_flight")
            .and_then(|item| item.count(1, 1 << 20))
            .and_then(|n| usize::try_from(n).ok()),
        max_bytes: section.get("max_bytes").and_then(|item| item.size()),
    };
    section.finish();
    budget
}

/// `usd_per_day`, in nano-dollars.
pub(super) fn dollars(section: &Section<'_>) -> Option<u64> {
    let expected = "an amount of US dollars above 0, such as `20` or `0.25`";
    let read = |text: &str| value::nanodollars(text).filter(|nanos| *nanos > 0);
    section.get("usd_per_day").and_then(|item| item.parsed(expected, read))
}

/// `deferred: { from: "22:00", to: "06:00", utc_offset: "+01:00" }`.
fn window(item: &Item<'_>) -> Option<Window> {
    let section = item.section()?;
    let time = |key| section.need(key).and_then(|item| item.parsed("a time of day such as `\"22:00\"`", minutes));
    let (from, to) = (time("from"), time("to"));
    let utc_offset = section.get("utc_offset").and_then(|item| {
        item.parsed("an offset from UTC such as `\"+01:00\"` or `\"-05:30\"`", |text| {
            let (sign, rest) = match text.split_at_checked(1)? {
                ("+", rest) => (1, rest),
                ("-", rest) => (-1, rest),
                _ => return None,
            };
            let minutes = minutes(rest).filter(|minutes| *minutes <= 14 * 60)?;
            Some(sign * i16::try_from(minutes).ok()?)
        })
    });
    section.finish();
    let (from, to) = (from?, to?);
    if from == to {
        let hint = "for the whole day write `from: \"00:00\", to: \"24:00\"`";
        item.note("a window that ends when it begins is never open", Some(hint.into()));
    }
    Some(Window { from, to, utc_offset: utc_offset.unwrap_or(0) })
}

/// `HH:MM` as minutes from midnight; `24:00` is the end of the day.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= 24 * 60).then_some(total)
}

/// `ignore: [id, "items.*.updated_at"]`.
fn ignore(section: &Section<'_>) -> Vec<String> {
    let Some(items) = section.get("ignore").and_then(|item| item.list("names or paths such as `[id, \"items.*.at\"]`"))
    else {
        return Vec::new();
    };
    let mut rules = Vec::with_capacity(items.len());
    for item in items {
        let Some(rule) = item.string() else { continue };
        if rule.value.split('.').any(str::is_empty) {
            item.note("a path has a name between its dots", Some("`*` stands for any one name or number".into()));
        }
        rules.push(rule.value);
    }
    rules
}

/// `meaning: { target: embedder, sample: 0.1, usd_per_day: 1, tokens_per_day: 1_000_000, max_text: 8KiB }`.
fn meaning(item: &Item<'_>, targets: &Targets) -> Option<Meaning> {
    let section = item.section()?;
    let target = section.need("target").and_then(|item| targets.reference(&item));
    let meaning = Meaning {
        target: String::new(),
        sample: section.get("sample").and_then(|item| item.share()).map_or(1.0, |share| share.value),
        nanos_per_day: dollars(&section),
        tokens_per_day: section.get("tokens_per_day").and_then(|item| item.count(1, u64::MAX)),
        max_text: section.get("max_text").and_then(|item| item.size()).unwrap_or(MAX_TEXT),
    };
    section.finish();
    Some(Meaning { target: target?.value, ..meaning })
}
