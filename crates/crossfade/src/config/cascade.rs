//! `cascade` of a route: small models first.

use std::sync::Arc;

use gateway::snapshot::{Cascade, CascadeStreams};
use routing::cascade::{Escalate, folded};

use super::reader::{Item, Section};
use super::targets::{Targets, star_has_meaning};

/// The lowest log-probability that servers give.
const LOWEST: f64 = -10_000.0;

/// Reads the cascade of the route called `route`, whose own target is `own`.
pub(crate) fn read(
    section: &Section<'_>,
    (route, own): (&str, Option<&str>),
    targets: &Targets,
) -> Option<Arc<Cascade>> {
    let section = section.get("cascade")?.section()?;
    let mut steps: Vec<String> = Vec::new();
    for item in section.need("steps").map(|item| item.one_or_more("targets")).unwrap_or_default() {
        let Some(step) = targets.reference(&item) else { continue };
        star_has_meaning(&item, route, &step.value, targets);
        if own == Some(step.value.as_str()) {
            item.note(
                format!("`{}` is the route's own target, which is asked last", step.value),
                Some("remove it".into()),
            );
        } else if steps.contains(&step.value) {
            item.note(format!("`{}` is a step already", step.value), Some("remove it".into()));
        } else {
            steps.push(step.value);
        }
    }
    let escalate = section.section("escalate");
    let without = escalate.get("without_logprobs");
    let policy = escalate_when(&escalate);
    escalate.finish();
    let logprobs = section.get("logprobs");
    let ask = logprobs.as_ref().and_then(|item| item.word(&[("ask", true), ("if_asked", false)])).unwrap_or(true);
    for item in [without, logprobs].iter().flatten().filter(|_| !policy.by_confidence()) {
        item.note(
            "log-probabilities are not looked at",
            Some("write `mean_logprob` or `min_logprob` below `escalate`".into()),
        );
    }
    let within = section.get("within").and_then(|item| {
        let within = item.duration()?;
        if within.is_zero() {
            item.note(
                "no answer comes in no time",
                Some("leave it out to wait as long as the provider may take".into()),
            );
        }
        Some(within)
    });
    let streams = section
        .get("streams")
        .and_then(|item| item.word(&CascadeStreams::ALL.map(|streams| (streams.as_str(), streams))));
    section.finish();
    let streams = streams.unwrap_or_default();
    Some(Arc::new(Cascade { steps, escalate: policy, within, ask_logprobs: ask, streams }))
}

fn escalate_when(section: &Section<'_>) -> Escalate {
    let default = Escalate::default();
    let boolean = |key| section.get(key).and_then(|item| item.boolean());
    let bound = |key| section.get(key).and_then(|item| item.number(LOWEST, 0.0));
    let phrase = |item: &Item<'_>| {
        let phrase = folded(&item.string()?.value);
        if phrase.is_empty() {
            item.note("an empty phrase is in every answer", Some("remove it".into()));
            return None;
        }
        Some(phrase)
    };
    let phrases = section.get("phrases").map(|item| item.one_or_more("phrases")).unwrap_or_default();
    let without = section.get("without_logprobs").and_then(|item| item.word(&[("escalate", true), ("accept", false)]));
    Escalate {
        invalid: boolean("invalid").unwrap_or(default.invalid),
        refusal: boolean("refusal").unwrap_or(default.refusal),
        phrases: phrases.iter().filter_map(phrase).collect(),
        mean_logprob: bound("mean_logprob"),
        min_logprob: bound("min_logprob"),
        without_logprobs: without.unwrap_or(default.without_logprobs),
    }
}
