//! `crossfade panel`: people judge pairs of answers and are not told whose is whose.

mod file;

use clap::{Subcommand, ValueEnum};
use cost::Decimal;
use cost::people::People;
use eval::agreement::Kappa;
use eval::panel::{Summary, Verdict};
use operations::panels::{self, Listed, Next, Outcome, Plan, Progress, Request};
use operations::{Actor, Role};
use serde_json::{Value, json};
use store::Database;

use super::eval::dollars;
use super::source::{Source, names_like, operation, percent};
use super::time::{now_us, us_to_text};
use super::{NOISE_UNKNOWN, Place};
use crate::load;
use crate::out::{Exit, Out, Stop, table};
use crate::rooms::sides_of;

/// What can be typed.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Draw pairs of a rollout's shadow and say who judges them; order and sides are decided now and told nobody.
    Open(Open),
    /// Every panel, and how far its reviewers are.
    List,
    /// The next pair of a reviewer. Its time runs from now.
    Next {
        /// The panel.
        name: String,
        /// Who judges, where no key says so.
        #[arg(long, value_name = "NAME")]
        reviewer: Option<String>,
    },
    /// Say which of the two answers is better: once.
    Judge {
        /// The panel.
        name: String,
        /// The item's id, as `next` says.
        item: String,
        /// What is found.
        #[arg(long, value_enum)]
        verdict: Word,
        /// What there is to say of it.
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        /// Who judges, where no key says so.
        #[arg(long, value_name = "NAME")]
        reviewer: Option<String>,
    },
    /// What the verdicts come to: the candidate's win rate with its interval, agreement of the reviewers, and their time.
    Result {
        /// The panel.
        name: String,
        /// How much below one half the win rate may be: 3 when it is proven to be lower, 4 while nothing is proven.
        #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = margin)]
        margin: f64,
        /// What an hour of a reviewer costs: says what the panel did.
        #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
        per_hour: Option<Decimal>,
    },
    /// File what the verdicts prove for the gates of the panel's rollout, as a result of kind `review`.
    File(file::Args),
}

/// What a panel is to be.
#[derive(Debug, clap::Args)]
pub(crate) struct Open {
    /// What it is called.
    name: String,
    /// The rollout whose shadow pairs are shown.
    #[arg(long, value_name = "NAME")]
    rollout: String,
    /// Only of this epoch.
    #[arg(long, value_name = "N")]
    epoch: Option<u32>,
    /// Who judges; given once for each. With keys, the names of the keys.
    #[arg(long = "reviewer", value_name = "NAME", required = true)]
    reviewers: Vec<String>,
    /// How many pairs.
    #[arg(long, value_name = "N", default_value_t = panels::PAIRS)]
    pairs: u16,
    /// The part of the pairs that every reviewer judges, from 0 to 1: what agreement is read from.
    #[arg(long, value_name = "SHARE", default_value_t = panels::SHARE, value_parser = share)]
    overlap: f64,
    /// The part of the pairs that automatic comparison finds farthest apart, from 0 to 1; they are no part of the win rate.
    #[arg(long, value_name = "SHARE", default_value_t = panels::SHARE, value_parser = share)]
    disagreeing: f64,
    /// Who opens it.
    #[arg(long, value_name = "NAME", default_value = "command-line")]
    actor: String,
}

/// What can be found.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Word {
    /// The answer `a` is better.
    A,
    /// The answer `b` is better.
    B,
    /// Both are as good.
    Tie,
    /// Neither will do.
    Neither,
}

fn share(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

fn margin(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=0.5).contains(number));
    number.ok_or_else(|| "expected a number from 0 to 0.5".to_owned())
}

