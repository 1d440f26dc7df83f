//! The rows of a report: of the config, the store, and files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use eval::compare::{Verdict, summary_report};
use eval::metric::Range;
use eval::results::Results;
use eval::run::Plan;
use gateway::control::StoredState;
use gateway::snapshot::cohorts::AT;
use gateway::snapshot::{Route, Target};
use report::{
    Asked as AskedTarget, Call, CasePair, Demanded, FiledRow, Move, Real, RecordedLoad, RolloutRow, Rows, Run, RunHead,
    Settings, TargetFacts, Upload, Worksheet, doubled, refused_matrix, refused_outcomes, refused_probe,
};
use rollout::{Risk, Status, Timestamp};
use store::Database;

use super::Asked;
use crate::config::{Config, nearest, put_demand, worksheet};
use crate::load;
use crate::out::Stop;
use crate::verbs::{Place, now_us};

/// The newest calls of a route that are read.
const MOST_CALLS: u64 = 100_000;
const US_PER_DAY: u64 = 86_400_000_000;

/// Gathers.
pub(super) fn rows(place: &Place, asked: &Asked) -> Result<Rows, Stop> {
    let config = load::config(&place.config)?;
    let mut scorecard = config.report.scorecard.clone();
    let mut set = Vec::new();
    for one in &asked.set {
        let before = scorecard.clone();
        put_demand(&mut scorecard, one).map_err(Stop::usage)?;
        set.push(Demanded { text: one.trim().to_owned(), is_looser: scorecard.is_looser_than(&before) });
    }
    let given = if asked.tco.is_empty() {
        of_config(&config, asked)
    } else {
        asked.tco.iter().map(|given| named(given)).collect()
    };
    let (sheets, texts, sides) = worksheets(given)?;
    let mut settings = Settings {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        at_us: now_us(),
        config_hash: config.hash.clone(),
        seed: asked.seed,
        draws: asked.draws,
        scorecard,
        moves: Vec::new(),
        worksheets: sheets,
        notes: Vec::new(),
        outcomes_of: Vec::new(),
        unserved: false,
        set,
    };
    let database =
        config.store.exists().then(|| Database::open_read_only(&config.store)).transpose().map_err(Stop::failed)?;
    if database.is_none() {
        settings.notes.push("There is no store yet: nothing was recorded and nothing was evaluated.".to_owned());
    }
    settings.moves = moves(&config, asked, database.as_ref())?;
    if let Some(database) = &database {
        peaks(database, &mut settings)?;
    }
    let (outcomes, of): (Vec<PathBuf>, Vec<Option<String>>) =
        asked.outcomes.iter().map(|given| named(given)).map(|(of, path)| (path, of)).unzip();
    settings.outcomes_of = of;
    let of_sheets = settings.worksheets.iter().filter_map(|sheet| Some(("--tco", sheet.of.as_ref()?)));
    let of_outcomes = settings.outcomes_of.iter().filter_map(|of| Some(("--outcomes", of.as_ref()?)));
    for (option, of) in of_sheets.chain(of_outcomes) {
        let names: BTreeSet<&str> = settings.moves.iter().flat_map(|mv| [&*mv.workload, &*mv.route]).collect();
        if !names.contains(of.as_str()) {
            let stop = Stop::usage(format!("`{option} {of}=…` names neither a workload nor a route of this report"));
            return Err(stop.hint(format!("there are: {}", names.into_iter().collect::<Vec<_>>().join(", "))));
        }
    }
    if let Some(both) = doubled(&settings, &sides) {
        return Err(Stop::usage(both).hint("give `--tco` once for each workload"));
    }
    let mut rows = Rows {
        runs: Vec::new(),
        calls: Vec::new(),
        rollouts: Vec::new(),
        filed: Vec::new(),
        worksheets: texts,
        probes: uploads(&asked.conformance, refused_probe)?,
        matrices: uploads(&asked.matrix, refused_matrix)?,
        outcomes: uploads(&outcomes, refused_outcomes)?,
        benches: Vec::new(),
        settings,
    };
    if let Some(database) = &database {
        rows.runs = runs(database, &rows.settings)?;
        rows.benches = benches(database)?;
        calls(database, &mut rows)?;
        of_rollouts(database, &config, &mut rows)?;
    }
    Ok(rows)
}

