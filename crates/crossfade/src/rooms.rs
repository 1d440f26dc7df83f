//! What operations ask of rooms that they do not see: decision reports, worksheets of costs, which are read like the config, and what rollouts compare.

use std::path::PathBuf;
use std::sync::Arc;

use gateway::snapshot::Snapshot;
use operations::OperationError;
use operations::costing::{Read, Sheet, Sheets};
use operations::panels::{Sides, SidesFn};
use operations::reports::{Asked, Decided, Made, Shelf};
use store::Database;

use crate::config::worksheet;
use crate::out::{Exit, Stop};
use crate::running::{Reloader, with_hint};
use crate::verbs::{Place, report, tco};

/// Reports, as `crossfade report` makes them of the config's file and the store.
pub(crate) fn reports(reloader: Arc<Reloader>) -> Shelf {
    Shelf::new(Box::new(move |asked| made(&place(&reloader), asked).map_err(refused)))
}

fn made(place: &Place, asked: &Asked) -> Result<Made, Stop> {
    let bundle = report::made(place, asked.workload.as_deref(), asked.candidate.clone())?;
    let report = &bundle.report;
    let decided = |mv: &::report::MoveReport| Decided {
        title: if mv.workload == mv.route { mv.route.clone() } else { format!("{} ({})", mv.workload, mv.route) },
        decision: mv.label().to_owned(),
    };
    let mut files = bundle.files;
    files.retain(|name, _| !name.starts_with("rows/"));
    files.insert(report::BUNDLE.to_owned(), bundle.archive);
    Ok(Made {
        at_us: report.at_us,
        headline: report.headline.clone(),
        evidence: report.evidence.clone(),
        decided: report.in_order().into_iter().map(decided).collect(),
        page_one: ::report::page_one(report),
        files,
    })
}

/// What rollouts of the config in force compare.
pub(crate) fn sides(reloader: Arc<Reloader>) -> SidesFn {
    Box::new(move |rollout| sides_of(&reloader.snapshot(), rollout))
}

/// What this rollout compares.
pub(crate) fn sides_of(snapshot: &Snapshot, rollout: &str) -> Option<Sides> {
    let rollout = snapshot.rollouts.get(rollout)?;
    // A target's model, address, prompt and parameters, as a hash.
    let fingerprint = |name: &String| snapshot.targets.get(name).map(|target| target.fingerprint.clone());
    Some(Sides {
        baseline: rollout.baseline.clone(),
        candidate: rollout.candidate.clone(),
        fingerprints: [&rollout.baseline, &rollout.candidate].into_iter().filter_map(fingerprint).collect(),
        // What a config calls targets and providers no model knows; its model's name it may well say.
        models: snapshot.targets.values().map(|target| target.model.clone()).collect(),
    })
}

/// Worksheets: those of the config in force, and of every other route with a rollout what the record knows.
pub(crate) fn sheets(reloader: Arc<Reloader>, store: PathBuf) -> Sheets {
    let listing = Arc::clone(&reloader);
    Sheets {
        list: Box::new(move || listed(&listing)),
        read: Box::new(move |sheet| read(&reloader, &store, sheet).map_err(refused)),
    }
}

fn listed(reloader: &Reloader) -> Vec<Sheet> {
    let (worksheets, snapshot) = (reloader.worksheets(), reloader.snapshot());
    let of_file =
        |(name, path): (&String, &PathBuf)| Sheet { name: name.clone(), file: Some(path.display().to_string()) };
    let mut sheets: Vec<Sheet> = worksheets.iter().map(of_file).collect();
    for route in snapshot.routes.values() {
        let has_file = worksheets.contains_key(&route.name)
            || route.workload.as_ref().is_some_and(|workload| worksheets.contains_key(workload));
        if !has_file && snapshot.rollouts.values().any(|rollout| rollout.route == route.name) {
            sheets.push(Sheet { name: route.name.clone(), file: None });
        }
    }
    sheets
}

fn read(reloader: &Reloader, store: &std::path::Path, sheet: &Sheet) -> Result<Read, Stop> {
    let (source, text, said) = match &sheet.file {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                let stop = Stop::usage(format!(
                    "cannot read {path}, the worksheet of `{}` in the config: {error}",
                    sheet.name
                ));
                stop.hint("`crossfade tco init` writes a worksheet to fill in")
            })?;
            (path.clone(), text, Vec::new())
        }
        None => {
            let (text, said) = drafted(reloader, store, &sheet.name)?;
            ("draft".to_owned(), text, said)
        }
    };
    let study = worksheet(&source, &text).map_err(Stop::config)?;
    Ok(Read { study, text, said })
}

/// What `crossfade tco init` would write of a route: with the newest evaluation of both sides, where there is one that says something.
fn drafted(reloader: &Reloader, store: &std::path::Path, route: &str) -> Result<(String, Vec<String>), Stop> {
    let snapshot = reloader.snapshot();
    let target = snapshot.routes.get(route).map(|route| route.target.clone());
    let rollout = snapshot.rollouts.values().find(|rollout| rollout.route == route);
    let (baseline, candidate) = match rollout {
        Some(rollout) => (Some(rollout.baseline.clone()), Some(rollout.candidate.clone())),
        None => (target, None),
    };
    let run = match baseline.as_ref().zip(candidate.as_ref()) {
        Some((baseline, candidate)) => {
            let database = Database::open_read_only(store).map_err(Stop::failed)?;
            operations::evaluations::newest_of(&database, baseline, candidate).map_err(Stop::failed)?
        }
        None => None,
    };
    let place = place(reloader);
    if run.is_some()
        && let Ok(draft) = tco::draft(&place, route, (run, candidate.clone()))
    {
        return Ok(draft);
    }
    tco::draft(&place, route, (None, candidate))
}

fn place(reloader: &Reloader) -> Place {
    Place { config: reloader.path().to_owned(), admin: None }
}

/// The same for whoever asked on a page or over the API.
fn refused(stop: Stop) -> OperationError {
    match stop.exit {
        Exit::Usage => OperationError::Invalid(with_hint(stop)),
        _ => OperationError::Unavailable(with_hint(stop)),
    }
}
