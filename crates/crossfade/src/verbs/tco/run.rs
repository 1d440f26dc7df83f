//! `crossfade tco run WORKSHEET`: the study of a worksheet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use cost::tco::odds::{DRAWS, Verdict};
use cost::tco::page::{html, sentences};
use cost::tco::study::Study;
use cost::tco::{Draw, Exact, WhatIfError, focus, model, xlsx};
use operations::costing::{Unasked, assignment, costed};

use super::words;
use crate::config::{nearest, worksheet};
use crate::out::{Exit, Format, Out, Stop};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The worksheet; `crossfade tco init` writes one to fill in.
    #[arg(value_name = "WORKSHEET")]
    worksheet: PathBuf,
    /// What if a figure were another: `candidate.first_pass=0.92`; names are those of the figures, may be given several times.
    #[arg(long = "set", value_name = "FIGURE=VALUE", value_parser = assignment)]
    set: Vec<(String, Exact)>,
    /// Draws of what is uncertain.
    #[arg(long, value_name = "N", default_value_t = DRAWS, value_parser = clap::value_parser!(u32).range(100..=2_000_000))]
    draws: u32,
    /// The same seed gives the same draws.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write it to this file instead of stdout; the name's ending says the form: .html, .json, .csv, .xlsx or .txt.
    #[arg(long, short, alias = "out", value_name = "FILE")]
    output: Option<PathBuf>,
    /// The form, whatever the name's ending.
    #[arg(long = "as", value_enum, value_name = "FORM")]
    form: Option<Form>,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    Text,
    /// One page that needs nothing else, with plots.
    Html,
    /// Every figure, with its source.
    Json,
    /// A row per figure.
    Csv,
    /// A workbook with live formulas.
    Xlsx,
    /// A month as rows of FOCUS 1.0.
    Focus,
}

/// Costs the worksheet. The exit says whether the saving that is wanted is reached: 0 yes, 3 no, 4 not enough is known.
pub(crate) fn run(args: &Args, out: &Out) -> Result<Exit, Stop> {
    let (path, form) = (&args.worksheet, form(args, out)?);
    let text = std::fs::read_to_string(path).map_err(|error| {
        let stop = Stop::usage(format!("cannot read {}: {error}", path.display()));
        stop.hint("`crossfade tco init` writes a worksheet to fill in")
    })?;
    let study = worksheet(&path.display().to_string(), &text).map_err(Stop::config)?;
    let asked: BTreeMap<String, Exact> = args.set.iter().cloned().collect();
    let draw = Draw { draws: args.draws, seed: args.seed };
    let costed = costed(&study, &asked, draw).map_err(|unasked| refused(&unasked, &study))?;
    let answer = match form {
        Form::Text => words::text(&costed).into_bytes(),
        Form::Html => html(&costed).into_bytes(),
        Form::Json => (serde_json::to_string_pretty(&costed.facts()).map_err(Stop::failed)? + "\n").into_bytes(),
        Form::Csv => costed.csv().into_bytes(),
        Form::Xlsx => xlsx(&costed),
        Form::Focus => focus(&costed).into_bytes(),
    };
    match &args.output {
        Some(path) => {
            std::fs::write(path, &answer).with_context(|| format!("could not write {}", path.display()))?;
            for sentence in sentences(&costed) {
                out.say(sentence);
            }
            out.say(format_args!("the study is in {}", path.display()));
        }
        None => out.print_bytes(&answer),
    }
    let n_unknown = costed.book.unknown().count();
    if n_unknown > 0 {
        out.say(format_args!(
            "{n_unknown} unknown; where each stands or belongs in {} is in the answer",
            path.display()
        ));
    }
    // Made-up figures decide nothing.
    let verdict = costed.odds.as_ref().map(|odds| odds.verdict).filter(|_| !costed.example);
    Ok(match verdict {
        Some(Verdict::Reached) => Exit::Ok,
        Some(Verdict::Missed) => Exit::No,
        Some(Verdict::Undecided) | None => Exit::Undecided,
    })
}

/// A "what if" of something else, with the nearest that can be asked.
pub(crate) fn refused(unasked: &Unasked, study: &Study) -> Stop {
    let stop = Stop::usage(unasked);
    if let Some(scenario) = &unasked.scenario {
        return stop.hint(format!("that is asked by the scenario `{scenario}`"));
    }
    let WhatIfError::NoCell(id) = &unasked.error else { return stop };
    let book = model(study);
    let inputs: Vec<&str> =
        book.cells().iter().filter(|cell| cell.formula.is_none()).map(|cell| cell.id.as_str()).collect();
    match nearest(id, inputs.iter().copied()) {
        Some(word) => stop.hint(format!("did you mean `{word}`?")),
        None => stop.hint(format!("there are: {}", inputs.join(", "))),
    }
}

/// The form that is asked for; an ending that says none is refused before anything is computed.
fn form(args: &Args, out: &Out) -> Result<Form, Stop> {
    if let Some(form) = args.form {
        return Ok(form);
    }
    let Some(ending) = args.output.as_deref().and_then(Path::extension) else {
        return Ok(match out.format() {
            Format::Html => Form::Html,
            Format::Json => Form::Json,
            _ => Form::Text,
        });
    };
    match ending.to_string_lossy().to_ascii_lowercase().as_str() {
        "html" | "htm" => Ok(Form::Html),
        "json" => Ok(Form::Json),
        "csv" => Ok(Form::Csv),
        "xlsx" => Ok(Form::Xlsx),
        "txt" => Ok(Form::Text),
        _ => {
            let stop = Stop::usage(format!("no form of a study has the ending `.{}`", ending.to_string_lossy()));
            Err(stop.hint("there are: .html, .json, .csv, .xlsx, .txt; `--as FORM` writes a form whatever the ending"))
        }
    }
}
