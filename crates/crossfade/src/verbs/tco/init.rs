//! `crossfade tco init`: a worksheet to fill in. What the record knows is in it, with where it is from; the rest is unknown.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use cost::When;
use cost::date::Date;
use cost::decimal::dollars;
use eval::compare::CandidateReport;
use operations::tco::{Recorded, recorded};

use crate::load;
use crate::out::{Exit, Out, Stop};
use crate::verbs::dataset::readable;
use crate::verbs::source::{names_like, operation};
use crate::verbs::time::now_us;
use crate::verbs::{Place, eval as evaluations};

const TEMPLATE: &str = include_str!("worksheet.yaml");

/// Every place of the template that the record may fill, and what stands there else.
const PLACES: [(&str, &str); 10] = [
    ("NAME", "costs"),
    ("DATE", ""),
    ("TASKS", "unknown"),
    ("BASELINE", "baseline"),
    ("CANDIDATE", "candidate"),
    ("BASELINE_FIRST_PASS", "unknown"),
    ("CANDIDATE_FIRST_PASS", "unknown"),
    ("BASELINE_ATTEMPT", "unknown"),
    ("CANDIDATE_ATTEMPT", "{ none: \"it runs on GPUs of its own\" }"),
    ("PEAK", "unknown"),
];

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The route whose recorded requests are the tasks, and whose target is the baseline.
    #[arg(long, value_name = "ROUTE")]
    route: Option<String>,
    /// The evaluation run that says how often each side is right at the first attempt.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// The candidate, where the run has several or there is none: a target of the config.
    #[arg(long, value_name = "TARGET")]
    candidate: Option<String>,
    /// Requests of so many days, today included.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=366))]
    days: u32,
    /// The file.
    #[arg(long, short, value_name = "FILE", default_value = "tco.yaml")]
    output: PathBuf,
    /// Print the worksheet instead of writing it.
    #[arg(long)]
    print: bool,
}

/// Writes a worksheet; never over a file that is there.
pub(crate) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let mut known: BTreeMap<&str, String> = PLACES.iter().map(|(at, usual)| (*at, (*usual).to_owned())).collect();
    let today = When::from_us(now_us()).date();
    known.insert("DATE", today.to_string());
    let mut said = Vec::new();
    if let Some(candidate) = &args.candidate {
        known.insert("CANDIDATE", text(candidate));
    }
    let mut sides = [None, args.candidate.clone()];
    if let Some(run) = &args.run {
        sides = of_run(place, (run, args.candidate.as_deref()), &mut known, &mut said)?;
    }
    if let Some(route) = &args.route {
        of_route(place, (route, args.days, today), sides, (&mut known, &mut said))?;
    }
    let mut worksheet = TEMPLATE.to_owned();
    for (at, value) in &known {
        worksheet = worksheet.replace(&format!("@{at}@"), value);
    }
    if args.print {
        out.print(&worksheet);
    } else {
        write(args, &worksheet)?;
        let path = args.output.display();
        out.answer(&serde_json::json!({ "written": args.output, "known": said }), || format!("{path}\n"));
    }
    for words in &said {
        out.say(words);
    }
    out.say(format_args!("hint: fill in what is unknown, then `crossfade tco run {}`", args.output.display()));
    Ok(Exit::Ok)
}

fn write(args: &Args, worksheet: &str) -> Result<(), Stop> {
    let path = &args.output;
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            let stop = Stop::usage(format!("{} exists and is left as it is", path.display()));
            stop.hint("`--output FILE` writes another; `--print` shows the text")
        }
        _ => Stop::failed(anyhow::Error::new(error).context(format!("could not write {}", path.display()))),
    })?;
    file.write_all(worksheet.as_bytes()).with_context(|| format!("could not write {}", path.display()))?;
    Ok(())
}

/// How often each side of a run is right; the names of both.
fn of_run(
    place: &Place,
    (run, candidate): (&str, Option<&str>),
    known: &mut BTreeMap<&str, String>,
    said: &mut Vec<String>,
) -> Result<[Option<String>; 2], Stop> {
    let report = evaluations::load(place, run)?;
    let names = || report.candidates.iter().map(|candidate| candidate.candidate.as_str());
    let chosen: &CandidateReport = match (candidate, report.candidates.as_slice()) {
        (None, [only]) => only,
        (Some(name), all) => all.iter().find(|candidate| candidate.candidate == name).ok_or_else(|| {
            Stop::usage(format!("run `{run}` has no candidate `{name}`")).hint(names_like(name, names()))
        })?,
        (None, _) => {
            let stop = Stop::usage(format!("run `{run}` has not one candidate"));
            return Err(
                stop.hint(format!("name it with `--candidate`; there are: {}", names().collect::<Vec<_>>().join(", ")))
            );
        }
    };
    let baseline = report.targets.first().map(|target| target.name.clone()).unwrap_or_default();
    known.insert("BASELINE", text(&baseline));
    known.insert("CANDIDATE", text(&chosen.candidate));
    let date = When::from_us(report.at_us).date();
    match &chosen.primary.flips {
        Some(flips) => {
            let n = chosen.primary.n;
            let made_up = if report.simulated { ", answers of a simulated provider among them" } else { "" };
            let evidence = format!("eval run {run}, {} on {}{made_up}", report.primary, report.dataset);
            let seen = |right: u64| {
                format!(
                    "{{ seen: {right}, of: {n}, provenance: measured, date: {date}, evidence: {} }}",
                    text(&evidence)
                )
            };
            known.insert("BASELINE_FIRST_PASS", seen(flips.both_right + flips.lost));
            known.insert("CANDIDATE_FIRST_PASS", seen(flips.both_right + flips.won));
            said.push(format!("first-pass success is that of {n} cases of run {run}{made_up}"));
        }
        None => said.push(format!(
            "run {run} decides by {}, which is not right or wrong: first-pass success stays unknown",
            report.primary
        )),
    }
    Ok([Some(baseline), Some(chosen.candidate.clone())])
}

