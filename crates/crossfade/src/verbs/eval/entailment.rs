//! Who says what documents entail in a run, and for which metrics.

use eval::case::Case;
use eval::entail::Entailer;
use eval::metric::Needs;
use eval::run::{CHECKS, Scorer, Spec};
use serde_json::{Map, Value};

use super::plan::target;
use crate::config::{Config, SuiteEntailment};
use crate::out::Stop;

/// The one that was typed, else that of the suite.
pub(super) fn of(
    config: &Config,
    typed: Option<&String>,
    suite: Option<&SuiteEntailment>,
) -> Result<Option<Entailer>, Stop> {
    let typed = typed.map(|name| match suite {
        Some(suite) => SuiteEntailment { target: name.clone(), ..suite.clone() },
        None => SuiteEntailment::by(name.clone()),
    });
    let Some(SuiteEntailment { target: name, seed, temperature, floor }) = typed.or_else(|| suite.cloned()) else {
        return Ok(None);
    };
    Ok(Some(Entailer { target: target(config, &name)?, seed, temperature, floor }))
}

/// Tells the metrics that need a model's word whose it is: it goes into their ids. One that is named and asked by no metric is refused, as are metrics that
/// need one where none is named.
pub(super) fn measure(entailer: Option<&Entailer>, metrics: &mut [Spec], cases: &[Case]) -> Result<(), Stop> {
    let needs = |spec: &Spec| Scorer::of(std::slice::from_ref(spec)).ok()?.metric(spec.label()).map(|of| of.needs);
    let needing: Vec<usize> = metrics
        .iter()
        .enumerate()
        .filter(|(_, spec)| spec.name != CHECKS && needs(spec).is_some_and(Needs::is_any))
        .map(|(idx, _)| idx)
        .collect();
    let checks = metrics.iter().find(|spec| spec.name == CHECKS).and_then(|spec| {
        let scorer = Scorer::of(std::slice::from_ref(spec)).ok()?;
        cases.iter().find(|case| scorer.needs(case).is_any())
    });
    let Some(entailer) = entailer else {
        let stop = match (needing.first(), checks) {
            (Some(idx), _) => Stop::usage(format!(
                "`{}` needs a model's word on what documents entail, and no model is asked",
                metrics[*idx].label()
            )),
            (None, Some(case)) => Stop::usage(format!(
                "case `{}`: a check needs a model's word on what documents entail, and no model is asked",
                case.id
            )),
            (None, None) => return Ok(()),
        };
        return Err(stop.hint("`--entailment TARGET`, or `entailment` of the suite, names a target that is asked"));
    };
    if needing.is_empty() && checks.is_none() {
        let stop = Stop::usage("`entailment` names who says what documents entail, and no metric asks that");
        return Err(stop.hint(
            "`citation_recall`, `citation_precision` and `groundedness` do, and `abstention` with `abstains: judge`; or leave `entailment` out",
        ));
    }
    for idx in needing {
        let spec = &mut metrics[idx];
        let mut settings = spec.settings.as_object().cloned().unwrap_or_else(Map::new);
        settings.insert("judge".to_owned(), Value::from(entailer.id()));
        spec.settings = Value::Object(settings);
    }
    Ok(())
}
