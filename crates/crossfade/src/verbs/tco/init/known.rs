//! What of a worksheet is known, as the worksheet has it, and what is said about it.

use std::collections::BTreeMap;

use cost::GpuHour;
use cost::date::Date;
use cost::sheet::Provenance;
use operations::tco::{Recorded, ReviewTimes};
use providers::Class;

use super::counted;
use crate::verbs::time::us_to_text;

const TEMPLATE: &str = include_str!("../worksheet.yaml");

/// Every place of the template that may be filled, and what stands there else; the sides' own apart.
const PLACES: [(&str, &str); 11] = [
    ("NAME", "costs"),
    ("DATE", ""),
    ("TASKS", "unknown"),
    ("BASELINE_FIRST_PASS", "unknown"),
    ("CANDIDATE_FIRST_PASS", "unknown"),
    ("PEAK", "unknown"),
    ("REVIEW_MINUTES", "unknown"),
    ("EVALUATION_RUNS", "unknown"),
    ("RETRIES", ""),
    ("BASELINE_RETRIES", "[]"),
    ("CANDIDATE_RETRIES", "[]"),
];
/// The sides, as the template calls them, and their names where nobody says.
const SIDES: [(&str, &str); 2] = [("BASELINE", "baseline"), ("CANDIDATE", "candidate")];

/// Microseconds of a second, of a day, of a week, and of a month of 730 hours.
const SECOND: u64 = 1_000_000;
const DAY: u64 = 86_400 * SECOND;
const WEEK: u64 = 7 * DAY;
const MONTH: u64 = 730 * 3600 * SECOND;

/// What is known.
pub(super) struct Known {
    /// The day of the worksheet.
    pub(super) today: Date,
    /// The baseline and the candidate.
    pub(super) names: [Option<String>; 2],
    /// What an attempt costs at each, as the worksheet has it.
    pub(super) attempts: [Option<String>; 2],
    /// What is said of these, where an attempt at the side is paid for.
    pub(super) attempt_words: [Vec<String>; 2],
    /// What a reader is told.
    pub(super) said: Vec<String>,
    /// The candidate's replicas by the hour of the week, as the worksheet has them.
    pub(super) hours: Option<String>,
    gpus: [String; 2],
    price_changes: [String; 2],
    places: BTreeMap<&'static str, String>,
}

impl Known {
    /// Nothing but the day.
    pub(super) fn new(today: Date) -> Known {
        let mut places: BTreeMap<&str, String> = PLACES.iter().map(|(at, usual)| (*at, (*usual).to_owned())).collect();
        places.insert("DATE", today.to_string());
        let gpus = [String::new(), String::new()];
        let price_changes = ["unknown".to_owned(), "unknown".to_owned()];
        let attempt_words = [Vec::new(), Vec::new()];
        Known {
            today,
            names: [None, None],
            attempts: [None, None],
            attempt_words,
            said: Vec::new(),
            hours: None,
            gpus,
            price_changes,
            places,
        }
    }

    /// Fills a place.
    pub(super) fn put(&mut self, place: &'static str, value: String) {
        self.places.insert(place, value);
    }

    /// A figure of a record that is too short to be sure of it.
    fn assumed(&self, [low, value, high]: [&str; 3], (evidence, id): (&str, &str)) -> String {
        let id = text(id);
        let evidence = text(&format!("{evidence}; less than a week"));
        let date = self.today;
        format!(
            "{{ value: {value}, low: {low}, high: {high}, provenance: assumed, date: {date}, evidence: {evidence}, evidence_id: {id} }}"
        )
    }

    /// Tasks a month, and tokens a second at the peak: measured of a week or more, whose days are all in it; assumed of days; of less than
    /// a day unknown, for nobody knows which hours these are.
    pub(super) fn traffic(&mut self, route: &str, recorded: &Recorded) {
        let Some((first, last)) = recorded.between_us else {
            self.said.push(format!("no request of route {route} is on record: the number of tasks stays unknown"));
            return;
        };
        let (lasted, n) = (last.saturating_sub(first), recorded.requests);
        let id = format!("traffic:{route}");
        self.repeated(recorded);
        let requests = counted(n, "request");
        let span = format!(
            "{requests} of route {route} in {} from {} to {} UTC",
            span(lasted),
            us_to_text(first),
            us_to_text(last)
        );
        if lasted < DAY {
            self.said.push(format!(
                "warning: the number of tasks and the peak stay unknown, for the record is too short: {span}; of a day or more they are \
                 assumed, of a week or more measured"
            ));
            self.put("TASKS", format!("unknown        # too short a record: {requests} in {}", self::span(lasted)));
            return;
        }
        // Rounded half up.
        let tasks = (u128::from(n) * u128::from(MONTH) + u128::from(lasted / 2)) / u128::from(lasted);
        let peak = recorded.tokens.map(|(_, output)| (recorded.peak_per_minute as f64 * output / 60.0, output));
        let of_peak = |output: f64| {
            let busiest = counted(recorded.peak_per_minute, "request");
            format!("the busiest minute had {busiest}, with {output:.1} tokens of answer on average")
        };
        if lasted < WEEK {
            let [low, value, high] = [tasks / 2, tasks, tasks * 2].map(|tasks| tasks.to_string());
            self.put("TASKS", self.assumed([&low, &value, &high], (&span, &id)));
            self.said.push(format!(
                "warning: {tasks} tasks a month, from half to twice as many, are an assumption: {span} do not show a whole week"
            ));
            if let Some((per_second, output)) = peak.filter(|(per_second, _)| *per_second > 0.001) {
                let [value, high] = [per_second, per_second * 2.0].map(|tokens| format!("{tokens:.3}"));
                self.put("PEAK", self.assumed([&value, &value, &high], (&of_peak(output), &id)));
            }
            return;
        }
        self.put("TASKS", measured(&tasks.to_string(), self.today, (&span, &id)));
        self.said.push(format!("{tasks} tasks a month are {span}"));
        if let Some((per_second, output)) = peak {
            self.put("PEAK", measured(&format!("{per_second:.3}"), self.today, (&of_peak(output), &id)));
        }
    }

