//! `crossfade eval drift RUN OTHER`: whether inputs and answers of two runs come out alike.

use eval::drift::{Drift, MOST_VECTORS, SEED, drift};
use eval::encode::recorded;
use eval::results::Results;

use crate::out::{Exit, Out, Stop, table};
use crate::verbs::Place;
use crate::verbs::dataset::readable;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run that things are held against.
    #[arg(value_name = "RUN")]
    run: String,
    /// The later one.
    #[arg(value_name = "OTHER")]
    other: String,
    /// Exit with 3 when anything drifted beyond chance.
    #[arg(long)]
    fail_on_drift: bool,
}

/// Compares two runs.
pub(crate) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let database = readable(place)?;
    let load = |run: &str| Results::load(&database, run).map_err(|error| Stop::failed(error).exit(Exit::Usage));
    let (before, after) = (load(&args.run)?, load(&args.other)?);
    let vectors = |results: &Results| recorded(&database, results, MOST_VECTORS, SEED).map_err(Stop::failed);
    let recorded = vectors(&before)?.zip(vectors(&after)?);
    let rows = drift(&before, &after, recorded.as_ref().map(|(before, after)| (before, after)));
    out.answer(&rows, || text(&rows));
    let drifted = rows.iter().any(|row| row.drifted);
    Ok(if drifted && args.fail_on_drift { Exit::No } else { Exit::Ok })
}

fn text(rows: &[Drift]) -> String {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    let row = |row: &Drift| {
        vec![
            row.what.clone(),
            row.target.clone().unwrap_or_else(|| "-".to_owned()),
            row.before.0.to_string(),
            row.after.0.to_string(),
            number(row.before.1),
            number(row.after.1),
            number(row.stability_index),
            number(row.distance),
            number(row.mean_discrepancy),
            number(row.p_adjusted),
            if row.drifted { "DRIFTED" } else { "" }.to_owned(),
        ]
    };
    let headings =
        ["what", "target", "n before", "n after", "mean before", "mean after", "psi", "ks", "mmd", "p adjusted", ""];
    table(&headings, &rows.iter().map(row).collect::<Vec<_>>())
}
