//! What other systems count of units: tickets, failed searches, escalations. Posted for an exchange or for the key of a unit, on
//! record before it is acknowledged, and an event of the metric `external` of the rollout that counts it.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use rollout::assign::ASSIGN;
use rollout::{Arm, Metric, Outcome, Signal, Timestamp, Unit};
use serde_json::json;
use wire::failure::FailureKind;
use wire::openai::{ErrorBody, Refusal};
use wire::record::{self, Record, UnitOutcomeRecord};

use super::claims::{Claimed, Said};
use super::read::{self, About, Counted, missing};
use super::{LONGEST_BODY, asked, busy, differs_in, keep, look_up, may_judge, still_counting, unknown};
use crate::authenticate::Principal;
use crate::body::Body;
use crate::live::{self, LiveRollout};
use crate::parse;
use crate::refuse;
use crate::snapshot::Snapshot;
use crate::worker::Worker;

/// The unit of an outcome, and the rollout that counts it.
struct Place {
    rollout: String,
    epoch: u32,
    unit: u64,
    arm: Arm,
    /// When the exchange was admitted, or when it happened.
    admitted_us: u64,
    /// The rollout while it counts for this epoch; why not, when it does not.
    live: Result<Arc<LiveRollout>, &'static str>,
}

/// Takes one outcome.
pub(crate) async fn take(worker: &Worker, principal: &Principal, body: Incoming) -> Result<Response<Body>, Refusal> {
    let prepared = worker.prepared();
    let bytes = parse::small(body, &prepared.snapshot.limits, LONGEST_BODY).await?;
    let now = live::now();
    let counted = read::counted(&bytes, now.0)?;
    let place = match &counted.about {
        About::Exchange(_) => of_exchange(worker, principal, &counted).await?,
        About::Unit { key, rollout } => {
            of_unit(worker, &prepared.snapshot, principal, (&counted, key, rollout.as_deref()))?
        }
    };
    is_counted(&prepared.snapshot, &place.rollout, &counted.metric)?;
    let key = (place.rollout.clone(), place.epoch, place.unit);
    let question = key.clone();
    let rows = asked(worker, move |database| {
        let (rollout, epoch, unit) = question;
        database.unit_outcomes(&rollout, epoch, unit).map(Some)
    });
    let recorded: Vec<Said> = rows.await?.unwrap_or_default().iter().map(Said::counted_on_record).collect();
    let (claims, said) = (&worker.signals.outcomes, Said::counted(&counted));
    let counts = match claims.claim(&key, &said, &recorded) {
        Claimed::Again => return Ok(acknowledged(&counted, &place, Err("it was on record already"), false)),
        Claimed::Differs => return Err(differs_in("bad", "outcome_exists", "Another outcome")),
        Claimed::Busy => return Err(busy()),
        Claimed::New { counts } => counts,
    };
    if let Err(failure) = keep(worker, &record(&counted, &place, now)).await {
        claims.give_up(&key, &said);
        return Err(Refusal::of(&failure));
    }
    claims.done(&key, &said);
    let counted_as = if counts { count(&counted, &place, now) } else { Err("its unit has counted already") };
    Ok(acknowledged(&counted, &place, counted_as, true))
}

/// The unit of an exchange, for whoever made it.
async fn of_exchange(worker: &Worker, principal: &Principal, counted: &Counted) -> Result<Place, Refusal> {
    let About::Exchange(id) = counted.about else { return Err(missing("exchange_id")) };
    let judged = look_up(worker, id).await?.filter(|judged| may_judge(principal, judged)).ok_or_else(|| unknown(id))?;
    let Some(place) = judged.place else {
        let words = "The exchange was in no rollout, so that nothing counts its unit.";
        return Err(Refusal::invalid_value(words, "exchange_id"));
    };
    let live = match judged.no_evidence {
        // Whoever answered this request, what happened to the unit later is an outcome of its arm.
        Some("its arm was forced") => Err("its arm was forced"),
        _ => still_counting(worker, &place).ok_or("the epoch it was admitted in has ended"),
    };
    Ok(Place {
        arm: super::arm(&place.arm),
        rollout: place.rollout,
        epoch: place.epoch,
        unit: place.unit,
        admitted_us: judged.received_at_us,
        live,
    })
}

