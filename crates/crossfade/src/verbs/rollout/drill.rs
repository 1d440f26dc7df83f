//! `crossfade rollout drill NAME`: a failure rehearsed with the rollout's own policy, and measured.
//!
//! With `--live`, `--cohort` or `--shadow` it is played on the running gateway (`live.rs`). Else the rehearsal runs in a gateway of its own in this process, over real HTTP, with a store and a journal of its own: no request of a
//! user, no evidence and no share of the real rollout is touched. Both providers are simulated; the candidate's takes the fault.

mod control;
mod live;
mod rehearsal;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use gateway::drill::{Check, Kind as Fault};
use operations::rollouts::FileRequest;
use operations::{Actor, Role};
use rollout::{Policy, Stage};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use store::Database;

use super::plan::{duration, unknown};
use crate::config::show_share;
use crate::load;
use crate::out::{Exit, Out, Stop, table};
use crate::verbs::Place;
use crate::verbs::source::{Source, percent};
use crate::verbs::time::now_us;
use rehearsal::Rehearsal;

const TEMPLATE: &str = include_str!("drill/crossfade.yaml");
/// How long nothing more may reach the candidate in a gateway of its own.
const VERIFY: &str = "3s";
/// A longer objective is cut to this in a gateway of its own, or its callers would wait for late answers longer than they do.
const LONGEST_OBJECTIVE: Duration = Duration::from_secs(1);
/// A breaker lets one call in after at most this, in place of 30 s: in shadow its probes are all that the guards see of an outage.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// People who would have to approve before the drill's step is left: more than there are, so that its share stays.
const NOBODY_LEAVES: u32 = 1_000;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The rollout of the config whose policy is put to the test.
    name: String,
    /// What fails.
    #[arg(long, value_enum, required_unless_present = "end")]
    kind: Option<Kind>,
    /// Play it on the running gateway, on what callers are served: those who meet the fault are answered by the baseline.
    #[arg(long, conflicts_with_all = ["share", "shadow_only", "dir", "no_file"])]
    live: bool,
    /// Play it on the running gateway, in this cohort of the rollout.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["share", "shadow_only", "dir", "no_file"])]
    cohort: Option<String>,
    /// Play it on the running gateway, on copies alone.
    #[arg(long, conflicts_with_all = ["live", "share", "shadow_only", "dir", "no_file"])]
    shadow: bool,
    /// End the drill that the running gateway plays.
    #[arg(long, conflicts_with_all = ["kind", "share", "shadow_only", "dir", "no_file"])]
    end: bool,
    /// On the running gateway: how many requests meet the fault at most.
    #[arg(long, value_name = "N", default_value_t = 200)]
    requests: u64,
    /// On the running gateway: how many requests the baseline must answer after the switch.
    #[arg(long, value_name = "N", default_value_t = 20)]
    verify_requests: u64,
    /// On the running gateway: how long a caller waits at most for a candidate that hangs or is late [default: 5s, or until it is late].
    #[arg(long, value_name = "DURATION")]
    patience: Option<String>,
    /// On the running gateway: why; the audit row keeps it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// In a gateway of its own: the candidate's share while it fails: the first step of the policy with at least this share is played.
    #[arg(long, value_name = "SHARE", conflicts_with = "shadow_only")]
    share: Option<f64>,
    /// In a gateway of its own: let it fail in shadow, on copies alone: no answer to a caller may fail.
    #[arg(long)]
    shadow_only: bool,
    /// What chance in the simulated providers and the traffic is derived from.
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u32,
    /// How long the fault may go unseen.
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    at_most: String,
    /// How long nothing more may reach the candidate after the switch [default: 3s; on the running gateway 30s at most].
    #[arg(long, value_name = "DURATION")]
    verify: Option<String>,
    /// With `--kind store-down`: how the store refuses.
    #[arg(long, value_enum, default_value_t = StoreFault::Locked, conflicts_with_all = ["live", "cohort", "shadow", "end"])]
    store_fault: StoreFault,
    /// Do not file the result for the rollout's gates.
    #[arg(long)]
    no_file: bool,
    /// Keep config, store, journal and log of the rehearsal in this directory, which must not be there yet.
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
    /// Who files the result.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    actor: String,
}

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// Every call of the candidate answers with an error.
    Error,
    /// Every answer of the candidate is later than the policy's objective.
    Latency,
    /// Answers that should be JSON are not.
    Malformed,
    /// The candidate refuses.
    Refusal,
    /// The candidate takes calls and never answers.
    Hang,
    /// The store takes no writes.
    StoreDown,
    /// Another process leads the rollout.
    LeaderLoss,
}

/// How a store takes no writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StoreFault {
    /// Another writer holds it: every write waits for its turn, in vain.
    Locked,
    /// Its file is read-only, as when the disk is full: every write fails at once.
    ReadOnly,
}

