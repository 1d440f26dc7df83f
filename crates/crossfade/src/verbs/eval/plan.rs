//! From a suite and what was typed to a plan.

use std::path::{Path, PathBuf};

use eval::dataset::Columns;
use eval::judge::{Judge, Kind};
use eval::metric;
use eval::run::{CHECKS, Plan, PlannedTarget, Scorer, Spec};
use serde_json::Value;
use store::DatasetRow;

use super::encoder::{self, Chosen, Model};
use super::entailment;
use super::run::Args;
use crate::config::{self, Config, Suite, SuiteJudge};
use crate::out::{Out, Stop};
use crate::verbs::Place;
use crate::verbs::dataset::{file, keep, stored};
use crate::verbs::source::names_like;

/// The margin where nothing says another.
const MARGIN: f64 = 0.05;

/// A plan with the dataset it is about.
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) cases: Vec<eval::case::Case>,
    pub(super) max_cost_nanos: Option<u64>,
    /// The encoder, where it runs in this process.
    pub(super) encoder: Option<Model>,
}

/// Makes the plan. What was typed goes before what the suite says.
pub(super) fn plan(place: &Place, args: &Args, config: &Config, out: &Out) -> Result<Planned, Stop> {
    let suite = match &args.suite {
        Some(path) => read(path)?,
        None => Suite::default(),
    };
    let (row, mut cases) = dataset(place, args, &suite)?;
    if let Some(limit) = args.limit {
        cases.truncate(limit);
    }
    let names = if args.targets.is_empty() { suite.targets.clone() } else { args.targets.clone() };
    let targets = targets(config, &names)?;
    let mut metrics = metrics(args, &suite, &cases)?;
    let encoder = encoder::of(config, args.encoder.as_ref(), suite.encoder.as_ref())?;
    encoder::measure(encoder.as_ref(), &mut metrics, (&cases, out))?;
    let entailer = entailment::of(config, args.entailment.as_ref(), suite.entailment.as_ref())?;
    entailment::measure(entailer.as_ref(), &mut metrics, &cases)?;
    let judges = judges(config, &suite.judges, (&metrics, targets.len()))?;
    let primary = primary(args, &suite, (&metrics, &judges))?;
    if !decides_by_case(&metrics, &primary)? {
        let stop = Stop::usage(format!("`{primary}` is a number of all cases together: it cannot decide case by case"));
        let instead = match primary.split('_').next() {
            Some("bleu" | "chrf") => "`squad_f1` or `rouge_l`",
            _ => "`accuracy`",
        };
        return Err(stop.hint(format!(
            "decide by {instead}, which has a value for every case, and keep `{primary}` among the metrics: the report has its difference with a \
             bootstrap interval"
        )));
    }
    Scorer::check_cases(&cases).map_err(|(id, error)| Stop::usage(format!("case `{id}`: {error}")))?;
    let margin = margin(place, args, &suite)?.unwrap_or_else(|| {
        if targets.len() > 1 {
            out.say(format_args!(
                "margin {MARGIN} (default); `--margin`, or `margin` or `workload` of the suite, says another"
            ));
        }
        MARGIN
    });
    let plan = Plan {
        dataset: row.name,
        version: row.version,
        n_cases: cases.len() as u64,
        targets,
        repeats: args.repeats.or(suite.repeats).unwrap_or(1),
        seed: args.seed.or(suite.seed),
        margin,
        metrics,
        primary,
        reuse: !args.no_reuse,
        stream: args.stream || suite.stream,
        judges,
        judge_of: None,
        encoder: encoder.as_ref().map(Chosen::planned),
        encoder_of: None,
        entailment: entailer,
    };
    if plan.entailment.is_some() && plan.judges.iter().any(|judge| judge.name == eval::entail::NAME) {
        return Err(Stop::usage("no judge is called `entailment` where a run asks for it"));
    }
    if plan.encoder.is_some() && plan.judges.iter().any(|judge| judge.name == eval::encode::NAME) {
        return Err(Stop::usage("no judge is called `encoder` where a run has one"));
    }
    let encoder = encoder.and_then(Chosen::model);
    Ok(Planned { plan, cases, encoder, max_cost_nanos: args.max_cost.or(suite.max_cost_nanos) })
}

