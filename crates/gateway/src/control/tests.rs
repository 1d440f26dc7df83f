use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use providers::breaker::State;
use providers::{Entry, ProviderConfig};
use rollout::{Arm, Metric, MetricSet, Outcome, PairOutcome, Policy, Risk, Stage, Status, Unit};
use store::{Database, Journal, Shipper, ShipperConfig};
use wire::failure::{Failure, FailureKind};
use wire::ids::ExchangeId;
use wire::private::Private;
use wire::record;

use super::{Control, ControlError, Controller, ControllerParts, RolloutSettings, StoredState, Verb};
use crate::live::{LiveRollout, LiveTable, now};
use crate::snapshot::{Auth, Calling, Drain, Limits, Parameters, Snapshot, Target};
use crate::targets::{Lanes, TargetStates};

const ALL: MetricSet = MetricSet::of(&[Metric::Error, Metric::Timeout, Metric::Format, Metric::ToolCall]);

/// A controller over a store in a folder of its own.
struct Bench {
    dir: tempfile::TempDir,
    live: Arc<LiveTable>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    journal: Journal,
    lanes: Arc<Lanes>,
    controller: Option<Controller>,
    patience: Duration,
    record_ready: Arc<AtomicBool>,
}

impl Bench {
    fn new(policy: Policy) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path().join("journal"), store::Config::default()).unwrap();
        let settings = RolloutSettings {
            name: "support".into(),
            route: "gpt".into(),
            baseline: "a".into(),
            candidate: "b".into(),
            fingerprint: "1".into(),
            policy,
            probe_every: None,
            outcomes: Default::default(),
            shadow: Default::default(),
            facts: Default::default(),
            revalidate: None,
            retry_on_rollback: false,
        };
        let mut bench = Self {
            dir,
            live: Arc::default(),
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot(settings))),
            journal,
            lanes: Arc::default(),
            controller: None,
            patience: Duration::from_secs(60),
            record_ready: Arc::new(AtomicBool::new(true)),
        };
        bench.boot();
        bench
    }

    fn boot(&mut self) {
        self.live = Arc::default();
        let ready = Arc::clone(&self.record_ready);
        let parts = ControllerParts {
            database: Database::open(self.database_path()).unwrap(),
            snapshot: Arc::clone(&self.snapshot),
            live: Arc::clone(&self.live),
            journal: self.journal.clone(),
            lanes: Arc::clone(&self.lanes),
            record_ready: Box::new(move || ready.load(Ordering::Acquire)),
            tick: Duration::from_millis(5),
            store_patience: self.patience,
        };
        self.controller = Some(Controller::start(parts).unwrap());
    }

    /// Dies without saving: the thread goes on to nothing, a new one takes over what the store holds.
    fn crash(&mut self) {
        let old = std::mem::take(&mut self.live);
        std::mem::forget(self.controller.take());
        drop(old);
        self.boot();
    }

    fn database_path(&self) -> std::path::PathBuf {
        self.dir.path().join("crossfade.db")
    }

    fn control(&self) -> Control {
        self.controller.as_ref().unwrap().control()
    }

    fn command(&self, verb: Verb, actor: &str) -> Result<rollout::Transition, ControlError> {
        self.control().command(verb, "support", actor, "because")
    }

    fn live(&self) -> Arc<LiveRollout> {
        self.live.for_route("gpt").unwrap()
    }

    fn stored(&self) -> (StoredState, Policy) {
        let row = Database::open_read_only(self.database_path()).unwrap().load_rollout("support").unwrap().unwrap();
        (serde_json::from_str(&row.state_json).unwrap(), serde_json::from_str(&row.policy_json).unwrap())
    }

    fn audit(&self) -> Vec<store::TransitionRow> {
        Database::open_read_only(self.database_path()).unwrap().transitions(Some("support")).unwrap()
    }
}

