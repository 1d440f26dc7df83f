//! What of a rollout is alive between two snapshots: its share, its evidence, and the wire between a breach and the switch.
//!
//! A worker reads [`LiveRollout::view`] before every attempt and reports every outcome to [`LiveRollout::observe`]. When an
//! outcome completes a breach, the same call takes the share to 0 before it returns: one atomic store, no disk, no other
//! thread. Writing it down and telling others comes after, and is the controller's work ([`crate::control`]). Only the
//! controller ever publishes a view with a higher share.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use rollout::{
    Breach, Compared, CostOutcome, Evidence, Input, InputLog, InputPart, JudgedPair, Metric, MetricSet, Objectives,
    Outcome, PairOutcome, SeenUnit, Signal, Timestamp, Unit,
};
use wire::ids::ExchangeId;
use wire::record::{ShadowDrop, UnitSource};

use crate::detour::Detour;
use crate::drill::{Drill, Script};
use crate::lately::Lately;
use crate::snapshot::Snapshot;
use crate::snapshot::cohorts::{cohort_of, slot};

/// Microseconds since the Unix epoch, by the system clock.
#[must_use]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
}

/// The part of a rollout's state that the request path acts on. Immutable; replaced whole.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The span of constant share this belongs to; outcomes are counted for it alone.
    pub epoch: u32,
    /// The persisted state this was published from.
    pub generation: u64,
    /// The candidate's fraction of assigned units, 0..1.
    pub share: f64,
    /// Top of the interval that stays on the baseline, 0..1.
    pub holdback: f64,
    /// Fraction of baseline requests copied to the candidate, 0..1.
    pub shadow_sample: f64,
    /// Whether outcomes are counted: false once rolled back or aborted.
    pub watching: bool,
    /// Whether the candidate serves for good: it has soaked at full. Guards are armed still.
    pub completed: bool,
}

/// A breach as the process saw it: what, when, and how long until the share was 0.
#[derive(Debug, Clone)]
pub struct Trip {
    /// What the guards found.
    pub breach: Breach,
    /// The epoch it was found in.
    pub epoch: u32,
    /// When the breaching outcome was observed.
    pub at: Timestamp,
    /// From the first counted bad event of the candidate in this epoch to the breach.
    pub time_to_detect: Duration,
    /// From the breaching outcome to the share being 0.
    pub time_to_switch: Duration,
    /// Candidate attempts begun in this epoch up to the breach.
    pub candidate_attempts: u64,
    /// Candidate attempts under way at the switch; they finish or fail, and are reported apart.
    pub in_flight: u64,
}

/// Who is compared with whom. Never changes while the rollout lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The rollout's name.
    pub name: String,
    /// The route it splits.
    pub route: String,
    /// Target in production today.
    pub baseline: String,
    /// Target on trial.
    pub candidate: String,
    /// What is assigned and stays together.
    pub unit: Unit,
    /// Salt of the assignment hash.
    pub salt: String,
    /// Hash of both targets as the evidence knows them.
    pub fingerprint: String,
}

/// One rollout in memory, shared by every worker, the shadow and the controller.
#[derive(Debug)]
pub struct LiveRollout {
    /// Who is compared with whom.
    pub identity: Identity,
    view: ArcSwap<View>,
    objectives: ArcSwap<Objectives>,
    slot: OnceLock<String>,
    counting: Mutex<Counting>,
    trip: Mutex<Option<Trip>>,
    tripped: AtomicBool,
    first_bad_us: AtomicU64,
    attempts: Attempts,
    stale_outcomes: AtomicU64,
    controller: Waker,
    /// The drill that is on, on the rollout itself; its script, on what stands in for it.
    drill: ArcSwapOption<Drill>,
    script: Option<Arc<Script>>,
}

/// The evidence, and what it counted since it was last written down.
#[derive(Debug)]
pub(crate) struct Counting {
    pub(crate) evidence: Evidence,
    pub(crate) log: InputLog,
    /// Which exchanges are in it.
    pub(crate) lately: Lately,
}

/// What was counted up to one moment, all of it taken at that moment.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    pub(crate) at: Timestamp,
    pub(crate) evidence: Evidence,
    pub(crate) units: Vec<SeenUnit>,
    pub(crate) inputs: InputPart,
    /// Which exchanges it counted lately.
    pub(crate) lately: Lately,
    /// How many entries the epoch has counted.
    pub(crate) position: u64,
}

