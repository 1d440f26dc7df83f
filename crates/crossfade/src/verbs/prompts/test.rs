//! `crossfade prompts test`: golden tests as a regression test.

use std::rc::Rc;

use eval::prompt::results::{Row, junit};
use eval::prompt::trial::Outcome;

use super::asker::{Question, ask};
use super::shelf::{Loaded, Shelf, no_variant};
use super::short;
use crate::config::Config;
use crate::load;
use crate::out::{Exit, Format, Out, Stop, table};
use crate::verbs::Place;
use crate::verbs::time::now_us;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Prompts; all when none is named.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Who is asked; given once for each.
    #[arg(long = "target", value_name = "NAME", required = true)]
    targets: Vec<String>,
    /// In the form of this variant, whoever is asked.
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// How often each golden test is asked.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeats: u32,
    /// Calls under way at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
    /// Who asks; the record of how they went names it.
    #[arg(long, value_name = "NAME", default_value = "command-line")]
    actor: String,
}

/// Asks, and says which golden tests do not pass.
pub(super) fn run(place: &Place, shelf: &Shelf, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let config = load::config(&place.config)?;
    let mut questions = Vec::new();
    for loaded in shelf.named(&args.names)? {
        if loaded.prompt.tests.is_empty() {
            out.say(format_args!("`{}` has no golden tests", loaded.prompt.name));
        }
        shelf.keep(loaded, "prompts test")?;
        for target in &args.targets {
            let variant = args.variant.clone().or_else(|| bound_variant(&config, loaded, target));
            questions.extend(of_prompt(loaded, (target, variant), args.repeats)?);
        }
    }
    let rows = ask((place, &config), &questions, usize::from(args.concurrency), out)?;
    let noting = operations::prompts::note(&shelf.writing()?, (&args.actor, now_us()), &rows);
    noting.map_err(Stop::failed)?;
    match out.format() {
        Format::Junit => out.print(&junit(&rows)),
        _ => out.answer(&rows, || page(&rows)),
    }
    Ok(verdict(&rows, out))
}

/// Every golden test of every prompt, asked once of one target in the form that it is bound to.
pub(super) fn all_of(place: &Place, shelf: &Shelf, target: &str, out: &Out) -> Result<Vec<Row>, Stop> {
    let config = load::config(&place.config)?;
    let mut questions = Vec::new();
    for loaded in shelf.prompts() {
        shelf.keep(loaded, "exit drill")?;
        questions.extend(of_prompt(loaded, (target, bound_variant(&config, loaded, target)), 1)?);
    }
    ask((place, &config), &questions, 4, out)
}

/// The variant of a prompt that a target is bound to: by the config, else by the prompt's file.
fn bound_variant(config: &Config, loaded: &Loaded, target: &str) -> Option<String> {
    let of_config = config.snapshot.targets.get(target).and_then(|target| target.prompt.as_ref()?.source.clone());
    match of_config.filter(|source| source.prompt == loaded.prompt.name) {
        Some(source) => source.variant,
        None => loaded.prompt.variant_for(target).map(str::to_owned),
    }
}

/// Every golden test of a prompt, for one target in one form.
pub(super) fn of_prompt(
    loaded: &Loaded,
    (target, variant): (&str, Option<String>),
    repeats: u32,
) -> Result<Vec<Question>, Stop> {
    let form = loaded.prompt.form(variant.as_deref());
    let form = form.ok_or_else(|| no_variant(&loaded.prompt, variant.as_deref().unwrap_or_default()))?;
    let (prompt, form) = (Rc::new(loaded.prompt.clone()), Rc::new(form));
    let one = |golden: usize, repeat: u32| Question {
        prompt: Rc::clone(&prompt),
        form: Rc::clone(&form),
        variant: variant.clone(),
        target: target.to_owned(),
        golden,
        repeat,
    };
    let all = (0..prompt.tests.len()).flat_map(|golden| (1..=repeats).map(move |repeat| (golden, repeat)));
    Ok(all.map(|(golden, repeat)| one(golden, repeat)).collect())
}

/// Failed tests are a no; what was not measured is not enough to say yes.
fn verdict(rows: &[Row], out: &Out) -> Exit {
    let count = |of: fn(&Outcome) -> bool| rows.iter().filter(|row| of(&row.outcome)).count();
    let failed = count(|outcome| matches!(outcome, Outcome::Failed { .. }));
    let unscored = count(|outcome| matches!(outcome, Outcome::Unscored { .. }));
    let passed = count(|outcome| *outcome == Outcome::Passed);
    out.say(format_args!("{passed} passed, {failed} failed, {unscored} not measured"));
    match (failed, unscored, passed) {
        (1.., ..) => Exit::No,
        (0, 1.., _) | (0, 0, 0) => Exit::Undecided,
        _ => Exit::Ok,
    }
}

fn page(rows: &[Row]) -> String {
    let line = |row: &Row| {
        let outcome = match row.outcome {
            Outcome::Passed => "passed",
            Outcome::Failed { .. } => "FAILED",
            Outcome::Unscored { .. } => "not measured",
        };
        vec![
            format!("{}@{}", row.prompt, short(&row.version)),
            row.target.clone(),
            row.variant.clone().unwrap_or_else(|| "-".to_owned()),
            row.test.clone(),
            outcome.to_owned(),
            row.latency_ms.to_string(),
            row.outcome.words(),
        ]
    };
    let lines: Vec<Vec<String>> = rows.iter().map(line).collect();
    table(&["prompt", "target", "variant", "test", "outcome", "ms", "because"], &lines)
}
