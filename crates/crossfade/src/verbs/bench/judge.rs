//! What a route or a workload of the config is allowed, and how much comes at its peak: where the command line says neither.

use bench::slo::Slo;
use report::LatencyOf;
use serde_json::{Value, json};

use super::flags::Flags;
use crate::config::Config;
use crate::load;
use crate::out::Stop;
use crate::verbs::time::now_us;
use crate::verbs::{Place, dataset};

/// Days of the record in which a peak is looked for.
const PEAK_DAYS: u64 = 30;
const US_PER_DAY: u64 = 86_400_000_000;

/// An objective and a peak, and where they are from.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Judged {
    /// What is allowed.
    pub slo: Option<Slo>,
    /// Requests a second at the peak.
    pub peak: Option<f64>,
    /// Where these are from; null where the command line says them, or nothing does.
    pub from: Value,
}

/// What the command line says, else what the config says of the routes that it names.
pub(super) fn of(place: &Place, flags: &Flags) -> Result<Judged, Stop> {
    let said = flags.slo.map(|slo| Slo { share: flags.share, ..slo });
    let bare = Judged { slo: said, peak: flags.peak, from: Value::Null };
    if flags.workload.is_none() && flags.for_route.is_none() && flags.route.is_none() {
        return Ok(bare);
    }
    // A replay needs the store alone: a config that cannot be read is no matter where nothing is asked of it.
    if flags.workload.is_none() && flags.for_route.is_none() && said.is_some() {
        return Ok(bare);
    }
    let config = load::config(&place.config)?;
    let routes = routes(&config, flags)?;
    let (slo, slo_from) = match said {
        Some(slo) => (slo, Value::Null),
        None => {
            let (slo, from) = objective(&config, &routes, flags.share);
            (slo, json!(from))
        }
    };
    let is_rate = flags.search.as_deref() == Some("rate");
    let (peak, peak_from) = match flags.peak {
        None if is_rate => peak(place, &config, &routes)?,
        said => (said, Value::Null),
    };
    Ok(Judged { slo: Some(slo), peak, from: json!({ "routes": routes, "objective": slo_from, "peak": peak_from }) })
}

/// The routes that are meant.
fn routes(config: &Config, flags: &Flags) -> Result<Vec<String>, Stop> {
    let known = &config.snapshot.routes;
    if let Some(route) = flags.for_route.as_ref().or(flags.route.as_ref().filter(|_| flags.workload.is_none())) {
        if !known.contains_key(route) {
            let names = known.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(Stop::usage(format!("there is no route `{route}`")).hint(format!("defined: {names}")));
        }
        return Ok(vec![route.clone()]);
    }
    let workload = flags.workload.as_deref().unwrap_or_default();
    let of: Vec<String> = known
        .iter()
        .filter(|(_, route)| route.workload.as_deref() == Some(workload))
        .map(|(name, _)| name.clone())
        .collect();
    if of.is_empty() {
        let names = config.risks.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let stop = Stop::usage(format!("no route has the workload `{workload}`"));
        return Err(stop.hint(format!("workloads: {names}")));
    }
    Ok(of)
}

/// The strictest `objectives` of the routes' rollouts, else the latency that reports demand.
fn objective(config: &Config, routes: &[String], share: f64) -> (Slo, String) {
    let mut slo = Slo { ttft_ms: None, e2e_ms: None, tpot_ms: None, gap_max_ms: None, share };
    let mut from = Vec::new();
    for (name, rollout) in config.snapshot.rollouts.iter().filter(|(_, rollout)| routes.contains(&rollout.route)) {
        let objectives = &rollout.policy.objectives;
        let strictest = |limit: &mut Option<f64>, other: Option<std::time::Duration>| {
            let Some(other) = other.map(|time| time.as_secs_f64() * 1e3) else { return false };
            *limit = Some(limit.map_or(other, |limit| limit.min(other)));
            true
        };
        let first = strictest(&mut slo.ttft_ms, objectives.first_token);
        if strictest(&mut slo.e2e_ms, objectives.total) || first {
            from.push(format!("rollouts.{name}.policy.objectives"));
        }
    }
    if from.is_empty() {
        let demand = &config.report.scorecard.latency;
        let limit = Some(demand.p95_ms as f64);
        match demand.of {
            LatencyOf::Total => slo.e2e_ms = limit,
            LatencyOf::FirstToken => slo.ttft_ms = limit,
        }
        from.push("report.scorecard.latency".to_owned());
    }
    (slo, from.join(", "))
}

/// What the config says is the load of the routes at their peak, else the busiest minute on record.
fn peak(place: &Place, config: &Config, routes: &[String]) -> Result<(Option<f64>, Value), Stop> {
    let said: Vec<f64> = routes.iter().filter_map(|route| config.report.target_load.get(route).copied()).collect();
    if said.len() == routes.len() {
        return Ok((Some(said.iter().sum()), json!("report.target_load")));
    }
    if !config.store.exists() {
        return Ok((None, Value::Null));
    }
    let (database, since) = (dataset::readable(place)?, now_us().saturating_sub(PEAK_DAYS * US_PER_DAY));
    let mut per_s = 0.0;
    for route in routes {
        let recorded = || database.route_traffic(route, since).map(|traffic| traffic.peak_per_minute as f64 / 60.0);
        per_s += match config.report.target_load.get(route) {
            Some(load) => *load,
            None => recorded().map_err(Stop::failed)?,
        };
    }
    Ok((
        Some(per_s).filter(|per_s| *per_s > 0.0),
        json!(format!("the busiest minute of each route in {PEAK_DAYS} days on record")),
    ))
}