/// What decides: a metric, or a judge that grades.
fn primary(args: &Args, suite: &Suite, (metrics, judges): (&[Spec], &[Judge])) -> Result<String, Stop> {
    let primary = args.primary.clone().or(suite.primary.clone()).unwrap_or_else(|| metrics[0].label().to_owned());
    let labels: Vec<&str> = metrics.iter().map(Spec::label).collect();
    if let Some((_, twice)) = labels.iter().enumerate().find(|(idx, label)| labels[..*idx].contains(label)) {
        let stop = Stop::usage(format!("two metrics are called `{twice}`"));
        return Err(stop.hint("give one of them a name of its own: `{ name: regex, as: has-number, pattern: ... }`"));
    }
    if labels.contains(&primary.as_str()) {
        return Ok(primary);
    }
    match judges.iter().find(|judge| judge.name == primary) {
        Some(judge) if judge.scale().is_some() => Ok(primary),
        Some(_) => {
            let stop = Stop::usage(format!("`{primary}` compares pairs: it gives no number to decide by"));
            Err(stop.hint("a judge of kind `rubric` does, once it agrees with people"))
        }
        None => {
            let stop = Stop::usage(format!("`{primary}` is to decide and is not among the metrics"));
            let graded = judges.iter().filter(|judge| judge.scale().is_some()).map(|judge| judge.name.as_str());
            Err(stop.hint(names_like(&primary, labels.into_iter().chain(graded).collect::<Vec<_>>())))
        }
    }
}

/// Whether the mean of a metric over cases is its number. Accuracy is computed over all cases and is their mean all the same.
fn decides_by_case(metrics: &[Spec], primary: &str) -> Result<bool, Stop> {
    let scorer = Scorer::of(metrics).map_err(Stop::usage)?;
    let is_mean = scorer.metric(primary).is_none_or(|metric| matches!(metric.pool, metric::Pool::Mean));
    Ok(is_mean || primary == "accuracy")
}

fn read(path: &Path) -> Result<Suite, Stop> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Stop::usage(format!("cannot read {}: {error}", path.display())).hint(suites_beside(path)))?;
    config::suite(&path.display().to_string(), &text).map_err(Stop::config)
}

/// What may have been meant: files beside it that read as suites.
fn suites_beside(path: &Path) -> String {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_suite = |path: &PathBuf| {
        let is_yaml = path.extension().is_some_and(|end| end == "yaml" || end == "yml");
        is_yaml && std::fs::read_to_string(path).is_ok_and(|text| config::suite("", &text).is_ok())
    };
    let found = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<String> = found.filter(is_suite).map(|path| path.display().to_string()).collect();
    found.sort();
    if found.is_empty() {
        "`crossfade eval run --file CASES --target BASELINE --target CANDIDATE` needs no suite".to_owned()
    } else {
        format!("there are: {}", found.join(", "))
    }
}

/// The dataset, kept first where it is a file.
fn dataset(place: &Place, args: &Args, suite: &Suite) -> Result<(DatasetRow, Vec<eval::case::Case>), Stop> {
    let typed = (args.dataset.clone(), args.file.clone());
    let (name, path): (Option<String>, Option<PathBuf>) =
        if typed == (None, None) { (suite.dataset.clone(), suite.file.clone()) } else { typed };
    match (name, path) {
        (name, Some(path)) => {
            let imported = file(&path, name, (None, &Columns::default()))?;
            let row = keep(place, &imported.dataset, &imported.origin)?;
            drop(imported);
            // The same cases may be there in another order, and that one counts.
            let (row, dataset) = stored(place, &format!("{}@{}", row.name, row.version))?;
            Ok((row, dataset.cases))
        }
        (Some(name), None) => {
            let (row, dataset) = stored(place, &name)?;
            Ok((row, dataset.cases))
        }
        (None, None) => {
            let stop = Stop::usage("nothing says which cases are asked");
            Err(stop.hint("`--file FILE`, `--dataset NAME`, or a suite with one of them"))
        }
    }
}

