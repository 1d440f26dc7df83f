//! `crossfade prompts try`: which prompts carry over to a candidate as they are, which need an adjustment, and which one helps.

use std::collections::BTreeMap;
use std::rc::Rc;

use eval::prompt::propose::{Proposal, proposals};
use eval::prompt::results::Row;
use eval::prompt::trial::{Check, Outcome, Sorted, sort, tally};
use eval::prompt::{Form, Golden, Prompt, Variant};
use serde::Serialize;
use serde_json::json;
use stats::interval::wilson;

use super::asker::{Question, ask};
use super::shelf::{Loaded, Shelf};
use super::test::of_prompt;
use crate::config::Config;
use crate::load;
use crate::out::{Exit, Out, Stop, table};
use crate::verbs::Place;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The candidate.
    #[arg(value_name = "TARGET")]
    target: String,
    /// Prompts; all when none is named.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Make variants that may help, and measure each by the golden tests. None is applied.
    #[arg(long)]
    propose: bool,
    /// How often each golden test is asked.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeats: u32,
    /// Calls under way at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
}

/// What was found of one prompt.
#[derive(Debug, Serialize)]
struct Found {
    prompt: String,
    version: String,
    target: String,
    sorted: Sorted,
    n: usize,
    n_passed: usize,
    n_unscored: usize,
    /// 95 % interval of the part that passes, of what was measured.
    pass_interval: Option<(f64, f64)>,
    /// How many answers each check did not hold of.
    reasons: BTreeMap<Check, u64>,
    answers: Vec<Row>,
    proposals: Vec<Measured>,
}

/// A proposal, held against the golden tests.
#[derive(Debug, Serialize)]
struct Measured {
    name: String,
    what: String,
    variant: Variant,
    sorted: Sorted,
    /// Answers of the tests it was measured by: those that passed before, and with it.
    n: usize,
    passed_before: usize,
    passed: usize,
    /// Answers that are good now and were not, and the other way round.
    mended: usize,
    broken: usize,
    reasons: BTreeMap<Check, u64>,
}

/// Asks, sorts, and measures proposals if it is to.
pub(super) fn run(place: &Place, shelf: &Shelf, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let config = load::config(&place.config)?;
    let asking = Asking { place, config: &config, args, out };
    let mut all = Vec::new();
    for loaded in shelf.named(&args.names)? {
        shelf.keep(loaded, "prompts try")?;
        let rows = asking.ask(&of_prompt(loaded, (&args.target, None), args.repeats)?)?;
        let mut found = found(loaded, &args.target, rows);
        if args.propose && matches!(found.sorted, Sorted::MinorAdjustment | Sorted::Rework) {
            found.proposals = asking.proposals(loaded, &found)?;
        }
        all.push(found);
    }
    let facts = json!({ "target": args.target, "prompts": all });
    out.answer(&facts, || page(&all));
    let is = |sorted: Sorted| all.iter().filter(|found| found.sorted == sorted).count();
    out.say(format_args!(
        "{} work, {} need a minor adjustment, {} need rework, {} undecided",
        is(Sorted::Works),
        is(Sorted::MinorAdjustment),
        is(Sorted::Rework),
        is(Sorted::Undecided)
    ));
    Ok(if is(Sorted::MinorAdjustment) + is(Sorted::Rework) > 0 {
        Exit::No
    } else if is(Sorted::Undecided) > 0 || all.is_empty() {
        Exit::Undecided
    } else {
        Exit::Ok
    })
}

struct Asking<'a> {
    place: &'a Place,
    config: &'a Config,
    args: &'a Args,
    out: &'a Out,
}

