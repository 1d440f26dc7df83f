//! `crossfade vectors switch`: an index is answered from the store that it moves to.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use vectors::facade::pair::Mode;
use vectors::parity::Verdict;
use vectors::stores::Address;

use super::alias;
use super::moves::{self, By, Moving, Turned};
use super::shadow;
use crate::out::{Exit, Out, Stop};
use crate::verbs::Place;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The index; or qdrant:HOST:PORT#NAME, a name that applications ask Qdrant by and that stands for a collection.
    index: String,
    /// The collection of the same server that a name of Qdrant is to stand for.
    #[arg(long, value_name = "COLLECTION")]
    to: Option<String>,
    /// What `crossfade vectors eval SOURCE TARGET --format json` printed, instead of the shadow's reads.
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    /// Though the evidence does not carry it, or the target lacks changes.
    #[arg(long, requires = "reason")]
    force: bool,
    #[command(flatten)]
    by: By,
}

/// What is read of a comparison.
#[derive(Deserialize)]
struct Comparison {
    source: String,
    target: String,
    n_queries: usize,
    verdict: Verdict,
    why: String,
}

/// Switches.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    if alias::is_one(&args.index) {
        let turn = alias::Turn { to: args.to.as_deref(), evidence: args.evidence.as_deref(), is_forced: args.force };
        return alias::switch(&args.index, &turn, &args.by, out);
    }
    if args.to.is_some() {
        return Err(Stop::usage(
            "--to is for a name of Qdrant: where an index goes stands in the config, as `moves_to`",
        ));
    }
    let moving = moves::find(place, &args.index)?;
    let standing = moving.standing()?;
    standing.mode.may_turn(Mode::Target).map_err(Stop::usage)?;
    let (verdict, why, evidence) = match &args.evidence {
        Some(file) => compared(file, &[&moving.settings.source.store], &moving.moves_to.target.store)?,
        None if standing.mode == Mode::Shadow => shadowed(&moving)?,
        None => (Verdict::Undecided, "nothing says that as much is found in the target".to_owned(), json!({})),
    };
    if verdict != Verdict::Pass && !args.force {
        let stop = Stop::failed(anyhow::anyhow!("index `{}` is not switched: {why}", args.index));
        return Err(stop.exit(shadow::exit(verdict)).hint(format!(
            "`crossfade vectors mode {0} shadow` asks queries of both stores, `crossfade vectors shadow {0}` says what they say; or compare with `crossfade vectors eval --format json` and give what it prints to `--evidence`; `--force --reason TEXT` does without",
            args.index
        )));
    }
    let turned = moving.turn(place, out, Mode::Target, &args.by, (Some(evidence), args.force))?;
    said(&moving, Mode::Target, &turned, out);
    Ok(Exit::Ok)
}

/// Says what became of it.
pub(super) fn said(moving: &Moving, mode: Mode, turned: &Turned, out: &Out) {
    let (index, source, target) = (&moving.of.index, &moving.of.source, &moving.of.target);
    let (answers, other) = if mode == Mode::Target { (target, source) } else { (source, target) };
    let took_ms = u64::try_from(turned.took.as_millis()).unwrap_or(u64::MAX);
    let facts = json!({ "index": index, "mode": mode, "answers": answers, "event": turned.event, "took_ms": took_ms });
    out.answer(&facts, || {
        format!("{index} is answered from {answers}, {took_ms} ms after it was asked for; what is written goes to {other} too\n")
    });
}

/// What the queries that were asked of both say, and the evidence of it.
pub(super) fn shadowed(moving: &Moving) -> Result<(Verdict, String, Value), Stop> {
    let Some(shadowed) = shadow::of(moving)? else {
        return Ok((Verdict::Undecided, "no query was asked of both stores".to_owned(), json!({})));
    };
    let evidence = json!({
        "shadow": { "verdict": shadowed.verdict, "why": shadowed.why, "n_reads": shadowed.n_reads, "n_lost": shadowed.n_lost, "alike": shadowed.parity.alike },
    });
    Ok((shadowed.verdict, shadowed.why, evidence))
}

/// What a comparison says of a move out of what has one of these addresses.
pub(super) fn compared(file: &Path, source: &[&Address], target: &Address) -> Result<(Verdict, String, Value), Stop> {
    let wrong = |what: String| Stop::usage(format_args!("--evidence {}: {what}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(format!("it cannot be read: {error}")))?;
    let found: Comparison = serde_json::from_str(&text).map_err(|error| {
        wrong(format!("it is nothing that `crossfade vectors eval --format json` printed: {error}"))
    })?;
    for (written, meant, what) in [(&found.source, source, "source"), (&found.target, &[target], "target")] {
        if !Address::parse(written).is_ok_and(|written| meant.iter().any(|meant| is_same(&written, meant))) {
            let meant: Vec<String> = meant.iter().map(ToString::to_string).collect();
            return Err(wrong(format!("its {what} is {written}, and that of the move is {}", meant.join(" or "))));
        }
    }
    let digest: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    let evidence = json!({
        "eval": { "verdict": found.verdict, "why": found.why, "n_queries": found.n_queries, "sha256": digest },
    });
    Ok((found.verdict, found.why, evidence))
}

/// Whether two addresses mean one collection. A file has many names.
fn is_same(one: &Address, other: &Address) -> bool {
    match (one, other) {
        (Address::SqliteVec { file, table }, Address::SqliteVec { file: other, table: other_table }) => {
            let whole = |file: &Path| file.canonicalize().ok();
            table == other_table && whole(file).is_some() && whole(file) == whole(other)
        }
        (one, other) => one == other,
    }
}