    /// What callers tried again is on record; how likely a second attempt is right is not.
    fn repeated(&mut self, recorded: &Recorded) {
        if recorded.client_retries > 0 {
            let (n, all) = (recorded.client_retries, recorded.requests);
            self.put("RETRIES", format!("  # {n} of {all} requests on record were callers' own retries"));
            self.said.push(format!("{n} of {all} requests were callers' own retries: say under `retries` how likely a second attempt is right"));
        }
    }

    /// Minutes of a review, as the panels and blind reviews measured them. The spread has the standard error of the mean.
    pub(super) fn reviews(&mut self, times: Option<&ReviewTimes>, days: u32) {
        let Some(times) = times else { return };
        let (mean, error) = (times.mean, times.error.max(1e-4));
        // A triangular distribution reaches √6 standard deviations to either side.
        let [low, high] = [(mean - 2.449 * error).max(0.0), mean + 2.449 * error];
        let longer = match times.n_longer {
            0 => String::new(),
            n => format!("; {n} of more than an hour left out"),
        };
        let reviews = counted(times.n, "blind review");
        let evidence =
            text(&format!("{reviews} of {} took {mean:.2} minutes on average{longer}", counted(days.into(), "day")));
        let date = self.today;
        self.put(
            "REVIEW_MINUTES",
            format!("{{ value: {mean:.4}, low: {low:.4}, high: {high:.4}, provenance: measured, date: {date}, evidence: {evidence}, evidence_id: \"reviews:{date}\" }}"),
        );
        self.said.push(format!("a review of a sampled task takes what {reviews} took, {mean:.2} minutes{longer}"));
    }

    /// Who runs the machines of a side. GPUs of its own has who says so in the config, or is priced by their hours; for a price by the call,
    /// somebody else's are paid.
    pub(super) fn machines(&mut self, idx: usize, class: Option<Class>, hour: Option<&GpuHour>) {
        const VENDOR: &str = " { none: \"the vendor runs the machines\" }";
        const PROVIDER: &str = " { none: \"its provider runs the machines\" }";
        let name = self.names[idx].clone();
        let is_candidate = idx == 1;
        let was_priced = self.attempts[idx].is_some();
        let is_own = class == Some(Class::SelfHosted) || hour.is_some();
        if is_own {
            self.attempts[idx] = Some("{ none: \"it runs on GPUs of its own\" }".to_owned());
            self.price_changes[idx] = format!(
                "{{ value: 0, provenance: stated, date: {}, evidence: \"it runs on GPUs of its own: no vendor sets a price\" }}",
                self.today
            );
        } else {
            let words = std::mem::take(&mut self.attempt_words[idx]);
            self.said.extend(words);
        }
        let per_hour = hour.and_then(|hour| per_hour(hour, name.as_deref().unwrap_or_default()));
        let per_hour = per_hour.unwrap_or_else(|| "unknown".to_owned());
        let own = || {
            format!(
                "\n    peak: {{ tokens_per_second: @PEAK@, per_gpu: unknown, headroom: 0.20, spare: 1 }}\n    per_hour: {per_hour}"
            )
        };
        self.gpus[idx] = match (&self.hours, class) {
            (Some(hours), _) if is_candidate => format!("{hours}\n    per_hour: {per_hour}"),
            (_, Some(Class::SelfHosted)) => own(),
            _ if is_own => own(),
            (_, Some(Class::Hosted | Class::External)) => PROVIDER.to_owned(),
            (_, Some(Class::Simulated) | None) if was_priced => PROVIDER.to_owned(),
            (_, Some(Class::Simulated) | None) if is_candidate => own(),
            (_, Some(Class::Vendor | Class::Simulated) | None) => VENDOR.to_owned(),
        };
        let Some(name) = name else { return };
        if is_own {
            self.said.push(own_words(&name, (class, hour.is_some()), was_priced));
            return;
        }
        match class {
            Some(class @ (Class::Vendor | Class::Hosted | Class::External)) if is_candidate => self.said.push(format!(
                "{name} is of class {class} in the config, so no GPUs are asked for; where they are yours, say `class: self_hosted` there"
            )),
            None if is_candidate && !was_priced => self.said.push(format!(
                "the config does not say who runs the machines of {name}: what an attempt costs and its GPUs are both asked for"
            )),
            Some(Class::Simulated) | None if was_priced => self.said.push(format!(
                "{name} is priced by the call, so no GPUs are asked for; where they are yours, say `class: self_hosted` at its provider"
            )),
            _ => {}
        }
        if !was_priced {
            self.said.push(format!("no priced call of {name} is on record: what an attempt costs stays unknown"));
        }
    }