fn candidate() -> Target {
    Target {
        name: "b".into(),
        provider: Arc::new(ProviderConfig::simulated("simulated", Default::default())),
        model: "model".into(),
        parameters: Parameters::default(),
        prompt: None,
        translation: Default::default(),
        tokenizer: None,
        space: None,
        claude: Default::default(),
        fingerprint: "b".into(),
        calling: Calling::default(),
    }
}

fn snapshot(settings: RolloutSettings) -> Snapshot {
    Snapshot {
        hash: "h".into(),
        targets: [("b".to_owned(), Arc::new(candidate()))].into(),
        routes: Default::default(),
        passthrough: Default::default(),
        prices: crate::prices::TargetPrices::default(),
        rollouts: [(settings.name.clone(), Arc::new(settings))].into(),
        auth: Auth::default(),
        tenants: Default::default(),
        keeping: Default::default(),
        feedback: Default::default(),
        internal_tenants: Default::default(),
        limits: Limits::default(),
        drain: Drain::default(),
    }
}

/// The low-risk template at once: no waiting, few units.
fn quick() -> Policy {
    let mut policy = Policy::template(Risk::Low);
    policy.unit = Unit::Request;
    policy.warm_up = Duration::ZERO;
    for step in &mut policy.steps {
        step.min_duration = Duration::ZERO;
        step.min_units = step.min_units.min(200);
    }
    policy
}

fn wait_for(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !reached() {
        assert!(Instant::now() < deadline, "never reached: {what}");
        std::thread::yield_now();
    }
}

fn outcome(unit: u64, arm: Arm, bad: MetricSet) -> Outcome {
    let (admitted_at, at) = (now(), now());
    Outcome { unit, arm, admitted_at, at, observed: ALL, bad, time_to_first_token_us: None, duration_us: Some(1000) }
}

fn pair(unit: u64) -> PairOutcome {
    PairOutcome {
        unit,
        admitted_at: now(),
        at: now(),
        observed: ALL,
        baseline_bad: MetricSet::EMPTY,
        candidate_bad: MetricSet::EMPTY,
        time_to_first_token_us: None,
        duration_us: Some(1000),
    }
}

/// Starts a rollout and proves the shadow, so that it serves in canary.
fn to_canary(bench: &Bench) -> Arc<LiveRollout> {
    bench.command(Verb::Start, "ann").unwrap();
    let live = bench.live();
    let epoch = live.view().epoch;
    assert_eq!((live.view().share, live.view().shadow_sample > 0.0), (0.0, true));
    for unit in 0..2000 {
        live.shadow_drawn(epoch, "0k/-/whole", Ok(()));
        live.observe_pair(epoch, &pair(unit), "0k/-/whole");
    }
    wait_for("canary", || live.view().share > 0.0);
    live
}

#[test]
fn a_share_rises_only_after_the_store_has_the_evidence() {
    let bench = Bench::new(quick());
    let live = to_canary(&bench);
    let (stored, policy) = bench.stored();
    assert_eq!(stored.state.stage(&policy), Stage::Canary);
    assert_eq!(stored.state.share(&policy), live.view().share);
    let audit = bench.audit();
    assert_eq!(audit.iter().map(|row| row.event.as_str()).collect::<Vec<_>>(), ["start", "promote"]);
    // It rises as soon as the gates have passed, which may be before the last pair was offered.
    let evidence: serde_json::Value = serde_json::from_str(&audit[1].evidence_json).unwrap();
    assert!(evidence["pairs"].as_u64() >= Some(policy.steps[0].min_pairs), "{evidence}");
    assert!(evidence["gates"].as_array().unwrap().iter().all(|gate| gate["verdict"] == "pass"), "{evidence}");
}