impl Counting {
    /// Counts what is about to be counted, and has counted nothing yet.
    pub(crate) fn begin(evidence: Evidence) -> Self {
        Self { evidence, log: InputLog::default(), lately: Lately::default() }
    }

    pub(crate) fn count(&mut self, input: Input) -> Option<Breach> {
        let breach = self.evidence.take(&input);
        self.log.push(input);
        breach
    }

    /// Copied under the lock, to be serialized outside it: the request path waits some microseconds, twice a second.
    pub(crate) fn take(&mut self) -> Counted {
        Counted {
            at: now(),
            evidence: self.evidence.snapshot(),
            units: self.evidence.take_new_seen_units(),
            position: self.log.next(),
            inputs: self.log.take(),
            lately: self.lately.clone(),
        }
    }
}

/// Candidate attempts, counted where they begin and end.
#[derive(Debug, Default)]
struct Attempts {
    begun: AtomicU64,
    /// Of these, before the current epoch.
    begun_before: AtomicU64,
    in_flight: AtomicU64,
}

impl Attempts {
    fn in_epoch(&self) -> u64 {
        self.begun.load(Ordering::Acquire).saturating_sub(self.begun_before.load(Ordering::Acquire))
    }
}

/// Candidate attempts as they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptCounts {
    /// Begun since the rollout became live in this process.
    pub begun: u64,
    /// Under way.
    pub in_flight: u64,
}

/// Held while a candidate attempt is under way.
#[derive(Debug)]
pub struct CandidateAttempt(Arc<LiveRollout>);