/// What was recorded of a route and of its targets.
fn of_route(
    place: &Place,
    (route, days, today): (&str, u32, Date),
    [baseline, candidate]: [Option<String>; 2],
    (known, said): (&mut BTreeMap<&str, String>, &mut Vec<String>),
) -> Result<(), Stop> {
    let config = load::config(&place.config)?;
    let routes = &config.snapshot.routes;
    let target = routes.get(route).map(|route| route.target.clone()).ok_or_else(|| {
        let stop = Stop::usage(format!("the config has no route `{route}`"));
        stop.hint(names_like(route, routes.keys().map(String::as_str)))
    })?;
    let rollout = config.snapshot.rollouts.values().find(|rollout| rollout.route == route);
    let baseline = baseline.unwrap_or(target);
    let candidate = candidate.or_else(|| rollout.map(|rollout| rollout.candidate.clone()));
    known.insert("NAME", text(route));
    known.insert("BASELINE", text(&baseline));
    if let Some(candidate) = &candidate {
        known.insert("CANDIDATE", text(candidate));
    }
    let to = u32::try_from(today.0).unwrap_or(0).saturating_add(1);
    let database = readable(place)?;
    let recorded = recorded(&database, route, (to.saturating_sub(days), to)).map_err(operation)?;
    filled(route, &recorded, today, (known, said));
    let costs = |name: &str| recorded.costs.iter().find(|cost| cost.target == name && cost.sums.known > 0);
    if let Some(cost) = costs(&baseline) {
        let mean = cost.sums.nanos.saturating_add(cost.sums.known / 2) / cost.sums.known;
        let unpriced = match cost.sums.unknown {
            0 => String::new(),
            n => format!("; {n} calls without a price are left out"),
        };
        let evidence = format!("{} priced calls of target {baseline} in {days} days{unpriced}", cost.sums.known);
        known.insert("BASELINE_ATTEMPT", measured(&dollars(mean), today, &evidence));
        said.push(format!("an attempt at {baseline} costs what {} calls cost on average{unpriced}", cost.sums.known));
    } else {
        said.push(format!("no priced call of {baseline} is on record: what an attempt costs stays unknown"));
    }
    Ok(())
}

/// Tasks a month, and tokens a second at the peak.
fn filled(
    route: &str,
    recorded: &Recorded,
    today: Date,
    (known, said): (&mut BTreeMap<&str, String>, &mut Vec<String>),
) {
    let Some((first, last)) = recorded.between else {
        said.push(format!("no request of route {route} is on record: the number of tasks stays unknown"));
        return;
    };
    let hour = |hours: u64| {
        let when = When(i64::try_from(hours).unwrap_or(0).saturating_mul(3600));
        format!("{} {:02}:00", when.date(), hours % 24)
    };
    let span = format!(
        "{} requests of route {route} in the {} hours from {} to {} UTC",
        recorded.requests,
        recorded.hours,
        hour(first),
        hour(last)
    );
    // A month has 730 hours; rounded half up.
    let tasks = (recorded.requests * 730 + recorded.hours / 2) / recorded.hours.max(1);
    known.insert("TASKS", measured(&tasks.to_string(), today, &span));
    said.push(format!("{tasks} tasks a month are {span}"));
    if let Some((_, output)) = recorded.tokens {
        let per_second = recorded.peak_per_minute as f64 * output / 60.0;
        let evidence = format!(
            "the busiest minute had {} requests, with {output:.1} tokens of answer on average",
            recorded.peak_per_minute
        );
        known.insert("PEAK", measured(&format!("{per_second:.3}"), today, &evidence));
    }
}

fn measured(value: &str, date: Date, evidence: &str) -> String {
    format!("{{ value: {value}, provenance: measured, date: {date}, evidence: {} }}", text(evidence))
}

/// A text as YAML has it in double quotes.
fn text(words: &str) -> String {
    // JSON's strings are YAML's; a dollar that would be read as a variable is doubled, as in the config.
    serde_json::Value::from(words.replace("${", "$${")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::worksheet;

    #[test]
    fn the_template_is_a_worksheet_in_which_all_that_nobody_knows_is_asked_for() {
        let filled =
            PLACES.iter().fold(TEMPLATE.to_owned(), |sheet, (at, usual)| sheet.replace(&format!("@{at}@"), usual));
        assert!(!filled.contains('@'), "every place is filled");
        let filled = filled.replace("date: ", "date: 2026-11-26");
        let study = worksheet("tco.yaml", &filled).unwrap();
        let book = cost::tco::model(&study);
        assert!(book.unknown().count() > 40);
        assert!(book.find("baseline.total").is_some_and(|cell| cell.value.is_none()));
    }
}
