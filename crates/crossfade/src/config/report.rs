//! `report`: what the decision report demands in its five areas, and of what load. All of it has a default.

use std::collections::BTreeMap;

use report::{LatencyOf, Real, Scorecard};

use super::reader::Section;
use super::targets::Routes;

/// What the config says of reports.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReportSettings {
    /// What the areas demand.
    pub scorecard: Scorecard,
    /// Requests a second at the peak, by route.
    pub target_load: BTreeMap<String, f64>,
}

const SECONDS_PER_DAY: u64 = 86_400;
const WORDS: [(&str, LatencyOf); 2] = [("total", LatencyOf::Total), ("first_token", LatencyOf::FirstToken)];

/// `report`.
pub(super) fn read(root: &Section<'_>, routes: &Routes) -> ReportSettings {
    let section = root.section("report");
    let mut settings = ReportSettings::default();
    if let Some(age) = section.get("max_age").and_then(|item| item.age()) {
        settings.scorecard.max_age_days = u32::try_from(age.as_secs() / SECONDS_PER_DAY).unwrap_or(u32::MAX).max(1);
    }
    let known: Vec<&str> = routes.found.keys().map(String::as_str).collect();
    for (name, item) in section.named("target_load") {
        if known.contains(&name.value.as_str()) {
            settings.target_load.extend(item.number(0.001, 1e7).map(|load| (name.value.clone(), load)));
        } else {
            item.unknown_key(&name, known.iter().copied());
        }
    }
    scorecard(&section.section("scorecard"), &mut settings.scorecard);
    section.finish();
    settings
}

fn scorecard(section: &Section<'_>, card: &mut Scorecard) {
    let part = |key: &'static str, required: &mut bool| {
        let part = section.section(key);
        if let Some(is) = part.get("required").and_then(|item| item.boolean()) {
            *required = is;
        }
        part
    };
    let share = |part: &Section<'_>, key: &'static str, of: &mut Real| {
        if let Some(share) = part.get(key).and_then(|item| item.share()) {
            *of = Real(share.value);
        }
    };
    let quality = part("quality", &mut card.quality.required);
    share(&quality, "parity", &mut card.quality.parity);
    quality.finish();
    let latency = part("latency", &mut card.latency.required);
    if let Some(p95) = latency.get("p95").and_then(|item| item.duration()) {
        card.latency.p95_ms = u64::try_from(p95.as_millis()).unwrap_or(u64::MAX).max(1);
    }
    if let Some(of) = latency.get("of").and_then(|item| item.word(&WORDS)) {
        card.latency.of = of;
    }
    latency.finish();
    let throughput = part("throughput", &mut card.throughput.required);
    share(&throughput, "headroom", &mut card.throughput.headroom);
    throughput.finish();
    let safety = part("safety", &mut card.safety.required);
    if let Some(names) = safety.get("filed") {
        let names = names.one_or_more("names of filed results");
        card.safety.filed = names.iter().filter_map(|item| item.string()).map(|name| name.value).collect();
    }
    safety.finish();
    let tco = part("tco", &mut card.tco.required);
    share(&tco, "saving", &mut card.tco.saving);
    if let Some(certainty) = tco.get("certainty").and_then(|item| item.number(0.5, 0.999)) {
        card.tco.certainty = Real(certainty);
    }
    tco.finish();
}

/// Puts `AREA.KEY=VALUE` of the command line into a scorecard.
///
/// # Errors
/// What there is, where the key is none or the value cannot be.
pub(crate) fn put(card: &mut Scorecard, asked: &str) -> Result<(), String> {
    let (key, value) = asked.split_once('=').ok_or("write it like `quality.parity=0.92`")?;
    let share = |from: f64, to: f64| {
        let text = value.trim();
        let number = match text.strip_suffix('%') {
            Some(percent) => percent.trim().parse::<f64>().map(|percent| percent / 100.0),
            None => text.parse::<f64>(),
        };
        let number = number.ok().filter(|number| (from..=to).contains(number));
        number.map(Real).ok_or_else(|| format!("`{key}` is a number from {from} to {to}, not `{value}`"))
    };
    let truth = || value.trim().parse::<bool>().map_err(|_| format!("`{key}` is `true` or `false`, not `{value}`"));
    let duration = || {
        super::value::age(value.trim()).ok_or(format!("`{key}` is a duration such as `2500ms` or `90d`, not `{value}`"))
    };
    match key.trim() {
        "max_age" => {
            card.max_age_days = u32::try_from(duration()?.as_secs() / SECONDS_PER_DAY).unwrap_or(u32::MAX).max(1)
        }
        "quality.required" => card.quality.required = truth()?,
        "quality.parity" => card.quality.parity = share(0.0, 1.0)?,
        "latency.required" => card.latency.required = truth()?,
        "latency.p95" => card.latency.p95_ms = u64::try_from(duration()?.as_millis()).unwrap_or(u64::MAX).max(1),
        "latency.of" => {
            let of = WORDS.iter().find(|(word, _)| *word == value.trim());
            card.latency.of = of.ok_or("`latency.of` is `total` or `first_token`")?.1;
        }
        "throughput.required" => card.throughput.required = truth()?,
        "throughput.headroom" => card.throughput.headroom = share(0.0, 10.0)?,
        "safety.required" => card.safety.required = truth()?,
        "safety.filed" => card.safety.filed = value.split(',').map(|name| name.trim().to_owned()).collect(),
        "tco.required" => card.tco.required = truth()?,
        "tco.saving" => card.tco.saving = share(-1.0, 1.0)?,
        "tco.certainty" => card.tco.certainty = share(0.5, 0.999)?,
        other => {
            let near = super::nearest(other, KEYS).map(|word| format!("; did you mean `{word}`?")).unwrap_or_default();
            return Err(format!("no demand is called `{other}`{near} There are: {}", KEYS.join(", ")));
        }
    }
    Ok(())
}

const KEYS: [&str; 13] = [
    "max_age",
    "quality.required",
    "quality.parity",
    "latency.required",
    "latency.p95",
    "latency.of",
    "throughput.required",
    "throughput.headroom",
    "safety.required",
    "safety.filed",
    "tco.required",
    "tco.saving",
    "tco.certainty",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demand_is_put_by_its_name_and_refused_by_the_nearest() {
        let mut card = Scorecard::default();
        for asked in
            ["quality.parity=95%", "latency.p95=1.5s", "safety.required=false", "max_age=30d", "tco.saving=0.4"]
        {
            put(&mut card, asked).unwrap();
        }
        assert_eq!((card.quality.parity, card.latency.p95_ms, card.max_age_days), (Real(0.95), 1500, 30));
        assert!(!card.safety.required);
        assert!(put(&mut card, "quality.party=1").unwrap_err().contains("did you mean `quality.parity`?"));
        assert!(put(&mut card, "tco.saving=much").unwrap_err().contains("from -1 to 1"));
        for key in KEYS {
            let refused = put(&mut card, &format!("{key}=nonsense")).err().unwrap_or_default();
            assert!(!refused.contains("no demand is called"), "{key}");
        }
    }
}