impl Drop for CandidateAttempt {
    fn drop(&mut self) {
        self.0.attempts.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Wakes the controller. The channel holds one wake-up: a full channel means it is already on its way.
pub type Waker = std::sync::mpsc::SyncSender<()>;

impl LiveRollout {
    /// A rollout as the controller publishes it.
    #[must_use]
    pub fn new(identity: Identity, view: View, evidence: Evidence, controller: Waker) -> Self {
        Self {
            identity,
            view: ArcSwap::from_pointee(view),
            objectives: ArcSwap::from_pointee(evidence.objectives()),
            slot: OnceLock::new(),
            counting: Mutex::new(Counting::begin(evidence)),
            trip: Mutex::new(None),
            tripped: AtomicBool::new(false),
            first_bad_us: AtomicU64::new(0),
            attempts: Attempts::default(),
            stale_outcomes: AtomicU64::new(0),
            controller,
            drill: ArcSwapOption::empty(),
            script: None,
        }
    }

    /// The same, standing in for a rollout while this script is played.
    #[must_use]
    pub(crate) fn scripted(mut self, script: Arc<Script>) -> Self {
        self.script = Some(script);
        self
    }

    /// What requests are assigned by and counted for: this, or what stands in for it while a drill is on.
    #[must_use]
    pub(crate) fn acting(self: Arc<Self>) -> Arc<Self> {
        let stand_in = self.drill.load().as_ref().and_then(|drill| drill.stand_in(Instant::now()).cloned());
        stand_in.unwrap_or(self)
    }

    /// Whether it is completed and a config without it has its candidate as the route's target: then nothing is left for it to do.
    #[must_use]
    pub fn is_taken_over(&self, snapshot: &Snapshot) -> bool {
        let Identity { route, candidate, .. } = &self.identity;
        self.is_retired(snapshot) && snapshot.routes.get(route).is_some_and(|route| route.target == *candidate)
    }

    /// Whether it is completed and out of the config, which a reload lets go once its place is taken: it splits nothing, whatever its route asks since.
    #[must_use]
    pub fn is_retired(&self, snapshot: &Snapshot) -> bool {
        self.is_completed() && !snapshot.rollouts.contains_key(&self.identity.name)
    }

    /// Whether the candidate serves for good, and nobody took it back.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        let view = self.view();
        view.completed && view.share > 0.0
    }

    /// Begins a drill, or ends the one that is on. The controller alone calls this.
    pub(crate) fn drill(&self, drill: Option<Arc<Drill>>) {
        self.drill.store(drill);
    }

    /// What is played in the candidate's place.
    #[must_use]
    pub(crate) fn script(&self) -> Option<&Arc<Script>> {
        self.script.as_ref()
    }

    /// The same, going on with what was counted before.
    #[must_use]
    pub(crate) fn counting(mut self, counting: Counting) -> Self {
        self.objectives.store(Arc::new(counting.evidence.objectives()));
        self.counting = Mutex::new(counting);
        self
    }

    /// The slice of a route's traffic that it is about: the whole route, or a cohort of it.
    #[must_use]
    pub fn slot(&self) -> &str {
        self.slot.get_or_init(|| slot(&self.identity.route, cohort_of(&self.identity.name)))
    }

    /// What an answer may take.
    #[must_use]
    pub fn objectives(&self) -> Objectives {
        **self.objectives.load()
    }

    /// Share, epoch and sampling as they stand this moment. Read again before every attempt.
    pub fn view(&self) -> Guard<Arc<View>> {
        self.view.load()
    }

    /// Asks to begin a candidate attempt for a unit at `position`: `None` when the share no longer covers it.
    ///
    /// The attempt counts as under way before the share is read, so that one which read the old share is always among those
    /// that a rollback reports as in flight.
    #[must_use]
    pub fn begin_candidate(self: &Arc<Self>, position: u64) -> Option<CandidateAttempt> {
        self.attempts.in_flight.fetch_add(1, Ordering::AcqRel);
        let attempt = CandidateAttempt(Arc::clone(self));
        let view = self.view.load();
        if rollout::assign::arm(position, view.share, view.holdback) != rollout::Arm::Candidate {
            return None;
        }
        self.attempts.begun.fetch_add(1, Ordering::AcqRel);
        Some(attempt)
    }

    /// Asks to begin an attempt that its caller wants of the candidate, whatever the share: `None` once the candidate was thrown back.
    #[must_use]
    pub fn begin_forced(self: &Arc<Self>) -> Option<CandidateAttempt> {
        self.attempts.in_flight.fetch_add(1, Ordering::AcqRel);
        let attempt = CandidateAttempt(Arc::clone(self));
        self.view.load().watching.then_some(attempt)
    }

    /// Counts one live outcome of `epoch`. Takes the share to 0 before returning when it completes a breach.
    pub fn observe(&self, epoch: u32, outcome: &Outcome) {
        if outcome.arm == rollout::Arm::Candidate && !outcome.bad.is_empty() {
            self.note_first_bad(outcome.at);
        }
        self.count(epoch, outcome.at, Input::Outcome(*outcome));
    }

    /// Counts one live outcome of `epoch`, and remembers the exchange if it is a bad one.
    pub(crate) fn observe_exchange(&self, epoch: u32, outcome: &Outcome, exchange: ExchangeId) {
        self.note_example(epoch, (outcome.arm, outcome.bad, outcome.admitted_at), exchange);
        self.observe(epoch, outcome);
    }

    /// Counts what came of an attempt that ended at `ended_us`, what it cost, and that it is counted: all of it or, after a crash, none.
    pub(crate) fn observe_answer(
        &self,
        epoch: u32,
        (outcome, cost): (&Outcome, Option<CostOutcome>),
        (exchange, ended_us): (ExchangeId, u64),
    ) {
        if outcome.arm == rollout::Arm::Candidate && !outcome.bad.is_empty() {
            self.note_first_bad(outcome.at);
        }
        let inputs = [example(outcome, exchange), Some(Input::Outcome(*outcome)), cost.map(Input::Cost)];
        self.count_all(epoch, outcome.at, inputs.into_iter().flatten(), |lately| lately.counted(exchange, ended_us));
    }

    /// Counts that an attempt which is under way is late.
    pub(crate) fn observe_late(&self, epoch: u32, outcome: &Outcome, exchange: ExchangeId) {
        if outcome.arm == rollout::Arm::Candidate {
            self.note_first_bad(outcome.at);
        }
        let inputs = [example(outcome, exchange), Some(Input::Outcome(*outcome))];
        let late = outcome.observed;
        self.count_all(epoch, outcome.at, inputs.into_iter().flatten(), |lately| lately.late(exchange, late));
    }

    /// Counts one complete pair of `epoch`, and remembers the exchange if either side of it is bad.
    pub(crate) fn observe_paired_exchange(
        &self,
        epoch: u32,
        pair: &PairOutcome,
        (exchange, stratum): (ExchangeId, &str),
    ) {
        self.note_example(epoch, (rollout::Arm::Candidate, pair.candidate_bad, pair.admitted_at), exchange);
        // In shadow the baseline's half is counted with its request; what only the pair shows of it is the same request's.
        self.observe_pair(epoch, pair, stratum);
    }

    /// Counts what somebody says of an answer that was admitted in `epoch`: feedback, a verdict, something outside. One of an epoch that
    /// is over counts among the stale outcomes. A bad one may complete a breach like any outcome.
    pub fn signal(&self, epoch: u32, signal: Signal) {
        self.observe(epoch, &signal.into());
    }

    /// Counts one complete pair of `epoch`, of a kind of request.
    pub fn observe_pair(&self, epoch: u32, pair: &PairOutcome, stratum: &str) {
        if !pair.candidate_bad.is_empty() {
            self.note_first_bad(pair.at);
        }
        let stratum: Cow<'static, str> = stratum.to_owned().into();
        self.count(epoch, pair.at, Input::PairOf { stratum, admitted_at: pair.admitted_at });
        self.count(epoch, pair.at, Input::Pair(*pair));
    }

    /// Counts how far the answers of a pair are apart.
    pub fn observe_comparison(&self, epoch: u32, compared: Compared) {
        self.count(epoch, now(), Input::Compared(compared));
    }

    /// Counts what checks say of a pair, and remembers the exchange if the candidate's answer is bad. It may complete a breach.
    pub(crate) fn observe_judged(&self, epoch: u32, pair: JudgedPair, exchange: ExchangeId) {
        let at = pair.at;
        if pair.candidate_bad {
            self.note_first_bad(at);
            let bad = MetricSet::of(&[Metric::Judged]);
            self.note_example(epoch, (rollout::Arm::Candidate, bad, pair.admitted_at), exchange);
        }
        self.count(epoch, at, Input::Judged(pair));
    }

    /// Counts a copy that the shadow took and that came to nothing.
    pub fn shadow_dropped(&self, epoch: u32, reason: ShadowDrop, stratum: &str) {
        let (reason, stratum) = (reason.as_str().into(), stratum.to_owned().into());
        self.count(epoch, now(), Input::ShadowDrop { reason, stratum, drawn: false });
    }

    /// Counts a baseline request that was drawn: the shadow took it, or it did not for this reason.
    pub fn shadow_drawn(&self, epoch: u32, stratum: &str, taken: Result<(), ShadowDrop>) {
        let stratum = stratum.to_owned().into();
        let input = match taken {
            Ok(()) => Input::ShadowOffer { stratum },
            Err(reason) => Input::ShadowDrop { reason: reason.as_str().into(), stratum, drawn: true },
        };
        self.count(epoch, now(), input);
    }

    /// Counts where a unit's key came from.
    pub fn count_key_source(&self, epoch: u32, source: UnitSource) {
        self.count(epoch, now(), Input::KeySource { source: source.as_str().into() });
    }

    /// The candidate's circuit breaker opened: harm by itself, whatever the statistics say.
    pub fn breaker_opened(&self) {
        let seen = Instant::now();
        let view = self.view.load();
        if view.watching && view.share > 0.0 {
            self.switch_off(Breach::breaker_opened(), view.epoch, now(), seen);
        }
    }

    /// Candidate attempts as they stand.
    #[must_use]
    pub fn attempt_counts(&self) -> AttemptCounts {
        AttemptCounts {
            begun: self.attempts.begun.load(Ordering::Acquire),
            in_flight: self.attempts.in_flight.load(Ordering::Acquire),
        }
    }

    /// Outcomes that arrived for an epoch that had ended; they are no evidence.
    #[must_use]
    pub fn stale_outcomes(&self) -> u64 {
        self.stale_outcomes.load(Ordering::Relaxed)
    }

    /// The evidence of the current epoch, as it stands, without the units it has counted.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        self.lock_counting().evidence.snapshot()
    }

