//! What judges said, for people: who judged, whether it is to be trusted, what it cost, and of a pairwise judge who wins.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::html::escaped;
use super::number;
use crate::compare::{Interval, Report};
use crate::entail::EntailmentReport;
use crate::judge::NoVerdict;
use crate::judge::standing::{JudgeReport, PairwiseReport};
use crate::judge::trust::Trust;

/// The name of a metric, marked where it is a judge's that is not trusted.
#[must_use]
pub fn label(report: &Report, name: &str) -> String {
    match report.judges.iter().find(|judge| judge.name == name) {
        Some(judge) if judge.withheld.is_some() => format!("{name} (judge withheld)"),
        Some(judge) if !judge.trust.trusted => format!("{name} (judge not trusted)"),
        Some(_) => name.to_owned(),
        None => match report.entailment.as_ref().and_then(|entailment| entailment.doubt(name)) {
            Some(doubt) => format!("{name} ({doubt})"),
            None => name.to_owned(),
        },
    }
}

/// What a judge of entailment comes to, line by line.
#[must_use]
pub fn entailment(of: &EntailmentReport) -> Vec<String> {
    let withheld = match of.n_withheld {
        0 => String::new(),
        n => format!(", {n} not asked because the cases may not leave the house"),
    };
    let unpriced = if of.n_unpriced > 0 { format!(", {} of unknown cost", of.n_unpriced) } else { String::new() };
    let mut lines = vec![
        format!("entailment by {} ({}), {}", of.target, of.model, of.id),
        format!(
            "  {} of {} questions asked{withheld}; {} calls, {} reused, {:.6} dollars{unpriced}",
            of.n_asked, of.n_questions, of.n_calls, of.n_reused, of.cost
        ),
    ];
    for kind in &of.kinds {
        let (word, metrics) = (kind.kind.as_str(), kind.metrics.join(", "));
        let unread = reasons(&kind.unscored);
        lines.push(format!("  {word} (for {metrics}): {} questions asked, {unread}", kind.n_asked));
        lines.push(format!("    {}", trust(&kind.trust, "questions")));
        lines.extend(kind.withheld.iter().map(|why| format!("    withheld: {why}")));
    }
    lines
}

/// What a judge comes to, line by line.
#[must_use]
pub fn lines(judge: &JudgeReport) -> Vec<String> {
    let mut lines = vec![
        format!("judge {}: {} by {} ({}), {}", judge.name, judge.kind, judge.target, judge.model, judge.id),
        format!("  {}", trust(&judge.trust, "pairs")),
        format!("  {}", work(judge)),
    ];
    lines.push(format!("  {}", itself(judge)));
    lines.extend(judge.withheld.iter().map(|why| format!("  withheld: {why}")));
    lines.extend(judge.candidates.iter().map(|candidate| format!("  {}", pairs(candidate))));
    lines
}

fn trust(trust: &Trust, what: &str) -> String {
    let word = if trust.trusted { "trusted" } else { "not trusted" };
    let mut text = format!("{word}: {}", trust.why);
    if trust.n_labelled > 0 {
        text += &format!(
            "; the same as people say on {} {}, kappa {} {}",
            number(trust.agreement),
            between(trust.agreement_interval),
            number(trust.kappa),
            between(trust.kappa_interval)
        );
    }
    if trust.n_unscored > 0 {
        text += &format!("; without a verdict on {} {what} that people judged", trust.n_unscored);
    }
    text
}

/// How far it agrees with itself.
fn itself(judge: &JudgeReport) -> String {
    match judge.self_agreement {
        None if judge.n_repeats < 2 => "agreement with itself not measured: each question is asked once".to_owned(),
        agreement => format!(
            "asked {} times, the same each time {} {}",
            judge.n_repeats,
            number(agreement),
            between(judge.self_agreement_interval)
        ),
    }
}

fn work(judge: &JudgeReport) -> String {
    let unread = reasons(&judge.unscored);
    let unpriced = if judge.n_unpriced > 0 { format!(", {} of unknown cost", judge.n_unpriced) } else { String::new() };
    format!(
        "{} of {} questions asked, {unread}; {} calls, {} reused, {:.6} dollars{unpriced}",
        judge.n_asked, judge.n_questions, judge.n_calls, judge.n_reused, judge.cost
    )
}

