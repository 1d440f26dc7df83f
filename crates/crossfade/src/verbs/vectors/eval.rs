//! `crossfade vectors eval`: is what is found after a move as good as what was found before?

mod page;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use stats::retrieval::in_order;
use vectors::nearest::{Hit, Query, floats, nearest};
use vectors::parity::{Ask, Change, Figure, Found, LEAST_SLICE, Parity, Verdict, compare};
use vectors::relevance::{Malformed, Scored, relevance, run as trec_run};
use vectors::schema::Metric;
use vectors::stores::Address;

use super::encoder::{self, Record};
use super::runs::{self, EVAL, Of};
use super::{address, stop_of};
use crate::out::{Exit, Out, Stop, table};
use crate::verbs::Place;
use crate::verbs::eval::draw;

/// How often the progress is drawn.
const DRAWN: Duration = Duration::from_millis(200);
/// The most slices: a field with as many values as queries makes none.
const MAX_SLICES: usize = 200;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What was asked before: a collection, or run:FILE, ranked lists in TREC's format.
    source: String,
    /// What is asked after the move: the same kinds.
    target: String,
    /// The queries: a collection whose rows have an id, a vector and perhaps metadata. A query sees the rows of its namespace.
    #[arg(long, value_name = "COLLECTION")]
    queries: Option<String>,
    /// The same queries in the target's vector space, where it is another. Default: those of --queries.
    #[arg(long, value_name = "COLLECTION")]
    target_queries: Option<String>,
    /// The queries are texts: an encoder.json says what makes vectors of them in the source's space.
    #[arg(long, value_name = "FILE", requires = "queries")]
    encoder: Option<PathBuf>,
    /// The same for the target's space, where it is another.
    #[arg(long, value_name = "FILE", requires = "queries", conflicts_with = "target_queries")]
    target_encoder: Option<PathBuf>,
    /// The name of the vector.
    #[arg(long, value_name = "NAME", default_value = vectors::row::ONLY_VECTOR)]
    vector: String,
    /// Its name in the target, where it is another.
    #[arg(long, value_name = "NAME")]
    target_vector: Option<String>,
    /// How vectors are compared, where a collection does not say: cosine, l2, dot or hamming.
    #[arg(long, value_name = "METRIC", value_parser = |text: &str| super::metric(&format!("dense={text}")).map(|(_, metric)| metric))]
    metric: Option<Metric>,
    /// Which documents are right for which query: TREC's `QUERY 0 DOCUMENT GRADE` a line, or BEIR's table. Without it only how alike the lists are is known.
    #[arg(long, value_name = "FILE")]
    qrels: Option<PathBuf>,
    /// How many of each list count.
    #[arg(short, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    k: u16,
    /// How much worse the target may be: of nDCG and of recall, each between 0 and 1.
    #[arg(long, value_name = "PART", default_value_t = 0.02)]
    margin: f64,
    /// How often a target that is worse by the margin may pass.
    #[arg(long, value_name = "PART", default_value_t = 0.05)]
    alpha: f64,
    /// Judge the queries of each value of this field of their metadata apart too. May be said again.
    #[arg(long, value_name = "FIELD")]
    slice: Vec<String>,
    /// Do not compare with every row: what an index loses stays unknown.
    #[arg(long)]
    no_exact: bool,
    /// Write a page with plots to this file.
    #[arg(short, long, alias = "out", value_name = "FILE.html")]
    output: Option<PathBuf>,
}

/// What is answered.
#[derive(Serialize)]
struct Facts<'facts> {
    source: &'facts str,
    target: &'facts str,
    /// What the lists came out of: `exact`, `index` or `run`.
    lists: (&'static str, &'static str),
    /// Rows that could not be compared.
    notes: Vec<String>,
    #[serde(flatten)]
    parity: &'facts Parity,
}

/// Where lists come from.
enum From {
    Collection(Address),
    Run(PathBuf),
}