    /// Reads the evidence without copying it, or takes what was counted since it was written down.
    pub(crate) fn with_counting<T>(&self, work: impl FnOnce(&mut Counting) -> T) -> T {
        work(&mut self.lock_counting())
    }

    /// Hands the counting over to whoever takes this one's place; what comes in after that is lost.
    pub(crate) fn hand_over(&self) -> Counting {
        let mut counting = self.lock_counting();
        let left = counting.evidence.snapshot();
        Counting {
            evidence: std::mem::replace(&mut counting.evidence, left),
            log: std::mem::take(&mut counting.log),
            lately: std::mem::take(&mut counting.lately),
        }
    }

    /// The breach that took the share to 0 and is not written down yet.
    pub(crate) fn pending_trip(&self) -> Option<Trip> {
        lock(&self.trip).clone()
    }

    /// The breach has been written down.
    pub(crate) fn trip_persisted(&self) {
        *lock(&self.trip) = None;
    }

    /// Publishes a view for the same epoch or, with `evidence`, for a new one. The controller alone calls this. A trip
    /// that is not yet written down wins over whatever the controller wanted to publish.
    pub(crate) fn publish(&self, view: View, evidence: Option<Evidence>) -> bool {
        let trip = lock(&self.trip);
        if trip.is_some() && view.share > 0.0 {
            return false;
        }
        if let Some(evidence) = evidence {
            self.objectives.store(Arc::new(evidence.objectives()));
            *self.lock_counting() = Counting::begin(evidence);
            self.first_bad_us.store(0, Ordering::Release);
            self.attempts.begun_before.store(self.attempts.begun.load(Ordering::Acquire), Ordering::Release);
        }
        self.tripped.store(trip.is_some() || !view.watching, Ordering::Release);
        self.view.store(Arc::new(view));
        true
    }