/// How many questions have no verdict, and why.
fn reasons(unscored: &BTreeMap<NoVerdict, u64>) -> String {
    let n: u64 = unscored.values().sum();
    let reasons = unscored.iter().map(|(why, n)| format!("{why} {n}")).collect::<Vec<_>>();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    format!("{n} without a verdict{reasons}")
}

fn pairs(candidate: &PairwiseReport) -> String {
    let PairwiseReport { won, tied, lost, n_unscored, n_not_asked, length, .. } = candidate;
    let mut text = format!(
        "{}: won {won}, tied {tied}, lost {lost}, without a verdict {n_unscored} of {} pairs ({n_not_asked} not asked); win rate {} {}; at equal length {} {}",
        candidate.candidate,
        candidate.n_pairs,
        number(candidate.win_rate),
        between(candidate.interval),
        number(length.win_rate),
        between(length.interval)
    );
    if length.n_decided > 0 {
        text += &format!(
            "; the longer answer wins {} {} of {}",
            number(length.longer_won),
            between(length.longer_won_interval),
            length.n_decided
        );
    }
    text + &format!(
        "; position consistency {} ({} ties because the orders disagree), the first is chosen {}",
        number(candidate.position_consistency),
        candidate.n_inconsistent,
        number(candidate.first_chosen)
    )
}

fn between(interval: Option<Interval>) -> String {
    interval.map_or_else(|| "[-]".to_owned(), |Interval { low, high, .. }| format!("[{low:.4}, {high:.4}]"))
}

/// The part of the page.
pub(super) fn html(page: &mut String, report: &Report) -> std::fmt::Result {
    if report.judges.is_empty() {
        return Ok(());
    }
    page.push_str("<h2>Judges</h2>\n<table><tr><th>judge<th>by<th>trust<th>itself<th>work<th>id\n");
    for judge in &report.judges {
        let class = if judge.trust.trusted && judge.withheld.is_none() { "pass" } else { "undecided" };
        let withheld = judge.withheld.iter().map(|why| format!("; withheld: {why}")).collect::<String>();
        let simulated = if judge.simulated { " (simulated)" } else { "" };
        writeln!(
            page,
            "<tr><td>{}, {}<td>{}{simulated} <span class=\"small\">{}</span><td class=\"{class}\">{}<td>{}<td>{}<td class=\"small\">{}",
            escaped(&judge.name),
            judge.kind,
            escaped(&judge.target),
            escaped(&judge.model),
            escaped(&(trust(&judge.trust, "pairs") + &withheld)),
            escaped(&itself(judge)),
            escaped(&work(judge)),
            escaped(&judge.id)
        )?;
    }
    page.push_str("</table>\n");
    if report.judges.iter().all(|judge| judge.candidates.is_empty()) {
        return Ok(());
    }
    page.push_str("<table><tr><th>candidate<th>judge<th class=\"n\">pairs<th class=\"n\">won<th class=\"n\">tied<th class=\"n\">lost<th class=\"n\">no verdict<th>win rate<th>at equal length<th>longer wins<th class=\"n\">position consistency<th class=\"n\">first chosen\n");
    for judge in &report.judges {
        for candidate in &judge.candidates {
            pair_row(page, judge, candidate)?;
        }
    }
    page.push_str("</table>\n");
    Ok(())
}

fn pair_row(page: &mut String, judge: &JudgeReport, candidate: &PairwiseReport) -> std::fmt::Result {
    let length = &candidate.length;
    writeln!(
        page,
        "<tr><td>{}<td>{}{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td>{} {}<td>{} {}<td>{} {}<td class=\"n\">{}<td class=\"n\">{}",
        escaped(&candidate.candidate),
        escaped(&judge.name),
        if judge.trust.trusted { "" } else { " <span class=\"undecided\">not trusted</span>" },
        candidate.n_pairs,
        candidate.won,
        candidate.tied,
        candidate.lost,
        candidate.n_unscored,
        number(candidate.win_rate),
        between(candidate.interval),
        number(length.win_rate),
        between(length.interval),
        number(length.longer_won),
        between(length.longer_won_interval),
        number(candidate.position_consistency),
        number(candidate.first_chosen)
    )
}
