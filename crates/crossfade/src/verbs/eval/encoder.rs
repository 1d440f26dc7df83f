//! What makes vectors of a run's texts: a target of the config, or a model in a directory where this binary was built with one.

#[cfg(not(feature = "encoder"))]
mod absent;
#[cfg(feature = "encoder")]
mod here;

use eval::case::{Case, Check};
use eval::encode::Encoder;
use eval::metric::vectors::is_by_meaning;
use eval::run::{CHECKS, PlannedTarget, Spec};
use serde_json::{Map, Value};

use super::plan::target;
use crate::config::{Config, SuiteEncoder};
use crate::out::{Out, Stop};

#[cfg(not(feature = "encoder"))]
pub(super) use absent::Model;
#[cfg(feature = "encoder")]
pub(super) use here::Model;

/// The encoder of a run.
pub(super) enum Chosen {
    /// A target that is asked for embeddings.
    Target(PlannedTarget),
    /// A model that runs in this process.
    Model(Box<Model>),
}

impl Chosen {
    /// As a plan says it.
    pub(super) fn planned(&self) -> Encoder {
        match self {
            Chosen::Target(target) => Encoder::Target(target.clone()),
            Chosen::Model(model) => Encoder::Here(model.id()),
        }
    }

    /// The model, where it is one.
    pub(super) fn model(self) -> Option<Model> {
        match self {
            Chosen::Target(_) => None,
            Chosen::Model(model) => Some(*model),
        }
    }
}

/// The encoder that was typed, else that of the suite.
pub(super) fn of(
    config: &Config,
    typed: Option<&String>,
    suite: Option<&SuiteEncoder>,
) -> Result<Option<Chosen>, Stop> {
    match (typed, suite) {
        (Some(name), _) | (None, Some(SuiteEncoder::Target(name))) => Ok(Some(Chosen::Target(target(config, name)?))),
        (None, Some(SuiteEncoder::Model(directory, layer))) => {
            Ok(Some(Chosen::Model(Box::new(Model::load(directory, *layer)?))))
        }
        (None, None) => Ok(None),
    }
}

/// Tells the metrics that need vectors whose they are: it goes into their ids. An encoder that none of them needs is said to be one.
pub(super) fn measure(
    encoder: Option<&Chosen>,
    metrics: &mut [Spec],
    (cases, out): (&[Case], &Out),
) -> Result<(), Stop> {
    let checked = || cases.iter().find_map(|case| Some((checked(&case.checks)?, &case.id)));
    let by_checks = metrics.iter().any(|spec| spec.name == CHECKS).then(checked).flatten();
    let needing = metrics.iter().map(|spec| spec.name.clone()).find(|name| is_by_meaning(name));
    let Some(encoder) = encoder else {
        let stop = match (needing, by_checks) {
            (Some(name), _) => Stop::usage(format!("`{name}` needs vectors, and nothing makes them")),
            (None, Some((name, id))) => {
                Stop::usage(format!("case `{id}`: the check `{name}` needs vectors, and nothing makes them"))
            }
            (None, None) => return Ok(()),
        };
        return Err(stop.hint("`--encoder TARGET`, or `encoder` of the suite, names a target that makes embeddings"));
    };
    let encoder = encoder.planned();
    if needing.is_none() && by_checks.is_none() {
        out.say(
            "no metric and no check is measured by meaning: `encoder` makes its vectors for `eval drift` alone, and its calls are charged; without the key \
             none is made",
        );
    }
    let wants_tokens = metrics.iter().any(|spec| spec.name == "bertscore")
        || by_checks.is_some() && cases.iter().any(|case| names(&case.checks, &|name| name == "bertscore").is_some());
    if wants_tokens && !encoder.knows_tokens() {
        let stop = Stop::usage("`bertscore` needs the vectors of tokens, which no embeddings target gives");
        return Err(stop.hint(
            "`encoder: { model: DIRECTORY, layer: N }` in the suite, with a binary built by `cargo build --release --features encoder`",
        ));
    }
    for spec in metrics.iter_mut().filter(|spec| is_by_meaning(&spec.name)) {
        let mut settings = spec.settings.as_object().cloned().unwrap_or_else(Map::new);
        settings.insert("encoder".to_owned(), Value::from(encoder.id()));
        spec.settings = Value::Object(settings);
    }
    Ok(())
}

/// The metric by meaning that one of the checks names.
fn checked(checks: &[Check]) -> Option<String> {
    names(checks, &is_by_meaning)
}

fn names(checks: &[Check], is_meant: &dyn Fn(&str) -> bool) -> Option<String> {
    checks.iter().find_map(|check| {
        if check.metric == CHECKS {
            let inner: Vec<Check> = serde_json::from_value(check.value.clone()).unwrap_or_default();
            return names(&inner, is_meant);
        }
        is_meant(&check.metric).then(|| check.metric.clone())
    })
}
