//! What the alternative is asked while traffic is with it: the golden tests of the prompts beside the config, and whether what an application
//! relies on first of all is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use eval::conformance::{Options, Report, Subject, Verdict, probe};
use eval::prompt::trial::Outcome;
use gateway::detour::Probes;
use providers::Shared;
use wire::capability::Weight;
use wire::record::Lane;

use crate::load;
use crate::out::{Out, Stop};
use crate::verbs::ledger::Collected;
use crate::verbs::{Place, prompts};

/// What was found; why nothing was, where nothing was.
pub(super) fn ask(place: &Place, target: &str, out: &Out) -> Probes {
    let mut probes = Probes::default();
    let asked = golden(place, target, out, &mut probes).and_then(|()| conformance(place, target, out, &mut probes));
    if let Err(stop) = asked {
        out.say(format_args!("the probes came to nothing: {}", stop.full_text()));
        probes.problem = Some(stop.full_text());
    }
    probes
}

fn golden(place: &Place, target: &str, out: &Out, probes: &mut Probes) -> Result<(), Stop> {
    for row in prompts::golden(place, target, out)? {
        match row.outcome {
            Outcome::Passed => probes.golden_passed += 1,
            Outcome::Failed { .. } => probes.golden_failed.push(format!("{}/{}", row.prompt, row.test)),
            Outcome::Unscored { .. } => probes.golden_unmeasured += 1,
        }
    }
    Ok(())
}

fn conformance(place: &Place, target: &str, out: &Out, probes: &mut Probes) -> Result<(), Stop> {
    let config = load::config(&place.config)?;
    let Some(of_config) = config.snapshot.targets.get(target) else { return Ok(()) };
    let subject = Subject {
        name: target.to_owned(),
        provider: Arc::clone(&of_config.provider),
        model: Some(of_config.model.clone()),
        embedding_model: None,
        service_models: BTreeMap::new(),
    };
    let ledger = Arc::new(Collected::default());
    let providers = Arc::new(Shared::new().watched(Arc::clone(&ledger) as _, Lane::Conformance));
    // No service is essential, and some of them keep something at the server.
    let options = Options { providers, services: false, ..Options::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Stop::failed)?;
    let report = runtime.block_on(probe(&subject, &options, &|_| {}));
    drop(runtime);
    ledger.note(place, out);
    note(&report.map_err(Stop::failed)?, probes);
    Ok(())
}

fn note(report: &Report, probes: &mut Probes) {
    for row in &report.rows {
        match row.verdict {
            Verdict::Equivalent | Verdict::Degraded => probes.capabilities_there += 1,
            Verdict::NotMeasured => probes.capabilities_unmeasured += 1,
            Verdict::None if row.capability.weight() == Weight::Essential => {
                probes.essential_missing.push(row.capability.id().to_owned());
            }
            Verdict::None => {}
        }
    }
    probes.score = report.score.value;
}
