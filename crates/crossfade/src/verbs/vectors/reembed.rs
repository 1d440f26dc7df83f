//! `crossfade vectors reembed`: a collection into another store, with a dense vector made anew from the texts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vectors::copy::{Limits, Tally};
use vectors::reembed::{CACHE, Cache, Probe, Reembedded, Spent, Told, What, Work, begun, work};
use vectors::run::Run;
use vectors::schema::Metric;
use vectors::stores::Address;

use super::copy::{DRAWN, How, MAX_NAMED, narrowed, stopped, usual_directory};
use super::encoder::{self, Encoder, Flags, Pacing, Record};
use super::{address, runs, stop_of, stop_of_run, verify};
use crate::out::{Exit, Out, Stop};
use crate::verbs::Place;
use crate::verbs::eval::{draw, rough};

/// What is left in the run's directory for whoever makes more vectors of the space.
const RECORD: &str = "encoder.json";

/// How many calls' worth of rows are read at a time, for each call under way.
const CALLS_AHEAD: usize = 8;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The collection: parquet:DIR, jsonl:PATH, sqlite-vec:FILE#TABLE, postgres://USER@HOST/DATABASE#TABLE, chroma:HOST:PORT#COLLECTION, milvus:HOST:PORT#COLLECTION, qdrant:HOST:PORT#COLLECTION or pinecone:HOST#NAMESPACE.
    source: String,
    /// Where it goes: the same kinds. It must not hold anything yet.
    target: String,
    /// The dense vector that is made anew.
    #[arg(long, value_name = "NAME", default_value = vectors::row::ONLY_VECTOR)]
    vector: String,
    /// The field of the metadata that the text stands in, where rows have no text of their own.
    #[arg(long, value_name = "FIELD")]
    text_field: Option<String>,
    /// Keep rows without text, without the vector; else they are put aside.
    #[arg(long)]
    keep_without_text: bool,
    /// The texts are queries: they get --query-prefix. The space stays that of the collection.
    #[arg(long)]
    queries: bool,
    #[command(flatten)]
    encoder: Flags,
    #[command(flatten)]
    pacing: Pacing,
    /// Where embeddings are kept so that no text is asked for twice; one file may serve several runs. Default: embeddings.db in the run's directory.
    #[arg(long, value_name = "FILE")]
    cache: Option<PathBuf>,
    /// Ask again for what was refused before.
    #[arg(long)]
    retry_refused: bool,
    #[command(flatten)]
    how: How,
    /// Compare everything but the vector afterwards.
    #[arg(long)]
    verify: bool,
    /// Say what it comes to: rows without text, calls, tokens, cost and time. Only sixteen short texts are embedded, and nothing is written.
    #[arg(long)]
    dry_run: bool,
}

/// Both ends, and the directory between.
struct Ends {
    source: Address,
    target: Address,
    /// What the run's journal calls its source.
    name: String,
    directory: PathBuf,
}

/// Makes vectors anew.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let (source, target) = (address(&args.source)?, address(&args.target)?);
    let name = format!("{source} with `{}` made anew", args.vector);
    let directory = args.how.run.clone().unwrap_or_else(|| usual_directory(&name, &target.to_string()));
    let ends = Ends { source, target, name, directory };
    let earlier = begun(&ends.directory).map_err(stop_of_run)?;
    if let Some((space, true)) = &earlier {
        return through(place, args, &ends, space.as_deref(), out);
    }
    let encoder = encoder::of(place, &args.encoder)?;
    let done = embedded((place, args), &ends, &encoder, earlier.and_then(|(space, _)| space), out);
    encoder.note(place, out);
    done
}

/// A run that was through before.
fn through(place: &Place, args: &Args, ends: &Ends, space: Option<&str>, out: &Out) -> Result<Exit, Stop> {
    let metrics = args.how.metric.iter().cloned().collect();
    let inner = (ends.name.clone(), ends.source.source());
    let mut run = Run::of(inner, &ends.target, &ends.directory, &metrics).map_err(stop_of_run)?;
    let tally = run.copy(limits(args, 1), |_| {}).map_err(|error| stopped(error, &run, &ends.directory))?;
    out.say(format_args!("the run of {} was through before: nothing is done again", ends.directory.display()));
    ended((place, args), ends, (&run, tally, space), json!({}), out)
}

