//! `crossfade prices spent`: what was paid, by target.

use cost::date::Date;
use cost::decimal::dollars;
use operations::costs::Spent;
use store::TargetCost;

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
    out.say(format_args!("from {first} to {last}, in UTC days; what is unknown is in no sum"));
    Ok(Exit::Ok)
}

fn text(spent: &Spent) -> String {
    let row = |cost: &TargetCost| {
        let mean = cost.sums.mean_nanos().map_or_else(|| "-".to_owned(), dollars);
        vec![
            cost.target.clone(),
            cost.role.clone(),
            cost.sums.requests.to_string(),
            cost.sums.known.to_string(),
            cost.sums.unknown.to_string(),
            dollars(cost.sums.nanos),
            mean,
        ]
    };
    let mut rows: Vec<Vec<String>> = spent.targets.iter().map(row).collect();
    let total = spent.targets.iter().fold(0u64, |sum, cost| sum.saturating_add(cost.sums.nanos));
    let dash = || "-".to_owned();
    rows.push(vec!["all".into(), dash(), dash(), dash(), dash(), dollars(total), dash()]);
    table(&["target", "called as", "requests", "priced", "unknown", "$", "$ per request"], &rows)
}