#[test]
fn a_breach_takes_the_share_to_zero_before_observe_returns() {
    let bench = Bench::new(quick());
    let live = to_canary(&bench);
    let view = live.view().clone();
    let mut failures = 0;
    while live.view().share > 0.0 {
        assert!(failures < 20, "20 failures of 20 are no breach?");
        live.observe(view.epoch, &outcome(failures, Arm::Candidate, MetricSet::of(&[Metric::Error])));
        failures += 1;
    }
    wait_for("the audit row", || bench.audit().len() == 3);
    let row = bench.audit().pop().unwrap();
    assert_eq!((row.event.as_str(), row.to.as_str(), row.to_share), ("rollback", "rolled_back", 0.0));
    assert!(row.reason.contains("time_to_switch"), "{}", row.reason);
    assert!(bench.live.for_route("gpt").is_none());
    assert_eq!(bench.stored().0.state.status, Status::RolledBack);
}

#[test]
fn an_open_breaker_of_the_candidate_is_a_trigger_by_itself() {
    let bench = Bench::new(quick());
    let live = to_canary(&bench);
    live.breaker_opened();
    assert_eq!(live.view().share, 0.0);
    wait_for("the audit row", || bench.audit().last().is_some_and(|row| row.reason.contains("circuit breaker")));
}

/// Opens the candidate's breaker of a lane by calls that failed at `at`: its pause is over within two seconds of that.
fn fail(lane: &TargetStates, at: Instant) {
    let target = candidate();
    let health = lane.health(&target, &target.provider);
    let down = Failure::new(FailureKind::Connect, "connection refused");
    for _ in 0..5 {
        let Entry::Yes(permit) = health.enter(at) else { panic!("shut") };
        health.record(Some(permit), Some(&down), at, 0.5);
    }
    assert_eq!(health.state(), State::Open);
}

#[test]
fn a_breaker_that_callers_opened_long_ago_holds_no_copies_and_ends_no_new_trial() {
    let bench = Bench::new(quick());
    fail(&bench.lanes.live, Instant::now().checked_sub(Duration::from_secs(10)).unwrap());
    let live = to_canary(&bench);
    // The controller looks at it once between two commands, and would throw back what is paused too.
    bench.command(Verb::Pause, "ann").unwrap();
    bench.command(Verb::Resume, "ann").unwrap();
    assert!(live.view().share > 0.0);
    let events: Vec<_> = bench.audit().into_iter().map(|row| row.event).collect();
    assert_eq!(events, ["start", "promote", "pause", "resume"]);
    // The guard is armed as ever: what opens anew throws it back.
    fail(&bench.lanes.live, Instant::now());
    wait_for("the audit row", || bench.audit().last().is_some_and(|row| row.reason.contains("circuit breaker")));
    assert_eq!(live.view().share, 0.0);
}

#[test]
fn nothing_is_promoted_while_the_copies_breaker_is_open_or_callers_are_refused() {
    let soon = Duration::from_secs(60);
    for (at, is_for_copies) in [(Instant::now(), true), (Instant::now() + soon, false)] {
        let bench = Bench::new(quick());
        let lane = if is_for_copies { &bench.lanes.shadow } else { &bench.lanes.live };
        fail(lane, at);
        bench.command(Verb::Start, "ann").unwrap();
        let live = bench.live();
        for unit in 0..2000 {
            live.shadow_drawn(live.view().epoch, "0k/-/whole", Ok(()));
            live.observe_pair(live.view().epoch, &pair(unit), "0k/-/whole");
        }
        let refused = bench.command(Verb::Promote, "ann").unwrap_err().to_string();
        assert!(refused.contains("the candidate's circuit breaker is open (connection refused)"), "{refused}");
        bench.command(Verb::Pause, "ann").unwrap();
        assert_eq!((live.view().share, bench.audit().len()), (0.0, 2), "the gates did not pass by themselves");
    }
}

#[test]
fn a_breaker_that_other_routes_opened_ends_the_rollout_too() {
    let bench = Bench::new(quick());
    let live = to_canary(&bench);
    fail(&bench.lanes.live, Instant::now());
    wait_for("the audit row", || bench.audit().last().is_some_and(|row| row.reason.contains("circuit breaker")));
    assert_eq!(live.view().share, 0.0);
}