/// Compares.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    for (name, value) in [("margin", args.margin), ("alpha", args.alpha)] {
        if value.is_nan() || value <= 0.0 || value >= 1.0 {
            return Err(Stop::usage(format_args!("--{name} {value}: it is between 0 and 1")));
        }
    }
    let judged = args.qrels.as_deref().map(|path| read(path, relevance)).transpose()?.unwrap_or_default();
    let (source, target) = (from(&args.source)?, from(&args.target)?);
    let target_vector = args.target_vector.as_ref().unwrap_or(&args.vector);
    let asked =
        queries(args, args.queries.as_ref(), &args.vector, (&source, &target), makes(place, &args.encoder, out))?;
    let others = match (&args.target_queries, &args.target_encoder) {
        (None, None) => None,
        (Some(_), _) => Some(queries(args, args.target_queries.as_ref(), target_vector, (&source, &target), None)?),
        (None, encoder) => {
            let makes = makes(place, encoder, out);
            Some(queries(args, args.queries.as_ref(), target_vector, (&source, &target), makes)?)
        }
    };
    let before = lists(args, &source, &args.vector, &asked)?;
    let after = lists(args, &target, target_vector, others.as_ref().unwrap_or(&asked))?;
    let slices = asked.slices;
    let ask = Ask { k: usize::from(args.k), margin: args.margin, alpha: args.alpha, power: 0.8, seed: 1 };
    let mut judged = judged;
    let asked: BTreeSet<&String> = before.found.lists.keys().chain(after.found.lists.keys()).collect();
    let n_all = judged.len();
    if args.queries.is_some() {
        // Judgements of other queries say nothing of these collections.
        judged.retain(|query, _| asked.contains(query));
    }
    let mut notes = [before.notes.clone(), after.notes.clone()].concat();
    if judged.len() < n_all {
        notes.push(format!("{} of the {n_all} judged queries are not among the queries asked", n_all - judged.len()));
    }
    if args.qrels.is_some() && judged.is_empty() {
        return Err(Stop::failed(anyhow::anyhow!(
            "no query of the queries is judged in {}",
            args.qrels.as_deref().unwrap_or(Path::new("")).display()
        ))
        .exit(Exit::Usage)
        .hint("the first column has to hold the ids of the queries"));
    }
    let parity = compare((&before.found, &after.found), &judged, &slices, ask);
    let facts =
        Facts { source: &args.source, target: &args.target, lists: (before.how, after.how), notes, parity: &parity };
    if let Some(path) = &args.output {
        std::fs::write(path, page::html(&facts))
            .map_err(|error| Stop::failed(error).hint(format!("could not write {}", path.display())))?;
        out.say(format_args!("the page is in {}", path.display()));
    }
    let of = Of { source: &source.to_string(), target: &target.to_string(), without: None };
    let words = format!("{} ({} queries, {} of them judged)", parity.why, parity.n_queries, parity.n_judged);
    runs::proved(place, &of, (EVAL, word(parity.verdict), words), out);
    out.answer(&facts, || text(&facts));
    Ok(match parity.verdict {
        Verdict::Pass => Exit::Ok,
        Verdict::Fail => Exit::No,
        Verdict::Undecided => Exit::Undecided,
    })
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            From::Collection(address) => address.fmt(f),
            From::Run(path) => write!(f, "run:{}", path.display()),
        }
    }
}

fn from(text: &str) -> Result<From, Stop> {
    match text.strip_prefix("run:") {
        Some(path) => Ok(From::Run(path.into())),
        None => Ok(From::Collection(address(text)?)),
    }
}

fn read(path: &Path, parse: impl Fn(&str) -> Result<Scored, Malformed>) -> Result<Scored, Stop> {
    let text = read_to_string(path)
        .map_err(|error| Stop::usage(format_args!("could not read {}: {error}", path.display())))?;
    parse(&text).map_err(|error| Stop::usage(format_args!("{}: {error}", path.display())))
}

/// Queries by value of a field, as `FIELD=VALUE`.
type Slices = BTreeMap<String, BTreeSet<String>>;

/// Queries, their slices, and the space that they live in where that is known.
#[derive(Default)]
struct Asked {
    queries: Vec<Query>,
    slices: Slices,
    space: Option<String>,
}