/// Worksheets, their texts, and the two sides of each.
type Sheets = (Vec<Worksheet>, Vec<String>, Vec<[String; 2]>);

const WORKSHEET: &str =
    "`--tco` takes the worksheet itself, the YAML that `crossfade tco init` writes and `crossfade tco run` reads";

/// A worksheet that cannot be read is refused before anything else is done.
fn worksheets(given: Vec<(Option<String>, PathBuf)>) -> Result<Sheets, Stop> {
    let (mut sheets, mut texts, mut sides) = (Vec::new(), Vec::new(), Vec::new());
    for (of, path) in given {
        let is_workbook =
            std::fs::read(&path).is_ok_and(|bytes| bytes.starts_with(b"PK") || std::str::from_utf8(&bytes).is_err());
        if is_workbook {
            let stop = Stop::usage(format!("{} is a spreadsheet or another file that is no text", path.display()));
            return Err(stop.hint(WORKSHEET));
        }
        let text = read(&path)?;
        let path = path.display().to_string();
        if text.trim_start().starts_with('{') {
            let stop = Stop::usage(format!("{path} is JSON, and a report computes costs itself"));
            return Err(stop.hint(WORKSHEET));
        }
        let study = worksheet(&path, &text).map_err(Stop::config)?;
        sides.push([study.baseline.name, study.candidate.name]);
        sheets.push(Worksheet { source: path, of });
        texts.push(text);
    }
    Ok((sheets, texts, sides))
}

/// The worksheets that the config names of what is asked for.
fn of_config(config: &Config, asked: &Asked) -> Vec<(Option<String>, PathBuf)> {
    let routes = config.snapshot.routes.values().filter(|route| is_asked(asked, route));
    let names: BTreeSet<&str> =
        routes.flat_map(|route| [Some(route.name.as_str()), route.workload.as_deref()]).flatten().collect();
    let of_names = config.worksheets.iter().filter(|(name, _)| names.contains(name.as_str()));
    of_names.map(|(name, path)| (Some(name.clone()), path.clone())).collect()
}

fn is_asked(asked: &Asked, route: &Route) -> bool {
    asked.workload.is_empty()
        || asked.workload.iter().any(|name| *name == route.name || Some(name) == route.workload.as_ref())
}

/// `NAME=FILE`, or only a file; one whose own name has a `=` is meant where there is one.
fn named(given: &str) -> (Option<String>, PathBuf) {
    match given.split_once('=') {
        Some((of, path)) if !Path::new(given).exists() => (Some(of.to_owned()), PathBuf::from(path)),
        _ => (None, PathBuf::from(given)),
    }
}

fn read(path: &Path) -> Result<String, Stop> {
    std::fs::read_to_string(path).map_err(|error| Stop::usage(format!("cannot read {}: {error}", path.display())))
}

fn uploads(paths: &[std::path::PathBuf], refused: impl Fn(&Upload) -> Option<String>) -> Result<Vec<Upload>, Stop> {
    let one = |path: &std::path::PathBuf| {
        let upload = Upload { source: path.display().to_string(), text: read(path)? };
        match refused(&upload) {
            Some(why) => Err(Stop::usage(format!("{}: {why}", path.display()))),
            None => Ok(upload),
        }
    };
    paths.iter().map(one).collect()
}

