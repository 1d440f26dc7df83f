//! `crossfade eval file RUN --rollout NAME`: a run's verdict as a filed result, which the gates of a rollout can ask for; with `--review` what
//! people said of its pairs.
//!
//! Only what is proven is filed, and only for the rollout of the very targets the run asked: their fingerprints must be those of the config. The
//! digest is the SHA-256 of the report as `crossfade eval report RUN --as json` prints it (of the candidate's entry in
//! `crossfade eval review results RUN --format json`), so that anybody can hold it against the store.

use eval::compare::Verdict;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::load;
use crate::load as loaded;
use crate::out::{Exit, Out, Stop};
use crate::verbs::Place;
use crate::verbs::dataset::readable;
use crate::verbs::source::{Source, names_like, percent};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run.
    #[arg(value_name = "RUN")]
    run: String,
    /// File what people said of the run's pairs, as a result of kind `review`.
    #[arg(long)]
    review: bool,
    /// The rollout it is filed for.
    #[arg(long, value_name = "NAME")]
    rollout: String,
    /// The name that the gate asks for; the dataset's when it is not said.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Who files it.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    actor: String,
}

/// What is filed.
struct Found {
    kind: &'static str,
    verdict: Verdict,
    n: u64,
    sentence: String,
    digest: String,
}

/// Files the verdict through the running gateway.
pub(crate) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let report = load(place, &args.run)?;
    let config = loaded::config(&place.config)?;
    let rollouts = &config.snapshot.rollouts;
    let settings = rollouts.get(&args.rollout).ok_or_else(|| {
        let known = names_like(&args.rollout, rollouts.keys().map(String::as_str));
        Stop::usage(format!("the config has no rollout `{}`", args.rollout)).hint(known)
    })?;
    let (baseline, candidate) = (settings.baseline.as_str(), settings.candidate.as_str());
    let is_held = report.targets.first().is_some_and(|target| target.name == baseline);
    let compared = report.candidates.iter().find(|one| one.candidate == candidate).filter(|_| is_held);
    let compared = compared.ok_or_else(|| {
        Stop::usage(format!(
            "the run `{}` does not hold `{candidate}` against `{baseline}`, as the rollout does",
            args.run
        ))
    })?;
    same_targets(place, (&args.run, &[baseline, candidate]), &config)?;
    let found = if args.review {
        of_people(place, &args.run, candidate)?
    } else {
        let text = serde_json::to_string_pretty(&report).map_err(Stop::failed)? + "\n";
        let sentence = eval::report::sentence(candidate, &report, &compared.primary);
        let (verdict, n) = (compared.primary.verdict, compared.primary.n);
        Found { kind: "suite", verdict, n, sentence, digest: sha256(&text) }
    };
    let Found { kind, verdict, n, sentence, digest } = found;
    if verdict == Verdict::Undecided {
        out.say(sentence);
        out.say("nothing is filed: undecided is no result");
        return Ok(Exit::Undecided);
    }
    let passed = verdict == Verdict::Pass;
    let name = args.name.as_ref().unwrap_or(&report.dataset);
    let body = json!({
        "actor": args.actor,
        "kind": kind,
        "name": name,
        "passed": passed,
        "digest": digest,
        "n": n,
        "reason": sentence,
    });
    let source = Source::open(place)?;
    let path = format!("/api/rollouts/{}/file", percent(&args.rollout));
    let row = source.change(&path, &body)?.ok_or_else(|| source.nobody())?;
    let word = if passed { "pass" } else { "fail" };
    out.answer(&row, || format!("{}: {kind} `{name}` filed as a {word}, {n} cases\n", args.rollout));
    Ok(if passed { Exit::Ok } else { Exit::No })
}

/// What people said of the pairs of a candidate.
fn of_people(place: &Place, run: &str, candidate: &str) -> Result<Found, Stop> {
    let all = super::review::results(place, run)?;
    let found = all.into_iter().find(|one| one.standing.candidate == candidate);
    let found = found.ok_or_else(|| Stop::usage(format!("the run `{run}` has no pairs of `{candidate}`")))?;
    let text = serde_json::to_string_pretty(&found).map_err(Stop::failed)? + "\n";
    let sentence = super::review::sentence(candidate, &found.proof);
    Ok(Found { kind: "review", verdict: found.proof.verdict, n: found.proof.n, sentence, digest: sha256(&text) })
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Refuses a run of targets that have changed since.
fn same_targets(place: &Place, (run, names): (&str, &[&str]), config: &crate::config::Config) -> Result<(), Stop> {
    let row = readable(place)?.eval_run(run).map_err(Stop::failed)?;
    let plan = row.map(|row| row.plan).unwrap_or_default();
    let planned = plan["targets"].as_array().cloned().unwrap_or_default();
    for name in names {
        let then =
            planned.iter().find(|target| target["name"] == *name).and_then(|target| target["fingerprint"].as_str());
        let now = config.snapshot.targets.get(*name).map(|target| target.fingerprint.as_str());
        if then != now {
            let stop = Stop::usage(format!("`{name}` is not what it was when the run `{run}` asked it"));
            return Err(stop.hint("`crossfade eval run` asks it as it is now"));
        }
    }
    Ok(())
}
