//! All targets in order, as part of a page and of a comment.

use super::html::escaped;
use super::plain::cell;
use crate::compare::{Ranked, RankedPair, Ranking};

/// What the numbers are.
const SAID: &str = "Ranks are what the pairs leave open that are proven. All intervals hold at once (95 %, max-T over whole clusters); proven is what \
                    McNemar's test, or random signs of whole clusters, says as well at 5 % after Holm's adjustment.";

fn cells(of: &Ranked) -> [String; 5] {
    let ms = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
    let rank = if of.best_rank == of.worst_rank {
        of.best_rank.to_string()
    } else {
        format!("{} to {}", of.best_rank, of.worst_rank)
    };
    let dollars = of.cost_per_successful_task.map_or_else(|| "-".to_owned(), |value| format!("{value:.6}"));
    [rank, format!("{:.4}", of.mean), ms(of.p50_ms), ms(of.p95_ms), dollars]
}

fn pair_cells(pair: &RankedPair) -> [String; 4] {
    let interval =
        pair.interval.map_or_else(|| "-".to_owned(), |ends| format!("[{:+.4}, {:+.4}]", ends.low, ends.high));
    let p = pair.p_adjusted.map_or_else(|| "-".to_owned(), |p| format!("{p:.4}"));
    let proven = if pair.proven { "proven" } else { "open" };
    [format!("{:+.4}", pair.difference), interval, p, proven.to_owned()]
}

pub(super) fn html(ranking: &Ranking) -> String {
    let mut page = String::from(
        "<h2>Ranks</h2>\n<table><tr><th>target<th class=\"n\">rank<th class=\"n\">mean<th class=\"n\">p50 ms<th class=\"n\">p95 ms<th class=\"n\">dollars per success\n",
    );
    let row = |name: String, cells: &[String]| {
        let cells: String = cells.iter().map(|cell| format!("<td class=\"n\">{cell}")).collect();
        format!("<tr><td>{}{cells}\n", escaped(&name))
    };
    page.extend(ranking.targets.iter().map(|of| row(of.target.clone(), &cells(of))));
    page += "</table>\n<table><tr><th>each two<th class=\"n\">difference<th class=\"n\">interval<th class=\"n\">p<th class=\"n\">better\n";
    page.extend(ranking.pairs.iter().map(|of| row(format!("{} over {}", of.first, of.second), &pair_cells(of))));
    page + &format!("</table>\n<p class=\"small\">{SAID}</p>\n")
}

pub(super) fn markdown(ranking: &Ranking) -> String {
    let row = |name: String, cells: &[String]| format!("| {} | {} |\n", cell(&name), cells.join(" | "));
    let mut text =
        String::from("\n| target | rank | mean | p50 ms | p95 ms | dollars per success |\n|---|---|---|---|---|---|\n");
    text.extend(ranking.targets.iter().map(|of| row(of.target.clone(), &cells(of))));
    text += "\n| each two | difference | interval, all at once | p (Holm) | better |\n|---|---|---|---|---|\n";
    text.extend(ranking.pairs.iter().map(|of| row(format!("{} over {}", of.first, of.second), &pair_cells(of))));
    text
}