/// What makes vectors of texts: an encoder.json, and where it is read.
type Makes<'a> = (&'a Place, &'a Path, &'a Out);

fn makes<'a>(place: &'a Place, encoder: &'a Option<PathBuf>, out: &'a Out) -> Option<Makes<'a>> {
    Some((place, encoder.as_deref()?, out))
}

/// Vectors of queries' texts, and their space.
fn encoded((place, file, out): Makes<'_>, texts: &[String]) -> Result<(Vec<Vec<f32>>, String), Stop> {
    let encoder = encoder::built(place, Record::read(file)?, false)?;
    let probe = encoder.probe()?;
    let vectors = vectors::reembed::embed_all(&*encoder.embed, &encoder.of_queries(), texts);
    encoder.note(place, out);
    let vectors =
        vectors.map_err(|refused| Stop::failed(anyhow::anyhow!("the queries have no vectors: {}", refused.why)))?;
    Ok((vectors, encoder.recipe.space(&probe.canaries)))
}

/// The queries that a collection holds, and their slices.
fn queries(
    args: &Args,
    named: Option<&String>,
    vector: &str,
    sides: (&From, &From),
    makes: Option<Makes<'_>>,
) -> Result<Asked, Stop> {
    let Some(named) = named else {
        return match sides {
            (From::Run(_), From::Run(_)) => Ok(Asked::default()),
            _ => Err(Stop::usage("a collection is asked with --queries: a collection of queries with their vectors")),
        };
    };
    let (mut queries, mut slices, mut n_without) = (Vec::new(), Slices::new(), 0);
    let (mut texts, mut space): (Vec<String>, Option<String>) = (Vec::new(), None);
    vectors::stores::rows(&mut *address(named)?.source(), |row| {
        for (field, value) in row.metadata.as_ref().map(vectors::metadata::Metadata::fields).unwrap_or_default() {
            if args.slice.contains(&field) {
                let value = value.trim_matches('"');
                slices.entry(format!("{field}={value}")).or_default().insert(row.id.clone());
            }
        }
        let query = |vector| Query { id: row.id.clone(), namespace: row.namespace.clone(), vector };
        match (row.dense.get(vector), &row.text) {
            (_, Some(text)) if makes.is_some() => {
                texts.push(text.clone());
                queries.push(query(Vec::new()));
            }
            (Some(dense), _) if makes.is_none() => {
                space = space.take().or_else(|| row.space.clone());
                queries.push(query(floats(dense)));
            }
            _ => n_without += 1,
        }
    })
    .map_err(stop_of)?;
    if let Some(makes) = makes.filter(|_| n_without == 0) {
        let (vectors, of) = encoded(makes, &texts)?;
        queries.iter_mut().zip(vectors).for_each(|(query, vector)| query.vector = vector);
        space = Some(of);
    }
    let lengths: BTreeSet<usize> = queries.iter().map(|query| query.vector.len()).collect();
    let ids: BTreeSet<&String> = queries.iter().map(|query| &query.id).collect();
    if n_without > 0 || lengths.len() != 1 || ids.len() < queries.len() {
        let why = match (n_without, lengths.len()) {
            (0, 0) => "it has no rows".to_owned(),
            (0, 1) => "an id stands twice: each query needs one of its own, also over namespaces".to_owned(),
            (0, _) => format!("its vectors have several lengths: {lengths:?}"),
            _ if makes.is_some() => format!("{n_without} of its rows have no text"),
            _ => format!("{n_without} of its rows have no vector `{vector}`"),
        };
        return Err(Stop::usage(format_args!("the queries of {named}: {why}"))
            .hint("`--vector NAME` names another; `crossfade vectors doctor` says what there is"));
    }
    if slices.len() > MAX_SLICES {
        return Err(Stop::usage(format_args!(
            "--slice makes {} slices of {} queries; {MAX_SLICES} at most",
            slices.len(),
            queries.len()
        )));
    }
    Ok(Asked { queries, slices, space })
}

