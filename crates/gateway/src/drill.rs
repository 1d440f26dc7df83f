//! A drill on the running gateway: for a while the candidate of a rollout is answered for by a script, and what the rollout's own policy
//! makes of that is measured.
//!
//! Nothing of it is the rollout's evidence. While a drill is on, requests are assigned by a *stand-in*: a [`LiveRollout`] with the same
//! identity, salt, share and policy, an epoch of its own ([`FIRST_DRILL_EPOCH`]) and an empty ledger. Its guards trip as the real ones
//! would, and what they take to 0 is the stand-in's share. The real rollout counts nothing meanwhile, neither good nor bad, and goes on
//! where it stood when the drill is over.
//!
//! No caller gets a script's answer: an attempt that the script answered is judged, reported to the ledger, and ends as
//! [`FailureKind::Drill`](wire::failure::FailureKind::Drill) at the latest, so that the baseline is asked. No provider is called, nothing
//! is paid, and no breaker, pause or retry budget of the real candidate hears of it.
//!
//! It ends by itself: a drill lives in the memory of one process, every request looks at its deadline before it heeds it, and the
//! controller ends it before that on a reload, on any move of the rollout, when a caller's answer failed, and when nobody watches.

mod report;
mod script;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use rollout::{Evidence, Metric, Policy, State, Timestamp};
use serde::{Deserialize, Serialize};
use wire::record::FIRST_DRILL_EPOCH;

pub use report::{Check, DrillReport, MOST_BAD_EVENTS, Phase, Verdict};
pub(crate) use script::Script;

use crate::live::{self, LiveRollout, View, Waker};

/// A drill whose report nobody asked for in this long has nobody who could end it by hand.
const WATCHED: Duration = Duration::from_secs(10);
/// Beyond the bounds of a drill, for the controller to end it in order; then requests stop heeding it by themselves.
const GRACE: Duration = Duration::from_secs(1);
/// How long a caller waits for a candidate that hangs in a drill, if nobody says otherwise.
const PATIENCE: Duration = Duration::from_secs(5);
/// The rollout's own evidence stands still meanwhile, and must not get stale by it.
const LONGEST: Duration = Duration::from_secs(900);
const LONGEST_PATIENCE: Duration = Duration::from_secs(60);
const MOST_FAULTS: u64 = 100_000;

/// What is wrong with the candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Every call is answered with an error.
    Error,
    /// Every answer is later than the policy's objective.
    Latency,
    /// Answers that should be JSON are not; those that need not be are left alone.
    Malformed,
    /// Every answer declines.
    Refusal,
    /// No call is answered.
    Hang,
}

impl Kind {
    /// The word used in records, pages and filed results.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Latency => "latency",
            Self::Malformed => "malformed",
            Self::Refusal => "refusal",
            Self::Hang => "hang",
        }
    }

    /// Why `policy` cannot see such a fault, on copies or on what callers are served; `None` when it can.
    #[must_use]
    pub fn why_unseen(self, policy: &Policy, on_copies: bool) -> Option<String> {
        let metric = match self {
            Self::Error | Self::Hang => Metric::Error,
            Self::Malformed => Metric::Format,
            Self::Refusal => Metric::Refusal,
            Self::Latency => match lateness(policy, true) {
                Some((metric, _)) => metric,
                None => return Some("the policy has no latency objective: set `policy.objectives`".to_owned()),
            },
        };
        (!is_watched(policy, metric, on_copies))
            .then(|| format!("the policy has no guard on the {}", metric.rate_name()))
    }
}

/// Whether a guard or a limit of the policy would speak of this.
fn is_watched(policy: &Policy, metric: Metric, on_copies: bool) -> bool {
    let by_guard = policy.guards.iter().any(|guard| guard.metric == metric) && (!on_copies || policy.shadow_guards);
    let mut limits = policy.absolute.iter().chain(&policy.absolute_late);
    by_guard || !on_copies && limits.any(|limit| limit.metric == metric)
}

