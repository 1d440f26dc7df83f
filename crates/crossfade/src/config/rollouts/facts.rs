//! What is said of targets, and what a route requires of a rollout's candidate: context length, GPU, licence.

use std::collections::BTreeMap;

use gateway::control::CandidateFacts;

use crate::config::reader::{Item, Section};

/// The labels a target may have. `context` is a number of tokens, the others are words.
const LABELS: [&str; 3] = ["context", "gpu", "licence"];

/// What the config says of `candidate`, held against what `route` requires.
pub(super) fn read(root: &Section<'_>, route: &str, candidate: &str) -> CandidateFacts {
    let labels = labels(named(root, "targets", candidate).as_ref());
    let unmet = named(root, "routes", route)
        .and_then(|section| section.get("requires"))
        .and_then(|item| item.section())
        .map(|requires| unmet(requires, &labels))
        .unwrap_or_default();
    CandidateFacts { labels, unmet }
}

fn named<'a>(root: &Section<'a>, under: &'static str, name: &str) -> Option<Section<'a>> {
    let (_, item) = root.named(under).into_iter().find(|(written, _)| written.value == name)?;
    item.is_map().then(|| item.section()).flatten()
}

/// `labels: { context: 131072, gpu: h100, licence: apache-2.0 }`.
fn labels(target: Option<&Section<'_>>) -> BTreeMap<String, String> {
    let Some(section) = target.and_then(|target| target.get("labels")).and_then(|item| item.section()) else {
        return BTreeMap::new();
    };
    let mut labels = BTreeMap::new();
    for label in LABELS {
        let Some(item) = section.get(label) else { continue };
        let value = if label == "context" {
            item.count(1, u64::MAX).map(|tokens| tokens.to_string())
        } else {
            item.string().map(|word| word.value)
        };
        labels.extend(value.map(|value| (label.to_owned(), value)));
    }
    section.finish();
    labels
}

/// `requires: { context: 32000, gpu: [l40s, h100], licence: [apache-2.0, mit] }`. What is not said of a target is not met.
fn unmet(requires: Section<'_>, labels: &BTreeMap<String, String>) -> Vec<String> {
    let mut unmet = Vec::new();
    let said = |label: &str| labels.get(label).map_or_else(|| "unknown".to_owned(), Clone::clone);
    if let Some(least) = requires.get("context").and_then(|item| item.count(1, u64::MAX)) {
        let has = labels.get("context").and_then(|tokens| tokens.parse::<u64>().ok());
        if has.is_none_or(|has| has < least) {
            unmet.push(format!("context {}, {least} required", said("context")));
        }
    }
    for label in ["gpu", "licence"] {
        let Some(items) = requires.get(label).map(|item: Item<'_>| item.one_or_more("words")) else { continue };
        let words: Vec<String> = items.iter().filter_map(|item| item.string()).map(|word| word.value).collect();
        if !labels.get(label).is_some_and(|has| words.contains(has)) {
            unmet.push(format!("{label} {}, {} required", said(label), words.join(" or ")));
        }
    }
    requires.finish();
    unmet
}
