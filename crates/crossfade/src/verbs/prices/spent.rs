//! `crossfade prices spent`: what was paid, by target.

use cost::date::Date;
use cost::decimal::dollars;
use operations::costs::Spent;
use store::{ArmCost, TargetCost};

use crate::out::{Exit, Out, Stop, table};
use crate::verbs::Place;
use crate::verbs::source::Source;
use crate::verbs::time::now_us;

const US_PER_DAY: u64 = 86_400_000_000;

pub(super) fn run(place: &Place, days: u32, out: &Out) -> Result<Exit, Stop> {
    let source = Source::open(place)?;
    let to = u32::try_from(now_us() / US_PER_DAY).unwrap_or(u32::MAX).saturating_add(1);
    let from = to.saturating_sub(days);
    let path = format!("/api/costs/{from}/{to}");
    let spent = source.read(&path, |database| operations::costs::spent(database, from, to))?;
    let spent: Spent = serde_json::from_value(spent).map_err(Stop::failed)?;
    out.answer(&spent, || text(&spent));
    let (first, last) = (Date(from.into()), Date(i64::from(to) - 1));
    let unknown = spent.targets.iter().fold(0u64, |sum, cost| sum.saturating_add(cost.sums.unknown));
    let left_out = match unknown {
        0 => "every call has a known price".to_owned(),
        n => format!("{n} calls have no known price and are in no sum; `crossfade prices show TARGET` says why"),
    };
    out.say(format_args!("from {first} to {last}, in UTC days; {left_out}"));
    Ok(Exit::Ok)
}

fn text(spent: &Spent) -> String {
    let row = |cost: &TargetCost| {
        let (sum, mean) = (sum(&cost.sums), mean(&cost.sums));
        vec![
            cost.target.clone(),
            cost.role.clone(),
            cost.sums.requests.to_string(),
            cost.sums.known.to_string(),
            cost.sums.unknown.to_string(),
            sum,
            mean,
        ]
    };
    let mut rows: Vec<Vec<String>> = spent.targets.iter().map(row).collect();
    let total = spent.targets.iter().fold(0u64, |sum, cost| sum.saturating_add(cost.sums.nanos));
    let dash = || "-".to_owned();
    let unknown = spent.targets.iter().fold(0u64, |sum, cost| sum.saturating_add(cost.sums.unknown));
    let known = spent.targets.iter().any(|cost| is_known(&cost.sums));
    let total = if known || unknown == 0 { dollars(total) } else { "unknown".to_owned() };
    let priced = spent.targets.iter().fold(0u64, |sum, cost| sum.saturating_add(cost.sums.known));
    rows.push(vec!["all".into(), dash(), dash(), priced.to_string(), unknown.to_string(), total, dash()]);
    table(&["target", "called as", "requests", "priced", "unknown", "$", "$ per request"], &rows)
}

/// Whether anything is known of what calls cost: that a refused connection was free says nothing of those that were answered.
fn is_known(sums: &ArmCost) -> bool {
    sums.nanos > 0 || sums.unknown == 0
}

fn sum(sums: &ArmCost) -> String {
    if is_known(sums) { dollars(sums.nanos) } else { "unknown".to_owned() }
}

fn mean(sums: &ArmCost) -> String {
    match sums.mean_nanos() {
        Some(mean) if is_known(sums) => dollars(mean),
        _ if !is_known(sums) => "unknown".to_owned(),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_calls_cost_is_unknown_and_not_nothing_where_no_price_is_known() {
        let of = |target: &str, known, unknown, nanos| TargetCost {
            target: target.to_owned(),
            role: "live".to_owned(),
            sums: ArmCost { requests: known, known, unknown, nanos },
        };
        let check = |targets: Vec<TargetCost>, words: &[&str]| {
            let page = text(&Spent { from_day: 0, to_day: 1, targets });
            for line in words {
                let found = page.lines().any(|row| row.split_whitespace().collect::<Vec<_>>().join(" ") == *line);
                assert!(found, "{line} not in\n{page}");
            }
        };
        check(vec![of("own", 0, 7, 0)], &["own live 0 0 7 unknown unknown", "all - - 0 7 unknown -"]);
        check(
            vec![of("own", 2, 7, 0), of("gpt", 4, 1, 4_000_000_000)],
            &["own live 2 2 7 unknown unknown", "gpt live 4 4 1 4.00 1.00", "all - - 6 8 4.00 -"],
        );
        check(vec![of("free", 3, 0, 0)], &["free live 3 3 0 0.00 0.00", "all - - 3 0 0.00 -"]);
    }
}