fn limits(args: &Args, in_flight: usize) -> Limits {
    let rows = args.how.batch_rows.map_or(in_flight * CALLS_AHEAD * args.pacing.batch(), |n| n as usize);
    Limits { max_aside: args.how.max_aside, batch_rows: Some(rows) }
}

fn embedded(
    (place, args): (&Place, &Args),
    ends: &Ends,
    encoder: &Encoder,
    earlier: Option<String>,
    out: &Out,
) -> Result<Exit, Stop> {
    let probe = encoder.probe()?;
    args.pacing.checked(&probe)?;
    let texts = if args.queries { encoder.of_queries() } else { encoder.recipe.clone() };
    let what = What {
        vector: args.vector.clone(),
        text_field: args.text_field.clone(),
        keeps_without_text: args.keep_without_text,
        refuses_long: args.encoder.refuses_long(),
    };
    let file = args.cache.clone().unwrap_or_else(|| ends.directory.join(CACHE));
    let open = || Cache::open(&file, &encoder.recipe, &probe.canaries, earlier.as_deref()).map_err(Stop::failed);
    if args.dry_run {
        // A cache that is not there is not made.
        let cache = file.exists().then(open).transpose()?;
        let work = work(&mut *ends.source.source(), &what, &texts, cache.as_ref()).map_err(stop_of)?;
        return Ok(planned(args, (encoder, &probe), &work, out));
    }
    std::fs::create_dir_all(&ends.directory)
        .map_err(|error| Stop::failed(error).hint(format!("could not make {}", ends.directory.display())))?;
    let mut cache = open()?;
    let space = cache.space().to_owned();
    if let Some(earlier) = earlier.filter(|earlier| *earlier != space) {
        return Err(Stop::failed(anyhow::anyhow!(
            "the run of {} was begun in the space {earlier}, and the encoder makes {space} now",
            ends.directory.display()
        ))
        .exit(Exit::No)
        .hint("two spaces are never mixed: ask the encoder that it was begun with, or name another directory with `--run` and another target"));
    }
    cache.put(&[], probe.spent()).map_err(Stop::failed)?;
    if args.retry_refused {
        cache.forget_refused().map_err(Stop::failed)?;
    }
    let record = Record { space: Some(space.clone()), ..encoder.record.clone() };
    let manner = args.pacing.manner(encoder, args.how.max_aside);
    let dims = probe.canaries.first().map_or(0, Vec::len);
    let shown = Arc::new(Shown::new(cache.spent().map_err(Stop::failed)?));
    let source = {
        let shown = Arc::clone(&shown);
        let makes = (Arc::clone(&encoder.embed), texts, dims);
        Reembedded::new(ends.source.source(), what, makes, manner, cache, Box::new(move |told| shown.told(told)))
            .map_err(Stop::failed)?
    };
    let metrics: BTreeMap<String, Metric> = args.how.metric.iter().cloned().collect();
    let mut run =
        Run::of((ends.name.clone(), Box::new(source)), &ends.target, &ends.directory, &metrics).map_err(stop_of_run)?;
    record.write(&ends.directory.join(RECORD))?;
    runs::note(place, &ends.directory, "reembed", out);
    if run.is_resumed {
        out.say(format_args!("the run of {} goes on", ends.directory.display()));
    }
    shown.begin(run.n_rows);
    let result = run.copy(limits(args, manner.in_flight), |tally| shown.acknowledged(tally));
    draw("");
    let tally = result.map_err(|error| stopped(error, &run, &ends.directory))?;
    let told = shown.last();
    let facts = json!({
        "dims": dims, "spent": spent(told.spent), "n_cut": told.n_cut + told.spent.n_cut, "simulated": encoder.simulated,
        "encoder": ends.directory.join(RECORD),
    });
    if encoder.simulated {
        out.say("simulated: the vectors are made up");
    }
    ended((place, args), ends, (&run, tally, Some(&space)), facts, out)
}