fn moves(config: &Config, asked: &Asked, database: Option<&Database>) -> Result<Vec<Move>, Stop> {
    let snapshot = &config.snapshot;
    if let Some(name) = asked.candidate.as_ref().filter(|name| !snapshot.targets.contains_key(*name)) {
        let known: Vec<&str> = snapshot.targets.keys().map(String::as_str).collect();
        let near =
            nearest(name, known.iter().copied()).map(|word| format!("did you mean `{word}`? ")).unwrap_or_default();
        return Err(
            Stop::usage(format!("no target is called `{name}`")).hint(format!("{near}there are: {}", known.join(", ")))
        );
    }
    for name in &asked.workload {
        let mut known: Vec<&str> = snapshot.routes.keys().map(String::as_str).collect();
        known.extend(snapshot.routes.values().filter_map(|route| route.workload.as_deref()));
        if !known.contains(&name.as_str()) {
            known.sort_unstable();
            known.dedup();
            let near =
                nearest(name, known.iter().copied()).map(|word| format!("did you mean `{word}`? ")).unwrap_or_default();
            let stop = Stop::usage(format!("no workload and no route is called `{name}`"));
            return Err(stop.hint(format!("{near}there are: {}", known.join(", "))));
        }
    }
    let mut moves = Vec::new();
    let is_known = |name: &String| snapshot.targets.contains_key(name);
    for route in snapshot.routes.values().filter(|route| is_asked(asked, route)) {
        // A rollout of a cohort is part of its route's.
        let of_route =
            snapshot.rollouts.values().filter(|rollout| rollout.route == route.name && !rollout.name.contains(AT));
        let of_route: Vec<_> =
            of_route.filter(|rollout| asked.candidate.as_ref().is_none_or(|name| *name == rollout.candidate)).collect();
        for rollout in &of_route {
            moves.push(one(config, route, (&rollout.baseline, Some(&rollout.candidate)), Some(&rollout.name)));
        }
        if of_route.is_empty() {
            let evaluated = match (&asked.candidate, database) {
                (Some(name), _) => Some(name.clone()),
                (None, Some(database)) => evaluated(database, &route.target)?,
                (None, None) => None,
            };
            let known =
                evaluated.as_ref().filter(|name| snapshot.targets.contains_key(*name) && **name != route.target);
            let done = database.map(|database| done(config, database, route)).transpose()?.flatten();
            moves.push(match done {
                Some(Done { rollout, baseline, candidate, .. }) if candidate == route.target && known.is_none() => {
                    let mv = one(config, route, (&baseline, Some(&candidate)), Some(&rollout));
                    Move { switched: true, ..mv }
                }
                // An evaluation of somebody else since is of the next candidate.
                Some(Done { rollout, baseline, candidate, .. })
                    if baseline == route.target && known.is_none_or(|known| *known == candidate) =>
                {
                    let mv = one(config, route, (&baseline, Some(&candidate)), Some(&rollout));
                    Move { set_back: true, ..mv }
                }
                _ if known.is_none() && asked.candidate.is_none() => {
                    // Somebody made the candidate of an evaluation the target, without a rollout.
                    let before = database.map(|database| replaced(database, &route.target)).transpose()?.flatten();
                    match before.filter(|before| is_known(before) && *before != route.target) {
                        Some(before) => {
                            let mv = one(config, route, (&before, Some(&route.target)), None);
                            Move { switched: true, ..mv }
                        }
                        None => one(config, route, (&route.target, None), None),
                    }
                }
                _ => one(config, route, (&route.target, known), None),
            });
        }
    }
    Ok(moves)
}

/// A rollout that is over and out of the config.
struct Done {
    since: Timestamp,
    rollout: String,
    baseline: String,
    candidate: String,
}