/// What a late answer is bad on, and when it is late: by the objective that something watches, that of the first token before that of
/// the whole. `None` without objectives.
#[must_use]
pub fn lateness(policy: &Policy, streamed: bool) -> Option<(Metric, Duration)> {
    let first = policy.objectives.first_token.filter(|_| streamed).map(|after| (Metric::SlowFirstToken, after));
    let total = policy.objectives.total.map(|after| (Metric::Slow, after));
    let watched = [first, total].into_iter().flatten().find(|(metric, _)| is_watched(policy, *metric, false));
    watched.or(first).or(total)
}

/// What somebody asks for, and within which bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What is wrong with the candidate.
    pub kind: Kind,
    /// On copies (true) or on what callers are served (false); by itself, whichever the rollout's stage has.
    #[serde(default)]
    pub shadow: Option<bool>,
    /// How long the fault may go unseen, milliseconds.
    #[serde(default = "at_most_ms")]
    pub at_most_ms: u64,
    /// How many requests meet it at most.
    #[serde(default = "most_faults")]
    pub most_faults: u64,
    /// How long the baseline is watched after the switch, milliseconds.
    #[serde(default = "verify_ms")]
    pub verify_ms: u64,
    /// How many requests the baseline must answer in that time.
    #[serde(default = "verify_requests")]
    pub verify_requests: u64,
    /// How long a caller waits at most for a candidate that hangs or is late, milliseconds.
    #[serde(default)]
    pub patience_ms: Option<u64>,
}

const fn at_most_ms() -> u64 {
    60_000
}

const fn most_faults() -> u64 {
    200
}

const fn verify_ms() -> u64 {
    30_000
}

const fn verify_requests() -> u64 {
    20
}

impl Plan {
    /// The usual bounds.
    #[must_use]
    pub const fn of(kind: Kind) -> Self {
        Self {
            kind,
            shadow: None,
            at_most_ms: at_most_ms(),
            most_faults: most_faults(),
            verify_ms: verify_ms(),
            verify_requests: verify_requests(),
            patience_ms: None,
        }
    }

    /// What is wrong with its bounds under `policy`; `None` when nothing is.
    #[must_use]
    pub fn problem(&self, policy: &Policy) -> Option<String> {
        for (what, value) in [("the fault may go unseen", self.at_most()), ("the baseline is watched", self.verify())] {
            if value.is_zero() || value > LONGEST {
                return Some(format!("{what} for more than 0 s and at most {} s", LONGEST.as_secs()));
            }
        }
        if self.most_faults == 0 || self.most_faults > MOST_FAULTS {
            return Some(format!("from 1 to {MOST_FAULTS} requests may meet the fault"));
        }
        if self.verify_requests == 0 {
            return Some("the baseline must answer at least one request after the switch".to_owned());
        }
        if self.patience(policy) > LONGEST_PATIENCE {
            let most = LONGEST_PATIENCE.as_secs();
            return Some(format!("a drill lets no caller wait for more than {most} s"));
        }
        if self.kind == Kind::Latency && late(policy, true).max(late(policy, false)) > Some(self.patience(policy)) {
            return Some("callers do not wait long enough for an answer to be late".to_owned());
        }
        None
    }

    fn at_most(&self) -> Duration {
        Duration::from_millis(self.at_most_ms)
    }

    fn verify(&self) -> Duration {
        Duration::from_millis(self.verify_ms)
    }

    /// The longest that a caller waits.
    fn patience(&self, policy: &Policy) -> Duration {
        let longest = late(policy, true).max(late(policy, false)).filter(|_| self.kind == Kind::Latency);
        self.patience_ms.map_or_else(|| longest.unwrap_or(PATIENCE), Duration::from_millis)
    }
}

/// When an answer is late, and a little later: the watch that tells the guards so runs to the objective itself.
fn late(policy: &Policy, streamed: bool) -> Option<Duration> {
    let (_, objective) = lateness(policy, streamed)?;
    Some(objective + objective / 10 + Duration::from_millis(20))
}

/// Whom it is done to, by whom and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Who began it.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// Why a drill is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Seen, switched, and watched after that.
    Verified,
    /// Seen and switched; too few requests came after that.
    Unverified,
    /// Nobody saw the fault within its bounds.
    Unseen,
    /// A guard saw it that pauses instead of switching.
    Paused,
    /// The answer to a caller failed.
    CallerFailed,
    /// The rollout moved.
    Moved,
    /// The config was reloaded.
    Reloaded,
    /// Nobody asked how it goes.
    Unwatched,
    /// Somebody ended it.
    Ended,
    /// The gateway stops.
    Stopped,
}

