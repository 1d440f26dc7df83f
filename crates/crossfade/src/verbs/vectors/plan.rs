//! `crossfade vectors plan`: what a copy comes to.

use vectors::run::survey;
use vectors::schema::Metric;

use super::{address, metric, stop_of, stop_of_run};
use crate::out::{Exit, Out, Stop, table};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The collection: parquet:DIR, jsonl:PATH, sqlite-vec:FILE#TABLE, postgres://USER@HOST/DATABASE#TABLE, chroma:HOST:PORT#COLLECTION, milvus:HOST:PORT#COLLECTION, qdrant:HOST:PORT#COLLECTION or pinecone:HOST#NAMESPACE.
    source: String,
    /// Where it would go.
    target: String,
    /// How the target compares a dense vector, where the source does not say: cosine, l2, dot or hamming.
    #[arg(long, value_name = "NAME=METRIC", value_parser = metric)]
    metric: Vec<(String, Metric)>,
}

/// Plans.
pub(super) fn run(args: &Args, out: &Out) -> Result<Exit, Stop> {
    let (source, target) = (address(&args.source)?, address(&args.target)?);
    let metrics = args.metric.iter().cloned().collect();
    let mut source = source.source();
    let survey = survey(&mut *source, &metrics).map_err(stop_of_run)?;
    let mut plan = vectors::plan::plan_into(&survey, &target);
    plan.notes.extend(source.notes().map_err(stop_of)?);
    plan.notes.extend(source.unproved().map_err(stop_of)?);
    out.answer(&plan, || {
        let mut text =
            format!("{} rows, about {} MiB of vectors\n\n", plan.n_rows, plan.n_vector_bytes.div_ceil(1 << 20));
        let row = |keeps: &vectors::plan::Keeps| {
            vec![keeps.part.clone(), keeps.becomes.clone(), keeps.fidelity.as_str().to_owned()]
        };
        text +=
            &table(&["of the source", "in the target", "comes back"], &plan.keeps.iter().map(row).collect::<Vec<_>>());
        plan.notes.iter().for_each(|note| text += &format!("note: {note}\n"));
        plan.refused.iter().for_each(|why| text += &format!("cannot be done: {why}\n"));
        text
    });
    Ok(if plan.refused.is_empty() { Exit::Ok } else { Exit::No })
}