#[test]
fn a_restart_goes_on_where_the_store_stands() {
    let mut bench = Bench::new(quick());
    let live = to_canary(&bench);
    let view = live.view().clone();
    for unit in 0..50 {
        live.observe(view.epoch, &outcome(unit, Arm::Baseline, MetricSet::EMPTY));
    }
    wait_for("evidence saved", || {
        let database = Database::open_read_only(bench.database_path()).unwrap();
        let saved = database.load_evidence("support", view.epoch).unwrap();
        saved.is_some_and(|row| {
            let evidence: rollout::Evidence = serde_json::from_str(&row.json).unwrap();
            evidence.arm(Arm::Baseline).tally(Metric::Error).n == 50
        })
    });
    bench.crash();
    let resumed = bench.live();
    assert_eq!((resumed.view().share, resumed.view().epoch), (view.share, view.epoch));
    assert_eq!(resumed.evidence().arm(Arm::Baseline).tally(Metric::Error).n, 50);
}

#[test]
fn a_breach_that_died_with_its_process_is_found_in_the_record() {
    let mut bench = Bench::new(quick());
    let live = to_canary(&bench);
    let view = live.view().clone();
    let shipper = ship(&bench.journal, &bench.database_path());
    for n in 0..40 {
        record_failed_candidate(&bench.journal, n, (view.epoch, view.share), now().0);
    }
    assert!(shipper.flush(Duration::from_secs(10)));
    bench.crash();
    assert!(bench.live.for_route("gpt").is_none_or(|live| live.view().share == 0.0));
    assert_eq!(bench.stored().0.state.status, Status::RolledBack);
    shipper.stop();
}

#[test]
fn what_was_not_counted_before_a_crash_is_counted_after_it_and_nothing_twice() {
    let mut bench = Bench::new(quick());
    let live = to_canary(&bench);
    let view = live.view().clone();
    let shipper = ship(&bench.journal, &bench.database_path());
    let at = now().0;
    let record = |n, at| record_failed_candidate(&bench.journal, n, (view.epoch, view.share), at);
    // The first ended long before the saving and was not counted by then; the third is counted, and ended after the saving by its clock.
    let (_, counted, ahead) = (record(1, at), record(2, at), record(3, at + 1_500_000));
    let failed = MetricSet::of(&[Metric::Error]);
    for (unit, (exchange, ended_us)) in [(2, counted), (3, ahead)] {
        live.observe_answer(view.epoch, (&outcome(unit, Arm::Candidate, failed), None), (exchange, ended_us));
    }
    let saved = || {
        let database = Database::open_read_only(bench.database_path()).unwrap();
        let row = database.load_evidence("support", view.epoch).unwrap()?;
        let evidence: rollout::Evidence = serde_json::from_str(&row.json).unwrap();
        Some((evidence.arm(Arm::Candidate).tally(Metric::Error).n, row.updated_at_us))
    };
    wait_for("evidence saved", || saved().is_some_and(|(n, saved_us)| n == 2 && saved_us > at + 10));
    assert!(shipper.flush(Duration::from_secs(10)));
    for _ in 0..2 {
        bench.crash();
        let tally = bench.live().evidence().arm(Arm::Candidate).tally(Metric::Error);
        assert_eq!((tally.n, tally.bad), (3, 3));
    }
    shipper.stop();
}

#[test]
fn until_the_record_is_in_the_store_everybody_is_on_the_baseline() {
    let mut bench = Bench::new(quick());
    let share = to_canary(&bench).view().share;
    bench.record_ready.store(false, Ordering::Release);
    bench.crash();
    assert!(bench.live.for_route("gpt").is_none());
    assert!(bench.live.is_barred("b"));
    assert!(matches!(bench.command(Verb::Pause, "ann"), Err(ControlError::Refused(_))));
    bench.record_ready.store(true, Ordering::Release);
    wait_for("taken up", || bench.live.for_route("gpt").is_some_and(|live| live.view().share == share));
}

