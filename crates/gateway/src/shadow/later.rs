//! Copies that are made later than their requests came: drawn and written down when a request was served, made from the record within a
//! window of the day. Each request is taken for good, and that is committed, before its copy is made: a process that dies makes none
//! twice, and what it had under way is on record as interrupted. What has no room waits; only what the day's budget forbids stays for
//! another day.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use govern::Residency;
use tokio_util::task::TaskTracker;
use wire::record::{DrawnRecord, ShadowDrop};

use super::archive::{Archive, Due};
use super::copy::{self, UnderWay};
use super::{Drawn, Offer, Pair, Shadow, Stratum, ruling};
use crate::drain::Phase;
use crate::live::LiveRollout;
use crate::parse::Parsed;
use crate::record::Arrival;

/// How often the window and what waits is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a copy without room waits until it asks again.
const ROOM_EVERY: Duration = Duration::from_millis(20);
/// Requests read at once.
const BATCH: u32 = 32;
/// The day of budgets, in microseconds.
const US_PER_DAY: u64 = 86_400_000_000;

/// Looks for as long as the shadow runs: what rollouts used before this process began, what another process left unfinished, and what
/// is to be copied now.
pub(super) async fn run(shadow: Rc<Shadow>, archive: Rc<Archive>, tasks: TaskTracker) {
    let (mut resumed, mut has_counted) = (HashSet::new(), false);
    loop {
        let rollouts = shadow.deps.live.all();
        for live in &rollouts {
            let name = &live.identity.name;
            if resumed.insert(name.clone()) {
                resume(&shadow, &archive, name).await;
            }
        }
        // Rollouts are live once everything is shipped that earlier processes wrote down: now what is missing is missing.
        if !has_counted && !rollouts.is_empty() {
            has_counted = true;
            count_interrupted(&shadow, &archive, &rollouts).await;
        }
        for live in &rollouts {
            if copy_waiting(&shadow, &archive, live, &tasks).await.is_none() {
                return;
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
        if shadow.phase.get() >= Phase::Closing {
            return;
        }
    }
}

/// Takes up what a rollout's copies and its judge used today.
async fn resume(shadow: &Shadow, archive: &Archive, rollout: &str) {
    let now_us = crate::live::now().0;
    let since_us = now_us / US_PER_DAY * US_PER_DAY;
    if let Some(spend) = archive.spend(rollout, (since_us, shadow.began_us)).await {
        shadow.with_ledger(rollout, |ledger| ledger.resume((spend.nanos, spend.tokens), now_us));
    }
    if let Some(spend) = archive.judge_spend(rollout, (since_us, shadow.began_us)).await {
        shadow.with_ledger(&ruling::ledger_of(rollout), |ledger| {
            ledger.resume((spend.nanos, spend.tokens), now_us);
            ledger.resume_calls(spend.calls, now_us);
        });
    }
}

async fn count_interrupted(shadow: &Shadow, archive: &Archive, rollouts: &[Arc<LiveRollout>]) {
    for row in archive.interrupted(shadow.began_us).await {
        let Some(live) = rollouts.iter().find(|live| live.identity.name == row.drawn.rollout) else { continue };
        let stratum = rollout::coverage::stratum(&row.drawn.size, row.drawn.task.as_deref(), row.drawn.streamed);
        shadow.counters.count_shadow_drop(ShadowDrop::Interrupted);
        live.shadow_dropped(row.drawn.epoch, ShadowDrop::Interrupted, &stratum);
        copy::write_drop(shadow, (row.drawn.id, live, row.drawn.epoch), ShadowDrop::Interrupted);
    }
}

/// Copies what waits of one rollout while its window is open. `None` when the shadow ends.
async fn copy_waiting(
    shadow: &Rc<Shadow>,
    archive: &Archive,
    live: &Arc<LiveRollout>,
    tasks: &TaskTracker,
) -> Option<()> {
    let name = &live.identity.name;
    loop {
        let Some(window) = shadow.settings(name).and_then(|settings| settings.deferred) else { return Some(()) };
        let view = live.view();
        let (epoch, samples) = (view.epoch, view.shadow_sample > 0.0);
        drop(view);
        if !samples || !window.holds(crate::live::now().0) {
            return Some(());
        }
        let waiting = archive.waiting(name, epoch, BATCH).await;
        if waiting.is_empty() {
            archive.forget(name, epoch);
            return Some(());
        }
        for drawn in waiting {
            let is_open = || window.holds(crate::live::now().0) && live.view().epoch == epoch;
            match room(shadow, live, is_open).await {
                Room::Now => {}
                Room::NotToday => return Some(()),
                Room::Never => return None,
            }
            copy_one(shadow, archive, (live, drawn), tasks).await;
        }
    }
}

/// Whether a copy may begin.
enum Room {
    Now,
    NotToday,
    Never,
}

/// Waits for room: nobody waits for a copy that is made later, so nothing is dropped for want of it.
async fn room(shadow: &Shadow, live: &LiveRollout, is_open: impl Fn() -> bool) -> Room {
    loop {
        if shadow.phase.get() >= Phase::Closing {
            return Room::Never;
        }
        if !is_open() {
            return Room::NotToday;
        }
        if shadow.is_idle_enough() {
            match shadow.may_begin(&live.identity.name) {
                Ok(()) => return Room::Now,
                Err(ShadowDrop::BudgetDollars | ShadowDrop::BudgetTokens) => return Room::NotToday,
                Err(_) => {}
            }
        }
        tokio::time::sleep(ROOM_EVERY).await;
    }
}

/// Takes one request for good and copies it.
async fn copy_one(
    shadow: &Rc<Shadow>,
    archive: &Archive,
    (live, drawn): (&Arc<LiveRollout>, DrawnRecord),
    tasks: &TaskTracker,
) {
    let name = &live.identity.name;
    let Some(due) = archive.take(name, drawn.id, crate::live::now().0).await else { return };
    let stratum = Stratum::again(&drawn.size, drawn.task.clone(), drawn.streamed);
    let offer = due.and_then(|due| offer(shadow, (live, &drawn), &stratum, due));
    let mut offer = match offer {
        Ok(offer) => offer,
        Err(why) => {
            tracing::debug!(exchange = %drawn.id, why, "a request cannot be copied later");
            shadow.counters.count_shadow_drop(ShadowDrop::NotOnRecord);
            live.shadow_dropped(drawn.epoch, ShadowDrop::NotOnRecord, &stratum.name);
            return copy::write_drop(shadow, (drawn.id, live, drawn.epoch), ShadowDrop::NotOnRecord);
        }
    };
    // It is taken: from here on it waits until it is made, or the process ends.
    loop {
        if shadow.phase.get() >= Phase::Closing {
            return copy::dropped(shadow, &offer, ShadowDrop::ShuttingDown);
        }
        if shadow.is_idle_enough() {
            offer.room = shadow.door.reserve(offer.request.body.len(), offer.n_answers());
            if offer.room.is_some() && shadow.begin(&mut offer).is_ok() {
                break;
            }
            offer.room = None;
        }
        tokio::time::sleep(ROOM_EVERY).await;
    }
    tasks.spawn_local(copy::send(UnderWay::begin(shadow, offer)));
}

/// The request as it is offered live, but for what only its caller's connection knew.
fn offer(
    shadow: &Shadow,
    (live, drawn): (&Arc<LiveRollout>, &DrawnRecord),
    stratum: &Arc<Stratum>,
    due: Due,
) -> Result<Offer, &'static str> {
    let request = Parsed::of_record(due.endpoint, due.request).map_err(|_| "its body cannot be read")?;
    let pair =
        Pair::new(live, drawn.epoch, drawn.unit, (due.received_us, drawn.id, stratum)).later(due.live, due.heard);
    let route = shadow.prepared().snapshot.routes.get(&live.identity.route).cloned();
    Ok(Offer {
        id: drawn.id,
        request: Arc::new(request),
        live: Arc::clone(live),
        epoch: drawn.epoch,
        unit: drawn.unit,
        drawn: Drawn { probability: drawn.probability, duplicate: drawn.duplicate },
        stratum: Arc::clone(stratum),
        pair: Arc::new(pair),
        arrival: Arrival { at: Instant::now(), unix_us: due.received_us },
        affinity: None,
        residency: if drawn.internal { Residency::Internal } else { Residency::Anywhere },
        policy: route.and_then(|route| route.policy.clone()),
        offered: None,
        room: None,
    })
}