    fn count(&self, epoch: u32, at: Timestamp, input: Input) {
        self.count_all(epoch, at, std::iter::once(input), |_| ());
    }

    fn count_all(
        &self,
        epoch: u32,
        at: Timestamp,
        inputs: impl Iterator<Item = Input>,
        note: impl FnOnce(&mut Lately),
    ) {
        let breach = {
            let mut counting = self.lock_counting();
            if counting.evidence.epoch() != epoch {
                self.stale_outcomes.fetch_add(1, Ordering::Relaxed);
                return;
            }
            note(&mut counting.lately);
            inputs.fold(None, |breach, input| counting.count(input).or(breach))
        };
        if let Some(breach) = breach {
            self.switch_off(breach, epoch, at, Instant::now());
        }
    }

    /// Before the outcome is counted: a breach that it completes is to show it.
    fn note_example(&self, epoch: u32, (arm, bad, admitted_at): (rollout::Arm, MetricSet, Timestamp), id: ExchangeId) {
        if bad.is_empty() {
            return;
        }
        let example = Input::Example { arm, bad, admitted_at, exchange: id.to_string() };
        let mut counting = self.lock_counting();
        if counting.evidence.epoch() == epoch {
            counting.count(example);
        }
    }

    /// The share goes to 0 first; only then is the breach noted for the controller.
    fn switch_off(&self, breach: Breach, epoch: u32, at: Timestamp, seen: Instant) {
        if self.tripped.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut noted = lock(&self.trip);
        let view = self.view.load_full();
        if view.epoch != epoch {
            self.tripped.store(false, Ordering::Release);
            return;
        }
        self.view.store(Arc::new(View { share: 0.0, shadow_sample: 0.0, watching: false, ..(*view).clone() }));
        if let Some(script) = &self.script {
            script.switched_off(Instant::now());
        }
        let first_bad = self.first_bad_us.load(Ordering::Acquire);
        let detect_us = if first_bad == 0 { 0 } else { at.0.saturating_sub(first_bad) };
        *noted = Some(Trip {
            breach,
            epoch,
            at,
            time_to_detect: Duration::from_micros(detect_us),
            time_to_switch: seen.elapsed(),
            candidate_attempts: self.attempts.in_epoch(),
            in_flight: self.attempts.in_flight.load(Ordering::Acquire),
        });
        drop(noted);
        // A full channel means that the controller has a wake-up waiting already; a closed one, that it is gone for good.
        self.controller.try_send(()).ok();
    }

    fn note_first_bad(&self, at: Timestamp) {
        if self.first_bad_us.load(Ordering::Relaxed) == 0 {
            self.first_bad_us.compare_exchange(0, at.0, Ordering::AcqRel, Ordering::Relaxed).ok();
        }
    }

    fn lock_counting(&self) -> MutexGuard<'_, Counting> {
        lock(&self.counting)
    }
}

/// What shows an exchange as an example of what was bad: before the outcome, so that a breach which it completes shows it.
fn example(outcome: &Outcome, exchange: ExchangeId) -> Option<Input> {
    let Outcome { arm, bad, admitted_at, .. } = *outcome;
    (!bad.is_empty()).then(|| Input::Example { arm, bad, admitted_at, exchange: exchange.to_string() })
}