#[test]
fn a_pause_keeps_the_share_and_the_guards() {
    let bench = Bench::new(quick());
    let live = to_canary(&bench);
    let share = live.view().share;
    bench.command(Verb::Pause, "ann").unwrap();
    assert_eq!(live.view().share, share);
    let epoch = live.view().epoch;
    for unit in 0..20 {
        live.observe(epoch, &outcome(unit, Arm::Candidate, MetricSet::of(&[Metric::Error])));
    }
    assert_eq!(live.view().share, 0.0);
}

#[test]
fn an_abort_is_for_good_until_it_is_resumed_from_shadow() {
    let bench = Bench::new(quick());
    let live = to_canary(&bench);
    let epoch = live.view().epoch;
    bench.command(Verb::Abort, "ann").unwrap();
    assert_eq!(live.view().share, 0.0);
    assert!(matches!(bench.command(Verb::Promote, "ann"), Err(ControlError::Refused(_))));
    bench.command(Verb::Resume, "ann").unwrap();
    let resumed = bench.live();
    assert_eq!(resumed.view().share, 0.0);
    assert!(resumed.view().shadow_sample > 0.0);
    assert!(resumed.view().epoch > epoch);
}

#[test]
fn a_changed_target_sends_a_rollout_back_to_shadow() {
    let bench = Bench::new(quick());
    let epoch = to_canary(&bench).view().epoch;
    let mut settings = (**bench.snapshot.load().rollouts.get("support").unwrap()).clone();
    settings.fingerprint = "2".into();
    bench.snapshot.store(Arc::new(snapshot(settings)));
    wait_for("shadow again", || bench.live().view().shadow_sample > 0.0);
    assert!(bench.live().view().epoch > epoch);
    // A lower share is published before it is committed.
    wait_for("the new targets in the store", || bench.stored().0.fingerprint == "2");
    wait_for("evidence of the new epoch", || bench.live().evidence().epoch() == bench.live().view().epoch);
}

#[test]
fn of_two_contenders_one_goes_on_and_the_other_when_it_is_back() {
    let bench = Bench::new(quick());
    let first = (**bench.snapshot.load().rollouts.get("support").unwrap()).clone();
    let second = RolloutSettings { name: "second".into(), candidate: "c".into(), ..first.clone() };
    let mut both = snapshot(first);
    both.rollouts.insert("second".into(), Arc::new(second));
    bench.snapshot.store(Arc::new(both));
    bench.command(Verb::Start, "ann").unwrap();
    bench.control().command(Verb::Start, "second", "ann", "").unwrap();
    assert!(matches!(bench.control().command(Verb::Start, "third", "ann", ""), Err(ControlError::Unknown(_))));
    let of = |name: &str| bench.live.all().into_iter().find(|live| live.identity.name == name).unwrap();
    let prove = |name: &str| {
        let (live, epoch) = (of(name), of(name).view().epoch);
        for unit in 0..2000 {
            live.shadow_drawn(epoch, "0k/-/whole", Ok(()));
            live.observe_pair(epoch, &pair(unit), "0k/-/whole");
        }
    };
    prove("support");
    wait_for("canary", || of("support").view().share > 0.0);
    wait_for("who serves splits the route", || bench.live().identity.name == "support");
    prove("second");
    // Each command is a turn of the controller, which looks at all gates.
    for _ in 0..3 {
        let refused = bench.control().command(Verb::Promote, "second", "bob", "now").unwrap_err();
        assert!(refused.to_string().contains("is served by rollout `support`"), "{refused}");
    }
    let refused = bench.control().command(Verb::Resume, "second", "bob", "now").unwrap_err();
    assert!(matches!(refused, ControlError::Refused(_)));
    assert_eq!((of("second").view().share, of("second").view().shadow_sample > 0.0), (0.0, true), "it goes on to copy");
    bench.command(Verb::Abort, "ann").unwrap();
    wait_for("the other's canary", || of("second").view().share > 0.0);
    wait_for("the other splits the route", || bench.live().identity.name == "second");
    let refused = bench.command(Verb::Resume, "ann").unwrap_err();
    assert!(refused.to_string().contains("is split by rollout `second`"), "{refused}");
}

