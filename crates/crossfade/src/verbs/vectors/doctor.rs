//! `crossfade vectors doctor`: what a collection holds that somebody stumbles over.

use vectors::health::{Finding, Health};

use super::{address, stop_of};
use crate::out::{Exit, Out, Stop, table};

/// How many namespaces are named in the text.
const MAX_NAMESPACES: usize = 20;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The collection: parquet:DIR, jsonl:PATH, sqlite-vec:FILE#TABLE, postgres://USER@HOST/DATABASE#TABLE, chroma:HOST:PORT#COLLECTION, milvus:HOST:PORT#COLLECTION, qdrant:HOST:PORT#COLLECTION or pinecone:HOST#NAMESPACE.
    source: String,
}

/// Examines.
pub(super) fn run(args: &Args, out: &Out) -> Result<Exit, Stop> {
    let mut source = address(&args.source)?.source();
    let health = vectors::health::examine(&mut *source).map_err(stop_of)?;
    out.answer(&health, || text(&health));
    for note in source.notes().map_err(stop_of)? {
        out.say(format_args!("note: {note}"));
    }
    if let Some(unproved) = source.unproved().map_err(stop_of)? {
        out.say(format_args!("{unproved}"));
    }
    Ok(if health.faults.is_empty() { Exit::Ok } else { Exit::No })
}

fn text(health: &Health) -> String {
    let Health { n_rows, n_with_text, .. } = health;
    let mut text = format!("{n_rows} rows, {n_with_text} of them with text\n");
    let namespaces = health.namespaces.iter().take(MAX_NAMESPACES);
    let named: Vec<String> = namespaces.map(|(name, n)| format!("`{name}` {n}")).collect();
    let more = health.namespaces.len().saturating_sub(MAX_NAMESPACES);
    text += &format!(
        "namespaces: {}{}\n",
        named.join(", "),
        if more > 0 { format!(" and {more} more") } else { String::new() }
    );
    if let Some(space) = &health.schema.space {
        text += &format!("space: {space}\n");
    }
    let rows: Vec<Vec<String>> = health
        .vectors
        .iter()
        .map(|(name, norms)| {
            let shape = health.schema.dense.get(name).map(|shape| format!("{} × {:?}", shape.dims, shape.dtype));
            let counts = [norms.n, norms.n_unit, norms.n_zero, norms.n_not_finite].map(|n| n.to_string());
            [vec![name.clone(), shape.unwrap_or_default()], counts.to_vec()].concat()
        })
        .collect();
    if !rows.is_empty() {
        text += &format!("\n{}", table(&["vector", "shape", "rows", "of norm 1", "zero", "not finite"], &rows));
    }
    let fields: Vec<Vec<String>> = health
        .fields
        .iter()
        .map(|(name, kinds)| {
            vec![name.clone(), kinds.iter().map(|(kind, n)| format!("{kind} {n}")).collect::<Vec<_>>().join(", ")]
        })
        .collect();
    if !fields.is_empty() {
        text += &format!("\n{}", table(&["field of metadata", "kinds of values"], &fields));
    }
    let findings = |level: &str, found: &std::collections::BTreeMap<&'static str, Finding>| -> String {
        let line = |(name, finding): (&&str, &Finding)| {
            let examples = finding.examples.join("; ");
            format!("{level}: {}: {}: {examples}\n", name.replace('_', " "), finding.n)
        };
        found.iter().map(line).collect()
    };
    text + &findings("fault", &health.faults) + &findings("warning", &health.warnings)
}
