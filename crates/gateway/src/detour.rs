//! A detour: for a while a route's requests go to another target than its own, so that leaving a vendor is rehearsed on live traffic and
//! measured.
//!
//! It has three parts. *Before*, everything goes as ever and is counted. *Away*, what can be moved is asked of the alternative first; where
//! that fails before anything of an answer was seen, whoever answers as ever takes over, so that no caller pays for the rehearsal. *Back*,
//! everything goes as ever again, and is counted until enough was answered.
//!
//! The way back needs nobody. A detour lives in the memory of one process, so the end of the process is its end; every request looks at its
//! deadline and at when somebody last asked how it goes, before it heeds it; and the thread that sees a caller's answer fail, or too many
//! that the alternative could not give, ends it there and then. The controller writes it down.
//!
//! Nothing of it is a rollout's evidence: who is away is assigned to no arm.

mod counts;
mod report;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rollout::Timestamp;
use serde::{Deserialize, Serialize};
use stats::AbsoluteGuard;
use wire::record::{AttemptRecord, DecidedBy, Decision, ExchangeOutcome};

pub use counts::Part;
pub use report::{DetourReport, Phase, Probes, Way};

use crate::assign::Caller;
use crate::drill::Asked;
use crate::live::{self, LiveTable};
use crate::record::Arrival;
use crate::residency;
use crate::snapshot::{Route, Snapshot, Target};
use counts::{Counts, Ended};

/// A detour whose report nobody asked for in this long has nobody who could end it by hand.
pub const WATCHED: Duration = Duration::from_secs(10);
/// The header of requests that a drill sends itself.
pub const OWN: &str = "x-crossfade-exit-drill";
/// Beyond its bounds, for the controller to end it in order; then requests stop heeding it by themselves.
const GRACE: Duration = Duration::from_secs(1);
/// A rollout of the route counts nothing meanwhile, and must not get stale by it.
const LONGEST: Duration = Duration::from_secs(900);
/// That the alternative fails more than it may is found, however often one looks, with less than this chance where it does not.
const ALPHA: f64 = 1e-3;
/// The part of a test's stake that is bet from the first request on.
const START_WEIGHT: f64 = 0.5;

/// Where to, and within which bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The target that takes over.
    pub to: String,
    /// How long the route is watched as it is, milliseconds.
    #[serde(default = "before_ms")]
    pub before_ms: u64,
    /// How long it is away at most, milliseconds.
    #[serde(default = "at_most_ms")]
    pub at_most_ms: u64,
    /// How long the route is watched once it is back, milliseconds.
    #[serde(default = "verify_ms")]
    pub verify_ms: u64,
    /// How many requests must be answered in that time.
    #[serde(default = "verify_requests")]
    pub verify_requests: u64,
    /// What part of the requests the alternative may fail, 0 to 1.
    #[serde(default = "error_limit")]
    pub error_limit: f64,
    /// How long the switch may take, each way, milliseconds.
    #[serde(default = "within_ms")]
    pub within_ms: u64,
    /// How many requests a second the drill sends itself where nobody else sends any.
    #[serde(default)]
    pub own_per_second: Option<f64>,
}

const fn before_ms() -> u64 {
    3_000
}

const fn at_most_ms() -> u64 {
    120_000
}

const fn verify_ms() -> u64 {
    30_000
}

const fn verify_requests() -> u64 {
    5
}

const fn error_limit() -> f64 {
    0.01
}

const fn within_ms() -> u64 {
    5_000
}

impl Plan {
    /// To this target, with the usual bounds.
    #[must_use]
    pub fn to(target: impl Into<String>) -> Self {
        Self {
            to: target.into(),
            before_ms: before_ms(),
            at_most_ms: at_most_ms(),
            verify_ms: verify_ms(),
            verify_requests: verify_requests(),
            error_limit: error_limit(),
            within_ms: within_ms(),
            own_per_second: None,
        }
    }