impl Kind {
    /// As a fault of the candidate, when it is one.
    const fn fault(self) -> Option<Fault> {
        match self {
            Self::Error => Some(Fault::Error),
            Self::Latency => Some(Fault::Latency),
            Self::Malformed => Some(Fault::Malformed),
            Self::Refusal => Some(Fault::Refusal),
            Self::Hang => Some(Fault::Hang),
            Self::StoreDown | Self::LeaderLoss => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Latency => "latency",
            Self::Malformed => "malformed",
            Self::Refusal => "refusal",
            Self::Hang => "hang",
            Self::StoreDown => "store-down",
            Self::LeaderLoss => "leader-loss",
        }
    }
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Pass,
    Fail,
    Undecided,
}

/// The facts of a drill.
#[derive(Debug, Serialize)]
struct Report<'a> {
    rollout: &'a str,
    kind: Kind,
    /// How the store took no writes, where it took none.
    store_fault: Option<StoreFault>,
    simulated: bool,
    stage: Stage,
    share: f64,
    policy_hash: String,
    seed: u32,
    at_us: u64,
    verdict: Verdict,
    /// Why there is no verdict.
    undecided: Option<String>,
    /// From the fault to the switch, as seen from outside.
    detected_after_s: Option<f64>,
    requests: u64,
    checks: Vec<Check>,
}

/// Exits 0 when every check holds, 3 when one does not, 4 when the policy cannot see such a fault or nothing could be measured.
pub(crate) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    if args.is_live() {
        return live::run(place, args, out);
    }
    let kind = args.kind.ok_or_else(no_kind)?;
    let config = load::config(&place.config)?;
    let settings = config.snapshot.rollouts.get(&args.name).ok_or_else(|| unknown(&args.name, &config))?;
    let verify = args.verify.as_deref().unwrap_or(VERIFY);
    let (at_most, verify) = (duration("--at-most", &args.at_most)?, duration("--verify", verify)?);
    let step_idx = step_of(&settings.policy, args)?;
    let step = settings.policy.step(step_idx).context("the policy has no steps")?;
    let directory = Directory::new(args.dir.as_deref())?;
    let rehearsal = Rehearsal { kind, step_idx, seed: args.seed, at_most, verify, store_fault: args.store_fault };
    let at_us = now_us();
    let played = rehearsal.play(directory.path(), &policy_of(&settings.policy, step_idx))?;
    let verdict = match (&played.undecided, played.checks.iter().all(|check| check.holds)) {
        (Some(_), _) => Verdict::Undecided,
        (None, true) => Verdict::Pass,
        (None, false) => Verdict::Fail,
    };
    let report = Report {
        rollout: &args.name,
        kind,
        store_fault: (kind == Kind::StoreDown).then_some(args.store_fault),
        simulated: true,
        stage: step.stage,
        share: step.share,
        policy_hash: settings.policy.hash(),
        seed: args.seed,
        at_us,
        verdict,
        undecided: played.undecided,
        detected_after_s: played.detected_after.map(|time| time.as_secs_f64()),
        requests: played.requests,
        checks: played.checks,
    };
    let digest = digest(&report);
    let mut facts = serde_json::to_value(&report).context("the report has no JSON")?;
    facts["digest"] = json!(digest);
    out.answer(&facts, || render(&report));
    if !args.no_file && verdict != Verdict::Undecided {
        file(place, args, &report, &digest, out)?;
    }
    Ok(match verdict {
        Verdict::Pass => Exit::Ok,
        Verdict::Fail => Exit::No,
        Verdict::Undecided => Exit::Undecided,
    })
}

fn no_kind() -> Stop {
    Stop::usage("a drill needs a `--kind`")
}

fn rows(checks: &[Check]) -> Vec<Vec<String>> {
    let row = |check: &Check| {
        let holds = if check.holds { "yes" } else { "NO" };
        vec![check.what.clone(), check.measured.clone(), check.target.clone(), holds.to_owned()]
    };
    checks.iter().map(row).collect()
}

/// The step that is played: shadow, or the first one that serves at least the share.
fn step_of(policy: &Policy, args: &Args) -> Result<usize, Stop> {
    if args.shadow_only {
        return Ok(0);
    }
    let share = args.share.unwrap_or(f64::MIN_POSITIVE);
    if !(share > 0.0 && share <= 1.0) {
        return Err(Stop::usage("`--share` must be above 0 and at most 1").hint("for 5 % write 0.05"));
    }
    let found = policy.steps.iter().position(|step| step.share > 0.0 && step.share >= share);
    found.ok_or_else(|| Stop::usage(format!("no step of the policy has a share of {share} or more")))
}

