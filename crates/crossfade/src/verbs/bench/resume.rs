//! `bench run --resume`: a run that was cut off goes on with the levels, or the probes of its search, that are missing.

use bench::result::BenchResult;
use bench::slo::Slo;
use serde_json::{Value, json};
use store::RUNNING;

use crate::out::Stop;
use crate::verbs::time::us_to_text;
use crate::verbs::{Place, dataset};

/// What is asked for: a head, what is allowed, and whether its name and its seed were said or made up.
pub(super) struct Asked<'a> {
    pub(super) head: &'a BenchResult,
    pub(super) slo: Option<Slo>,
    pub(super) is_named: bool,
    pub(super) is_seeded: bool,
}

/// What a cut-off run of the same load has so far: the one of its name, else the newest. `None` where there is none to go on with.
pub(super) fn earlier(place: &Place, asked: &Asked<'_>) -> Result<Option<BenchResult>, Stop> {
    if !place.config.exists() {
        let stop = Stop::usage(format!("there is no {}: nothing was kept to go on with", place.config.display()));
        return Err(stop.hint("`crossfade init` writes a config, whose store keeps results"));
    }
    for row in dataset::writable(place)?.benches().map_err(Stop::failed)? {
        let name = &row.name;
        if asked.is_named && *name != asked.head.name || !asked.is_named && row.verdict != RUNNING {
            continue;
        }
        if row.verdict != RUNNING {
            let stop =
                Stop::usage(format!("the run `{name}` is over ({}): there is nothing to go on with", row.verdict));
            return Err(stop.hint("`--name NAME` gives a new one a name of its own"));
        }
        let found = BenchResult::parse(&row.result_json).map_err(Stop::failed)?;
        let others = differences(asked, &found);
        if others.is_empty() {
            return Ok(Some(found));
        }
        if asked.is_named {
            let stop = Stop::usage(format!("the run `{name}` was of another load: {}", others.join("; ")));
            return Err(stop.hint("type it as it was begun; another load is a run of its own, under another `--name`"));
        }
    }
    Ok(None)
}

/// What is asked for otherwise than it was, each with both values.
fn differences(asked: &Asked<'_>, found: &BenchResult) -> Vec<String> {
    let Asked { head, slo, is_seeded, .. } = asked;
    let targets = |of: &BenchResult| {
        json!(
            of.targets
                .iter()
                .map(|target| json!([target.name, target.model, target.url, target.fingerprint]))
                .collect::<Vec<_>>()
        )
    };
    let mut pairs = vec![
        ("kind".to_owned(), json!(found.kind), json!(head.kind)),
        ("targets".to_owned(), targets(found), targets(head)),
        ("slo".to_owned(), json!(found.slo), json!(slo)),
        ("meta".to_owned(), json!(found.metadata), json!(head.metadata)),
        ("location".to_owned(), json!(found.location), json!(head.location)),
    ];
    let keys =
        |of: &Value| of.as_object().map(|members| members.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let mut names = keys(&found.plan);
    names.extend(keys(&head.plan).into_iter().filter(|key| found.plan.get(key).is_none()));
    // A seed that nobody said is that of the run that goes on.
    names.retain(|key| *is_seeded || key != "seed");
    pairs.extend(names.into_iter().map(|key| {
        let [was, is] = [&found.plan, &head.plan].map(|plan| plan[&key].clone());
        (key, was, is)
    }));
    let differs = pairs.into_iter().filter(|(_, was, is)| was != is);
    differs.map(|(key, was, is)| format!("{key} was {was} and is {is}")).collect()
}

/// The seed of a run, which decides its arrivals and texts.
pub(super) fn seed(found: &BenchResult) -> Option<u64> {
    found.plan["seed"].as_u64()
}

/// What the one who waits is told; of a search nobody knows how many probes there will be.
pub(super) fn words(found: &BenchResult, n_loads: Option<usize>) -> String {
    let n_done = found.levels.len() / if n_loads.is_some() { found.targets.len().max(1) } else { 1 };
    let measured = match n_loads {
        Some(n_loads) => format!("{n_done} of {n_loads} levels are measured"),
        None => format!("{n_done} probes of the search are measured"),
    };
    format!("{} of {} UTC goes on: {measured}", found.name, us_to_text(found.at_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(plan: Value) -> BenchResult {
        BenchResult { plan, ..BenchResult::new("night", "load", 1) }
    }

    #[test]
    fn a_run_goes_on_only_as_it_was_begun() {
        let found = head(json!({ "loads": [1, 2], "duration_s": 30.0, "seed": 7 }));
        let check = |plan: Value, is_seeded: bool, slo: Option<Slo>| {
            let head = head(plan);
            differences(&Asked { head: &head, slo, is_named: true, is_seeded }, &found)
        };
        let same = json!({ "loads": [1, 2], "duration_s": 30.0, "seed": 9 });
        assert_eq!(check(same.clone(), false, None), Vec::<String>::new(), "nobody said a seed");
        assert_eq!(check(same.clone(), true, None), ["seed was 7 and is 9"]);
        let longer = json!({ "loads": [1, 2], "duration_s": 60.0, "block_s": 1.0 });
        assert_eq!(check(longer, false, None), ["duration_s was 30.0 and is 60.0", "block_s was null and is 1.0"]);
        let slo = Slo { ttft_ms: Some(1.0), e2e_ms: None, tpot_ms: None, gap_max_ms: None, share: 0.95 };
        assert!(check(same, false, Some(slo))[0].starts_with("slo was null"));
    }
}
