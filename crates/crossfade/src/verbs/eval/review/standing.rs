//! What people's verdicts come to, in words.

use cost::Decimal;
use cost::decimal::dollars;
use cost::people::People;
use eval::compare::Verdict;
use eval::review::{Proof, Standing};
use operations::blind::Reviewed;
use serde_json::{Value, json};

use crate::out::table;
use crate::verbs::panel::agreement;

/// What there is to say of a candidate, with what the review cost where it is known what an hour does.
pub(super) fn facts(one: &Reviewed, per_hour: Option<Decimal>) -> Value {
    // Numbers and words always serialise.
    let mut facts = serde_json::to_value(one).unwrap_or_default();
    if let Some(per_hour) = per_hour {
        let people = spent(&one.standing);
        facts["people"] = json!({
            "n_verdicts": people.n_verdicts,
            "n_timed": people.n_timed,
            "seconds": people.micros as f64 * 1e-6,
            "cost_nanos": people.nanos(per_hour),
        });
    }
    facts
}

/// The verdict of the people in a sentence.
pub(in crate::verbs::eval) fn sentence(candidate: &str, proof: &Proof) -> String {
    let rate = proof.win_rate.map_or_else(|| "no win rate".to_owned(), |rate| format!("win rate {rate:.3}"));
    let interval = proof.interval.map_or_else(String::new, |ends| {
        format!(", interval of the proof [{:.3}, {:.3}] at {:.0} %", ends.low, ends.high, 100.0 * ends.level)
    });
    let margin = proof.margin;
    let verdict = match proof.verdict {
        Verdict::Pass => format!("proven not to be below one half by {margin} or more"),
        Verdict::Fail => format!("proven to be below one half by {margin} or more"),
        Verdict::Undecided => match &proof.because {
            Some(because) => format!("undecided: {because}"),
            None => "undecided: too few verdicts for the margin".to_owned(),
        },
    };
    let drawn = if proof.planned { "drawn by chance" } else { "all that can be shown" };
    let gone = if proof.n_withdrawn > 0 { format!(", {} withdrawn", proof.n_withdrawn) } else { String::new() };
    let (n, asked) = (proof.n, proof.n_asked);
    format!("{candidate}: people judged {n} of {asked} cases ({drawn}{gone}): {rate}{interval}; {verdict}")
}

/// The verdicts of a candidate and their time, as the room `cost` takes them.
fn spent(standing: &Standing) -> People {
    let seconds: f64 = standing.times.iter().map(|time| time.seconds).sum();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sums of times on record, not below 0")]
    let micros = (seconds * 1e6).round() as u64;
    let n_timed = standing.times.iter().map(|time| time.n_timed).sum();
    People { n_verdicts: standing.n_verdicts, n_timed, micros }
}

fn cost(standing: &Standing, per_hour: Option<Decimal>) -> String {
    let Some(per_hour) = per_hour else { return String::new() };
    let people = spent(standing);
    let Some(nanos) = people.nanos(per_hour) else {
        return "cost           unknown: no verdict was timed\n".to_owned();
    };
    let each = nanos / standing.n_cases.max(1);
    let untimed = people.n_verdicts.saturating_sub(people.n_timed);
    let rest =
        if untimed > 0 { format!("; {untimed} untimed verdicts as the mean of the others") } else { String::new() };
    format!("cost           ${} of people's time, ${} a case{rest}\n", dollars(nanos), dollars(each))
}

/// What all verdicts come to, for every candidate.
pub(super) fn text(all: &[Reviewed], per_hour: Option<Decimal>) -> String {
    let two = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
    let row = |Reviewed { standing, .. }: &Reviewed| {
        let interval =
            standing.interval.map_or_else(|| "-".to_owned(), |ends| format!("[{:.2}, {:.2}]", ends.low, ends.high));
        vec![
            standing.candidate.clone(),
            standing.n_cases.to_string(),
            standing.n_verdicts.to_string(),
            standing.won.to_string(),
            standing.tied.to_string(),
            standing.lost.to_string(),
            two(standing.win_rate),
            interval,
            two(standing.agreement),
            two(standing.first_chosen),
            two(standing.median_seconds),
        ]
    };
    let headings = [
        "candidate",
        "cases",
        "verdicts",
        "won",
        "tied",
        "lost",
        "win rate",
        "90 % bootstrap",
        "agreement",
        "first chosen",
        "median s",
    ];
    let more = |one: &Reviewed| {
        people(&one.standing) + &cost(&one.standing, per_hour) + &sentence(&one.standing.candidate, &one.proof) + "\n"
    };
    table(&headings, &all.iter().map(row).collect::<Vec<_>>()) + &all.iter().map(more).collect::<String>()
}

/// Agreement and time of the people, and how many answers named themselves.
fn people(standing: &Standing) -> String {
    let mut text = format!("\n{}\n", standing.candidate);
    for kappa in &standing.cohen {
        text += &format!("Cohen's kappa  {} of {}\n", agreement(kappa), kappa.reviewers.join(" and "));
    }
    text += &format!("Fleiss' kappa  {}\n", agreement(&standing.fleiss));
    for time in &standing.times {
        let spent = time
            .median_seconds
            .map_or_else(String::new, |median| format!("{median:.1} s median, {:.1} s together, ", time.seconds));
        text += &format!(
            "time           {}: {spent}{} of {} verdicts timed\n",
            time.reviewer, time.n_timed, time.n_verdicts
        );
    }
    if standing.n_withdrawn > 0 {
        let pairs = if standing.n_withdrawn == 1 { "pair" } else { "pairs" };
        text += &format!("withdrawn      {} {pairs} before anybody judged\n", standing.n_withdrawn);
    }
    if standing.n_masked > 0 {
        let rate = standing.win_rate_unmasked.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.2}"));
        text += &format!(
            "named itself   an answer in {} verdicts, its name made unreadable; win rate without them {rate}\n",
            standing.n_masked
        );
    }
    text
}