/// What one side found.
struct Lists {
    found: Found,
    how: &'static str,
    notes: Vec<String>,
}

fn lists(args: &Args, side: &From, vector: &str, asked: &Asked) -> Result<Lists, Stop> {
    let queries = asked.queries.as_slice();
    let address = match side {
        From::Run(path) => {
            let lists = read(path, trec_run)?.iter().map(|(query, scored)| (query.clone(), in_order(scored))).collect();
            return Ok(Lists { found: Found { lists, exact: None }, how: "run", notes: Vec::new() });
        }
        From::Collection(address) => address,
    };
    let survey = address.source().survey().map_err(stop_of)?;
    let Some(shape) = survey.schema.dense.get(vector) else {
        let has: Vec<&String> = survey.schema.dense.keys().collect();
        return Err(Stop::usage(format_args!("{address} has no vector `{vector}`; it has {has:?}"))
            .hint("`--vector` and `--target-vector` name it"));
    };
    same_space(address, survey.schema.space.as_deref(), asked)?;
    let dims = queries.first().map_or(0, |query| query.vector.len());
    if dims != shape.dims {
        return Err(Stop::usage(format_args!(
            "the queries have {dims} numbers, and `{vector}` of {address} has {}",
            shape.dims
        ))
        .hint("`--target-queries` names the queries in the target's space"));
    }
    let metric = shape.metric.or(args.metric).ok_or_else(|| {
        Stop::usage(format_args!("{address} does not say how `{vector}` is compared"))
            .hint("`--metric cosine`, `l2`, `dot` or `hamming` says it")
    })?;
    let k = usize::from(args.k);
    let owned = |hits: &[Hit]| hits.iter().map(|hit| hit.id.clone()).collect::<Vec<String>>();
    let named = |lists: Vec<Vec<String>>| -> BTreeMap<String, Vec<String>> {
        queries.iter().map(|query| query.id.clone()).zip(lists).collect()
    };
    let index = address.search().map(|mut index| {
        let mut drawn = Instant::now();
        let mut found = Vec::with_capacity(queries.len());
        for (at, query) in queries.iter().enumerate() {
            if drawn.elapsed() >= DRAWN {
                drawn = Instant::now();
                draw(&format!("{address}: {at} of {} queries", queries.len()));
            }
            found.push(owned(&index.search(vector, metric, query, k).map_err(stop_of)?));
        }
        draw("");
        Ok::<_, Stop>(named(found))
    });
    let index = index.transpose()?;
    let (mut notes, mut exact) = (Vec::new(), None);
    if !args.no_exact || index.is_none() {
        let mut drawn = Instant::now();
        let found = nearest(&mut *address.source(), vector, metric, queries, k, |n_rows| {
            if drawn.elapsed() >= DRAWN {
                drawn = Instant::now();
                draw(&format!("{address}: {n_rows} of {} rows compared", survey.n_rows));
            }
        });
        draw("");
        let found = found.map_err(stop_of)?;
        for (n, what) in
            [(found.n_without, "do not have the vector"), (found.n_undefined, "have one that is zero or not finite")]
        {
            if n > 0 {
                notes.push(format!("{n} rows of {address} {what}: nothing finds them"));
            }
        }
        exact = Some(named(found.hits.iter().map(|hits| owned(hits)).collect()));
    }
    Ok(match index {
        Some(lists) => Lists { found: Found { lists, exact }, how: "index", notes },
        None => {
            let first = |hits: Vec<String>| hits.into_iter().take(k).collect();
            let lists = exact.unwrap_or_default().into_iter().map(|(query, hits)| (query, first(hits))).collect();
            Lists { found: Found { lists, exact: None }, how: "exact", notes }
        }
    })
}

/// A query finds nothing that means anything in another model's space.
fn same_space(address: &Address, own: Option<&str>, asked: &Asked) -> Result<(), Stop> {
    match (own, asked.space.as_deref()) {
        (Some(own), Some(other)) if !wire::space::agree(own, other) => {
            let why = anyhow::anyhow!("{address} lives in the space {own}, and the queries in {other}");
            Err(Stop::failed(why)
                .exit(Exit::No)
                .hint("`--encoder` and `--target-encoder` make vectors of the queries' texts in each side's own space"))
        }
        _ => Ok(()),
    }
}