fn spent(spent: Spent) -> Value {
    json!({
        "n_calls": spent.n_calls, "n_texts": spent.n_texts, "n_tokens": spent.n_tokens,
        "dollars": cost::decimal::dollars(spent.nanos),
    })
}

/// Says how it ended, and compares where that is asked.
fn ended(
    (place, args): (&Place, &Args),
    ends: &Ends,
    (run, tally, space): (&Run, Tally, Option<&str>),
    more: Value,
    out: &Out,
) -> Result<Exit, Stop> {
    let asides = run.asides(MAX_NAMED).map_err(Stop::failed)?;
    let comparison =
        args.verify.then(|| verify::compare(&ends.source, &ends.target, Some(&args.vector), &[])).transpose()?;
    if let Some(comparison) = &comparison {
        verify::keep(place, (&ends.source, &ends.target), Some(&args.vector), comparison, out);
    }
    let mut facts = json!({
        "source": ends.source.to_string(), "target": ends.target.to_string(), "run": ends.directory, "vector": args.vector, "space": space,
        "n_rows": tally.n_rows, "n_aside": tally.n_aside, "digest": format!("{:032x}", tally.digest), "aside": asides, "comparison": comparison,
        "least_rows": tally.least_rows,
    });
    if let (Value::Object(facts), Value::Object(more)) = (&mut facts, more) {
        facts.extend(more);
    }
    out.answer(&facts, || {
        let mut text = format!("{} rows from {} to {}\n", tally.n_rows, ends.source, ends.target);
        if let Some(space) = space {
            text += &format!("space: {space}\n");
        }
        if let Value::Object(spent) = &facts["spent"] {
            text += &format!(
                "{} calls, {} texts, {} tokens, {} dollars in all, earlier runs with the same cache included\n",
                spent["n_calls"],
                spent["n_texts"],
                spent["n_tokens"],
                spent["dollars"].as_str().unwrap_or_default()
            );
        }
        if let Some(n_cut) = facts["n_cut"].as_u64().filter(|n_cut| *n_cut > 0) {
            text += &format!("{n_cut} texts were longer than what is read of them: the rest is not in their vectors\n");
        }
        for aside in &asides {
            text += &format!("put aside: {}: {}\n", aside.place, aside.why);
        }
        if tally.n_aside > 0 {
            let directory = ends.directory.display();
            text += &format!("{} rows were put aside; all of them are whole in {directory}\n", tally.n_aside);
        }
        text += &narrowed(tally);
        text + &comparison.as_ref().map(verify::text).unwrap_or_default()
    });
    if comparison.is_none() {
        out.say(format_args!(
            "`crossfade vectors verify {} {} --without {}` compares everything but the vector",
            ends.source, ends.target, args.vector
        ));
    }
    let is_same = comparison.as_ref().is_none_or(vectors::verify::Comparison::is_same);
    Ok(if tally.n_aside == 0 && is_same { Exit::Ok } else { Exit::No })
}