    /// What is wrong with its bounds; `None` when nothing is.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let longest = LONGEST.as_secs();
        for (what, value) in [
            ("the route is watched before", self.before()),
            ("traffic is away", self.at_most()),
            ("the route is watched afterwards", self.verify()),
        ] {
            if value.is_zero() || value > LONGEST {
                return Some(format!("{what} for more than 0 s and at most {longest} s"));
            }
        }
        if !(0.0..=1.0).contains(&self.error_limit) {
            return Some("the part of requests that may fail is from 0 to 1; for 1 % write 0.01".to_owned());
        }
        if self.verify_requests == 0 {
            return Some("at least one request must be answered once traffic is back".to_owned());
        }
        None
    }

    fn before(&self) -> Duration {
        Duration::from_millis(self.before_ms)
    }

    fn at_most(&self) -> Duration {
        Duration::from_millis(self.at_most_ms)
    }

    fn verify(&self) -> Duration {
        Duration::from_millis(self.verify_ms)
    }
}

/// Why traffic went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WayBack {
    /// Whoever rehearses had seen enough.
    Asked,
    /// Somebody sent traffic back before that.
    BrokenOff,
    /// The answer to a caller failed.
    CallerFailed,
    /// The alternative failed too many requests; others answered them.
    Failing,
    /// The time was up.
    TimeUp,
    /// Nobody asked how it goes.
    Unwatched,
    /// The config was reloaded.
    Reloaded,
    /// The gateway stopped.
    Stopped,
}

impl WayBack {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Asked => "switched back as planned",
            Self::BrokenOff => "broken off: somebody sent traffic back before enough was seen",
            Self::CallerFailed => "switched back at once: the answer to a caller failed",
            Self::Failing => "switched back at once: the alternative failed too many requests",
            Self::TimeUp => "switched back: the time was up",
            Self::Unwatched => "switched back: nobody watched the drill any more",
            Self::Reloaded => "switched back: the config was reloaded",
            Self::Stopped => "switched back: the gateway stopped",
        }
    }
}

/// One detour, from its begin to its report.
#[derive(Debug)]
pub struct Detour {
    plan: Plan,
    asked: Asked,
    route: String,
    /// The route's own target.
    from: String,
    simulated: bool,
    config: String,
    began: Instant,
    began_at: Timestamp,
    away: OnceLock<Moment>,
    back: OnceLock<(Moment, WayBack)>,
    /// Milliseconds after `began` when its report was asked for last.
    watched_ms: AtomicU64,
    counts: Mutex<Counts>,
    /// Whether the alternative fails more than it may.
    failing: Mutex<AbsoluteGuard>,
    /// Requests that came in each part, ended or not.
    arrived: [AtomicU64; 3],
    probes: OnceLock<Probes>,
    over: OnceLock<DetourReport>,
}

/// A moment by both clocks.
#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Instant,
    unix_us: u64,
}

impl Moment {
    fn now() -> Self {
        Self { at: Instant::now(), unix_us: live::now().0 }
    }
}

/// A request's place in a detour: in which part it came, and whether it can be moved.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    detour: Arc<Detour>,
    phase: Phase,
    arrived: Instant,
    /// Not what only the vendor knows, and not what may not leave the house.
    movable: bool,
    /// The drill sent it.
    own: bool,
}

