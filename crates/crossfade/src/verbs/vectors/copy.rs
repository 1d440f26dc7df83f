//! `crossfade vectors copy`: a collection into another store.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use vectors::copy::{CopyError, Limits, Tally};
use vectors::run::Run;
use vectors::schema::Metric;
use vectors::stores::Address;

use super::{address, metric, runs, stop_of, stop_of_run, verify};
use crate::out::{Exit, Out, Stop};
use crate::verbs::Place;
use crate::verbs::eval::{draw, rough};

/// How many of the rows that were put aside are named.
pub(super) const MAX_NAMED: u32 = 10;

/// How often the progress is drawn.
pub(super) const DRAWN: Duration = Duration::from_millis(200);

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The collection: parquet:DIR, jsonl:PATH, sqlite-vec:FILE#TABLE, postgres://USER@HOST/DATABASE#TABLE, chroma:HOST:PORT#COLLECTION, milvus:HOST:PORT#COLLECTION, qdrant:HOST:PORT#COLLECTION or pinecone:HOST#NAMESPACE.
    source: String,
    /// Where it goes: the same kinds. It must not hold anything yet.
    target: String,
    #[command(flatten)]
    how: How,
    /// Compare every row afterwards.
    #[arg(long)]
    verify: bool,
}

/// What every verb that copies can be told.
#[derive(Debug, clap::Args)]
pub(super) struct How {
    /// The directory of the run's journal. Default: `vectors-` and a hash of both addresses, so that the same command goes on where it stood.
    #[arg(long, value_name = "DIR")]
    pub(super) run: Option<PathBuf>,
    /// How the target compares a dense vector, where the source does not say: cosine, l2, dot or hamming.
    #[arg(long, value_name = "NAME=METRIC", value_parser = metric)]
    pub(super) metric: Vec<(String, Metric)>,
    /// The most rows in a batch.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) batch_rows: Option<u32>,
    /// The most rows that may be put aside before the copy stops.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(super) max_aside: u64,
}

/// Copies.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    both(place, (&address(&args.source)?, &address(&args.target)?), &args.how, args.verify, out)
}

/// Copies, and compares where that is asked.
pub(super) fn both(
    place: &Place,
    (source, target): (&Address, &Address),
    how: &How,
    is_verified: bool,
    out: &Out,
) -> Result<Exit, Stop> {
    let directory = how.run.clone().unwrap_or_else(|| usual_directory(&source.to_string(), &target.to_string()));
    let metrics: BTreeMap<String, Metric> = how.metric.iter().cloned().collect();
    let mut run = Run::open(source, target, &directory, &metrics).map_err(stop_of_run)?;
    runs::note(place, &directory, "copy", out);
    if run.was_through {
        out.say(format_args!("the copy of {} was through before: nothing is copied again", directory.display()));
    } else if run.is_resumed {
        out.say(format_args!("the copy of {} goes on", directory.display()));
    }
    let began = Instant::now();
    let limits = Limits { max_aside: how.max_aside, batch_rows: how.batch_rows.map(|n| n as usize) };
    let (n_rows, mut first, mut drawn) = (run.n_rows, None, None);
    let result = run.copy(limits, |tally| {
        let done = *first.get_or_insert(tally.n_rows);
        if drawn.is_none_or(|drawn: Instant| drawn.elapsed() >= DRAWN) {
            drawn = Some(Instant::now());
            draw(&line(tally, n_rows, done, began.elapsed()));
        }
    });
    draw("");
    let tally = result.map_err(|error| stopped(error, &run, &directory))?;
    let asides = run.asides(MAX_NAMED).map_err(Stop::failed)?;
    drop(run);
    let unproved = source.source().unproved().map_err(stop_of)?;
    let comparison = is_verified.then(|| verify::compare(source, target, None, &[])).transpose()?;
    if let Some(comparison) = &comparison {
        verify::keep(place, (source, target), None, comparison, out);
    }
    let facts = json!({
        "source": source.to_string(), "target": target.to_string(), "run": directory, "n_rows": tally.n_rows, "n_aside": tally.n_aside,
        "digest": format!("{:032x}", tally.digest), "aside": asides, "comparison": comparison, "unproved": unproved,
        "least_rows": tally.least_rows,
    });
    let is_same = comparison.as_ref().is_none_or(vectors::verify::Comparison::is_same);
    out.answer(&facts, || {
        let mut text =
            format!("{} rows from {source} to {target}, digest {}\n", tally.n_rows, text_of(&facts["digest"]));
        for aside in &asides {
            text += &format!("put aside: {}: {}\n", aside.place, aside.why);
        }
        if tally.n_aside > 0 {
            text +=
                &format!("{} rows were put aside; all of them are whole in {}\n", tally.n_aside, directory.display());
        }
        text += &narrowed(tally);
        text.extend(unproved.iter().map(|why| format!("{why}\n")));
        text + &comparison.as_ref().map(verify::text).unwrap_or_default()
    });
    if comparison.is_none() {
        out.say(format_args!("`crossfade vectors verify {source} {target}` compares every row"));
    }
    Ok(if tally.n_aside == 0 && is_same { Exit::Ok } else { Exit::No })
}

/// What is told where the target took less at once than it was given.
pub(super) fn narrowed(tally: Tally) -> String {
    let told = |n| {
        format!(
            "the target took less at once for a while: batches went down to {n} rows, and up again as it took them\n"
        )
    };
    tally.least_rows.map(told).unwrap_or_default()
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Why a copy stopped, with what to do.
pub(super) fn stopped(error: CopyError, run: &Run, directory: &std::path::Path) -> Stop {
    let hint = match &error {
        CopyError::Aside(..) => {
            let why = run
                .asides(1)
                .ok()
                .and_then(|asides| asides.into_iter().next())
                .map(|aside| format!("the first: {}; ", aside.why));
            format!("{}`--max-aside` allows more", why.unwrap_or_default())
        }
        _ => format!("what was acknowledged stands in {}; the same command goes on there", directory.display()),
    };
    Stop::failed(error).hint(hint)
}

fn line(tally: Tally, n_rows: u64, first: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    // Rows are counted well below what a float holds exactly.
    let n_new = (tally.n_rows - first.min(tally.n_rows)) as f64;
    let rate = if seconds > 0.0 { n_new / seconds } else { 0.0 };
    let n_left = n_rows.saturating_sub(tally.n_rows) as f64;
    let left = if rate > 0.0 {
        format!(", about {} left", rough(Duration::from_secs_f64((n_left / rate).min(1e9))))
    } else {
        String::new()
    };
    format!("{} of {n_rows} rows, {rate:.0} a second{left}", tally.n_rows)
}

/// The directory of a run that nobody named.
pub(super) fn usual_directory(source: &str, target: &str) -> PathBuf {
    let hash = Sha256::digest(format!("{source}\n{target}"));
    let hash: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    PathBuf::from(format!("vectors-{hash}"))
}
