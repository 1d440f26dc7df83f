//! `crossfade rollout replay NAME`: every decision made again from the record.

use std::io::{IsTerminal, Write};

use operations::replay::{ReplayReport, ReplayVerdict, ReplayedTransition};

use crate::out::{Exit, Out, Stop, table};
use crate::verbs::source::{Source, operation};
use crate::verbs::time::us_to_text;

/// How often progress is shown, in entries.
const SHOWN_EVERY: u64 = 50_000;
/// Differences that are printed; all of them are in the JSON up to its own limit.
const PRINTED: usize = 10;

/// Exits 0 when everything came out the same, 3 when something did not, 4 when some of it could not be decided again.
pub(crate) fn run(source: &Source, name: &str, out: &Out) -> Result<Exit, Stop> {
    let database = source.database()?;
    let shows = std::io::stderr().is_terminal();
    let mut shown = 0;
    let mut progress = |entries: u64| {
        if shows && entries >= shown + SHOWN_EVERY {
            shown = entries;
            // Progress that cannot be shown is no reason to stop.
            write!(std::io::stderr(), "\r{entries} entries counted again").ok();
        }
    };
    let report = operations::replay::replay(&database, name, &mut progress).map_err(operation);
    let report = report.map_err(|stop| source.with_rollouts(stop, name))?;
    if shown > 0 {
        out.say("");
    }
    out.answer(&report, || render(&report));
    Ok(match report.verdict {
        ReplayVerdict::Equal => Exit::Ok,
        ReplayVerdict::Different => Exit::No,
        ReplayVerdict::Incomplete => Exit::Undecided,
    })
}

fn render(report: &ReplayReport) -> String {
    let row = |line: &ReplayedTransition| {
        let equal = match line.equal {
            Some(true) => "equal",
            Some(false) => "DIFFERENT",
            None if report.pruned.is_empty() => "not recorded",
            None => "not kept",
        };
        vec![
            us_to_text(line.at_us),
            line.epoch.to_string(),
            line.inputs.to_string(),
            line.event.clone(),
            format!("{} -> {}", line.from, line.to),
            line.actor.clone(),
            equal.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = report.transitions.iter().map(row).collect();
    let mut text = table(&["when (UTC)", "epoch", "entries", "what", "step", "who", "replayed"], &rows);
    let n_looks = report.looks_equal + report.looks_different;
    text.push_str(&format!(
        "\n{} entries counted again; {} of {n_looks} savings of evidence equal to the bit; {} outcomes held against their exchange\n",
        report.inputs, report.looks_equal, report.outcomes_checked
    ));
    for difference in report.differences.iter().take(PRINTED) {
        text.push_str(&format!(
            "different: {}: {}: recorded {}, recomputed {}\n",
            difference.row,
            difference.what,
            cut(&difference.recorded),
            cut(&difference.recomputed)
        ));
    }
    if report.n_differences > PRINTED as u64 {
        text.push_str(&format!("… {} differences in all\n", report.n_differences));
    }
    for missing in &report.missing {
        text.push_str(&format!("not decided again: {missing}\n"));
    }
    for pruned in &report.pruned {
        text.push_str(&format!("not decided again: {pruned} (`record.replay`)\n"));
    }
    text.push_str(match report.verdict {
        ReplayVerdict::Equal if !report.pruned.is_empty() => "every decision that is kept came out as it is recorded\n",
        ReplayVerdict::Equal => "every decision came out as it is recorded\n",
        ReplayVerdict::Different => "the record is not what these decisions come from\n",
        ReplayVerdict::Incomplete => "nothing differs; some of it could not be decided again\n",
    });
    text
}

fn cut(text: &str) -> String {
    const MOST: usize = 120;
    if text.chars().count() <= MOST { text.to_owned() } else { text.chars().take(MOST).chain(['…']).collect() }
}