impl End {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Verified => "seen, switched and verified",
            Self::Unverified => "seen and switched; too few requests came to verify it",
            Self::Unseen => "the fault was not seen",
            Self::Paused => "seen by a guard that pauses; nothing is switched then",
            Self::CallerFailed => "ended at once: the answer to a caller failed",
            Self::Moved => "ended: the rollout moved",
            Self::Reloaded => "ended: the config was reloaded",
            Self::Unwatched => "ended: nobody watched it any more",
            Self::Ended => "ended by hand",
            Self::Stopped => "ended: the gateway stopped",
        }
    }
}

/// One drill, from its begin to its report.
#[derive(Debug)]
pub struct Drill {
    plan: Plan,
    asked: Asked,
    policy: Policy,
    /// The rollout, as it stood: it must stand there as long as this lasts.
    real: Weak<LiveRollout>,
    view: View,
    config: String,
    stage: rollout::Stage,
    stand_in: Arc<LiveRollout>,
    script: Arc<Script>,
    began: Instant,
    began_at: Timestamp,
    /// Milliseconds after `began` when its report was asked for last.
    watched_ms: AtomicU64,
    over: OnceLock<DrillReport>,
}

impl Drill {
    /// Makes one ready for a rollout as it stands, under a config of this hash. Nothing happens before [`LiveRollout::drill`] has it.
    pub(crate) fn new(
        (plan, asked): (Plan, Asked),
        (policy, state): (&Policy, &State),
        (real, config): (&Arc<LiveRollout>, &str),
        wake: Waker,
    ) -> Self {
        let (began, began_at) = (Instant::now(), live::now());
        let second = u32::try_from(began_at.0 / 1_000_000).unwrap_or(u32::MAX);
        let state = State { epoch: FIRST_DRILL_EPOCH | second, epoch_started: began_at, ..state.clone() };
        // The rollout is past the warm-up of its epoch, or may be; nobody waits for it again.
        let policy = Policy { warm_up: Duration::ZERO, ..policy.clone() };
        let view = View::clone(&real.view());
        let evidence = Evidence::begin(&policy, &state, None);
        let script = Arc::new(Script::new(&plan, &policy, view.share <= 0.0, began));
        let stand_in = LiveRollout::new(
            real.identity.clone(),
            View { epoch: state.epoch, watching: true, ..view.clone() },
            evidence,
            wake,
        );
        let stand_in = Arc::new(stand_in.scripted(Arc::clone(&script)));
        let stage = state.stage(&policy);
        let (real, config) = (Arc::downgrade(real), config.to_owned());
        let (watched_ms, over) = (AtomicU64::new(0), OnceLock::new());
        Self { plan, asked, policy, real, view, config, stage, stand_in, script, began, began_at, watched_ms, over }
    }

    /// What requests are assigned by, while it is on.
    pub(crate) fn stand_in(&self, now: Instant) -> Option<&Arc<LiveRollout>> {
        let until = self.began + self.plan.at_most() + self.plan.verify() + GRACE;
        (self.is_on() && now < until).then_some(&self.stand_in)
    }

    /// Whether it has not ended.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.over.get().is_none()
    }

    /// Somebody asks how it goes: it goes on for them.
    pub fn watch(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.watched_ms.store(now, Ordering::Release);
    }

    /// How it goes, or went.
    #[must_use]
    pub fn report(&self) -> DrillReport {
        self.over.get().cloned().unwrap_or_else(|| self.draft(None))
    }

    /// Why it should end by `now`, if it should; `real` is the rollout as it is then, under a config of this hash.
    pub(crate) fn due(&self, (real, config): (Option<&Arc<LiveRollout>>, &str), now: Instant) -> Option<End> {
        let stands = real.is_some_and(|real| {
            let view = real.view();
            std::ptr::eq(Arc::as_ptr(real), self.real.as_ptr())
                && (view.epoch, view.generation, view.watching) == (self.view.epoch, self.view.generation, true)
        });
        let watched = self.began + Duration::from_millis(self.watched_ms.load(Ordering::Acquire));
        if config != self.config {
            return Some(End::Reloaded);
        }
        if !stands {
            return Some(End::Moved);
        }
        if self.script.callers_failed() > 0 {
            return Some(End::CallerFailed);
        }
        if let Some(switched) = self.script.switched() {
            let is_late = now.saturating_duration_since(switched) >= self.plan.verify();
            let verified = self.script.verified_after().is_some();
            return verified.then_some(End::Verified).or_else(|| is_late.then_some(End::Unverified));
        }
        if !self.stand_in.with_counting(|counting| counting.evidence.alarms().is_empty()) {
            return Some(End::Paused);
        }
        if now.saturating_duration_since(self.began) >= self.plan.at_most() || self.script.is_used_up(now) {
            return Some(End::Unseen);
        }
        (now.saturating_duration_since(watched) >= WATCHED).then_some(End::Unwatched)
    }

    /// Ends it; the first one to do so decides why. Requests under way finish by the stand-in, which nobody looks at any more.
    pub(crate) fn end(&self, end: End) -> &DrillReport {
        self.script.stop();
        self.over.get_or_init(|| self.draft(Some(end)))
    }
}