/// The rollout's policy with what would keep a rehearsal waiting taken out: probabilities, weights, limits and shares are its own.
fn policy_of(policy: &Policy, step_idx: usize) -> Policy {
    let mut policy = policy.clone();
    for (idx, step) in policy.steps.iter_mut().enumerate() {
        (step.min_pairs, step.min_units, step.min_duration, step.max_duration) = (0, 0, Duration::ZERO, None);
        step.approvals = if idx < step_idx { 0 } else { NOBODY_LEAVES };
    }
    policy.warm_up = Duration::ZERO;
    policy.unit = rollout::Unit::Request;
    policy.shadow_sample = 1.0;
    policy.forced_promotion = true;
    policy.filed.clear();
    policy.stale_after = None;
    let shorter = |objective: Option<Duration>| objective.map(|objective| objective.min(LONGEST_OBJECTIVE));
    let objectives = policy.objectives;
    (policy.objectives.first_token, policy.objectives.total) =
        (shorter(objectives.first_token), shorter(objectives.total));
    policy
}

/// The directory of a rehearsal; removed with it unless it was asked for.
struct Directory {
    path: PathBuf,
    is_kept: bool,
}

impl Directory {
    fn new(asked: Option<&Path>) -> Result<Directory, Stop> {
        let scratch = || std::env::temp_dir().join(format!("crossfade-drill-{}-{}", now_us(), std::process::id()));
        let path = asked.map_or_else(scratch, Path::to_path_buf);
        if path.exists() {
            return Err(Stop::usage(format!("{} is there already", path.display())).hint("name another `--dir`"));
        }
        std::fs::create_dir_all(&path).with_context(|| format!("could not make {}", path.display()))?;
        Ok(Directory {
            path: path.canonicalize().context("could not find the directory again")?,
            is_kept: asked.is_some(),
        })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(%error, "the rehearsal's directory stays behind");
        }
    }
}

/// The rehearsal's config with the policy in place.
fn config_of(
    directory: &Path,
    (seed, patience): (u32, Duration),
    policy: &Policy,
) -> Result<(crate::config::Config, PathBuf), Stop> {
    let path = directory.join("crossfade.yaml");
    let (first, total) = (patience.as_millis().to_string(), (patience * 10).as_millis().to_string());
    let text = TEMPLATE.replace("{seed}", &seed.to_string()).replace("{patience}", &first).replace("{total}", &total);
    std::fs::write(&path, text).context("could not write the config")?;
    let mut config = load::config(&path)?;
    config.store = directory.join("crossfade.db");
    config.record.dir = directory.join("journal");
    let snapshot = Arc::make_mut(&mut config.snapshot);
    for settings in snapshot.rollouts.values_mut() {
        Arc::make_mut(settings).policy = policy.clone();
    }
    for target in snapshot.targets.values_mut() {
        Arc::make_mut(target).calling.longest_pause = Some(LONGEST_PAUSE);
    }
    Ok((config, path))
}

fn digest(report: &Report<'_>) -> String {
    let json = serde_json::to_vec(report).unwrap_or_default();
    Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Files the result where the rollout's gates look: through the gateway if one runs, else in its store.
fn file(place: &Place, args: &Args, report: &Report<'_>, digest: &str, out: &Out) -> Result<(), Stop> {
    let source = Source::open(place)?;
    let failed = report.checks.iter().filter(|check| !check.holds).map(|check| check.what.as_str());
    let note = failed.collect::<Vec<_>>().join("; ");
    let passed = report.verdict == Verdict::Pass;
    let name = report.kind.as_str();
    let body = json!({
        "actor": args.actor, "kind": "drill", "name": name, "passed": passed, "digest": digest, "n": report.requests,
        "reason": note, "at_us": report.at_us,
    });
    let filed =
        source.change(&format!("/api/rollouts/{}/file", percent(&args.name)), &body).and_then(|answer| match answer {
            Some(_) => Ok(true),
            None if !source.store().exists() => Ok(false),
            None => {
                let database = Database::open(source.store()).map_err(Stop::failed)?;
                let request: FileRequest =
                    serde_json::from_value(body.clone()).context("the result cannot be filed")?;
                let actor = Actor::trusted(args.actor.clone(), Role::Operator);
                operations::rollouts::file(&database, &actor, &args.name, &request)
                    .map_err(crate::verbs::source::operation)?;
                Ok(true)
            }
        });
    match filed {
        Ok(true) => out.say(format_args!("filed: drill `{name}`, digest {}", &digest[..16])),
        Ok(false) => out.say("not filed: the rollout has not been started"),
        Err(stop) if stop.exit == Exit::Usage => out.say("not filed: the rollout has not been started"),
        Err(stop) => return Err(stop),
    }
    Ok(())
}

fn render(report: &Report<'_>) -> String {
    let mut text = format!(
        "SIMULATED drill `{}` with the policy of {}, in {} at {}\n\n",
        report.kind.as_str(),
        report.rollout,
        report.stage.as_str(),
        show_share(report.share)
    );
    text.push_str(&table(&["what", "measured", "target", "holds"], &rows(&report.checks)));
    text.push_str(&match (&report.undecided, report.verdict) {
        (Some(why), _) => format!("\nundecided: {why}\n"),
        (None, Verdict::Pass) => "\npass\n".to_owned(),
        (None, _) => "\nfail\n".to_owned(),
    });
    text
}