/// Does what was typed.
pub(crate) fn run(place: &Place, verb: Verb, out: &Out) -> Result<Exit, Stop> {
    match verb {
        Verb::Open(args) => open(place, &args, out),
        Verb::List => {
            let source = Source::open(place)?;
            let actor = Actor::trusted("command-line", Role::Admin);
            let rows = source.read("/api/panels", |database| panels::list(database, &actor))?;
            let rows: Vec<Listed> = serde_json::from_value(rows).map_err(Stop::failed)?;
            out.answer(&rows, || list(&rows));
            Ok(Exit::Ok)
        }
        Verb::Next { name, reviewer } => {
            let request = Request { reviewer, ..Request::default() };
            let next = change(place, &name, "next", &request, |database, actor| {
                panels::next(database, actor, &name, now_us())
            })?;
            let next: Option<Next> = serde_json::from_value(next).map_err(Stop::failed)?;
            out.answer(&next, || next.as_ref().map_or_else(|| "everything is judged\n".to_owned(), page));
            let who = request.reviewer.as_ref().map_or_else(String::new, |name| format!(" --reviewer {name}"));
            out.say(match &next {
                Some(Next { item, .. }) => {
                    format!("hint: `crossfade panel judge {name} {item} --verdict a|b|tie|neither{who}` judges it")
                }
                None => format!("hint: `crossfade panel result {name}` says what all verdicts come to"),
            });
            Ok(Exit::Ok)
        }
        Verb::Judge { name, item, verdict, note, reviewer } => {
            let verdict = match verdict {
                Word::A => Verdict::A,
                Word::B => Verdict::B,
                Word::Tie => Verdict::Tie,
                Word::Neither => Verdict::Neither,
            };
            let request = Request { reviewer, item: Some(item), verdict: Some(verdict), note };
            let progress = change(place, &name, "judge", &request, |database, actor| {
                panels::judge(database, actor, (&name, now_us()), &request)
            })?;
            let progress: Progress = serde_json::from_value(progress).map_err(Stop::failed)?;
            out.answer(&progress, || format!("{} of {} judged\n", progress.judged, progress.of));
            Ok(Exit::Ok)
        }
        Verb::Result { name, margin, per_hour } => {
            let outcome = outcome(place, &name)?;
            let cost = per_hour.map(|per_hour| people(&outcome).nanos(per_hour));
            // Numbers and words always serialise.
            let mut facts = serde_json::to_value(&outcome).unwrap_or_default();
            if let Some(nanos) = cost {
                facts["people_cost_nanos"] = json!(nanos);
            }
            out.answer(&facts, || {
                let dollars = |nanos: Option<u64>| {
                    nanos.map_or_else(|| "unknown".to_owned(), |nanos| format!("${}", cost::decimal::dollars(nanos)))
                };
                let cost =
                    cost.map(|nanos| format!("cost                       {} of people's time\n", dollars(nanos)));
                result(&outcome) + &cost.unwrap_or_default()
            });
            let exit = verdict(&outcome.summary, margin);
            match exit {
                Exit::No => out.say(format_args!("the win rate is proven to be under {}", 0.5 - margin)),
                Exit::Undecided => out.say("not enough verdicts to say"),
                _ => {}
            }
            Ok(exit)
        }
        Verb::File(args) => file::run(place, &args, out),
    }
}

/// What a panel came to.
fn outcome(place: &Place, name: &str) -> Result<Outcome, Stop> {
    let actor = Actor::trusted("command-line", Role::Admin);
    let path = format!("/api/panels/{}/result", percent(name));
    let outcome = Source::open(place)?.read(&path, |database| panels::result(database, &actor, name))?;
    serde_json::from_value(outcome).map_err(Stop::failed)
}

/// The verdicts and their time, as the room `cost` takes them.
fn people(outcome: &Outcome) -> People {
    let Summary { n_verdicts, total_time_us, .. } = outcome.summary;
    People { n_verdicts, n_timed: n_verdicts, micros: total_time_us }
}

fn open(place: &Place, args: &Open, out: &Out) -> Result<Exit, Stop> {
    let config = load::config(&place.config)?;
    let snapshot = &config.snapshot;
    let sides = sides_of(snapshot, &args.rollout).ok_or_else(|| {
        let known = names_like(&args.rollout, snapshot.rollouts.keys().map(String::as_str));
        Stop::usage(format!("there is no rollout `{}`", args.rollout)).hint(known)
    })?;
    let plan = Plan {
        rollout: args.rollout.clone(),
        epoch: args.epoch,
        baseline: sides.baseline,
        candidate: sides.candidate,
        reviewers: args.reviewers.clone(),
        pairs: usize::from(args.pairs),
        overlap: args.overlap,
        disagreeing: args.disagreeing,
        fingerprints: sides.fingerprints,
        is_noise_measured: None,
    };
    if !config.store.exists() {
        return Err(Stop::failed(anyhow::anyhow!("there is no store {} yet", config.store.display())));
    }
    let database = Database::open(&config.store).map_err(Stop::failed)?;
    let actor = Actor::trusted(args.actor.clone(), Role::Admin);
    let opened = panels::open(&database, &actor, (&args.name, now_us()), (&plan, &sides.models)).map_err(operation)?;
    out.answer(&opened, || {
        let panels::Opened { panel, candidates, pairs, items, .. } = &opened;
        format!("{panel}: {pairs} of {candidates} pairs, {items} judgements\n")
    });
    if !opened.short_of.is_empty() {
        out.say(format_args!(
            "{} pairs of the {} asked for: {}",
            opened.pairs,
            opened.asked,
            opened.short_of.join("; ")
        ));
    }
    if !opened.is_noise_measured && args.disagreeing > 0.0 {
        out.say(format_args!("those of `--disagreeing` are the farthest apart, and perhaps by noise: {NOISE_UNKNOWN}"));
    }
    out.say(format_args!("`crossfade panel next {} --reviewer {}` shows the first", args.name, args.reviewers[0]));
    Ok(Exit::Ok)
}

