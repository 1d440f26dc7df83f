//! `crossfade rollout revalidate`: the gates of a completed rollout, read anew.

use anyhow::Context;
use operations::revalidation::{GateReading, Revalidation, Span};

use crate::out::{Exit, Out, Stop, table};
use crate::verbs::source::{Source, percent};
use crate::verbs::time::{ago, now_us, us_to_text};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The rollout.
    name: String,
    /// Of the last while, such as `30d`.
    #[arg(long, value_name = "DURATION", value_parser = ago, default_value = "30d")]
    last: u64,
    /// Of this fraction of units.
    #[arg(long, value_name = "FRACTION", default_value_t = 1.0)]
    sample: f64,
}

/// Reads it.
pub(super) fn run(source: &Source, args: &Args, out: &Out) -> Result<Exit, Stop> {
    if !(0.0..=1.0).contains(&args.sample) {
        return Err(Stop::usage("`--sample` is a fraction from 0 to 1").hint("for 1 % write 0.01"));
    }
    let now_us = now_us();
    let span = Span { back_us: now_us.saturating_sub(args.last), sample: args.sample };
    let path = format!("/api/rollouts/{}/revalidation/{}/{:.0}", percent(&args.name), span.back_us, args.sample * 1e6);
    let found = source.read(&path, |database| operations::revalidation::read(database, &args.name, span, now_us));
    let found = found.map_err(|stop| source.with_rollouts(stop, &args.name))?;
    let found: Revalidation = serde_json::from_value(found).context("could not read the answer")?;
    out.answer(&found, || page(&found));
    Ok(if found.is_proven { Exit::Ok } else { Exit::Undecided })
}

fn page(found: &Revalidation) -> String {
    let row = |gate: &GateReading| {
        vec![
            gate.metric.to_string(),
            format!("{} of {}", gate.baseline.1, gate.baseline.0),
            format!("{} of {}", gate.candidate.1, gate.candidate.0),
            gate.estimate.map_or_else(|| "-".to_owned(), |difference| format!("{:+.2} pp", difference * 100.0)),
            format!("{:+.2} pp", gate.margin * 100.0),
            format!("{:.2}", gate.e_value),
            format!("{:.0}", gate.threshold),
            if gate.is_proven { "pass" } else { "undecided" }.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = found.gates.iter().map(row).collect();
    let headings = ["gate", "bad baseline", "bad candidate", "difference", "margin", "e-value", "passes at", "verdict"];
    let cut = if found.is_cut { ", the oldest of more" } else { "" };
    let (from, to) = (us_to_text(found.from_us), us_to_text(found.to_us));
    format!("{}\n{from} to {to} UTC, {} requests{cut}\n\n{}", found.words, found.requests, table(&headings, &rows))
}