/// The unit with this key, as it is assigned now. It counts for whole rollouts, so it is for operators where keys are asked for.
fn of_unit(
    worker: &Worker,
    snapshot: &Snapshot,
    principal: &Principal,
    (counted, key, rollout): (&Counted, &str, Option<&str>),
) -> Result<Place, Refusal> {
    if snapshot.auth.required && principal.key().is_none_or(|key| key.scope.role < Some(govern::Role::Operator)) {
        let words = "Outcomes of a unit's key are for keys with the role operator; outcomes of an exchange for whoever made it.";
        let mut refusal = Refusal::invalid_value(words, "unit");
        refusal.status = 403;
        refusal.kind = FailureKind::Forbidden;
        return Err(refusal);
    }
    let counts = |live: &Arc<LiveRollout>| {
        let settings = snapshot.rollouts.get(&live.identity.name);
        settings.is_some_and(|settings| settings.outcomes.contains(&counted.metric))
    };
    let is_meant = |live: &Arc<LiveRollout>| rollout.map_or_else(|| counts(live), |name| live.identity.name == name);
    let mut found = worker.deps.live.all().into_iter().filter(is_meant);
    let (Some(live), None) = (found.next(), found.next()) else {
        let words = "No rollout, or more than one, counts this now: name a live one as `rollout`.";
        let mut refusal = Refusal::invalid_value(words, "rollout");
        refusal.body =
            ErrorBody::new(words, "invalid_request_error").with_param("rollout").with_code("unknown_rollout");
        refusal.status = 404;
        return Err(refusal);
    };
    if live.identity.unit == Unit::Request {
        let words = "The units of this rollout are requests, which have no key: post the outcome for an `exchange_id`.";
        return Err(Refusal::invalid_value(words, "unit"));
    }
    let unit = rollout::assign::position(&live.identity.salt, ASSIGN, key.as_bytes());
    let view = live.view();
    let arm = rollout::assign::arm(unit, view.share, view.holdback);
    let (epoch, watching) = (view.epoch, view.watching);
    drop(view);
    Ok(Place {
        rollout: live.identity.name.clone(),
        epoch,
        unit,
        arm,
        admitted_us: counted.happened_us,
        live: if watching { Ok(live) } else { Err("the rollout counts nothing now") },
    })
}

fn is_counted(snapshot: &Snapshot, rollout: &str, metric: &str) -> Result<(), Refusal> {
    let declared = snapshot.rollouts.get(rollout).map(|settings| &settings.outcomes);
    if declared.is_some_and(|declared| declared.contains(metric)) {
        return Ok(());
    }
    let known: Vec<String> = declared.into_iter().flatten().map(|name| format!("`{name}`")).collect();
    let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
    let words = format!(
        "The rollout counts {known}, and not this `metric`. Whoever runs the gateway names it under `outcomes`."
    );
    Err(Refusal::invalid_value(words, "metric"))
}

fn record(counted: &Counted, place: &Place, now: Timestamp) -> Record {
    Record::UnitOutcome(UnitOutcomeRecord {
        rollout: place.rollout.clone(),
        epoch: place.epoch,
        unit: place.unit,
        arm: match place.arm {
            Arm::Baseline => record::Arm::Baseline,
            Arm::Candidate => record::Arm::Candidate,
        },
        metric: counted.metric.clone(),
        bad: counted.bad,
        happened_us: counted.happened_us,
        at_us: now.0,
        source: counted.source.clone(),
        exchange: match counted.about {
            About::Exchange(id) => Some(id),
            About::Unit { .. } => None,
        },
    })
}

/// Reports an outcome that is on record to the evidence; why not, when it is none.
fn count(counted: &Counted, place: &Place, now: Timestamp) -> Result<(), &'static str> {
    let live = place.live.as_ref().map_err(|why| *why)?;
    let signal = Signal {
        unit: place.unit,
        arm: place.arm,
        metric: Metric::External,
        bad: counted.bad,
        admitted_at: Timestamp(place.admitted_us),
        at: now,
    };
    if live.evidence().started() > signal.admitted_at {
        return Err("it happened before the epoch began");
    }
    match counted.about {
        About::Exchange(id) => live.observe_exchange(place.epoch, &Outcome::from(signal), id),
        About::Unit { .. } => live.signal(place.epoch, signal),
    }
    Ok(())
}

fn acknowledged(
    counted: &Counted,
    place: &Place,
    as_evidence: Result<(), &'static str>,
    recorded: bool,
) -> Response<Body> {
    let body = json!({
        "object": "outcome",
        "rollout": place.rollout,
        "arm": place.arm.as_str(),
        "metric": counted.metric,
        "source": counted.source,
        "recorded": recorded,
        "counted": as_evidence.is_ok(),
        "because": as_evidence.err(),
    });
    refuse::json(StatusCode::OK, Bytes::from(body.to_string()))
}