/// The newest of a route whose place the config has taken: the route asks its candidate itself, or, where it completed, its baseline again.
fn done(config: &Config, database: &Database, route: &Route) -> Result<Option<Done>, Stop> {
    let mut found: Option<Done> = None;
    for row in database.load_rollouts().map_err(Stop::failed)? {
        let Ok(stored) = serde_json::from_str::<StoredState>(&row.state_json) else { continue };
        let state = stored.state;
        let is_place = match state.status {
            Status::Completed => [&state.candidate, &state.baseline].contains(&&route.target),
            // Somebody made it the target all the same.
            Status::Aborted | Status::RolledBack => state.candidate == route.target,
            _ => false,
        };
        let is_done = stored.route == route.name
            && is_place
            && config.snapshot.targets.contains_key(&state.candidate)
            && !row.name.contains(AT)
            && !config.snapshot.rollouts.contains_key(&row.name);
        if is_done && found.as_ref().is_none_or(|found| found.since < state.epoch_started) {
            let (baseline, candidate) = (state.baseline, state.candidate);
            found = Some(Done { since: state.epoch_started, rollout: row.name, baseline, candidate });
        }
    }
    Ok(found)
}

/// The candidate of the newest evaluation with this baseline.
fn evaluated(database: &Database, baseline: &str) -> Result<Option<String>, Stop> {
    let mut pairs = evaluations(database)?.into_iter();
    Ok(pairs.find(|[first, _]| first == baseline).map(|[_, second]| second))
}

/// The baseline of the newest evaluation with this candidate.
fn replaced(database: &Database, candidate: &str) -> Result<Option<String>, Stop> {
    let mut pairs = evaluations(database)?.into_iter();
    Ok(pairs.find(|[_, second]| second == candidate).map(|[first, _]| first))
}

/// Baseline and candidate of every evaluation, the newest first.
fn evaluations(database: &Database) -> Result<Vec<[String; 2]>, Stop> {
    let rows = database.eval_runs().map_err(Stop::failed)?;
    let named = rows.iter().filter_map(|row| serde_json::from_value::<Plan>(row.plan.clone()).ok());
    let pairs = named.filter(|plan| plan.judge_of.is_none() && plan.encoder_of.is_none()).filter_map(|plan| {
        let [first, second, ..] = plan.targets.as_slice() else { return None };
        Some([first.name.clone(), second.name.clone()])
    });
    Ok(pairs.collect())
}

fn one(
    config: &Config,
    route: &Route,
    (baseline, candidate): (&str, Option<&String>),
    rollout: Option<&String>,
) -> Move {
    let of = |name: &str| config.snapshot.targets.get(name).map(|target| facts(target));
    let risk = route.workload.as_ref().and_then(|name| config.risks.get(name)).map(|risk| match risk {
        Risk::Low => "low",
        Risk::Medium => "medium",
        Risk::High => "high",
    });
    Move {
        workload: route.workload.clone().unwrap_or_else(|| route.name.clone()),
        risk: risk.map(str::to_owned),
        route: route.name.clone(),
        rollout: rollout.cloned(),
        fingerprint: rollout.and_then(|name| config.snapshot.rollouts.get(name)).map(|it| it.fingerprint.clone()),
        down: None,
        switched: false,
        set_back: false,
        baseline: of(baseline).unwrap_or_else(|| unknown(baseline)),
        candidate: candidate.and_then(|name| of(name)),
        fallback: route.fallback.iter().filter_map(|name| of(name)).collect(),
        target_load: config.report.target_load.get(&route.name).copied().map(Real),
        recorded: None,
    }
}

fn facts(target: &Target) -> TargetFacts {
    TargetFacts {
        name: target.name.clone(),
        provider: target.provider.name.clone(),
        class: target.provider.class.as_str().to_owned(),
        external: target.providers().any(|provider| provider.class.is_external()),
        region: target.provider.region.clone(),
        model: target.model.clone(),
        fingerprint: target.fingerprint.clone(),
        simulated: target.providers().any(|provider| provider.is_simulated()),
    }
}

/// How much came in on each route within the age of evidence: of everything on record, however many calls of it are read.
fn peaks(database: &Database, settings: &mut Settings) -> Result<(), Stop> {
    let since_us = since_us(settings);
    for mv in &mut settings.moves {
        let found = database.route_traffic(&mv.route, since_us).map_err(Stop::failed)?;
        mv.recorded = found.between_us.map(|(first_us, last_us)| RecordedLoad {
            requests: found.per_hour.iter().map(|(_, n)| n).sum(),
            first_us,
            last_us,
            peak_per_minute: found.peak_per_minute,
        });
    }
    Ok(())
}

