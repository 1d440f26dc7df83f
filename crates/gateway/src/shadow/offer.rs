//! What a worker leaves at the shadow's door: one copy of a request for each rollout that drew it. It never waits.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use govern::Residency;
use govern::policy::Policy;
use providers::Sent;
use tokio::sync::mpsc::error::TrySendError;
use wire::ids::ExchangeId;
use wire::private::Private;
use wire::record::{Arm, DrawnRecord, Record, ShadowDrop, ShadowRecord};

use super::{Drawn, Pair, Room, Stratum};
use crate::assign::Assignment;
use crate::live::LiveRollout;
use crate::parse::Parsed;
use crate::record::{Arrival, Exchange};
use crate::worker::Worker;

/// A baseline request to be copied.
pub(crate) struct Offer {
    pub(super) id: ExchangeId,
    pub(super) request: Arc<Parsed>,
    pub(super) live: Arc<LiveRollout>,
    pub(super) epoch: u32,
    pub(super) unit: u64,
    pub(super) drawn: Drawn,
    pub(super) stratum: Arc<Stratum>,
    pub(super) pair: Arc<Pair>,
    pub(super) arrival: Arrival,
    pub(super) affinity: Option<u64>,
    pub(super) residency: Residency,
    pub(super) policy: Option<Arc<Policy>>,
    /// When it was left; `None` for one that is made later than its request came.
    pub(super) offered: Option<Instant>,
    /// What it holds, once it is taken.
    pub(super) room: Option<Room>,
}

impl Offer {
    /// How many answers may come to it.
    pub(super) fn n_answers(&self) -> usize {
        1 + usize::from(self.drawn.duplicate)
    }

    /// How it was drawn, for the record.
    pub(super) fn drawn_record(&self, at_us: u64) -> DrawnRecord {
        DrawnRecord {
            id: self.id,
            rollout: self.live.identity.name.clone(),
            epoch: self.epoch,
            at_us,
            probability: self.drawn.probability,
            size: self.stratum.size.to_owned(),
            task: self.stratum.task.clone(),
            streamed: self.stratum.streamed,
            unit: self.unit,
            duplicate: self.drawn.duplicate,
            internal: self.residency == Residency::Internal,
        }
    }
}

/// What to do once the baseline's request was written: leave copies at the shadow's door. `None` when this request is not
/// copied. Never waits.
pub(crate) fn on_sent(exchange: &mut Exchange, arm: Option<Arm>) -> Option<Sent> {
    let assignment = exchange.assignment.as_ref()?;
    let stratum = assignment.stratum.clone()?;
    // A request that its caller's SDK sends again was drawn when it came first.
    let first = exchange.attempts.is_empty() && exchange.pairs.is_empty() && !exchange.request.sent_before();
    if !first || arm != Some(Arm::Baseline) || assignment.arm != Arm::Baseline {
        return None;
    }
    let snapshot = &exchange.prepared.snapshot;
    let mut offers = Vec::with_capacity(1);
    for (live, epoch, unit, drawn) in drawn_for(assignment) {
        let is_later = snapshot.rollouts.get(&live.identity.name).is_some_and(|it| it.shadow.deferred.is_some());
        let pair = Arc::new(Pair::new(&live, epoch, unit, (exchange.arrival.unix_us, exchange.id, &stratum)));
        if !is_later {
            exchange.pairs.push(Arc::clone(&pair));
        }
        let offer = Offer {
            id: exchange.id,
            request: Arc::clone(&exchange.request),
            live,
            epoch,
            unit,
            drawn,
            stratum: Arc::clone(&stratum),
            pair,
            arrival: exchange.arrival,
            affinity: exchange.affinity,
            residency: exchange.residency,
            policy: exchange.route.policy.clone(),
            offered: None,
            room: None,
        };
        offers.push((offer, is_later));
    }
    let worker = Rc::clone(&exchange.worker);
    Some(Box::new(move || {
        for (offer, is_later) in offers {
            let (id, live, epoch) = (offer.id, Arc::clone(&offer.live), offer.epoch);
            let left = if is_later { note(&worker, &offer) } else { leave(&worker, offer) };
            live.shadow_drawn(epoch, &stratum.name, left);
            match left {
                Ok(()) => crate::counters::add(&worker.counters.shadow_offered, 1),
                Err(reason) => {
                    worker.counters.count_shadow_drop(reason);
                    not_taken(&worker, id, (&live, epoch), reason);
                }
            }
        }
    }))
}

/// The rollouts that drew a request, with its epoch and unit in each.
fn drawn_for(assignment: &Assignment) -> impl Iterator<Item = (Arc<LiveRollout>, u32, u64, Drawn)> {
    let own = assignment.shadow.map(|drawn| (Arc::clone(&assignment.live), assignment.epoch, assignment.unit, drawn));
    let others = assignment.contenders.iter().filter_map(|contender| {
        Some((Arc::clone(&contender.live), contender.epoch, contender.unit, contender.shadow?))
    });
    own.into_iter().chain(others)
}

/// Leaves a copy at the door, when there is room for it.
fn leave(worker: &Worker, mut offer: Offer) -> Result<(), ShadowDrop> {
    let door = &worker.shadow;
    if door.governor.is_overloaded() {
        return Err(ShadowDrop::Overload);
    }
    offer.room = Some(door.reserve(offer.request.body.len(), offer.n_answers()).ok_or(ShadowDrop::MemoryFull)?);
    offer.offered = Some(Instant::now());
    door.sender.try_send(offer).map_err(|error| match error {
        TrySendError::Full(_) => ShadowDrop::QueueFull,
        TrySendError::Closed(_) => ShadowDrop::ShuttingDown,
    })
}

/// Writes down that a request is to be copied later.
fn note(worker: &Worker, offer: &Offer) -> Result<(), ShadowDrop> {
    let record = Record::Drawn(offer.drawn_record(offer.arrival.unix_us));
    match worker.deps.journal.submit(&record) {
        Ok(_) => Ok(()),
        Err(_) => Err(ShadowDrop::NotOnRecord),
    }
}

/// Writes down that a copy was dropped at the door, so that every request that was drawn is on record as a pair or as none.
/// Nobody waits for it.
fn not_taken(worker: &Worker, id: ExchangeId, (live, epoch): (&LiveRollout, u32), reason: ShadowDrop) {
    let record = Record::Shadow(ShadowRecord {
        id,
        rollout: live.identity.name.clone(),
        epoch,
        attempt: None,
        drop: Some(reason),
        body: Private::new(bytes::Bytes::new()),
        declined: None,
    });
    if worker.deps.journal.submit(&record).is_err() {
        crate::counters::add(&worker.counters.records_failed, 1);
    }
}
