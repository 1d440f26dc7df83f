//! A suite: what an evaluation asks, of whom, and what decides. A file of its own, read like the config.

use std::collections::BTreeMap;
use std::path::PathBuf;

use eval::judge::{Floor, Rules};
use eval::metric::code;
use eval::run::Spec;
use rollout::Risk;
use serde_json::Value;

use super::error::ConfigError;
use super::reader::{Item, Section};
use super::{judges, rollouts, with_root};

/// A suite as it was written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Suite {
    /// A dataset of the store, as `NAME` or `NAME@VERSION`.
    pub dataset: Option<String>,
    /// A file of cases beside the suite.
    pub file: Option<PathBuf>,
    /// Who answers; the baseline first.
    pub targets: Vec<String>,
    /// How often each case is asked.
    pub repeats: Option<u64>,
    /// The seed.
    pub seed: Option<u64>,
    /// What answers are measured by.
    pub metrics: Vec<Spec>,
    /// The one that decides; the first where it is not said.
    pub primary: Option<String>,
    /// How much worse the candidate may be.
    pub margin: Option<f64>,
    /// The workload whose risk says how much.
    pub workload: Option<String>,
    /// The most it may cost, in billionths of a dollar.
    pub max_cost_nanos: Option<u64>,
    /// Whether answers are streamed.
    pub stream: bool,
    /// Who judges the answers.
    pub judges: Vec<SuiteJudge>,
    /// What makes vectors of texts.
    pub encoder: Option<SuiteEncoder>,
    /// Who says what documents entail.
    pub entailment: Option<SuiteEntailment>,
}

/// Who says what documents entail, as a suite says it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SuiteEntailment {
    /// The target that is asked.
    pub target: String,
    /// Sent as `seed`.
    pub seed: u64,
    /// Sent as `temperature`, where it is said.
    pub temperature: Option<f64>,
    /// When its word may decide.
    pub floor: Floor,
}

impl SuiteEntailment {
    /// A target by its name, and nothing else said of it.
    pub(crate) fn by(target: String) -> SuiteEntailment {
        SuiteEntailment { target, seed: judges::SEED, temperature: Some(0.0), floor: Floor::default() }
    }
}

/// What makes vectors of texts, as a suite says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SuiteEncoder {
    /// The target that is asked for embeddings.
    Target(String),
    /// The directory of a model that runs in this process, and the layer whose vectors tokens have.
    Model(PathBuf, Option<usize>),
}

/// A judge as a suite says it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SuiteJudge {
    /// Its name.
    pub name: String,
    /// The target that judges.
    pub target: String,
    /// What it is asked.
    pub rules: Rules,
    /// When its word may decide.
    pub floor: Floor,
}

/// Reads a suite.
///
/// # Errors
/// Every problem found, in the order of the file.
pub(crate) fn suite(source_name: &str, text: &str) -> Result<Suite, Vec<ConfigError>> {
    let environment = |name: &str| std::env::var(name).ok();
    with_root(source_name, text, &environment, |root| {
        let text = |key: &'static str| root.get(key).and_then(|item| item.string()).map(|written| written.value);
        let suite = Suite {
            dataset: text("dataset"),
            file: root.get("file").and_then(|item| item.path()),
            targets: targets(&root),
            repeats: root.get("repeats").and_then(|item| item.count(1, 1000)),
            seed: root.get("seed").and_then(|item| item.count(0, u64::from(u32::MAX))),
            metrics: with_code(root.get("metrics").map(|item| metrics(&item)).unwrap_or_default(), root.get("code")),
            primary: text("primary"),
            margin: root.get("margin").and_then(|item| item.number(0.0, 1e9)),
            workload: text("workload"),
            stream: root.get("stream").and_then(|item| item.boolean()).unwrap_or_default(),
            max_cost_nanos: root
                .get("max_cost")
                .and_then(|item| item.parsed("an amount of dollars such as 2.50", super::nanodollars)),
            judges: judges::read(&root),
            encoder: root.get("encoder").and_then(|item| encoder(&item)),
            entailment: root.get("entailment").and_then(|item| entailment(&item)),
        };
        root.finish();
        suite
    })
}