/// From when on evidence counts.
fn since_us(settings: &Settings) -> u64 {
    settings.at_us.saturating_sub(u64::from(settings.scorecard.max_age_days).saturating_mul(US_PER_DAY))
}

/// A target that the config names and does not have: a whole config has none.
fn unknown(name: &str) -> TargetFacts {
    TargetFacts {
        name: name.to_owned(),
        provider: String::new(),
        class: "external".to_owned(),
        external: true,
        region: None,
        model: String::new(),
        fingerprint: String::new(),
        simulated: false,
    }
}

/// Every benchmark; which of them count is for the report to say.
fn benches(database: &Database) -> Result<Vec<Upload>, Stop> {
    let found = database.benches().map_err(Stop::failed)?;
    Ok(found.into_iter().map(|row| Upload { source: row.name, text: row.result_json }).collect())
}

/// Runs of a move's two targets.
fn runs(database: &Database, settings: &Settings) -> Result<Vec<Run>, Stop> {
    let wanted: BTreeSet<(&str, &str)> = settings
        .moves
        .iter()
        .filter_map(|mv| Some((mv.baseline.name.as_str(), mv.candidate.as_ref()?.name.as_str())))
        .collect();
    let mut runs = Vec::new();
    for row in database.eval_runs().map_err(Stop::failed)? {
        let Ok(plan) = serde_json::from_value::<Plan>(row.plan.clone()) else { continue };
        if plan.judge_of.is_some() || plan.encoder_of.is_some() || plan.targets.is_empty() {
            continue;
        }
        let is_wanted =
            |idx: &usize| wanted.contains(&(plan.targets[0].name.as_str(), plan.targets[*idx].name.as_str()));
        let targets: Vec<usize> = (1..plan.targets.len()).filter(is_wanted).collect();
        if targets.is_empty() {
            continue;
        }
        let results = Results::load(database, &row.run).map_err(Stop::failed)?;
        for target_idx in targets {
            runs.push(run(&results, target_idx, settings.seed));
        }
    }
    Ok(runs)
}

fn run(results: &Results, target_idx: usize, seed: u64) -> Run {
    let plan = &results.plan;
    let yardsticks = results.yardsticks();
    let yardstick = yardsticks.iter().find(|yardstick| yardstick.name == plan.primary).or(yardsticks.first());
    let range = yardstick.map_or(Range::UNIT, eval::results::Yardstick::gains);
    let worth = |case_idx: usize, target_idx: usize| {
        let yardstick = yardstick?;
        Some(yardstick.gain(0.0, results.worth(yardstick, case_idx, target_idx).ok()?))
    };
    let cases = results.cases.iter().enumerate().map(|(case_idx, case)| CasePair {
        case: case.id.clone(),
        cluster: case.cluster.clone().filter(|cluster| !cluster.is_empty()),
        slices: case.slices.clone(),
        baseline: worth(case_idx, 0),
        candidate: worth(case_idx, target_idx),
    });
    let target = |idx: usize| AskedTarget {
        name: plan.targets[idx].name.clone(),
        provider: plan.targets[idx].provider.clone(),
        model: plan.targets[idx].model.clone(),
        fingerprint: plan.targets[idx].fingerprint.clone(),
    };
    let n_candidates = (1..plan.targets.len()).filter(|idx| !plan.is_same_as_baseline(*idx)).count().max(1);
    let head = RunHead {
        run: results.row.run.clone(),
        at_us: results.row.at_us,
        dataset: plan.dataset.clone(),
        version: plan.version.clone(),
        primary: plan.primary.clone(),
        definition: yardstick.map(|yardstick| yardstick.definition.clone()).unwrap_or_default(),
        margin: Real(plan.margin),
        range: (Real(range.low), Real(range.high)),
        n_candidates: n_candidates as u64,
        whole: results.is_whole(),
        held: held(results, target_idx, seed),
        simulated: results.is_simulated(),
        answered_by: results.answered_by(),
        baseline: target(0),
        candidate: target(target_idx),
    };
    Run { head, cases: cases.collect() }
}

