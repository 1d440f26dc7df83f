//! What takes its time or gets lost in a simulated rollout: answers, copies, and what people say.

use std::collections::BTreeMap;
use std::time::Duration;

use rollout::simulate::{Late, Latency, Spread, Told};
use rollout::{Metric, Policy};

use super::super::plan::{duration, metric_rate};
use crate::config::{parse_duration, show_duration, show_share};
use crate::out::Stop;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(super) struct Times {
    /// The fraction of copies in shadow that come to nothing; the gate on coverage counts them.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0)]
    lost_copies: f64,
    /// How long answers take to their end: the median, and the 95th percentile if there is a spread. With `--from-recorded` as recorded.
    #[arg(long, value_name = "MEDIAN[/P95]", value_parser = spread)]
    total: Option<Spread>,
    /// The same to the first token of a stream.
    #[arg(long, value_name = "MEDIAN[/P95]", value_parser = spread)]
    first_token: Option<Spread>,
    /// What is wrong with the candidate: it takes so many times as long.
    #[arg(long, value_name = "TIMES", default_value_t = 1.0)]
    slower: f64,
    /// What is wrong with the candidate: this fraction of its answers never comes.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0)]
    hang: f64,
    /// When an answer that never comes is given up.
    #[arg(long, value_name = "DURATION", default_value = "600s")]
    timeout: String,
    /// What an answer may take to its end, in place of the policy's objective; later ones are slow.
    #[arg(long, value_name = "DURATION")]
    objective_total: Option<String>,
    /// The same to its first token.
    #[arg(long, value_name = "DURATION")]
    objective_first_token: Option<String>,
    /// Of which fraction of answers somebody says something, and how much later on average, such as `feedback=0.05/2h`; repeatable.
    #[arg(long, value_name = "METRIC=FRACTION/DELAY", value_parser = told)]
    signal: Vec<(Metric, Told)>,
}

/// `400ms/1500ms`.
fn spread(text: &str) -> Result<Spread, String> {
    let wrong = || format!("expected a time such as `400ms`, or two such as `400ms/1500ms`, not `{text}`");
    let (median, p95) = text.split_once('/').map_or((text, None), |(median, p95)| (median, Some(p95)));
    let median = parse_duration(median).filter(|median| !median.is_zero()).ok_or_else(wrong)?;
    match p95 {
        None => Ok(Spread { median, sigma: 0.0 }),
        Some(p95) => {
            let p95 = parse_duration(p95).ok_or_else(wrong)?;
            if p95 < median {
                return Err(format!("the 95th percentile is not below the median: `{text}`"));
            }
            Ok(Spread::with_p95(median, p95))
        }
    }
}

/// `feedback=0.05/2h`.
fn told(text: &str) -> Result<(Metric, Told), String> {
    let (rate, delay) = text.split_once('/').unwrap_or((text, "0"));
    let (metric, of) = metric_rate(rate)?;
    if !metric.is_signal() {
        let names: Vec<&str> =
            Metric::ALL.iter().filter(|metric| metric.is_signal()).map(|metric| metric.as_str()).collect();
        return Err(format!("{metric} is known of every answer; told by somebody are {}", names.join(", ")));
    }
    let delay = parse_duration(delay).ok_or_else(|| format!("`{delay}` is no duration such as `2h`"))?;
    Ok((metric, Told { of, delay }))
}

impl Times {
    /// The policy with what was said of its objectives, what comes late or never, and the same in words.
    pub(super) fn late(&self, mut policy: Policy, is_recorded: bool) -> Result<(Policy, Late, Vec<String>), Stop> {
        for (option, fraction) in [("--lost-copies", self.lost_copies), ("--hang", self.hang)] {
            if !(0.0..=1.0).contains(&fraction) {
                return Err(Stop::usage(format!("`{option}` is a fraction from 0 to 1")));
            }
        }
        if !(self.slower > 0.0 && self.slower.is_finite()) {
            return Err(Stop::usage("`--slower` must be above 0"));
        }
        let read = |option: &str, text: &Option<String>, of_policy: Option<Duration>| match text {
            Some(text) => duration(option, text).map(Some),
            None => Ok(of_policy),
        };
        let objectives = &mut policy.objectives;
        objectives.total = read("--objective-total", &self.objective_total, objectives.total)?;
        objectives.first_token = read("--objective-first-token", &self.objective_first_token, objectives.first_token)?;
        let wrong = (self.slower - 1.0).abs() > f64::EPSILON || self.hang > 0.0;
        let timed = self.total.is_some() || self.first_token.is_some() || wrong || is_recorded;
        if wrong && self.total.is_none() && !is_recorded {
            let stop = Stop::usage("how long do answers take? `--slower` and `--hang` need `--total`");
            return Err(stop.hint("for instance `--total 8s/20s`, or `--from-recorded`"));
        }
        let latency = timed.then_some(Latency {
            first_token: self.first_token,
            total: self.total,
            candidate: self.slower,
            hangs: self.hang,
            timeout: duration("--timeout", &self.timeout)?,
        });
        let signals: BTreeMap<Metric, Told> = self.signal.iter().copied().collect();
        let late = Late { lost_copies: self.lost_copies, latency, signals };
        let words = self.words(&policy);
        Ok((policy, late, words))
    }

    fn words(&self, policy: &Policy) -> Vec<String> {
        let mut words = Vec::new();
        let percent = |fraction: f64| format!("{} %", show_share((fraction * 1e4).round() / 100.0));
        if self.lost_copies > 0.0 {
            words.push(format!("{} of copies come to nothing", percent(self.lost_copies)));
        }
        for (what, spread, objective) in [
            ("to the first token", self.first_token, policy.objectives.first_token),
            ("to the end", self.total, policy.objectives.total),
        ] {
            if let Some(spread) = spread {
                let late = objective.map_or_else(String::new, |time| format!(", late after {}", show_duration(time)));
                words.push(format!("answers take {} {what} at the median{late}", show_duration(spread.median)));
            }
        }
        if (self.slower - 1.0).abs() > f64::EPSILON {
            words.push(format!("the candidate takes {} times as long", show_share(self.slower)));
        }
        if self.hang > 0.0 {
            words.push(format!("{} of the candidate's answers never come", percent(self.hang)));
        }
        for (metric, Told { of, delay }) in &self.signal {
            words.push(format!(
                "{metric} is told of {} of answers, {} later on average",
                percent(*of),
                show_duration(*delay)
            ));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_what_is_told_are_read_as_they_are_written() {
        assert_eq!(spread("8s"), Ok(Spread { median: Duration::from_secs(8), sigma: 0.0 }));
        assert!((spread("1s/4s").unwrap().sigma - 4_f64.ln() / 1.644_854).abs() < 1e-9);
        assert!(spread("soon").is_err() && spread("4s/1s").is_err() && spread("0s").is_err());
        let (metric, read) = told("feedback=0.05/2h").unwrap();
        assert_eq!((metric, read), (Metric::Feedback, Told { of: 0.05, delay: Duration::from_secs(7200) }));
        assert!(told("error=0.1/2h").unwrap_err().contains("feedback, judged, external"));
        assert!(told("feedback=2/2h").is_err() && told("feedback=0.1/soon").is_err());
    }
}