#[test]
fn while_the_store_refuses_a_share_falls_at_once_and_is_written_down_later() {
    let bench = Bench::new(quick());
    let live = to_canary(&bench);
    let blocker = rusqlite::Connection::open(bench.database_path()).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let epoch = live.view().epoch;
    for unit in 0..20 {
        live.observe(epoch, &outcome(unit, Arm::Candidate, MetricSet::of(&[Metric::Error])));
    }
    assert_eq!(live.view().share, 0.0);
    assert_eq!(bench.stored().0.state.status, Status::Active);
    blocker.execute_batch("COMMIT").unwrap();
    wait_for("the audit row", || bench.stored().0.state.status == Status::RolledBack);
}

#[test]
fn a_canary_reverts_when_the_control_plane_is_lost() {
    let mut bench = Bench::new(quick());
    bench.controller.take().unwrap().stop();
    bench.patience = Duration::from_millis(50);
    bench.boot();
    let live = to_canary(&bench);
    let blocker = rusqlite::Connection::open(bench.database_path()).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    live.observe(live.view().epoch, &outcome(1, Arm::Baseline, MetricSet::EMPTY));
    wait_for("reverted", || live.view().share == 0.0);
    blocker.execute_batch("COMMIT").unwrap();
    wait_for("written down", || bench.stored().0.state.status == Status::RolledBack);
}

fn ship(journal: &Journal, database: &Path) -> Shipper {
    let database = Database::open(database).unwrap();
    Shipper::start(journal, &database, ShipperConfig::default()).unwrap()
}

/// Its id, and when its attempt ended.
fn record_failed_candidate(journal: &Journal, n: u8, (epoch, share): (u32, f64), at: u64) -> (ExchangeId, u64) {
    let id = ExchangeId::new(at / 1000, [n; 10]);
    let rollout = record::RolloutRef {
        name: "support".into(),
        epoch,
        share,
        unit: u64::from(n),
        unit_source: record::UnitSource::Request,
        arm: record::Arm::Candidate,
        forced: false,
    };
    let request = record::RequestRecord {
        id,
        received_at_us: at,
        endpoint: record::Endpoint::ChatCompletions,
        route: "gpt".into(),
        principal: None,
        streamed: false,
        rollout: Some(rollout),
        body: Private::new(bytes::Bytes::from_static(b"{}")),
        client_retry: 0,
        asked: None,
    };
    let attempt = record::AttemptRecord {
        idx: 0,
        target: "b".into(),
        provider: "p".into(),
        model: "m".into(),
        arm: Some(record::Arm::Candidate),
        role: record::AttemptRole::Live,
        started_us: at,
        status: None,
        failure: Some(wire::failure::FailureKind::Connect),
        time_to_first_token_us: None,
        duration_us: 10,
        usage: None,
        finish_reason: None,
        format_valid: None,
        simulated: true,
        truncated: false,
        answer_bytes: 0,
        cost: None,
        validity: Default::default(),
        request_bytes: 0,
    };
    let answer = record::AnswerRecord {
        id,
        finished_at_us: at + 10,
        status: 200,
        outcome: record::ExchangeOutcome::Complete,
        failure: None,
        served_by: Some("a".into()),
        time_to_first_token_us: None,
        duration_us: 20,
        usage: None,
        adaptations: Vec::new(),
        attempts: vec![attempt],
        body: Private::new(bytes::Bytes::from_static(b"{}")),
        cost: None,
        decisions: Vec::new(),
        declined: Vec::new(),
    };
    for record in [record::Record::Request(request), record::Record::Answer(answer)] {
        journal.submit(&record).unwrap().wait_blocking().unwrap();
    }
    (id, at + 10)
}