/// Why a run gives no verdict although its cases would: an A/A, or a judge that may not decide.
fn held(results: &Results, target_idx: usize, seed: u64) -> Option<String> {
    let plan = &results.plan;
    if plan.is_same_as_baseline(target_idx) {
        return Some("candidate and baseline are the same target: its own noise is no parity".to_owned());
    }
    if plan.judges.iter().all(|judge| judge.name != plan.primary) {
        return None;
    }
    let summary = summary_report(results, seed);
    let compared = &summary.candidates.get(target_idx - 1)?.primary;
    (compared.verdict == Verdict::Undecided).then(|| compared.because.clone()).flatten()
}

fn calls(database: &Database, rows: &mut Rows) -> Result<(), Stop> {
    let since_us = since_us(&rows.settings);
    let routes: BTreeSet<String> = rows.settings.moves.iter().map(|mv| mv.route.clone()).collect();
    for route in routes {
        let found = database.route_calls(&route, since_us, MOST_CALLS).map_err(Stop::failed)?;
        if found.len() as u64 == MOST_CALLS {
            let note = format!("Of the route `{route}` the newest {MOST_CALLS} calls were read; there are more.");
            rows.settings.notes.push(note);
        }
        rows.calls.extend(found.into_iter().rev().map(|call| Call {
            route: route.clone(),
            at_us: call.at_us,
            target: call.target,
            model: call.model,
            is_shadow: call.is_shadow,
            streamed: call.streamed,
            first_token_us: call.first_token_us,
            duration_us: call.duration_us,
            input_tokens: call.input_tokens,
            output_tokens: call.output_tokens,
            cost_nanos: call.cost_nanos,
            failure: call.failure,
            simulated: call.simulated,
        }));
    }
    Ok(())
}

fn of_rollouts(database: &Database, config: &Config, rows: &mut Rows) -> Result<(), Stop> {
    let wanted: BTreeSet<&String> = rows.settings.moves.iter().filter_map(|mv| mv.rollout.as_ref()).collect();
    let all = database.load_rollouts().map_err(Stop::failed)?;
    let names: Vec<String> = all.iter().map(|row| row.name.clone()).collect();
    for row in all {
        if !wanted.contains(&row.name) {
            continue;
        }
        let stored: StoredState = serde_json::from_str(&row.state_json).map_err(Stop::failed)?;
        let evidence = database.load_evidence(&row.name, stored.state.epoch).map_err(Stop::failed)?;
        rows.rollouts.push(RolloutRow {
            route: stored.route,
            fingerprint: stored.fingerprint,
            fingerprint_now: config.snapshot.rollouts.get(&row.name).map(|rollout| rollout.fingerprint.clone()),
            simulated: stored.simulated,
            evidence_json: evidence.map(|evidence| evidence.json),
            name: row.name,
            state_json: row.state_json,
            policy_json: row.policy_json,
        });
    }
    let same: BTreeSet<&String> = rows.settings.moves.iter().filter_map(|mv| mv.fingerprint.as_ref()).collect();
    for name in names {
        let filed = database.filed(&name).map_err(Stop::failed)?.into_iter();
        let counts = |row: &store::FiledRow| {
            wanted.contains(&row.rollout) || row.fingerprint.as_ref().is_some_and(|one| same.contains(one))
        };
        rows.filed.extend(filed.filter(counts).map(|row| FiledRow {
            rollout: row.rollout,
            kind: row.kind,
            name: row.name,
            passed: row.passed,
            at_us: row.at_us,
            digest: row.digest,
            n: row.n,
            actor: row.actor,
            note: row.note,
            fingerprint: row.fingerprint,
        }));
    }
    Ok(())
}
