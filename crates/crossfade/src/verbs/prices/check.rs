//! `crossfade prices check`: one usage, priced by hand.

use cost::decimal::dollars;
use cost::sheet::STANDARD;
use cost::{Meter, Usage, When, date};
use serde_json::json;

use super::{find, known};
use crate::out::{Exit, Out, Stop};
use crate::verbs::Place;
use crate::verbs::time::now_us;

/// What is priced.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which model: `VENDOR/MODEL`, or a target of the config.
    #[arg(value_name = "VENDOR/MODEL|TARGET")]
    what: String,
    /// What was used, such as `input=1155 cached=400 output=211`; input and output are whole, the others are parts of them.
    #[arg(value_name = "METER=N", required = true, value_parser = used)]
    usage: Vec<(Meter, u64)>,
    /// When, in UTC: `2026-11-25` or `2026-11-25T16:30`. Default: now.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<When>,
    /// The kind of service: `batch`, `flex`, `priority` …
    #[arg(long, value_name = "SERVICE", default_value = STANDARD)]
    service: String,
}

fn used(text: &str) -> Result<(Meter, u64), String> {
    let (name, n) = text.split_once('=').ok_or("expected METER=N, such as `input=1155`")?;
    let known = || Meter::ALL.map(Meter::as_str).join(", ");
    let meter = Meter::named(name).ok_or_else(|| format!("no meter is called `{name}`; there are {}", known()))?;
    Ok((meter, n.replace('_', "").parse().map_err(|_| format!("`{n}` is no whole number"))?))
}

fn moment(text: &str) -> Result<When, String> {
    let wrong = || "expected a time such as `2026-11-25` or `2026-11-25T16:30`".to_owned();
    let (day, clock) = text.trim_end_matches('Z').split_once('T').unwrap_or((text, "00:00"));
    let day = date::Date::parse(day).ok_or_else(wrong)?;
    let minute = date::minute_of_day(clock).ok_or_else(wrong)?;
    Ok(When(day.0 * 86_400 + i64::from(minute) * 60))
}

pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let tariff = find(&known(place)?, &args.what)?;
    let usage = args.usage.iter().fold(Usage::new(), |usage, (meter, n)| usage.with(*meter, *n));
    let when = args.at.unwrap_or_else(|| When::from_us(now_us()));
    let cost = tariff.price(&usage, when, &args.service).map_err(|unknown| {
        let stop = Stop::failed(anyhow::anyhow!("the price is not known: {unknown}")).exit(Exit::Undecided);
        stop.hint(format!("`crossfade prices show {}` has every row", args.what))
    })?;
    let facts = json!({ "nanos": cost.nanos, "usd": dollars(cost.nanos), "row": cost.row });
    out.answer(&facts, || format!("${}   {}\n", dollars(cost.nanos), cost.row));
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usages_and_moments_are_read() {
        assert_eq!(used("input=1_155"), Ok((Meter::Input, 1_155)));
        assert!(used("inptu=1").unwrap_err().starts_with("no meter is called `inptu`"));
        assert!(used("input").is_err() && used("input=x").is_err());
        assert_eq!(moment("1970-01-02T00:01"), Ok(When(86_460)));
        assert_eq!(moment("1970-01-02"), Ok(When(86_400)));
        assert!(moment("yesterday").is_err());
    }
}