fn targets(root: &Section<'_>) -> Vec<String> {
    let Some(item) = root.get("targets") else { return Vec::new() };
    let names = item.list("targets").unwrap_or_default();
    names.iter().filter_map(Item::string).map(|written| written.value).collect()
}

/// A target by name, or `{ model: DIRECTORY, layer: N }`.
fn encoder(item: &Item<'_>) -> Option<SuiteEncoder> {
    if !item.is_map() {
        return item.string().map(|written| SuiteEncoder::Target(written.value));
    }
    let section = item.section()?;
    let directory = section.need("model").and_then(|item| item.path());
    let layer = section.get("layer").and_then(|item| item.count(0, 1000));
    section.finish();
    Some(SuiteEncoder::Model(directory?, layer.and_then(|layer| usize::try_from(layer).ok())))
}

/// A target by name, or a map that says more of it.
fn entailment(item: &Item<'_>) -> Option<SuiteEntailment> {
    if !item.is_map() {
        return item.string().map(|written| SuiteEntailment::by(written.value));
    }
    let section = item.section()?;
    let target = section.need("target").and_then(|item| item.string()).map(|written| written.value);
    let (seed, temperature) = judges::knobs(&section);
    let agreement = section.get("agreement");
    let floor = agreement.as_ref().map(judges::floor).unwrap_or_default();
    if let Some(panels) = agreement.filter(|_| !floor.panels.is_empty()).map(|item| item.inside([Err("panels")])) {
        let hint = "write `verdicts` of people into the cases, or name with `runs` other runs whose cases have them";
        panels.note("a panel compares two answers and says nothing of what documents entail", Some(hint.to_owned()));
    }
    section.finish();
    Some(SuiteEntailment { target: target?, seed, temperature, floor })
}

/// Metrics by name, or `{ name, settings... }`.
fn metrics(item: &Item<'_>) -> Vec<Spec> {
    let read = |item: &Item<'_>| match item.json()? {
        Value::String(name) => Some(Spec { name, settings: Value::Null }),
        Value::Object(mut members) => match members.remove("name") {
            Some(Value::String(name)) => {
                let settings = if members.is_empty() { Value::Null } else { Value::Object(members) };
                Some(Spec { name, settings })
            }
            _ => {
                item.note("a metric with settings needs a `name`", None);
                None
            }
        },
        _ => {
            item.note("expected the name of a metric, or a map with its `name` and its settings", None);
            None
        }
    };
    item.one_or_more("metrics").iter().filter_map(read).collect()
}

/// The metrics that run code, with what `code` says for all of them where they do not say it themselves.
fn with_code(mut metrics: Vec<Spec>, code: Option<Item<'_>>) -> Vec<Spec> {
    let Some(item) = code else { return metrics };
    let Some(Value::Object(common)) = item.json() else {
        item.note("expected a map of what is said of code", None);
        return metrics;
    };
    let of_code: Vec<&mut Spec> = metrics.iter_mut().filter(|spec| code::NAMES.contains(&spec.name.as_str())).collect();
    if of_code.is_empty() {
        item.note(format!("no metric runs code: {}", code::NAMES.join(", ")), None);
    }
    for spec in of_code {
        let own = spec.settings.as_object().cloned().unwrap_or_default();
        let all = common.clone().into_iter().chain(own).collect();
        spec.settings = Value::Object(all);
    }
    metrics
}

/// The risks of the config's workloads, by their names; none where the config cannot be read.
pub(crate) fn risks(source_name: &str, text: &str) -> BTreeMap<String, Risk> {
    let environment = |name: &str| Some(std::env::var(name).unwrap_or_else(|_| format!("unset-{name}")));
    let workloads = with_root(source_name, text, &environment, |root| rollouts::workloads(&root));
    let found = workloads.map(|workloads| workloads.found).unwrap_or_default();
    found.into_iter().filter_map(|(name, workload)| Some((name, workload?.risk))).collect()
}