/// Asks the gateway, or does it in the store when none runs.
fn change<T: serde::Serialize>(
    place: &Place,
    name: &str,
    what: &str,
    request: &Request,
    here: impl FnOnce(&Database, &Actor) -> Result<T, operations::OperationError>,
) -> Result<Value, Stop> {
    let source = Source::open(place)?;
    let body = serde_json::to_value(request).map_err(Stop::failed)?;
    if let Some(answer) = source.change(&format!("/api/panels/{}/{what}", percent(name)), &body)? {
        return Ok(answer);
    }
    let database = Database::open(source.database()?.path()).map_err(Stop::failed)?;
    let reviewer = request.reviewer.clone().unwrap_or_else(|| "command-line".to_owned());
    let done = here(&database, &Actor::trusted(reviewer, Role::Viewer)).map_err(operation)?;
    serde_json::to_value(done).map_err(Stop::failed)
}

fn list(rows: &[Listed]) -> String {
    let row = |row: &Listed| {
        let each = row.reviewers.iter().map(|(name, Progress { judged, of })| format!("{name} {judged} of {of}"));
        vec![
            row.panel.clone(),
            us_to_text(row.at_us),
            row.actor.clone(),
            row.plan["rollout"].as_str().unwrap_or("-").to_owned(),
            each.collect::<Vec<_>>().join(", "),
        ]
    };
    let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
    table(&["panel", "opened (UTC)", "by", "rollout", "judged"], &rows)
}

fn page(next: &Next) -> String {
    let Next { item, question, a, b, progress, .. } = next;
    format!(
        "item {item}, {} of {} judged\n\n{question}\n\n--- a ---\n{a}\n\n--- b ---\n{b}\n",
        progress.judged, progress.of
    )
}

fn result(outcome: &Outcome) -> String {
    let Outcome { panel, items, summary, .. } = outcome;
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    let interval =
        summary.win_rate_interval.map_or_else(String::new, |(low, high)| format!(" ({low:.3} to {high:.3})"));
    let seconds = |us: u64| format!("{:.1} s", us as f64 / 1e6);
    let mut page = format!(
        "{panel}: {} of {items} judgements, {} pairs drawn by chance\nwin rate of the candidate  {}{interval}: {} won, {} lost, {} neither\n",
        summary.n_verdicts,
        summary.n_pairs,
        number(summary.win_rate),
        summary.wins,
        summary.losses,
        summary.ties
    );
    let (confirmed, far) = summary.disagreements_confirmed;
    page += &format!("far apart by comparison    people prefer one in {confirmed} of {far}\n");
    if far > 0 && outcome.plan["is_noise_measured"] == false {
        page += &format!("                           {NOISE_UNKNOWN}\n");
    }
    page += &format!("neither will do            {} judgements\n", summary.neither);
    let (chose_a, decided) = summary.chose_a;
    page += &format!("chose `a`                  {chose_a} of {decided}\n");
    for kappa in &summary.cohen {
        page += &format!("Cohen's kappa              {} of {}\n", agreement(kappa), kappa.reviewers.join(" and "));
    }
    page += &format!("Fleiss' kappa              {}\n", agreement(&summary.fleiss));
    let median = summary.median_time_us.map_or_else(|| "-".to_owned(), seconds);
    page + &format!("time                       {median} median, {} together\n", seconds(summary.total_time_us))
}

/// A kappa with its interval, and over how many pairs.
pub(super) fn agreement(of: &Kappa) -> String {
    let kappa = of.kappa.map_or_else(|| "-".to_owned(), |kappa| format!("{kappa:.3}"));
    let interval = of.interval.map_or_else(String::new, |(low, high)| format!(" ({low:.3} to {high:.3})"));
    format!("{kappa}{interval} over {} pairs", of.n_pairs)
}

/// Proven not to be lower than one half by more than the margin, proven to be, or neither.
fn verdict(summary: &Summary, margin: f64) -> Exit {
    let line = 0.5 - margin;
    match summary.win_rate_interval {
        Some((low, _)) if low > line => Exit::Ok,
        Some((_, high)) if high < line => Exit::No,
        _ => Exit::Undecided,
    }
}