/// A panic elsewhere leaves numbers, not broken invariants, behind: a poisoned lock is taken all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The live rollouts by route, and the candidates that nobody may fall back to. One rollout splits a route; others may copy its requests,
/// each to a candidate of its own.
#[derive(Debug, Default)]
pub struct LiveTable {
    table: ArcSwap<Table>,
    /// The last drill of each rollout, for whoever asks how it went.
    drills: Mutex<HashMap<String, Arc<Drill>>>,
    /// The last detour of a route; one is on at a time.
    detour: ArcSwapOption<Detour>,
}

#[derive(Debug, Default)]
struct Table {
    /// Who splits the route comes first: the one that serves, or the first by name while all are in shadow.
    by_route: HashMap<String, Vec<Arc<LiveRollout>>>,
    barred: HashSet<String>,
}

impl LiveTable {
    /// A table of these rollouts, for a data path that runs without a controller.
    #[must_use]
    pub fn of(rollouts: impl IntoIterator<Item = Arc<LiveRollout>>) -> Self {
        let table = Self::default();
        let rollouts: Vec<_> = rollouts.into_iter().collect();
        let barred = rollouts.iter().map(|live| live.identity.candidate.clone()).collect();
        table.publish(rollouts, barred);
        table
    }

    /// The rollout that splits `route`, or a cohort of it by its slot, if one is live.
    #[must_use]
    pub fn for_route(&self, route: &str) -> Option<Arc<LiveRollout>> {
        self.table.load().by_route.get(route)?.first().cloned()
    }

    /// The rollouts that copy requests of `route` beside the one that splits it.
    #[must_use]
    pub fn contenders(&self, route: &str) -> Vec<Arc<LiveRollout>> {
        let table = self.table.load();
        table.by_route.get(route).and_then(|all| all.get(1..)).unwrap_or_default().to_vec()
    }

    /// Whether `target` is the candidate of a rollout that has not been completed: under way, thrown back or aborted.
    #[must_use]
    pub fn is_barred(&self, target: &str) -> bool {
        self.table.load().barred.contains(target)
    }

    /// Live rollouts that a config no longer has, or has on another route: it cannot be taken up while they are live. One that is
    /// completed may go where its route serves what it proved.
    #[must_use]
    pub fn lost_by(&self, snapshot: &Snapshot) -> Vec<Arc<LiveRollout>> {
        let lost = |live: &&Arc<LiveRollout>| {
            let settings = snapshot.rollouts.get(&live.identity.name);
            settings.is_none_or(|settings| settings.route != live.identity.route) && !live.is_taken_over(snapshot)
        };
        self.table.load().by_route.values().flatten().filter(lost).cloned().collect()
    }

    /// The last drill of a rollout in this process.
    #[must_use]
    pub fn last_drill(&self, rollout: &str) -> Option<Arc<Drill>> {
        lock(&self.drills).get(rollout).cloned()
    }

    /// Remembers the last drill of a rollout.
    pub(crate) fn note_drill(&self, rollout: &str, drill: &Arc<Drill>) {
        lock(&self.drills).insert(rollout.to_owned(), Arc::clone(drill));
    }

    /// The last detour of a route in this process.
    #[must_use]
    pub fn detour(&self) -> Option<Arc<Detour>> {
        self.detour.load_full()
    }

    /// The detour of this route, when the last one was of it.
    pub(crate) fn detour_of(&self, route: &str) -> Option<Arc<Detour>> {
        let detour = self.detour.load();
        detour.as_ref().filter(|detour| detour.route() == route).map(Arc::clone)
    }

    /// Publishes a detour. The controller alone calls this.
    pub(crate) fn note_detour(&self, detour: Option<Arc<Detour>>) {
        self.detour.store(detour);
    }

    /// Every live rollout.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<LiveRollout>> {
        self.table.load().by_route.values().flatten().cloned().collect()
    }

    /// Replaces the table. The controller alone calls this.
    pub(crate) fn publish(&self, rollouts: impl IntoIterator<Item = Arc<LiveRollout>>, barred: HashSet<String>) {
        let mut by_route: HashMap<String, Vec<Arc<LiveRollout>>> = HashMap::new();
        for live in rollouts {
            by_route.entry(live.slot().to_owned()).or_default().push(live);
        }
        // Stable: those in shadow keep their order.
        by_route.values_mut().for_each(|all| all.sort_by_key(|live| live.view().share <= 0.0));
        self.table.store(Arc::new(Table { by_route, barred }));
    }
}