    /// The worksheet.
    pub(super) fn worksheet(&self) -> String {
        let mut worksheet = TEMPLATE.to_owned();
        let mut fill = |at: &str, value: &str| worksheet = worksheet.replace(&format!("@{at}@"), value);
        for (idx, (side, usual)) in SIDES.iter().enumerate() {
            fill(side, &self.names[idx].as_deref().map_or_else(|| (*usual).to_owned(), text));
            fill(&format!("{side}_ATTEMPT"), self.attempts[idx].as_deref().unwrap_or("unknown"));
            fill(&format!("{side}_PRICE_CHANGE"), &self.price_changes[idx]);
            fill(&format!("{side}_GPUS"), &self.gpus[idx]);
        }
        // After the sides: the peak is a place of what stands at them.
        self.places.iter().for_each(|(at, value)| fill(at, value));
        worksheet.lines().map(marked).collect()
    }
}

/// Why a side has GPUs of its own; a warning where its class and its price do not say the same.
fn own_words(name: &str, (class, is_by_hour): (Option<Class>, bool), was_priced: bool) -> String {
    match class {
        Some(Class::SelfHosted) if is_by_hour || !was_priced => {
            format!(
                "{name} is self_hosted in the config: its GPUs are asked for, and an attempt costs nothing beside them"
            )
        }
        Some(Class::SelfHosted) => format!(
            "warning: {name} is self_hosted in the config and priced by the call: its GPUs are asked for, and the price is left out; where somebody \
             else runs them, say `class: hosted`"
        ),
        Some(class @ (Class::Vendor | Class::Hosted | Class::External)) => format!(
            "warning: {name} is of class {class} in the config and priced by the hour of a GPU: its GPUs are asked for, as for `class: self_hosted`; \
             say that there, or price its calls"
        ),
        Some(Class::Simulated) | None => format!(
            "{name} is priced by the hour of a GPU: its GPUs are asked for, and an attempt costs nothing beside them; `class: self_hosted` at its provider says so"
        ),
    }
}

/// What an hour of a GPU costs, as the price row of the config says.
fn per_hour(hour: &GpuHour, name: &str) -> Option<String> {
    let (dollars, stated) = (hour.dollars?, &hour.stated);
    let provenance = if stated.provenance == Provenance::Assumption { "assumed" } else { "stated" };
    let evidence = text(&format!("the config's price of {name}: {}", stated.source));
    let (date, id) = (stated.checked, text(&format!("price:{name}")));
    Some(format!(
        "{{ value: {dollars}, provenance: {provenance}, date: {date}, evidence: {evidence}, evidence_id: {id} }}"
    ))
}

/// What the record does not know, only people do.
fn marked(line: &str) -> String {
    let is_asked = line.contains("unknown") && !line.contains('#');
    if is_asked { format!("{line:<31} # people know this\n") } else { format!("{line}\n") }
}

/// A time in words: `21 seconds`, `1 hour`, `9.4 days`.
fn span(us: u64) -> String {
    const UNITS: [(&str, u64); 4] =
        [("day", DAY), ("hour", 3600 * SECOND), ("minute", 60 * SECOND), ("second", SECOND)];
    let (unit, size) = UNITS.into_iter().find(|(_, size)| us >= *size).unwrap_or(("second", SECOND));
    // Tenths, rounded down: 6.99 days are no week.
    let tenths = us / (size / 10);
    match (tenths / 10, tenths % 10) {
        (whole, 0) => counted(whole, unit),
        (whole, tenth) => format!("{whole}.{tenth} {unit}s"),
    }
}

/// A figure that was counted.
pub(super) fn measured(value: &str, date: Date, (evidence, id): (&str, &str)) -> String {
    let [evidence, id] = [evidence, id].map(text);
    format!("{{ value: {value}, provenance: measured, date: {date}, evidence: {evidence}, evidence_id: {id} }}")
}

/// A text as YAML has it in double quotes.
pub(super) fn text(words: &str) -> String {
    // JSON's strings are YAML's; a dollar that would be read as a variable is doubled, as in the config.
    serde_json::Value::from(words.replace("${", "$${")).to_string()
}

#[cfg(test)]
mod tests;