#[cfg(test)]
mod tests {
    use rollout::{AbsolutePolicy, Arm, MetricSet, Outcome, Risk};

    use super::*;
    use crate::live::Identity;

    const CONFIG: &str = "as it was";

    fn rehearsed(plan: Plan, step_idx: usize) -> (Arc<LiveRollout>, Drill) {
        let policy = Policy::template(Risk::Medium);
        let mut state = State::draft("to-b", "salt", "ana", ("a", "b"), &policy);
        (state.step_idx, state.epoch, state.status) = (step_idx, 3, rollout::Status::Active);
        let identity = Identity {
            name: "to-b".to_owned(),
            route: "gpt".to_owned(),
            baseline: "a".to_owned(),
            candidate: "b".to_owned(),
            unit: policy.unit,
            salt: "salt".to_owned(),
            fingerprint: String::new(),
        };
        let view = View {
            epoch: 3,
            generation: 7,
            share: state.share(&policy),
            holdback: 0.0,
            shadow_sample: 0.0,
            watching: true,
            completed: false,
        };
        let (wake, _) = std::sync::mpsc::sync_channel(1);
        let evidence = Evidence::begin(&policy, &state, None);
        let real = Arc::new(LiveRollout::new(identity, view, evidence, wake.clone()));
        let asked = Asked { actor: "dora".to_owned(), reason: String::new() };
        let drill = Drill::new((plan, asked), (&policy, &state), (&real, CONFIG), wake);
        (real, drill)
    }

    /// What the candidate made of one more unit, as the stand-in counts it.
    fn fails(live: &LiveRollout, unit: u64) {
        let error = MetricSet::of(&[Metric::Error]);
        let at = live::now();
        live.observe(
            live.view().epoch,
            &Outcome {
                unit,
                arm: Arm::Candidate,
                admitted_at: at,
                at,
                observed: error,
                bad: error,
                time_to_first_token_us: None,
                duration_us: None,
            },
        );
    }

    #[test]
    fn an_outage_trips_the_stand_in_and_not_the_rollout() {
        let (real, drill) = rehearsed(Plan::of(Kind::Error), 1);
        let stand_in = Arc::clone(drill.stand_in(Instant::now()).unwrap());
        assert!(wire::record::is_drill(stand_in.view().epoch));
        let share = real.view().share;
        let n = (1..=20).find(|unit| {
            fails(&stand_in, *unit);
            stand_in.view().share == 0.0
        });
        // Goal G5: at most 8 candidate requests at shares of a tenth and less.
        assert!(n.is_some_and(|n| n <= report::most_bad_events(share)), "{n:?}");
        assert_eq!((real.view().share, real.view().watching), (share, true));
        assert_eq!(real.evidence().arm(Arm::Candidate).tally(Metric::Error).n, 0);
        assert_eq!(drill.report().phase, Phase::Verifying);
        let too_late = Instant::now() + LONGEST;
        assert_eq!(drill.due((Some(&real), CONFIG), too_late), Some(End::Unverified));
    }