fn targets(config: &Config, names: &[String]) -> Result<Vec<PlannedTarget>, Stop> {
    if names.is_empty() {
        let stop = Stop::usage("nothing says who is asked");
        return Err(stop.hint("`--target NAME`, the baseline first, or `targets` of the suite"));
    }
    let targets: Vec<PlannedTarget> = names.iter().map(|name| target(config, name)).collect::<Result<_, Stop>>()?;
    let twice =
        targets.iter().enumerate().find(|(idx, target)| targets[..*idx].iter().any(|one| one.name == target.name));
    if let Some((_, target)) = twice {
        return Err(Stop::usage(format!("`{}` is asked twice", target.name)));
    }
    Ok(targets)
}

pub(super) fn target(config: &Config, name: &str) -> Result<PlannedTarget, Stop> {
    let target = config.snapshot.targets.get(name).ok_or_else(|| {
        let known = config.snapshot.targets.keys().map(String::as_str);
        Stop::usage(format!("there is no target `{name}`")).hint(names_like(name, known))
    })?;
    Ok(PlannedTarget {
        name: name.to_owned(),
        fingerprint: target.fingerprint.clone(),
        provider: target.provider.name.clone(),
        model: target.model.clone(),
        simulated: target.provider.is_simulated(),
    })
}

/// The judges of the suite, each with its target as it is now.
fn judges(config: &Config, judges: &[SuiteJudge], (metrics, n_targets): (&[Spec], usize)) -> Result<Vec<Judge>, Stop> {
    let one = |judge: &SuiteJudge| {
        if metrics.iter().any(|spec| spec.label() == judge.name) {
            return Err(Stop::usage(format!("`{}` is a metric and a judge: give the judge another name", judge.name)));
        }
        if judge.rules.kind == Kind::Pairwise && n_targets < 2 {
            return Err(Stop::usage(format!(
                "the judge `{}` compares pairs, and only one target is asked",
                judge.name
            )));
        }
        Ok(Judge {
            name: judge.name.clone(),
            target: target(config, &judge.target)?,
            rules: judge.rules.clone(),
            floor: judge.floor.clone(),
        })
    };
    judges.iter().map(one).collect()
}

/// What was typed, else what the suite says, else the checks of the cases, or that the answer holds a right one, or how good a ranking is.
fn metrics(args: &Args, suite: &Suite, cases: &[eval::case::Case]) -> Result<Vec<Spec>, Stop> {
    let plain = |name: &str| Spec { name: name.to_owned(), settings: Value::Null };
    let metrics = if !args.metrics.is_empty() {
        args.metrics.iter().map(|name| plain(name)).collect()
    } else if !suite.metrics.is_empty() {
        suite.metrics.clone()
    } else if cases.iter().any(|case| !case.checks.is_empty()) {
        vec![plain(CHECKS)]
    } else if !cases.is_empty() && cases.iter().all(|case| case.ranks().is_some()) {
        let first = |name: &str| Spec { name: name.to_owned(), settings: serde_json::json!({ "k": 10 }) };
        vec![first("ndcg_at_k"), first("recall_at_k"), plain("mrr")]
    } else {
        vec![plain("icontains"), plain("squad_f1")]
    };
    for spec in &metrics {
        Scorer::of(std::slice::from_ref(spec)).map_err(|error| {
            let stop = Stop::usage(error);
            let names = metric::NAMES.iter().chain(&metric::code::NAMES).copied().collect::<Vec<_>>();
            stop.hint(format!("there are: {CHECKS}, {}", names.join(", ")))
        })?;
    }
    Ok(metrics)
}

/// What was typed, or what the risk of the workload says.
fn margin(place: &Place, args: &Args, suite: &Suite) -> Result<Option<f64>, Stop> {
    if let Some(margin) = args.margin.or(suite.margin) {
        return Ok(Some(margin));
    }
    let Some(workload) = args.workload.as_ref().or(suite.workload.as_ref()) else { return Ok(None) };
    let text = std::fs::read_to_string(&place.config).unwrap_or_default();
    let risks = config::risks(&place.config.display().to_string(), &text);
    let risk = risks.get(workload).ok_or_else(|| {
        let hint = if risks.is_empty() {
            "`workloads` of the config says which there are, and with which risk".to_owned()
        } else {
            names_like(workload, risks.keys().map(String::as_str))
        };
        Stop::usage(format!("the config has no workload `{workload}`")).hint(hint)
    })?;
    Ok(Some(rollout::template::judged_margin(*risk)))
}
