//! What the alerts' thread looks at in a running gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alerts::probe::{Made, Plan};
use alerts::watch::{Reading, RolloutReading};
use alerts::{Event, Facts, Settings};
use arc_swap::ArcSwap;
use gateway::live::LiveTable;
use gateway::snapshot::Snapshot;
use govern::Residency;
use operations::revalidation::Span;
use providers::Shared;
use rollout::{Arm, Evidence, Metric};
use store::{Database, Journal};

/// How often it is looked whether a completed rollout is to be read anew.
const LOOK_EVERY_US: u64 = 600_000_000;

/// The gateway as it runs.
pub(crate) struct Looking {
    pub(crate) live: Arc<LiveTable>,
    pub(crate) journal: Journal,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    /// When completed rollouts were looked at last, Unix microseconds.
    pub(crate) looked_us: AtomicU64,
}

impl Facts for Looking {
    fn reading(&self) -> Reading {
        let journal = self.journal.counts();
        let lost = journal.dropped + journal.failed;
        let mut reading = Reading { journal_records: journal.records + lost, journal_lost: lost, ..Reading::default() };
        for live in self.live.all() {
            if !live.view().watching {
                continue;
            }
            let evidence = live.evidence();
            let coverage = evidence.coverage();
            reading.shadow_offered += coverage.offered + coverage.n_dropped();
            reading.shadow_dropped += coverage.n_dropped();
            reading.rollouts.push(RolloutReading {
                name: live.identity.name.clone(),
                epoch: evidence.epoch(),
                judged: judged(&evidence),
                requests: requests(&evidence),
            });
        }
        reading
    }

    fn probes(&self) -> Vec<Plan> {
        let snapshot = self.snapshot.load();
        let serving = self.live.all().into_iter().filter(|live| live.view().share > 0.0);
        let plan = |live: Arc<gateway::live::LiveRollout>| {
            let every = snapshot.rollouts.get(&live.identity.name)?.probe_every?;
            let target = snapshot.target(&live.identity.baseline)?;
            let (endpoint, body, special) = gateway::probe::question(target);
            let (rollout, target_name) = (live.identity.name.clone(), target.name.clone());
            let provider = Arc::clone(&target.provider);
            Some(Plan { rollout, target: target_name, provider, endpoint, body, special, every })
        };
        serving.filter_map(plan).collect()
    }

    fn probed(&self, plan: &Plan, made: &Made) {
        let snapshot = self.snapshot.load();
        let Some(target) = snapshot.target(&plan.target) else { return };
        let live = self.live.all().into_iter().find(|live| live.identity.name == plan.rollout);
        let asked = gateway::probe::Asked {
            rollout: (&plan.rollout, live.map_or(0, |live| live.view().epoch)),
            started_us: made.started_us,
            took: made.took,
            status: made.status.map(|status| status.as_u16()),
            failure: made.failure,
            body: &made.body,
        };
        if self.journal.submit(&gateway::probe::record(&snapshot, target, &asked)).is_err() {
            tracing::warn!(rollout = plan.rollout, "a probe and its cost are not on record");
        }
    }

    fn findings(&self, database: &Database, now_us: u64) -> Vec<Event> {
        if now_us.saturating_sub(self.looked_us.load(Ordering::Relaxed)) < LOOK_EVERY_US {
            return Vec::new();
        }
        self.looked_us.store(now_us, Ordering::Relaxed);
        let snapshot = self.snapshot.load();
        let span_of = |name: &str| {
            let (every, sample) = snapshot.rollouts.get(name)?.revalidate?;
            Some(Span { back_us: u64::try_from(every.as_micros()).unwrap_or(u64::MAX), sample })
        };
        operations::revalidation::due(database, span_of, now_us).unwrap_or_else(|error| {
            tracing::error!(%error, "completed rollouts could not be read anew");
            Vec::new()
        })
    }

    fn is_internal(&self, rollout: &str) -> bool {
        let snapshot = self.snapshot.load();
        let route = snapshot.rollouts.get(rollout).and_then(|settings| snapshot.routes.get(&settings.route));
        route.is_some_and(|route| route.residency == Residency::Internal)
    }
}

/// What evidence has judged: it grows with every outcome, pair, copy and signal.
fn judged(evidence: &Evidence) -> u64 {
    let tally = |arm| Metric::ALL.into_iter().map(move |metric| (arm, metric));
    let judged =
        tally(Arm::Baseline).chain(tally(Arm::Candidate)).map(|(arm, metric)| evidence.arm(arm).tally(metric).n);
    judged.sum::<u64>() + evidence.coverage().offered + evidence.coverage().n_dropped()
}

/// Requests of the rollout's route in this epoch. In shadow the candidate's are copies.
fn requests(evidence: &Evidence) -> u64 {
    let of = |arm| evidence.arm(arm).tally(Metric::Error).n;
    if evidence.share() > 0.0 { of(Arm::Baseline) + of(Arm::Candidate) } else { of(Arm::Baseline) }
}

/// Starts telling.
pub(crate) fn start(
    looking: Looking,
    database: Database,
    providers: Shared,
    settings: Arc<ArcSwap<Settings>>,
) -> std::io::Result<alerts::Alerts> {
    let parts = alerts::Parts { database, providers, settings, facts: Box::new(looking), tick: alerts::run::TICK };
    alerts::Alerts::start(parts)
}
