//! How long a rollback takes in the process that sees the breach: from the call that reports the breaching outcome to the first
//! moment another thread reads a share of 0. Each breach has its own rollout, primed with evidence; the other thread does
//! what a request worker does: read the share, begin an attempt, report an outcome.
//!
//! `rollback [--breaches 1000]` prints figures as JSON, once with an idle reader and once with a busy one.

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use gateway::live::{Identity, LiveRollout, View};
use rollout::{Arm, Evidence, Metric, MetricSet, Outcome, Policy, Risk, Timestamp, Unit};

type AnyError = Box<dyn Error + Send + Sync>;

const N_PRIMED: u64 = 2000;
const EPOCH: u32 = 1;

fn main() -> Result<(), AnyError> {
    let mut n_breaches = 1000;
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        match (name.as_str(), arguments.next()) {
            ("--breaches", Some(value)) => n_breaches = value.parse()?,
            (other, _) => return Err(format!("unknown argument, or no value: {other}").into()),
        }
    }
    let policy = Policy::template(Risk::Medium);
    let step_idx = policy.steps.iter().position(|step| step.share >= 0.5).ok_or("the policy has no step at a half")?;
    let share = policy.steps[step_idx].share;
    let bench = Bench { evidence: primed(&policy, step_idx), share, at: after_warm_up(&policy) };
    let mut figures = serde_json::Map::new();
    for (name, busy) in [("idle_reader", false), ("busy_reader", true)] {
        figures.insert(name.to_owned(), bench.run(n_breaches, busy)?);
    }
    writeln!(std::io::stdout(), "{}", serde_json::Value::Object(figures))?;
    Ok(())
}

struct Bench {
    evidence: Evidence,
    share: f64,
    at: Timestamp,
}

impl Bench {
    fn run(&self, n_breaches: usize, busy: bool) -> Result<serde_json::Value, AnyError> {
        let (to_reader, rollouts) = sync_channel::<Arc<LiveRollout>>(0);
        let (seen, from_reader) = sync_channel::<Instant>(1);
        let at = self.at;
        let reader = std::thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || read_until_zero(&rollouts, &seen, at, busy))?;
        let (mut switched, mut returned, mut n_bad) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..n_breaches {
            let (waker, woken) = sync_channel(1);
            let live = Arc::new(self.live(waker));
            to_reader.send(live.clone())?;
            // Give the reader time to be in the middle of its work.
            std::thread::sleep(Duration::from_micros(200));
            let (began, took, count) = self.fail_until_breach(&live)?;
            woken.try_recv()?;
            switched.push(micros(from_reader.recv()?.saturating_duration_since(began)));
            returned.push(micros(took));
            n_bad.push(f64::from(count));
        }
        drop(to_reader);
        reader.join().map_err(|_| "the reader panicked")?;
        Ok(serde_json::json!({
            "breaches": n_breaches,
            "breach_to_zero_us": quantiles(switched),
            "breaching_call_us": quantiles(returned),
            "failures_to_breach": quantiles(n_bad),
        }))
    }

    fn live(&self, waker: SyncSender<()>) -> LiveRollout {
        let identity = Identity {
            name: "bench".to_owned(),
            route: "bench".to_owned(),
            baseline: "now".to_owned(),
            candidate: "next".to_owned(),
            unit: Unit::Conversation,
            salt: "bench".to_owned(),
            fingerprint: String::new(),
        };
        let view = View {
            epoch: EPOCH,
            generation: 1,
            share: self.share,
            holdback: 0.0,
            shadow_sample: 0.0,
            watching: true,
            completed: false,
        };
        LiveRollout::new(identity, view, self.evidence.clone(), waker)
    }

    /// Candidate failures one after the other; the stamp is taken before the call that turns out to be the last.
    fn fail_until_breach(&self, live: &LiveRollout) -> Result<(Instant, Duration, u32), AnyError> {
        for count in 1..1000 {
            let failed = outcome(N_PRIMED + u64::from(count), Arm::Candidate, MetricSet::of(&[Metric::Error]), self.at);
            let began = Instant::now();
            live.observe(EPOCH, &failed);
            let took = began.elapsed();
            if live.view().share <= 0.0 {
                return Ok((began, took, count));
            }
        }
        Err("a thousand failures in a row were no breach".into())
    }
}

fn read_until_zero(rollouts: &Receiver<Arc<LiveRollout>>, seen: &SyncSender<Instant>, at: Timestamp, busy: bool) {
    let mut unit = 1 << 40;
    while let Ok(live) = rollouts.recv() {
        while live.view().share > 0.0 {
            if busy {
                unit += 1;
                drop(live.begin_candidate(unit << 20));
                live.observe(EPOCH, &outcome(unit, Arm::Baseline, MetricSet::EMPTY, at));
            }
        }
        if seen.send(Instant::now()).is_err() {
            return;
        }
    }
}

/// Evidence with a clean past on both arms.
fn primed(policy: &Policy, step_idx: usize) -> Evidence {
    let mut evidence = Evidence::new(policy, EPOCH, step_idx, &rollout::Carry::default(), Timestamp(1));
    for unit in 0..N_PRIMED {
        let arm = if unit % 2 == 0 { Arm::Baseline } else { Arm::Candidate };
        let breach = evidence.observe(&outcome(unit, arm, MetricSet::EMPTY, after_warm_up(policy)));
        assert!(breach.is_none(), "nothing is bad, so nothing can be breached");
    }
    evidence
}

fn after_warm_up(policy: &Policy) -> Timestamp {
    Timestamp(2).plus(policy.warm_up)
}

fn outcome(unit: u64, arm: Arm, bad: MetricSet, at: Timestamp) -> Outcome {
    Outcome {
        unit,
        arm,
        admitted_at: at,
        at,
        observed: MetricSet::of(&[Metric::Error, Metric::Timeout, Metric::Format, Metric::ToolCall]),
        bad,
        time_to_first_token_us: Some(40_000),
        duration_us: Some(400_000),
    }
}

fn micros(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e7).round() / 10.0
}

fn quantiles(mut values: Vec<f64>) -> serde_json::Value {
    values.sort_by(f64::total_cmp);
    let at =
        |per_mille: usize| values.get((values.len() * per_mille / 1000).min(values.len().saturating_sub(1))).copied();
    serde_json::json!({ "p50": at(500), "p99": at(990), "max": at(1000) })
}