impl Asking<'_> {
    fn ask(&self, questions: &[Question]) -> Result<Vec<Row>, Stop> {
        ask((self.place, self.config), questions, usize::from(self.args.concurrency), self.out)
    }

    fn proposals(&self, loaded: &Loaded, found: &Found) -> Result<Vec<Measured>, Stop> {
        let prompt = &loaded.prompt;
        let right = |golden: &Golden| {
            let mut rows = found.answers.iter().filter(|row| row.test == golden.name && row.outcome == Outcome::Passed);
            rows.next().filter(|row| !row.answer.is_empty()).map(|row| row.answer.clone())
        };
        let good: Vec<(&Golden, String)> =
            prompt.tests.iter().filter_map(|golden| Some((golden, right(golden)?))).collect();
        let mut measured = Vec::new();
        for proposal in proposals(prompt, &prompt.form, &found.reasons, &good) {
            self.out.say(format_args!("measuring {} of `{}`", proposal.name, prompt.name));
            measured.push(self.measure(prompt, found, proposal)?);
        }
        // What mends most comes first, and of these what breaks least.
        measured.sort_by_key(|one| (std::cmp::Reverse(one.mended.saturating_sub(one.broken)), one.broken));
        Ok(measured)
    }

    fn measure(&self, prompt: &Prompt, found: &Found, proposal: Proposal) -> Result<Measured, Stop> {
        let form: Rc<Form> = Rc::new(prompt.form.with(&proposal.variant));
        let shown = &proposal.shows;
        let questions = (0..prompt.tests.len()).filter(|golden| !shown.contains(golden)).flat_map(|golden| {
            let form = Rc::clone(&form);
            (1..=self.args.repeats).map(move |repeat| (golden, repeat, Rc::clone(&form)))
        });
        let shared = Rc::new(prompt.clone());
        let questions: Vec<Question> = questions
            .map(|(golden, repeat, form)| Question {
                prompt: Rc::clone(&shared),
                form,
                variant: Some(proposal.name.clone()),
                target: self.args.target.clone(),
                golden,
                repeat,
            })
            .collect();
        let rows = self.ask(&questions)?;
        let passed = |row: &Row| row.outcome == Outcome::Passed;
        let before = |row: &Row| found.answers.iter().find(|old| old.test == row.test && old.repeat == row.repeat);
        let was = |row: &Row| before(row).is_some_and(passed);
        Ok(Measured {
            name: proposal.name,
            what: proposal.what,
            variant: proposal.variant,
            sorted: sort(rows.iter().map(|row| &row.outcome)),
            n: rows.len(),
            passed_before: rows.iter().filter(|row| was(row)).count(),
            passed: rows.iter().filter(|row| passed(row)).count(),
            mended: rows.iter().filter(|row| passed(row) && !was(row)).count(),
            broken: rows.iter().filter(|row| !passed(row) && was(row)).count(),
            reasons: tally(rows.iter().map(|row| &row.outcome)),
        })
    }
}

fn found(loaded: &Loaded, target: &str, rows: Vec<Row>) -> Found {
    let count = |of: fn(&Outcome) -> bool| rows.iter().filter(|row| of(&row.outcome)).count();
    let n_passed = count(|outcome| *outcome == Outcome::Passed);
    let n_unscored = count(|outcome| matches!(outcome, Outcome::Unscored { .. }));
    let measured = (rows.len() - n_unscored) as u64;
    Found {
        prompt: loaded.prompt.name.clone(),
        version: loaded.prompt.version(),
        target: target.to_owned(),
        sorted: sort(rows.iter().map(|row| &row.outcome)),
        n: rows.len(),
        n_passed,
        n_unscored,
        pass_interval: wilson(n_passed as u64, measured, Z_95),
        reasons: tally(rows.iter().map(|row| &row.outcome)),
        answers: rows,
        proposals: Vec::new(),
    }
}

/// Two-sided 95 %.
const Z_95: f64 = 1.959_963_984_540_054;

fn reasons(reasons: &BTreeMap<Check, u64>) -> String {
    reasons.iter().map(|(check, n)| format!("{} in {n}", check.as_str())).collect::<Vec<_>>().join(", ")
}

fn page(all: &[Found]) -> String {
    let interval = |found: &Found| match found.pass_interval {
        Some((low, high)) => format!("{:.0}–{:.0} %", low * 100.0, high * 100.0),
        None => "-".to_owned(),
    };
    let row = |found: &Found| {
        vec![
            found.prompt.clone(),
            found.sorted.as_str().to_owned(),
            format!("{} / {}", found.n_passed, found.n),
            interval(found),
            reasons(&found.reasons),
        ]
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    let mut page = table(&["prompt", "sorted", "passed", "95 %", "reasons"], &rows);
    for found in all {
        let bad = found.answers.iter().filter(|row| row.outcome != Outcome::Passed);
        for row in bad {
            page += &format!("\n{} / {}: {}", row.prompt, row.test, row.outcome.words());
        }
        if !found.proposals.is_empty() {
            page += &format!("\n\nproposals for {}, measured and not applied\n", found.prompt);
            page += &proposed(&found.proposals);
        }
    }
    if page.ends_with('\n') { page } else { page + "\n" }
}

fn proposed(proposals: &[Measured]) -> String {
    let row = |one: &Measured| {
        vec![
            one.name.clone(),
            one.sorted.as_str().to_owned(),
            format!("{} / {}", one.passed_before, one.n),
            format!("{} / {}", one.passed, one.n),
            one.mended.to_string(),
            one.broken.to_string(),
            one.what.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = proposals.iter().map(row).collect();
    let mut text = table(&["variant", "sorted", "before", "with it", "mended", "broken", "what it does"], &rows);
    if let Some(best) = proposals.first().filter(|one| one.mended > one.broken) {
        // JSON is YAML: this can be pasted.
        let variant = serde_json::to_string(&best.variant).unwrap_or_default();
        text += &format!("\nto take the first, write under `variants` of the prompt:\n  {}: {variant}\n", best.name);
    }
    text
}