/// What decides, in a word.
const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Undecided => "undecided",
    }
}

fn number(value: f64) -> String {
    format!("{value:.4}")
}

fn interval(figure: &Figure) -> String {
    figure.interval.map_or_else(String::new, |(low, high)| format!("[{low:.4}, {high:.4}]"))
}

/// Where lists came from, in words.
fn how(lists: &str) -> &'static str {
    match lists {
        "index" => "its own index",
        "exact" => "comparing with every row",
        _ => "a run",
    }
}

fn text(facts: &Facts<'_>) -> String {
    let parity = facts.parity;
    let mut text = format!("{}: {}\n\n", word(parity.verdict).to_uppercase(), parity.why);
    text += &format!(
        "before: {} by {}; after: {} by {}\n",
        facts.source,
        how(facts.lists.0),
        facts.target,
        how(facts.lists.1)
    );
    let (before, after) = parity.coverage;
    text += &format!(
        "{} queries; answered {} before, {} after; with {} documents {} and {}\n\n",
        parity.n_queries, before.n_answered, after.n_answered, parity.k, before.n_full, after.n_full
    );
    text += &table(&["alike", "queries", "mean", "95 %"], &alike(parity));
    if parity.quality.is_empty() {
        text += "\nno relevance: which list is better is not known\n";
    } else {
        let rows: Vec<Vec<String>> = parity.quality.iter().map(row).collect();
        text += &format!("\n{} judged queries", parity.n_judged);
        if parity.n_without_relevant > 0 {
            text += &format!("; {} more have no relevant document and are in no mean", parity.n_without_relevant);
        }
        text += &format!(
            "\n{}the first two decide, each with a margin of {}: `sees` is the smallest margin that so many queries prove, `needs` how many {} takes\n",
            table(&HEADINGS, &rows),
            parity.margin,
            parity.margin
        );
    }
    for slice in &parity.slices {
        for change in slice.changes.iter().filter(|change| change.verdict != Verdict::Pass) {
            text += &format!(
                "{}: {} {} before, {} after, {} over {} queries\n",
                slice.name,
                change.metric,
                number(change.source),
                number(change.target),
                word(change.verdict),
                change.n
            );
        }
    }
    if parity.n_small_slices > 0 {
        text += &format!(
            "{} slices have fewer than {LEAST_SLICE} judged queries: nothing is said of them\n",
            parity.n_small_slices
        );
    }
    for note in &facts.notes {
        text += &format!("note: {note}\n");
    }
    text
}

/// How alike the lists are, and what each index loses: a row for each figure.
fn alike(parity: &Parity) -> Vec<Vec<String>> {
    let row = |name: String, figure: &Figure| vec![name, figure.n.to_string(), number(figure.mean), interval(figure)];
    let index = [(&parity.index.0, "before"), (&parity.index.1, "after")];
    let index = index.into_iter().filter_map(|(figure, side)| {
        let figure = figure.as_ref()?;
        Some(row(format!("{} {side}", figure.name), figure))
    });
    parity.alike.iter().map(|figure| row(figure.name.clone(), figure)).chain(index).collect()
}

const HEADINGS: [&str; 8] =
    ["metric", "before", "after", "difference", "better/worse/same", "verdict", "sees", "needs"];

fn row(change: &Change) -> Vec<String> {
    let (better, worse, same) = change.n_better_worse_same;
    vec![
        change.metric.clone(),
        number(change.source),
        number(change.target),
        format!("{:+.4} {}", change.difference.mean, interval(&change.difference)),
        format!("{better}/{worse}/{same}"),
        word(change.verdict).to_owned(),
        change.provable_margin.map_or_else(String::new, |margin| format!("{margin:.3}")),
        change.n_needed.map_or_else(String::new, |needed| needed.to_string()),
    ]
}