    #[test]
    fn requests_heed_a_drill_no_longer_than_its_bounds_whatever_becomes_of_the_controller() {
        let (real, drill) = rehearsed(Plan { at_most_ms: 1_000, verify_ms: 2_000, ..Plan::of(Kind::Error) }, 1);
        let after = |ms: u64| drill.began + Duration::from_millis(ms);
        assert!(drill.stand_in(after(3_999)).is_some());
        assert!(drill.stand_in(after(4_000)).is_none());
        // Nobody ended it, and the rollout assigns by itself as soon as it is over.
        let drill = Arc::new(drill);
        real.drill(Some(Arc::clone(&drill)));
        assert!(wire::record::is_drill(Arc::clone(&real).acting().view().epoch));
        drill.end(End::Ended);
        assert!(Arc::ptr_eq(&Arc::clone(&real).acting(), &real));
    }

    #[test]
    fn a_drill_ends_by_everything_that_may_go_wrong_around_it() {
        let (real, drill) = rehearsed(Plan { at_most_ms: 30_000, ..Plan::of(Kind::Error) }, 1);
        let after = |seconds: u64| drill.began + Duration::from_secs(seconds);
        let check = |now, expected| assert_eq!(drill.due((Some(&real), CONFIG), now), expected);
        check(after(1), None);
        check(after(10), Some(End::Unwatched));
        check(after(30), Some(End::Unseen));
        assert_eq!(drill.due((Some(&real), "another"), after(1)), Some(End::Reloaded));
        assert_eq!(drill.due((None, CONFIG), after(1)), Some(End::Moved));
        let moved = View { generation: 8, ..View::clone(&real.view()) };
        real.publish(moved, None);
        check(after(1), Some(End::Moved));
        assert_eq!(drill.end(End::Moved).verdict, Some(Verdict::Undecided));
        // Whoever asks after that is assigned by the rollout itself, and the first reason stays.
        assert!(drill.stand_in(Instant::now()).is_none());
        assert_eq!(drill.end(End::Unseen).end, Some(End::Moved));
    }

    #[test]
    fn a_policy_without_an_eye_for_a_fault_is_told_before_anything_is_broken() {
        let policy = Policy::template(Risk::Medium);
        for kind in [Kind::Error, Kind::Hang, Kind::Malformed] {
            assert_eq!(kind.why_unseen(&policy, false), None, "{kind:?}");
        }
        assert!(Kind::Latency.why_unseen(&policy, false).unwrap().contains("no latency objective"));
        let mut blind = Policy { guards: Vec::new(), ..policy.clone() };
        assert_eq!(Kind::Error.why_unseen(&blind, false), None, "the absolute breaker sees it");
        assert!(Kind::Error.why_unseen(&blind, true).is_some(), "but not on copies");
        blind.objectives.first_token = Some(Duration::from_secs(1));
        blind.objectives.total = Some(Duration::from_secs(9));
        assert!(Kind::Latency.why_unseen(&blind, false).unwrap().contains("no guard"));
        blind.absolute_late = Some(AbsolutePolicy { metric: Metric::Slow, limit: 0.5, alpha: 1e-4 });
        assert_eq!(Kind::Latency.why_unseen(&blind, false), None, "the limit on late answers sees it");
        assert_eq!(lateness(&blind, true), Some((Metric::Slow, Duration::from_secs(9))), "and it is what is broken");
        assert_eq!(lateness(&policy, true), None);
    }

    #[test]
    fn bounds_are_bounded() {
        let policy = Policy::template(Risk::Medium);
        let plan = Plan::of(Kind::Hang);
        assert_eq!(plan.problem(&policy), None);
        for wrong in [
            Plan { at_most_ms: 0, ..plan.clone() },
            Plan { at_most_ms: 900_001, ..plan.clone() },
            Plan { most_faults: 0, ..plan.clone() },
            Plan { verify_requests: 0, ..plan.clone() },
            Plan { patience_ms: Some(60_001), ..plan.clone() },
        ] {
            assert!(wrong.problem(&policy).is_some(), "{wrong:?}");
        }
        let mut policy = policy;
        policy.objectives.total = Some(Duration::from_secs(2));
        let late = Plan { patience_ms: Some(1000), ..Plan::of(Kind::Latency) };
        assert!(late.problem(&policy).unwrap().contains("long enough"));
        assert_eq!(Plan::of(Kind::Latency).problem(&policy), None);
    }
}
