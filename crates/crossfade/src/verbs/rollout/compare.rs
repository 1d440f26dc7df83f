//! `crossfade rollout compare ROUTE`: the candidates of one route side by side.

use anyhow::Context;
use operations::contests::{Contender, Contest};

use crate::out::{Exit, Out, Stop, table};
use crate::verbs::source::{Source, percent};

/// Reads and shows it; exits 0 when one candidate is proven the best, 4 while none is.
pub(super) fn run(source: &Source, route: &str, out: &Out) -> Result<Exit, Stop> {
    let path = format!("/api/contests/{}", percent(route));
    let value = source.read(&path, |database| operations::contests::contest(database, route));
    let value = value.map_err(|stop| match stop.exit {
        Exit::Usage if stop.hint.is_none() => {
            stop.hint("`crossfade rollout status` lists what has been started, and on which routes")
        }
        _ => stop,
    })?;
    let contest: Contest = serde_json::from_value(value.clone()).context("could not read the answer")?;
    out.answer(&value, || page(&contest));
    Ok(if contest.winner.is_some() { Exit::Ok } else { Exit::Undecided })
}

fn page(contest: &Contest) -> String {
    let row = |contender: &Contender| {
        let stands = match (&contender.eliminated, contender.acceptable) {
            (Some(why), _) => format!("out: {why}"),
            (None, true) => "acceptable".to_owned(),
            (None, false) => "not proven acceptable yet".to_owned(),
        };
        let (best, worst) = contender.ranks;
        let ranks = if best == worst { best.to_string() } else { format!("{best} to {worst}") };
        let gates = contender.gates.iter().map(|gate| {
            let points = |value: Option<f64>| {
                value.map_or_else(|| "-".to_owned(), |value| format!("{:+.2}", value.min(1.0) * 100.0))
            };
            format!(
                "{} {} (below {}, margin {:.2})",
                gate.metric,
                points(gate.difference),
                points(gate.below),
                gate.margin * 100.0
            )
        });
        let labels = contender.labels.iter().map(|(name, value)| format!("{name} {value}"));
        vec![
            contender.rollout.clone(),
            contender.candidate.clone(),
            contender.label.clone(),
            stands,
            ranks,
            format!("{:.2}", contender.e_value.min(9e9)),
            contender.pairs.to_string(),
            gates.collect::<Vec<_>>().join(", "),
            contender
                .duration_us
                .map_or_else(|| "-".to_owned(), |(half, most)| format!("{} / {}", half / 1000, most / 1000)),
            contender.mean_cost_nanos.map_or_else(|| "-".to_owned(), cost::decimal::dollars),
            labels.collect::<Vec<_>>().join(", "),
        ]
    };
    let rows: Vec<Vec<String>> = contest.contenders.iter().map(row).collect();
    let headings = [
        "rollout",
        "candidate",
        "where",
        "stands",
        "rank",
        "e-value",
        "pairs",
        "difference in points",
        "total p50/p99 ms",
        "cost/request $",
        "labels",
    ];
    let needed = 1.0 / contest.alpha;
    let mut page = format!(
        "route {}: {} candidates; acceptable from an e-value of {needed:.0}, corrected for their number\n\n",
        contest.route,
        contest.contenders.len()
    );
    page += &table(&headings, &rows);
    page += "\n";
    page += &match (&contest.winner, &contest.leader) {
        (Some(winner), _) => format!("proven best: {winner}\n"),
        (None, Some(leader)) => format!("leads, not proven to be the best: {leader}\n"),
        (None, None) => "every candidate is out\n".to_owned(),
    };
    if contest.contenders.iter().any(|contender| contender.teacher_forced > 0) {
        page += "requests with results of tools are teacher-forced: every candidate was given the baseline's steps and is judged on the next \
                 one; whole trajectories are judged in canary, by the outcomes of units\n";
    }
    if let Some(serving) = &contest.serving {
        page +=
            &format!("{serving} serves: the others go on to copy, and none of them goes beyond shadow while it does\n");
    }
    page
}