/// Says what there is to do.
fn planned(args: &Args, (encoder, probe): (&Encoder, &Probe), work: &Work, out: &Out) -> Exit {
    let n_to_do = work.n_texts - work.n_known;
    let n_calls = n_to_do.div_ceil(args.pacing.batch() as u64);
    // What the canaries took says what the texts take; they are of many kinds.
    let scaled = |of: u64| u128::from(of) * u128::from(work.n_bytes_to_do) / u128::from(probe.n_bytes.max(1));
    let scaled = |of: u64| u64::try_from(scaled(of)).unwrap_or(u64::MAX);
    let (n_tokens, nanos) = (probe.n_tokens.map(scaled), probe.nanos.map(scaled));
    let limits = args.pacing.limits();
    let minutes =
        |n: u64, a_minute: Option<u64>| a_minute.map(|a_minute| Duration::from_secs(60 * n / a_minute.max(1)));
    let by_calls = minutes(n_calls, limits.requests_per_minute.map(u64::from));
    let least = by_calls.max(minutes(n_tokens.unwrap_or(0), limits.tokens_per_minute));
    let facts = json!({
        "work": work, "n_calls": n_calls, "about_n_tokens": n_tokens, "about_dollars": nanos.map(cost::decimal::dollars),
        "least_seconds": least.map(|least| least.as_secs()), "space": encoder.recipe.space(&probe.canaries), "simulated": encoder.simulated,
    });
    out.answer(&facts, || {
        let Work { n_rows, n_without_text, n_texts, n_known, n_cut, .. } = work;
        let becomes = if args.keep_without_text { "are kept without the vector" } else { "are put aside" };
        let mut text = format!("{n_rows} rows; {n_without_text} have no text and {becomes}\n");
        text += &format!("{n_texts} texts, each once; {n_known} of them are known; {n_cut} are cut\n");
        text += &format!("{n_calls} calls");
        if let Some(n_tokens) = n_tokens {
            text += &format!(", about {n_tokens} tokens");
        }
        if let Some(nanos) = nanos {
            text += &format!(", about {} dollars", cost::decimal::dollars(nanos));
        }
        if let Some(least) = least {
            text += &format!(", at least {} by the limits", rough(least));
        }
        text + &format!("\nspace: {}\n", encoder.recipe.space(&probe.canaries))
    });
    Exit::Ok
}

/// What is drawn while it goes on.
struct Shown(Mutex<Drawn>);

struct Drawn {
    told: Told,
    before: Spent,
    n_rows: u64,
    acknowledged: (u64, u64),
    began: Instant,
    last: Option<Instant>,
}

impl Shown {
    fn new(before: Spent) -> Shown {
        let told = Told { spent: before, n_texts: 0, n_cut: 0 };
        Shown(Mutex::new(Drawn { told, before, n_rows: 0, acknowledged: (0, 0), began: Instant::now(), last: None }))
    }

    fn begin(&self, n_rows: u64) {
        self.with(|drawn| (drawn.n_rows, drawn.began) = (n_rows, Instant::now()));
    }

    fn told(&self, told: Told) {
        self.with(|drawn| {
            drawn.told = told;
            drawn.draw();
        });
    }

    fn acknowledged(&self, tally: Tally) {
        self.with(|drawn| {
            let n_rows = tally.n_rows + tally.n_aside;
            let first = if drawn.acknowledged == (0, 0) { n_rows } else { drawn.acknowledged.0 };
            drawn.acknowledged = (first, n_rows);
            drawn.draw();
        });
    }

    fn last(&self) -> Told {
        self.with(|drawn| drawn.told)
    }

    fn with<T>(&self, does: impl FnOnce(&mut Drawn) -> T) -> T {
        does(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drawn {
    fn draw(&mut self) {
        if self.last.is_some_and(|last| last.elapsed() < DRAWN) {
            return;
        }
        self.last = Some(Instant::now());
        let seconds = self.began.elapsed().as_secs_f64().max(1e-3);
        // Counted well below what a float holds exactly.
        let rate = (self.told.spent.n_texts - self.before.n_texts) as f64 / seconds;
        let (first, done) = self.acknowledged;
        let row_rate = (done - first) as f64 / seconds;
        let left = self.n_rows.saturating_sub(done) as f64;
        let left = if row_rate > 0.0 {
            format!(", about {} left", rough(Duration::from_secs_f64((left / row_rate).min(1e9))))
        } else {
            String::new()
        };
        let spent = self.told.spent;
        draw(&format!(
            "{done} of {} rows, {rate:.0} texts a second, {} tokens, {} dollars{left}",
            self.n_rows,
            spent.n_tokens,
            cost::decimal::dollars(spent.nanos)
        ));
    }
}