/// The place of a request in the detour of its route, when one is on. What only its provider knows, what makes something other than text
/// (a vector of another model is no vector in an application's index), and what may not go where the alternative is, stays.
pub(crate) fn seat(
    live: &LiveTable,
    snapshot: &Snapshot,
    route: &Route,
    (caller, arrival): (&Caller<'_>, Arrival),
) -> Option<Seat> {
    let detour = live.detour_of(&route.name)?;
    let may_go = |target: &Arc<Target>| residency::admits(caller.residency, target);
    let movable = caller.request.endpoint.is_generation()
        && !caller.request.goes_on_elsewhere()
        && snapshot.target(detour.to()).is_some_and(may_go);
    let seat = detour.seat(arrival.at, movable)?;
    Some(Seat { own: caller.headers.contains_key(OWN), ..seat })
}

impl Seat {
    /// Whether the alternative is asked first; read anew before every attempt.
    pub(crate) fn is_away(&self) -> bool {
        self.movable && self.phase == Phase::Away && self.detour.is_away(Instant::now())
    }

    /// Whether it came while the route was away, and could be moved then.
    pub(crate) fn came_away(&self) -> bool {
        self.movable && self.phase == Phase::Away
    }

    /// The alternative.
    pub(crate) fn to(&self) -> &str {
        &self.detour.plan.to
    }

    /// What the record says of why the alternative is asked.
    pub(crate) fn decision(&self) -> Option<Decision> {
        let because = || format!("an exit drill of route {} is on", self.detour.route);
        let choice = || format!("target {}", self.to());
        self.came_away().then(|| Decision { by: DecidedBy::Rule, choice: choice(), because: because() })
    }

    /// Tells the detour what became of the exchange.
    pub(crate) fn ended(&self, outcome: ExchangeOutcome, attempts: &[AttemptRecord], served_by: Option<&str>) {
        self.detour.ended(self, outcome, attempts, served_by);
    }
}

impl Detour {
    /// Makes one ready for the route of this name and own target, under a config of this hash.
    pub(crate) fn new(
        (plan, asked): (Plan, Asked),
        (route, from): (&str, &str),
        config: &str,
        simulated: bool,
    ) -> Self {
        // A limit of 0 is one that the first failure is above.
        let limit = plan.error_limit.clamp(1e-6, 1.0 - 1e-6);
        Self {
            failing: Mutex::new(AbsoluteGuard::new(limit, START_WEIGHT)),
            plan,
            asked,
            route: route.to_owned(),
            from: from.to_owned(),
            simulated,
            config: config.to_owned(),
            began: Instant::now(),
            began_at: live::now(),
            away: OnceLock::new(),
            back: OnceLock::new(),
            watched_ms: AtomicU64::new(0),
            counts: Mutex::default(),
            arrived: Default::default(),
            probes: OnceLock::new(),
            over: OnceLock::new(),
        }
    }

    /// The route it is of.
    #[must_use]
    pub fn route(&self) -> &str {
        &self.route
    }

    /// The target that takes over.
    pub(crate) fn to(&self) -> &str {
        &self.plan.to
    }

    /// Whether its report is fixed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over.get().is_some()
    }

    /// How far it is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        if self.over.get().is_some() {
            Phase::Over
        } else if self.back.get().is_some() {
            Phase::Back
        } else if self.away.get().is_some() {
            Phase::Away
        } else {
            Phase::Before
        }
    }

    /// A request that came for its route; `can_move` says whether it could go to the alternative.
    pub(crate) fn seat(self: &Arc<Self>, arrived: Instant, can_move: bool) -> Option<Seat> {
        let phase = match self.phase() {
            Phase::Over => return None,
            // Its bounds are over, and the controller has not said so yet.
            Phase::Away if !self.is_away(arrived) => Phase::Back,
            phase => phase,
        };
        self.arrived[place(phase)].fetch_add(1, Ordering::AcqRel);
        Some(Seat { detour: Arc::clone(self), phase, arrived, movable: can_move, own: false })
    }

    /// Whether requests go to the alternative: the lease is looked at each time.
    fn is_away(&self, now: Instant) -> bool {
        let until = |away: &Moment| away.at + self.plan.at_most() + GRACE;
        self.phase() == Phase::Away
            && self.away.get().is_some_and(|away| now < until(away))
            && now < self.watched() + WATCHED + GRACE
    }

    /// Somebody asks how it goes: it goes on for them.
    pub fn watch(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.watched_ms.store(now, Ordering::Release);
    }

    fn watched(&self) -> Instant {
        self.began + Duration::from_millis(self.watched_ms.load(Ordering::Acquire))
    }

    /// Traffic goes to the alternative from here on.
    pub(crate) fn switch(&self) {
        self.away.get_or_init(Moment::now);
    }

    /// Traffic goes as ever from here on; the first reason counts. One that never was away is only over.
    pub(crate) fn go_back(&self, why: WayBack) {
        self.back.get_or_init(|| (Moment::now(), why));
    }

    /// What was found of the alternative meanwhile.
    pub(crate) fn note_probes(&self, probes: Probes) {
        self.probes.get_or_init(|| probes);
    }

    /// What the controller should do about it by `now`, under a config of this hash.
    pub(crate) fn due(&self, config: &str, now: Instant) -> Option<Due> {
        let since = |moment: &Moment| now.saturating_duration_since(moment.at);
        let ends = if config != self.config {
            Some(WayBack::Reloaded)
        } else if now.saturating_duration_since(self.watched()) >= WATCHED {
            Some(WayBack::Unwatched)
        } else {
            None
        };
        match (self.phase(), self.away.get(), self.back.get()) {
            (Phase::Over, ..) => None,
            (Phase::Back, None, _) => Some(Due::Over),
            (Phase::Back, _, Some((back, _))) => {
                let counts = self.lock();
                let is_settled = counts.away.requests >= self.arrived(Phase::Away);
                let enough = counts.verified(self.plan.verify_requests) && is_settled;
                drop(counts);
                (enough || since(back) >= self.plan.verify()).then_some(Due::Over)
            }
            (Phase::Away, Some(away), _) if since(away) >= self.plan.at_most() => Some(Due::Back(WayBack::TimeUp)),
            (Phase::Before, ..) if ends.is_none() => {
                (now.saturating_duration_since(self.began) >= self.plan.before()).then_some(Due::Switch)
            }
            _ => ends.map(Due::Back),
        }
    }

    fn ended(&self, seat: &Seat, outcome: ExchangeOutcome, attempts: &[AttemptRecord], served_by: Option<&str>) {
        let now = Moment::now();
        let (away, back) = (self.away.get(), self.back.get().map(|(back, _)| back));
        let mut counts = self.lock();
        let what =
            counts.note((&self.plan.to, seat, now), (away.copied(), back.copied()), (outcome, attempts, served_by));
        drop(counts);
        match what {
            Ended::Failed if seat.came_away() => self.go_back(WayBack::CallerFailed),
            Ended::Alternative | Ended::FellBack if seat.came_away() && self.is_failing(what == Ended::FellBack) => {
                self.go_back(WayBack::Failing);
            }
            _ => {}
        }
    }

    /// Counts one request that was moved; whether it is proven now that the alternative fails more than it may.
    fn is_failing(&self, fell_back: bool) -> bool {
        let mut guard = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if fell_back {
            guard.observe_bad()
        } else {
            guard.observe_good()
        }
        guard.log_e() >= -ALPHA.ln()
    }

    /// Ends it; its report is fixed from here on.
    pub(crate) fn end(&self) -> &DetourReport {
        self.over.get_or_init(|| self.draft(true))
    }

    /// How it goes, or went.
    #[must_use]
    pub fn report(&self) -> DetourReport {
        self.over.get().cloned().unwrap_or_else(|| self.draft(false))
    }

    /// Requests that came in a part.
    fn arrived(&self, phase: Phase) -> u64 {
        self.arrived[place(phase)].load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a part is counted.
const fn place(phase: Phase) -> usize {
    match phase {
        Phase::Before => 0,
        Phase::Away => 1,
        Phase::Back | Phase::Over => 2,
    }
}

/// What is to be done about a detour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Traffic goes to the alternative.
    Switch,
    /// It goes back.
    Back(WayBack),
    /// It is over.
    Over,
}
