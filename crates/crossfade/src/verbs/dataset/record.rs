//! `crossfade dataset record NAME`: cases of recorded traffic.

use clap::ValueEnum;
use eval::dataset::Origin;
use eval::dataset::redact::Redaction;
use eval::dataset::traffic::{ExpectedFrom, Selection, Stratum, Tally, collect};
use serde_json::json;
use store::ExchangeFilter;

use super::{Place, keep, readable, short};
use crate::out::{Exit, Out, Stop, table};
use crate::verbs::time::ago;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the dataset is called.
    #[arg(value_name = "NAME")]
    name: String,
    /// Only this route.
    #[arg(long, value_name = "ROUTE")]
    route: Option<String>,
    /// Only this arm of a rollout: `baseline` or `candidate`.
    #[arg(long, value_name = "ARM")]
    arm: Option<String>,
    /// Of the last while, such as `7d`.
    #[arg(long, value_name = "DURATION", value_parser = ago)]
    last: Option<u64>,
    /// How many cases; all that there are when it is not said.
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// What the sample is spread over evenly, and what becomes a slice; can be given more than once.
    #[arg(long = "by", value_enum, value_name = "PROPERTY")]
    strata: Vec<By>,
    /// What becomes the right answer; with a recorded answer a score is agreement with who gave it, not correctness.
    #[arg(long, value_enum, value_name = "WHAT", default_value = "answer")]
    expected: Expected,
    /// A pattern of what is made unreadable, beside addresses, numbers and keys; can be given more than once.
    #[arg(long, value_name = "REGEX")]
    redact: Vec<String>,
    /// Decides which are drawn.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// A property of an exchange.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum By {
    Route,
    Target,
    Size,
    Feedback,
    Tools,
}

/// What becomes the right answer.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Expected {
    /// The answer that was given, unless feedback calls it bad.
    Answer,
    /// The answer that was given where feedback calls it good.
    Feedback,
    /// Nothing.
    None,
}

/// Makes and keeps the dataset.
pub(crate) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let redaction = Redaction::with(&args.redact).map_err(|error| Stop::usage(format!("`--redact`: {error}")))?;
    let selection = Selection {
        filter: ExchangeFilter {
            route: args.route.clone(),
            arm: args.arm.clone(),
            outcome: Some("complete".to_owned()),
            since_us: args.last,
            ..ExchangeFilter::default()
        },
        strata: args.strata.iter().map(|by| stratum(*by)).collect(),
        sample: args.sample,
        expected: match args.expected {
            Expected::Answer => ExpectedFrom::Answer,
            Expected::Feedback => ExpectedFrom::Feedback,
            Expected::None => ExpectedFrom::None,
        },
        seed: args.seed,
    };
    let database = readable(place)?;
    let (dataset, tally) = collect(&database, &args.name, (&selection, &redaction)).map_err(Stop::failed)?;
    drop(database);
    if dataset.cases.is_empty() {
        let stop = Stop::failed(anyhow::anyhow!("no case came of {} exchanges", tally.matched)).exit(Exit::Undecided);
        return Err(stop.hint("only whole chats whose bodies are on record can be cases"));
    }
    let selected = json!({
        "route": args.route, "arm": args.arm, "since_us": args.last, "sample": args.sample,
        "by": selection.strata, "expected": selection.expected, "redact": args.redact, "seed": args.seed,
    });
    let row = keep(place, &dataset, &Origin::Traffic { selection: selected.to_string() })?;
    out.answer(&json!({ "dataset": row, "tally": tally }), || {
        format!("{}@{}  {} cases\n{}", row.name, short(&row.version), row.n_cases, words(&tally))
    });
    Ok(Exit::Ok)
}

fn stratum(by: By) -> Stratum {
    match by {
        By::Route => Stratum::Route,
        By::Target => Stratum::ServedBy,
        By::Size => Stratum::Size,
        By::Feedback => Stratum::Feedback,
        By::Tools => Stratum::Tools,
    }
}

fn words(tally: &Tally) -> String {
    let mut text = format!(
        "of {} exchanges: {} asked the same as another, {} could not be cases, {} were not drawn; {} places made unreadable\n",
        tally.matched, tally.duplicates, tally.unusable, tally.not_drawn, tally.redactions
    );
    if tally.unreadable > 0 {
        text += &format!(
            "{} without a right answer: the one given calls a tool with what is no JSON object\n",
            tally.unreadable
        );
    }
    if !tally.answered_by.is_empty() {
        let of: Vec<String> = tally.answered_by.iter().map(|(target, n)| format!("{n} of `{target}`")).collect();
        text += &format!(
            "right answers are recorded answers ({}): an evaluation by these cases scores agreement with what was answered, not correctness; \
             `--expected feedback` takes only what users called good, `--expected none` leaves the right answers to people\n",
            of.join(", ")
        );
    }
    if tally.strata.len() > 1 {
        let rows: Vec<Vec<String>> =
            tally.strata.iter().map(|(stratum, n)| vec![stratum.clone(), n.to_string()]).collect();
        text += &table(&["stratum", "cases"], &rows);
    }
    text
}
