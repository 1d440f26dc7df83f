//! `crossfade eval report RUN`: a run in the form that others read.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use eval::compare::Report;
use eval::report::{csv, html, junit, markdown};

use super::{exit, load};
use crate::out::{Exit, Format, Out, Stop};
use crate::verbs::Place;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run.
    #[arg(value_name = "RUN")]
    run: String,
    /// Write it to this file instead of stdout; the name's ending says the form: .html, .json, .csv, .xml (JUnit) or .md.
    #[arg(long, short, alias = "out", value_name = "FILE")]
    output: Option<PathBuf>,
    /// The form, where no ending says it.
    #[arg(long = "as", value_enum, value_name = "FORM")]
    form: Option<Form>,
    /// Exit as the verdict says: 3 when a candidate fails, 4 when it is undecided.
    #[arg(long)]
    verdict: bool,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// One page that needs nothing else.
    Html,
    /// Every fact.
    Json,
    /// A row per case and target.
    Csv,
    /// For a build server.
    Junit,
    /// For a pull request.
    #[value(alias = "md")]
    Markdown,
}

/// Writes the report.
pub(crate) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let form = form(args, out)?;
    let report = load(place, &args.run)?;
    let text = match form {
        Form::Html => html(&report),
        Form::Json => serde_json::to_string_pretty(&report).map_err(Stop::failed)? + "\n",
        Form::Csv => csv(&report),
        Form::Junit => junit(&report),
        Form::Markdown => markdown(&report),
    };
    match &args.output {
        Some(path) => {
            write(path, &text)?;
            out.say(format_args!("the report is in {}", path.display()));
        }
        None => out.print(&text),
    }
    Ok(if args.verdict { verdict(&report, out) } else { Exit::Ok })
}

fn verdict(report: &Report, out: &Out) -> Exit {
    for candidate in &report.candidates {
        out.say(eval::report::sentence(&candidate.candidate, report, &candidate.primary));
    }
    exit(report)
}

/// What was said, else what the name of the file ends in, else how answers are written at all.
fn form(args: &Args, out: &Out) -> Result<Form, Stop> {
    let ending = args.output.as_deref().and_then(Path::extension);
    match (args.form, ending, out.format()) {
        (Some(form), ..) => Ok(form),
        (None, Some(ending), _) => of_ending(&ending.to_string_lossy()).ok_or_else(|| {
            let stop = Stop::usage(format!("no report ends in .{}", ending.display()));
            stop.hint(format!("there are: {}; `--as FORM` says what a file of another name is to hold", endings()))
        }),
        (None, None, Format::Html) => Ok(Form::Html),
        (None, None, Format::Json) => Ok(Form::Json),
        (None, None, _) => Ok(Form::Markdown),
    }
}

/// What names of files end in, with the form that says.
const ENDINGS: [(&str, Form); 7] = [
    ("html", Form::Html),
    ("htm", Form::Html),
    ("json", Form::Json),
    ("csv", Form::Csv),
    ("xml", Form::Junit),
    ("md", Form::Markdown),
    ("markdown", Form::Markdown),
];

fn of_ending(ending: &str) -> Option<Form> {
    ENDINGS.iter().find(|(known, _)| ending.eq_ignore_ascii_case(known)).map(|(_, form)| *form)
}

fn endings() -> String {
    ENDINGS.map(|(ending, _)| format!(".{ending}")).join(", ")
}

fn write(path: &Path, text: &str) -> Result<(), Stop> {
    std::fs::write(path, text).with_context(|| format!("could not write {}", path.display())).map_err(Stop::from)
}
